//! `isthmus user`: what operators do with users on the command line, beside a running gateway.

use crate::harness::PATIENCE;
use crate::harness::idp::Idp;
use crate::harness::process::Process;
use crate::harness::servers::free_port;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const JANE: &str = "samlp|acme|jane";
const BOB: &str = "samlp|acme|bob";

/// A gateway that was started with two people, and the place of its files.
struct Scene {
    place: TempDir,
    gateway: Process,
    /// The configuration names its metadata.
    _idp: Idp,
}

fn isthmus(place: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    command.args(arguments).current_dir(place).stdin(Stdio::null());
    command
}

impl Scene {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let (port, operations, idp) = (free_port(), free_port(), Idp::new("acme"));
        let config = format!(
            "issuer = \"http://127.0.0.1:{port}\"\nlisten = \"127.0.0.1:{port}\"\noperations_listen = \"127.0.0.1:{operations}\"\n\
             [directory]\nurl = \"sqlite:isthmus.db\"\nseed = \"people.json\"\n[metadata]\nsealed = [\"user_metadata.ssn\"]\n[[connection]]\n{}",
            idp.toml("", "")
        );
        std::fs::write(place.path().join("isthmus.toml"), config).unwrap();
        let people = json!([
            {"connection": "acme", "subject": "jane", "groups": ["staff"], "user_metadata": {"theme": "dark"}},
            {"connection": "acme", "subject": "bob", "custom_data": {"seen": {"tour": true}}, "user_metadata": {"theme": "light", "b": 1}},
        ]);
        std::fs::write(place.path().join("people.json"), people.to_string()).unwrap();
        let gateway = serve(place.path(), operations);
        Self { place, gateway, _idp: idp }
    }

    /// Exit status, standard output, standard error.
    fn user(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        told(isthmus(self.place.path(), &[&["user"], arguments].concat()).output().unwrap())
    }

    #[track_caller]
    fn good(&self, arguments: &[&str]) -> String {
        let (status, out, err) = self.user(arguments);
        assert_eq!(status, Some(0), "{arguments:?}: {out}{err}");
        out
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.good(&[arguments, &["--json"]].concat())).expect("JSON")
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], status: i32, about: &str) {
        let (found, out, err) = self.user(arguments);
        assert_eq!(found, Some(status), "{arguments:?}: {out}{err}");
        assert!(err.contains(about) && out.is_empty(), "{arguments:?}: {out}{err}");
    }
}

fn told(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Serves, and waits until it does.
fn serve(place: &Path, operations: u16) -> Process {
    let mut gateway = Process::start(isthmus(place, &["serve"]).stderr(Stdio::null()), "it with cargo");
    let deadline = Instant::now() + PATIENCE;
    let address = format!("127.0.0.1:{operations}");
    while !isthmus(place, &["healthcheck", "--address", &address]).output().unwrap().status.success() {
        assert!(Instant::now() < deadline && !gateway.has_ended(), "the gateway is not ready");
        std::thread::sleep(Duration::from_millis(50));
    }
    gateway
}

#[test]
fn s0_10_s4_13_an_operator_edits_metadata_and_custom_fields_and_nothing_of_the_connection() {
    let scene = Scene::new();
    let seeded = scene.json(&["show", JANE]);
    assert_eq!((&seeded["groups"], &seeded["user_metadata"]), (&json!(["staff"]), &json!({"theme": "dark"})));
    assert_eq!(seeded["identities"][0]["last_login"], Value::Null);
    let updated =
        scene.json(&["update", JANE, "--patch", r#"{"custom_data": {"Foo": 1}, "user_metadata": {"hobby": "chess"}, "groups": ["vip"]}"#]);
    assert_eq!((&updated["custom_fields"], &updated["groups"]), (&json!({"Foo": 1}), &json!(["vip"])));
    assert_eq!(updated["user_metadata"], json!({"theme": "dark", "hobby": "chess"}));
    let replaced = scene.json(&["update", JANE, "--replace", "--patch", r#"{"user_metadata": {"a": 1}}"#]);
    assert_eq!(replaced["user_metadata"], json!({"a": 1}));
    scene.refused(&["update", JANE, "--patch", r#"{"identities": [], "custom_fields": {}}"#], 1, "/identities ");
    scene.refused(&["update", JANE, "--patch", r#"{"name": "X"}"#], 1, "/name ");
    scene.refused(&["update", JANE, "--patch", r#"{"user_metadata": {"a.b": 1}}"#], 1, "/user_metadata/a.b ");
    assert_eq!(scene.json(&["show", JANE]), replaced);
    assert_eq!(scene.json(&["show", JANE])["identities"], seeded["identities"]);
    // Usage, and what cannot be read.
    scene.refused(&["update", JANE, "--patch", "{"], 2, "no JSON");
    scene.refused(&["update", JANE, "--patch", "[]"], 2, "not a JSON object");
    scene.refused(&["update", JANE, "--patch-file", "nowhere.json"], 2, "cannot be read");
    scene.refused(&["update", JANE], 2, "--patch");
    scene.refused(&["show", "nobody"], 1, "no such user");
    scene.refused(&["show", JANE, "--config", "nowhere.toml"], 2, "nowhere.toml");
}

#[test]
fn s0_13_sealed_values_are_in_no_file_and_are_shown_when_the_operator_says_so() {
    let mut scene = Scene::new();
    let mut update = isthmus(scene.place.path(), &["user", "update", JANE, "--patch-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    update.stdin.take().unwrap().write_all(br#"{"user_metadata": {"ssn": "078-05-1120"}, "app_metadata": {"api_key": "k"}}"#).unwrap();
    let (status, _, warned) = told(update.wait_with_output().unwrap());
    assert_eq!(status, Some(0), "{warned}");
    // The one that looks secret and is not sealed.
    assert!(warned.contains("/app_metadata/api_key") && !warned.contains("ssn"), "{warned}");
    assert!(scene.good(&["show", JANE]).contains("\"ssn\": \"(sealed)\""));
    assert_eq!(scene.json(&["show", JANE])["user_metadata"]["ssn"], "(sealed)");
    assert_eq!(scene.json(&["show", JANE, "--open-sealed"])["user_metadata"]["ssn"], "078-05-1120");
    scene.gateway.terminate();
    for entry in std::fs::read_dir(scene.place.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(11).any(|window| window == b"078-05-1120"), "{}", path.display());
        }
    }
}

#[test]
fn users_are_linked_and_unlinked_blocked_and_deleted() {
    let scene = Scene::new();
    scene.refused(&["link", JANE, JANE], 1, "one user already");
    let link = scene.json(&["link", JANE, BOB, "--merge-metadata"]);
    assert_eq!(link["former_user_id"], BOB);
    let joined = scene.json(&["show", JANE]);
    assert_eq!(joined["user_metadata"], json!({"theme": "dark", "b": 1}));
    assert_eq!((&joined["identities"][0]["user_id"], &joined["identities"][1]["user_id"]), (&json!("jane"), &json!("bob")));
    scene.refused(&["show", BOB], 1, "no such user");
    let text = scene.good(&["links", JANE]);
    assert!(text.contains(link["link_id"].as_str().unwrap()) && text.contains("operator by cli:") && text.contains("acme bob"), "{text}");
    assert_eq!(scene.json(&["undo-link", link["link_id"].as_str().unwrap()])["custom_fields"], json!({"seen": {"tour": true}}));
    scene.good(&["link", JANE, BOB]);
    scene.refused(&["unlink", JANE, "acme", "jane"], 1, "ISTH-4008");
    assert_eq!(scene.json(&["unlink", JANE, "acme", "bob"])["user_id"], BOB);
    assert_eq!(scene.json(&["block", BOB])["blocked"], true);
    scene.refused(&["link", JANE, BOB], 1, "is blocked");
    assert_eq!(scene.json(&["unblock", BOB])["blocked"], false);
    assert_eq!(scene.json(&["deny-login", "acme", "bob"])["identities"][0]["allows_login"], false);
    assert_eq!(scene.json(&["allow-login", "acme", "bob"])["identities"][0]["allows_login"], true);
    assert_eq!(scene.json(&["forget-profile", BOB])["profile"], Value::Null);
    assert_eq!(scene.json(&["conflicts"]), json!([]));
    scene.refused(&["find", "bob@acme.example"], 1, "no user with this");
    scene.good(&["delete", BOB]);
    scene.refused(&["show", BOB], 1, "no such user");
}
