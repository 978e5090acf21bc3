//! Reads one `[[row]]`.

use super::table::WrittenTable;
use crate::profile::expression::{ATTRIBUTE_VARIABLES, Expression, PROFILE_VARIABLES};
use crate::profile::mapping::{Direction, Input, Release, Row, Source, Target};
use crate::profile::{Fact, Field, Kind};
use crate::toml_file::{At, Section, nearest};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Parts of the path of a nested release.
const MAX_NESTED: usize = 8;

/// The last row of a table for each field, and whether another may follow it.
pub type Seen = HashMap<String, (usize, bool)>;

/// Reads one `[[row]]`.
pub struct RowReader<'t> {
    pub section: Section<'t>,
    pub direction: Direction,
    pub table: &'t str,
    pub number: usize,
}

impl RowReader<'_> {
    pub fn read(self, table: &mut WrittenTable, seen: &mut Seen) {
        let targets = self.targets();
        let omit = self.section.bool("omit").unwrap_or(false);
        let input = self.input(omit);
        let when = self.conditions();
        let except = self.except(&targets);
        let first = targets.first();
        let take = self.take(first);
        let transform = self.transforms();
        let lookup = self.lookup();
        let unlisted = self.unlisted(lookup.is_some());
        let require = self.section.bool("require").unwrap_or(false);
        let default = self.default(first);
        targets.iter().for_each(|target| self.check_wildcards(target, &input));
        targets.iter().for_each(|target| self.check_repeated(target, omit, !when.is_empty() || for_some(target), seen));
        if matches!(input, Input::Nothing) && default.is_none() && !omit {
            self.section.problem("from", "the row has no source", "add from = [\"..\"], cel = '..', default = .. or omit = true");
        }
        if omit {
            self.forbid(&["when"], "a row with `omit`");
        }
        self.section.finish();
        if omit {
            return table.omitted.extend(targets.iter().map(|target| target.name().to_owned()));
        }
        // Several names for one value are as many rows.
        table.rows.extend(targets.into_iter().map(|target| {
            Arc::new(Row {
                table: self.table.to_owned(),
                number: self.number,
                target,
                when: when.clone(),
                input: input.clone(),
                except: except.clone(),
                take: take.clone(),
                transform: transform.clone(),
                lookup: lookup.clone(),
                unlisted,
                require,
                default: default.clone(),
            })
        }));
    }

    fn target_key(&self) -> &'static str {
        match self.direction {
            Direction::ToProfile => "field",
            Direction::FromProfile => "release",
        }
    }

    fn targets(&self) -> Vec<Target> {
        match self.direction {
            Direction::ToProfile => {
                let name = self.section.required("field");
                name.and_then(|name| self.field_target(&name)).into_iter().collect()
            }
            Direction::FromProfile => self.releases(),
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

    /// One name, or several for the same value.
    fn releases(&self) -> Vec<Target> {
        let scope = self.section.string("scope").map(|scope| scope.value.to_owned());
        if let Some(scope) = scope.as_deref().filter(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
            self.section.problem("scope", format!("`{scope}` is no scope"), "name one scope, without spaces");
        }
        let categories = self.categories();
        let name_format = self.section.string("name_format").map(|format| name_format(format.value));
        let friendly_name = self.section.string("friendly_name").map(|name| name.value.to_owned());
        let nested = self.section.bool("nested").unwrap_or(false);
        let names = match self.section.strings("release") {
            Some(names) => names,
            None if self.section.has("release") => return Vec::new(),
            None => self.section.required("release").into_iter().collect(),
        };
        if names.is_empty() && self.section.has("release") {
            self.section.problem("release", "`release` names nothing", "name at least one claim or attribute");
        }
        let usable = |name: &&At<&str>| {
            let parts = name.value.split('.').count();
            let fault = if name.value.trim().is_empty() {
                "the name is empty"
            } else if nested && (!(2..=MAX_NESTED).contains(&parts) || name.value.split('.').any(str::is_empty) || name.value.contains('*'))
            {
                "is no path of an object's member, as in address.locality"
            } else {
                return true;
            };
            let help = "correct the name; without `nested` a name may have any dots";
            self.section.file().problem(name.span.clone(), &name.path, format!("`{}`: {fault}", name.value), help);
            false
        };
        let release = |name: &At<&str>| {
            Target::Release(Release {
                name: name.value.to_owned(),
                nested,
                scope: scope.clone(),
                categories: categories.clone(),
                name_format: name_format.clone(),
                friendly_name: friendly_name.clone(),
            })
        };
        names.iter().filter(usable).map(release).collect()
    }

    /// Entity categories, which are URIs.
    fn categories(&self) -> Vec<String> {
        let texts = self.section.strings("categories").unwrap_or_default();
        if texts.is_empty() && self.section.has("categories") {
            self.section.problem("categories", "`categories` names nothing", "name an entity category, or remove `categories`");
        }
        for at in texts.iter().filter(|at| !at.value.contains(':') || at.value.contains(char::is_whitespace)) {
            let help = "write its URI, as in http://refeds.org/category/research-and-scholarship";
            self.section.file().problem(at.span.clone(), &at.path, format!("`{}` is no entity category", at.value), help);
        }
        texts.into_iter().map(|at| at.value.to_owned()).collect()
    }

    /// Several rows for one field are alternatives, so all but the last need a condition.
    fn check_repeated(&self, target: &Target, omit: bool, conditional: bool, seen: &mut Seen) {
        let Some((other, continues)) = seen.insert(target.name().to_owned(), (self.number, conditional && !omit)) else { return };
        if !continues || omit {
            let text = format!("`{}` is written in row {other} already", target.name());
            let help = "put all sources into one row, where the first that is present wins, or give the earlier row a `when`";
            self.section.problem(self.target_key(), text, help);
        }
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

    pub fn source(&self, source: &At<&str>) -> Option<Source> {
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
    fn check_wildcards(&self, target: &Target, input: &Input) {
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
                let of_object = |prefix: &str| {
                    let object = prefix.strip_suffix('.').and_then(Field::parse);
                    object.is_some_and(|field| matches!(field.kind, Kind::Object | Kind::Any))
                };
                let of_members = |source: &Source| matches!(source, Source::Rest(prefix) if prefix.is_empty() || of_object(prefix));
                let members = !sources.is_empty() && sources.iter().all(of_members);
                if !members || release.name.matches('*').count() != 1 {
                    let help = "write release = \"*\" or \"prefix*\", from = [\"custom.*\"] or [\"*\"]";
                    self.section.problem("from", "a release with `*` takes the members of objects, or of the profile", help);
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

    /// What a row with `*` leaves out.
    fn except(&self, targets: &[Target]) -> HashSet<String> {
        let names = self.section.strings("except");
        if names.is_some() && !targets.iter().any(|target| target.name().contains('*')) {
            self.section.problem("except", "`except` is for a row with `*`", "remove it");
        }
        names.unwrap_or_default().into_iter().map(|name| name.value.to_owned()).collect()
    }

    pub fn forbid(&self, keys: &[&str], what: &str) {
        for key in keys.iter().filter(|key| self.section.has(key)) {
            self.section.problem(key, format!("{what} has no `{key}`"), "remove it");
        }
    }
}

/// Is it for applications of some entity categories only?
fn for_some(target: &Target) -> bool {
    matches!(target, Target::Release(release) if !release.categories.is_empty())
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
