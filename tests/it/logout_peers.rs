//! Logout with a SAML application that is not ours: pysaml2. And with nobody at a browser: the management API.

use crate::api::Api;
use crate::harness::browser::{Departure, client};
use crate::harness::eventually;
use crate::harness::gateway::Gateway;
use crate::harness::html::attribute;
use crate::harness::keys::Pair;
use crate::harness::peers::installed;
use crate::harness::process::text;
use crate::logout_frames::{framed, frames, load};
use crate::logout_queue::judged;
use crate::logout_support::{BYE, Cascade, FRAME, Known};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use url::Url;

const ENTITY: &str = "https://py.example/saml";
const ACS: &str = "https://py.example/acs";
const SLO: &str = "https://py.example/slo";

struct Pysaml2 {
    place: TempDir,
}

impl Pysaml2 {
    fn new() -> Self {
        let (place, pair) = (tempfile::tempdir().unwrap(), Pair::rsa("py"));
        std::fs::write(place.path().join("sp.key"), pair.key_pem()).unwrap();
        std::fs::write(place.path().join("sp.crt"), pair.certificate_pem()).unwrap();
        Self { place }
    }

    /// Its `[[application]]`, by its own metadata.
    fn application(&self) -> String {
        let metadata = self.does(json!({"do": "metadata"}));
        let file = self.place.path().join("sp.xml");
        std::fs::write(&file, metadata["xml"].as_str().expect("metadata")).unwrap();
        let file = text(&file);
        format!("client_id = \"py\"\nname = \"Py\"\n[application.saml]\nmetadata_file = \"{file}\"\nallow_unsolicited = true\n")
    }

    async fn reads_metadata_of(&self, gateway: &Gateway) {
        let metadata = crate::harness::browser::Browser::new().open(gateway.url("/saml/metadata").as_str()).await.here();
        std::fs::write(self.place.path().join("idp.xml"), metadata.body).unwrap();
    }

    fn does(&self, mut order: Value) -> Value {
        for (name, value) in [("entity_id", ENTITY), ("acs", ACS), ("slo", SLO)] {
            order[name] = json!(value);
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/pysaml2_sp.py");
        let mut child = Command::new(installed("venv/bin/python"))
            .args(["-W", "ignore", text(&script), text(self.place.path())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python starts");
        child.stdin.take().unwrap().write_all(order.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{order}\n{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

fn format_of(known: &Known) -> String {
    attribute(&known.attributes, "Format").expect("a Format")
}

#[tokio::test]
async fn pysaml2_signs_out_and_is_signed_out() {
    let peer = Pysaml2::new();
    let application = peer.application();
    let scene = Cascade::with("", "", |setup| setup.application(&application)).await;
    peer.reads_metadata_of(&scene.gateway).await;
    // It begins, by both bindings.
    for binding in ["redirect", "post"] {
        let known = scene.saml_at("py").await;
        let sent = peer.does(json!({
            "do": "logout", "binding": binding, "name_id": known.name, "format": format_of(&known),
            "session_index": known.session_index, "destination": scene.slo().as_str(),
        }));
        let landed = match sent["query"].as_str() {
            Some(query) => scene.browser.open(&format!("{}?{query}", scene.slo())).await,
            None => {
                let fields = vec![("SAMLRequest".to_owned(), sent["form"].as_str().expect("a form").to_owned())];
                scene.browser.post(&SLO.parse().unwrap(), &scene.slo(), &fields).await
            }
        };
        let back = landed.away();
        assert!(back.url.as_str().starts_with(SLO), "{}", back.url);
        let read = match &back.form {
            None => json!({"do": "logout_response", "query": back.url.query()}),
            Some(_) => json!({"do": "logout_response", "form": back.parameter("SAMLResponse")}),
        };
        assert_eq!(peer.does(read)["success"], json!(true));
        assert!(!scene.is_signed_in().await);
    }
    // Another application begins.
    let known = scene.saml_at("py").await;
    let wiki = scene.saml(&scene.wiki).await;
    let apps = scene.metadata("/saml/metadata").await;
    let request = scene.wiki.request(scene.slo(), &wiki);
    let to_peer = scene.browser.open(scene.wiki.redirect(&request).as_str()).await.away();
    assert!(to_peer.url.as_str().starts_with(SLO), "{}", to_peer.url);
    let answer = peer.does(json!({
        "do": "logout_request", "signed_in": true, "query": to_peer.url.query(), "name_id": known.name, "format": format_of(&known),
        "name_qualifier": attribute(&known.attributes, "NameQualifier"),
        "sp_name_qualifier": attribute(&known.attributes, "SPNameQualifier"),
    }));
    let back = match answer["query"].as_str() {
        Some(query) => scene.browser.open(&format!("{}?{query}", scene.slo())).await,
        None => {
            let fields = vec![("SAMLResponse".to_owned(), answer["form"].as_str().expect("a form").to_owned())];
            scene.browser.post(&SLO.parse().unwrap(), &scene.slo(), &fields).await
        }
    };
    scene.hear(&back.away(), &apps).assert_answers(&request, &scene.wiki, &["Success"]);
}

/// One session with two OpenID applications that are told, one by the back channel and one by a frame, and pysaml2.
#[tokio::test]
async fn pysaml2_and_openid_applications_of_one_session_are_told_of_its_end() {
    let peer = Pysaml2::new();
    let application = peer.application();
    let scene = Cascade::with("", "", |setup| setup.application(&application)).await;
    peer.reads_metadata_of(&scene.gateway).await;
    scene.openid("mail").await;
    scene.openid("board").await;
    let known = scene.saml_at("py").await;
    let hint = scene.openid("notes").await;
    let page = scene.look(&scene.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)])).await;
    let token = scene.mailbox.seen()[0].parameters()["logout_token"].clone();
    assert_eq!(judged(&scene.gateway.issuer(), "mail", &token)["sub"], "samlp|acme|jane-1");
    assert!(page.contains(FRAME), "{}", page.body);
    let answer = |departure: &Departure| {
        let answer = peer.does(json!({
            "do": "logout_request", "signed_in": true, "query": departure.url.query(),
            "name_id": known.name, "format": format_of(&known),
            "name_qualifier": attribute(&known.attributes, "NameQualifier"),
            "sp_name_qualifier": attribute(&known.attributes, "SPNameQualifier"),
        }));
        let form = answer["form"].as_str().map(|form| vec![("SAMLResponse".to_owned(), form.to_owned())]);
        (answer["query"].as_str().map(str::to_owned), form)
    };
    let from: Url = SLO.parse().unwrap();
    // In its frame, beside the others; then in the window, and back.
    let in_frame = load(&frames(&page)[0]).await.expect("sent on");
    assert!(in_frame.url.as_str().starts_with(SLO), "{}", in_frame.url);
    match answer(&in_frame) {
        (Some(query), _) => assert!(load(&Url::parse(&format!("{}?{query}", scene.slo())).unwrap()).await.is_none()),
        (None, form) => {
            let told = client().post(scene.slo()).form(&form.expect("a form")).send().await.unwrap();
            assert!(told.text().await.unwrap().contains("id=\"told\""));
        }
    }
    let in_window = framed(&scene.browser, &page).await.away();
    let landed = match answer(&in_window) {
        (Some(query), _) => scene.browser.open(&format!("{}?{query}", scene.slo())).await,
        (None, form) => scene.browser.post(&from, &scene.slo(), &form.expect("a form")).await,
    };
    assert_eq!(landed.away().url.as_str(), BYE);
    assert!(!scene.is_signed_in().await);
}

#[tokio::test]
async fn an_operator_ends_a_session_and_a_user_and_the_back_channel_is_told() {
    let scene = Cascade::with("", "", |setup| setup).await;
    scene.openid("mail").await;
    let api = Api::of(&scene.gateway).await;
    let user = "samlp|acme|jane-1";
    let sessions = api.read(&format!("/users/{user}/sessions")).await;
    let sid = sessions["sessions"][0]["id"].as_str().expect("a session").to_owned();
    assert_eq!(api.delete(&format!("/sessions/{sid}")).await.status, 202);
    assert!(!scene.is_signed_in().await);
    let told = eventually("a logout token", async || scene.told().into_iter().next()).await;
    assert_eq!((&told["sid"], &told["sub"]), (&json!(sid), &json!(user)));
    // A block says so too; the session is there again after it.
    scene.openid("mail").await;
    assert_eq!(api.patch(&format!("/users/{user}"), &json!({"blocked": true})).await.status, 200);
    eventually("one more", async || scene.told().into_iter().nth(1)).await;
    assert_eq!(api.patch(&format!("/users/{user}"), &json!({"blocked": false})).await.status, 200);
    assert!(scene.is_signed_in().await);
    assert_eq!(api.delete(&format!("/users/{user}")).await.status, 204);
    let told = eventually("another", async || scene.told().into_iter().nth(2)).await;
    assert_ne!(told["sid"], json!(sid));
    assert_eq!(scene.gateway.metric("isthmus_logouts_total{by=\"operator\",outcome=\"success\"}").await, 2);
}
