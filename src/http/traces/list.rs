//! The recent logins, as a page for operators and as JSON for programs.

use super::wants_json;
use crate::broker::traces::{RECENT, RecentLogin, SINGLE_SIGN_ON, SUCCESS};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::pages;
use crate::http::state::State;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;

/// Logins on a page that asks for no number.
const USUAL: usize = 100;

/// Names of connections that are offered while one is typed.
const OFFERED: usize = 100;

/// Outcome in a query: every refusal, whatever its code.
const REFUSED: &str = "refused";

#[derive(Template)]
#[template(path = "traces.html")]
pub struct RecentPage {
    connection: String,
    connections: Vec<String>,
    outcomes: Vec<Choice>,
    limit: usize,
    logins: Vec<LoginRow>,
    filtered: bool,
}

struct Choice {
    value: String,
    words: String,
    chosen: bool,
}

struct LoginRow {
    correlation_id: String,
    at: String,
    connection: String,
    application: String,
    user_id: String,
    outcome: String,
    class: &'static str,
}

/// What a query may ask for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    connection: String,
    #[serde(default)]
    outcome: String,
    limit: Option<usize>,
}

impl Asked {
    fn parse(query: &str) -> Result<Self> {
        let help = format!("the query takes connection, outcome, and limit from 1 to {RECENT}");
        match Query::<Self>::from_query(query) {
            Ok(Query(asked)) if asked.limit.is_none_or(|limit| (1..=RECENT).contains(&limit)) => Ok(asked),
            _ => Err(Error::new(ErrorKind::InvalidRequest, help)),
        }
    }

    fn connection(&self) -> Option<&str> {
        Some(self.connection.trim()).filter(|name| !name.is_empty())
    }

    fn wants(&self, login: &RecentLogin) -> bool {
        match self.outcome.as_str() {
            "" => true,
            REFUSED => is_refusal(&login.outcome),
            outcome => login.outcome == outcome,
        }
    }
}

/// `/traces` on the operations listener.
pub async fn list(request: HttpRequest, state: Data<State>) -> HttpResponse {
    match logins(&request, &state).await {
        Ok((_, logins)) if wants_json(&request) => {
            HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(json!({ "logins": logins }).to_string())
        }
        Ok((asked, logins)) => {
            let gateway = state.gateway();
            let names: BTreeSet<&str> = gateway.connections.names().collect();
            pages::recent(&request, &RecentPage::new(&asked, names.into_iter().take(OFFERED), logins))
        }
        Err(error) => pages::error(&request, &error, None),
    }
}

async fn logins(request: &HttpRequest, state: &State) -> Result<(Asked, Vec<RecentLogin>)> {
    let asked = Asked::parse(request.query_string())?;
    // What is filtered by outcome must be looked for among all.
    let limit = asked.limit.unwrap_or(USUAL);
    let read = if asked.outcome.is_empty() { limit } else { RECENT };
    let mut logins = state.gateway().recent(asked.connection(), read, Timestamp::now()).await?;
    logins.retain(|login| asked.wants(login));
    logins.truncate(limit);
    Ok((asked, logins))
}

impl RecentPage {
    fn new<'n>(asked: &Asked, connections: impl Iterator<Item = &'n str>, logins: Vec<RecentLogin>) -> Self {
        let codes: BTreeSet<&str> = logins.iter().map(|login| login.outcome.as_str()).filter(|outcome| is_refusal(outcome)).collect();
        let asked_code = Some(asked.outcome.as_str()).filter(|code| is_refusal(code) && !["", REFUSED].contains(code));
        let values = ["", SUCCESS, SINGLE_SIGN_ON, REFUSED].into_iter().chain(codes.into_iter().chain(asked_code).collect::<BTreeSet<_>>());
        let choice = |value: &str| Choice { value: value.to_owned(), words: words(value), chosen: value == asked.outcome };
        Self {
            connection: asked.connection.clone(),
            connections: connections.map(str::to_owned).collect(),
            outcomes: values.map(choice).collect(),
            limit: asked.limit.unwrap_or(USUAL),
            filtered: asked.connection().is_some() || !asked.outcome.is_empty(),
            logins: logins.into_iter().map(LoginRow::new).collect(),
        }
    }

    /// Every field filled with one text.
    #[cfg(test)]
    pub fn sample(text: &str) -> Self {
        let login = RecentLogin {
            correlation_id: text.to_owned(),
            at: Timestamp::from_seconds(0),
            connection: text.to_owned(),
            application: text.to_owned(),
            user_id: Some(text.to_owned()),
            outcome: text.to_owned(),
        };
        let asked = Asked { connection: text.to_owned(), outcome: text.to_owned(), limit: None };
        Self::new(&asked, std::iter::once(text), vec![login])
    }
}

impl LoginRow {
    fn new(login: RecentLogin) -> Self {
        Self {
            at: login.at.to_string(),
            class: match login.outcome.as_str() {
                SUCCESS => "good",
                SINGLE_SIGN_ON => "soft",
                _ => "bad",
            },
            outcome: words(&login.outcome),
            correlation_id: login.correlation_id,
            connection: login.connection,
            application: login.application,
            user_id: login.user_id.unwrap_or_default(),
        }
    }
}

fn is_refusal(outcome: &str) -> bool {
    ![SUCCESS, SINGLE_SIGN_ON].contains(&outcome)
}

/// An outcome for people: a diagnostic code with what it means.
fn words(outcome: &str) -> String {
    match outcome {
        "" => "any".to_owned(),
        SINGLE_SIGN_ON => "single sign-on".to_owned(),
        SUCCESS | REFUSED => outcome.to_owned(),
        code => {
            let known = ErrorKind::ALL.iter().map(|kind| kind.wire()).find(|wire| wire.code == code);
            known.map_or_else(|| code.to_owned(), |wire| format!("{code} {}", wire.title))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_understood_or_refused() {
        let asked = Asked::parse("connection=+acme+&outcome=refused&limit=7").unwrap_or_else(|_| panic!("understood"));
        assert_eq!((asked.connection(), asked.outcome.as_str(), asked.limit), (Some("acme"), "refused", Some(7)));
        assert!(Asked::parse("").is_ok_and(|asked| asked.connection().is_none() && asked.limit.is_none()));
        for query in ["limit=0", "limit=501", "limit=x", "limit=-1", "colour=blue", "limit=1&limit=2"] {
            assert!(Asked::parse(query).is_err_and(|error| error.kind == ErrorKind::InvalidRequest), "{query}");
        }
    }

    #[test]
    fn refusals_are_found_together_and_by_their_code() {
        let login = |outcome: &str| RecentLogin { outcome: outcome.to_owned(), ..sample() };
        let wanted = |asked: &str| {
            let asked = Asked { outcome: asked.to_owned(), ..Asked::default() };
            [SUCCESS, SINGLE_SIGN_ON, "ISTH-3001", "ISTH-3005"].map(|outcome| asked.wants(&login(outcome)))
        };
        assert_eq!(wanted(""), [true; 4]);
        assert_eq!(wanted(SUCCESS), [true, false, false, false]);
        assert_eq!(wanted(SINGLE_SIGN_ON), [false, true, false, false]);
        assert_eq!(wanted(REFUSED), [false, false, true, true]);
        assert_eq!(wanted("ISTH-3005"), [false, false, false, true]);
    }

    #[test]
    fn the_page_says_codes_in_words_and_keeps_what_was_asked() {
        let asked = Asked { outcome: "ISTH-3001".to_owned(), connection: "acme".to_owned(), limit: Some(5) };
        let page = RecentPage::new(&asked, ["acme"].into_iter(), vec![RecentLogin { outcome: "ISTH-3001".to_owned(), ..sample() }]);
        let html = page.render().expect("renders");
        let meaning = ErrorKind::IdpResponseInvalid.wire().title.replace('\'', "&#39;");
        assert!(html.contains(&format!("ISTH-3001 {meaning}")), "{html}");
        assert!(html.contains(r#"<option value="ISTH-3001" selected>"#) && html.contains(r#"href="/traces/abcdefghjkmnpqrs""#), "{html}");
        assert_eq!(html.matches("ISTH-3001\"").count(), 1, "one choice for a code that was asked for and found: {html}");
    }

    fn sample() -> RecentLogin {
        RecentLogin {
            correlation_id: "abcdefghjkmnpqrs".to_owned(),
            at: Timestamp::from_seconds(1),
            connection: "acme".to_owned(),
            application: "notes".to_owned(),
            user_id: None,
            outcome: SUCCESS.to_owned(),
        }
    }
}
