//! The identifiers subject-id and pairwise-id (SAML V2.0 Subject Identifier Attributes Profile 1.0).

/// The two attributes, by their only names.
pub(super) const ATTRIBUTES: [&str; 2] = ["urn:oasis:names:tc:SAML:attribute:subject-id", "urn:oasis:names:tc:SAML:attribute:pairwise-id"];

/// Characters on each side of the `@`.
const LENGTH: usize = 127;

/// The value in the form in which it is compared: in lower case. `None` for what is not built as it must be.
// 3.3.2, 3.4.2: <uniqueID> "@" <scope>; values that differ in case only are the same.
pub(super) fn canonical(value: &str) -> Option<String> {
    let (unique, scope) = value.split_once('@')?;
    let built = |part: &str, more: &[u8]| {
        let starts = part.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        starts && part.len() <= LENGTH && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    (built(unique, b"=-") && built(scope, b"-.")).then(|| value.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_built_as_the_profile_says_is_an_identifier_and_case_tells_nothing() {
        assert_eq!(canonical("IDm123ab3@Osu.EDU").as_deref(), Some("idm123ab3@osu.edu"));
        assert_eq!(canonical("1=-@1-.x").as_deref(), Some("1=-@1-.x"));
        let long = "a".repeat(LENGTH);
        assert!(canonical(&format!("{long}@{long}")).is_some());
        for wrong in
            ["", "a", "@b", "a@", "-a@b", "=a@b", "a@-b", "a@.b", "a b@c", "a@b@c", "a_b@c", "a@b_c", " a@b", "a@b ", "\u{e9}@b", "a@b=c"]
        {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
        assert_eq!(canonical(&format!("{long}a@b")), None);
        assert_eq!(canonical(&format!("a@{long}b")), None);
    }
}
