//! An application that speaks SAML without a library: every element of its requests is the test's to change, and no line
//! of ours makes its signatures. What it gets is read as text; `xmlsec1` says whether the signatures are good.

use super::judge::{self, Verdict};
use crate::harness::browser::{Browser, Departure, Landed};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::html::{attribute, escape, unescape};
use crate::harness::idp::{Answer, AuthnRequest, Idp, Person, unique_id};
use crate::harness::keys::Pair;
use crate::harness::process::{run, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use openssl::hash::MessageDigest;
use openssl::sign::Signer;
use std::fs;
use std::io::Write as _;
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;
use url::form_urlencoded::byte_serialize;

pub const STATUS: &str = "urn:oasis:names:tc:SAML:2.0:status:";
pub const FORMAT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:";

/// A registered application.
pub struct Sp {
    place: TempDir,
    pub client_id: String,
    pub entity_id: String,
    /// The default, and another one.
    pub acs: [String; 2],
    pub signer: Pair,
}

impl Sp {
    pub fn new(client_id: &str) -> Self {
        Self::signing_with(client_id, Pair::rsa(client_id))
    }

    pub fn signing_with(client_id: &str, signer: Pair) -> Self {
        let (place, encryption) = (tempfile::tempdir().unwrap(), Pair::rsa(client_id));
        for (file, text) in [
            ("sp.key", signer.key_pem()),
            ("sp.crt", signer.certificate_pem()),
            ("enc.key", encryption.key_pem()),
            ("enc.crt", encryption.certificate_pem()),
        ] {
            fs::write(place.path().join(file), text).unwrap();
        }
        let base = format!("https://{client_id}.example");
        let acs = [format!("{base}/acs"), format!("{base}/acs/other?x=1&y=2")];
        Self { place, client_id: client_id.to_owned(), entity_id: format!("{base}/saml"), acs, signer }
    }

    /// Its `[[application]]`; `top` and `saml` are more lines of both tables.
    pub fn toml(&self, top: &str, saml: &str) -> String {
        let file = |name: &str| text(&self.place.path().join(name)).to_owned();
        format!(
            "client_id = \"{id}\"\nname = \"The {id}\"\n{top}\n[application.saml]\nentity_id = \"{entity_id}\"\nacs_urls = [\"{first}\", \"{second}\"]\n\
             certificates = [\"{sp}\"]\nencryption_certificates = [\"{enc}\"]\n{saml}\n",
            id = self.client_id,
            entity_id = self.entity_id,
            first = self.acs[0],
            second = self.acs[1],
            sp = file("sp.crt"),
            enc = file("enc.crt"),
        )
    }

    /// A request in good order for the shared single sign-on service, which names no address for the answer.
    pub fn request(&self, gateway: &Gateway) -> Request {
        Request {
            id: unique_id(),
            version: "2.0".to_owned(),
            instant: crate::harness::idp::now(),
            destination: Some(gateway.url("/saml/sso").to_string()),
            issuer: self.entity_id.clone(),
            attributes: String::new(),
            children: String::new(),
            relay_state: Some("a state & more".to_owned()),
            to: gateway.url("/saml/sso"),
        }
    }

    /// The address that brings a request by redirect, signed as SAML Bindings 3.4.4.1 says.
    pub fn redirect(&self, request: &Request) -> Url {
        self.signed_query(request, &unsigned_query(request))
    }

    /// The same with a query of the test's own.
    pub fn signed_query(&self, request: &Request, query: &str) -> Url {
        let algorithm = if self.signer.key.rsa().is_ok() { "rsa-sha256" } else { "ecdsa-sha256" };
        let query = format!("{query}&SigAlg={}", encode(&format!("http://www.w3.org/2001/04/xmldsig-more#{algorithm}")));
        let mut signer = Signer::new(MessageDigest::sha256(), &self.signer.key).unwrap();
        let mut signature = signer.sign_oneshot_to_vec(query.as_bytes()).unwrap();
        if algorithm == "ecdsa-sha256" {
            signature = raw_ecdsa(&signature);
        }
        at(request, &format!("{query}&Signature={}", encode(&STANDARD.encode(signature))))
    }

    pub fn unsigned_redirect(request: &Request) -> Url {
        at(request, &unsigned_query(request))
    }

    /// The form that brings a request by POST; the signature is made by `xmlsec1`.
    pub fn form(&self, request: &Request) -> Vec<(String, String)> {
        form_of(&self.sign(&request.xml(&signature_template(&request.id, self.signer.key.rsa().is_ok()))), request)
    }

    pub fn unsigned_form(request: &Request) -> Vec<(String, String)> {
        form_of(&request.xml(""), request)
    }

    /// Signs the only signature template of a document.
    pub fn sign(&self, xml: &str) -> String {
        let file = |name: &str| self.place.path().join(name);
        fs::write(file("template.xml"), xml).unwrap();
        let key = format!("{},{}", text(&file("sp.key")), text(&file("sp.crt")));
        let id = "urn:oasis:names:tc:SAML:2.0:protocol:AuthnRequest";
        let (signed, template) = (file("signed.xml"), file("template.xml"));
        run("xmlsec1", &["--sign", "--privkey-pem", &key, "--output", text(&signed), "--id-attr:ID", id, text(&template)], "xmlsec1");
        fs::read_to_string(signed).unwrap()
    }

    /// What `xmlsec1` makes of the encrypted element of a document.
    pub fn decrypt(&self, xml: &str) -> String {
        let file = |name: &str| self.place.path().join(name);
        fs::write(file("encrypted.xml"), xml).unwrap();
        run("xmlsec1", &["--decrypt", "--privkey-pem", text(&file("enc.key")), text(&file("encrypted.xml"))], "xmlsec1")
    }
}

/// A request, and where it goes.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: String,
    pub version: String,
    pub instant: OffsetDateTime,
    pub destination: Option<String>,
    pub issuer: String,
    /// More attributes of the root, as XML.
    pub attributes: String,
    /// What comes behind Issuer and Signature, as XML.
    pub children: String,
    pub relay_state: Option<String>,
    pub to: Url,
}

impl Request {
    #[must_use]
    pub fn with(mut self, attributes: &str) -> Self {
        self.attributes = attributes.to_owned();
        self
    }

    #[must_use]
    pub fn and(mut self, children: &str) -> Self {
        self.children += children;
        self
    }

    #[must_use]
    pub fn state(mut self, relay_state: Option<&str>) -> Self {
        self.relay_state = relay_state.map(str::to_owned);
        self
    }

    /// To another single sign-on service of ours.
    #[must_use]
    pub fn at(mut self, to: Url) -> Self {
        self.destination = Some(to.to_string());
        self.to = to;
        self
    }

    pub fn xml(&self, signature: &str) -> String {
        let Self { id, version, attributes, children, .. } = self;
        let destination = self.destination.as_ref().map(|to| format!(" Destination=\"{}\"", escape(to))).unwrap_or_default();
        let instant = self.instant.format(&Rfc3339).unwrap();
        let issuer = escape(&self.issuer);
        format!(
            r#"<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="{version}" IssueInstant="{instant}"{destination} {attributes}><saml:Issuer>{issuer}</saml:Issuer>{signature}{children}</samlp:AuthnRequest>"#
        )
    }
}

pub fn signature_template(id: &str, rsa: bool) -> String {
    let method = if rsa { "rsa-sha256" } else { "ecdsa-sha256" };
    format!(
        r##"<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/><ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#{method}"/><ds:Reference URI="#{id}"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature>"##
    )
}

/// SAMLRequest and RelayState of a query.
pub fn unsigned_query(request: &Request) -> String {
    let mut query = format!("SAMLRequest={}", encode(&deflated(&request.xml(""))));
    if let Some(state) = &request.relay_state {
        query += &format!("&RelayState={}", encode(state));
    }
    query
}

/// SAML Bindings 3.4.4.1.
pub fn deflated(xml: &str) -> String {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(xml.as_bytes()).unwrap();
    STANDARD.encode(encoder.finish().unwrap())
}

pub fn form_of(xml: &str, request: &Request) -> Vec<(String, String)> {
    let mut fields = vec![("SAMLRequest".to_owned(), STANDARD.encode(xml))];
    fields.extend(request.relay_state.clone().map(|state| ("RelayState".to_owned(), state)));
    fields
}

pub fn encode(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

fn at(request: &Request, query: &str) -> Url {
    let joint = if request.to.query().is_some() { "&" } else { "?" };
    Url::parse(&format!("{}{joint}{query}", request.to)).unwrap()
}

/// RFC 4050 3.3: both numbers side by side.
fn raw_ecdsa(der: &[u8]) -> Vec<u8> {
    let signature = openssl::ecdsa::EcdsaSig::from_der(der).unwrap();
    let padded = |number: &openssl::bn::BigNumRef| number.to_vec_padded(32).unwrap();
    [padded(signature.r()), padded(signature.s())].concat()
}

/// What the application gets.
#[derive(Clone, Debug)]
pub struct Answered {
    pub to: String,
    pub encoded: String,
    pub xml: String,
    pub relay_state: Option<String>,
    pub verdict: Verdict,
}

impl Answered {
    /// Reads what the browser posts to the application. Every answer is signed, says where it goes, and is built as the
    /// schema says.
    #[track_caller]
    pub fn read(gateway: &Gateway, departure: &Departure) -> Self {
        assert!(departure.form.is_some(), "a response does not go by redirect: {}", departure.url);
        let encoded = departure.parameter("SAMLResponse").expect("a SAMLResponse");
        let xml = String::from_utf8(STANDARD.decode(&encoded).expect("base64")).expect("UTF-8");
        let to = departure.url.to_string();
        let verdict = judge::verify(gateway, &xml);
        judge::is_built_as_the_schema_says(&xml);
        let answered = Self { to, encoded, relay_state: departure.parameter("RelayState"), xml, verdict };
        assert_eq!(answered.of("samlp:Response", "Destination"), answered.to, "{}", answered.xml);
        answered
    }

    /// The status codes without their common prefix, from the top.
    pub fn status(&self) -> Vec<String> {
        let codes = self.xml.split("<samlp:StatusCode ").skip(1).map(|part| attribute(part, "Value").expect("a Value"));
        codes.map(|code| code.strip_prefix(STATUS).expect("a known prefix").to_owned()).collect()
    }

    /// A refusal with these codes, for the request of this ID, signed, without assertion.
    #[track_caller]
    pub fn assert_refused(&self, top: &str, second: &str, request_id: &str) {
        assert_eq!(self.status(), [top, second], "{}", self.xml);
        assert!(!self.xml.contains("Assertion>"), "{}", self.xml);
        assert!(self.verdict.response, "an unsigned refusal: {}", self.xml);
        assert_eq!(self.of("samlp:Response", "InResponseTo"), request_id);
    }

    /// An answer with an assertion.
    #[track_caller]
    pub fn assert_good(&self) -> &Self {
        assert_eq!(self.status(), ["Success"], "{}", self.xml);
        self
    }

    /// An attribute of the first element of this name.
    #[track_caller]
    pub fn of(&self, element: &str, name: &str) -> String {
        self.find(element, name).unwrap_or_else(|| panic!("no {name} of {element} in {}", self.xml))
    }

    pub fn find(&self, element: &str, name: &str) -> Option<String> {
        let (_, rest) = self.xml.split_once(&format!("<{element} "))?;
        attribute(rest.split_once('>')?.0, name)
    }

    /// The text of all elements of this name.
    pub fn texts(&self, element: &str) -> Vec<String> {
        let start = format!("<{element}");
        let starts = self.xml.split(&start).skip(1).filter(|part| part.starts_with(['>', ' ']));
        starts.filter_map(|part| part.split_once('>')).map(|(_, rest)| unescape(rest.split('<').next().unwrap_or_default())).collect()
    }

    #[track_caller]
    pub fn text(&self, element: &str) -> String {
        self.texts(element).into_iter().next().unwrap_or_else(|| panic!("no {element} in {}", self.xml))
    }

    /// The values of the attribute with this friendly name.
    pub fn values(&self, friendly: &str) -> Vec<String> {
        let found = self
            .xml
            .split("<saml:Attribute ")
            .skip(1)
            .find(|part| part.split_once('>').and_then(|(tag, _)| attribute(tag, "FriendlyName")).is_some_and(|name| name == friendly));
        let inside = found.and_then(|part| part.split("</saml:Attribute>").next()).unwrap_or_default();
        let values = inside.split("<saml:AttributeValue").skip(1).filter_map(|part| part.split_once('>'));
        values.map(|(_, rest)| unescape(rest.split('<').next().unwrap_or_default())).collect()
    }

    /// The trace id in the status message.
    #[track_caller]
    pub fn correlation_id(&self) -> String {
        let message = self.text("samlp:StatusMessage");
        let (_, rest) = message.rsplit_once('(').unwrap_or_else(|| panic!("no correlation id in {message}"));
        rest.trim_end_matches(')').to_owned()
    }
}

/// The usual scene: a gateway, a SAML identity provider, a SAML application, a browser.
pub struct Scene {
    pub gateway: Gateway,
    pub idp: Idp,
    pub sp: Sp,
    pub browser: Browser,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with("", |setup| setup).await
    }

    /// With lines in the application's `[application.saml]`, and changes to the configuration.
    pub async fn with(saml: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        Self::of(Idp::new("acme"), Sp::new("wiki"), "", saml, change).await
    }

    pub async fn of(idp: Idp, sp: Sp, connection: &str, saml: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        let setup = Setup::new().connection(&idp.toml("", connection)).application(&sp.toml("", saml));
        Self { gateway: Gateway::start(change(setup)).await, idp, sp, browser: Browser::new() }
    }

    pub fn request(&self) -> Request {
        self.sp.request(&self.gateway)
    }

    /// A signed request by redirect, to where it leads.
    pub async fn ask(&self, request: &Request) -> Landed {
        self.browser.open(self.sp.redirect(request).as_str()).await
    }

    /// The browser comes with a form from the application's page.
    pub async fn post(&self, request: &Request, form: &[(String, String)]) -> Landed {
        self.browser.post(&Url::parse(&self.sp.entity_id).unwrap(), &request.to, form).await
    }

    /// What the identity provider is asked.
    pub async fn upstream(&self, request: &Request) -> AuthnRequest {
        self.idp.read(&self.ask(request).await.away())
    }

    /// The identity provider's form arrives, and the gateway answers the application.
    pub async fn answer(&self, answer: &Answer) -> Answered {
        let landed = self.browser.post(&answer.from, &answer.to, &answer.fields()).await;
        Answered::read(&self.gateway, &landed.away())
    }

    /// A whole login.
    pub async fn sign_in(&self, request: &Request, person: &Person) -> Answered {
        let asked = self.upstream(request).await;
        self.answer(&self.idp.respond(&asked, person)).await
    }

    /// What is answered without asking anybody.
    pub async fn at_once(&self, request: &Request) -> Answered {
        Answered::read(&self.gateway, &self.ask(request).await.away())
    }
}
