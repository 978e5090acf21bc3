//! What an attacker does to requests: every one of these is refused, and the same request without it is served.

use super::sp::{Answered, Request, Scene, Sp, encode, form_of, signature_template, unsigned_query};
use crate::harness::browser::{Browser, Landed};
use crate::harness::idp::{Person, Sign, unique_id};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::sign::Signer;
use serde_json::Value;
use url::Url;

const STRICT: &str = "require_signed_requests = true";

/// A page with this code, whose trace has this check as the one that failed.
async fn assert_refused_by(scene: &Scene, landed: Landed, check: &str) {
    let page = landed.here();
    page.assert_refused(400, "ISTH-1001");
    let trace = scene.gateway.trace(page.correlation_id()).await;
    let entries = trace["entries"].as_array().expect("entries");
    let failed: Vec<&Value> = entries.iter().map(|entry| &entry["event"]).filter(|event| event["passed"] == false).collect();
    let [failed] = failed.as_slice() else { panic!("not one failed check in {trace:#}") };
    assert_eq!(failed["name"], check, "{failed}");
    assert!(failed["expected"].as_str().is_some_and(|text| !text.is_empty()), "{failed}");
    assert!(failed["found"].as_str().is_some_and(|text| !text.is_empty()), "{failed}");
}

/// The signature elsewhere than over what is read: eight ways to wrap a signed request.
#[tokio::test]
async fn a_wrapped_signature_proves_nothing() {
    let scene = Scene::with(STRICT, |setup| setup).await;
    let good = scene.request();
    let signed = scene.sp.sign(&good.xml(&signature_template(&good.id, true)));
    let signed = signed.split_once("?>").map_or(signed.as_str(), |(_, rest)| rest).trim();
    let (before, rest) = signed.split_once("<ds:Signature").unwrap();
    let (signature, after) = rest.split_once("</ds:Signature>").unwrap();
    let signature = format!("<ds:Signature{signature}</ds:Signature>");
    let bare = format!("{before}{after}");
    let evil = Request { id: unique_id(), attributes: r#"AssertionConsumerServiceIndex="1""#.to_owned(), ..good.clone() };
    let within = |inside: &str| format!("<samlp:Extensions>{inside}</samlp:Extensions>");
    let with_object = signature.replace("</ds:Signature>", &format!("<ds:Object>{bare}</ds:Object></ds:Signature>"));
    let evil_same_id = Request { id: good.id.clone(), ..evil.clone() };
    let forms = [
        // The original inside, with its signature in it.
        evil.xml(&within(signed)),
        // The signature at the top, the original inside.
        evil.xml(&format!("{signature}{}", within(&bare))),
        // The original in the signature itself.
        evil.xml(&with_object),
        // The same with the same ID twice.
        evil_same_id.xml(&format!("{signature}{}", within(&bare))),
        evil_same_id.xml(&with_object),
        // The evil one inside the original.
        signed.replace("</samlp:AuthnRequest>", &format!("{}</samlp:AuthnRequest>", within(&evil.xml("")))),
        // Two signatures, the second one of nobody.
        signed.replace("</ds:Signature>", &format!("</ds:Signature>{signature}")),
        // Two roots.
        format!("{signed}{}", evil.xml("")),
    ];
    for (number, xml) in forms.iter().enumerate() {
        let page = scene.post(&good, &form_of(xml, &good)).await.here();
        assert_eq!((page.status, page.contains("ISTH-1001")), (400, true), "form {number}: {} {}", page.status, page.body);
    }
    // The control: the original as it is.
    scene.idp.read(&scene.post(&good, &form_of(signed, &good)).await.away());
}

#[tokio::test]
async fn a_signed_request_that_was_changed_is_refused() {
    let scene = Scene::with(STRICT, |setup| setup).await;
    let good = scene.request();
    let signed = scene.sp.sign(&good.xml(&signature_template(&good.id, true)));
    let changed = signed.replace(" Version=", " ForceAuthn=\"true\" Version=");
    assert_ne!(changed, signed);
    assert_refused_by(&scene, scene.post(&good, &form_of(&changed, &good)).await, "digest").await;
    // By redirect: RelayState, and the message itself.
    let url = scene.sp.redirect(&good).to_string();
    let other = Request { id: unique_id(), ..good.clone() };
    for changed in [
        url.replace("a+state", "an+evil+state"),
        url.replace("&RelayState=a+state+%26+more", ""),
        url.replace(&encode(&super::sp::deflated(&good.xml(""))), &encode(&super::sp::deflated(&other.xml("")))),
    ] {
        assert_ne!(changed, url);
        assert_refused_by(&scene, scene.browser.open(&changed).await, "signature").await;
    }
}

#[tokio::test]
async fn another_key_is_not_the_application_s() {
    let scene = Scene::with(STRICT, |setup| setup).await;
    let impostor = Sp::new("impostor");
    let request = scene.request();
    assert_refused_by(&scene, scene.browser.open(impostor.redirect(&request).as_str()).await, "signature").await;
    let landed = scene.post(&request, &impostor.form(&request)).await;
    landed.here().assert_refused(400, "ISTH-1001");
    scene.upstream(&request).await;
}

/// A signature that is there is verified, also where none is required.
#[tokio::test]
async fn a_bad_signature_is_not_taken_for_none() {
    let scene = Scene::new().await;
    let impostor = Sp::new("impostor");
    let request = scene.request();
    assert_refused_by(&scene, scene.browser.open(impostor.redirect(&request).as_str()).await, "signature").await;
    let url = scene.sp.redirect(&request).to_string();
    let (without, _) = url.split_once("&Signature=").unwrap();
    scene.browser.open(without).await.here().assert_refused(400, "ISTH-1001");
    let landed = scene.post(&request, &impostor.form(&request)).await;
    landed.here().assert_refused(400, "ISTH-1001");
}

#[tokio::test]
async fn sha1_and_a_signature_inside_a_redirect_are_refused() {
    let scene = Scene::with(STRICT, |setup| setup).await;
    let request = scene.request();
    let query = format!("{}&SigAlg={}", unsigned_query(&request), encode("http://www.w3.org/2000/09/xmldsig#rsa-sha1"));
    let mut signer = Signer::new(MessageDigest::sha1(), &scene.sp.signer.key).unwrap();
    let signature = STANDARD.encode(signer.sign_oneshot_to_vec(query.as_bytes()).unwrap());
    let url = format!("{}?{query}&Signature={}", request.to, encode(&signature));
    assert_refused_by(&scene, scene.browser.open(&url).await, "signature-algorithm").await;
    let inside = scene.sp.sign(&request.xml(&signature_template(&request.id, true)));
    let query = format!("SAMLRequest={}", encode(&super::sp::deflated(&inside)));
    let landed = scene.browser.open(scene.sp.signed_query(&request, &query).as_str()).await;
    landed.here().assert_refused(400, "ISTH-1001");
    let url = Url::parse(&format!("{}?{query}", request.to)).unwrap();
    scene.browser.open(url.as_str()).await.here().assert_refused(400, "ISTH-1001");
}

#[tokio::test]
async fn a_parameter_twice_is_refused() {
    let scene = Scene::new().await;
    let request = scene.request();
    let url = scene.sp.redirect(&request).to_string();
    for more in ["&SAMLRequest=x", "&RelayState=evil", "&Signature=x", "&SAMLResponse=x"] {
        scene.browser.open(&format!("{url}{more}")).await.here().assert_refused(400, "ISTH-1001");
    }
}

#[tokio::test]
async fn a_document_type_and_a_cut_name_are_refused() {
    let scene = Scene::new().await;
    let request = scene.request();
    let xml = request.xml("");
    for evil in [
        format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{xml}"),
        xml.replace("/saml</saml:Issuer>", "/saml<!-- x -->.evil.example</saml:Issuer>"),
        xml.replace("samlp:AuthnRequest", "samlp:LogoutRequest"),
        xml.replace("</samlp:AuthnRequest>", ""),
    ] {
        assert_ne!(evil, xml);
        let page = scene.post(&request, &form_of(&evil, &request)).await.here();
        assert!(page.status == 400, "{} {}", page.status, page.body);
        assert!(!page.contains("root:"), "{}", page.body);
    }
}

#[tokio::test]
async fn a_request_is_answered_with_an_assertion_once() {
    let scene = Scene::new().await;
    let request = scene.request();
    scene.sign_in(&request, &Person::jane()).await.assert_good();
    // From the session, in this browser.
    let again = scene.at_once(&request).await;
    again.assert_refused("Responder", "AuthnFailed", &request.id);
    // By a whole login, in another one: somebody has taken the address.
    let thief = Browser::new();
    let asked = scene.idp.read(&thief.open(scene.sp.redirect(&request).as_str()).await.away());
    let answer = scene.idp.respond(&asked, &Person::zoe());
    let page = thief.post(&answer.from, &answer.to, &answer.fields()).await.here();
    page.assert_refused(409, "ISTH-2003");
    // A refusal uses nothing up: the person may try again.
    let request = scene.request();
    let asked = scene.upstream(&Request { attributes: r#"ForceAuthn="1""#.to_owned(), ..request.clone() }).await;
    let failed = scene.idp.respond_with(&asked, &Person::jane(), |response| {
        (response.status, response.sign) = (vec!["Responder", "AuthnFailed"], Sign::Response);
    });
    scene.answer(&failed).await.assert_refused("Responder", "AuthnFailed", &request.id);
    scene.at_once(&request).await.assert_good();
}

/// Two tabs with the same request, begun before either ends.
#[tokio::test]
async fn of_two_logins_for_one_request_one_wins() {
    let scene = Scene::new().await;
    let request = scene.request();
    let (first, second) = (scene.upstream(&request).await, scene.upstream(&request).await);
    scene.answer(&scene.idp.respond(&first, &Person::jane())).await.assert_good();
    let late = scene.idp.respond(&second, &Person::jane());
    scene.browser.post(&late.from, &late.to, &late.fields()).await.here().assert_refused(409, "ISTH-2003");
}

#[tokio::test]
async fn a_login_of_another_browser_cannot_be_finished() {
    let scene = Scene::new().await;
    let asked = scene.upstream(&scene.request()).await;
    let answer = scene.idp.respond(&asked, &Person::jane());
    let other = Browser::new();
    other.open(scene.sp.redirect(&scene.request()).as_str()).await.away();
    let page = other.post(&answer.from, &answer.to, &answer.fields()).await.here();
    page.assert_refused(403, "ISTH-2004");
    // It still is good where it belongs.
    let landed = scene.browser.post(&answer.from, &answer.to, &answer.fields()).await;
    Answered::read(&scene.gateway, &landed.away()).assert_good();
}
