//! Partners out of living metadata.

use super::*;

#[test]
fn subjects_of_two_identity_providers_are_never_the_same() {
    let (mut seen, parts) = (std::collections::HashSet::new(), ["a", "a!b", "a!", "!", "a%21b", "a%", "a%25", "https://x.example/!%"]);
    for entity_id in parts {
        for subject in parts {
            let user_id = subject_at(entity_id, subject);
            assert_eq!(entity_of(&user_id).as_deref(), Some(entity_id), "{user_id}");
            assert!(seen.insert(user_id), "{entity_id} and {subject}");
        }
    }
    assert_eq!(subject_at("https://idp.example/shibboleth", "jane"), "https://idp.example/shibboleth!jane");
    assert_eq!(entity_of("jane"), None);
}
