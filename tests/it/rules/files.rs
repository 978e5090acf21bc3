//! Scripts in files: what `isthmus check` and `isthmus rules test` say of them.

use super::{Script, command, jane, newest, ruled};
use crate::harness::process::text;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A configuration with nothing but scripts, and files beside it.
fn place(toml: &str, files: &[(&str, &str)]) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("isthmus.toml"), format!("issuer = \"http://127.0.0.1:8400\"\n{toml}")).unwrap();
    for (path, text) in files {
        let path = place.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    place
}

fn run(place: &Path, arguments: &[&str]) -> (i32, String) {
    let config = place.join("isthmus.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_isthmus")).args(arguments).args(["--config", text(&config)]).output().unwrap();
    (output.status.code().unwrap_or(-1), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// File name, line, column and path of each problem.
fn problems(output: &str) -> Vec<(String, u64, u64, String)> {
    let report: serde_json::Value = serde_json::from_str(output).unwrap_or_else(|error| panic!("{error}: {output}"));
    let one = |problem: &serde_json::Value| {
        let file = problem["file"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (file, problem["line"].as_u64().unwrap(), problem["column"].as_u64().unwrap(), problem["path"].as_str().unwrap().to_owned())
    };
    report["problems"].as_array().unwrap().iter().map(one).collect()
}

const GOOD: &str = "function (user, context, callback) { callback(null, user, context); }";

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_place() {
    let toml = "\
[rules]
configuration = { KEY = { env = \"NOT_SET_ANYWHERE\" } }
country_header = \"no header\"
directory = \"rules\"

[[rule]]
name = \"broken\"
file = \"scripts/broken.js\"
on_eror = \"fail\"
hosts = [\"https://x.example\"]

[[action]]
file = \"scripts/missing.js\"

[[action]]
name = \"late\"
file = \"scripts/good.js\"
trigger = \"post-logout\"
";
    let broken = "function (user, context, callback) {\n  user.x = ;\n}";
    let headed = "/*---\nname = \"headed\"\nordr = 1\n---*/\nfunction (user, context, callback) {\n\n  if (\n}";
    let files = [("scripts/broken.js", broken), ("scripts/good.js", GOOD), ("rules/headed.js", headed), ("rules/plain.js", GOOD)];
    let place = place(toml, &files);
    let (status, output) = run(place.path(), &["check", "--json"]);
    assert_eq!(status, 1, "{output}");
    let found = problems(&output);
    let paths: Vec<(&str, u64, &str)> = found.iter().map(|(file, line, _, path)| (file.as_str(), *line, path.as_str())).collect();
    for expected in [
        ("isthmus.toml", 3, "rules.configuration.KEY"),
        ("isthmus.toml", 4, "rules.country_header"),
        ("isthmus.toml", 10, "rule[0].on_eror"),
        ("isthmus.toml", 11, "rule[0].hosts[0]"),
        ("isthmus.toml", 14, "action[0].file"),
        ("isthmus.toml", 19, "action[1].trigger"),
        ("broken.js", 2, "broken"),
        ("headed.js", 3, "ordr"),
    ] {
        assert!(paths.contains(&expected), "{expected:?} is not among {paths:#?}");
    }
    let broken = found.iter().find(|(file, ..)| file == "broken.js").unwrap();
    assert_eq!(broken.2, 12, "the column of the semicolon");
    assert!(paths.iter().any(|(file, line, path)| *file == "headed.js" && *line >= 7 && *path == "headed"), "{paths:#?}");
    // A file without a header is no script, and that is said.
    assert!(output.contains("plain.js") && output.contains("has no header"), "{output}");
}

const TESTED: &str = "/*---
name = \"tier\"
order = 3

[[test]]
name = \"gold\"
user = { app_metadata = { plan = \"gold\" } }
expect = { id_token = { \"https://acme.example/tier\" = 1 } }

[[test]]
name = \"refused\"
user = { email_verified = false }
expect = { denied = \"verify first\" }
---*/
function tier(user, context, callback) {
  if (!user.email_verified) return callback(new UnauthorizedError('verify first'));
  if (user.app_metadata.plan === 'gold') context.idToken['https://acme.example/tier'] = 1;
  callback(null, user, context);
}
";

#[test]
fn tests_beside_scripts_run_with_check_and_one_by_one() {
    let place = place("[rules]\ndirectory = \"rules\"\n", &[("rules/tier.js", TESTED)]);
    let (status, output) = run(place.path(), &["check"]);
    assert_eq!(status, 0, "{output}");
    let (status, output) = run(place.path(), &["rules", "test"]);
    assert_eq!((status, output.contains("2 passed."), output.contains("passed  gold")), (0, true, true), "{output}");
    // The rule changes, and its tests do not.
    fs::write(place.path().join("rules/tier.js"), TESTED.replace("'] = 1;", "'] = 2;")).unwrap();
    let (status, output) = run(place.path(), &["check", "--json"]);
    assert_eq!(status, 1, "{output}");
    assert_eq!(problems(&output), [("tier.js".to_owned(), 5, 1, "test".to_owned())]);
    let (status, output) = run(place.path(), &["rules", "test", "--json", "tier"]);
    let report: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (status, &report["passed"], &report["tests"][0]["passed"], &report["tests"][1]["passed"]),
        (1, &false.into(), &false.into(), &true.into())
    );
    assert!(report["tests"][0]["differences"][0].as_str().unwrap().contains("expected 1, found 2"), "{report}");
    assert_eq!(run(place.path(), &["rules", "test", "nobody"]).0, 2);
}

#[test]
fn a_written_login_shows_what_the_scripts_would_make_of_it() {
    let login =
        r#"{"user": {"user_id": "samlp|acme|jane", "email_verified": true, "app_metadata": {"plan": "gold"}}, "context": {"idToken": {}}}"#;
    let place =
        place("[rules]\ndirectory = \"rules\"\n", &[("rules/tier.js", TESTED), ("login.json", login), ("bad.json", r#"{"usr": {}}"#)]);
    let event = place.path().join("login.json");
    let (status, output) = run(place.path(), &["rules", "test", "--event", text(&event)]);
    assert_eq!(status, 0, "{output}");
    assert!(output.contains("id_token.https://acme.example/tier: (absent) -> 1") && output.contains("The login goes on."), "{output}");
    let bad = place.path().join("bad.json");
    let (status, output) = run(place.path(), &["rules", "test", "--event", text(&bad)]);
    assert_eq!((status, output.contains("usr")), (2, true), "{output}");
}

#[tokio::test]
async fn a_recorded_login_shows_what_changed_scripts_would_make_of_it() {
    let scene = ruled(&[Script("tier", "", GOOD)]).await;
    jane(&scene).await;
    let (login, _) = newest(&scene).await;
    let changed = "function (user, context, callback) { user.tier = context.connection + '/' + user.name; callback(null, user, context); }";
    fs::write(scene.gateway.place().join("rules/tier.js"), changed).unwrap();
    let (status, output) = command(&scene, &["rules", "test", "--login", login["correlation_id"].as_str().unwrap()]).await;
    assert_eq!(status, 0, "{output}");
    assert!(output.contains("user.tier: (absent) -> \"acme/Jane Doe\""), "{output}");
    assert_eq!(command(&scene, &["rules", "test", "--login", "0000000000000000"]).await.0, 2);
}
