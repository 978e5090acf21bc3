//! What people have agreed to.

use super::{NOW, identity, login};
use crate::error::ErrorKind;
use crate::id::random_id;
use crate::store::{ConsentFilter, ConsentRecord, Directory};
use serde_json::json;
use std::sync::Arc;

pub(super) async fn all(directory: &Arc<dyn Directory>) {
    a_consent_is_found_changed_and_ended(&**directory).await;
    a_consent_ends_with_its_user(&**directory).await;
}

fn consent(user_id: &str, client_id: &str, audience: &str, scopes: &[&str]) -> ConsentRecord {
    ConsentRecord {
        consent_id: random_id(),
        user_id: user_id.to_owned(),
        client_id: client_id.to_owned(),
        audience: audience.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        claims: vec!["birthdate".to_owned()],
        created_at: NOW,
        changed_at: NOW,
    }
}

async fn a_consent_is_found_changed_and_ended(directory: &dyn Directory) {
    let user_id = login(directory, &identity("agrees"), json!({}), NOW).await.user_id;
    let (first, second) = (consent(&user_id, "games", "", &["openid", "email"]), consent(&user_id, "games", "https://api", &["openid"]));
    for consent in [&first, &second, &consent(&user_id, "maps", "", &["openid"])] {
        directory.put_consent(consent).await.expect("kept");
    }
    let read = async |client_id: &str, audience: &str| directory.consent(&user_id, client_id, audience).await.expect("an answer");
    assert_eq!(read("games", "").await, Some(first.clone()));
    assert_eq!(read("games", "https://api").await, Some(second.clone()));
    assert_eq!((read("games", "https://other").await, read("other", "").await, read("\0", "").await), (None, None, None));

    let more = ConsentRecord { scopes: vec!["openid".into(), "phone".into()], changed_at: NOW.plus_seconds(9), ..first.clone() };
    directory.put_consent(&ConsentRecord { consent_id: random_id(), created_at: NOW.plus_seconds(9), ..more.clone() }).await.expect("kept");
    assert_eq!(read("games", "").await, Some(more.clone()), "its id and its beginning stay");

    let filter = ConsentFilter { user_id: Some(user_id.clone()), limit: 10, ..ConsentFilter::default() };
    let found = async |filter: ConsentFilter| {
        let found = directory.consents(&filter).await.expect("found");
        (found.consents.into_iter().map(|consent| (consent.client_id, consent.audience)).collect::<Vec<_>>(), found.total)
    };
    let pair = |client_id: &str, audience: &str| (client_id.to_owned(), audience.to_owned());
    assert_eq!(found(filter.clone()).await, (vec![pair("games", ""), pair("games", "https://api"), pair("maps", "")], 3));
    assert_eq!(found(ConsentFilter { offset: 1, limit: 1, ..filter.clone() }).await, (vec![pair("games", "https://api")], 3));
    assert_eq!(found(ConsentFilter { client_id: Some("maps".into()), ..filter.clone() }).await, (vec![pair("maps", "")], 1));
    assert_eq!(found(ConsentFilter { audience: Some("https://api".into()), ..filter.clone() }).await.1, 1);
    assert_eq!(found(ConsentFilter { consent_id: Some(second.consent_id.clone()), ..filter.clone() }).await.1, 1);
    assert_eq!(found(ConsentFilter { client_id: Some("\0".into()), ..filter.clone() }).await, (Vec::new(), 0));

    assert!(directory.end_consent(&first.consent_id).await.expect("ended"));
    assert!(!directory.end_consent(&first.consent_id).await.expect("an answer"));
    assert!(!directory.end_consent("\0").await.expect("an answer"));
    assert_eq!((read("games", "").await, found(filter).await.1), (None, 2));
}

async fn a_consent_ends_with_its_user(directory: &dyn Directory) {
    let user_id = login(directory, &identity("agrees-and-goes"), json!({}), NOW).await.user_id;
    directory.put_consent(&consent(&user_id, "games", "", &["openid"])).await.expect("kept");
    assert!(directory.delete_user(&user_id).await.expect("deleted"));
    assert_eq!(directory.consent(&user_id, "games", "").await.expect("an answer"), None);
    let late = directory.put_consent(&consent(&user_id, "games", "", &["openid"])).await;
    assert_eq!(late.map_err(|error| error.kind), Err(ErrorKind::NotFound));
}
