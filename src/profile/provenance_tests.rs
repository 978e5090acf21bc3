use super::*;
use crate::profile::normalize::SUBJECT;
use crate::profile::{Direction, MappingLibrary, MappingTable, RawAttribute, RawAttributes, normalize};
use serde_json::json;
use std::sync::Arc;

const AT: Timestamp = Timestamp::from_seconds(1_763_000_000);

fn table(text: &str) -> Arc<MappingTable> {
    MappingLibrary::load_one("t.toml", &format!("direction = \"to_profile\"\n{text}")).expect("a table without faults")
}

/// A whole login: mapped, normalized, and then where everything came from.
fn login(table: &MappingTable, raw: &RawAttributes) -> (Profile, Vec<Provenance>) {
    let mut rows = Vec::new();
    let mut profile = table.to_profile(raw, &mut rows).expect("maps");
    let done = normalize(&mut profile, "samlp|acme|jane", "jane").expect("within the limits");
    let entries = of(&profile, &rows, &done.filled_in, "acme", AT);
    (profile, entries)
}

fn built_in() -> Arc<MappingTable> {
    MappingLibrary::built_in().table("saml", Direction::ToProfile).expect("built in")
}

fn entry<'e>(entries: &'e [Provenance], field: &str) -> &'e Provenance {
    let mut found = entries.iter().filter(|entry| entry.field == field);
    let entry = found.next().unwrap_or_else(|| panic!("no entry for {field} in {entries:#?}"));
    assert_eq!(found.next(), None, "one entry for {field}");
    entry
}

fn source<'e>(entries: &'e [Provenance], field: &str) -> &'e Source {
    &entry(entries, field).source
}

fn attribute(name: &str) -> Source {
    Source::Attribute(name.into())
}

#[test]
fn every_member_has_exactly_one_entry() {
    let mut raw = RawAttributes::new();
    raw.push_texts("mail", ["jane@acme.example"]);
    raw.push_texts("givenName", ["Jane"]);
    raw.push_texts("l", ["Wien"]);
    raw.push_texts("http://acme.example/claims/a.b", ["x", "y"]);
    raw.push_texts("groups", ["staff"]);
    let (profile, entries) = login(&built_in(), &raw);
    let expected: Vec<String> = profile
        .as_map()
        .iter()
        .flat_map(|(root, value)| match value {
            Value::Object(members) => members.keys().map(|name| format!("{root}.{name}")).collect(),
            _ => vec![root.clone()],
        })
        .collect();
    let found: Vec<&str> = entries.iter().map(|entry| entry.field.as_str()).collect();
    assert_eq!(found, expected);
    assert!(found.contains(&"address.locality") && found.contains(&"saml_data.http://acme.example/claims/a.b"));
    assert!(entries.iter().all(|entry| entry.connection == "acme" && entry.at == AT));
}

#[test]
fn the_taken_source_is_told() {
    let mut raw = RawAttributes::new();
    raw.push(RawAttribute {
        name: "urn:oid:2.5.4.42".into(),
        name_format: None,
        friendly_name: Some("givenName".into()),
        values: vec!["Jane".into()],
    });
    raw.set_fact(Fact::NameId, "jane@acme.example");
    raw.set_fact(Fact::NameIdFormat, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress");
    let (_, entries) = login(&built_in(), &raw);
    assert_eq!(source(&entries, "given_name"), &attribute("urn:oid:2.5.4.42"));
    assert_eq!(source(&entries, "email"), &Source::Fact(Fact::NameIdEmail));
}

#[test]
fn what_was_filled_in_says_from_what() {
    let mut raw = RawAttributes::new();
    raw.push_texts("mail", ["jane.doe@privaterelay.appleid.com"]);
    raw.push_texts("givenName", ["Jane"]);
    raw.push_texts("sn", ["Doe"]);
    let (_, entries) = login(&built_in(), &raw);
    assert_eq!(source(&entries, "name"), &Source::Derived(&["given_name", "family_name"]));
    assert_eq!(source(&entries, "nickname"), &Source::Derived(&["email"]));
    assert_eq!(source(&entries, "picture"), &Source::Derived(&["email"]));
    assert_eq!(source(&entries, "proxied_email"), &Source::Derived(&["email"]));
    assert_eq!(source(&entries, "email_verified"), &Source::Gateway);
    assert_eq!(source(&entries, "user_id"), &Source::Gateway);

    let (_, entries) = login(&built_in(), &RawAttributes::new());
    assert_eq!(source(&entries, "name"), &Source::Derived(&[SUBJECT]));
    assert_eq!(source(&entries, "nickname"), &Source::Derived(&["name"]));
    assert_eq!(source(&entries, "picture"), &Source::Gateway);
}

#[test]
fn expressions_defaults_and_rows_without_a_value_are_told_apart() {
    let table = table(
        r#"
        [[row]]
        field = "title"
        cel = '"Dr. " + attributes.sn[0]'
        [[row]]
        field = "organization"
        from = ["o"]
        default = "Acme"
        [[row]]
        field = "department"
        default = "IT"
        [[row]]
        field = "name"
        from = ["displayName"]
        [[row]]
        field = "family_name"
        from = ["sn"]
        "#,
    );
    let mut raw = RawAttributes::new();
    raw.push_texts("sn", ["Doe"]);
    let (_, entries) = login(&table, &raw);
    assert_eq!(source(&entries, "title"), &Source::Expression);
    assert_eq!(source(&entries, "organization"), &Source::TableDefault);
    assert_eq!(source(&entries, "department"), &Source::TableDefault);
    assert_eq!(source(&entries, "name"), &Source::Derived(&["family_name"]), "its own row found nothing");
    assert!(["title", "organization", "department", "name"].iter().all(|field| !entry(&entries, field).verified));
    assert!(entry(&entries, "family_name").verified);
}

#[test]
fn members_of_objects_have_their_own_origin() {
    let table = table(
        r#"
        [[row]]
        field = "saml_data.named"
        from = ["a"]
        [[row]]
        field = "saml_data.deep.inner"
        from = ["b"]
        [[row]]
        field = "address"
        from = ["where"]
        [[row]]
        field = "address.country"
        from = ["c"]
        [[row]]
        field = "saml_data.*"
        from = ["*"]
        "#,
    );
    let mut raw = RawAttributes::new();
    raw.push_texts("a", ["1"]);
    raw.push_texts("b", ["2"]);
    raw.push_texts("c", ["AT"]);
    raw.push_texts("where", ["Karlsplatz 13"]);
    raw.push_texts("other", ["3"]);
    let (profile, entries) = login(&table, &raw);
    assert_eq!(profile.as_map()["address"], json!({"formatted": "Karlsplatz 13", "country": "AT"}));
    assert_eq!(source(&entries, "saml_data.named"), &attribute("a"));
    assert_eq!(source(&entries, "saml_data.deep.inner"), &attribute("b"));
    assert_eq!(source(&entries, "saml_data.other"), &attribute("other"));
    assert_eq!(source(&entries, "address.formatted"), &attribute("where"));
    assert_eq!(source(&entries, "address.country"), &attribute("c"));
}

#[test]
fn what_nobody_told_of_is_the_gateways() {
    let mut profile = Profile::new();
    profile.set_named("roles", json!(["admin"])).expect("known");
    profile.set_named("custom.x", json!(1)).expect("known");
    let entries = of(&profile, &[], &[], "acme", AT);
    assert!(entries.iter().all(|entry| entry.source == Source::Gateway && !entry.verified));
    assert_eq!(entries.len(), 2);
}

#[test]
fn an_address_is_verified_only_if_the_provider_verified_it() {
    let mut raw = RawAttributes::new();
    raw.push_texts("mail", ["jane@acme.example"]);
    raw.push_texts("telephoneNumber", ["+4315880"]);
    let (_, entries) = login(&built_in(), &raw);
    assert!(!entry(&entries, "email").verified && !entry(&entries, "phone_number").verified);
    raw.push_texts("email_verified", ["true"]);
    let (_, entries) = login(&built_in(), &raw);
    assert!(entry(&entries, "email").verified && entry(&entries, "email_verified").verified);
    assert!(!entry(&entries, "nickname").verified, "derived from it");
}

#[test]
fn the_entry_is_written_as_json_and_for_a_terminal() {
    let entry = |field: &str, source, verified| Provenance { field: field.into(), source, connection: "acme".into(), at: AT, verified };
    let email = entry("email", attribute("mail"), true);
    let json = json!({"field": "email", "source": {"kind": "attribute", "from": "mail"}, "connection": "acme", "at": 1_763_000_000_000_i64, "verified": true});
    assert_eq!(serde_json::to_value(&email).expect("serializes"), json);
    assert_eq!(email.to_string(), "email: attribute mail, acme at 2025-11-13T02:13:20Z, verified");
    for (source, written, shown) in [
        (Source::Fact(Fact::NameId), json!({"kind": "fact", "from": "name_id"}), "$name_id"),
        (
            Source::Derived(&["given_name", "family_name"]),
            json!({"kind": "derived", "from": ["given_name", "family_name"]}),
            "derived from given_name and family_name",
        ),
        (Source::Gateway, json!({"kind": "gateway"}), "gateway"),
        (attribute("a\u{1b}[2J"), json!({"kind": "attribute", "from": "a\u{1b}[2J"}), "attribute a\\u{1b}[2J"),
    ] {
        assert_eq!(serde_json::to_value(&source).expect("serializes"), written);
        assert_eq!(source.to_string(), shown);
    }
}

#[test]
fn a_list_of_several_rows_is_only_as_sure_as_the_least_of_them() {
    let rows = |second: &str| {
        let first = "[[row]]\nfield = \"groups\"\nfrom = [\"a\"]\nwhen = [{ source = \"a\", present = true }]\n";
        table(&format!("{first}[[row]]\nfield = \"groups\"\n{second}\n"))
    };
    let mut raw = RawAttributes::new();
    raw.push_texts("a", ["staff"]);
    raw.push_texts("b", ["admins"]);
    let of = |second: &str| {
        let (profile, entries) = login(&rows(second), &raw);
        (profile.list("groups").len(), entry(&entries, "groups").source.clone(), entry(&entries, "groups").verified)
    };
    assert_eq!(of("from = [\"b\"]"), (2, attribute("b"), true));
    assert_eq!(of("default = [\"everyone\"]"), (2, Source::TableDefault, false));
    assert_eq!(of("cel = \"['computed']\""), (2, Source::Expression, false));
    assert_eq!(of("from = [\"c\"]"), (1, attribute("a"), true));
}
