//! One login at a fixed moment that waits for its answer.

use crate::keys;
use isthmus::clock::Timestamp;
use isthmus::keys::Digest;
use isthmus::saml::binding::decode_post;
use isthmus::saml::encryption::{ContentCipher, KeyTransport};
use isthmus::saml::idp::{Answer, Encrypt, Sign, respond};
use isthmus::saml::signature::sign;
use isthmus::saml::{
    Attribute, Binding, Comparison, Endpoint, Expected, IdpTrust, NameId, Outgoing, Rejection, RequestOptions, ResponsePolicy, Signer,
    SpSettings, VerifiedAssertion, authn_request, receive_response,
};
use std::sync::LazyLock;
use url::Url;

pub const IDP: &str = "https://idp.example.edu/entity";
pub const SP: &str = "https://gateway.example.com/saml/metadata/acme";
pub const ACS: &str = "https://gateway.example.com/login/callback";
pub const SSO: &str = "https://idp.example.edu/sso?idpid=C01";
pub const REQUEST: &str = "_request1";

pub fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T02:42:00Z").expect("a date")
}

pub fn sp() -> SpSettings {
    SpSettings { entity_id: SP.to_owned(), acs_url: Url::parse(ACS).expect("a URL") }
}

pub fn trust() -> IdpTrust {
    let sso = |binding| Endpoint { binding, location: Url::parse(SSO).expect("a URL") };
    IdpTrust {
        entity_id: IDP.to_owned(),
        sso_endpoints: vec![sso(Binding::Redirect), sso(Binding::Post)],
        logout_services: Vec::new(),
        keys: keys::IDP.clone(),
        scopes: Vec::new(),
        want_authn_requests_signed: false,
        artifact_services: Vec::new(),
        encryption_keys: Vec::new(),
    }
}

/// Everything that a policy can allow.
pub fn lax() -> ResponsePolicy {
    ResponsePolicy { allow_sha1: true, allow_inclusive_c14n: true, allow_cbc: true, ..strict() }
}

/// The first engine alone.
pub fn strict() -> ResponsePolicy {
    ResponsePolicy { second_opinion: false, ..ResponsePolicy::default() }
}

/// Hands a form value to the waiting login, as the ACS does.
pub fn receive(form_value: &str, policy: &ResponsePolicy) -> Result<VerifiedAssertion, Rejection> {
    static PARTIES: LazyLock<(SpSettings, IdpTrust)> = LazyLock::new(|| (sp(), trust()));
    let (sp, idp) = &*PARTIES;
    let expected = Expected {
        request_id: Some(REQUEST),
        requested_at: now().plus_seconds(-20),
        now: now(),
        force_authn: false,
        max_age_seconds: None,
        requested_authn_context: None,
    };
    let mut checks = Vec::new();
    let outcome = receive_response(form_value, sp, idp, &[&keys::GATEWAY_RSA], policy, &expected, &mut checks);
    assert_eq!(outcome.is_ok(), checks.iter().all(|check| check.passed) && outcome.is_ok(), "accepted with a failed check: {checks:#?}");
    outcome
}

/// What the identity provider said about somebody; an accepted response says exactly one of these.
#[derive(Clone, Debug)]
pub struct Said {
    pub assertion_id: &'static str,
    pub name_id: NameId,
    pub attributes: Vec<Attribute>,
    pub authn_instant: Timestamp,
    pub session_index: Option<String>,
    pub authn_context_class_ref: String,
}

/// The answers that this login may accept.
pub static GENUINE: LazyLock<Vec<Said>> = LazyLock::new(|| right_answers().map(said).collect());

fn said(answer: Answer<'static>) -> Said {
    Said {
        assertion_id: answer.assertion_id.clone().leak(),
        name_id: answer.name_id,
        attributes: answer.attributes,
        authn_instant: answer.authn_instant,
        session_index: answer.session_index,
        authn_context_class_ref: answer.authn_context_class_ref.to_owned(),
    }
}

/// The invariant: whatever the bytes around it were, what was accepted is what was signed.
pub fn assert_genuine(verified: &VerifiedAssertion) {
    let Some(said) = GENUINE.iter().find(|said| said.assertion_id == verified.assertion_id()) else {
        panic!("accepted an assertion that nobody made for this login: {verified:#?}");
    };
    assert_eq!(verified.issuer(), IDP);
    assert_eq!(verified.subject(), said.name_id.value);
    assert_eq!(verified.name_id(), Some(&said.name_id));
    assert_eq!(verified.attributes(), said.attributes);
    assert_eq!(verified.authn_instant(), Some(said.authn_instant));
    assert_eq!(verified.session_index(), said.session_index.as_deref());
    assert_eq!(verified.authn_context_class_ref(), Some(said.authn_context_class_ref.as_str()));
    assert!(!verified.response_id().is_empty());
    assert!(verified.not_on_or_after() > now());
}

fn named(mut answer: Answer<'static>, response_id: &str, assertion_id: &str) -> Answer<'static> {
    answer.response_id = response_id.to_owned();
    answer.assertion_id = assertion_id.to_owned();
    answer.session_index = Some("_session1".to_owned());
    answer
}

fn ada(assertion_id: &str) -> Answer<'static> {
    let answer = Answer::new(IDP, SP, ACS, Some(REQUEST), "ada", now())
        .with_attribute("urn:oid:0.9.2342.19200300.100.1.3", Some("mail"), &["ada@example.edu"])
        .with_attribute("groups", None, &["staff", "admins & <owners>"]);
    named(answer, "_response1", assertion_id)
}

fn bob(assertion_id: &str) -> Answer<'static> {
    named(Answer::new(IDP, SP, ACS, Some(REQUEST), "bob", now()), "_response2", assertion_id)
}

fn right_answers() -> impl Iterator<Item = Answer<'static>> {
    [ada("_ada"), bob("_bob")].into_iter()
}

/// Signed by the right key and still not for this login: another audience, another request, too old, another place.
fn wrong_answers() -> Vec<(&'static str, Answer<'static>, Timestamp)> {
    let evil = |answer, id| named(answer, "_response3", id);
    let other = "https://other.example.com/sp";
    let early = now().plus_seconds(-86_400);
    vec![
        ("audience", evil(Answer::new(IDP, other, ACS, Some(REQUEST), "root", now()), "_audience"), now()),
        ("request", evil(Answer::new(IDP, SP, ACS, Some("_request2"), "root", now()), "_other"), now()),
        ("expired", evil(Answer::new(IDP, SP, ACS, Some(REQUEST), "root", early), "_expired"), early),
        ("recipient", evil(Answer::new(IDP, SP, other, Some(REQUEST), "root", now()), "_recipient"), now()),
        ("issuer", evil(Answer::new(other, SP, ACS, Some(REQUEST), "root", now()), "_issuer"), now()),
    ]
}

/// The XML of [`messages`] that are right, for the mutator.
pub static RESPONSES: LazyLock<Vec<String>> =
    LazyLock::new(|| messages().into_iter().filter(|(name, _)| !name.starts_with("wrong_")).map(|(_, xml)| xml).collect());
/// The XML of [`signed_requests`].
pub static REQUESTS: LazyLock<Vec<String>> = LazyLock::new(|| signed_requests().into_iter().map(|(_, xml)| xml).collect());
/// The XML of [`metadata`].
pub static METADATA: LazyLock<Vec<String>> = LazyLock::new(|| metadata().into_iter().map(|(_, xml)| xml).collect());

/// Genuine messages by name, for the seeds.
pub fn messages() -> Vec<(String, String)> {
    let older = |recipient| Encrypt { cipher: ContentCipher::Aes128Gcm, transport: KeyTransport::OaepMgf1p(Digest::Sha1), recipient };
    let mut messages = Vec::new();
    let mut add = |name: &str, answer: &Answer<'_>, signer, at| {
        messages.push((name.to_owned(), respond(answer, signer, at).expect("a response")));
    };
    let (rsa, ec) = (Signer::new(&keys::IDP_RSA), Signer::new(&keys::IDP_EC));
    for (name, sign, signer) in
        [("assertion", Sign::Assertion, rsa), ("response", Sign::Response, ec), ("both", Sign::Both, ec), ("unsigned", Sign::Nothing, ec)]
    {
        add(name, &Answer { sign, ..ada("_ada") }, signer, now());
    }
    add("bob", &bob("_bob"), ec, now());
    let recipient = keys::GATEWAY_RSA.certificate();
    add("encrypted", &Answer { encrypt: Some(Encrypt::to(recipient)), ..bob("_bob") }, ec, now());
    add("encrypted_older", &Answer { encrypt: Some(older(recipient)), sign: Sign::Response, ..bob("_bob") }, ec, now());
    for (name, answer, at) in wrong_answers() {
        add(&format!("wrong_{name}"), &answer, ec, at);
    }
    messages
}

/// Requests of an application to us as identity provider, by name.
fn requests() -> Vec<(&'static str, RequestOptions, Option<&'static str>)> {
    let plain = RequestOptions { id: "_request1".to_owned(), ..RequestOptions::new() };
    let full = RequestOptions {
        id: "_request2".to_owned(),
        force_authn: true,
        requested_authn_context: Some((Comparison::Minimum, vec!["urn:oasis:names:tc:SAML:2.0:ac:classes:Password".to_owned()])),
        name_id_format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned()),
        provider_name: Some("Notes & more".to_owned()),
        requester_ids: vec!["https://notes.example/".to_owned()],
        proxy_count: Some(1),
        subject_hint: Some("ada@example.edu".to_owned()),
        ..RequestOptions::new()
    };
    vec![("plain", plain.clone(), None), ("relay", plain, Some("r/1?a=b&c d+\u{e4}")), ("full", full, Some("x"))]
}

fn request(options: &RequestOptions, binding: Binding, relay_state: Option<&str>, signer: Option<Signer<'_>>) -> Outgoing {
    authn_request(&sp(), &trust(), options, binding, relay_state, signer, now()).expect("a request")
}

/// Raw queries that carry a signed request, by name.
pub fn signed_queries() -> Vec<(String, String)> {
    queries(Some(Signer::new(&keys::SP_EC)))
}

pub fn unsigned_queries() -> Vec<(String, String)> {
    queries(None)
}

fn queries(signer: Option<Signer<'_>>) -> Vec<(String, String)> {
    let of = |(name, options, relay_state): (&str, RequestOptions, Option<&str>)| {
        let Outgoing::Redirect(url) = request(&options, Binding::Redirect, relay_state, signer) else { unreachable!() };
        let query = url.query().unwrap_or_default().split_once('&').map_or("", |(_, query)| query);
        (name.to_owned(), query.to_owned())
    };
    requests().into_iter().map(of).collect()
}

/// Requests as XML, signed inside, by name.
pub fn signed_requests() -> Vec<(String, String)> {
    let of = |(name, options, relay_state): (&str, RequestOptions, Option<&str>)| {
        let Outgoing::PostForm { fields, .. } = request(&options, Binding::Post, relay_state, Some(Signer::new(&keys::SP_EC))) else {
            unreachable!()
        };
        let (_, value) = fields.into_iter().next().expect("a field");
        (name.to_owned(), decode_post(&value).expect("a message"))
    };
    requests().into_iter().map(of).collect()
}

/// Metadata of the identity provider, signed by a federation (whose key is the application's), and not.
pub fn metadata() -> Vec<(&'static str, String)> {
    let certificate = openssl::base64::encode_block(&keys::IDP_EC.certificate_der());
    let unsigned = format!(
        concat!(
            r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" "#,
            r#"ID="_md" entityID="{IDP}" validUntil="2026-11-22T00:00:00Z" cacheDuration="P1DT2H">"#,
            r#"<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" WantAuthnRequestsSigned="true">"#,
            r#"<md:Extensions><shibmd:Scope xmlns:shibmd="urn:mace:shibboleth:metadata:1.0" regexp="false">example.edu</shibmd:Scope>"#,
            r#"<mdui:UIInfo xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui"><mdui:DisplayName xml:lang="en">Example</mdui:DisplayName>"#,
            r#"</mdui:UIInfo></md:Extensions>"#,
            r#"<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate>"#,
            r#"</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"#,
            r#"<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>"#,
            r#"<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{SSO}"/>"#,
            r#"</md:IDPSSODescriptor></md:EntityDescriptor>"#,
        ),
        IDP = IDP,
        SSO = SSO,
        certificate = certificate,
    );
    let signed = sign(&unsigned, Signer::new(&keys::SP_EC)).expect("signed");
    let federation = format!(
        r#"<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_fed"><md:Extensions/>{unsigned}</md:EntitiesDescriptor>"#
    );
    let federation = sign(&federation, Signer::new(&keys::SP_EC)).expect("signed");
    vec![("unsigned", unsigned), ("signed", signed), ("federation", federation)]
}
