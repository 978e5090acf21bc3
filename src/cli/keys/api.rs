//! `isthmus keys api`: programs that may use the management API, made where there is no credential for it yet.

use crate::application::management;
use crate::broker::admin::objects::{self, NotWritten, Object};
use crate::broker::admin::{By, kinds};
use crate::broker::live::{Live, Made};
use crate::cli::at_rest::{AtRest, Common, ended, load};
use crate::cli::{block_on, print};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::Keyring;
use crate::secret::Secret;
use crate::store::Expect;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    common: Common,
    /// What people call the program.
    #[arg(long, default_value = "Management API")]
    name: String,
    /// A scope that it may have; all, if none is named.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
}

#[derive(Subcommand)]
enum Action {
    /// Which programs may use the management API.
    List,
    /// Take the management API from a program; one that could do nothing else is deleted.
    Revoke { client_id: String },
}

/// A result, for people and for programs.
struct Shown {
    human: String,
    json: Value,
}

pub fn run(options: &Options) -> ExitCode {
    let config = match load(&options.common.config) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let result = block_on(perform(options, config));
    ended(result, |shown| print(&if options.common.json { shown.json.to_string() } else { shown.human }))
}

async fn perform(options: &Options, config: Config) -> Result<Shown> {
    let keyring = Keyring::open_or_create(&config.keys_path)?;
    let at_rest = AtRest::open(config, keyring).await?;
    let (live, by, now) = (&at_rest.state.live, at_rest.by(), at_rest.now);
    let shown = match &options.action {
        None => create(live, &options.name, &options.scopes, by, now).await,
        Some(Action::List) => Ok(list(live)),
        Some(Action::Revoke { client_id }) => revoke(live, client_id, by, now).await,
    };
    at_rest.close().await?;
    shown
}

async fn create(live: &Live, name: &str, scopes: &[String], by: By<'_>, now: Timestamp) -> Result<Shown> {
    if let Some(unknown) = scopes.iter().find(|scope| !management::SCOPES.iter().any(|(known, _)| known == scope)) {
        return Err(Error::new(ErrorKind::InvalidScope, format!("the management API has no scope {unknown}")));
    }
    let all = || management::SCOPES.iter().map(|(scope, _)| (*scope).to_owned()).collect();
    let scopes: Vec<String> = if scopes.is_empty() { all() } else { scopes.to_vec() };
    let gateway = live.gateway();
    let (client_id, secret, audience) = (id::random_id(), Secret::new(id::random_token()), gateway.management_audience());
    let mut client = object(json!({
        "name": name, "app_type": "non_interactive", "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_post", "oidc_conformant": true, "is_first_party": true,
    }));
    kinds::add_secret(&mut client, &secret, 0, now);
    objects::write(live, &kinds::CLIENT, &client_id, client, Expect::Nothing, by, now).await.map_err(plain)?;
    let key = kinds::grant_key(&client_id, &audience);
    let grant = object(json!({ "client_id": client_id, "audience": audience, "scope": scopes, kinds::GRANT_KEY: key }));
    let grant_id = format!("cgr_{}", id::random_id());
    objects::write(live, &kinds::CLIENT_GRANT, &grant_id, grant, Expect::Nothing, by, now).await.map_err(plain)?;
    let human = format!(
        "client_id      {client_id}\nclient_secret  {}\naudience       {audience}\ntoken endpoint {}/oauth/token\n\
         The secret is not shown again. A running gateway knows the program within two seconds.",
        secret.expose(),
        gateway.issuer
    );
    let json = json!({
        "client_id": client_id, "client_secret": secret.expose(), "audience": audience,
        "token_endpoint": format!("{}/oauth/token", gateway.issuer), "scope": scopes,
    });
    Ok(Shown { human, json })
}

fn list(live: &Live) -> Shown {
    let gateway = live.gateway();
    let audience = gateway.management_audience();
    let mut grants: Vec<_> = gateway.client_grants.values().filter(|grant| grant.audience == audience).collect();
    grants.sort_by(|a, b| a.client_id.cmp(&b.client_id));
    let rows = grants.into_iter().filter_map(|grant| {
        let application = gateway.applications.get(&grant.client_id)?;
        let of_file = live.is_from_file(|made| matches!(made, Made::ClientGrant(of_file) if of_file.client_id == grant.client_id));
        let source = if of_file { "file" } else { "api" };
        let human = format!("{:<32} {:<4} {:>3} scopes  {}", grant.client_id, source, grant.scopes.len(), application.name);
        Some((human, json!({ "client_id": grant.client_id, "name": application.name, "source": source, "scope": grant.scopes })))
    });
    let (human, json): (Vec<String>, Vec<Value>) = rows.unzip();
    Shown { human: if human.is_empty() { "nobody may use the management API".to_owned() } else { human.join("\n") }, json: json.into() }
}

async fn revoke(live: &Live, client_id: &str, by: By<'_>, now: Timestamp) -> Result<Shown> {
    let gateway = live.gateway();
    let of_file = |made: &Made| matches!(made, Made::ClientGrant(grant) if grant.client_id == client_id);
    if live.is_from_file(of_file) {
        return Err(Error::new(ErrorKind::Conflict, "the configuration file says what this program may do; change it there"));
    }
    let grant = gateway.client_grants.get(&(client_id.to_owned(), gateway.management_audience()));
    let grant = grant.ok_or_else(|| Error::new(ErrorKind::NotFound, "this program has no grant for the management API"))?;
    objects::delete(live, &kinds::CLIENT_GRANT, &grant.id, Expect::Any, by, now).await?;
    let client = objects::read(&gateway, &kinds::CLIENT, client_id).await?;
    let gone = client.is_some_and(|client| only_for_programs(&client)) && !has_other_grants(live, client_id);
    if gone {
        objects::delete(live, &kinds::CLIENT, client_id, Expect::Any, by, now).await?;
    }
    let what = if gone { "is deleted" } else { "may not use the management API any more" };
    Ok(Shown { human: format!("{client_id} {what}"), json: json!({ "client_id": client_id, "deleted": gone }) })
}

fn only_for_programs(client: &Object) -> bool {
    client.body.get("grant_types") == Some(&json!(["client_credentials"]))
}

fn has_other_grants(live: &Live, client_id: &str) -> bool {
    live.gateway().client_grants.keys().any(|(known, _)| known == client_id)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
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
