//! Metadata of a federation that does not exist, the same in every run: as large as real ones, and as varied.
//!
//! A document is written in two forms from one description: as federations write it, and as its canonical form is. The
//! digest of the second is what a signature over the first must have, so the reader is not judged by its own canonicalisation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::sha::Sha256;
use std::io::{self, Write};

/// What is in it.
pub struct Federation<'c> {
    pub entities: usize,
    /// An `xs:dateTime`.
    pub valid_until: &'c str,
    /// Base64 of DER; every entity has three of them.
    pub certificates: &'c [String],
}

/// How the same information set is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Written,
    Canonical,
}

impl Federation<'_> {
    /// Without a signature.
    #[allow(dead_code, reason = "not everybody who includes this file needs it")]
    pub fn write_unsigned(&self, out: &mut impl Write) -> io::Result<()> {
        self.write(out, "", Form::Written)
    }

    /// Signed: `sign` gets the octets of SignedInfo and returns the value of RSA-SHA256 over them.
    pub fn write_signed(&self, out: &mut impl Write, sign: impl Fn(&[u8]) -> Vec<u8>) -> io::Result<()> {
        let mut digest = Digest(Sha256::new());
        self.write(&mut digest, "", Form::Canonical)?;
        let signed_info = signed_info(&STANDARD.encode(digest.0.finish()));
        let value = STANDARD.encode(sign(signed_info.as_bytes()));
        let signature =
            format!("<ds:Signature xmlns:ds=\"{DS}\">{signed_info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>");
        self.write(out, &signature, Form::Written)
    }

    fn write(&self, out: &mut impl Write, signature: &str, form: Form) -> io::Result<()> {
        let valid_until = self.valid_until;
        match form {
            Form::Written => write!(
                out,
                "<?xml version='1.0' encoding='UTF-8'?>\n<!-- nobody's -->\n<md:EntitiesDescriptor validUntil='{valid_until}' \
                 xmlns:md='{MD}' xmlns:ds='{DS}' xmlns:mdui='{MDUI}' xmlns:mdrpi='{MDRPI}' xmlns:mdattr='{MDATTR}'\n  \
                 xmlns:saml='{SAML}' xmlns:shibmd='{SHIBMD}' cacheDuration='PT6H' Name='https://federation.example' ID='_federation'>"
            )?,
            Form::Canonical => write!(
                out,
                "<md:EntitiesDescriptor xmlns:md=\"{MD}\" ID=\"_federation\" Name=\"https://federation.example\" \
                 cacheDuration=\"PT6H\" validUntil=\"{valid_until}\">"
            )?,
        }
        write!(out, "\n{signature}\n")?;
        let mut text = String::new();
        for number in 0..self.entities {
            text.clear();
            Entity { number, federation: self, form, out: &mut text }.write();
            out.write_all(text.as_bytes())?;
        }
        write!(out, "</md:EntitiesDescriptor>")?;
        if form == Form::Written {
            writeln!(out)?;
        }
        Ok(())
    }
}

/// The entityID of one of them.
pub fn entity_id(number: usize) -> String {
    format!("https://idp{number}.{}/idp/shibboleth", domain(number))
}

fn domain(number: usize) -> String {
    let city: String = city(number).to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{city}-{number}.example")
}

fn city(number: usize) -> &'static str {
    CITIES[number % CITIES.len()]
}

/// The English name of one of them.
pub fn english_name(number: usize) -> String {
    format!("{} of {} {number}", ["University", "Institute", "College", "Academy", "Library"][number / 7 % 5], city(number))
}

struct Entity<'a, 'c> {
    number: usize,
    federation: &'a Federation<'c>,
    form: Form,
    out: &'a mut String,
}

impl Entity<'_, '_> {
    /// A declaration that canonical XML has here, and a document has at its root.
    fn declare(&self, prefix: &str, uri: &str) -> String {
        if self.form == Form::Canonical { format!(" xmlns:{prefix}=\"{uri}\"") } else { String::new() }
    }

    /// An element without content.
    fn leaf(&mut self, name: &str, attributes: &str) {
        let end = if self.form == Form::Canonical { format!("></{name}>") } else { " />".to_owned() };
        self.push(&format!("      <{name} {attributes}{end}\n"));
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn write(&mut self) {
        let (number, entity_id) = (self.number, entity_id(self.number));
        let attributes = match self.form {
            Form::Canonical => format!("ID=\"_e{number}\" entityID=\"{entity_id}\""),
            Form::Written => format!("entityID='{entity_id}'\n   ID='_e{number}'"),
        };
        self.push(&format!("<md:EntityDescriptor {attributes}>\n"));
        self.extensions();
        if number % 3 == 2 {
            self.sp();
        } else {
            self.idp();
        }
        let city = city(number);
        for (language, name) in self.names() {
            self.push(&format!(
                "  <md:Organization>\n    <md:OrganizationName xml:lang=\"{language}\">{name}</md:OrganizationName>\n    \
                 <md:OrganizationDisplayName xml:lang=\"{language}\">{name}</md:OrganizationDisplayName>\n    \
                 <md:OrganizationURL xml:lang=\"{language}\">https://www.{}/</md:OrganizationURL>\n  </md:Organization>\n",
                domain(number)
            ));
        }
        for kind in ["technical", "support", "administrative"] {
            self.push(&format!(
                "  <md:ContactPerson contactType=\"{kind}\">\n    <md:GivenName>Team</md:GivenName>\n    \
                 <md:SurName>{city} {kind}</md:SurName>\n    <md:EmailAddress>mailto:{kind}@{}</md:EmailAddress>\n  \
                 </md:ContactPerson>\n",
                domain(number)
            ));
        }
        self.push("</md:EntityDescriptor>\n");
    }

    fn names(&self) -> Vec<(&'static str, String)> {
        let (number, city) = (self.number, city(self.number));
        vec![
            ("en", english_name(number)),
            ("de", format!("Universität {city} {number}")),
            ("fr", format!("Université de {city} {number}")),
            ("ja", format!("東京大学{number}")),
        ]
    }

    fn extensions(&mut self) {
        let (mdrpi, mdattr, saml, shibmd) =
            (self.declare("mdrpi", MDRPI), self.declare("mdattr", MDATTR), self.declare("saml", SAML), self.declare("shibmd", SHIBMD));
        let authority = ["https://www.aai.example/dfn", "https://rr.example.fr/", "http://ukfederation.example"][self.number % 3];
        let attribute = |name: &str, value: &str| {
            format!(
                "      <saml:Attribute{saml} Name=\"{name}\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:uri\">\n        \
                 <saml:AttributeValue>{value}</saml:AttributeValue>\n      </saml:Attribute>\n"
            )
        };
        let category = if self.number % 50 == 49 { HIDDEN } else { "http://refeds.org/category/research-and-scholarship" };
        let attributes = attribute("http://macedir.org/entity-category", category)
            + &attribute("urn:oasis:names:tc:SAML:attribute:assurance-certification", "https://refeds.org/sirtfi");
        let comment = if self.form == Form::Written { "<!-- registered -->" } else { "" };
        self.push(&format!(
            "  <md:Extensions>{comment}\n    <mdrpi:RegistrationInfo{mdrpi} registrationAuthority=\"{authority}\" \
             registrationInstant=\"2014-11-07T07:23:36Z\">\n      <mdrpi:RegistrationPolicy \
             xml:lang=\"en\">https://www.example/policy</mdrpi:RegistrationPolicy>\n    </mdrpi:RegistrationInfo>\n    \
             <mdattr:EntityAttributes{mdattr}>\n{attributes}    </mdattr:EntityAttributes>\n    \
             <shibmd:Scope{shibmd} regexp=\"false\">{}</shibmd:Scope>\n  </md:Extensions>\n",
            domain(self.number)
        ));
    }

    fn ui(&mut self) {
        let (mdui, domain) = (self.declare("mdui", MDUI), domain(self.number));
        self.push(&format!("    <md:Extensions>\n    <mdui:UIInfo{mdui}>\n"));
        for (language, name) in self.names() {
            self.push(&format!(
                "      <mdui:DisplayName xml:lang=\"{language}\">{name}</mdui:DisplayName>\n      \
                 <mdui:Description xml:lang=\"{language}\">{name} &amp; friends, for members only</mdui:Description>\n      \
                 <mdui:InformationURL xml:lang=\"{language}\">https://www.{domain}/info/{language}</mdui:InformationURL>\n      \
                 <mdui:PrivacyStatementURL xml:lang=\"{language}\">https://www.{domain}/privacy</mdui:PrivacyStatementURL>\n"
            ));
        }
        self.push(&format!(
            "      <mdui:Keywords xml:lang=\"en\">education research+network {}</mdui:Keywords>\n      \
             <mdui:Logo height=\"60\" width=\"80\">https://www.{domain}/logo.png</mdui:Logo>\n      \
             <mdui:Logo height=\"16\" width=\"16\">http://www.{domain}/insecure.png</mdui:Logo>\n    \
             </mdui:UIInfo>\n    </md:Extensions>\n",
            city(self.number)
        ));
    }

    fn keys(&mut self) {
        let ds = self.declare("ds", DS);
        let certificates = self.federation.certificates;
        for (at, usage) in ["signing", "signing", "encryption"].into_iter().enumerate() {
            let Some(certificate) = certificates.get((self.number + at) % certificates.len().max(1)) else { return };
            self.push(&format!(
                "    <md:KeyDescriptor use=\"{usage}\">\n      <ds:KeyInfo{ds}>\n        <ds:X509Data>\n          \
                 <ds:X509Certificate>{certificate}</ds:X509Certificate>\n        </ds:X509Data>\n      </ds:KeyInfo>\n    \
                 </md:KeyDescriptor>\n"
            ));
        }
    }

    fn idp(&mut self) {
        let domain = domain(self.number);
        self.push("  <md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\n");
        self.ui();
        self.keys();
        for binding in ["HTTP-Redirect", "HTTP-POST"] {
            let place = |path: &str| format!("Binding=\"{BINDINGS}{binding}\" Location=\"https://sso.{domain}/{path}/{binding}\"");
            self.leaf("md:SingleLogoutService", &place("slo"));
        }
        self.push("    <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat>\n");
        for binding in ["HTTP-Redirect", "HTTP-POST", "SOAP"] {
            let place = format!("Binding=\"{BINDINGS}{binding}\" Location=\"https://sso.{domain}/sso/{binding}?a=1&amp;b=2\"");
            self.leaf("md:SingleSignOnService", &place);
        }
        self.push("  </md:IDPSSODescriptor>\n");
    }

    fn sp(&mut self) {
        let domain = domain(self.number);
        self.push("  <md:SPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\n");
        self.ui();
        self.keys();
        let place = format!("Binding=\"{BINDINGS}HTTP-POST\" Location=\"https://sp.{domain}/acs\" index=\"1\"");
        self.leaf("md:AssertionConsumerService", &place);
        self.push("  </md:SPSSODescriptor>\n");
    }
}

/// SignedInfo in its canonical form.
fn signed_info(digest: &str) -> String {
    format!(
        "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{EXC_C14N}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"></ds:SignatureMethod>\
         <ds:Reference URI=\"#_federation\"><ds:Transforms>\
         <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>\
         <ds:Transform Algorithm=\"{EXC_C14N}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
         <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
    )
}

/// What is written here is hashed and forgotten.
struct Digest(Sha256);

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const MD: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const MDUI: &str = "urn:oasis:names:tc:SAML:metadata:ui";
const MDRPI: &str = "urn:oasis:names:tc:SAML:metadata:rpi";
const MDATTR: &str = "urn:oasis:names:tc:SAML:metadata:attribute";
const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const SHIBMD: &str = "urn:mace:shibboleth:metadata:1.0";
const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const BINDINGS: &str = "urn:oasis:names:tc:SAML:2.0:bindings:";
const HIDDEN: &str = "http://refeds.org/category/hide-from-discovery";
const CITIES: [&str; 31] = [
    "Aachen", "Berlin", "Zürich", "Genève", "Łódź", "Kraków", "Århus", "Oslo", "Lund", "Malmö", "Paris", "Lyon", "Orléans", "Madrid",
    "Málaga", "Lisboa", "Praha", "Brno", "Wien", "Graz", "Győr", "Split", "Athens", "Izmir", "London", "Leeds", "Cork", "Tallinn", "Riga",
    "Vilnius", "Kyoto",
];
