//! A SAML application of the file, in Auth0's words; what those do not say is in `isthmus.saml`, in the file's.

use crate::application::SamlApplication;
use crate::application::saml_sp::SamlSpSettings;
use crate::application::saml_sp_template::ByMetadata;
use crate::application::saml_words::{ENCRYPTED, FORMATS, word};
use crate::http::management::stored;
use crate::saml::algorithms::{CIPHERS, DIGESTS, SIGNATURES};
use crate::saml::idp::{NameFormats, ValueTypes};
use crate::saml::{Binding, names};
use serde_json::{Map, Value, json};

/// Adds the add-on, its callbacks and our own words to a client.
pub fn show(saml: &SamlApplication, client: &mut Map<String, Value>) {
    let settings = saml.sp.settings();
    let locations: Vec<&str> = settings.trust.acs().iter().map(|acs| acs.location()).collect();
    client.entry("callbacks").or_insert_with(|| json!(locations));
    client.insert("addons".to_owned(), json!({ "samlp": said(as_addon(settings)) }));
    let own = client.get_mut(stored::OWN).and_then(Value::as_object_mut);
    if let Some(own) = own {
        own.insert("saml".to_owned(), said(as_own(saml, settings)));
    }
}

/// Adds where its metadata come from, without the query of an address.
pub fn show_source(by_metadata: &ByMetadata, client: &mut Map<String, Value>) {
    let Some(own) = client.get_mut(stored::OWN).and_then(Value::as_object_mut) else { return };
    let saml = own.entry("saml").or_insert_with(|| json!({}));
    saml["metadata_url"] = json!(by_metadata.source);
}

fn as_addon(settings: &SamlSpSettings) -> Value {
    let (response, trust) = (&settings.response, &settings.trust);
    let callback = trust.logout_service(settings.logout_binding).map(|service| service.location.as_str());
    json!({
        "audience": response.audience.as_deref().unwrap_or_else(|| trust.entity_id()),
        "issuer": response.issuer,
        "recipient": response.recipient,
        "destination": response.destination,
        "signatureAlgorithm": response.signature.and_then(|scheme| word(SIGNATURES, scheme)),
        "digestAlgorithm": response.digest.and_then(|digest| word(DIGESTS, digest)),
        "signResponse": response.sign_response,
        "lifetimeInSeconds": response.lifetime_seconds,
        "nameIdentifierFormat": response.name_id_format.urn(),
        "nameIdentifierProbes": response.name_id_probes,
        "authnContextClassRef": response.authn_context_class_ref,
        "typedAttributes": response.attributes.types == ValueTypes::Inferred,
        "includeAttributeNameFormat": response.attributes.name_formats == NameFormats::Inferred,
        "binding": if settings.logout_binding == Binding::Post { names::BINDING_POST } else { names::BINDING_REDIRECT },
        "logout": said(json!({ "callback": callback, "slo_enabled": settings.logout })),
    })
}

fn as_own(saml: &SamlApplication, settings: &SamlSpSettings) -> Value {
    let (response, trust) = (&settings.response, &settings.trust);
    let formats: Vec<_> = saml.sp.name_id_formats().iter().filter_map(|format| word(FORMATS, *format)).collect();
    json!({
        "entity_id": trust.entity_id(),
        "acs_urls": trust.acs().iter().map(|acs| acs.location()).collect::<Vec<_>>(),
        "fingerprints": trust.keys().map(|keys| keys.fingerprints().collect::<Vec<_>>()),
        "mapping": saml.mapping.name(),
        "sign_assertion": response.sign_assertion,
        "encrypt": word(ENCRYPTED, response.encrypt),
        "encryption_algorithm": response.cipher.and_then(|cipher| word(CIPHERS, cipher)),
        "release": if saml.release.only_requested { "requested" } else { "all" },
        "entity_categories": saml.release.categories,
        "backdate": response.backdate_seconds,
        "name_id_formats": formats,
        "require_signed_requests": settings.require_signed_requests || trust.authn_requests_signed(),
        "allow_unsolicited": settings.allow_unsolicited,
        "mirror": settings.mirror,
        "discovery_urls": settings.discovery_urls.iter().map(url::Url::as_str).collect::<Vec<_>>(),
        "clock_skew": settings.policy.skew_seconds,
        "message_max_age": settings.policy.max_age_seconds,
    })
}

/// What is not said is not there.
fn said(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(members.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        other => other,
    }
}
