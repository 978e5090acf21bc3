//! `isthmus user show|delete`.

use super::{block_on, complain, print};
use crate::config;
use crate::error::Result;
use crate::store;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG", global = true)]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Action {
    /// Print what the directory knows of a user, as JSON.
    Show { user_id: String },
    /// Forget a user; the next login makes it anew.
    Delete { user_id: String },
}

pub fn run(options: &Options) -> ExitCode {
    let url = match config::load(&options.config) {
        Ok(config) => config.directory_url,
        Err(findings) => {
            complain(&config::render_human(&findings));
            return ExitCode::from(2);
        }
    };
    let found = block_on(async {
        let directory = store::open_directory(url.expose()).await?;
        match &options.action {
            Action::Show { user_id } => show(directory.as_ref(), user_id).await,
            Action::Delete { user_id } => directory.delete_user(user_id).await,
        }
    });
    match found {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            complain("there is no such user");
            ExitCode::from(1)
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(2)
        }
    }
}

async fn show(directory: &dyn store::Directory, user_id: &str) -> Result<bool> {
    let Some(user) = directory.user(user_id).await? else { return Ok(false) };
    let identities: Vec<_> = user
        .identities
        .iter()
        .map(|stored| {
            json!({
                "identity": stored.identity, "profile": stored.profile,
                "last_login": stored.last_login.map(|at| at.to_string()), "logins_count": stored.logins_count,
            })
        })
        .collect();
    let record = json!({
        "user_id": user.user_id, "blocked": user.blocked, "created_at": user.created_at.to_string(), "identities": identities,
        "user_metadata": user.user_metadata, "app_metadata": user.app_metadata,
    });
    print(&serde_json::to_string_pretty(&record).unwrap_or_default());
    Ok(true)
}
