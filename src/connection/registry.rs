//! Making connections out of settings; all of them by name and by e-mail domain.

use super::config::{ConnectionConfig, ConnectionKind};
use super::metadata::{Living, Tended};
use super::{Connection, DatabaseConnection, LdapConnection, LivingConnection, OAuth2Connection, OidcConnection, SamlConnection};
use crate::error::Result;
use crate::keys::Keyring;
use crate::store::Directory;
use std::collections::HashMap;
use std::sync::Arc;

/// A SAML connection by its settings: with the one identity provider that they name, or with those of living metadata.
///
/// # Errors
/// When the settings cannot be used.
pub fn connection(
    config: ConnectionConfig,
    issuer: &str,
    keyring: Arc<Keyring>,
    directory: &Arc<dyn Directory>,
    open: impl FnOnce(&str, &Living) -> Result<Arc<Tended>>,
) -> Result<Arc<dyn Connection>> {
    let settings = match &config.kind {
        ConnectionKind::Saml(settings) => settings,
        ConnectionKind::Oidc(_) => return Ok(Arc::new(OidcConnection::new(config, issuer, keyring)?)),
        ConnectionKind::Ldap(_) => return Ok(Arc::new(LdapConnection::new(config, issuer)?)),
        ConnectionKind::Database(_) => return Ok(Arc::new(DatabaseConnection::new(config, issuer, Arc::clone(directory), keyring)?)),
        ConnectionKind::OAuth2(_) => return Ok(Arc::new(OAuth2Connection::new(config, issuer)?)),
    };
    match &settings.living {
        None => Ok(Arc::new(SamlConnection::new(config, issuer, keyring)?)),
        Some(living) => {
            let living = open(&config.name, living)?;
            Ok(Arc::new(LivingConnection::new(config, issuer, keyring, living)?))
        }
    }
}

/// Looks connections up; a hundred thousand of them cost an index, not a scan.
#[derive(Clone, Default)]
pub struct Registry {
    by_name: HashMap<String, Arc<dyn Connection>>,
    by_domain: HashMap<String, Arc<dyn Connection>>,
}

impl Registry {
    pub fn new(connections: Vec<Arc<dyn Connection>>) -> Self {
        let mut registry = Self::default();
        for connection in connections {
            for domain in &connection.config().domains {
                registry.by_domain.insert(domain.to_ascii_lowercase(), Arc::clone(&connection));
            }
            registry.by_name.insert(connection.config().name.clone(), connection);
        }
        registry
    }

    /// The connection of this name, if it is enabled. Every entry comes through here, so a disabled
    /// connection is refused everywhere.
    pub fn enabled(&self, name: &str) -> Option<&Arc<dyn Connection>> {
        self.by_name.get(name).filter(|connection| connection.config().enabled)
    }

    /// The settings of a connection, whether or not it is enabled: for what was said by it before, not for logins.
    pub fn config(&self, name: &str) -> Option<&ConnectionConfig> {
        self.by_name.get(name).map(|connection| connection.config())
    }

    /// All connections, disabled ones too: for what is said of them, not for logins.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Connection>> {
        self.by_name.values()
    }

    /// The settings of all connections, disabled ones too.
    pub fn configs(&self) -> impl Iterator<Item = &ConnectionConfig> {
        self.by_name.values().map(|connection| connection.config())
    }

    /// The names of all connections, disabled ones too.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The enabled connection that is responsible for the domain of an e-mail address.
    pub fn for_email(&self, email: &str) -> Option<&Arc<dyn Connection>> {
        let (_, domain) = email.rsplit_once('@')?;
        self.by_domain.get(&domain.to_ascii_lowercase()).filter(|connection| connection.config().enabled)
    }

    /// Enabled connections in the order of their display names.
    pub fn all_enabled(&self) -> Vec<&Arc<dyn Connection>> {
        let mut all: Vec<_> = self.by_name.values().filter(|connection| connection.config().enabled).collect();
        all.sort_by(|a, b| a.config().display_name.cmp(&b.config().display_name));
        all
    }
}
