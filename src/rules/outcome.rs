//! What a run of scripts answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What all scripts of one login, in their order, made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The user object as the rules left it: transient (S4-19). Equal to the one that went in where nothing changed it.
    pub user: Map<String, Value>,
    /// A script refused the login; the ones after it did not run.
    pub denied: Option<Denial>,
    /// A script failed whose [`super::OnError`] is `Fail`; the ones after it did not run. Its name.
    pub failed: Option<String>,
    /// A script sends the person elsewhere; the ones after it wait.
    pub redirect: Option<Redirect>,
    /// Claims to add to the ID token (and UserInfo), and to access tokens; `null` removes one.
    pub id_token_claims: Map<String, Value>,
    pub access_token_claims: Map<String, Value>,
    /// The scopes as scripts left them; `None` where none touched them.
    pub scopes: Option<Vec<String>>,
    /// Settings of the SAML answer, by the names of `context.samlConfiguration`; setters of `api.samlResponse` end here too.
    pub saml: Map<String, Value>,
    /// To be stored (S4-20), in the order in which scripts asked for it; actions' changes are one entry at the end.
    pub persist: Vec<MetadataChange>,
    /// The session goes on as this user.
    pub primary_user: Option<String>,
    /// Names of authentication methods that scripts recorded.
    pub methods: Vec<String>,
    /// Metadata of the transaction, kept across redirects.
    pub transaction_metadata: Map<String, Value>,
    /// Errors of `api.validation.error`: code and text for the person.
    pub validation_errors: Vec<(String, String)>,
    /// One for each script that ran, for the trace.
    pub ran: Vec<Ran>,
}

/// A refused login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    pub script: String,
    /// What the application may be told; written by the operator.
    pub message: String,
}

/// To another page, and back to `/continue`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// Id of the script, to go on with.
    pub script: String,
    /// With the script's query parameters; `state` is added by whoever sends the browser there.
    pub url: String,
}

/// First-level changes of metadata; `null` deletes a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetadataChange {
    pub user_metadata: Map<String, Value>,
    pub app_metadata: Map<String, Value>,
}

/// One script's run, without any value of a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    pub script: String,
    /// `rule` or `action`.
    pub kind: String,
    /// Microseconds of wall clock.
    pub took: u64,
    pub status: Status,
    /// What it changed.
    pub changes: Vec<Change>,
    /// What it wrote by `console.log`, bounded, without secrets.
    pub log: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Status {
    Done,
    Denied,
    Redirected,
    Failed(ScriptError),
}

/// A difference of one path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Such as `user.roles` or `id_token.https://acme.example/tier`.
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Why a script failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptError {
    /// Without any value of a secret.
    pub message: String,
    /// In the script's own text, from 1; `None` where the engine does not say.
    pub line: Option<u32>,
    pub column: Option<u32>,
    /// A limit was exceeded: `time`, `memory`, `stack`, `persisted`, or the pool is full (`overloaded`).
    pub limit: Option<String>,
}
