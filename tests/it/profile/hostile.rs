//! People who mean harm: forms of other sites, identity providers that are somebody else's, applications that ask for more
//! than they may have, and what is left of users who are gone.

use super::{World, person, subject};
use crate::harness::app::{App, Tokens, assert_oauth_error, begin, userinfo};
use crate::harness::browser::{Browser, Landed, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, PASSWORD, Person, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

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

/// keycloak/keycloak#51470: "link only" forgotten on some of the ways in.
#[tokio::test]
async fn a_connection_that_becomes_link_only_signs_nobody_in_any_more() {
    let mut world = World::new(&[("acme", ""), ("globex", ASKS)]).await;
    let browser = Browser::new();
    let request = world.ask(&browser, "acme", &[("scope", "openid offline_access")]).await;
    let tokens = world.redeem(world.answer(&browser, "acme", &request, &jane()).await).await;
    assert!(world.gateway.stop().success());
    let only_linked = world.idp("acme").toml("link_only = true", "");
    world.gateway.start_again(|setup| setup.connections[0] = only_linked).await;
    let (error, _) = world.app.error(&world.gateway, &browser.open(world.silently().as_str()).await.away());
    assert_eq!(error, "login_required", "a session is no way around it");
    assert_oauth_error(&world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await, 400, "invalid_grant");
    world.come(&Browser::new(), "acme", &jane()).await.here().assert_refused(403, "ISTH-3008");
    // Nor does it prove an account, so there is none to be asked for.
    world.come(&Browser::new(), "globex", &newcomer()).await.here().assert_refused(409, "ISTH-3007");
    let (status, text) = world.command(&["user", "allow-login", "acme", "jane"]).await;
    assert!(status == 1 && text.contains("link_only"), "{status} {text}");
    let (_, shown) = world.command(&["user", "show", "samlp|acme|jane", "--json"]).await;
    assert!(shown.contains("\"logins_count\": 1"), "what is refused changes nothing: {shown}");
}

impl World {
    /// The application's request that must not interrupt.
    fn silently(&self) -> url::Url {
        self.app.authorize(&self.gateway, &[("prompt", "none")])
    }
}

/// What a person is told about an account that cannot be joined is the same whatever is wrong with it, and the connection's
/// policy for conflicts holds for all of them.
#[tokio::test]
async fn an_account_that_cannot_be_proven_is_a_conflict_like_any_other() {
    let separate = format!("{ASKS}\non_conflict = \"separate_user\"");
    let world = World::new(&[("acme", ""), ("globex", ASKS), ("initech", &separate)]).await;
    world.user("acme", &jane()).await;
    assert_eq!(world.command(&["user", "block", "samlp|acme|jane"]).await.0, 0);
    let blocked = world.come(&Browser::new(), "globex", &newcomer()).await.here();
    assert_eq!(world.command(&["user", "unblock", "samlp|acme|jane"]).await.0, 0);
    assert_eq!(world.command(&["user", "deny-login", "acme", "jane"]).await.0, 0);
    let denied = world.come(&Browser::new(), "globex", &newcomer()).await.here();
    for page in [&blocked, &denied] {
        page.assert_refused(409, "ISTH-3007");
    }
    let told = |page: &Page| page.body.replace(page.correlation_id(), "").split("/authorize").next().map(str::to_owned);
    assert_eq!(told(&blocked), told(&denied));
    assert_eq!(world.user("initech", &newcomer()).await, "samlp|initech|j.doe");
}

/// Accounts made with somebody's address must not push the real ones out of what is looked at.
#[tokio::test]
async fn accounts_beyond_those_that_are_looked_at_make_no_match_unique() {
    const BELIEVED: &str = "[connection.linking]\nemail_domains = [\"acme.example\"]";
    const AMONG: &str =
        "[connection.linking]\npolicy = \"verified_email\"\nemail_domains = [\"acme.example\"]\namong = [\"acme\", \"zeta\"]";
    let world = World::new(&[("acme", BELIEVED), ("junk", ""), ("zeta", BELIEVED), ("globex", AMONG)]).await;
    world.user("acme", &jane()).await;
    world.user("zeta", &jane()).await;
    for number in 0..9 {
        world.user("junk", &person(&format!("junk-{number}"), EMAIL, false)).await;
    }
    world.come(&Browser::new(), "globex", &newcomer()).await.here().assert_refused(409, "ISTH-3007");
}

const TABLE: &str = r#"
direction = "to_profile"
extends = "saml"
[[row]]
field = "employee_id"
cel = "attributes['urn:example:staff'][0] + '!'"
[[row]]
field = "department"
cel = "'dep ' + attributes['urn:example:unit'][0]"
[[row]]
field = "cost_center"
cel = "attributes['urn:example:staff'][0] * 2"
[[row]]
field = "saml_data.person.badge"
from = ["urn:example:badge"]
[[row]]
field = "title"
from = ["urn:example:role", "urn:example:unit"]
"#;

/// By whichever of its names the operator calls an attribute, and by whatever way it gets into the profile.
#[tokio::test]
async fn details_a_what_is_not_to_be_kept_is_not_kept_in_another_form() {
    const SECRETS: [&str; 4] = ["+4366012345678", "staff-4711", "badge-4712", "role-4713"];
    let kept_out = r#"non_persistent_attrs = ["telephoneNumber", "urn:example:staff", "Badge", "urn:example:role"]"#;
    let setup = Setup::new().file("mappings/local.toml", TABLE);
    let world = World::of(setup, &[("acme", &format!("mapping = \"local\"\n{kept_out}"))], "").await;
    let jane = jane()
        .with(("urn:oid:2.5.4.20", "telephoneNumber"), &[SECRETS[0]])
        .with(("urn:example:staff", ""), &[SECRETS[1]])
        .with(("urn:example:badge", "Badge"), &[SECRETS[2]])
        .with(("urn:example:role", ""), &[SECRETS[3]])
        .with(("urn:example:unit", ""), &["west"]);
    let browser = Browser::new();
    let request = world.ask(&browser, "acme", &[("scope", "openid phone")]).await;
    let code = world.app.code(&world.gateway, &world.answer(&browser, "acme", &request, &jane).await.away());
    let page = world.app.redeem(&world.gateway, &code, &[]).await;
    assert_eq!(Tokens::of(&page).claims()["phone_number"], SECRETS[0], "it is there in this login");
    let trace = world.trace(page.correlation_id()).await.to_string();
    let (_, shown) = world.command(&["user", "show", "samlp|acme|jane", "--json"]).await;
    assert!(shown.contains("dep west"), "what was not made of it is kept: {shown}");
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret} is in the directory: {shown}");
        assert!(!trace.contains(secret), "{secret} is in the trace: {trace}");
    }
}

/// An address that is not to be kept is not kept in a record of what went wrong, nor while the person is asked.
#[tokio::test]
async fn details_a_what_is_not_to_be_kept_outlives_no_conflict_and_no_question() {
    let lines = |more: &str| format!("non_persistent_attrs = [\"phone_number\"]\n{more}");
    let card = "link_only = true\nnon_persistent_attrs = [\"email\"]\n[connection.linking]\npolicy = \"ask\"";
    let world = World::new(&[("acme", ""), ("globex", &lines(ASKS)), ("card", card)]).await;
    let page = world.come(&Browser::new(), "card", &person("card-1", "secret@acme.example", true)).await.here();
    page.assert_refused(409, "ISTH-3007");
    let (status, conflicts) = world.command(&["user", "conflicts", "--json"]).await;
    assert!(status == 0 && conflicts.contains("card-1") && !conflicts.contains("secret@"), "{status} {conflicts}");
    world.user("acme", &jane()).await;
    let browser = Browser::new();
    let request = world.ask(&browser, "globex", &[("scope", "openid phone")]).await;
    let phoned = newcomer().with(("urn:oid:2.5.4.20", "telephoneNumber"), &["+4366012345678"]);
    let page = world.answer(&browser, "globex", &request, &phoned).await.here();
    let tokens = world.redeem(browser.press(&page, "No, go on with a new account").await).await;
    assert_eq!(tokens.claims().get("phone_number"), None, "it was not written down while the person was asked");
}

const RELEASES: &str = r#"
direction = "from_profile"
extends = "oidc"
[[row]]
release = "account"
cel = "'IBAN ' + profile.custom_fields.iban"
[[row]]
release = "broken"
cel = "profile.custom_fields.iban * 2"
[[row]]
release = "free_*"
from = ["custom_fields.*"]
[[row]]
release = "data_*"
from = ["saml_data.*"]
"#;

/// Whatever way a table takes to them, sealed values and those that are not to be kept reach the trusted and no record.
#[tokio::test]
async fn s0_13_no_expression_and_no_wildcard_brings_a_value_into_the_trace() {
    const IBAN: &str = "AT611904300234573201";
    const ROOM: &str = "room-4711-west";
    let (idp, plain, trusted) = (Idp::new("acme"), App::new("notes"), App::new("bank"));
    let setup = Setup { top_tables: "[metadata]\nsealed = [\"custom_fields.iban\"]".to_owned(), ..Setup::new() }
        .file("mappings/free.toml", RELEASES)
        .connection(&idp.toml("non_persistent_attrs = [\"urn:example:room\"]", ""))
        .application(&plain.toml("mapping = \"free\"", ""))
        .application(&trusted.toml("mapping = \"free\"\nreads_sealed = true", ""));
    let world = World { gateway: Gateway::start(setup).await, app: plain, idps: vec![idp] };
    let jane = jane().with(("urn:example:room", "room"), &[ROOM]);
    world.user("acme", &jane).await;
    let patch = json!({ "custom_fields": { "iban": IBAN } }).to_string();
    assert_eq!(world.command(&["user", "update", "samlp|acme|jane", "--patch", &patch]).await.0, 0);
    for (app, expected) in [(&world.app, None), (&trusted, Some(IBAN))] {
        let browser = Browser::new();
        let request = world.idp("acme").read(&begin(&browser, &app.authorize(&world.gateway, &[])).await);
        let code = app.code(&world.gateway, &world.answer(&browser, "acme", &request, &jane).await.away());
        let page = app.redeem(&world.gateway, &code, &[]).await;
        let claims = Tokens::of(&page).claims();
        assert_eq!(claims.get("free_iban").and_then(Value::as_str), expected, "{claims}");
        assert_eq!(claims.get("account").and_then(Value::as_str), expected.map(|iban| format!("IBAN {iban}")).as_deref(), "{claims}");
        assert_eq!(claims["data_room"], json!([ROOM]), "{claims}");
        let trace = world.trace(page.correlation_id()).await.to_string();
        for secret in [IBAN, ROOM] {
            assert!(!trace.contains(secret), "{secret} is in the trace: {trace}");
        }
    }
}

/// The profile was forgotten, and the person comes by an identity that is not the first: they are known all the same.
#[tokio::test]
async fn s4_6_somebody_who_comes_by_a_linked_identity_after_the_profile_was_forgotten_is_somebody() {
    const LINKS: &str = "[connection.linking]\npolicy = \"verified_email\"\nemail_domains = [\"acme.example\"]";
    const BELIEVED: &str = "[connection.linking]\nemail_domains = [\"acme.example\"]";
    let world = World::new(&[("acme", BELIEVED), ("globex", LINKS), ("initech", ASKS)]).await;
    world.user("acme", &jane()).await;
    assert_eq!(world.user("globex", &newcomer()).await, "samlp|acme|jane");
    assert_eq!(world.command(&["user", "forget-profile", "samlp|acme|jane"]).await.0, 0);
    // Nobody has the address any more, so nobody is joined by it.
    assert_eq!(world.user("initech", &person("early", EMAIL, true)).await, "samlp|initech|early");
    assert_eq!(world.command(&["user", "delete", "samlp|initech|early"]).await.0, 0);
    let browser = Browser::new();
    let request = world.ask(&browser, "globex", &[("scope", "openid offline_access")]).await;
    let tokens = world.redeem(world.answer(&browser, "globex", &request, &newcomer()).await).await;
    assert_eq!(subject(&tokens), "samlp|acme|jane");
    let again = world.redeem(browser.open(world.silently().as_str()).await).await;
    assert_eq!((subject(&again).as_str(), again.claims().get("email")), ("samlp|acme|jane", None));
    let refreshed = Tokens::of(&world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await);
    assert_eq!(subject(&refreshed), "samlp|acme|jane");
    // And the account can be proven by it.
    let page = world.come(&browser, "initech", &person("jd", EMAIL, true)).await.here();
    let request = world.idp("globex").read(&browser.press(&page, "Yes, I sign in to it by The globex people").await.away());
    assert_eq!(subject(&world.redeem(world.answer(&browser, "globex", &request, &newcomer()).await).await), "samlp|acme|jane");
}

/// A connection that is switched off or taken out of the configuration says nothing new, so nothing changes.
#[tokio::test]
async fn s1_6_what_the_operator_wrote_stays_when_the_connection_goes() {
    const BELIEVED: &str = "profile_sync = \"on_first_login\"\n[connection.linking]\nemail_domains = [\"acme.example\"]";
    const LINKS: &str = "[connection.linking]\npolicy = \"verified_email\"\nemail_domains = [\"acme.example\"]";
    let mut world = World::new(&[("acme", BELIEVED), ("globex", LINKS)]).await;
    world.user("acme", &jane()).await;
    assert_eq!(world.user("globex", &newcomer()).await, "samlp|acme|jane");
    let patch = r#"{"name": "J. Doe"}"#;
    assert_eq!(world.command(&["user", "update", "samlp|acme|jane", "--patch", patch]).await.0, 0);
    assert_eq!(world.sign_in("globex", &newcomer()).await.claims()["name"], "J. Doe");
    let disabled = world.idp("acme").toml(&format!("enabled = false\n{BELIEVED}"), "");
    for connections in [vec![disabled, world.idp("globex").toml(LINKS, "")], vec![world.idp("globex").toml(LINKS, "")]] {
        assert!(world.gateway.stop().success());
        world.gateway.start_again(|setup| setup.connections = connections).await;
        let browser = Browser::new();
        let tokens = world.redeem(world.come(&browser, "globex", &newcomer()).await).await;
        assert_eq!(tokens.claims()["name"], "J. Doe");
        assert_eq!(world.command(&["user", "update", "samlp|acme|jane", "--patch", r#"{"groups": ["vip"]}"#]).await.0, 0);
        assert_eq!(world.redeem(browser.open(world.silently().as_str()).await).await.claims()["name"], "J. Doe");
        let (_, shown) = world.command(&["user", "show", "samlp|acme|jane"]).await;
        assert!(shown.contains("J. Doe"), "{shown}");
        assert_eq!(world.command(&["user", "update", "samlp|acme|jane", "--patch", r#"{"groups": []}"#]).await.0, 0);
    }
}

/// An ID token goes through browsers, logs of others and hints: who holds one is not the trusted back end.
#[tokio::test]
async fn s0_13_an_id_token_opens_nothing_that_is_sealed() {
    const IBAN: &str = "AT611904300234573201";
    let setup = Setup { top_tables: "[metadata]\nsealed = [\"custom_fields.iban\"]".to_owned(), ..Setup::new() };
    let lines = "legacy_profile = true\nreads_sealed = true\ndialect = \"logto\"";
    let mut world = World::of(setup, &[("acme", "")], lines).await;
    world.user("acme", &jane()).await;
    let browser = Browser::new();
    let request = world.ask(&browser, "acme", &[]).await;
    let code = world.app.code(&world.gateway, &world.answer(&browser, "acme", &request, &jane()).await.away());
    // Sealed between the login and its tokens.
    let patch = json!({ "custom_fields": { "iban": IBAN } }).to_string();
    assert_eq!(world.command(&["user", "update", "samlp|acme|jane", "--patch", &patch]).await.0, 0);
    let tokens = Tokens::of(&world.app.redeem(&world.gateway, &code, &[]).await);
    let answer = userinfo(&world.gateway, tokens.access_token()).await;
    assert!(answer.status == 200 && answer.body.contains(IBAN), "{}", answer.body);
    let url = world.gateway.url("/tokeninfo");
    let request = world.gateway.client().post(url.clone()).json(&json!({ "id_token": tokens.id_token() }));
    let answer = Page::read(request.send().await.expect("an answer"), &url).await;
    assert!(answer.status == 200 && !answer.body.contains(IBAN), "{}", answer.body);
    // What waits in the session store for the next /userinfo is written down at a stop.
    assert!(world.gateway.stop().success());
    let mut at_rest = Vec::new();
    for name in ["isthmus.db", "isthmus.db-wal"] {
        at_rest.extend(std::fs::read(world.gateway.place().join(name)).unwrap_or_default());
    }
    assert!(!saved_texts(&at_rest).contains(IBAN), "a value that is sealed stands in the clear in the session store");
    // An application that has lost the operator's trust has lost what it was told too.
    let lines = "legacy_profile = true\ndialect = \"logto\"";
    let toml = world.app.toml(lines, "");
    world.gateway.start_again(|setup| setup.applications = vec![toml]).await;
    assert_eq!(userinfo(&world.gateway, tokens.access_token()).await.status, 401);
}

/// Every text of base64 in these bytes, decoded: so the session store is written down.
fn saved_texts(bytes: &[u8]) -> String {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let mut texts = String::new();
    for part in bytes.split(|byte| !is_base64(byte)).filter(|part| part.len() > 64) {
        // A database keeps a long text in pages, so a part may begin anywhere.
        for start in 0..4 {
            let part = part.get(start..).unwrap_or_default();
            let whole = part.get(..part.len() / 4 * 4).unwrap_or_default();
            let decoded = whole.chunks(4).filter_map(|four| STANDARD.decode(four).ok()).flatten().collect::<Vec<u8>>();
            texts += &String::from_utf8_lossy(&decoded);
        }
    }
    texts
}

#[tokio::test]
async fn the_whole_profile_of_somebody_blocked_is_not_given_for_a_code_that_is_on_its_way() {
    let world = World::with(&[("acme", "")], "legacy_profile = true").await;
    let code = world.app.code(&world.gateway, &world.come(&Browser::new(), "acme", &jane()).await.away());
    assert_eq!(world.command(&["user", "block", "samlp|acme|jane"]).await.0, 0);
    assert_oauth_error(&world.app.redeem(&world.gateway, &code, &[]).await, 400, "invalid_grant");
}
