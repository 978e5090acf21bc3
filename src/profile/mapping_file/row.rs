//! Reads one `[[row]]`.

use super::table::WrittenTable;
use crate::profile::expression::{ATTRIBUTE_VARIABLES, Expression, PROFILE_VARIABLES};
use crate::profile::mapping::{Direction, Input, Release, Row, Source, Take, Target, Transform, Unlisted};
use crate::profile::{Fact, Field, Kind};
use crate::toml_file::{At, Section, nearest, to_json};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use toml::de::DeValue;

/// Reads one `[[row]]`.
pub struct RowReader<'t> {
    pub section: Section<'t>,
    pub direction: Direction,
    pub table: &'t str,
    pub number: usize,
}

impl RowReader<'_> {
    pub fn read(self, table: &mut WrittenTable, seen: &mut HashMap<String, usize>) {
        let target = self.target();
        let omit = self.section.bool("omit").unwrap_or(false);
        let input = self.input(omit);
        let take = self.take(target.as_ref());
        let transform = self.transforms();
        let lookup = self.lookup();
        let unlisted = self.unlisted(lookup.is_some());
        let require = self.section.bool("require").unwrap_or(false);
        let default = self.default(target.as_ref());
        self.check_wildcards(target.as_ref(), &input);
        let has_default = default.is_some();
        if let Some(target) = &target
            && let Some(other) = seen.insert(target.name().to_owned(), self.number)
        {
            let text = format!("`{}` is written in row {other} already", target.name());
            self.section.problem(self.target_key(), text, "put all sources into one row: the first that is present wins");
        }
        if matches!(input, Input::Nothing) && !has_default && !omit {
            self.section.problem("from", "the row has no source", "add from = [\"..\"], cel = '..', default = .. or omit = true");
        }
        let (table_name, number) = (self.table.to_owned(), self.number);
        self.section.finish();
        match target {
            Some(target) if omit => table.omitted.push(target.name().to_owned()),
            Some(target) => table.rows.push(Arc::new(Row {
                table: table_name,
                number,
                target,
                input,
                take,
                transform,
                lookup,
                unlisted,
                require,
                default,
            })),
            None => {}
        }
    }

    fn target_key(&self) -> &'static str {
        match self.direction {
            Direction::ToProfile => "field",
            Direction::FromProfile => "release",
        }
    }

    fn target(&self) -> Option<Target> {
        let name = self.section.required(self.target_key());
        match self.direction {
            Direction::ToProfile => self.field_target(&name?),
            Direction::FromProfile => {
                let release = Release {
                    name: name.as_ref().map(|name| name.value.to_owned()).unwrap_or_default(),
                    scope: self.section.string("scope").map(|scope| scope.value.to_owned()),
                    name_format: self.section.string("name_format").map(|format| name_format(format.value)),
                    friendly_name: self.section.string("friendly_name").map(|name| name.value.to_owned()),
                };
                if let Some(scope) = release.scope.as_deref().filter(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
                    self.section.problem("scope", format!("`{scope}` is no scope"), "name one scope, without spaces");
                }
                name.map(|_| Target::Release(release))
            }
        }
    }

    fn field_target(&self, name: &At<&str>) -> Option<Target> {
        if let Some(object) = name.value.strip_suffix(".*") {
            let root = Field::parse(object).filter(|field| field.kind == Kind::Object && !field.own);
            if root.is_none() {
                self.section.problem("field", format!("`{object}` takes no free members"), "use saml_data.* or custom.*");
            }
            return root.map(|root| Target::Members { name: name.value.to_owned(), root });
        }
        let Some(field) = Field::parse(name.value) else {
            self.section.problem("field", format!("`{}` is no profile field", name.value), fields_help(name.value));
            return None;
        };
        if field.own {
            self.section.problem("field", format!("`{}` is set by the gateway itself", name.value), "choose another field");
            return None;
        }
        Some(Target::Field { name: name.value.to_owned(), field })
    }

    fn input(&self, omit: bool) -> Input {
        let sources = self.section.strings("from");
        let cel = self.section.string("cel");
        if omit && (sources.is_some() || cel.is_some()) {
            self.section.problem(
                "omit",
                "a row with `omit` removes an inherited row and has no source",
                "remove `from` and `cel`, or `omit`",
            );
        }
        if let (Some(_), Some(cel)) = (&sources, &cel) {
            let text = "a row has either `from` or `cel`";
            self.section.file().problem(cel.span.clone(), &cel.path, text, "remove one; an expression reads attributes itself");
        }
        if let Some(cel) = cel {
            let variables = match self.direction {
                Direction::ToProfile => ATTRIBUTE_VARIABLES,
                Direction::FromProfile => PROFILE_VARIABLES,
            };
            return match Expression::compile(cel.value, variables) {
                Ok(expression) => Input::Cel(expression),
                Err(reason) => {
                    self.section.problem("cel", reason, "correct the expression (CEL)");
                    Input::From(Vec::new())
                }
            };
        }
        match sources {
            Some(sources) if sources.is_empty() => {
                self.section.problem("from", "`from` is empty", "name at least one source");
                Input::From(Vec::new())
            }
            Some(sources) => Input::From(sources.iter().filter_map(|source| self.source(source)).collect()),
            None => Input::Nothing,
        }
    }

    fn source(&self, source: &At<&str>) -> Option<Source> {
        let problem = |text: String, help: String| self.section.file().problem(source.span.clone(), &source.path, text, help);
        let name = source.value;
        if name.trim().is_empty() {
            problem("a source is empty".into(), "remove it".into());
            return None;
        }
        if let Some(prefix) = name.strip_suffix('*') {
            return Some(Source::Rest(prefix.to_owned()));
        }
        match self.direction {
            Direction::ToProfile if name.starts_with('$') => {
                let fact = Fact::parse(name);
                if fact.is_none() {
                    problem(format!("`{name}` is no protocol fact"), facts_help());
                }
                fact.map(Source::Fact)
            }
            Direction::FromProfile if Field::parse(name).is_none() => {
                problem(format!("`{name}` is no profile field"), fields_help(name));
                None
            }
            _ => Some(Source::Named(name.to_owned())),
        }
    }

    /// `*` stands only on both sides of a row, and in its simple form.
    fn check_wildcards(&self, target: Option<&Target>, input: &Input) {
        let Some(target) = target else { return };
        let sources: &[Source] = if let Input::From(sources) = input { sources } else { &[] };
        let rest = sources.iter().filter(|source| matches!(source, Source::Rest(_))).count();
        match target {
            Target::Members { .. } => {
                if rest == 0 || rest != sources.len() {
                    self.section.problem("from", "a field with `*` takes sources with `*` only", "write from = [\"*\"] or [\"prefix*\"]");
                }
                self.forbid(&["take", "table", "require", "default"], "a row with `*`");
            }
            Target::Release(release) if release.name.contains('*') => {
                let object = match sources {
                    [Source::Rest(prefix)] => prefix.strip_suffix('.').and_then(Field::parse),
                    _ => None,
                };
                if release.name.matches('*').count() != 1 || object.is_none_or(|field| !matches!(field.kind, Kind::Object | Kind::Any)) {
                    let help = "write release = \"*\" or \"prefix*\", from = [\"custom.*\"]";
                    self.section.problem("from", "a release with `*` takes the members of one object", help);
                }
                self.forbid(&["require", "default"], "a row with `*`");
            }
            Target::Field { .. } | Target::Release(_) if rest > 0 => {
                self.section.problem(
                    "from",
                    "a source with `*` needs a field with `*`",
                    "write field = \"saml_data.*\" (or release = \"*\")",
                );
            }
            Target::Field { .. } | Target::Release(_) => {}
        }
    }

    fn forbid(&self, keys: &[&str], what: &str) {
        for key in keys.iter().filter(|key| self.section.has(key)) {
            self.section.problem(key, format!("{what} has no `{key}`"), "remove it");
        }
    }

    fn take(&self, target: Option<&Target>) -> Take {
        let plural = match target {
            Some(Target::Field { field, .. }) => field.is_plural(),
            _ => true,
        };
        let Some(written) = self.section.string("take") else {
            return match target {
                Some(Target::Release(_)) => Take::AsIs,
                // An object or a number is one value, and a text field cannot hold several.
                Some(Target::Field { .. }) if !plural => Take::First,
                _ => Take::All,
            };
        };
        let take = match (written.value, argument(written.value)) {
            ("first", _) => Some(Take::First),
            ("all", _) => Some(Take::All),
            (_, Some(("join", separator))) => Some(Take::Join(separator.to_owned())),
            (_, Some(("split", separator))) if !separator.is_empty() => Some(Take::Split(separator.to_owned())),
            _ => None,
        };
        if take.is_none() {
            self.section.problem(
                "take",
                format!("`{}` is not a way to take values", written.value),
                "use first, all, join(\",\") or split(\",\")",
            );
        }
        if !plural && matches!(take, Some(Take::All | Take::Split(_))) {
            let text = format!("`{}` gives a list, and this field holds one value", written.value);
            self.section.problem("take", text, "use first or join(\",\")");
        }
        take.unwrap_or(Take::All)
    }

    fn transforms(&self) -> Vec<Transform> {
        let written = self.section.strings("transform").unwrap_or_default();
        let read = |name: &At<&str>| {
            let transform = transform(name.value);
            if transform.is_none() {
                let text = format!("`{}` is no transformation", name.value);
                let help =
                    "use trim, lowercase, uppercase, local_part, domain, cn, prefix(\"..\"), strip_prefix(\"..\") or strip_suffix(\"..\")";
                self.section.file().problem(name.span.clone(), &name.path, text, help);
            }
            transform
        };
        written.iter().filter_map(read).collect()
    }

    fn lookup(&self) -> Option<HashMap<String, Vec<String>>> {
        let section = self.section.section("table")?;
        let read = |(key, value): (&str, At<&DeValue<'_>>)| {
            let texts: Option<Vec<String>> = match value.value {
                DeValue::String(text) => Some(vec![text.clone().into_owned()]),
                DeValue::Array(items) => items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect(),
                _ => None,
            };
            if texts.is_none() {
                self.section.file().problem(value.span, &value.path, "expected a text or a list of texts", "put it in quotes");
            }
            (key.to_owned(), texts.unwrap_or_default())
        };
        Some(section.entries().map(read).collect())
    }

    fn unlisted(&self, has_table: bool) -> Unlisted {
        let choices = [("drop", Unlisted::Drop), ("keep", Unlisted::Keep), ("refuse", Unlisted::Refuse)];
        let unlisted = self.section.choice("unlisted", &choices);
        if unlisted.is_some() && !has_table {
            self.section.problem("unlisted", "`unlisted` is about values that are not in `table`", "add a table, or remove `unlisted`");
        }
        unlisted.unwrap_or(Unlisted::Drop)
    }

    fn default(&self, target: Option<&Target>) -> Option<Value> {
        let written = self.section.value("default")?;
        let value = to_json(written.value);
        if let Some(Target::Field { field, .. }) = target {
            match field.convert(value.clone()) {
                Ok(Some(_)) => {}
                Ok(None) => self.section.problem("default", "the default is empty", "remove it: what is absent stays absent"),
                Err(reason) => self.section.problem("default", format!("the default {}", reason.0), "give it the field's kind"),
            }
        }
        Some(value)
    }
}

/// `("join", ",")` of `join(",")`.
fn argument(text: &str) -> Option<(&str, &str)> {
    let (verb, rest) = text.split_once('(')?;
    let inner = rest.strip_suffix(')')?.trim();
    let quoted = |quote: char| inner.strip_prefix(quote)?.strip_suffix(quote);
    Some((verb.trim(), quoted('"').or_else(|| quoted('\''))?))
}

fn transform(text: &str) -> Option<Transform> {
    Some(match (text, argument(text)) {
        ("trim", _) => Transform::Trim,
        ("lowercase", _) => Transform::Lowercase,
        ("uppercase", _) => Transform::Uppercase,
        ("local_part", _) => Transform::LocalPart,
        ("domain", _) => Transform::Domain,
        ("cn", _) => Transform::Cn,
        (_, Some(("prefix", argument))) => Transform::Prefix(argument.to_owned()),
        (_, Some(("strip_prefix", argument))) => Transform::StripPrefix(argument.to_owned()),
        (_, Some(("strip_suffix", argument))) => Transform::StripSuffix(argument.to_owned()),
        _ => return None,
    })
}

/// SAML Core 8.2: `uri`, `basic` and `unspecified` are written short; anything else is taken as it is.
fn name_format(text: &str) -> String {
    match text {
        "uri" | "basic" | "unspecified" => format!("urn:oasis:names:tc:SAML:2.0:attrname-format:{text}"),
        other => other.to_owned(),
    }
}

pub fn facts_help() -> String {
    let names: Vec<String> = Fact::ALL.iter().map(|(name, _)| format!("${name}")).collect();
    format!("use one of {}", names.join(", "))
}

fn fields_help(name: &str) -> String {
    match nearest(name, Field::names()) {
        Some(near) => format!("did you mean `{near}`? Free data goes to custom.* or saml_data.*"),
        None => "use a standard claim name, saml_data.<name> or custom.<name>".to_owned(),
    }
}
