//! `isthmus registration token|list|revoke`: initial access tokens for applications that register themselves.

use super::at_rest::{AtRest, Common, ended, load};
use super::{block_on, print};
use crate::broker::admin::objects::NotWritten;
use crate::broker::registration::{self, Mode};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Keyring;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
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
    /// Make a token, and show it once.
    Token {
        /// How many applications may register with it.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        uses: u64,
        /// For how many days it is good.
        #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(i64).range(1..=3650))]
        days: i64,
        /// For whom it is.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Which tokens can still be used.
    List,
    /// Take a token out of use, by its id in the list.
    Revoke { id: String },
}

pub fn run(options: &Options) -> ExitCode {
    let config = match load(&options.common.config) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let result = block_on(perform(&options.action, config));
    ended(result, |(human, json)| print(&if options.common.json { json.to_string() } else { human }))
}

/// The answer, for people and for programs.
async fn perform(action: &Action, config: Config) -> Result<(String, Value)> {
    let mode = config.registration.mode;
    let keyring = Keyring::open_or_create(&config.keys_path)?;
    let at_rest = AtRest::open(config, keyring).await?;
    let (state, by, now) = (&at_rest.state, at_rest.by(), at_rest.now);
    let told = match action {
        Action::Token { uses, days, note } => {
            let ends = now.plus_seconds(days * 86_400);
            let token = registration::issue_initial_token(&state.live, (*uses, Some(ends), note), by, now).await.map_err(plain)?;
            let hint = match mode {
                Mode::InitialAccessToken => "It is not shown again.",
                Mode::Off | Mode::Open => {
                    "It is not shown again, and is asked for only with mode = \"initial_access_token\" in [registration]."
                }
            };
            let human = format!("token   {}\nuses    {uses}\nuntil   {ends}\n{hint}", token.expose());
            Ok((human, json!({ "token": token.expose(), "uses": uses, "expires_at": ends.to_string() })))
        }
        Action::List => list(&registration::initial_tokens(&state.gateway(), now).await?),
        Action::Revoke { id } => match registration::revoke_initial_token(&state.live, id, by, now).await? {
            true => Ok((format!("{id} is revoked"), json!({ "id": id, "revoked": true }))),
            false => Err(Error::new(ErrorKind::NotFound, "there is no such token; `isthmus registration list` shows them")),
        },
    };
    at_rest.close().await?;
    told
}

fn list(tokens: &[registration::InitialToken]) -> Result<(String, Value)> {
    let until = |token: &registration::InitialToken| token.expires_at.map(|at| at.to_string());
    let rows = tokens.iter().map(|token| {
        let ends = until(token).unwrap_or_else(|| "revoked".to_owned());
        let human = format!("{}  {:>6} uses left  until {ends}  {}", token.id, token.uses_left, token.note);
        let json = json!({ "id": token.id, "uses_left": token.uses_left, "expires_at": until(token), "note": token.note });
        (human, json)
    });
    let (human, json): (Vec<String>, Vec<Value>) = rows.unzip();
    Ok((if human.is_empty() { "there are no tokens".to_owned() } else { human.join("\n") }, json.into()))
}

fn plain(refused: NotWritten) -> Error {
    match refused {
        NotWritten::Error(error) => error,
        NotWritten::Faults(_) => Error::new(ErrorKind::Internal, "a token cannot be kept"),
    }
}
