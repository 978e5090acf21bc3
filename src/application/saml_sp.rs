//! What is registered of an application that speaks SAML: valid values only, and all that is wrong at once.
//!
//! The settings that answers need are `saml::idp`'s; here is what must hold between them. Names of settings in problems are
//! those that operators write.

use crate::clock::Timestamp;
use crate::error::Result as CrateResult;
use crate::keys::{CertifiedKey, END_IS_NEAR, SamlKeys, Sealer};
use crate::saml::algorithms::uses_sha1;
use crate::saml::encryption::ContentCipher;
use crate::saml::idp::{EncryptedParts, NameIdFormat, RequestTerms, Responder, ResponseSettings, SpTrust};
use crate::saml::logout::{LogoutService, LogoutTerms};
use crate::saml::signature::signature_uri;
use crate::saml::{Binding, MessagePolicy};
use std::fmt;
use url::Url;

/// Seconds that an assertion may be valid at most, that clocks may differ, and that a request may be old.
const LIFETIME: u32 = 24 * 3600;
const SKEW: i64 = 600;
const REQUEST_AGE: i64 = 3600;

/// The settings as they are wished for.
#[derive(Clone, Debug)]
pub struct SamlSpSettings {
    pub trust: SpTrust,
    pub response: ResponseSettings,
    /// Refuse unsigned requests, also where the application's metadata do not say that it signs.
    pub require_signed_requests: bool,
    /// The formats that a request may name; `None`: the usual one of this application, and those that tell nothing.
    pub name_id_formats: Option<Vec<NameIdFormat>>,
    /// A sign-in may start here instead of at the application.
    pub allow_unsolicited: bool,
    /// Take part in Single Logout, where the application has an endpoint for it and a key.
    pub logout: bool,
    pub logout_binding: Binding,
    pub policy: MessagePolicy,
    /// Where people return from our discovery service (Identity Provider Discovery Service Protocol).
    pub discovery_urls: Vec<Url>,
    /// It sees each connection as an identity provider of its own.
    pub mirror: bool,
}

impl SamlSpSettings {
    /// The safe settings.
    pub fn new(trust: SpTrust) -> Self {
        Self {
            trust,
            response: ResponseSettings::default(),
            require_signed_requests: false,
            name_id_formats: None,
            allow_unsolicited: false,
            logout: true,
            logout_binding: Binding::Post,
            policy: MessagePolicy::default(),
            discovery_urls: Vec::new(),
            mirror: false,
        }
    }

    /// What is wrong with them, whoever they are for.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems(Vec::new());
        problems.signatures(self);
        problems.addresses(&self.response);
        problems.bounds(self);
        problems.names(self);
        problems.0
    }

    /// What is weaker than it could be: the setting, and a sentence for the operator.
    pub fn weaknesses(&self) -> Vec<(&'static str, &'static str)> {
        let (response, policy) = (&self.response, &self.policy);
        let (sha1_signature, sha1_digest) = (uses_sha1(response.signature, None), uses_sha1(None, response.digest));
        let cbc = matches!(response.cipher, Some(ContentCipher::Aes128Cbc | ContentCipher::Aes192Cbc | ContentCipher::Aes256Cbc));
        let all = [
            (sha1_signature, "signature_algorithm", "answers are signed with SHA-1"),
            (sha1_digest, "digest_algorithm", "answers are signed over a digest with SHA-1"),
            (cbc, "encryption_algorithm", "answers are encrypted with AES-CBC, which does not notice changes"),
            (!response.sign_assertion, "sign_assertion", "the assertion by itself is not signed, only the response around it"),
            (policy.allow_sha1, "allow_sha1", "requests may be signed with SHA-1"),
            (policy.allow_inclusive_c14n, "allow_inclusive_c14n", "requests may be signed with inclusive canonicalization"),
            (policy.allow_cbc, "allow_cbc", "NameIDs in requests may be encrypted with AES-CBC"),
            (
                self.allow_unsolicited,
                "allow_unsolicited",
                "a sign-in may start without a request: anybody can sign somebody in as themselves",
            ),
        ];
        all.into_iter().filter(|(weak, ..)| *weak).map(|(_, setting, why)| (setting, why)).collect()
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub setting: &'static str,
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.why)
    }
}

/// A registered SAML application.
#[derive(Clone, Debug)]
pub struct SamlSp {
    settings: SamlSpSettings,
    name_id_formats: Vec<NameIdFormat>,
}

impl SamlSp {
    /// # Errors
    /// Everything that is wrong.
    pub fn new(settings: SamlSpSettings) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems(settings.problems());
        problems.application(&settings);
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        let mut name_id_formats = settings.name_id_formats.clone().unwrap_or_else(|| {
            // An address or a user name is never given only because the application asks for it.
            vec![settings.response.name_id_format, NameIdFormat::Persistent, NameIdFormat::Transient]
        });
        name_id_formats.sort_unstable_by_key(|format| format.urn());
        name_id_formats.dedup();
        Ok(Self { settings, name_id_formats })
    }

    /// As they were wished for.
    pub const fn settings(&self) -> &SamlSpSettings {
        &self.settings
    }

    pub const fn trust(&self) -> &SpTrust {
        &self.settings.trust
    }

    pub const fn response(&self) -> &ResponseSettings {
        &self.settings.response
    }

    /// The key that signs what it gets, of the kind that its signature algorithm wants.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn signing_key<'k>(&self, keys: &'k SamlKeys) -> CrateResult<&'k CertifiedKey> {
        Ok(keys.signing(self.settings.response.signature)?.active())
    }

    /// The formats that a request may name.
    pub fn name_id_formats(&self) -> &[NameIdFormat] {
        &self.name_id_formats
    }

    /// The terms for messages that it sends by itself.
    pub const fn policy(&self) -> &MessagePolicy {
        &self.settings.policy
    }

    pub fn discovery_urls(&self) -> &[Url] {
        &self.settings.discovery_urls
    }

    /// Does it see each connection as an identity provider of its own?
    pub const fn mirror(&self) -> bool {
        self.settings.mirror
    }

    pub const fn allow_unsolicited(&self) -> bool {
        self.settings.allow_unsolicited
    }

    /// The terms for a request that was received at `destination`.
    pub fn request_terms<'a>(&'a self, destination: &'a str, decryption_keys: &'a [&'a CertifiedKey], now: Timestamp) -> RequestTerms<'a> {
        RequestTerms {
            application: &self.settings.trust,
            require_signed: self.settings.require_signed_requests,
            name_id_formats: &self.name_id_formats,
            destination,
            decryption_keys,
            policy: &self.settings.policy,
            now,
        }
    }

    /// Who answers it; `entity_id` is ours.
    pub const fn responder<'a>(&'a self, entity_id: &'a str, signing_key: &'a CertifiedKey, sealer: &'a Sealer) -> Responder<'a> {
        Responder { entity_id, application: &self.settings.trust, settings: &self.settings.response, signing_key, sealer }
    }

    /// Where it is told of logouts. None without a key: nothing that it says about them could be believed.
    pub fn logout_service(&self) -> Option<&LogoutService> {
        let wanted = self.settings.logout && self.settings.trust.keys().is_some();
        self.settings.trust.logout_service(self.settings.logout_binding).filter(|_| wanted)
    }

    /// Where it is told without the browser, under the same conditions.
    pub fn soap_logout(&self) -> Option<&Url> {
        let wanted = self.settings.logout && self.settings.trust.keys().is_some();
        self.settings.trust.soap_logout.as_ref().filter(|_| wanted)
    }

    /// The terms for a logout message that was received at `destination`.
    pub fn logout_terms<'a>(&'a self, destination: &'a str, decryption_keys: &'a [&'a CertifiedKey], now: Timestamp) -> LogoutTerms<'a> {
        let trust = &self.settings.trust;
        let keys = trust.keys().filter(|_| self.settings.logout);
        LogoutTerms { partner: trust.entity_id(), keys, destination, decryption_keys, policy: &self.settings.policy, now }
    }

    /// Certificates of the application that have ended or end within thirty days, each in a sentence for the operator.
    pub fn ending_certificates(&self, now: Timestamp) -> Vec<String> {
        let soon = self.settings.trust.certificate_ends().filter(|(_, end)| *end < now.plus_seconds(END_IS_NEAR));
        soon.map(|(purpose, end)| format!("a {purpose} certificate of the application ends on {end}")).collect()
    }

    /// What is weaker than it could be: the setting, and a sentence for the operator.
    pub fn weaknesses(&self) -> Vec<(&'static str, &'static str)> {
        self.settings.weaknesses()
    }
}

struct Problems(Vec<Problem>);

impl Problems {
    fn check(&mut self, good: bool, setting: &'static str, why: impl Into<String>) {
        if !good {
            self.0.push(Problem { setting, why: why.into() });
        }
    }

    fn signatures(&mut self, settings: &SamlSpSettings) {
        let response = &settings.response;
        let any = response.sign_assertion || response.sign_response;
        self.check(any, "sign_assertion", "neither assertion nor response would be signed, so nobody could believe them");
        let usable = response.signature.is_none_or(|scheme| signature_uri(scheme).is_some());
        self.check(usable, "signature_algorithm", "XML signatures do not have this algorithm");
    }

    /// What the application has to do with it.
    fn application(&mut self, settings: &SamlSpSettings) {
        let trust = &settings.trust;
        let wanted = settings.response.sign_assertion || !trust.want_assertions_signed;
        self.check(wanted, "sign_assertion", "the application's metadata say WantAssertionsSigned");
        let verifiable = !settings.require_signed_requests || trust.keys().is_some();
        self.check(verifiable, "require_signed_requests", "there is no signing certificate of the application to verify requests with");
        let formats = settings.name_id_formats.as_ref();
        let listed = formats.is_none_or(|formats| formats.contains(&settings.response.name_id_format));
        self.check(listed, "name_id_formats", "the format that is given without being asked for is not in the list");
        if settings.response.encrypt == EncryptedParts::Nothing {
            return;
        }
        if let Err(error) = settings.response.encryption_to(&settings.trust) {
            self.check(false, "encrypt", error.detail);
        }
    }

    fn addresses(&mut self, response: &ResponseSettings) {
        for (setting, value) in [("issuer", &response.issuer), ("audience", &response.audience)] {
            let good = value.as_ref().is_none_or(|value| !value.is_empty() && value.trim() == value && value.len() <= 1024);
            self.check(good, setting, "an entity ID has 1 to 1024 characters and no white space around them");
        }
        for (setting, value) in [("recipient", &response.recipient), ("destination", &response.destination)] {
            let good = value.as_ref().is_none_or(|value| Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "https" | "http")));
            self.check(good, setting, "this is not an http(s) address");
        }
    }

    fn bounds(&mut self, settings: &SamlSpSettings) {
        let (response, policy) = (&settings.response, &settings.policy);
        let lifetime = (1..=LIFETIME).contains(&response.lifetime_seconds);
        self.check(lifetime, "lifetime", format!("an assertion is valid for 1 to {LIFETIME} seconds"));
        let backdate = i64::from(response.backdate_seconds) <= SKEW;
        self.check(backdate, "backdate", format!("an assertion begins at most {SKEW} seconds before it is made"));
        self.check((0..=SKEW).contains(&policy.skew_seconds), "clock_skew", format!("clocks may differ by 0 to {SKEW} seconds"));
        let age = (1..=REQUEST_AGE).contains(&policy.max_age_seconds);
        self.check(age, "message_max_age", format!("requests may be 1 to {REQUEST_AGE} seconds old"));
    }

    fn names(&mut self, settings: &SamlSpSettings) {
        let response = &settings.response;
        let one = !settings.mirror || response.issuer.is_none();
        self.check(one, "issuer", "with `mirror` each connection has an entity ID of its own");
        let class = &response.authn_context_class_ref;
        self.check(!class.is_empty() && class.trim() == class, "authn_context_class_ref", "it is empty or has white space around it");
        let probes = response.name_id_probes.iter().all(|probe| !probe.trim().is_empty());
        self.check(probes, "name_id_probes", "an attribute without a name cannot be looked for");
    }
}

#[cfg(test)]
#[path = "saml_sp_tests.rs"]
mod tests;
