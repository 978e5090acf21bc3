//! Counters for `/metrics`, in a registry of their own.

use crate::broker::Events;
use crate::connection::metadata::Owner;
use prometheus::{IntCounterVec, Opts, Registry, TextEncoder};

/// All that is counted.
pub struct Metrics {
    registry: Registry,
    pub requests: IntCounterVec,
    logins: IntCounterVec,
    metadata: IntCounterVec,
    application_metadata: IntCounterVec,
    logouts: IntCounterVec,
}

impl Metrics {
    /// # Errors
    /// When two counters share a name, which is a defect.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(Opts::new("isthmus_http_requests_total", "Requests answered"), &["route", "status"])?;
        let logins =
            IntCounterVec::new(Opts::new("isthmus_logins_total", "Logins ended, by connection and outcome"), &["connection", "outcome"])?;
        let metadata = Opts::new("isthmus_metadata_refreshes_total", "Sources of metadata looked at, by connection and outcome");
        let metadata = IntCounterVec::new(metadata, &["connection", "outcome"])?;
        registry.register(Box::new(metadata.clone()))?;
        let of_applications =
            Opts::new("isthmus_application_metadata_refreshes_total", "Sources of metadata looked at, by application and outcome");
        let application_metadata = IntCounterVec::new(of_applications, &["application", "outcome"])?;
        registry.register(Box::new(application_metadata.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        let logouts =
            IntCounterVec::new(Opts::new("isthmus_logouts_total", "Logouts ended, by who began them and outcome"), &["by", "outcome"])?;
        registry.register(Box::new(logins.clone()))?;
        registry.register(Box::new(logouts.clone()))?;
        Ok(Self { registry, requests, logins, metadata, application_metadata, logouts })
    }

    /// Prometheus' text format.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

impl Events for Metrics {
    fn login(&self, connection: &str, outcome: &str) {
        self.logins.with_label_values(&[connection, outcome]).inc();
    }

    fn metadata(&self, of: &Owner, outcome: &str) {
        let counter = match of {
            Owner::Connection(_) => &self.metadata,
            Owner::Application(_) => &self.application_metadata,
        };
        counter.with_label_values(&[of.name(), outcome]).inc();
    }

    fn logout(&self, by: &str, outcome: &str) {
        self.logouts.with_label_values(&[by, outcome]).inc();
    }
}
