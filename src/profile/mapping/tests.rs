//! Tests of mapping: each verb, both directions, and what hostile values do.

use super::super::{Fact, MappingLibrary, RawAttribute};
use super::*;
use serde_json::{Map, json};

pub fn table(rows: &str) -> Arc<MappingTable> {
    MappingLibrary::load_one("t.toml", &format!("direction = \"to_profile\"\n{rows}")).expect("the table loads")
}

pub fn releasing(rows: &str) -> Arc<MappingTable> {
    MappingLibrary::load_one("t.toml", &format!("direction = \"from_profile\"\n{rows}")).expect("the table loads")
}

pub fn raw(attributes: &[(&str, &[&str])]) -> RawAttributes {
    let mut raw = RawAttributes::new();
    for (name, values) in attributes {
        raw.push_texts(name, values.iter().copied());
    }
    raw
}

/// The field that a one-row table gives, with the row's note.
pub fn mapped(row: &str, attributes: &[(&str, &[&str])]) -> (Value, RowNote) {
    let mut notes = Vec::new();
    let profile = table(&format!("[[row]]\n{row}")).to_profile(&raw(attributes), &mut notes).expect("maps");
    let note = notes.pop().expect("one note");
    (profile.get(&note.field).cloned().unwrap_or(Value::Null), note)
}

fn built_in(name: &str, direction: Direction) -> Arc<MappingTable> {
    MappingLibrary::built_in().table(name, direction).expect("built in")
}

#[test]
fn s2_22_all_values_of_all_instances_reach_one_list() {
    let mut attributes = raw(&[("eduPersonScopedAffiliation", &["member@a", "staff@a"]), ("x", &["y"])]);
    attributes.push_texts("eduPersonScopedAffiliation", ["student@b"]);
    let profile = built_in("saml", Direction::ToProfile).to_profile(&attributes, &mut Vec::new()).expect("maps");
    assert_eq!(profile.list("saml_data.eduPersonScopedAffiliation"), ["member@a", "staff@a", "student@b"]);
}

#[test]
fn s4_2_spellings_of_one_thing_end_under_one_name() {
    let saml = built_in("saml", Direction::ToProfile);
    for spelling in ["sn", "surname", "last name", "family name", "urn:oid:2.5.4.4", "lastName"] {
        let profile = saml.to_profile(&raw(&[(spelling, &["Doe"]), ("extra", &["kept"])]), &mut Vec::new()).expect("maps");
        assert_eq!(profile.str("family_name"), Some("Doe"), "{spelling}");
        assert_eq!(profile.list("saml_data.extra"), ["kept"], "additional attributes stay available");
    }
}

#[test]
fn s1_7_what_is_absent_or_empty_upstream_is_absent() {
    let saml = built_in("saml", Direction::ToProfile);
    let profile = saml.to_profile(&raw(&[("mail", &[""]), ("givenName", &["  "]), ("sn", &[])]), &mut Vec::new()).expect("maps");
    assert!(profile.as_map().is_empty(), "{profile:?}");
}

#[test]
fn the_first_source_that_has_a_value_is_taken() {
    let row = "field = \"email\"\nfrom = [\"a\", \"b\", \"c\"]";
    let (value, note) = mapped(row, &[("c", &["3"]), ("b", &["2"]), ("a", &[""])]);
    assert_eq!((value, note.source.as_deref()), (json!("2"), Some("b")));
}

#[test]
fn take_first_all_join_split() {
    let given: &[(&str, &[&str])] = &[("g", &["a,b", "c"]), ("one", &["1"])];
    for (row, expected) in [
        ("field = \"groups\"\nfrom = [\"g\"]\ntake = \"first\"", json!(["a,b"])),
        ("field = \"groups\"\nfrom = [\"g\"]\ntake = \"all\"", json!(["a,b", "c"])),
        ("field = \"groups\"\nfrom = [\"g\"]", json!(["a,b", "c"])),
        ("field = \"groups\"\nfrom = [\"g\"]\ntake = 'split(\",\")'", json!(["a", "b", "c"])),
        ("field = \"title\"\nfrom = [\"g\"]\ntake = 'join(\"; \")'", json!("a,b; c")),
        ("field = \"title\"\nfrom = [\"g\"]", json!("a,b")),
        ("field = \"saml_data.x\"\nfrom = [\"g\"]\ntake = \"all\"", json!(["a,b", "c"])),
        ("field = \"saml_data.x\"\nfrom = [\"g\"]\ntake = \"first\"", json!("a,b")),
        ("field = \"custom.x\"\nfrom = [\"g\"]\ntake = \"as_is\"", json!(["a,b", "c"])),
        ("field = \"custom.x\"\nfrom = [\"one\"]\ntake = \"as_is\"", json!("1")),
    ] {
        assert_eq!(mapped(row, given).0, expected, "{row}");
    }
}

#[test]
fn transformations_apply_in_order() {
    for (transform, text, expected) in [
        ("[\"trim\", \"lowercase\"]", " Jane@ACME ", "jane@acme"),
        ("[\"uppercase\"]", "é", "É"),
        ("[\"local_part\"]", "jane@acme", "jane"),
        ("[\"domain\"]", "jane@acme", "acme"),
        ("[\"cn\"]", "CN=Staff\\, inner,OU=Acme", "Staff, inner"),
        ("[\"cn\"]", "Staff", "Staff"),
        ("['prefix(\"acme-\")']", "x", "acme-x"),
        ("['strip_prefix(\"app-\")', 'strip_suffix(\"-prod\")']", "app-wiki-prod", "wiki"),
        ("['after(\"\\\")']", "ACME\\jane\\x", "jane\\x"),
        ("['before(\"@\")']", "jane@a@b", "jane"),
        ("['before(\"@\")']", "jane", "jane"),
        ("['replace(\"$\", \", \")']", "1 Main St$Vienna", "1 Main St, Vienna"),
        ("[\"replace('-', '')\"]", "a-b-c", "abc"),
    ] {
        let row = format!("field = \"title\"\nfrom = [\"x\"]\ntransform = {transform}");
        assert_eq!(mapped(&row, &[("x", &[text])]).0, json!(expected), "{transform}");
    }
}

#[test]
fn tables_drop_keep_or_refuse_what_they_do_not_list() {
    let row =
        |unlisted: &str| format!("field = \"groups\"\nfrom = [\"g\"]\ntable = {{ A = \"admin\", B = [\"x\", \"admin\"] }}\n{unlisted}");
    let given: &[(&str, &[&str])] = &[("g", &["A", "Canteen", "B"])];
    assert_eq!(mapped(&row(""), given).0, json!(["admin", "x"]));
    assert_eq!(mapped(&row("unlisted = \"drop\""), given).0, json!(["admin", "x"]));
    assert_eq!(mapped(&row("unlisted = \"keep\""), given).0, json!(["admin", "Canteen", "x"]));
    let (value, note) = mapped(&row(""), &[("g", &["Canteen"])]);
    assert_eq!((value, note.outcome), (Value::Null, Outcome::Unlisted));
    let refusing = table(&format!("[[row]]\n{}", row("unlisted = \"refuse\"")));
    let error = refusing.to_profile(&raw(given), &mut Vec::new()).expect_err("refused");
    assert_eq!((error.row, error.field.as_str()), (1, "groups"));
    assert!(!error.to_string().contains("Canteen"), "values are not shown");
}

#[test]
fn a_required_row_without_a_value_stops_the_login_and_names_itself() {
    let table = table("[[row]]\nfield = \"name\"\nfrom = [\"n\"]\n[[row]]\nfield = \"email\"\nfrom = [\"mail\"]\nrequire = true\n");
    let error = table.to_profile(&raw(&[("n", &["x"])]), &mut Vec::new()).expect_err("refused");
    assert_eq!(error.to_string(), "`email` is required, and nothing came for it (mapping table `t`, row 2)");
    assert_eq!(Error::from(error).kind, ErrorKind::ProfileIncomplete);
}

#[test]
fn a_default_stands_in_for_what_is_absent() {
    let (value, note) = mapped("field = \"locale\"\nfrom = [\"l\"]\ndefault = \"de\"", &[]);
    assert_eq!((value, note.outcome), (json!("de"), Outcome::Default));
    assert_eq!(mapped("field = \"organization\"\ndefault = \"Acme\"", &[]).0, json!("Acme"));
}

#[test]
fn facts_are_ordinary_sources() {
    let table =
        table("[[row]]\nfield = \"username\"\nfrom = [\"uid\", \"$name_id\"]\n[[row]]\nfield = \"saml_data.idp\"\nfrom = [\"$issuer\"]\n");
    let mut attributes = raw(&[("$name_id", &["forged"])]);
    attributes.set_fact(Fact::NameId, "jane");
    attributes.set_fact(Fact::Issuer, "https://idp.example");
    let profile = table.to_profile(&attributes, &mut Vec::new()).expect("maps");
    assert_eq!((profile.str("username"), profile.get("saml_data.idp")), (Some("jane"), Some(&json!(["https://idp.example"]))));
}

#[test]
fn expressions_fill_fields_and_their_failure_is_noted() {
    let row = "field = \"name\"\ncel = 'attributes.givenName[0] + \" \" + attributes.sn[0]'";
    assert_eq!(mapped(row, &[("givenName", &["Jane"]), ("sn", &["Doe"])]).0, json!("Jane Doe"));
    let (value, note) = mapped(row, &[("sn", &["Doe"])]);
    assert_eq!((value, note.outcome), (Value::Null, Outcome::Unusable));
    assert!(note.detail.is_some());
    let listed = "field = \"groups\"\ncel = \"attributes.g.filter(x, x != 'b')\"\ntable = { a = \"A\" }\nunlisted = \"keep\"";
    assert_eq!(mapped(listed, &[("g", &["a", "b", "c"])]).0, json!(["A", "c"]));
}

#[test]
fn friendly_names_are_found_after_names() {
    let attribute = |name: &str, friendly: &str, value: &str| RawAttribute {
        name: name.into(),
        name_format: None,
        friendly_name: Some(friendly.into()),
        values: vec![value.into()],
    };
    let mut attributes = RawAttributes::new();
    attributes.push(attribute("urn:oid:9.9", "mail", "friendly@a"));
    attributes.push(attribute("urn:oid:8.8", "colour", "blue"));
    let saml = built_in("saml", Direction::ToProfile);
    let profile = saml.to_profile(&attributes, &mut Vec::new()).expect("maps");
    assert_eq!(profile.str("email"), Some("friendly@a"));
    assert_eq!(profile.list("saml_data.colour"), ["blue"]);
    attributes.push_texts("mail", ["named@a"]);
    assert_eq!(saml.to_profile(&attributes, &mut Vec::new()).expect("maps").str("email"), Some("named@a"));
}

#[test]
fn wildcards_take_what_no_row_names_and_explicit_rows_win() {
    let rows =
        "[[row]]\nfield = \"custom.*\"\nfrom = [\"urn:acme:*\"]\n[[row]]\nfield = \"custom.own\"\nfrom = [\"x\"]\ntake = \"first\"\n";
    let given: &[(&str, &[&str])] = &[("urn:acme:a", &["1"]), ("urn:other", &["2"]), ("x", &["3"]), ("own", &["4"])];
    let profile = table(rows).to_profile(&raw(given), &mut Vec::new()).expect("maps");
    assert_eq!(profile.get("custom"), Some(&json!({"urn:acme:a": ["1"], "own": "3"})));
    let reversed = "[[row]]\nfield = \"custom.own\"\nfrom = [\"x\"]\ntake = \"first\"\n[[row]]\nfield = \"custom.*\"\nfrom = [\"*\"]\n";
    let profile = table(reversed).to_profile(&raw(given), &mut Vec::new()).expect("maps");
    assert_eq!(profile.get("custom.own"), Some(&json!("3")));
    let except = "[[row]]\nfield = \"custom.*\"\nfrom = [\"*\"]\nexcept = [\"x\", \"own\"]\n";
    let profile = table(except).to_profile(&raw(given), &mut Vec::new()).expect("maps");
    assert_eq!(profile.get("custom"), Some(&json!({"urn:acme:a": ["1"], "urn:other": ["2"]})));
}

#[test]
fn dotted_sources_read_inside_object_claims() {
    let claims = json!({"realm_access": {"roles": ["a", "b"]}, "a.b": "whole"});
    let attributes = RawAttributes::from_claims(claims.as_object().expect("an object"));
    let rows = "[[row]]\nfield = \"roles\"\nfrom = [\"realm_access.roles\"]\n[[row]]\nfield = \"title\"\nfrom = [\"a.b\"]\n";
    let profile = table(rows).to_profile(&attributes, &mut Vec::new()).expect("maps");
    assert_eq!((profile.list("roles"), profile.str("title")), (vec!["a", "b"], Some("whole")));
}

#[test]
fn every_row_leaves_a_note() {
    let saml = built_in("saml", Direction::ToProfile);
    let mut notes = Vec::new();
    saml.to_profile(&raw(&[("mail", &["a@b"]), ("picture", &["javascript:alert(1)"])]), &mut notes).expect("maps");
    assert_eq!(notes.len(), saml.rows.len());
    let of = |field: &str| notes.iter().find(|note| note.field == field).expect("a note");
    assert_eq!((of("email").outcome, of("email").source.as_deref()), (Outcome::Taken, Some("mail")));
    assert_eq!((of("name").outcome, &of("name").value), (Outcome::Absent, &None));
    assert_eq!((of("picture").outcome, of("picture").detail.is_some()), (Outcome::Unusable, true));
    let text = serde_json::to_string(&notes).expect("serializes");
    assert_eq!(serde_json::from_str::<Vec<RowNote>>(&text).expect("reads"), notes);
}

#[test]
fn releases_carry_scope_format_and_friendly_name() {
    let rows = r#"
[[row]]
release = "urn:oid:0.9.2342.19200300.100.1.3"
from = ["email"]
name_format = "uri"
friendly_name = "mail"
[[row]]
release = "dept"
from = ["custom.dept", "department"]
scope = "work"
transform = ["uppercase"]
[[row]]
release = "admin"
cel = 'has(profile.groups) && "admin" in profile.groups'
[[row]]
release = "https://acme.example/*"
from = ["app_metadata.*"]
"#;
    let profile = json!({"email": "a@b", "department": "it", "groups": ["admin"], "app_metadata": {"plan": "gold", "n": [1, 2]}});
    let profile = Profile::from_map(profile.as_object().expect("an object").clone());
    let mut notes = Vec::new();
    let released = releasing(rows).from_profile(&profile, &mut notes).expect("maps");
    let found: Vec<_> = released.iter().map(|r| (r.name.as_str(), r.value.clone(), r.scope.as_deref())).collect();
    let expected = [
        ("urn:oid:0.9.2342.19200300.100.1.3", json!("a@b"), None),
        ("dept", json!("IT"), Some("work")),
        ("admin", json!(true), None),
        ("https://acme.example/plan", json!("gold"), None),
        ("https://acme.example/n", json!([1, 2]), None),
    ];
    assert_eq!(found, expected);
    assert_eq!(released[0].name_format.as_deref(), Some("urn:oasis:names:tc:SAML:2.0:attrname-format:uri"));
    assert_eq!(released[0].friendly_name.as_deref(), Some("mail"));
    assert_eq!(notes.len(), 4);
}

#[test]
fn a_list_of_one_is_released_as_a_list() {
    let profile = Profile::from_map(json!({"groups": ["only"]}).as_object().expect("an object").clone());
    let released = built_in("oidc", Direction::FromProfile).from_profile(&profile, &mut Vec::new()).expect("maps");
    assert_eq!(released.iter().find(|r| r.name == "groups").map(|r| &r.value), Some(&json!(["only"])));
}

#[test]
fn nothing_is_released_that_the_profile_does_not_have() {
    let released = built_in("oidc", Direction::FromProfile).from_profile(&Profile::new(), &mut Vec::new()).expect("maps");
    assert_eq!(released, []);
}

#[test]
fn a_table_of_the_other_direction_is_refused() {
    assert!(built_in("oidc", Direction::FromProfile).to_profile(&RawAttributes::new(), &mut Vec::new()).is_err());
    assert!(built_in("saml", Direction::ToProfile).from_profile(&Profile::new(), &mut Vec::new()).is_err());
}

#[test]
fn hostile_values_are_data_and_nothing_else() {
    let hostile = ["</saml2:AttributeValue>", "'; DROP TABLE users", "\u{0}", "${jndi:x}", "{{7*7}}", "\u{202e}evil", "CN=\\"];
    let row = "field = \"groups\"\nfrom = [\"g\"]\ntransform = [\"cn\", \"trim\"]";
    for value in hostile {
        let (mapped, _) = mapped(row, &[("g", &[value])]);
        assert!(mapped.is_array() || mapped.is_null(), "{value}");
    }
    let mut attributes = RawAttributes::new();
    for value in [json!({"a": {"b": []}}), json!([[]]), json!(null), json!(true), json!(1.5)] {
        attributes.push(RawAttribute { name: "mail".into(), name_format: None, friendly_name: None, values: vec![value] });
    }
    let profile = built_in("saml", Direction::ToProfile).to_profile(&attributes, &mut Vec::new()).expect("maps");
    assert_eq!(profile.get("email"), None);
}

#[test]
fn names_of_attributes_cannot_reach_other_members_of_the_profile() {
    let given: &[(&str, &[&str])] = &[("user_id", &["admin"]), ("app_metadata", &["x"]), ("saml_data.a.b", &["y"]), ("__proto__", &["z"])];
    let profile = built_in("saml", Direction::ToProfile).to_profile(&raw(given), &mut Vec::new()).expect("maps");
    assert_eq!(profile.as_map().keys().collect::<Vec<_>>(), ["saml_data"]);
}

#[test]
fn a_thousand_values_and_a_thousand_attributes_are_no_burden() {
    let many: Vec<String> = (0..1000).map(|n| format!("group {n}")).collect();
    let mut attributes = RawAttributes::new();
    attributes.push_texts("groups", many.iter().map(String::as_str));
    for name in &many {
        attributes.push_texts(name, ["x"]);
    }
    let saml = built_in("saml", Direction::ToProfile);
    let profile = saml.to_profile(&attributes, &mut Vec::new()).expect("maps");
    assert_eq!((profile.list("groups").len(), profile.get("saml_data").and_then(Value::as_object).map(Map::len)), (1000, Some(1000)));
}

#[test]
fn hostile_amounts_and_depths_stay_linear() {
    const MANY: usize = 20_000;
    let rows = r#"
[[row]]
field = "groups"
from = ["g"]
when = [{ source = "g", all = ["1", "19999"] }, { source = "g", none = ["x"] }]
[[row]]
field = "groups"
from = ["same"]
[[row]]
field = "roles"
from = ["deep.a.a.a"]
[[row]]
field = "custom.*"
from = ["*"]
"#;
    let many: Vec<String> = (0..MANY).map(|n| n.to_string()).collect();
    let mut attributes = raw(&[]);
    attributes.push_texts("g", many.iter().map(String::as_str));
    for name in &many {
        attributes.push_texts(name, ["x"]);
        attributes.push_texts("same", [name.as_str()]);
        attributes.push_texts("also the same", [name.as_str()]);
    }
    let deep = format!("{}7{}", "{\"a\":[".repeat(60), "]}".repeat(60));
    let claims = serde_json::from_str(&format!("{{\"deep\":{deep},\"deeper\":{deep}}}")).expect("JSON");
    RawAttributes::from_claims(&claims).attributes().iter().for_each(|attribute| attributes.push(attribute.clone()));
    let begun = std::time::Instant::now();
    let profile = table(rows).to_profile(&attributes, &mut Vec::new()).expect("maps");
    // What is quadratic takes minutes.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    assert_eq!((profile.list("groups").len(), profile.list("custom.also the same").len()), (MANY, MANY));
    assert_eq!(profile.get("custom").and_then(Value::as_object).map(Map::len), Some(MANY + 2));
    let outward =
        releasing("[[row]]\nrelease = \"p-*\"\nfrom = [\"*\", \"custom.*\"]\n[[row]]\nrelease = \"one\"\nfrom = [\"custom.1\"]\n");
    let released = outward.from_profile(&profile, &mut Vec::new()).expect("maps");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    assert_eq!(released.len(), MANY + 3, "the groups, all but one member, and that one");
}
