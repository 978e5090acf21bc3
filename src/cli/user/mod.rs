//! `isthmus user`: what an operator does with users, on the command line.
//!
//! The use cases are those of [`crate::broker::admin`], run against the directory and the keys of the configuration; a
//! gateway need not run. [`show`] says how the results look.

mod show;

use super::at_rest::{AtRest, Common, ended, load};
use super::{block_on, complain, dialect, print, unusable};
use crate::broker::admin::{Admin, By, OtherMetadata, SealedValues, WhichFactors};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Keyring;
use crate::profile::dialect::Dialect;
use crate::user::metadata::Update;
use crate::user::patch::{Editor, UserPatch};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use show::Shown;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Action {
    /// Show a user: profile, metadata, identities.
    Show(Show),
    /// Find users by e-mail address.
    Find { email: String },
    /// Change metadata, groups, and where the connection allows it root attributes.
    Update(UpdateOptions),
    /// Keep a user from signing in.
    Block { user: String },
    /// Let a blocked user sign in again.
    Unblock { user: String },
    /// Remove a second factor, as `show` names it, or all; where the connection requires one, the next login sets up another.
    RemoveFactor {
        user: String,
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        factor: Option<String>,
        #[arg(long)]
        all: bool,
    },
    /// Delete a user with all identities; the next login makes a new one.
    Delete { user: String },
    /// Forget what the connections said of a user; metadata and links stay, and the next login makes the profile anew.
    ForgetProfile { user: String },
    /// Make two users one: the identities of OTHER move to PRIMARY, and OTHER ends.
    Link {
        primary: String,
        other: String,
        /// Join the metadata of OTHER into those of PRIMARY, whose own win. Without this they are only kept in the journal.
        #[arg(long)]
        merge_metadata: bool,
    },
    /// Make a linked identity a user of its own again.
    Unlink { user: String, connection: String, subject: String },
    /// Show what was linked to a user, when and by whom.
    Links { user: String },
    /// Take a link back as a whole.
    UndoLink { link_id: String },
    /// Show identities that could not be joined to anybody.
    Conflicts,
    /// Let an identity be used to sign in.
    AllowLogin { connection: String, subject: String },
    /// Let an identity only be linked.
    DenyLogin { connection: String, subject: String },
}

#[derive(Args)]
struct Show {
    user: String,
    /// Show sealed values too; this is noted in the audit log.
    #[arg(long)]
    open_sealed: bool,
    /// In the form of another product, as JSON: auth0, gigya or logto.
    #[arg(long, value_name = "DIALECT", value_parser = dialect)]
    dialect: Option<Dialect>,
}

#[derive(Args)]
struct UpdateOptions {
    user: String,
    #[command(flatten)]
    request: Request,
    /// Replace each of the named objects whole; without this, metadata are merged at the first level.
    #[arg(long)]
    replace: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Request {
    /// What to change, as a JSON object.
    #[arg(long, value_name = "JSON")]
    patch: Option<String>,
    /// The same from a file, or from standard input (-): for what must not stand in the list of processes.
    #[arg(long, value_name = "FILE")]
    patch_file: Option<PathBuf>,
}

pub fn run(options: &Options) -> ExitCode {
    let config = match load(&options.common.config) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let patch = match &options.action {
        Action::Update(update) => match update.request.read() {
            Ok(patch) => patch,
            Err(why) => return unusable(&why),
        },
        _ => Map::new(),
    };
    let result = block_on(perform(&options.action, &patch, config));
    ended(result, |shown| print(&if options.common.json { shown.json() } else { shown.human() }))
}

async fn perform(action: &Action, patch: &Map<String, Value>, config: Config) -> Result<Shown> {
    let keyring = Keyring::open(&config.keys_path)?;
    let at_rest = AtRest::open(config, keyring).await?;
    let gateway = at_rest.state.gateway();
    let shown = Operator { admin: &gateway.admin, by: at_rest.by(), now: at_rest.now }.perform(action, patch).await;
    at_rest.close().await?;
    shown
}

/// The use cases, and who asks for them when.
struct Operator<'a> {
    admin: &'a Admin,
    by: By<'a>,
    now: Timestamp,
}

impl Operator<'_> {
    async fn perform(&self, action: &Action, patch: &Map<String, Value>) -> Result<Shown> {
        let (admin, by, now) = (self.admin, self.by, self.now);
        match action {
            Action::Show(show) => {
                let sealed = if show.open_sealed { SealedValues::Opened { by, now } } else { SealedValues::Marked };
                let record = admin.user_record(&show.user, sealed).await?;
                Ok(show.dialect.map_or_else(|| show::user(&record), |dialect| show::in_dialect(&record, dialect, now)))
            }
            Action::Find { email } => self.find(email).await,
            Action::Update(options) => self.update(options, patch).await,
            Action::Block { user } => {
                admin.block(user, true, by, now).await?;
                self.done(user, "is blocked").await
            }
            Action::Unblock { user } => {
                admin.block(user, false, by, now).await?;
                self.done(user, "is not blocked any more").await
            }
            Action::RemoveFactor { user, factor, .. } => {
                let which = factor.as_deref().map_or(WhichFactors::All, WhichFactors::One);
                let removed = admin.remove_factors(user, which, by, now).await?;
                let names: Vec<&str> = removed.iter().map(|factor| factor.id.as_str()).collect();
                self.done(user, &format!("{} removed", names.join(", "))).await
            }
            Action::Delete { user } => {
                admin.delete_user(user, by, now).await?;
                Ok(Shown::new(format!("{user} is deleted"), json!({ "user_id": user, "deleted": true })))
            }
            Action::ForgetProfile { user } => {
                admin.forget_profile(user, by, now).await?;
                self.done(user, "has no profile until the next login").await
            }
            Action::AllowLogin { connection, subject } => self.allow_login(connection, subject, true).await,
            Action::DenyLogin { connection, subject } => self.allow_login(connection, subject, false).await,
            _ => self.perform_with_links(action).await,
        }
    }

    async fn perform_with_links(&self, action: &Action) -> Result<Shown> {
        let (admin, by, now) = (self.admin, self.by, self.now);
        match action {
            Action::Link { primary, other, merge_metadata } => {
                let theirs = if *merge_metadata { OtherMetadata::Join } else { OtherMetadata::Drop };
                Ok(show::linked(&admin.link(primary, other, theirs, by, now).await?))
            }
            Action::Unlink { user, connection, subject } => {
                let user = admin.unlink(user, connection, subject, by, now).await?;
                self.done(&user.user_id, "is a user of its own").await
            }
            Action::UndoLink { link_id } => {
                let user = admin.undo_link(link_id, by, now).await?;
                self.done(&user.user_id, "is a user of its own again").await
            }
            Action::Links { user } => Ok(show::links(&admin.links(user).await?)),
            Action::Conflicts => Ok(show::conflicts(&admin.conflicts(MOST).await?)),
            _ => Err(Error::new(ErrorKind::Internal, "a command without an action")),
        }
    }

    async fn find(&self, email: &str) -> Result<Shown> {
        let limit = usize::try_from(MOST).unwrap_or(usize::MAX);
        let found = self.admin.users_by_email(email, limit, SealedValues::Marked).await?;
        if found.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "There is no user with this e-mail address."));
        }
        Ok(show::users(&found))
    }

    async fn update(&self, options: &UpdateOptions, patch: &Map<String, Value>) -> Result<Shown> {
        let patch = UserPatch::parse(patch, Editor::Operator)?;
        for place in patch.secret_looking(self.admin.sealed_paths()) {
            complain(&format!("warning: {place} looks like a secret; list it in [metadata] sealed, or keep it elsewhere"));
        }
        let how = if options.replace { Update::Replace } else { Update::Merge };
        self.admin.update_user(&options.user, &patch, how, self.by, self.now).await?;
        self.done(&options.user, "is updated").await
    }

    async fn allow_login(&self, connection: &str, subject: &str, allows: bool) -> Result<Shown> {
        let user = self.admin.set_allows_login(connection, subject, allows, self.by, self.now).await?;
        let what = if allows { "may be used to sign in" } else { "is only linked" };
        self.done(&user.user_id, &format!("{connection} {subject} {what}")).await
    }

    /// One sentence for people; the user as it is now for programs.
    async fn done(&self, user_id: &str, sentence: &str) -> Result<Shown> {
        let record = self.admin.user_record(user_id, SealedValues::Marked).await?;
        Ok(Shown::new(format!("{user_id}: {sentence}"), show::user_json(&record)))
    }
}

impl Request {
    /// What is to change; else why it cannot be read.
    fn read(&self) -> Result<Map<String, Value>, String> {
        let text = match (&self.patch, &self.patch_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => bounded(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?,
            (None, None) => String::new(),
        };
        match serde_json::from_str(&text) {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) => Err("the update is not a JSON object; write it as in {\"user_metadata\": {\"theme\": \"dark\"}}".to_owned()),
            Err(error) => Err(format!("the update is no JSON: {error}")),
        }
    }
}

/// A file, or standard input, up to a bound that no good update reaches.
fn bounded(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let input: Box<dyn std::io::Read> =
        if path == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(std::fs::File::open(path)?) };
    input.take(MAX_REQUEST).read_to_string(&mut text)?;
    Ok(text)
}

/// Rows of a list.
const MOST: i64 = 1000;
/// Octets.
const MAX_REQUEST: u64 = 1024 * 1024;
