//! Our metadata for an identity provider, per connection.

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::pages;
use crate::http::state::State;
use crate::oidc::Params;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

pub async fn by_path(request: HttpRequest, name: Path<String>, state: Data<State>) -> HttpResponse {
    document(&state, &name).unwrap_or_else(|error| pages::error(&request, &error, None))
}

pub async fn by_query(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let named = Params::parse(request.query_string().as_bytes()).and_then(|query| query.require("connection").map(str::to_owned));
    named.and_then(|name| document(&state, &name)).unwrap_or_else(|error| pages::error(&request, &error, None))
}

fn document(state: &State, name: &str) -> Result<HttpResponse> {
    let gateway = state.gateway();
    let connection =
        gateway.connections.enabled(name).ok_or_else(|| Error::new(ErrorKind::UnknownConnection, "There is no such connection."))?;
    let (content_type, document) = connection.metadata(Timestamp::now())?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, content_type)).insert_header((CACHE_CONTROL, "public, max-age=300")).body(document))
}
