//! Modules of the plans RP-Initiated, Back-Channel and Front-Channel Logout and Session Management.

use super::suite::{Client, Key, Outcome, Run, Suite, part, registration, unsigned, verify_rs256};
use crate::harness::browser::{Browser, Page};
use crate::harness::eventually;
use crate::harness::html;
use crate::harness::idp::unique_id;
use crate::harness::web::{Reply, Site};
use crate::logout_support::look;
use serde_json::{Value, json};
use url::Url;

const BYE: &str = "https://suite.example/test/a/isthmus/post_logout_redirect";
/// The suite's `state` is this long, to see that it comes back whole.
const LONG: usize = 128;

/// Somebody is signed in at a client that has registered where browsers go after a logout.
struct SignedIn<'s> {
    run: Run<'s>,
    outcome: Outcome,
    state: String,
}

impl<'s> SignedIn<'s> {
    async fn at(suite: &'s Suite) -> Self {
        let run = suite.run("code", "");
        let outcome = run.whole(&[]).await;
        let state: String = unique_id().repeat(4).chars().take(LONG).collect();
        assert_eq!(state.len(), LONG);
        Self { run, outcome, state }
    }

    /// The usual request to the end session endpoint, and its changes; an empty value takes a parameter away.
    fn url(&self, changes: &[(&str, &str)]) -> Url {
        let usual = [("id_token_hint", self.outcome.id_token()), ("post_logout_redirect_uri", BYE), ("state", &self.state)];
        let kept = usual.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let mut url = self.run.suite.gateway.url("/oidc/logout");
        let all = kept.chain(changes.iter().copied()).filter(|(_, value)| !value.is_empty());
        url.query_pairs_mut().extend_pairs(all);
        url
    }

    /// A page of ours, whatever it says: nobody is sent back.
    async fn page(&self, changes: &[(&str, &str)]) -> Page {
        self.run.browser.open(self.url(changes).as_str()).await.here()
    }

    /// The person is signed out: the next silent request says so.
    async fn assert_out(&self) {
        assert_eq!(self.run.error(&self.run.silently(&[("prompt", "none")]).await), "login_required");
    }

    async fn assert_in(&self) {
        assert_eq!(self.run.silently(&[("prompt", "none")]).await.parameter("error"), None);
    }

    /// The way back, with the state and nothing else.
    fn assert_back(&self, url: &Url, state: Option<&str>) {
        let (place, pairs): (_, Vec<_>) = (url.as_str().split('?').next(), url.query_pairs().into_owned().collect());
        assert_eq!(place, Some(BYE));
        assert_eq!(pairs, state.map(|state| ("state".to_owned(), state.to_owned())).into_iter().collect::<Vec<_>>());
    }
}

async fn suite(members: &Value) -> Suite {
    let mut all = json!({ "token_endpoint_auth_method": "client_secret_basic", "post_logout_redirect_uris": [BYE] });
    all.as_object_mut().expect("an object").extend(members.as_object().expect("members").clone());
    Suite::dynamic(&all).await
}

/// What discovery must say of logout.
async fn discovered(members: &[&str]) {
    let suite = Suite::with("", |setup| crate::harness::gateway::Setup { top: "session_management = true".to_owned(), ..setup }).await;
    let discovery = suite.discovery().await;
    for name in members {
        let good =
            discovery[*name] == true || discovery[*name].as_str().is_some_and(|address| address.starts_with(&suite.gateway.issuer()));
        assert!(good, "{name}: {discovery}");
    }
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_discovery_endpoint_verification() {
    discovered(&["end_session_endpoint"]).await;
}

#[tokio::test]
async fn oidcc_backchannel_logout_discovery_endpoint_verification() {
    discovered(&["end_session_endpoint", "backchannel_logout_supported", "backchannel_logout_session_supported"]).await;
}

#[tokio::test]
async fn oidcc_frontchannel_logout_discovery_endpoint_verification() {
    discovered(&["end_session_endpoint", "frontchannel_logout_supported", "frontchannel_logout_session_supported"]).await;
}

#[tokio::test]
async fn oidcc_session_management_discovery_endpoint_verification() {
    discovered(&["end_session_endpoint", "check_session_iframe"]).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout() {
    let suite = suite(&json!({})).await;
    let signed_in = SignedIn::at(&suite).await;
    let back = signed_in.run.browser.open(signed_in.url(&[]).as_str()).await.away();
    signed_in.assert_back(&back.url, Some(&signed_in.state));
    signed_in.assert_out().await;
}

/// Not sent back, and not signed out by it.
async fn not_sent_back(changes: &[(&str, &str)], refused: bool) {
    let suite = suite(&json!({})).await;
    let signed_in = SignedIn::at(&suite).await;
    let page = signed_in.page(changes).await;
    assert_eq!((page.status, page.contains("Do you want to sign out?")), if refused { (400, false) } else { (200, true) }, "{}", page.body);
    signed_in.assert_in().await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_bad_post_logout_redirect_uri() {
    not_sent_back(&[("post_logout_redirect_uri", &format!("{BYE}/{}", unique_id()))], true).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri() {
    not_sent_back(&[("post_logout_redirect_uri", &format!("{BYE}?foo=bar"))], true).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_id_token_hint() {
    not_sent_back(&[("id_token_hint", "")], true).await;
}

/// The ID token of the person, with `alg` `none`.
#[tokio::test]
async fn oidcc_rp_initiated_logout_modified_id_token_hint() {
    let suite = suite(&json!({})).await;
    let signed_in = SignedIn::at(&suite).await;
    let page = signed_in.page(&[("id_token_hint", &unsigned(&part(signed_in.outcome.id_token(), 1)))]).await;
    page.assert_refused(400, "ISTH-1008");
    signed_in.assert_in().await;
}

/// The ID token of the person, as the suite itself would have signed it.
#[tokio::test]
async fn oidcc_rp_initiated_logout_bad_id_token_hint() {
    let suite = suite(&json!({})).await;
    let signed_in = SignedIn::at(&suite).await;
    let mut key = Key::new();
    key.kid = part(signed_in.outcome.id_token(), 0)["kid"].as_str().map(str::to_owned);
    let page = signed_in.page(&[("id_token_hint", &key.sign(&part(signed_in.outcome.id_token(), 1)))]).await;
    page.assert_refused(400, "ISTH-1008");
    signed_in.assert_in().await;
}

/// Signed out, after a question where nothing proves who asks; a page of ours says so.
async fn signed_out_here(changes: &[(&str, &str)], asked: bool) {
    let suite = suite(&json!({})).await;
    let signed_in = SignedIn::at(&suite).await;
    let mut page = signed_in.page(changes).await;
    assert_eq!(page.contains("Do you want to sign out?"), asked, "{}", page.body);
    if asked {
        page = signed_in.run.browser.press(&page, "Sign out").await.here();
    }
    assert!(page.status == 200 && page.contains("signed out"), "{}", page.body);
    signed_in.assert_out().await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_params() {
    signed_out_here(&[("id_token_hint", ""), ("post_logout_redirect_uri", ""), ("state", "")], true).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_only_state() {
    signed_out_here(&[("id_token_hint", ""), ("post_logout_redirect_uri", "")], true).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_post_logout_redirect_uri() {
    signed_out_here(&[("post_logout_redirect_uri", "")], false).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_state() {
    let suite = suite(&json!({})).await;
    let signed_in = SignedIn::at(&suite).await;
    let back = signed_in.run.browser.open(signed_in.url(&[("state", "")]).as_str()).await.away();
    signed_in.assert_back(&back.url, None);
    signed_in.assert_out().await;
}

#[tokio::test]
async fn oidcc_backchannel_rp_initiated_logout() {
    let site = Site::answering(0, |_| Reply::status(200)).await;
    let address = format!("http://127.0.0.1:{}/backchannel_logout", site.port);
    let suite = suite(&json!({ "backchannel_logout_uri": address, "backchannel_logout_session_required": true })).await;
    let signed_in = SignedIn::at(&suite).await;
    let back = signed_in.run.browser.open(signed_in.url(&[]).as_str()).await.away();
    signed_in.assert_back(&back.url, Some(&signed_in.state));
    let asked = eventually("the logout token", async || site.seen().into_iter().next()).await;
    assert_eq!(asked.method, "POST");
    let parameters = asked.parameters();
    assert_eq!(parameters.keys().collect::<Vec<_>>(), ["logout_token"]);
    let token = &parameters["logout_token"];
    let (header, claims, known) = (part(token, 0), part(token, 1), signed_in.outcome.claims());
    let jwks = suite.jwks().await;
    let key = jwks["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == header["kid"]).expect("its key");
    assert_eq!(header["alg"], "RS256");
    verify_rs256(token, key);
    assert_eq!((&claims["iss"], &claims["aud"]), (&known["iss"], &known["aud"]));
    assert_eq!((&claims["sub"], &claims["sid"], claims.get("nonce")), (&known["sub"], &known["sid"], None));
    assert!(claims["sid"].is_string() && claims["jti"].is_string() && claims["iat"].is_i64(), "{claims}");
    assert_eq!(claims["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    signed_in.assert_out().await;
}

/// The frame says who ends which session, and the browser goes on.
#[tokio::test]
async fn oidcc_frontchannel_rp_initiated_logout() {
    let frame = "https://suite.example/test/a/isthmus/frontchannel_logout";
    let suite = suite(&json!({ "frontchannel_logout_uri": frame, "frontchannel_logout_session_required": true })).await;
    let signed_in = SignedIn::at(&suite).await;
    let page = look(&signed_in.run.browser, &signed_in.url(&[])).await;
    let source = page.body.split("<iframe ").skip(1).find_map(|rest| html::attribute(rest.split('>').next()?, "src")).expect("a frame");
    let url = page.url.join(&html::unescape(&source)).expect("an address");
    assert!(url.as_str().starts_with(&format!("{frame}?")), "{url}");
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let sid = signed_in.outcome.claims()["sid"].as_str().expect("a session").to_owned();
    assert_eq!(pairs, [("iss".to_owned(), suite.gateway.issuer()), ("sid".to_owned(), sid)]);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("frame-src") && policy.contains("https://suite.example"), "{policy}");
    let back = signed_in.run.browser.press(&page, "Continue").await.away();
    signed_in.assert_back(&back.url, Some(&signed_in.state));
    signed_in.assert_out().await;
}

/// What the suite's page asks our frame, before and after. That the frame computes it so is tested in Chromium:
/// session_management.rs.
#[tokio::test]
async fn oidcc_session_management_rp_initiated_logout() {
    let key = Key::new();
    let mut suite = Suite::with("", |setup| crate::harness::gateway::Setup {
        top: "session_management = true".to_owned(),
        top_tables: "[registration]\nmode = \"open\"\nrequire_pkce = false\n".to_owned(),
        ..setup
    })
    .await;
    let members = json!({ "token_endpoint_auth_method": "client_secret_basic", "post_logout_redirect_uris": [BYE] });
    suite.client = Client::told(&suite.try_register(&registration(&key, &members)).await.json(), key);
    let run = suite.run("code", "");
    let state_of = |browser: &Browser| browser.cookie("isthmus-state").map(|cookie| cookie.value).unwrap_or_default();
    let answer = run.go(&[]).await;
    let session_state = answer.parameter("session_state").expect("a session state");
    assert!(!session_state.contains(' '));
    let unchanged = |browser: &Browser| {
        let (hash, salt) = session_state.split_once('.').expect("hash and salt");
        let text = format!("{} https://suite.example {} {salt}", suite.client.client_id, state_of(browser));
        openssl::sha::sha256(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>() == hash
    };
    assert!(unchanged(&run.browser));
    let told = Suite::good(&suite.redeem(&suite.client, &answer.parameter("code").expect("a code")).await);
    let mut end = suite.gateway.url("/oidc/logout");
    let hint = told["id_token"].as_str().expect("an ID token");
    end.query_pairs_mut().extend_pairs([("id_token_hint", hint), ("post_logout_redirect_uri", BYE), ("state", "s")]);
    assert_eq!(run.browser.open(end.as_str()).await.away().url.as_str(), format!("{BYE}?state=s"));
    assert!(!unchanged(&run.browser));
}
