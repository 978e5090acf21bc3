//! `isthmus mapping test` and `isthmus mapping import`: what they print, and their exit status.

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn mapping(place: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    command.arg("mapping").args(arguments).current_dir(place).env_remove("ISTHMUS_CONFIG").output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// A directory with a configuration that nobody reads, and these files.
fn place(files: &[(&str, &str)]) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("mappings")).unwrap();
    std::fs::write(place.path().join("isthmus.toml"), "issuer = \"http://localhost:8400\"\n").unwrap();
    for (name, text) in files {
        std::fs::write(place.path().join(name), text).unwrap();
    }
    place
}

/// Two tests; the second expects a department that the row does not give.
const ACME: &str = r#"direction = "to_profile"
extends = "saml"

[[row]]
field = "department"
from = ["dept"]
transform = ["lowercase"]

[[test]]
name = "inherited rows work"
given = { mail = ["a@b.example"] }
expect = { email = "a@b.example" }

[[test]]
name = "departments in capitals"
given = { dept = ["IT"] }
expect = { department = "IT" }
absent = ["email"]
"#;

#[test]
fn each_test_is_listed_with_what_it_found() {
    let good = ACME.replace("department = \"IT\"", "department = \"it\"");
    let place =
        place(&[("mappings/acme.toml", ACME), ("mappings/good.toml", &good), ("mappings/none.toml", "direction = \"to_profile\"\n")]);
    let output = mapping(place.path(), &["test"]);
    let expected = r#"mappings/acme.toml
  passed  inherited rows work
  FAILED  departments in capitals (line 14)
          department: expected "IT", found "it"
mappings/good.toml
  passed  inherited rows work
  passed  departments in capitals
mappings/none.toml: no tests
1 of 4 failed.
"#;
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), expected), "{}", text(&output.stderr));
    let output = mapping(place.path(), &["test", "mappings/good.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("\n2 passed.\n"), "{}", text(&output.stdout));
}

#[test]
fn results_for_programs_name_file_line_and_difference() {
    let place = place(&[("mappings/acme.toml", ACME)]);
    let output = mapping(place.path(), &["test", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["passed"]), (Some(1), &json!(false)));
    let expected = json!({
        "table": "acme", "direction": "to_profile", "file": "mappings/acme.toml", "test": "departments in capitals", "line": 14, "passed": false,
        "differences": [{"field": "department", "expected": "IT", "found": "it"}],
    });
    assert_eq!(report["tests"][1], expected);
    assert_eq!((&report["tests"][0]["passed"], &report["problems"]), (&json!(true), &json!([])));
}

#[test]
fn a_file_is_tested_as_if_it_stood_among_the_tables() {
    let good = ACME.replace("department = \"IT\"", "department = \"it\"");
    let extending = good
        .replace("extends = \"saml\"", "extends = \"acme\"")
        .replace("[[row]]\nfield = \"department\"\nfrom = [\"dept\"]\ntransform = [\"lowercase\"]\n", "");
    let place = place(&[("mappings/acme.toml", ACME), ("acme.toml", &good), ("more.toml", &extending)]);
    let output = mapping(place.path(), &["test", "acme.toml", "more.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().last(), Some("4 passed."), "the copy takes the place of the file of its name");
}

#[test]
fn faults_and_unreadable_files_have_their_own_exit_status() {
    let place = place(&[("mappings/bad.toml", "direction = \"to_profile\"\n[[row]]\nfield = \"emial\"\nfrom = [\"mail\"]\n")]);
    let output = mapping(place.path(), &["test"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("mappings/bad.toml:3:9") && said.contains("did you mean `email`?"), "{said}");
    for arguments in
        [&["test", "missing.toml"][..], &["test", "--config", "missing.toml"], &["test", "isthmus.toml", "mappings/isthmus.toml"]]
    {
        let output = mapping(place.path(), arguments);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
    }
}

#[test]
fn an_imported_mapping_is_a_table_that_can_be_used_at_once() {
    let place = place(&[("fields.json", r#"{"email": ["mail", "EmailAddress"], "user_id": "uid", "shoe\nsize": "shoe"}"#)]);
    let output = mapping(place.path(), &["import", "auth0-fields-map", "fields.json"]);
    assert_eq!(output.status.code(), Some(1), "user_id is not in the table");
    let why = "isthmus: not carried over: user_id: write subject_attribute = \"uid\" under [connection.saml], if it is not the NameID\n";
    assert_eq!(text(&output.stderr), why);
    let with_test = format!(
        "{}\n[[test]]\nname = \"t\"\ngiven = {{ EmailAddress = [\"a@b\"], shoe = [\"38\"] }}\nexpect = {{ email = \"a@b\", \"custom.shoe\\nsize\" = \"38\" }}\n",
        text(&output.stdout)
    );
    std::fs::write(place.path().join("mappings/imported.toml"), with_test).unwrap();
    let tested = mapping(place.path(), &["test"]);
    assert_eq!(tested.status.code(), Some(0), "{}", text(&tested.stdout));
}

#[test]
fn imports_read_each_notation_and_refuse_the_rest() {
    let place = place(&[
        ("addon.json", r#"{"email": "mail"}"#),
        ("rule.json", r#"{"http://x.example/food": "user_metadata.food"}"#),
        ("gigya.json", r#"[{"attributeName": "mail", "gigyaField": "profile.email"}]"#),
        ("long.json", &format!("{{\"a\": \"{}\"}}", "x".repeat(300_000))),
    ]);
    for (notation, file, row) in [
        ("auth0-addon", "addon.json", "release = \"mail\"\nfrom = [\"email\"]"),
        ("auth0-rule", "rule.json", "release = \"http://x.example/food\"\nfrom = [\"user_metadata.food\"]"),
        ("gigya", "gigya.json", "release = \"mail\"\nfrom = [\"email\"]"),
    ] {
        let output = mapping(place.path(), &["import", notation, file]);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{notation}");
        assert!(text(&output.stdout).contains(row), "{}", text(&output.stdout));
    }
    let json = mapping(place.path(), &["import", "gigya", "gigya.json", "--json"]);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(report["toml"].as_str().is_some_and(|toml| toml.contains("[[row]]")) && report["notes"] == json!([]), "{report}");
    for arguments in [
        ["import", "gigya", "isthmus.toml"],
        ["import", "gigya", "missing.json"],
        ["import", "gigya", "long.json"],
        ["import", "keycloak", "gigya.json"],
    ] {
        assert_eq!(mapping(place.path(), &arguments).status.code(), Some(2), "{arguments:?}");
    }
}
