//! `/start`: a login begins here, at the application that is named.

use crate::http::state::State;
use crate::http::{pages, reply};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

pub async fn get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    match state.gateway().start(request.query_string().as_bytes()) {
        Ok(url) => reply::see_other(url.as_str()),
        Err(error) => pages::error(&request, &error, None),
    }
}
