//! `[[connection]]`.

pub(super) mod client;
mod database;
mod described;
mod ldap;
mod logout;
mod oauth2;
mod oidc;
pub(super) mod presets;
mod request;
pub mod unsolicited;
mod upstream_params;

use super::context::Context;
use super::living;
use crate::connection::check_scopes;
use crate::connection::config::{ConnectionConfig, ConnectionKind, ProfileSettings, SamlConnection, SecondFactor, SubjectComparison};
use crate::connection::metadata::Living;
use crate::connection::outbound::download::Reach;
use crate::keys::{Digest, END_IS_NEAR, SignatureScheme, certificate_end, parse_certificate};
use crate::profile::Direction;
use crate::saml::artifact::ResolutionService;
use crate::saml::{
    self, Binding, Comparison, Endpoint, IdpTrust, MetadataOptions, ResponseBinding, ResponsePolicy, TrustedKeys, algorithms,
};
use crate::toml_file::Section;
use crate::user::ProfileSync;
use crate::user::linking::{Linking, OnConflict, Policy, TrustEmail};
use openssl::x509::X509;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// Reads one connection; `names` are those of all.
pub fn read(context: &Context<'_>, section: &Section<'_>, names: &[String]) -> Option<ConnectionConfig> {
    let name = section.required("name").map(|at| at.value.to_owned());
    if name.as_ref().is_some_and(|name| !is_name(name)) {
        section.problem("name", NAME_RULE, "it becomes part of addresses; use display_name for people");
    }
    let display_name = section.string("display_name").map(|at| at.value.to_owned());
    let enabled = section.bool("enabled").unwrap_or(true);
    let domains = email_domains(section, "domains");
    let applications = section.strings("applications").map(|applications| applications.into_iter().map(|at| at.value.to_owned()).collect());
    let preset = presets::of(section);
    let usual = match (preset, written(section).first().copied()) {
        (Some(preset), _) => preset.mapping,
        (None, Some("ldap")) => "ldap",
        (None, Some("database")) => "database",
        (None, Some("saml") | None) => "saml",
        (None, Some(_)) => "oidc",
    };
    let mapping = context.mapping(section, usual, Direction::ToProfile);
    let is_own = written(section).first() == Some(&"database") && !database::is_elsewhere(section);
    let usual = if is_own { ProfileSync::OnFirstLogin } else { preset.map(|preset| preset.profile_sync).unwrap_or_default() };
    let profile = profile_settings(section, usual);
    if is_own {
        for (key, differs) in [("profile_sync", profile.sync != usual), ("mapping", section.has("mapping"))] {
            if differs {
                section.problem(key, "what is known of people here is kept here, and no login brings it", "remove it");
            }
        }
    }
    let linking = linking(section, names, &domains);
    let kind = kind(context, section, name.as_deref());
    let second_factor = second_factor(section, kind.as_ref());
    let name = name?;
    Some(ConnectionConfig {
        display_name: display_name.unwrap_or_else(|| preset.map_or_else(|| name.clone(), |preset| preset.title.to_owned())),
        name,
        enabled,
        domains,
        applications,
        mapping: mapping?,
        profile,
        linking,
        second_factor,
        provider: preset.map(|preset| &preset.provider),
        kind: kind?,
    })
}

/// Whether a code is asked for after the password.
fn second_factor(section: &Section<'_>, kind: Option<&ConnectionKind>) -> SecondFactor {
    let choices = [("off", SecondFactor::Off), ("optional", SecondFactor::Optional), ("required", SecondFactor::Required)];
    let second_factor = section.choice("second_factor", &choices).unwrap_or_default();
    if second_factor != SecondFactor::Off && kind.is_some_and(|kind| !kind.asks_password()) {
        let message = "nobody types a password here by this connection, so no code can be asked for after it";
        section.problem(
            "second_factor",
            message,
            "ask for a second factor at the identity provider, as by `authn_context` or `acr_values`",
        );
    }
    second_factor
}

pub const NAME_RULE: &str = "a connection's name has up to 128 letters, digits, - and _";

/// Can a connection have this name?
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// `usual`: which sync it is where nothing is said.
fn profile_settings(section: &Section<'_>, usual: ProfileSync) -> ProfileSettings {
    let syncs = [
        ("on_each_login", ProfileSync::OnEachLogin),
        ("on_first_login", ProfileSync::OnFirstLogin),
        ("never_on_login", ProfileSync::NeverOnLogin),
    ];
    let comparisons = [("exact", SubjectComparison::Exact), ("ignore_case", SubjectComparison::IgnoreCase)];
    let subject_comparison = section.choice("subject_comparison", &comparisons).unwrap_or_default();
    if subject_comparison == SubjectComparison::IgnoreCase {
        let message = "weakened: subjects that differ in case only are one person here";
        section.warning("subject_comparison", message, "keep it only if the identity provider itself does not distinguish case");
    }
    ProfileSettings {
        sync: section.choice("profile_sync", &syncs).unwrap_or(usual),
        non_persistent: section.strings("non_persistent_attrs").unwrap_or_default().into_iter().map(|at| at.value.to_owned()).collect(),
        subject_comparison,
        link_only: section.bool("link_only").unwrap_or(false),
    }
}

/// `[connection.linking]`; `domains` are those that the connection is believed for.
fn linking(section: &Section<'_>, names: &[String], domains: &[String]) -> Linking {
    let Some(section) = section.section("linking") else { return Linking::default() };
    let policies = [("never", Policy::Never), ("ask", Policy::Ask), ("verified_email", Policy::VerifiedEmail)];
    let conflicts = [("refuse", OnConflict::Refuse), ("separate_user", OnConflict::SeparateUser)];
    let trust = [("domains", TrustEmail::Domains), ("any", TrustEmail::Any)];
    let among = section
        .strings("among")
        .map(|among| among.into_iter().map(|at| super::application::known_connection(&section, &at, names)).collect());
    let linking = Linking {
        policy: section.choice("policy", &policies).unwrap_or_default(),
        on_conflict: section.choice("on_conflict", &conflicts).unwrap_or_default(),
        trust_email: section.choice("trust_email", &trust).unwrap_or_default(),
        email_domains: email_domains(&section, "email_domains"),
        among,
    };
    if linking.trust_email == TrustEmail::Any {
        let message = "weakened: this connection's word on e-mail addresses counts for every domain";
        section.warning("trust_email", message, "use it only for a provider that proves every address, and list `domains` otherwise");
    }
    if linking.policy == Policy::VerifiedEmail
        && linking.trust_email == TrustEmail::Domains
        && domains.is_empty()
        && linking.email_domains.is_empty()
    {
        let message = "nothing can ever be linked: the connection is believed for no e-mail domain";
        section.problem("policy", message, "list the connection's `domains`, or the `email_domains` of its linking");
    }
    section.finish();
    linking
}

/// The protocol, of which a connection has one.
fn kind(context: &Context<'_>, section: &Section<'_>, name: Option<&str>) -> Option<ConnectionKind> {
    let written = written(section);
    if let [_, other, ..] = written.as_slice() {
        written.iter().for_each(|key| drop(section.value(key)));
        section.problem(other, "a connection speaks one protocol", "make two connections");
        return None;
    }
    let Some(key) = written.first().copied() else {
        section.problem(
            "saml",
            "the connection has no protocol",
            "add [connection.saml] with metadata_url, metadata_file, or entity_id, sso_url and certificates; or [connection.oidc], [connection.ldap] or [connection.database]",
        );
        return None;
    };
    let settings = section.section(key)?;
    let kind = match key {
        // It ends what it reads by itself, since a preset's settings stand beside the file's.
        "social" => return oauth2::social(context, settings),
        "oidc" => oidc::read(context, &settings).map(|read| ConnectionKind::Oidc(Arc::new(read))),
        "oauth2" => oauth2::read(context, &settings, None).map(|read| ConnectionKind::OAuth2(Arc::new(read))),
        "database" => database::read(context, &settings).map(|read| ConnectionKind::Database(Arc::new(read))),
        "ldap" => ldap::read(context, &settings).map(|read| ConnectionKind::Ldap(Arc::new(read))),
        _ => saml_connection(context, &settings, name).map(|read| ConnectionKind::Saml(Arc::new(read))),
    };
    settings.finish();
    kind
}

/// Who signs up, or must prove an address, is written to.
pub fn check_mail(root: &Section<'_>, connections: &[ConnectionConfig]) {
    let writes = |config: &&ConnectionConfig| match &config.kind {
        ConnectionKind::Database(database) => database.sign_up || database.require_verified_email,
        _ => false,
    };
    if let Some(config) = connections.iter().find(writes).filter(|_| !root.has("mail")) {
        let message = format!("people of the connection {} have to be written to, and there is no mail server", config.name);
        root.problem("mail", message, "add [mail] with host and from, or remove `sign_up` and `require_verified_email`");
    }
}

/// The protocols for which a connection has settings.
fn written(section: &Section<'_>) -> Vec<&'static str> {
    ["saml", "oidc", "oauth2", "social", "ldap", "database"].into_iter().filter(|key| section.has(key)).collect()
}

fn email_domains(section: &Section<'_>, key: &'static str) -> Vec<String> {
    let mut domains = Vec::new();
    for at in section.strings(key).unwrap_or_default() {
        let domain = at.value.to_ascii_lowercase();
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        // Addresses are compared as they are written: a domain with a dot at an end would never be met, or not as meant.
        let well_formed = domain.contains('.') && domain.split('.').all(is_label);
        if !well_formed {
            section.file().problem(
                at.span.clone(),
                &at.path,
                format!("`{}` is no e-mail domain", at.value),
                "write only what stands behind the @, in ASCII",
            );
        }
        domains.push(domain);
    }
    domains
}

fn saml_connection(context: &Context<'_>, section: &Section<'_>, name: Option<&str>) -> Option<SamlConnection> {
    if section.has("upstream_params") {
        section.value("upstream_params");
        let message = "SAML has no parameters that could be added to a request";
        section.problem("upstream_params", message, "remove it; what SAML can ask has settings of its own, as `login_hint_parameter`");
    }
    let living = living::read(context, section, name);
    let mut idp = match &living {
        None => idp(context, section),
        Some(living) => living.as_ref().map(|_| IdpTrust::nobody()),
    };
    let living = living.flatten();
    let policy = policy(context, section);
    let request_binding = section
        .choice("request_binding", &[("redirect", Binding::Redirect), ("post", Binding::Post)])
        .unwrap_or_else(|| preferred_binding(idp.as_ref().filter(|_| living.is_none())));
    if let Some(idp) = &idp
        && living.is_none()
        && !idp.sso_endpoints.iter().any(|endpoint| endpoint.binding == request_binding)
    {
        section.problem("request_binding", "the identity provider offers no such endpoint for logins", "choose the other binding");
    }
    let (logout, logout_binding, logout_encrypt) = logout::settings(section, idp.as_ref().filter(|_| living.is_none()));
    let response_binding = response_binding(section, idp.as_mut(), living.is_some());
    // By default as the identity provider's metadata want it: a signature is most of what a login costs.
    let sign_requests = section.bool("sign_requests").unwrap_or(false);
    let (request_signature, request_digest) = signature(section, "signature_algorithm", "digest_algorithm");
    let text = |key: &'static str| section.string(key).map(|at| at.value.to_owned());
    let index = |key: &'static str| section.integer(key, 0..=65_535).and_then(|at| u16::try_from(at.value).ok());
    let force_authn = section.bool("force_authn").unwrap_or(false);
    let comparisons =
        [("exact", Comparison::Exact), ("minimum", Comparison::Minimum), ("maximum", Comparison::Maximum), ("better", Comparison::Better)];
    let settings = SamlConnection {
        policy,
        sp_entity_id: text("sp_entity_id"),
        request_binding,
        response_binding,
        sign_requests,
        request_signature,
        request_digest,
        name_id_format: text("name_id_format"),
        force_authn,
        acr: acr_table(section),
        login_hint_as_subject: section.bool("login_hint_as_subject").unwrap_or(false),
        send_requester_id: section.bool("send_requester_id").unwrap_or(false),
        proxy_count: section.integer("proxy_count", 0..=100).and_then(|at| u32::try_from(at.value).ok()),
        authn_context_comparison: section.choice("authn_context_comparison", &comparisons).unwrap_or(Comparison::Exact),
        authn_context: section.strings("authn_context").unwrap_or_default().into_iter().map(|at| at.value.to_owned()).collect(),
        allow_create: section.bool("allow_create").unwrap_or(true),
        provider_name: text("provider_name"),
        acs_index: index("acs_index"),
        select_account_forces_authn: section.bool("select_account_forces_authn").unwrap_or(false),
        allow_passive_probe: section.bool("allow_passive_probe").unwrap_or(false),
        login_hint_parameter: request::login_hint_parameter(section),
        attribute_sets: request::attribute_sets(section),
        about: described::read(section),
        unsolicited: unsolicited::read(section, force_authn),
        attribute_consuming_service_index: index("attribute_consuming_service_index"),
        artifact_reach: artifact_reach(context, section, living.as_ref()),
        living,
        logout,
        logout_binding,
        logout_encrypt,
        ..SamlConnection::new(idp?)
    };
    Some(settings)
}

/// How we sign toward a partner; SHA-1 only by name.
fn signature(section: &Section<'_>, algorithm: &'static str, digest_algorithm: &'static str) -> (Option<SignatureScheme>, Option<Digest>) {
    let scheme = section.choice(algorithm, algorithms::SIGNATURES);
    let digest = section.choice(digest_algorithm, algorithms::DIGESTS);
    for (key, weak) in [(algorithm, algorithms::uses_sha1(scheme, None)), (digest_algorithm, algorithms::uses_sha1(None, digest))] {
        if weak {
            section.warning(key, "weakened: what we sign is signed with SHA-1", "remove it as soon as the partner can do better");
        }
    }
    (scheme, digest)
}

fn preferred_binding(idp: Option<&IdpTrust>) -> Binding {
    let has_redirect = idp.is_none_or(|idp| idp.sso_endpoints.iter().any(|endpoint| endpoint.binding == Binding::Redirect));
    if has_redirect { Binding::Redirect } else { Binding::Post }
}

/// What the file itself names may stand anywhere; what others say in metadata leads where these may be fetched from.
fn artifact_reach(context: &Context<'_>, section: &Section<'_>, living: Option<&Living>) -> Reach {
    match living.filter(|_| !section.has("artifact_resolution_url")) {
        _ if context.development => Reach::Everything,
        _ if context.stored().is_some() => Reach::Public,
        Some(living) => living.source.reach,
        None => Reach::Everything,
    }
}

/// How answers come, and where artifacts are resolved: as the metadata say, or as the file does.
fn response_binding(section: &Section<'_>, idp: Option<&mut IdpTrust>, living: bool) -> ResponseBinding {
    let choices = [("post", ResponseBinding::Post), ("artifact", ResponseBinding::Artifact)];
    let binding = section.choice("response_binding", &choices).unwrap_or_default();
    let service = section.string("artifact_resolution_url").and_then(|at| match ResolutionService::new(at.value, None) {
        Ok(service) => Some(service),
        Err(why) => {
            section.problem("artifact_resolution_url", why, "write the address of the identity provider's ArtifactResolutionService");
            None
        }
    });
    let Some(idp) = idp else { return binding };
    if let Some(service) = service {
        idp.artifact_services = vec![service];
    }
    if binding == ResponseBinding::Artifact && idp.artifact_services.is_empty() && !living && !section.has("artifact_resolution_url") {
        let message = "the identity provider's metadata have no ArtifactResolutionService that can be used";
        section.problem("response_binding", message, "add `artifact_resolution_url`, or let answers come by `post`");
    }
    binding
}

fn acr_table(section: &Section<'_>) -> BTreeMap<String, String> {
    let Some(table) = section.section("acr") else { return BTreeMap::new() };
    let mut acr = BTreeMap::new();
    for (name, at) in table.entries() {
        match at.value.as_str() {
            Some(class) => {
                acr.insert(name.to_owned(), class.to_owned());
            }
            None => section.file().problem(at.span.clone(), &at.path, "expected an AuthnContextClassRef", "put it in quotes"),
        }
    }
    acr
}

/// Whom we trust: from metadata, or from literal values.
fn idp(context: &Context<'_>, section: &Section<'_>) -> Option<IdpTrust> {
    let entity_id = section.string("entity_id").map(|at| at.value.to_owned());
    let pinned = certificates(context, section, "metadata_certificates");
    let document = section.string("metadata").map(|at| ("metadata", Ok(at.value.to_owned())));
    let from_file = section.string("metadata_file").map(|at| ("metadata_file", context.read_file(at.value)));
    if document.is_some() && from_file.is_some() {
        section.problem("metadata_file", "`metadata` and `metadata_file` contradict each other", "remove one of the two");
    }
    if let Some((key, document)) = document.or(from_file) {
        for literal in ["sso_url", "certificates", "slo_url"] {
            if section.has(literal) {
                section.problem(literal, format!("`{literal}` and `{key}` contradict each other"), "remove one of the two");
            }
        }
        section.value("sso_url");
        section.value("certificates");
        section.value("sso_binding");
        for literal in ["slo_url", "slo_response_url", "slo_binding"] {
            section.value(literal);
        }
        return match document {
            Ok(text) => from_metadata(context, section, (key, &text), entity_id.as_deref(), pinned),
            Err(why) => {
                section.problem(key, why, "correct the path; it is relative to the configuration");
                None
            }
        };
    }
    literal(context, section, entity_id)
}

/// `key` is where the document is, or its path.
fn from_metadata(
    context: &Context<'_>,
    section: &Section<'_>,
    (key, text): (&'static str, &str),
    entity_id: Option<&str>,
    pinned: Option<Vec<X509>>,
) -> Option<IdpTrust> {
    let pinned = match pinned.map(|certificates| TrustedKeys::new(&certificates)).transpose() {
        Ok(pinned) => pinned,
        Err(error) => {
            section.problem("metadata_certificates", error.detail, "name the certificate that signs the metadata");
            return None;
        }
    };
    match saml::metadata::read_idp(text, MetadataOptions { entity_id, pinned: pinned.as_ref() }, context.now) {
        Ok(metadata) => {
            let signing = metadata.signing_certificates.iter().map(|certificate| ("signing", certificate));
            let encryption = metadata.encryption_keys.iter().map(|key| ("encryption", key.certificate()));
            warn_expiry(context, section, key, signing.chain(encryption));
            if let Err(error) = check_scopes(&metadata.scopes) {
                section.problem(key, error.detail, "ask the identity provider for its current metadata");
            }
            Some(metadata.trust())
        }
        Err(error) => {
            let place = section.string("metadata_file").map(|at| format!("{}: ", at.value)).unwrap_or_default();
            section.problem(key, format!("{place}{error}"), "ask the identity provider for its current metadata");
            None
        }
    }
}

fn literal(context: &Context<'_>, section: &Section<'_>, entity_id: Option<String>) -> Option<IdpTrust> {
    if entity_id.is_none() && !section.has("entity_id") {
        section.problem(
            "entity_id",
            "it is not said which identity provider this is",
            "add `metadata_url`, `metadata_file`, or `entity_id`, `sso_url` and `certificates`",
        );
    }
    let logout_services = logout::literal_services(section);
    let binding = section.choice("sso_binding", &[("redirect", Binding::Redirect), ("post", Binding::Post)]).unwrap_or(Binding::Redirect);
    let location = section.required("sso_url").and_then(|at| match Url::parse(at.value) {
        Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && super::application::is_loopback(&url)) => Some(url),
        _ => {
            section.problem(
                "sso_url",
                format!("`{}` is no https address", at.value),
                "write the identity provider's single sign-on address",
            );
            None
        }
    });
    if !section.has("certificates") {
        section.problem(
            "certificates",
            "`certificates` is missing: without a signing certificate nothing could be believed",
            "add `certificates = [\"idp.pem\"]`",
        );
    }
    let keys = certificates(context, section, "certificates").and_then(|certificates| match TrustedKeys::new(&certificates) {
        Ok(keys) => {
            warn_expiry(context, section, "certificates", certificates.iter().map(|certificate| ("signing", certificate)));
            Some(keys)
        }
        Err(error) => {
            section.problem("certificates", error.detail, "ask the identity provider for its signing certificate");
            None
        }
    });
    Some(IdpTrust {
        entity_id: entity_id?,
        sso_endpoints: vec![Endpoint { binding, location: location? }],
        logout_services,
        artifact_services: Vec::new(),
        keys: keys?,
        scopes: Vec::new(),
        want_authn_requests_signed: false,
        encryption_keys: Vec::new(),
    })
}

/// A list of files, or of certificates themselves (PEM, or base64 of DER). `None` when the key is absent or one is bad.
pub(super) fn certificates(context: &Context<'_>, section: &Section<'_>, key: &'static str) -> Option<Vec<X509>> {
    let mut all = Some(Vec::new());
    for at in section.strings(key)? {
        let inline = at.value.contains("-----BEGIN") || at.value.len() > 400 || context.stored().is_some();
        let text = if inline { Ok(at.value.to_owned()) } else { context.read_file(at.value) };
        let parsed = text.and_then(|text| parse_certificate(&text).map_err(|error| error.detail));
        match parsed {
            Ok(certificate) => {
                if let Some(all) = &mut all {
                    all.push(certificate);
                }
            }
            Err(why) => {
                section.file().problem(
                    at.span.clone(),
                    &at.path,
                    why,
                    "name a PEM file, relative to the configuration, or paste the certificate",
                );
                all = None;
            }
        }
    }
    all
}

fn warn_expiry<'c>(context: &Context<'_>, section: &Section<'_>, key: &str, certificates: impl IntoIterator<Item = (&'c str, &'c X509)>) {
    for (purpose, certificate) in certificates {
        let Some(end) = certificate_end(certificate).filter(|end| *end < context.now.plus_seconds(END_IS_NEAR)) else { continue };
        let message = format!("a {purpose} certificate of the identity provider ends on {end}");
        section.warning(key, message, "ask the identity provider for the next one; logins go on, since keys are pinned and not dates");
    }
}

/// The terms; every loosening is an option of its own and a warning.
fn policy(context: &Context<'_>, section: &Section<'_>) -> ResponsePolicy {
    let strict = ResponsePolicy::default();
    let weakened = |key: &'static str, what: &str| {
        let on = section.bool(key).unwrap_or(false);
        if on {
            section.warning(key, format!("weakened: {what}"), "remove it as soon as the identity provider can do better");
        }
        on
    };
    ResponsePolicy {
        skew_seconds: section.integer("clock_skew", 0..=600).map_or(strict.skew_seconds, |at| at.value),
        message_max_age_seconds: section.integer("message_max_age", 30..=3600).map_or(strict.message_max_age_seconds, |at| at.value),
        allow_sha1: weakened("allow_sha1", "signatures with SHA-1 are accepted"),
        allow_inclusive_c14n: weakened("allow_inclusive_c14n", "inclusive canonicalization is accepted"),
        allow_cbc: weakened("allow_cbc", "encryption without integrity (AES-CBC) is accepted"),
        second_opinion: context.second_opinion,
        subject_attribute: section.string("subject_attribute").map(|at| at.value.to_owned()),
        authn_context_ranking: request::ranking(section, &acr_table(section)),
    }
}
