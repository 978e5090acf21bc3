//! Pages about accounts of databases: making one, asking for a link, and the pages behind the links that are mailed.

use super::of_login;
use crate::broker::accounts::{AccountPage, Accounted, Asking, Followed, Letters, Purpose, Saying, SignUp, SignUpProblem, Visit};
use crate::broker::{Browser, PasswordProblem};
use crate::clock::Timestamp;
use crate::connection::database::Weakness;
use crate::connection::password::{NAME, PAGE, PASSWORD, Unproven};
use crate::error::{Error, ErrorKind, Result};
use crate::http::headers::client_address;
use crate::http::look::{Look, Setting};
use crate::http::state::State;
use crate::http::words::{self, Words};
use crate::http::{body, caller, cookies, pages, reply};
use crate::oidc::Params;
use crate::secret::Secret;
use actix_web::http::Method;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::Map;
use std::sync::Arc;

/// Paths of the pages of a login.
pub const SIGN_UP: &str = "/login/sign-up";
pub const RESET: &str = "/login/reset";

#[derive(Template)]
#[template(path = "account.html")]
pub(in crate::http) struct Page {
    w: Arc<Words>,
    look: Arc<Look>,
    title: String,
    text: String,
    problem: Option<String>,
    form: Option<Form>,
    /// Buttons for those who say something else.
    others: Vec<Form>,
    /// Label and address.
    link: Option<(String, String)>,
    status: StatusCode,
    /// Seconds after which another try may succeed.
    wait: Option<u32>,
}

/// Seconds after which somebody tries again who came when too many did.
const BUSY: u32 = 5;

struct Form {
    action: &'static str,
    hidden: Vec<(&'static str, String)>,
    /// For password managers, which look for whose password it is.
    whose: Option<String>,
    fields: Vec<Field>,
    button: String,
}

struct Field {
    name: &'static str,
    label: String,
    /// Of the input.
    kind: &'static str,
    value: String,
    autocomplete: &'static str,
    /// Characters at most.
    longest: usize,
    hint: Option<String>,
    focus: bool,
}

/// What is asked behind a link that proves an address.
#[derive(Clone, Copy)]
pub(in crate::http) struct Proof<'a> {
    pub email: &'a str,
    /// Display name.
    pub connection: &'a str,
    pub asks_password: bool,
    /// Another one can be had.
    pub resets: bool,
    pub problem: Option<PasswordProblem>,
}

/// What mails say in the language of a request.
pub fn letters(request: &HttpRequest) -> Letters {
    letters_in(&Setting::of(request).words)
}

/// What mails say in a language.
pub fn letters_in(w: &Words) -> Letters {
    let of = |subject: &str, text: &str| (subject.to_owned(), text.to_owned());
    Letters {
        verify: of(&w.mail_verify_subject, &w.mail_verify),
        exists: of(&w.mail_exists_subject, &w.mail_exists),
        reset: of(&w.mail_reset_subject, &w.mail_reset),
        changed: of(&w.mail_changed_subject, &w.mail_changed),
    }
}

/// The page for making an account: looked at by GET, sent by POST.
pub async fn sign_up(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let (params, transaction) = match read(&request, &mut payload, &state).await.and_then(|raw| of_login(&raw)) {
        Ok(read) => read,
        Err(error) => return pages::error(&request, &error, None),
    };
    // A link that somebody follows makes nothing.
    let typed = (request.method() == Method::POST).then(|| SignUp {
        email: params.text("email").unwrap_or_default(),
        username: params.text("username"),
        password: Secret::new(params.text("password").unwrap_or_default()),
        profile: Map::new(),
        user_metadata: Map::new(),
    });
    let letters = letters(&request);
    let asking = Asking { application: None, address: client_address(&request, &state), letters: &letters, now: Timestamp::now() };
    let browser = Browser { caller: caller::read(&request, &state), ..cookies::read(&request, state.settings.secure) };
    let done = Box::pin(state.gateway().sign_up(&transaction, typed.as_ref(), params.get("csrf"), &browser, asking)).await;
    accounted(&request, &state, done)
}

/// The page for asking for another password.
pub async fn reset(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let (params, transaction) = match read(&request, &mut payload, &state).await.and_then(|raw| of_login(&raw)) {
        Ok(read) => read,
        Err(error) => return pages::error(&request, &error, None),
    };
    let typed = params.get("email").filter(|_| request.method() == Method::POST);
    let letters = letters(&request);
    let asking = Asking { application: None, address: client_address(&request, &state), letters: &letters, now: Timestamp::now() };
    let browser = Browser { caller: caller::read(&request, &state), ..cookies::read(&request, state.settings.secure) };
    let done = Box::pin(state.gateway().ask_reset(&transaction, typed, params.get("csrf"), &browser, asking)).await;
    accounted(&request, &state, done)
}

/// The page behind a link that proves an address. What looks through mails follows links, and presses no buttons.
pub async fn verify(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let (token, params) = match ticket(&request, &mut payload, &state).await {
        Ok(read) => read,
        Err(error) => return pages::error(&request, &error, None),
    };
    let password = params.text("password").map(Secret::new);
    let said = (request.method() == Method::POST).then(|| match (params.get("not_mine"), params.get("forgotten")) {
        (Some(_), _) => Saying::NotMine,
        (None, Some(_)) => Saying::Forgotten,
        (None, None) => Saying::Mine(password.as_ref()),
    });
    let letters = letters(&request);
    let browser = cookies::read(&request, state.settings.secure);
    let visit = Visit { browser: &browser, address: client_address(&request, &state), letters: &letters, now: Timestamp::now() };
    let followed = Box::pin(state.gateway().follow_verification(&token, said, visit)).await;
    behind_link(&request, Purpose::Verify, &token, followed)
}

/// The page behind a link for another password.
pub async fn new_password(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let (token, params) = match ticket(&request, &mut payload, &state).await {
        Ok(read) => read,
        Err(error) => return pages::error(&request, &error, None),
    };
    let typed = (request.method() == Method::POST).then(|| Secret::new(params.text("password").unwrap_or_default()));
    let letters = letters(&request);
    let followed = Box::pin(state.gateway().follow_reset(&token, typed.as_ref(), &letters, Timestamp::now())).await;
    behind_link(&request, Purpose::Password, &token, followed)
}

async fn ticket(request: &HttpRequest, payload: &mut Payload, state: &State) -> Result<(String, Params)> {
    let params = Params::parse(&read(request, payload, state).await?)?;
    let token = params.text("ticket").unwrap_or_default();
    Ok((token, params))
}

/// The query, or of a POST the form.
async fn read(request: &HttpRequest, payload: &mut Payload, state: &State) -> Result<Vec<u8>> {
    match *request.method() {
        Method::POST => body::form(request, payload, state.settings.body_limit).await.map(|form| form.to_vec()),
        _ => Ok(request.query_string().as_bytes().to_vec()),
    }
}

fn accounted(request: &HttpRequest, state: &State, done: Accounted) -> HttpResponse {
    let Setting { words, look } = Setting::of(request);
    let page = match done {
        Accounted::Refused(outcome) => return reply::outcome(request, state, outcome, None),
        Accounted::TooMany(wait) => {
            let told = Error::new(ErrorKind::TooManyRequests, "Too many messages were asked for.").again_in(wait);
            return pages::error(request, &told, None);
        }
        Accounted::SignUp(page) => Page::sign_up(words, look, &page),
        Accounted::Reset(page) => Page::reset(words, look, &page),
        Accounted::Sent { transaction_id, purpose } => Page::sent(words, look, Some(&transaction_id), purpose),
    };
    page.answer()
}

fn behind_link(request: &HttpRequest, purpose: Purpose, token: &str, followed: Result<Followed>) -> HttpResponse {
    let Setting { words, look } = Setting::of(request);
    let page = match followed {
        Err(error) => return pages::error(request, &error, None),
        Ok(Followed::Done { result_url: Some(url) }) => return reply::see_other(&url),
        Ok(Followed::Done { result_url: None }) => Page::done(words, look, purpose),
        Ok(Followed::Dead) => Page::dead(words, look),
        Ok(Followed::Sent) => Page::sent(words, look, None, Purpose::Password),
        Ok(Followed::Disowned) => {
            let (title, text) = (words.verify_disowned_title.to_string(), words.verify_disowned.to_string());
            Page::bare(words, look, title, text)
        }
        Ok(Followed::Ask { email, connection, asks_password, resets, problem }) => {
            Page::verify(words, look, token, Proof { email: &email, connection: &connection, asks_password, resets, problem })
        }
        Ok(Followed::AskPassword { email, shortest, problem }) => Page::new_password(words, look, token, (&email, shortest, problem)),
    };
    page.answer()
}

impl Page {
    fn bare(w: Arc<Words>, look: Arc<Look>, title: String, text: String) -> Self {
        Self { title, text, problem: None, form: None, others: Vec::new(), link: None, status: StatusCode::OK, wait: None, w, look }
    }

    pub(in crate::http) fn sign_up(w: Arc<Words>, look: Arc<Look>, page: &AccountPage) -> Self {
        let mut fields = vec![Field {
            value: page.email.clone(),
            longest: 254,
            focus: page.email.is_empty(),
            ..Field::named("email", &w.account_email, "email", "email")
        }];
        if page.usernames {
            let field = Field::named("username", &w.password_name, "text", "username");
            fields.push(Field { value: page.username.clone(), longest: 128, ..field });
        }
        fields.push(Field { focus: !page.email.is_empty(), ..Field::password(&w, "password", &w.password_password, page.shortest) });
        let is_busy = page.problem == Some(SignUpProblem::Busy);
        Self {
            status: if is_busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK },
            wait: is_busy.then_some(BUSY),
            problem: page.problem.as_ref().map(|problem| wrong(&w, problem)),
            form: Some(Form { action: SIGN_UP, hidden: of_page(page), whose: None, fields, button: w.sign_up_button.to_string() }),
            link: Some(back(&w, &page.transaction_id)),
            ..Self::bare(Arc::clone(&w), look, w.sign_up_title.to_string(), w.put(&w.sign_up_how, "connection", &page.connection))
        }
    }

    pub(in crate::http) fn reset(w: Arc<Words>, look: Arc<Look>, page: &AccountPage) -> Self {
        let field = Field::named("email", &w.account_email, "email", "username");
        let field = Field { value: page.email.clone(), longest: 254, focus: true, ..field };
        Self {
            form: Some(Form { action: RESET, hidden: of_page(page), whose: None, fields: vec![field], button: w.reset_button.to_string() }),
            link: Some(back(&w, &page.transaction_id)),
            ..Self::bare(Arc::clone(&w), look, w.reset_title.to_string(), w.reset_how.to_string())
        }
    }

    fn sent(w: Arc<Words>, look: Arc<Look>, transaction_id: Option<&str>, purpose: Purpose) -> Self {
        let hours = (purpose.life() / 3600).to_string();
        Self {
            link: transaction_id.map(|transaction_id| back(&w, transaction_id)),
            ..Self::bare(Arc::clone(&w), look, w.letter_title.to_string(), w.put(&w.letter_text, "hours", &hours))
        }
    }

    pub(in crate::http) fn verify(w: Arc<Words>, look: Arc<Look>, token: &str, proof: Proof<'_>) -> Self {
        let form = |hidden, fields, button: &str| Form {
            action: Purpose::Verify.page(),
            hidden,
            whose: proof.asks_password.then(|| proof.email.to_owned()),
            fields,
            button: button.to_owned(),
        };
        let mut text = words::fill(&w.verify_how, &[("address", proof.email), ("connection", proof.connection)]);
        let mut fields = Vec::new();
        if proof.asks_password {
            text = format!("{text} {}", w.verify_password);
            let field = Field::named("password", &w.password_password, "password", "current-password");
            fields.push(Field { longest: PASSWORD, focus: true, ..field });
        }
        let others = [(proof.resets, "forgotten", &w.password_forgot), (true, "not_mine", &w.verify_not_mine)]
            .into_iter()
            .filter(|(is_there, ..)| *is_there)
            .map(|(_, name, label)| {
                let hidden = vec![("ticket", token.to_owned()), (name, "1".to_owned())];
                Form { whose: None, ..form(hidden, Vec::new(), label) }
            })
            .collect();
        let (status, wait) = proof.problem.map_or((StatusCode::OK, None), status_of);
        Self {
            status,
            wait,
            problem: proof.problem.map(|problem| told(&w, problem)),
            form: Some(form(vec![("ticket", token.to_owned())], fields, &w.verify_button)),
            others,
            ..Self::bare(Arc::clone(&w), look, w.verify_title.to_string(), text)
        }
    }

    pub(in crate::http) fn new_password(
        w: Arc<Words>,
        look: Arc<Look>,
        token: &str,
        (email, shortest, problem): (&str, usize, Option<Weakness>),
    ) -> Self {
        let field = Field { focus: true, ..Field::password(&w, "password", &w.new_password_label, shortest) };
        Self {
            problem: problem.map(|weakness| weak(&w, weakness)),
            form: Some(Form {
                action: Purpose::Password.page(),
                hidden: vec![("ticket", token.to_owned())],
                whose: Some(email.to_owned()),
                fields: vec![field],
                button: w.new_password_button.to_string(),
            }),
            ..Self::bare(Arc::clone(&w), look, w.new_password_title.to_string(), w.put(&w.new_password_for, "address", email))
        }
    }

    fn done(w: Arc<Words>, look: Arc<Look>, purpose: Purpose) -> Self {
        let (title, text) = match purpose {
            Purpose::Verify => (&w.verify_done_title, &w.verify_done),
            Purpose::Password => (&w.new_password_done_title, &w.new_password_done),
        };
        Self::bare(Arc::clone(&w), look, title.to_string(), text.to_string())
    }

    fn dead(w: Arc<Words>, look: Arc<Look>) -> Self {
        let (title, text) = (w.link_dead_title.to_string(), w.link_dead.to_string());
        Self { status: StatusCode::GONE, ..Self::bare(w, look, title, text) }
    }

    fn answer(&self) -> HttpResponse {
        // The answer may lead on to where a program wants the person.
        let policy = pages::policy(&self.look, "", "");
        let mut response = pages::with_policy(self, &policy);
        *response.status_mut() = self.status;
        if let Some(seconds) = self.wait {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl Field {
    fn named(name: &'static str, label: &str, kind: &'static str, autocomplete: &'static str) -> Self {
        Self { name, label: label.to_owned(), kind, value: String::new(), autocomplete, longest: NAME, hint: None, focus: false }
    }

    fn password(w: &Words, name: &'static str, label: &str, shortest: usize) -> Self {
        let hint = Some(w.put(&w.password_rule, "count", &shortest.to_string()));
        Self { hint, longest: PASSWORD, ..Self::named(name, label, "password", "new-password") }
    }
}

fn of_page(page: &AccountPage) -> Vec<(&'static str, String)> {
    vec![("login", page.transaction_id.clone()), ("csrf", page.csrf.clone())]
}

fn back(w: &Words, transaction_id: &str) -> (String, String) {
    (w.account_back.to_string(), format!("{PAGE}?login={transaction_id}"))
}

fn wrong(w: &Words, problem: &SignUpProblem) -> String {
    match problem {
        SignUpProblem::Email => w.bad_email.to_string(),
        SignUpProblem::Username => w.bad_username.to_string(),
        SignUpProblem::UsernameTaken => w.username_taken.to_string(),
        SignUpProblem::Password(weakness) => weak(w, *weakness),
        SignUpProblem::Busy => w.password_busy.to_string(),
        // What the page neither sends nor tells.
        SignUpProblem::Other(_) | SignUpProblem::Exists => w.error_request.to_string(),
    }
}

fn told(w: &Words, problem: PasswordProblem) -> String {
    match problem {
        PasswordProblem::TooMany(seconds) => w.put(&w.password_too_many, "minutes", &seconds.div_ceil(60).max(1).to_string()),
        PasswordProblem::Unproven(Unproven::Busy) => w.password_busy.to_string(),
        PasswordProblem::Unproven(Unproven::Disabled) => w.verify_refused.to_string(),
        PasswordProblem::Unproven(_) => w.verify_wrong.to_string(),
    }
}

/// A wrong password is an answer like any other, as where people sign in; of another one, after how many seconds to try again.
fn status_of(problem: PasswordProblem) -> (StatusCode, Option<u32>) {
    match problem {
        PasswordProblem::TooMany(seconds) => (StatusCode::TOO_MANY_REQUESTS, Some(seconds.max(1))),
        PasswordProblem::Unproven(Unproven::Busy) => (StatusCode::SERVICE_UNAVAILABLE, Some(BUSY)),
        PasswordProblem::Unproven(_) => (StatusCode::OK, None),
    }
}

fn weak(w: &Words, weakness: Weakness) -> String {
    let counted = |text: &str, count: usize| w.put(text, "count", &count.to_string());
    match weakness {
        Weakness::Short(least) => counted(&w.weak_short, least),
        Weakness::Long(most) => counted(&w.weak_long, most),
        Weakness::Uniform(kinds) => counted(&w.weak_uniform, kinds),
        Weakness::Common => w.weak_common.to_string(),
        Weakness::Personal => w.weak_personal.to_string(),
        Weakness::Unsuitable => w.weak_unsuitable.to_string(),
    }
}
