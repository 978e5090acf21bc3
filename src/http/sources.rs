//! How the sources of metadata fare, for operators: `isthmus metadata show` asks here.

use super::state::State;
use crate::broker::metadata::reports;
use crate::clock::Timestamp;
use actix_web::HttpResponse;
use actix_web::web::Data;

pub async fn show(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(reports(&state.gateway(), Timestamp::now()))
}
