//! What every handler gets: the gateway, the settings of the HTTP side, and documents prepared once.

use super::metrics::Metrics;
use crate::broker::Gateway;
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
    /// Bytes of a body at most: forms with a SAML message, and all others.
    pub saml_body_limit: usize,
    pub body_limit: usize,
}

/// Shared by all workers.
pub struct State {
    pub gateway: Gateway,
    pub settings: HttpSettings,
    pub metrics: Arc<Metrics>,
    pub discovery: Bytes,
    pub jwks: Bytes,
    draining: AtomicBool,
}

impl State {
    pub fn new(gateway: Gateway, settings: HttpSettings, metrics: Arc<Metrics>) -> Self {
        let discovery = Bytes::from(crate::oidc::ProviderMetadata::new(&gateway.issuer).to_json());
        let jwks = Bytes::from(gateway.keys.public().jwks_json().to_owned());
        Self { gateway, settings, metrics, discovery, jwks, draining: AtomicBool::new(false) }
    }

    /// From now on `/health/ready` says no, so that load balancers look elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}
