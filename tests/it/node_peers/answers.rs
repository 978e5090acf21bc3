//! Every response type and mode that the libraries know, and answers that are encrypted.

use super::{Application, LIBRARIES, Library, Stage, arrival};
use crate::harness::browser::Departure;
use serde_json::{Value, json};
use url::Url;

#[tokio::test]
async fn npm_libraries_read_every_response_type_and_mode() {
    let oidc = "response_types = [\"code\", \"id_token\", \"code id_token\"]";
    for script in LIBRARIES {
        let application = |kind: &str| Application::new("client_secret_basic", oidc).told(json!({"response_type": kind}));
        let mut stage = Stage::new(Library::new(script), &[application("code")], |_| ()).await;
        for (kind, mode) in [
            ("code", "query"),
            ("code", "form_post"),
            ("id_token", "fragment"),
            ("id_token", "form_post"),
            ("code id_token", "fragment"),
            ("code id_token", "form_post"),
        ] {
            stage.become_application(&application(kind));
            let request = || json!({"parameters": {"response_mode": mode, "max_age": "600"}});
            let answer = stage.answer(request()).await;
            assert_eq!(answer.form.is_some(), mode == "form_post", "{script} {kind} {mode}");
            let mut command = arrival(&answer);
            command["max_age"] = json!(600);
            let told = stage.ask("callback", command);
            assert_eq!(told["claims"]["sub"], "samlp|acme|zoë-2", "{script} {kind} {mode}: {told}");
            if kind != "code" {
                let changes: &[&str] = if kind == "id_token" { &["id_token"] } else { &["id_token", "code"] };
                for name in changes {
                    let answer = stage.answer(request()).await;
                    let refused = stage.refuses("callback", altered(&answer, name));
                    let why = if *name == "code" { "c_hash" } else { "signature" };
                    assert!(refused.contains(why), "{script} {kind} {mode} {name}: {refused}");
                }
            }
        }
    }
}

/// The answer with another octet near the end of one parameter.
fn altered(answer: &Departure, name: &str) -> Value {
    let mut parameters = answer.parameters();
    let value = &mut parameters.iter_mut().find(|(known, _)| known == name).expect("the parameter").1;
    let at = value.len() - 3;
    let other = if &value[at..=at] == "A" { "B" } else { "A" };
    value.replace_range(at..=at, other);
    if answer.form.is_some() {
        return json!({"url": answer.url.as_str(), "form": parameters});
    }
    let mut url: Url = answer.url.clone();
    let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    url.set_fragment(Some(&text));
    json!({"url": url.as_str()})
}

#[tokio::test]
async fn npm_libraries_decrypt_id_tokens_and_user_info_and_verify_what_is_inside() {
    for script in LIBRARIES {
        let mut library = Library::new(script);
        let rows = [("ECDH-ES", "A128CBC-HS256"), ("ECDH-ES+A256KW", "A256GCM"), ("RSA-OAEP-256", "A256CBC-HS512")];
        let mut applications = Vec::new();
        for (number, (alg, enc)) in rows.into_iter().enumerate() {
            let name = format!("decrypt-{number}");
            let keys = library.keys(&[(&name, alg)]);
            let of = |what: &str| format!("{what}_encrypted_response_alg = \"{alg}\"\n{what}_encrypted_response_enc = \"{enc}\"\n");
            let oidc = format!("{keys}{}{}userinfo_signed_response_alg = \"ES256\"", of("id_token"), of("userinfo"));
            let settings = json!({
                "decrypt": [enc], "decryption_key": name, "metadata": {"userinfo_signed_response_alg": "ES256"},
            });
            applications.push(Application::new("client_secret_basic", &oidc).named(&format!("notes-{number}")).told(settings));
        }
        let mut stage = Stage::new(library, &applications, |_| ()).await;
        for (application, (alg, _)) in applications.iter().zip(rows) {
            stage.become_application(application);
            let tokens = stage.whole_login(json!({})).await;
            assert_eq!(tokens["id_token"].as_str().map(|token| token.split('.').count()), Some(5), "{script} {alg}: it is encrypted");
            // To another key than the application's.
            stage.library.key(application.settings["decryption_key"].as_str().expect("a name"), alg);
            stage.become_application(application);
            let answer = stage.answer(json!({})).await;
            let refused = stage.refuses("callback", arrival(&answer));
            assert!(refused.contains("decrypt"), "{script} {alg}: {refused}");
        }
    }
}
