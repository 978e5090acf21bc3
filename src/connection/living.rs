//! A connection whose identity provider, or thousands of them, are known from metadata that live.
//!
//! For each identity provider it makes a [`SamlConnection`] out of its own settings and what the metadata say, keeps it as
//! long as the metadata do not change, and leaves the work to it. Every step of a login takes one of them as a whole: what is
//! trusted is the old or the new, never half of each. Which one it is in a federation stands in the login
//! ([`PendingAuthn::idp`]), so that an answer is judged by the keys of exactly the entity that was asked.

use super::config::{ConnectionConfig, ConnectionKind, SamlConnection as Settings};
use super::metadata::{Feeds, Members, Owner, Snapshot, Tended};
use super::{
    Authentication, BrowserStep, Callback, Connection, IdpChoice, Preparing, Refused, Resolution, SamlConnection, Speaks, UpstreamRequest,
};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Keyring;
use crate::login::PendingAuthn;
use crate::login::trace::Trace;
use crate::saml::IdpTrust;
use crate::saml::aggregate::{Entity, Logo};
use crate::user::Identity;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use url::Url;

/// See the module.
pub struct LivingConnection {
    issuer: String,
    keyring: Arc<Keyring>,
    /// Everything but the identity provider.
    settings: SamlConnection,
    living: Arc<Tended>,
    partners: Mutex<HashMap<String, Arc<Partner>>>,
}

/// One identity provider, prepared.
struct Partner {
    entity_id: String,
    connection: Arc<SamlConnection>,
    /// What it was made from.
    of: Weak<Snapshot>,
    valid_until: Option<Timestamp>,
}

impl LivingConnection {
    /// `issuer`: our public address, without a trailing slash.
    pub fn new(config: ConnectionConfig, issuer: &str, keyring: Arc<Keyring>, living: Arc<Tended>) -> Result<Self> {
        let settings = SamlConnection::new(config, issuer, Arc::clone(&keyring))?;
        Ok(Self { issuer: issuer.to_owned(), keyring, settings, living, partners: Mutex::default() })
    }

    /// The identity provider of a login, as the metadata describe it at `now`.
    fn partner(&self, idp: Option<&str>, now: Timestamp) -> Result<Arc<Partner>> {
        let wanted = if self.has_many() { Some(idp.ok_or_else(nobody_named)?) } else { self.living.expects() };
        let snapshot = self.living.snapshot(wanted, now).ok_or_else(|| if self.has_many() { unknown() } else { unavailable() })?;
        let entity_id = match wanted {
            Some(entity_id) => entity_id.to_owned(),
            None => self.living.sole(&snapshot, now).ok_or_else(|| unavailable().because(SEVERAL))?,
        };
        let is_good = |known: &&Arc<Partner>| {
            std::ptr::eq(known.of.as_ptr(), Arc::as_ptr(&snapshot)) && known.valid_until.is_none_or(|until| until > now)
        };
        if let Some(known) = self.partners().get(&entity_id).filter(is_good) {
            return Ok(Arc::clone(known));
        }
        // Nobody else waits while it is read.
        let made = Arc::new(self.make(&entity_id, &snapshot, now)?);
        let mut partners = self.partners();
        if partners.len() >= PARTNERS || !self.has_many() {
            partners.clear();
        }
        partners.insert(entity_id, Arc::clone(&made));
        Ok(made)
    }

    /// Of many, the one that vouched is part of whom the subject names.
    fn of_partner(&self, partner: &Partner, mut authentication: Authentication) -> Authentication {
        if self.has_many() {
            authentication.identity.user_id = subject_at(&partner.entity_id, &authentication.identity.user_id);
            authentication.upstream.idp = Some(partner.entity_id.clone());
        }
        authentication
    }

    fn described(&self, entity_id: &str, language: &str, wanted: fn(&Entity) -> bool, now: Timestamp) -> Option<IdpChoice> {
        let snapshot = self.living.snapshot(Some(entity_id), now).filter(|_| self.has_many())?;
        let entity = snapshot.entity(entity_id).filter(|entity| entity.is_idp && entity.is_valid_at(now))?;
        wanted(entity).then(|| choice(entity, language))
    }

    fn partners(&self) -> MutexGuard<'_, HashMap<String, Arc<Partner>>> {
        self.partners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, entity_id: &str, snapshot: &Arc<Snapshot>, now: Timestamp) -> Result<Partner> {
        if snapshot.entity(entity_id).is_none_or(|entity| !entity.is_idp) {
            return Err(unknown());
        }
        let idp = snapshot.idp(entity_id, now).map_err(|error| unavailable().because(error))?;
        let config = with_idp(self.settings.config(), idp.trust());
        let connection = Arc::new(SamlConnection::new(config, &self.issuer, Arc::clone(&self.keyring))?);
        let valid_until = idp.valid_until;
        Ok(Partner { entity_id: entity_id.to_owned(), connection, of: Arc::downgrade(snapshot), valid_until })
    }
}

impl Connection for LivingConnection {
    fn begin(
        &self,
        transaction_id: &str,
        asked: &UpstreamRequest,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(BrowserStep, PendingAuthn)> {
        let partner = self.partner(asked.idp.as_deref(), now)?;
        let (step, pending) = partner.connection.begin(transaction_id, asked, now, trace)?;
        Ok((step, PendingAuthn { idp: self.has_many().then(|| partner.entity_id.clone()), ..pending }))
    }

    fn resolve(&self, artifact: &str, pending: &PendingAuthn, now: Timestamp, trace: &mut Trace) -> Result<Resolution, Refused> {
        self.partner(pending.idp.as_deref(), now).map_err(gone)?.connection.resolve(artifact, pending, now, trace)
    }

    fn complete(
        &self,
        callback: Callback<'_>,
        pending: &PendingAuthn,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Authentication, Refused> {
        let partner = self.partner(pending.idp.as_deref(), now).map_err(gone)?;
        let authentication = partner.connection.complete(callback, pending, now, trace)?;
        Ok(self.of_partner(&partner, authentication))
    }

    fn unsolicited(
        &self,
        callback: Callback<'_>,
        asked: &UpstreamRequest,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Authentication, Refused> {
        // Of many identity providers nobody has been asked, so there is none by whose keys to judge.
        let partner = self.partner(asked.idp.as_deref(), now).map_err(gone)?;
        let authentication = partner.connection.unsolicited(callback, asked, now, trace)?;
        Ok(self.of_partner(&partner, authentication))
    }

    fn metadata(&self, now: Timestamp) -> Result<(&'static str, String)> {
        // What one identity provider wants of requests may stand in ours; what thousands want differs.
        match self.has_many() {
            false => self.partner(None, now).map_or_else(|_| self.settings.metadata(now), |partner| partner.connection.metadata(now)),
            true => self.settings.metadata(now),
        }
    }

    fn config(&self) -> &ConnectionConfig {
        self.settings.config()
    }

    fn saml(&self, idp: Option<&str>, now: Timestamp) -> Option<Speaks<'_>> {
        self.partner(idp, now).ok().map(|partner| Speaks::Made(Arc::clone(&partner.connection)))
    }

    fn idp_entity_id(&self) -> Option<String> {
        if self.has_many() {
            return None;
        }
        // The one that was asked last; before that, the one that the settings name.
        self.partners().keys().next().cloned().or_else(|| self.living.expects().map(str::to_owned))
    }

    fn sp_entity_id(&self) -> Option<String> {
        self.settings.sp_entity_id()
    }

    fn has_many(&self) -> bool {
        !matches!(self.living.members, Members::One)
    }

    fn discovery_service(&self) -> Option<&Url> {
        self.config().saml()?.living.as_ref()?.discovery.as_ref()
    }

    fn idp_in(&self, entity_id: &str, language: &str, now: Timestamp) -> Option<IdpChoice> {
        self.described(entity_id, language, |entity| !entity.hidden, now)
    }

    fn prepare<'a>(&'a self, idp: Option<&'a str>, now: Timestamp) -> Preparing<'a> {
        Box::pin(async move {
            match idp {
                Some(entity_id) if self.has_many() && self.living.snapshot(idp, now).is_none() => {
                    self.living.ask_for(entity_id, now).await;
                }
                _ => {}
            }
        })
    }

    fn search_idps(&self, text: &str, language: &str, limit: usize, now: Timestamp) -> Vec<IdpChoice> {
        let Some(snapshot) = self.living.snapshot(None, now).filter(|_| self.has_many()) else { return Vec::new() };
        snapshot.search(text, language, limit, now).into_iter().map(|found| choice(found.entity, language)).collect()
    }

    fn idp(&self, entity_id: &str, now: Timestamp) -> Option<IdpChoice> {
        self.described(entity_id, "en", |_| true, now)
    }

    fn idp_of(&self, identity: &Identity) -> Option<String> {
        self.has_many().then(|| entity_of(&identity.user_id)).flatten()
    }
}

/// The settings of a living connection with the identity provider that the last good copy on disk describes: for
/// explanations, where no gateway need run. `idp` says which, where there are many.
///
/// # Errors
/// When there is no copy, or no such identity provider in it.
pub async fn as_kept_on_disk(config: &ConnectionConfig, idp: Option<&str>, now: Timestamp) -> Result<ConnectionConfig> {
    let Some(living) = config.saml().and_then(|settings| settings.living.as_ref()) else { return Ok(config.clone()) };
    let tended = Feeds::default().open(Owner::connection(&config.name), living)?;
    tended.restore(&[], now).await;
    let snapshot = tended.snapshot(None, now).ok_or_else(unavailable)?;
    let entity_id = if living.members == Members::One { tended.sole(&snapshot, now) } else { idp.map(str::to_owned) };
    let entity_id = entity_id.ok_or_else(nobody_named)?;
    let idp = snapshot.idp(&entity_id, now).map_err(|error| unknown().because(error))?;
    Ok(with_idp(config, idp.trust()))
}

/// As if the settings named that one identity provider.
fn with_idp(config: &ConnectionConfig, idp: IdpTrust) -> ConnectionConfig {
    let Some(settings) = config.saml() else { return config.clone() };
    let written = &settings.idp.artifact_services;
    let artifact_services = if written.is_empty() { idp.artifact_services } else { written.clone() };
    let mut settings = Settings { idp: IdpTrust { artifact_services, ..idp }, living: None, ..Settings::clone(settings) };
    let offers = |binding| settings.idp.sso_endpoints.iter().any(|endpoint| endpoint.binding == binding);
    if !offers(settings.request_binding)
        && let Some(other) = settings.idp.sso_endpoints.first().map(|endpoint| endpoint.binding)
    {
        settings.request_binding = other;
    }
    ConnectionConfig { kind: ConnectionKind::Saml(Arc::new(settings)), ..config.clone() }
}

/// Whom a subject names in a federation. Subjects are the identity providers' own, so the entityID is part of it; where the
/// entityID has a `%` or a `!` itself, they are written as `%25` and `%21`, so that the first `!` always ends it.
fn subject_at(entity_id: &str, subject: &str) -> String {
    format!("{}!{subject}", entity_id.replace('%', "%25").replace('!', "%21"))
}

/// The way back.
fn entity_of(user_id: &str) -> Option<String> {
    let (entity_id, _) = user_id.split_once('!')?;
    Some(entity_id.replace("%21", "!").replace("%25", "%"))
}

fn choice(entity: &Entity, language: &str) -> IdpChoice {
    let domains = entity.scopes.iter().filter(|scope| !scope.regexp).map(|scope| scope.value.to_ascii_lowercase());
    IdpChoice {
        entity_id: entity.entity_id.to_string(),
        name: entity.name(language).to_owned(),
        logo: logo(&entity.logos, language).map(|logo| logo.url.to_string()),
        domains: domains.collect(),
    }
}

/// The logo nearest to the height of a line of the chooser, in the language or in none.
fn logo<'a>(logos: &'a [Logo], language: &str) -> Option<&'a Logo> {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    let fits = |logo: &Logo| logo.language.is_empty() || logo.language.split(['-', '_']).next() == Some(primary);
    logos.iter().min_by_key(|logo| (!fits(logo), logo.height.abs_diff(LINE)))
}

fn gone(error: Error) -> Refused {
    Refused { error, reason: "metadata-missing".to_owned(), alarm: false, status: None }
}

fn nobody_named() -> Error {
    Error::new(ErrorKind::UnknownConnection, "This way to sign in has many identity providers, and none of them was chosen.")
}

fn unknown() -> Error {
    Error::new(ErrorKind::UnknownConnection, "The chosen identity provider is not known here.")
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Misconfigured, "The metadata of the identity provider are not available at present.")
}

/// Identity providers that are kept prepared.
const PARTNERS: usize = 2000;
const SEVERAL: &str = "the metadata describe none or several identity providers; `entity_id` says which is meant";
/// Pixels.
const LINE: u32 = 48;

#[cfg(test)]
#[path = "living_tests.rs"]
mod tests;
