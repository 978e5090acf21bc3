//! What the identity provider answers, and what the application hears: the rows of the parity table that come back, and
//! the checks that an answer must pass, each seen from outside.

use crate::harness::app::App;
use crate::harness::gateway::Setup;
use crate::harness::idp::{Encryption, Idp, Person, Response, Sign, now, unique_id};
use crate::harness::scene::Scene;
use serde_json::Value;
use std::time::Duration;

#[tokio::test]
async fn the_status_of_the_identity_provider_is_told_in_the_application_s_words() {
    let scene = Scene::new().await;
    for (status, told) in [
        (["Responder", "AuthnFailed"], "access_denied"),
        (["Responder", "RequestDenied"], "access_denied"),
        (["Responder", "NoPassive"], "login_required"),
        (["Responder", "NoAuthnContext"], "unmet_authentication_requirements"),
        (["Requester", "InvalidNameIDPolicy"], "invalid_request"),
        (["Responder", "UnknownPrincipal"], "server_error"),
        (["Responder", "UnsupportedBinding"], "server_error"),
    ] {
        let request = scene.ask(&[]).await;
        let answer = scene.idp.respond_with(&request, &Person::jane(), |response| {
            response.status = status.to_vec();
            response.sign = Sign::Response;
        });
        let (error, description) = scene.app.error(&scene.gateway, &scene.answer(&answer).await.away());
        assert_eq!(error, told, "{status:?}: {description}");
    }
}

#[tokio::test]
async fn a_context_class_implies_how_somebody_signed_in() {
    let scene = Scene::new().await;
    for (class, amr) in [
        ("urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", Some("pwd")),
        ("urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken", Some("otp")),
        ("urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI", Some("sc")),
        ("https://refeds.org/profile/mfa", Some("mfa")),
        ("urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified", None),
        ("urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos", None),
        ("urn:example:Password", None),
    ] {
        let request = scene.ask(&[("prompt", "login")]).await;
        let answer = scene.idp.respond_with(&request, &Person::jane(), |response| response.authn_context = class.to_owned());
        let answer = scene.answer(&answer).await.away();
        let tokens = scene.app.redeem(&scene.gateway, &scene.app.code(&scene.gateway, &answer), &[]).await;
        let claims = crate::harness::app::Tokens::of(&tokens).claims();
        assert_eq!(claims.get("amr"), amr.map(|amr| serde_json::json!([amr])).as_ref(), "{class}");
    }
}

/// One thing wrong with a response, and the check that must notice.
struct Wrong {
    what: &'static str,
    change: fn(&mut Response),
}

const WRONG: &[Wrong] = &[
    Wrong { what: "another issuer", change: |response| response.issuer = "https://evil.example".to_owned() },
    Wrong { what: "for another audience", change: |response| response.audience = "https://other.example/metadata".to_owned() },
    Wrong { what: "for another recipient", change: |response| response.recipient += "x" },
    Wrong {
        what: "for another destination",
        change: |response| {
            response.destination += "x";
            response.sign = Sign::Response;
        },
    },
    Wrong { what: "an answer to another request", change: |response| response.in_response_to = Some(unique_id()) },
    Wrong { what: "an answer to no request", change: |response| response.in_response_to = None },
    Wrong { what: "expired", change: |response| response.not_on_or_after = now() - Duration::from_secs(600) },
    Wrong { what: "not yet valid", change: |response| response.not_before = now() + Duration::from_secs(600) },
    Wrong { what: "written in the future", change: |response| response.issue_instant = now() + Duration::from_secs(3600) },
    Wrong { what: "written long ago", change: |response| response.issue_instant = now() - Duration::from_secs(86_400) },
    Wrong { what: "not signed", change: |response| response.sign = Sign::Nothing },
    Wrong { what: "without a subject", change: |response| response.person.name_id = "  ".to_owned() },
    Wrong {
        what: "of a session that is over",
        change: |response| response.session_not_on_or_after = Some(now() - Duration::from_secs(600)),
    },
    Wrong { what: "with a document type", change: |response| response.prolog = "<!DOCTYPE r [<!ENTITY e \"x\">]>".to_owned() },
    Wrong { what: "signed with SHA-1", change: |response| response.signature_method = "http://www.w3.org/2000/09/xmldsig#rsa-sha1" },
];

#[tokio::test]
async fn every_fault_of_a_response_is_refused_and_named_in_the_trace() {
    let scene = Scene::new().await;
    let mut reasons = Vec::new();
    for Wrong { what, change } in WRONG {
        let request = scene.ask(&[]).await;
        let answer = scene.answer(&scene.idp.respond_with(&request, &Person::jane(), change)).await.away();
        let (error, description) = scene.app.error(&scene.gateway, &answer);
        assert!(["server_error", "access_denied"].contains(&error.as_str()), "{what}: {error} {description}");
        // The application hears a code; the operator reads what was expected and what was found.
        assert!(!description.contains("expected"), "{what}: {description}");
        let correlation_id = description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a correlation id");
        let trace = scene.gateway.trace(correlation_id).await;
        let refused = events(&trace).find(|event| event["step"] == "refused").unwrap_or_else(|| panic!("{what}: {trace}")).clone();
        reasons.push((refused["reason"].as_str().expect("a reason").to_owned(), *what));
        let page = scene.gateway.ask_operations(&format!("/traces/{correlation_id}"), "text/html").await;
        assert!(page.contains("The login was refused"), "{}", page.body);
    }
    let same_cause = |what: &str| ["an answer to no request"].contains(&what);
    let mut seen = std::collections::HashMap::new();
    for (reason, what) in reasons.iter().filter(|(_, what)| !same_cause(what)) {
        assert_eq!(seen.insert(reason, what), None, "{what} has the same name as another fault: {reasons:?}");
    }
    // Nothing of it left a session behind.
    let (error, _) = scene.app.error(&scene.gateway, &scene.again(&[("prompt", "none")]).await);
    assert_eq!(error, "login_required");
}

#[tokio::test]
async fn the_key_of_another_connection_signs_nothing_here() {
    let (acme, globex, app) = (Idp::new("acme"), Idp::new("globex"), App::new("notes"));
    let setup = Setup::new().connection(&acme.toml("", "")).connection(&globex.toml("", "")).application(&app.toml("", ""));
    let scene = Scene::of(setup, acme, app).await;
    let request = scene.ask(&[("connection", "acme")]).await;
    let forged = globex.respond_with(&request, &Person::jane(), |response| response.issuer = scene.idp.entity_id.clone());
    let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&forged).await.away());
    assert_eq!(error, "server_error");
    // The answer for one connection, posted to the other.
    let request = scene.ask(&[("connection", "acme")]).await;
    let answer = scene.idp.respond(&request, &Person::jane());
    let elsewhere = scene.gateway.url("/connections/globex/acs");
    scene.browser.post(&answer.from, &elsewhere, &answer.fields()).await.here().assert_refused(403, "ISTH-3001");
    let answer = scene.answer(&answer).await.away();
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn an_assertion_is_accepted_once() {
    let scene = Scene::new().await;
    let (first, second) = (scene.ask(&[]).await, scene.ask(&[]).await);
    let id = unique_id();
    let answer = scene.idp.respond_with(&first, &Person::jane(), |response| response.assertion_id.clone_from(&id));
    let answer = scene.answer(&answer).await.away();
    scene.app.code(&scene.gateway, &answer);
    // The same assertion id in an answer to the second request, which is in order otherwise.
    let again = scene.idp.respond_with(&second, &Person::jane(), |response| response.assertion_id.clone_from(&id));
    let page = scene.answer(&again).await.here();
    page.assert_refused(403, "ISTH-3002");
    // The operator sees that login refused, and not the success that it looked like until the store was asked.
    let trace = scene.gateway.operations(&format!("/traces/{}", page.correlation_id()));
    let trace = scene.gateway.client().get(trace).header("accept", "application/json").send().await.unwrap().text().await.unwrap();
    assert!(trace.contains("\"refused\"") && !trace.contains("\"finished\""), "{trace}");
    // It is over, and the one that was answered first is not.
    scene.answer(&again).await.here().assert_refused(409, "ISTH-2003");
}

#[tokio::test]
async fn a_failure_to_decrypt_tells_nothing() {
    let scene = Scene::new().await;
    let stranger = crate::harness::keys::Pair::rsa("stranger");
    let mut told = Vec::new();
    for certificate in [
        stranger.certificate_pem(),
        std::fs::read_to_string(scene.gateway.key_file("saml-encryption.active.crt.pem")).expect("our certificate"),
    ] {
        let request = scene.ask(&[]).await;
        let mut answer = scene.idp.respond_with(&request, &Person::jane(), |response| {
            response.encrypt = Some(Encryption::aes256_gcm(certificate));
        });
        // The last cipher value is the data: damage its tag, where the key is ours.
        let at = answer.xml.rfind("</xenc:CipherValue>").expect("a cipher value") - 12;
        let other = if answer.xml.as_bytes()[at] == b'A' { "B" } else { "A" };
        answer.xml.replace_range(at..=at, other);
        let (error, description) = scene.app.error(&scene.gateway, &scene.answer(&answer).await.away());
        told.push((error, description.split('(').next().unwrap().to_owned()));
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn encryption_is_no_signature() {
    let scene = Scene::new().await;
    let certificate = std::fs::read_to_string(scene.gateway.key_file("saml-encryption.active.crt.pem")).expect("our certificate");
    let request = scene.ask(&[]).await;
    let answer = scene.idp.respond_with(&request, &Person::jane(), |response| {
        response.sign = Sign::Nothing;
        response.encrypt = Some(Encryption::aes256_gcm(certificate));
    });
    let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&answer).await.away());
    assert_eq!(error, "server_error");
}

#[tokio::test]
async fn a_changed_character_is_noticed() {
    let scene = Scene::new().await;
    for (from, to) in [("jane-1", "jane-2"), ("staff", "owner"), ("Jane.Doe@acme", "root@acme")] {
        let request = scene.ask(&[]).await;
        let mut answer = scene.idp.respond(&request, &Person::jane());
        assert!(answer.xml.contains(from));
        answer.xml = answer.xml.replace(from, to);
        let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&answer).await.away());
        assert_eq!(error, "server_error");
    }
}

#[tokio::test]
async fn a_comment_in_a_name_does_not_cut_it() {
    let scene = Scene::new().await;
    let request = scene.ask(&[]).await;
    let mut answer = scene.idp.respond(&request, &Person::new("jane-1.evil.example"));
    // Exclusive canonicalization drops the comment, so the signature stays good.
    answer.xml = answer.xml.replace(">jane-1.evil.example<", ">jane-1<!-- -->.evil.example<");
    let answer = scene.answer(&answer).await.away();
    if let Some(code) = answer.parameter("code") {
        let tokens = crate::harness::app::Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
        assert_eq!(tokens.claims()["sub"], "samlp|acme|jane-1.evil.example");
    }
}

fn events(trace: &Value) -> impl Iterator<Item = &Value> {
    trace["entries"].as_array().expect("entries").iter().map(|entry| &entry["event"])
}
