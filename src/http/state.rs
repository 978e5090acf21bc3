//! What every handler gets: the gateway, the settings of the HTTP side, and documents prepared once.

use super::metrics::Metrics;
use crate::broker::Gateway;
use crate::broker::live::Live;
use actix_web::web::Bytes;
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
    /// Bytes of a body at most: forms with a SAML message, and all others.
    pub saml_body_limit: usize,
    pub body_limit: usize,
}

/// Shared by all workers.
pub struct State {
    pub live: Live,
    pub settings: HttpSettings,
    pub metrics: Arc<Metrics>,
    pub discovery: Bytes,
    draining: AtomicBool,
}

impl State {
    pub fn new(live: Live, settings: HttpSettings, metrics: Arc<Metrics>) -> Self {
        let gateway = live.gateway();
        let discovery = Bytes::from(crate::oidc::ProviderMetadata::new(&gateway.issuer).to_json());
        Self { live, settings, metrics, discovery, draining: AtomicBool::new(false) }
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
