//! An identity provider whose responses are templates signed and encrypted by `xmlsec1`: every element of them is the
//! test's to change, and no line of ours makes or checks a signature.

use super::browser::Departure;
use super::html;
use super::keys::Pair;
use super::process::{run, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;
use openssl::encrypt::Encrypter;
use openssl::hash::MessageDigest;
use openssl::rsa::Padding;
use openssl::symm::{Cipher, encrypt_aead};
use openssl::x509::X509;
use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

pub const PASSWORD: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";
const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion:Assertion";
const RESPONSE: &str = "urn:oasis:names:tc:SAML:2.0:protocol:Response";
const ARTIFACT_RESPONSE: &str = "urn:oasis:names:tc:SAML:2.0:protocol:ArtifactResponse";

/// Somebody who signs in.
#[derive(Clone, Debug)]
pub struct Person {
    pub name_id: String,
    /// Name, friendly name, values.
    pub attributes: Vec<(String, String, Vec<String>)>,
}

impl Person {
    pub fn new(name_id: &str) -> Self {
        Self { name_id: name_id.to_owned(), attributes: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, attribute: (&str, &str), values: &[&str]) -> Self {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.attributes.push((attribute.0.to_owned(), attribute.1.to_owned(), values));
        self
    }

    pub fn jane() -> Self {
        Self::new("jane-1")
            .with(MAIL, &["Jane.Doe@acme.example"])
            .with(GIVEN_NAME, &["Jane"])
            .with(FAMILY_NAME, &["Doe"])
            .with(DISPLAY_NAME, &["Jane Doe"])
            .with(GROUPS, &["staff", "admins"])
    }

    /// Accents, another script, and characters that XML, HTML and JSON must escape.
    pub fn zoe() -> Self {
        Self::new("zoë-2")
            .with(MAIL, &["zoe@acme.example"])
            .with(GIVEN_NAME, &["Zoë"])
            .with(FAMILY_NAME, &["Nuñez-Øberg"])
            .with(DISPLAY_NAME, &[ZOE])
            .with(GROUPS, &["Ångström & <friends>", "日本語"])
    }

    pub fn max() -> Self {
        let groups: Vec<String> = (0..200).map(|number| format!("group-{number:03}")).collect();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        Self::new("max-3").with(MAIL, &["max@acme.example"]).with(DISPLAY_NAME, &["Max Member"]).with(GROUPS, &groups)
    }

    pub fn without_mail() -> Self {
        Self::new("nora-4").with(DISPLAY_NAME, &["Nora Nomail"])
    }
}

pub const ZOE: &str = "Zoë Nuñez-Øberg 李小雪 \"<&>'";
pub const MAIL: (&str, &str) = ("urn:oid:0.9.2342.19200300.100.1.3", "mail");
pub const GIVEN_NAME: (&str, &str) = ("urn:oid:2.5.4.42", "givenName");
pub const FAMILY_NAME: (&str, &str) = ("urn:oid:2.5.4.4", "sn");
pub const DISPLAY_NAME: (&str, &str) = ("urn:oid:2.16.840.1.113730.3.1.241", "displayName");
pub const GROUPS: (&str, &str) = ("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "isMemberOf");

/// An identity provider.
pub struct Idp {
    place: TempDir,
    pub name: String,
    pub entity_id: String,
    pub sso_url: String,
    signer: Pair,
}

/// A request as the identity provider reads it.
#[derive(Clone, Debug)]
pub struct AuthnRequest {
    pub xml: String,
    pub id: String,
    pub issuer: String,
    pub acs_url: String,
    pub destination: String,
    pub force_authn: bool,
    pub is_passive: bool,
    pub relay_state: Option<String>,
    pub post: bool,
}

impl Idp {
    /// `name` is also that of its connection.
    pub fn new(name: &str) -> Self {
        Self::signing_with(name, Pair::rsa(name))
    }

    pub fn signing_with(name: &str, signer: Pair) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("idp.key"), signer.key_pem()).unwrap();
        fs::write(place.path().join("idp.crt"), signer.certificate_pem()).unwrap();
        let idp = Self {
            place,
            name: name.to_owned(),
            entity_id: format!("https://idp.{name}.example/metadata"),
            sso_url: format!("https://idp.{name}.example/sso"),
            signer,
        };
        fs::write(idp.metadata_file(), idp.metadata()).unwrap();
        idp
    }

    /// Moves its single sign-on service to where something listens.
    #[must_use]
    pub fn at(mut self, sso_url: &str) -> Self {
        sso_url.clone_into(&mut self.sso_url);
        fs::write(self.metadata_file(), self.metadata()).unwrap();
        self
    }

    pub fn metadata_file(&self) -> PathBuf {
        self.place.path().join("metadata.xml")
    }

    pub fn certificate_pem(&self) -> String {
        self.signer.certificate_pem()
    }

    fn metadata(&self) -> String {
        let services: String = ["Redirect", "POST"]
            .map(|binding| {
                let sso = html::escape(&self.sso_url);
                format!(r#"<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{binding}" Location="{sso}"/>"#)
            })
            .concat();
        format!(
            r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{}"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>{services}</md:IDPSSODescriptor></md:EntityDescriptor>"#,
            self.entity_id,
            self.signer.certificate_base64(),
        )
    }

    /// Its `[[connection]]`; `top` and `saml` are more lines of both tables.
    pub fn toml(&self, top: &str, saml: &str) -> String {
        format!(
            "name = \"{}\"\ndisplay_name = \"{}\"\n{top}\n[connection.saml]\nmetadata_file = \"{}\"\n{saml}\n",
            self.name,
            self.display_name(),
            text(&self.metadata_file()),
        )
    }

    pub fn display_name(&self) -> String {
        format!("The {} people", self.name)
    }

    /// Reads the request with which a browser arrives.
    pub fn read(&self, departure: &Departure) -> AuthnRequest {
        let post = departure.form.is_some();
        let message = STANDARD.decode(departure.parameter("SAMLRequest").expect("a SAMLRequest")).expect("base64");
        let xml = if post {
            String::from_utf8(message).unwrap()
        } else {
            let mut xml = String::new();
            DeflateDecoder::new(message.as_slice()).read_to_string(&mut xml).unwrap();
            xml
        };
        let (_, rest) = xml.split_once("AuthnRequest").expect("an AuthnRequest");
        let tag = rest.split_once('>').expect("a tag").0.to_owned();
        let attribute = |name: &str| html::attribute(&tag, name);
        let (_, issuer) = xml.split_once("Issuer").expect("an Issuer");
        let issuer = issuer.split_once('>').unwrap().1.split_once('<').unwrap().0;
        let request = AuthnRequest {
            id: attribute("ID").expect("an ID"),
            issuer: html::unescape(issuer),
            acs_url: attribute("AssertionConsumerServiceURL").expect("an AssertionConsumerServiceURL"),
            destination: attribute("Destination").expect("a Destination"),
            force_authn: attribute("ForceAuthn").is_some_and(|value| value == "true"),
            is_passive: attribute("IsPassive").is_some_and(|value| value == "true"),
            relay_state: departure.parameter("RelayState"),
            post,
            xml,
        };
        assert_eq!(request.destination, self.sso_url);
        let mut address = departure.url.clone();
        address.set_query(None);
        assert_eq!(address.as_str(), self.sso_url);
        request
    }

    /// The page at which people sign in; where its forms are posted from.
    pub fn page(&self) -> Url {
        Url::parse(&self.sso_url).unwrap()
    }

    /// A good response: the assertion is signed.
    pub fn respond(&self, request: &AuthnRequest, person: &Person) -> Answer {
        self.answer(&Response::to(self, request, person), request)
    }

    /// A response with changes.
    pub fn respond_with(&self, request: &AuthnRequest, person: &Person, change: impl FnOnce(&mut Response)) -> Answer {
        let mut response = Response::to(self, request, person);
        change(&mut response);
        self.answer(&response, request)
    }

    fn answer(&self, response: &Response, request: &AuthnRequest) -> Answer {
        Answer {
            from: self.page(),
            to: Url::parse(&request.acs_url).unwrap(),
            xml: self.finished(response),
            relay_state: request.relay_state.clone(),
        }
    }

    fn finished(&self, response: &Response) -> String {
        let mut xml = response.xml();
        if response.sign.assertion() {
            xml = self.sign(&xml, &format!("//*[@ID='{}']", response.assertion_id));
        }
        match &response.encrypt {
            // xmlsec1 of Debian 12 knows OAEP with SHA-1 only.
            Some(encryption) if encryption.oaep_digest.ends_with("sha256") => xml = encryption.by_openssl(&xml),
            Some(encryption) => xml = self.encrypt(&xml, encryption),
            None => {}
        }
        if response.sign.response() {
            xml = self.sign(&xml, &format!("/*[@ID='{}']", response.id));
        }
        xml
    }

    /// Fills in the template of a signature at this element (an XPath).
    pub fn sign(&self, xml: &str, element: &str) -> String {
        let file = |kind: &str| self.place.path().join(format!("{kind}{}.xml", unique_id()));
        let (template, signed) = (file("template"), file("signed"));
        fs::write(&template, xml).unwrap();
        let key = format!("{},{}", text(&self.place.path().join("idp.key")), text(&self.place.path().join("idp.crt")));
        let signature = format!("{element}/*[local-name()='Signature']");
        let ids = ["--id-attr:ID", ASSERTION, "--id-attr:ID", RESPONSE, "--id-attr:ID", ARTIFACT_RESPONSE];
        let mut arguments = vec!["--sign", "--privkey-pem", &key, "--output", text(&signed), "--node-xpath", &signature];
        arguments.extend(ids);
        arguments.push(text(&template));
        run("xmlsec1", &arguments, "xmlsec1");
        fs::read_to_string(signed).unwrap()
    }

    fn encrypt(&self, xml: &str, encryption: &Encryption) -> String {
        let place = |name: &str| self.place.path().join(name);
        let clear = xml.replacen("<saml:Assertion", "<saml:EncryptedAssertion><saml:Assertion", 1).replacen(
            "</saml:Assertion>",
            "</saml:Assertion></saml:EncryptedAssertion>",
            1,
        );
        fs::write(place("clear.xml"), clear).unwrap();
        fs::write(place("template.xml"), encryption.template()).unwrap();
        fs::write(place("sp.crt"), &encryption.certificate_pem).unwrap();
        run(
            "xmlsec1",
            &[
                "--encrypt",
                "--pubkey-cert-pem",
                text(&place("sp.crt")),
                "--session-key",
                encryption.session_key,
                "--xml-data",
                text(&place("clear.xml")),
                "--node-xpath",
                "//*[local-name()='EncryptedAssertion']/*[local-name()='Assertion']",
                "--output",
                text(&place("encrypted.xml")),
                text(&place("template.xml")),
            ],
            "xmlsec1",
        );
        fs::read_to_string(place("encrypted.xml")).unwrap()
    }
}

/// Which elements are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Assertion,
    Response,
    Both,
    Nothing,
}

impl Sign {
    const fn assertion(self) -> bool {
        matches!(self, Self::Assertion | Self::Both)
    }

    const fn response(self) -> bool {
        matches!(self, Self::Response | Self::Both)
    }
}

/// To whom and how an assertion is encrypted.
#[derive(Clone, Debug)]
pub struct Encryption {
    pub certificate_pem: String,
    pub data: &'static str,
    pub session_key: &'static str,
    pub oaep_digest: &'static str,
}

impl Encryption {
    pub fn aes256_gcm(certificate_pem: String) -> Self {
        Self {
            certificate_pem,
            data: "http://www.w3.org/2009/xmlenc11#aes256-gcm",
            session_key: "aes-256",
            oaep_digest: "http://www.w3.org/2000/09/xmldsig#sha1",
        }
    }

    /// The same by OpenSSL: AES-256-GCM, and the key by RSA-OAEP with SHA-256 and MGF1 with SHA-1.
    fn by_openssl(&self, xml: &str) -> String {
        let (start, end) = (xml.find("<saml:Assertion").unwrap(), xml.find("</saml:Assertion>").unwrap() + "</saml:Assertion>".len());
        let (mut key, mut iv, mut tag) = ([0; 32], [0; 12], [0; 16]);
        openssl::rand::rand_bytes(&mut key).unwrap();
        openssl::rand::rand_bytes(&mut iv).unwrap();
        let text = encrypt_aead(Cipher::aes_256_gcm(), &key, Some(&iv), &[], &xml.as_bytes()[start..end], &mut tag).unwrap();
        let recipient = X509::from_pem(self.certificate_pem.as_bytes()).unwrap().public_key().unwrap();
        let mut encrypter = Encrypter::new(&recipient).unwrap();
        encrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
        encrypter.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
        encrypter.set_rsa_mgf1_md(MessageDigest::sha1()).unwrap();
        let mut wrapped = vec![0; encrypter.encrypt_len(&key).unwrap()];
        let length = encrypter.encrypt(&key, &mut wrapped).unwrap();
        wrapped.truncate(length);
        let (key_value, value) = (STANDARD.encode(wrapped), STANDARD.encode([iv.as_slice(), &text, &tag].concat()));
        let filled = self
            .template()
            .replacen("<xenc:CipherValue/>", &format!("<xenc:CipherValue>{key_value}</xenc:CipherValue>"), 1)
            .replacen("<xenc:CipherValue/>", &format!("<xenc:CipherValue>{value}</xenc:CipherValue>"), 1);
        format!("{}<saml:EncryptedAssertion>{filled}</saml:EncryptedAssertion>{}", &xml[..start], &xml[end..])
    }

    fn template(&self) -> String {
        let Self { data, oaep_digest, .. } = self;
        format!(
            r#"<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod Algorithm="{data}"/><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"><ds:DigestMethod Algorithm="{oaep_digest}"/></xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>"#
        )
    }
}

/// Everything that a response says.
#[derive(Clone, Debug)]
pub struct Response {
    pub id: String,
    pub assertion_id: String,
    pub issuer: String,
    pub in_response_to: Option<String>,
    pub destination: String,
    pub recipient: String,
    pub audience: String,
    pub issue_instant: OffsetDateTime,
    pub not_before: OffsetDateTime,
    pub not_on_or_after: OffsetDateTime,
    pub authn_instant: OffsetDateTime,
    pub session_not_on_or_after: Option<OffsetDateTime>,
    pub authn_context: String,
    /// Last segments of the status codes.
    pub status: Vec<&'static str>,
    pub person: Person,
    pub sign: Sign,
    pub encrypt: Option<Encryption>,
    pub signature_method: &'static str,
    /// Stands before the root element.
    pub prolog: String,
}

impl Response {
    fn to(idp: &Idp, request: &AuthnRequest, person: &Person) -> Self {
        let now = now();
        Self {
            id: unique_id(),
            assertion_id: unique_id(),
            issuer: idp.entity_id.clone(),
            in_response_to: Some(request.id.clone()),
            destination: request.acs_url.clone(),
            recipient: request.acs_url.clone(),
            audience: request.issuer.clone(),
            issue_instant: now,
            not_before: now - Duration::from_secs(30),
            not_on_or_after: now + Duration::from_secs(300),
            authn_instant: now,
            session_not_on_or_after: None,
            authn_context: PASSWORD.to_owned(),
            status: vec!["Success"],
            person: person.clone(),
            sign: Sign::Assertion,
            encrypt: None,
            signature_method: if idp.signer.key.rsa().is_ok() {
                "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
            } else {
                "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
            },
            prolog: String::new(),
        }
    }

    fn xml(&self) -> String {
        let destination = html::escape(&self.destination);
        let status = self.status.iter().rev().fold(String::new(), |inner, code| {
            format!(r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{code}">{inner}</samlp:StatusCode>"#)
        });
        let assertion = if self.status == ["Success"] { self.assertion() } else { String::new() };
        format!(
            r#"{prolog}<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{instant}" Destination="{destination}"{in_response_to}><saml:Issuer>{issuer}</saml:Issuer>{signature}<samlp:Status>{status}</samlp:Status>{assertion}</samlp:Response>"#,
            prolog = self.prolog,
            id = self.id,
            instant = when(self.issue_instant),
            in_response_to = self.in_response_to(),
            issuer = self.issuer,
            signature = if self.sign.response() { self.signature(&self.id) } else { String::new() },
        )
    }

    fn assertion(&self) -> String {
        let Self { person, issuer, authn_context, .. } = self;
        let attributes: String = person
            .attributes
            .iter()
            .map(|(name, friendly, values)| {
                let values: String =
                    values.iter().map(|value| format!("<saml:AttributeValue>{}</saml:AttributeValue>", html::escape(value))).collect();
                format!(
                    r#"<saml:Attribute Name="{name}" FriendlyName="{friendly}" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">{values}</saml:Attribute>"#
                )
            })
            .collect();
        let attributes =
            if attributes.is_empty() { attributes } else { format!("<saml:AttributeStatement>{attributes}</saml:AttributeStatement>") };
        let session_end = self.session_not_on_or_after.map(|end| format!(r#" SessionNotOnOrAfter="{}""#, when(end))).unwrap_or_default();
        format!(
            r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{instant}"><saml:Issuer>{issuer}</saml:Issuer>{signature}<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{name_id}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="{end}" Recipient="{recipient}"{in_response_to}/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{begin}" NotOnOrAfter="{end}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{authn}" SessionIndex="session-{id}"{session_end}><saml:AuthnContext><saml:AuthnContextClassRef>{authn_context}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>{attributes}</saml:Assertion>"#,
            id = self.assertion_id,
            instant = when(self.issue_instant),
            signature = if self.sign.assertion() { self.signature(&self.assertion_id) } else { String::new() },
            name_id = html::escape(&person.name_id),
            begin = when(self.not_before),
            end = when(self.not_on_or_after),
            recipient = html::escape(&self.recipient),
            in_response_to = self.in_response_to(),
            audience = html::escape(&self.audience),
            authn = when(self.authn_instant),
        )
    }

    fn in_response_to(&self) -> String {
        self.in_response_to.as_ref().map(|id| format!(r#" InResponseTo="{id}""#)).unwrap_or_default()
    }

    fn signature(&self, id: &str) -> String {
        signature_template(id, self.signature_method)
    }
}

/// A signature to be filled in.
pub fn signature_template(id: &str, method: &str) -> String {
    format!(
        r##"<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/><ds:SignatureMethod Algorithm="{}"/><ds:Reference URI="#{id}"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data/></ds:KeyInfo></ds:Signature>"##,
        method
    )
}

/// A form that posts itself to us.
#[derive(Clone, Debug)]
pub struct Answer {
    pub from: Url,
    pub to: Url,
    pub xml: String,
    pub relay_state: Option<String>,
}

impl Answer {
    pub fn fields(&self) -> Vec<(String, String)> {
        let mut fields = vec![("SAMLResponse".to_owned(), self.encoded())];
        fields.extend(self.relay_state.clone().map(|value| ("RelayState".to_owned(), value)));
        fields
    }

    pub fn encoded(&self) -> String {
        STANDARD.encode(&self.xml)
    }
}

/// As `xs:dateTime`, whole seconds.
fn when(time: OffsetDateTime) -> String {
    time.replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap()
}

pub fn now() -> OffsetDateTime {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    OffsetDateTime::from_unix_timestamp(since.as_secs().try_into().unwrap()).unwrap()
}

pub fn unique_id() -> String {
    let mut bytes = [0; 16];
    openssl::rand::rand_bytes(&mut bytes).unwrap();
    bytes.iter().fold("_".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}
