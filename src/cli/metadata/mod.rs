//! `isthmus metadata`: how the sources of metadata fare, what waits for an operator, and what a source has.
//!
//! `show` and `approve` ask the running gateway of the configuration, at its operations listener; what is approved is
//! written into the directory, where every node finds it.

mod show;

use super::at_rest::{AtRest, Common, ended, load};
use super::{block_on, print};
use crate::broker::Gateway;
use crate::broker::metadata::{Report, Waiting, approve, reports, restore};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::connection::metadata::{Approval, Living, Members, Origin, Owner, Place, Source, trial};
use crate::connection::outbound::{self, download::Reach};
use crate::error::{Error, ErrorKind, Result};
use crate::http::state::State;
use crate::keys::{Keyring, parse_certificate};
use crate::saml::aggregate::{Terms, Trust, Validity};
use actix_web::web::Data;
use clap::{Args, Subcommand};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
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
    /// Show how the sources fare: what is in force, the last failure, and what waits for you.
    Show {
        #[command(flatten)]
        of: Of,
    },
    /// Agree to the new endpoints or the new entityID of a partner. Every node follows within seconds.
    Approve {
        #[command(flatten)]
        of: Of,
        /// Exactly this change, as shown; needed where several wait.
        #[arg(long)]
        key: Option<String>,
    },
    /// Fetch once, verify, and say what it would mean. Nothing is changed.
    Fetch(Fetch),
}

/// Whose metadata.
#[derive(Args)]
struct Of {
    /// Those of this connection.
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Those of this application.
    #[arg(long, value_name = "CLIENT_ID", conflicts_with = "connection")]
    application: Option<String>,
}

impl Of {
    fn owner(&self) -> Option<Owner> {
        let connection = self.connection.as_deref().map(Owner::connection);
        connection.or_else(|| self.application.as_deref().map(Owner::application))
    }

    /// Where one must be named.
    fn required(&self) -> Result<Owner> {
        self.owner().ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "name the partner with --connection or --application"))
    }
}

#[derive(Args)]
struct Fetch {
    /// Address of a document that nobody has yet.
    #[arg(required_unless_present_any = ["connection", "application"], conflicts_with_all = ["connection", "application"])]
    url: Option<String>,
    #[command(flatten)]
    of: Of,
    /// Certificate that must have signed the document, PEM.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["connection", "application"])]
    certificate: Option<PathBuf>,
    /// The address is on this machine or in its network.
    #[arg(long, conflicts_with_all = ["connection", "application"])]
    private: bool,
}

pub fn run(options: &Options) -> ExitCode {
    let json = options.common.json;
    let done = match &options.action {
        Action::Fetch(fetch) if fetch.of.owner().is_none() => block_on(fetch_address(fetch, json)),
        action => match load(&options.common.config) {
            Ok(config) => block_on(with_config(action, json, config)),
            Err(status) => return status,
        },
    };
    ended(done, |text| print(&text))
}

async fn with_config(action: &Action, json: bool, config: Config) -> Result<String> {
    let operations = config.operations_listen;
    let keyring = Keyring::open(&config.keys_path)?;
    let at_rest = AtRest::open(config, keyring).await?;
    let (state, now) = (&at_rest.state, at_rest.now);
    let done = match action {
        Action::Show { of } => shown(of.owner().as_ref(), json, state, operations, now).await,
        Action::Approve { of, key } => approved((&of.required()?, key.as_deref()), json, &at_rest, operations).await,
        Action::Fetch(fetch) => fetch_known(&fetch.of.required()?, json, state, now).await,
    };
    at_rest.close().await?;
    done
}

async fn shown(of: Option<&Owner>, json: bool, state: &Data<State>, operations: SocketAddr, now: Timestamp) -> Result<String> {
    let (mut found, running) = match ask(operations).await {
        Ok(found) => (found, true),
        Err(_) => {
            let gateway = state.gateway();
            restore(&gateway, now).await;
            (reports(&gateway, now), false)
        }
    };
    found.retain(|report| of.is_none_or(|of| report.owner == *of));
    if let Some(of) = of.filter(|_| found.is_empty()) {
        return Err(no_such(of));
    }
    Ok(if json { to_json(&found) } else { show::reports(&found, running) })
}

async fn approved((of, key): (&Owner, Option<&str>), json: bool, at_rest: &AtRest, operations: SocketAddr) -> Result<String> {
    let asked = ask(operations).await.map_err(|error| {
        Error::new(ErrorKind::StoreUnavailable, format!("no gateway answers at {operations}, and only one that runs knows what waits"))
            .because(error)
    })?;
    let report = asked.into_iter().find(|report| report.owner == *of).ok_or_else(|| no_such(of))?;
    let waiting: Vec<Waiting> = report.waiting.into_iter().filter(|waiting| key.is_none_or(|key| waiting.key == key)).collect();
    match waiting.as_slice() {
        [] => Err(Error::new(ErrorKind::NotFound, "no such change waits for approval; it may have changed since it was shown")),
        [only] => {
            approve(&at_rest.state.gateway(), only, &at_rest.actor, at_rest.now).await?;
            Ok(if json { to_json(only) } else { show::approved(only) })
        }
        several => Err(Error::new(
            ErrorKind::InvalidRequest,
            format!("{} changes wait; name one with --key\n{}", several.len(), show::waiting(several)),
        )),
    }
}

async fn fetch_known(of: &Owner, json: bool, state: &Data<State>, now: Timestamp) -> Result<String> {
    let gateway = state.gateway();
    let living = living_of(&gateway, of).ok_or_else(|| no_such(of))?;
    let ours = |approval: &&Approval| approval.owner == *of && approval.source == living.source.shown();
    let allowed: BTreeMap<String, BTreeSet<Place>> =
        gateway.approvals.iter().filter(ours).map(|approval| (approval.entity_id.clone(), approval.places.clone())).collect();
    let tried = trial(&living, allowed, now).await?;
    Ok(show::trial(&tried, json, now))
}

/// With what somebody is configured.
fn living_of(gateway: &Gateway, of: &Owner) -> Option<Living> {
    match of {
        Owner::Connection(name) => gateway.connections.config(name)?.saml()?.living.clone(),
        Owner::Application(client_id) => {
            let known = gateway.living.iter().find(|known| known.registered().client_id == *client_id)?;
            Some(known.living().clone())
        }
    }
}

async fn fetch_address(fetch: &Fetch, json: bool) -> Result<String> {
    let refuse = |why: String| Error::new(ErrorKind::InvalidRequest, why);
    let text = fetch.url.as_deref().unwrap_or_default();
    let url = text.parse().map_err(|_| refuse(format!("{text} is no address")))?;
    let mut pinned = Vec::new();
    if let Some(path) = &fetch.certificate {
        let pem = std::fs::read_to_string(path).map_err(|error| refuse(format!("{} cannot be read: {error}", path.display())))?;
        pinned.push(parse_certificate(&pem)?);
    }
    let terms = Terms { trust: Trust::new(&pinned, true)?, validity: Validity::Optional };
    let mut source = Source::new(Origin::Url(url), terms)?;
    source.reach = if fetch.private { Reach::Everything } else { Reach::Public };
    let now = Timestamp::now();
    let tried = trial(&Living { members: Members::All, source, discovery: None }, BTreeMap::new(), now).await?;
    Ok(show::trial(&tried, json, now))
}

/// Asks the running gateway.
async fn ask(operations: SocketAddr) -> Result<Vec<Report>> {
    let unanswered = |why: &str| Error::new(ErrorKind::StoreUnavailable, why);
    let host = if operations.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], operations.port())) } else { operations };
    let answer = outbound::client()?.get(format!("http://{host}/metadata")).send().await;
    let answer = answer.map_err(|error| unanswered("the gateway does not answer").because(error))?;
    serde_json::from_str(&outbound::text(answer).await?).map_err(|error| unanswered("the gateway answers something else").because(error))
}

fn no_such(of: &Owner) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {of} whose metadata are fetched"))
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
