//! The assertion consumer service: `/connections/{name}/acs`, and `/login/callback?connection=`. A Response comes by POST, an
//! artifact by POST or in the query of a GET.

use crate::broker::Browser;
use crate::broker::upstream::{SamlAnswer, SamlPost};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::pages::BOUNCED;
use crate::http::reply::{self, Again};
use crate::http::state::State;
use crate::http::{body, caller, cookies, pages};
use crate::oidc::Params;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn by_path(request: HttpRequest, name: Path<String>, payload: Payload, state: Data<State>) -> HttpResponse {
    answer(&request, &state, &name, payload).await
}

/// HTTP-Artifact by redirect (SAML Bindings 3.6.3).
pub async fn artifact_by_path(request: HttpRequest, name: Path<String>, state: Data<State>) -> HttpResponse {
    match take_query(&request, &state, &name).await {
        Ok(response) => response,
        Err(error) => pages::error(&request, &error, None),
    }
}

pub async fn by_query(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    let query = Params::parse(request.query_string().as_bytes());
    match query.as_ref().map(|query| query.get("connection")) {
        Ok(Some(name)) => answer(&request, &state, name, payload).await,
        Ok(None) => pages::error(&request, &Error::new(ErrorKind::UnknownConnection, "The address names no connection."), None),
        Err(error) => pages::error(&request, &Error::new(error.kind, error.detail.clone()), None),
    }
}

async fn answer(request: &HttpRequest, state: &State, connection: &str, mut payload: Payload) -> HttpResponse {
    match take(request, state, connection, &mut payload).await {
        Ok(response) => response,
        Err(error) => pages::error(request, &error, None),
    }
}

async fn take(request: &HttpRequest, state: &State, connection: &str, payload: &mut Payload) -> Result<HttpResponse> {
    let form = body::form(request, payload, state.settings.saml_body_limit).await?;
    let form = saml_form(&form)?;
    consume(request, state, connection, &form).await
}

async fn take_query(request: &HttpRequest, state: &State, connection: &str) -> Result<HttpResponse> {
    let mut form = saml_form(request.query_string().as_bytes())?;
    if form.artifact.is_none() {
        // SAML Profiles 4.1.2: a Response never travels by redirect.
        return Err(Error::new(ErrorKind::InvalidRequest, "the parameter SAMLart is missing; a SAMLResponse is posted, never sent by GET"));
    }
    // With a GET browsers send the cookie, if they have it.
    form.bounced = true;
    consume(request, state, connection, &form).await
}

async fn consume(request: &HttpRequest, state: &State, connection: &str, form: &SamlForm) -> Result<HttpResponse> {
    let wrong = |why: &str| Error::new(ErrorKind::InvalidRequest, why);
    let (answer, field) = match (form.response.as_deref(), form.artifact.as_deref()) {
        (Some(response), None) => (SamlAnswer::Response(response), ("SAMLResponse", response)),
        (None, Some(artifact)) => (SamlAnswer::Artifact(artifact), ("SAMLart", artifact)),
        (None, None) => return Err(wrong("the parameter SAMLResponse is missing")),
        (Some(_), Some(_)) => return Err(wrong("SAMLResponse and SAMLart exclude each other")),
    };
    let post = SamlPost { connection, answer, relay_state: form.relay_state.as_deref(), bounced: form.bounced };
    let browser = Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) };
    let outcome = Box::pin(state.gateway().assertion_consumer(post, &browser, Timestamp::now())).await;
    let mut fields = vec![field, (BOUNCED, "1")];
    fields.extend(form.relay_state.as_deref().map(|value| ("RelayState", value)));
    Ok(reply::outcome(request, state, outcome, Some(Again { see: None, fields })))
}

struct SamlForm {
    response: Option<String>,
    artifact: Option<String>,
    relay_state: Option<String>,
    bounced: bool,
}

/// The form's fields; a repeated one is refused, others are ignored. Base64 may be broken into lines.
fn saml_form(raw: &[u8]) -> Result<SamlForm> {
    let mut form = SamlForm { response: None, artifact: None, relay_state: None, bounced: false };
    for pair in raw.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).take(20) {
        if let Some(value) = pair.strip_prefix(b"SAMLResponse=").and_then(long_value) {
            if form.response.replace(value).is_some() {
                return Err(Error::new(ErrorKind::InvalidRequest, "the parameter SAMLResponse is repeated"));
            }
            continue;
        }
        let Some((name, value)) = url::form_urlencoded::parse(pair).next() else { continue };
        let slot = match name.as_ref() {
            "SAMLResponse" => &mut form.response,
            "SAMLart" => &mut form.artifact,
            "RelayState" => &mut form.relay_state,
            BOUNCED => {
                form.bounced = true;
                continue;
            }
            _ => continue,
        };
        if slot.replace(value.into_owned()).is_some() {
            return Err(Error::new(ErrorKind::InvalidRequest, format!("the parameter {name} is repeated")));
        }
    }
    Ok(form)
}

/// Decodes in one pass what `form_urlencoded` copies several times. `None` for what is not encoded as it should be.
fn long_value(encoded: &[u8]) -> Option<String> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut text = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'%' | b'+')) {
        let (plain, from) = rest.split_at(at);
        text.extend_from_slice(plain);
        let (byte, after) = match from {
            [b'%', high, low, after @ ..] => (u8::try_from(digit(high)? * 16 + digit(low)?).ok()?, after),
            [b'+', after @ ..] => (b' ', after),
            _ => return None,
        };
        text.push(byte);
        rest = after;
    }
    text.extend_from_slice(rest);
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(form: &str) -> Option<String> {
        saml_form(form.as_bytes()).expect("a form").response
    }

    #[test]
    fn the_response_is_decoded_as_any_form_value() {
        for value in ["", "a", "YQ%3D%3D", "a%2Bb+c%0d%0A%2f", "%C3%A4", "a=b", "%", "%4", "%zz", "a%+1", "%ff", "+%+%41"] {
            let form = format!("x=1&&SAMLResponse={value}&RelayState=r");
            let plain = url::form_urlencoded::parse(form.as_bytes()).find(|(name, _)| name == "SAMLResponse");
            assert_eq!(response(&form), plain.map(|(_, value)| value.into_owned()), "{value}");
        }
        assert_eq!(response("SAMLResponse"), Some(String::new()));
        assert_eq!(response("%53AMLResponse=a%20b").as_deref(), Some("a b"));
    }

    #[test]
    fn a_second_response_is_refused_however_it_is_written() {
        for form in [
            "SAMLResponse=a&SAMLResponse=b",
            "SAMLResponse=a&%53AMLResponse=b",
            "SAMLResponse=%&SAMLResponse=b",
            "SAMLResponse&SAMLResponse=b",
        ] {
            assert!(saml_form(form.as_bytes()).is_err(), "{form}");
        }
    }
}
