//! Unsolicited answers of a federation's identity providers: whose they are is what their keys say.

use super::world::{Lines, World};
use crate::harness::app::{CALLBACK, Tokens};
use crate::harness::browser::Browser;
use crate::harness::idp::{Answer, Idp, Person, Sign};
use crate::saml_apps::sp::Answered;

const INITIATED: &str = "initiate_login_uri = \"https://notes.example/start\"";
const OPEN: &str = "require_pkce = false";

/// The rules of the connection, and lines of notes and of wiki.
async fn world(rules: &str, oidc: &str, saml: &str) -> World {
    let connection = format!("[connection.saml.unsolicited]\n{rules}\n");
    World::with(&Lines { connection: &connection, oidc, saml }, |setup| setup).await
}

#[tokio::test]
async fn as_a_hint_one_begins_a_login_at_exactly_the_identity_provider_that_gave_it() {
    let world = world("application = \"notes\"\nquery = \"scope=openid&state=fixed\"", OPEN, "").await;
    for member in [&world.beta, &world.alpha] {
        let browser = Browser::new();
        let answer = world.unasked(member, |_| ());
        let landed = browser.post(&answer.from, &answer.to, &answer.fields()).await.away();
        let request = member.idp.read(&landed);
        let answer = member.idp.respond(&request, &Person::jane());
        let back = browser.post(&answer.from, &answer.to, &answer.fields()).await.away();
        assert!(back.url.as_str().starts_with(CALLBACK) && back.parameter("code").is_some(), "{}", back.url);
        assert_eq!(back.parameter("state").as_deref(), Some("fixed"));
    }
}

#[tokio::test]
async fn an_application_that_begins_itself_is_told_by_whom_the_person_came() {
    let world = world("application = \"notes\"", INITIATED, "").await;
    let answer = world.unasked(&world.alpha, |_| ());
    let away = world.arrive(&answer).await.away();
    assert!(away.url.as_str().starts_with("https://notes.example/start?"), "{}", away.url);
    assert_eq!((away.parameter("connection").as_deref(), away.parameter("idp")), (Some("edu"), Some(world.alpha.idp.entity_id.clone())));
    assert!(!world.is_signed_in().await, "a hint signs nobody in");
    // As it would pass them on.
    let url = world.app.authorize(&world.gateway, &[("connection", "edu"), ("idp", &away.parameter("idp").unwrap())]);
    world.alpha.idp.read(&world.browser.open(url.as_str()).await.away());
    world.arrive(&answer).await.here().assert_refused(403, "ISTH-3002");
    // And where somebody begins at the connection.
    let mut start = world.gateway.url("/connections/edu/start?application=notes");
    start.query_pairs_mut().append_pair("idp", &world.beta.idp.entity_id);
    let away = world.browser.open(start.as_str()).await.away();
    assert_eq!((away.parameter("connection").as_deref(), away.parameter("idp")), (Some("edu"), Some(world.beta.idp.entity_id.clone())));
}

#[tokio::test]
async fn a_saml_application_is_begun_for_too() {
    let rules = "application = \"wiki\"\nprotocol = \"saml\"\nrelay_states = [\"deep/link\"]";
    let world = world(rules, "", "allow_unsolicited = true").await;
    let answer = Answer { relay_state: Some("deep/link".to_owned()), ..world.unasked(&world.beta, |_| ()) };
    let request = world.beta.idp.read(&world.arrive(&answer).await.away());
    let answer = world.beta.idp.respond(&request, &Person::jane());
    let answered = Answered::read(&world.gateway, &world.arrive(&answer).await.away());
    assert_eq!(answered.assert_good().text("saml:AuthenticatingAuthority"), world.beta.idp.entity_id);
    assert_eq!(answered.relay_state.as_deref(), Some("deep/link"));
    assert!(!answered.xml.contains("InResponseTo"), "{}", answered.xml);
}

#[tokio::test]
async fn accepted_directly_one_makes_a_session_of_its_own_people_only() {
    let world = world("application = \"notes\"\nmode = \"accept_directly\"", OPEN, "").await;
    for member in [&world.alpha, &world.beta] {
        let browser = Browser::new();
        let answer = world.unasked(member, |_| ());
        let away = browser.post(&answer.from, &answer.to, &answer.fields()).await.away();
        let code = away.parameter("code").unwrap_or_else(|| panic!("{}", away.url));
        let tokens = Tokens::of(&world.app.redeem(&world.gateway, &code, &[("code_verifier", "")]).await);
        assert_eq!(tokens.claims()["sub"], format!("samlp|edu|{}!jane-1", member.idp.entity_id));
        // Once, in any browser.
        world.arrive(&answer).await.here().assert_refused(403, "ISTH-3002");
    }
    assert!(!world.is_signed_in().await);
}

#[tokio::test]
async fn nobody_speaks_for_another_and_strangers_not_at_all() {
    for (mode, oidc) in [("hint", INITIATED), ("accept_directly", OPEN)] {
        let world = world(&format!("application = \"notes\"\nmode = \"{mode}\""), oidc, "").await;
        let alpha = world.alpha.idp.entity_id.clone();
        // Beta's key under alpha's name; and a name outside around one that is beta's own.
        let forged = world.unasked(&world.beta, |response| response.issuer.clone_from(&alpha));
        let page = world.arrive(&forged).await.here();
        page.assert_refused(403, "ISTH-3001");
        let trace = world.gateway.trace(page.correlation_id()).await.to_string();
        assert!(trace.contains("\"refused\""), "{trace}");
        let own = world.unasked(&world.beta, |_| ());
        let around = own.xml.replacen(&world.beta.idp.entity_id, &alpha, 1);
        world.arrive(&Answer { xml: around, ..own.clone() }).await.here().assert_refused(403, "ISTH-3001");
        // Alpha's true answer, said to be beta's.
        let own = world.unasked(&world.alpha, |_| ());
        let around = own.xml.replacen(&alpha, &world.beta.idp.entity_id, 1);
        world.arrive(&Answer { xml: around, ..own.clone() }).await.here().assert_refused(403, "ISTH-3001");
        for change in [
            |response: &mut crate::harness::idp::Response| response.audience = "https://other.example".to_owned(),
            |response: &mut crate::harness::idp::Response| response.recipient += "x",
            |response: &mut crate::harness::idp::Response| response.sign = Sign::Nothing,
        ] {
            world.arrive(&world.unasked(&world.alpha, change)).await.here().assert_refused(403, "ISTH-3001");
        }
        // Somebody who is not in the federation, or says not who they are.
        let stranger = Idp::new("stranger");
        let answer = super::world::unasked(&stranger, &world.gateway, "edu", |_| ());
        world.arrive(&answer).await.here().assert_refused(404, "ISTH-2001");
        let nameless = answer.xml.replace(&stranger.entity_id, "");
        world.arrive(&Answer { xml: nameless, ..answer.clone() }).await.here().assert_refused(403, "ISTH-3004");
        assert!(!world.is_signed_in().await);
    }
}

/// One that hides from choosers may send its people all the same.
#[tokio::test]
async fn who_hides_from_choosers_sends_its_people() {
    let world = world("application = \"notes\"\nquery = \"scope=openid\"", OPEN, "").await;
    let answer = super::world::unasked(&world.hidden, &world.gateway, "edu", |_| ());
    world.hidden.read(&world.arrive(&answer).await.away());
}

/// Where nobody has switched them on they are refused before anything is read.
#[tokio::test]
async fn a_federation_takes_none_by_default() {
    let world = World::new().await;
    let page = world.arrive(&world.unasked(&world.alpha, |_| ())).await.here();
    page.assert_refused(403, "ISTH-3004");
    assert!(page.contains("[connection.saml.unsolicited]"), "{}", page.body);
}

/// Keeps the two ways of starting apart: `idp` at a SAML application's own address names one of many.
#[tokio::test]
async fn a_sign_in_that_begins_here_names_one_of_many() {
    let world = World::with(&Lines { saml: "allow_unsolicited = true", ..Lines::default() }, |setup| setup).await;
    let start = |pairs: &[(&str, &str)]| {
        let mut url = world.gateway.url("/samlp/wiki");
        url.query_pairs_mut().extend_pairs(pairs);
        url
    };
    let alpha = world.alpha.idp.entity_id.as_str();
    for pairs in [vec![("connection", "edu"), ("idp", alpha)], vec![("idp", alpha)], vec![("aarc_idp_hint", alpha)]] {
        world.alpha.idp.read(&Browser::new().open(start(&pairs).as_str()).await.away());
    }
    let mut at_connection = world.gateway.url("/connections/edu/start?application=wiki");
    at_connection.query_pairs_mut().append_pair("idp", alpha);
    world.alpha.idp.read(&Browser::new().open(at_connection.as_str()).await.away());
    let unknown = [("connection", "edu"), ("idp", "https://invented.example/idp")];
    let refused = Answered::read(&world.gateway, &Browser::new().open(start(&unknown).as_str()).await.away());
    assert_eq!(refused.status(), ["Requester", "NoAvailableIDP"]);
}
