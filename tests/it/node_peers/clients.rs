//! How the libraries prove which application they are, to which key their tokens are bound, and how they register.

use super::{Application, LIBRARIES, Library, Stage, arrival};
use crate::api::command;
use crate::harness::browser::Browser;
use crate::harness::idp::Person;
use crate::harness::keys::Pair;
use crate::harness::peers::node_peer;
use serde_json::{Value, json};

/// Methods, with the algorithm of the application's key and that of its ID tokens.
const METHODS: [(&str, Option<&str>, &str); 9] = [
    ("client_secret_basic", None, "RS256"),
    ("client_secret_post", None, "PS256"),
    ("client_secret_jwt", None, "ES256"),
    ("private_key_jwt", Some("RS256"), "ES384"),
    ("private_key_jwt", Some("PS256"), "EdDSA"),
    ("private_key_jwt", Some("ES256"), "RS256"),
    ("private_key_jwt", Some("ES384"), "PS256"),
    ("private_key_jwt", Some("Ed25519"), "ES256"),
    ("none", None, "EdDSA"),
];

#[tokio::test]
async fn npm_libraries_prove_who_they_are_in_every_way() {
    for script in LIBRARIES {
        let mut library = Library::new(script);
        let applications: Vec<Application> = METHODS
            .iter()
            .enumerate()
            .map(|(number, (method, alg, signed))| {
                let name = format!("notes-{number}");
                let keys = alg.map_or_else(String::new, |alg| library.keys(&[(&name, alg)]));
                let oidc = format!("{keys}id_token_signed_response_alg = \"{signed}\"");
                Application::new(method, &oidc).named(&name).told(json!({"alg": signed}))
            })
            .collect();
        let mut stage = Stage::new(library, &applications, |_| ()).await;
        for (application, (method, alg, _)) in applications.iter().zip(METHODS) {
            stage.become_application(application);
            stage.whole_login(json!({})).await;
            // With another secret or key the same is refused, and the code with it.
            match alg {
                Some(alg) => drop(stage.library.key(&application.client_id, alg)),
                None if method == "none" => continue,
                None => {}
            }
            let mut settings = application.settings(&stage.gateway);
            settings["client_secret"] = json!("another secret of the same length");
            stage.ask("start", json!({"settings": settings}));
            let answer = stage.answer(json!({})).await;
            let refused = stage.refuses("callback", arrival(&answer));
            assert!(refused.contains("invalid_client") || refused.contains("CHALLENGE"), "{script} {method} {alg:?}: {refused}");
        }
    }
}

#[tokio::test]
async fn npm_libraries_get_tokens_that_are_bound_to_their_keys() {
    for script in LIBRARIES {
        for (alg, nonce) in [("ES256", false), ("Ed25519", true)] {
            let mut library = Library::new(script);
            library.key("dpop", alg);
            let told = || json!({"dpop": "dpop"});
            let bound = "dpop_bound_access_tokens = true";
            let applications =
                [Application::new("client_secret_basic", bound).told(told()), Application::new("none", "").named("public").told(told())];
            let mut stage = Stage::new(library, &applications, |setup| setup.top = format!("dpop_nonce = {nonce}")).await;
            for application in &applications {
                stage.become_application(application);
                let tokens = stage.whole_login(json!({})).await;
                assert_eq!(tokens["token_type"].as_str().map(str::to_lowercase).as_deref(), Some("dpop"));
                // Whoever finds the tokens has another key.
                let userinfo = stage.gateway.url("/userinfo");
                assert_eq!(stage.ask("resource", json!({"url": userinfo.as_str()}))["status"], 200, "{script}");
                stage.library.key("dpop", alg);
                stage.become_application(application);
                let refused = stage.refuses("resource", json!({"url": userinfo.as_str()}));
                assert!(refused.contains("CHALLENGE"), "{script}: {refused}");
                if application.auth == "none" {
                    assert!(stage.refuses("refresh", json!({})).starts_with("invalid_grant"), "{script}");
                }
            }
            // Without a proof, the library gets nothing.
            stage.become_application(&Application::new("client_secret_basic", bound));
            let answer = stage.answer(json!({})).await;
            let refused = stage.refuses("callback", arrival(&answer));
            assert!(refused.contains("invalid_dpop_proof"), "{script}: {refused}");
        }
    }
}

#[tokio::test]
async fn npm_libraries_prove_who_they_are_by_certificates() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("tls.crt");
    for script in LIBRARIES {
        let (tls, own, other) = (Pair::rsa("localhost"), Pair::ec("notes"), Pair::ec("notes"));
        std::fs::write(&file, tls.certificate_pem()).expect("written");
        let keys = format!("jwks = {{ keys = [{{ kty = \"EC\", x5c = [\"{}\"] }}] }}", own.certificate_base64());
        let oidc = format!("{keys}\ntls_client_certificate_bound_access_tokens = true\nid_token_signed_response_alg = \"ES256\"");
        let certificate = |pair: &Pair| json!({"key": pair.key_pem(), "certificate": pair.certificate_pem()});
        let settings = json!({"alg": "ES256", "certificate": certificate(&own)});
        let applications = ["", "\nsecurity_profile = \"fapi2\""].map(|profile| {
            let name = if profile.is_empty() { "notes" } else { "bank" };
            Application::new("self_signed_tls_client_auth", &format!("{oidc}{profile}")).named(name).told(settings.clone())
        });
        let library = Library { peer: node_peer(script, Some(&file)) };
        let mut stage = Stage::new(library, &applications, |setup| {
            *setup = setup.clone().secure(&tls);
            setup.top_tables = "[client_certificates]".to_owned();
        })
        .await;
        stage.browser = Browser::trusting(&tls.certificate_pem());
        for application in &applications {
            stage.become_application(application);
            stage.whole_login(json!({"pushed": true})).await;
            // The token is worth nothing to who has another certificate, and the application is not who it says.
            let mut settings = application.settings(&stage.gateway);
            settings["certificate"] = certificate(&other);
            stage.ask("start", json!({"settings": settings}));
            let userinfo = stage.gateway.url("/userinfo");
            let refused = stage.refuses("resource", json!({"url": userinfo.as_str()}));
            assert!(refused.contains("CHALLENGE"), "{script}: {refused}");
            assert!(stage.refuses("refresh", json!({})).contains("invalid_client"), "{script}");
            assert!(stage.refuses("begin", json!({"pushed": true})).contains("invalid_client"), "{script}");
        }
    }
}

#[tokio::test]
async fn npm_libraries_register_themselves() {
    for script in LIBRARIES {
        let mut stage = Stage::new(Library::new(script), &[], |setup| {
            setup.top_tables = "[registration]\nmode = \"initial_access_token\"\n".to_owned();
        })
        .await;
        let output = command(&stage.gateway, &["registration", "token", "--uses", "5", "--json"]).await;
        let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let redirect = "https://wiki.example/cb";
        let key = stage.library.key("own", "PS256");
        for method in ["client_secret_basic", "client_secret_post", "private_key_jwt"] {
            let settings = json!({"issuer": stage.gateway.issuer(), "redirect_uri": redirect, "alg": "ES256", "key": "own"});
            let metadata = json!({
                "jwks": {"keys": [key]},
                "redirect_uris": [redirect], "client_name": "Wiki", "token_endpoint_auth_method": method,
                "grant_types": ["authorization_code", "refresh_token"], "id_token_signed_response_alg": "ES256",
            });
            let refused = stage.refuses("register", json!({"settings": settings, "metadata": metadata, "token": "wrong"}));
            assert!(refused.contains("invalid_token") || refused.contains("CHALLENGE"), "{script}: {refused}");
            let told = stage.ask("register", json!({"settings": settings, "metadata": metadata, "token": made["token"]}));
            assert_eq!(
                (&told["registered"]["client_name"], told["secret"].is_string()),
                (&json!("Wiki"), method != "private_key_jwt"),
                "{told}"
            );
            // Nobody here answers for it, so people are asked.
            let browser = Browser::new();
            let url = stage.ask("begin", json!({}))["url"].as_str().expect("an address").to_owned();
            let request = stage.idp.read(&browser.open(&url).await.away());
            let response = stage.idp.respond(&request, &Person::zoe());
            let page = browser.post(&response.from, &response.to, &response.fields()).await.here();
            let answer = browser.press(&page, "Allow").await.away();
            let tokens = stage.ask("callback", arrival(&answer));
            assert_eq!(tokens["claims"]["email"], "zoe@acme.example", "{script}");
            stage.ask("userinfo", json!({}));
            assert_ne!(stage.ask("refresh", json!({}))["refresh_token"], tokens["refresh_token"]);
        }
        let metadata = json!({"redirect_uris": ["http://wiki.example/cb"]});
        let settings = json!({"issuer": stage.gateway.issuer()});
        let refused = stage.refuses("register", json!({"settings": settings, "metadata": metadata, "token": made["token"]}));
        assert!(refused.contains("invalid_redirect_uri"), "{script}: {refused}");
    }
}
