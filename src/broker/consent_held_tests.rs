//! What people have agreed to, held against what is given later, and against what will really be released.

use super::tests::{Scene, question, redirect, scene};
use super::*;
use crate::broker::begin::{Arrival, Incoming};
use crate::broker::possession::Shown;
use crate::broker::tests::{CALLBACK, call, with_client};
use crate::oidc::testing::VERIFIER;
use crate::oidc::token::TokenResponse;
use crate::oidc::{ClientProof, GrantType, TokenEndpointAuthMethod};
use crate::profile::MappingLibrary;
use serde_json::Value;
use std::sync::Arc;

const REQUEST: &str =
    "client_id=notes&response_type=code&state=s&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl Scene {
    async fn asks_at(&self, redirect_uri: &str, more: &str) -> Answer {
        let raw = format!("{REQUEST}&redirect_uri={}&{more}", encoded(redirect_uri));
        let incoming = Incoming { raw: raw.as_bytes(), arrival: Arrival::Get, pushed_only: false };
        self.gateway.authorize(incoming, &self.browser, &id::random_id(), Timestamp::now()).await.answer
    }

    async fn allows(&self, question: &ConsentQuestion) -> String {
        redirect(self.choose(question, ConsentChoice::Allow).await)
    }

    /// A code for these scopes, to which the person has agreed.
    async fn code(&self, scopes: &str) -> String {
        let asked = question(self.asks_at(CALLBACK, &format!("scope={scopes}")).await);
        let answered = self.allows(&asked).await;
        answered.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).expect("a code").to_owned()
    }

    async fn redeems(&self, code: &str) -> Result<TokenResponse, ErrorKind> {
        let callback = encoded(CALLBACK);
        self.posts(&format!("grant_type=authorization_code&client_id=notes&code={code}&redirect_uri={callback}&code_verifier={VERIFIER}"))
            .await
    }

    async fn refreshes(&self, token: &str) -> Result<TokenResponse, ErrorKind> {
        self.posts(&format!("grant_type=refresh_token&client_id=notes&refresh_token={token}")).await
    }

    async fn posts(&self, body: &str) -> Result<TokenResponse, ErrorKind> {
        let answer = self.gateway.token(call(body.as_bytes(), &Shown::default()), Timestamp::now()).await;
        answer.map(|tokens| tokens.response).map_err(|refusal| refusal.error.kind)
    }

    async fn agreed(&self) -> ConsentRecord {
        self.gateway.directory.consent(&self.user_id, "notes", "").await.expect("read").expect("agreed")
    }

    async fn agrees_to(&self, scopes: &[&str]) {
        let known = self.agreed().await;
        self.gateway.directory.end_consent(&known.consent_id).await.expect("ended");
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.gateway.directory.put_consent(&ConsentRecord { scopes, ..known }).await.expect("written");
    }

    /// The application's mapping table is this one.
    fn maps(&mut self, rows: &str) {
        let text = format!("direction = \"from_profile\"\n{rows}");
        let table = MappingLibrary::load_one("mappings/own.toml", &text).expect("a table");
        let applications = Arc::get_mut(&mut self.gateway.applications).expect("nobody else has them");
        let application = applications.remove("notes").expect("registered");
        let application = Application { mapping: table, ..Arc::into_inner(application).expect("nobody else has it") };
        applications.insert("notes".to_owned(), Arc::new(application));
    }
}

#[tokio::test]
async fn a_refresh_gives_what_is_still_agreed_to_and_no_more() {
    let scene = scene().await;
    let tokens = scene.redeems(&scene.code("openid+email+offline_access").await).await.expect("tokens");
    let first = tokens.refresh_token.expect("a refresh token");
    let tokens = scene.refreshes(first.expose()).await.expect("tokens");
    assert_eq!(tokens.scopes.to_string(), "openid email offline_access");
    let second = tokens.refresh_token.expect("a refresh token");
    scene.agrees_to(&["openid", "offline_access"]).await;
    let tokens = scene.refreshes(second.expose()).await.expect("tokens");
    assert_eq!(tokens.scopes.to_string(), "openid offline_access");
    let third = tokens.refresh_token.expect("a refresh token");
    // Nothing is left of it: nothing is given, and nothing is rotated.
    let known = scene.agreed().await;
    for left in [None, Some(ConsentRecord { scopes: vec!["phone".to_owned()], ..known.clone() })] {
        scene.gateway.directory.end_consent(&known.consent_id).await.expect("ended");
        if let Some(left) = left {
            scene.gateway.directory.put_consent(&left).await.expect("written");
        }
        assert_eq!(scene.refreshes(third.expose()).await.map(drop), Err(ErrorKind::InvalidGrant));
    }
    scene.agrees_to(&["openid", "offline_access"]).await;
    assert!(scene.refreshes(third.expose()).await.is_ok());
}

#[tokio::test]
async fn scopes_that_a_script_has_withheld_from_the_question_are_not_given_when_it_is_gone() {
    let scene = scene().await;
    let code = scene.code("openid+offline_access").await;
    // The script of that login had taken `phone` away; the family keeps what was asked.
    let parsed = crate::oidc::AuthorizationCode::parse(&code).expect("a code");
    let key = crate::login::CodeGrant::key(parsed.grant_id(), &parsed.digest());
    let found = scene.gateway.sessions.get_many(std::slice::from_ref(&key)).await.expect("read").remove(0).expect("there");
    let mut grant: Value = serde_json::from_slice(&found).expect("JSON");
    grant["unscripted_scopes"] = serde_json::json!(["openid", "phone", "offline_access"]);
    scene.gateway.sessions.commit(vec![Op::Put { key, value: encode(&grant).expect("JSON"), ttl: 60 }]).await.expect("written");
    let tokens = scene.redeems(&code).await.expect("tokens");
    let refreshed = scene.refreshes(tokens.refresh_token.expect("one").expose()).await.expect("tokens");
    assert_eq!(refreshed.scopes.to_string(), "openid offline_access");
}

#[tokio::test]
async fn the_operators_own_applications_refresh_without_a_consent() {
    let mut scene = scene().await;
    let tokens = scene.redeems(&scene.code("openid+offline_access").await).await.expect("tokens");
    let known = scene.agreed().await;
    scene.gateway.directory.end_consent(&known.consent_id).await.expect("ended");
    with_client(&mut scene.gateway, |client| client.first_party = true);
    assert!(scene.refreshes(tokens.refresh_token.expect("one").expose()).await.is_ok());
}

#[tokio::test]
async fn the_question_says_what_is_given_without_a_scope_or_by_another_one() {
    let mut scene = scene().await;
    with_client(&mut scene.gateway, |client| client.scopes = Some(vec!["openid".into(), "profile".into(), "hr".into()]));
    scene.maps(
        "[[row]]\nrelease = \"name\"\nfrom = [\"name\"]\nscope = \"profile\"\n\
         [[row]]\nrelease = \"email\"\nfrom = [\"email\"]\nscope = \"profile\"\n\
         [[row]]\nrelease = \"department\"\nfrom = [\"custom_fields.department\"]\n\
         [[row]]\nrelease = \"salary\"\nfrom = [\"custom_fields.salary\"]\nscope = \"hr\"\n\
         [[row]]\nrelease = \"sid\"\nfrom = [\"name\"]\n\
         [[row]]\nrelease = \"custom_*\"\nfrom = [\"custom_fields.*\"]\nscope = \"hr\"\n",
    );
    let of = async |more: &str| question(scene.asks_at(CALLBACK, more).await).claims;
    assert_eq!(of("scope=openid").await, ["department"]);
    assert_eq!(of("scope=openid+profile").await, ["department", "email"]);
    assert_eq!(of("scope=openid+hr").await, ["custom_*", "department", "salary"]);
    // By name; what only the client says is no part of it.
    let claims = json_claims(&["salary", "custom_iban", "Your \u{202e}bank\n", "birthdate", "phone_number"]);
    assert_eq!(of(&format!("scope=openid&claims={claims}")).await, ["custom_*", "department", "salary"]);
    // Once agreed to, it is asked again when the table gives more.
    scene.allows(&question(scene.asks_at(CALLBACK, "scope=openid").await)).await;
    assert!(redirect(scene.asks_at(CALLBACK, "scope=openid").await).contains("code="));
    scene.maps(
        "[[row]]\nrelease = \"department\"\nfrom = [\"custom_fields.department\"]\n[[row]]\nrelease = \"room\"\nfrom = [\"custom_fields.room\"]\n",
    );
    assert_eq!(question(scene.asks_at(CALLBACK, "scope=openid").await).claims, ["department", "room"]);
}

fn json_claims(names: &[&str]) -> String {
    let members = names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    encoded(&serde_json::json!({ "userinfo": Value::Object(members) }).to_string())
}

#[tokio::test]
async fn a_native_application_is_asked_about_each_time() {
    let mut scene = scene().await;
    let own = ["com.example.notes:/cb", "http://127.0.0.1/cb", "http://[::1]/cb", "https://localhost/cb"];
    with_client(&mut scene.gateway, |client| client.redirect_uris = own.into_iter().chain([CALLBACK]).map(str::to_owned).collect());
    // An https address is somebody's.
    scene.allows(&question(scene.asks_at(CALLBACK, "scope=openid").await)).await;
    assert!(redirect(scene.asks_at(CALLBACK, "scope=openid").await).contains("code="));
    for address in own {
        for _ in 0..2 {
            let asked = question(scene.asks_at(address, "scope=openid").await);
            assert!(scene.allows(&asked).await.contains("code="), "{address}");
        }
        let silent = redirect(scene.asks_at(address, "scope=openid&prompt=none").await);
        assert!(silent.contains("error=consent_required"), "{silent}");
    }
    // Whoever proves who they are, and the operator's own.
    for change in [
        |client: &mut ClientFacts| client.token_endpoint_auth_method = TokenEndpointAuthMethod::ClientSecretPost,
        |client: &mut ClientFacts| {
            client.token_endpoint_auth_method = TokenEndpointAuthMethod::None;
            client.first_party = true;
        },
    ] {
        with_client(&mut scene.gateway, change);
        assert!(redirect(scene.asks_at(own[0], "scope=openid").await).contains("code="));
    }
}

#[tokio::test]
async fn a_code_is_worth_nothing_after_a_withdrawal() {
    let scene = scene().await;
    let code = scene.code("openid").await;
    scene.gateway.withdraw_consents_of(&scene.user_id, Timestamp::now()).await.expect("withdrawn");
    assert_eq!(scene.redeems(&code).await.map(drop), Err(ErrorKind::InvalidGrant));
}

#[tokio::test]
async fn a_device_that_waits_gets_nothing_after_a_withdrawal() {
    let mut scene = scene().await;
    with_client(&mut scene.gateway, |client| client.grant_types.push(GrantType::DeviceCode));
    for withdrawn in [false, true] {
        let body = crate::oidc::testing::params(&[("client_id", "notes"), ("scope", "openid")]);
        let proof = ClientProof { authorization: None, body: &body, certificate: None, endpoint: "/oauth/device/code", address: None };
        let started = scene.gateway.begin_device(proof, "device", Timestamp::now()).await.expect("started");
        let started: Value = serde_json::from_str(&started.to_json()).expect("JSON");
        let text = |name: &str| started[name].as_str().expect("a text").to_owned();
        let typed = async |csrf: Option<&str>| {
            let code = text("user_code");
            let typed = crate::broker::device::Typed { user_code: Some(&code), csrf, address: None };
            scene.gateway.activate(typed, &scene.browser, "c", Timestamp::now()).await.answer
        };
        let Answer::EnterCode(page) = typed(None).await else { panic!("not the page for codes") };
        let asked = question(typed(Some(&page.csrf)).await);
        scene.choose(&asked, ConsentChoice::Allow).await;
        if withdrawn {
            scene.gateway.withdraw_consents_of(&scene.user_id, Timestamp::now()).await.expect("withdrawn");
        }
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let polled = scene.posts(&format!("grant_type={grant}&client_id=notes&device_code={}", text("device_code"))).await;
        assert_eq!(polled.map(drop), if withdrawn { Err(ErrorKind::InvalidGrant) } else { Ok(()) });
    }
}

#[tokio::test]
async fn a_withdrawal_that_failed_half_way_can_be_repeated() {
    let mut scene = scene().await;
    let tokens = scene.redeems(&scene.code("openid+offline_access").await).await.expect("tokens");
    let nobody = crate::store::open_sessions("redis://127.0.0.1:1/").expect("an address");
    let sessions = std::mem::replace(&mut scene.gateway.sessions, nobody);
    let failed = scene.gateway.withdraw_consents_of(&scene.user_id, Timestamp::now()).await.expect_err("no store");
    assert_eq!(failed.kind, ErrorKind::StoreUnavailable);
    scene.gateway.sessions = sessions;
    scene.agreed().await;
    scene.gateway.withdraw_consents_of(&scene.user_id, Timestamp::now()).await.expect("withdrawn");
    assert_eq!(scene.gateway.directory.consent(&scene.user_id, "notes", "").await.expect("read"), None);
    assert_eq!(scene.refreshes(tokens.refresh_token.expect("one").expose()).await.map(drop), Err(ErrorKind::InvalidGrant));
}
