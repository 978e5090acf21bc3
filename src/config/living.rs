//! `[connection.saml]` whose identity provider, or thousands of them, come from metadata that are looked at again and again:
//! `metadata_url`, `federation_url`, `federation_file`, `mdq_url`; and `[application.saml]` with `metadata_url`.

use super::application::is_loopback;
use super::connection::{certificates, is_name};
use super::context::{Context, Source as Place};
use crate::application::saml_sp_template::SamlTemplate;
use crate::connection::metadata::{Cadence, Hold, Living, MdqForm, Members, Origin, Role, Source};
use crate::connection::outbound::download::{Patience, Reach};
use crate::id;
use crate::saml::aggregate::{Terms, Trust, Validity};
use crate::toml_file::Section;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The keys that make a connection live, of which it has one.
const KEYS: [&str; 4] = ["metadata_url", "federation_url", "federation_file", "mdq_url"];

/// What says who the identity provider is without any of them.
const FIXED: [&str; 8] =
    ["metadata", "metadata_file", "sso_url", "sso_binding", "certificates", "slo_url", "slo_response_url", "slo_binding"];

/// What only means something with one of them.
const ONLY_LIVING: [&str; 6] =
    ["metadata_refresh", "metadata_private_network", "metadata_valid_days", "mdq_form", "hold_entities", "discovery_url"];

/// The same of an application.
const ONLY_LIVING_APPLICATION: [&str; 3] = ["metadata_refresh", "metadata_private_network", "metadata_valid_days"];

/// Reads them. `None`: there are none; `Some(None)`: they are wrong, which has been said. `name`: that of the connection.
pub fn read(context: &Context<'_>, section: &Section<'_>, name: Option<&str>) -> Option<Option<Living>> {
    let given: Vec<&'static str> = KEYS.into_iter().filter(|key| section.has(key)).collect();
    let Some(key) = given.first().copied() else {
        refuse_all(section, &ONLY_LIVING);
        return None;
    };
    let contradicting = given.iter().skip(1).chain(FIXED.iter().filter(|fixed| section.has(fixed)));
    let agrees = refuse_contradicting(section, key, contradicting.copied());
    let living = living(context, section, key, name);
    Some(living.filter(|_| agrees))
}

/// Reads `metadata_url` of an application and what belongs to it. `fixed` is what says who it is without.
pub fn of_application(
    context: &Context<'_>,
    section: &Section<'_>,
    client_id: &str,
    template: Arc<SamlTemplate>,
    fixed: &[&'static str],
) -> Option<Living> {
    const KEY: &str = "metadata_url";
    let agrees = refuse_contradicting(section, KEY, fixed.iter().copied().filter(|fixed| section.has(fixed)));
    let mut source = source(context, section, KEY, Members::One)?;
    source.role = Role::Application(template);
    source.cache = (!client_id.is_empty()).then(|| context.state.join(APPLICATIONS).join(file_name(client_id)));
    section.note(KEY, format!("the application {client_id} is known by metadata from {}, {}", source.shown(), signed_by(section)));
    agrees.then_some(Living { members: Members::One, source, discovery: None })
}

/// What belongs to metadata that are fetched, at an application whose are not.
pub fn refuse_alone(section: &Section<'_>) {
    refuse_all(section, &ONLY_LIVING_APPLICATION);
}

fn refuse_all(section: &Section<'_>, keys: &[&'static str]) {
    for key in keys.iter().filter(|key| section.has(key)) {
        section.value(key);
        section.problem(key, format!("`{key}` means something only where metadata are fetched"), "add `metadata_url`, or remove it");
    }
}

/// Was there nothing to refuse?
fn refuse_contradicting(section: &Section<'_>, key: &str, others: impl Iterator<Item = &'static str>) -> bool {
    let mut agrees = true;
    for other in others {
        agrees = false;
        section.value(other);
        section.problem(other, format!("`{other}` and `{key}` contradict each other"), "remove one of the two");
    }
    agrees
}

/// A client id may have characters that file names have not.
fn file_name(client_id: &str) -> String {
    if is_name(client_id) { client_id.to_owned() } else { id::hex(&id::sha256(client_id.as_bytes())) }
}

fn signed_by(section: &Section<'_>) -> &'static str {
    if section.has("metadata_certificates") { "signed by `metadata_certificates`" } else { "whoever signed them" }
}

fn living(context: &Context<'_>, section: &Section<'_>, key: &'static str, name: Option<&str>) -> Option<Living> {
    let form = section.choice("mdq_form", &[("entity_id", MdqForm::EntityId), ("sha1", MdqForm::Sha1)]).unwrap_or_default();
    let members = match key {
        "metadata_url" => Members::One,
        "mdq_url" => Members::Queried(form),
        _ => Members::All,
    };
    let discovery = discovery(section, members);
    let mut source = source(context, section, key, members)?;
    if matches!(members, Members::Queried(_)) {
        // Somebody waits for it.
        source.patience = Patience { idle: Duration::from_secs(5), total: Duration::from_secs(10) };
    }
    source.cache = name.map(|name| context.state.join(name));
    if let (Some(name), true) = (name, key != "federation_file") {
        section.note(key, format!("the connection {name} is known by metadata from {}, {}", source.shown(), signed_by(section)));
    }
    Some(Living { members, source, discovery })
}

/// Everything about a source but for whom it is.
fn source(context: &Context<'_>, section: &Section<'_>, key: &'static str, members: Members) -> Option<Source> {
    let origin = origin(context, section, key);
    let terms = terms(context, section, key, members);
    let expects = section.string("entity_id").map(|at| at.value.to_owned());
    if members != Members::One && expects.is_some() {
        section.problem("entity_id", "a connection to a federation has no single identity provider", "remove it, or use `metadata_url`");
    }
    let hold = hold(section, members, expects.as_ref());
    let cadence = section.integer("metadata_refresh", 1..=86_400).map_or_else(Cadence::default, |at| cadence(at.value.unsigned_abs()));
    let reach = reach(context, section);
    let mut source = match Source::new(origin?, terms?) {
        Ok(source) => source,
        Err(error) => {
            section.problem(key, error.detail, "use https, or name the certificate that signs the metadata in `metadata_certificates`");
            return None;
        }
    };
    (source.cadence, source.hold, source.reach, source.expects) = (cadence, hold, reach, expects);
    Some(source)
}

fn origin(context: &Context<'_>, section: &Section<'_>, key: &'static str) -> Option<Origin> {
    let text = section.string(key)?.value;
    if key == "federation_file" {
        return match context.source {
            Place::File(_) => Some(Origin::File(context.resolve(text))),
            Place::Stored(_) => {
                section.problem(key, "files of this machine cannot be named here", "use federation_url");
                None
            }
        };
    }
    match Url::parse(text) {
        Ok(url) => Some(Origin::Url(url)),
        Err(_) => {
            section.problem(key, "this is no address", "write it as in \"https://idp.example/metadata\"");
            None
        }
    }
}

/// The page of somebody else that finds identity providers.
fn discovery(section: &Section<'_>, members: Members) -> Option<Url> {
    let at = section.string("discovery_url")?;
    let url = Url::parse(at.value).ok().filter(|url| url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)));
    if url.is_none() {
        section.problem(
            "discovery_url",
            "this is no https address",
            "write that of the discovery service, or remove it: there is a page here",
        );
    }
    if members == Members::One {
        section.problem("discovery_url", "there is one identity provider, which nobody has to find", "remove it");
    }
    url
}

/// Whose signature, and how long a copy is good.
fn terms(context: &Context<'_>, section: &Section<'_>, key: &'static str, members: Members) -> Option<Terms> {
    let has_pinned = section.has("metadata_certificates");
    let pinned = certificates(context, section, "metadata_certificates");
    if has_pinned && pinned.as_ref().is_none_or(Vec::is_empty) {
        if pinned.is_some() {
            section.problem("metadata_certificates", "the list is empty", "name the certificate that signs the metadata, or remove it");
        }
        return None;
    }
    let of_federation = members != Members::One;
    if !has_pinned && key == "metadata_url" {
        let message = "weakened: the metadata are believed without a signature: whoever can write at that address decides whose keys count";
        section.warning(key, message, "name the certificate that signs them in `metadata_certificates`, if somebody signs them");
    }
    if !has_pinned && of_federation && key != "federation_file" {
        let help = "name the certificate with which the federation signs; it publishes it together with the address";
        section.problem("metadata_certificates", "thousands are trusted for this document: its signature must be verified", help);
        return None;
    }
    let trust = match Trust::new(&pinned.unwrap_or_default(), true) {
        Ok(trust) => trust,
        Err(error) => {
            section.problem("metadata_certificates", error.detail, "name the certificate that signs the metadata");
            return None;
        }
    };
    let days = section.integer("metadata_valid_days", 1..=366).map(|at| at.value);
    let validity = match days {
        Some(days) => Validity::Required { at_most_seconds: days * 86_400 },
        // Who keeps an old copy of a federation from us cannot do so for longer.
        None if of_federation && key != "federation_file" => Validity::default(),
        None => Validity::Optional,
    };
    Some(Terms { trust, validity })
}

/// One identity provider is an agreement between two, and its move is looked at. In a federation the registrar looks.
fn hold(section: &Section<'_>, members: Members, expects: Option<&String>) -> Hold {
    let named = section.strings("hold_entities").map(|names| names.into_iter().map(|at| at.value.to_owned()).collect::<BTreeSet<_>>());
    match (members, expects) {
        (Members::One, None) => Hold::Everybody,
        (Members::One, Some(expected)) => Hold::Only(BTreeSet::from([expected.clone()])),
        (Members::All | Members::Queried(_), _) => Hold::Only(named.unwrap_or_default()),
    }
}

/// Looks at least that often.
fn cadence(seconds: u64) -> Cadence {
    let usual = Cadence::default();
    Cadence { at_least_seconds: usual.at_least_seconds.min(seconds), at_most_seconds: seconds, usual_seconds: seconds }
}

fn reach(context: &Context<'_>, section: &Section<'_>) -> Reach {
    let private = section.bool("metadata_private_network").unwrap_or(false);
    if private && context.stored().is_some() {
        section.problem("metadata_private_network", "only the configuration file can let this gateway ask its own network", "remove it");
        return Reach::Public;
    }
    if private {
        let message = "weakened: metadata are fetched from addresses of the own network";
        section.warning("metadata_private_network", message, "keep it only if the partner has no public address");
    }
    match (context.loopback, private) {
        (true, _) => Reach::Everything,
        (false, true) => Reach::Network,
        (false, false) => Reach::Public,
    }
}

/// Below `state`: no connection can have this name.
const APPLICATIONS: &str = "applications.d";
