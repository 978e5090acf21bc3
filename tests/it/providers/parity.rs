//! The parity table row by row, where the identity provider speaks OpenID Connect, OAuth 2.0 alone, or is a directory: what
//! an application asks in its words, what is asked there, and what the application hears, by OpenID Connect and by SAML.

use super::ldap::{page, type_in};
use super::oauth2;
use crate::harness::app::{App, Tokens};
use crate::harness::browser::{Browser, Departure, Landed};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::op::{Lies, Op, answer};
use crate::harness::slapd::{PASSWORD, Slapd};
use crate::harness::web::Reply;
use crate::saml_apps::sp::{Answered, Request, Sp};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const GOOD: &str = "urn:example:good";
const OTHER: &str = "urn:example:other";
const PASSWORD_CLASS: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";

/// What an application of OpenID Connect asks: parameters of its request.
type OpenId = &'static [(&'static str, &'static str)];

/// What an application of SAML asks: attributes and children of its request.
#[derive(Clone, Copy)]
struct Saml(&'static str, &'static str);

/// A gateway with one connection, and an application of each protocol.
struct World {
    gateway: Gateway,
    app: App,
    sp: Sp,
}

impl World {
    async fn of(connection: &str) -> Self {
        let (app, sp) = (App::new("notes"), Sp::new("wiki"));
        let setup = Setup::new().connection(connection).application(&app.toml("", "")).application(&sp.toml("", ""));
        Self { gateway: Gateway::start(setup).await, app, sp }
    }

    async fn by_openid(&self, browser: &Browser, asked: &[(&str, &str)]) -> Landed {
        browser.open(self.app.authorize(&self.gateway, asked).as_str()).await
    }

    fn request(&self, asked: Saml) -> Request {
        self.sp.request(&self.gateway).with(asked.0).and(asked.1)
    }

    async fn by_saml(&self, browser: &Browser, request: &Request) -> Landed {
        browser.open(self.sp.redirect(request).as_str()).await
    }

    /// An application of OpenID Connect hears this error, with the number of the trace.
    #[track_caller]
    fn assert_openid(&self, answer: &Departure, expected: &str, what: &str) -> String {
        let (error, description) = self.app.error(&self.gateway, answer);
        assert_eq!(error, expected, "{what}: {description}");
        let id = description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        id.unwrap_or_else(|| panic!("{what}: no correlation id in {description}")).to_owned()
    }

    /// An application of SAML hears this status below Responder, with the number of the trace.
    #[track_caller]
    fn assert_saml(&self, answer: &Departure, request: &Request, expected: &str, what: &str) -> String {
        let answered = Answered::read(&self.gateway, answer);
        assert_eq!(answered.status(), ["Responder", expected], "{what}: {}", answered.xml);
        answered.assert_refused("Responder", expected, &request.id);
        assert_eq!(answered.relay_state.as_deref(), Some("a state & more"), "{what}");
        answered.correlation_id()
    }

    async fn tokens(&self, answer: &Departure) -> Value {
        Tokens::of(&self.app.redeem(&self.gateway, &self.app.code(&self.gateway, answer), &[]).await).claims()
    }
}

/// A provider, and a gateway whose only connection it is.
async fn openid() -> (Op, World) {
    let op = Op::start().await;
    let more = format!("allow_passive_probe = true\n[connection.oidc.acr]\ngold = \"{GOOD}\"\n");
    let world = World::of(&op.toml("acme", &more)).await;
    (op, world)
}

/// Of the question at the provider: what there must be, and what there must not be (`None`).
type There = &'static [(&'static str, Option<&'static str>)];

const FRESH: There = &[("prompt", Some("login")), ("max_age", Some("0"))];
const SILENT: There = &[("prompt", Some("none"))];
const STEP_UP: There = &[("acr_values", Some("urn:example:good"))];
const ESSENTIAL: &str = r#"{"id_token":{"acr":{"essential":true,"values":["gold"]}}}"#;
const CONTEXT: &str = "<samlp:RequestedAuthnContext Comparison=\"exact\"><saml:AuthnContextClassRef>urn:example:good</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>";
const SUBJECT: &str = "<saml:Subject><saml:NameID Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">jane@acme.example</saml:NameID></saml:Subject>";

/// What is asked by OpenID Connect, by SAML if it can be said there, and what the provider is asked then.
const REQUESTS: &[(OpenId, Option<Saml>, There)] = &[
    (&[], Some(Saml("", "")), &[("prompt", None), ("max_age", None), ("acr_values", None), ("login_hint", None), ("ui_locales", None)]),
    (&[("prompt", "login")], Some(Saml("ForceAuthn=\"true\"", "")), FRESH),
    (&[("prompt", "none")], Some(Saml("IsPassive=\"true\"", "")), SILENT),
    (&[("prompt", "select_account")], None, &[("prompt", Some("select_account")), ("max_age", None)]),
    // Consent to what an application sees is asked here.
    (&[("prompt", "consent")], None, &[("prompt", None)]),
    (&[("max_age", "600")], None, &[("max_age", Some("600")), ("prompt", None)]),
    (&[("max_age", "0")], None, &[("max_age", Some("0"))]),
    (&[("acr_values", "gold")], Some(Saml("", CONTEXT)), STEP_UP),
    (&[("claims", ESSENTIAL)], None, STEP_UP),
    (&[("login_hint", "jane@acme.example")], Some(Saml("", SUBJECT)), &[("login_hint", Some("jane@acme.example"))]),
    (&[("ui_locales", "de-AT en")], None, &[("ui_locales", Some("de-AT en"))]),
    (&[("display", "popup")], None, &[("display", None)]),
];

#[tokio::test]
async fn every_request_is_asked_in_the_words_of_the_provider() {
    let (_op, world) = openid().await;
    for (by_openid, by_saml, there) in REQUESTS {
        let mut departures = vec![world.by_openid(&Browser::new(), by_openid).await.away()];
        if let Some(asked) = by_saml {
            departures.push(world.by_saml(&Browser::new(), &world.request(*asked)).await.away());
        }
        for departure in departures {
            for (name, expected) in *there {
                assert_eq!(departure.parameter(name).as_deref(), *expected, "{by_openid:?} {name}: {}", departure.url);
            }
            // Names of our applications, and what they ask us for, stay here.
            assert!(["notes", "wiki"].iter().all(|name| !departure.url.as_str().contains(&format!("{name}.example"))), "{}", departure.url);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_asked_goes_nowhere() {
    let (op, world) = openid().await;
    let nobody_else = world.request(Saml("", "<samlp:Scoping ProxyCount=\"0\"/>"));
    let answer = world.by_saml(&Browser::new(), &nobody_else).await.away();
    world.assert_saml(&answer, &nobody_else, "ProxyCountExceeded", "ProxyCount 0");
    // Which context is better than another nobody can say in OpenID Connect; at least this one is this one.
    let compared = |comparison: &str| world.sp.request(&world.gateway).and(&CONTEXT.replace("\"exact\"", &format!("\"{comparison}\"")));
    let better = compared("better");
    world.assert_saml(&world.by_saml(&Browser::new(), &better).await.away(), &better, "NoAuthnContext", "better");
    for comparison in ["minimum", "maximum"] {
        let (browser, request) = (Browser::new(), compared(comparison));
        let departure = world.by_saml(&browser, &request).await.away();
        let answered = Answered::read(&world.gateway, &op.sign_in(&browser, &departure).await.away());
        assert_eq!(answered.assert_good().text("saml:AuthnContextClassRef"), GOOD);
    }
}

/// What is asked, how the provider answers it, and what the application hears: `None`, it has succeeded.
struct Row {
    what: &'static str,
    by_openid: OpenId,
    by_saml: Option<Saml>,
    lie: fn(&mut Lies),
    told: Option<(&'static str, &'static str)>,
}

fn auth_time(lies: &mut Lies, from_now: i64) {
    lies.id_token = json!({ "auth_time": crate::harness::idp::now().unix_timestamp() + from_now });
}

const FORCED: Option<Saml> = Some(Saml("ForceAuthn=\"true\"", ""));
const EXACTLY: Option<Saml> = Some(Saml("", CONTEXT));
const TOO_OLD: Option<(&str, &str)> = Some(("server_error", "AuthnFailed"));
const UNMET: Option<(&str, &str)> = Some(("unmet_authentication_requirements", "NoAuthnContext"));

/// What the provider does with what it was asked.
const DONE: &[Row] = &[
    Row { what: "a fresh sign-in", by_openid: &[("prompt", "login")], by_saml: FORCED, lie: |_| {}, told: None },
    Row {
        what: "an old one instead",
        by_openid: &[("prompt", "login")],
        by_saml: FORCED,
        lie: |lies| auth_time(lies, -600),
        told: TOO_OLD,
    },
    Row {
        what: "no word of when",
        by_openid: &[("prompt", "login")],
        by_saml: FORCED,
        lie: |lies| lies.id_token = json!({ "auth_time": null }),
        told: TOO_OLD,
    },
    Row { what: "young enough", by_openid: &[("max_age", "600")], by_saml: None, lie: |lies| auth_time(lies, -500), told: None },
    Row { what: "too old", by_openid: &[("max_age", "600")], by_saml: None, lie: |lies| auth_time(lies, -700), told: TOO_OLD },
    Row { what: "max_age=0", by_openid: &[("max_age", "0")], by_saml: None, lie: |_| {}, told: None },
    Row { what: "max_age=0, an old one", by_openid: &[("max_age", "0")], by_saml: None, lie: |lies| auth_time(lies, -100), told: TOO_OLD },
    Row {
        what: "max_age, no word of when",
        by_openid: &[("max_age", "600")],
        by_saml: None,
        lie: |lies| lies.id_token = json!({ "auth_time": null }),
        told: TOO_OLD,
    },
    Row { what: "the asked context", by_openid: &[("acr_values", "gold")], by_saml: EXACTLY, lie: |_| {}, told: None },
    Row {
        what: "another context",
        by_openid: &[("acr_values", "gold")],
        by_saml: EXACTLY,
        lie: |lies| lies.id_token = json!({ "acr": OTHER }),
        told: UNMET,
    },
    Row {
        what: "no context",
        by_openid: &[("acr_values", "gold")],
        by_saml: EXACTLY,
        lie: |lies| lies.id_token = json!({ "acr": null }),
        told: UNMET,
    },
    Row { what: "the essential context", by_openid: &[("claims", ESSENTIAL)], by_saml: None, lie: |_| {}, told: None },
    Row {
        what: "another than the essential one",
        by_openid: &[("claims", ESSENTIAL)],
        by_saml: None,
        lie: |lies| lies.id_token = json!({ "acr": OTHER }),
        told: UNMET,
    },
    // What is in no table and no URI is a wish, which the claim acr answers.
    Row { what: "a wish", by_openid: &[("acr_values", "platinum")], by_saml: None, lie: |_| {}, told: None },
    Row {
        what: "silently, by an old sign-in",
        by_openid: &[("prompt", "none"), ("max_age", "60")],
        by_saml: None,
        lie: |lies| auth_time(lies, -600),
        told: Some(("login_required", "NoPassive")),
    },
];

const PLAIN: Option<Saml> = Some(Saml("", ""));
const PASSIVE: Option<Saml> = Some(Saml("IsPassive=\"true\"", ""));

const fn says(what: &'static str, lie: fn(&mut Lies), told: (&'static str, &'static str)) -> Row {
    Row { what, by_openid: &[], by_saml: PLAIN, lie, told: Some(told) }
}

const fn says_silently(what: &'static str, lie: fn(&mut Lies), told: (&'static str, &'static str)) -> Row {
    Row { what, by_openid: &[("prompt", "none")], by_saml: PASSIVE, lie, told: Some(told) }
}

fn error(lies: &mut Lies, error: &'static str) {
    lies.response = vec![("code", ""), ("error", error), ("error_description", "words of the provider")];
}

/// What the provider says instead, and how it reads in the words of both.
const FAILED: &[Row] = &[
    says("access_denied", |lies| error(lies, "access_denied"), ("access_denied", "RequestDenied")),
    says("login_required", |lies| error(lies, "login_required"), ("login_required", "NoPassive")),
    says("interaction_required", |lies| error(lies, "interaction_required"), ("login_required", "NoPassive")),
    says("consent_required", |lies| error(lies, "consent_required"), ("server_error", "AuthnFailed")),
    says("account_selection_required", |lies| error(lies, "account_selection_required"), ("server_error", "AuthnFailed")),
    says_silently("login_required", |lies| error(lies, "login_required"), ("login_required", "NoPassive")),
    says_silently("interaction_required", |lies| error(lies, "interaction_required"), ("login_required", "NoPassive")),
    says_silently("consent_required", |lies| error(lies, "consent_required"), ("login_required", "NoPassive")),
    says_silently("account_selection_required", |lies| error(lies, "account_selection_required"), ("login_required", "NoPassive")),
    says(
        "unmet_authentication_requirements",
        |lies| error(lies, "unmet_authentication_requirements"),
        ("unmet_authentication_requirements", "NoAuthnContext"),
    ),
    says("temporarily_unavailable", |lies| error(lies, "temporarily_unavailable"), ("temporarily_unavailable", "AuthnFailed")),
    says("server_error", |lies| error(lies, "server_error"), ("server_error", "AuthnFailed")),
    says("invalid_request", |lies| error(lies, "invalid_request"), ("server_error", "AuthnFailed")),
    says("invalid_scope", |lies| error(lies, "invalid_scope"), ("server_error", "AuthnFailed")),
    says("something of its own", |lies| error(lies, "ISTH-0000"), ("server_error", "AuthnFailed")),
    says("an invalid answer", |lies| lies.id_token = json!({ "aud": "another" }), ("server_error", "AuthnFailed")),
    says("neither code nor error", |lies| lies.response = vec![("code", "")], ("server_error", "AuthnFailed")),
    says(
        "a code that is none",
        |lies| drop(lies.instead.insert("/token", answer(400, &json!({ "error": "invalid_grant" })))),
        ("server_error", "AuthnFailed"),
    ),
    says(
        "a token endpoint that is down",
        |lies| drop(lies.instead.insert("/token", Reply::status(503))),
        ("temporarily_unavailable", "AuthnFailed"),
    ),
    says(
        "UserInfo that is down",
        |lies| drop(lies.instead.insert("/userinfo", Reply::status(502))),
        ("temporarily_unavailable", "AuthnFailed"),
    ),
];

/// Asks, has the provider answer, and holds what the applications hear against the row. Both read the number of the trace,
/// and nothing of what the provider said to us.
async fn holds(op: &Op, world: &World, row: &Row) {
    op.lies(row.lie);
    let browser = Browser::new();
    let departure = world.by_openid(&browser, row.by_openid).await.away();
    let answer = op.sign_in(&browser, &departure).await.away();
    match row.told {
        None => drop(world.app.code(&world.gateway, &answer)),
        Some((error, _)) => {
            let trace = world.gateway.trace(&world.assert_openid(&answer, error, row.what)).await.to_string();
            assert!(trace.contains("\"refused\""), "{}: {trace}", row.what);
            assert!(!answer.url.as_str().contains("provider"), "{}: {}", row.what, answer.url);
        }
    }
    let Some(asked) = row.by_saml else { return };
    op.lies(row.lie);
    let (browser, request) = (Browser::new(), world.request(asked));
    let departure = world.by_saml(&browser, &request).await.away();
    let answer = op.sign_in(&browser, &departure).await.away();
    match row.told {
        None => drop(Answered::read(&world.gateway, &answer).assert_good()),
        Some((_, status)) => {
            let trace = world.gateway.trace(&world.assert_saml(&answer, &request, status, row.what)).await.to_string();
            assert!(trace.contains("\"refused\""), "{}: {trace}", row.what);
            assert!(!Answered::read(&world.gateway, &answer).xml.contains("words of the provider"), "{}", row.what);
        }
    }
}

#[tokio::test]
async fn what_was_asked_is_held_against_the_answer() {
    let (op, world) = openid().await;
    for row in DONE {
        holds(&op, &world, row).await;
    }
}

#[tokio::test]
async fn every_failure_of_the_provider_has_its_word_in_both_protocols() {
    let (op, world) = openid().await;
    for row in FAILED {
        holds(&op, &world, row).await;
    }
}

/// A request that was pushed and is not taken (RFC 9126 2.3): the provider is there, and has said why.
#[tokio::test]
async fn a_pushed_request_that_is_refused_is_told_as_what_it_is() {
    let op = Op::start().await;
    let par = format!("pushed_authorization_requests = true\npushed_authorization_request_endpoint = \"{}/par\"", op.issuer);
    let world = World::of(&op.toml("acme", &par)).await;
    let refusal = |status: u16, error: &str| answer(status, &json!({ "error": error, "error_description": "their very words" }));
    for (reply, rule, code, (by_openid, by_saml)) in [
        (refusal(400, "invalid_request"), "pushed-request-error", "`invalid_request`", ("server_error", "AuthnFailed")),
        (refusal(401, "invalid_client"), "pushed-request-error", "`invalid_client`", ("server_error", "AuthnFailed")),
        (
            refusal(400, "unmet_authentication_requirements"),
            "pushed-request-error",
            "unmet",
            ("unmet_authentication_requirements", "NoAuthnContext"),
        ),
        (Reply::status(503), "provider-unreachable", "status 503", ("temporarily_unavailable", "AuthnFailed")),
    ] {
        op.lies(|lies| drop(lies.instead.insert("/par", reply.clone())));
        let told = world.by_openid(&Browser::new(), &[]).await.away();
        let ours = world.assert_openid(&told, by_openid, code);
        assert!(!told.url.as_str().contains("their"), "{}", told.url);
        let request = world.request(Saml("", ""));
        let theirs = world.assert_saml(&world.by_saml(&Browser::new(), &request).await.away(), &request, by_saml, code);
        for id in [ours, theirs] {
            let trace = world.gateway.trace(&id).await.to_string();
            assert!(trace.contains(&format!("\"name\":\"{rule}\"")) && trace.contains(code), "{code}: {trace}");
        }
    }
}

#[tokio::test]
async fn what_the_provider_says_of_a_sign_in_reaches_both_applications() {
    let (op, world) = openid().await;
    let long_ago = crate::harness::idp::now().unix_timestamp() - 3000;
    op.lies(|lies| lies.id_token = json!({ "auth_time": long_ago, "amr": ["pwd", "hwk"] }));
    let browser = Browser::new();
    let departure = world.by_openid(&browser, &[]).await.away();
    let claims = world.tokens(&op.sign_in(&browser, &departure).await.away()).await;
    assert_eq!((&claims["auth_time"], &claims["acr"]), (&json!(long_ago), &json!("gold")), "{claims}");
    assert_eq!(claims["amr"], json!(["pwd", "hwk"]));
    let silent = world.tokens(&world.by_openid(&browser, &[("prompt", "none")]).await.away()).await;
    assert_eq!(silent["amr"], claims["amr"], "the session knows it");
    let (browser, request) = (Browser::new(), world.request(Saml("", "")));
    let departure = world.by_saml(&browser, &request).await.away();
    let before = crate::harness::idp::now();
    let answered = Answered::read(&world.gateway, &op.sign_in(&browser, &departure).await.away());
    answered.assert_good();
    let time = |name: &str| OffsetDateTime::parse(&answered.of("saml:AuthnStatement", name), &Rfc3339).unwrap();
    assert_eq!(time("AuthnInstant").unix_timestamp(), long_ago);
    assert_eq!(answered.text("saml:AuthnContextClassRef"), GOOD, "in the provider's words");
    assert_eq!(answered.texts("saml:AuthenticatingAuthority"), [op.issuer.as_str()]);
    // Nothing that the provider says bounds the session, so it is the one here.
    let end = time("SessionNotOnOrAfter");
    assert!(end > before && end < before + time::Duration::days(31), "{end}");
    assert_eq!(answered.values("mail"), ["jane@acme.example"], "{}", answered.xml);
    // Without auth_time it was now, and without acr nobody knows how.
    op.lies(|lies| lies.id_token = json!({ "auth_time": null, "acr": null }));
    let (browser, request) = (Browser::new(), world.request(Saml("", "")));
    let departure = world.by_saml(&browser, &request).await.away();
    let answered = Answered::read(&world.gateway, &op.sign_in(&browser, &departure).await.away());
    answered.assert_good();
    let instant = OffsetDateTime::parse(&answered.of("saml:AuthnStatement", "AuthnInstant"), &Rfc3339).unwrap();
    assert!(instant >= before - time::Duration::seconds(2));
    assert_eq!(answered.text("saml:AuthnContextClassRef"), "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified");
}

/// Without `auth_time` the session answers everybody but who wants to know how old the sign-in is.
#[tokio::test]
async fn a_sign_in_of_unknown_time_is_never_young_enough() {
    let (op, world) = openid().await;
    let unsaid = |lies: &mut Lies| lies.id_token = json!({ "auth_time": null });
    op.lies(unsaid);
    let browser = Browser::new();
    let departure = world.by_openid(&browser, &[]).await.away();
    let claims = world.tokens(&op.sign_in(&browser, &departure).await.away()).await;
    assert!(claims["auth_time"].is_i64(), "{claims}");
    for unlimited in [&[][..], &[("prompt", "none")]] {
        world.app.code(&world.gateway, &world.by_openid(&browser, unlimited).await.away());
    }
    let request = world.request(Saml("", ""));
    Answered::read(&world.gateway, &world.by_saml(&browser, &request).await.away()).assert_good();
    // The provider is asked, and told what for; an answer that says it as little ends the login, and nobody goes round in it.
    let limited = [("max_age", "600")];
    let departure = world.by_openid(&browser, &limited).await.away();
    assert_eq!((departure.parameter("max_age").as_deref(), departure.parameter("prompt")), (Some("600"), None));
    let id = world.assert_openid(&op.sign_in(&browser, &departure).await.away(), "server_error", "no word of when");
    let trace = world.gateway.trace(&id).await.to_string();
    assert!(trace.contains("id-token-auth-time"), "{trace}");
    let silent = world.by_openid(&browser, &[("max_age", "600"), ("prompt", "none")]).await.away();
    assert_eq!((silent.parameter("max_age").as_deref(), silent.parameter("prompt").as_deref()), (Some("600"), Some("none")));
    let request = world.request(FORCED.unwrap());
    let departure = world.by_saml(&browser, &request).await.away();
    world.assert_saml(&op.sign_in(&browser, &departure).await.away(), &request, "AuthnFailed", "ForceAuthn, no word of when");
    // Once it is said, the session knows it.
    op.lies(|_| {});
    let departure = world.by_openid(&browser, &limited).await.away();
    world.app.code(&world.gateway, &op.sign_in(&browser, &departure).await.away());
    world.app.code(&world.gateway, &world.by_openid(&browser, &limited).await.away());
}

#[tokio::test]
async fn the_person_of_the_hint_or_nobody() {
    let (op, world) = openid().await;
    let browser = Browser::new();
    let departure = world.by_openid(&browser, &[]).await.away();
    let answer = op.sign_in(&browser, &departure).await.away();
    let code = world.app.code(&world.gateway, &answer);
    let of_jane = Tokens::of(&world.app.redeem(&world.gateway, &code, &[]).await).id_token().to_owned();
    let hinted = [("id_token_hint", of_jane.as_str())];
    world.app.code(&world.gateway, &world.by_openid(&browser, &hinted).await.away());
    // Another browser, in which somebody else signs in.
    op.is_now(&json!({ "sub": "joe", "name": "Joe" }));
    let elsewhere = Browser::new();
    let departure = world.by_openid(&elsewhere, &hinted).await.away();
    assert!(departure.parameter("id_token_hint").is_none(), "our tokens mean nothing to the provider");
    world.assert_openid(&op.sign_in(&elsewhere, &departure).await.away(), "login_required", "another person");
    // And with Joe's session: he is asked, and not answered for Jane.
    let departure = world.by_openid(&elsewhere, &[]).await.away();
    world.app.code(&world.gateway, &op.sign_in(&elsewhere, &departure).await.away());
    let silent = [("id_token_hint", of_jane.as_str()), ("prompt", "none")];
    let departure = world.by_openid(&elsewhere, &silent).await.away();
    world.assert_openid(&op.sign_in(&elsewhere, &departure).await.away(), "login_required", "another session");
}

#[tokio::test]
async fn oauth_alone_never_pretends() {
    let provider = oauth2::Provider::start().await;
    let world = World::of(&provider.toml("")).await;
    for (by_openid, by_saml, told) in [
        (&[("prompt", "login")][..], FORCED, ("login_required", "NoPassive")),
        (&[("prompt", "none")], PASSIVE, ("login_required", "NoPassive")),
        (&[("max_age", "600")], None, ("login_required", "")),
        (&[("max_age", "0")], None, ("login_required", "")),
        (&[("acr_values", GOOD)], EXACTLY, ("unmet_authentication_requirements", "NoAuthnContext")),
    ] {
        let answer = world.by_openid(&Browser::new(), by_openid).await.away();
        world.assert_openid(&answer, told.0, &format!("{by_openid:?}"));
        if let Some(asked) = by_saml {
            let request = world.request(asked);
            let answer = world.by_saml(&Browser::new(), &request).await.away();
            world.assert_saml(&answer, &request, told.1, &format!("{by_openid:?}"));
        }
    }
    assert!(provider.site.seen().is_empty(), "nobody was sent there");
    // An essential context that is a word of ours alone is missed when the login ends.
    let browser = Browser::new();
    let departure = world.by_openid(&browser, &[("claims", ESSENTIAL)]).await.away();
    let answer = oauth2::back(&browser, &departure, &[("code", "c")]).await;
    world.assert_openid(&answer, "unmet_authentication_requirements", "essential");
    for (theirs, ours) in [
        ("access_denied", ("access_denied", "RequestDenied")),
        ("temporarily_unavailable", ("temporarily_unavailable", "AuthnFailed")),
        ("server_error", ("server_error", "AuthnFailed")),
        ("invalid_scope", ("server_error", "AuthnFailed")),
    ] {
        let browser = Browser::new();
        let departure = world.by_openid(&browser, &[]).await.away();
        world.assert_openid(&oauth2::back(&browser, &departure, &[("error", theirs)]).await, ours.0, theirs);
        let (browser, request) = (Browser::new(), world.request(Saml("", "")));
        let departure = world.by_saml(&browser, &request).await.away();
        world.assert_saml(&oauth2::back(&browser, &departure, &[("error", theirs)]).await, &request, ours.1, theirs);
    }
    // A whole login to an application of SAML, which is told no more than is known.
    let (browser, request) = (Browser::new(), world.request(Saml("", "")));
    let departure = world.by_saml(&browser, &request).await.away();
    let answered = Answered::read(&world.gateway, &oauth2::back(&browser, &departure, &[("code", "c")]).await);
    assert_eq!(answered.assert_good().text("saml:AuthnContextClassRef"), "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified");
    assert_eq!(answered.values("mail"), ["jane@acme.example"], "{}", answered.xml);
    // The session answers, but not who limits the age of a sign-in whose time nobody knows: that one hears it at once.
    world.app.code(&world.gateway, &world.by_openid(&browser, &[]).await.away());
    for limited in [&[("max_age", "600")][..], &[("max_age", "600"), ("prompt", "none")]] {
        world.assert_openid(&world.by_openid(&browser, limited).await.away(), "login_required", &format!("{limited:?}"));
    }
}

/// A directory and an application of SAML: every row that a password can answer.
#[tokio::test]
async fn s4_24_a_directory_answers_an_application_of_saml() {
    let slapd = Slapd::start();
    let world = World::of(&slapd.toml(&format!("[connection.ldap.acr]\npwd = \"{PASSWORD_CLASS}\"\n"))).await;
    let browser = Browser::new();
    let silent = world.request(Saml("IsPassive=\"true\"", ""));
    world.assert_saml(&world.by_saml(&browser, &silent).await.away(), &silent, "NoPassive", "IsPassive");
    let request = world.request(Saml("", SUBJECT));
    let form = world.by_saml(&browser, &request).await.here();
    assert_eq!((form.url.path(), form.form().field("username")), ("/login/password", Some("jane@acme.example")));
    let answered = Answered::read(&world.gateway, &type_in(&browser, &form, "jane", PASSWORD).await.away());
    answered.assert_good();
    assert_eq!(answered.of("samlp:Response", "InResponseTo"), request.id);
    assert_eq!(answered.text("saml:AuthnContextClassRef"), PASSWORD_CLASS);
    assert_eq!(
        (answered.values("mail"), answered.values("displayName")),
        (vec!["jane@acme.example".to_owned()], vec!["Jane Doe".to_owned()])
    );
    let mut groups = answered.values("isMemberOf");
    groups.sort_unstable();
    assert_eq!(groups, ["staff", "wiki"], "{}", answered.xml);
    // The session answers, unless a fresh login is wanted.
    Answered::read(&world.gateway, &world.by_saml(&browser, &world.request(Saml("IsPassive=\"true\"", ""))).await.away()).assert_good();
    let forced = world.request(Saml("ForceAuthn=\"true\"", ""));
    let form = world.by_saml(&browser, &forced).await.here();
    let answered = Answered::read(&world.gateway, &type_in(&browser, &form, "jane", PASSWORD).await.away());
    answered.assert_good();
    // A password is a password: exactly and at least that, not better, and nothing else.
    let context = |comparison: &str, class: &str| {
        let context = CONTEXT.replace("\"exact\"", &format!("\"{comparison}\"")).replace(GOOD, class);
        world.sp.request(&world.gateway).with("ForceAuthn=\"true\"").and(&context)
    };
    for comparison in ["exact", "minimum"] {
        let browser = Browser::new();
        let form = world.by_saml(&browser, &context(comparison, PASSWORD_CLASS)).await.here();
        Answered::read(&world.gateway, &type_in(&browser, &form, "jane", PASSWORD).await.away()).assert_good();
    }
    let better = context("better", PASSWORD_CLASS);
    world.assert_saml(&world.by_saml(&Browser::new(), &better).await.away(), &better, "NoAuthnContext", "better");
    let (browser, other) = (Browser::new(), context("exact", OTHER));
    let form = world.by_saml(&browser, &other).await.here();
    world.assert_saml(&type_in(&browser, &form, "jane", PASSWORD).await.away(), &other, "NoAuthnContext", "another context");
    // The same by OpenID Connect.
    for (acr_values, met) in [("pwd", true), (PASSWORD_CLASS, true), ("a wish", true), (OTHER, false)] {
        let browser = Browser::new();
        let form = page(&world.gateway, &world.app, &browser, &[("acr_values", acr_values)]).await;
        let answer = type_in(&browser, &form, "jane", PASSWORD).await.away();
        if met {
            assert_eq!(world.tokens(&answer).await["acr"], "pwd", "{acr_values}");
        } else {
            world.assert_openid(&answer, "unmet_authentication_requirements", acr_values);
        }
    }
}
