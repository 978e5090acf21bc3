//! Users.

use super::call::{Call, Reply, selected};
use super::problem::Refusal;
use super::shape::{Kind, Shape, may, must};
use super::{Answer, Body, FIELDS, Operation};
use crate::broker::admin::SealedValues;
use crate::profile::dialect::{Dialect, DialectOptions, render};
use crate::user::PersonView;
use actix_web::http::Method;
use serde_json::Value;

pub const USER: Shape = Shape {
    name: "User",
    members: &[
        must("user_id", Kind::Text(1, 2300), "Connection and subject, such as `samlp|acme|jane`"),
        may("email", Kind::Text(0, 320), ""),
        may("identities", Kind::List(&Kind::Object, 1000), "The first is the primary"),
    ],
    open: true,
    example: r#"{"user_id": "samlp|acme|jane", "email": "jane@acme.example", "name": "Jane Doe", "identities": [{"connection": "acme", "provider": "samlp", "user_id": "jane", "isSocial": false}]}"#,
};

pub const OPERATIONS: &[Operation] = &[Operation {
    method: Method::GET,
    path: "/users/{id}",
    id: "get_users_by_id",
    tag: "Users",
    summary: "Read a user",
    scopes: &["read:users", "read:current_user"],
    query: &[FIELDS],
    body: Body::Nothing,
    answer: (200, Answer::One(&USER)),
    refusals: &[404],
    work: |call| Box::pin(get(call)),
}];

async fn get(call: Call) -> Result<Reply, Refusal> {
    let record = call.gateway.admin.user_record(call.name("id"), SealedValues::Absent).await?;
    let view = PersonView::new(&record.user, record.profile.clone().unwrap_or_default(), None);
    let options = DialectOptions { include_all_identities: true, ..DialectOptions::new(call.now) };
    Ok(Reply::ok(selected(&call, Value::Object(render(Dialect::Auth0, &view.person(), &options)))))
}
