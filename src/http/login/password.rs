//! The page on which people type name and password, for connections that have no page of their own.

use super::account::{self, RESET, SIGN_UP};
use super::of_login;
use crate::broker::password::PasswordForm;
use crate::broker::{Browser, NamedBy, PasswordPage, PasswordProblem};
use crate::clock::Timestamp;
use crate::connection::password::{NAME, PASSWORD, Unproven};
use crate::http::headers::client_address;
use crate::http::look::{Look, Setting};
use crate::http::state::State;
use crate::http::words::Words;
use crate::http::{body, caller, cookies, pages, reply};
use crate::secret::Secret;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "password.html")]
pub(in crate::http) struct Page {
    w: Arc<Words>,
    look: Arc<Look>,
    title: String,
    how: String,
    /// Of the field for the name.
    label: String,
    /// Label and address.
    links: Vec<(String, String)>,
    problem: Option<String>,
    page: PasswordPage,
    /// Characters at most.
    longest_name: usize,
    longest_password: usize,
}

/// The page, or the page again. A wrong password is an answer like any other (200): browsers and password managers take
/// others for a failure of the site.
pub fn page(request: &HttpRequest, page: &PasswordPage) -> HttpResponse {
    let Setting { words, look } = Setting::of(request);
    let policy = pages::policy(&look, "", "");
    let mut response = pages::with_policy(&Page::new(words, look, page.clone()), &policy);
    let (status, wait) = match page.problem {
        Some(PasswordProblem::TooMany(seconds)) => (StatusCode::TOO_MANY_REQUESTS, Some(seconds.max(1))),
        Some(PasswordProblem::Unproven(Unproven::Busy)) => (StatusCode::SERVICE_UNAVAILABLE, Some(5)),
        Some(PasswordProblem::Unproven(Unproven::Unavailable)) => (StatusCode::SERVICE_UNAVAILABLE, Some(30)),
        _ => (StatusCode::OK, None),
    };
    *response.status_mut() = status;
    if let Some(seconds) = wait {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

impl Page {
    pub(in crate::http) fn new(w: Arc<Words>, look: Arc<Look>, page: PasswordPage) -> Self {
        let problem = page.problem.map(|problem| match problem {
            PasswordProblem::Unproven(why) => match why {
                Unproven::Wrong => w.password_wrong.to_string(),
                Unproven::Expired => w.password_expired.to_string(),
                Unproven::MustChange => w.password_must_change.to_string(),
                Unproven::Locked => w.password_locked.to_string(),
                Unproven::Disabled => w.password_disabled.to_string(),
                Unproven::Unverified => w.password_unverified.to_string(),
                Unproven::Busy => w.password_busy.to_string(),
                Unproven::Unavailable => w.password_unavailable.to_string(),
            },
            PasswordProblem::TooMany(seconds) => w.put(&w.password_too_many, "minutes", &seconds.div_ceil(60).max(1).to_string()),
        });
        Self {
            title: w.put(&w.choose_title, "application", &page.application),
            how: w.put(&w.password_how, "connection", &page.connection),
            label: match page.named_by {
                NamedBy::Username => w.password_name.to_string(),
                NamedBy::Email => w.password_name_email.to_string(),
                NamedBy::Either => w.password_name_either.to_string(),
            },
            links: [(page.reset, RESET, &w.password_forgot), (page.sign_up, SIGN_UP, &w.password_sign_up)]
                .into_iter()
                .filter(|(is_there, ..)| *is_there)
                .map(|(_, path, label)| (label.to_string(), format!("{path}?login={}", page.transaction_id)))
                .collect(),
            problem,
            page,
            longest_name: NAME,
            longest_password: PASSWORD,
            w,
            look,
        }
    }
}

/// The page, for whoever comes from the application or reloads it.
pub async fn show(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let query = request.query_string().to_owned();
    match of_login(query.as_bytes()) {
        Ok((_, transaction)) => answer(&request, &state, &transaction, None, None).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

/// Name and password.
pub async fn typed(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let form = body::form(&request, &mut payload, state.settings.body_limit).await;
    match form.and_then(|form| of_login(&form)) {
        Ok((params, transaction)) => {
            let password = Secret::new(params.text("password").unwrap_or_default());
            let name = params.text("username").unwrap_or_default();
            let csrf = params.text("csrf");
            let enrol = params.get("enrol").is_some();
            drop(params);
            answer(&request, &state, &transaction, csrf.as_deref(), Some((&name, &password, enrol))).await
        }
        Err(error) => pages::error(&request, &error, None),
    }
}

async fn answer(
    request: &HttpRequest,
    state: &State,
    transaction_id: &str,
    csrf: Option<&str>,
    typed: Option<(&str, &Secret<String>, bool)>,
) -> HttpResponse {
    let browser = Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) };
    let enrol = typed.is_some_and(|(.., enrol)| enrol);
    let typed = typed.map(|(name, password, _)| (name, password));
    let letters = account::letters(request);
    let form = PasswordForm { transaction_id, typed, csrf, enrol, address: client_address(request, state), letters: &letters };
    let outcome = Box::pin(state.gateway().password(form, &browser, Timestamp::now())).await;
    reply::outcome(request, state, outcome, None)
}
