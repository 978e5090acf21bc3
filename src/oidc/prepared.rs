//! Documents that are the same for everybody: made once, served often.

use crate::id;
use std::sync::Arc;

/// A text with the validator by which others ask for a newer one (RFC 9110 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    text: Arc<str>,
    etag: Arc<str>,
}

impl Prepared {
    pub fn new(text: String) -> Self {
        let digest = id::base64url(&id::sha256(text.as_bytes()));
        Self { etag: format!("\"{}\"", digest.get(..22).unwrap_or(&digest)).into(), text: text.into() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn octets(&self) -> Octets {
        Octets(Arc::clone(&self.text))
    }

    /// With its quotation marks.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// Is the copy that somebody has, by its `If-None-Match` header, this one (RFC 9110 13.1.2)?
    pub fn is_known(&self, if_none_match: &str) -> bool {
        let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        if_none_match.trim() == "*" || if_none_match.split(',').take(50).any(|tag| weak(tag) == *self.etag)
    }
}

/// The octets of the text, shared.
#[derive(Clone, Debug)]
pub struct Octets(Arc<str>);

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_by_its_tag_only() {
        let (one, two) = (Prepared::new("one".to_owned()), Prepared::new("two".to_owned()));
        assert_ne!(one.etag(), two.etag());
        assert_eq!(one, Prepared::new("one".to_owned()));
        for known in [one.etag().to_owned(), format!("W/{}", one.etag()), format!("{}, {}", two.etag(), one.etag()), "*".to_owned()] {
            assert!(one.is_known(&known), "{known}");
        }
        for other in [two.etag(), "", one.etag().trim_matches('"'), "\"*\""] {
            assert!(!one.is_known(other), "{other}");
        }
    }
}
