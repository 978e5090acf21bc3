//! What the application asked, as an AuthnRequest: the rows of the parity table that go upstream.

use super::SamlConnection;
use crate::clock::Timestamp;
use crate::connection::{BrowserStep, UpstreamRequest};
use crate::error::Result;
use crate::id;
use crate::login::PendingAuthn;
use crate::login::trace::{Step as Note, Trace};
use crate::saml::{self, Outgoing, RequestOptions};

impl SamlConnection {
    /// The step that sends the browser there, and what must be remembered for the answer.
    pub(super) fn ask(
        &self,
        transaction_id: &str,
        asked: &UpstreamRequest,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(BrowserStep, PendingAuthn)> {
        let settings = self.settings();
        let classes = self.context_classes(&asked.acr_values);
        let force_authn = asked.force_authn || settings.force_authn;
        let options = RequestOptions {
            // The login, and a part that differs when the person goes back and is sent off again: an identity provider may
            // refuse an ID that it has seen.
            id: format!("_{transaction_id}{}", id::hex(&id::random_bytes::<4>())),
            force_authn,
            is_passive: asked.passive,
            requested_authn_context: (!classes.is_empty()).then(|| (settings.authn_context_comparison, classes.clone())),
            name_id_format: settings.name_id_format.clone(),
            allow_create: settings.allow_create,
            response_binding: settings.response_binding,
            acs_index: settings.acs_index,
            attribute_consuming_service_index: settings.attribute_consuming_service_index,
            provider_name: settings.provider_name.clone(),
            proxy_count: settings.proxy_count,
            requester_ids: if settings.send_requester_id { vec![asked.requester.clone()] } else { Vec::new() },
            subject_hint: asked.login_hint.clone().filter(|_| settings.login_hint_as_subject),
        };
        let keys = self.keyring.saml();
        let signer = self.signs_requests().then(|| settings.request_signer(&keys)).transpose()?;
        let outgoing = saml::authn_request(&self.sp, &settings.idp, &options, settings.request_binding, Some(transaction_id), signer, now)?;
        let (step, binding, destination) = match outgoing {
            Outgoing::Redirect(url) => {
                let mut shown = url.clone();
                shown.set_query(None);
                (BrowserStep::Redirect(url), "HTTP-Redirect", shown.to_string())
            }
            Outgoing::PostForm { action, fields } => {
                (BrowserStep::PostForm { action: action.to_string(), fields }, "HTTP-POST", action.to_string())
            }
        };
        let mut facts = vec![
            ("ForceAuthn".to_owned(), force_authn.to_string()),
            ("IsPassive".to_owned(), asked.passive.to_string()),
            ("signed".to_owned(), self.signs_requests().to_string()),
        ];
        facts.extend(classes.iter().map(|class| ("AuthnContextClassRef".to_owned(), class.clone())));
        trace.note(
            now,
            Note::RequestOut {
                connection: self.config.name.clone(),
                binding: binding.into(),
                destination,
                request_id: options.id.clone(),
                facts,
            },
        );
        let pending = PendingAuthn {
            request_id: options.id,
            idp: None,
            sent_at: now,
            force_authn,
            passive: asked.passive,
            max_age: asked.max_age,
            authn_context: classes,
        };
        Ok((step, pending))
    }

    pub(super) fn signs_requests(&self) -> bool {
        self.settings().sign_requests || self.settings().idp.want_authn_requests_signed
    }

    /// The class references that the asked `acr` values mean here; without any, those of the connection.
    fn context_classes(&self, acr_values: &[String]) -> Vec<String> {
        if acr_values.is_empty() {
            return self.settings().authn_context.clone();
        }
        acr_values.iter().map(|acr| self.settings().acr.get(acr).unwrap_or(acr).clone()).collect()
    }
}
