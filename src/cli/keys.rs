//! `isthmus keys generate|list|api`.

mod api;

use super::{complain, print};
use crate::keys::Keyring;
use clap::{Args, Subcommand};
use serde_json::json;
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
    /// Show what is there; never a private half.
    List(Directory),
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
    let (directory, keyring) = match &options.action {
        Action::Generate(directory) => (directory, Keyring::open_or_create(&directory.path)),
        Action::List(directory) => (directory, Keyring::open(&directory.path)),
        Action::Api(options) => return api::run(options),
    };
    match keyring {
        Ok(keyring) => {
            show(&keyring, directory.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(2)
        }
    }
}

fn show(keyring: &Keyring, as_json: bool) {
    let keys = keyring.list();
    if as_json {
        let rows: Vec<_> = keys
            .iter()
            .map(|key| json!({ "purpose": key.purpose.name(), "state": key.state.name(), "kind": format!("{:?}", key.kind), "sha256": key.fingerprint, "not_after": key.not_after }))
            .collect();
        return print(&json!(rows).to_string());
    }
    for key in keys {
        print(&format!(
            "{:<16} {:<9} {:<8} until {}  {}",
            key.purpose.name(),
            key.state.name(),
            format!("{:?}", key.kind),
            key.not_after,
            key.fingerprint
        ));
    }
}
