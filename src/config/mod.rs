//! The configuration: one TOML file, read so that every fault is reported at once with its place and what to do.
//!
//! `read.rs` reads the file as written, `connection.rs` and `application.rs` its two lists; what comes out, a
//! [`Config`], holds valid values only. `isthmus check` and `isthmus serve` run the same code.

mod application;
mod authorities;
#[cfg(test)]
mod client_tests;
mod connection;
mod context;
mod keys;
mod limits;
mod living;
mod mail;
mod metadata;
#[cfg(test)]
mod page_tests;
mod pages;
mod possession;
mod read;
mod registration;
mod render;
#[cfg(test)]
mod rule_tests;
pub mod script_trials;
mod scripts;
mod secrets;
mod seed;
mod stored;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod weakening_tests;

pub use crate::toml_file::{Findings, Problem};
pub use read::mapping_files;
pub use render::{render_human, to_json};
pub use scripts::ScriptsConfig;
pub use seed::Seed;
pub use stored::StoredObjects;

use crate::application::{Application, ClientGrant, management};
use crate::broker::Lifetimes;
use crate::broker::live::Made;
use crate::broker::mail::MailSettings;
use crate::broker::possession::PossessionSettings;
use crate::broker::registration::Policy;
use crate::clock::Timestamp;
use crate::connection::config::ConnectionConfig;
use crate::connection::metadata::Living;
use crate::connection::outbound::download::Reach;
use crate::http::state::HttpSettings;
use crate::id;
use crate::keys::Keyring;
use crate::profile::dialect::GigyaSigner;
use crate::rules::Script;
use crate::secret::Secret;
use crate::startup::{Parts, TlsFiles};
use crate::store::{Directory, SessionStore};
use crate::telemetry::LogFormat;
use crate::user::sealing::SealedPath;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::level_filters::LevelFilter;

/// Threads that run rules and actions, where the file does not say.
const SCRIPT_THREADS: usize = 2;

/// Valid values only.
#[derive(Debug)]
pub struct Config {
    /// Our public base address, without a trailing slash.
    pub issuer: String,
    pub listen: SocketAddr,
    pub operations_listen: SocketAddr,
    pub directory_url: Secret<String>,
    pub sessions_url: Secret<String>,
    pub keys_path: PathBuf,
    pub tls: Option<TlsFiles>,
    pub possession: PossessionSettings,
    pub log_level: LevelFilter,
    pub log_format: LogFormat,
    pub lifetimes: Lifetimes,
    pub gigya: Option<GigyaSigner>,
    pub registration: Policy,
    pub mail: Option<MailSettings>,
    pub http: HttpSettings,
    pub connections: Vec<ConnectionConfig>,
    pub applications: Vec<Application>,
    /// Where the metadata of some of them come from, by client id.
    pub application_metadata: BTreeMap<String, Living>,
    /// Client ids of applications, and their scopes of the management API.
    pub api_scopes: Vec<(String, Vec<String>)>,
    /// Places in the free data of users whose values are sealed.
    pub sealed: Vec<SealedPath>,
    pub seed: Seed,
    /// Where clients may have their documents.
    pub reach: Reach,
    pub scripts: ScriptsConfig,
    /// Reads what the management API stores.
    pub stored: StoredObjects,
    /// Loosenings and certificates that end soon; to be logged once logging has started.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// What startup makes a gateway from.
    pub fn into_parts(self, keyring: Keyring, sessions: Arc<dyn SessionStore>, directory: Arc<dyn Directory>) -> Parts {
        let audience = management::audience(&self.issuer);
        let grant = |(client_id, scopes): (String, Vec<String>)| {
            let id = format!("cgr_{}", id::digest(&client_id).get(..16).unwrap_or_default());
            Made::ClientGrant(ClientGrant { id, client_id, audience: audience.clone(), scopes })
        };
        Parts {
            more: self.api_scopes.into_iter().map(grant).chain(made(self.scripts.scripts, self.scripts.configuration)).collect(),
            maker: Arc::new(self.stored),
            issuer: self.issuer,
            connections: self.connections,
            applications: self.applications,
            application_metadata: self.application_metadata,
            lifetimes: self.lifetimes,
            gigya: self.gigya,
            possession: self.possession,
            registration: self.registration,
            mail: self.mail,
            http: self.http,
            keyring,
            sessions,
            directory,
            sealed: self.sealed,
            reach: self.reach,
            script_threads: self.scripts.threads.unwrap_or(SCRIPT_THREADS),
        }
    }
}

/// Rules, actions and the rules' settings, for the snapshot.
fn made(scripts: Vec<Script>, configuration: BTreeMap<String, Secret<String>>) -> Vec<Made> {
    let scripts = scripts.into_iter().map(|script| Made::Script(Arc::new(script)));
    scripts.chain(configuration.into_iter().map(|(name, value)| Made::RuleConfiguration { name, value })).collect()
}

/// Reads a configuration that is to be used.
///
/// # Errors
/// All problems there are; warnings alone do not stop anybody.
pub fn load(path: &Path) -> Result<Config, Findings> {
    let (config, findings) = read::read(path, Timestamp::now());
    match config {
        Some(config) if findings.is_good() => Ok(Config { warnings: findings.warnings, ..config }),
        _ => Err(findings),
    }
}

/// Reads a configuration only to say what is wrong with it; the tests beside scripts are run.
pub fn check(path: &Path) -> Findings {
    let (config, mut findings) = read::read(path, Timestamp::now());
    let trials = config.map(|config| config.scripts.trials).unwrap_or_default();
    findings.problems.extend(script_trials::run(trials).into_iter().filter(|result| !result.differences.is_empty()).map(failed_trial));
    findings.sort();
    findings
}

fn failed_trial(result: script_trials::TrialResult) -> Problem {
    let message = format!("the test \"{}\" of the script {} fails: {}", result.test, result.script, result.differences.join("; "));
    let problem = read::whole_file(result.file, "test".to_owned(), message, "correct the script or the test");
    Problem { line: result.line, column: 1, ..problem }
}

/// Reads the scripts of a configuration and their tests, and the address of its operations listener, for `isthmus rules`.
///
/// # Errors
/// All problems of the configuration, where it cannot be read.
pub fn scripts(path: &Path) -> Result<(ScriptsConfig, Findings, String), Findings> {
    let (config, findings) = read::read(path, Timestamp::now());
    match config {
        Some(config) => Ok((config.scripts, findings, format!("http://{}", config.operations_listen))),
        None => Err(findings),
    }
}
