//! Applications whose metadata live: fetched by the running gateway, rotated, moved, broken, expired.

use super::sp::{Answered, Request, Scene, Sp};
use crate::api::{Api, good};
use crate::federation::place::{Place, bare, in_seconds};
use crate::federation::{command, rows};
use crate::harness::app::App;
use crate::harness::browser::{Browser, Landed};
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, Person};
use crate::harness::keys::Pair;
use serde_json::json;
use url::Url;

const PATH: &str = "/sp";

/// What the application publishes.
struct Said<'a> {
    entity_id: &'a str,
    acs: &'a str,
    signers: Vec<&'a Pair>,
    /// Attributes of the EntityDescriptor.
    root: String,
}

impl<'a> Said<'a> {
    fn by(sp: &'a Sp) -> Self {
        Self { entity_id: &sp.entity_id, acs: &sp.acs[0], signers: vec![&sp.signer], root: String::new() }
    }

    fn xml(&self) -> String {
        let Self { entity_id, acs, root, .. } = self;
        let keys = self.signers.iter().map(|signer| {
            let certificate = bare(&signer.certificate_pem());
            format!("<md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>")
        });
        format!(
            r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" {root} entityID="{entity_id}"><md:SPSSODescriptor AuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{}<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="{acs}" index="0"/></md:SPSSODescriptor></md:EntityDescriptor>"#,
            keys.collect::<String>()
        )
    }
}

fn by_url(place: &Place, more: &str) -> String {
    let url = place.url(PATH);
    format!("client_id = \"wiki\"\nname = \"The wiki\"\n[application.saml]\nmetadata_url = \"{url}\"\nmetadata_refresh = 1\n{more}")
}

async fn scene(place: &Place, sp: Sp, more: &str) -> Scene {
    let idp = Idp::new("acme");
    let setup = Setup::new().connection(&idp.toml("", "")).application(&by_url(place, more));
    let scene = Scene { gateway: Gateway::start(setup).await, idp, sp, browser: Browser::new() };
    loaded(&scene.gateway).await;
    scene
}

async fn sources(gateway: &Gateway) -> serde_json::Value {
    gateway.ask_operations("/metadata", "application/json").await.json()
}

async fn loaded(gateway: &Gateway) {
    eventually("metadata in force", async || sources(gateway).await[0]["entities"].is_number().then_some(())).await;
}

/// Waits until what is published now has been looked at.
async fn looked_at(gateway: &Gateway) {
    let looks = async || {
        let of = |outcome: &str| format!("isthmus_application_metadata_refreshes_total{{application=\"wiki\",outcome=\"{outcome}\"}}");
        gateway.metric(&of("success")).await + gateway.metric(&of("failure")).await
    };
    let before = looks().await;
    eventually("two more looks", async || (looks().await >= before + 2).then_some(())).await;
}

/// A login that the identity provider is asked for in any case.
fn request(scene: &Scene) -> Request {
    scene.request().with("ForceAuthn=\"true\"")
}

async fn signs_in(scene: &Scene) -> Answered {
    let answered = scene.sign_in(&request(scene), &Person::jane()).await;
    answered.assert_good();
    answered
}

fn audited(gateway: &Gateway) -> String {
    rows(gateway, "SELECT kind || ' ' || detail FROM audit ORDER BY id")
}

#[tokio::test]
async fn an_application_s_certificate_rotates_by_its_metadata_without_an_operator() {
    let (place, sp) = (Place::new().await, Sp::new("wiki"));
    place.publish(PATH, &Said::by(&sp).xml());
    let mut scene = scene(&place, sp, "").await;
    signs_in(&scene).await;
    let next = Pair::rsa("next");
    let both = Said { signers: vec![&scene.sp.signer, &next], ..Said::by(&scene.sp) }.xml();
    place.publish(PATH, &both);
    looked_at(&scene.gateway).await;
    signs_in(&scene).await;
    let old = std::mem::replace(&mut scene.sp, Sp::signing_with("wiki", next));
    signs_in(&scene).await;
    place.publish(PATH, &Said::by(&scene.sp).xml());
    looked_at(&scene.gateway).await;
    signs_in(&scene).await;
    let refused = scene.browser.open(old.redirect(&request(&scene)).as_str()).await;
    refused.here().assert_refused(400, "ISTH-1001");
    let audit = audited(&scene.gateway);
    let lines: Vec<&str> = audit.lines().filter(|line| line.starts_with("metadata.")).collect();
    assert_eq!(lines.len(), 2, "{audit}");
    assert!(
        lines[0].contains("\"application\":\"wiki\"") && lines[0].contains("+ certificate ") && !lines[0].contains("- cert"),
        "{audit}"
    );
    assert!(lines[1].contains("- certificate ") && !lines[1].contains("+ cert"), "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_address_of_an_application_waits_for_an_operator() {
    let (place, sp) = (Place::new().await, Sp::new("wiki"));
    place.publish(PATH, &Said::by(&sp).xml());
    let mut scene = scene(&place, sp, "").await;
    eventually("the addresses in the directory", async || {
        let found = rows(&scene.gateway, "SELECT id || body FROM objects WHERE kind = 'metadata_approval'");
        (found.contains("application:wiki") && found.contains("https://wiki.example/acs")).then_some(())
    })
    .await;
    let moved = "https://moved.example/acs";
    place.publish(PATH, &Said { acs: moved, ..Said::by(&scene.sp) }.xml());
    scene.gateway.wait_for_log("waits for approval").await;
    assert_eq!(signs_in(&scene).await.to, scene.sp.acs[0]);
    let named = request(&scene).with(&format!("AssertionConsumerServiceURL=\"{moved}\""));
    scene.ask(&named).await.here().assert_refused(400, "ISTH-1001");

    // A node that has never seen the old metadata knows from the directory what is approved.
    scene.gateway.stop();
    std::fs::remove_dir_all(scene.gateway.place().join("data")).unwrap();
    scene.gateway.start_again(|_| {}).await;
    loaded(&scene.gateway).await;
    assert_eq!(signs_in(&scene).await.to, scene.sp.acs[0]);

    let (good, shown) = command(&scene.gateway, &["show", "--application", "wiki"]);
    let added = format!("+ AssertionConsumerService HTTP-POST {moved} (index 0) (default)");
    assert!(good && shown.contains("application wiki") && shown.contains("WAITS") && shown.contains(&added), "{shown}");
    let (good, said) = command(&scene.gateway, &["show", "--connection", "wiki"]);
    assert!(!good && said.contains("no connection wiki"), "{said}");
    let (good, said) = command(&scene.gateway, &["approve", "--application", "wiki", "--key", "0123"]);
    assert!(!good && said.contains("no such change"), "{said}");
    let (good, said) = command(&scene.gateway, &["approve"]);
    assert!(!good && said.contains("--application"), "{said}");
    let (good, said) = command(&scene.gateway, &["fetch", "--application", "wiki"]);
    assert!(good && said.contains("waits for approval") && said.contains(moved), "{said}");
    let (good, said) = command(&scene.gateway, &["approve", "--application", "wiki"]);
    assert!(good && said.contains("approved for application wiki"), "{said}");
    scene.gateway.wait_for_log("https://wiki.example/saml approved").await;
    assert_eq!(signs_in(&scene).await.to, moved);
    scene.ask(&request(&scene).with(&format!("AssertionConsumerServiceURL=\"{}\"", scene.sp.acs[0]))).await.here();
    let audit = audited(&scene.gateway);
    let count = |kind: &str| audit.lines().filter(|line| line.starts_with(kind)).count();
    // The start did not tell again what waited.
    assert_eq!((count("metadata.held "), count("metadata.approval "), count("metadata.approved ")), (1, 1, 1), "{audit}");
}

#[tokio::test]
async fn another_entity_id_of_an_application_waits_too() {
    let (place, sp) = (Place::new().await, Sp::new("wiki"));
    place.publish(PATH, &Said::by(&sp).xml());
    let scene = scene(&place, sp, "").await;
    let other = "https://other.example/saml";
    place.publish(PATH, &Said { entity_id: other, ..Said::by(&scene.sp) }.xml());
    scene.gateway.wait_for_log("waits for approval").await;
    signs_in(&scene).await;
    let as_other = Request { issuer: other.to_owned(), ..request(&scene) };
    scene.ask(&as_other).await.here().assert_refused(400, "ISTH-1008");
    let (good, said) = command(&scene.gateway, &["approve", "--application", "wiki"]);
    assert!(good && said.contains("is now https://other.example/saml"), "{said}");
    scene.gateway.wait_for_log("other.example/saml approved").await;
    // The index of entity IDs follows.
    let as_other = Request { issuer: other.to_owned(), ..request(&scene) };
    scene.sign_in(&as_other, &Person::jane()).await.assert_good();
    scene.ask(&request(&scene)).await.here().assert_refused(400, "ISTH-1008");
}

#[tokio::test]
async fn a_dead_address_keeps_the_last_copy_and_a_start_works_with_it() {
    let (place, sp) = (Place::new().await, Sp::new("wiki"));
    place.publish(PATH, &Said::by(&sp).xml());
    let mut scene = scene(&place, sp, "").await;
    let bad = [
        "<html>Maintenance</html>".to_owned(),
        Said { acs: "http://wiki.example/acs", ..Said::by(&scene.sp) }.xml(),
        Said { signers: Vec::new(), ..Said::by(&scene.sp) }.xml(),
    ];
    for document in bad {
        place.publish(PATH, &document);
        looked_at(&scene.gateway).await;
        signs_in(&scene).await;
    }
    place.break_down(PATH, 503);
    looked_at(&scene.gateway).await;
    signs_in(&scene).await;
    let (good, shown) = command(&scene.gateway, &["show"]);
    assert!(good && shown.contains("in force: 1 entities") && shown.contains("status 503"), "{shown}");
    scene.gateway.stop();
    scene.gateway.start_again(|_| {}).await;
    signs_in(&scene).await;
}

#[tokio::test]
async fn without_a_copy_an_application_is_told_so_and_everything_else_runs() {
    let (place, sp) = (Place::new().await, Sp::new("wiki"));
    place.break_down(PATH, 503);
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let named = format!("entity_id = \"{}\"", sp.entity_id);
    let setup = Setup::new().connection(&idp.toml("", "")).application(&by_url(&place, &named)).application(&app.toml("", ""));
    let scene = Scene { gateway: Gateway::start(setup).await, idp, sp, browser: Browser::new() };
    for to in ["/saml/sso", "/samlp/wiki"] {
        let page = scene.ask(&request(&scene).at(scene.gateway.url(to))).await.here();
        page.assert_refused(500, "ISTH-5003");
        assert!(page.contains("The metadata of the application are not available at present."), "{}", page.body);
    }
    let unknown = Request { issuer: "https://nobody.example".to_owned(), ..request(&scene) };
    scene.ask(&unknown).await.here().assert_refused(400, "ISTH-1008");
    // Ours can be had before, so that the application's operator can go on; and others sign in.
    let ours = Browser::new().open(scene.gateway.url("/samlp/metadata/wiki").as_str()).await.here();
    assert!(ours.status == 200 && ours.contains("IDPSSODescriptor"), "{}", ours.body);
    let departure = crate::harness::app::begin(&scene.browser, &app.authorize(&scene.gateway, &[])).await;
    let answer = scene.idp.respond(&scene.idp.read(&departure), &Person::jane());
    app.code(&scene.gateway, &scene.browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
    place.publish(PATH, &Said::by(&scene.sp).xml());
    loaded(&scene.gateway).await;
    signs_in(&scene).await;
}

#[tokio::test]
async fn metadata_of_an_application_are_dropped_when_their_valid_until_has_come() {
    let (place, sp) = (Place::new().await, Sp::new("wiki"));
    place.publish(PATH, &Said { root: format!("validUntil=\"{}\"", in_seconds(10)), ..Said::by(&sp) }.xml());
    let scene = scene(&place, sp, "").await;
    place.break_down(PATH, 500);
    signs_in(&scene).await;
    let asked = scene.upstream(&request(&scene)).await;
    scene.gateway.wait_for_log("is used no more").await;
    scene.ask(&request(&scene)).await.here().assert_refused(500, "ISTH-5003");
    // Nobody answers a login that has begun before at an address that nobody vouches for any more.
    let answer = scene.idp.respond(&asked, &Person::jane());
    let landed = scene.browser.post(&answer.from, &answer.to, &answer.fields()).await;
    assert!(matches!(&landed, Landed::Here(page) if page.contains("ISTH-")), "{landed:?}");
    assert!(audited(&scene.gateway).contains("metadata.expired"));
    place.publish(PATH, &Said::by(&scene.sp).xml());
    loaded(&scene.gateway).await;
    signs_in(&scene).await;
}

#[tokio::test]
async fn a_client_of_the_management_api_follows_its_metadata_url() {
    let (place, idp, sp) = (Place::new().await, Idp::new("acme"), Sp::new("wiki"));
    place.publish(PATH, &Said::by(&sp).xml());
    let gateway = Gateway::start(Setup::new().connection(&idp.toml("", ""))).await;
    let scene = Scene { gateway, idp, sp, browser: Browser::new() };
    let api = Api::of(&scene.gateway).await;
    let url = place.url(PATH);
    let body = json!({
        "name": "Wiki", "callbacks": [], "addons": {"samlp": {}},
        "isthmus": {"saml": {"metadata_url": url, "metadata_refresh": 1}},
    });
    let made = api.make("/clients", &body).await;
    let client_id = made["client_id"].as_str().unwrap().to_owned();
    assert_eq!(made["isthmus"]["saml"]["metadata_url"], url.as_str());
    loaded(&scene.gateway).await;
    signs_in(&scene).await;
    // Other things about the client change, and what is known of the application stays.
    place.break_down(PATH, 503);
    good(&api.patch(&format!("/clients/{client_id}"), &json!({"name": "The wiki"})).await, 200);
    signs_in(&scene).await;
    // What is refused changes nothing.
    let refused = api.patch(&format!("/clients/{client_id}"), &json!({"isthmus": {"saml": {"metadata_url": "ftp://x"}}})).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    signs_in(&scene).await;
    api.delete(&format!("/clients/{client_id}")).await;
    eventually("no source", async || sources(&scene.gateway).await.as_array().unwrap().is_empty().then_some(())).await;
    scene.ask(&request(&scene)).await.here().assert_refused(400, "ISTH-1008");
}

#[tokio::test]
async fn a_change_is_audited_once_however_many_nodes_find_it() {
    let (place, sp) = (Place::new().await, Sp::new("wiki"));
    place.publish(PATH, &Said::by(&sp).xml());
    let first = scene(&place, sp, "").await;
    let shared = format!("sqlite:{}", first.gateway.place().join("isthmus.db").display());
    let setup = Setup { directory: shared, ..Setup::new() };
    let second = Gateway::start(setup.connection(&first.idp.toml("", "")).application(&by_url(&place, ""))).await;
    loaded(&second).await;
    let next = Pair::rsa("next");
    let rotated = Said { signers: vec![&next], ..Said::by(&first.sp) }.xml();
    let back = Said::by(&first.sp).xml();
    // There, back and there again are three changes, each of them told once.
    for (turn, document) in [&rotated, &back, &rotated].into_iter().enumerate() {
        place.publish(PATH, document);
        for gateway in [&first.gateway, &second] {
            eventually("the change in the log", async || (gateway.log().matches("+ certificate").count() == turn + 1).then_some(())).await;
        }
        looked_at(&first.gateway).await;
        looked_at(&second).await;
        let audit = audited(&first.gateway);
        assert_eq!(audit.lines().filter(|line| line.starts_with("metadata.changed")).count(), turn + 1, "{audit}");
    }
    place.publish(PATH, &Said { acs: "https://moved.example/acs", signers: vec![&next], ..Said::by(&first.sp) }.xml());
    for gateway in [&first.gateway, &second] {
        gateway.wait_for_log("waits for approval").await;
    }
    looked_at(&first.gateway).await;
    looked_at(&second).await;
    let audit = audited(&first.gateway);
    assert_eq!(audit.lines().filter(|line| line.starts_with("metadata.held")).count(), 1, "{audit}");
}

#[tokio::test]
async fn a_check_says_where_metadata_come_from_and_that_nobody_signs_them() {
    let (place, sp) = (Place::new().await, Sp::new("wiki"));
    place.publish(PATH, &Said::by(&sp).xml());
    let scene = scene(&place, sp, "").await;
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_isthmus"))
        .arg("check")
        .current_dir(scene.gateway.place())
        .env("TEST_SECRET", crate::harness::app::SECRET)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let url = Url::parse(&place.url(PATH)).unwrap();
    assert!(said.contains(&format!("the application wiki is known by metadata from {url}")), "{said}");
    assert!(said.contains("weakened: the metadata are believed without a signature"), "{said}");
}
