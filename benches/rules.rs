//! What rules and actions cost a login: `cargo bench --bench rules`.
//!
//! CPU of the whole process (the thread that asks and the one that runs scripts) for one login through the host, and the
//! time until its answer. `--only WORD`: parts with this word in their name.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program's result is what it prints")]
#![expect(clippy::cast_precision_loss, reason = "counts are far below the precision of a float")]

use isthmus::error::{Error, ErrorKind, Result as Answer};
use isthmus::rules::{Fetch, FetchAnswer, FetchRequest, Host, Kind, Limits, LoginInput, OnError, Outcome, Script, Scripts, Trigger};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let only = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => String::new(),
        (Some("--only"), Some(word)) => word,
        _ => {
            eprintln!("bench: known is --only WORD");
            return ExitCode::FAILURE;
        }
    };
    match parts(&only) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

const RULE: &str = "function addRoles(user, context, callback) {
  user.app_metadata = user.app_metadata || {};
  const roles = user.groups.filter((group) => group.startsWith('group-1'));
  context.idToken['https://acme.example/roles'] = roles;
  callback(null, user, context);
}";
const ACTION: &str = "exports.onExecutePostLogin = async (event, api) => {
  const roles = event.user.groups.filter((group) => group.startsWith('group-1'));
  await null;
  api.idToken.setCustomClaim('https://acme.example/roles', roles);
};";

fn parts(only: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let rule = |number| script(Kind::Rule, number, RULE);
    let action = |number| script(Kind::Action(Trigger::PostLogin), number, ACTION);
    println!("  part                                              CPU us   until the answer us   aim");
    for (name, scripts, aim) in [
        ("no script", vec![], None),
        ("one rule, user with 20 groups", vec![rule(0)], Some(200)),
        ("three rules", vec![rule(0), rule(1), rule(2)], None),
        ("one async action", vec![action(0)], None),
        ("three rules and three actions", vec![rule(0), rule(1), rule(2), action(0), action(1), action(2)], None),
    ] {
        if name.contains(only) {
            let (cpu, wall) = runtime.block_on(measured(&sorted(scripts)))?;
            let aim = aim.map_or_else(String::new, |aim: u32| aim.to_string());
            println!("  {name:<48} {cpu:>8.1} {wall:>21.1} {aim:>5}");
        }
    }
    Ok(())
}

fn script(kind: Kind, number: usize, code: &str) -> Script {
    Script {
        id: number.to_string(),
        name: format!("script {number}"),
        kind,
        enabled: true,
        order: 0,
        code: code.to_owned(),
        secrets: BTreeMap::new(),
        hosts: Vec::new(),
        on_error: OnError::Fail,
        limits: Limits::default(),
    }
}

fn sorted(all: Vec<Script>) -> Scripts {
    let mut scripts = Scripts::default();
    for script in all {
        match script.kind {
            Kind::Rule => scripts.rules.push(Arc::new(script)),
            Kind::Action(trigger) => scripts.actions.entry(trigger).or_default().push(Arc::new(script)),
        }
    }
    scripts
}

fn input() -> LoginInput {
    let object = |value: Value| value.as_object().cloned().unwrap_or_default();
    let groups: Vec<String> = (0..20).map(|number| format!("group-{number}")).collect();
    LoginInput {
        user: object(json!({
            "user_id": "samlp|acme|jane", "email": "jane@acme.example", "name": "Jane Doe", "nickname": "jane", "groups": groups,
            "user_metadata": { "language": "en" }, "app_metadata": { "plan": "gold" },
        })),
        context: object(json!({
            "clientID": "notes", "connection": "acme", "protocol": "oidc-basic-profile", "stats": { "loginsCount": 7 },
            "request": { "ip": "192.0.2.1", "userAgent": "Mozilla/5.0", "query": { "scope": "openid profile" } },
        })),
        event: object(json!({
            "client": { "client_id": "notes", "name": "Notes" }, "connection": { "name": "acme", "strategy": "samlp" },
            "request": { "ip": "192.0.2.1", "query": {} }, "transaction": { "requested_scopes": ["openid", "profile"] },
        })),
        ..LoginInput::default()
    }
}

const ROUNDS: usize = 7;
const EACH: usize = 500;

/// CPU and wall-clock microseconds of a login: the medians of seven rounds.
async fn measured(scripts: &Scripts) -> Result<(f64, f64), String> {
    let host = Host::new(1, Arc::new(NoFetch));
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let inputs: Vec<LoginInput> = (0..EACH).map(|_| input()).collect();
        let (before, begin) = (all_threads()?, Instant::now());
        for input in inputs {
            let outcome = host.login(scripts, input).await.map_err(|error| error.to_string())?;
            expected(scripts, &outcome)?;
        }
        let (cpu, wall) = (all_threads()? - before, begin.elapsed().as_secs_f64() * 1e6);
        // In the first one threads start.
        if round > 0 {
            rounds.push((cpu / EACH as f64, wall / EACH as f64));
        }
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(ROUNDS / 2).copied().ok_or("nothing was measured")
    };
    let (cpu, wall) = rounds.into_iter().unzip();
    Ok((median(cpu)?, median(wall)?))
}

fn expected(scripts: &Scripts, outcome: &Outcome) -> Result<(), String> {
    let claims = if scripts.has_login() { 1 } else { 0 };
    if outcome.failed.is_some() || outcome.id_token_claims.len() != claims {
        return Err(format!("a script failed: {:?}", outcome.ran));
    }
    Ok(())
}

/// Microseconds on processors of every thread that lives, from the scheduler's own count.
fn all_threads() -> Result<f64, String> {
    let tasks = std::fs::read_dir("/proc/self/task").map_err(|error| error.to_string())?;
    let mut all = 0.0;
    for task in tasks.flatten() {
        let path = task.path().join("schedstat");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse::<f64>().ok());
        all += nanoseconds.ok_or_else(|| format!("{} is not understood", path.display()))? / 1000.0;
    }
    Ok(all)
}

struct NoFetch;

impl Fetch for NoFetch {
    fn fetch(&self, _request: FetchRequest) -> Pin<Box<dyn Future<Output = Answer<FetchAnswer>> + Send + '_>> {
        Box::pin(async { Err(Error::new(ErrorKind::Internal, "nobody is asked")) })
    }
}
