//! What an application has asked, in the words of OpenID Connect, whichever protocol it speaks.

use crate::connection::upstream_params::Alias;
use crate::login::{LoginTransaction, ReplyTo};

/// All that was said. What was not is absent.
pub(super) fn said(transaction: &LoginTransaction) -> Vec<(Alias, String)> {
    let asked = &transaction.asked;
    let joined = |texts: &[String]| (!texts.is_empty()).then(|| texts.join(" "));
    let prompts = [("none", asked.passive), ("login", asked.fresh_login), ("select_account", asked.choose), ("consent", asked.consent)];
    let prompts: Vec<&str> = prompts.into_iter().filter(|(_, said)| *said).map(|(name, _)| name).collect();
    let redirect = match &transaction.reply_to {
        ReplyTo::Oidc(redirect) => Some(redirect),
        ReplyTo::Saml(_) | ReplyTo::Device(_) => None,
    };
    let all = [
        (Alias::AcrValues, joined(&asked.acr_values)),
        // RFC 8707 and Auth0's SDKs name the same thing.
        (Alias::Audience, asked.audience.clone()),
        (Alias::Resource, asked.audience.clone()),
        (Alias::ClientId, Some(transaction.client_id.clone())),
        (Alias::Display, asked.display.map(|display| display.as_str().to_owned())),
        (Alias::IdTokenHint, asked.id_token_hint.as_ref().map(|hint| hint.expose().to_owned())),
        (Alias::LoginHint, asked.login_hint.clone()),
        (Alias::MaxAge, asked.max_age.map(|seconds| seconds.to_string())),
        (Alias::Prompt, (!prompts.is_empty()).then(|| prompts.join(" "))),
        (Alias::ResponseMode, redirect.map(|redirect| redirect.mode().as_str().to_owned())),
        (Alias::ResponseType, redirect.map(|_| asked.response_type.as_str().to_owned())),
        (Alias::UiLocales, joined(&asked.ui_locales)),
    ];
    all.into_iter().filter_map(|(alias, value)| Some((alias, value?))).collect()
}
