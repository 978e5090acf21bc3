//! Accounts that are kept in the directory, with their passwords sealed.

use super::hashing::{self, Looked, NotLooked};
use super::settings::Names;
use super::{Account, AccountError, Accounts, Answering, NewAccount, Whose};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::id;
use crate::keys::Keyring;
use crate::secret::Secret;
use crate::store::{
    CredentialKind, Directory, ImportNames, KnownIdentity, NewUser, OwnProfile, UserChange, open_credential, seal_credential,
};
use crate::user::{DATABASE, Identity, ROOT_ATTRIBUTES, StoredIdentity, User, folded};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The accounts of one connection.
pub struct OwnAccounts {
    connection: String,
    names: Names,
    /// New accounts may be used to sign in, not only be linked.
    allows_login: bool,
    directory: Arc<dyn Directory>,
    keyring: Arc<Keyring>,
}

impl OwnAccounts {
    pub fn new(connection: String, names: Names, allows_login: bool, directory: Arc<dyn Directory>, keyring: Arc<Keyring>) -> Self {
        Self { connection, names, allows_login, directory, keyring }
    }

    async fn log_in(&self, name: &str, password: &Secret<String>, now: Timestamp) -> Result<Account, AccountError> {
        let found = self.find(name).await?;
        let sealed = found.as_ref().and_then(|known| known.password.clone());
        let kept = match (&found, &sealed) {
            (Some(known), Some(sealed)) => {
                let kept = open_credential(self.keyring.sealer(), &self.connection, &known.subject, CredentialKind::Password, sealed);
                Some(kept.map_err(unusable)?)
            }
            _ => None,
        };
        let Looked { right, renewed } = hashing::compare(kept, password.clone()).await?;
        let Some(known) = found else { return Err(AccountError::NoSuchUser) };
        if !right {
            return Err(AccountError::WrongPassword);
        }
        if let (Some(renewed), Some(before)) = (renewed, sealed) {
            let sealed = self.sealed(&known.subject, &renewed)?;
            let kind = CredentialKind::Password;
            // Where somebody has changed the password meanwhile, theirs stays.
            let change = (Some(before.as_str()), Some(sealed.as_str()));
            self.directory.change_credential(&self.connection, &known.subject, kind, change, now).await.map_err(unusable)?;
        }
        Ok(account_of(known))
    }

    async fn find(&self, name: &str) -> Result<Option<KnownIdentity>, AccountError> {
        find(self.directory.as_ref(), &self.connection, self.names, name).await.map_err(unusable)
    }

    async fn make(&self, new: &NewAccount, now: Timestamp) -> Result<Account, AccountError> {
        let identity =
            Identity { connection: self.connection.clone(), provider: DATABASE.to_owned(), user_id: id::random_id(), is_social: false };
        let subject = identity.user_id.clone();
        // First: a password that is not looked at makes no account.
        let kept = hashing::kept(new.password.clone()).await?;
        let mut profile =
            Map::from_iter([("email".to_owned(), Value::from(new.email.as_str())), ("email_verified".to_owned(), false.into())]);
        if let Some(username) = &new.username {
            profile.insert("username".to_owned(), username.as_str().into());
        }
        let user = NewUser {
            allows_login: self.allows_login,
            root: new.profile.clone(),
            user_metadata: new.user_metadata.clone(),
            own: Some(OwnProfile::of(profile.clone())),
            ..NewUser::bare(identity.clone())
        };
        if !self.directory.create_user(&user, now).await.map_err(unusable)? {
            return Err(AccountError::Exists);
        }
        let sealed = self.sealed(&subject, &kept)?;
        if !self.directory.put_credential(&self.connection, &subject, CredentialKind::Password, &sealed, now).await.map_err(unusable)? {
            return Err(AccountError::NoSuchUser);
        }
        profile.extend(new.profile.clone());
        Ok(Account { subject, profile, app_metadata: Map::new() })
    }

    async fn prove_address(&self, whose: &Whose, now: Timestamp) -> Result<(), AccountError> {
        for _ in 0..ATTEMPTS {
            let user = self.owner(whose).await?;
            let stored = user.identity(&self.connection, &whose.subject).ok_or(AccountError::NoSuchUser)?;
            let email = stored.profile.get("email").and_then(Value::as_str).map(folded);
            if email.is_none() || email != whose.email.as_deref().map(folded) {
                return Err(AccountError::NoSuchUser);
            }
            if stored.profile.get("email_verified") == Some(&Value::Bool(true)) {
                return Ok(());
            }
            let change = UserChange { own: Some(self.proven(stored)), ..UserChange::default() };
            match self.directory.update_user(&user.user_id, user.updated_at, &change, now).await {
                Ok(Some(())) => return Ok(()),
                Ok(None) => return Err(AccountError::NoSuchUser),
                // Somebody else was faster: look again.
                Err(error) if error.kind == ErrorKind::Conflict => {}
                Err(error) => return Err(unusable(error)),
            }
        }
        Err(AccountError::Unavailable("the user is being changed by others".to_owned()))
    }

    fn proven(&self, stored: &StoredIdentity) -> (String, String, OwnProfile) {
        let mut profile = stored.profile.clone();
        profile.insert("email_verified".to_owned(), true.into());
        (self.connection.clone(), stored.identity.user_id.clone(), OwnProfile::of(profile))
    }

    async fn remove(&self, whose: &Whose) -> Result<(), AccountError> {
        let user = self.owner(whose).await?;
        if self.directory.delete_user(&user.user_id).await.map_err(unusable)? { Ok(()) } else { Err(AccountError::NoSuchUser) }
    }

    async fn put_password(&self, whose: &Whose, password: &Secret<String>, now: Timestamp) -> Result<(), AccountError> {
        let kept = hashing::kept(password.clone()).await?;
        let sealed = self.sealed(&whose.subject, &kept)?;
        let put = self.directory.put_credential(&self.connection, &whose.subject, CredentialKind::Password, &sealed, now);
        if put.await.map_err(unusable)? { Ok(()) } else { Err(AccountError::NoSuchUser) }
    }

    async fn owner(&self, whose: &Whose) -> Result<User, AccountError> {
        self.directory.user_of(&self.connection, &whose.subject).await.map_err(unusable)?.ok_or(AccountError::NoSuchUser)
    }

    fn sealed(&self, subject: &str, kept: &Secret<String>) -> Result<String, AccountError> {
        seal_credential(self.keyring.sealer(), &self.connection, subject, CredentialKind::Password, kept).map_err(unusable)
    }
}

/// Who of a connection has this address or username, as far as the directory knows; nobody, where several have it.
///
/// # Errors
/// Those of the directory.
pub async fn find(directory: &dyn Directory, connection: &str, names: Names, name: &str) -> Result<Option<KnownIdentity>, Error> {
    let name = folded(name.trim());
    let list = |wanted: bool| if wanted { vec![name.clone()] } else { Vec::new() };
    let (emails, usernames) = (list(names.email && name.contains('@')), list(names.username));
    let asked = ImportNames { connection, subjects: &[], emails: &emails, usernames: &usernames, user_ids: &[] };
    let mut found = directory.import_known(&asked).await?.identities;
    // Whose address it is comes before whose username it is.
    if found.iter().any(|known| known.email.as_deref() == Some(&name)) && !emails.is_empty() {
        found.retain(|known| known.email.as_deref() == Some(&name));
    }
    if found.len() > 1 {
        tracing::warn!(connection, "several people have one address, and nobody signs in by it");
        return Ok(None);
    }
    Ok(found.pop())
}

impl Accounts for OwnAccounts {
    fn login<'a>(&'a self, name: &'a str, password: &'a Secret<String>, now: Timestamp) -> Answering<'a, Account> {
        Box::pin(self.log_in(name, password, now))
    }

    fn create<'a>(&'a self, new: &'a NewAccount, now: Timestamp) -> Answering<'a, Account> {
        Box::pin(self.make(new, now))
    }

    fn verify<'a>(&'a self, whose: &'a Whose, now: Timestamp) -> Answering<'a, ()> {
        Box::pin(self.prove_address(whose, now))
    }

    fn delete<'a>(&'a self, whose: &'a Whose, _now: Timestamp) -> Answering<'a, ()> {
        Box::pin(self.remove(whose))
    }

    fn change_password<'a>(&'a self, whose: &'a Whose, password: &'a Secret<String>, now: Timestamp) -> Answering<'a, ()> {
        Box::pin(self.put_password(whose, password, now))
    }
}

fn account_of(known: KnownIdentity) -> Account {
    let mut profile = known.profile;
    profile.retain(|name, _| !ROOT_ATTRIBUTES.contains(&name.as_str()));
    profile.extend(known.root);
    Account { subject: known.subject, profile, app_metadata: Map::new() }
}

fn unusable(error: Error) -> AccountError {
    let source = error.source.as_ref().map(|source| format!(": {source}")).unwrap_or_default();
    AccountError::Unavailable(format!("{}{source}", error.detail))
}

impl From<NotLooked> for AccountError {
    fn from(why: NotLooked) -> Self {
        match why {
            NotLooked::Busy => Self::Busy,
            NotLooked::Unusable(why) => Self::Unavailable(why.to_owned()),
        }
    }
}

/// How often a change begins anew when others change the same user.
const ATTEMPTS: usize = 5;
