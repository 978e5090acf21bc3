//! Claims that are asked by name, and what a login must be like.

use super::{EMAIL, id_token, scene_of};
use crate::harness::app::{App, Tokens, userinfo};
use crate::harness::gateway::Setup;
use crate::harness::idp::{Idp, PASSWORD, Person};
use crate::harness::scene::Scene;
use serde_json::json;

const OPENID: (&str, &str) = ("scope", "openid");

#[tokio::test]
async fn claims_come_by_name_where_they_are_asked_and_nowhere_else() {
    let scene = scene_of("").await;
    let claims = json!({
        "userinfo": {"email": {"essential": true}, "phone_number": null, "email#de": null},
        "id_token": {"given_name": null, "auth_time": {"essential": true}, "family_name": {"value": "Somebody"}},
        "claims_locales": "de",
    });
    let asked = claims.to_string();
    let tokens = scene.tokens(&Person::jane(), &[OPENID, ("claims", &asked), ("claims_locales", "de")]).await;
    let said = tokens.claims();
    assert!(said["auth_time"].is_i64() && said["given_name"].is_string(), "{said}");
    assert_eq!((said.get("email"), said.get("family_name")), (None, None), "{said}");
    let told = userinfo(&scene.gateway, tokens.access_token()).await.json();
    assert_eq!(told["email"], EMAIL);
    assert_eq!((told.get("given_name"), told.get("phone_number"), told.get("email#de")), (None, None, None), "{told}");
    // The same in the ID token of the authorization endpoint, also where there is an access token beside it.
    for kind in ["id_token", "id_token token", "code id_token"] {
        let said = id_token(&scene.again(&[OPENID, ("response_type", kind), ("claims", &asked)]).await);
        assert!(said["given_name"].is_string() && said.get("email").is_none(), "{kind}: {said}");
    }
    let (error, _) = scene.app.error(&scene.gateway, &scene.again(&[("claims", r#"{"userinfo":[]}"#)]).await);
    assert_eq!(error, "invalid_request");
}

#[tokio::test]
async fn claims_by_name_outlive_a_refresh() {
    let scene = scene_of("").await;
    let claims = json!({"userinfo": {"email": null}}).to_string();
    let tokens = scene.tokens(&Person::jane(), &[("scope", "openid offline_access"), ("claims", &claims)]).await;
    let refreshed = Tokens::of(&scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await);
    assert_eq!(userinfo(&scene.gateway, refreshed.access_token()).await.json()["email"], EMAIL);
}

#[tokio::test]
async fn a_subject_that_is_asked_must_be_the_one_who_signs_in() {
    let scene = scene_of("").await;
    let tokens = scene.tokens(&Person::jane(), &[]).await;
    let about = |subject: &str| json!({"id_token": {"sub": {"value": subject}}}).to_string();
    let (jane, other) = (about(tokens.claims()["sub"].as_str().unwrap()), about("somebody else"));
    let answer = scene.again(&[("claims", &jane), ("prompt", "none")]).await;
    scene.app.code(&scene.gateway, &answer);
    let answer = scene.again(&[("claims", &other), ("prompt", "none")]).await;
    assert_eq!(scene.app.error(&scene.gateway, &answer).0, "login_required");
    // Whoever signs in now is not the one either.
    let answer = scene.sign_in(&Person::jane(), &[("claims", &other)]).await;
    assert_eq!(scene.app.error(&scene.gateway, &answer).0, "login_required");
}

#[tokio::test]
async fn an_essential_acr_is_reached_or_the_login_has_failed() {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let class = "urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken";
    let acr = format!("[connection.saml.acr]\npwd = \"{PASSWORD}\"\nmfa = \"{class}\"\n");
    let scene = Scene::of(Setup::new().connection(&idp.toml("", &acr)).application(&app.toml("", "")), idp, app).await;
    let essential = |values: &[&str]| json!({"id_token": {"acr": {"essential": true, "values": values}}}).to_string();
    let (mfa, either) = (essential(&["mfa"]), essential(&["mfa", "pwd"]));
    let request = scene.ask(&[("claims", &mfa)]).await;
    assert!(request.xml.contains(class) && request.xml.contains("Comparison=\"exact\""), "{}", request.xml);
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    assert_eq!(scene.app.error(&scene.gateway, &answer).0, "unmet_authentication_requirements");
    assert_eq!(scene.tokens(&Person::jane(), &[("claims", &either)]).await.claims()["acr"], "pwd");
    // The session is good for one of the two, and too weak for the other.
    let answer = scene.again(&[("claims", &either), ("prompt", "none")]).await;
    scene.app.code(&scene.gateway, &answer);
    let answer = scene.again(&[("claims", &mfa), ("prompt", "none")]).await;
    assert_eq!(scene.app.error(&scene.gateway, &answer).0, "login_required");
}

#[tokio::test]
async fn acr_values_that_mean_nothing_to_the_identity_provider_are_voluntary() {
    let scene = scene_of("").await;
    let request = scene.ask(&[("acr_values", "1 2")]).await;
    assert!(!request.xml.contains("RequestedAuthnContext"), "{}", request.xml);
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    scene.app.code(&scene.gateway, &answer);
    let essential = json!({"id_token": {"acr": {"essential": true, "values": ["1", "2"]}}}).to_string();
    let answer = scene.sign_in(&Person::jane(), &[("claims", &essential)]).await;
    assert_eq!(scene.app.error(&scene.gateway, &answer).0, "unmet_authentication_requirements");
}

#[tokio::test]
async fn what_is_registered_holds_where_the_request_does_not_say() {
    let scene = scene_of("default_max_age = 0").await;
    scene.sign_in(&Person::jane(), &[]).await;
    let answer = scene.again(&[("prompt", "none")]).await;
    assert_eq!(scene.app.error(&scene.gateway, &answer).0, "login_required");
    let answer = scene.again(&[("prompt", "none"), ("max_age", "600")]).await;
    scene.app.code(&scene.gateway, &answer);
    assert!(scene.ask(&[]).await.force_authn);
}
