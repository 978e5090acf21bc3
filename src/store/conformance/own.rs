//! People at connections that are the gateway's own, and what a user has of refresh tokens.

use super::logins::{kind, read};
use super::{NOW, login, object, race};
use crate::error::ErrorKind;
use crate::id::random_id;
use crate::store::{Directory, FamilyFilter, NewUser, OwnProfile, RefreshFamily, UserChange};
use crate::user::Identity;
use serde_json::json;
use std::sync::Arc;

pub(super) async fn all(directory: &Arc<dyn Directory>) {
    addresses_and_usernames_are_somebodys_alone(&**directory).await;
    of_many_with_one_address_one_is_made(directory).await;
    families_are_found_page_by_page(&**directory).await;
}

fn at_home(subject: &str) -> Identity {
    Identity { connection: "home".into(), provider: "auth0".into(), user_id: subject.into(), is_social: false }
}

fn person(subject: &str, email: &str, username: &str) -> NewUser {
    let own = OwnProfile {
        profile: object(json!({"email": email, "email_verified": true})),
        email: Some(email.to_owned()),
        email_verified: true,
        username: Some(username.to_owned()),
    };
    NewUser { root: object(json!({"name": subject})), blocked: true, own: Some(own), ..NewUser::bare(at_home(subject)) }
}

async fn addresses_and_usernames_are_somebodys_alone(directory: &dyn Directory) {
    let make = async |user: &NewUser| directory.create_user(user, NOW).await.expect("an answer");
    assert!(make(&person("ann", "ann@home", "ann")).await);
    assert!(!make(&person("other", "ann@home", "other")).await, "the address is taken");
    assert!(!make(&person("other", "other@home", "ann")).await, "the username is taken");
    assert!(make(&person("ben", "ben@home", "ben")).await);
    let ann = read(directory, "auth0|ann").await;
    assert!(ann.blocked);
    assert_eq!((&ann.identities[0].profile["email"], &ann.identities[0].root["name"]), (&json!("ann@home"), &json!("ann")));
    assert_eq!(ann.identities[0].last_login, None);
    assert_eq!(directory.users_by_email("ann@home", 9).await.expect("found").len(), 1);

    let change = |own: OwnProfile| UserChange { own: Some(("home".into(), "ann".into(), own)), ..UserChange::default() };
    for (email, username) in [("ben@home", "ann"), ("ann@home", "ben")] {
        let taken = change(person("ann", email, username).own.expect("given"));
        let refused = directory.update_user("auth0|ann", ann.updated_at, &taken, NOW).await;
        assert_eq!(kind(refused), Some(ErrorKind::AccountConflict));
    }
    assert_eq!(read(directory, "auth0|ann").await, ann, "nothing has changed");
    let free = change(person("ann", "new@home", "new").own.expect("given"));
    directory.update_user("auth0|ann", ann.updated_at, &free, NOW.plus_seconds(1)).await.expect("changed").expect("there");
    assert_eq!(directory.users_by_email("ann@home", 9).await.expect("found"), []);
    assert_eq!(directory.users_by_email("new@home", 9).await.expect("found").len(), 1);
    assert!(make(&person("heir", "ann@home", "ann")).await, "what was given up is free");
    let strangers = UserChange { own: Some(("home".into(), "ben".into(), OwnProfile::default())), ..UserChange::default() };
    let ann = read(directory, "auth0|ann").await;
    assert_eq!(kind(directory.update_user("auth0|ann", ann.updated_at, &strangers, NOW).await), Some(ErrorKind::Conflict));
}

async fn of_many_with_one_address_one_is_made(directory: &Arc<dyn Directory>) {
    let made = race(12, || {
        let directory = Arc::clone(directory);
        async move { directory.create_user(&person(&random_id(), "crowd@home", &random_id()), NOW).await.expect("an answer") }
    });
    assert_eq!(made.await.into_iter().filter(|made| *made).count(), 1);
}

async fn families_are_found_page_by_page(directory: &dyn Directory) {
    let user_id = login(directory, &at_home("many"), json!({}), NOW).await.user_id;
    let mut all: Vec<RefreshFamily> = Vec::new();
    for number in 0..5 {
        let family = RefreshFamily {
            grant_id: format!("found-{number}"),
            client_id: if number == 4 { "wiki".into() } else { "notes".into() },
            user_id: user_id.clone(),
            generation: 0,
            created_at: NOW,
            rotated_at: NOW,
            expires_at: NOW.plus_seconds(if number == 3 { 1 } else { 1000 }),
            data: "{}".into(),
        };
        directory.put_family(&family).await.expect("stored");
        all.push(family);
    }
    directory.revoke_family("found-0").await.expect("revoked");
    let filter = FamilyFilter { user_id: Some(user_id), limit: 10, ..FamilyFilter::default() };
    let found = async |filter: FamilyFilter| {
        let found = directory.families(&filter, NOW.plus_seconds(5)).await.expect("found");
        (found.families, found.total)
    };
    assert_eq!(found(filter.clone()).await, (vec![all[1].clone(), all[2].clone(), all[4].clone()], 3), "neither revoked nor expired");
    assert_eq!(found(FamilyFilter { offset: 1, limit: 1, ..filter.clone() }).await, (vec![all[2].clone()], 3));
    assert_eq!(found(FamilyFilter { client_id: Some("wiki".into()), ..filter.clone() }).await, (vec![all[4].clone()], 1));
    let one = FamilyFilter { grant_id: Some("found-1".into()), limit: 1, ..FamilyFilter::default() };
    assert_eq!(found(one).await, (vec![all[1].clone()], 1));
    for nobody in ["nobody", "\0"] {
        assert_eq!(found(FamilyFilter { user_id: Some(nobody.into()), ..filter.clone() }).await, (Vec::new(), 0));
    }
}
