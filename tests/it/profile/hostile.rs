//! People who mean harm: forms of other sites, identity providers that are somebody else's, applications that ask for more
//! than they may have, and what is left of users who are gone.

use super::{World, person, subject};
use crate::harness::app::{App, Tokens, assert_oauth_error, begin};
use crate::harness::browser::{Browser, Landed};
use crate::harness::gateway::Setup;
use crate::harness::idp::{PASSWORD, Person, Response};

const ASKS: &str = "[connection.linking]\npolicy = \"ask\"\nemail_domains = [\"acme.example\"]";
const EMAIL: &str = "jane@acme.example";

fn jane() -> Person {
    person("jane", EMAIL, true)
}

fn newcomer() -> Person {
    person("j.doe", EMAIL, true)
}

/// Whoever runs an identity provider knows the login's id, and could post the page's form for the person from a page of
/// its own.
#[tokio::test]
async fn only_our_own_page_answers_the_question_whose_account_it_is() {
    let (world, browser) = (World::new(&[("acme", ""), ("globex", ASKS)]).await, Browser::new());
    world.user("acme", &jane()).await;
    let request = world.ask(&browser, "globex", &[]).await;
    let login = request.relay_state.clone().expect("a RelayState");
    let page = world.answer(&browser, "globex", &request, &newcomer()).await.here();
    let guess = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    for fields in [
        guess(&[("login", &login), ("connection", "acme")]),
        guess(&[("login", &login), ("connection", "acme"), ("csrf", "")]),
        guess(&[("login", &login), ("connection", "acme"), ("csrf", &login)]),
        guess(&[("login", &login), ("separate", "1")]),
    ] {
        let landed = browser.post(&page.url, &world.gateway.url("/login/link"), &fields).await;
        let Landed::Here(again) = landed else { panic!("{fields:?} was taken for the person's answer: {landed:?}") };
        assert!(again.contains("Do you already have an account?"), "{}", again.body);
    }
    // Nor does what another login's page holds.
    let other = world.come(&Browser::new(), "globex", &newcomer()).await.here();
    let mut fields = other.form().fields;
    fields.retain(|(name, _)| name != "login");
    fields.extend(guess(&[("login", &login), ("connection", "acme")]));
    let again = browser.post(&page.url, &world.gateway.url("/login/link"), &fields).await.here();
    assert!(again.contains("Do you already have an account?"), "{}", again.body);
    // The person does.
    let request = world.idp("acme").read(&browser.press(&again, "Yes, I sign in to it by The acme people").await.away());
    assert_eq!(subject(&world.redeem(world.answer(&browser, "acme", &request, &jane()).await).await), "samlp|acme|jane");
}

/// An address or a subject that only looks like another's when its case is folded by the whole of Unicode.
#[tokio::test]
async fn letters_that_are_no_other_case_of_each_other_are_two_people() {
    const LINKS: &str =
        "subject_comparison = \"ignore_case\"\n[connection.linking]\npolicy = \"verified_email\"\nemail_domains = [\"acme.example\"]";
    let world = World::new(&[("acme", "[connection.linking]\nemail_domains = [\"acme.example\"]"), ("globex", LINKS)]).await;
    world.user("acme", &person("kate", "kate@acme.example", true)).await;
    let kelvin = person("\u{212a}ate", "\u{212a}ate@acme.example", true);
    assert_eq!(world.user("globex", &kelvin).await, "samlp|globex|\u{212a}ate");
    assert_eq!(world.user("globex", &person("Kate", "KATE@acme.example", true)).await, "samlp|acme|kate");
}

#[tokio::test]
async fn an_address_that_can_be_read_in_two_ways_is_believed_of_nobody() {
    const LINKS: &str = "[connection.linking]\npolicy = \"verified_email\"\nemail_domains = [\"acme.example\"]";
    const ANY: &str = "[connection.linking]\npolicy = \"verified_email\"\ntrust_email = \"any\"";
    let world = World::new(&[("acme", ""), ("globex", LINKS), ("initech", ANY)]).await;
    for (number, email) in
        ["a@evil.example@acme.example", "a@acme.example@evil.example", "\"a@evil.example\"@acme.example"].iter().enumerate()
    {
        world.user("acme", &person(&format!("known-{number}"), email, true)).await;
        for connection in ["globex", "initech"] {
            let page = world.come(&Browser::new(), connection, &person(&format!("new-{number}"), email, true)).await.here();
            page.assert_refused(409, "ISTH-3007");
            let trace = world.trace(page.correlation_id()).await.to_string();
            assert!(trace.contains("conflict: unverified_here"), "{email} by {connection}: {trace}");
        }
    }
    // The domain must be the whole domain.
    for (number, email) in ["b@acme.example.", "b@evil-acme.example", "b@sub.acme.example", "b@acme.example.evil"].iter().enumerate() {
        world.user("acme", &person(&format!("other-{number}"), email, true)).await;
        let page = world.come(&Browser::new(), "globex", &person(&format!("third-{number}"), email, true)).await.here();
        page.assert_refused(409, "ISTH-3007");
    }
}

/// Two applications: `office` takes people from everywhere, `vault` by the named connections only.
async fn with_vault(connections: &[(&str, &str)], accepted: &str) -> (World, App) {
    let vault = App::new("vault");
    let setup = Setup::new().application(&vault.toml(&format!("connections = {accepted}"), ""));
    (World::of(setup, connections, "").await, vault)
}

/// An application that does not trust a connection takes nobody by it, be it as the proof of somebody else's account.
#[tokio::test]
async fn a_connection_that_the_application_does_not_accept_proves_nothing_in_its_logins() {
    let card = format!("link_only = true\n{ASKS}");
    let (world, vault) = with_vault(&[("acme", ""), ("globex", ASKS), ("card", &card)], r#"["globex", "card"]"#).await;
    world.user("acme", &jane()).await;
    for connection in ["globex", "card"] {
        let browser = Browser::new();
        let url = vault.authorize(&world.gateway, &[("connection", connection)]);
        let request = world.idp(connection).read(&begin(&browser, &url).await);
        let page = world.answer(&browser, connection, &request, &newcomer()).await.here();
        page.assert_refused(409, "ISTH-3007");
    }
    // Where the application accepts it, it does.
    let page = world.come(&Browser::new(), "globex", &newcomer()).await.here();
    assert!(page.contains("Yes, I sign in to it by The acme people"), "{}", page.body);
}

/// Nobody signs in by an identity that is only linked: the login is the proof's, and so it must be as the application wants it.
#[tokio::test]
async fn the_proof_by_which_somebody_comes_in_has_the_asked_context() {
    const MFA: &str = "https://refeds.org/profile/mfa";
    let card = format!("link_only = true\n{ASKS}");
    let (world, browser) = (World::new(&[("acme", ""), ("card", &card)]).await, Browser::new());
    world.user("acme", &jane()).await;
    let by_mfa = |response: &mut Response| response.authn_context = MFA.to_owned();
    for (proof, accepted) in [(PASSWORD, false), (MFA, true)] {
        let request = world.ask(&browser, "card", &[("acr_values", MFA)]).await;
        let answer = world.idp("card").respond_with(&request, &newcomer(), by_mfa);
        let page = browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
        let request = world.idp("acme").read(&browser.press(&page, "Yes, I sign in to it by The acme people").await.away());
        let answer = world.idp("acme").respond_with(&request, &jane(), |response| response.authn_context = proof.to_owned());
        let landed = browser.post(&answer.from, &answer.to, &answer.fields()).await;
        if accepted {
            assert_eq!(world.redeem(landed).await.claims()["acr"], MFA);
        } else {
            assert_eq!(world.app.error(&world.gateway, &landed.away()).0, "unmet_authentication_requirements");
        }
    }
}

/// What the operator takes from an application counts for logins under way and refresh tokens too.
#[tokio::test]
async fn an_application_that_stops_accepting_a_connection_ends_what_came_by_it() {
    let (mut world, vault) = with_vault(&[("acme", ""), ("globex", "")], r#"["acme", "globex"]"#).await;
    let browser = Browser::new();
    let url = |world: &World| vault.authorize(&world.gateway, &[("connection", "acme"), ("scope", "openid offline_access")]);
    let request = world.idp("acme").read(&begin(&browser, &url(&world)).await);
    let code = vault.code(&world.gateway, &world.answer(&browser, "acme", &request, &jane()).await.away());
    let tokens = Tokens::of(&vault.redeem(&world.gateway, &code, &[]).await);
    let other = Browser::new();
    let request = world.idp("acme").read(&begin(&other, &url(&world)).await);
    assert!(world.gateway.stop().success());
    world.gateway.start_again(|setup| setup.applications[0] = vault.toml(r#"connections = ["globex"]"#, "")).await;
    let (error, _) = vault.error(&world.gateway, &world.answer(&other, "acme", &request, &jane()).await.away());
    assert_eq!(error, "invalid_request");
    assert_oauth_error(&vault.refresh(&world.gateway, tokens.refresh_token(), &[]).await, 400, "invalid_grant");
}
