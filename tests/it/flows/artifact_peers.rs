//! HTTP-Artifact with pysaml2 on either side of us, and what our artifact resolution service says to others.

use crate::harness::app::App;
use crate::harness::artifact::artifact;
use crate::harness::browser::{Browser, Departure, client};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, Person};
use crate::harness::keys::Pair;
use crate::harness::peers::{Pysaml2, pysaml2_sp};
use crate::harness::process::{run, text};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

#[tokio::test]
async fn pysaml2_gives_us_its_responses_by_artifact() {
    let (idp, app) = (Pysaml2::start(), App::new("notes"));
    // pysaml2 writes the EndpointIndex as two digits of text, which no metadata say: its address is written here.
    let lines = format!("response_binding = \"artifact\"\nartifact_resolution_url = \"{}/artifact\"", idp.base);
    let gateway = Gateway::start(Setup::new().connection(&idp.toml("acme", &lines)).application(&app.toml("", ""))).await;
    idp.control(&json!({"sp_metadata_url": gateway.url("/connections/acme/metadata").as_str(), "by_artifact": true})).await;
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    let answer = idp.sign_in(&browser, &departure).await.away();
    assert_eq!(answer.parameter("error_description"), None, "{}", gateway.log());
    app.code(&gateway, &answer);
}

/// An application made of pysaml2 that wants artifacts.
struct Sp {
    place: TempDir,
    name: &'static str,
}

impl Sp {
    async fn new(name: &'static str) -> Self {
        let (place, pair) = (tempfile::tempdir().unwrap(), Pair::rsa(name));
        fs::write(place.path().join("sp.key"), pair.key_pem()).unwrap();
        fs::write(place.path().join("sp.crt"), pair.certificate_pem()).unwrap();
        let sp = Self { place, name };
        let metadata = sp.does(json!({"do": "metadata"})).await;
        fs::write(sp.place.path().join("sp.xml"), metadata["xml"].as_str().unwrap()).unwrap();
        sp
    }

    fn toml(&self) -> String {
        let file = self.place.path().join("sp.xml");
        format!("client_id = \"{}\"\nname = \"{}\"\n[application.saml]\nmetadata_file = \"{}\"\n", self.name, self.name, text(&file))
    }

    /// On another thread: meanwhile connections that end are noticed here.
    async fn does(&self, mut order: Value) -> Value {
        let base = format!("https://{}.example", self.name);
        for (name, path) in [("entity_id", "/entity"), ("acs", "/acs"), ("artifact_acs", "/acs/artifact"), ("slo", "/slo")] {
            order[name] = json!(format!("{base}{path}"));
        }
        let place = self.place.path().to_owned();
        tokio::task::spawn_blocking(move || pysaml2_sp(&place, &order)).await.expect("pysaml2 answers")
    }

    /// A request, and where the browser goes in the end.
    async fn sign_in(&self, gateway: &Gateway, idp: &Idp, browser: &Browser) -> (Value, Departure) {
        let asked = self
            .does(json!({"do": "request", "binding": "redirect", "relay_state": "a state & more", "options": {"response_binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"}}))
            .await;
        let url = gateway.url(&format!("/saml/sso?{}", asked["query"].as_str().unwrap()));
        let request = idp.read(&browser.open(url.as_str()).await.away());
        let answer = idp.respond(&request, &Person::jane());
        (asked["id"].clone(), browser.post(&answer.from, &answer.to, &answer.fields()).await.away())
    }
}

async fn with_sps() -> (Gateway, Idp, Sp, Sp) {
    let (idp, paper, other) = (Idp::new("acme"), Sp::new("paper").await, Sp::new("other").await);
    let setup = Setup::new().connection(&idp.toml("", "")).application(&paper.toml()).application(&other.toml());
    let gateway = Gateway::start(setup).await;
    let metadata = Browser::new().open(gateway.url("/saml/metadata").as_str()).await.here();
    for sp in [&paper, &other] {
        fs::write(sp.place.path().join("idp.xml"), &metadata.body).unwrap();
    }
    (gateway, idp, paper, other)
}

#[tokio::test]
async fn pysaml2_asks_for_our_responses_once_and_only_for_its_own() {
    let (gateway, idp, paper, other) = with_sps().await;
    let browser = Browser::new();
    let (id, landed) = paper.sign_in(&gateway, &idp, &browser).await;
    assert!(landed.form.is_none() && landed.url.as_str().starts_with("https://paper.example/acs/artifact?SAMLart="), "{}", landed.url);
    assert_eq!(landed.parameter("RelayState").as_deref(), Some("a state & more"));
    let artifact = landed.parameter("SAMLart").unwrap();
    // Somebody else with a good key, who has seen it: gets nothing, and takes nothing.
    assert_eq!(other.does(json!({"do": "artifact", "artifact": artifact, "request_id": id})).await, json!({"empty": true}));
    let read = paper.does(json!({"do": "artifact", "artifact": artifact, "request_id": id})).await;
    assert_eq!(read["context"], crate::harness::idp::PASSWORD, "{read}");
    assert!(read["attributes"].to_string().contains("Jane"), "{read}");
    assert_eq!(paper.does(json!({"do": "artifact", "artifact": artifact, "request_id": id})).await, json!({"empty": true}), "once");
    // By single sign-on too, and as an answer that nobody signed in.
    let asked = paper.does(json!({"do": "request", "binding": "redirect", "relay_state": "s", "options": {"response_binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"}})).await;
    let landed = browser.open(gateway.url(&format!("/saml/sso?{}", asked["query"].as_str().unwrap())).as_str()).await.away();
    let order = json!({"do": "artifact", "artifact": landed.parameter("SAMLart").unwrap(), "request_id": asked["id"]});
    assert_eq!(paper.does(order).await["name_id"], read["name_id"]);
    assert!(!gateway.log().contains(&artifact), "artifacts are not written down");
}

#[tokio::test]
async fn nobody_is_answered_who_does_not_sign_and_no_soap_gets_a_fault() {
    let (gateway, idp, paper, _other) = with_sps().await;
    let (id, landed) = paper.sign_in(&gateway, &idp, &Browser::new()).await;
    let artifact_of_paper = landed.parameter("SAMLart").unwrap();
    let resolve = |issuer: &str, artifact: &str| {
        let now = crate::harness::idp::now().format(&time::format_description::well_known::Rfc3339).unwrap();
        format!(
            r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><p:ArtifactResolve xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r1" Version="2.0" IssueInstant="{now}"><i:Issuer xmlns:i="urn:oasis:names:tc:SAML:2.0:assertion">{issuer}</i:Issuer><p:Artifact>{artifact}</p:Artifact></p:ArtifactResolve></e:Body></e:Envelope>"#
        )
    };
    let post = async |path: &str, body: String| {
        let answer = client().post(gateway.url(path)).header("content-type", "text/xml").body(body).send().await.expect("an answer");
        let headers = answer.headers().clone();
        let cached = headers["cache-control"].to_str().unwrap().to_owned();
        assert!(headers["content-type"].to_str().unwrap().starts_with("text/xml") && cached.contains("no-store"), "{headers:?}");
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let unsigned = resolve("https://paper.example/entity", &artifact_of_paper);
    let ours = artifact(&format!("{}/saml/metadata", gateway.issuer()), 0);
    for (path, body, status) in [
        ("/saml/artifact", unsigned.clone(), 403),
        ("/samlp/paper/artifact", unsigned.clone(), 403),
        ("/samlp/other/artifact", unsigned.clone(), 403),
        ("/samlp/nobody/artifact", unsigned.clone(), 403),
        ("/saml/artifact", resolve("https://nobody.example", &ours), 403),
        ("/saml/artifact", String::new(), 500),
        ("/saml/artifact", "{}".to_owned(), 500),
        ("/saml/artifact", format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{unsigned}"), 500),
        ("/saml/artifact", unsigned.replacen("<e:Body>", "<e:Header><h e:mustUnderstand=\"1\"/></e:Header><e:Body>", 1), 500),
        ("/saml/artifact", unsigned.replace("ArtifactResolve", "LogoutRequest"), 500),
        ("/saml/artifact", "<a>".repeat(1000), 500),
        ("/saml/artifact", "x".repeat(1 << 20), 413),
    ] {
        let (found, told) = post(path, body.clone()).await;
        assert_eq!(found, status, "{told}");
        assert!(told.contains("<soap:Fault>") && !told.contains("Assertion"), "{told}");
        if body.contains("mustUnderstand") {
            assert!(told.contains("soap:MustUnderstand"), "{told}");
        }
    }
    // After all of that the response is still there for the one whose it is.
    let metadata = Browser::new().open(gateway.url("/saml/metadata").as_str()).await.here();
    let address = format!("Location=\"{}\" index=\"0\"", gateway.url("/saml/artifact"));
    assert!(metadata.contains("<md:ArtifactResolutionService") && metadata.contains(&address), "{}", metadata.body);
    let file = gateway.place().join("metadata.xml");
    fs::write(&file, &metadata.body).unwrap();
    run("xmllint", &["--noout", "--nonet", text(&file)], "libxml2-utils");
    let read = paper.does(json!({"do": "artifact", "artifact": artifact_of_paper, "request_id": id})).await;
    assert!(read["attributes"].to_string().contains("Jane"), "{read}");
}
