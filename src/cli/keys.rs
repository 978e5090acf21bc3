//! `isthmus keys generate|list|rotate|import|revoke|api`.

mod api;
mod life;

use super::{complain, print};
use crate::clock::Timestamp;
use crate::keys::{KeyEntry, KeySet, Keyring, Purpose};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make every key that is missing.
    Generate(Directory),
    /// Show every key with its state, age and dates; never a private half.
    List(life::ListOptions),
    /// Publish a next key, and say from when on it is used.
    Rotate(life::RotateOptions),
    /// Take a key that was made elsewhere as the next one.
    Import(life::ImportOptions),
    /// Take a previous key out of use, or withdraw the next one of SAML.
    Revoke(life::RevokeOptions),
    /// Make a program that may use the management API, and show its secret once.
    Api(api::Options),
}

#[derive(Args)]
struct Directory {
    /// Directory of the keys.
    #[arg(long, value_name = "DIRECTORY", default_value = "certs")]
    path: PathBuf,
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> ExitCode {
    let (keyring, json) = match &options.action {
        Action::Generate(directory) => (Keyring::open_or_create(&directory.path), directory.json),
        Action::List(options) => match &options.path {
            Some(path) => (Keyring::open(path), options.json),
            None => return life::list(options),
        },
        Action::Rotate(options) => return life::rotate(options),
        Action::Import(options) => return life::import(options),
        Action::Revoke(options) => return life::revoke(options),
        Action::Api(options) => return api::run(options),
    };
    match keyring {
        Ok(keyring) => {
            let lines: Vec<Line> = keyring.files().flat_map(|set| set.entries().iter().map(|entry| Line::of_file(set, entry))).collect();
            show(&lines, json, Timestamp::now());
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(2)
        }
    }
}

/// One key, for people and for programs.
struct Line {
    purpose: Purpose,
    state: &'static str,
    /// SHA-256 of the public key, hex.
    fingerprint: String,
    /// `file`, or `directory` where a rotation made it.
    source: &'static str,
    /// As the JWKS names it.
    kid: Option<String>,
    made_at: Option<Timestamp>,
    active_since: Option<Timestamp>,
    activate_at: Option<Timestamp>,
    kept_until: Option<Timestamp>,
    not_after: Option<Timestamp>,
}

impl Line {
    fn of_file(set: &KeySet, entry: &KeyEntry) -> Self {
        let (made_at, not_after) = entry.key.validity();
        Self {
            purpose: set.purpose(),
            state: entry.state.name(),
            fingerprint: entry.key.key.fingerprint().unwrap_or_default(),
            source: "file",
            kid: None,
            made_at,
            active_since: None,
            activate_at: None,
            kept_until: None,
            not_after,
        }
    }

    fn human(&self, now: Timestamp) -> String {
        let age = self.made_at.map_or_else(|| "?".to_owned(), |made| format!("{} d", (now.seconds_since(made) / 86_400).max(0)));
        let mut line = format!(
            "{:<18} {:<8} {:<6} age {age:<7} certificate until {}  {}",
            self.purpose.name(),
            self.state,
            format!("{:?}", self.purpose.kind()),
            self.not_after.map_or_else(|| "?".to_owned(), |end| end.to_string()),
            self.fingerprint
        );
        for (words, time) in [("active since", self.active_since), ("active from", self.activate_at), ("kept until", self.kept_until)] {
            if let Some(time) = time {
                line += &format!("  {words} {time}");
            }
        }
        line
    }

    fn json(&self) -> Value {
        let mut row = Map::new();
        let mut put = |name: &str, value: Value| drop(row.insert(name.to_owned(), value));
        put("purpose", self.purpose.name().into());
        put("state", self.state.into());
        put("kind", format!("{:?}", self.purpose.kind()).into());
        put("sha256", self.fingerprint.as_str().into());
        put("source", self.source.into());
        if let Some(kid) = &self.kid {
            put("kid", kid.as_str().into());
        }
        for (name, time) in [
            ("made_at", self.made_at),
            ("active_since", self.active_since),
            ("activate_at", self.activate_at),
            ("kept_until", self.kept_until),
            ("not_after", self.not_after),
        ] {
            if let Some(time) = time {
                put(name, time.to_string().into());
            }
        }
        row.into()
    }
}

fn show(lines: &[Line], as_json: bool, now: Timestamp) {
    if as_json {
        return print(&json!(lines.iter().map(Line::json).collect::<Vec<_>>()).to_string());
    }
    for line in lines {
        print(&line.human(now));
    }
}
