//! What every handler gets: the gateway, the settings of the HTTP side, and documents prepared once.

use super::limit::{LimitSettings, Limiter};
use super::look::Look;
use super::management::rate::Rates;
use super::metrics::Metrics;
use super::words::Language;
use crate::broker::Gateway;
use crate::broker::jobs::{DEFAULT_IMPORT_FILE, Jobs};
use crate::broker::live::Live;
use crate::connection::config::{ConnectionConfig, FACTOR_CONTEXT, SecondFactor};
use crate::oidc::{Prepared, ProviderMetadata};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Settings of the HTTP side.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The issuer is https: cookies are `Secure`, prefixed and `SameSite=None` where the flow needs it.
    pub secure: bool,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The header by which a trusted proxy names the country of the client, for rules and actions.
    pub country_header: Option<String>,
    /// The header by which a trusted proxy passes on the certificate that a client has shown it.
    pub client_certificate_header: Option<String>,
    /// Clients are asked for certificates, here or by the proxy.
    pub client_certificates: bool,
    /// Applications may ask a frame of ours whether the session is still the same (Session Management 1.0).
    pub session_management: bool,
    /// How pages look, and what they say.
    pub look: Arc<Look>,
    /// The authorization endpoint takes requests only that were pushed before (RFC 9126 5).
    pub require_pushed_authorization_requests: bool,
    /// Bytes of a body at most: forms with a SAML message, and all others.
    pub saml_body_limit: usize,
    pub body_limit: usize,
    pub api: ApiSettings,
    /// How often one address may ask.
    pub limits: LimitSettings,
}

/// Settings of the management API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiSettings {
    /// Calls of one client that this node takes, in a second and at once.
    pub requests_per_second: u32,
    pub burst: u32,
    /// Bytes of a file of users to import at most.
    pub import_file: u64,
    /// Days for which log events are kept.
    pub log_days: u32,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self { requests_per_second: 200, burst: 1000, import_file: DEFAULT_IMPORT_FILE, log_days: 30 }
    }
}

/// Shared by all workers.
pub struct State {
    pub live: Arc<Live>,
    pub jobs: Arc<Jobs>,
    pub rates: Rates,
    pub limiter: Limiter,
    pub settings: HttpSettings,
    pub metrics: Arc<Metrics>,
    /// Provider metadata, and the snapshot that they tell of.
    discovery: Mutex<(Weak<Gateway>, Prepared)>,
    draining: AtomicBool,
}

impl State {
    pub fn new(live: Arc<Live>, jobs: Arc<Jobs>, settings: HttpSettings, metrics: Arc<Metrics>) -> Self {
        let rates = Rates::new(settings.api.requests_per_second, settings.api.burst);
        let limiter = Limiter::new(&settings.limits);
        let discovery = Mutex::new((Weak::new(), Prepared::new(String::new())));
        Self { live, jobs, rates, limiter, settings, metrics, discovery, draining: AtomicBool::new(false) }
    }

    /// The gateway as it is now: one snapshot for a whole request.
    pub fn gateway(&self) -> Arc<Gateway> {
        self.live.gateway()
    }

    /// What applications are told of the provider, made anew when something of the gateway has changed.
    pub fn discovery(&self) -> Prepared {
        let gateway = self.gateway();
        let mut kept = self.discovery.lock().unwrap_or_else(PoisonError::into_inner);
        // The weak reference keeps the address from being used again.
        if kept.0.as_ptr() != Arc::as_ptr(&gateway) {
            *kept = (Arc::downgrade(&gateway), Prepared::new(metadata(&gateway, &self.settings).to_json()));
        }
        kept.1.clone()
    }

    /// From now on `/health/ready` says no, so that load balancers look elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}

/// What applications are told of the provider.
fn metadata(gateway: &Gateway, settings: &HttpSettings) -> ProviderMetadata {
    let metadata = ProviderMetadata::new(&gateway.issuer)
        .with_session_management(settings.session_management)
        .with_pushed_only(settings.require_pushed_authorization_requests)
        .with_registration(gateway.registration.is_on())
        .with_signing_algs(&gateway.keys.algorithms())
        .with_acr_values(acr_values(gateway))
        .with_ui_locales(Language::ALL.map(Language::tag).to_vec())
        .with_request_encryption(gateway.keys.can_decrypt());
    match settings.client_certificates {
        true => metadata.with_client_certificates(gateway.possession.mtls_base.as_deref()),
        false => metadata,
    }
}

/// Those of the tables of all connections by which people can come.
fn acr_values(gateway: &Gateway) -> Vec<String> {
    let enabled = gateway.connections.configs().filter(|config| config.enabled);
    let factor = |config: &ConnectionConfig| (config.second_factor != SecondFactor::Off).then(|| config.acr_here(FACTOR_CONTEXT));
    let values: BTreeSet<String> = enabled.flat_map(|config| config.acr().keys().cloned().chain(factor(config))).collect();
    values.into_iter().collect()
}
