//! Actions of programs that ask for themselves (`credentials-exchange`): no user, no profile, only the token.

use super::{Caller, context, failed};
use crate::application::Application;
use crate::broker::Gateway;
use crate::error::{Error, ErrorKind, Result};
use crate::oidc::Scopes;
use crate::rules::Trigger;
use serde_json::{Map, Value, json};

impl Gateway {
    /// Runs the actions of the client credentials grant: the scopes of the token, and its claims. `granted` is all that the
    /// application may have; no action gives more.
    ///
    /// # Errors
    /// [`ErrorKind::RuleDenied`], [`ErrorKind::ScriptFailed`], and those of the host.
    pub(in crate::broker) async fn run_exchange(
        &self,
        application: &Application,
        audience: &str,
        (granted, scopes): (&Scopes, Scopes),
        caller: Option<&Caller>,
        correlation_id: &str,
    ) -> Result<(Scopes, Map<String, Value>)> {
        if self.scripts.actions(Trigger::CredentialsExchange).is_empty() {
            return Ok((scopes, Map::new()));
        }
        let names: Vec<&str> = scopes.iter().collect();
        let body = json!({ "grant_type": "client_credentials", "audience": audience, "client_id": application.client_id });
        let body = body.as_object().cloned().unwrap_or_default();
        let event = json!({
            "client": context::client(application),
            "request": context::request(self, caller, &Map::new(), &body),
            "tenant": { "id": context::host(&self.issuer) },
            "accessToken": { "customClaims": {}, "scope": names },
            "transaction": { "id": correlation_id, "requested_scopes": names },
            "resource_server": { "identifier": audience },
        });
        let event = event.as_object().cloned().unwrap_or_default();
        let outcome = self.host.credentials_exchange(&self.scripts, event).await?;
        if let Some(script) = &outcome.failed {
            return Err(failed(script, &outcome.ran));
        }
        if let Some(denial) = outcome.denied {
            tracing::info!(correlation_id, client_id = application.client_id, action = denial.script, "an action refused a token");
            return Err(Error::new(ErrorKind::RuleDenied, denial.message));
        }
        let scopes =
            outcome.scopes.map_or(scopes, |wanted| wanted.iter().map(String::as_str).filter(|scope| granted.contains(scope)).collect());
        Ok((scopes, outcome.access_token_claims))
    }
}
