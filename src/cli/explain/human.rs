//! The explanation for people, at 80 columns, and for programs as JSON.
//!
//! Much of what is shown came from somebody unknown: control characters, and those that turn the direction of writing, are
//! shown as escapes in both forms.

use super::person::{Assertion, Claims, InDialect, Origin, Person, Released, Withheld};
use super::report::{Report, Row, Said, Time, Verdict};
use crate::profile::{FilledIn, Outcome, RowNote};
use serde_json::{Map, Value};
use std::fmt::Write as _;

const WIDTH: usize = 80;
/// Characters of one value; all of it stands in the JSON.
const LONGEST: usize = 400;

pub fn json(report: &Report) -> String {
    let text = serde_json::to_string_pretty(report).unwrap_or_default();
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // They stand inside of texts only, where this is the same.
        if c != '\n' && is_unsafe(c) {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

pub fn render(report: &Report) -> String {
    let mark = match (report.verified, report.verdict) {
        (true, _) => "",
        (false, Verdict::Refused) => " - not verified: this would be refused",
        (false, _) => " - not verified",
    };
    let mut page = Page { text: String::new(), mark };
    page.head(report);
    page.checks(report);
    if let Some(said) = &report.said {
        page.said(said);
    }
    if let Some(mapping) = &report.mapping {
        page.marked(&format!("Mapping ({})", mapping.table));
        page.rows(&mapping.rows);
        if let Some(error) = &mapping.error {
            page.item("REFUSED", &error.to_string());
        }
    }
    if let Some(person) = &report.person {
        page.person(person);
    }
    if let Some(released) = &report.released {
        page.released(released);
    }
    if !report.notes.is_empty() {
        page.title("Notes");
        for note in &report.notes {
            page.wrapped("  - ", "    ", note);
        }
    }
    page.text.trim_end().to_owned()
}

/// One line of text in which nothing moves the cursor.
pub fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) { safe.extend(c.escape_unicode()) } else { safe.push(c) }
    }
    safe
}

/// Control characters, separators of lines and paragraphs, and what is invisible or turns the direction of writing.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

struct Page {
    text: String,
    /// Behind headings of what nobody has verified.
    mark: &'static str,
}

impl Page {
    fn head(&mut self, report: &Report) {
        let verdict = match (report.verdict, report.time.from) {
            (Verdict::Accepted, "message") => "A login would go through, as of the message's own time.",
            (Verdict::Accepted, _) => "A login would go through.",
            (Verdict::Refused, _) => "A login would be refused.",
            (Verdict::NotJudged, _) => "Nothing is verified: this is no message that a login could bring.",
        };
        self.line(verdict);
        for refusal in &report.refusals {
            self.wrapped("  ", "  ", &format!("{} ({}): {}", refusal.name, refusal.code, refusal.meaning));
        }
        self.line("");
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        self.item(
            "file",
            &format!("{}, as {}", text(&report.input, "kind").replace('_', " ").replace("saml", "SAML"), form(&report.input)),
        );
        let connection = &report.connection;
        self.item("connection", &format!("{} ({})", text(connection, "name"), text(connection, "display_name")));
        self.time(&report.time);
    }

    fn time(&mut self, time: &Time) {
        let from = match time.from {
            "message" => "the message's own IssueInstant",
            "option" => "as asked",
            _ => "now",
        };
        self.item("time", &format!("{} ({from})", time.at));
        match (time.accepted_now, &time.refused_now) {
            (Some(true), _) => self.item("", &format!("now, {}, the checks pass too", time.now)),
            (Some(false), Some(why)) => {
                let text = |name: &str| why[name].as_str().unwrap_or_default();
                self.item("", &format!("now, {}, it is refused: {}. {}", time.now, text("name"), text("meaning")));
            }
            _ => {}
        }
    }

    fn checks(&mut self, report: &Report) {
        self.title("Checks");
        for row in report.checks.iter().chain(&report.policy) {
            self.check(row);
        }
    }

    fn check(&mut self, row: &Row) {
        let mark = match row.passed {
            Some(true) => "ok",
            Some(false) => "FAILED",
            None => "-",
        };
        let Row { name, expected, found, .. } = row;
        if row.passed == Some(false) {
            self.line(&format!("  {mark:<7} {name}"));
            self.wrapped("          expected  ", "                    ", expected);
            self.wrapped("          found     ", "                    ", found);
            return;
        }
        let line = format!("  {mark:<7} {name:<28} {}", plain(found));
        self.line(&clipped(&line, WIDTH));
    }

    fn said(&mut self, said: &Said) {
        self.marked("Message");
        for (name, value) in &said.facts {
            self.pair(&format!("${name}"), value.as_str().unwrap_or_default());
        }
        for attribute in &said.attributes {
            let friendly = attribute.friendly_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            let values: Vec<String> = attribute.values.iter().map(Value::to_string).collect();
            self.pair(&format!("{}{friendly}", attribute.name), &values.join(", "));
        }
    }

    /// Those that gave nothing because nothing came stand together at the end.
    fn rows(&mut self, rows: &[RowNote]) {
        let (absent, others): (Vec<&RowNote>, Vec<&RowNote>) = rows.iter().partition(|row| row.outcome == Outcome::Absent);
        for row in others {
            self.row(row);
        }
        if !absent.is_empty() {
            let fields: Vec<&str> = absent.into_iter().map(|row| row.field.as_str()).collect();
            self.wrapped("  absent: ", "    ", &fields.join(", "));
        }
    }

    fn row(&mut self, row: &RowNote) {
        let outcome = match row.outcome {
            Outcome::Taken => "taken",
            Outcome::Default => "default",
            Outcome::Absent => "absent",
            Outcome::Unmet => "condition not met",
            Outcome::Unlisted => "UNLISTED",
            Outcome::Unusable => "UNUSABLE",
        };
        let source = row.source.as_ref().map(|source| format!(" from {source}")).unwrap_or_default();
        let detail = row.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        let value = row.value.as_ref().map(|value| format!(": {value}")).unwrap_or_default();
        self.pair(&row.field, &format!("{outcome}{source}{detail}{value}"));
    }

    fn person(&mut self, person: &Person) {
        match &person.dialect {
            Some(dialect) => self.dialect("Profile", dialect),
            None => {
                self.marked("Profile");
                self.members(&person.profile);
            }
        }
        let filled: Vec<String> = person.filled_in.iter().map(filled_in).collect();
        let dropped: Vec<String> = person.dropped.iter().map(|dropped| format!("{} {}", dropped.field, dropped.why)).collect();
        for (what, list) in [("filled in", filled), ("dropped", dropped), ("not kept", person.not_kept.clone())] {
            if !list.is_empty() {
                self.wrapped(&format!("  ({what}: "), "    ", &format!("{})", list.join("; ")));
            }
        }
        self.title("Where it came from");
        for origin in &person.provenance {
            self.origin(origin);
        }
    }

    fn origin(&mut self, origin: &Origin) {
        let verified = if origin.verified { ", verified" } else { "" };
        self.pair(&origin.field, &format!("{}{verified}", origin.source));
    }

    fn released(&mut self, released: &Released) {
        if let Some(claims) = &released.claims {
            self.claims(&released.application, claims);
        }
        if let Some(assertion) = &released.assertion {
            self.assertion(&released.application, assertion);
        }
    }

    fn claims(&mut self, application: &str, claims: &Claims) {
        self.marked(&format!("Released to {application} ({})", claims.table));
        self.rows(&claims.rows);
        if let Some(error) = &claims.error {
            self.item("REFUSED", &error.to_string());
            return;
        }
        self.marked(&format!("Claims for {}", claims.scopes));
        self.pair("sub", &Value::from(claims.sub.as_str()).to_string());
        self.members(&claims.claims);
        let withheld: Vec<String> = claims.withheld.iter().map(withheld).collect();
        for (what, list) in [("withheld", withheld), ("scopes not given", claims.scopes_refused.clone())] {
            self.aside(what, &list);
        }
        if let Some(dialect) = &claims.dialect {
            self.dialect("Whole profile at /userinfo", dialect);
        }
    }

    fn assertion(&mut self, application: &str, assertion: &Assertion) {
        self.marked(&format!("Released to {application} by SAML ({})", assertion.table));
        self.rows(&assertion.rows);
        if let Some(error) = &assertion.error {
            self.item("REFUSED", &error.to_string());
            return;
        }
        self.marked("The assertion");
        self.pair("NameID", assertion.name_id_format);
        for attribute in &assertion.attributes {
            let friendly = attribute.friendly_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            self.pair(&format!("{}{friendly}", attribute.name), &attribute.value.to_string());
        }
        let withheld: Vec<String> = assertion.withheld.iter().map(|one| format!("{}: {}", one.name, one.why)).collect();
        self.aside("withheld", &withheld);
    }

    fn aside(&mut self, what: &str, list: &[String]) {
        if !list.is_empty() {
            self.wrapped(&format!("  ({what}: "), "    ", &format!("{})", list.join("; ")));
        }
    }

    fn dialect(&mut self, what: &str, dialect: &InDialect) {
        self.marked(&format!("{what}, as {}", dialect.name.name()));
        self.members(&dialect.profile);
    }

    fn members(&mut self, members: &Map<String, Value>) {
        for (name, value) in members {
            self.pair(name, &value.to_string());
        }
    }

    fn marked(&mut self, title: &str) {
        self.title(&format!("{title}{}", self.mark));
    }

    fn title(&mut self, title: &str) {
        self.line("");
        self.wrapped("", "  ", title);
    }

    /// A word and what belongs to it.
    fn item(&mut self, name: &str, text: &str) {
        self.wrapped(&format!("{name:<12}"), "            ", text);
    }

    /// A name and its value, in two columns; a long name has a line of its own.
    fn pair(&mut self, name: &str, value: &str) {
        let name = plain(name);
        let value = clipped(value, LONGEST);
        if name.chars().count() <= 24 {
            self.wrapped(&format!("  {name:<24}  "), "                            ", &value);
        } else {
            self.wrapped("  ", "  ", &name);
            self.wrapped("                            ", "                            ", &value);
        }
    }

    /// Breaks `text` at spaces, and words that are longer than a line anywhere.
    fn wrapped(&mut self, first: &str, rest: &str, text: &str) {
        let mut line = first.to_owned();
        let mut room = WIDTH.saturating_sub(first.chars().count()).max(1);
        let mut is_empty = true;
        for word in plain(text).split(' ') {
            let mut word: Vec<char> = word.chars().collect();
            if !is_empty && word.len() + 1 > room {
                self.line(&line);
                rest.clone_into(&mut line);
                room = WIDTH.saturating_sub(rest.chars().count()).max(1);
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
                room -= 1;
            }
            while word.len() > room {
                line.extend(word.drain(..room));
                self.line(&line);
                rest.clone_into(&mut line);
                room = WIDTH.saturating_sub(rest.chars().count()).max(1);
            }
            room -= word.len();
            line.extend(word);
            is_empty = false;
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

fn form(input: &Value) -> &'static str {
    match input["form"].as_str() {
        Some("xml") => "XML",
        Some("base64") => "base64",
        Some("form") => "a posted form",
        Some("jwt") => "JWT",
        _ => "JSON",
    }
}

fn filled_in(filled: &FilledIn) -> String {
    if filled.from.is_empty() { filled.field.to_owned() } else { format!("{} from {}", filled.field, filled.from.join(" and ")) }
}

fn withheld(withheld: &Withheld) -> String {
    match &withheld.scope {
        Some(scope) => format!("{} needs {scope}", withheld.name),
        None => format!("{} is the protocol's own", withheld.name),
    }
}

fn clipped(text: &str, limit: usize) -> String {
    let mut short: String = text.chars().take(limit).collect();
    if short.len() < text.len() {
        short.pop();
        short.push('\u{2026}');
    }
    short
}
