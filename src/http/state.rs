//! What every handler gets: the gateway, the settings of the HTTP side, and documents prepared once.

use super::look::Look;
use super::management::rate::Rates;
use super::metrics::Metrics;
use crate::broker::Gateway;
use crate::broker::jobs::{DEFAULT_IMPORT_FILE, Jobs};
use crate::broker::live::Live;
use crate::oidc::{Prepared, ProviderMetadata};
use ipnet::IpNet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Settings of the HTTP side.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The issuer is https: cookies are `Secure`, prefixed and `SameSite=None` where the flow needs it.
    pub secure: bool,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The header by which a trusted proxy names the country of the client, for rules and actions.
    pub country_header: Option<String>,
    /// Applications may ask a frame of ours whether the session is still the same (Session Management 1.0).
    pub session_management: bool,
    /// How pages look, and what they say.
    pub look: Arc<Look>,
    /// Bytes of a body at most: forms with a SAML message, and all others.
    pub saml_body_limit: usize,
    pub body_limit: usize,
    pub api: ApiSettings,
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
    pub settings: HttpSettings,
    pub metrics: Arc<Metrics>,
    pub discovery: Prepared,
    draining: AtomicBool,
}

impl State {
    pub fn new(live: Arc<Live>, jobs: Arc<Jobs>, settings: HttpSettings, metrics: Arc<Metrics>) -> Self {
        let gateway = live.gateway();
        let rates = Rates::new(settings.api.requests_per_second, settings.api.burst);
        let metadata = ProviderMetadata::new(&gateway.issuer).with_session_management(settings.session_management);
        let discovery = Prepared::new(metadata.to_json());
        Self { live, jobs, rates, settings, metrics, discovery, draining: AtomicBool::new(false) }
    }

    /// The gateway as it is now: one snapshot for a whole request.
    pub fn gateway(&self) -> Arc<Gateway> {
        self.live.gateway()
    }

    /// From now on `/health/ready` says no, so that load balancers look elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}
