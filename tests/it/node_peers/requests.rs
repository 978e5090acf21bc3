//! Requests that the libraries sign, encrypt and push.

use super::{Application, LIBRARIES, Library, REDIRECT, Stage, arrival, bare};
use serde_json::{Value, json};

/// Ways to ask, as the scripts are told; the last two are for a library that encrypts.
fn ways() -> [Value; 5] {
    let encrypted = |alg: &str, enc: &str| json!({"signed": true, "encrypted": {"alg": alg, "enc": enc}});
    let mut pushed = encrypted("ECDH-ES", "A256GCM");
    pushed["pushed"] = json!(true);
    [
        json!({"pushed": true}),
        json!({"signed": true}),
        json!({"signed": true, "pushed": true}),
        encrypted("RSA-OAEP-256", "A128CBC-HS256"),
        pushed,
    ]
}

#[tokio::test]
async fn npm_libraries_sign_encrypt_and_push_their_requests() {
    for script in LIBRARIES {
        let mut library = Library::new(script);
        let keys = library.keys(&[("notes", "ES256")]);
        let mut stage = Stage::new(library, &[Application::new("client_secret_basic", &keys)], |_| ()).await;
        let encrypts = script == "oauth4webapi.mjs";
        for way in ways().into_iter().filter(|way| encrypts || way.get("encrypted").is_none()) {
            let url = stage.ask("begin", way.clone())["url"].as_str().expect("an address").to_owned();
            let inside = if way.get("pushed").is_some() { "request_uri=" } else { "request=" };
            assert!(url.contains(inside) && !url.contains("redirect_uri"), "{url}");
            stage.whole_login(way).await;
        }
        // Signed with a key that is not registered.
        stage.library.key("notes", "ES256");
        let url = stage.ask("begin", json!({"signed": true}))["url"].as_str().expect("an address").to_owned();
        let answer = stage.browser.open(&url).await.here();
        assert!(answer.status == 400, "{}", answer.body);
        let refused = stage.refuses("begin", json!({"signed": true, "pushed": true}));
        assert!(refused.starts_with("invalid_request_object"), "{script}: {refused}");
    }
}

#[tokio::test]
async fn npm_libraries_push_where_nothing_else_is_taken() {
    for script in LIBRARIES {
        let mut library = Library::new(script);
        let keys = library.keys(&[("notes", "PS256")]);
        let oidc = format!("{keys}require_pushed_authorization_requests = true\nrequire_signed_request_object = true");
        let mut stage = Stage::new(library, &[Application::new("client_secret_post", &oidc)], |_| ()).await;
        for way in [json!({}), json!({"signed": true})] {
            let url = stage.ask("begin", way)["url"].as_str().expect("an address").to_owned();
            let landed = stage.browser.open(&url).await;
            let refused = match landed {
                crate::harness::browser::Landed::Away(answer) => {
                    assert!(answer.url.as_str().starts_with(REDIRECT), "{}", answer.url);
                    answer.parameter("error").is_some()
                }
                crate::harness::browser::Landed::Here(page) => page.status == 400,
            };
            assert!(refused, "{script}");
        }
        assert!(stage.refuses("begin", json!({"pushed": true})).starts_with("invalid_request"), "{script}");
        stage.whole_login(json!({"signed": true, "pushed": true})).await;
        let plain = stage.browser.open(bare().authorize(&stage.gateway, &[]).as_str()).await.away();
        assert!(plain.parameter("error").is_some());
    }
}

#[tokio::test]
async fn npm_libraries_keep_to_fapi() {
    for script in LIBRARIES {
        let mut library = Library::new(script);
        // The algorithms of FAPI 2.0 Security Profile 5.4.1, for assertions, request objects and proofs.
        let applications = ["ES256", "PS256", "Ed25519"].map(|alg| {
            let (name, proofs) = (format!("notes-{alg}"), format!("proofs-{alg}"));
            library.key(&proofs, alg);
            let oidc = format!("{}security_profile = \"fapi2\"\ndpop_bound_access_tokens = true", library.keys(&[(&name, alg)]));
            Application::new("private_key_jwt", &oidc).named(&name).told(json!({"alg": "ES256", "dpop": proofs}))
        });
        let mut stage = Stage::new(library, &applications, |setup| setup.top = "dpop_nonce = true".to_owned()).await;
        for application in &applications {
            stage.become_application(application);
            for way in [json!({"pushed": true}), json!({"pushed": true, "signed": true})] {
                let tokens = stage.whole_login(way).await;
                assert_eq!(tokens["token_type"].as_str().map(str::to_lowercase).as_deref(), Some("dpop"), "{script}");
            }
            let answer = stage.answer(json!({})).await;
            let refused = stage.refuses("callback", arrival(&answer));
            assert!(refused.starts_with("invalid_request"), "{script}: what was not pushed: {refused}");
        }
    }
}
