//! Use cases over embedded stores: what single functions cannot show.

use super::begin::{Arrival, Incoming};
use super::possession::Shown;
use super::token::TokenCall;
use super::*;
use crate::application::ProfileUse;
use crate::connection::outbound::download::Reach;
use crate::login::{AccessToken, Dialects, TimeBy, UpstreamSession};
use crate::oidc;
use crate::oidc::bearer::{PresentedToken, Scheme};
use crate::oidc::{ClientFacts, GrantType, RefreshToken, Scopes, SigningAlg, TokenEndpointAuthMethod};
use crate::profile::dialect::Dialect;
use crate::profile::{Direction, MappingLibrary, Written};
use crate::store::{IdentityLogin, Op, Recorded, RefreshFamily, Rotation, open_directory, open_sessions};
use crate::user::Identity;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub(super) const CALLBACK: &str = "https://notes.example/callback";

struct Silent;

impl Events for Silent {
    fn login(&self, _: &str, _: &str) {}

    fn metadata(&self, _of: &Owner, _outcome: &str) {}
}

/// A gateway with one public application and no connection.
pub(super) async fn gateway() -> Gateway {
    gateway_with(ProfileUse::default()).await
}

async fn gateway_with(profile: ProfileUse) -> Gateway {
    let certs = tempfile::tempdir().expect("a directory");
    let keyring = Arc::new(Keyring::open_or_create(certs.path()).expect("keys"));
    let application = Application {
        client_id: "notes".to_owned(),
        name: "Notes".to_owned(),
        enabled: true,
        connections: None,
        mapping: MappingLibrary::built_in().table("oidc", Direction::FromProfile).expect("built in"),
        profile,
        oidc: Some(ClientFacts {
            redirect_uris: vec![CALLBACK.to_owned()],
            token_endpoint_auth_method: TokenEndpointAuthMethod::None,
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            ..ClientFacts::public("notes")
        }),
        saml: None,
        by_metadata: None,
    };
    let directory = open_directory("sqlite::memory:").await.expect("a directory");
    Gateway {
        admin: Admin::new(Arc::clone(&directory), Arc::clone(&keyring), [], Vec::new()),
        issuer: "https://login.example.org".to_owned(),
        service_providers: HashMap::new(),
        applications: Arc::new(HashMap::from([("notes".to_owned(), Arc::new(application))])),
        feeds: Arc::default(),
        living: Arc::default(),
        approvals: Arc::default(),
        connections: Registry::default(),
        sessions: open_sessions("memory:").expect("sessions"),
        keys: Arc::new(OidcKeys::new(&keyring).expect("keys")),
        resource_servers: HashMap::new(),
        client_grants: HashMap::new(),
        scripts: Arc::default(),
        host: Arc::new(Host::new(1, Arc::new(crate::connection::outbound::NoFetch))),
        keyring,
        documents: Arc::new(Documents::new(Reach::Everything).expect("a client")),
        lifetimes: Lifetimes::default(),
        gigya: None,
        possession: PossessionSettings::default(),
        failures: Arc::default(),
        tries: Arc::default(),
        mailer: Arc::default(),
        registration: Arc::default(),
        events: Arc::new(Silent),
        log: events::log_of(Arc::clone(&directory)).0,
        directory,
    }
}

/// Changes what is registered of the one client.
pub(super) fn with_client(gateway: &mut Gateway, change: impl FnOnce(&mut ClientFacts)) {
    with_named_client(gateway, "notes", change);
}

pub(super) fn with_named_client(gateway: &mut Gateway, client_id: &str, change: impl FnOnce(&mut ClientFacts)) {
    let applications = Arc::get_mut(&mut gateway.applications).expect("nobody else has them");
    let application = applications.remove(client_id).expect("registered");
    let mut application = Arc::into_inner(application).expect("nobody else has it");
    change(application.oidc.as_mut().expect("a client"));
    applications.insert(client_id.to_owned(), Arc::new(application));
}

/// Another application, whose client authenticates by a secret in the form.
pub(super) fn second_client(gateway: &mut Gateway, client_id: &str, secret: &str) {
    let client = ClientFacts {
        token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretPost,
        secret_digests: vec![id::digest(secret)],
        ..ClientFacts::public(client_id)
    };
    let application = Application {
        client_id: client_id.to_owned(),
        name: client_id.to_owned(),
        enabled: true,
        connections: None,
        mapping: MappingLibrary::built_in().table("oidc", Direction::FromProfile).expect("built in"),
        profile: ProfileUse::default(),
        oidc: Some(client),
        saml: None,
        by_metadata: None,
    };
    let applications = Arc::get_mut(&mut gateway.applications).expect("nobody else has them");
    applications.insert(client_id.to_owned(), Arc::new(application));
}

/// A request to the token endpoint with a body alone.
pub(super) fn call<'a>(body: &'a [u8], shown: &'a Shown) -> TokenCall<'a> {
    TokenCall { authorization: None, body, shown, caller: None, correlation_id: "c" }
}

pub(super) async fn jane(gateway: &Gateway) -> (String, Identity) {
    let identity = Identity { connection: "acme".into(), provider: "samlp".into(), user_id: "jane".into(), is_social: false };
    let profile = Written::object(&Map::new()).expect("JSON");
    let login = IdentityLogin::plain(&identity, profile.as_raw(), Timestamp::now());
    let Recorded::Login(login) = gateway.directory.record_login(&login).await.expect("recorded") else { panic!("nobody else is there") };
    (login.user_id, identity)
}

/// An application that was written for the whole profile.
const LEGACY: ProfileUse = ProfileUse { legacy_profile: true, dialect: Dialect::Auth0, stale_profile_max: None, reads_sealed: false };

#[tokio::test]
async fn s4_16_an_access_token_is_good_until_its_last_second() {
    let (gateway, now) = (gateway_with(LEGACY).await, Timestamp::now());
    let token = oidc::AccessToken::issue(&id::random_id()).expect("issued");
    let body = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
    let record = AccessToken {
        userinfo: body("{}"),
        dialects: Some(Dialects { auth0: body(r#"{"sub":"jane"}"#), gigya: body("{}"), logto: body("{}") }),
        ..AccessToken::of_program("notes", Scopes::parse("openid").expect("scopes"), "c", now, now.plus_seconds(600))
    };
    let key = AccessToken::key(token.grant_id(), &token.digest());
    let presented = PresentedToken { token, scheme: Scheme::Bearer };
    // The store keeps it longer than it is good for, as a store may.
    gateway.sessions.commit(vec![Op::Put { key, value: encode(&record).expect("JSON"), ttl: 6000 }]).await.expect("written");
    assert_eq!(gateway.userinfo(&presented, &Shown::default(), None, now.plus_seconds(599)).await.expect("told").body, r#"{"sub":"jane"}"#);
    let refused = gateway.userinfo(&presented, &Shown::default(), None, now.plus_seconds(600)).await.expect_err("expired");
    assert_eq!((refused.kind, refused.kind.wire().status), (ErrorKind::InvalidToken, 401));
}

#[tokio::test]
async fn s4_17_an_id_token_is_good_until_its_last_second() {
    let (gateway, now) = (gateway_with(LEGACY).await, Timestamp::now());
    let (user_id, _) = jane(&gateway).await;
    let claims = oidc::claims::IdTokenClaims {
        issuer: &gateway.issuer,
        subject: &user_id,
        audience: "notes",
        issued_at: now,
        expires_at: Timestamp::from_seconds(now.seconds() + 600),
        auth_time: None,
        nonce: None,
        acr: None,
        amr: &[],
        azp: None,
        at_hash: None,
        c_hash: None,
        s_hash: None,
        sid: None,
    };
    let id_token = gateway.keys.signer(SigningAlg::RS256).expect("a key").sign(&claims.to_map(&Map::new())).expect("signed");
    let told = gateway.token_info(&id_token, None, Timestamp::from_seconds(now.seconds() + 599)).await.expect("told");
    assert!(told.contains("\"user_id\":\"samlp|acme|jane\""), "{told}");
    let refused = gateway.token_info(&id_token, None, Timestamp::from_seconds(now.seconds() + 600)).await.expect_err("expired");
    assert_eq!((refused.kind, refused.kind.wire().status), (ErrorKind::InvalidToken, 401));
}

#[tokio::test]
async fn a_refresh_token_of_a_revoked_grant_is_refused_and_not_rotated() {
    let (gateway, now) = (gateway().await, Timestamp::now());
    let (user_id, _) = jane(&gateway).await;
    let grant_id = id::random_id();
    // A code that is presented twice at once: the revocation finds no family yet.
    gateway.revoke_grant(&grant_id).await.expect("revoked");
    let family = RefreshFamily {
        grant_id: grant_id.clone(),
        client_id: "notes".into(),
        user_id,
        generation: 0,
        created_at: now,
        rotated_at: now,
        expires_at: now.plus_seconds(600),
        data: r#"{"connection":"acme","sid":"s","scopes":["openid"],"auth_time":0,"acr":null,"correlation_id":"c"}"#.into(),
    };
    gateway.directory.put_family(&family).await.expect("made");
    let token = RefreshToken::issue(&grant_id, 0, None, gateway.keyring.sealer()).expect("issued");
    let body = format!("client_id=notes&grant_type=refresh_token&refresh_token={}", token.expose());
    let refusal = gateway.token(call(body.as_bytes(), &Shown::default()), now).await.expect_err("refused");
    assert_eq!((refusal.error.kind, refusal.error.detail.as_str()), (ErrorKind::InvalidGrant, "the refresh token is not valid"));
    // Revoked in the directory too now, where nothing is ever evicted.
    let mark = AccessToken::revocation_key(&grant_id);
    gateway.sessions.commit(vec![Op::Delete { key: mark }]).await.expect("deleted");
    assert_eq!(gateway.directory.rotate_family(&grant_id, "notes", 0, now, 10).await.expect("an answer"), Rotation::Refused);
}

#[tokio::test]
async fn a_session_ends_with_its_user() {
    let gateway = gateway().await;
    let (user_id, identity) = jane(&gateway).await;
    let now = Timestamp::now();
    let session = Session {
        sid: "sid".into(),
        user_id: user_id.clone(),
        identity,
        profile: Written::object(&Map::from_iter([("name".to_owned(), Value::from("Jane"))])).expect("JSON"),
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
    assert!(gateway.standing(&session).await.expect("read").is_some());
    gateway.directory.set_blocked(&user_id, true).await.expect("blocked");
    assert!(gateway.standing(&session).await.expect("read").is_none());
    gateway.directory.set_blocked(&user_id, false).await.expect("unblocked");
    assert!(gateway.standing(&session).await.expect("read").is_some());
    // Everything is ended: what no list has any more, too, and nothing that comes later.
    gateway.end_everything_of(&user_id, now.plus_seconds(1)).await.expect("ended");
    assert!(gateway.standing(&session).await.expect("read").is_none());
    let later = Session { created_at: now.plus_seconds(2), ..session.clone() };
    assert!(gateway.standing(&later).await.expect("read").is_some());
    assert!(
        gateway.ended_after(&user_id, now).await.expect("read") && !gateway.ended_after(&user_id, now.plus_seconds(1)).await.expect("read")
    );
    gateway.directory.delete_user(&user_id).await.expect("deleted");
    assert!(gateway.standing(&session).await.expect("read").is_none());
    // Who signs in again is a new user under the same id; the sessions of the former one are not theirs.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    jane(&gateway).await;
    assert!(gateway.standing(&session).await.expect("read").is_none());
    let session = Session { created_at: Timestamp::now().plus_seconds(2), ..session };
    assert!(gateway.standing(&session).await.expect("read").is_some());
}

#[tokio::test]
async fn a_post_without_the_session_cookie_is_sent_again_as_get() {
    let (gateway, now) = (gateway().await, Timestamp::now());
    let raw = format!("client_id=notes&redirect_uri={CALLBACK}&response_type=code&scope=openid");
    // Over https the binding cookie comes with a POST of another site, the session cookie does not.
    let browser = Browser { binding: Some(id::random_token()), session: None, ..Browser::default() };
    let incoming = |arrival| Incoming { raw: raw.as_bytes(), arrival, pushed_only: false };
    let outcome = gateway.authorize(incoming(Arrival::Post), &browser, "c", now).await;
    assert!(matches!(outcome.answer, Answer::SeeSelf), "{:?}", outcome.answer);
    let outcome = gateway.authorize(incoming(Arrival::Get), &browser, "c", now).await;
    assert!(matches!(outcome.answer, Answer::Reply(_)), "{:?}", outcome.answer);
}
