//! A page that lists all operations and sends calls, for trying them.

use super::{Body, operations};
use crate::http::pages;
use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use askama::Template;

/// The page's script: its own file, so that no inline script is needed.
const SCRIPT: &str = include_str!("../../../templates/api.js");

const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "api.html")]
struct ExplorerPage {
    groups: Vec<Group>,
}

struct Group {
    tag: &'static str,
    calls: Vec<Described>,
}

struct Described {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    scopes: &'static [&'static str],
    fields: Vec<Field>,
    /// An example, where it takes a JSON body.
    body: Option<&'static str>,
}

struct Field {
    name: &'static str,
    place: &'static str,
    required: bool,
    about: &'static str,
}

/// `/api/v2/`.
pub async fn page() -> HttpResponse {
    pages::with_policy(&ExplorerPage::new(), CONTENT_POLICY)
}

/// `/assets/api.js`.
pub async fn script() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").insert_header((CACHE_CONTROL, "public, max-age=3600")).body(SCRIPT)
}

impl ExplorerPage {
    fn new() -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for operation in operations() {
            let in_path = operation.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
            let mut fields: Vec<Field> = in_path.map(|name| Field { name, place: "path", required: true, about: "" }).collect();
            let query = operation.query.iter().copied().flatten();
            fields.extend(query.map(|member| Field { name: member.name, place: "query", required: member.required, about: member.about }));
            let body = match operation.body {
                Body::Json(shape) | Body::OptionalJson(shape) => Some(shape.example),
                // A file is sent by a program.
                Body::Nothing | Body::Multipart(_) => None,
            };
            let call = Described {
                id: operation.id,
                method: operation.method.as_str(),
                path: operation.path,
                summary: operation.summary,
                scopes: operation.scopes,
                fields,
                body,
            };
            match groups.iter_mut().find(|group| group.tag == operation.tag) {
                Some(group) => group.calls.push(call),
                None => groups.push(Group { tag: operation.tag, calls: vec![call] }),
            }
        }
        Self { groups }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_on_the_page_once() {
        let page = ExplorerPage::new().render().expect("renders");
        for operation in operations() {
            let summary = format!("<strong>{}</strong> <code>{}</code>", operation.method, operation.path);
            assert_eq!(page.matches(&summary).count(), 1, "{summary}");
        }
        assert!(!page.contains("<script>"), "no inline script");
    }
}
