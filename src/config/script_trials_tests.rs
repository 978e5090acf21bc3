use super::*;
use crate::rules::{Limits, OnError};

const RULE: &str = r#"/*---
name = "tier"
[[test]]
name = "gold people get the tier"
user = { app_metadata = { plan = "gold" } }
configuration = { NAMESPACE = "https://acme.example/" }
expect = { id_token = { "https://acme.example/tier" = 1 }, user = { tier = "gold" }, log = "gold" }
absent = ["user.password", "id_token.tier"]

[[test]]
name = "wrong"
expect = { user = { tier = "gold" }, denied = false }
absent = ["user.email"]

[[test]]
name = "refused"
user = { email_verified = false }
expect = { denied = "verify first" }
---*/
function tier(user, context, callback) {
  if (!user.email_verified) return callback(new UnauthorizedError('verify first'));
  if (user.app_metadata.plan === 'gold') {
    console.log('gold', user.email);
    user.tier = 'gold';
    context.idToken[configuration.NAMESPACE + 'tier'] = 1;
  }
  callback(null, user, context);
}
"#;

fn script(kind: Kind, code: &str) -> Script {
    Script {
        id: "tier".to_owned(),
        name: "tier".to_owned(),
        kind,
        enabled: true,
        order: 0,
        code: code.to_owned(),
        secrets: BTreeMap::new(),
        hosts: Vec::new(),
        on_error: OnError::Fail,
        limits: Limits::default(),
    }
}

#[test]
fn tests_in_a_header_run_and_say_what_is_different() {
    let directory = tempfile::tempdir().expect("a directory");
    let header = RULE.split_once("/*---").and_then(|(_, rest)| rest.split_once("---*/")).map(|(header, _)| header).expect("a header");
    let (trials, findings) = read(&script(Kind::Rule, RULE), &directory.path().join("tier.js"), Some(header));
    assert!(findings.is_good(), "{findings:?}");
    let results = run(trials);
    let of = |test: &str| results.iter().find(|result| result.test == test).map(|result| result.differences.clone()).expect("it ran");
    assert_eq!(of("gold people get the tier"), Vec::<String>::new());
    assert_eq!(of("refused"), Vec::<String>::new());
    assert_eq!(of("wrong"), ["user.tier: expected \"gold\", found nothing", "user.email: expected nothing, found \"jane@acme.example\""]);
    assert_eq!(results[1].line, 10);
}

#[test]
fn an_action_is_tested_by_the_file_beside_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let tests = r#"
[[test]]
name = "sets a claim with its secret's help"
secrets = { KEY = "k" }
event = { stats = { logins_count = 1 } }
expect = { id_token = { "https://acme.example/first" = "k" }, app_metadata = { seen = true } }

[[test]]
name = "no surprise"
event = { stats = { logins_count = 2 } }
expect = { id_token = {} }
"#;
    std::fs::write(directory.path().join("first.test.toml"), tests).expect("written");
    let code = "exports.onExecutePostLogin = async (event, api) => {\n  if (event.stats.logins_count !== 1) throw new Error('again');\n  \
                api.idToken.setCustomClaim('https://acme.example/first', event.secrets.KEY);\n  api.user.setAppMetadata('seen', true);\n};";
    let (trials, findings) = read(&script(Kind::Action(Trigger::PostLogin), code), &directory.path().join("first.js"), None);
    assert!(findings.is_good(), "{findings:?}");
    let results = run(trials);
    assert_eq!(results[0].differences, Vec::<String>::new());
    assert_eq!(results[1].differences.len(), 1, "a failure that nobody expects: {:?}", results[1].differences);
    assert!(results[1].differences[0].contains("2:") && results[1].differences[0].contains("again"), "{:?}", results[1].differences);
}

#[test]
fn a_test_that_is_badly_written_is_a_fault() {
    let header = "[[test]]\nname = \"a\"\n[[test]]\nexpect = { clains = {} }\nusr = {}\n";
    let (_, findings) = read(&script(Kind::Rule, ""), Path::new("/nowhere/x.js"), Some(header));
    let paths: Vec<&str> = findings.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["test[0].expect", "test[1].name", "test[1].expect", "test[1].usr"]);
}
