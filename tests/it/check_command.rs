//! `isthmus check`: every fault at once, each with its place and what to do.

use crate::harness::app::{App, SECRET};
use crate::harness::idp::Idp;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn check(place: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_isthmus")).arg("check").args(arguments).current_dir(place).env("TEST_SECRET", SECRET).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn write(text: &str) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("isthmus.toml"), text).unwrap();
    place
}

#[test]
fn a_good_configuration_is_called_good() {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let place = write(&format!("issuer = \"http://localhost:8400\"\n[[connection]]\n{}\n[[application]]\n{}", idp.toml("", ""), app.toml("", "")));
    let output = check(place.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("The configuration is good"), "{}", said(&output));
}

/// What is wrong in the fixture: a piece of the line it stands on, and a word of the complaint.
const FAULTY: &str = r#"issuer = "http://login.example.org"
listen = "nowhere"
colour = "blue"

[directory]
url = "mysql://localhost/x"

[sessions]
url = 7

[lifetimes]
code = 0

[[connection]]
name = "a/b"
domains = ["not a domain"]
[connection.saml]
metadata_file = "missing.xml"

[[connection]]
name = "twice"
[connection.saml]
entity_id = "https://idp.example"
sso_url = "http://idp.example/sso"

[[connection]]
name = "twice"

[[application]]
client_id = "notes"
connections = ["nowhere"]
mapping = "nowhere"
[application.oidc]
redirect_uris = ["https://notes.example/cb#x", "http://notes.example/cb"]
client_secret = "short"
token_endpoint_auth_method = "private_key"
"#;

/// Line, and what the complaint is about.
const FAULTS: &[(usize, &str)] = &[
    (1, "is not https"),
    (2, "no address to listen on"),
    (3, "colour"),
    (6, "mysql"),
    (9, "url"),
    (12, "code"),
    (15, "a connection's name"),
    (16, "no e-mail domain"),
    (18, "missing.xml"),
    (24, "is no https address"),
    (22, "certificates"),
    (27, "there twice"),
    (31, "there is no connection"),
    (32, "there is no mapping table"),
    (34, "has a fragment"),
    (34, "is not https"),
    (35, "client_secret"),
    (36, "token_endpoint_auth_method"),
];

#[test]
fn every_fault_is_reported_at_once_with_its_place() {
    let place = write(FAULTY);
    let output = check(place.path(), &["--config", "isthmus.toml"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let paragraphs: Vec<&str> = said.split("\n\n").collect();
    for (line, about) in FAULTS {
        let found = paragraphs.iter().any(|paragraph| {
            paragraph.contains(about) && paragraph.lines().any(|text| text.contains(&format!("isthmus.toml:{line}:"))) && paragraph.contains("what to do:")
        });
        assert!(found, "line {line}, about {about}:\n{said}");
    }
    // A value that may be a secret is not shown.
    assert!(!said.contains("\"short\""), "{said}");
}

#[test]
fn programs_get_the_same_as_json() {
    let place = write(FAULTY);
    let output = check(place.path(), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let problems = findings["problems"].as_array().expect("problems");
    assert!(problems.len() >= FAULTS.len(), "{findings}");
    for (line, _) in FAULTS {
        assert!(problems.iter().any(|problem| problem["line"] == *line && problem["column"].as_u64() > Some(0)), "line {line}: {findings}");
    }
}

#[test]
fn what_cannot_be_read_is_another_matter_than_what_is_wrong() {
    let place = write("");
    let output = check(place.path(), &["--config", "nowhere.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("nowhere.toml"), "{}", said(&output));
    assert_eq!(check(place.path(), &["--no-such-option"]).status.code(), Some(2));
}

#[test]
fn broken_toml_says_where() {
    let place = write("issuer = \"http://localhost:1\"\n[[connection\nname = 1\n");
    let output = check(place.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("isthmus.toml:2:"), "{}", said(&output));
}

#[test]
fn a_mapping_table_s_own_tests_are_run() {
    let place = write("issuer = \"http://localhost:8400\"\n");
    std::fs::create_dir(place.path().join("mappings")).unwrap();
    let table = "direction = \"to_profile\"\n[[row]]\nfield = \"email\"\nfrom = [\"mail\"]\ntake = \"first\"\n[[test]]\nname = \"mail is taken\"\ngiven = { mail = [\"a@b.example\"] }\nexpect = { email = \"EXPECTED\" }\n";
    for (expected, status) in [("a@b.example", 0), ("c@d.example", 1)] {
        std::fs::write(place.path().join("mappings/acme.toml"), table.replace("EXPECTED", expected)).unwrap();
        let output = check(place.path(), &[]);
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        assert_eq!(said(&output).contains("mail is taken"), status == 1, "{}", said(&output));
    }
}

#[test]
fn serve_refuses_what_check_refuses() {
    let place = write(FAULTY);
    let output = Command::new(env!("CARGO_BIN_EXE_isthmus")).arg("serve").current_dir(place.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("isthmus.toml:2:"), "{}", said(&output));
}

#[test]
fn a_secret_may_stand_in_the_file_only_in_development() {
    let app = App::new("notes").toml("", "").replace("{ env = \"TEST_SECRET\" }", &format!("\"{SECRET}\""));
    for (issuer, status) in [("https://login.example.org", 1), ("http://localhost:8400", 0)] {
        let place = write(&format!("issuer = \"{issuer}\"\n[[application]]\n{app}"));
        let output = check(place.path(), &[]);
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        assert!(!said(&output).contains(SECRET), "{}", said(&output));
    }
}
