//! A SAML response on its way to an application, as text: what is in it, not whether it may be believed. And a request.

use super::browser::Departure;
use super::html;
use super::idp::{now, unique_id};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write as _;
use time::format_description::well_known::Rfc3339;

pub struct SamlAnswer {
    pub to: String,
    pub relay_state: Option<String>,
    pub xml: String,
}

impl SamlAnswer {
    #[track_caller]
    pub fn of(departure: &Departure) -> Self {
        let response = departure.parameter("SAMLResponse").expect("a SAMLResponse");
        let xml = String::from_utf8(STANDARD.decode(response).expect("base64")).expect("UTF-8");
        Self { to: departure.url.to_string(), relay_state: departure.parameter("RelayState"), xml }
    }

    /// The names of all attributes, in order.
    pub fn names(&self) -> Vec<String> {
        self.attributes().map(|tag| html::attribute(tag, "Name").expect("a Name")).collect()
    }

    /// All values of an attribute; none where it is not there.
    pub fn values(&self, name: &str) -> Vec<String> {
        let found = self.attributes().find(|tag| html::attribute(tag, "Name").as_deref() == Some(name)).unwrap_or_default();
        let values = found.split("<saml:AttributeValue").skip(1).map(|rest| {
            let (_, rest) = rest.split_once('>').expect("the end of a tag");
            html::unescape(rest.split_once("</saml:AttributeValue>").expect("the end of a value").0)
        });
        values.collect()
    }

    /// One XML attribute of an attribute, as in `NameFormat`.
    pub fn said_of(&self, name: &str, of: &str) -> Option<String> {
        let found = self.attributes().find(|tag| html::attribute(tag, "Name").as_deref() == Some(name))?;
        html::attribute(found.split_once('>')?.0, of)
    }

    /// The text of the first element of a name.
    pub fn text(&self, element: &str) -> Option<String> {
        let start = format!("<saml:{element}");
        let mut starts = self.xml.split(start.as_str()).skip(1);
        let (_, rest) = starts.find(|rest| rest.starts_with([' ', '>']))?.split_once('>')?;
        Some(html::unescape(rest.split_once('<')?.0))
    }

    /// An XML attribute of the first element of a name.
    pub fn attribute_of(&self, element: &str, name: &str) -> Option<String> {
        let (_, rest) = self.xml.split_once(&format!("<{element} "))?;
        html::attribute(rest.split_once('>')?.0, name)
    }

    fn attributes(&self) -> impl Iterator<Item = &str> {
        self.xml.split("<saml:Attribute ").skip(1).map(|rest| rest.split("</saml:Attribute>").next().unwrap_or_default())
    }
}

/// The query of an AuthnRequest by HTTP-Redirect, with these XML attributes besides.
pub fn authn_request(issuer: &str, attributes: &str) -> String {
    let now = now().replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap();
    let id = unique_id();
    let xml = format!(
        "<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"{id}\" Version=\"2.0\" IssueInstant=\"{now}\" {attributes}><saml:Issuer>{issuer}</saml:Issuer></samlp:AuthnRequest>"
    );
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(xml.as_bytes()).unwrap();
    let message = STANDARD.encode(encoder.finish().unwrap());
    format!("SAMLRequest={}", url::form_urlencoded::byte_serialize(message.as_bytes()).collect::<String>())
}
