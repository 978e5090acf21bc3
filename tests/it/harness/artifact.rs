//! The artifact resolution service of an identity provider of the tests: what it answers is made by templates and `xmlsec1`.

use super::browser::{Browser, Landed};
use super::html;
use super::idp::{Answer, Idp, now, signature_template, unique_id};
use super::web::{Asked, Site};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use time::format_description::well_known::Rfc3339;

/// How it answers.
#[derive(Clone, Debug)]
pub struct Manner {
    pub issuer: String,
    /// Of the question, unless it is to be another.
    pub in_response_to: Option<String>,
    /// Last segments of the status codes.
    pub status: Vec<&'static str>,
    /// The ArtifactResponse is signed, whatever is in it.
    pub sign: bool,
    /// Gives each message as often as it is asked for.
    pub forgets_to_forget: bool,
    /// Says this instead of anything else.
    pub says: Option<String>,
}

/// Listens on loopback until dropped.
pub struct ArtifactService {
    pub site: Site,
    kept: Arc<Mutex<HashMap<String, String>>>,
    manner: Arc<Mutex<Manner>>,
    entity_id: String,
    pub index: u16,
}

impl ArtifactService {
    pub async fn start(idp: &Arc<Idp>) -> Self {
        let kept: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let usual = Manner {
            issuer: idp.entity_id.clone(),
            in_response_to: None,
            status: vec!["Success"],
            sign: true,
            forgets_to_forget: false,
            says: None,
        };
        let manner = Arc::new(Mutex::new(usual));
        let (messages, manners, signer) = (Arc::clone(&kept), Arc::clone(&manner), Arc::clone(idp));
        let site = Site::start(move |asked| resolve(asked, &signer, &messages, &manners)).await;
        Self { site, kept, manner, entity_id: idp.entity_id.clone(), index: 0 }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/artifact", self.site.port)
    }

    /// From now on it does so.
    pub fn does(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.manner.lock().unwrap());
    }

    /// Keeps a response, and gives the artifact that stands for it.
    pub fn keep(&self, answer: &Answer) -> String {
        let artifact = artifact(&self.entity_id, self.index);
        self.kept.lock().unwrap().insert(artifact.clone(), answer.xml.clone());
        artifact
    }

    /// The browser arrives with an artifact, by redirect.
    pub async fn redirect(&self, browser: &Browser, answer: &Answer, artifact: &str) -> Landed {
        let mut url = answer.to.clone();
        url.query_pairs_mut().append_pair("SAMLart", artifact);
        if let Some(relay_state) = &answer.relay_state {
            url.query_pairs_mut().append_pair("RelayState", relay_state);
        }
        let page = browser.exchange(Method::GET, &url, None, Some(&answer.from)).await;
        browser.follow(page).await
    }

    /// The same by a form.
    pub async fn post(&self, browser: &Browser, answer: &Answer, artifact: &str) -> Landed {
        let mut fields = vec![("SAMLart".to_owned(), artifact.to_owned())];
        fields.extend(answer.relay_state.clone().map(|value| ("RelayState".to_owned(), value)));
        browser.post(&answer.from, &answer.to, &fields).await
    }
}

/// An artifact of type 4.
pub fn artifact(entity_id: &str, index: u16) -> String {
    let mut handle = [0; 20];
    openssl::rand::rand_bytes(&mut handle).unwrap();
    STANDARD.encode([&[0, 4][..], &index.to_be_bytes(), &openssl::sha::sha1(entity_id.as_bytes()), &handle].concat())
}

fn resolve(asked: &Asked, idp: &Idp, kept: &Mutex<HashMap<String, String>>, manner: &Mutex<Manner>) -> String {
    let manner = manner.lock().unwrap().clone();
    if let Some(says) = manner.says {
        return says;
    }
    assert_eq!((asked.method.as_str(), asked.path()), ("POST", "/artifact"));
    let between =
        |from: &str, to: &str| asked.body.split_once(from).and_then(|(_, rest)| rest.split_once(to)).expect("its part").0.to_owned();
    let tag = between("<samlp:ArtifactResolve", ">");
    let artifact = between("<samlp:Artifact>", "</samlp:Artifact>");
    let message =
        if manner.forgets_to_forget { kept.lock().unwrap().get(&artifact).cloned() } else { kept.lock().unwrap().remove(&artifact) };
    let id = unique_id();
    let status = manner.status.iter().rev().fold(String::new(), |inner, code| {
        format!(r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{code}">{inner}</samlp:StatusCode>"#)
    });
    let response = format!(
        r#"<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><samlp:ArtifactResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{instant}" InResponseTo="{to}"><saml:Issuer>{issuer}</saml:Issuer>{signature}<samlp:Status>{status}</samlp:Status>{message}</samlp:ArtifactResponse></soap:Body></soap:Envelope>"#,
        instant = now().format(&Rfc3339).unwrap(),
        to = manner.in_response_to.unwrap_or_else(|| html::attribute(&tag, "ID").expect("an ID")),
        issuer = manner.issuer,
        signature = if manner.sign { signature_template(&id, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256") } else { String::new() },
        message = message.map(|xml| xml.trim_start_matches("<?xml version=\"1.0\"?>").trim().to_owned()).unwrap_or_default(),
    );
    if manner.sign { idp.sign(&response, &format!("//*[@ID='{id}']")).replacen("<?xml version=\"1.0\"?>\n", "", 1) } else { response }
}
