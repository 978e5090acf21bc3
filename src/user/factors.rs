//! The second factors of an identity, as they are kept beside its password: an authenticator app, and recovery codes for the
//! day on which the phone is lost.
//!
//! The record is a JSON list of one object for each factor, which is the form in which other products hand them over
//! (`mfa_factors`); what is not ours in it stays as it is. It is sealed where it is stored.

use crate::clock::Timestamp;
use crate::id;
use crate::secret::Secret;
use serde_json::{Map, Value, json};

/// Recovery codes that somebody gets at once.
pub const CODES: usize = 10;

/// Letters of one: 50 bits.
const LETTERS: usize = 10;

/// Without letters that are taken for others.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstvwxyz0123456789";

/// All of them.
#[derive(Clone, Default)]
pub struct Factors(Vec<Map<String, Value>>);

/// Secrets do not print.
impl std::fmt::Debug for Factors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().flat_map(Map::keys)).finish()
    }
}

/// What a factor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorKind {
    /// An authenticator app.
    Totp,
    RecoveryCodes,
}

impl FactorKind {
    pub const ALL: [Self; 2] = [Self::Totp, Self::RecoveryCodes];

    /// As the management API calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCodes => "recovery-code",
        }
    }

    /// The member of the record.
    const fn member(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCodes => "recovery",
        }
    }
}

/// A factor as others may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    pub kind: FactorKind,
    /// Absent for one that came from another product.
    pub created_at: Option<Timestamp>,
    /// Recovery codes that are left.
    pub left: Option<usize>,
}

impl Factors {
    /// Reads a record; `None` for what is none.
    pub fn parse(record: &Secret<String>) -> Option<Self> {
        serde_json::from_str(record.expose()).ok().map(Self)
    }

    /// The record.
    pub fn record(&self) -> Secret<String> {
        Secret::new(Value::from_iter(self.0.iter().cloned().map(Value::Object)).to_string())
    }

    /// Nothing is left of it.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret of the app, in base32; `None`: there is no app.
    pub fn secret(&self) -> Option<Secret<String>> {
        self.find(FactorKind::Totp)?.get("secret")?.as_str().map(|secret| Secret::new(secret.to_owned()))
    }

    /// The factors that are ours.
    pub fn list(&self) -> Vec<Factor> {
        let factor = |kind: FactorKind| {
            let found = self.find(kind)?;
            let left = found.get("digests").and_then(Value::as_array).map(Vec::len);
            let created_at = found.get("created_at").and_then(Value::as_i64).map(Timestamp::from_millis);
            Some(Factor { kind, created_at, left })
        };
        FactorKind::ALL.into_iter().filter_map(factor).collect()
    }

    /// Takes in a new app and new recovery codes, in the place of those there were.
    pub fn enrol(&mut self, secret: &Secret<String>, codes: &[Secret<String>], now: Timestamp) {
        let (salt, at) = (id::random_id(), now.millis());
        let digests: Vec<String> = codes.iter().map(|code| digest(&salt, &plain(code.expose()))).collect();
        self.remove(FactorKind::Totp);
        self.remove(FactorKind::RecoveryCodes);
        self.0.extend([
            Map::from_iter([("totp".to_owned(), json!({ "secret": secret.expose(), "created_at": at }))]),
            Map::from_iter([("recovery".to_owned(), json!({ "salt": salt, "digests": digests, "created_at": at }))]),
        ]);
    }

    /// Removes a factor. Without the app its recovery codes are worth nothing: they go with it. `false`: there was none.
    pub fn remove(&mut self, kind: FactorKind) -> bool {
        let before = self.0.len();
        let goes = |known: FactorKind| known == kind || kind == FactorKind::Totp;
        self.0.retain(|item| !FactorKind::ALL.into_iter().any(|known| goes(known) && item.contains_key(known.member())));
        self.0.len() < before
    }

    /// Uses a recovery code up: `true` for one that was there, and is gone now. All are compared, each in the same time.
    pub fn use_code(&mut self, typed: &str) -> bool {
        let typed = plain(typed);
        let Some(recovery) = self.0.iter_mut().find_map(|item| item.get_mut("recovery")) else { return false };
        let salt = recovery.get("salt").and_then(Value::as_str).unwrap_or_default().to_owned();
        let given = digest(&salt, &typed);
        let Some(digests) = recovery.get_mut("digests").and_then(Value::as_array_mut) else { return false };
        let before = digests.len();
        digests.retain(|known| !id::eq_constant_time(known.as_str().unwrap_or_default().as_bytes(), given.as_bytes()));
        digests.len() < before
    }

    fn find(&self, kind: FactorKind) -> Option<&Value> {
        self.0.iter().find_map(|item| item.get(kind.member()))
    }
}

/// New recovery codes, with a hyphen in the middle.
pub fn new_codes() -> Vec<Secret<String>> {
    let code = |_| {
        let letters = id::random_bytes::<LETTERS>().map(|octet| char::from(ALPHABET[usize::from(octet & 31)]));
        let (first, last) = letters.split_at(LETTERS / 2);
        Secret::new(first.iter().chain(&['-']).chain(last).collect())
    };
    (0..CODES).map(code).collect()
}

/// May this be a recovery code?
pub fn is_code(typed: &str) -> bool {
    let typed = plain(typed);
    typed.len() == LETTERS && typed.bytes().all(|octet| ALPHABET.contains(&octet))
}

/// As it counts: without case, hyphens and blanks, and with what else a letter may have been taken for. Cut where no code is
/// that long.
fn plain(typed: &str) -> String {
    let letter = |letter: char| match letter.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    };
    typed.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').take(2 * LETTERS).map(letter).collect()
}

/// The salt is for the case that somebody has all records, and all keys.
fn digest(salt: &str, code: &str) -> String {
    id::digest(&format!("{salt}:{code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn enrolled() -> (Factors, Vec<Secret<String>>) {
        let imported = Secret::new(r#"[{"phone":{"value":"+4930123456"}},{"totp":{"secret":"OLD"}}]"#.to_owned());
        let (mut factors, codes) = (Factors::parse(&imported).expect("a record"), new_codes());
        assert_eq!(factors.list(), [Factor { kind: FactorKind::Totp, created_at: None, left: None }]);
        factors.enrol(&Secret::new("MZXW6".to_owned()), &codes, NOW);
        (Factors::parse(&factors.record()).expect("a record"), codes)
    }

    #[test]
    fn codes_are_ten_of_ten_clear_letters_and_no_two_are_the_same() {
        let mut codes: Vec<String> = new_codes().iter().map(|code| code.expose().clone()).collect();
        assert!(codes.iter().all(|code| code.len() == 11 && is_code(code) && !code.contains(['o', 'i', 'l', 'u'])), "{codes:?}");
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), CODES);
        assert!(!is_code("123456") && !is_code("abcde-fghj") && !is_code("abcde-fghjkm") && !is_code("abcde-fghj!"));
    }

    #[test]
    fn a_code_counts_once_however_it_is_typed() {
        let (mut factors, codes) = enrolled();
        let code = codes.first().expect("a code").expose().to_uppercase().replace('-', " ").replace('0', "o").replace('1', "L");
        assert!(factors.use_code(&code), "{code}");
        assert!(!factors.use_code(&code) && !factors.use_code("") && !factors.use_code("aaaaa-aaaaa"));
        assert_eq!(factors.list().last().and_then(|factor| factor.left), Some(CODES - 1));
        assert!(codes.iter().skip(1).all(|code| factors.use_code(code.expose())));
        assert_eq!(factors.list().last().and_then(|factor| factor.left), Some(0));
    }

    #[test]
    fn what_is_not_ours_stays_and_no_code_stands_in_the_record() {
        let (mut factors, codes) = enrolled();
        let record = factors.record();
        assert!(record.expose().contains("+4930123456") && record.expose().contains("MZXW6") && !record.expose().contains("OLD"));
        assert!(codes.iter().all(|code| !record.expose().contains(&plain(code.expose()))));
        assert_eq!(format!("{factors:?}"), r#"["phone", "totp", "recovery"]"#);
        let [app, recovery] = factors.list().try_into().expect("two");
        assert_eq!(
            (app.kind, app.created_at, recovery.kind, recovery.left),
            (FactorKind::Totp, Some(NOW), FactorKind::RecoveryCodes, Some(10))
        );
        let mut fewer = factors.clone();
        assert!(fewer.remove(FactorKind::RecoveryCodes) && !fewer.remove(FactorKind::RecoveryCodes) && fewer.secret().is_some());
        assert!(factors.remove(FactorKind::Totp) && factors.secret().is_none() && factors.list().is_empty() && !factors.is_empty());
    }

    #[test]
    fn what_is_no_record_is_none() {
        for text in ["", "{}", "[1]", "null"] {
            assert!(Factors::parse(&Secret::new(text.to_owned())).is_none(), "{text}");
        }
    }
}
