//! `/start`: a login begins here, at the application that is named; `/connections/{name}/start`: at a connection, too.

use crate::broker::Browser;
use crate::clock::Timestamp;
use crate::http::headers::Correlation;
use crate::http::state::State;
use crate::http::{caller, cookies, pages, reply};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

pub async fn get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    match state.gateway().start(request.query_string().as_bytes()) {
        Ok(url) => reply::see_other(url.as_str()),
        Err(error) => pages::error(&request, &error, None),
    }
}

pub async fn at_connection(request: HttpRequest, name: Path<String>, state: Data<State>) -> HttpResponse {
    let browser = Browser { caller: caller::read(&request, &state), ..cookies::read(&request, state.settings.secure) };
    let (query, correlation_id) = (request.query_string().as_bytes(), Correlation::of(&request).get());
    let outcome = Box::pin(state.gateway().start_at_connection(&name, query, &browser, &correlation_id, Timestamp::now())).await;
    reply::outcome(&request, &state, outcome, None)
}
