//! `sub`: what a client calls a person (OpenID Connect Core 8).
//!
//! A public subject is the user's id. A pairwise one (8.1) is a keyed digest of it, another one in each sector: clients that
//! compare what they know do not find out that they know the same person. It is always computed from the user, never
//! looked up: whoever wants to know whose a pairwise subject is asks whether it is that of this user.

use super::client::ClientFacts;
use super::names::SubjectType;
use crate::error::Result;
use crate::keys::Sealer;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::borrow::Cow;

/// What `client` calls the user. The key is that of the sealer: it is the same at every node, and no rotation of signing
/// keys changes it.
///
/// # Errors
/// When the key cannot be used.
pub fn subject<'u>(client: &ClientFacts, user_id: &'u str, sealer: &Sealer) -> Result<Cow<'u, str>> {
    if client.subject_type == SubjectType::Public {
        return Ok(Cow::Borrowed(user_id));
    }
    // Who returns to no host of its own (a native application) is alone in its sector.
    let (kind, sector) = match &client.sector_identifier {
        Some(host) => ("sector", host.as_str()),
        None => ("client", client.client_id.as_str()),
    };
    let parts = ["oidc pairwise subject", kind, sector, user_id];
    sealer.mac(&parts.map(str::as_bytes)).map(|mac| Cow::Owned(URL_SAFE_NO_PAD.encode(mac)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing::{client, sealer};
    use crate::secret::Secret;

    const JANE: &str = "samlp|acme|jane";

    fn pairwise(client_id: &str, sector: Option<&str>) -> ClientFacts {
        ClientFacts {
            client_id: client_id.to_owned(),
            subject_type: SubjectType::Pairwise,
            sector_identifier: sector.map(str::to_owned),
            ..client()
        }
    }

    #[test]
    fn a_public_subject_is_the_user() {
        assert_eq!(subject(&client(), JANE, &sealer()).expect("made"), JANE);
    }

    #[test]
    fn a_pairwise_subject_belongs_to_user_and_sector() {
        let of = |client_id, sector, user| subject(&pairwise(client_id, sector), user, &sealer()).expect("made").into_owned();
        let here = of("a", Some("one.example"), JANE);
        assert_eq!(here, of("b", Some("one.example"), JANE), "clients of one sector agree");
        assert_ne!(here, of("a", Some("two.example"), JANE));
        assert_ne!(here, of("a", Some("one.example"), "samlp|acme|john"));
        assert_ne!(of("one.example", None, JANE), here, "a client is no sector of the same name");
        assert_ne!(of("a", None, JANE), of("b", None, JANE));
        // Core 2: at most 255 ASCII characters; and nothing of the user shows.
        assert!(here.len() == 43 && here.bytes().all(|byte| byte.is_ascii_graphic()) && !here.contains('|'), "{here}");
    }

    #[test]
    fn it_survives_a_restart_and_belongs_to_the_key() {
        let client = pairwise("a", Some("one.example"));
        let by = |octet| Sealer::new(&Secret::new(vec![octet; 32])).expect("a sealer");
        // A changed value here would make strangers of everybody.
        assert_eq!(subject(&client, JANE, &by(7)).expect("made"), "cc--2fmDr5Gj1UlTUX1OEg1g5mjh1Ua_dPQjlmIiIRA");
        assert_ne!(subject(&client, JANE, &by(8)).expect("made"), subject(&client, JANE, &by(7)).expect("made"));
    }
}
