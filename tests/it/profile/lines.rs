//! Lines of docs/profile.md that only a whole login can show: who somebody is, by which identity, and what is kept.

use super::legacy::{tokeninfo, userinfo};
use super::{World, in_groups, person, subject};
use crate::harness::app::{App, Tokens, begin};
use crate::harness::browser::Browser;
use crate::harness::gateway::Setup;
use crate::harness::idp::{DISPLAY_NAME, MAIL, Person};
use crate::harness::servers::Server;
use serde_json::{Value, json};

const EMAIL: &str = "jane@acme.example";
const LEGACY: &str = "legacy_profile = true";
const PICTURE: (&str, &str) = ("picture", "");
const AFFILIATION: (&str, &str) = ("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", "eduPersonScopedAffiliation");

/// The whole profile that a login gives, in a dialect.
async fn whole(world: &World, connection: &str, who: &Person, dialect: &str) -> Value {
    let tokens = world.sign_in(connection, who).await;
    userinfo(world, tokens.access_token(), &format!("?dialect={dialect}")).await.json()
}

#[tokio::test]
async fn s0_4_s1_1_s1_7_a_name_id_alone_makes_a_user() {
    let world = World::with(&[("acme", "")], LEGACY).await;
    let user = whole(&world, "acme", &Person::new("bare-7"), "auth0").await;
    assert_eq!((&user["user_id"], &user["name"], &user["nickname"]), (&json!("samlp|acme|bare-7"), &json!("bare-7"), &json!("bare-7")));
    assert!(user["picture"].as_str().is_some_and(|picture| picture.starts_with("https://")), "{user}");
    for name in ["email", "email_verified", "given_name", "family_name"] {
        assert_eq!(user.get(name), None, "{name}");
    }
    assert_eq!(user["identities"].as_array().map(Vec::len), Some(1));
    let logto = whole(&world, "acme", &Person::new("bare-7"), "logto").await;
    assert_eq!((logto.get("primaryEmail"), logto.get("avatar")), (None, None), "{logto}");
}

#[tokio::test]
async fn s1_2_s1_3_nickname_and_picture_are_made_from_the_address() {
    let world = World::with(&[("acme", "")], LEGACY).await;
    let user = whole(&world, "acme", &Person::new("j").with(MAIL, &["  MyEmailAddress@Example.com "]), "auth0").await;
    assert_eq!(user["nickname"], "MyEmailAddress");
    // printf myemailaddress@example.com | md5sum
    let picture = user["picture"].as_str().expect("a picture");
    assert!(picture.starts_with("https://www.gravatar.com/avatar/0bc83cb571cd1c50ba6f3e8a78ef1346?"), "{picture}");
}

#[tokio::test]
async fn s0_7_an_identity_is_imported_and_then_follows_the_provider() {
    let world = World::with(&[("acme", "")], LEGACY).await;
    for picture in ["https://acme.example/jane-1.png", "https://acme.example/jane-2.png"] {
        let logto = whole(&world, "acme", &person("jane", EMAIL, true).with(PICTURE, &[picture]), "logto").await;
        assert_eq!(logto["identities"].as_array().map(Vec::len), Some(1), "{logto}");
        assert_eq!((&logto["avatar"], &logto["identity_details"][0]["avatar"]), (&json!(picture), &json!(picture)));
    }
}

#[tokio::test]
async fn s1_4_s4_10_a_user_id_is_of_the_connection_and_one_for_all_applications() {
    let wiki = App { callback: "https://wiki.example/cb".to_owned(), ..App::new("wiki") };
    let world = World::of(Setup::new().application(&wiki.toml("", "")), &[("acme", ""), ("globex", "")], "").await;
    let jane = person("jane", EMAIL, true);
    assert_eq!(world.user("acme", &jane).await, "samlp|acme|jane");
    assert_eq!(subject(&sign_in_at(&world, &wiki, "acme", &jane).await), "samlp|acme|jane");
    assert_eq!(world.user("globex", &jane).await, "samlp|globex|jane");
    assert_eq!(subject(&sign_in_at(&world, &wiki, "globex", &jane).await), "samlp|globex|jane");
}

/// A whole login at another application than the world's own.
async fn sign_in_at(world: &World, app: &App, connection: &str, who: &Person) -> Tokens {
    let browser = Browser::new();
    let url = app.authorize(&world.gateway, &[("connection", connection)]);
    let request = world.idp(connection).read(&begin(&browser, &url).await);
    let landed = world.answer(&browser, connection, &request, who).await;
    let code = app.code(&world.gateway, &landed.away());
    Tokens::of(&app.redeem(&world.gateway, &code, &[]).await)
}

#[tokio::test]
async fn s2_6_exactly_one_identity_is_the_one_of_this_login() {
    let believed = "[connection.linking]\nemail_domains = [\"acme.example\"]";
    let links = format!("{believed}\npolicy = \"verified_email\"");
    let world = World::with(&[("acme", believed), ("globex", &links)], LEGACY).await;
    let (first, second) = (person("jane", EMAIL, true), person("j.doe", EMAIL, true));
    world.user("acme", &first).await;
    for (connection, who) in [("globex", &second), ("acme", &first)] {
        let tokens = world.sign_in(connection, who).await;
        let gigya = userinfo(&world, tokens.access_token(), "?dialect=gigya").await.json();
        let of_login: Vec<&Value> = identities(&gigya).iter().filter(|identity| identity["isLoginIdentity"] == true).collect();
        assert_eq!(of_login.len(), 1, "{gigya}");
        let expected = (json!(format!("saml-{connection}")), json!(who.name_id));
        assert_eq!((&of_login[0]["provider"], &of_login[0]["providerUID"]), (&expected.0, &expected.1));
        assert_eq!((&gigya["loginProvider"], &gigya["loginProviderUID"]), (&expected.0, &expected.1));
        // Both are listed, the first one first; and outside a session nobody has just signed in.
        let auth0 = userinfo(&world, tokens.access_token(), "?dialect=auth0").await.json();
        let listed: Vec<&Value> = identities(&auth0).iter().map(|identity| &identity["connection"]).collect();
        assert_eq!(listed, ["acme", "globex"]);
        let outside = tokeninfo(&world, tokens.id_token(), Some("gigya")).await.json();
        assert!(identities(&outside).iter().all(|identity| identity["isLoginIdentity"] == false), "{outside}");
    }
}

#[track_caller]
fn identities(user: &Value) -> &Vec<Value> {
    user["identities"].as_array().unwrap_or_else(|| panic!("no identities in {user}"))
}

#[tokio::test]
async fn s2_22_s4_2_additional_attributes_stay_available_with_all_values_of_all_instances() {
    let world = World::with(&[("acme", "")], LEGACY).await;
    let who = person("jane", EMAIL, true)
        .with(("surname", ""), &["Doe"])
        .with(AFFILIATION, &["member@acme.example", "staff@acme.example"])
        .with(("urn:example:building", "building"), &["West"])
        .with(AFFILIATION, &["student@acme.example"]);
    let affiliations = json!(["member@acme.example", "staff@acme.example", "student@acme.example"]);
    let gigya = whole(&world, "acme", &who, "gigya").await;
    assert_eq!(gigya["profile"]["lastName"], "Doe");
    for data in [&gigya["profile"]["samlData"], &identities(&gigya)[0]["samlData"]] {
        assert_eq!((&data["eduPersonScopedAffiliation"], &data["building"]), (&affiliations, &json!(["West"])), "{gigya}");
    }
    let auth0 = whole(&world, "acme", &who, "auth0").await;
    assert_eq!((&auth0["family_name"], &auth0["building"]), (&json!("Doe"), &json!("West")));
    assert_eq!(auth0["eduPersonScopedAffiliation"], affiliations);
}

#[tokio::test]
async fn s4_1_each_source_is_a_connection_and_has_the_last_word() {
    let world = World::with(&[("acme", ""), ("globex", "")], LEGACY).await;
    for connection in ["acme", "globex"] {
        let user = whole(&world, connection, &person("jane", EMAIL, true), "auth0").await;
        assert_eq!((&identities(&user)[0]["connection"], &user["email"]), (&json!(connection), &json!(EMAIL)));
    }
    let (status, text) = world.command(&["user", "update", "samlp|acme|jane", "--patch", r#"{"email": "mine@acme.example"}"#]).await;
    assert!(status == 1 && text.contains("/email ") && text.contains("ISTH-4006"), "{status} {text}");
    let user = whole(&world, "acme", &person("jane", "jane.doe@acme.example", false), "auth0").await;
    assert_eq!((&user["email"], &user["email_verified"]), (&json!("jane.doe@acme.example"), &json!(false)));
    let user = whole(&world, "globex", &person("jane", EMAIL, true), "auth0").await;
    assert_eq!(user["email"], EMAIL, "each speaks for its own user");
}

#[tokio::test]
async fn s4_3_what_a_connection_said_is_kept_before_an_application_hears_of_it() {
    let postgres = Server::postgres();
    let world = World::of(Setup { directory: postgres.postgres_url(), ..Setup::new() }, &[("acme", "")], "").await;
    // The application has a code, and has asked for nothing yet.
    let landed = world.come(&Browser::new(), "acme", &person("jane", EMAIL, true)).await;
    world.app.code(&world.gateway, &landed.away());
    let (status, shown) = world.command(&["user", "show", "samlp|acme|jane", "--json"]).await;
    assert!(status == 0 && shown.contains(EMAIL), "{shown}");
    // Where it cannot be kept there is no code.
    let browser = Browser::new();
    let request = world.ask(&browser, "acme", &[]).await;
    let answer = world.idp("acme").respond(&request, &person("joe", "joe@acme.example", true));
    postgres.hold();
    let landed = browser.post(&answer.from, &answer.to, &answer.fields()).await;
    postgres.go_on();
    landed.here().assert_refused(503, "ISTH-5001");
}

#[tokio::test]
async fn s4_8_s4_9_the_identity_by_which_somebody_came_is_always_there() {
    let world = World::with(&[("acme", "")], LEGACY).await;
    let one = json!([{"connection": "acme", "user_id": "jane", "provider": "samlp", "isSocial": false}]);
    assert_eq!(whole(&world, "acme", &person("jane", EMAIL, true), "auth0").await["identities"], one);
    let (status, text) = world.command(&["user", "unlink", "samlp|acme|jane", "acme", "jane"]).await;
    assert!(status == 1 && text.contains("ISTH-4008"), "{status} {text}");
    let (status, text) = world.command(&["user", "forget-profile", "samlp|acme|jane"]).await;
    assert_eq!(status, 0, "{text}");
    let (_, shown) = world.command(&["user", "show", "samlp|acme|jane", "--json"]).await;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((identities(&shown).len(), &identities(&shown)[0]["connection"]), (1, &json!("acme")));
    assert_eq!(whole(&world, "acme", &person("jane", EMAIL, true), "auth0").await["identities"], one);
}

#[tokio::test]
async fn s4_14_a_user_is_read_changed_and_deleted_and_no_password_goes_in_or_out() {
    let world = World::with(&[("acme", "")], LEGACY).await;
    world.user("acme", &person("jane", EMAIL, true)).await;
    let user = |arguments: &'static [&'static str]| world.command(arguments);
    let (status, text) = user(&["user", "update", "samlp|acme|jane", "--patch", r#"{"app_metadata": {"plan": "gold"}}"#]).await;
    assert_eq!(status, 0, "{text}");
    let (status, text) = user(&["user", "update", "samlp|acme|jane", "--patch", r#"{"password": "hunter2 hunter2"}"#]).await;
    assert!(status == 1 && text.contains("/password ") && !text.contains("hunter2"), "{status} {text}");
    for arguments in [&["user", "show", "samlp|acme|jane", "--json"][..], &["user", "find", EMAIL, "--json"]] {
        let (status, shown) = world.command(arguments).await;
        assert!(status == 0 && shown.contains("gold") && !shown.contains("password"), "{shown}");
    }
    let (status, text) = user(&["user", "delete", "samlp|acme|jane"]).await;
    assert_eq!(status, 0, "{text}");
    let anew = whole(&world, "acme", &person("jane", EMAIL, true), "auth0").await;
    assert_eq!((&anew["user_id"], anew.get("app_metadata"), &anew["logins_count"]), (&json!("samlp|acme|jane"), None, &json!(1)));
}

const ACME: &str = r#"
direction = "to_profile"
extends = "saml"
[[row]]
field = "department"
from = ["abteilung"]
[[row]]
field = "saml_data.myField"
from = ["mein-feld"]
take = "all"
"#;

const GLOBEX: &str = r#"
direction = "to_profile"
extends = "saml"
[[row]]
field = "department"
from = ["div"]
"#;

const NOTES: &str = r#"
direction = "from_profile"
extends = "oidc"
[[row]]
release = "dept"
from = ["department"]
"#;

const WIKI: &str = r#"
direction = "from_profile"
extends = "oidc"
[[row]]
release = "https://wiki.example/unit"
from = ["department"]
transform = ["uppercase"]
"#;

#[tokio::test]
async fn s2_21_s4_25_one_table_belongs_to_the_connection_and_one_to_the_application() {
    let wiki = App { callback: "https://wiki.example/cb".to_owned(), ..App::new("wiki") };
    let setup = [("acme", ACME), ("globex", GLOBEX), ("notes", NOTES), ("wiki", WIKI)]
        .into_iter()
        .fold(Setup::new(), |setup, (name, table)| setup.file(&format!("mappings/{name}.toml"), table))
        .application(&wiki.toml("mapping = \"wiki\"", ""));
    let connections = [("acme", "mapping = \"acme\""), ("globex", "mapping = \"globex\"")];
    let world = World::of(setup, &connections, "mapping = \"notes\"\nlegacy_profile = true").await;
    for (connection, attribute) in [("acme", "abteilung"), ("globex", "div")] {
        let who = person("jane", EMAIL, true).with((attribute, ""), &["Bridges"]).with(("mein-feld", ""), &["x"]);
        let tokens = world.sign_in(connection, &who).await;
        let claims = tokens.claims();
        assert_eq!((&claims["dept"], claims.get("https://wiki.example/unit")), (&json!("Bridges"), None), "{claims}");
        let claims = sign_in_at(&world, &wiki, connection, &who).await.claims();
        assert_eq!((claims.get("dept"), &claims["https://wiki.example/unit"]), (None, &json!("BRIDGES")), "{claims}");
        let gigya = userinfo(&world, tokens.access_token(), "?dialect=gigya").await.json();
        let mapped = gigya["profile"]["samlData"].get("myField").cloned();
        assert_eq!(mapped, (connection == "acme").then(|| json!(["x"])), "{gigya}");
    }
}

#[tokio::test]
async fn details_c_a_linked_identity_shows_what_its_connection_said_and_gives_no_attributes() {
    let world = World::with(&[("acme", ""), ("globex", "")], LEGACY).await;
    world.user("acme", &person("jane", EMAIL, true)).await;
    let other = in_groups(person("j.doe", "j.doe@globex.example", true), &["partners"]);
    world.user("globex", &other).await;
    let patch = r#"{"user_metadata": {"theme": "light"}}"#;
    assert_eq!(world.command(&["user", "update", "samlp|globex|j.doe", "--patch", patch]).await.0, 0);
    let (status, text) = world.command(&["user", "link", "samlp|acme|jane", "samlp|globex|j.doe"]).await;
    assert_eq!(status, 0, "{text}");
    let user = whole(&world, "globex", &other, "auth0").await;
    assert_eq!((&user["user_id"], &user["name"], &user["email"]), (&json!("samlp|acme|jane"), &json!("The jane"), &json!(EMAIL)));
    assert_eq!((user.get("user_metadata"), &user["groups"]), (None, &json!(["partners"])));
    let [first, second] = identities(&user).as_slice() else { panic!("two identities: {user}") };
    assert_eq!((&first["user_id"], first.get("profileData")), (&json!("jane"), None));
    assert_eq!((&second["user_id"], &second["profileData"]["email"]), (&json!("j.doe"), &json!("j.doe@globex.example")));
    // Without the former user's name nobody is listed any more.
    assert_eq!(world.command(&["user", "show", "samlp|globex|j.doe"]).await.0, 1);
}

#[tokio::test]
async fn details_b_what_breaks_a_limit_refuses_the_login_and_keeps_nobody() {
    let world = World::new(&[("acme", "")]).await;
    let long_name = "x".repeat(151);
    for (number, who) in [
        Person::new("limit-0").with(DISPLAY_NAME, &[&long_name]),
        Person::new("limit-1").with(MAIL, &["no-address"]),
        Person::new("limit-2").with(MAIL, &[&format!("{}@acme.example", "a".repeat(65))]),
    ]
    .iter()
    .enumerate()
    {
        let (error, told) = world.app.error(&world.gateway, &world.come(&Browser::new(), "acme", who).await.away());
        assert!(error == "access_denied" && told.contains("ISTH-3005"), "{number}: {error} {told}");
        assert_eq!(world.command(&["user", "show", &format!("samlp|acme|limit-{number}")]).await.0, 1);
    }
    let longest = "x".repeat(150);
    let claims = world.sign_in("acme", &Person::new("limit-3").with(DISPLAY_NAME, &[&longest])).await.claims();
    assert_eq!(claims["name"], longest);
}
