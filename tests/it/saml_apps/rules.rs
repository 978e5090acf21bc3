//! What a request may ask: freshness, silence, names, contexts, providers. Each answer is signed and goes to the application.

use super::sp::{Answered, FORMAT, Request, Scene, Sp};
use crate::harness::browser::Browser;
use crate::harness::idp::{Idp, PASSWORD, Person, Sign, now};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const MFA: &str = "https://refeds.org/profile/mfa";

fn policy(format: &str) -> String {
    format!(r#"<samlp:NameIDPolicy Format="{format}"/>"#)
}

fn context(comparison: &str, class: &str) -> String {
    format!(
        r#"<samlp:RequestedAuthnContext Comparison="{comparison}"><saml:AuthnContextClassRef>{class}</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>"#
    )
}

fn scoping(attributes: &str, providers: &[&str]) -> String {
    let entries: String = providers.iter().map(|id| format!(r#"<samlp:IDPEntry ProviderID="{id}"/>"#)).collect();
    let list = if entries.is_empty() { entries } else { format!("<samlp:IDPList>{entries}</samlp:IDPList>") };
    format!("<samlp:Scoping{attributes}>{list}</samlp:Scoping>")
}

fn time(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).expect("a date")
}

#[tokio::test]
async fn force_authn_goes_upstream_and_the_instant_is_new() {
    let scene = Scene::new().await;
    let long_ago = now() - Duration::from_secs(3000);
    let asked = scene.upstream(&scene.request()).await;
    assert!(!asked.force_authn);
    let old = scene.answer(&scene.idp.respond_with(&asked, &Person::jane(), |response| response.authn_instant = long_ago)).await;
    assert_eq!(time(&old.assert_good().of("saml:AuthnStatement", "AuthnInstant")), long_ago, "what really happened");
    let request = scene.request().with(r#"ForceAuthn="true""#);
    let asked = scene.upstream(&request).await;
    assert!(asked.force_authn);
    let fresh = scene.answer(&scene.idp.respond(&asked, &Person::jane())).await;
    assert!(time(&fresh.assert_good().of("saml:AuthnStatement", "AuthnInstant")) >= now() - Duration::from_secs(60));
    // An identity provider that did not do it is not believed.
    let request = scene.request().with(r#"ForceAuthn="1""#);
    let asked = scene.upstream(&request).await;
    let stale = scene.answer(&scene.idp.respond_with(&asked, &Person::jane(), |response| response.authn_instant = long_ago)).await;
    stale.assert_refused("Responder", "AuthnFailed", &request.id);
}

#[tokio::test]
async fn is_passive_without_session_answers_no_passive_to_the_address_that_was_asked() {
    let scene = Scene::new().await;
    let other = r#"AssertionConsumerServiceIndex="1""#;
    let request = scene.request().with(&format!(r#"IsPassive="true" {other}"#));
    let refused = scene.at_once(&request).await;
    refused.assert_refused("Responder", "NoPassive", &request.id);
    assert_eq!((&refused.to, refused.relay_state.as_deref()), (&scene.sp.acs[1], Some("a state & more")));
    scene.sign_in(&scene.request(), &Person::jane()).await.assert_good();
    scene.at_once(&scene.request().with(r#"IsPassive="true""#)).await.assert_good();
    let both = scene.request().with(r#"IsPassive="true" ForceAuthn="true""#);
    scene.at_once(&both).await.assert_refused("Responder", "NoPassive", &both.id);
}

#[tokio::test]
async fn the_format_of_the_name_is_that_of_the_request_then_the_application_s() {
    let scene =
        Scene::with("name_id_format = \"transient\"\nname_id_formats = [\"persistent\", \"transient\", \"email\"]", |setup| setup).await;
    scene.sign_in(&scene.request(), &Person::jane()).await.assert_good();
    let [persistent, transient, email] = ["persistent", "transient"]
        .map(|name| format!("{FORMAT}{name}"))
        .into_iter()
        .chain(["urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress".to_owned()])
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let unspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
    let cases =
        [(None, &transient), (Some(unspecified), &transient), (Some(persistent.as_str()), &persistent), (Some(email.as_str()), &email)];
    for (asked, given) in cases {
        let request = asked.map_or_else(|| scene.request(), |format| scene.request().and(&policy(format)));
        let answered = scene.at_once(&request).await;
        assert_eq!(answered.assert_good().of("saml:NameID", "Format"), *given, "{asked:?}");
        let name = answered.text("saml:NameID");
        assert_eq!(name.contains("acme.example"), *given == email, "{name}");
    }
    for refused in [format!("{FORMAT}kerberos"), format!("{FORMAT}entity"), "urn:x:y".to_owned()] {
        let request = scene.request().and(&policy(&refused));
        scene.at_once(&request).await.assert_refused("Requester", "InvalidNameIDPolicy", &request.id);
    }
    let other = r#"<samlp:NameIDPolicy SPNameQualifier="https://other.example"/>"#;
    let request = scene.request().and(other);
    scene.at_once(&request).await.assert_refused("Requester", "InvalidNameIDPolicy", &request.id);
}

#[tokio::test]
async fn nobody_learns_an_address_by_asking_for_it() {
    let scene = Scene::new().await;
    let request = scene.request().and(&policy("urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"));
    scene.at_once(&request).await.assert_refused("Requester", "InvalidNameIDPolicy", &request.id);
}

#[tokio::test]
async fn persistent_names_are_stable_and_pairwise_and_transient_ones_differ() {
    let notes = Sp::new("notes");
    let scene = Scene::with("", |setup| setup.application(&notes.toml("", ""))).await;
    let name = |answered: &Answered| answered.assert_good().text("saml:NameID");
    let first = scene.sign_in(&scene.request(), &Person::jane()).await;
    assert_eq!(first.of("saml:NameID", "SPNameQualifier"), scene.sp.entity_id);
    let again = scene.sign_in(&scene.request().with(r#"ForceAuthn="true""#), &Person::jane()).await;
    let elsewhere = {
        let request = notes.request(&scene.gateway);
        Answered::read(&scene.gateway, &scene.browser.open(notes.redirect(&request).as_str()).await.away())
    };
    let somebody = scene.sign_in(&scene.request().with(r#"ForceAuthn="true""#), &Person::zoe()).await;
    assert_eq!(name(&first), name(&again));
    assert_ne!(name(&first), name(&elsewhere));
    assert_ne!(name(&first), name(&somebody));
    assert!(!name(&first).contains("jane"));
    let transient = |scene: &Scene| scene.request().and(&policy(&format!("{FORMAT}transient")));
    let one = scene.at_once(&transient(&scene)).await;
    let two = scene.at_once(&transient(&scene)).await;
    assert_ne!(name(&one), name(&two));
    assert_eq!(one.find("saml:NameID", "SPNameQualifier"), None);
}

#[tokio::test]
async fn an_encrypted_name_is_given_to_who_asks_for_it() {
    // xmlsec1 of Debian 12 knows OAEP with SHA-1 only.
    let scene = Scene::with("key_transport = \"rsa-oaep-mgf1p\"", |setup| setup).await;
    let request = scene.request().and(&policy(&format!("{FORMAT}encrypted")));
    let answered = scene.sign_in(&request, &Person::jane()).await;
    answered.assert_good();
    assert!(answered.xml.contains("<saml:EncryptedID") && !answered.xml.contains("<saml:NameID"), "{}", answered.xml);
    let opened = scene.sp.decrypt(&answered.xml);
    assert!(opened.contains(&format!("{FORMAT}persistent")), "{opened}");
}

#[tokio::test]
async fn an_exact_context_is_asked_upstream_and_answered_or_refused() {
    let scene = Scene::new().await;
    let request = scene.request().and(&context("exact", MFA));
    let asked = scene.upstream(&request).await;
    assert!(asked.xml.contains(MFA) && asked.xml.contains(r#"Comparison="exact""#), "{}", asked.xml);
    let met = scene.answer(&scene.idp.respond_with(&asked, &Person::jane(), |response| response.authn_context = MFA.to_owned())).await;
    assert_eq!(met.assert_good().text("saml:AuthnContextClassRef"), MFA);
    // The session is good for it now, and for nothing else.
    scene.at_once(&scene.request().and(&context("exact", MFA))).await.assert_good();
    let request = scene.request().and(&context("exact", PASSWORD));
    let asked = scene.upstream(&request).await;
    let unmet = scene.answer(&scene.idp.respond_with(&asked, &Person::jane(), |response| response.authn_context = MFA.to_owned())).await;
    unmet.assert_refused("Responder", "NoAuthnContext", &request.id);
    // Passive: nobody is asked.
    let request = scene.request().with(r#"IsPassive="true""#).and(&context("exact", PASSWORD));
    scene.at_once(&request).await.assert_refused("Responder", "NoPassive", &request.id);
}

/// SAML Core 3.3.2.2.1: what is weaker and what is stronger is the connection's to say.
#[tokio::test]
async fn contexts_compare_by_the_ranking_of_the_connection() {
    const KERBEROS: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos";
    let ranking = format!("authn_context_ranking = [\"{PASSWORD}\", \"{KERBEROS}\", \"{MFA}\"]");
    let scene = Scene::of(Idp::new("acme"), Sp::new("wiki"), &ranking, "", |setup| setup).await;
    for (comparison, given, met) in [
        ("minimum", PASSWORD, false),
        ("minimum", KERBEROS, true),
        ("minimum", MFA, true),
        ("maximum", PASSWORD, true),
        ("maximum", KERBEROS, true),
        ("maximum", MFA, false),
        ("better", KERBEROS, false),
        ("better", MFA, true),
        ("minimum", "urn:x:unknown", false),
    ] {
        let request = scene.request().with(r#"ForceAuthn="true""#).and(&context(comparison, KERBEROS));
        let asked = scene.upstream(&request).await;
        let wanted = format!(r#"Comparison="{comparison}"><saml:AuthnContextClassRef>{KERBEROS}<"#);
        assert!(asked.xml.contains(&wanted), "{}", asked.xml);
        let answer = scene.idp.respond_with(&asked, &Person::jane(), |response| response.authn_context = given.to_owned());
        let answered = scene.answer(&answer).await;
        if met {
            assert_eq!(answered.assert_good().text("saml:AuthnContextClassRef"), given, "{comparison}");
        } else {
            answered.assert_refused("Responder", "NoAuthnContext", &request.id);
        }
    }
}

#[tokio::test]
async fn a_context_by_declaration_or_without_class_cannot_be_met() {
    let scene = Scene::new().await;
    for inside in ["<saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef>", "<saml:AuthnContextClassRef> </saml:AuthnContextClassRef>"]
    {
        let request = scene.request().and(&format!("<samlp:RequestedAuthnContext>{inside}</samlp:RequestedAuthnContext>"));
        scene.at_once(&request).await.assert_refused("Responder", "NoAuthnContext", &request.id);
    }
}

#[tokio::test]
async fn the_list_of_providers_chooses_among_connections() {
    let (globex, off, private) = (Idp::new("globex"), Idp::new("off"), Idp::new("private"));
    let scene = Scene::with("", |setup| {
        setup
            .connection(&globex.toml("", ""))
            .connection(&off.toml("enabled = false", ""))
            .connection(&private.toml("applications = [\"nobody\"]", ""))
    })
    .await;
    let listed = |providers: &[&str]| scene.request().and(&scoping("", providers));
    let unknown = "https://unknown.example";
    let asked = scene.ask(&listed(&[unknown, &globex.entity_id])).await.away();
    globex.read(&asked);
    // In the application's order.
    globex.read(&scene.ask(&listed(&[&globex.entity_id, &scene.idp.entity_id])).await.away());
    scene.idp.read(&scene.ask(&listed(&[&scene.idp.entity_id, &globex.entity_id])).await.away());
    // We ourselves: any of ours.
    let ourselves = scene.gateway.url("/saml/metadata");
    let page = scene.ask(&listed(&[ourselves.as_str()])).await.here();
    assert!(page.contains(&globex.display_name()), "{}", page.body);
    for (providers, status) in [
        (vec![unknown], "NoSupportedIDP"),
        (vec![unknown, &off.entity_id], "NoAvailableIDP"),
        // What the application may not use is not there for it.
        (vec![private.entity_id.as_str()], "NoSupportedIDP"),
    ] {
        let request = listed(&providers);
        scene.at_once(&request).await.assert_refused("Responder", status, &request.id);
    }
}

#[tokio::test]
async fn a_session_by_another_provider_than_listed_does_not_answer() {
    let globex = Idp::new("globex");
    let scene = Scene::with("", |setup| setup.connection(&globex.toml("", ""))).await;
    let listed = |idp: &Idp| scene.request().and(&scoping("", &[&idp.entity_id]));
    scene.sign_in(&listed(&scene.idp), &Person::jane()).await.assert_good();
    scene.at_once(&listed(&scene.idp)).await.assert_good();
    globex.read(&scene.ask(&listed(&globex)).await.away());
    let passive = listed(&globex).with(r#"IsPassive="true""#);
    scene.at_once(&passive).await.assert_refused("Responder", "NoPassive", &passive.id);
    // Of several it is the one by which the person has come.
    let both = scene.request().and(&scoping("", &[&globex.entity_id, &scene.idp.entity_id]));
    scene.at_once(&both).await.assert_good();
}

#[tokio::test]
async fn a_proxy_count_of_zero_lets_nobody_else_be_asked() {
    let scene = Scene::new().await;
    let none = scene.request().and(&scoping(r#" ProxyCount="0""#, &[]));
    scene.at_once(&none).await.assert_refused("Responder", "ProxyCountExceeded", &none.id);
    let one = scene
        .request()
        .and(r#"<samlp:Scoping ProxyCount="1"><samlp:RequesterID>https://behind.example</samlp:RequesterID></samlp:Scoping>"#);
    let asked = scene.upstream(&one).await;
    assert!(asked.xml.contains(r#"ProxyCount="0""#), "reduced by one: {}", asked.xml);
    scene.answer(&scene.idp.respond(&asked, &Person::jane())).await.assert_good();
    // Nor does a session answer: it came from somebody else as well.
    let none = scene.request().and(&scoping(r#" ProxyCount="0""#, &[]));
    scene.at_once(&none).await.assert_refused("Responder", "ProxyCountExceeded", &none.id);
}

#[tokio::test]
async fn the_subject_is_a_hint_for_the_connection_and_for_the_identity_provider() {
    let globex = Idp::new("globex");
    let hinted = globex.toml("domains = [\"globex.example\"]", "login_hint_as_subject = true");
    let scene = Scene::with("", |setup| setup.connection(&hinted)).await;
    let subject = "<saml:Subject><saml:NameID>jane@globex.example</saml:NameID></saml:Subject>";
    let asked = globex.read(&scene.ask(&scene.request().and(subject)).await.away());
    assert!(asked.xml.contains(">jane@globex.example<"), "{}", asked.xml);
    // SAML Profiles 4.1.4.1: a Subject is not confirmed by the request.
    let confirmed =
        subject.replace("</saml:Subject>", r#"<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/></saml:Subject>"#);
    let request = scene.request().and(&confirmed);
    scene.at_once(&request).await.assert_refused("Requester", "RequestUnsupported", &request.id);
}

#[tokio::test]
async fn an_answer_by_another_binding_than_post_is_not_given() {
    let scene = Scene::new().await;
    let acs = format!(r#"AssertionConsumerServiceURL="{}""#, scene.sp.acs[0]);
    for binding in ["HTTP-Redirect", "PAOS"] {
        let request = scene.request().with(&format!(r#"{acs} ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:{binding}""#));
        scene.at_once(&request).await.assert_refused("Requester", "UnsupportedBinding", &request.id);
    }
    let post = r#"ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST""#;
    scene.upstream(&scene.request().with(&format!("{acs} {post}"))).await;
}

/// parity.md, backwards: what the identity provider says, in the application's words.
#[tokio::test]
async fn every_failure_upstream_has_its_status() {
    let scene = Scene::new().await;
    for (upstream, expected) in [
        (vec!["Responder", "AuthnFailed"], ("Responder", "AuthnFailed")),
        (vec!["Responder", "RequestDenied"], ("Responder", "RequestDenied")),
        (vec!["Responder", "NoPassive"], ("Responder", "NoPassive")),
        (vec!["Responder", "NoAuthnContext"], ("Responder", "NoAuthnContext")),
        (vec!["Requester", "InvalidNameIDPolicy"], ("Responder", "InvalidNameIDPolicy")),
        (vec!["Responder", "UnknownPrincipal"], ("Responder", "UnknownPrincipal")),
        (vec!["Requester", "NoAvailableIDP"], ("Responder", "NoAvailableIDP")),
        (vec!["Requester", "NoSupportedIDP"], ("Responder", "NoSupportedIDP")),
        // What is said of our own request is no matter of the application.
        (vec!["Requester", "UnsupportedBinding"], ("Responder", "AuthnFailed")),
        (vec!["VersionMismatch", "RequestVersionTooLow"], ("Responder", "AuthnFailed")),
        (vec!["Responder", "PartialLogout"], ("Responder", "AuthnFailed")),
        (vec!["Responder"], ("Responder", "AuthnFailed")),
    ] {
        let request = scene.request();
        let asked = scene.upstream(&request).await;
        let answer = scene.idp.respond_with(&asked, &Person::jane(), |response| {
            (response.status, response.sign) = (upstream.clone(), Sign::Response);
        });
        let refused = scene.answer(&answer).await;
        refused.assert_refused(expected.0, expected.1, &request.id);
        assert_eq!(refused.relay_state.as_deref(), Some("a state & more"), "{upstream:?}");
        assert_eq!(refused.to, scene.sp.acs[0]);
    }
    // An answer that cannot be believed.
    let request = scene.request();
    let asked = scene.upstream(&request).await;
    let answer = scene.idp.respond_with(&asked, &Person::jane(), |response| response.audience = "https://other.example".to_owned());
    let refused = scene.answer(&answer).await;
    refused.assert_refused("Responder", "AuthnFailed", &request.id);
    assert!(!refused.text("samlp:StatusMessage").contains("other.example"), "{}", refused.xml);
}

#[tokio::test]
async fn conditions_of_a_request_hold_for_the_assertion() {
    let scene = Scene::new().await;
    let until = now() + Duration::from_secs(100);
    let conditions = |inside: &str, until: OffsetDateTime| {
        format!(r#"<saml:Conditions NotOnOrAfter="{}">{inside}</saml:Conditions>"#, until.format(&Rfc3339).unwrap())
    };
    let answered = scene.sign_in(&scene.request().and(&conditions("", until)), &Person::jane()).await;
    assert!(time(&answered.assert_good().of("saml:Conditions", "NotOnOrAfter")) <= until);
    let past = now() - Duration::from_secs(5);
    let foreign = "<saml:AudienceRestriction><saml:Audience>https://other.example</saml:Audience></saml:AudienceRestriction>";
    for wrong in [conditions("", past), conditions(foreign, until)] {
        let request = scene.request().and(&wrong);
        scene.at_once(&request).await.assert_refused("Requester", "RequestUnsupported", &request.id);
    }
}

/// The request's own order of elements and attributes does not matter where the schema leaves it open, and values that the
/// schema does not know are refused to the application.
#[tokio::test]
async fn values_that_the_schema_does_not_know_are_refused() {
    let scene = Scene::new().await;
    for (attributes, children) in [
        (r#"ForceAuthn="maybe""#, String::new()),
        (r#"AttributeConsumingServiceIndex="many""#, String::new()),
        ("", scoping(r#" ProxyCount="-1""#, &[])),
        ("", context("strongest", MFA)),
        ("", format!("{0}{0}", policy(&format!("{FORMAT}transient")))),
    ] {
        let request: Request = scene.request().with(attributes).and(&children);
        let browser = Browser::new();
        let landed = browser.open(scene.sp.redirect(&request).as_str()).await;
        Answered::read(&scene.gateway, &landed.away()).assert_refused("Requester", "RequestUnsupported", &request.id);
    }
}
