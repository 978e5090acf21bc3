//! Consent over embedded stores, from the request to the answer.

use super::*;
use crate::broker::begin::{Arrival, Incoming};
use crate::broker::ending::Ending;
use crate::broker::identify::{Identified, Profiles};
use crate::broker::possession::Shown;
use crate::broker::tests::{CALLBACK, call, gateway, jane, with_client};
use crate::broker::{CookieChange, Reply};
use crate::connection::Registry;
use crate::connection::SamlConnection;
use crate::connection::config::{ConnectionConfig, ConnectionKind, ProfileSettings, SamlConnection as Settings, SecondFactor};
use crate::login::{Arrived, TimeBy, UpstreamSession};
use crate::oidc::bearer::{PresentedToken, Scheme};
use crate::oidc::testing::VERIFIER;
use crate::oidc::{AccessToken, AuthorizationResponse};
use crate::profile::{Direction, MappingLibrary};
use crate::saml::sp::IdpTrust;
use crate::user::Identity;
use crate::user::linking::Linking;
use serde_json::{Map, Value};
use std::sync::Arc;

const REQUEST: &str =
    "client_id=notes&response_type=code&state=s&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

/// A third party's application, somebody who is signed in, and their browser.
pub(in crate::broker) struct Scene {
    pub gateway: Gateway,
    pub browser: Browser,
    pub user_id: String,
    pub identity: Identity,
}

pub(in crate::broker) async fn scene() -> Scene {
    let mut gateway = gateway().await;
    with_client(&mut gateway, |client| client.first_party = false);
    let config = ConnectionConfig {
        name: "acme".to_owned(),
        display_name: "Acme".to_owned(),
        enabled: true,
        domains: Vec::new(),
        applications: None,
        mapping: MappingLibrary::built_in().table("saml", Direction::ToProfile).expect("built in"),
        profile: ProfileSettings::default(),
        second_factor: SecondFactor::Off,
        linking: Linking::default(),
        provider: None,
        kind: ConnectionKind::Saml(Arc::new(Settings::new(IdpTrust::nobody()))),
    };
    let connection = SamlConnection::new(config, &gateway.issuer, Arc::clone(&gateway.keyring)).expect("a connection");
    gateway.connections = Registry::new(vec![Arc::new(connection)]);
    let (user_id, identity) = jane(&gateway).await;
    let mut scene = Scene { gateway, browser: Browser::default(), user_id, identity };
    scene.browser = Browser { binding: Some(id::random_token()), session: Some(scene.signed_in().await), ..Browser::default() };
    scene
}

impl Scene {
    /// The cookie of a new session.
    async fn signed_in(&self) -> String {
        let (cookie, now) = (id::random_token(), Timestamp::now());
        let session = Session {
            sid: Session::sid_of(&cookie),
            user_id: self.user_id.clone(),
            identity: self.identity.clone(),
            profile: profile(),
            auth_time: now,
            auth_time_by: TimeBy::Witness,
            acr: None,
            amr: Vec::new(),
            created_at: now,
            expires_at: now.plus_seconds(600),
            upstream: UpstreamSession::default(),
            correlation_id: "c".into(),
            before: Vec::new(),
        };
        let put = Op::Put { key: Session::key(&cookie), value: encode(&session).expect("JSON"), ttl: 600 };
        let listed = crate::broker::sessions::session_op(&session, 600);
        self.gateway.sessions.commit(vec![put, listed]).await.expect("written");
        cookie
    }

    async fn authorize(&self, more: &str) -> Answer {
        let callback: String = url::form_urlencoded::byte_serialize(CALLBACK.as_bytes()).collect();
        let raw = format!("{REQUEST}&redirect_uri={callback}&{more}");
        let incoming = Incoming { raw: raw.as_bytes(), arrival: Arrival::Get, pushed_only: false };
        self.gateway.authorize(incoming, &self.browser, &id::random_id(), Timestamp::now()).await.answer
    }

    pub async fn choose(&self, question: &ConsentQuestion, choice: ConsentChoice) -> Answer {
        let (id, csrf) = (question.transaction_id.as_str(), Some(question.csrf.as_str()));
        self.gateway.consent_choice(id, choice, csrf, &self.browser, Timestamp::now()).await.answer
    }

    async fn consents(&self) -> Vec<ConsentRecord> {
        let filter = ConsentFilter { limit: 10, ..ConsentFilter::default() };
        self.gateway.directory.consents(&filter).await.expect("found").consents
    }
}

fn profile() -> Written {
    let members = [("name", "Jane Doe"), ("email", "jane@acme.example")].map(|(name, value)| (name.to_owned(), Value::from(value)));
    Written::object(&Map::from_iter(members)).expect("JSON")
}

pub(in crate::broker) fn question(answer: Answer) -> ConsentQuestion {
    match answer {
        Answer::AskConsent(question) => *question,
        other => panic!("no question: {other:?}"),
    }
}

/// Where the browser is sent.
pub(super) fn redirect(answer: Answer) -> String {
    match answer {
        Answer::Reply(Reply::Oidc { response: AuthorizationResponse::Redirect(url), .. }) => url,
        other => panic!("no answer to the application: {other:?}"),
    }
}

fn refused(answer: Answer) -> ErrorKind {
    match answer {
        Answer::Refused(refusal) => refusal.error.kind,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn people_are_asked_once_and_again_for_more() {
    let scene = scene().await;
    let asked = question(scene.authorize("scope=openid+email").await);
    assert_eq!((asked.person.as_str(), asked.application.as_str()), ("jane@acme.example", "Notes"));
    assert_eq!(asked.scopes.iter().map(|scope| scope.name.as_str()).collect::<Vec<_>>(), ["openid", "email"]);
    assert_eq!(question(scene.choose(&asked, ConsentChoice::Look).await), asked, "a reload shows it again");
    assert!(scene.consents().await.is_empty());
    let answered = redirect(scene.choose(&asked, ConsentChoice::Allow).await);
    assert!(answered.starts_with(CALLBACK) && answered.contains("code=") && answered.contains("state=s"), "{answered}");
    assert_eq!(refused(scene.choose(&asked, ConsentChoice::Allow).await), ErrorKind::LoginAlreadyFinished);

    for less in ["scope=openid+email", "scope=openid"] {
        assert!(redirect(scene.authorize(less).await).contains("code="), "{less}");
    }
    for more in ["scope=openid+email+phone", "scope=openid+offline_access", "scope=openid+email&prompt=consent"] {
        question(scene.authorize(more).await);
    }
    // Agreed to beside the others, not in their place.
    let asked = question(scene.authorize("scope=openid+phone").await);
    redirect(scene.choose(&asked, ConsentChoice::Allow).await);
    assert!(redirect(scene.authorize("scope=openid+email+phone").await).contains("code="));
    assert_eq!(scene.consents().await.len(), 1);
}

#[tokio::test]
async fn the_operators_own_applications_ask_nobody() {
    let mut scene = scene().await;
    with_client(&mut scene.gateway, |client| client.first_party = true);
    for request in ["scope=openid+email", "scope=openid+email&prompt=consent", "scope=openid+email&prompt=none"] {
        assert!(redirect(scene.authorize(request).await).contains("code="), "{request}");
    }
    assert!(scene.consents().await.is_empty());
}

#[tokio::test]
async fn where_nobody_may_be_asked_the_application_learns_that_consent_is_missing() {
    let scene = scene().await;
    let silent = "scope=openid+email&prompt=none";
    let told = redirect(scene.authorize(silent).await);
    assert!(told.contains("error=consent_required") && told.contains("state=s"), "{told}");
    redirect(scene.choose(&question(scene.authorize("scope=openid+email").await), ConsentChoice::Allow).await);
    assert!(redirect(scene.authorize(silent).await).contains("code="));
}

#[tokio::test]
async fn who_does_not_agree_is_asked_the_next_time() {
    let scene = scene().await;
    let asked = question(scene.authorize("scope=openid+email").await);
    let told = redirect(scene.choose(&asked, ConsentChoice::Deny).await);
    assert!(told.contains("error=access_denied") && told.contains("state=s") && !told.contains("code="), "{told}");
    assert_eq!(refused(scene.choose(&asked, ConsentChoice::Allow).await), ErrorKind::LoginAlreadyFinished);
    assert!(scene.consents().await.is_empty());
    question(scene.authorize("scope=openid+email").await);
}

#[tokio::test]
async fn only_the_form_of_the_page_in_its_browser_answers() {
    let mut scene = scene().await;
    let asked = question(scene.authorize("scope=openid+email").await);
    // The forms of another login, and of other questions about the same one.
    let other = question(scene.authorize("scope=openid+phone").await);
    for csrf in [None, Some(""), Some(other.csrf.as_str())] {
        for choice in [ConsentChoice::Allow, ConsentChoice::Deny] {
            let answer = scene.gateway.consent_choice(&asked.transaction_id, choice, csrf, &scene.browser, Timestamp::now()).await.answer;
            assert_eq!(question(answer), asked, "the question again");
        }
    }
    let stranger = Browser { binding: Some(id::random_token()), ..scene.browser.clone() };
    let csrf = Some(asked.csrf.as_str());
    let answer = scene.gateway.consent_choice(&asked.transaction_id, ConsentChoice::Allow, csrf, &stranger, Timestamp::now()).await.answer;
    assert_eq!(refused(answer), ErrorKind::OtherBrowser);
    // Another session of the same browser agrees to nothing of the first one.
    let first = scene.browser.session.replace(scene.signed_in().await);
    assert_eq!(refused(scene.choose(&asked, ConsentChoice::Look).await), ErrorKind::LoginRequired);
    scene.browser.session = first;
    assert_eq!(question(scene.choose(&asked, ConsentChoice::Look).await), asked, "a look ends nothing");
    scene.browser.session = Some(scene.signed_in().await);
    assert!(redirect(scene.choose(&asked, ConsentChoice::Allow).await).contains("error=login_required"));
    assert!(scene.consents().await.is_empty());
}

#[tokio::test]
async fn claims_that_are_asked_by_name_are_part_of_the_question() {
    let scene = scene().await;
    let by_name = "scope=openid&claims=%7B%22userinfo%22%3A%7B%22birthdate%22%3Anull%2C%22sub%22%3Anull%7D%7D";
    redirect(scene.choose(&question(scene.authorize("scope=openid").await), ConsentChoice::Allow).await);
    let asked = question(scene.authorize(by_name).await);
    assert_eq!(asked.claims, ["birthdate"]);
    redirect(scene.choose(&asked, ConsentChoice::Allow).await);
    assert!(redirect(scene.authorize(by_name).await).contains("code="));
}

#[tokio::test]
async fn a_user_who_is_blocked_meanwhile_agrees_to_nothing() {
    let scene = scene().await;
    let asked = question(scene.authorize("scope=openid").await);
    scene.gateway.directory.set_blocked(&scene.user_id, true).await.expect("blocked");
    assert!(redirect(scene.choose(&asked, ConsentChoice::Allow).await).contains("error=login_required"));
    assert!(scene.consents().await.is_empty());
}

#[tokio::test]
async fn a_fresh_login_comes_to_the_question_with_its_session() {
    let mut scene = scene().await;
    scene.browser.session = None;
    let now = Timestamp::now();
    // A login that waits at the identity provider; this one has no address, so it is made by hand.
    let redirect_to =
        crate::oidc::Params::parse(format!("redirect_uri={CALLBACK}&client_id=notes&state=s").as_bytes()).expect("parameters");
    let application = Arc::clone(scene.gateway.application("notes").expect("registered"));
    let reply_to = ReplyTo::Oidc(crate::oidc::CheckedRedirect::identify(&redirect_to, application.oidc.as_ref()).expect("registered"));
    let begun =
        Begun { application: &application, reply_to: &reply_to, path: "", query: b"", browser: &scene.browser, correlation_id: "c", now };
    let asked = Asked { scopes: ["openid", "email"].into_iter().collect(), ..Asked::default() };
    let (transaction, _) = scene.gateway.new_transaction(&begun, asked);
    let arrived = Arrived {
        identity: scene.identity.clone(),
        profile: Map::new(),
        transient: Vec::new(),
        auth_time: now,
        auth_time_by: TimeBy::Witness,
        fresh: true,
        acr: None,
        amr: Vec::new(),
        new_factor: None,
        upstream: UpstreamSession::default(),
        app_metadata: Map::new(),
        tokens: None,
    };
    let identified = |scene: &Scene| Identified {
        user_id: scene.user_id.clone(),
        profiles: Profiles { lasting: profile(), of_transaction: profile(), transient: Vec::new() },
    };
    let key = LoginTransaction::key(&transaction.id);
    let ending = |transaction, key| Ending { transaction, key, part: Part::Login, now, caller: None, resume: None };
    let mut trace = Trace::default();
    let (outcome, passive) = {
        let outcome = scene.gateway.end_login(&ending(&transaction, &key), &arrived, identified(&scene), Vec::new(), &mut trace).await;
        let passive =
            LoginTransaction { id: id::random_id(), asked: Asked { passive: true, ..transaction.asked.clone() }, ..transaction.clone() };
        let key = LoginTransaction::key(&passive.id);
        let refused = scene.gateway.end_login(&ending(&passive, &key), &arrived, identified(&scene), Vec::new(), &mut trace).await;
        (outcome.expect("an answer"), refused)
    };
    assert_eq!(passive.map(drop).map_err(|error| error.kind), Err(ErrorKind::ConsentRequired));
    let CookieChange::Set(cookie) = &outcome.session else { panic!("no session") };
    scene.browser.session = Some(cookie.clone());
    let asked = question(outcome.answer);
    assert_eq!(asked.scopes.len(), 2);
    let answered = redirect(scene.choose(&asked, ConsentChoice::Allow).await);
    assert!(answered.contains("code="), "{answered}");
    assert!(redirect(scene.authorize("scope=openid+email").await).contains("code="), "the session answers from now on");
}

#[tokio::test]
async fn what_is_withdrawn_ends_what_was_given() {
    // With a refresh token, and with an access token alone.
    for scopes in ["openid+offline_access", "openid"] {
        let (scene, shown, now) = (scene().await, Shown::default(), Timestamp::now());
        let asked = question(scene.authorize(&format!("scope={scopes}")).await);
        let answered = redirect(scene.choose(&asked, ConsentChoice::Allow).await);
        let code = answered.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).expect("a code");
        let callback: String = url::form_urlencoded::byte_serialize(CALLBACK.as_bytes()).collect();
        let body = format!("grant_type=authorization_code&client_id=notes&code={code}&redirect_uri={callback}&code_verifier={VERIFIER}");
        let tokens = scene.gateway.token(call(body.as_bytes(), &shown), now).await.expect("tokens").response;
        let userinfo = async || {
            let token = AccessToken::parse(tokens.access_token.expose()).expect("a token");
            let presented = PresentedToken { token, scheme: Scheme::Bearer };
            scene.gateway.userinfo(&presented, &shown, None, now).await.map(drop).map_err(|error| error.kind)
        };
        assert_eq!(userinfo().await, Ok(()));
        scene.gateway.withdraw_consents_of("somebody else", now).await.expect("nothing");
        assert_eq!((userinfo().await, scene.consents().await.len()), (Ok(()), 1));
        scene.gateway.withdraw_consents_of(&scene.user_id, now).await.expect("withdrawn");
        assert_eq!(userinfo().await, Err(ErrorKind::InvalidToken), "{scopes}");
        if let Some(token) = &tokens.refresh_token {
            let body = format!("grant_type=refresh_token&client_id=notes&refresh_token={}", token.expose());
            let refused = scene.gateway.token(call(body.as_bytes(), &shown), now).await.expect_err("refused");
            assert_eq!(refused.error.kind, ErrorKind::InvalidGrant);
        }
        assert!(scene.consents().await.is_empty());
        question(scene.authorize("scope=openid").await);
    }
}
