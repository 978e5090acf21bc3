//! Proof Key for Code Exchange (RFC 7636). Only S256; `plain` proves nothing to whoever reads the request.

use crate::error::{Error, ErrorKind, Result};
use crate::id;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

pub const METHOD: &str = "S256";

/// A code challenge of the right form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// RFC 7636 4.2 and 4.3: the pair of parameters, or neither. A missing method would mean `plain`.
    pub fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Option<Self>> {
        let refuse = |why: &str| Err(Error::new(ErrorKind::InvalidRequest, why));
        let Some(challenge) = challenge else {
            return match method {
                None => Ok(None),
                Some(_) => refuse("code_challenge_method came without a code_challenge"),
            };
        };
        if method != Some(METHOD) {
            return refuse("code_challenge_method must be S256");
        }
        match URL_SAFE_NO_PAD.decode(challenge) {
            Ok(bytes) if bytes.len() == 32 => Ok(Some(Self(challenge.to_owned()))),
            _ => refuse("code_challenge is not the base64url text of a SHA-256 digest"),
        }
    }
}

/// RFC 7636 4.2: the challenge that belongs to a verifier.
pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(id::sha256(verifier.as_bytes()))
}

/// RFC 7636 4.6, and RFC 9700 4.8.2: a verifier without a challenge is an attempt to downgrade, as is the reverse.
pub fn verify(challenge: Option<&CodeChallenge>, verifier: Option<&str>) -> Result<()> {
    let refuse = |why: &str| Err(Error::new(ErrorKind::InvalidGrant, why));
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => refuse("a code_verifier came for a code that was issued without a code_challenge"),
        (Some(_), None) => refuse("the code_verifier is missing"),
        (Some(_), Some(verifier)) if !is_verifier(verifier) => refuse("the code_verifier is malformed"),
        (Some(CodeChallenge(challenge)), Some(verifier)) => {
            let computed = challenge_of(verifier);
            if id::eq_constant_time(computed.as_bytes(), challenge.as_bytes()) {
                Ok(())
            } else {
                refuse("the code_verifier does not match")
            }
        }
    }
}

/// RFC 7636 4.1: 43 to 128 unreserved characters.
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing::{CHALLENGE, VERIFIER};

    fn challenge() -> CodeChallenge {
        CodeChallenge::parse(Some(CHALLENGE), Some(METHOD)).expect("well formed").expect("present")
    }

    #[test]
    fn the_example_of_the_rfc_verifies() {
        verify(Some(&challenge()), Some(VERIFIER)).expect("matches");
    }

    #[test]
    fn another_verifier_is_refused() {
        let other = VERIFIER.replace('d', "e");
        assert_eq!(verify(Some(&challenge()), Some(&other)).expect_err("differs").kind, ErrorKind::InvalidGrant);
        // The challenge itself is what an attacker would have seen.
        verify(Some(&challenge()), Some(CHALLENGE)).expect_err("plain");
    }

    #[test]
    fn a_downgrade_is_refused_both_ways() {
        verify(None, None).expect("no PKCE at all");
        assert_eq!(verify(None, Some(VERIFIER)).expect_err("no challenge").kind, ErrorKind::InvalidGrant);
        assert_eq!(verify(Some(&challenge()), None).expect_err("no verifier").kind, ErrorKind::InvalidGrant);
    }

    #[test]
    fn a_malformed_verifier_is_refused() {
        for verifier in ["a".repeat(42), "a".repeat(129), format!("{}+", &VERIFIER[..42]), format!("{}\u{e4}", &VERIFIER[..42])] {
            assert_eq!(verify(Some(&challenge()), Some(&verifier)).expect_err("malformed").detail, "the code_verifier is malformed");
        }
    }

    #[test]
    fn only_s256_and_only_whole_challenges() {
        for (challenge, method) in [
            (Some(CHALLENGE), None),
            (Some(CHALLENGE), Some("plain")),
            (Some(CHALLENGE), Some("s256")),
            (None, Some("S256")),
            (Some(&CHALLENGE[..42]), Some("S256")),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="), Some("S256")),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"), Some("S256")),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN"), Some("S256")),
        ] {
            assert_eq!(CodeChallenge::parse(challenge, method).expect_err("refused").kind, ErrorKind::InvalidRequest);
        }
        assert_eq!(CodeChallenge::parse(None, None).expect("absent"), None);
    }
}
