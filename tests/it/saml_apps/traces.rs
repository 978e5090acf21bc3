//! What an operator sees of a SAML application's logins.

use super::sp::{Request, Scene};
use crate::harness::browser::Page;
use crate::harness::idp::{Person, ZOE};
use serde_json::Value;

fn events(trace: &Value) -> Vec<&Value> {
    trace["entries"].as_array().expect("entries").iter().map(|entry| &entry["event"]).collect()
}

async fn page(scene: &Scene, correlation_id: &str) -> Page {
    scene.gateway.ask_operations(&format!("/traces/{correlation_id}"), "text/html").await
}

#[tokio::test]
async fn a_refused_request_shows_each_check_with_expected_and_found() {
    let scene = Scene::new().await;
    let request = Request { destination: Some("https://other.example/sso".to_owned()), ..scene.request() };
    let refused = scene.ask(&request).await.here();
    let trace = scene.gateway.trace(refused.correlation_id()).await;
    let events = events(&trace);
    let passed: Vec<_> = events.iter().filter(|event| event["passed"] == true).map(|event| &event["name"]).collect();
    assert!(passed.iter().any(|name| *name == "signature") && passed.iter().any(|name| *name == "issuer"), "{passed:?}");
    let failed = events.iter().find(|event| event["passed"] == false).expect("a failed check");
    let sso = scene.gateway.url("/saml/sso");
    assert_eq!((failed["name"].as_str(), failed["expected"].as_str()), (Some("destination"), Some(sso.as_str())));
    assert_eq!(failed["found"], "https://other.example/sso");
    let end = events.last().expect("an end");
    assert_eq!((&end["step"], &end["code"], &end["reason"]), (&"refused".into(), &"ISTH-1001".into(), &"wrong-destination".into()));
    let shown = page(&scene, refused.correlation_id()).await;
    for text in ["destination", sso.as_str(), "https://other.example/sso", "wiki"] {
        assert!(shown.contains(text), "{text} is not on the page: {}", shown.body);
    }
}

/// What the application can be told goes to it, with the id under which the operator finds the rest.
#[tokio::test]
async fn the_status_message_names_the_trace() {
    let scene = Scene::new().await;
    let kerberos = r#"<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos"/>"#;
    let scoping = r#"<samlp:Scoping><samlp:IDPList><samlp:IDPEntry ProviderID="https://x.example"/></samlp:IDPList></samlp:Scoping>"#;
    let cases = [
        (scene.request().and(kerberos), "name-id-policy-refused"),
        (scene.request().and(scoping), "NoSupportedIDP"),
        (scene.request().and(r#"<samlp:Scoping ProxyCount="0"/>"#), "ProxyCountExceeded"),
    ];
    for (request, reason) in cases {
        let refused = scene.at_once(&request).await;
        let trace = scene.gateway.trace(&refused.correlation_id()).await;
        let end = events(&trace).last().copied().cloned().expect("an end");
        assert_eq!((&end["step"], &end["reason"]), (&"refused".into(), &reason.into()), "{trace:#}");
        assert!(page(&scene, &refused.correlation_id()).await.contains(reason));
    }
    // Decisions too.
    let refused = scene.at_once(&scene.request().with(r#"IsPassive="true""#)).await;
    let trace = scene.gateway.trace(&refused.correlation_id()).await;
    let decision = events(&trace).into_iter().find(|event| event["step"] == "decision").expect("a decision").clone();
    assert!(decision["what"].as_str().is_some_and(|what| what.contains("login_required")), "{decision}");
    // And what came from upstream.
    let request = scene.request();
    let asked = scene.upstream(&request).await;
    let answer = scene.idp.respond_with(&asked, &Person::jane(), |response| response.audience = "https://other.example".to_owned());
    let refused = scene.answer(&answer).await;
    let trace = scene.gateway.trace(&refused.correlation_id()).await;
    let failed = events(&trace).into_iter().find(|event| event["passed"] == false).expect("a failed check").clone();
    assert_eq!((&failed["name"], &failed["found"]), (&"audience".into(), &"https://other.example".into()));
}

#[tokio::test]
async fn a_good_login_shows_what_was_released_and_how_it_was_made() {
    let scene = Scene::new().await;
    let request = scene.request();
    let asked = scene.ask(&request).await.away();
    let answer = scene.idp.respond(&scene.idp.read(&asked), &Person::zoe());
    scene.answer(&answer).await.assert_good();
    let listed = scene.gateway.ask_operations("/traces", "application/json").await.json();
    let login = &listed["logins"][0];
    assert_eq!((&login["application"], &login["connection"], &login["outcome"]), (&"wiki".into(), &"acme".into(), &"success".into()));
    let correlation_id = login["correlation_id"].as_str().expect("a correlation id");
    let trace = scene.gateway.trace(correlation_id).await;
    let released = events(&trace).into_iter().find(|event| event["step"] == "released").expect("what was released").clone();
    assert_eq!((&released["application"], &released["to"]), (&"wiki".into(), &"the assertion".into()));
    assert_eq!(released["claims"]["urn:oid:2.16.840.1.113730.3.1.241"], ZOE);
    let mapped = events(&trace).into_iter().any(|event| {
        event["step"] == "mapping" && event["direction"] == "from_profile" && event["source"] == "groups" && event["outcome"] == "taken"
    });
    assert!(mapped, "{trace:#}");
    let end = events(&trace).last().copied().cloned().expect("an end");
    assert_eq!(end["reply"], format!("an assertion for wiki at {}", scene.sp.acs[0]));
    let shown = page(&scene, correlation_id).await;
    for text in ["urn:oid:2.16.840.1.113730.3.1.241", "the assertion", "HTTP-Redirect", scene.sp.acs[0].as_str()] {
        assert!(shown.contains(text), "{text} is not on the page: {}", shown.body);
    }
    // Single sign-on is in the list too.
    scene.at_once(&scene.request()).await.assert_good();
    let listed = scene.gateway.ask_operations("/traces", "application/json").await.json();
    assert_eq!(listed["logins"][0]["outcome"], "single-sign-on");
}
