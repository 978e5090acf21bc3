//! authlib: its own application object, by discovery.

use super::{DEVICE, HYBRID, House, JANE, Member, ROBOT, SECRET, altered, every_way, parameters, text};
use crate::harness::browser::Browser;
use crate::harness::eventually;
use crate::harness::idp::Person;
use crate::harness::peers::{Peer, python_peer};
use serde_json::{Value, json};

fn application(house: &House, member: &Member, more: &Value) -> Peer {
    let mut settings = json!({
        "issuer": house.gateway.issuer(), "client_id": member.name, "client_secret": SECRET, "auth_method": member.method,
        "alg": member.alg, "redirect_uri": member.callback(), "private_key": house.key.key_pem(),
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    python_peer("authlib_app.py", &settings)
}

async fn tokens(house: &House, peer: &mut Peer, how: &Value) -> Value {
    let url = peer.ask(how);
    let answer = house.walk(text(&url, "url")).await;
    peer.ask(&json!({"do": "callback", "url": answer.url.as_str()}))
}

#[tokio::test]
async fn authlib_signs_people_in_and_out_by_every_authentication() {
    let members = every_way();
    let house = House::of(&members, "").await;
    let mut peers: Vec<Peer> = members.iter().map(|member| application(&house, member, &json!({}))).collect();
    let mut ids = Vec::new();
    for (member, peer) in members.iter().zip(&mut peers) {
        assert_eq!(peer.ask(&json!({"do": "discovery"}))["issuer"], json!(house.gateway.issuer()));
        let first = tokens(&house, peer, &json!({"do": "begin", "parameters": {}})).await;
        assert_eq!((&first["alg"], &first["claims"]["sub"]), (&json!(member.alg), &json!(JANE)), "{first}");
        assert_eq!(peer.ask(&json!({"do": "userinfo"}))["claims"]["name"], "Jane Doe");
        let second = peer.ask(&json!({"do": "refresh"}));
        assert_eq!(second["claims"]["sub"], JANE);
        assert_ne!(second["refresh_token"], first["refresh_token"], "it rotates");
        let told = peer.ask(&json!({"do": "introspect", "token": second["access_token"]}));
        assert_eq!((&told["active"], &told["client_id"], &told["sub"]), (&json!(true), &json!(member.name), &json!(JANE)));
        // With the refresh token everything that came of it ends.
        assert_eq!(peer.ask(&json!({"do": "revoke", "token": second["refresh_token"]}))["status"], 200);
        assert_eq!(peer.ask(&json!({"do": "introspect", "token": second["access_token"]})), json!({"active": false}));
        assert_eq!(peer.try_ask(&json!({"do": "refresh"}))["error"], "invalid_grant");
        ids.push(tokens(&house, peer, &json!({"do": "begin", "parameters": {}})).await["claims"]["sid"].clone());
    }
    let leaving = peers[0].ask(&json!({"do": "end_session", "uri": members[0].bye()}));
    let bye = house.browser.open(text(&leaving, "url")).await.away();
    assert_eq!(bye.url.as_str(), format!("{}?state={}", members[0].bye(), text(&leaving, "state")));
    for (index, member) in members.iter().enumerate().skip(1) {
        let token = house.logout_token(member.name).await;
        let read = peers[index].ask(&json!({"do": "logout_token", "logout_token": token}));
        assert_eq!((&read["claims"]["sid"], &read["claims"]["sub"]), (&ids[index], &json!(JANE)));
        // It is for this application, and as it was signed.
        let other = peers[index - 1].try_ask(&json!({"do": "logout_token", "logout_token": token}));
        assert!(other.get("error").is_some(), "{other}");
        let changed = peers[index].try_ask(&json!({"do": "logout_token", "logout_token": altered(&json!(token))}));
        assert!(changed.get("error").is_some(), "{changed}");
    }
    let url = peers[0].begin(&json!({"prompt": "none"}));
    let answer = house.browser.open(&url).await.away();
    assert_eq!(answer.parameter("error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn authlib_pushes_its_requests_and_signs_them() {
    let members = every_way();
    let house = House::of(&members, "").await;
    for member in &members {
        let mut peer = application(&house, member, &json!({}));
        tokens(&house, &mut peer, &json!({"do": "begin_pushed", "parameters": {}})).await;
    }
    let mut peer = application(&house, &members[3], &json!({}));
    let read = tokens(&house, &mut peer, &json!({"do": "begin_object", "parameters": {}})).await;
    assert_eq!(read["claims"]["aud"], json!(members[3].name));
}

#[tokio::test]
async fn authlib_reads_tokens_of_the_authorization_response() {
    let member = Member::new("front", "client_secret_basic", "ES256").with(HYBRID);
    let house = House::of(std::slice::from_ref(&member), "").await;
    let mut peer = application(&house, &member, &json!({"scope": "openid email"}));
    for kind in ["id_token", "id_token token", "code id_token", "code id_token token"] {
        for mode in ["fragment", "form_post"] {
            let url = peer.begin(&json!({"response_type": kind, "response_mode": mode}));
            let answer = house.walk(&url).await;
            assert_eq!(answer.form.is_some(), mode == "form_post", "{kind}");
            let answer = parameters(&answer);
            let read = peer.ask(&json!({"do": "front", "answer": answer}));
            assert_eq!(read["claims"]["sub"], JANE, "{kind} {mode}");
            // What travels beside the ID token is bound to it.
            for beside in ["code", "access_token"].into_iter().filter(|name| answer.get(*name).is_some()) {
                let mut other = answer.clone();
                other[beside] = "another".into();
                let refused = peer.try_ask(&json!({"do": "front", "answer": other}));
                assert_eq!(refused["error"], "invalid_claim", "{kind} {beside}: {refused}");
            }
        }
    }
}

#[tokio::test]
async fn authlib_asks_for_programs_and_for_devices() {
    let (robot, device) =
        (Member::new("robot", "client_secret_post", "RS256").with(ROBOT), Member::new("tv", "client_secret_basic", "RS256").with(DEVICE));
    let house = House::of(&[robot.clone(), device.clone()], "").await;
    let mut peer = application(&house, &robot, &json!({"scope": "read:users"}));
    let audience = format!("{}/api/v2/", house.gateway.issuer());
    let token = peer.ask(&json!({"do": "client_credentials", "parameters": {"audience": audience}}));
    assert_eq!((&token["token_type"], &token["scope"]), (&json!("Bearer"), &json!("read:users")));
    let refused = peer.try_ask(&json!({"do": "client_credentials", "parameters": {"audience": "https://other.example/"}}));
    assert!(refused.get("error").is_some(), "{refused}");

    let mut peer = application(&house, &device, &json!({}));
    let shown = peer.ask(&json!({"do": "device"}));
    assert_eq!(peer.try_ask(&json!({"do": "poll"}))["error"], "authorization_pending");
    let browser = Browser::new();
    let page = browser.open(text(&shown, "verification_uri_complete")).await.here();
    let away = browser.press(&page, "Continue").await.away();
    let answer = house.idp.respond(&house.idp.read(&away), &Person::jane());
    let page = browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
    browser.press(&page, "Connect the device").await.here();
    tokio::time::sleep(std::time::Duration::from_secs(shown["interval"].as_u64().expect("seconds"))).await;
    assert_eq!(peer.ask(&json!({"do": "poll"}))["claims"]["sub"], JANE);
    assert_eq!(peer.ask(&json!({"do": "userinfo"}))["claims"]["sub"], JANE);
}

#[tokio::test]
async fn authlib_finds_the_next_key_by_itself() {
    let member = Member::new("notes", "client_secret_basic", "ES256");
    let house = House::of(std::slice::from_ref(&member), "").await;
    let mut peer = application(&house, &member, &json!({}));
    let before = tokens(&house, &mut peer, &json!({"do": "begin", "parameters": {}})).await;
    let known = house.key_ids().await;
    house.rotate("oidc-es256").await;
    eventually("another key", async || (house.key_ids().await != known).then_some(())).await;
    let after = peer.ask(&json!({"do": "refresh"}));
    assert_ne!(after["kid"], before["kid"]);
    assert!(!known.contains(&text(&after, "kid").to_owned()), "the library had not seen it");
    // What the old key has signed is still good as a hint.
    let url = peer.begin(&json!({"prompt": "none", "id_token_hint": before["id_token"]}));
    assert!(house.browser.open(&url).await.away().parameter("code").is_some());
}

#[tokio::test]
async fn authlib_refuses_what_is_altered_on_the_way() {
    let (member, other) = (Member::new("notes", "client_secret_basic", "RS256"), Member::new("wiki", "client_secret_basic", "RS256"));
    let house = House::of(&[member.clone(), other.clone()], "").await;
    let (mut peer, mut stranger) = (application(&house, &member, &json!({})), application(&house, &other, &json!({})));
    let begin = json!({"do": "begin", "parameters": {}});
    let good = tokens(&house, &mut peer, &begin).await;
    let foreign = tokens(&house, &mut stranger, &begin).await;
    for (what, replace, error) in [
        ("the signature", json!({"id_token": altered(&good["id_token"])}), "bad_signature"),
        ("an ID token of another login", json!({"id_token": good["id_token"]}), "invalid_claim"),
        ("an ID token of another application", json!({"id_token": foreign["id_token"]}), "invalid_claim"),
        ("another access token", json!({"access_token": good["access_token"]}), "invalid_claim"),
    ] {
        let answer = house.walk(&peer.begin(&json!({}))).await;
        let refused = peer.try_ask(&json!({"do": "callback", "url": answer.url.as_str(), "replace": replace}));
        assert_eq!(refused["error"], error, "{what}: {refused}");
    }
    for (what, from, to) in [("iss", "iss=", "iss=x"), ("state", "state=", "state=x")] {
        let answer = house.walk(&peer.begin(&json!({}))).await;
        let changed = answer.url.as_str().replace(from, to);
        assert_eq!(peer.try_ask(&json!({"do": "callback", "url": changed}))["error"], "AssertionError", "{what}");
    }
    let answer = house.walk(&peer.begin(&json!({}))).await;
    let changed = answer.url.as_str().replace("code=", "code=x");
    assert_eq!(peer.try_ask(&json!({"do": "callback", "url": changed}))["error"], "invalid_grant");
}
