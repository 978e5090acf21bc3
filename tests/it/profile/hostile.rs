//! People who mean harm: forms of other sites, identity providers that are somebody else's, applications that ask for more
//! than they may have, and what is left of users who are gone.

use super::{World, person, subject};
use crate::harness::browser::{Browser, Landed};
use crate::harness::idp::Person;

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
