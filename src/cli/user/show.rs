//! How users, links and conflicts look: for people, and as JSON for programs.

use crate::broker::admin::{FactorMethod, UserRecord};
use crate::clock::Timestamp;
use crate::profile::Profile;
use crate::profile::dialect::{Dialect, DialectOptions, render};
use crate::store::{ConflictRecord, LinkEntry};
use crate::user::metadata::Part;
use crate::user::{PersonView, StoredIdentity, User};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// A result in both forms.
pub struct Shown {
    human: String,
    json: Value,
}

impl Shown {
    pub fn new(human: String, json: Value) -> Self {
        Self { human, json }
    }

    /// Without characters that would move a terminal's cursor or turn the reading order: much of it came from elsewhere.
    pub fn human(&self) -> String {
        let tame = |c: char| match c {
            '\n' => c,
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        };
        self.human.trim_end().chars().map(tame).collect()
    }

    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.json).unwrap_or_default()
    }
}

/// A user in the order of S4-7: core, user_metadata, app_metadata, custom_fields, identities.
pub fn user(record: &UserRecord) -> Shown {
    let mut text = format!("{}\n", record.user.user_id);
    core(&mut text, record);
    for part in Part::ALL {
        let object = part.of(&record.user);
        let _ = write!(text, "\n{}{}\n", part.name(), if object.is_empty() { ": none" } else { "" });
        members(&mut text, object, 2);
    }
    text.push_str("\nidentities\n");
    for (index, stored) in record.user.identities.iter().enumerate() {
        identity(&mut text, index, stored);
    }
    for (index, factor) in record.factors.iter().enumerate() {
        text.push_str(if index == 0 { "\nsecond factors\n" } else { "" });
        let left = factor.left.map(|left| format!(", {left} left")).unwrap_or_default();
        let _ = writeln!(text, "  {}  since {} at {}{left}", factor.id, factor.created_at, factor.connection);
    }
    Shown::new(text, user_json(record))
}

/// A user as another product would show it, outside any session: every identity, and no signatures.
pub fn in_dialect(record: &UserRecord, dialect: Dialect, now: Timestamp) -> Shown {
    let view = PersonView::new(&record.user, record.profile.clone().unwrap_or_default(), None);
    let options = DialectOptions { include_all_identities: true, ..DialectOptions::new(now) };
    let json = Value::Object(render(dialect, &view.person(), &options));
    Shown::new(serde_json::to_string_pretty(&json).unwrap_or_default(), json)
}

pub fn user_json(record: &UserRecord) -> Value {
    let user = &record.user;
    let identities: Vec<Value> = user.identities.iter().map(identity_json).collect();
    let mut profile = record.profile.as_ref().map(|profile| profile.as_map().clone());
    for part in Part::ALL {
        profile.as_mut().and_then(|profile| profile.shift_remove(part.name()));
    }
    json!({
        "user_id": user.user_id,
        "blocked": user.blocked,
        "created_at": user.created_at.to_string(),
        "updated_at": user.updated_at.to_string(),
        "profile": profile,
        "user_metadata": user.user_metadata,
        "app_metadata": user.app_metadata,
        "custom_fields": user.custom_fields,
        "groups": user.groups,
        "identities": identities,
        "factors": record.factors.iter().map(factor_json).collect::<Vec<_>>(),
    })
}

/// One line a user.
pub fn users(records: &[UserRecord]) -> Shown {
    let line = |record: &UserRecord| {
        let text = |field: &str| record.profile.as_ref().and_then(|profile| profile.str(field)).unwrap_or("-").to_owned();
        format!("{}  {}  {}{}", record.user.user_id, text("name"), text("email"), if record.user.blocked { "  blocked" } else { "" })
    };
    let lines: Vec<String> = records.iter().map(line).collect();
    Shown::new(lines.join("\n"), records.iter().map(user_json).collect())
}

pub fn linked(entry: &LinkEntry) -> Shown {
    let former = entry.former_user_id.as_deref().unwrap_or("-");
    let text = format!("{former} is part of {} now\nto take it back: isthmus user undo-link {}", entry.user_id, entry.by.link_id);
    Shown::new(text, link_json(entry))
}

pub fn links(entries: &[LinkEntry]) -> Shown {
    let mut text = String::new();
    for entry in entries {
        let undone = entry.undone_at.map(|at| format!(", taken back {at}")).unwrap_or_default();
        let _ = writeln!(text, "{}  {}  {} by {}{undone}", entry.by.link_id, entry.at, entry.by.how, entry.by.actor);
        let _ = writeln!(text, "  was {}", entry.former_user_id.as_deref().unwrap_or("no user"));
        for (connection, subject) in &entry.identities {
            let _ = writeln!(text, "  {connection} {subject}");
        }
    }
    Shown::new(or_none(text), entries.iter().map(link_json).collect())
}

pub fn conflicts(conflicts: &[ConflictRecord]) -> Shown {
    let mut text = String::new();
    for conflict in conflicts {
        let ConflictRecord { connection, subject, reason, last_at, times, correlation_id, .. } = conflict;
        let _ = writeln!(text, "{last_at}  {connection} {subject}  {reason}  {times} times, last in {correlation_id}");
        for candidate in &conflict.candidates {
            let _ = writeln!(text, "  perhaps {candidate}");
        }
    }
    Shown::new(or_none(text), conflicts.iter().map(conflict_json).collect())
}

fn core(text: &mut String, record: &UserRecord) {
    let (user, empty) = (&record.user, Profile::new());
    let profile = record.profile.as_ref().unwrap_or(&empty);
    if record.profile.is_none() {
        line(text, "profile", "none until the next login");
    }
    for field in ["name", "nickname", "given_name", "family_name"] {
        profile.str(field).into_iter().for_each(|value| line(text, field, value));
    }
    if let Some(email) = profile.str("email") {
        let verified = if profile.bool("email_verified") == Some(true) { "verified" } else { "not verified" };
        line(text, "email", &format!("{email} ({verified})"));
    }
    for (field, label) in [("address.country", "country"), ("picture", "picture")] {
        profile.str(field).into_iter().for_each(|value| line(text, label, value));
    }
    line(text, "last login", &last_login(user));
    line(text, "blocked", if user.blocked { "yes" } else { "no" });
    line(text, "created", &user.created_at.to_string());
    line(text, "changed", &user.updated_at.to_string());
    let assigned = || user.groups.iter().map(String::as_str);
    let groups = if record.profile.is_some() { profile.list("groups") } else { assigned().collect() };
    line(text, "groups", &listed(groups.into_iter()));
    if !user.groups.is_empty() {
        line(text, "", &format!("by the operator: {}", listed(assigned())));
    }
}

fn last_login(user: &User) -> String {
    let latest = user.identities.iter().filter(|stored| stored.last_login.is_some()).max_by_key(|stored| stored.last_login);
    latest.map_or_else(|| "never".to_owned(), |stored| format!("{} by {}", moment(stored.last_login), stored.identity.connection))
}

/// Who the person is there, and the groups that this connection gives, and since when.
fn identity(text: &mut String, index: usize, stored: &StoredIdentity) {
    let role = if index == 0 { "primary" } else { "linked" };
    let _ = writeln!(
        text,
        "  {}. {} {} ({}, {role})",
        index + 1,
        stored.identity.connection,
        stored.identity.user_id,
        stored.identity.provider
    );
    let mut inner = String::new();
    line(&mut inner, "signs in", if stored.allows_login { "yes" } else { "no, only linked" });
    line(&mut inner, "last login", &format!("{}, {} in all", moment(stored.last_login), stored.logins_count));
    let groups = groups(stored);
    if !groups.is_empty() {
        let names = listed(groups.into_iter());
        line(&mut inner, "groups", &format!("{names} (given by {} at {})", stored.identity.connection, moment(stored.last_login)));
    }
    if !stored.profile.is_empty() {
        line(&mut inner, "attributes", "");
        members(&mut inner, &stored.profile, 4);
    }
    for part in inner.lines() {
        let _ = writeln!(text, "   {part}");
    }
}

fn identity_json(stored: &StoredIdentity) -> Value {
    json!({
        "connection": stored.identity.connection,
        "provider": stored.identity.provider,
        "user_id": stored.identity.user_id,
        "isSocial": stored.identity.is_social,
        "allows_login": stored.allows_login,
        "created_at": stored.created_at.to_string(),
        "last_login": stored.last_login.map(|at| at.to_string()),
        "logins_count": stored.logins_count,
        "groups": groups(stored),
        "profile": stored.profile,
    })
}

fn factor_json(factor: &FactorMethod) -> Value {
    json!({ "id": factor.id, "type": factor.kind.name(), "connection": factor.connection, "created_at": factor.created_at.to_string(),
        "left": factor.left })
}

fn link_json(entry: &LinkEntry) -> Value {
    let identity = |(connection, subject): &(String, String)| json!({ "connection": connection, "subject": subject });
    json!({
        "link_id": entry.by.link_id,
        "at": entry.at.to_string(),
        "how": entry.by.how,
        "actor": entry.by.actor,
        "correlation_id": entry.by.correlation_id,
        "user_id": entry.user_id,
        "former_user_id": entry.former_user_id,
        "identities": entry.identities.iter().map(identity).collect::<Vec<_>>(),
        "undone_at": entry.undone_at.map(|at| at.to_string()),
    })
}

fn conflict_json(conflict: &ConflictRecord) -> Value {
    json!({
        "connection": conflict.connection,
        "subject": conflict.subject,
        "reason": conflict.reason,
        "email": conflict.email,
        "candidates": conflict.candidates,
        "correlation_id": conflict.correlation_id,
        "first_at": conflict.first_at.to_string(),
        "last_at": conflict.last_at.to_string(),
        "times": conflict.times,
    })
}

/// The groups that a connection gave with the last login.
fn groups(stored: &StoredIdentity) -> Vec<&str> {
    stored.profile.get("groups").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn line(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "  {}", format!("{label:<12} {value}").trim_end());
}

/// An object as indented JSON, without the outer braces.
fn members(text: &mut String, object: &Map<String, Value>, indent: usize) {
    let pretty = serde_json::to_string_pretty(object).unwrap_or_default();
    for row in pretty.lines().filter(|row| row.starts_with(' ')) {
        let _ = writeln!(text, "{:indent$}{}", "", row.strip_prefix("  ").unwrap_or(row));
    }
}

fn listed<'g>(names: impl Iterator<Item = &'g str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn moment(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| at.to_string())
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::Identity;
    use crate::user::factors::FactorKind;

    fn record() -> UserRecord {
        let object = |value: Value| value.as_object().cloned().expect("an object");
        let at = Timestamp::parse("2026-11-21T02:42:00Z").expect("a date");
        let stored = |connection: &str, subject: &str, profile: Value| StoredIdentity {
            identity: Identity { connection: connection.into(), provider: "samlp".into(), user_id: subject.into(), is_social: false },
            profile: object(profile),
            root: Map::new(),
            allows_login: connection == "acme",
            created_at: at,
            last_login: (connection == "acme").then_some(at),
            logins_count: 3,
        };
        let profile =
            json!({"name": "Jane\u{1b}[2J", "email": "jane@acme.example", "address": {"country": "Austria"}, "groups": ["staff", "vip"]});
        UserRecord {
            user: User {
                user_id: "samlp|acme|jane".into(),
                blocked: true,
                created_at: at,
                updated_at: at,
                identities: vec![
                    stored("acme", "jane", json!({"groups": ["staff"], "title": "Dr"})),
                    stored("club", "j\u{202e}", json!({})),
                ],
                groups: vec!["vip".into()],
                user_metadata: object(json!({"theme": "dark", "ssn": "(sealed)"})),
                app_metadata: Map::new(),
                custom_fields: object(json!({"seen": {"tour": true}})),
            },
            profile: Some(Profile::from_map(object(profile))),
            factors: vec![FactorMethod {
                id: "totp|0123456789abcdef".into(),
                kind: FactorKind::Totp,
                connection: "acme".into(),
                created_at: at,
                left: None,
            }],
        }
    }

    #[test]
    fn s4_7_people_see_core_metadata_and_identities_in_this_order() {
        let text = user(&record()).human();
        let mut rest = text.as_str();
        for part in [
            "samlp|acme|jane\n",
            "name         Jane",
            "email        jane@acme.example (not verified)",
            "country      Austria",
            "last login   2026-11-21T02:42:00Z by acme",
            "blocked      yes",
            "groups       staff, vip",
            "by the operator: vip",
            "user_metadata\n",
            "\"theme\": \"dark\"",
            "\"ssn\": \"(sealed)\"",
            "app_metadata: none",
            "custom_fields\n",
            "\"seen\": {",
            "    \"tour\": true",
            "identities\n",
            "1. acme jane (samlp, primary)",
            "groups       staff (given by acme at 2026-11-21T02:42:00Z)",
            "\"title\": \"Dr\"",
            "2. club",
            "linked)",
            "no, only linked",
            "never",
            "second factors\n  totp|0123456789abcdef  since 2026-11-21T02:42:00Z at acme",
        ] {
            let Some((_, after)) = rest.split_once(part) else { panic!("{part} is not in its place:\n{text}") };
            rest = after;
        }
    }

    #[test]
    fn what_came_from_elsewhere_cannot_move_the_cursor() {
        let text = user(&record()).human();
        assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text}");
        assert!(text.contains("Jane\u{fffd}[2J"));
    }

    #[test]
    fn programs_get_the_same_in_json() {
        let value = user_json(&record());
        let names: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
        let expected = [
            "user_id",
            "blocked",
            "created_at",
            "updated_at",
            "profile",
            "user_metadata",
            "app_metadata",
            "custom_fields",
            "groups",
            "identities",
            "factors",
        ];
        assert_eq!(names, expected);
        assert_eq!(value["identities"][0]["groups"], json!(["staff"]));
        assert_eq!(value["custom_fields"], json!({"seen": {"tour": true}}));
    }
}
