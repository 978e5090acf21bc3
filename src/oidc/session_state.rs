//! OpenID Connect Session Management 1.0: what an application's page may ask our frame, without a round trip, is whether the
//! person's session here is still the one that it knows.
//!
//! The browser state is a value of the session that scripts of ours can read; the state that an application gets is a salted
//! hash over it, so that no two applications, and no two answers, can be compared.

use super::authorization::AuthorizationResponse;
use crate::id;
use url::{Url, form_urlencoded};

/// `session_state` (section 3): hash and salt, parted by a full stop. `browser_state` is empty where nobody is signed in.
/// `None` for an address without origin, such as one of a native application, which has no pages that could ask.
pub fn session_state(client_id: &str, redirect_uri: &str, browser_state: &str) -> Option<String> {
    let origin = Url::parse(redirect_uri).ok()?.origin();
    origin.is_tuple().then(|| salted(client_id, &origin.ascii_serialization(), browser_state, &id::random_id()))
}

/// What the frame's script computes too.
fn salted(client_id: &str, origin: &str, browser_state: &str, salt: &str) -> String {
    format!("{}.{salt}", id::digest(&format!("{client_id} {origin} {browser_state} {salt}")))
}

impl AuthorizationResponse {
    /// The same answer with `session_state`: success or error, wherever its mode has the others.
    #[must_use]
    pub fn with_session_state(self, client_id: &str, browser_state: &str) -> Self {
        const NAME: &str = "session_state";
        let of = |address: &str| session_state(client_id, address, browser_state);
        match self {
            Self::Redirect(url) => {
                let Some(value) = of(&url) else { return Self::Redirect(url) };
                // Whatever the mode, the parameters of an answer are at the end.
                let pair = form_urlencoded::Serializer::new(String::new()).append_pair(NAME, &value).finish();
                Self::Redirect(format!("{url}&{pair}"))
            }
            Self::FormPost { action, mut fields } => {
                fields.extend(of(&action).map(|value| (NAME, value)));
                Self::FormPost { action, fields }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::authorization::authorization_response;
    use crate::oidc::names::ResponseMode;

    const CALLBACK: &str = "https://notes.example:8443/callback";

    #[test]
    fn is_the_salted_hash_of_client_origin_and_browser_state() {
        let state = session_state("notes", CALLBACK, "b").expect("an origin");
        let (hash, salt) = state.split_once('.').expect("hash and salt");
        assert_eq!(hash, id::digest(&format!("notes https://notes.example:8443 b {salt}")));
        assert!(!state.contains(' ') && salt.len() >= 32);
        assert_ne!(session_state("notes", CALLBACK, "b"), Some(state), "each has a salt of its own");
        assert_eq!(session_state("app", "com.example.app:/callback", "b"), None);
    }

    #[test]
    fn every_part_changes_the_hash() {
        let all = [("n", "https://a", "b", "s"), ("m", "https://a", "b", "s"), ("n", "https://c", "b", "s"), ("n", "https://a", "", "s")];
        let mut hashes: Vec<_> = all.map(|(client, origin, state, salt)| salted(client, origin, state, salt)).to_vec();
        hashes.dedup();
        assert_eq!(hashes.len(), all.len());
    }

    #[test]
    fn stands_where_the_other_parameters_of_an_answer_stand() {
        for (mode, part) in [(ResponseMode::Query, '?'), (ResponseMode::Fragment, '#')] {
            let answer = authorization_response(CALLBACK, mode, vec![("code", "c".to_owned()), ("iss", "i".to_owned())]);
            let AuthorizationResponse::Redirect(url) = answer.with_session_state("notes", "b") else { panic!("a redirect") };
            let (address, parameters) = url.split_once(part).expect("parameters");
            let pairs: Vec<_> = form_urlencoded::parse(parameters.as_bytes()).into_owned().collect();
            assert_eq!((address, pairs[0].1.as_str(), pairs[2].0.as_str()), (CALLBACK, "c", "session_state"));
            assert_eq!(pairs[2].1.split('.').next().map(str::len), Some(64));
        }
        let answer = authorization_response(CALLBACK, ResponseMode::FormPost, vec![("error", "login_required".to_owned())]);
        let AuthorizationResponse::FormPost { fields, .. } = answer.with_session_state("notes", "") else { panic!("a form") };
        assert_eq!(fields.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["error", "session_state"]);
    }
}
