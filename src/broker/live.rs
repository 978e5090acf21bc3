//! The configuration as it is now: what the file says, and what the management API has stored.
//!
//! A [`Gateway`] is a snapshot that never changes; [`Live`] holds the newest one. A request takes it once and is served by
//! it to its end. What one node stores, the others read within a second or two ([`Live::refresh`]). Where file and store
//! have something of the same name, the file's counts.

use super::living::LivingApplication;
use super::{Gateway, Lifetimes};
use crate::application::{Application, ClientGrant, ResourceServer};
use crate::clock::Timestamp;
use crate::connection::metadata::{Approval, Owner};
use crate::connection::{Connection, Registry};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::KeySet;
use crate::oidc::{AlgKeys, OidcKeys};
use crate::rules::{Kind, Script, Scripts};
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;

/// Something that a stored object, or the file, makes.
#[derive(Clone)]
pub enum Made {
    Connection(Arc<dyn Connection>),
    Application(Arc<Application>),
    /// One whose SAML metadata are fetched while the process runs.
    LivingApplication(Arc<LivingApplication>),
    ResourceServer(Arc<ResourceServer>),
    ClientGrant(ClientGrant),
    Script(Arc<Script>),
    /// One value of the rules' `configuration`.
    RuleConfiguration {
        name: String,
        value: Secret<String>,
    },
    Settings(Settings),
    /// What signs ID tokens with one algorithm, where keys have been rotated.
    OidcKeys(Arc<AlgKeys>),
    /// What SAML signs or decrypts with, likewise.
    SamlKeys(Arc<KeySet>),
    /// Endpoints of living metadata that are approved.
    MetadataApproval(Approval),
    /// Means nothing to logins.
    Nothing,
}

/// Settings of the whole gateway that can be stored; what is absent is as the file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Seconds.
    pub session: Option<u64>,
}

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer into the object (RFC 6901).
    pub pointer: String,
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// An object that can be used, and what is weak in it.
pub struct Checked {
    pub made: Made,
    pub warnings: Vec<Fault>,
}

/// What a reader of objects has to know of the others.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub gateway: &'a Gateway,
    pub now: Timestamp,
    /// It was good when it was stored, and is only read again: what it refers to need not be there (yet).
    pub again: bool,
}

/// Reads stored objects, by the same rules as the configuration file.
pub trait Maker: Send + Sync {
    /// # Errors
    /// Everything that is wrong with it, at once.
    fn make(&self, kind: &str, id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>>;

    /// When the object has to be made again because time changes what it means; `None`: never.
    fn until(&self, _kind: &str, _body: &Map<String, Value>, _now: Timestamp) -> Option<Timestamp> {
        None
    }
}

/// The newest snapshot.
pub struct Live {
    current: RwLock<Arc<Gateway>>,
    /// What the file made.
    file: Vec<Made>,
    /// What is there without the catalogue: as the file has it.
    of_base: OfBase,
    stored: Mutex<Stored>,
    maker: Arc<dyn Maker>,
}

struct OfBase {
    lifetimes: Lifetimes,
    keys: Arc<OidcKeys>,
}

#[derive(Default)]
struct Stored {
    /// Something was read that the snapshot does not show yet.
    dirty: bool,
    version: i64,
    made: BTreeMap<(String, String), Made>,
    /// What has to be made again, when, and from what.
    again: BTreeMap<(String, String), (Timestamp, String)>,
}

/// Kinds whose last good state stays in force where the newest cannot be read.
const GUARDS: &[&str] = &["rule", "action", "signing_keys"];

/// Before there is a clock: nothing that has to be valid is there yet.
const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// Objects that are read in one round trip.
const BATCH: usize = 500;

impl Live {
    /// `base` has everything but what comes from the catalogue.
    pub fn new(base: Gateway, file: Vec<Made>, maker: Arc<dyn Maker>) -> Self {
        let of_base = OfBase { lifetimes: base.lifetimes, keys: Arc::clone(&base.keys) };
        let gateway = snapshot(&base, &of_base, &file, &BTreeMap::new(), NEVER);
        Self { current: RwLock::new(Arc::new(gateway)), file, of_base, stored: Mutex::default(), maker }
    }

    /// The gateway as it is now.
    pub fn gateway(&self) -> Arc<Gateway> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn maker(&self) -> &dyn Maker {
        self.maker.as_ref()
    }

    /// Was this made by the file? Such things are read-only.
    pub fn is_from_file(&self, wanted: impl Fn(&Made) -> bool) -> bool {
        self.file.iter().any(wanted)
    }

    /// What the file made.
    pub fn of_file(&self) -> &[Made] {
        &self.file
    }

    /// Takes what has changed of applications whose metadata live; answers whether anything had.
    pub async fn renew(&self, now: Timestamp) -> bool {
        let mut stored = self.stored.lock().await;
        stored.dirty |= self.is_stale(now);
        self.show(&mut stored, now)
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        self.gateway().living.iter().any(|application| application.is_stale(now))
    }

    /// Reads what has changed in the directory; answers whether anything had.
    ///
    /// # Errors
    /// Those of the directory. The snapshot stays as it was.
    pub async fn refresh(&self, now: Timestamp) -> Result<bool> {
        let mut stored = self.stored.lock().await;
        let directory = Arc::clone(&self.gateway().directory);
        loop {
            let changes = directory.objects_since(stored.version, BATCH).await?;
            let (last, more) = (changes.last().map(|change| change.version), changes.len() >= BATCH);
            for change in changes {
                stored.dirty = true;
                self.take(&mut stored, (change.kind, change.id), change.body, now);
            }
            stored.version = last.unwrap_or(stored.version);
            if !more {
                break;
            }
        }
        let due: Vec<_> =
            stored.again.iter().filter(|(_, (at, _))| *at <= now).map(|(key, (_, body))| (key.clone(), body.clone())).collect();
        for (key, body) in due {
            stored.dirty = true;
            self.take(&mut stored, key, Some(body), now);
        }
        stored.dirty |= self.is_stale(now);
        Ok(self.show(&mut stored, now))
    }

    fn show(&self, stored: &mut Stored, now: Timestamp) -> bool {
        let changed = std::mem::take(&mut stored.dirty);
        if changed {
            let next = snapshot(&self.gateway(), &self.of_base, &self.file, &stored.made, now);
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        }
        changed
    }

    fn take(&self, stored: &mut Stored, key: (String, String), body: Option<String>, now: Timestamp) {
        stored.again.remove(&key);
        let Some(text) = body else {
            stored.made.remove(&key);
            return;
        };
        match self.read(&key, &text, now) {
            Ok((made, until)) => {
                if let Some(until) = until {
                    stored.again.insert(key.clone(), (until, text));
                }
                stored.made.insert(key, made);
            }
            Err(why) => {
                // It was good when it was stored, by another version of this program perhaps.
                tracing::error!(kind = key.0, id = key.1, why, "a stored object cannot be used");
                // Without a script that refuses people, or with keys that were revoked, nobody is safer: the last good ones stay.
                if !GUARDS.contains(&key.0.as_str()) {
                    stored.made.remove(&key);
                }
            }
        }
    }

    fn read(&self, key: &(String, String), body: &str, now: Timestamp) -> Result<(Made, Option<Timestamp>), String> {
        let body: Map<String, Value> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let gateway = self.gateway();
        let made = self.maker.make(&key.0, &key.1, &body, Known { gateway: &gateway, now, again: true });
        let told = |faults: Vec<Fault>| {
            let texts: Vec<String> = faults.into_iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect();
            texts.join("; ")
        };
        made.map(|checked| (checked.made, self.maker.until(&key.0, &body, now))).map_err(told)
    }
}

fn snapshot(base: &Gateway, of_base: &OfBase, file: &[Made], stored: &BTreeMap<(String, String), Made>, now: Timestamp) -> Gateway {
    let mut parts = Parts::default();
    // What comes later replaces what came before.
    for made in stored.values().chain(file) {
        parts.add(made.clone(), now);
    }
    let mut actions: BTreeMap<_, Vec<Arc<Script>>> = BTreeMap::new();
    let mut rules = Vec::new();
    for script in parts.scripts.into_values().filter(|script| script.enabled) {
        match script.kind {
            Kind::Rule => rules.push(script),
            Kind::Action(trigger) => actions.entry(trigger).or_default().push(script),
        }
    }
    for list in actions.values_mut().chain([&mut rules]) {
        list.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    }
    let connections = Registry::new(parts.connections.into_values().collect());
    let mut gateway = base.clone();
    gateway.admin = base.admin.with_connections(connections.configs());
    gateway.connections = connections;
    if *gateway.approvals != parts.approvals {
        gateway.approvals = Arc::new(parts.approvals);
    }
    let session = parts.settings.session.unwrap_or(of_base.lifetimes.session);
    gateway.lifetimes = Lifetimes { session, ..of_base.lifetimes };
    gateway.keys = parts.oidc_keys.into_iter().fold(Arc::clone(&of_base.keys), |keys, rotated| Arc::new(keys.with(rotated)));
    // Connections of the file outlive snapshots: they ask the keyring.
    gateway.keyring.use_saml(&parts.saml_keys);
    gateway.service_providers = service_providers(&parts.applications, &gateway.approvals);
    gateway.living = Arc::new(parts.living.into_values().collect());
    gateway.applications = Arc::new(parts.applications);
    gateway.resource_servers = parts.resource_servers;
    gateway.client_grants = parts.client_grants;
    gateway.scripts = Arc::new(Scripts { rules, actions, configuration: Arc::new(parts.configuration) });
    gateway
}

/// In an order that does not change from one node or start to another. An application whose metadata are not there is known
/// by the entity ID that it is said to have, or had: so that it can be told what is missing.
fn service_providers(applications: &HashMap<String, Arc<Application>>, approvals: &[Approval]) -> HashMap<String, Vec<String>> {
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    let approved: HashMap<&Owner, &str> = approvals.iter().map(|approval| (&approval.owner, approval.entity_id.as_str())).collect();
    for application in applications.values().filter(|application| application.enabled) {
        let awaited = || {
            let written = application.by_metadata.as_ref()?.entity_id.as_deref();
            written.or_else(|| approved.get(&Owner::application(&application.client_id)).copied())
        };
        if let Some(entity_id) = application.saml.as_ref().map(|saml| saml.sp.trust().entity_id()).or_else(awaited) {
            found.entry(entity_id.to_owned()).or_default().push(application.client_id.clone());
        }
    }
    found.values_mut().for_each(|client_ids| client_ids.sort_unstable());
    found
}

#[derive(Default)]
struct Parts {
    connections: BTreeMap<String, Arc<dyn Connection>>,
    applications: HashMap<String, Arc<Application>>,
    living: BTreeMap<String, Arc<LivingApplication>>,
    resource_servers: HashMap<String, Arc<ResourceServer>>,
    client_grants: HashMap<(String, String), ClientGrant>,
    scripts: BTreeMap<(Kind, String), Arc<Script>>,
    configuration: BTreeMap<String, Secret<String>>,
    settings: Settings,
    oidc_keys: Vec<Arc<AlgKeys>>,
    saml_keys: Vec<Arc<KeySet>>,
    approvals: Vec<Approval>,
}

impl Parts {
    fn add(&mut self, made: Made, now: Timestamp) {
        match made {
            Made::Connection(connection) => drop(self.connections.insert(connection.config().name.clone(), connection)),
            Made::Application(application) => {
                self.living.remove(&application.client_id);
                self.applications.insert(application.client_id.clone(), application);
            }
            Made::LivingApplication(living) => {
                let application = living.at(now);
                self.living.insert(application.client_id.clone(), living);
                self.applications.insert(application.client_id.clone(), application);
            }
            Made::ResourceServer(server) => drop(self.resource_servers.insert(server.identifier.clone(), server)),
            Made::ClientGrant(grant) => {
                drop(self.client_grants.insert((grant.client_id.clone(), grant.audience.clone()), grant));
            }
            Made::Script(script) => drop(self.scripts.insert((script.kind, script.id.clone()), script)),
            Made::RuleConfiguration { name, value } => drop(self.configuration.insert(name, value)),
            Made::Settings(settings) => self.settings = settings,
            Made::OidcKeys(keys) => self.oidc_keys.push(keys),
            Made::SamlKeys(keys) => self.saml_keys.push(keys),
            Made::MetadataApproval(approval) => self.approvals.push(approval),
            Made::Nothing => {}
        }
    }
}

/// Nothing is stored that could be read: for programs without a management API.
pub struct NoMaker;

impl Maker for NoMaker {
    fn make(&self, kind: &str, _id: &str, _body: &Map<String, Value>, _known: Known<'_>) -> Result<Checked, Vec<Fault>> {
        let message = format!("objects of the kind {kind} are not read by this program");
        Err(vec![Fault { pointer: String::new(), message, help: String::new() }])
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new(ErrorKind::InvalidRequest, format!("{}: {}", fault.pointer, fault.message))
    }
}
