//! The service provider role: asking an identity provider, and judging what it answers.

use super::artifact::ResolutionService;
use super::assertion::{AssertionContent, Attribute, NameId, Said};
use super::binding::{Binding, MessageKind, Outgoing, ResponseBinding, decode_post, encode_post, encode_redirect};
use super::conditions::Judge;
use super::idp::{Encrypt, EncryptionKey, encryption_to};
use super::logout::LogoutService;
use super::names;
use super::receive::{Received, Receiver};
use super::rejection::{Check, Checks, Rejection};
use super::signature::{self, Signer, TrustedKeys};
use super::xml::{Limits, Writer, parse};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result as CrateResult};
use crate::id;
use crate::keys::CertifiedKey;
use serde::{Deserialize, Serialize};
use url::Url;

// ---------------------------------------------------------------------------------------------------------------
// The two parties and the terms.

/// Who we are toward one identity provider.
#[derive(Clone, Debug)]
pub struct SpSettings {
    pub entity_id: String,
    pub acs_url: Url,
}

/// An endpoint of the partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub binding: Binding,
    pub location: Url,
}

/// `shibmd:Scope`: what the identity provider may put behind the @ of a scoped attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub value: String,
    pub regexp: bool,
}

/// Whom we trust on one connection.
#[derive(Clone, Debug)]
pub struct IdpTrust {
    pub entity_id: String,
    pub sso_endpoints: Vec<Endpoint>,
    pub logout_services: Vec<LogoutService>,
    /// Where its artifacts are resolved.
    pub artifact_services: Vec<ResolutionService>,
    pub keys: TrustedKeys,
    pub scopes: Vec<Scope>,
    pub want_authn_requests_signed: bool,
    /// To encrypt to, in the order of its metadata; none where they have none.
    pub encryption_keys: Vec<EncryptionKey>,
}

impl IdpTrust {
    /// Stands where it is not known yet who the identity provider is: it has no address, and no signature is its.
    pub fn nobody() -> Self {
        Self {
            entity_id: String::new(),
            sso_endpoints: Vec::new(),
            artifact_services: Vec::new(),
            logout_services: Vec::new(),
            keys: TrustedKeys::none(),
            scopes: Vec::new(),
            want_authn_requests_signed: false,
            encryption_keys: Vec::new(),
        }
    }

    /// Where it takes logout messages, by the wished binding if it has an endpoint for that.
    pub fn logout_service(&self, wished: Binding) -> Option<&LogoutService> {
        self.logout_services.iter().find(|service| service.binding == wished).or_else(|| self.logout_services.first())
    }

    /// To whom and how, if a NameID is to be encrypted: AES-GCM and RSA-OAEP, as the metadata list them.
    ///
    /// # Errors
    /// When it has no certificate for that, or none of its algorithms is one of ours.
    pub fn encryption(&self) -> CrateResult<Encrypt<'_>> {
        encryption_to(&self.encryption_keys, None, None, "the identity provider")
    }

    fn sso(&self, binding: Binding) -> CrateResult<&Url> {
        self.sso_endpoints.iter().find(|endpoint| endpoint.binding == binding).map(|endpoint| &endpoint.location).ok_or_else(|| {
            Error::new(ErrorKind::Misconfigured, format!("the identity provider has no single sign-on address for {binding:?}"))
        })
    }
}

/// The terms of one connection. The default is the strict one.
#[derive(Clone, Debug)]
pub struct ResponsePolicy {
    /// How far the clocks may differ.
    pub skew_seconds: i64,
    /// How old the IssueInstant of a message may be.
    pub message_max_age_seconds: i64,
    pub allow_sha1: bool,
    pub allow_inclusive_c14n: bool,
    /// AES-CBC has no integrity of its own: whoever can send us messages may learn from how long we take. Only for
    /// partners that cannot do GCM.
    pub allow_cbc: bool,
    /// Ask libxmlsec1 too (where it is compiled in).
    pub second_opinion: bool,
    /// Take the subject from this attribute instead of the NameID.
    pub subject_attribute: Option<String>,
    /// Context classes from the weakest to the strongest, for the comparisons minimum, maximum and better. Empty: only the
    /// identity provider knows, and is believed.
    pub authn_context_ranking: Vec<String>,
}

impl Default for ResponsePolicy {
    fn default() -> Self {
        Self {
            skew_seconds: 60,
            message_max_age_seconds: 300,
            allow_sha1: false,
            allow_inclusive_c14n: false,
            allow_cbc: false,
            second_opinion: true,
            subject_attribute: None,
            authn_context_ranking: Vec::new(),
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Asking.

/// How the asked authentication contexts compare (Core 3.3.2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    Exact,
    Minimum,
    Maximum,
    Better,
}

impl Comparison {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
            Self::Better => "better",
        }
    }
}

/// What one AuthnRequest asks for.
#[derive(Clone, Debug)]
pub struct RequestOptions {
    pub id: String,
    pub force_authn: bool,
    pub is_passive: bool,
    pub requested_authn_context: Option<(Comparison, Vec<String>)>,
    pub name_id_format: Option<String>,
    pub allow_create: bool,
    /// How the answer is to come, where the ACS is named by URL.
    pub response_binding: ResponseBinding,
    /// Name the ACS by index instead of by URL.
    pub acs_index: Option<u16>,
    pub attribute_consuming_service_index: Option<u16>,
    pub provider_name: Option<String>,
    /// For whom we ask (Scoping).
    pub requester_ids: Vec<String>,
    pub proxy_count: Option<u32>,
    /// Who is expected to sign in.
    pub subject_hint: Option<String>,
}

impl RequestOptions {
    /// Nothing special, with a fresh ID of 128 random bits.
    pub fn new() -> Self {
        Self {
            id: format!("_{}", id::random_id()),
            force_authn: false,
            is_passive: false,
            requested_authn_context: None,
            name_id_format: None,
            allow_create: true,
            response_binding: ResponseBinding::Post,
            acs_index: None,
            attribute_consuming_service_index: None,
            provider_name: None,
            requester_ids: Vec::new(),
            proxy_count: None,
            subject_hint: None,
        }
    }
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The AuthnRequest, ready for the browser.
///
/// # Errors
/// When the identity provider has no endpoint for the binding, demands signed requests and there is no signer, or
/// the key cannot sign.
pub fn authn_request(
    sp: &SpSettings,
    idp: &IdpTrust,
    options: &RequestOptions,
    binding: Binding,
    relay_state: Option<&str>,
    signer: Option<Signer<'_>>,
    now: Timestamp,
) -> CrateResult<Outgoing> {
    if idp.want_authn_requests_signed && signer.is_none() {
        return Err(Error::new(ErrorKind::Misconfigured, "the identity provider wants signed requests, but the connection does not sign"));
    }
    let destination = idp.sso(binding)?;
    let xml = write_authn_request(sp, options, destination, now);
    match binding {
        Binding::Redirect => encode_redirect(MessageKind::Request, &xml, destination, relay_state, signer).map(Outgoing::Redirect),
        Binding::Post => {
            let xml = signer.map_or_else(|| Ok(xml.clone()), |signer| signature::sign(&xml, signer))?;
            Ok(encode_post(MessageKind::Request, &xml, destination, relay_state))
        }
    }
}

// SAML Core 3.4.1; elements in the order of the schema.
fn write_authn_request(sp: &SpSettings, options: &RequestOptions, destination: &Url, now: Timestamp) -> String {
    let mut writer = Writer::new();
    writer.start("samlp:AuthnRequest").attribute("xmlns:samlp", names::SAMLP).attribute("xmlns:saml", names::SAML);
    writer.attribute("ID", &options.id).attribute("Version", "2.0").attribute("IssueInstant", &now.to_string());
    writer.attribute("Destination", destination.as_str());
    if options.force_authn {
        writer.attribute("ForceAuthn", "true");
    }
    if options.is_passive {
        writer.attribute("IsPassive", "true");
    }
    match options.acs_index {
        Some(index) => writer.attribute("AssertionConsumerServiceIndex", &index.to_string()),
        None => {
            let binding = options.response_binding.urn();
            writer.attribute("AssertionConsumerServiceURL", sp.acs_url.as_str()).attribute("ProtocolBinding", binding)
        }
    };
    writer.optional("AttributeConsumingServiceIndex", options.attribute_consuming_service_index.map(|index| index.to_string()).as_deref());
    writer.optional("ProviderName", options.provider_name.as_deref());
    writer.leaf("saml:Issuer", &sp.entity_id);
    if let Some(hint) = &options.subject_hint {
        let format = if hint.contains('@') { names::NAMEID_EMAIL } else { names::NAMEID_UNSPECIFIED };
        writer.start("saml:Subject").start("saml:NameID").attribute("Format", format).text(hint).end().end();
    }
    writer.start("samlp:NameIDPolicy").optional("Format", options.name_id_format.as_deref());
    // SAML Core 3.4.1.1: AllowCreate means nothing for transient identifiers, and SHOULD then be left out.
    if options.name_id_format.as_deref() != Some(names::NAMEID_TRANSIENT) {
        writer.attribute("AllowCreate", if options.allow_create { "true" } else { "false" });
    }
    writer.end();
    if let Some((comparison, classes)) = &options.requested_authn_context {
        writer.start("samlp:RequestedAuthnContext").attribute("Comparison", comparison.name());
        for class in classes {
            writer.leaf("saml:AuthnContextClassRef", class);
        }
        writer.end();
    }
    if options.proxy_count.is_some() || !options.requester_ids.is_empty() {
        writer.start("samlp:Scoping").optional("ProxyCount", options.proxy_count.map(|count| count.to_string()).as_deref());
        for requester in &options.requester_ids {
            writer.leaf("samlp:RequesterID", requester);
        }
        writer.end();
    }
    writer.finish()
}

// ---------------------------------------------------------------------------------------------------------------
// Judging the answer.

/// What this very login expects.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `None`: the response answers no request, and must say so.
    pub request_id: Option<&'a str>,
    /// When the request was sent; ForceAuthn wants a sign-in after it.
    pub requested_at: Timestamp,
    pub now: Timestamp,
    pub force_authn: bool,
    pub max_age_seconds: Option<i64>,
    pub requested_authn_context: Option<&'a (Comparison, Vec<String>)>,
}

/// An assertion whose signature and every condition was verified. Only [`receive_response`] makes one, and
/// [`receive_artifact_response`](super::artifact::receive_artifact_response) with the same checks.
#[derive(Clone, Debug)]
pub struct VerifiedAssertion {
    content: AssertionContent,
    response_id: String,
    remember_until: Timestamp,
    issuer: String,
    subject: String,
}

impl VerifiedAssertion {
    pub fn assertion_id(&self) -> &str {
        &self.content.id
    }

    pub fn response_id(&self) -> &str {
        &self.response_id
    }

    /// Until when the IDs of assertion and response must be remembered: after it they would be refused anyway.
    pub const fn not_on_or_after(&self) -> Timestamp {
        self.remember_until
    }

    /// The identity provider's entity ID.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The attribute configured as the subject, else the NameID; never empty.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    pub const fn name_id(&self) -> Option<&NameId> {
        self.content.name_id.as_ref()
    }

    pub fn attributes(&self) -> &[Attribute] {
        &self.content.attributes
    }

    pub fn authn_instant(&self) -> Option<Timestamp> {
        self.content.authn_statements.first().map(|statement| statement.authn_instant)
    }

    /// The earliest end of the session at the identity provider.
    pub fn session_not_on_or_after(&self) -> Option<Timestamp> {
        self.content.authn_statements.iter().filter_map(|statement| statement.session_not_on_or_after).min()
    }

    pub fn session_index(&self) -> Option<&str> {
        self.content.authn_statements.first()?.session_index.as_deref()
    }

    pub fn authn_context_class_ref(&self) -> Option<&str> {
        self.content.authn_statements.first()?.context_class_ref.as_deref()
    }

    pub fn said(&self) -> Said<'_> {
        Said {
            issuer: Some(self.issuer()),
            subject: Some(self.subject()),
            name_id: self.name_id(),
            attributes: self.attributes(),
            authn_instant: self.authn_instant(),
            authn_context_class_ref: self.authn_context_class_ref(),
            session_index: self.session_index(),
            authenticating_authorities: self.authenticating_authorities(),
        }
    }

    pub fn authenticating_authorities(&self) -> &[String] {
        self.content.authn_statements.first().map_or(&[], |statement| &statement.authenticating_authorities)
    }
}

/// Verifies the `SAMLResponse` form value against one login. Every check made is pushed to `checks`.
///
/// The caller still has to claim both IDs once, in the shared store.
///
/// # Errors
/// The [`Rejection`] of the first check that fails.
pub fn receive_response(
    saml_response: &str,
    sp: &SpSettings,
    idp: &IdpTrust,
    decryption_keys: &[&CertifiedKey],
    policy: &ResponsePolicy,
    expected: &Expected<'_>,
    checks: &mut Vec<Check>,
) -> Result<VerifiedAssertion, Rejection> {
    let mut checks = Checks(checks);
    let judge = Judge { our_entity_id: &sp.entity_id, acs_url: sp.acs_url.as_str(), idp_entity_id: &idp.entity_id, policy, expected };
    let received = Receiver { judge, keys: &idp.keys, decryption_keys }.receive(saml_response, &mut checks)?;
    Ok(verified(received, idp))
}

/// What has come through all checks of a [`Receiver`] with the keys of `idp`.
pub(super) fn verified(received: Received, idp: &IdpTrust) -> VerifiedAssertion {
    let Received { content, response_id, remember_until, subject } = received;
    VerifiedAssertion { content, response_id, remember_until, issuer: idp.entity_id.clone(), subject }
}

/// Whose a response says it is, before anybody has verified it; only good for finding the keys that judge it.
pub fn peek_issuer(saml_response: &str) -> Option<String> {
    let xml = decode_post(saml_response).ok()?;
    let document = parse(&xml, Limits::MESSAGE).ok()?;
    let root = Some(document.root()).filter(|root| root.is(names::SAMLP, "Response"))?;
    // SAML Profiles 4.1.4.2: that of an unsigned response may be left out.
    let issuer = root.child(names::SAML, "Issuer").or_else(|| root.child(names::SAML, "Assertion")?.child(names::SAML, "Issuer"))?;
    let found = issuer.deep_text();
    let found = found.trim();
    (!found.is_empty() && found.len() <= 1024).then(|| found.to_owned())
}

/// The InResponseTo of a response that nobody has verified yet; only good for finding the login it may belong to.
pub fn peek_in_response_to(saml_response: &str) -> Option<String> {
    let xml = decode_post(saml_response).ok()?;
    let document = parse(&xml, Limits::MESSAGE).ok()?;
    let root = document.root();
    let found = root.attribute("InResponseTo").filter(|id| root.is(names::SAMLP, "Response") && !id.is_empty() && id.len() <= 256)?;
    Some(found.to_owned())
}
