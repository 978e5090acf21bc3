//! What the application asked, as an AuthnRequest: the rows of the parity table that go upstream.

use super::SamlConnection;
use crate::clock::Timestamp;
use crate::connection::config::AttributeSet;
use crate::connection::{BrowserStep, UpstreamRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::PendingAuthn;
use crate::login::trace::{Step as Note, Trace};
use crate::saml::{self, Comparison, Outgoing, RequestOptions};
use url::Url;

/// Requesters of an application that are passed on.
const REQUESTERS: usize = 16;

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
        let options = self.options(transaction_id, asked, &classes)?;
        let keys = self.keyring.saml();
        let signer = self.signs_requests().then(|| settings.request_signer(&keys)).transpose()?;
        let outgoing = saml::authn_request(&self.sp, &settings.idp, &options, settings.request_binding, Some(transaction_id), signer, now)?;
        let (step, binding, destination) = self.browser_step(outgoing, asked.login_hint.as_deref());
        let mut facts = vec![
            ("ForceAuthn".to_owned(), options.force_authn.to_string()),
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
            force_authn: options.force_authn,
            passive: asked.passive,
            max_age: asked.max_age,
            authn_context: classes,
            authn_context_comparison: comparison_asked(asked),
            ..PendingAuthn::new(options.id, now)
        };
        Ok((step, pending))
    }

    /// What is asked: as the application asks it, as far as the settings let it.
    fn options(&self, transaction_id: &str, asked: &UpstreamRequest, classes: &[String]) -> Result<RequestOptions> {
        let settings = self.settings();
        let by_choice = asked.select_account && settings.select_account_forces_authn;
        Ok(RequestOptions {
            // The login, and a part that differs when the person goes back and is sent off again: an identity provider may
            // refuse an ID that it has seen.
            id: format!("_{transaction_id}{}", id::hex(&id::random_bytes::<4>())),
            force_authn: asked.force_authn || settings.force_authn || by_choice,
            is_passive: asked.passive,
            requested_authn_context: (!classes.is_empty())
                .then(|| (comparison_asked(asked).unwrap_or(settings.authn_context_comparison), classes.to_vec())),
            name_id_format: settings.name_id_format.clone(),
            allow_create: settings.allow_create,
            response_binding: settings.response_binding,
            acs_index: settings.acs_index,
            attribute_consuming_service_index: self.attribute_set(&asked.scopes),
            provider_name: settings.provider_name.clone(),
            proxy_count: proxy_count(settings.proxy_count, asked.proxy_count)?,
            requester_ids: self.requesters(asked),
            subject_hint: asked.login_hint.clone().filter(|_| settings.login_hint_as_subject),
        })
    }

    /// The set of attributes for these scopes; of several the one with the highest index.
    fn attribute_set(&self, scopes: &[String]) -> Option<u16> {
        let serves = |set: &&AttributeSet| set.scopes.iter().any(|scope| scopes.contains(scope));
        let by_scope = self.settings().attribute_sets.iter().filter(serves).map(|set| set.requested.index).max();
        by_scope.or(self.settings().attribute_consuming_service_index)
    }

    /// For whom we ask: those for whom the application asks, and the application itself.
    fn requesters(&self, asked: &UpstreamRequest) -> Vec<String> {
        if !self.settings().send_requester_id {
            return Vec::new();
        }
        asked.requester_ids.iter().take(REQUESTERS).chain(std::iter::once(&asked.requester)).cloned().collect()
    }

    /// The browser's step, the name of the binding, and the address as it may be written down: without what it says of a person.
    fn browser_step(&self, outgoing: Outgoing, login_hint: Option<&str>) -> (BrowserStep, &'static str, String) {
        let hint = self.settings().login_hint_parameter.as_deref().zip(login_hint);
        // A signature over a query covers the parameters of SAML, not what the address has beside them (SAML Bindings 3.4.4.1).
        let hinted = |mut url: Url| {
            if let Some((parameter, hint)) = hint {
                url.query_pairs_mut().append_pair(parameter, hint);
            }
            url
        };
        match outgoing {
            Outgoing::Redirect(url) => {
                let mut shown = url.clone();
                shown.set_query(None);
                (BrowserStep::Redirect(hinted(url)), "HTTP-Redirect", shown.to_string())
            }
            Outgoing::PostForm { action, fields } => {
                let shown = action.to_string();
                (BrowserStep::PostForm { action: hinted(action).to_string(), fields }, "HTTP-POST", shown)
            }
        }
    }

    pub(super) fn signs_requests(&self) -> bool {
        self.settings().sign_requests || self.settings().idp.want_authn_requests_signed
    }

    /// The class references that the asked `acr` values mean here; without any, those of the connection. What is neither in
    /// the table nor a URI (SAML Core 2.7.2.2) means nothing to the identity provider.
    pub(super) fn context_classes(&self, acr_values: &[String]) -> Vec<String> {
        match self.config.contexts(acr_values) {
            none if none.is_empty() => self.settings().authn_context.clone(),
            classes => classes,
        }
    }
}

/// The application's own comparison goes with its own values.
fn comparison_asked(asked: &UpstreamRequest) -> Option<Comparison> {
    asked.acr_comparison.filter(|_| !asked.acr_values.is_empty())
}

/// The connection's own limit, and one less than what the application permits (SAML Core 3.4.1.5.1).
fn proxy_count(own: Option<u32>, asked: Option<u32>) -> Result<Option<u32>> {
    let Some(asked) = asked else { return Ok(own) };
    let left = asked.checked_sub(1);
    let left = left.ok_or_else(|| Error::new(ErrorKind::ProxyCountExceeded, "The application does not allow others to be asked."))?;
    Ok(Some(own.map_or(left, |own| own.min(left))))
}
