//! `/userinfo` by scope and whole, `/tokeninfo`, and the dialects.

use super::{World, person};
use crate::harness::app::Tokens;
use crate::harness::browser::{Browser, Page};
use crate::harness::gateway::Setup;
use crate::harness::idp::{FAMILY_NAME, GIVEN_NAME};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::{Value, json};

const EMAIL: &str = "jane.doe@acme.example";

fn jane() -> crate::harness::idp::Person {
    person("jane", EMAIL, true).with(GIVEN_NAME, &["Jane"]).with(FAMILY_NAME, &["Doe"])
}

/// Tokens with the scope `openid` alone.
async fn tokens(world: &World) -> Tokens {
    let browser = Browser::new();
    let request = world.ask(&browser, "acme", &[("scope", "openid")]).await;
    world.redeem(world.answer(&browser, "acme", &request, &jane()).await).await
}

pub(super) async fn userinfo(world: &World, access_token: &str, query: &str) -> Page {
    let url = world.gateway.url(&format!("/userinfo{query}"));
    let answer = world.gateway.client().get(url.clone()).bearer_auth(access_token).send().await.expect("an answer");
    Page::read(answer, &url).await
}

pub(super) async fn tokeninfo(world: &World, id_token: &str, dialect: Option<&str>) -> Page {
    let url = world.gateway.url("/tokeninfo");
    let mut asked = json!({ "id_token": id_token });
    if let Some(dialect) = dialect {
        asked["dialect"] = json!(dialect);
    }
    let answer = world.gateway.client().post(url.clone()).json(&asked).send().await.expect("an answer");
    Page::read(answer, &url).await
}

#[tokio::test]
async fn userinfo_gives_what_the_scopes_give() {
    let world = World::new(&[("acme", "")]).await;
    let tokens = tokens(&world).await;
    let answer = userinfo(&world, tokens.access_token(), "").await.json();
    assert_eq!((&answer["sub"], answer.get("email"), answer.get("name")), (&json!("samlp|acme|jane"), None, None));
    assert_eq!(userinfo(&world, tokens.access_token(), "?dialect=auth0").await.status, 400);
    let refused = tokeninfo(&world, tokens.id_token(), None).await;
    assert_eq!((refused.status, refused.json()["error"].clone()), (400, json!("unauthorized_client")));
}

#[tokio::test]
async fn s4_16_a_legacy_application_gets_the_whole_profile_whatever_the_scope() {
    let world = World::with(&[("acme", "")], "legacy_profile = true").await;
    let tokens = tokens(&world).await;
    let answer = userinfo(&world, tokens.access_token(), "").await.json();
    let identity = json!({"connection": "acme", "user_id": "jane", "provider": "samlp", "isSocial": false});
    assert_eq!((&answer["sub"], &answer["user_id"]), (&json!("samlp|acme|jane"), &json!("samlp|acme|jane")));
    assert_eq!((&answer["email"], &answer["email_verified"], &answer["nickname"]), (&json!(EMAIL), &json!(true), &json!("jane.doe")));
    assert_eq!(answer["identities"], json!([identity]));
    // Each request may name another form.
    let gigya = userinfo(&world, tokens.access_token(), "?dialect=gigya").await.json();
    assert_eq!((&gigya["UID"], &gigya["profile"]["firstName"]), (&json!("samlp|acme|jane"), &json!("Jane")));
    assert_eq!(gigya["identities"][0]["isLoginIdentity"], true);
    let logto = userinfo(&world, tokens.access_token(), "?dialect=logto").await.json();
    assert_ne!(logto["identities"], Value::Null, "{logto}");
    assert_eq!(userinfo(&world, tokens.access_token(), "?dialect=klingon").await.status, 400);
    assert_eq!(userinfo(&world, "wrong", "").await.status, 401);
}

#[tokio::test]
async fn s4_17_tokeninfo_answers_for_an_id_token_until_it_expires() {
    let connections: &[(&str, &str)] = &[("acme", "")];
    let setup = Setup { lifetimes: "id_token = 60".to_owned(), ..Setup::new() };
    let world = World::of(setup, connections, "legacy_profile = true\ndialect = \"logto\"").await;
    let tokens = tokens(&world).await;
    let answer = tokeninfo(&world, tokens.id_token(), None).await;
    assert_eq!((answer.status, &answer.json()["sub"]), (200, &json!("samlp|acme|jane")), "{}", answer.body);
    let url = world.gateway.url(&format!("/tokeninfo?id_token={}", tokens.id_token()));
    let by_get = world.gateway.client().get(url.clone()).send().await.expect("an answer");
    assert_eq!(Page::read(by_get, &url).await.json(), answer.json());
    for forged in ["", "x", tokens.access_token(), &tokens.id_token().replace('.', ".a")] {
        assert!([400, 401].contains(&tokeninfo(&world, forged, None).await.status), "{forged}");
    }
    // A blocked user's profile is nobody's business.
    assert_eq!(world.command(&["user", "block", "samlp|acme|jane"]).await.0, 0);
    assert_eq!(tokeninfo(&world, tokens.id_token(), None).await.status, 401);
}

#[tokio::test]
async fn s2_5_gigya_s_identifiers_are_signed_with_the_decoded_partner_secret() {
    let secret = STANDARD.encode(b"a partner's secret");
    let setup = Setup { top_tables: format!("[gigya]\nsign_ids = true\npartner_secret = \"{secret}\""), ..Setup::new() };
    let world = World::of(setup, &[("acme", "")], "legacy_profile = true\ndialect = \"gigya\"").await;
    let tokens = tokens(&world).await;
    let answer = userinfo(&world, tokens.access_token(), "").await.json();
    let identity = &answer["identities"][0];
    let text = |member: &str| identity[member].as_str().unwrap_or_else(|| panic!("no {member} in {identity}")).to_owned();
    let message = format!("{}_{}_{}", text("signatureTimestamp"), text("provider"), text("providerUID"));
    let key = PKey::hmac(b"a partner's secret").unwrap();
    let expected = Signer::new(MessageDigest::sha1(), &key).unwrap().sign_oneshot_to_vec(message.as_bytes()).unwrap();
    assert_eq!(text("providerUIDSig"), STANDARD.encode(expected));
    assert!(!world.gateway.log().contains(&secret));
}

#[tokio::test]
async fn s0_2_an_operator_sees_a_user_in_each_dialect() {
    let world = World::new(&[("acme", "")]).await;
    world.user("acme", &jane()).await;
    let show = async |dialect: &str| {
        let (status, text) = world.command(&["user", "show", "samlp|acme|jane", "--dialect", dialect]).await;
        assert_eq!(status, 0, "{text}");
        serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let logto = show("logto").await;
    let identity = logto["identities"][0].as_object().expect("an identity");
    let keys: Vec<&str> = identity.keys().map(String::as_str).collect();
    assert_eq!(keys, ["provider_type", "provider_name", "social_identity_ref", "username"]);
    assert_eq!(show("auth0").await["identities"][0]["connection"], "acme");
    assert_eq!(show("gigya").await["UID"], "samlp|acme|jane");
    assert_eq!(world.command(&["user", "show", "samlp|acme|jane", "--dialect", "x"]).await.0, 2);
}
