//! Tests of what is released: several names, members of objects, and what no row reads.

use super::tests::releasing;
use super::*;
use serde_json::json;

fn released(rows: &str, members: &Value) -> Vec<(String, Value)> {
    let profile = Profile::from_map(members.as_object().expect("an object").clone());
    let released = releasing(rows).from_profile(&profile, &mut Vec::new()).expect("maps");
    released.into_iter().map(|released| (released.name, released.value)).collect()
}

fn release(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}

#[test]
fn details_g_several_names_for_one_value() {
    let rows = "[[row]]\nrelease = [\"mail\", \"urn:oid:0.9.2342.19200300.100.1.3\"]\nfrom = [\"email\"]\n";
    let expected = [release("mail", json!("a@b")), release("urn:oid:0.9.2342.19200300.100.1.3", json!("a@b"))];
    assert_eq!(released(rows, &json!({"email": "a@b"})), expected);
}

#[test]
fn details_g_what_no_row_reads_is_passed_on_only_when_asked_for() {
    let members = json!({"email": "a@b", "name": "Jane", "groups": ["x"], "title": "Dr", "department": "IT", "locale": "de",
        "address": {"country": "AT"}, "user_id": "samlp|a|b", "connection": "a", "identities": [{"provider": "x"}],
        "user_metadata": {"a": 1}, "app_metadata": {"a": 1}, "custom_fields": {"a": 1}, "saml_data": {"a": 1}, "custom": {"a": 1}});
    let named = r#"
[[row]]
release = "mail"
from = ["email"]
[[row]]
release = "who"
cel = 'profile.name + profile["title"]'
[[row]]
release = "language"
from = ["locale"]
when = [{ source = "department", any = ["HR"] }]
[[row]]
release = "https://x.example/groups"
from = ["custom.none"]
"#;
    let explicit = [release("mail", json!("a@b")), release("who", json!("JaneDr"))];
    assert_eq!(released(named, &members), explicit);
    let prefixed = format!("{named}[[row]]\nrelease = \"https://x.example/*\"\nfrom = [\"*\"]\n");
    let passed = [release("https://x.example/department", json!("IT")), release("https://x.example/address", json!({"country": "AT"}))];
    assert_eq!(released(&prefixed, &members), [&explicit[..], &passed].concat());
    let except =
        format!("[[row]]\nrelease = \"*\"\nfrom = [\"*\"]\nexcept = [\"address\", \"groups\", \"name\", \"title\", \"locale\"]\n{named}");
    assert_eq!(released(&except, &members), [&[release("department", json!("IT"))], &explicit[..]].concat());
    let free = json!({"title": "Dr", "custom": {"a": 1, "b": 2, "title": "no"}, "saml_data": {"b": [3], "c": ["4"]}});
    let with_free_data = r#"
[[row]]
release = "*"
from = ["*", "custom.*", "saml_data.*"]
[[row]]
release = "alpha"
from = ["custom.a"]
"#;
    let expected = [release("title", json!("Dr")), release("b", json!(2)), release("c", json!(["4"])), release("alpha", json!(1))];
    assert_eq!(released(with_free_data, &free), expected);
}

#[test]
fn s3_3_metadata_and_identities_are_read_when_they_are_named() {
    let members = json!({"user_metadata": {"hobby": "chess"}, "app_metadata": {"plan": {"name": "gold"}}, "custom_fields": {"seen": true},
        "identities": [{"provider": "samlp"}]});
    let rows = r#"
[[row]]
release = "hobby"
from = ["user_metadata.hobby"]
[[row]]
release = "plan"
from = ["app_metadata.plan.name"]
[[row]]
release = "seen"
from = ["custom_fields.seen"]
[[row]]
release = "identities"
from = ["identities"]
[[row]]
release = "provider"
cel = "profile.identities[0].provider"
"#;
    let expected = [
        release("hobby", json!("chess")),
        release("plan", json!("gold")),
        release("seen", json!(true)),
        release("identities", json!([{"provider": "samlp"}])),
        release("provider", json!("samlp")),
    ];
    assert_eq!(released(rows, &members), expected);
}

#[test]
fn a_dot_is_part_of_a_name_unless_the_release_is_nested() {
    let members = json!({"address": {"locality": "Vienna", "country": "AT"}, "department": "IT"});
    let plain = "[[row]]\nrelease = \"address.locality\"\nfrom = [\"address.locality\"]\n";
    assert_eq!(released(plain, &members), [release("address.locality", json!("Vienna"))]);
    let rows = r#"
[[row]]
release = "address.locality"
from = ["address.locality"]
nested = true
[[row]]
release = "org.unit.name"
from = ["department"]
nested = true
[[row]]
release = "address.country"
from = ["address.country"]
nested = true
[[row]]
release = "address.secret"
from = ["department"]
nested = true
scope = "work"
"#;
    let expected = [
        release("address", json!({"locality": "Vienna", "country": "AT"})),
        release("org", json!({"unit": {"name": "IT"}})),
        // Another scope, so another release.
        release("address", json!({"secret": "IT"})),
    ];
    assert_eq!(released(rows, &members), expected);
    let under_a_text =
        "[[row]]\nrelease = \"a\"\nfrom = [\"department\"]\n[[row]]\nrelease = \"a.b\"\nfrom = [\"department\"]\nnested = true\n";
    let mut notes = Vec::new();
    let profile = Profile::from_map(members.as_object().expect("an object").clone());
    assert_eq!(releasing(under_a_text).from_profile(&profile, &mut notes).expect("maps").len(), 1);
    assert_eq!(notes[1].outcome, Outcome::Unusable);
}

#[test]
fn saml_attributes_have_the_format_of_their_names_and_friendly_names() {
    let saml = super::super::MappingLibrary::built_in().table("saml", Direction::FromProfile).expect("built in");
    let members = json!({"email": "a@b", "given_name": "Jane", "groups": ["x"], "roles": ["r"], "address": {"locality": "Vienna"}});
    let profile = Profile::from_map(members.as_object().expect("an object").clone());
    let released = saml.from_profile(&profile, &mut Vec::new()).expect("maps");
    let found: Vec<_> = released
        .iter()
        .map(|r| (r.name.as_str(), r.friendly_name.as_deref(), r.name_format.as_deref().and_then(|f| f.rsplit(':').next())))
        .collect();
    let expected = [
        ("urn:oid:0.9.2342.19200300.100.1.3", Some("mail"), Some("uri")),
        ("urn:oid:2.5.4.42", Some("givenName"), Some("uri")),
        ("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", Some("isMemberOf"), Some("uri")),
        ("urn:oid:2.5.4.7", Some("l"), Some("uri")),
        ("role", None, Some("basic")),
    ];
    assert_eq!(found, expected);
}
