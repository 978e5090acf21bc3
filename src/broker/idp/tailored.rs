//! One answer as scripts want it: `context.samlConfiguration` of rules and `api.samlResponse` of actions, over what is
//! registered, and checked as that is.
//!
//! A script makes nothing weaker than the registration has it, and the answer goes where it goes. What cannot be done fails
//! the login: half of what a script wanted may be worse than nothing.

use crate::application::SamlApplication;
use crate::application::saml_sp::{SamlSp, SamlSpSettings};
use crate::application::saml_words::{meaning, name_id_format};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::parse_certificate;
use crate::login::SamlReply;
use crate::profile::{Field, MappingTable, Profile, Released};
use crate::saml::algorithms::{CIPHERS, DIGESTS, SIGNATURES, uses_sha1};
use crate::saml::encryption::ContentCipher;
use crate::saml::idp::{EncryptedParts, EncryptionKey, NameFormats, SamlReplyTo, ValueTypes};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Octets of a text that a script may set, and of one that travels beside the answer.
const TEXT: usize = 2048;
const RELAY_STATE: usize = 1024;
/// Octets of a certificate.
const CERTIFICATE: usize = 64 * 1024;
/// Attributes that scripts may add or name.
const ATTRIBUTES: usize = 200;

const AUTH0_PREFIX: &str = "http://schemas.auth0.com/";
const UPN: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";

/// What is read here and not by a function of its own.
const KNOWN: [&str; 23] = [
    "attributes",
    "audience",
    "authnContextClassRef",
    "createUpnClaim",
    "destination",
    "digestAlgorithm",
    "encryptionAlgorithm",
    "encryptionCert",
    "encryptionPublicKey",
    "includeAttributeNameFormat",
    "issuer",
    "lifetimeInSeconds",
    "mapIdentities",
    "mapUnknownClaimsAsIs",
    "mappings",
    "nameIdentifierFormat",
    "nameIdentifierProbes",
    "passthroughClaimsWithNoMapping",
    "recipient",
    "relayState",
    "signResponse",
    "signatureAlgorithm",
    "typedAttributes",
];

/// What scripts have set, by the names of `context.samlConfiguration`; `null` is as if it were not there.
#[derive(Clone, Copy)]
pub(super) struct Wishes<'s>(pub Option<&'s Map<String, Value>>);

impl Wishes<'_> {
    /// The application with the settings for this answer.
    ///
    /// # Errors
    /// [`ErrorKind::ScriptFailed`], with the setting and why.
    pub fn sp(self, saml: &SamlApplication) -> Result<Arc<SamlSp>> {
        if self.0.is_none_or(Map::is_empty) {
            return Ok(Arc::clone(&saml.sp));
        }
        self.refuse_what_is_not_ours()?;
        let mut settings = saml.sp.settings().clone();
        self.addresses(&mut settings)?;
        self.signature(&mut settings)?;
        self.encryption(&mut settings)?;
        self.content(&mut settings)?;
        let told = |problems: Vec<crate::application::saml_sp::Problem>| {
            refuse("settings", &problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        };
        SamlSp::new(settings).map(Arc::new).map_err(told)
    }

    /// The authentication context, if scripts name one.
    pub fn authn_context(self) -> Result<Option<String>> {
        Ok(self.text("authnContextClassRef")?.map(str::to_owned))
    }

    /// The right to answer, with another RelayState where the application has sent none.
    pub fn reply_to(self, reply: &SamlReply) -> Result<SamlReplyTo> {
        match self.text("relayState")? {
            None => Ok(reply.to.clone()),
            Some(text) if text.len() > RELAY_STATE => Err(refuse("relayState", &format!("is longer than {RELAY_STATE} octets"))),
            Some(text) => reply.to.clone().with_relay_state(text).map_err(|why| refuse("relayState", why)),
        }
    }

    /// What takes the place of the table: attributes, and where they are in the profile.
    pub fn mapped(self, profile: &Profile) -> Result<Option<Vec<Released>>> {
        let Some(mappings) = self.object("mappings")? else { return Ok(None) };
        let mut released = Vec::new();
        for (name, path) in mappings {
            let path = path.as_str().ok_or_else(|| refuse("mappings", "must be attributes, and paths in the profile"))?;
            released.extend(found(profile, path).map(|value| attribute(name, value)));
        }
        Ok(Some(released))
    }

    /// Attributes that the table gave, with and without those that scripts want.
    pub fn released(self, mut released: Vec<Released>, table: &MappingTable, profile: &Profile) -> Result<Vec<Released>> {
        let by_a_row = |name: &str| table.names(name);
        let passes_on = |released: &[Released]| released.iter().any(|attribute| !by_a_row(&attribute.name));
        match self.flag("passthroughClaimsWithNoMapping")? {
            Some(false) => released.retain(|attribute| by_a_row(&attribute.name)),
            Some(true) if !passes_on(&released) => {
                let why = "more than the application's table gives is the registration's to say";
                return Err(refuse("passthroughClaimsWithNoMapping", why));
            }
            _ => {}
        }
        if let Some(as_is) = self.flag("mapUnknownClaimsAsIs")? {
            for attribute in released.iter_mut().filter(|attribute| !by_a_row(&attribute.name)) {
                let plain = attribute.name.strip_prefix(AUTH0_PREFIX).unwrap_or(&attribute.name).to_owned();
                attribute.name = if as_is { plain } else { format!("{AUTH0_PREFIX}{plain}") };
                attribute.name_format = None;
            }
        }
        match self.flag("createUpnClaim")? {
            Some(false) => released.retain(|attribute| attribute.name != UPN),
            Some(true) if released.iter().all(|attribute| attribute.name != UPN) => {
                released.extend(profile.get("upn").map(|upn| attribute(UPN, upn.clone())));
            }
            _ => {}
        }
        for (name, value) in self.object("attributes")?.into_iter().flatten() {
            released.retain(|attribute| attribute.name != *name);
            if name.trim().is_empty() || name.len() > TEXT {
                return Err(refuse("attributes", &format!("the name of an attribute has 1 to {TEXT} octets")));
            }
            released.extend((!value.is_null()).then(|| attribute(name, value.clone())));
        }
        Ok(released)
    }

    /// Names of attributes whose values are the scripts' own: the trace has them, masked, with the script's run.
    pub fn own_attributes(self) -> Vec<String> {
        let attributes = ["attributes", "mappings"].into_iter().filter_map(|name| self.value(name)?.as_object());
        attributes.flat_map(|attributes| attributes.keys().cloned()).collect()
    }

    fn refuse_what_is_not_ours(self) -> Result<()> {
        let set = self.0.into_iter().flatten().filter(|(_, value)| !value.is_null());
        for (name, value) in set {
            let why = match name.as_str() {
                known if KNOWN.contains(&known) && !(known == "mapIdentities" && *value == Value::Bool(true)) => continue,
                "mapIdentities" => "would give the identity providers' tokens away",
                "key" | "cert" => "answers are signed by the gateway's own key, which its metadata publish",
                "signingCert" => "the request was verified before any script ran",
                "logout" | "binding" => "is the registration's to say",
                _ => "is no setting of an answer",
            };
            return Err(refuse(name, why));
        }
        Ok(())
    }

    fn addresses(self, settings: &mut SamlSpSettings) -> Result<()> {
        let response = &mut settings.response;
        for (name, place) in [
            ("issuer", &mut response.issuer),
            ("audience", &mut response.audience),
            ("recipient", &mut response.recipient),
            ("destination", &mut response.destination),
        ] {
            if let Some(text) = self.text(name)? {
                *place = Some(text.to_owned());
            }
        }
        Ok(())
    }

    fn signature(self, settings: &mut SamlSpSettings) -> Result<()> {
        let response = &mut settings.response;
        let already = uses_sha1(response.signature, response.digest);
        if let Some(word) = self.text("signatureAlgorithm")? {
            let scheme = meaning(SIGNATURES, word).ok_or_else(|| refuse("signatureAlgorithm", "is not known"))?;
            response.signature = Some(scheme);
        }
        if let Some(word) = self.text("digestAlgorithm")? {
            let digest = meaning(DIGESTS, word).ok_or_else(|| refuse("digestAlgorithm", "is not known"))?;
            response.digest = Some(digest);
        }
        if uses_sha1(response.signature, response.digest) && !already {
            return Err(refuse("signatureAlgorithm", "SHA-1 is the registration's to allow"));
        }
        match self.flag("signResponse")? {
            Some(true) => response.sign_response = true,
            Some(false) if response.sign_response => {
                return Err(refuse("signResponse", "the registration has responses signed"));
            }
            _ => {}
        }
        Ok(())
    }

    fn encryption(self, settings: &mut SamlSpSettings) -> Result<()> {
        let cbc = |cipher: ContentCipher| matches!(cipher, ContentCipher::Aes128Cbc | ContentCipher::Aes192Cbc | ContentCipher::Aes256Cbc);
        if let Some(text) = self.text("encryptionAlgorithm")? {
            let word =
                text.strip_prefix("http://www.w3.org/2009/xmlenc11#").or_else(|| text.strip_prefix("http://www.w3.org/2001/04/xmlenc#"));
            let cipher = meaning(CIPHERS, word.unwrap_or(text)).ok_or_else(|| refuse("encryptionAlgorithm", "is not known"))?;
            if cbc(cipher) && !settings.response.cipher.is_some_and(cbc) {
                return Err(refuse("encryptionAlgorithm", "AES-CBC is the registration's to allow"));
            }
            settings.response.cipher = Some(cipher);
        }
        let Some(pem) = self.text_of("encryptionCert", CERTIFICATE)? else {
            return match self.text_of("encryptionPublicKey", CERTIFICATE)? {
                Some(_) => Err(refuse("encryptionPublicKey", "needs the certificate with this key, encryptionCert")),
                None => Ok(()),
            };
        };
        let certificate = parse_certificate(pem).map_err(|error| refuse("encryptionCert", &error.detail))?;
        if let Some(key) = self.text_of("encryptionPublicKey", CERTIFICATE)? {
            let written = certificate.public_key().ok().and_then(|key| key.public_key_to_pem().ok()).unwrap_or_default();
            if squeezed(key) != squeezed(&String::from_utf8_lossy(&written)) {
                return Err(refuse("encryptionPublicKey", "is not the key of encryptionCert"));
            }
        }
        let key = EncryptionKey::new(certificate, Vec::new()).map_err(|why| refuse("encryptionCert", &why))?;
        settings.trust.encryption_keys = vec![key];
        settings.response.encrypt = match settings.response.encrypt {
            EncryptedParts::Nothing => EncryptedParts::Assertion,
            EncryptedParts::NameId => EncryptedParts::Both,
            more => more,
        };
        Ok(())
    }

    fn content(self, settings: &mut SamlSpSettings) -> Result<()> {
        let response = &mut settings.response;
        if let Some(seconds) = self.value("lifetimeInSeconds") {
            let seconds = seconds.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
            response.lifetime_seconds = seconds.ok_or_else(|| refuse("lifetimeInSeconds", "must be a number of seconds"))?;
        }
        if let Some(text) = self.text("nameIdentifierFormat")? {
            response.name_id_format =
                name_id_format(text).ok_or_else(|| refuse("nameIdentifierFormat", "is not one that is given here"))?;
            if let Some(formats) = &mut settings.name_id_formats {
                formats.push(response.name_id_format);
            }
        }
        if let Some(probes) = self.value("nameIdentifierProbes") {
            let texts = probes.as_array().filter(|probes| probes.len() <= ATTRIBUTES).into_iter().flatten();
            let texts: Option<Vec<String>> = texts.map(|probe| probe.as_str().map(str::to_owned)).collect();
            let texts = texts.filter(|texts| !texts.is_empty());
            response.name_id_probes = texts.ok_or_else(|| refuse("nameIdentifierProbes", "must be a list of names of attributes"))?;
        }
        if let Some(class) = self.text("authnContextClassRef")? {
            class.clone_into(&mut response.authn_context_class_ref);
        }
        if let Some(typed) = self.flag("typedAttributes")? {
            response.attributes.types = if typed { ValueTypes::Inferred } else { ValueTypes::AnyType };
        }
        if let Some(formats) = self.flag("includeAttributeNameFormat")? {
            response.attributes.name_formats = if formats { NameFormats::Inferred } else { NameFormats::Omitted };
        }
        Ok(())
    }
}

impl<'s> Wishes<'s> {
    fn value(self, name: &str) -> Option<&'s Value> {
        self.0.and_then(|wishes| wishes.get(name)).filter(|value| !value.is_null())
    }

    fn text(self, name: &str) -> Result<Option<&'s str>> {
        self.text_of(name, TEXT)
    }

    fn text_of(self, name: &str, most: usize) -> Result<Option<&'s str>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text = value.as_str().filter(|text| !text.is_empty() && text.len() <= most);
        text.map(Some).ok_or_else(|| refuse(name, &format!("must be a text of 1 to {most} octets")))
    }

    fn flag(self, name: &str) -> Result<Option<bool>> {
        self.value(name).map(|value| value.as_bool().ok_or_else(|| refuse(name, "must be true or false"))).transpose()
    }

    fn object(self, name: &str) -> Result<Option<&'s Map<String, Value>>> {
        let object = |value: &'s Value| value.as_object().filter(|members| members.len() <= ATTRIBUTES);
        let wrong = || refuse(name, &format!("must be an object of at most {ATTRIBUTES} members"));
        self.value(name).map(|value| object(value).ok_or_else(wrong)).transpose()
    }
}

/// Where Auth0 has a value and where it is here. What is empty or not there is no attribute.
fn found(profile: &Profile, path: &str) -> Option<Value> {
    let path = match path {
        "phone_verified" => "phone_number_verified",
        "job_title" => "title",
        path => path,
    };
    let value = match Field::parse(path) {
        Some(_) => profile.get(path),
        None => profile.get(&format!("custom.{path}")).or_else(|| profile.get(&format!("saml_data.{path}"))),
    };
    value.cloned()
}

fn attribute(name: &str, value: Value) -> Released {
    Released { name: name.to_owned(), value, scope: None, categories: Vec::new(), name_format: None, friendly_name: None }
}

fn squeezed(pem: &str) -> String {
    pem.split_ascii_whitespace().collect()
}

fn refuse(setting: &str, why: &str) -> Error {
    let told = "A rule wants an answer that cannot be given.";
    let setting: String = setting.chars().take(100).collect();
    Error::new(ErrorKind::ScriptFailed, told).because(format!("samlConfiguration.{setting}: {why}"))
}

#[cfg(test)]
#[path = "tailored_tests.rs"]
mod tests;
