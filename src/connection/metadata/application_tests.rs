//! Sources of applications: what goes through, what waits, and what is not taken.

use super::testing::*;
use super::*;
use crate::application::saml_sp::SamlSpSettings;
use crate::application::saml_sp_template::SamlTemplate;
use crate::clock::Timestamp;
use crate::connection::outbound::download::Reach;
use crate::keys::CertifiedKey;
use crate::saml::aggregate::{Terms, Trust, Validity};
use crate::saml::binding::ResponseBinding;
use crate::saml::idp::{ApplicationMetadata, SpTrust};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

const WIKI: &str = "https://wiki.example/sp";

/// An application: its entity ID, its ACS, its certificate, and more of its role behind them.
fn sp(entity_id: &str, acs: &str, key: &CertifiedKey, more: &str) -> String {
    let certificate = STANDARD.encode(key.certificate_der());
    format!(
        "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" \
         entityID=\"{entity_id}\"><md:SPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\
         <md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate>\
         </ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:AssertionConsumerService index=\"1\" \
         Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"https://wiki.example/second\"/>\
         <md:AssertionConsumerService index=\"0\" Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"{acs}\" \
         isDefault=\"true\"/>{more}</md:SPSSODescriptor></md:EntityDescriptor>"
    )
}

fn wiki(acs: &str, key: &CertifiedKey) -> String {
    sp(WIKI, acs, key, "")
}

fn role(change: impl FnOnce(&mut SamlTemplate)) -> Role {
    let settings = SamlSpSettings::new(SpTrust::nobody());
    let mut template = SamlTemplate {
        settings,
        names_format: false,
        names_identifiers: false,
        only_requested: false,
        categories: None,
        believes_categories: false,
    };
    change(&mut template);
    Role::Application(Arc::new(template))
}

fn feed(server: &Server, role: Role, expects: Option<&str>) -> Feed {
    let url = format!("{}/sp.xml", server.address).parse().expect("a URL");
    let terms = Terms { trust: Trust::new(&[], true).expect("unsigned"), validity: Validity::Optional };
    let source = Source::new(Origin::Url(url), terms).expect("valid");
    let source = Source { role, expects: expects.map(str::to_owned), reach: Reach::Everything, ..source };
    Feed::new(source, now()).expect("a feed")
}

fn in_force(feed: &Feed, entity_id: &str) -> ApplicationMetadata {
    let snapshot = feed.snapshot(now()).expect("a copy");
    snapshot.sp(&feed.source().role, entity_id, now()).expect("an application")
}

fn acs(feed: &Feed) -> Vec<String> {
    in_force(feed, WIKI).trust.acs().iter().map(|acs| acs.location().to_owned()).collect()
}

fn texts(events: &[Event]) -> Vec<String> {
    events.iter().map(ToString::to_string).collect()
}

async fn now_has(feed: &Feed, server: &Server, xml: &str) -> Vec<String> {
    server.set(ok("", xml));
    texts(&feed.refresh(now()).await)
}

#[tokio::test]
async fn certificates_and_paths_of_an_application_change_at_once() {
    let server = Server::new([ok("", &wiki("https://wiki.example/acs", &ONE))]).await;
    let feed = feed(&server, role(|_| {}), None);
    assert_eq!(texts(&feed.refresh(now()).await), ["1 entities, 0 left out"]);
    let [said] = &now_has(&feed, &server, &wiki("https://wiki.example/new", &TWO)).await[..] else { panic!("one event") };
    assert!(said.starts_with("https://wiki.example/sp: + certificate "), "{said}");
    for part in [
        "- certificate ",
        "+ AssertionConsumerService HTTP-POST https://wiki.example/new (index 0) (default)",
        "- AssertionConsumerService HTTP-POST https://wiki.example/acs (index 0) (default)",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(feed.status().pending.is_empty());
    assert_eq!(in_force(&feed, WIKI).trust.default_acs().map(|acs| acs.location()), Some("https://wiki.example/new"));
}

#[tokio::test]
async fn a_new_host_of_an_application_waits_and_its_new_certificate_does_not() {
    let logout = |binding: &str| {
        format!(
            "<md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:{binding}\" Location=\"https://thief.example/slo\"/>"
        )
    };
    let server = Server::new([ok("", &wiki("https://wiki.example/acs", &ONE))]).await;
    let feed = feed(&server, role(|_| {}), None);
    feed.refresh(now()).await;
    let before = acs(&feed);
    let of_sp = |more: &str| sp(WIKI, "https://wiki.example/acs", &TWO, more);
    for moved in [wiki("https://thief.example/acs", &TWO), of_sp(&logout("SOAP")), of_sp(&logout("HTTP-Redirect"))] {
        let said = now_has(&feed, &server, &moved).await;
        assert!(said.iter().any(|said| said.contains("waits for approval") && said.contains("https://thief.example")), "{said:?}");
        let mut there = acs(&feed);
        there.sort();
        let mut wanted = before.clone();
        wanted.sort();
        assert_eq!(there, wanted);
        let trust = in_force(&feed, WIKI).trust;
        assert_eq!(trust.default_acs().map(|acs| acs.location()), Some("https://wiki.example/acs"), "the order of the others is not kept");
        assert!(trust.logout_services.is_empty() && trust.soap_logout.is_none());
        let fingerprint = crate::id::hex(&crate::id::sha256(&TWO.certificate_der()));
        assert_eq!(trust.keys().map(|keys| keys.fingerprints().map(str::to_owned).collect::<Vec<_>>()), Some(vec![fingerprint]));
    }
    let waits = feed.status().pending[0].clone();
    feed.approve(&waits.key, now()).await.expect("approved");
    assert_eq!(in_force(&feed, WIKI).trust.logout_services.len(), 1);
    assert!(feed.approve(&waits.key, now()).await.is_err(), "once");
}

#[tokio::test]
async fn an_artifact_address_without_a_key_is_none() {
    let artifact = "<md:AssertionConsumerService index=\"7\" Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact\" \
                    Location=\"https://wiki.example/artifact\"/>";
    let server = Server::new([ok("", &sp(WIKI, "https://wiki.example/acs", &ONE, artifact))]).await;
    let feed = feed(&server, role(|_| {}), None);
    feed.refresh(now()).await;
    let artifacts = |feed: &Feed| in_force(feed, WIKI).trust.acs().iter().filter(|acs| acs.binding == ResponseBinding::Artifact).count();
    assert_eq!(artifacts(&feed), 1);
    let bare = wiki("https://elsewhere.example/acs", &ONE);
    let (start, rest) = bare.split_once("<md:KeyDescriptor").expect("a key");
    let without_key = format!("{start}{}", rest.split_once("</md:KeyDescriptor>").expect("its end").1);
    now_has(&feed, &server, &without_key).await;
    assert_eq!((artifacts(&feed), acs(&feed).len()), (0, 2), "the old addresses, and no key any more");
}

#[tokio::test]
async fn another_application_waits_as_a_whole() {
    let server = Server::new([ok("", &wiki("https://wiki.example/acs", &ONE))]).await;
    let feed = feed(&server, role(|_| {}), None);
    feed.refresh(now()).await;
    let said = now_has(&feed, &server, &sp("https://other.example/sp", "https://wiki.example/acs", &ONE, "")).await;
    assert!(said[0].contains("entityID https://wiki.example/sp is now https://other.example/sp"), "{said:?}");
    assert_eq!(acs(&feed).len(), 2);
    let waits = feed.status().pending[0].clone();
    feed.approve(&waits.key, now()).await.expect("approved");
    assert_eq!(in_force(&feed, "https://other.example/sp").trust.entity_id(), "https://other.example/sp");
}

#[tokio::test]
async fn what_is_no_application_or_does_not_go_together_with_its_settings_is_not_taken() {
    let good = wiki("https://wiki.example/acs", &ONE);
    let server = Server::new([ok("", &good)]).await;
    let strict = role(|template| template.only_requested = true);
    let of_idp = Idp("a.example", "sso.a.example", &ONE, "a.example").xml("");
    let both = format!("<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\">{good}{}</md:EntitiesDescriptor>", {
        sp("https://other.example/sp", "https://other.example/acs", &ONE, "")
    });
    let broken = wiki("http://wiki.example/acs", &ONE);
    for (role, expects, xml, why) in [
        (role(|_| {}), None, of_idp.as_str(), "describe no application"),
        (role(|_| {}), None, &both, "several applications"),
        (role(|_| {}), Some("https://third.example"), &both, "do not describe https://third.example"),
        (role(|_| {}), None, &broken, "use https"),
        (strict, None, &good, "do not go together: release"),
    ] {
        let feed = feed(&server, role, expects);
        let said = now_has(&feed, &server, xml).await;
        assert!(said.iter().any(|said| said.contains(why)), "{why}: {said:?}");
        assert!(feed.snapshot(now()).is_none());
    }
    let one_of_two = feed(&server, role(|_| {}), Some(WIKI));
    now_has(&one_of_two, &server, &both).await;
    assert_eq!(acs(&one_of_two).len(), 2);
    let said = now_has(&one_of_two, &server, &both.replace("https://other.example/acs", "https://moved.example/acs")).await;
    assert_eq!(said, [""; 0], "what happens to the others is not its matter");
    let good_stays = feed(&server, role(|_| {}), None);
    now_has(&good_stays, &server, &good).await;
    now_has(&good_stays, &server, &broken).await;
    assert_eq!(acs(&good_stays)[1], "https://wiki.example/acs");
}

#[test]
fn the_words_of_connections_and_applications_are_theirs() {
    let approval = |text: &str| serde_json::from_str::<Approval>(text).expect("an approval");
    let of_connection = approval("{\"connection\":\"wiki\",\"source\":\"s\",\"sole\":true,\"entity_id\":\"e\",\"places\":[]}");
    let of_application = approval("{\"application\":\"wiki\",\"source\":\"s\",\"sole\":true,\"entity_id\":\"e\",\"places\":[]}");
    assert_eq!((of_connection.owner.clone(), of_application.owner.clone()), (Owner::connection("wiki"), Owner::application("wiki")));
    assert_ne!(of_connection.object_id(), of_application.object_id());
    assert!(serde_json::to_string(&of_application).expect("JSON").starts_with("{\"application\":\"wiki\""));
}

#[tokio::test]
async fn the_state_of_a_source_is_the_same_wherever_it_is_looked_at() {
    let server = Server::new([ok("", &wiki("https://wiki.example/acs", &ONE))]).await;
    let url = format!("{}/sp.xml", server.address).parse().expect("a URL");
    let terms = Terms { trust: Trust::new(&[], true).expect("unsigned"), validity: Validity::Optional };
    let source = Source { role: role(|_| {}), reach: Reach::Everything, ..Source::new(Origin::Url(url), terms).expect("valid") };
    let living = Living { members: Members::One, source, discovery: None };
    let none = Arc::new(Vec::new());
    let (one, other) = (Feeds::default(), Feeds::default());
    let nodes = [&one, &other].map(|feeds| feeds.open(Owner::application("wiki"), &living).expect("a source"));
    let long_after = |seconds: i64| Timestamp::from_seconds(2_000_000_000 + seconds);
    let mut states = Vec::new();
    for (turn, key) in [&ONE, &TWO, &ONE].into_iter().enumerate() {
        server.set(ok("", &wiki("https://wiki.example/acs", key)));
        let now = long_after(turn as i64 * 100_000);
        for node in &nodes {
            node.tend(&none, now).await;
        }
        assert_eq!(nodes[0].state(&[WIKI], now), nodes[1].state(&[WIKI], now));
        states.push(nodes[0].state(&[WIKI], now));
    }
    assert!(states[0] == states[2] && states[0] != states[1], "{states:?}");
    // A source that is only tried takes nothing away from the one in use.
    let tried = Living { source: Source { limit: 7, ..living.source.clone() }, ..living.clone() };
    drop(one.open(Owner::application("wiki"), &tried).expect("a source"));
    assert!(Arc::ptr_eq(&one.all()[0], &nodes[0]));
}
