//! What an assertion says: what really happened, to one application, as long as it is true.

use super::judge::Verdict;
use super::sp::{Answered, Scene, Sp};
use crate::harness::app::{App, Tokens};
use crate::harness::browser::Browser;
use crate::harness::idp::{Person, ZOE, now};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

fn time(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).expect("a date")
}

#[tokio::test]
async fn an_assertion_says_what_really_happened() {
    let scene = Scene::new().await;
    let (instant, end) = (now() - Duration::from_secs(1234), now() + Duration::from_secs(1000));
    let request = scene.request();
    let asked = scene.upstream(&request).await;
    let answer = scene.idp.respond_with(&asked, &Person::jane(), |response| {
        response.authn_instant = instant;
        response.session_not_on_or_after = Some(end);
        response.authn_context = "urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos".to_owned();
    });
    let answered = scene.answer(&answer).await;
    answered.assert_good();
    let of = |name: &str| answered.of("saml:AuthnStatement", name);
    assert_eq!((time(&of("AuthnInstant")), time(&of("SessionNotOnOrAfter"))), (instant, end));
    assert_eq!(answered.text("saml:AuthnContextClassRef"), "urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos");
    assert_eq!(answered.text("saml:AuthenticatingAuthority"), scene.idp.entity_id);
    assert_eq!(answered.texts("saml:Issuer"), vec![scene.gateway.url("/saml/metadata").to_string(); 2]);
    assert_eq!(answered.text("saml:Audience"), scene.sp.entity_id);
    for element in ["saml:SubjectConfirmationData", "samlp:Response"] {
        assert_eq!(answered.of(element, "InResponseTo"), request.id);
    }
    let (from, until) = (answered.of("saml:Conditions", "NotBefore"), answered.of("saml:Conditions", "NotOnOrAfter"));
    assert!(time(&from) <= now() && time(&until) > now() && time(&until) <= now() + Duration::from_secs(301), "{from} {until}");
    // The same again from the session: the same sign-in, the same session at this application.
    let again = scene.at_once(&scene.request()).await;
    assert_eq!(again.of("saml:AuthnStatement", "AuthnInstant"), of("AuthnInstant"));
    assert_eq!(again.of("saml:AuthnStatement", "SessionIndex"), of("SessionIndex"));
    assert_ne!(again.of("saml:Assertion", "ID"), answered.of("saml:Assertion", "ID"));
    assert!(!answered.xml.contains("jane-1"), "the identity provider's NameID is nobody else's business: {}", answered.xml);
}

#[tokio::test]
async fn values_are_escaped_multi_valued_and_absent_ones_stay_absent() {
    let scene = Scene::new().await;
    let answered = scene.sign_in(&scene.request(), &Person::zoe()).await;
    assert_eq!(answered.assert_good().values("displayName"), [ZOE]);
    assert_eq!(answered.values("isMemberOf"), ["Ångström & <friends>", "日本語"]);
    assert_eq!(answered.of("saml:Attribute", "NameFormat"), "urn:oasis:names:tc:SAML:2.0:attrname-format:uri");
    let request = scene.request().with(r#"ForceAuthn="true""#);
    let nobody = scene.sign_in(&request, &Person::without_mail()).await;
    nobody.assert_good();
    for absent in ["FriendlyName=\"mail\"", "FriendlyName=\"sn\"", "null", "<saml:AttributeValue/>"] {
        assert!(!nobody.xml.contains(absent), "{absent} in {}", nobody.xml);
    }
    let request = scene.request().with(r#"ForceAuthn="true""#);
    let many = scene.sign_in(&request, &Person::max()).await;
    assert_eq!(many.values("isMemberOf").len(), 200);
}

#[tokio::test]
async fn what_is_signed_and_encrypted_is_as_the_application_is_set() {
    let parts = |response, assertion| Verdict { response, assertion };
    for (settings, verdict) in [
        ("", parts(false, true)),
        ("sign_response = true", parts(true, true)),
        ("sign_response = true\nsign_assertion = false", parts(true, false)),
    ] {
        let scene = Scene::with(settings, |setup| setup).await;
        let answered = scene.sign_in(&scene.request(), &Person::jane()).await;
        assert_eq!(answered.assert_good().verdict, verdict, "{settings}");
    }
}

#[tokio::test]
async fn an_encrypted_assertion_is_signed_inside() {
    // xmlsec1 of Debian 12 knows OAEP with SHA-1 only.
    for transport in ["rsa-oaep-mgf1p"] {
        let settings = format!("encrypt = \"assertion\"\nkey_transport = \"{transport}\"");
        let scene = Scene::with(&settings, |setup| setup).await;
        let answered = scene.sign_in(&scene.request(), &Person::zoe()).await;
        answered.assert_good();
        assert!(!answered.xml.contains("<saml:Assertion") && !answered.xml.contains("zoe@"), "{}", answered.xml);
        let opened = scene.sp.decrypt(&answered.xml);
        let opened = opened.split_once("?>").map_or(opened.as_str(), |(_, rest)| rest).trim().to_owned();
        let verdict = super::judge::verify(&scene.gateway, &opened);
        assert_eq!(verdict, Verdict { response: false, assertion: true });
        assert!(opened.contains("zoe@acme.example"), "{opened}");
    }
}

#[tokio::test]
async fn one_session_serves_applications_of_both_protocols() {
    let (notes, second) = (App::new("notes"), Sp::new("second"));
    let scene = Scene::with("", |setup| setup.application(&notes.toml("", "")).application(&second.toml("", ""))).await;
    let saml = scene.sign_in(&scene.request(), &Person::jane()).await;
    // Another SAML application, and one of OpenID Connect, without another word.
    let request = second.request(&scene.gateway);
    let other = Answered::read(&scene.gateway, &scene.browser.open(second.redirect(&request).as_str()).await.away());
    let answer = scene.browser.open(notes.authorize(&scene.gateway, &[]).as_str()).await.away();
    let code = notes.code(&scene.gateway, &answer);
    let claims = Tokens::of(&notes.redeem(&scene.gateway, &code, &[]).await).claims();
    let instant = |answered: &Answered| time(&answered.assert_good().of("saml:AuthnStatement", "AuthnInstant")).unix_timestamp();
    assert_eq!((instant(&saml), instant(&other)), (claims["auth_time"].as_i64().unwrap(), instant(&saml)));
    // Nobody can tell from the indexes that it is one session.
    let index = |answered: &Answered| answered.of("saml:AuthnStatement", "SessionIndex");
    assert_ne!(index(&saml), index(&other));
    // The other way round: a session that began with OpenID Connect.
    let browser = Browser::new();
    let asked = scene.idp.read(&browser.open(notes.authorize(&scene.gateway, &[]).as_str()).await.away());
    let answer = scene.idp.respond(&asked, &Person::zoe());
    notes.code(&scene.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
    let landed = browser.open(scene.sp.redirect(&scene.request()).as_str()).await;
    assert_eq!(Answered::read(&scene.gateway, &landed.away()).assert_good().values("displayName"), [ZOE]);
}

#[tokio::test]
async fn an_ended_session_answers_no_more() {
    let scene = Scene::new().await;
    let asked = scene.upstream(&scene.request()).await;
    let end = now() + Duration::from_secs(2);
    let answer = scene.idp.respond_with(&asked, &Person::jane(), |response| response.session_not_on_or_after = Some(end));
    scene.answer(&answer).await.assert_good();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let request = scene.request().with(r#"IsPassive="true""#);
    scene.at_once(&request).await.assert_refused("Responder", "NoPassive", &request.id);
}

#[tokio::test]
async fn several_tabs_are_several_logins() {
    let scene = Scene::new().await;
    let requests: Vec<_> = (0..3).map(|tab| scene.request().state(Some(&format!("tab {tab}")))).collect();
    let mut asked = Vec::new();
    for request in &requests {
        asked.push(scene.upstream(request).await);
    }
    // The last one first.
    for (request, asked) in requests.iter().zip(&asked).rev() {
        let answered = scene.answer(&scene.idp.respond(asked, &Person::jane())).await;
        assert_eq!(answered.assert_good().of("samlp:Response", "InResponseTo"), request.id);
        assert_eq!(answered.relay_state, request.relay_state);
    }
}

#[tokio::test]
async fn addresses_of_the_application_may_have_a_query() {
    let scene = Scene::new().await;
    let answered = scene.sign_in(&scene.request().with(r#"AssertionConsumerServiceIndex="1""#), &Person::jane()).await;
    assert_eq!(Url::parse(&answered.assert_good().to).unwrap().query(), Some("x=1&y=2"));
}

#[tokio::test]
async fn a_blocked_user_gets_nothing() {
    let scene = Scene::new().await;
    let signed_in = scene.sign_in(&scene.request(), &Person::jane()).await;
    signed_in.assert_good();
    // The application is disabled while its login is under way: no answer goes there any more.
    let mut scene = scene;
    let asked = scene.upstream(&scene.request().with(r#"ForceAuthn="true""#)).await;
    let applications = vec![scene.sp.toml("enabled = false", "")];
    scene.gateway.stop();
    scene.gateway.start_again(|setup| setup.applications = applications).await;
    let answer = scene.idp.respond(&asked, &Person::jane());
    let page = scene.browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
    assert!(!page.body.contains("SAMLResponse"), "{}", page.body);
}
