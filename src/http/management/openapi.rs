//! The OpenAPI document, made from the operations themselves.

use super::shape::Shape;
use super::{Answer, BASE, Body, Operation, operations};
use crate::http::state::State;
use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Data;
use serde_json::{Map, Value, json};

/// `/api/v2/openapi.json`.
pub async fn document(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(describe(&state.gateway().issuer).to_string())
}

/// OpenAPI 3.1.
pub fn describe(issuer: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut shapes: Vec<&'static Shape> = Vec::new();
    for operation in operations() {
        let entry = paths.entry(operation.path.to_owned()).or_insert_with(|| json!({}));
        if let Some(methods) = entry.as_object_mut() {
            methods.insert(operation.method.as_str().to_ascii_lowercase(), describe_operation(operation));
        }
        match operation.body {
            Body::Nothing => {}
            Body::Json(shape) | Body::OptionalJson(shape) | Body::Multipart(shape) => shape.all(&mut shapes),
        }
        match operation.answer.1 {
            Answer::One(shape) | Answer::List(shape) | Answer::Page(shape, _) => shape.all(&mut shapes),
            Answer::Nothing | Answer::Any => {}
        }
    }
    let schemas: Map<String, Value> = shapes.into_iter().map(|shape| (shape.name.to_owned(), shape.schema())).collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Isthmus management API", "version": env!("CARGO_PKG_VERSION") },
        "servers": [{ "url": format!("{issuer}{BASE}") }],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn describe_operation(operation: &Operation) -> Value {
    json!({ "operationId": operation.id, "tags": [operation.tag], "summary": operation.summary, "responses": {} })
}
