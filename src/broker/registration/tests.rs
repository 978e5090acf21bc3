//! The use cases against a real directory; the endpoints are tested from outside.

use super::*;
use crate::config;
use crate::http::state::State;
use crate::keys::{KeyKind, Keyring, PrivateKey};
use crate::oidc::{IdTokenSigner, PublicKeys, SigningAlg};
use crate::startup;
use crate::store::{open_directory, open_sessions};
use actix_web::web::Data;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct World {
    state: Data<State>,
    /// Files live as long as it does.
    _place: TempDir,
}

impl World {
    async fn new(registration: &str) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("isthmus.toml");
        let text = format!("issuer = \"https://login.example.org\"\n[registration]\n{registration}\n");
        std::fs::write(&path, text).expect("written");
        let config = config::load(&path).unwrap_or_else(|findings| panic!("{findings:?}"));
        let keyring = Keyring::open_or_create(&place.path().join("certs")).expect("keys");
        let directory = open_directory("sqlite::memory:").await.expect("a directory");
        let (state, _) = startup::state(config.into_parts(keyring, open_sessions("memory:").expect("sessions"), directory)).expect("wired");
        Self { state, _place: place }
    }

    fn live(&self) -> &Live {
        &self.state.live
    }

    async fn register(&self, said: Value, now: Timestamp) -> Result<Body> {
        register(self.live(), said.as_object().expect("an object"), asking(None, now)).await
    }

    async fn initial(&self, uses: u64, ends: Timestamp) -> String {
        let by = By { actor: "cli:jane", correlation_id: "c" };
        issue_initial_token(self.live(), (uses, Some(ends), "for tests"), by, START).await.expect("issued").expose().clone()
    }
}

fn asking(token: Option<&str>, now: Timestamp) -> Asking<'_> {
    Asking { token, address: IpAddr::from([192, 0, 2, 1]), correlation_id: "c", now }
}

fn text(body: &Body, name: &str) -> String {
    body.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {body:?}")).to_owned()
}

fn app() -> Value {
    json!({ "redirect_uris": ["https://app.example/cb"], "client_name": "App", "contacts": ["ops@app.example"], "client_name#de": "Anwendung" })
}

#[tokio::test]
async fn nobody_registers_where_it_is_off() {
    let world = World::new("").await;
    assert_eq!(world.register(app(), START).await.expect_err("off").kind, ErrorKind::NotFound);
    assert_eq!(read(world.live(), "x", asking(Some("t"), START)).await.expect_err("off").kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_client_is_registered_read_changed_and_deleted() {
    let world = World::new("mode = \"open\"").await;
    let told = world.register(app(), START).await.expect("registered");
    let (client_id, token, secret) = (text(&told, "client_id"), text(&told, "registration_access_token"), text(&told, "client_secret"));
    assert_eq!(text(&told, "registration_client_uri"), format!("https://login.example.org/oidc/register/{client_id}"));
    assert_eq!((&told["client_secret_expires_at"], &told["client_id_issued_at"]), (&json!(0), &json!(START.seconds())));
    for (name, value) in [
        ("client_name", json!("App")),
        ("client_name#de", json!("Anwendung")),
        ("contacts", json!(["ops@app.example"])),
        ("grant_types", json!(["authorization_code"])),
        ("response_types", json!(["code"])),
        ("application_type", json!("web")),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    let application = world.live().gateway().application(&client_id).cloned().expect("served at once");
    let facts = application.oidc.as_ref().expect("a client");
    assert!(!facts.first_party && facts.needs_pkce() && facts.secret_digests == [id::digest(&secret)]);
    assert_eq!(facts.self_registered.map(|registered| (registered.at, registered.used)), Some((START, false)));
    // Nothing that could be used is kept in the clear.
    let stored = objects::read(&world.live().gateway(), &CLIENT, &client_id).await.expect("read").expect("there").body;
    let stored = Value::Object(stored).to_string();
    assert!(!stored.contains(&secret) && !stored.contains(&token), "{stored}");

    let shown = read(world.live(), &client_id, asking(Some(&token), START)).await.expect("read");
    assert!(!shown.contains_key("client_secret") && shown["redirect_uris"] == told["redirect_uris"]);
    for wrong in [None, Some(""), Some("x"), Some(secret.as_str())] {
        assert_eq!(read(world.live(), &client_id, asking(wrong, START)).await.expect_err("refused").kind, ErrorKind::InvalidToken);
        assert_eq!(remove(world.live(), &client_id, asking(wrong, START)).await.expect_err("refused").kind, ErrorKind::InvalidToken);
    }
    assert_eq!(read(world.live(), "unknown", asking(Some(&token), START)).await.expect_err("refused").kind, ErrorKind::InvalidToken);

    // What is not said any more is gone; the secret stays; the token is another one.
    let said = json!({ "client_id": client_id, "client_secret": secret, "redirect_uris": ["https://app.example/other"] });
    let changed = replace(world.live(), &client_id, said.as_object().expect("one"), asking(Some(&token), START)).await.expect("changed");
    assert!(!changed.contains_key("client_secret") && !changed.contains_key("client_name") && !changed.contains_key("contacts"));
    assert_eq!(changed["redirect_uris"], json!(["https://app.example/other"]));
    let next = text(&changed, "registration_access_token");
    assert_ne!(next, token);
    let late = START.plus_seconds(i64::try_from(GRACE).expect("small"));
    assert!(read(world.live(), &client_id, asking(Some(&token), late.plus_seconds(-1))).await.is_ok(), "the answer may have been lost");
    assert!(read(world.live(), &client_id, asking(Some(&token), late)).await.is_err());
    assert!(read(world.live(), &client_id, asking(Some(&next), late)).await.is_ok());

    remove(world.live(), &client_id, asking(Some(&next), late)).await.expect("deleted");
    assert!(world.live().gateway().application(&client_id).is_none());
    assert_eq!(read(world.live(), &client_id, asking(Some(&next), late)).await.expect_err("gone").kind, ErrorKind::InvalidToken);
}

#[tokio::test]
async fn a_change_names_the_client_and_says_nothing_that_is_ours_to_say() {
    let world = World::new("mode = \"open\"").await;
    let told = world.register(app(), START).await.expect("registered");
    let (client_id, token) = (text(&told, "client_id"), text(&told, "registration_access_token"));
    for (changes, member) in [
        (json!({ "client_id": "other" }), "client_id"),
        (json!({ "client_id": null }), "client_id"),
        (json!({ "client_secret": "one-that-i-have-chosen-myself" }), "client_secret"),
        (json!({ "registration_access_token": "x" }), "registration_access_token"),
        (json!({ "client_id_issued_at": 1 }), "client_id_issued_at"),
    ] {
        let mut said = app().as_object().cloned().expect("one");
        said.insert("client_id".to_owned(), client_id.clone().into());
        said.extend(changes.as_object().cloned().expect("one"));
        let error = replace(world.live(), &client_id, &said, asking(Some(&token), START)).await.expect_err(member);
        assert!(error.kind == ErrorKind::InvalidClientMetadata && error.detail.starts_with(&format!("{member}: ")), "{}", error.detail);
    }
}

/// Everything that comes back is what was said.
#[tokio::test]
async fn everything_that_is_registered_is_told() {
    let world = World::new("mode = \"open\"").await;
    let said = json!({
        "redirect_uris": ["https://app.example/cb"], "post_logout_redirect_uris": ["https://app.example/bye"],
        "logo_uri": "https://app.example/logo.png", "client_uri": "https://app.example/", "policy_uri": "https://app.example/policy",
        "tos_uri": "https://app.example/tos", "tos_uri#de": "https://app.example/agb", "contacts": ["ops@app.example"],
        "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "kid": "1"}]},
        "subject_type": "pairwise", "id_token_signed_response_alg": "ES256", "default_max_age": 600, "require_auth_time": true,
        "default_acr_values": ["mfa"], "initiate_login_uri": "https://app.example/start", "request_uris": ["https://app.example/r#x"],
        "scope": "openid email", "software_id": "s", "software_version": "2", "require_pushed_authorization_requests": false,
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "application_type": "web",
        "token_endpoint_auth_method": "client_secret_post", "backchannel_logout_uri": "https://app.example/told",
        "backchannel_logout_session_required": true, "frontchannel_logout_uri": "https://app.example/frame",
        "frontchannel_logout_session_required": true, "userinfo_signed_response_alg": "RS256", "client_name": "App",
    });
    let told = world.register(said.clone(), START).await.expect("registered");
    for (name, value) in said.as_object().expect("one") {
        assert_eq!(told.get(name), Some(value), "{name}");
    }
    let application = world.live().gateway().application(&text(&told, "client_id")).cloned().expect("served");
    let facts = application.oidc.as_ref().expect("a client");
    assert_eq!(facts.sector_identifier.as_deref(), Some("app.example"));
    assert_eq!(facts.scopes.as_deref(), Some(&["openid".to_owned(), "email".to_owned()][..]));
    assert_eq!((facts.default_max_age, facts.require_auth_time), (Some(600), true));
    assert_eq!(facts.backchannel_logout_uri.as_deref(), Some("https://app.example/told"));
}

#[tokio::test]
async fn what_the_configuration_would_refuse_is_refused_by_the_name_of_the_member() {
    let world = World::new("mode = \"open\"").await;
    for (changes, kind, start) in [
        (json!({"redirect_uris": ["http://app.example/cb"]}), ErrorKind::InvalidRegisteredUri, "redirect_uris: "),
        (json!({"id_token_signed_response_alg": "RS1"}), ErrorKind::InvalidClientMetadata, "id_token_signed_response_alg: "),
        (json!({"token_endpoint_auth_method": "password"}), ErrorKind::InvalidClientMetadata, "token_endpoint_auth_method: "),
        (json!({"grant_types": ["authorization_code", "password"]}), ErrorKind::InvalidClientMetadata, "grant_types: "),
        (json!({"subject_type": "secret"}), ErrorKind::InvalidClientMetadata, "subject_type: "),
        (json!({"userinfo_signed_response_alg": "HS256"}), ErrorKind::InvalidClientMetadata, "userinfo_signed_response_alg: "),
        (json!({"userinfo_encrypted_response_enc": "A128GCM"}), ErrorKind::InvalidClientMetadata, "userinfo_encrypted_response_enc: "),
        (json!({"id_token_encrypted_response_alg": "RSA-OAEP-256"}), ErrorKind::InvalidClientMetadata, "id_token_encrypted_response_alg: "),
        (json!({"jwks": {"keys": [{"kty": "EC", "d": "x"}]}}), ErrorKind::InvalidClientMetadata, "jwks: "),
        (
            json!({"subject_type": "pairwise", "redirect_uris": ["https://a.example/", "https://b.example/"]}),
            ErrorKind::InvalidClientMetadata,
            "subject_type: ",
        ),
        (json!({"tls_client_auth_subject_dn": "CN=a"}), ErrorKind::InvalidClientMetadata, "tls_client_auth_subject_dn: "),
        (json!({"sector_identifier_uri": "https://app.invalid/s"}), ErrorKind::InvalidClientMetadata, "sector_identifier_uri: "),
    ] {
        let mut said = app().as_object().cloned().expect("one");
        said.extend(changes.as_object().cloned().expect("one"));
        let error = world.register(said.into(), START).await.expect_err(start);
        assert!(error.kind == kind && error.detail.starts_with(start), "{start} {:?} {}", error.kind, error.detail);
    }
    assert!(objects::all(&world.live().gateway(), &CLIENT, 10).await.expect("read").is_empty());
}

#[tokio::test]
async fn what_is_said_of_assertions_by_clients_that_make_none_is_left_out() {
    let world = World::new("mode = \"open\"").await;
    for (method, alg, told) in
        [("client_secret_basic", "RS256", None), ("none", "ES256", None), ("client_secret_jwt", "HS512", Some("HS512"))]
    {
        let mut said = app();
        said["token_endpoint_auth_method"] = method.into();
        said["token_endpoint_auth_signing_alg"] = alg.into();
        let registered = world.register(said, START).await.expect("registered");
        let kept = registered.get("token_endpoint_auth_signing_alg").and_then(Value::as_str);
        assert_eq!(kept, told, "{method}");
    }
    let mut said = app();
    said["token_endpoint_auth_method"] = "client_secret_jwt".into();
    said["token_endpoint_auth_signing_alg"] = "RS256".into();
    assert!(world.register(said, START).await.is_err(), "a secret makes no such signature");
}

#[tokio::test]
async fn an_initial_access_token_is_good_for_so_many_clients_and_so_long() {
    let world = World::new("mode = \"initial_access_token\"").await;
    let end = START.plus_seconds(60);
    let token = world.initial(2, end).await;
    let said = app();
    let said = said.as_object().expect("one");
    for wrong in [None, Some(""), Some("x")] {
        assert_eq!(register(world.live(), said, asking(wrong, START)).await.expect_err("refused").kind, ErrorKind::InvalidToken);
    }
    // What is refused for another reason costs nothing.
    let bad = json!({ "redirect_uris": [] });
    assert!(register(world.live(), bad.as_object().expect("one"), asking(Some(&token), START)).await.is_err());
    assert!(register(world.live(), said, asking(Some(&token), START)).await.is_ok());
    assert_eq!(register(world.live(), said, asking(Some(&token), end)).await.expect_err("over").kind, ErrorKind::InvalidToken);
    assert!(register(world.live(), said, asking(Some(&token), START)).await.is_ok());
    assert_eq!(register(world.live(), said, asking(Some(&token), START)).await.expect_err("used up").kind, ErrorKind::InvalidToken);
    let stored = objects::all(&world.live().gateway(), &kinds::REGISTRATION_TOKEN, 10).await.expect("read");
    assert!(stored.is_empty(), "{stored:?}");
    // Whoever reads the directory finds no token.
    let other = world.initial(1, end).await;
    let stored = objects::all(&world.live().gateway(), &kinds::REGISTRATION_TOKEN, 10).await.expect("read");
    assert!(stored.iter().all(|object| object.id != other && object.id == id::digest(&other)));
    let listed = initial_tokens(&world.live().gateway(), START).await.expect("listed");
    let by = By { actor: "cli:jane", correlation_id: "c" };
    assert!(revoke_initial_token(world.live(), &listed[0].id, by, START).await.expect("revoked"));
    assert_eq!(register(world.live(), said, asking(Some(&other), START)).await.expect_err("revoked").kind, ErrorKind::InvalidToken);
}

#[tokio::test]
async fn a_token_for_one_client_makes_one_however_many_try_at_once() {
    let world = Arc::new(World::new("mode = \"initial_access_token\"").await);
    let token = world.initial(3, START.plus_seconds(60)).await;
    let tries = (0..8).map(|_| {
        let (world, token) = (Arc::clone(&world), token.clone());
        tokio::spawn(async move { register(world.live(), app().as_object().expect("one"), asking(Some(&token), START)).await.is_ok() })
    });
    let mut good = 0;
    for one in tries.collect::<Vec<_>>() {
        good += usize::from(one.await.expect("whole"));
    }
    assert_eq!(good, 3);
    assert_eq!(objects::all(&world.live().gateway(), &CLIENT, 10).await.expect("read").len(), 3);
}

#[tokio::test]
async fn there_are_so_many_clients_and_so_many_of_one_address() {
    let world = World::new("mode = \"open\"\nmax_clients = 3\nper_hour = 2").await;
    let next_hour = START.plus_seconds(3600);
    assert!(world.register(app(), START).await.is_ok() && world.register(app(), START).await.is_ok());
    assert_eq!(world.register(app(), START).await.expect_err("too often").kind, ErrorKind::TooManyRequests);
    assert!(world.register(app(), next_hour).await.is_ok());
    assert_eq!(world.register(app(), next_hour).await.expect_err("too many").kind, ErrorKind::AccessDenied);
}

#[tokio::test]
async fn who_has_no_token_uses_up_nobodys_number() {
    let world = World::new("mode = \"initial_access_token\"\nper_hour = 1").await;
    let token = world.initial(2, START.plus_seconds(60)).await;
    let said = app();
    let said = said.as_object().expect("one");
    for _ in 0..3 {
        let refused = register(world.live(), said, asking(Some("wrong"), START)).await.expect_err("no token");
        assert_eq!(refused.kind, ErrorKind::InvalidToken);
    }
    assert!(register(world.live(), said, asking(Some(&token), START)).await.is_ok());
    let refused = register(world.live(), said, asking(Some(&token), START)).await.expect_err("too often");
    assert_eq!(refused.kind, ErrorKind::TooManyRequests);
}

#[tokio::test]
async fn who_never_comes_is_forgotten() {
    let world = World::new("mode = \"open\"\nunused_after = 86400").await;
    let (idle, used) = (world.register(app(), START).await.expect("one"), world.register(app(), START).await.expect("two"));
    let (idle, used) = (text(&idle, "client_id"), text(&used, "client_id"));
    world.live().gateway().note_use(&used, START);
    let marked = async || {
        world.live().refresh(START).await.expect("read");
        let gateway = world.live().gateway();
        gateway.application(&used).and_then(|found| found.oidc.as_ref()?.self_registered).is_some_and(|registered| registered.used)
    };
    for _ in 0..200 {
        if marked().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(marked().await);
    let end = START.plus_seconds(86_400);
    forget_unused(world.live(), end).await.expect("looked");
    assert!(world.live().gateway().application(&idle).is_some());
    forget_unused(world.live(), end.plus_seconds(1)).await.expect("looked");
    let gateway = world.live().gateway();
    assert!(gateway.application(&idle).is_none() && gateway.application(&used).is_some());
}

#[tokio::test]
async fn another_way_to_prove_itself_changes_the_secret() {
    let world = World::new("mode = \"open\"").await;
    let told = world.register(json!({"redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none"}), START).await;
    let told = told.expect("registered");
    assert!(!told.contains_key("client_secret") && !told.contains_key("client_secret_expires_at"));
    let client_id = text(&told, "client_id");
    let change = async |method: &str, token: &str| {
        let said = json!({"client_id": client_id, "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": method});
        replace(world.live(), &client_id, said.as_object().expect("one"), asking(Some(token), START)).await.expect("changed")
    };
    let confidential = change("client_secret_post", &text(&told, "registration_access_token")).await;
    let secret = text(&confidential, "client_secret");
    let public = change("none", &text(&confidential, "registration_access_token")).await;
    assert!(!public.contains_key("client_secret_expires_at"));
    let digests =
        |client_id: &str| world.live().gateway().application(client_id).and_then(|found| Some(found.oidc.as_ref()?.secret_digests.clone()));
    assert_eq!(digests(&client_id), Some(Vec::new()));
    let again = change("client_secret_basic", &text(&public, "registration_access_token")).await;
    assert_ne!(text(&again, "client_secret"), secret);
}

#[tokio::test]
async fn what_operators_set_at_a_registered_client_stays() {
    let world = World::new("mode = \"open\"\nrequire_pkce = false").await;
    let told = world.register(app(), START).await.expect("registered");
    let client_id = text(&told, "client_id");
    assert!(!world.live().gateway().application(&client_id).and_then(|found| Some(found.oidc.as_ref()?.needs_pkce())).expect("served"));
    let mut body = objects::read(&world.live().gateway(), &CLIENT, &client_id).await.expect("read").expect("there").body;
    body.insert("isthmus".to_owned(), json!({"enabled": false, "require_pkce": true, "tos_uri": "https://app.example/old"}));
    let by = By { actor: "cli:jane", correlation_id: "c" };
    objects::write(world.live(), &CLIENT, &client_id, body, Expect::Any, by, START).await.expect("written");
    let mut said = app().as_object().cloned().expect("one");
    said.insert("client_id".to_owned(), client_id.clone().into());
    let token = text(&told, "registration_access_token");
    let changed = replace(world.live(), &client_id, &said, asking(Some(&token), START)).await.expect("changed");
    assert!(!changed.contains_key("tos_uri"));
    let gateway = world.live().gateway();
    let application = &gateway.applications[&client_id];
    assert!(!application.enabled && application.oidc.as_ref().expect("a client").needs_pkce());
}

#[tokio::test]
async fn unsigned_objects_are_for_those_who_name_no_algorithm_where_the_operator_allows_it() {
    for (lines, members, unsigned) in [
        ("", json!({}), false),
        ("unsigned_request_objects = true", json!({}), true),
        ("unsigned_request_objects = true", json!({ "request_object_signing_alg": "RS256" }), false),
        (
            "unsigned_request_objects = true",
            json!({ "require_signed_request_object": true, "jwks_uri": "https://app.example/jwks" }),
            false,
        ),
    ] {
        let world = World::new(&format!("mode = \"open\"\n{lines}")).await;
        let mut said = app();
        said.as_object_mut().expect("an object").extend(members.as_object().cloned().expect("members"));
        let told = world.register(said, START).await.expect("registered");
        let gateway = world.live().gateway();
        let client = gateway.application(&text(&told, "client_id")).and_then(|found| found.oidc.clone()).expect("a client");
        assert_eq!(client.request_objects.unsigned, unsigned, "{lines} {members}");
    }
}

#[tokio::test]
async fn what_has_a_place_among_auth0_s_members_is_in_force_and_told() {
    let world = World::new("mode = \"open\"").await;
    let mut said = app();
    let members =
        json!({ "require_signed_request_object": true, "jwks_uri": "https://app.example/jwks", "dpop_bound_access_tokens": true });
    said.as_object_mut().expect("an object").extend(members.as_object().cloned().expect("members"));
    let told = world.register(said, START).await.expect("registered");
    let gateway = world.live().gateway();
    let client = gateway.application(&text(&told, "client_id")).and_then(|found| found.oidc.clone()).expect("a client");
    assert!(client.request_objects.required && client.dpop_bound_access_tokens);
    assert!(members.as_object().expect("members").iter().all(|(name, value)| told.get(name) == Some(value)), "{told:?}");
}

/// A world in which one maker's statements count, and that maker's signer.
async fn with_maker(lines: &str) -> (World, IdTokenSigner) {
    let key = PrivateKey::generate(KeyKind::EcP256).expect("a key");
    let set = PublicKeys::new([(&key, SigningAlg::ES256)]).expect("public").jwks_json().to_owned();
    let text =
        format!("mode = \"open\"\n{lines}\n[[registration.software_statement]]\nissuer = \"https://maker.example\"\njwks = '''{set}'''");
    (World::new(&text).await, IdTokenSigner::new(&key, SigningAlg::ES256).expect("a signer"))
}

fn signed(signer: &IdTokenSigner, claims: Value) -> String {
    signer.sign(claims.as_object().expect("an object")).expect("signed")
}

#[tokio::test]
async fn what_a_software_statement_says_counts_more() {
    let (world, signer) = with_maker("").await;
    let statement = signed(
        &signer,
        json!({"iss": "https://maker.example", "iat": START.seconds(), "client_name": "Theirs", "redirect_uris": ["https://maker.example/cb"]}),
    );
    let mut said = app().as_object().cloned().expect("one");
    said.insert("software_statement".to_owned(), statement.clone().into());
    let told = world.register(said.into(), START).await.expect("registered");
    assert_eq!((text(&told, "client_name"), text(&told, "software_statement")), ("Theirs".to_owned(), statement));
    assert_eq!(told["redirect_uris"], json!(["https://maker.example/cb"]));
    assert_eq!(told["contacts"], json!(["ops@app.example"]));
}

#[tokio::test]
async fn only_statements_of_those_who_are_trusted_count() {
    let (world, signer) = with_maker("software_statement_required = true").await;
    let other = IdTokenSigner::new(&PrivateKey::generate(KeyKind::EcP256).expect("a key"), SigningAlg::ES256).expect("a signer");
    let now = START.seconds();
    let of = |claims: Value| signed(&signer, claims);
    let good = of(json!({"iss": "https://maker.example"}));
    let (message, _) = good.rsplit_once('.').expect("a JWS");
    let unsigned = format!("{}.{}.", "eyJhbGciOiJub25lIn0", message.split_once('.').expect("two").1);
    for (statement, kind) in [
        (Value::Null, ErrorKind::UnapprovedSoftwareStatement),
        (of(json!({"iss": "https://other.example"})).into(), ErrorKind::UnapprovedSoftwareStatement),
        (of(json!({"client_name": "x"})).into(), ErrorKind::InvalidSoftwareStatement),
        (signed(&other, json!({"iss": "https://maker.example"})).into(), ErrorKind::InvalidSoftwareStatement),
        (unsigned.into(), ErrorKind::InvalidSoftwareStatement),
        (json!({"iss": "https://maker.example"}), ErrorKind::InvalidSoftwareStatement),
        ("a.b".into(), ErrorKind::InvalidSoftwareStatement),
        (of(json!({"iss": "https://maker.example", "exp": now - 61})).into(), ErrorKind::InvalidSoftwareStatement),
        (of(json!({"iss": "https://maker.example", "exp": "never"})).into(), ErrorKind::InvalidSoftwareStatement),
        (of(json!({"iss": "https://maker.example", "nbf": now + 61})).into(), ErrorKind::InvalidSoftwareStatement),
        (of(json!({"iss": "https://maker.example", "iat": now + 61})).into(), ErrorKind::InvalidSoftwareStatement),
        (of(json!({"iss": "https://maker.example", "redirect_uris": ["http://maker.example"]})).into(), ErrorKind::InvalidRegisteredUri),
    ] {
        let mut said = app().as_object().cloned().expect("one");
        said.insert("software_statement".to_owned(), statement.clone());
        let error = world.register(said.into(), START).await.expect_err("refused");
        assert_eq!(error.kind, kind, "{statement}: {}", error.detail);
    }
    let mut said = app().as_object().cloned().expect("one");
    said.insert("software_statement".to_owned(), good.into());
    assert!(world.register(said.into(), START).await.is_ok());
}

#[tokio::test]
async fn where_nobody_is_trusted_statements_are_ignored() {
    let world = World::new("mode = \"open\"").await;
    let mut said = app().as_object().cloned().expect("one");
    said.insert("software_statement".to_owned(), "a.b.c".into());
    let told = world.register(said.into(), START).await.expect("registered");
    assert!(!told.contains_key("software_statement"));
}

#[tokio::test]
async fn logins_begin_at_the_registered_address_and_lead_to_registered_ones() {
    let world = World::new("mode = \"open\"").await;
    let said = json!({
        "redirect_uris": ["https://app.example/cb"], "initiate_login_uri": "https://app.example/start?a=b", "client_uri": "https://app.example/home",
    });
    let told = world.register(said, START).await.expect("registered");
    let plain = world.register(app(), START).await.expect("registered");
    let (client_id, plain) = (text(&told, "client_id"), text(&plain, "client_id"));
    let gateway = world.live().gateway();
    let start = |pairs: &[(&str, &str)]| {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        gateway.start(query.as_bytes()).map(|url| url.to_string()).map_err(|error| error.kind)
    };
    let iss = "iss=https%3A%2F%2Flogin.example.org";
    assert_eq!(start(&[("client_id", &client_id)]), Ok(format!("https://app.example/start?a=b&{iss}")));
    assert_eq!(
        start(&[("client_id", &client_id), ("login_hint", "jane@a"), ("target_link_uri", "https://app.example/home")]),
        Ok(format!("https://app.example/start?a=b&{iss}&login_hint=jane%40a&target_link_uri=https%3A%2F%2Fapp.example%2Fhome"))
    );
    for target in
        ["https://evil.example/", "https://app.example/home/", "https://app.example/", "//app.example/home", "javascript:alert(1)"]
    {
        assert_eq!(start(&[("client_id", &client_id), ("target_link_uri", target)]), Err(ErrorKind::InvalidRedirectUri), "{target}");
    }
    for wrong in [plain.as_str(), "unknown"] {
        assert_eq!(start(&[("client_id", wrong)]), Err(ErrorKind::InvalidRedirectUri), "{wrong}");
    }
    assert_eq!(start(&[]), Err(ErrorKind::InvalidRequest));
    assert_eq!(start(&[("client_id", &client_id), ("login_hint", &"x".repeat(256))]), Err(ErrorKind::InvalidRequest));
}

#[tokio::test]
async fn a_secret_that_makes_macs_is_sealed_and_no_other_is_kept() {
    let world = World::new("mode = \"open\"").await;
    let said = |method: &str| json!({"redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": method});
    let told = world.register(said("client_secret_jwt"), START).await.expect("registered");
    let (client_id, secret) = (text(&told, "client_id"), text(&told, "client_secret"));
    let shared = |client_id: &str| {
        let gateway = world.live().gateway();
        gateway.application(client_id).and_then(|found| found.oidc.as_ref()?.shared_secret.clone()).map(|secret| secret.expose().clone())
    };
    assert_eq!(shared(&client_id), Some(secret.clone()));
    // RFC 7518 3.2, for HS512.
    assert!(secret.len() >= 64);
    let stored = async || objects::read(&world.live().gateway(), &CLIENT, &client_id).await.expect("read").expect("there").body;
    assert!(!Value::Object(stored().await).to_string().contains(&secret));
    let change = async |method: &str, token: &str| {
        let mut said = said(method).as_object().cloned().expect("one");
        said.insert("client_id".to_owned(), client_id.clone().into());
        replace(world.live(), &client_id, &said, asking(Some(token), START)).await.expect("changed")
    };
    let kept = change("client_secret_jwt", &text(&told, "registration_access_token")).await;
    assert!(!kept.contains_key("client_secret") && shared(&client_id) == Some(secret.clone()));
    let plain = change("client_secret_basic", &text(&kept, "registration_access_token")).await;
    assert!(!plain.contains_key("client_secret") && shared(&client_id).is_none() && !stored().await.contains_key(kinds::SHARED_SECRET));
    let again = change("client_secret_jwt", &text(&plain, "registration_access_token")).await;
    assert_eq!(shared(&client_id), Some(text(&again, "client_secret")));
}
