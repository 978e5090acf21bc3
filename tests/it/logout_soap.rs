//! Single Logout in SOAP: a partner and the gateway without the browser.

use crate::api::Api;
use crate::harness::browser::{Browser, client};
use crate::harness::eventually;
use crate::harness::gateway::Setup;
use crate::harness::html::attribute;
use crate::harness::web::{Asked, Reply, Site};
use crate::logout_support::{BYE, Cascade, Heard, Known, Message, Partner};
use std::sync::Arc;
use url::Url;

const APPS: &str = "/saml/metadata";

impl Partner {
    /// A message in an envelope, signed by `xmlsec1`.
    fn envelope(&self, message: &Message) -> String {
        let (_, form) = self.form(message).into_iter().next().unwrap();
        let signed = Heard::posted(&form);
        enveloped(signed.trim_start_matches("<?xml version=\"1.0\"?>").trim())
    }

    /// Its metadata, with an address for the browser, if it has one, and one in SOAP.
    fn metadata(&self, by_browser: bool, soap: &str) -> String {
        let bindings = "urn:oasis:names:tc:SAML:2.0:bindings:";
        let redirect = match by_browser {
            true => format!("<md:SingleLogoutService Binding=\"{bindings}HTTP-Redirect\" Location=\"{}\"/>", self.slo),
            false => String::new(),
        };
        format!(
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" entityID=\"{}\"><md:SPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleLogoutService Binding=\"{bindings}SOAP\" Location=\"{soap}\"/>{redirect}<md:AssertionConsumerService Binding=\"{bindings}HTTP-POST\" Location=\"https://{}.example/acs\" index=\"0\"/></md:SPSSODescriptor></md:EntityDescriptor>",
            self.entity_id,
            self.pair.certificate_base64(),
            self.name,
        )
    }
}

/// A message as it is, in an envelope.
fn enveloped(message: &str) -> String {
    format!("<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>{message}</soap:Body></soap:Envelope>")
}

/// How an application answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Well,
    Unsigned,
    ToAnotherRequest,
    Fault,
}

/// An application with a service in SOAP, which it names in its metadata.
async fn soap_service(partner: &Arc<Partner>, manner: Manner) -> Site {
    let partner = Arc::clone(partner);
    Site::answering(0, move |asked: &Asked| {
        let tag = asked.body.split_once("<samlp:LogoutRequest").expect("a request").1.split_once('>').unwrap().0;
        let id = attribute(tag, "ID").expect("an ID");
        let heard = |id: &str| Heard { xml: format!("<samlp:LogoutRequest ID=\"{id}\">"), to: here(), relay_state: None };
        let answer = |id: &str| Message { destination: None, ..partner.answer(here(), &heard(id), &["Success"]) };
        let (status, body) = match manner {
            Manner::Well => (200, partner.envelope(&answer(&id))),
            Manner::Unsigned => (200, enveloped(&answer(&id).xml(""))),
            Manner::ToAnotherRequest => (200, partner.envelope(&answer("_another"))),
            Manner::Fault => (500, enveloped("<soap:Fault><faultcode>soap:Server</faultcode><faultstring>no</faultstring></soap:Fault>")),
        };
        Reply { status, content_type: "text/xml", location: None, body }
    })
    .await
}

fn here() -> Url {
    Url::parse("https://soap.example/").unwrap()
}

fn registered(setup: Setup, partner: &Partner, by_browser: bool, site: &Site) -> Setup {
    let metadata = partner.metadata(by_browser, &format!("http://127.0.0.1:{}/soap", site.port));
    let name = &partner.name;
    let toml = format!(
        "client_id = \"{name}\"\nname = \"The {name}\"\n[application.saml]\nmetadata_file = \"{name}.xml\"\nallow_unsolicited = true\n"
    );
    setup.file(&format!("{name}.xml"), &metadata).application(&toml)
}

#[tokio::test]
async fn an_application_that_takes_soap_is_told_before_the_browser_goes_on() {
    let soapy = Arc::new(Partner::new("soapy"));
    let site = soap_service(&soapy, Manner::Well).await;
    let scene = Cascade::with("", "", |setup| registered(setup, &soapy, true, &site)).await;
    let hint = scene.openid("notes").await;
    let docs = scene.saml(&scene.docs).await;
    let known = scene.saml(&soapy).await;
    let apps = scene.metadata(APPS).await;
    let page = scene.look(&scene.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)])).await;
    let seen = site.seen();
    assert_eq!(seen.len(), 1);
    let heard = Heard::in_envelope(&seen[0].body, &apps);
    assert_eq!((heard.text("saml:NameID"), Some(heard.text("samlp:SessionIndex"))), (known.name, known.session_index));
    assert!(page.contains("The soapy: <span class=\"good\">signed out</span>"), "{}", page.body);
    // The browser has nothing to do there.
    let to_docs = scene.hear(&scene.browser.press(&page, "Continue").await.away(), &apps);
    to_docs.assert_ends(&docs, &scene.docs);
    assert_eq!(scene.answers(&scene.docs, scene.slo(), &to_docs, &["Success"]).await.away().url.as_str(), BYE);
}

#[tokio::test]
async fn who_does_not_answer_well_in_soap_is_visited_by_the_browser_or_not_confirmed() {
    for (name, manner) in [("silent", Manner::Fault), ("unsigned", Manner::Unsigned), ("other", Manner::ToAnotherRequest)] {
        let both = Arc::new(Partner::new(name));
        let only = Arc::new(Partner::new("only"));
        let sites = (soap_service(&both, manner).await, soap_service(&only, manner).await);
        let scene = Cascade::with("", "", |setup| registered(registered(setup, &both, true, &sites.0), &only, false, &sites.1)).await;
        let hint = scene.openid("notes").await;
        let known = scene.saml(&both).await;
        scene.saml(&only).await;
        let apps = scene.metadata(APPS).await;
        let page = scene.look(&scene.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)])).await;
        assert!(page.contains("The only: <span class=\"bad\">not signed out"), "{name}: {}", page.body);
        let heard = scene.hear(&scene.browser.press(&page, "Continue").await.away(), &apps);
        heard.assert_ends(&known, &both);
        let result = scene.answers(&both, scene.slo(), &heard, &["Success"]).await.here();
        assert!(result.contains("not everywhere"), "{name}: {}", result.body);
    }
}

struct Answered {
    status: u16,
    body: String,
}

async fn post(to: &Url, envelope: String) -> Answered {
    let answer = client().post(to.clone()).header("content-type", "text/xml; charset=utf-8").body(envelope).send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/xml"));
    Answered { status: answer.status().as_u16(), body: answer.text().await.unwrap() }
}

#[tokio::test]
async fn a_request_in_soap_ends_the_session_and_is_answered_in_soap() {
    let scene = Cascade::new().await;
    let (apps, idps) = (scene.metadata(APPS).await, scene.metadata("/connections/acme/metadata").await);
    for metadata in [&apps, &idps] {
        assert!(metadata.contains("<md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:SOAP\""), "{metadata}");
    }
    // Everybody can be told: nobody but those of the back channel.
    let wiki = scene.saml(&scene.wiki).await;
    scene.openid("mail").await;
    for place in ["/saml/slo", "/samlp/wiki/logout"] {
        let wiki = if place == "/saml/slo" { wiki.clone() } else { scene.saml(&scene.wiki).await };
        let mut request = scene.wiki.request(scene.gateway.url(place), &wiki);
        request.relay_state = None;
        let answer = post(&request.to, scene.wiki.envelope(&request)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!scene.is_signed_in().await);
        let heard = Heard::in_envelope(&answer.body, &apps);
        // The identity provider is told by browsers only, and there is none.
        assert_eq!(
            (heard.status(), heard.of("InResponseTo")),
            (vec!["Success".to_owned(), "PartialLogout".to_owned()], request.id.clone())
        );
        // A copy ends nothing.
        assert_eq!(post(&request.to, scene.wiki.envelope(&request)).await.status, 403);
    }
    eventually("a logout token", async || scene.told().into_iter().next()).await;
    // The identity provider, whose SOAP goes to its own place; and nobody is left who would have to be visited.
    scene.openid("mail").await;
    let request = scene.acme.request(scene.connection_slo(), &scene.upstream());
    let answer = post(&request.to, scene.acme.envelope(&request)).await;
    assert_eq!(Heard::in_envelope(&answer.body, &idps).status(), ["Success"]);
    assert!(!scene.is_signed_in().await);
}

#[tokio::test]
async fn a_request_in_soap_that_is_not_believed_ends_nothing_and_learns_nothing() {
    let scene = Cascade::with("", "", |setup| setup).await;
    let wiki = scene.saml(&scene.wiki).await;
    let stranger = Partner::new("stranger");
    let to = scene.slo();
    let request = scene.wiki.request(to.clone(), &wiki);
    let late = Message { instant: request.instant - time::Duration::hours(1), ..request.clone() };
    let elsewhere = Message { destination: Some("https://elsewhere.example/".to_owned()), ..request.clone() };
    for (what, envelope) in [
        ("unsigned", enveloped(&request.xml(""))),
        ("another's key", stranger.envelope(&request)),
        ("nobody's", stranger.envelope(&stranger.request(to.clone(), &wiki))),
        ("too old", scene.wiki.envelope(&late)),
        ("for somebody else", scene.wiki.envelope(&elsewhere)),
    ] {
        let answer = post(&to, envelope).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.body);
        assert!(answer.body.contains("The request was refused.") && !answer.body.contains("LogoutResponse"), "{what}: {}", answer.body);
        assert!(scene.is_signed_in().await, "{what}");
    }
    for (what, envelope) in
        [("nothing", String::new()), ("no envelope", request.xml("")), ("no message", enveloped("")), ("no XML", "{}".to_owned())]
    {
        let answer = post(&to, envelope).await;
        assert_eq!((answer.status, answer.body.contains("soap:Fault")), (500, true), "{what}: {}", answer.body);
    }
    // Somebody of whom nothing is known.
    let nobody = Known { name: "nobody".to_owned(), ..wiki };
    let answer = post(&to, scene.wiki.envelope(&scene.wiki.request(to.clone(), &nobody))).await;
    let heard = Heard::in_envelope(&answer.body, &scene.metadata(APPS).await);
    assert_eq!((answer.status, heard.status()), (200, vec!["Responder".to_owned(), "UnknownPrincipal".to_owned()]));
    assert!(scene.is_signed_in().await);
}

#[tokio::test]
async fn an_operator_s_logout_reaches_applications_that_take_soap() {
    let soapy = Arc::new(Partner::new("soapy"));
    let site = soap_service(&soapy, Manner::Well).await;
    let scene = Cascade::with("", "", |setup| registered(setup, &soapy, false, &site)).await;
    let known = scene.saml(&soapy).await;
    let api = Api::of(&scene.gateway).await;
    let sessions = api.read("/users/samlp|acme|jane-1/sessions").await;
    let sid = sessions["sessions"][0]["id"].as_str().expect("a session").to_owned();
    assert_eq!(api.delete(&format!("/sessions/{sid}")).await.status, 202);
    let asked = eventually("a LogoutRequest", async || site.seen().into_iter().next()).await;
    let metadata = Browser::new().open(scene.gateway.url(APPS).as_str()).await.here().body;
    assert_eq!(Heard::in_envelope(&asked.body, &metadata).text("saml:NameID"), known.name);
}
