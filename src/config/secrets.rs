//! Secrets: `"text"` in development, `{ env = "NAME" }` or `{ file = "path" }` everywhere.

use super::read::Context;
use crate::secret::Secret;
use crate::toml_file::Section;

/// Reads a secret. A problem is noted where it cannot be had, or stands in the file itself outside development.
pub fn read(context: &Context<'_>, section: &Section<'_>, key: &'static str) -> Option<Secret<String>> {
    let value = section.value(key)?;
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
