//! Secrets: `"text"` in development, `{ env = "NAME" }` or `{ file = "path" }` everywhere in the configuration file.
//!
//! What the management API has made names none of them: its secrets are sealed, and come beside it (`Stored`).

use super::context::Context;
use crate::secret::Secret;
use crate::toml_file::{At, Section, TomlFile};
use toml::de::DeValue;

/// Reads a secret. A problem is noted where it cannot be had, or stands in the file itself outside development.
pub fn read(context: &Context<'_>, section: &Section<'_>, key: &'static str) -> Option<Secret<String>> {
    let value = section.value(key)?;
    if context.stored().is_some() {
        // Whoever may write there may not read what this machine keeps.
        section.problem(key, "no secret can be named here", "secrets of what the management API makes are sent to it as texts");
        return None;
    }
    if let Some(text) = value.value.as_str() {
        if !context.development {
            section.problem(
                key,
                format!("`{key}` is written into the file itself"),
                format!("use `{key} = {{ env = \"NAME\" }}` or `{{ file = \"path\" }}`"),
            );
            return None;
        }
        return Some(Secret::new(text.to_owned()));
    }
    if value.value.as_table().is_none() {
        section.problem(key, "expected a secret", format!("use `{key} = {{ env = \"NAME\" }}` or `{{ file = \"path\" }}`"));
        return None;
    }
    let table = section.section(key)?;
    let (env, file) = (table.string("env"), table.string("file"));
    let found = match (&env, &file) {
        (Some(name), None) => from_env(&table, name.value),
        (None, Some(path)) => from_file(context, &table, path.value),
        _ => {
            section.problem(
                key,
                "a secret has either `env` or `file`",
                format!("use `{key} = {{ env = \"NAME\" }}` or `{{ file = \"path\" }}`"),
            );
            None
        }
    };
    table.finish();
    found
}

/// The same where the operator has chosen the key.
pub fn read_at(context: &Context<'_>, file: &TomlFile<'_>, at: &At<&DeValue<'_>>) -> Option<Secret<String>> {
    let refuse = |message: String, help: String| {
        file.problem(at.span.clone(), &at.path, message, help);
        None
    };
    let usual = || "use `{ env = \"NAME\" }` or `{ file = \"path\" }`".to_owned();
    if let Some(text) = at.value.as_str() {
        return match context.development {
            true => Some(Secret::new(text.to_owned())),
            false => refuse("the value is written into the file itself".to_owned(), usual()),
        };
    }
    let text = |key: &str| at.value.as_table()?.get(key)?.get_ref().as_str();
    match (at.value.as_table().map_or(0, |table| table.len()), text("env"), text("file")) {
        (1, Some(name), None) => match std::env::var(name) {
            Ok(value) if !value.is_empty() => Some(Secret::new(value)),
            _ => {
                refuse(format!("the environment variable {name} is not set, or is empty"), format!("set {name} before the program starts"))
            }
        },
        (1, None, Some(path)) => match std::fs::read_to_string(context.resolve(path)) {
            Ok(text) if !text.trim().is_empty() => Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())),
            Ok(_) => refuse(format!("{path} is empty"), "write the secret into it".to_owned()),
            Err(error) => refuse(
                format!("{path} cannot be read: {error}"),
                "correct the path (it is relative to the configuration) or the file's mode".to_owned(),
            ),
        },
        _ => refuse("a secret has either `env` or `file`".to_owned(), usual()),
    }
}

fn from_env(table: &Section<'_>, name: &str) -> Option<Secret<String>> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Some(Secret::new(value)),
        _ => {
            table.problem(
                "env",
                format!("the environment variable {name} is not set, or is empty"),
                format!("set {name} before the program starts"),
            );
            None
        }
    }
}

fn from_file(context: &Context<'_>, table: &Section<'_>, path: &str) -> Option<Secret<String>> {
    match context.read_file(path) {
        Ok(text) if !text.trim().is_empty() => Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())),
        Ok(_) => {
            table.problem("file", format!("{path} is empty"), "write the secret into it");
            None
        }
        Err(why) => {
            table.problem("file", why, "correct the path (it is relative to the configuration) or the file's mode");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::config::context::{Source, Stored};
    use crate::profile::MappingLibrary;
    use std::path::Path;

    /// What is read at `secret`, and what is wrong with it.
    fn read_from(source: Source<'_>, text: &str) -> (Option<String>, Vec<String>) {
        let (library, now) = (MappingLibrary::default(), Timestamp::from_seconds(1_800_000_000));
        let context =
            Context { now, development: false, loopback: false, state: Path::new(""), second_opinion: false, source, library: &library };
        let file = TomlFile::new("isthmus.toml", text);
        let table = file.parse();
        let secret = read(&context, &file.root(&table), "secret").map(|secret| secret.expose().clone());
        let problems = file.into_findings().problems;
        (secret, problems.into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn what_the_management_api_makes_reads_nothing_of_this_machine() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("secret.txt");
        std::fs::write(&path, "of this machine\n").expect("written");
        let named = format!("secret = {{ file = {:?} }}", path.to_str().expect("a path"));
        for text in ["secret = { env = \"PATH\" }", named.as_str()] {
            let (read, problems) = read_from(Source::File(Path::new("/")), text);
            assert!(read.is_some_and(|secret| !secret.is_empty()) && problems.is_empty(), "{text}: {problems:?}");
            let (read, problems) = read_from(Source::Stored(Stored::default()), text);
            assert_eq!((read, problems), (None, vec!["no secret can be named here".to_owned()]), "{text}");
        }
    }
}
