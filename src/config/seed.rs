//! `seed` of `[directory]`: a JSON file with users that are to be there from the start.
//!
//! A list of objects: `connection`, `subject`, and where wanted `groups`, `user_metadata`, `app_metadata`,
//! `custom_fields` and `link_only`. Faults are reported with the JSON pointer of their place.

use super::context::Context;
use super::read::whole_file;
use super::{Findings, Problem};
use crate::connection::config::ConnectionConfig;
use crate::store::NewUser;
use crate::toml_file::{Section, nearest};
use crate::user::Identity;
use crate::user::metadata::{self, Fault, Part, pointer};
use crate::user::patch::{groups, unsealed_secrets};
use crate::user::sealing::SealedPath;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;
use std::path::Path;

/// The users of a seed file. What they hold may be meant to be sealed, so it does not print.
#[derive(Clone, Default)]
pub struct Seed(pub Vec<NewUser>);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({} users)", self.0.len())
    }
}

/// What a seed file is checked against.
pub struct Known<'a> {
    /// All names, those of connections with faults too.
    pub names: &'a [String],
    pub connections: &'a [Option<ConnectionConfig>],
    pub sealed: &'a [SealedPath],
}

/// Reads the file that the section names.
pub fn read(context: &Context<'_>, section: &Section<'_>, known: &Known<'_>) -> (Seed, Findings) {
    let Some(named) = section.string("seed") else { return (Seed::default(), Findings::default()) };
    let path = context.resolve(named.value);
    match text_of(&path) {
        Ok(text) => read_text(&path.display().to_string(), &text, known),
        Err(why) => {
            section.problem("seed", format!("{} {why}", named.value), "name a JSON file; the path is relative to the configuration");
            (Seed::default(), Findings::default())
        }
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_BYTES {
        return Err(format!("has {size} octets; {MAX_BYTES} are allowed"));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

fn read_text(file: &str, text: &str, known: &Known<'_>) -> (Seed, Findings) {
    let mut findings = Findings::default();
    let at_line =
        |line, column, message: String, help: &str| Problem { line, column, ..whole_file(file.to_owned(), String::new(), message, help) };
    let entries = match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(entries)) => entries,
        Ok(_) => {
            findings.problems.push(at_line(
                1,
                1,
                "the seed file is not a list".to_owned(),
                "write [ { \"connection\": .., \"subject\": .. } ]",
            ));
            return (Seed::default(), findings);
        }
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            findings.problems.push(at_line(line, column, format!("the seed file is no JSON: {error}"), "correct the JSON syntax"));
            return (Seed::default(), findings);
        }
    };
    let (mut faults, mut warnings, mut users) = (Vec::new(), Vec::new(), Vec::with_capacity(entries.len()));
    let mut seen = HashSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let mut reader = Entry { at: format!("/{index}"), known, faults: &mut faults, warnings: &mut warnings };
        let Some(user) = reader.user(entry) else { continue };
        if !seen.insert((user.identity.connection.clone(), user.identity.user_id.clone())) {
            reader.fault("subject", "is there twice for this connection", "give each person one entry");
        }
        users.push(user);
    }
    let told = |fault: Fault| whole_file(file.to_owned(), fault.pointer, fault.problem, &fault.help);
    findings.problems.extend(faults.into_iter().map(told));
    findings.warnings.extend(warnings.into_iter().map(told));
    (Seed(users), findings)
}

/// One entry while it is read.
struct Entry<'a> {
    at: String,
    known: &'a Known<'a>,
    faults: &'a mut Vec<Fault>,
    warnings: &'a mut Vec<Fault>,
}

impl<'a> Entry<'a> {
    fn fault(&mut self, member: &str, problem: impl Into<String>, help: impl Into<String>) {
        let place = if member.is_empty() { self.at.clone() } else { pointer(&self.at, member) };
        self.faults.push(Fault::new(place, problem, help));
    }

    /// `None` where the entry cannot become a user; the faults say why.
    fn user(&mut self, entry: &Value) -> Option<NewUser> {
        let Value::Object(members) = entry else {
            self.fault("", "is not an object", "write { \"connection\": .., \"subject\": .. }");
            return None;
        };
        self.unknown(members);
        let connection = self.connection(members);
        let subject = self.subject(members);
        let link_only = self.flag(members, "link_only");
        let groups = members.get("groups").and_then(|value| groups(value, &pointer(&self.at, "groups"), self.faults)).unwrap_or_default();
        let [user_metadata, app_metadata, custom_fields] = Part::ALL.map(|part| self.part(members, part));
        let (connection, subject) = (connection?, subject?);
        Some(NewUser {
            allows_login: !link_only && !connection.profile.link_only,
            groups,
            user_metadata,
            app_metadata,
            custom_fields,
            ..NewUser::bare(identity(connection, &subject))
        })
    }

    fn unknown(&mut self, members: &Map<String, Value>) {
        for name in members.keys().filter(|name| !MEMBERS.contains(&name.as_str()) && Part::parse(name).is_none()) {
            let accepted = MEMBERS.into_iter().chain(Part::ALL.map(Part::name));
            let help = nearest(name, accepted).map_or_else(|| "remove it".to_owned(), |near| format!("did you mean {near}?"));
            self.fault(name, "is not known here", help);
        }
    }

    /// A connection that has faults of its own is not complained about once more.
    fn connection(&mut self, members: &Map<String, Value>) -> Option<&'a ConnectionConfig> {
        let name = self.text(members, "connection")?;
        let known = self.known;
        if !known.names.iter().any(|known| known == name) {
            let help = match nearest(name, known.names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => "name a [[connection]] of the configuration".to_owned(),
            };
            self.fault("connection", format!("names a connection that is not there: {}", name.escape_debug()), help);
        }
        known.connections.iter().flatten().find(|connection| connection.name == name)
    }

    fn text<'m>(&mut self, members: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
        match members.get(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => return Some(text),
            Some(_) => self.fault(name, "is no text, or an empty one", "write it in quotes"),
            None => self.fault(name, "is missing", format!("add \"{name}\": \"..\"")),
        }
        None
    }

    fn subject(&mut self, members: &Map<String, Value>) -> Option<String> {
        let subject = self.text(members, "subject")?;
        if subject.len() > MAX_SUBJECT || subject.contains('\0') {
            self.fault(
                "subject",
                format!("is longer than {MAX_SUBJECT} octets, or has a NUL character"),
                "write what the connection calls the person",
            );
            return None;
        }
        Some(subject.to_owned())
    }

    fn flag(&mut self, members: &Map<String, Value>, name: &str) -> bool {
        match members.get(name) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.fault(name, "is neither true nor false", "write true or false, without quotes");
                false
            }
        }
    }

    /// One of the free objects, in whatever spelling it is there.
    fn part(&mut self, members: &Map<String, Value>, part: Part) -> Map<String, Value> {
        let mut given = members.iter().filter(|(name, _)| Part::parse(name) == Some(part));
        let Some((name, value)) = given.next() else { return Map::new() };
        if let Some((again, _)) = given.next() {
            self.fault(again, format!("is {} again, in another spelling", part.name()), format!("write {} once", part.name()));
        }
        let Value::Object(object) = value else {
            self.fault(name, "is not an object", "write it as in {\"key\": \"value\"}");
            return Map::new();
        };
        let at = pointer(&self.at, name);
        let before = self.faults.len();
        metadata::check(part, object, &at, self.faults);
        if self.faults.len() == before {
            metadata::check_size(object, &at, self.faults);
        }
        for place in unsealed_secrets(part, object, self.known.sealed) {
            let help = "list it in [metadata] sealed, or keep it elsewhere: applications may read it";
            self.warnings.push(Fault::new(format!("{}{place}", self.at), "the key looks like that of a secret", help));
        }
        object.clone()
    }
}

/// The identity that a login by this connection would have.
fn identity(connection: &ConnectionConfig, subject: &str) -> Identity {
    connection.identity(subject)
}

const MEMBERS: [&str; 4] = ["connection", "subject", "groups", "link_only"];

/// Octets of the file.
const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// Octets. The directory bounds connection, provider and subject together.
const MAX_SUBJECT: usize = 1800;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Findings, check, load};
    use serde_json::json;
    use tempfile::TempDir;

    const CONFIG: &str = r#"issuer = "http://127.0.0.1:8400"
[directory]
seed = "people.json"
[metadata]
sealed = ["user_metadata.pin"]
[[connection]]
name = "acme"
subject_comparison = "ignore_case"
[connection.saml]
metadata_file = "idp.xml"
[[connection]]
name = "club"
link_only = true
[connection.saml]
metadata_file = "idp.xml"
"#;

    /// A directory with a configuration and this seed.
    fn place(seed: &str) -> TempDir {
        let place = tempfile::tempdir().expect("a directory");
        std::fs::write(place.path().join("isthmus.toml"), CONFIG).expect("written");
        std::fs::copy("tests/fixtures/config/acme-idp.xml", place.path().join("idp.xml")).expect("copied");
        std::fs::write(place.path().join("people.json"), seed).expect("written");
        place
    }

    fn found(seed: &str) -> Findings {
        check(&place(seed).path().join("isthmus.toml"))
    }

    fn places(problems: &[Problem]) -> Vec<&str> {
        problems.iter().filter(|problem| problem.file.ends_with("people.json")).map(|problem| problem.path.as_str()).collect()
    }

    #[test]
    fn a_good_seed_is_read() {
        let seed = json!([
            {"connection": "acme", "subject": "JANE", "groups": ["staff", "staff"], "user_metadata": {"theme": "dark"}, "custom_data": {"a": null}},
            {"connection": "acme", "subject": "bob", "link_only": true, "app_metadata": {"plan": "gold"}},
            {"connection": "club", "subject": "BOB"},
        ]);
        let config = load(&place(&seed.to_string()).path().join("isthmus.toml")).unwrap_or_else(|found| panic!("{found:?}"));
        let users: Vec<_> =
            config.seed.0.iter().map(|user| (user.identity.user_id_for_new_user(), user.allows_login, user.groups.clone())).collect();
        let expected =
            [("samlp|acme|jane", true, vec!["staff".to_owned()]), ("samlp|acme|bob", false, vec![]), ("samlp|club|BOB", false, vec![])];
        assert_eq!(users, expected.map(|(id, allows, groups)| (id.to_owned(), allows, groups)));
        assert_eq!(Value::Object(config.seed.0[0].custom_fields.clone()), json!({"a": null}));
        assert_eq!(format!("{:?}", config.seed), "Seed(3 users)");
    }

    #[test]
    fn every_fault_of_a_seed_has_a_place_and_a_help() {
        let seed = json!([
            {"connection": "acne", "subject": "x", "nickname": "y", "groups": "staff"},
            {"subject": "", "link_only": 1, "user_metadata": {"a.b": 1}, "app_metadata": {"email": "hunter2"}},
            {"connection": "acme", "subject": "Jane", "custom_fields": [], "groups": [""]},
            {"connection": "acme", "subject": "jane", "custom_fields": {"x": "y".repeat(10_240)}, "custom_data": {}},
            "text",
        ]);
        let found = found(&seed.to_string());
        let mut places = places(&found.problems);
        places.sort_unstable();
        let expected = [
            "/0/connection",
            "/0/groups",
            "/0/nickname",
            "/1/app_metadata/email",
            "/1/connection",
            "/1/link_only",
            "/1/subject",
            "/1/user_metadata/a.b",
            "/2/custom_fields",
            "/2/groups/0",
            "/3/custom_data",
            "/3/custom_fields",
            "/3/subject",
            "/4",
        ];
        assert_eq!(places, expected);
        assert!(found.problems.iter().all(|problem| !problem.help.is_empty() && problem.file.ends_with("people.json")));
        assert!(!format!("{found:?}").contains("hunter2"));
        assert!(found.problems.iter().any(|problem| problem.help == "did you mean acme?"));
    }

    #[test]
    fn a_seed_that_is_no_list_or_no_json_is_a_fault_with_its_line() {
        let broken = found("[\n  {\"connection\": }\n]");
        assert_eq!(broken.problems.iter().map(|problem| (problem.line, problem.column)).collect::<Vec<_>>(), [(2, 18)]);
        assert_eq!(found("{}").problems.len(), 1);
        let place = place("[]");
        std::fs::remove_file(place.path().join("people.json")).expect("removed");
        let missing = check(&place.path().join("isthmus.toml"));
        assert_eq!(missing.problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["directory.seed"]);
    }

    #[test]
    fn a_seed_that_is_too_large_is_a_fault() {
        let large = format!("[{}]", " ".repeat(10 * 1024 * 1024));
        assert!(found(&large).problems.iter().any(|problem| problem.path == "directory.seed" && problem.message.contains("are allowed")));
    }

    #[test]
    fn s0_13_secret_looking_keys_of_a_seed_are_warnings_unless_they_are_sealed() {
        let seed = json!([{"connection": "acme", "subject": "jane", "user_metadata": {"pin": 1, "theme": "x"}, "custom_fields": {"api_key": "k"}}]);
        let found = found(&seed.to_string());
        assert_eq!((places(&found.problems), places(&found.warnings)), (vec![], vec!["/0/custom_fields/api_key"]));
    }
}
