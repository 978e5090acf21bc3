//! The pages about accounts in headless Chromium: by keyboard alone, from right to left, on a narrow screen, in the dark.

use super::database::PASSWORD;
use crate::harness::app::App;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::smtp::Smtp;
use crate::harness::web::{Asked, Site};
use crate::harness::webdriver::{Chromium, ENTER, TAB};
use serde_json::json;

const NARROW: u32 = 320;

/// Nothing hangs over the edge, the text stands out, the language is said, every field has a label and what describes it.
async fn is_readable(chromium: &Chromium, language: &str, direction: &str) {
    let page = chromium
        .run(
            "const style = getComputedStyle(document.body), root = document.documentElement; \
             const light = text => text.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0); \
             const fields = [...document.querySelectorAll('input:not([type=hidden]):not([hidden])')]; \
             const described = [...document.querySelectorAll('[aria-describedby]')].flatMap(at => at.getAttribute('aria-describedby').trim().split(/ +/)); \
             return [root.lang, getComputedStyle(root).direction, root.scrollWidth <= window.innerWidth, \
             light(style.color) - light(style.backgroundColor) > 300, document.querySelectorAll('h1').length, \
             fields.every(field => field.labels.length === 1), described.every(id => document.getElementById(id))]",
        )
        .await;
    assert_eq!(page, json!([language, direction, true, true, 1, true, true]), "{}", chromium.text().await);
}

async fn write(chromium: &Chromium, text: &str) {
    let letters: Vec<String> = text.chars().map(String::from).collect();
    chromium.press(&letters.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn an_account_is_made_proven_and_given_another_password_by_keyboard_alone() {
    let smtp = Smtp::start();
    let application = Site::start(|asked: &Asked| {
        let outcome = if asked.parameters().contains_key("code") { "You are signed in" } else { "You are not signed in" };
        format!("<!doctype html><title>Notes</title><h1>{outcome}</h1>")
    })
    .await;
    let app = App { callback: format!("http://127.0.0.1:{}/callback", application.port), ..App::new("notes") };
    let people = "name = \"people\"\ndisplay_name = \"Acme\"\n[connection.database]\nsign_up = true\nrequire_verified_email = true\n";
    let setup = Setup { host: "localhost", top_tables: smtp.toml(), ..Setup::new() };
    let gateway = Gateway::start(setup.connection(people).application(&app.toml("", ""))).await;
    let chromium = Chromium::start().await;
    chromium.looks_like(NARROW, "dark").await;
    chromium.open(app.authorize(&gateway, &[("ui_locales", "ar")]).as_str()).await;
    chromium.wait_for_url(gateway.url("/login/password").as_str()).await;
    is_readable(&chromium, "ar", "rtl").await;
    // The name has the focus: password, button, the link for another password, the one for an account.
    chromium.press(&[TAB, TAB, TAB, TAB]).await;
    chromium.press(&[ENTER]).await;
    chromium.wait_for_url(gateway.url("/login/sign-up").as_str()).await;
    is_readable(&chromium, "ar", "rtl").await;
    write(&chromium, "jane@acme.example").await;
    chromium.press(&[TAB]).await;
    write(&chromium, "password1").await;
    chromium.press(&[ENTER]).await;
    let refused = chromium.run("return document.querySelector('[role=alert]').textContent").await;
    assert!(refused.as_str().is_some_and(|text| !text.is_ascii()), "{refused}");
    is_readable(&chromium, "ar", "rtl").await;
    // The address is there, and the password has the focus.
    write(&chromium, PASSWORD).await;
    chromium.press(&[ENTER]).await;
    let mail = smtp.wait_for("jane@acme.example", 1).await;
    assert!(!mail.text.is_ascii(), "in the language of the page: {}", mail.text);
    chromium.open(&mail.link()).await;
    is_readable(&chromium, "ar", "rtl").await;
    chromium.press(&[TAB, ENTER]).await;
    is_readable(&chromium, "ar", "rtl").await;
    assert!(chromium.element("h1").await.len() > 1);
    // Another password, in German.
    chromium.open(app.authorize(&gateway, &[("ui_locales", "de")]).as_str()).await;
    chromium.press(&[TAB, TAB, TAB, ENTER]).await;
    chromium.wait_for_url(gateway.url("/login/reset").as_str()).await;
    is_readable(&chromium, "de", "ltr").await;
    write(&chromium, "jane@acme.example").await;
    chromium.press(&[ENTER]).await;
    let mail = smtp.wait_for("jane@acme.example", 2).await;
    chromium.open(&mail.link()).await;
    is_readable(&chromium, "de", "ltr").await;
    write(&chromium, "a wholly new one").await;
    chromium.press(&[ENTER]).await;
    assert!(chromium.text().await.contains("Ihr Passwort ist geändert"), "{}", chromium.text().await);
    chromium.open(app.authorize(&gateway, &[]).as_str()).await;
    write(&chromium, "jane@acme.example").await;
    chromium.press(&[TAB]).await;
    write(&chromium, "a wholly new one").await;
    chromium.press(&[ENTER]).await;
    chromium.wait_for_url(&app.callback).await;
    assert_eq!(chromium.text().await, "You are signed in");
    let complaints = chromium.complaints().await;
    assert!(complaints.is_empty(), "the browser complains: {complaints:?}");
    chromium.quit().await;
}

#[tokio::test]
async fn whoever_reads_the_mail_elsewhere_proves_the_account_or_disowns_it_by_keyboard_alone() {
    let (smtp, app) = (Smtp::start(), App::new("notes"));
    let setup = Setup { host: "localhost", top_tables: smtp.toml(), ..Setup::new() };
    let people = "name = \"people\"\ndisplay_name = \"Acme\"\n[connection.database]\nsign_up = true\n";
    let gateway = Gateway::start(setup.connection(people).application(&app.toml("", ""))).await;
    let chromium = Chromium::start().await;
    chromium.looks_like(NARROW, "dark").await;
    let mut links = Vec::new();
    for email in ["jane@acme.example", "joe@acme.example"] {
        let body = json!({"client_id": "notes", "connection": "people", "email": email, "password": PASSWORD});
        let made = gateway.client().post(gateway.url("/dbconnections/signup")).json(&body).send().await.unwrap();
        assert_eq!(made.status(), 200);
        links.push(smtp.wait_for(email, 1).await.link());
    }
    chromium.open(&links[0]).await;
    is_readable(&chromium, "en", "ltr").await;
    assert!(chromium.text().await.contains("jane@acme.example"));
    // The password has the focus; what is wrong with it is read out with the form.
    write(&chromium, "wrong").await;
    chromium.press(&[ENTER]).await;
    let told = chromium
        .run("return document.getElementById(document.querySelector('form').getAttribute('aria-describedby').split(' ')[1]).textContent")
        .await;
    assert_eq!(told, json!("This is not the password of the account."));
    is_readable(&chromium, "en", "ltr").await;
    write(&chromium, PASSWORD).await;
    chromium.press(&[ENTER]).await;
    assert!(chromium.text().await.contains("Your address is confirmed"), "{}", chromium.text().await);
    // From the password past its button and the one for another password to the last one.
    chromium.open(&links[1]).await;
    chromium.press(&[TAB, TAB, TAB, ENTER]).await;
    assert!(chromium.text().await.contains("closed to whoever made it"), "{}", chromium.text().await);
    is_readable(&chromium, "en", "ltr").await;
    let complaints = chromium.complaints().await;
    assert!(complaints.is_empty(), "the browser complains: {complaints:?}");
    chromium.quit().await;
}
