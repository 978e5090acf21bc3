//! The page on which people prove a second factor, or set one up.

use super::of_login;
use crate::broker::Browser;
use crate::broker::factor::{FactorAsk, FactorForm, FactorPage, FactorProblem, Said};
use crate::clock::Timestamp;
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
use qrcode::{Color, EcLevel, QrCode};
use std::fmt::Write as _;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "factor.html")]
pub(in crate::http) struct Page {
    w: Arc<Words>,
    look: Arc<Look>,
    title: String,
    how: String,
    problem: Option<String>,
    label: String,
    page: FactorPage,
    enrol: Option<Enrol>,
    /// Empty where none are shown.
    codes: Vec<Secret<String>>,
}

/// What an app takes.
struct Enrol {
    /// In groups of four letters.
    key: String,
    /// Of the picture: absent for a text that no picture can hold.
    picture: Option<Picture>,
    /// The same for a browser on the phone itself.
    address: Secret<String>,
}

/// A QR code: its width in modules with the quiet zone, and the path of the dark ones.
struct Picture {
    width: usize,
    path: String,
}

/// The page, or the page again; statuses are those of the page for passwords.
pub fn page(request: &HttpRequest, page: &FactorPage) -> HttpResponse {
    let Setting { words, look } = Setting::of(request);
    let policy = pages::policy(&look, "", "");
    let mut response = pages::with_policy(&Page::new(words, look, page.clone()), &policy);
    if let Some(FactorProblem::TooMany(seconds)) = page.problem {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

impl Page {
    pub(in crate::http) fn new(w: Arc<Words>, look: Arc<Look>, page: FactorPage) -> Self {
        let problem = page.problem.map(|problem| match problem {
            FactorProblem::Wrong => w.factor_wrong.to_string(),
            FactorProblem::Used => w.factor_used.to_string(),
            FactorProblem::TooMany(seconds) => w.put(&w.factor_too_many, "minutes", &seconds.div_ceil(60).max(1).to_string()),
        });
        let (title, how, label) = match &page.ask {
            FactorAsk::Code => (&w.factor_title, &w.factor_how, &w.factor_code),
            FactorAsk::Enrol { .. } => (&w.factor_enrol_title, &w.factor_enrol_how, &w.factor_first),
            FactorAsk::Keep { .. } => (&w.factor_keep_title, &w.factor_keep_how, &w.factor_code),
        };
        let (title, how, label) = (title.to_string(), w.put(how, "connection", &page.connection), label.to_string());
        let (enrol, codes) = match &page.ask {
            FactorAsk::Enrol { secret, address } => {
                let enrol = Enrol { key: grouped(secret.expose()), picture: Picture::of(address.expose()), address: address.clone() };
                (Some(enrol), Vec::new())
            }
            FactorAsk::Keep { codes } => (None, codes.clone()),
            FactorAsk::Code => (None, Vec::new()),
        };
        Self { title, how, label, problem, enrol, codes, page, w, look }
    }
}

impl Picture {
    fn of(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        let side = code.width();
        let mut path = String::new();
        for (place, color) in code.to_colors().into_iter().enumerate() {
            if color == Color::Dark {
                let _ = write!(path, "M{} {}h1v1h-1z", place % side + QUIET, place / side + QUIET);
            }
        }
        Some(Self { width: side + 2 * QUIET, path })
    }
}

/// Modules around a QR code that nothing stands in (ISO/IEC 18004 6.3.8).
const QUIET: usize = 4;

fn grouped(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// The page, for whoever reloads it.
pub async fn show(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let query = request.query_string().to_owned();
    match of_login(query.as_bytes()) {
        Ok((_, transaction)) => answer(&request, &state, &transaction, None, None).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

/// A code, or the word that the recovery codes are kept.
pub async fn sent(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let form = body::form(&request, &mut payload, state.settings.body_limit).await;
    match form.and_then(|form| of_login(&form)) {
        Ok((params, transaction)) => {
            let code = params.text("code").map(Secret::new);
            let said = code.as_ref().map(Said::Code).or_else(|| params.get("kept").map(|_| Said::Kept));
            answer(&request, &state, &transaction, params.get("csrf"), said).await
        }
        Err(error) => pages::error(&request, &error, None),
    }
}

async fn answer(request: &HttpRequest, state: &State, transaction_id: &str, csrf: Option<&str>, said: Option<Said<'_>>) -> HttpResponse {
    let browser = Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) };
    let form = FactorForm { transaction_id, said, csrf };
    let outcome = Box::pin(state.gateway().second_factor(form, &browser, Timestamp::now())).await;
    reply::outcome(request, state, outcome, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_quiet_zone_and_its_three_corners() {
        let picture = Picture::of("otpauth://totp/Acme:jane?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").expect("a picture");
        assert!(picture.width > 21 + 2 * QUIET);
        let last = picture.width - QUIET - 1;
        for (x, y) in [(QUIET, QUIET), (last, QUIET), (QUIET, last)] {
            assert!(picture.path.contains(&format!("M{x} {y}h1v1h-1z")), "{x} {y}");
        }
        assert!(!picture.path.contains("M3 ") && !picture.path.contains(&format!("M{} ", last + 1)));
        assert!(Picture::of(&"x".repeat(5000)).is_none());
    }

    #[test]
    fn a_key_is_written_in_groups_of_four() {
        assert_eq!(grouped("GEZDGNBVGY"), "GEZD GNBV GY");
    }
}
