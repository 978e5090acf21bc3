//! Keeps the values of secrets out of logs, errors and changes.

use super::{Change, ScriptError, Scripts};
use crate::secret::Secret;
use crate::user::metadata;
use serde_json::Value;
use std::sync::Arc;

/// Shorter values are too common in other texts.
const SHORTEST: usize = 4;
/// What stands for a secret.
const STARS: &str = "***";
/// Changes of one script that are noted.
const MAX_CHANGES: usize = 50;
/// Characters of a path that is noted.
const MAX_PATH: usize = 300;
/// Octets of a value that is noted.
const MAX_VALUE: usize = 1000;

/// The values of all secrets that the scripts of a run can see, the longest first.
#[derive(Clone, Default)]
pub(super) struct Mask(Vec<Arc<Secret<String>>>);

impl Mask {
    pub(super) fn of<'a>(scripts: &Scripts, steps: impl Iterator<Item = &'a super::Script>) -> Self {
        let mut mask = Self::default();
        let values = scripts.configuration.values().chain(steps.flat_map(|script| script.secrets.values()));
        mask.0 = values.filter(|secret| secret.expose().len() >= SHORTEST).map(|secret| Arc::new(secret.clone())).collect();
        mask.sort();
        mask
    }

    /// The secrets of one script.
    pub(super) fn of_script(script: &super::Script) -> Self {
        Self::of(&Scripts::default(), std::iter::once(script))
    }

    /// Another one, which a script made known to be secret.
    pub(super) fn add(&mut self, value: &str) {
        if value.len() >= SHORTEST && !self.0.iter().any(|known| known.expose() == value) {
            self.0.push(Arc::new(Secret::new(value.to_owned())));
            self.sort();
        }
    }

    pub(super) fn text(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for secret in &self.0 {
            if masked.contains(secret.expose().as_str()) {
                masked = masked.replace(secret.expose().as_str(), STARS);
            }
        }
        masked
    }

    pub(super) fn error(&self, error: ScriptError) -> ScriptError {
        ScriptError { message: self.text(&error.message), ..error }
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => members.iter().map(|(name, value)| (self.text(name), self.value(value))).collect(),
            // A number can be a secret too.
            Value::Number(number) if self.0.iter().any(|secret| *secret.expose() == number.to_string()) => STARS.into(),
            other => other.clone(),
        }
    }

    /// Notes what differs below `path`, member by member, values as they may be shown.
    pub(super) fn differences(&self, path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Change>) {
        if before == after || found.len() >= MAX_CHANGES {
            return;
        }
        if let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) {
            for (name, value) in old {
                self.differences(&format!("{path}.{name}"), Some(value), new.get(name), found);
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                self.differences(&format!("{path}.{name}"), None, Some(value), found);
            }
            return;
        }
        let shown: String = self.text(path).chars().take(MAX_PATH).collect();
        found.push(Change { path: shown, before: self.shown(path, before), after: self.shown(path, after) });
    }

    fn shown(&self, path: &str, value: Option<&Value>) -> Option<Value> {
        let value = value?;
        // The first word is ours: `id_token` holds claims and is no token.
        if path.split('.').skip(1).any(secret_member) && !value.is_null() && !value.is_boolean() {
            return Some("(masked)".into());
        }
        let masked = self.value(&metadata::masked(value));
        let length = serde_json::to_string(&masked).map_or(usize::MAX, |text| text.len());
        Some(if length > MAX_VALUE { format!("({length} octets)").into() } else { masked })
    }

    fn sort(&mut self) {
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
    }
}

/// Also what settings of the SAML answer hold key material.
fn secret_member(name: &str) -> bool {
    metadata::looks_secret(name) || ["key", "cert", "signingCert", "encryptionCert", "encryptionPublicKey"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mask(values: &[&str]) -> Mask {
        let mut mask = Mask::default();
        values.iter().for_each(|value| mask.add(value));
        mask
    }

    #[test]
    fn the_longest_secret_is_replaced_first_and_short_ones_are_not() {
        let mask = mask(&["hunter2", "hunter2-and-more", "abc"]);
        assert_eq!(mask.text("hunter2-and-more hunter2 abc"), "*** *** abc");
    }

    #[test]
    fn claims_of_tokens_are_shown() {
        let mut found = Vec::new();
        let after = json!({ "https://acme.example/tier": 1, "api_key": "zzz" });
        mask(&[]).differences("id_token", Some(&json!({})), Some(&after), &mut found);
        let shown: Vec<_> = found.into_iter().map(|change| change.after).collect();
        assert_eq!(shown, [Some(json!(1)), Some(json!("(masked)"))]);
    }

    #[test]
    fn changes_name_paths_and_hide_what_is_secret() {
        let (before, after) = (
            json!({ "a": 1, "gone": true, "deep": { "x": [1] } }),
            json!({ "a": 2, "deep": { "x": [1, "hunter2"], "api_key": "zzz" }, "big": "x".repeat(2000) }),
        );
        let mut found = Vec::new();
        mask(&["hunter2"]).differences("user", Some(&before), Some(&after), &mut found);
        let found: Vec<_> = found.into_iter().map(|change| (change.path, change.before, change.after)).collect();
        let expected = vec![
            ("user.a".to_owned(), Some(json!(1)), Some(json!(2))),
            ("user.gone".to_owned(), Some(json!(true)), None),
            ("user.deep.x".to_owned(), Some(json!([1])), Some(json!([1, "***"]))),
            ("user.deep.api_key".to_owned(), None, Some(json!("(masked)"))),
            ("user.big".to_owned(), None, Some(json!("(2002 octets)"))),
        ];
        assert_eq!(found, expected);
    }
}
