//! What is added to authorization requests (`upstream_params`).

use super::login::gateway_of;
use crate::harness::app::{App, Tokens};
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::op::Op;
use crate::saml_apps::sp::Sp;
use std::process::Command;

const PARAMS: &str = r#"
parameters = { hd = "acme.example" }
[connection.oidc.upstream_params]
screen_hint = { value = "signup" }
who = { alias = "login_hint" }
level = { alias = "acr_values" }
age = { alias = "max_age" }
prompt = { alias = "prompt" }
lang = { alias = "ui_locales" }
size = { alias = "display" }
app = { alias = "client_id" }
kind = { alias = "response_type" }
how = { alias = "response_mode" }
hint = { alias = "id_token_hint" }
"#;

#[tokio::test]
async fn details_h_what_the_application_says_is_passed_on_by_other_names() {
    let op = Op::start().await;
    let (gateway, app) = gateway_of(&op, PARAMS).await;
    let asked = [
        ("login_hint", "jane@acme.example"),
        ("acr_values", "gold"),
        ("max_age", "600"),
        ("prompt", "login consent"),
        ("ui_locales", "de en"),
        ("display", "popup"),
    ];
    let departure = Browser::new().open(app.authorize(&gateway, &asked).as_str()).await.away();
    for (name, expected) in [
        ("hd", Some("acme.example")),
        ("screen_hint", Some("signup")),
        ("who", Some("jane@acme.example")),
        ("level", Some("gold")),
        ("age", Some("600")),
        ("prompt", Some("login consent")),
        ("lang", Some("de en")),
        ("size", Some("popup")),
        ("app", Some("notes")),
        ("kind", Some("code")),
        ("how", Some("query")),
        ("hint", None),
        ("login_hint", Some("jane@acme.example")),
    ] {
        assert_eq!(departure.parameter(name).as_deref(), expected, "{name}");
        assert!(departure.parameters().iter().filter(|(known, _)| known == name).count() <= 1, "{name} twice");
    }
    // What it does not say is not sent, and what the login itself says stays.
    let departure = Browser::new().open(app.authorize(&gateway, &[]).as_str()).await.away();
    for name in ["who", "level", "age", "prompt", "lang", "size", "hint"] {
        assert_eq!(departure.parameter(name), None, "{name}");
    }
    // A hint that is a token goes to the provider that wants it, and into no trace.
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    let code = app.code(&gateway, &op.sign_in(&browser, &departure).await.away());
    let tokens = Tokens::of(&app.redeem(&gateway, &code, &[]).await);
    let again = [("id_token_hint", tokens.id_token()), ("prompt", "login")];
    let departure = browser.open(app.authorize(&gateway, &again).as_str()).await.away();
    assert_eq!(departure.parameter("hint").as_deref(), Some(tokens.id_token()));
    assert!(!gateway.log().contains(tokens.id_token()));
}

#[tokio::test]
async fn details_h_an_application_of_saml_says_the_same_in_its_own_words() {
    let op = Op::start().await;
    let client = App::new("notes");
    let sp = Sp::new("portal");
    let setup = Setup::new().connection(&op.toml("acme", PARAMS)).application(&client.toml("", "")).application(&sp.toml("", ""));
    let gateway = Gateway::start(setup).await;
    let browser = Browser::new();
    let departure = browser.open(sp.redirect(&sp.request(&gateway)).as_str()).await.away();
    assert_eq!((departure.parameter("app").as_deref(), departure.parameter("kind")), (Some("portal"), None));
}

#[test]
fn details_h_what_belongs_to_the_protocol_is_refused_with_its_place() {
    let checked = |connection: &str| {
        let place = tempfile::tempdir().expect("a directory");
        std::fs::write(
            place.path().join("isthmus.toml"),
            format!("issuer = \"http://127.0.0.1:8080\"\n[[connection]]\nname = \"acme\"\n{connection}\n"),
        )
        .expect("a file");
        let output = Command::new(env!("CARGO_BIN_EXE_isthmus")).arg("check").current_dir(place.path()).output().expect("it runs");
        (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    };
    let oidc = "issuer = \"https://op.example\"\nclient_id = \"us\"";
    let oauth2 = "authorization_endpoint = \"https://op.example/a\"\ntoken_endpoint = \"https://op.example/t\"\n\
                  userinfo_endpoint = \"https://op.example/u\"\nclient_id = \"us\"\nsubject = \"id\"";
    for (protocol, settings) in [("oidc", oidc), ("oauth2", oauth2)] {
        for (param, message) in [
            ("state = { value = \"x\" }", "`state` belongs to the protocol"),
            ("nonce = { alias = \"login_hint\" }", "`nonce` belongs to the protocol"),
            ("redirect_uri = { value = \"x\" }", "`redirect_uri` belongs to the protocol"),
            ("client_id = { value = \"x\" }", "`client_id` belongs to the protocol"),
            ("code_challenge = { value = \"x\" }", "`code_challenge` belongs to the protocol"),
            ("request = { value = \"x\" }", "`request` belongs to the protocol"),
            ("x = { alias = \"state\" }", "`state` is nothing that is passed on"),
            ("x = { alias = 7 }", "expected a value or an alias"),
            ("x = \"y\"", "expected a value or an alias"),
            ("x = { value = \"a\", alias = \"prompt\" }", "expected a value or an alias"),
            ("hd = { value = \"a\" }", "`hd` stands in `parameters`, too"),
        ] {
            let toml = format!(
                "[connection.{protocol}]\n{settings}\nparameters = {{ hd = \"a\" }}\n[connection.{protocol}.upstream_params]\n{param}"
            );
            let (good, told) = checked(&toml);
            assert!(!good && told.contains(message), "{protocol} {param}: {told}");
        }
    }
    let (good, told) = checked("[connection.saml.upstream_params]\nx = { value = \"a\" }");
    assert!(!good && told.contains("SAML has no parameters"), "{told}");
}
