//! What a row does to its values: `take`, `transform`, `table`, `default`.

use super::row::RowReader;
use crate::profile::mapping::{Take, Target, Transform, Unlisted};
use crate::toml_file::{At, to_json};
use serde_json::Value;
use std::collections::HashMap;
use toml::de::DeValue;

impl RowReader<'_> {
    pub fn take(&self, target: Option<&Target>) -> Take {
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
            ("as_is", _) => Some(Take::AsIs),
            (_, Some(("join", separator))) => Some(Take::Join(separator.to_owned())),
            (_, Some(("split", separator))) if !separator.is_empty() => Some(Take::Split(separator.to_owned())),
            _ => None,
        };
        if take.is_none() {
            self.section.problem(
                "take",
                format!("`{}` is not a way to take values", written.value),
                "use first, all, as_is, join(\",\") or split(\",\")",
            );
        }
        if !plural && matches!(take, Some(Take::All | Take::AsIs | Take::Split(_))) {
            let text = format!("`{}` gives a list, and this field holds one value", written.value);
            self.section.problem("take", text, "use first or join(\",\")");
        }
        take.unwrap_or(Take::All)
    }

    pub fn transforms(&self) -> Vec<Transform> {
        let written = self.section.strings("transform").unwrap_or_default();
        let read = |name: &At<&str>| {
            let transform = transform(name.value);
            if transform.is_none() {
                let text = format!("`{}` is no transformation", name.value);
                let help = "use trim, lowercase, uppercase, local_part, domain, cn, prefix(\"..\"), strip_prefix(\"..\"), \
                            strip_suffix(\"..\"), before(\"..\"), after(\"..\") or replace(\"..\", \"..\")";
                self.section.file().problem(name.span.clone(), &name.path, text, help);
            }
            transform
        };
        written.iter().filter_map(read).collect()
    }

    pub fn lookup(&self) -> Option<HashMap<String, Vec<String>>> {
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

    pub fn unlisted(&self, has_table: bool) -> Unlisted {
        let choices = [("drop", Unlisted::Drop), ("keep", Unlisted::Keep), ("refuse", Unlisted::Refuse)];
        let unlisted = self.section.choice("unlisted", &choices);
        if unlisted.is_some() && !has_table {
            self.section.problem("unlisted", "`unlisted` is about values that are not in `table`", "add a table, or remove `unlisted`");
        }
        unlisted.unwrap_or(Unlisted::Drop)
    }

    pub fn default(&self, target: Option<&Target>) -> Option<Value> {
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
        (_, Some(("before", argument))) if !argument.is_empty() => Transform::Before(argument.to_owned()),
        (_, Some(("after", argument))) if !argument.is_empty() => Transform::After(argument.to_owned()),
        (_, Some(("replace", arguments))) => {
            // Both are in the quotes of the first: `$", "-`.
            let (from, to) = [r#"", ""#, r#"",""#, "', '", "','"].iter().find_map(|between| arguments.split_once(between))?;
            Transform::Replace(Some(from).filter(|from| !from.is_empty())?.to_owned(), to.to_owned())
        }
        _ => return None,
    })
}
