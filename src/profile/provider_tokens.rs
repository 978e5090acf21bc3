//! What a provider gave with a login to be asked with later, on behalf of the person. Kept sealed, by connections that say so.

use crate::clock::Timestamp;
use crate::secret::Secret;
use serde_json::{Map, Value, json};

/// Tokens of a provider.
#[derive(Clone, Debug)]
pub struct ProviderTokens {
    pub access_token: Secret<String>,
    pub refresh_token: Option<Secret<String>>,
    /// Until when the access token is good, where the provider says so.
    pub expires_at: Option<Timestamp>,
    /// What was granted, in the provider's words.
    pub scope: Option<String>,
}

impl ProviderTokens {
    /// With nothing but what is always there.
    pub const fn bare(access_token: Secret<String>) -> Self {
        Self { access_token, refresh_token: None, expires_at: None, scope: None }
    }

    /// In the form in which they are sealed.
    pub fn written(&self) -> Secret<String> {
        let mut members = Map::from_iter([("access_token".to_owned(), json!(self.access_token.expose()))]);
        let refresh_token = self.refresh_token.as_ref().map(|token| json!(token.expose()));
        let others = [
            ("refresh_token", refresh_token),
            ("expires_at", self.expires_at.map(|at| json!(at.seconds()))),
            ("scope", self.scope.as_ref().map(|scope| json!(scope))),
        ];
        members.extend(others.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Secret::new(Value::Object(members).to_string())
    }

    /// What [`Self::written`] wrote; `None` for anything else.
    pub fn read(written: &Secret<String>) -> Option<Self> {
        let members: Map<String, Value> = serde_json::from_str(written.expose()).ok()?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            access_token: Secret::new(text("access_token")?),
            refresh_token: text("refresh_token").map(Secret::new),
            expires_at: members.get("expires_at").and_then(Value::as_i64).map(Timestamp::from_seconds),
            scope: text("scope"),
        })
    }

    /// Seconds for which the access token is good from `now` on; 0 where that is over.
    pub fn expires_in(&self, now: Timestamp) -> Option<i64> {
        self.expires_at.map(|at| at.seconds_since(now).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn what_is_written_is_read_and_what_is_absent_stays_absent() {
        let bare = ProviderTokens::bare(Secret::new("at".to_owned()));
        assert_eq!(bare.written().expose(), r#"{"access_token":"at"}"#);
        let read = ProviderTokens::read(&bare.written()).expect("its own form");
        assert!(read.refresh_token.is_none() && read.expires_in(NOW).is_none() && read.scope.is_none());
        let whole = ProviderTokens {
            refresh_token: Some(Secret::new("rt".to_owned())),
            expires_at: Some(NOW.plus_seconds(60)),
            scope: Some("a b".to_owned()),
            ..bare
        };
        let read = ProviderTokens::read(&whole.written()).expect("its own form");
        assert_eq!(read.refresh_token.as_ref().map(|token| token.expose().as_str()), Some("rt"));
        assert_eq!((read.expires_in(NOW), read.expires_in(NOW.plus_seconds(90)), read.scope.as_deref()), (Some(60), Some(0), Some("a b")));
        let shown = format!("{read:?}");
        assert!(!shown.contains("\"at\"") && !shown.contains("\"rt\""), "{shown}");
        assert!(ProviderTokens::read(&Secret::new("[]".to_owned())).is_none());
    }
}
