//! idpyoidc, the library of the OpenID Foundation's first conformance suite: its relying party, by its own configuration.

use super::{HYBRID, House, JANE, Member, ROBOT, SCOPES, SECRET, altered, every_way, jwks, parameters, text};
use crate::harness::eventually;
use crate::harness::peers::{Peer, python_peer};
use serde_json::{Value, json};

fn application(house: &House, member: &Member, preference: &Value) -> Peer {
    let client = json!({"client_id": member.name, "client_secret": SECRET, "redirect_uris": [member.callback()]});
    python_peer("idpyoidc_app.py", &settings(house, member, client, preference))
}

fn settings(house: &House, member: &Member, mut client: Value, more: &Value) -> Value {
    let signed = if member.method == "client_secret_jwt" { "HS256" } else { "PS256" };
    let mut preference = json!({
        "response_types_supported": ["code"], "scopes_supported": SCOPES,
        "token_endpoint_auth_methods_supported": [member.method], "token_endpoint_auth_signing_alg_values_supported": [signed],
        "id_token_signing_alg_values_supported": [member.alg], "post_logout_redirect_uris": [member.bye()],
        "grant_types_supported": ["authorization_code", "implicit", "refresh_token"],
    });
    preference.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client["preference"] = preference;
    let base = format!("https://{}.example", member.name);
    json!({"issuer": house.gateway.issuer(), "base": base, "client": client, "private_key": house.key.key_pem()})
}

async fn tokens(house: &House, peer: &mut Peer, asked: &Value) -> Value {
    let answer = house.walk(&peer.begin(asked)).await;
    peer.ask(&json!({"do": "callback", "answer": parameters(&answer)}))
}

#[tokio::test]
async fn idpyoidc_signs_people_in_and_out_by_every_authentication() {
    let members = every_way();
    let house = House::of(&members, "").await;
    let mut peers: Vec<Peer> = members.iter().map(|member| application(&house, member, &json!({}))).collect();
    let mut states = Vec::new();
    for (member, peer) in members.iter().zip(&mut peers) {
        let first = tokens(&house, peer, &json!({})).await;
        assert_eq!((&first["header"]["alg"], &first["claims"]["sub"]), (&json!(member.alg), &json!(JANE)), "{first}");
        assert_eq!(peer.ask(&json!({"do": "userinfo"}))["claims"]["name"], "Jane Doe");
        let second = peer.ask(&json!({"do": "refresh"}));
        assert_eq!(second["claims"]["sub"], JANE);
        assert_ne!(second["refresh_token"], first["refresh_token"], "it rotates");
        let told = peer.ask(&json!({"do": "introspect", "token": second["access_token"]}));
        assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!(member.name)));
        assert_eq!(peer.ask(&json!({"do": "revoke", "token": second["refresh_token"]}))["status"], 200);
        assert_eq!(peer.ask(&json!({"do": "introspect", "token": second["access_token"]}))["active"], false);
        assert!(peer.try_ask(&json!({"do": "refresh"})).get("error").is_some());
        let asked = peer.ask(&json!({"do": "begin", "parameters": {}}));
        let answer = house.walk(text(&asked, "url")).await;
        peer.ask(&json!({"do": "callback", "answer": parameters(&answer)}));
        states.push(text(&asked, "state").to_owned());
    }
    let leaving = peers[0].ask(&json!({"do": "end_session", "uri": members[0].bye()}));
    let bye = house.browser.open(text(&leaving, "url")).await.away();
    assert_eq!(bye.url.as_str(), format!("{}?state={}", members[0].bye(), text(&leaving, "state")));
    for (index, member) in members.iter().enumerate().skip(1) {
        let token = house.logout_token(member.name).await;
        let read = peers[index].ask(&json!({"do": "logout_token", "logout_token": token}));
        assert!(read["state"].is_string() && !states.is_empty(), "{read}");
        for wrong in [altered(&json!(token)), token.clone()] {
            let judge = if wrong == token { index - 1 } else { index };
            let refused = peers[judge].try_ask(&json!({"do": "logout_token", "logout_token": wrong}));
            assert!(refused.get("error").is_some(), "{refused}");
        }
    }
}

#[tokio::test]
async fn idpyoidc_reads_every_kind_of_authorization_response() {
    let member = Member::new("front", "client_secret_basic", "ES256").with(HYBRID);
    let house = House::of(std::slice::from_ref(&member), "").await;
    let kinds = ["code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"];
    let more = json!({"response_types_supported": kinds, "scopes_supported": ["openid", "email"]});
    let mut peer = application(&house, &member, &more);
    for kind in kinds {
        for mode in ["", "form_post"] {
            let asked =
                if mode.is_empty() { json!({"response_type": kind}) } else { json!({"response_type": kind, "response_mode": mode}) };
            let answer = house.walk(&peer.begin(&asked)).await;
            assert_eq!(answer.form.is_some(), mode == "form_post", "{kind}");
            let read = peer.ask(&json!({"do": "callback", "answer": parameters(&answer)}));
            if kind != "code token" {
                assert_eq!(read["claims"]["sub"], JANE, "{kind} {mode}: {read}");
            }
            if kind != "id_token" {
                assert_eq!(peer.ask(&json!({"do": "userinfo"}))["claims"]["sub"], JANE, "{kind} {mode}");
            }
        }
    }
    // What travels beside the ID token is bound to it.
    for (kind, beside) in [("code id_token", "code"), ("id_token token", "access_token"), ("code id_token", "id_token")] {
        let answer = house.walk(&peer.begin(&json!({"response_type": kind}))).await;
        let mut answer = parameters(&answer);
        answer[beside] = if beside == "id_token" { altered(&answer[beside]).into() } else { "another".into() };
        let refused = peer.try_ask(&json!({"do": "callback", "answer": answer}));
        assert!(refused.get("error").is_some(), "{kind} {beside}: {refused}");
    }
}

#[tokio::test]
async fn idpyoidc_registers_by_itself() {
    for (method, alg) in
        [("client_secret_basic", "RS256"), ("client_secret_post", "ES256"), ("client_secret_jwt", "PS256"), ("private_key_jwt", "EdDSA")]
    {
        let house = House::of(&[], "[registration]\nmode = \"open\"").await;
        let member = Member::new("own", method, alg);
        let client = json!({"redirect_uris": [member.callback()]});
        let mut more = json!({"client_name": "Own", "response_types_supported": ["code", "code id_token"]});
        if method == "private_key_jwt" {
            more["jwks"] = jwks(&house.key);
        }
        let mut peer = python_peer("idpyoidc_app.py", &settings(&house, &member, client, &more));
        let told = peer.ask(&json!({"do": "registered"}));
        assert_eq!((&told["token_endpoint_auth_method"], &told["id_token_signed_response_alg"]), (&json!(method), &json!(alg)), "{told}");
        if method.ends_with("_jwt") {
            // Assertions after its own registration name nobody; it learns who it is by its configuration, as after a restart.
            let client = json!({
                "client_id": told["client_id"], "client_secret": told["client_secret"], "redirect_uris": [member.callback()],
            });
            peer = python_peer("idpyoidc_app.py", &settings(&house, &member, client, &more));
        }
        let read = tokens(&house, &mut peer, &json!({"response_type": "code"})).await;
        assert_eq!((&read["claims"]["aud"], &read["header"]["alg"]), (&json!([told["client_id"]]), &json!(alg)), "{read}");
        assert_eq!(peer.ask(&json!({"do": "userinfo"}))["claims"]["sub"], JANE);
        // It makes its grant types of its response types, and so never registers for refresh tokens.
        let grants = told["grant_types"].as_array().expect("grant types");
        assert!(!grants.contains(&json!("refresh_token")) && read["refresh_token"].is_null(), "{told}");
    }
}

#[tokio::test]
async fn idpyoidc_sends_signed_request_objects() {
    let member = Member::new("key", "private_key_jwt", "ES256").with("require_signed_request_object = true");
    let house = House::of(std::slice::from_ref(&member), "").await;
    // By itself it names an audience `request`, which is nobody; its part for RFC 9101 names us.
    let client = json!({
        "client_id": member.name, "redirect_uris": [member.callback()],
        "add_ons": {"jar": {
            "function": "idpyoidc.client.oauth2.add_on.jar.add_support",
            "kwargs": {"request_type": "request_parameter", "request_object_signing_alg": "PS256"},
        }},
    });
    let mut peer = python_peer("idpyoidc_app.py", &settings(&house, &member, client, &json!({})));
    let url = peer.begin(&json!({}));
    assert!(url.contains("request=ey") && !url.contains("nonce="), "{url}");
    let answer = house.walk(&url).await;
    assert_eq!(peer.ask(&json!({"do": "callback", "answer": parameters(&answer)}))["claims"]["sub"], JANE);
}

#[tokio::test]
async fn idpyoidc_asks_for_programs() {
    let member = Member::new("robot", "client_secret_basic", "RS256").with(ROBOT);
    let house = House::of(std::slice::from_ref(&member), "").await;
    let mut peer = application(&house, &member, &json!({"scopes_supported": ["read:users"]}));
    let audience = format!("{}/api/v2/", house.gateway.issuer());
    let token = peer.ask(&json!({"do": "client_credentials", "parameters": {"audience": audience}}));
    assert_eq!((&token["token_type"], &token["scope"]), (&json!("Bearer"), &json!("read:users")), "{token}");
    let refused = peer.try_ask(&json!({"do": "client_credentials", "parameters": {"audience": "https://other.example/"}}));
    assert!(refused.get("error").is_some(), "{refused}");
}

#[tokio::test]
async fn idpyoidc_finds_the_next_key_by_itself() {
    let member = Member::new("notes", "client_secret_basic", "ES256");
    let house = House::of(std::slice::from_ref(&member), "").await;
    let mut peer = application(&house, &member, &json!({}));
    let before = tokens(&house, &mut peer, &json!({})).await;
    let known = house.key_ids().await;
    house.rotate("oidc-es256").await;
    eventually("another key", async || (house.key_ids().await != known).then_some(())).await;
    let after = peer.ask(&json!({"do": "refresh"}));
    assert_ne!(after["header"]["kid"], before["header"]["kid"]);
    let again = tokens(&house, &mut peer, &json!({})).await;
    assert_eq!(again["header"]["kid"], after["header"]["kid"]);
}

#[tokio::test]
async fn idpyoidc_refuses_what_is_altered_on_the_way() {
    let (member, other) = (Member::new("notes", "client_secret_basic", "RS256"), Member::new("wiki", "client_secret_basic", "RS256"));
    let house = House::of(&[member.clone(), other.clone()], "").await;
    let (mut peer, mut stranger) = (application(&house, &member, &json!({})), application(&house, &other, &json!({})));
    let good = tokens(&house, &mut peer, &json!({})).await;
    let foreign = tokens(&house, &mut stranger, &json!({})).await;
    for (what, replace) in [
        ("the signature", json!({"id_token": altered(&good["id_token"])})),
        ("an ID token of another login", json!({"id_token": good["id_token"]})),
        ("an ID token of another application", json!({"id_token": foreign["id_token"]})),
        ("no ID token", json!({"id_token": "e.e.e"})),
    ] {
        let answer = house.walk(&peer.begin(&json!({}))).await;
        let refused = peer.try_ask(&json!({"do": "callback", "answer": parameters(&answer), "replace": replace}));
        assert!(refused.get("error").is_some(), "{what}: {refused}");
    }
    for name in ["iss", "state", "code"] {
        let answer = house.walk(&peer.begin(&json!({}))).await;
        let mut answer = parameters(&answer);
        answer[name] = format!("{}x", text(&answer, name)).into();
        let refused = peer.try_ask(&json!({"do": "callback", "answer": answer}));
        assert!(refused.get("error").is_some(), "{name}: {refused}");
    }
}
