//! Rotation by command: what it writes is in the directory, where every running node finds it within two seconds.

use super::Line;
use crate::broker::admin::By;
use crate::broker::admin::objects::NotWritten;
use crate::broker::admin::signing::{self, GRACE_DAYS, Rotation, SigningKey, SigningKeys, When};
use crate::broker::live::Live;
use crate::cli::at_rest::{AtRest, ended, load};
use crate::cli::{block_on, complain, print};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::{CertifiedKey, Keyring, Purpose, parse_certificate};
use crate::secret::Secret;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct ListOptions {
    /// Only what this directory of keys has, without asking any store.
    #[arg(long, value_name = "DIRECTORY")]
    pub path: Option<PathBuf>,
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG")]
    config: PathBuf,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct RotateOptions {
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG")]
    config: PathBuf,
    /// What the key is for, as `keys list` names it.
    #[arg(long, value_parser = purpose)]
    purpose: Purpose,
    /// Use the next key now, though partners may not know it: after a leak.
    #[arg(long, conflicts_with_all = ["activate_at", "publish_only"])]
    at_once: bool,
    /// Use the next key from then on (2026-11-21T02:42:00Z); a time that was given before is changed.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "publish_only")]
    activate_at: Option<Timestamp>,
    /// Publish the next key, and use it only after another command.
    #[arg(long)]
    publish_only: bool,
    /// How long the SAML key before it stays good afterwards.
    #[arg(long, value_name = "DAYS", default_value_t = GRACE_DAYS, value_parser = clap::value_parser!(i64).range(0..=3650))]
    grace_days: i64,
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ImportOptions {
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG")]
    config: PathBuf,
    #[arg(long, value_parser = purpose)]
    purpose: Purpose,
    /// The private key, PEM. It is sealed; the file is not needed afterwards.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Its certificate, PEM.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct RevokeOptions {
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG")]
    config: PathBuf,
    /// SHA-256 of the public key as `keys list` shows it, or the `kid` of the JWKS.
    key: String,
    #[arg(long)]
    json: bool,
}

/// What one command does.
enum Task<'a> {
    List,
    Rotate(Purpose, Rotation),
    Import(Purpose, &'a CertifiedKey),
    Revoke(&'a str),
}

pub fn list(options: &ListOptions) -> ExitCode {
    run(&options.config, &Task::List, options.json)
}

pub fn rotate(options: &RotateOptions) -> ExitCode {
    let when = match options.activate_at {
        Some(time) => When::At(time),
        None if options.at_once => When::AtOnce,
        None if options.publish_only => When::Later,
        None => When::Published,
    };
    let rotation = Rotation { when, grace_days: options.grace_days };
    run(&options.config, &Task::Rotate(options.purpose, rotation), options.json)
}

pub fn import(options: &ImportOptions) -> ExitCode {
    match pair(&options.key, &options.certificate) {
        Ok(pair) => run(&options.config, &Task::Import(options.purpose, &pair), options.json),
        Err(why) => {
            complain(&why);
            ExitCode::from(2)
        }
    }
}

pub fn revoke(options: &RevokeOptions) -> ExitCode {
    run(&options.config, &Task::Revoke(&options.key), options.json)
}

fn pair(key: &Path, certificate: &Path) -> Result<CertifiedKey, String> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
    let pem = Secret::new(read(key)?);
    CertifiedKey::from_pem(pem.expose(), &read(certificate)?).map_err(|error| format!("{}: {}", key.display(), error.detail))
}

fn run(config: &Path, task: &Task<'_>, as_json: bool) -> ExitCode {
    let config = match load(config) {
        Ok(config) => config,
        Err(status) => return status,
    };
    ended(block_on(perform(config, task)), |lines| {
        super::show(&lines, as_json, Timestamp::now());
        if !as_json && !matches!(task, Task::List) {
            print("A running gateway knows it within two seconds.");
        }
    })
}

async fn perform(config: Config, task: &Task<'_>) -> Result<Vec<Line>> {
    let keyring = Keyring::open_or_create(&config.keys_path)?;
    let at_rest = AtRest::open(config, keyring).await?;
    let lines = work(&at_rest.state.live, task, at_rest.by(), at_rest.now).await;
    at_rest.close().await?;
    lines
}

/// The keys of the purposes that the command was about, as they are afterwards.
async fn work(live: &Live, task: &Task<'_>, by: By<'_>, now: Timestamp) -> Result<Vec<Line>> {
    let purposes = match task {
        Task::List => Purpose::ALL.to_vec(),
        Task::Rotate(purpose, rotation) => {
            signing::rotate(live, *purpose, *rotation, by, now).await.map_err(plain)?;
            vec![*purpose]
        }
        Task::Import(purpose, pair) => {
            signing::import(live, *purpose, pair, by, now).await.map_err(plain)?;
            vec![*purpose]
        }
        Task::Revoke(named) => {
            let kid = kid_of(live, named).await?;
            vec![signing::revoke(live, &kid, by, now).await.map_err(plain)?.0]
        }
    };
    let mut lines = Vec::new();
    for purpose in purposes {
        let (keys, _) = signing::read(&live.gateway(), purpose).await?;
        lines.extend(keys.keys.iter().map(|key| line(purpose, &keys, key, now)));
    }
    Ok(lines)
}

/// The key that is meant by its `kid` or by its fingerprint.
async fn kid_of(live: &Live, named: &str) -> Result<String> {
    for purpose in Purpose::ALL {
        let (keys, _) = signing::read(&live.gateway(), purpose).await?;
        if let Some(key) = keys.keys.iter().find(|key| key.kid == named || fingerprint(key) == named) {
            return Ok(key.kid.clone());
        }
    }
    Err(Error::new(ErrorKind::NotFound, "there is no such key; see isthmus keys list"))
}

fn line(purpose: Purpose, keys: &SigningKeys, key: &SigningKey, now: Timestamp) -> Line {
    let time = |millis: Option<i64>| millis.filter(|millis| *millis > 0).map(Timestamp::from_millis);
    let since = time(key.since);
    Line {
        purpose,
        state: keys.standing(key, now).name(),
        fingerprint: fingerprint(key),
        source: if key.sealed.is_some() { "directory" } else { "file" },
        kid: (!purpose.is_saml()).then(|| key.kid.clone()),
        made_at: time(Some(key.published_at)).or_else(|| key.not_before()),
        active_since: since.filter(|since| *since <= now),
        activate_at: since.filter(|since| *since > now),
        kept_until: time(key.until),
        not_after: key.not_after(),
    }
}

fn fingerprint(key: &SigningKey) -> String {
    let public = parse_certificate(&key.certificate).and_then(|certificate| {
        let unreadable = |error| Error::new(ErrorKind::Internal, "a certificate cannot be read").because(error);
        certificate.public_key().and_then(|key| key.public_key_to_der()).map_err(unreadable)
    });
    public.map(|der| id::hex(&id::sha256(&der))).unwrap_or_default()
}

fn purpose(text: &str) -> Result<Purpose, String> {
    let known = || Purpose::ALL.map(Purpose::name).join(", ");
    Purpose::from_name(text).ok_or_else(|| format!("one of {}", known()))
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "a time with its zone: 2026-11-21T02:42:00Z".to_owned())
}

fn plain(refused: NotWritten) -> Error {
    match refused {
        NotWritten::Error(error) => error,
        NotWritten::Faults(faults) => {
            let told: Vec<String> = faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.message)).collect();
            Error::new(ErrorKind::InvalidRequest, told.join("; "))
        }
    }
}
