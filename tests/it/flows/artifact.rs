//! Answers by HTTP-Artifact: the browser brings a reference, and the response is asked for behind its back.

use crate::harness::app::{App, Tokens};
use crate::harness::artifact::{ArtifactService, Manner, artifact};
use crate::harness::browser::{Browser, Landed};
use crate::harness::gateway::Setup;
use crate::harness::idp::{Answer, Idp, Person, Sign, unique_id};
use crate::harness::scene::Scene;
use serde_json::Value;
use std::sync::Arc;

struct Stage {
    scene: Scene,
    idp: Arc<Idp>,
    service: ArtifactService,
}

impl Stage {
    /// `more`: lines of the connection.
    async fn new(more: &str) -> Self {
        let idp = Arc::new(Idp::new("acme"));
        let service = ArtifactService::start(&idp).await;
        let app = App::new("notes");
        let lines = format!("response_binding = \"artifact\"\nartifact_resolution_url = \"{}\"\n{more}", service.url());
        let setup = Setup::new().connection(&idp.toml("", &lines)).application(&app.toml("", ""));
        // The scene's own identity provider is not used: the service needs its key, too.
        let scene = Scene::of(setup, Idp::new("unused"), app).await;
        Self { scene, idp, service }
    }

    /// Another request, and the answer of the identity provider to it.
    async fn answer(&self, change: impl FnOnce(&mut crate::harness::idp::Response)) -> Answer {
        let departure =
            self.scene.browser.open(self.scene.app.authorize(&self.scene.gateway, &[("prompt", "login")]).as_str()).await.away();
        let request = self.idp.read(&departure);
        assert!(request.xml.contains("ProtocolBinding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact\""), "{}", request.xml);
        self.idp.respond_with(&request, &Person::jane(), change)
    }

    async fn arrive(&self, answer: &Answer) -> Landed {
        self.service.redirect(&self.scene.browser, answer, &self.service.keep(answer)).await
    }

    async fn subject(&self, landed: Landed) -> Value {
        let code = self.scene.app.code(&self.scene.gateway, &landed.away());
        Tokens::of(&self.scene.app.redeem(&self.scene.gateway, &code, &[]).await).claims()["sub"].clone()
    }

    /// Why the login that ended so was refused.
    async fn reason(&self, landed: Landed) -> String {
        let (_, description) = self.scene.app.error(&self.scene.gateway, &landed.away());
        let correlation_id = description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a correlation id");
        reason_in(&self.scene.gateway.trace(correlation_id).await)
    }
}

fn reason_in(trace: &Value) -> String {
    let entries = trace["entries"].as_array().expect("entries");
    let refused = entries.iter().map(|entry| &entry["event"]).find(|event| event["step"] == "refused");
    refused.unwrap_or_else(|| panic!("{trace}"))["reason"].as_str().expect("a reason").to_owned()
}

#[tokio::test]
async fn a_login_by_artifact_ends_as_one_by_post() {
    let stage = Stage::new("").await;
    for (sign, outer) in
        [(Sign::Assertion, false), (Sign::Response, false), (Sign::Nothing, true), (Sign::Assertion, true), (Sign::Both, true)]
    {
        stage.service.does(|manner| manner.sign = outer);
        let answer = stage.answer(|response| response.sign = sign).await;
        let landed = stage.arrive(&answer).await;
        assert_eq!(stage.subject(landed).await, "samlp|acme|jane-1", "{sign:?} {outer}");
    }
    // By form, across sites, without our cookie at first.
    let answer = stage.answer(|_| {}).await;
    let landed = stage.service.post(&stage.scene.browser, &answer, &stage.service.keep(&answer)).await;
    assert_eq!(stage.subject(landed).await, "samlp|acme|jane-1");
    // Somebody who posts a whole response is understood as ever.
    let answer = stage.answer(|_| {}).await;
    assert_eq!(stage.subject(stage.scene.answer(&answer).await).await, "samlp|acme|jane-1");
    let asked = stage.service.site.seen();
    assert_eq!(asked.len(), 6);
    assert!(asked.iter().all(|asked| asked.body.contains("<ds:SignatureValue>")), "every question is signed");
    let metadata = stage.scene.browser.open(stage.scene.gateway.url("/connections/acme/metadata").as_str()).await.here();
    assert!(metadata.contains("bindings:HTTP-Artifact"), "{}", metadata.body);
    // The artifact is a secret until it was resolved, and nothing of it is written down.
    let log = stage.scene.gateway.log();
    assert!(!log.contains("AAQAA") && !log.contains("SAMLart="), "{log}");
}

/// One way of answering that must be noticed.
type Wrong = (&'static str, fn(&mut Manner), fn(&mut crate::harness::idp::Response));

#[tokio::test]
async fn every_fault_of_a_resolution_is_refused_and_named() {
    let stage = Stage::new("").await;
    let usual = |_: &mut crate::harness::idp::Response| {};
    let wrongs: [Wrong; 10] = [
        ("wrong-in-response-to", |manner| manner.in_response_to = Some(unique_id()), usual),
        ("unsigned", |manner| manner.sign = false, |response| response.sign = Sign::Nothing),
        ("wrong-issuer", |manner| manner.issuer = "https://evil.example".to_owned(), usual),
        ("artifact-refused", |manner| manner.status = vec!["Requester", "RequestDenied"], usual),
        ("soap-fault", |manner| manner.says = Some(fault()), usual),
        ("not-soap", |manner| manner.says = Some("<html/>".to_owned()), usual),
        ("document-type", |manner| manner.says = Some(format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{}", fault())), usual),
        ("too-complex", |manner| manner.says = Some(format!("{}{}", "<a>".repeat(200), "</a>".repeat(200))), usual),
        ("artifact-service-unreachable", |manner| manner.says = Some("x".repeat(1 << 20)), usual),
        ("wrong-audience", |_| {}, |response| response.audience = "https://other.example".to_owned()),
    ];
    for (name, manner, response) in wrongs {
        let before = stage.manner();
        stage.service.does(manner);
        let answer = stage.answer(response).await;
        assert_eq!(stage.reason(stage.arrive(&answer).await).await, name);
        stage.service.does(|manner| *manner = before);
    }
    // It has lost the message, as it must for a second question.
    let answer = stage.answer(|_| {}).await;
    let unknown = artifact(&stage.idp.entity_id, 0);
    assert_eq!(stage.reason(stage.service.redirect(&stage.scene.browser, &answer, &unknown).await).await, "artifact-not-resolved");
    // Not an artifact, and one of somebody else: nobody is asked.
    let before = stage.service.site.seen().len();
    for (artifact, name) in [("AAQ=".to_owned(), "artifact-unreadable"), (artifact("https://other.example", 0), "artifact-of-another")] {
        let answer = stage.answer(|_| {}).await;
        assert_eq!(stage.reason(stage.service.redirect(&stage.scene.browser, &answer, &artifact).await).await, name);
    }
    assert_eq!(stage.service.site.seen().len(), before);
}

impl Stage {
    fn manner(&self) -> Manner {
        let mut found = None;
        self.service.does(|manner| found = Some(manner.clone()));
        found.expect("a manner")
    }
}

fn fault() -> String {
    let fault = "<soap:Fault><faultcode>soap:Server</faultcode><faultstring>out of order</faultstring></soap:Fault>";
    format!("<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>{fault}</soap:Body></soap:Envelope>")
}

#[tokio::test]
async fn an_artifact_is_used_once() {
    let stage = Stage::new("").await;
    // Even where the identity provider gives its message again and again.
    stage.service.does(|manner| manner.forgets_to_forget = true);
    let (first, second) = (stage.answer(|_| {}).await, stage.answer(|_| {}).await);
    let artifact = stage.service.keep(&first);
    let landed = stage.service.redirect(&stage.scene.browser, &first, &artifact).await;
    assert_eq!(stage.subject(landed).await, "samlp|acme|jane-1");
    stage.service.redirect(&stage.scene.browser, &first, &artifact).await.here().assert_refused(409, "ISTH-2003");
    let asked = stage.service.site.seen().len();
    let replayed = Answer { relay_state: second.relay_state.clone(), ..first.clone() };
    stage.service.redirect(&stage.scene.browser, &replayed, &artifact).await.here().assert_refused(403, "ISTH-3002");
    assert_eq!(stage.service.site.seen().len(), asked, "the identity provider is not asked again");
    // Of two arrivals at once one signs in, and the other does not end its login.
    let answer = stage.answer(|_| {}).await;
    let artifact = stage.service.keep(&answer);
    let (one, other) = tokio::join!(
        stage.service.redirect(&stage.scene.browser, &answer, &artifact),
        stage.service.redirect(&stage.scene.browser, &answer, &artifact)
    );
    let (winners, losers): (Vec<_>, Vec<_>) = [one, other].into_iter().partition(|landed| matches!(landed, Landed::Away(_)));
    assert_eq!((winners.len(), losers.len()), (1, 1));
    for (winner, loser) in winners.into_iter().zip(losers) {
        assert_eq!(stage.subject(winner).await, "samlp|acme|jane-1");
        loser.here().assert_refused(409, "ISTH-2003");
    }
}

#[tokio::test]
async fn an_unsolicited_artifact_is_refused_without_being_resolved() {
    let stage = Stage::new("").await;
    let answer = stage.answer(|_| {}).await;
    for relay_state in [None, Some("https://evil.example/".to_owned())] {
        let unsolicited = Answer { relay_state, ..answer.clone() };
        let artifact = stage.service.keep(&unsolicited);
        for browser in [&stage.scene.browser, &Browser::new()] {
            stage.service.redirect(browser, &unsolicited, &artifact).await.here().assert_refused(403, "ISTH-3004");
            stage.service.post(browser, &unsolicited, &artifact).await.here().assert_refused(403, "ISTH-3004");
        }
    }
    // A login of another browser is not ended by it.
    let artifact = stage.service.keep(&answer);
    stage.service.redirect(&Browser::new(), &answer, &artifact).await.here().assert_refused(400, "ISTH-2005");
    assert!(stage.service.site.seen().is_empty(), "nobody was asked");
    assert_eq!(stage.subject(stage.arrive(&answer).await).await, "samlp|acme|jane-1");
}

#[tokio::test]
async fn artifacts_are_taken_where_they_were_asked_for_and_by_index() {
    let (idp, app) = (Arc::new(Idp::new("acme")), App::new("notes"));
    let mut service = ArtifactService::start(&idp).await;
    let metadata = std::fs::read_to_string(idp.metadata_file()).unwrap();
    let resolution = format!(
        "<md:ArtifactResolutionService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:SOAP\" Location=\"{}\" index=\"5\"/><md:SingleSignOnService",
        service.url()
    );
    std::fs::write(idp.metadata_file(), metadata.replacen("<md:SingleSignOnService", &resolution, 1)).unwrap();
    let globex = "name = \"globex\"\n[connection.saml]\nmetadata_file = ";
    let by_post = format!("{globex}\"{}\"\n", idp.metadata_file().display());
    let setup =
        Setup::new().connection(&idp.toml("", "response_binding = \"artifact\"")).connection(&by_post).application(&app.toml("", ""));
    let scene = Scene::of(setup, Idp::new("unused"), app).await;
    let ask = async |connection: &str| {
        let url = scene.app.authorize(&scene.gateway, &[("prompt", "login"), ("connection", connection)]);
        let request = idp.read(&scene.browser.open(url.as_str()).await.away());
        idp.respond(&request, &Person::jane())
    };
    let reason = async |landed: Landed| {
        let (_, description) = scene.app.error(&scene.gateway, &landed.away());
        let correlation_id =
            description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a correlation id").to_owned();
        reason_in(&scene.gateway.trace(&correlation_id).await)
    };
    let answer = ask("acme").await;
    assert_eq!(reason(service.redirect(&scene.browser, &answer, &service.keep(&answer)).await).await, "artifact-endpoint-unknown");
    service.index = 5;
    let answer = ask("globex").await;
    assert_eq!(reason(service.redirect(&scene.browser, &answer, &service.keep(&answer)).await).await, "artifact-not-accepted");
    assert!(service.site.seen().is_empty());
    let answer = ask("acme").await;
    scene.app.code(&scene.gateway, &service.redirect(&scene.browser, &answer, &service.keep(&answer)).await.away());
}

#[tokio::test]
async fn both_forms_of_an_answer_at_once_are_none() {
    let stage = Stage::new("").await;
    let answer = stage.answer(|_| {}).await;
    let mut fields = answer.fields();
    fields.push(("SAMLart".to_owned(), stage.service.keep(&answer)));
    stage.scene.browser.post(&answer.from, &answer.to, &fields).await.here().assert_refused(400, "ISTH-1001");
    let mut twice = answer.to.clone();
    twice.query_pairs_mut().append_pair("SAMLart", "a").append_pair("SAMLart", "b");
    stage.scene.browser.open(twice.as_str()).await.here().assert_refused(400, "ISTH-1001");
    // A Response never travels by redirect (Profiles 4.1.2).
    let mut by_get = answer.to.clone();
    by_get.query_pairs_mut().append_pair("SAMLResponse", &answer.encoded());
    stage.scene.browser.open(by_get.as_str()).await.here().assert_refused(405, "ISTH-4002");
    assert_eq!(stage.subject(stage.arrive(&answer).await).await, "samlp|acme|jane-1");
}
