//! What a run of scripts is given.

use super::{Outcome, Script, Trigger};
use crate::error::Result;
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Every enabled script, in the order in which they run. Made once, and again when one changes.
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    pub rules: Vec<Arc<Script>>,
    pub actions: BTreeMap<Trigger, Vec<Arc<Script>>>,
    /// `configuration` of rules.
    pub configuration: Arc<BTreeMap<String, Secret<String>>>,
}

impl Scripts {
    /// Is there anything to run at a login?
    pub fn has_login(&self) -> bool {
        !self.rules.is_empty() || self.actions.get(&Trigger::PostLogin).is_some_and(|actions| !actions.is_empty())
    }

    pub fn actions(&self, trigger: Trigger) -> &[Arc<Script>] {
        self.actions.get(&trigger).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A login, as its scripts see it.
#[derive(Clone, Debug, Default)]
pub struct LoginInput {
    /// `user` of rules; actions get it as `event.user`, with what rules have changed.
    pub user: Map<String, Value>,
    /// `context` of rules.
    pub context: Map<String, Value>,
    /// `event` of actions, without `user`, `secrets` and `configuration`.
    pub event: Map<String, Value>,
    /// The person comes back from where a script had sent them.
    pub resume: Option<Resume>,
    /// Nobody can be sent anywhere: `prompt=none`, or a refresh token. A redirect is then an outcome all the same, and
    /// `api.redirect.canRedirect()` is false.
    pub no_redirect: bool,
}

/// The return of a person whom a script had sent elsewhere.
#[derive(Clone, Debug)]
pub struct Resume {
    /// Id of the script. A rule runs again from the first rule on, with `context.protocol` = `redirect-callback`; of an
    /// action `onContinuePostLogin` runs, and then the actions after it.
    pub script: String,
    /// What the scripts had made of the login until then.
    pub so_far: Outcome,
    /// Query and form parameters of `/continue`.
    pub query: Map<String, Value>,
    pub body: Map<String, Value>,
}

/// A request that a script makes by `fetch`.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    /// Milliseconds that it may take.
    pub time: u64,
    /// The hosts that the script may ask.
    pub hosts: Vec<String>,
}

/// Its answer.
#[derive(Clone, Debug)]
pub struct FetchAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Asks hosts for scripts, by the guarded HTTP client.
pub trait Fetch: Send + Sync {
    fn fetch(&self, request: FetchRequest) -> Pin<Box<dyn Future<Output = Result<FetchAnswer>> + Send + '_>>;
}
