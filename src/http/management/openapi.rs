//! The OpenAPI document, made from the operations themselves.
//!
//! What it says and what [`super::run`] demands come from the same tables, so they cannot differ; what operations answer is
//! held against it by the tests.

use super::problem::PROBLEM;
use super::shape::{Member, Shape};
use super::{Answer, BASE, Body, Operation, operations};
use crate::application::management::{CURRENT_USER_SCOPES, SCOPES};
use crate::http::state::State;
use actix_web::HttpResponse;
use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use actix_web::web::Data;
use serde_json::{Map, Value, json};

/// `/api/v2/openapi.json`. It says nothing that is secret, so whoever asks may read it.
pub async fn document(state: Data<State>) -> HttpResponse {
    let text = describe(&state.gateway().issuer).to_string();
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*")).body(text)
}

/// OpenAPI 3.1.
pub fn describe(issuer: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut shapes: Vec<&'static Shape> = Vec::new();
    let mut tags: Vec<&str> = Vec::new();
    PROBLEM.all(&mut shapes);
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
        if !tags.contains(&operation.tag) {
            tags.push(operation.tag);
        }
    }
    let mut schemas: Map<String, Value> = shapes.into_iter().map(|shape| (shape.name.to_owned(), shape.schema())).collect();
    for operation in operations().filter(|operation| selects(operation)) {
        if let Answer::One(shape) | Answer::List(shape) | Answer::Page(shape, _) = operation.answer.1 {
            schemas.insert(part_of(shape), selection(shape));
        }
    }
    let scopes: Map<String, Value> =
        SCOPES.iter().chain(CURRENT_USER_SCOPES).map(|(name, about)| ((*name).to_owned(), Value::from(*about))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Isthmus management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Errors are application/problem+json with a stable `code`, and have the members statusCode, error, message and errorCode beside it.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": format!("{issuer}{BASE}") }],
        "tags": tags.into_iter().map(|name| json!({ "name": name })).collect::<Value>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "oauth2",
                    "description": format!("An access token for the audience {issuer}{BASE}/"),
                    "flows": { "clientCredentials": { "tokenUrl": format!("{issuer}/oauth/token"), "scopes": scopes } },
                },
            },
        },
    })
}

fn describe_operation(operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = names(operation.path).map(path_parameter).collect();
    parameters.extend(operation.query.iter().copied().flatten().map(query_parameter));
    // Any one of the scopes is enough: alternatives stand side by side.
    let security: Vec<Value> = operation.scopes.iter().map(|scope| json!({ "token": [scope] })).collect();
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters,
        "security": security,
        "responses": responses(operation),
    });
    let (shape, media_type, required) = match operation.body {
        Body::Nothing => return described,
        Body::Json(shape) => (shape, "application/json", true),
        Body::OptionalJson(shape) => (shape, "application/json", false),
        Body::Multipart(shape) => (shape, "multipart/form-data", true),
    };
    if let Some(members) = described.as_object_mut() {
        members
            .insert("requestBody".to_owned(), json!({ "required": required, "content": { media_type: { "schema": reference(shape) } } }));
    }
    described
}

fn responses(operation: &Operation) -> Value {
    let (status, answer) = &operation.answer;
    let reference = |shape: &Shape| if selects(operation) { by_name(&part_of(shape)) } else { reference(shape) };
    let schema = match answer {
        Answer::Nothing => None,
        Answer::Any => Some(json!({})),
        Answer::One(shape) => Some(reference(shape)),
        Answer::List(shape) => Some(json!({ "type": "array", "items": reference(shape) })),
        Answer::Page(shape, name) => {
            let list = json!({ "type": "array", "items": reference(shape) });
            let number = json!({ "type": "integer", "minimum": 0 });
            let object = json!({
                "type": "object",
                "properties": { *name: list, "start": number, "limit": number, "length": number, "total": number, "next": { "type": "string" } },
                "required": [name],
            });
            Some(json!({ "oneOf": [list, object] }))
        }
    };
    let good = match schema {
        None => json!({ "description": "Done" }),
        Some(schema) => json!({ "description": "Done", "content": { "application/json": { "schema": schema } } }),
    };
    let mut responses = Map::from_iter([(status.to_string(), good)]);
    let with_body: &[u16] = if matches!(operation.body, Body::Nothing) { &[] } else { &[413, 415] };
    let mut refusals: Vec<u16> = [400, 401, 403, 429, 503].iter().chain(operation.refusals).chain(with_body).copied().collect();
    refusals.sort_unstable();
    refusals.dedup();
    for refusal in refusals {
        let problem = json!({ "application/problem+json": { "schema": by_name(PROBLEM.name) } });
        responses.insert(refusal.to_string(), json!({ "description": why(refusal), "content": problem }));
    }
    Value::Object(responses)
}

const fn why(status: u16) -> &'static str {
    match status {
        400 => "The request is not right; `faults` say where",
        401 => "There is no good token",
        403 => "The token lacks a scope, or this is not the caller's to do",
        404 => "There is no such thing",
        409 => "Somebody was faster, it is there already, or it may not be changed here",
        412 => "It has changed since the version that If-Match names",
        413 => "The body is too large",
        414 => "The search is too long",
        415 => "The body has another media type than this operation takes",
        429 => "Too many calls; come back after `Retry-After` seconds",
        503 => "A store does not answer, or the search took too long",
        _ => "Refused",
    }
}

/// The names in the braces of a path.
fn names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } })
}

fn query_parameter(member: &Member) -> Value {
    json!({ "name": member.name, "in": "query", "required": member.required, "description": member.about, "schema": member.kind.schema() })
}

fn reference(shape: &Shape) -> Value {
    by_name(shape.name)
}

fn by_name(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// May the caller choose among the members of the answer?
fn selects(operation: &Operation) -> bool {
    operation.query.iter().copied().flatten().any(|member| member.name == "fields")
}

fn part_of(shape: &Shape) -> String {
    format!("{}Part", shape.name)
}

/// What is answered where the caller chooses: any of the members.
fn selection(shape: &Shape) -> Value {
    let mut schema = shape.schema();
    if let Some(members) = schema.as_object_mut() {
        members.shift_remove("required");
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn operations_are_told_apart_and_their_examples_are_good() {
        let (mut ids, mut calls) = (HashSet::new(), HashSet::new());
        let known: HashSet<&str> = SCOPES.iter().chain(CURRENT_USER_SCOPES).map(|(name, _)| *name).collect();
        let mut shapes = Vec::new();
        for operation in operations() {
            assert!(ids.insert(operation.id), "{}", operation.id);
            assert!(calls.insert((operation.method.as_str(), operation.path)), "{}", operation.path);
            assert!(!operation.scopes.is_empty(), "{} is open to everybody", operation.id);
            for scope in operation.scopes {
                assert!(known.contains(scope), "{}: {scope}", operation.id);
            }
            if let Body::Json(shape) | Body::OptionalJson(shape) = operation.body {
                shape.all(&mut shapes);
            }
            if let Answer::One(shape) | Answer::List(shape) | Answer::Page(shape, _) = operation.answer.1 {
                shape.all(&mut shapes);
            }
        }
        assert!(ids.len() > 20, "the operations are not where they were expected");
        for shape in shapes {
            let Ok(example) = serde_json::from_str::<Value>(shape.example) else { continue };
            assert_eq!(shape.check(&example), [], "the example of {}", shape.name);
        }
    }

    #[test]
    fn a_shape_has_one_meaning() {
        let mut shapes: Vec<&'static Shape> = Vec::new();
        for operation in operations() {
            let mut found = Vec::new();
            if let Answer::One(shape) | Answer::List(shape) | Answer::Page(shape, _) = operation.answer.1 {
                shape.all(&mut found);
            }
            if let Body::Json(shape) | Body::OptionalJson(shape) | Body::Multipart(shape) = operation.body {
                shape.all(&mut found);
            }
            for shape in found {
                match shapes.iter().find(|known| known.name == shape.name) {
                    Some(known) => assert_eq!(known.schema(), shape.schema(), "two shapes are called {}", shape.name),
                    None => shapes.push(shape),
                }
            }
        }
    }

    #[test]
    fn the_document_names_every_operation_with_its_answers() {
        let document = describe("https://login.example.org");
        for operation in operations() {
            let method = operation.method.as_str().to_ascii_lowercase();
            let described = &document["paths"][operation.path][&method];
            assert_eq!(described["operationId"], operation.id);
            assert!(described["responses"][operation.answer.0.to_string()].is_object(), "{}", operation.id);
            assert!(described["responses"]["401"].is_object());
        }
        assert_eq!(document["components"]["schemas"]["Problem"]["type"], "object");
    }
}
