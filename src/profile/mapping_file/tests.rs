//! Tests of reading tables: what is accepted, what is refused and where.

use super::*;
use serde_json::json;

fn problems(text: &str) -> Vec<(usize, String)> {
    let (_, findings) = MappingLibrary::load(vec![("mappings/t.toml".to_owned(), text.to_owned())]);
    findings.problems.into_iter().map(|problem| (problem.line, problem.path)).collect()
}

fn row(row: &str) -> Vec<(usize, String)> {
    problems(&format!("direction = \"to_profile\"\n[[row]]\n{row}\n"))
}

fn release(row: &str) -> Vec<(usize, String)> {
    problems(&format!("direction = \"from_profile\"\n[[row]]\n{row}\n"))
}

#[test]
fn the_built_in_tables_load_and_pass_their_own_tests() {
    let (library, findings) = MappingLibrary::load(Vec::new());
    assert_eq!(findings, Findings::default());
    let directions = |names: &[&'static str], direction| names.iter().map(move |name| (*name, direction)).collect::<Vec<_>>();
    let inward =
        directions(&["saml", "oidc", "adfs", "entra", "google-workspace", "okta", "shibboleth", "ldap", "database"], Direction::ToProfile);
    let social = ["github", "gitlab", "facebook", "linkedin", "x", "discord", "slack", "wechat", "amazon", "naver", "apple", "microsoft"];
    let inward = [inward, directions(&social, Direction::ToProfile)].concat();
    let outward = directions(&["saml", "oidc"], Direction::FromProfile);
    assert_eq!(library.tables().count(), inward.len() + outward.len());
    for (name, direction) in inward.into_iter().chain(outward) {
        let table = library.table(name, direction).expect("a table of this name and direction");
        assert_eq!(table.run_tests(), []);
        assert!(table.tests() > 1, "{name} {direction:?}");
    }
}

#[test]
fn every_fault_of_a_file_is_reported_at_its_place() {
    let text = r#"direction = "to_profile"
extends = "nowhere"

[[row]]
field = "emial"
from = ["mail", "$nameid"]

[[row]]
field = "groups"
from = ["memberOf"]
take = "some"
transform = ["trim", "shout"]
unlisted = "drop"

[[row]]
field = "name"
cel = 'atributes.x[0]'
requires = true

[[row]]
field = "groups"
"#;
    let lines: Vec<(usize, String)> = problems(text);
    let expected = [
        (5, "row[0].field"),
        (6, "row[0].from[1]"),
        (11, "row[1].take"),
        (12, "row[1].transform[1]"),
        (13, "row[1].unlisted"),
        (17, "row[2].cel"),
        (18, "row[2].requires"),
        (20, "row[3].from"),
        (21, "row[3].field"),
    ];
    assert_eq!(lines, expected.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn rows_that_cannot_be_meant_are_refused() {
    for text in [
        "from = [\"x\"]",
        "field = \"user_id\"\nfrom = [\"x\"]",
        "field = \"email\"",
        "field = \"email\"\nfrom = []",
        "field = \"email\"\nfrom = [\"\"]",
        "field = \"email\"\nfrom = [7]",
        "field = \"email\"\nfrom = [\"x\"]\ncel = \"'x'\"",
        "field = \"email\"\nfrom = [\"x\"]\ntake = \"all\"",
        "field = \"email\"\nfrom = [\"x\"]\ntake = \"split(',')\"",
        "field = \"groups\"\nfrom = [\"x\"]\ntake = \"split('')\"",
        "field = \"email\"\nfrom = [\"*\"]",
        "field = \"saml_data.*\"\nfrom = [\"x\"]",
        "field = \"groups.*\"\nfrom = [\"*\"]",
        "field = \"email\"\nfrom = [\"x\"]\ndefault = \"\"",
        "field = \"email_verified\"\nfrom = [\"x\"]\ndefault = \"perhaps\"",
        "field = \"groups\"\nfrom = [\"x\"]\ntable = { a = 1 }",
        "field = \"email\"\nfrom = [\"x\"]\nomit = true",
        "field = \"email\"\nfrom = [\"x\"]\nrequire = \"yes\"",
        "field = \"email\"\nfrom = [\"x\"]\nscope = \"email\"",
        "field = [\"email\", \"upn\"]\nfrom = [\"x\"]",
        "field = \"email\"\nfrom = [\"x\"]\ntake = \"as_is\"",
        "field = \"email\"\nfrom = [\"x\"]\nexcept = [\"y\"]",
        "field = \"email\"\nfrom = [\"x\"]\nnested = true",
        "field = \"email\"\nfrom = [\"x\"]\ntransform = ['replace(\"\", \"x\")']",
        "field = \"email\"\nfrom = [\"x\"]\ntransform = ['replace(\"x\")']",
        "field = \"email\"\nfrom = [\"x\"]\ntransform = ['after(\"\")']",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = []",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = { source = \"a\", any = [\"b\"] }",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = [{ any = [\"b\"] }]",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = [{ source = \"a\" }]",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = [{ source = \"a\", any = [\"b\"], none = [\"c\"] }]",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = [{ source = \"a\", any = [] }]",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = [{ source = \"a\", any = [\"\"] }]",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = [{ source = \"a\", any = [[\"b\"]] }]",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = [{ source = \"a\", present = \"yes\" }]",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = [{ source = \"a*\", present = true }]",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = [{ source = \"$nothing\", present = true }]",
        "field = \"email\"\nfrom = [\"x\"]\nwhen = [{ source = \"a\", some = [\"b\"] }]",
        "field = \"email\"\nomit = true\nwhen = [{ source = \"a\", present = true }]",
    ] {
        assert!(!row(text).is_empty(), "{text}");
    }
    for text in [
        "release = \"a\"\nfrom = [\"emial\"]",
        "release = \"*\"\nfrom = [\"groups.*\"]",
        "release = \"*\"\nfrom = [\"email\"]",
        "release = \"a\"\nfrom = [\"custom.*\"]",
        "release = \"*x*\"\nfrom = [\"custom.*\"]",
        "release = \"a\"\nfrom = [\"email\"]\nscope = \"a b\"",
        "release = \"a\"\ncel = \"attributes.x\"",
        "field = \"a\"\nfrom = [\"email\"]",
        "release = []\nfrom = [\"email\"]",
        "release = 7\nfrom = [\"email\"]",
        "release = [\"a\", \"\"]\nfrom = [\"email\"]",
        "release = [\"a\", \"a\"]\nfrom = [\"email\"]",
        "release = [\"a\", \"*\"]\nfrom = [\"custom.*\"]",
        "release = \"*\"\nfrom = [\"pre*\"]",
        "release = \"a\"\nfrom = [\"*\"]",
        "release = \"a\"\nfrom = [\"email\"]\nnested = true",
        "release = \"a..b\"\nfrom = [\"email\"]\nnested = true",
        "release = \"a.b.c.d.e.f.g.h.i\"\nfrom = [\"email\"]\nnested = true",
        "release = \"a.*\"\nfrom = [\"custom.*\"]\nnested = true",
        "release = \"a\"\nfrom = [\"email\"]\nwhen = [{ source = \"memberOf\", present = true }]",
    ] {
        assert!(!release(text).is_empty(), "{text}");
    }
}

#[test]
fn of_several_rows_for_one_field_only_the_last_has_no_condition() {
    let when = "when = [{ source = \"a\", present = true }]";
    let row = |when: &str| format!("[[row]]\nfield = \"email\"\nfrom = [\"x\"]\n{when}\n");
    let faults =
        |rows: &[&str]| problems(&format!("direction = \"to_profile\"\n{}", rows.iter().map(|when| row(when)).collect::<String>()));
    assert_eq!(faults(&[when, when, when]), []);
    assert_eq!(faults(&[when, when, ""]), []);
    assert_eq!(faults(&["", when]), [(7, "row[1].field".to_owned())]);
    assert_eq!(faults(&[when, "", ""]).len(), 1);
    let omitted = "[[row]]\nfield = \"email\"\nomit = true\n";
    for rows in [format!("{omitted}{}", row("")), format!("{}{omitted}", row(when))] {
        assert_eq!(problems(&format!("direction = \"to_profile\"\n{rows}")).len(), 1, "{rows}");
    }
}

#[test]
fn hostile_expressions_do_not_load() {
    for source in ["(".repeat(1500), "x.map(a, ".repeat(100), "a".repeat(3000)] {
        assert_eq!(row(&format!("field = \"name\"\ncel = '{source}'")).len(), 1);
    }
}

#[test]
fn a_table_extends_another_and_its_rows_win() {
    let text = r#"
direction = "to_profile"
extends = "saml"
[[row]]
field = "email"
from = ["workMail"]
[[row]]
field = "title"
omit = true
"#;
    let table = MappingLibrary::load_one("acme.toml", text).expect("loads");
    let mut raw = super::super::RawAttributes::new();
    for (name, value) in [("workMail", "w@a"), ("mail", "m@a"), ("title", "Dr"), ("sn", "Doe")] {
        raw.push_texts(name, [value]);
    }
    let profile = table.to_profile(&raw, &mut Vec::new()).expect("maps");
    assert_eq!(profile.str("email"), Some("w@a"));
    assert_eq!(profile.str("family_name"), Some("Doe"));
    assert_eq!(profile.get("title"), None);
    assert_eq!(profile.get("saml_data"), Some(&json!({"mail": ["m@a"], "title": ["Dr"]})), "no row names them any more");
}

#[test]
fn a_file_may_replace_and_extend_the_built_in_table_of_its_name() {
    let text = "direction = \"from_profile\"\nextends = \"oidc\"\n[[row]]\nrelease = \"dept\"\nfrom = [\"department\"]\n";
    let (library, findings) = MappingLibrary::load(vec![("mappings/oidc.toml".into(), text.into())]);
    assert_eq!(findings, Findings::default());
    let names = |direction| library.table("oidc", direction).map(|table| table.released_names().count());
    assert_eq!(
        names(Direction::FromProfile),
        Some(MappingLibrary::built_in().table("oidc", Direction::FromProfile).map_or(0, |t| t.released_names().count()) + 1)
    );
    assert!(library.table("oidc", Direction::ToProfile).is_some(), "the other direction stays");
}

#[test]
fn circles_and_missing_parents_are_reported_once_where_they_are_written() {
    let file = |name: &str, parent: &str| (format!("{name}.toml"), format!("direction = \"to_profile\"\nextends = \"{parent}\"\n"));
    let (library, findings) = MappingLibrary::load(vec![file("a", "b"), file("b", "a"), file("c", "nowhere")]);
    let found: Vec<_> = findings.problems.iter().map(|p| (p.file.as_str(), p.line, p.path.as_str())).collect();
    assert_eq!(found, [("a.toml", 2, "extends"), ("b.toml", 2, "extends"), ("c.toml", 2, "extends")]);
    assert!(library.is_broken("a") && library.table("a", Direction::ToProfile).is_none());
}

#[test]
fn the_name_of_a_file_may_say_the_direction() {
    let text = "direction = \"to_profile\"\n";
    let (library, findings) = MappingLibrary::load(vec![("acme.to_profile.toml".into(), text.into())]);
    assert!(findings.is_good() && library.table("acme", Direction::ToProfile).is_some());
    let (_, findings) = MappingLibrary::load(vec![("acme.from_profile.toml".into(), text.into())]);
    assert_eq!(findings.problems.len(), 1);
}

#[test]
fn tests_of_a_table_report_differences() {
    let text = r#"direction = "to_profile"
[[row]]
field = "email"
from = ["mail"]
require = true

[[test]]
name = "wrong"
given = { mail = "a@b" }
expect = { email = "c@d" }
absent = ["email"]

[[test]]
name = "refuses"
given = { other = "x" }
refused = true

[[test]]
name = "should not refuse"
given = { other = "x" }
"#;
    let table = MappingLibrary::load_one("t.toml", text).expect("loads");
    let failures = table.run_tests();
    let found: Vec<_> = failures.iter().map(|f| (f.test.as_str(), f.line, f.differences.len())).collect();
    assert_eq!(found, [("wrong", 7, 2), ("should not refuse", 18, 1)]);
}

/// docs/mapping.md: its tables load and pass their tests, and it names everything that there is.
#[test]
fn the_manual_is_true() {
    let manual = include_str!("../../../docs/mapping.md");
    let examples: Vec<&str> = manual.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let table = MappingLibrary::load_one("example.toml", example).unwrap_or_else(|findings| panic!("{findings:?}\n{example}"));
        assert!(table.tests() > 0, "{example}");
        assert_eq!(table.run_tests(), [], "{example}");
    }
    let facts = crate::profile::Fact::ALL.iter().map(|(name, _)| format!("`${name}`"));
    let tables = BUILT_IN.iter().map(|(path, _)| format!("`{}`", name_of(path).0));
    let keys = ["when", "except", "nested", "omit", "unlisted", "name_format", "as_is", "cel", "scope"].map(|key| format!("`{key}`"));
    for name in facts.chain(tables).chain(keys) {
        assert!(manual.contains(&name), "{name}");
    }
}
