//! Second factors of users: what they have, and its removal. Their secrets leave by no operation.

use super::read::existing;
use super::{note, refusal};
use crate::broker::admin::{FactorMethod, WhichFactors};
use crate::error::{Error, ErrorKind};
use crate::http::management::call::{Call, Reply, cut, paged};
use crate::http::management::problem::Refusal;
use crate::store::LogType;
use crate::user::factors::FactorKind;
use serde_json::{Value, json};

/// What Auth0 calls every app for codes by the clock.
pub const AUTHENTICATOR: &str = "google-authenticator";

pub async fn list(call: Call) -> Result<Reply, Refusal> {
    let methods = methods(&call).await?;
    let shown = |method: FactorMethod| json!({ "id": method.id, "type": method.kind.name(), "created_at": method.created_at.to_string() });
    let (page, total) = cut(&call, methods.into_iter().map(shown));
    Ok(Reply::ok(paged(&call, "authenticators", page, total)))
}

pub async fn enrollments(call: Call) -> Result<Reply, Refusal> {
    let apps = methods(&call).await?.into_iter().filter(|method| method.kind == FactorKind::Totp);
    let shown = apps.map(
        |method| json!({ "id": method.id, "status": "confirmed", "type": "authenticator", "enrolled_at": method.created_at.to_string() }),
    );
    Ok(Reply::ok(shown.collect::<Vec<Value>>().into()))
}

pub async fn remove(call: Call) -> Result<Reply, Refusal> {
    let id = call.name("authentication_method_id").to_owned();
    removed(&call, WhichFactors::One(&id)).await
}

pub async fn remove_all(call: Call) -> Result<Reply, Refusal> {
    removed(&call, WhichFactors::All).await
}

pub async fn remove_provider(call: Call) -> Result<Reply, Refusal> {
    if call.name("provider") != AUTHENTICATOR {
        let message = format!("There is no such provider of second factors here; the one there is, is {AUTHENTICATOR}.");
        return Err(refusal(Error::new(ErrorKind::NotFound, message)));
    }
    removed(&call, WhichFactors::All).await
}

async fn methods(call: &Call) -> Result<Vec<FactorMethod>, Refusal> {
    let user = existing(call, call.name("id")).await?;
    Ok(call.gateway.admin.factors(&user).await?)
}

async fn removed(call: &Call, which: WhichFactors<'_>) -> Result<Reply, Refusal> {
    let user = existing(call, call.name("id")).await?;
    let missing = |error: Error| match error.kind {
        ErrorKind::NotFound => Refusal::from(error).with_code("inexistent_authentication_method"),
        _ => refusal(error),
    };
    let removed = call.gateway.admin.remove_factors(&user.user_id, which, call.by(), call.now).await.map_err(missing)?;
    for method in removed {
        note(
            call,
            LogType::SecondFactorRemoved,
            &user.user_id,
            Some(json!({ "connection": method.connection, "type": method.kind.name() })),
        );
    }
    Ok(Reply::Empty(204))
}
