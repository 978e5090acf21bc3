//! What a person did not allow at the provider.

/// The permissions that were requested and not granted, in the order of the request (S2-20).
///
/// Scope names are compared exactly (RFC 6749 3.3: case sensitive), `openid` and its like among them. A provider that
/// does not say what it granted (`None`) granted all: RFC 6749 5.1 lets it leave out `scope` only then.
pub fn missing_permissions(requested: &[&str], granted: Option<&[&str]>) -> Vec<String> {
    let Some(granted) = granted else { return Vec::new() };
    let mut missing: Vec<String> = Vec::new();
    for permission in requested {
        if !granted.contains(permission) && !missing.iter().any(|known| known == permission) {
            missing.push((*permission).to_owned());
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_20_what_is_missing_is_requested_minus_granted_in_the_order_of_the_request() {
        let requested = ["openid", "Actions", "email", "Status", "Photos", "Status"];
        assert_eq!(missing_permissions(&requested, Some(&["email", "openid", "unasked"])), ["Actions", "Status", "Photos"]);
        assert_eq!(missing_permissions(&requested, Some(&["OPENID", "email", "Actions", "Status", "Photos"])), ["openid"]);
        assert_eq!(missing_permissions(&["a"], Some(&[])), ["a"]);
    }

    #[test]
    fn s2_20_a_provider_that_does_not_say_granted_all() {
        assert!(missing_permissions(&["openid", "email"], None).is_empty());
        assert!(missing_permissions(&[], Some(&["email"])).is_empty());
    }
}
