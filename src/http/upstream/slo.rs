//! Single logout services toward identity providers: `/connections/{name}/slo`.

use crate::broker::logout::LogoutReceiver;
use crate::http::logout::{by_post, by_redirect};
use crate::http::state::State;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn get(request: HttpRequest, name: Path<String>, state: Data<State>) -> HttpResponse {
    by_redirect(&request, &state, LogoutReceiver::Connection(&name)).await
}

pub async fn post(request: HttpRequest, name: Path<String>, mut payload: Payload, state: Data<State>) -> HttpResponse {
    by_post(&request, &state, LogoutReceiver::Connection(&name), &mut payload).await
}
