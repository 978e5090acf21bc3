//! From what was said of a person to what the gateway would keep and an application would get, by the functions of a login,
//! for somebody whom no directory knows yet.

use crate::application::{Application, SamlApplication};
use crate::clock::Timestamp;
use crate::connection::config::ConnectionConfig;
use crate::login::remove_paths;
use crate::oidc::{self, Scopes, claims};
use crate::profile::dialect::{Dialect, DialectOptions, render};
use crate::profile::mapping::MappingError;
use crate::profile::normalize::check_limits;
use crate::profile::provenance::{self, Source};
use crate::profile::{FilledIn, Profile, RawAttributes, RowNote, transient};
use crate::user::effective::Groups;
use crate::user::effective::effective_and_noted;
use crate::user::{Identity, PersonView, ProfileSync, Sources, StoredIdentity, User};
use serde::Serialize;
use serde_json::{Map, Value};

/// What a mapping table did.
#[derive(Debug, Serialize)]
pub struct Mapping {
    pub table: String,
    /// Up to the row that refused, where one did.
    pub rows: Vec<RowNote>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<MappingError>,
}

/// The profile of this login.
#[derive(Debug, Serialize)]
pub struct Person {
    pub profile: Map<String, Value>,
    pub provenance: Vec<Origin>,
    /// What the gateway filled in.
    pub filled_in: Vec<FilledIn>,
    /// What the profile cannot hold in the form in which it came.
    pub dropped: Vec<Dropped>,
    /// Paths in the profile that serve this login and are not stored.
    pub not_kept: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<InDialect>,
    #[serde(skip)]
    user: User,
}

/// Where a member of the profile came from.
#[derive(Debug, Serialize)]
pub struct Origin {
    pub field: String,
    pub source: Source,
    pub connection: String,
    pub at: String,
    /// The identity provider stands for exactly this value, in a message that was verified.
    pub verified: bool,
}

#[derive(Debug, Serialize)]
pub struct Dropped {
    pub field: &'static str,
    pub why: &'static str,
}

/// A person as another product would show one.
#[derive(Debug, Serialize)]
pub struct InDialect {
    pub name: Dialect,
    pub profile: Map<String, Value>,
}

/// What an application gets, by the protocols that it speaks.
#[derive(Debug, Serialize)]
pub struct Released {
    pub application: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
}

impl Released {
    /// Why a table refused.
    pub fn error(&self) -> Option<&MappingError> {
        let claims = self.claims.as_ref().and_then(|claims| claims.error.as_ref());
        claims.or_else(|| self.assertion.as_ref()?.error.as_ref())
    }
}

/// What an OpenID Connect client gets.
#[derive(Debug, Serialize)]
pub struct Claims {
    pub table: String,
    pub scopes: String,
    /// Asked for, and not given to this application.
    pub scopes_refused: Vec<String>,
    pub rows: Vec<RowNote>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<MappingError>,
    pub sub: String,
    /// Of the ID token and of `/userinfo`, beside those of the protocol.
    pub claims: Map<String, Value>,
    /// Released by the table and withheld all the same.
    pub withheld: Vec<Withheld>,
    /// The answer of `/userinfo` for an application with `legacy_profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<InDialect>,
}

/// What a SAML application gets. The NameID itself and identifiers of ours are made with a key, and not here.
#[derive(Debug, Serialize)]
pub struct Assertion {
    pub table: String,
    pub rows: Vec<RowNote>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<MappingError>,
    /// Where the request names no other.
    pub name_id_format: &'static str,
    pub attributes: Vec<Attribute>,
    /// Given by the table and withheld all the same.
    pub withheld: Vec<NotReleased>,
}

#[derive(Debug, Serialize)]
pub struct Attribute {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_format: Option<String>,
    pub value: Value,
}

#[derive(Debug, Serialize)]
pub struct NotReleased {
    pub name: String,
    pub why: &'static str,
}

#[derive(Debug, Serialize)]
pub struct Withheld {
    pub name: String,
    /// The scope that is missing. Absent: the name is the protocol's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// The terms of one explanation.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    pub config: &'a ConnectionConfig,
    pub identity: &'a Identity,
    pub at: Timestamp,
    pub verified: bool,
    pub dialect: Option<Dialect>,
}

impl Terms<'_> {
    /// Maps and normalizes. Without a person the mapping, or a limit of the profile, refused.
    pub fn map(&self, raw: &RawAttributes) -> (Mapping, Option<Person>) {
        let mut rows = Vec::new();
        let table = self.config.mapping.name().to_owned();
        let person = self.config.mapping.to_profile(raw, &mut rows).and_then(|mapped| self.person(mapped, raw, &rows));
        match person {
            Ok(person) => (Mapping { table, rows, error: None }, Some(person)),
            Err(error) => (Mapping { table, rows, error: Some(error) }, None),
        }
    }

    fn person(&self, mapped: Profile, raw: &RawAttributes, rows: &[RowNote]) -> Result<Person, MappingError> {
        // As a login does before it records anything.
        check_limits(&mapped)?;
        let mapped = mapped.into_map();
        let transient = transient::paths(&self.config.profile.non_persistent, &self.config.mapping, raw, rows);
        let mut lasting = mapped.clone();
        remove_paths(&mut lasting, &transient);
        let user = self.new_user(lasting);
        let none = Map::new();
        let root = user.primary().map_or_else(Map::new, |primary| primary.root.clone());
        let sources = Sources {
            user_id: &user.user_id,
            profile: &mapped,
            root: &root,
            sync: self.sync(),
            subject: &self.identity.user_id,
            groups: Groups::default(),
            user_metadata: &none,
            app_metadata: &none,
            custom_fields: &none,
        };
        let (profile, done) = effective_and_noted(&sources)?;
        let provenance = provenance::of(&profile, rows, &done.filled_in, &self.config.name, self.at);
        let dialect = self.dialect.map(|dialect| self.in_dialect(dialect, &user, &profile));
        Ok(Person {
            provenance: provenance.into_iter().map(|origin| self.origin(origin)).collect(),
            not_kept: transient.into_iter().filter(|path| profile.get(path).is_some()).collect(),
            dropped: done.dropped.iter().map(|(field, why)| Dropped { field, why }).collect(),
            filled_in: done.filled_in,
            profile: profile.into_map(),
            dialect,
            user,
        })
    }

    /// Maps the profile to what an application gets. `asked`: the scopes of the request; `None`: all that it may have.
    pub fn release(&self, person: &Person, application: &Application, asked: Option<&Scopes>) -> Released {
        Released {
            application: application.client_id.clone(),
            claims: application.oidc.as_ref().map(|_| self.claims(person, application, asked)),
            assertion: application.saml.as_ref().map(|saml| assertion(person, saml)),
        }
    }

    fn claims(&self, person: &Person, application: &Application, asked: Option<&Scopes>) -> Claims {
        let profile = Profile::from_map(person.profile.clone());
        let mut rows = Vec::new();
        let (released, error) = match application.mapping.from_profile(&profile, &mut rows) {
            Ok(released) => (released, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let released = released.into_iter().filter(|row| row.categories.is_empty());
        let released: Vec<_> = released.map(|row| oidc::Released { name: row.name, value: row.value, scope: row.scope }).collect();
        let all = || all_scopes(application);
        let asked = asked.cloned().unwrap_or_else(all);
        let scopes = application.oidc.as_ref().map_or_else(|| asked.clone(), |client| asked.allowed_for(client));
        let claims = claims::filter_by_scope(&released, &scopes);
        let legacy = application.profile.legacy_profile && error.is_none();
        let dialect = legacy.then(|| {
            let shown = self.in_dialect(self.dialect.unwrap_or(application.profile.dialect), &person.user, &profile);
            let mut answer = Map::from_iter([("sub".to_owned(), Value::from(person.user.user_id.as_str()))]);
            answer.extend(shown.profile.into_iter().filter(|(name, _)| name != "sub"));
            InDialect { name: shown.name, profile: answer }
        });
        Claims {
            table: application.mapping.name().to_owned(),
            scopes_refused: asked.iter().filter(|scope| !scopes.contains(scope)).map(str::to_owned).collect(),
            withheld: withheld(&released, &claims),
            scopes: scopes.to_string(),
            sub: person.user.user_id.clone(),
            rows,
            error,
            claims,
            dialect,
        }
    }

    const fn sync(&self) -> ProfileSync {
        self.config.profile.sync
    }

    /// The user that a first login makes, as the directory would have it afterwards.
    fn new_user(&self, lasting: Map<String, Value>) -> User {
        let stored = StoredIdentity {
            identity: self.identity.clone(),
            root: self.sync().of_first_login(&lasting),
            profile: lasting,
            allows_login: !self.config.profile.link_only,
            created_at: self.at,
            last_login: Some(self.at),
            logins_count: 1,
        };
        User {
            user_id: self.identity.user_id_for_new_user(),
            blocked: false,
            created_at: self.at,
            updated_at: self.at,
            identities: vec![stored],
            groups: Vec::new(),
            user_metadata: Map::new(),
            app_metadata: Map::new(),
            custom_fields: Map::new(),
        }
    }

    /// Without the signature that Gigya's dialect may have: no secret is used for an explanation.
    fn in_dialect(&self, dialect: Dialect, user: &User, profile: &Profile) -> InDialect {
        let view = PersonView::new(user, profile.clone(), Some(self.identity));
        InDialect { name: dialect, profile: render(dialect, &view.person(), &DialectOptions::new(self.at)) }
    }

    fn origin(&self, origin: provenance::Provenance) -> Origin {
        let provenance::Provenance { field, source, connection, at, verified } = origin;
        Origin { field, source, connection, at: at.to_string(), verified: verified && self.verified }
    }
}

/// As for a request that names no set of attributes.
fn assertion(person: &Person, saml: &SamlApplication) -> Assertion {
    let mut rows = Vec::new();
    let (given, error) = match saml.mapping.from_profile(&Profile::from_map(person.profile.clone()), &mut rows) {
        Ok(given) => (given, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let chosen = saml.release.choose(given, saml.sp.trust(), None);
    let attributes = chosen.released.into_iter().map(|released| Attribute {
        name: released.name,
        friendly_name: released.friendly_name,
        name_format: released.name_format,
        value: released.value,
    });
    Assertion {
        table: saml.mapping.name().to_owned(),
        rows,
        error,
        name_id_format: saml.sp.response().name_id_format.urn(),
        attributes: attributes.collect(),
        withheld: chosen.withheld.into_iter().map(|(name, why)| NotReleased { name, why }).collect(),
    }
}

fn all_scopes(application: &Application) -> Scopes {
    let standard = || oidc::scope::STANDARD_SCOPES.iter().copied().collect();
    application
        .oidc
        .as_ref()
        .and_then(|client| client.scopes.as_ref())
        .map_or_else(standard, |scopes| scopes.iter().map(String::as_str).collect())
}

/// What was released, and is not among the claims.
fn withheld(released: &[oidc::Released], given: &Map<String, Value>) -> Vec<Withheld> {
    let scope = |claim: &oidc::Released| match &claim.scope {
        _ if claims::is_reserved(&claim.name) => None,
        Some(scope) => Some(scope.clone()),
        None => claims::scope_of(&claim.name).map(str::to_owned),
    };
    let missing = released.iter().filter(|claim| !given.contains_key(&claim.name));
    missing.map(|claim| Withheld { name: claim.name.clone(), scope: scope(claim) }).collect()
}
