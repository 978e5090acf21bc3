//! Applications that keep our JWKS for as long as they may, while keys rotate on two nodes.

use super::*;
use crate::broker::live::{Checked, Fault, Known, Made, Maker};
use crate::oidc::{AlgKeys, ClientJwks, ClientSigningAlg, SigningAlg};
use serde_json::json;
use std::collections::HashSet;

const OIDC: Purpose = Purpose::OidcEs256;
const BY: By<'_> = By { actor: "cli:jane", correlation_id: "c" };

/// Reads keys and nothing else, as the configuration does.
struct KeysOnly;

impl Maker for KeysOnly {
    fn make(&self, _kind: &str, id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
        let purpose = purpose_of(id).expect("keys of ours");
        let keys = SigningKeys::read(body).and_then(|keys| keys.prepare(&known.gateway.keyring, purpose, known.now)).expect("good keys");
        Ok(Checked { made: Made::OidcKeys(Arc::new(AlgKeys::new(&keys).expect("prepared"))), warnings: Vec::new() })
    }

    fn until(&self, _kind: &str, body: &Map<String, Value>, now: Timestamp) -> Option<Timestamp> {
        SigningKeys::read(body).ok()?.next_change(now)
    }
}

/// An application that asks for the JWKS when what it has is as old as Cache-Control allows, and not before.
struct Application {
    jwks: ClientJwks,
    fetched_at: i64,
    /// Keys by which it has verified a token since.
    good: HashSet<String>,
}

impl Application {
    fn new(node: &Live, now: i64) -> Self {
        let set: Value = serde_json::from_str(node.gateway().keys.public().jwks_json()).expect("JSON");
        Self { jwks: ClientJwks::parse(&set).expect("a set"), fetched_at: now, good: HashSet::new() }
    }

    fn verify(&mut self, kid: &str, token: &str, what: &str) {
        if !self.good.contains(kid) {
            let verified = self.jwks.verify(token, &[ClientSigningAlg::ES256]);
            assert!(verified.is_ok(), "{what}: {verified:?}, the JWKS is of second {}", self.fetched_at);
            self.good.insert(kid.to_owned());
        }
    }
}

#[tokio::test]
async fn no_application_ever_meets_a_key_that_it_cannot_know() {
    const BEGIN: i64 = 1_800_000_000;
    let at = |second: i64| Timestamp::from_seconds(BEGIN + second);
    let base = crate::broker::tests::gateway().await;
    let nodes = [(); 2].map(|()| Live::new(base.clone(), Vec::new(), Arc::new(KeysOnly)));
    // One that comes in every second of five minutes, to one node or the other.
    let mut applications: Vec<Option<Application>> = (0..JWKS_KEPT).map(|_| None).collect();
    let mut kids = HashSet::new();
    let claims = json!({"sub": "jane"}).as_object().cloned().expect("claims");
    for second in 0..1700 {
        // The second node learns of everything two seconds late, which is as late as it may.
        nodes[0].refresh(at(second)).await.expect("read");
        if second % 3 == 2 {
            nodes[1].refresh(at(second)).await.expect("read");
        }
        if [350, 700, 1050].contains(&second) {
            rotate(&nodes[0], OIDC, Rotation::default(), BY, at(second)).await.unwrap_or_else(|_| panic!("rotated at {second}"));
        }
        let tokens: Vec<(String, String)> = nodes
            .iter()
            .map(|node| {
                let keys = Arc::clone(&node.gateway().keys);
                let signer = keys.signer(SigningAlg::ES256).expect("a key");
                (signer.key_id().to_owned(), signer.sign(&claims).expect("signed"))
            })
            .collect();
        kids.extend(tokens.iter().map(|(kid, _)| kid.clone()));
        for (phase, application) in applications.iter_mut().enumerate() {
            let due = application.as_ref().map_or(second == phase as i64, |known| second - known.fetched_at > JWKS_KEPT);
            if due {
                *application = Some(Application::new(&nodes[(second as usize + phase) % 2], second));
            }
            for (kid, token) in &tokens {
                if let Some(application) = application {
                    application.verify(kid, token, &format!("second {second}, application {phase}"));
                }
            }
        }
    }
    assert_eq!(kids.len(), 4, "three rotations");
}
