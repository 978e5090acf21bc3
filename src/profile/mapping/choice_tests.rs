//! Tests of conditions, and of several rows for one field.

use super::super::Fact;
use super::tests::{mapped, raw, releasing, table};
use super::*;
use serde_json::json;

fn profile(members: Value) -> Profile {
    Profile::from_map(members.as_object().expect("an object").clone())
}

#[test]
fn any_all_none_and_present_look_at_all_values() {
    let given: &[(&str, &[&str])] = &[("memberOf", &["A", "B", "C"]), ("mail", &["a@b"]), ("blank", &[" "])];
    for (condition, holds) in [
        (r#"source = "memberOf", any = ["X", "B"]"#, true),
        (r#"source = "memberOf", any = "B""#, true),
        (r#"source = "memberOf", any = ["X", "b"]"#, false),
        (r#"source = "memberOf", all = ["C", "A"]"#, true),
        (r#"source = "memberOf", all = ["A", "X"]"#, false),
        (r#"source = "memberOf", none = ["X", "Y"]"#, true),
        (r#"source = "memberOf", none = ["X", "C"]"#, false),
        (r#"source = "nothing", any = ["A"]"#, false),
        (r#"source = "nothing", all = ["A"]"#, false),
        (r#"source = "nothing", none = ["A"]"#, true),
        (r#"source = "memberOf", present = true"#, true),
        (r#"source = "memberOf", present = false"#, false),
        (r#"source = "blank", present = true"#, false),
        (r#"source = "nothing", present = false"#, true),
    ] {
        let (value, note) = mapped(&format!("field = \"email\"\nfrom = [\"mail\"]\nwhen = [{{ {condition} }}]"), given);
        let expected = if holds { (json!("a@b"), Outcome::Taken) } else { (Value::Null, Outcome::Unmet) };
        assert_eq!((value, note.outcome), expected, "{condition}");
    }
}

#[test]
fn two_conditions_on_one_attribute_must_both_hold() {
    let row = r#"field = "roles"
from = ["memberOf"]
when = [{ source = "memberOf", any = ["Staff", "Admins"] }, { source = "memberOf", none = ["Suspended"] }]"#;
    assert_eq!(mapped(row, &[("memberOf", &["Staff"])]).0, json!(["Staff"]));
    assert_eq!(mapped(row, &[("memberOf", &["Staff", "Suspended"])]).0, Value::Null);
    assert_eq!(mapped(row, &[("memberOf", &["Guests"])]).0, Value::Null);
}

#[test]
fn an_unmet_condition_is_named_without_its_values() {
    let row = "field = \"email\"\nfrom = [\"mail\"]\ndefault = \"x@y\"\nrequire = true\nwhen = [{ source = \"memberOf\", none = [\"Suspended\"] }]";
    let (value, note) = mapped(row, &[("memberOf", &["Suspended"]), ("mail", &["a@b"])]);
    assert_eq!(value, Value::Null, "neither source nor default, and nothing is required");
    assert_eq!(note.detail.as_deref(), Some("memberOf has a value that the row is not for"));
    assert_eq!(serde_json::to_value(&note).expect("serializes")["outcome"], "unmet");
}

#[test]
fn conditions_read_facts_objects_and_friendly_names() {
    let rows = r#"
[[row]]
field = "email"
from = ["mail"]
when = [{ source = "$issuer", any = ["https://idp.example"] }, { source = "realm.roles", all = ["a", "b"] }, { source = "grp", any = ["x"] }]
"#;
    let claims = json!({"realm": {"roles": ["b", "a"]}, "mail": "m@x"});
    let mut attributes = RawAttributes::from_claims(claims.as_object().expect("an object"));
    attributes.push(super::super::RawAttribute {
        name: "urn:oid:9.9".into(),
        name_format: None,
        friendly_name: Some("grp".into()),
        values: vec!["x".into()],
    });
    assert_eq!(table(rows).to_profile(&attributes, &mut Vec::new()).expect("maps").str("email"), None, "another issuer");
    attributes.set_fact(Fact::Issuer, "https://idp.example");
    assert_eq!(table(rows).to_profile(&attributes, &mut Vec::new()).expect("maps").str("email"), Some("m@x"));
}

#[test]
fn what_only_a_condition_reads_is_still_left_over() {
    let rows = "[[row]]\nfield = \"email\"\nfrom = [\"mail\"]\nwhen = [{ source = \"memberOf\", any = [\"A\"] }]\n[[row]]\nfield = \"saml_data.*\"\nfrom = [\"*\"]\n";
    let profile = table(rows).to_profile(&raw(&[("memberOf", &["A"]), ("mail", &["a@b"])]), &mut Vec::new()).expect("maps");
    assert_eq!(profile.get("saml_data"), Some(&json!({"memberOf": ["A"]})));
}

#[test]
fn of_several_rows_for_one_value_the_first_that_gives_one_wins() {
    let rows = r#"
[[row]]
field = "email"
from = ["staffMail"]
when = [{ source = "affiliation", any = ["staff"] }]
[[row]]
field = "email"
from = ["studentMail"]
when = [{ source = "affiliation", any = ["student"] }]
[[row]]
field = "email"
from = ["mail"]
require = true
"#;
    let of = |given: &[(&str, &[&str])]| {
        let mut notes = Vec::new();
        let profile = table(rows).to_profile(&raw(given), &mut notes)?;
        Ok::<_, MappingError>((profile.str("email").map(str::to_owned), notes.iter().map(|note| note.outcome).collect::<Vec<_>>()))
    };
    let all: &[(&str, &[&str])] =
        &[("affiliation", &["student", "staff"]), ("staffMail", &["s@a"]), ("studentMail", &["t@a"]), ("mail", &["m@a"])];
    assert_eq!(of(all), Ok((Some("s@a".into()), vec![Outcome::Taken, Outcome::Unmet, Outcome::Unmet])));
    assert_eq!(of(&all[2..]), Ok((Some("m@a".into()), vec![Outcome::Unmet, Outcome::Unmet, Outcome::Taken])));
    let without_staff_mail: &[(&str, &[&str])] = &[("affiliation", &["student", "staff"]), ("studentMail", &["t@a"])];
    assert_eq!(of(without_staff_mail), Ok((Some("t@a".into()), vec![Outcome::Absent, Outcome::Taken, Outcome::Unmet])));
    assert!(of(&[("affiliation", &["staff"])]).is_err(), "the last row requires");
}

#[test]
fn of_several_rows_for_a_list_all_values_are_gathered_without_repeats() {
    let rows = r#"
[[row]]
field = "groups"
from = ["memberOf"]
[row.table]
A = "admins"
B = "staff"
[[row.when]]
source = "memberOf"
none = ["Suspended"]
[[row]]
field = "groups"
from = ["affiliation"]
[[row]]
field = "saml_data.x"
from = ["memberOf"]
when = [{ source = "affiliation", any = ["staff"] }]
[[row]]
field = "saml_data.x"
from = ["affiliation"]
"#;
    let given: &[(&str, &[&str])] = &[("memberOf", &["A", "B", "B"]), ("affiliation", &["staff", "member"])];
    let profile = table(rows).to_profile(&raw(given), &mut Vec::new()).expect("maps");
    assert_eq!(profile.get("groups"), Some(&json!(["admins", "staff", "member"])));
    assert_eq!(profile.get("saml_data.x"), Some(&json!(["A", "B", "B", "staff", "member"])));
}

#[test]
fn a_child_s_rows_take_the_place_of_all_inherited_ones() {
    let file = |name: &str, text: &str| (format!("{name}.toml"), format!("direction = \"to_profile\"\n{text}"));
    let parent = "[[row]]\nfield = \"groups\"\nfrom = [\"a\"]\nwhen = [{ source = \"x\", present = true }]\n[[row]]\nfield = \"groups\"\nfrom = [\"b\"]\n";
    let child = "extends = \"parent\"\n[[row]]\nfield = \"groups\"\nfrom = [\"c\"]\n";
    let (library, findings) = super::super::MappingLibrary::load(vec![file("parent", parent), file("child", child)]);
    assert!(findings.is_good(), "{findings:?}");
    let given: &[(&str, &[&str])] = &[("a", &["1"]), ("b", &["2"]), ("c", &["3"]), ("x", &["y"])];
    let groups = |name: &str| {
        let table = library.table(name, Direction::ToProfile).expect("a table");
        table.to_profile(&raw(given), &mut Vec::new()).expect("maps").get("groups").cloned()
    };
    assert_eq!((groups("parent"), groups("child")), (Some(json!(["1", "2"])), Some(json!(["3"]))));
}

#[test]
fn conditions_and_alternatives_work_outward_too() {
    let rows = r#"
[[row]]
release = "role"
from = ["custom.admin_role"]
when = [{ source = "email_verified", any = [true] }, { source = "app_metadata.plan", any = ["gold", "silver"] }]
[[row]]
release = "role"
from = ["title"]
[[row]]
release = "groups"
from = ["groups"]
when = [{ source = "groups", none = ["hidden"] }]
[[row]]
release = "groups"
from = ["roles"]
[[row]]
release = "x.*"
from = ["custom.*"]
when = [{ source = "title", present = true }]
[[row]]
release = "x.*"
from = ["custom.*"]
"#;
    let of = |members: Value| {
        let mut notes = Vec::new();
        let released = releasing(rows).from_profile(&profile(members), &mut notes).expect("maps");
        released.into_iter().map(|released| (released.name, released.value)).collect::<Vec<_>>()
    };
    let release = |name: &str, value: Value| (name.to_owned(), value);
    let gold = json!({"email_verified": true, "app_metadata": {"plan": "gold"}, "custom": {"admin_role": "root"}, "title": "Dr",
        "groups": ["a"], "roles": ["a", "r"]});
    assert_eq!(of(gold), [release("role", json!("root")), release("groups", json!(["a", "r"])), release("x.admin_role", json!("root"))]);
    let tin = json!({"email_verified": true, "app_metadata": {"plan": "tin"}, "custom": {"admin_role": "root"}, "title": "Dr",
        "groups": ["hidden"]});
    assert_eq!(of(tin), [release("role", json!("Dr")), release("x.admin_role", json!("root"))]);
}

#[test]
fn a_row_out_of_budget_is_unusable_and_refuses_where_it_is_required() {
    let many: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let row = "field = \"name\"\ncel = \"attributes.g.exists(a, attributes.g.exists(b, a + b == 'x')) ? 'y' : 'n'\"";
    let (value, note) = mapped(row, &[("g", &many)]);
    assert_eq!((value, note.outcome), (Value::Null, Outcome::Unusable));
    assert!(note.detail.is_some_and(|why| why.starts_with("the expressions of one mapping may")), "says which limit");
    let required = table(&format!("[[row]]\n{row}\nrequire = true\n"));
    let refused = required.to_profile(&raw(&[("g", &many)]), &mut Vec::new()).expect_err("refused");
    assert_eq!(refused.reason, "is required, and what came cannot be used");
    assert_eq!(required.to_profile(&raw(&[("g", &many[..3])]), &mut Vec::new()).expect("maps").str("name"), Some("n"));
}
