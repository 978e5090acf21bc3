//! Software statements (RFC 7591 2.3): what somebody whom the operator trusts says of a client counts more than what the
//! client says.

use super::{Body, StatementIssuer};
use crate::broker::Gateway;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::oidc::registration::{SOFTWARE_STATEMENT, with_statement};
use crate::oidc::{ClientFacts, ClientSigningAlg, jose};
use serde_json::Value;

/// Seconds by which clocks may differ.
const LEEWAY: i64 = 60;

/// What the client says, with the claims of its statement laid over it. Where nobody's statements count, they are ignored,
/// as the standard has it for those who do not know them.
///
/// # Errors
/// [`ErrorKind::UnapprovedSoftwareStatement`] and [`ErrorKind::InvalidSoftwareStatement`].
pub async fn applied(gateway: &Gateway, said: &Body, now: Timestamp) -> Result<Body> {
    let policy = &gateway.registration.policy;
    let statement = said.get(SOFTWARE_STATEMENT).filter(|value| !value.is_null() && !policy.statements.is_empty());
    let Some(statement) = statement else {
        if policy.statement_required {
            return Err(Error::new(ErrorKind::UnapprovedSoftwareStatement, "software_statement: is missing, and needed here"));
        }
        let mut said = said.clone();
        said.remove(SOFTWARE_STATEMENT);
        return Ok(said);
    };
    let token = statement.as_str().ok_or_else(|| invalid("is no text"))?;
    let unproven = jose::Received::parse(token).map_err(|error| invalid("is no signed JWT").because(error))?;
    let named = unproven.claims.get("iss").and_then(Value::as_str).ok_or_else(|| invalid("does not say who has made it (iss)"))?;
    let known = policy.statements.iter().find(|known| known.issuer == named);
    let known = known.ok_or_else(|| {
        Error::new(ErrorKind::UnapprovedSoftwareStatement, "software_statement: is by somebody whose statements do not count here")
    })?;
    let claims = verified(gateway, known, token, now).await?;
    Ok(with_statement(said, &claims))
}

async fn verified(gateway: &Gateway, by: &StatementIssuer, token: &str, now: Timestamp) -> Result<Body> {
    // RFC 7591 2.3: signed or with a MAC; a MAC proves nothing between three.
    let allowed: Vec<ClientSigningAlg> = ClientSigningAlg::ALL.iter().copied().filter(|alg| alg.is_asymmetric()).collect();
    let signer = ClientFacts { keys: by.keys.clone(), ..ClientFacts::public(by.issuer.as_str()) };
    let verified = gateway.verify_client_jwt(&signer, token, &allowed, now).await;
    let claims = verified.map_err(|error| invalid("is not signed as it should be").because(error))?.claims;
    for (name, good) in [
        ("exp", &|at: i64| now.seconds() < at + LEEWAY),
        ("nbf", &|at: i64| at - LEEWAY <= now.seconds()),
        ("iat", &|at: i64| at - LEEWAY <= now.seconds()),
    ] as [(&str, &dyn Fn(i64) -> bool); 3]
    {
        if let Some(value) = claims.get(name)
            && !value.as_f64().is_some_and(|at| good(whole(at)))
        {
            return Err(invalid(&format!("is not valid now ({name})")));
        }
    }
    Ok(claims)
}

/// RFC 7519 2: a NumericDate may have a fraction.
#[expect(clippy::cast_possible_truncation, reason = "what is out of range ends at its limits")]
fn whole(seconds: f64) -> i64 {
    (seconds.floor() as i64).clamp(0, i64::from(u32::MAX) * 4)
}

fn invalid(why: &str) -> Error {
    Error::new(ErrorKind::InvalidSoftwareStatement, format!("{SOFTWARE_STATEMENT}: {why}"))
}
