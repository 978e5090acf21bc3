//! The authorization response on its way: a redirect, or a form that the browser posts.

use crate::oidc::names::ResponseMode;
use url::form_urlencoded;

/// What the browser is told to do with the answer.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthorizationResponse {
    Redirect(String),
    /// OAuth 2.0 Form Post Response Mode: a page that posts `fields` to `action`.
    FormPost {
        action: String,
        fields: Vec<(&'static str, String)>,
    },
}

/// Codes do not print.
impl std::fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Redirect(_) => "Redirect(..)",
            Self::FormPost { .. } => "FormPost(..)",
        })
    }
}

/// Puts response parameters where the mode wants them. The redirect URI itself is kept octet by octet.
pub fn authorization_response(redirect_uri: &str, mode: ResponseMode, params: Vec<(&'static str, String)>) -> AuthorizationResponse {
    let encoded = || form_urlencoded::Serializer::new(String::new()).extend_pairs(&params).finish();
    match mode {
        // RFC 6749 3.1.2: a query of the redirect URI is retained.
        ResponseMode::Query => {
            let separator = match redirect_uri.split_once('?') {
                None => "?",
                Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
                Some(_) => "&",
            };
            AuthorizationResponse::Redirect(format!("{redirect_uri}{separator}{}", encoded()))
        }
        ResponseMode::Fragment => AuthorizationResponse::Redirect(format!("{redirect_uri}#{}", encoded())),
        ResponseMode::FormPost => AuthorizationResponse::FormPost { action: redirect_uri.to_owned(), fields: params },
    }
}

/// A text fit for `error_description` (RFC 6749 4.1.2.1: `%x20-21 / %x23-5B / %x5D-7E`).
pub fn description(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}
