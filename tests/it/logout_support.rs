//! Partners of a logout without a library: they write their messages as text, sign queries with OpenSSL and forms with
//! `xmlsec1`, and judge our signatures with OpenSSL.

use crate::harness::app::App;
use crate::harness::browser::{Browser, Departure, Landed, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::html::{attribute, escape, unescape};
use crate::harness::idp::{Idp, Person, now, unique_id};
use crate::harness::keys::Pair;
use crate::harness::process::{run, text};
use crate::harness::web::Site;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use openssl::hash::MessageDigest;
use openssl::sign::{Signer, Verifier};
use openssl::x509::X509;
use reqwest::Method;
use std::fs;
use std::io::{Read as _, Write as _};
use tempfile::TempDir;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use url::Url;
use url::form_urlencoded::byte_serialize;

const ALGORITHM: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/// One that speaks SAML: an application, or an identity provider.
pub struct Partner {
    place: TempDir,
    pub name: String,
    pub entity_id: String,
    pub slo: String,
    pub pair: Pair,
}

/// What a partner knows of a session.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The NameID element's attributes, as they were given.
    pub attributes: String,
    pub name: String,
    pub session_index: Option<String>,
}

/// A logout message of a partner, whose every part is the test's to change.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub issuer: String,
    pub destination: Option<String>,
    pub instant: OffsetDateTime,
    /// More attributes of the root, as XML.
    pub attributes: String,
    /// What comes behind Issuer, as XML.
    pub inside: String,
    pub response: bool,
    pub to: Url,
    pub relay_state: Option<String>,
}

impl Partner {
    pub fn new(name: &str) -> Self {
        let (place, pair) = (tempfile::tempdir().unwrap(), Pair::rsa(name));
        fs::write(place.path().join("key"), pair.key_pem()).unwrap();
        fs::write(place.path().join("crt"), pair.certificate_pem()).unwrap();
        let base = format!("https://{name}.example");
        Self { place, name: name.to_owned(), entity_id: format!("{base}/saml"), slo: format!("{base}/slo"), pair }
    }

    /// An identity provider, with what signs its assertions.
    pub fn idp(name: &str) -> (Idp, Self) {
        let mut partner = Self::new(name);
        let same = Pair { key: partner.pair.key.clone(), certificate: partner.pair.certificate.clone() };
        let idp = Idp::signing_with(name, same);
        partner.entity_id.clone_from(&idp.entity_id);
        partner.slo = format!("https://idp.{name}.example/slo");
        (idp, partner)
    }

    /// Its `[[application]]`; `saml` are more lines.
    pub fn application(&self, saml: &str) -> String {
        format!(
            "client_id = \"{name}\"\nname = \"The {name}\"\n[application.saml]\nentity_id = \"{entity}\"\nacs_urls = [\"https://{name}.example/acs\"]\n\
             certificates = [\"{file}\"]\nslo_url = \"{slo}\"\nallow_unsolicited = true\n{saml}\n",
            name = self.name,
            entity = self.entity_id,
            slo = self.slo,
            file = text(&self.place.path().join("crt")),
        )
    }

    /// Its `[[connection]]`; `saml` are more lines.
    pub fn connection(&self, idp: &Idp, saml: &str) -> String {
        format!(
            "name = \"{name}\"\ndisplay_name = \"The {name} people\"\n[connection.saml]\nentity_id = \"{entity}\"\nsso_url = \"{sso}\"\n\
             certificates = [\"{file}\"]\nslo_url = \"{slo}\"\n{saml}\n",
            name = self.name,
            entity = self.entity_id,
            sso = idp.sso_url,
            slo = self.slo,
            file = text(&self.place.path().join("crt")),
        )
    }

    fn message(&self, to: Url, response: bool) -> Message {
        Message {
            id: unique_id(),
            issuer: self.entity_id.clone(),
            destination: Some(to.to_string()),
            instant: now(),
            attributes: String::new(),
            inside: String::new(),
            response,
            to,
            relay_state: None,
        }
    }

    /// A LogoutRequest in good order.
    pub fn request(&self, to: Url, known: &Known) -> Message {
        let until = (now() + Duration::minutes(5)).format(&Rfc3339).unwrap();
        let index = known.session_index.as_ref().map(|index| format!("<samlp:SessionIndex>{}</samlp:SessionIndex>", escape(index)));
        Message {
            attributes: format!("NotOnOrAfter=\"{until}\""),
            inside: format!("<saml:NameID {}>{}</saml:NameID>{}", known.attributes, escape(&known.name), index.unwrap_or_default()),
            relay_state: Some("a state & more".to_owned()),
            ..self.message(to, false)
        }
    }

    /// The answer to a request of ours, with these status codes.
    pub fn answer(&self, to: Url, request: &Heard, codes: &[&str]) -> Message {
        let code = |code: &str, inside: &str| {
            format!("<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:{code}\">{inside}</samlp:StatusCode>")
        };
        let status = codes.iter().rev().fold(String::new(), |inside, one| code(one, &inside));
        Message {
            attributes: format!("InResponseTo=\"{}\"", request.of("ID")),
            inside: format!("<samlp:Status>{status}</samlp:Status>"),
            ..self.message(to, true)
        }
    }

    /// The address that brings a message by redirect, signed.
    pub fn redirect(&self, message: &Message) -> Url {
        let query = format!("{}&SigAlg={}", message.query(), encode(ALGORITHM));
        let mut signer = Signer::new(MessageDigest::sha256(), &self.pair.key).unwrap();
        let signature = signer.sign_oneshot_to_vec(query.as_bytes()).unwrap();
        Url::parse(&format!("{}?{query}&Signature={}", message.to, encode(&STANDARD.encode(signature)))).unwrap()
    }

    /// The form that brings it by POST, signed by `xmlsec1`.
    pub fn form(&self, message: &Message) -> Vec<(String, String)> {
        let file = |name: &str| self.place.path().join(name);
        fs::write(file("template.xml"), message.xml(&signature_template(&message.id))).unwrap();
        let key = format!("{},{}", text(&file("key")), text(&file("crt")));
        let id = format!("urn:oasis:names:tc:SAML:2.0:protocol:{}", message.root());
        let (signed, template) = (file("signed.xml"), file("template.xml"));
        run("xmlsec1", &["--sign", "--privkey-pem", &key, "--output", text(&signed), "--id-attr:ID", &id, text(&template)], "xmlsec1");
        let mut fields = vec![(message.parameter().to_owned(), STANDARD.encode(fs::read_to_string(signed).unwrap()))];
        fields.extend(message.relay_state.clone().map(|state| ("RelayState".to_owned(), state)));
        fields
    }
}

impl Message {
    const fn root(&self) -> &'static str {
        if self.response { "LogoutResponse" } else { "LogoutRequest" }
    }

    const fn parameter(&self) -> &'static str {
        if self.response { "SAMLResponse" } else { "SAMLRequest" }
    }

    pub fn xml(&self, signature: &str) -> String {
        let Self { id, attributes, inside, .. } = self;
        let destination = self.destination.as_ref().map(|to| format!(" Destination=\"{}\"", escape(to))).unwrap_or_default();
        let (root, instant, issuer) = (self.root(), self.instant.format(&Rfc3339).unwrap(), escape(&self.issuer));
        format!(
            r#"<samlp:{root} xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{instant}"{destination} {attributes}><saml:Issuer>{issuer}</saml:Issuer>{signature}{inside}</samlp:{root}>"#
        )
    }

    fn query(&self) -> String {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(self.xml("").as_bytes()).unwrap();
        let mut query = format!("{}={}", self.parameter(), encode(&STANDARD.encode(encoder.finish().unwrap())));
        if let Some(state) = &self.relay_state {
            query += &format!("&RelayState={}", encode(state));
        }
        query
    }

    pub fn unsigned(&self) -> Url {
        Url::parse(&format!("{}?{}", self.to, self.query())).unwrap()
    }
}

/// A logout message of ours, whose signature was good.
#[derive(Clone, Debug)]
pub struct Heard {
    pub xml: String,
    pub to: Url,
    pub relay_state: Option<String>,
}

impl Heard {
    /// The XML of a message by redirect; nothing of it is judged.
    pub fn inflated(parameter: &str) -> String {
        let mut xml = String::new();
        DeflateDecoder::new(STANDARD.decode(parameter).unwrap().as_slice()).read_to_string(&mut xml).unwrap();
        xml
    }

    /// The same by a form.
    pub fn posted(field: &str) -> String {
        String::from_utf8(STANDARD.decode(field).unwrap()).unwrap()
    }

    /// A message of ours in an envelope, judged by `xmlsec1`.
    #[track_caller]
    pub fn in_envelope(envelope: &str, metadata: &str) -> Self {
        let certificate = metadata.split("<ds:X509Certificate>").nth(1).expect("a certificate").split('<').next().unwrap();
        let xml = judged_by_xmlsec(envelope.as_bytes(), certificate);
        Self { xml, to: Url::parse("https://soap.example/").unwrap(), relay_state: None }
    }

    /// Reads it off the browser, and holds it to what every message of ours promises. `metadata` are ours toward the partner.
    #[track_caller]
    pub fn read(departure: &Departure, metadata: &str) -> Self {
        let certificate = metadata.split("<ds:X509Certificate>").nth(1).expect("a certificate").split('<').next().unwrap();
        let key = X509::from_der(&STANDARD.decode(certificate).unwrap()).unwrap().public_key().unwrap();
        let mut to = departure.url.clone();
        let request = departure.parameter("SAMLRequest").is_some();
        let name = if request { "SAMLRequest" } else { "SAMLResponse" };
        let message = STANDARD.decode(departure.parameter(name).expect("a logout message")).unwrap();
        let xml = if departure.form.is_some() {
            judged_by_xmlsec(&message, certificate)
        } else {
            let query = departure.url.query().unwrap();
            let (signed, signature) = query.split_once("&Signature=").expect("a signature");
            let signature = STANDARD.decode(decode(signature)).unwrap();
            let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
            assert!(verifier.verify_oneshot(&signature, signed.as_bytes()).unwrap(), "the signature is not good");
            let mut xml = String::new();
            DeflateDecoder::new(message.as_slice()).read_to_string(&mut xml).unwrap();
            xml
        };
        to.set_query(None);
        let heard = Self { xml, to, relay_state: departure.parameter("RelayState") };
        assert_eq!(heard.of("Destination"), heard.to.as_str());
        heard
    }

    /// An attribute of the root.
    #[track_caller]
    pub fn of(&self, name: &str) -> String {
        let tag = self.xml.split_once("samlp:Logout").expect("a logout message").1.split_once('>').unwrap().0;
        attribute(tag, name).unwrap_or_else(|| panic!("no {name} in {}", self.xml))
    }

    #[track_caller]
    pub fn text(&self, element: &str) -> String {
        element_text(&self.xml, element).unwrap_or_else(|| panic!("no {element} in {}", self.xml))
    }

    pub fn status(&self) -> Vec<String> {
        let codes = self.xml.split("<samlp:StatusCode ").skip(1).map(|part| attribute(part, "Value").unwrap());
        codes.map(|code| code.rsplit(':').next().unwrap().to_owned()).collect()
    }

    /// The answer to a request, with these status codes.
    #[track_caller]
    pub fn assert_answers(&self, request: &Message, partner: &Partner, codes: &[&str]) {
        assert_eq!((self.status(), self.of("InResponseTo")), (codes.iter().map(|&code| code.to_owned()).collect(), request.id.clone()));
        assert_eq!((self.to.as_str(), &self.relay_state), (partner.slo.as_str(), &request.relay_state));
    }

    /// A request to end the session that the partner knows.
    #[track_caller]
    pub fn assert_ends(&self, known: &Known, partner: &Partner) {
        assert_eq!(self.to.as_str(), partner.slo);
        assert_eq!((self.text("saml:NameID"), Some(self.text("samlp:SessionIndex"))), (known.name.clone(), known.session_index.clone()));
    }
}

fn judged_by_xmlsec(message: &[u8], certificate: &str) -> String {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str| place.path().join(name);
    fs::write(file("message.xml"), message).unwrap();
    fs::write(file("crt"), format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n")).unwrap();
    let root = |name: &str| format!("urn:oasis:names:tc:SAML:2.0:protocol:{name}");
    let (request, response) = (root("LogoutRequest"), root("LogoutResponse"));
    let (message, certificate) = (file("message.xml"), file("crt"));
    let verify = ["--verify", "--pubkey-cert-pem", text(&certificate), "--id-attr:ID", &request, "--id-attr:ID", &response, text(&message)];
    run("xmlsec1", &verify, "xmlsec1");
    fs::read_to_string(message).unwrap()
}

fn element_text(xml: &str, element: &str) -> Option<String> {
    let start = format!("<{element}");
    let mut parts = xml.split(&start).skip(1).filter(|part| part.starts_with(['>', ' ']));
    Some(unescape(parts.next()?.split_once('>')?.1.split('<').next()?))
}

fn signature_template(id: &str) -> String {
    format!(
        r##"<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/><ds:SignatureMethod Algorithm="{ALGORITHM}"/><ds:Reference URI="#{id}"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature>"##
    )
}

fn encode(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

fn decode(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={text}").as_bytes()).next().unwrap().1.into_owned()
}

/// A gateway with an identity provider, OpenID applications told by the back channel and by a frame, and two SAML applications.
pub struct Cascade {
    pub gateway: Gateway,
    pub idp: Idp,
    pub acme: Partner,
    pub wiki: Partner,
    pub docs: Partner,
    /// Where logout tokens go.
    pub mailbox: Site,
    pub browser: Browser,
    /// SessionIndex of the last login at the identity provider.
    pub at_idp: std::sync::Mutex<String>,
}

pub const BYE: &str = "https://notes.example/bye";
pub const FRAME: &str = "https://board.example/out";

impl Cascade {
    pub async fn new() -> Self {
        Self::with("logout = true", "", |setup| setup).await
    }

    /// With lines in the tables `[connection.saml]` and `[application.saml]` of docs.
    pub async fn with(connection: &str, docs_lines: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        let mailbox = Site::start(|_| String::new()).await;
        let (idp, acme) = Partner::idp("acme");
        let (wiki, docs) = (Partner::new("wiki"), Partner::new("docs"));
        let back = format!("backchannel_logout_uri = \"http://127.0.0.1:{}/logout\"", mailbox.port);
        let frame = format!("frontchannel_logout_uri = \"{FRAME}\"\nfrontchannel_logout_session_required = true");
        let bye = format!("post_logout_redirect_uris = [\"{BYE}\"]");
        let setup = Setup::new()
            .connection(&acme.connection(&idp, connection))
            .application(&App::new("notes").toml("", &bye))
            .application(&App::new("mail").toml("", &back))
            .application(&App::new("board").toml("", &frame))
            .application(&wiki.application("logout_binding = \"redirect\""))
            .application(&docs.application(docs_lines));
        let gateway = Gateway::start(change(setup)).await;
        Self { gateway, idp, acme, wiki, docs, mailbox, browser: Browser::new(), at_idp: std::sync::Mutex::default() }
    }

    /// A whole login at an OpenID application; the ID token.
    pub async fn openid(&self, client_id: &str) -> String {
        self.openid_with(client_id, &[]).await
    }

    pub async fn openid_with(&self, client_id: &str, changes: &[(&str, &str)]) -> String {
        let app = App::new(client_id);
        let departure = self.browser.open(app.authorize(&self.gateway, changes).as_str()).await.away();
        let departure = self.through(departure).await;
        let code = app.code(&self.gateway, &departure);
        let tokens = crate::harness::app::Tokens::of(&app.redeem(&self.gateway, &code, &[]).await);
        tokens.id_token().to_owned()
    }

    /// A whole login at a SAML application, and what it knows of the session.
    pub async fn saml(&self, partner: &Partner) -> Known {
        self.saml_at(&partner.name).await
    }

    pub async fn saml_at(&self, client_id: &str) -> Known {
        let start = self.gateway.url(&format!("/samlp/{client_id}"));
        let departure = self.browser.open(start.as_str()).await.away();
        let departure = self.through(departure).await;
        let xml = String::from_utf8(STANDARD.decode(departure.parameter("SAMLResponse").expect("a response")).unwrap()).unwrap();
        known_of(&xml)
    }

    /// Through the identity provider, if the browser was sent there.
    async fn through(&self, departure: Departure) -> Departure {
        if !departure.url.as_str().starts_with(&self.idp.sso_url) {
            return departure;
        }
        let request = self.idp.read(&departure);
        let answer = self.idp.respond_with(&request, &Person::jane(), |response| {
            *self.at_idp.lock().unwrap() = format!("session-{}", response.assertion_id);
        });
        self.browser.post(&answer.from, &answer.to, &answer.fields()).await.away()
    }

    /// What the identity provider knows of the session.
    pub fn upstream(&self) -> Known {
        let format = "Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\"".to_owned();
        Known { attributes: format, name: Person::jane().name_id, session_index: Some(self.at_idp.lock().unwrap().clone()) }
    }

    pub async fn is_signed_in(&self) -> bool {
        let url = App::new("notes").authorize(&self.gateway, &[("prompt", "none")]);
        self.browser.open(url.as_str()).await.away().parameter("code").is_some()
    }

    /// `/oidc/logout`.
    pub fn end_session(&self, parameters: &[(&str, &str)]) -> Url {
        let mut url = self.gateway.url("/oidc/logout");
        url.query_pairs_mut().extend_pairs(parameters);
        url
    }

    pub fn slo(&self) -> Url {
        self.gateway.url("/saml/slo")
    }

    pub fn connection_slo(&self) -> Url {
        self.gateway.url("/connections/acme/slo")
    }

    /// Our metadata toward applications, and toward the identity provider.
    pub async fn metadata(&self, path: &str) -> String {
        Browser::new().open(self.gateway.url(path).as_str()).await.here().body
    }

    #[track_caller]
    pub fn hear(&self, departure: &Departure, metadata: &str) -> Heard {
        Heard::read(departure, metadata)
    }

    /// An address opened, redirects followed, forms not: a page that goes on by itself is looked at first.
    pub async fn look(&self, url: &Url) -> Page {
        look(&self.browser, url).await
    }

    /// The claims of the logout tokens that have arrived.
    pub fn told(&self) -> Vec<serde_json::Value> {
        let claims = |token: String| {
            let part = token.split('.').nth(1).expect("a JWT").to_owned();
            serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        self.mailbox.seen().iter().map(|asked| claims(asked.parameters()["logout_token"].clone())).collect()
    }

    /// A partner's answer by redirect, to where it leads.
    pub async fn answers(&self, partner: &Partner, to: Url, heard: &Heard, codes: &[&str]) -> Landed {
        self.browser.open(partner.redirect(&partner.answer(to, heard, codes)).as_str()).await
    }
}

pub async fn look(browser: &Browser, url: &Url) -> Page {
    let mut page = browser.exchange(Method::GET, url, None, None).await;
    while let Some(location) = page.headers.get("location") {
        let next = page.url.join(location.to_str().unwrap()).unwrap();
        assert_eq!(next.origin(), page.url.origin(), "sent away to {next}");
        page = browser.exchange(Method::GET, &next, None, None).await;
    }
    page
}

/// NameID and SessionIndex of an assertion.
pub fn known_of(xml: &str) -> Known {
    let attributes = xml.split_once("<saml:NameID").expect("a NameID").1.split_once('>').unwrap().0.to_owned();
    let tag = xml.split_once("<saml:AuthnStatement").expect("an AuthnStatement").1.split_once('>').unwrap().0;
    Known { attributes, name: element_text(xml, "saml:NameID").unwrap(), session_index: attribute(tag, "SessionIndex") }
}
