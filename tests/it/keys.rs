//! Keys that change while people sign in: nobody notices.

use crate::api::{Api, command, good, refused};
use crate::harness::app::{App, Tokens, begin};
use crate::harness::browser::Browser;
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Encryption, Idp, Person, now, unique_id};
use crate::harness::keys::Pair;
use crate::harness::process::text;
use crate::harness::scene::Scene;
use crate::harness::servers::Server;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use openssl::hash::MessageDigest;
use openssl::sign::Verifier;
use openssl::x509::X509;
use reqwest::Method;
use serde_json::{Value, json};
use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;
use time::format_description::well_known::Rfc3339;
use url::Url;

/// A partner, with what it knows of us: the certificates of our metadata as of when it read them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    signing: Vec<String>,
    encryption: Vec<String>,
}

impl Known {
    async fn read(metadata: Url) -> Self {
        let page = Browser::new().open(metadata.as_str()).await.here();
        assert_eq!(page.status, 200, "{}", page.body);
        let of = |usage: &str| {
            let descriptors = page.body.split("<md:KeyDescriptor use=\"").filter_map(|rest| rest.strip_prefix(usage));
            descriptors
                .map(|rest| pem(rest.split("X509Certificate>").nth(1).and_then(|text| text.split('<').next()).expect("one")))
                .collect()
        };
        Self { signing: of("signing\""), encryption: of("encryption\"") }
    }

    /// By the metadata of the connection `acme`.
    async fn of(gateway: &Gateway) -> Self {
        Self::read(gateway.url("/connections/acme/metadata")).await
    }

    /// Which of its certificates made the signature over the query of a redirect.
    #[track_caller]
    fn verify(&self, url: &Url) -> &str {
        let query = url.query().expect("a query");
        let (signed, signature) = query.split_once("&Signature=").expect("a signed request");
        assert!(signed.contains("SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256"), "{signed}");
        let signature = url::form_urlencoded::parse(format!("s={signature}").as_bytes()).next().expect("a value").1.into_owned();
        let signature = STANDARD.decode(signature).expect("base64");
        let made_it = |pem: &&String| {
            let key = X509::from_pem(pem.as_bytes()).and_then(|certificate| certificate.public_key()).expect("a key");
            let mut verifier = Verifier::new(MessageDigest::sha256(), &key).expect("a verifier");
            verifier.verify_oneshot(&signature, signed.as_bytes()).expect("verified or not")
        };
        self.signing.iter().find(made_it).unwrap_or_else(|| panic!("the partner knows none of the keys that signed {query}"))
    }

    /// Which of its certificates made the first signature of a message, as xmlsec1 sees it.
    fn verify_xml(&self, xml: &str) -> Option<&str> {
        let place = tempfile::tempdir().expect("a directory");
        let (message, certificate) = (place.path().join("x.xml"), place.path().join("c.pem"));
        fs::write(&message, xml).expect("written");
        let kinds = ["protocol:Response", "assertion:Assertion", "metadata:EntityDescriptor", "protocol:AuthnRequest"];
        let made_it = |pem: &&String| {
            fs::write(&certificate, pem).expect("written");
            let mut xmlsec1 = Command::new("xmlsec1");
            xmlsec1.args(["--verify", "--enabled-key-data", "x509", "--trusted-pem", text(&certificate)]);
            xmlsec1.args(["--pubkey-cert-pem", text(&certificate)]);
            for kind in kinds {
                xmlsec1.arg("--id-attr:ID").arg(format!("urn:oasis:names:tc:SAML:2.0:{kind}"));
            }
            xmlsec1.arg(&message).output().expect("xmlsec1 runs").status.success()
        };
        self.signing.iter().find(made_it).map(String::as_str)
    }
}

fn pem(base64: &str) -> String {
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// A whole login at an identity provider that verifies our request and encrypts to us by what it knows; answers the
/// certificate that had signed. `meanwhile` happens while the person types the password.
async fn sign_in(gateway: &Gateway, idp: &Idp, app: &App, known: &Known, meanwhile: impl Future<Output = ()>) -> String {
    let browser = Browser::new();
    let departure = begin(&browser, &app.authorize(gateway, &[("connection", &idp.name)])).await;
    let signed_by = known.verify(&departure.url).to_owned();
    let request = idp.read(&departure);
    let encrypt = Encryption::aes256_gcm(known.encryption.first().expect("a key to encrypt to").clone());
    meanwhile.await;
    let answer = idp.respond_with(&request, &Person::jane(), |response| response.encrypt = Some(encrypt));
    let code = app.code(gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
    Tokens::of(&app.redeem(gateway, &code, &[]).await);
    signed_by
}

/// Two nodes that share keys and stores, with the connection `acme` that signs its requests.
async fn cluster(servers: (&Server, &Server), idp: &Idp, app: &App) -> [Gateway; 2] {
    let mut setup = Setup::new().connection(&idp.toml("", "sign_requests = true")).application(&app.toml("", ""));
    setup.directory = servers.0.postgres_url();
    setup.sessions = servers.1.redis_url();
    let first = Gateway::start(setup.clone()).await;
    for entry in fs::read_dir(first.place().join("certs")).expect("keys") {
        let path = entry.expect("an entry").path();
        let name = format!("certs/{}", path.file_name().and_then(|name| name.to_str()).expect("a name"));
        setup = setup.file(&name, &fs::read_to_string(&path).expect("a key"));
    }
    [first, Gateway::start(setup).await]
}

async fn keys(gateway: &Gateway, arguments: &[&str]) -> Value {
    let output = command(gateway, &[&["keys"], arguments, &["--json"]].concat()).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("PRIVATE"));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn states(listed: &Value) -> Vec<&str> {
    listed.as_array().expect("keys").iter().map(|key| key["state"].as_str().expect("a state")).collect()
}

/// Seconds within which a command surely runs, on a machine that is shared.
const SOON: u64 = 15;

fn in_seconds(seconds: u64) -> String {
    (now() + Duration::from_secs(seconds)).format(&Rfc3339).expect("a time")
}

/// Until every node publishes what `wanted` says.
async fn until_published(nodes: &[Gateway; 2], what: &str, wanted: impl Fn(&Known) -> bool) {
    for node in nodes {
        eventually(what, async || wanted(&Known::of(node).await).then_some(())).await;
    }
}

#[tokio::test]
async fn signing_and_encryption_keys_rotate_on_two_nodes_in_the_middle_of_logins() {
    let (postgres, redis) = (Server::postgres(), Server::redis(&[]));
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let nodes = cluster((&postgres, &redis), &idp, &app).await;
    let old = Known::of(&nodes[0]).await;
    assert_eq!((old.signing.len(), old.encryption.len(), &Known::of(&nodes[1]).await), (1, 1, &old));
    let done = Cell::new(false);
    let (logins, refreshed) = (Cell::new(0), Cell::new(false));
    // One partner reads our metadata before each login, another one now and then; the third never again, and does not look
    // at signatures once our certificate is not the one it knows.
    let people = async {
        let mut lazy = old.clone();
        while !done.get() {
            for node in &nodes {
                let eager = Known::of(node).await;
                sign_in(node, &idp, &app, &eager, async {}).await;
                if refreshed.take() {
                    lazy = Known::of(node).await;
                }
                sign_in(node, &idp, &app, &lazy, async {}).await;
                let never = Known { signing: Known::of(node).await.signing, encryption: old.encryption.clone() };
                sign_in(node, &idp, &app, &never, async {}).await;
                logins.set(logins.get() + 3);
            }
        }
    };
    let operator = async {
        for purpose in ["saml-signing", "saml-encryption"] {
            let listed = keys(&nodes[0], &["rotate", "--purpose", purpose, "--publish-only"]).await;
            assert_eq!(states(&listed), ["active", "next"]);
        }
        until_published(&nodes, "the next keys", |known| (known.signing.len(), known.encryption.len()) == (2, 2)).await;
        assert_eq!(Known::of(&nodes[1]).await.signing[0], old.signing[0], "the active key comes first");
        // The days in which partners read.
        refreshed.set(true);
        eventually("the lazy partner's look", async || (!refreshed.get()).then_some(())).await;
        let at = in_seconds(SOON);
        let listed = keys(&nodes[1], &["rotate", "--purpose", "saml-signing", "--activate-at", &at]).await;
        assert_eq!((states(&listed), &listed[1]["activate_at"]), (vec!["active", "next"], &json!(at)));
        keys(&nodes[1], &["rotate", "--purpose", "saml-encryption"]).await;
        // Somebody is at the identity provider while both change.
        let meanwhile = until_published(&nodes, "the new keys", |known| {
            known.signing.len() == 2 && known.signing[1] == old.signing[0] && !known.encryption.contains(&old.encryption[0])
        });
        assert_eq!(sign_in(&nodes[0], &idp, &app, &old, meanwhile).await, old.signing[0]);
        let before = logins.get();
        eventually("more logins", async || (logins.get() >= before + 6).then_some(())).await;
        done.set(true);
    };
    tokio::join!(people, operator);
    let new = Known::of(&nodes[0]).await;
    for node in &nodes {
        // Signed by the new key; what was encrypted to the old one still opens.
        let only_new = Known { signing: vec![new.signing[0].clone()], encryption: old.encryption.clone() };
        sign_in(node, &idp, &app, &only_new, async {}).await;
        sign_in(node, &idp, &app, &new, async {}).await;
        assert!(!node.log().contains("decryption-failed"), "{}", node.log());
    }
    assert!(logins.get() >= 12, "{}", logins.get());
    for purpose in ["saml-signing", "saml-encryption"] {
        let listed = keys(&nodes[0], &["list"]).await;
        let listed: Value = listed.as_array().expect("keys").iter().filter(|key| key["purpose"] == purpose).cloned().collect();
        assert_eq!(
            (states(&listed), &listed[0]["source"], &listed[1]["source"]),
            (vec!["previous", "active"], &json!("file"), &json!("directory"))
        );
        assert!(listed[0]["kept_until"].is_string() && listed[1]["active_since"].is_string(), "{listed}");
    }
}

/// A request of the application `wiki`, by redirect.
fn wiki_asks(gateway: &Gateway) -> Url {
    let xml = format!(
        "<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" \
         ID=\"{}\" Version=\"2.0\" IssueInstant=\"{}\" Destination=\"{}\"><saml:Issuer>https://wiki.example/sp</saml:Issuer></samlp:AuthnRequest>",
        unique_id(),
        now().format(&Rfc3339).expect("a time"),
        gateway.url("/saml/sso")
    );
    let mut deflater = DeflateEncoder::new(Vec::new(), Compression::default());
    deflater.write_all(xml.as_bytes()).expect("deflated");
    let mut url = gateway.url("/saml/sso");
    url.query_pairs_mut().append_pair("SAMLRequest", &STANDARD.encode(deflater.finish().expect("deflated")));
    url
}

/// What `wiki` gets after a login.
async fn wiki_is_told(gateway: &Gateway, idp: &Idp) -> String {
    let browser = Browser::new();
    let request = idp.read(&begin(&browser, &wiki_asks(gateway)).await);
    let answer = idp.respond(&request, &Person::jane());
    let told = browser.post(&answer.from, &answer.to, &answer.fields()).await.away();
    assert_eq!(told.url.as_str(), "https://wiki.example/acs");
    String::from_utf8(STANDARD.decode(told.parameter("SAMLResponse").expect("a response")).expect("base64")).expect("utf-8")
}

const WIKI: &str =
    "client_id = \"wiki\"\n[application.saml]\nentity_id = \"https://wiki.example/sp\"\nacs_urls = [\"https://wiki.example/acs\"]\n";

#[tokio::test]
async fn applications_verify_answers_before_and_after_a_rotation() {
    let scene = Scene::with(|setup| setup.application(WIKI)).await;
    let metadata = || Known::read(scene.gateway.url("/saml/metadata"));
    // An application that has pasted our certificate, and one that reads our metadata.
    let pasted = metadata().await;
    assert_eq!(pasted.signing.len(), 1);
    let answered = async || wiki_is_told(&scene.gateway, &scene.idp).await;
    assert_eq!(pasted.verify_xml(&answered().await), Some(pasted.signing[0].as_str()));
    keys(&scene.gateway, &["rotate", "--purpose", "saml-signing", "--publish-only"]).await;
    eventually("the next key", async || (metadata().await.signing.len() == 2).then_some(())).await;
    let reading = metadata().await;
    // While it is only published, both can verify what is signed.
    let answer = answered().await;
    assert_eq!(pasted.verify_xml(&answer), Some(pasted.signing[0].as_str()));
    assert_eq!(reading.verify_xml(&answer), Some(pasted.signing[0].as_str()));
    keys(&scene.gateway, &["rotate", "--purpose", "saml-signing", "--activate-at", &in_seconds(SOON)]).await;
    eventually("the rotation", async || (metadata().await.signing[0] == reading.signing[1]).then_some(())).await;
    // Whoever has read in time goes on; whoever has not, now needs to.
    let answer = answered().await;
    assert_eq!(reading.verify_xml(&answer), Some(reading.signing[1].as_str()));
    assert_eq!(pasted.verify_xml(&answer), None);
    assert_eq!(metadata().await.verify_xml(&answer), Some(reading.signing[1].as_str()));
    // The metadata are signed by the new key as well.
    let page = Browser::new().open(scene.gateway.url("/saml/metadata").as_str()).await.here();
    assert_eq!(reading.verify_xml(&page.body), Some(reading.signing[1].as_str()));
}

#[tokio::test]
async fn an_application_and_a_connection_choose_their_kind_of_key() {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let connection = idp.toml(
        "",
        "sign_requests = true\nrequest_binding = \"post\"\nsignature_algorithm = \"ecdsa-sha384\"\ndigest_algorithm = \"sha512\"",
    );
    let wiki = format!("{WIKI}signature_algorithm = \"ecdsa-sha256\"\n");
    let setup = Setup::new().connection(&connection).application(&app.toml("", "")).application(&wiki);
    let scene = Scene::of(setup, idp, app).await;
    let kind = |pem: &str| X509::from_pem(pem.as_bytes()).and_then(|certificate| certificate.public_key()).expect("a key").bits();
    // The identity provider is told of the key that it will see, and of no other.
    let known = Known::of(&scene.gateway).await;
    assert_eq!(known.signing.iter().map(|pem| kind(pem)).collect::<Vec<_>>(), [384]);
    let metadata = Browser::new().open(scene.gateway.url("/connections/acme/metadata").as_str()).await.here().body;
    assert!(known.verify_xml(&metadata).is_some(), "{metadata}");
    let request = scene.ask(&[]).await;
    assert!(request.xml.contains("xmldsig-more#ecdsa-sha384") && request.xml.contains("xmlenc#sha512"), "{}", request.xml);
    assert!(known.verify_xml(&request.xml).is_some(), "{}", request.xml);
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    scene.app.code(&scene.gateway, &answer);
    // Applications share our metadata: RSA, and what one of them chose.
    let shared = Known::read(scene.gateway.url("/saml/metadata")).await;
    assert_eq!(shared.signing.iter().map(|pem| kind(pem)).collect::<Vec<_>>(), [2048, 256]);
    let own = Known::read(scene.gateway.url("/samlp/metadata/wiki")).await;
    assert_eq!(own.signing, shared.signing[1..]);
    let told = wiki_is_told(&scene.gateway, &scene.idp).await;
    assert!(told.contains("xmldsig-more#ecdsa-sha256"), "{told}");
    assert_eq!(own.verify_xml(&told), Some(own.signing[0].as_str()));
    // Its key rotates like any other.
    keys(&scene.gateway, &["rotate", "--purpose", "saml-signing-es256", "--at-once"]).await;
    eventually("another key", async || {
        (Known::read(scene.gateway.url("/samlp/metadata/wiki")).await.signing[0] != own.signing[0]).then_some(())
    })
    .await;
    let told = wiki_is_told(&scene.gateway, &scene.idp).await;
    assert_eq!(own.verify_xml(&told), None);
    assert!(Known::read(scene.gateway.url("/saml/metadata")).await.verify_xml(&told).is_some());
}

#[tokio::test]
async fn the_management_api_rotates_keys_of_every_purpose() {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let setup = Setup::new()
        .connection(&idp.toml("", "sign_requests = true"))
        .application(&app.toml("", "id_token_signed_response_alg = \"ES256\""));
    let mut scene = Scene::of(setup, idp, app).await;
    let secrets;
    {
        let api = Api::of(&scene.gateway).await;
        let all = api.read("/keys/signing?purpose=all").await;
        assert_eq!(all.as_array().map(Vec::len), Some(12), "{all}");
        assert!(all.as_array().expect("keys").iter().all(|key| key["state"] == "active" && key["expires_at"].is_string()), "{all}");
        refused(&api.get("/keys/signing?purpose=tls").await, 400, "invalid_query_string");
        let kid = async || scene.tokens(&Person::jane(), &[("prompt", "login")]).await.header()["kid"].as_str().expect("a kid").to_owned();
        let first = kid().await;
        assert_eq!(api.read(&format!("/keys/signing/{first}")).await["purpose"], "oidc-es256");
        for purpose in ["oidc-es256", "oidc-eddsa"] {
            let rotated = good(&api.post("/keys/signing/rotate", &json!({"purpose": purpose, "at_once": true})).await, 201);
            assert_eq!(rotated["purpose"], purpose);
            let listed = api.read(&format!("/keys/signing?purpose={purpose}")).await;
            assert_eq!(states(&listed), ["next", "active", "previous"]);
        }
        let second = kid().await;
        assert_ne!(second, first);
        let jwks = Browser::new().open(scene.gateway.url("/.well-known/jwks.json").as_str()).await.here().json();
        let kids: Vec<&str> = jwks["keys"].as_array().expect("keys").iter().filter_map(|key| key["kid"].as_str()).collect();
        assert!(kids.contains(&first.as_str()) && kids.contains(&second.as_str()), "{jwks}");
        assert_eq!(kids.len(), 11, "three each of ES256 and EdDSA, one of each other kind: {jwks}");
        good(&api.call(Method::PUT, &format!("/keys/signing/{first}/revoke"), None, &[]).await, 200);
        // SAML: planned, planned otherwise, withdrawn.
        let old = Known::of(&scene.gateway).await;
        let rotate = async |body: Value| api.post("/keys/signing/rotate", &body).await;
        let planned = good(&rotate(json!({"purpose": "saml-signing"})).await, 201);
        let since = time::OffsetDateTime::parse(planned["current_since"].as_str().expect("a time"), &Rfc3339).expect("a time");
        let days = (since - now()).whole_hours();
        assert!((167..=168).contains(&days), "partners have seven days to read our metadata: {days} h");
        assert_eq!(rotate(json!({"purpose": "saml-signing"})).await.status, 409);
        let at = in_seconds(3600);
        let planned = good(&rotate(json!({"purpose": "saml-signing", "activate_at": at})).await, 201);
        assert_eq!(planned["current_since"], at);
        for wrong in [
            json!({"purpose": "saml-signing", "activate_at": "2001-01-01T00:00:00Z"}),
            json!({"purpose": "saml-signing", "activate_at": "soon"}),
            json!({"purpose": "saml-signing", "activate_at": at, "at_once": true}),
            json!({"purpose": "tls"}),
            json!({"purpose": "saml-signing", "grace_days": -1}),
        ] {
            assert_eq!(rotate(wrong.clone()).await.status, 400, "{wrong}");
        }
        assert_eq!(Known::of(&scene.gateway).await.signing.len(), 2);
        let path = format!("/keys/signing/{}/revoke", planned["kid"].as_str().expect("a kid"));
        good(&api.call(Method::PUT, &path, None, &[]).await, 200);
        assert_eq!(Known::of(&scene.gateway).await, old);
        // At once, both.
        for purpose in ["saml-signing", "saml-encryption"] {
            good(&rotate(json!({"purpose": purpose, "at_once": true, "grace_days": 2})).await, 201);
        }
        let listed = api.read("/keys/signing?purpose=saml-encryption").await;
        assert_eq!(states(&listed), ["active", "previous"]);
        let fresh = Known::of(&scene.gateway).await;
        assert_eq!((fresh.signing.len(), &fresh.signing[1]), (2, &old.signing[0]));
        assert_ne!(fresh.signing[0], old.signing[0]);
        sign_in(&scene.gateway, &scene.idp, &scene.app, &Known { encryption: old.encryption.clone(), ..fresh }, async {}).await;
        secrets = api.read("/keys/signing?purpose=all").await.to_string();
    }
    // It lasts, and no private key lies open: not in answers, the log, the audit or the directory.
    let expected = Known::of(&scene.gateway).await.signing;
    scene.gateway.stop();
    let database = fs::read(scene.gateway.place().join("isthmus.db")).expect("the directory");
    assert!(!database.windows(11).any(|window| window == b"PRIVATE KEY"));
    for shown in [&secrets, &scene.gateway.log()] {
        assert!(!shown.contains("PRIVATE") && !shown.contains("$sealed"), "{shown}");
    }
    scene.gateway.start_again(|_| ()).await;
    assert_eq!(Known::of(&scene.gateway).await.signing, expected);
}

#[tokio::test]
async fn the_command_line_lists_imports_and_revokes() {
    let scene = Scene::with(|setup| setup).await;
    let gateway = &scene.gateway;
    let run = async |arguments: &[&str]| {
        let output = command(gateway, &[&["keys"], arguments].concat()).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    let (status, listed) = run(&["list"]).await;
    assert_eq!(status, Some(0), "{listed}");
    for line in ["saml-signing ", "saml-signing-es512 ", "saml-encryption ", "oidc-eddsa "] {
        let line = listed.lines().find(|listed| listed.starts_with(line)).unwrap_or_else(|| panic!("{line} is not in {listed}"));
        assert!(line.contains("active") && line.contains("age 0 d") && line.contains("certificate until 20"), "{line}");
    }
    // A key of the operator's own certificate authority.
    let (own, ec) = (Pair::rsa("of the operator"), Pair::ec("of another kind"));
    for (name, pair) in [("own", &own), ("ec", &ec)] {
        fs::write(gateway.place().join(format!("{name}.key")), pair.key_pem()).expect("written");
        fs::write(gateway.place().join(format!("{name}.crt")), pair.certificate_pem()).expect("written");
    }
    let import =
        |key: &'static str, certificate: &'static str| ["import", "--purpose", "saml-signing", "--key", key, "--certificate", certificate];
    assert_eq!(run(&import("ec.key", "ec.crt")).await.0, Some(1), "a key of another kind");
    assert_eq!(run(&import("own.key", "ec.crt")).await.0, Some(2), "a certificate of another key");
    assert_eq!(run(&import("nowhere.key", "own.crt")).await.0, Some(2));
    let (status, said) = run(&import("own.key", "own.crt")).await;
    assert!(status == Some(0) && said.contains("next"), "{said}");
    assert_eq!(run(&import("own.key", "own.crt")).await.0, Some(1), "it is known already");
    assert_eq!(run(&["rotate", "--purpose", "saml-signing", "--activate-at", "2001-01-01T00:00:00Z"]).await.0, Some(1));
    assert_eq!(run(&["rotate", "--purpose", "nothing"]).await.0, Some(2));
    assert_eq!(run(&["rotate", "--purpose", "saml-signing", "--at-once", "--publish-only"]).await.0, Some(2));
    let (status, said) = run(&["rotate", "--purpose", "saml-signing"]).await;
    assert!(status == Some(0) && said.contains("active from 20"), "{said}");
    assert_eq!(run(&["rotate", "--purpose", "saml-signing"]).await.0, Some(1), "it is on its way");
    let (status, said) = run(&["rotate", "--purpose", "saml-signing", "--at-once", "--grace-days", "1"]).await;
    assert!(status == Some(0) && said.contains("kept until 20") && said.contains("active since 20"), "{said}");
    let signs = async || Known::of(gateway).await.signing;
    eventually("the operator's key", async || (signs().await[0].trim() == own.certificate_pem().trim()).then_some(())).await;
    // It is revoked by its fingerprint, and not the one in use.
    let listed = keys(gateway, &["list"]).await;
    let find = |state: &str| {
        let found = listed.as_array().expect("keys").iter().find(|key| key["purpose"] == "saml-signing" && key["state"] == state);
        found.and_then(|key| key["sha256"].as_str()).unwrap_or_else(|| panic!("{state}: {listed}")).to_owned()
    };
    assert_eq!(run(&["revoke", &find("active")]).await.0, Some(1));
    assert_eq!(run(&["revoke", "nothing"]).await.0, Some(1));
    let (status, said) = run(&["revoke", &find("previous")]).await;
    assert!(status == Some(0) && said.contains("revoked"), "{said}");
    eventually("its end", async || (signs().await.len() == 1).then_some(())).await;
    // The files alone, without a store.
    let (_, of_files) = run_in(gateway, &["keys", "list", "--path", "certs"]);
    assert!(of_files.contains("saml-signing ") && !of_files.contains("kept until"), "{of_files}");
    assert_eq!(run_in(gateway, &["keys", "list", "--path", "nowhere"]).0, Some(2));
    // The audit log knows what was done, and no private key.
    let database = fs::read(gateway.place().join("isthmus.db")).expect("the directory");
    let with_journal = [database, fs::read(gateway.place().join("isthmus.db-wal")).unwrap_or_default()].concat();
    assert!(!with_journal.windows(11).any(|window| window == b"PRIVATE KEY"));
    let said = |text: &[u8]| with_journal.windows(text.len()).any(|window| window == text);
    assert!(said(b"signing_keys.updated") || said(b"signing_keys.created"));
}

fn run_in(gateway: &Gateway, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_isthmus")).args(arguments).current_dir(gateway.place()).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}
