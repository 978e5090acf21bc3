//! Whole logins with applications that others wrote: pysaml2 and node-saml, which judge our metadata and every response,
//! and make requests that are not ours.

use super::judge;
use super::sp::{Answered, FORMAT};
use crate::harness::browser::{Browser, Landed};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::html;
use crate::harness::idp::{Idp, MAIL, Person, Sign, ZOE};
use crate::harness::keys::Pair;
use crate::harness::peers::{Peer, node_saml, pysaml2_sp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;
use url::Url;

const REFEDS_MFA: &str = "https://refeds.org/profile/mfa";

/// A gateway with an identity provider and the application `wiki`, which is somebody else's program.
struct Scene {
    gateway: Gateway,
    idp: Idp,
    place: TempDir,
    signer: Pair,
}

const ENTITY: &str = "https://wiki.example/saml";
const ACS: &str = "https://wiki.example/acs";

impl Scene {
    /// Registered by the metadata that pysaml2 writes of itself.
    async fn with_pysaml2(settings: &str) -> Self {
        let (place, signer) = (tempfile::tempdir().unwrap(), Pair::rsa("wiki"));
        fs::write(place.path().join("sp.key"), signer.key_pem()).unwrap();
        fs::write(place.path().join("sp.crt"), signer.certificate_pem()).unwrap();
        let metadata = pysaml2_sp(place.path(), &order("metadata", &json!({})));
        fs::write(place.path().join("sp.xml"), metadata["xml"].as_str().unwrap()).unwrap();
        let file = place.path().join("sp.xml").display().to_string();
        let scene = Self::of(place, signer, &format!("metadata_file = \"{file}\"\n{settings}")).await;
        scene.fetch_metadata("/saml/metadata").await;
        scene
    }

    async fn of(place: TempDir, signer: Pair, saml: &str) -> Self {
        let idp = Idp::new("acme");
        let application = format!("client_id = \"wiki\"\nname = \"Wiki\"\n[application.saml]\n{saml}");
        let setup = Setup::new().connection(&idp.toml("", "")).application(&application);
        Self { gateway: Gateway::start(setup).await, idp, place, signer }
    }

    /// Our metadata, as they are published; also what pysaml2 is configured with.
    async fn fetch_metadata(&self, path: &str) -> String {
        let page = Browser::new().open(self.gateway.url(path).as_str()).await.here();
        assert_eq!((page.status, page.header("content-type")), (200, "application/samlmetadata+xml"));
        fs::write(self.place.path().join("idp.xml"), &page.body).unwrap();
        page.body
    }

    fn ask(&self, what: &str, more: &Value) -> Value {
        pysaml2_sp(self.place.path(), &order(what, more))
    }

    /// pysaml2's request arrives.
    async fn begin(&self, browser: &Browser, made: &Value) -> Landed {
        let to = Url::parse(made["to"].as_str().unwrap()).unwrap();
        match made["query"].as_str() {
            Some(query) => browser.open(&format!("{to}?{query}")).await,
            None => {
                let form = [("SAMLRequest", &made["form"]), ("RelayState", &json!("a state"))];
                let form = form.map(|(name, value)| (name.to_owned(), value.as_str().unwrap().to_owned()));
                browser.post(&Url::parse(ENTITY).unwrap(), &to, &form).await
            }
        }
    }

    /// What pysaml2 makes of a response.
    fn judged(&self, made: &Value, response: &str, more: &Value) -> Value {
        let mut more = more.clone();
        more["saml_response"] = response.into();
        more["request_id"] = made["id"].clone();
        self.ask("response", &more)
    }
}

fn order(what: &str, more: &Value) -> Value {
    let mut order = json!({"do": what, "entity_id": ENTITY, "acs": ACS, "slo": "https://wiki.example/slo", "relay_state": "a state"});
    for (name, value) in more.as_object().expect("an object") {
        order[name] = value.clone();
    }
    order
}

#[tokio::test]
async fn pysaml2_and_the_schemas_are_content_with_our_metadata() {
    let scene = Scene::with_pysaml2("").await;
    for (path, sso) in [("/saml/metadata", "/saml/sso"), ("/samlp/metadata/wiki", "/samlp/wiki")] {
        let metadata = scene.fetch_metadata(path).await;
        judge::is_built_as_the_schema_says(&metadata);
        judge::verify_metadata(&scene.gateway, &metadata);
        let read = scene.ask("idp", &json!({}));
        assert_eq!(read["entity_id"], json!(scene.gateway.url("/saml/metadata").as_str()), "{path}");
        for binding in ["HTTP-Redirect", "HTTP-POST"] {
            let binding = format!("urn:oasis:names:tc:SAML:2.0:bindings:{binding}");
            assert_eq!(read["sso"][binding], json!([scene.gateway.url(sso).as_str()]), "{read}");
        }
        assert!(read["certificates"].as_u64().is_some_and(|count| count >= 1), "{read}");
        assert!(!metadata.contains("PRIVATE"));
    }
}

#[tokio::test]
async fn pysaml2_signs_in_by_both_bindings_signed_and_not() {
    let scene = Scene::with_pysaml2("").await;
    for binding in ["redirect", "post"] {
        for sign in [true, false] {
            // Its metadata say that it signs: what it does not sign is refused.
            let made = scene.ask("request", &json!({"binding": binding, "sign": sign}));
            let browser = Browser::new();
            let landed = scene.begin(&browser, &made).await;
            if !sign {
                landed.here().assert_refused(400, "ISTH-1001");
                continue;
            }
            let answer = scene.idp.respond(&scene.idp.read(&landed.away()), &Person::zoe());
            let answered = Answered::read(&scene.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
            let judged = scene.judged(&made, &answered.encoded, &json!({}));
            assert_eq!(judged["attributes"]["displayName"], json!([ZOE]), "{judged}");
            assert_eq!(judged["attributes"]["isMemberOf"].as_array().map(Vec::len), Some(2), "{judged}");
            assert_eq!(judged["format"], json!(format!("{FORMAT}persistent")));
            assert_eq!(judged["authorities"], json!([scene.idp.entity_id]));
            assert_eq!(judged["issuer"], json!(scene.gateway.url("/saml/metadata").as_str()));
            assert_eq!(answered.relay_state.as_deref(), Some("a state"));
        }
    }
}

#[tokio::test]
async fn pysaml2_reads_what_is_signed_and_encrypted_in_every_way() {
    for (settings, want_response_signed) in [
        ("sign_response = true", true),
        ("sign_response = true\nencrypt = \"assertion\"\nkey_transport = \"rsa-oaep-mgf1p\"", true),
        ("encrypt = \"assertion\"\nkey_transport = \"rsa-oaep-mgf1p\"\nencryption_algorithm = \"aes128-gcm\"", false),
        ("signature_algorithm = \"rsa-sha512\"\ndigest_algorithm = \"sha512\"", false),
    ] {
        let scene = Scene::with_pysaml2(settings).await;
        let made = scene.ask("request", &json!({"binding": "redirect"}));
        let browser = Browser::new();
        let answer = scene.idp.respond(&scene.idp.read(&scene.begin(&browser, &made).await.away()), &Person::zoe());
        let answered = Answered::read(&scene.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
        assert_eq!(answered.xml.contains("EncryptedAssertion"), settings.contains("encrypt"), "{settings}");
        let judged = scene.judged(&made, &answered.encoded, &json!({"want_response_signed": want_response_signed}));
        assert_eq!(judged["attributes"]["mail"], json!(["zoe@acme.example"]), "{settings}: {judged}");
    }
}

#[tokio::test]
async fn pysaml2_understands_what_it_asks_for_and_why_it_does_not_get_it() {
    let scene = Scene::with_pysaml2("").await;
    let browser = Browser::new();
    let ask = async |options: Value| {
        let made = scene.ask("request", &json!({"binding": "redirect", "options": options}));
        (scene.begin(&browser, &made).await.away(), made)
    };
    // Refused at once.
    let kerberos = format!("{FORMAT}kerberos");
    for (options, status) in
        [(json!({"is_passive": "true"}), "StatusNoPassive"), (json!({"nameid_format": kerberos}), "StatusInvalidNameidPolicy")]
    {
        let (landed, made) = ask(options).await;
        let refused = Answered::read(&scene.gateway, &landed);
        assert_eq!(scene.judged(&made, &refused.encoded, &json!({}))["status"], status);
    }
    // Refused after the identity provider's answer.
    let context = json!({"requested_authn_context": {"authn_context_class_ref": [REFEDS_MFA], "comparison": "exact"}});
    let (landed, made) = ask(context.clone()).await;
    let answer = scene.idp.respond(&scene.idp.read(&landed), &Person::jane());
    let refused = Answered::read(&scene.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
    assert_eq!(scene.judged(&made, &refused.encoded, &json!({}))["status"], "StatusNoAuthnContext");
    // Met.
    let (landed, made) = ask(context).await;
    let asked = scene.idp.read(&landed);
    let answer = scene.idp.respond_with(&asked, &Person::jane(), |response| response.authn_context = REFEDS_MFA.to_owned());
    let met = Answered::read(&scene.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
    assert_eq!(scene.judged(&made, &met.encoded, &json!({}))["context"], REFEDS_MFA);
    // A new name every time, from the session.
    let transient = json!({"nameid_format": format!("{FORMAT}transient")});
    let mut names = Vec::new();
    for _ in 0..2 {
        let (landed, made) = ask(transient.clone()).await;
        let answered = Answered::read(&scene.gateway, &landed);
        names.push(scene.judged(&made, &answered.encoded, &json!({}))["name_id"].clone());
    }
    assert!(names[0].is_string() && names[0] != names[1], "{names:?}");
    // Freshly.
    let (landed, _) = ask(json!({"force_authn": "true"})).await;
    assert!(scene.idp.read(&landed).force_authn);
    // What a person cannot do for themselves.
    let (landed, made) = ask(json!({"force_authn": "true"})).await;
    let failed = scene.idp.respond_with(&scene.idp.read(&landed), &Person::jane(), |response| {
        (response.status, response.sign) = (vec!["Responder", "RequestDenied"], Sign::Response);
    });
    let refused = Answered::read(&scene.gateway, &browser.post(&failed.from, &failed.to, &failed.fields()).await.away());
    assert_eq!(scene.judged(&made, &refused.encoded, &json!({}))["status"], "StatusRequestDenied");
}

/// The gateway, and node-saml with its options for it.
async fn with_node_saml(saml: &str, options: &Value) -> (Scene, Peer) {
    let (place, signer) = (tempfile::tempdir().unwrap(), Pair::rsa("wiki"));
    let certificate = place.path().join("sp.crt");
    fs::write(&certificate, signer.certificate_pem()).unwrap();
    let file = certificate.display();
    let registration = format!(
        "entity_id = \"{ENTITY}\"\nacs_urls = [\"{ACS}\"]\ncertificates = [\"{file}\"]\nencryption_certificates = [\"{file}\"]\n{saml}"
    );
    let scene = Scene::of(place, signer, &registration).await;
    let our_certificate = fs::read_to_string(scene.gateway.key_file("saml-signing.active.crt.pem")).unwrap();
    let mut all = json!({
        "idpCert": our_certificate, "idpIssuer": scene.gateway.url("/saml/metadata").as_str(), "issuer": ENTITY, "callbackUrl": ACS,
        "entryPoint": scene.gateway.url("/saml/sso").as_str(), "audience": ENTITY, "privateKey": scene.signer.key_pem(),
        "decryptionPvk": scene.signer.key_pem(), "signatureAlgorithm": "sha256", "digestAlgorithm": "sha256",
        "wantAuthnResponseSigned": false, "identifierFormat": null, "disableRequestedAuthnContext": true,
    });
    for (name, value) in options.as_object().expect("an object") {
        all[name] = value.clone();
    }
    let peer = node_saml(&all);
    (scene, peer)
}

/// A login that node-saml has begun, up to what it makes of the answer.
async fn with_its_request(scene: &Scene, peer: &mut Peer, by_post: bool, person: &Person) -> Value {
    let browser = Browser::new();
    let landed = if by_post {
        let page = peer.ask(&json!({"do": "begin_form", "relay_state": "a state"}));
        let form = html::form(page["form"].as_str().unwrap()).expect("a form");
        browser.post(&Url::parse(ENTITY).unwrap(), &Url::parse(&form.action).unwrap(), &form.fields).await
    } else {
        browser.open(peer.begin(&json!({})).as_str()).await
    };
    let answer = scene.idp.respond(&scene.idp.read(&landed.away()), person);
    let answered = Answered::read(&scene.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
    peer.try_ask(&json!({"do": "callback", "response": answered.encoded}))
}

#[tokio::test]
async fn node_saml_signs_in_by_both_bindings_and_reads_everything() {
    const OAEP: &str = "key_transport = \"rsa-oaep-mgf1p\"";
    for (saml, options) in [
        ("require_signed_requests = true".to_owned(), json!({})),
        // SAML Bindings 3.5.4: a message by POST is not deflated, which the library must be told.
        (String::new(), json!({"authnRequestBinding": "HTTP-POST", "skipRequestCompression": true})),
        ("sign_response = true".to_owned(), json!({"wantAuthnResponseSigned": true})),
        (format!("encrypt = \"assertion\"\n{OAEP}"), json!({"wantAssertionsSigned": true})),
        // An EncryptedID it does not know; xmlsec1 opens ours.
        (format!("encrypt = \"assertion\"\nsign_response = true\n{OAEP}"), json!({"wantAuthnResponseSigned": true})),
    ] {
        let (scene, mut peer) = with_node_saml(&saml, &options).await;
        let by_post = options.get("authnRequestBinding").is_some();
        let told = with_its_request(&scene, &mut peer, by_post, &Person::zoe()).await;
        let profile = &told["profile"];
        assert_eq!(profile["urn:oid:2.16.840.1.113730.3.1.241"], ZOE, "{saml}: {told}");
        assert_eq!(profile[MAIL.0], "zoe@acme.example", "{saml}: {told}");
        assert_eq!(profile["urn:oid:1.3.6.1.4.1.5923.1.5.1.1"].as_array().map(Vec::len), Some(2), "{told}");
        assert_eq!(profile["nameIDFormat"], json!(format!("{FORMAT}persistent")), "{told}");
        assert!(profile["sessionIndex"].is_string(), "{told}");
    }
}

/// Without our key, and with another audience: that its checks are checks.
#[tokio::test]
async fn node_saml_refuses_what_is_not_ours_or_not_for_it() {
    for options in [
        json!({"idpCert": Pair::rsa("other").certificate_pem()}),
        json!({"audience": "https://other.example"}),
        json!({"idpIssuer": "https://other.example", "wantAuthnResponseSigned": true}),
    ] {
        let (scene, mut peer) = with_node_saml("", &options).await;
        let told = with_its_request(&scene, &mut peer, false, &Person::jane()).await;
        assert!(told["error"].is_string(), "{options}: {told}");
    }
}

/// What node-saml writes of itself registers it.
#[tokio::test]
async fn the_metadata_of_node_saml_are_a_registration() {
    let (mut scene, mut peer) = with_node_saml("", &json!({"wantAssertionsSigned": true})).await;
    let certificate = scene.signer.certificate_base64();
    let metadata = peer.ask(&json!({"do": "metadata", "decryption_cert": certificate, "cert": certificate}));
    let file = scene.place.path().join("node.xml");
    fs::write(&file, metadata["xml"].as_str().unwrap()).unwrap();
    let application =
        format!("client_id = \"wiki\"\nname = \"Wiki\"\n[application.saml]\nmetadata_file = \"{}\"\nsign_response = true", file.display());
    scene.gateway.stop();
    scene.gateway.start_again(|setup| setup.applications = vec![application]).await;
    let told = with_its_request(&scene, &mut peer, false, &Person::jane()).await;
    assert_eq!(told["profile"][MAIL.0], "Jane.Doe@acme.example", "{told}");
}

/// Signatures of elliptic curves, of our metadata and of answers: pysaml2 and xmlsec1 verify them, and nothing changed.
#[tokio::test]
async fn what_an_elliptic_curve_signs_pysaml2_and_xmlsec1_verify() {
    for algorithm in ["ecdsa-sha256", "ecdsa-sha384"] {
        let scene = Scene::with_pysaml2(&format!("sign_response = true\nsignature_algorithm = \"{algorithm}\"")).await;
        let metadata = scene.fetch_metadata("/samlp/metadata/wiki").await;
        judge::is_built_as_the_schema_says(&metadata);
        let encoded = metadata.split("<ds:X509Certificate>").nth(1).expect("a certificate").split('<').next().unwrap();
        let certificate = scene.place.path().join("ec.pem");
        fs::write(&certificate, format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n")).unwrap();
        let verifies = |xml: &str, xpath: &str| judge::xmlsec1(xml, certificate.to_str().unwrap(), xpath);
        assert!(verifies(&metadata, "/*/*[local-name()='Signature']"), "{metadata}");

        let (browser, made) = (Browser::new(), scene.ask("request", &json!({"binding": "redirect"})));
        let asked = scene.idp.read(&scene.begin(&browser, &made).await.away());
        let answer = scene.idp.respond(&asked, &Person::zoe());
        let departure = browser.post(&answer.from, &answer.to, &answer.fields()).await.away();
        let response = departure.parameter("SAMLResponse").expect("a response");
        let xml = String::from_utf8(STANDARD.decode(&response).unwrap()).unwrap();
        assert_eq!(xml.matches(&format!("xmldsig-more#{algorithm}\"")).count(), 2, "{xml}");
        let parts = ["Response", "Assertion"].map(|part| format!("//*[local-name()='{part}']/*[local-name()='Signature']"));
        for part in &parts {
            assert!(verifies(&xml, part), "{part}: {xml}");
            assert!(!verifies(&xml.replace("zoe@acme.example", "eve@acme.example"), part), "{part} also verifies what was changed");
        }
        let told = scene.judged(&made, &response, &json!({"want_response_signed": true}));
        assert_eq!(told["attributes"]["mail"], json!(["zoe@acme.example"]), "{told}");
    }
}
