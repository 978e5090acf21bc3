//! Which passwords people may choose: long enough, not among those that are tried first, not made of who they are.

use super::Weakness;
use crate::connection::password::PASSWORD;
use crate::user::folded;
use std::collections::HashSet;
use std::sync::LazyLock;

/// The rules of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// Characters at least.
    pub min_length: usize,
    /// Of lower case, upper case, digits and others, so many kinds at least.
    pub kinds: usize,
    /// Refuse those that are tried first.
    pub common: bool,
    /// Refuse those that are made of name or address.
    pub personal: bool,
    /// What else is refused as if it were common, in lower case: the organization's name, for instance.
    pub words: Vec<String>,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_length: SHORTEST, kinds: 0, common: true, personal: true, words: Vec::new() }
    }
}

/// Characters that no connection goes below.
pub const SHORTEST: usize = 8;

impl PasswordPolicy {
    /// Whether somebody may have this password. `about`: address, username and names of the person.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check<'a>(&self, password: &str, about: impl IntoIterator<Item = &'a str>) -> Result<(), Weakness> {
        if password.chars().count() < self.min_length {
            return Err(Weakness::Short(self.min_length));
        }
        // Control characters could not be typed into the page for signing in.
        if password.len() > PASSWORD || password.chars().any(char::is_control) {
            return Err(Weakness::Long(PASSWORD));
        }
        if kinds_of(password) < self.kinds {
            return Err(Weakness::Uniform(self.kinds));
        }
        if self.personal && about.into_iter().any(|about| is_made_of(password, about)) {
            return Err(Weakness::Personal);
        }
        if self.common && self.is_common(password) {
            return Err(Weakness::Common);
        }
        Ok(())
    }

    fn is_common(&self, password: &str) -> bool {
        let lower = folded(password);
        let known = |text: &str| COMMON.contains(text) || self.words.iter().any(|word| word == text);
        if is_monotonous(&lower) {
            return true;
        }
        let (bare, unmasked) = (bare(&lower), unmasked(&lower));
        [lower, bare, unmasked].iter().any(|text| {
            let backwards: String = text.chars().rev().collect();
            [text.as_str(), backwards.as_str(), halved(text)].into_iter().any(known)
        })
    }
}

static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("common_passwords.txt").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_ascii_whitespace).collect()
});

fn kinds_of(password: &str) -> usize {
    let is_other = |letter: char| !letter.is_lowercase() && !letter.is_uppercase() && !letter.is_numeric();
    [char::is_lowercase, char::is_uppercase, char::is_numeric, is_other].iter().filter(|is_one| password.chars().any(is_one)).count()
}

/// Is it made of the names and addresses of a person, with little around them? Parts of two letters say nothing of anybody.
fn is_made_of(password: &str, about: &str) -> bool {
    let (password, about) = (folded(password), folded(about));
    let (local, domain) = about.split_once('@').unwrap_or((&about, ""));
    let squeezed = |text: &str| text.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>();
    // Of a domain the host counts: its top says nothing of anybody either.
    let host = domain.split('.').next().unwrap_or_default();
    let parts = local.split(|letter: char| !letter.is_alphanumeric()).chain([about.as_str(), local, host]).map(str::to_owned);
    let mut parts: Vec<String> = parts.chain([squeezed(local)]).filter(|part| part.chars().count() >= 3).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let rest = parts.iter().fold(password.clone(), |rest, part| rest.replace(part.as_str(), ""));
    let (all, left) = (password.chars().count(), rest.chars().count());
    let letters = rest.chars().filter(|letter| letter.is_alphabetic()).count();
    left < all && (left <= AROUND || letters <= 2 || left < all - left)
}

/// Characters around a word that make it no better.
const AROUND: usize = 4;

/// Without the digits and signs at both ends, if they are few.
fn bare(text: &str) -> String {
    let inner = text.trim_matches(|letter: char| !letter.is_alphabetic());
    let around = text.chars().count() - inner.chars().count();
    (if around <= 2 * AROUND && !inner.is_empty() { inner } else { text }).to_owned()
}

/// With letters for the digits and signs that stand for them; what is left of those at the end is dropped.
fn unmasked(text: &str) -> String {
    let trimmed = text.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter.is_ascii_punctuation());
    let tail = text.chars().count() - trimmed.chars().count();
    // `p4ssw0rd1`: the digits of the end are not letters, those in between are.
    let word = if tail <= 2 * AROUND && !trimmed.is_empty() { trimmed } else { text };
    word.chars()
        .filter_map(|letter| match letter {
            '0' => Some('o'),
            '1' | '!' => Some('i'),
            '3' => Some('e'),
            '4' | '@' => Some('a'),
            '5' | '$' => Some('s'),
            '7' | '+' => Some('t'),
            '8' => Some('b'),
            letter if letter.is_alphanumeric() => Some(letter),
            _ => None,
        })
        .collect()
}

/// The half of a text that is written twice.
fn halved(text: &str) -> &str {
    match text.is_char_boundary(text.len() / 2).then(|| text.split_at(text.len() / 2)) {
        Some((one, other)) if one == other => one,
        _ => text,
    }
}

/// Few different characters, or runs along the keyboard, the alphabet or the numbers: for the most part the next character
/// follows from the one before. Dates are of digits alone.
fn is_monotonous(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let different: HashSet<char> = letters.iter().copied().collect();
    let digits = letters.iter().filter(|letter| letter.is_ascii_digit()).count();
    if different.len() <= 3 || (digits + 2 >= letters.len() && letters.len() <= 10) {
        return true;
    }
    let next = |pair: &[char]| matches!(pair, [one, other] if one == other || ROWS.iter().any(|row| neighbours(row, *one, *other)));
    let foreseen = letters.windows(2).filter(|pair| next(pair)).count();
    foreseen * 4 >= (letters.len() - 1) * 3
}

fn neighbours(row: &str, one: char, other: char) -> bool {
    let letters: Vec<char> = row.chars().collect();
    letters.windows(2).any(|pair| pair == [one, other] || pair == [other, one])
}

/// What lies side by side.
const ROWS: [&str; 13] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiopü",
    "yxcvbnm,.-",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
    "!@#$%^&*()",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), Weakness> {
        PasswordPolicy::default().check(password, ["jane.doe@acme.example", "Jane Doe"])
    }

    #[test]
    fn what_is_tried_first_is_refused_in_its_usual_disguises() {
        for common in [
            "password",
            "Password1",
            "P@ssw0rd!",
            "p4ssw0rd123",
            "drowssap1",
            "passpass",
            "iloveyou",
            "Sunshine2024!",
            "qwertzuiop",
            "1q2w3e4r5t",
            "1qaz2wsx",
            "123456789",
            "987654321a",
            "19840512",
            "aaaaaaaab",
            "abcdefghij",
            "Welcome01",
            "!!dragon!!",
            "trustno1",
            "letmein123",
            "correcthorsebatterystaple",
            "TEST1234",
        ] {
            assert_eq!(check(common), Err(Weakness::Common), "{common}");
        }
        for good in ["correct horse", "x7#kTq9v", "blaues Pferd im Schnee", "monkeywrench paradox", "Gr8tBall0fF1reflies", "пароль не тут"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn nobody_s_name_or_address_is_their_password() {
        for personal in ["jane.doe1", "JaneDoe1984", "Jane.123456", "jane.doe@acme.example", "acme2024", "!doejane!"] {
            assert_eq!(check(personal), Err(Weakness::Personal), "{personal}");
        }
        assert_eq!(check("janes purple hovercraft"), Ok(()));
        assert_eq!(check("an example of words"), Ok(()), "the top of the domain is nobody's name");
    }

    #[test]
    fn lengths_kinds_and_the_operator_s_own_words() {
        assert_eq!(check("x7#kTq9"), Err(Weakness::Short(8)));
        assert_eq!(check("пароль"), Err(Weakness::Short(8)), "characters, not octets");
        assert_eq!(check(&"x7#kT q9".repeat(129)), Err(Weakness::Long(1024)));
        assert_eq!(check("x7#kTq9v\n"), Err(Weakness::Long(1024)));
        let strict = PasswordPolicy { min_length: 10, kinds: 3, words: vec!["isthmus".to_owned()], ..PasswordPolicy::default() };
        let check = |password: &str| strict.check(password, []);
        assert_eq!(check("blaues pferd"), Err(Weakness::Uniform(3)));
        assert_eq!(check("Isthmus#2024"), Err(Weakness::Common));
        assert_eq!(check("Blaues pferd"), Ok(()));
        let none = PasswordPolicy { common: false, personal: false, ..PasswordPolicy::default() };
        assert_eq!(none.check("password", ["password"]), Ok(()));
    }
}
