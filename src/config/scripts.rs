//! `[[rule]]`, `[[action]]` and `[rules]`: scripts in files of their own.
//!
//! Settings stand in the configuration, or in a header of the script itself: TOML between `/*---` and `---*/` at its
//! beginning, read where `[rules] directory` names the directory. Each text is read as JavaScript, and its faults are
//! reported with line and column.

use super::context::Context;
use super::read::whole_file;
use super::script_trials::{self, Trial};
use super::{Findings, Problem, secrets};
use crate::rules::{self, Kind, Limits, OnError, Script, Trigger};
use crate::secret::Secret;
use crate::toml_file::{Section, TomlFile};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use url::Host;

/// What the file says of scripts.
#[derive(Debug, Default)]
pub struct ScriptsConfig {
    pub scripts: Vec<Script>,
    /// `configuration` of rules.
    pub configuration: BTreeMap<String, Secret<String>>,
    pub threads: Option<usize>,
    /// Lower case.
    pub country_header: Option<String>,
    /// Tests beside the scripts.
    pub trials: Vec<Trial>,
}

/// Beginning and end of a header.
const HEADER: (&str, &str) = ("/*---", "---*/");

/// Settings of `[rules]` that every script needs.
struct Common {
    memory: usize,
    directory: Option<PathBuf>,
}

/// Reads everything that concerns scripts.
pub fn read(context: &Context<'_>, root: &Section<'_>) -> (ScriptsConfig, Findings) {
    let (mut config, mut findings) = (ScriptsConfig::default(), Findings::default());
    let common = settings(context, root, &mut config);
    let mut used = HashSet::new();
    for (key, of_rules) in [("rule", true), ("action", false)] {
        for section in root.sections(key) {
            if let Some(path) = section.required("file").map(|at| context.resolve(at.value)) {
                match std::fs::read_to_string(&path) {
                    Ok(text) => {
                        let (header, more) = Header::read(&path, &text);
                        findings.extend(more);
                        let script = script(context, &section, &common, of_rules, (&path, &text));
                        add(&mut config, &mut findings, script, (&path, &text), header.as_ref());
                        used.insert(path);
                    }
                    Err(error) => section.problem(
                        "file",
                        format!("{} cannot be read: {error}", path.display()),
                        "correct the path; it is relative to the configuration",
                    ),
                }
            }
            section.finish();
        }
    }
    if let Some(directory) = &common.directory {
        read_directory(context, &common, directory, &used, &mut config, &mut findings);
    }
    findings.problems.extend(repeated(&config.scripts));
    (config, findings)
}

/// `[rules]`.
fn settings(context: &Context<'_>, root: &Section<'_>, config: &mut ScriptsConfig) -> Common {
    let mut common = Common { memory: Limits::default().memory, directory: None };
    let Some(section) = root.section("rules") else { return common };
    if let Some(table) = section.section("configuration") {
        config.configuration = named_secrets(context, &table);
    }
    config.threads = section.integer("threads", 1..=64).and_then(|at| usize::try_from(at.value).ok());
    if let Some(mebibytes) = section.integer("memory_limit", 1..=256).and_then(|at| usize::try_from(at.value).ok()) {
        common.memory = mebibytes * 1024 * 1024;
    }
    config.country_header = section.string("country_header").and_then(|at| {
        let good = !at.value.is_empty() && at.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !good {
            section.problem("country_header", format!("`{}` is no name of a header", at.value), "write it as in cf-ipcountry");
        }
        good.then(|| at.value.to_ascii_lowercase())
    });
    if config.country_header.is_some() && !root.has("trusted_proxies") {
        let help = "list the proxies that set it in `trusted_proxies`; from others it is not read";
        section.warning("country_header", "no proxy is trusted, so no country is known", help);
    }
    common.directory = section.string("directory").and_then(|at| {
        let directory = context.resolve(at.value);
        if !directory.is_dir() {
            let help = "correct the path; it is relative to the configuration";
            section.problem("directory", format!("{} is no directory", directory.display()), help);
            return None;
        }
        Some(directory)
    });
    section.finish();
    common
}

/// Every script of the directory that has a header and is not named in the configuration.
fn read_directory(
    context: &Context<'_>,
    common: &Common,
    directory: &Path,
    used: &HashSet<PathBuf>,
    config: &mut ScriptsConfig,
    findings: &mut Findings,
) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "js")).collect();
    paths.sort();
    for path in paths.into_iter().filter(|path| !used.contains(path)) {
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("the script cannot be read: {error}");
                findings.problems.push(whole_file(name, String::new(), message, "correct the file's mode or encoding"));
                continue;
            }
        };
        let Some(header) = header_of(&text) else {
            let help = "begin it with /*--- name = \"..\" ---*/, name it in a [[rule]] or [[action]], or move it away";
            let message = "the script has no header, so it is not used".to_owned();
            findings.warnings.push(whole_file(name, String::new(), message, help));
            continue;
        };
        let file = TomlFile::new(&name, &header);
        let table = file.parse();
        let root = file.root(&table);
        let script = script(context, &root, common, !root.has("trigger"), (&path, &text));
        root.sections("test");
        root.finish();
        findings.extend(file.into_findings());
        let (header, more) = Header::read(&path, &text);
        // What is wrong with the header has been said.
        drop(more);
        add(config, findings, script, (&path, &text), header.as_ref());
    }
}

/// A script that is well written, with its tests.
fn add(config: &mut ScriptsConfig, findings: &mut Findings, script: Option<Script>, (path, text): (&Path, &str), header: Option<&Header>) {
    let Some(script) = script else { return };
    if let Err(error) = rules::check(&script) {
        let at = |number: Option<u32>| number.and_then(|number| usize::try_from(number).ok());
        let (line, column) = (at(error.line).unwrap_or(1), at(error.column).unwrap_or(1));
        let excerpt = text.lines().nth(line.saturating_sub(1)).map(str::to_owned);
        findings.problems.push(Problem {
            file: path.display().to_string(),
            line,
            column,
            path: script.name.clone(),
            message: error.message,
            help: "correct the script".to_owned(),
            excerpt,
            width: 1,
        });
    }
    let (trials, more) = script_trials::read(&script, path, header.map(|header| header.toml.as_str()));
    findings.extend(more);
    config.trials.extend(trials);
    config.scripts.push(script);
}

/// One script's settings.
fn script(context: &Context<'_>, section: &Section<'_>, common: &Common, of_rules: bool, (path, text): (&Path, &str)) -> Option<Script> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = match section.has("name") {
        true => section.required("name").map(|at| at.value.to_owned()),
        false => Some(stem),
    };
    let kind = if of_rules {
        Some(Kind::Rule)
    } else {
        let triggers: Vec<(&str, Trigger)> = Trigger::ALL.iter().map(|trigger| (trigger.name(), *trigger)).collect();
        if !section.has("trigger") {
            section.problem("trigger", "`trigger` is missing", "add `trigger = \"post-login\"`");
        }
        section.choice("trigger", &triggers).map(Kind::Action)
    };
    let own_secrets = match section.section("secrets") {
        Some(table) if of_rules => {
            let help = "set them in [rules] configuration, which all rules share";
            table.file().problem(section.span_of("secrets"), &section.path_of("secrets"), "rules have no secrets of their own", help);
            BTreeMap::new()
        }
        Some(table) => named_secrets(context, &table),
        None => BTreeMap::new(),
    };
    let usual = Limits::default();
    let time = section.integer("time_limit", 1..=20_000).and_then(|at| u64::try_from(at.value).ok()).unwrap_or(usual.time);
    let script = Script {
        id: name.clone()?,
        name: name?,
        kind: kind?,
        enabled: section.bool("enabled").unwrap_or(true),
        order: section.integer("order", i64::MIN..=i64::MAX).map_or(0, |at| at.value),
        code: text.to_owned(),
        secrets: own_secrets,
        hosts: hosts(section),
        on_error: section.choice("on_error", &[("fail", OnError::Fail), ("continue", OnError::Continue)]).unwrap_or_default(),
        limits: Limits { time, memory: common.memory, ..usual },
    };
    Some(script)
}

/// Names of hosts, lower case, as URLs have them; no ports.
fn hosts(section: &Section<'_>) -> Vec<String> {
    let mut hosts = Vec::new();
    for at in section.strings("hosts").unwrap_or_default() {
        match host_name(at.value) {
            Some(host) => hosts.push(host),
            None => section.file().problem(
                at.span.clone(),
                &at.path,
                format!("`{}` is no host", at.value),
                "write a name or an address without scheme and port, as in api.example.org",
            ),
        }
    }
    hosts
}

/// A host as URLs have it.
pub(super) fn host_name(text: &str) -> Option<String> {
    let host = Host::parse(text).ok()?.to_string();
    (!host.is_empty() && !text.contains(['/', ' '])).then_some(host)
}

/// `NAME = { env = ".." }`, names chosen by the operator.
fn named_secrets(context: &Context<'_>, table: &Section<'_>) -> BTreeMap<String, Secret<String>> {
    let mut found = BTreeMap::new();
    for (name, at) in table.entries() {
        if let Some(secret) = secrets::read_at(context, table.file(), &at) {
            found.insert(name.to_owned(), secret);
        }
    }
    found
}

/// Two scripts of one kind and one name.
fn repeated(scripts: &[Script]) -> Vec<Problem> {
    let mut seen = HashSet::new();
    let twice = scripts.iter().filter(|script| !seen.insert((script.kind, script.name.as_str())));
    twice
        .map(|script| {
            let message = format!("there are two scripts named `{}`", script.name);
            whole_file("rules".to_owned(), script.name.clone(), message, "give each its own name")
        })
        .collect()
}

/// A script's header.
struct Header {
    toml: String,
}

impl Header {
    /// The header of a script whose settings stand in the configuration: only its tests count.
    fn read(path: &Path, text: &str) -> (Option<Self>, Findings) {
        let Some(toml) = header_of(text) else { return (None, Findings::default()) };
        let name = path.display().to_string();
        let file = TomlFile::new(&name, &toml);
        file.parse();
        let findings = file.into_findings();
        (Some(Self { toml }), findings)
    }
}

/// The TOML of a header, with line ends before it so that its lines are those of the file.
fn header_of(text: &str) -> Option<String> {
    let begin = text.find(HEADER.0)?;
    let before = text.get(..begin)?;
    if !before.trim().is_empty() {
        return None;
    }
    let rest = text.get(begin + HEADER.0.len()..)?;
    let end = rest.find(HEADER.1)?;
    let lines = before.matches('\n').count();
    Some(format!("{}{}", "\n".repeat(lines), rest.get(..end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_keeps_the_lines_of_its_file() {
        assert_eq!(header_of("/*---\nname = \"x\"\n---*/\nfunction f() {}").as_deref(), Some("\nname = \"x\"\n"));
        assert_eq!(header_of("\n\n/*--- order = 3 ---*/").as_deref(), Some("\n\n order = 3 "));
        assert_eq!(header_of("function f() {} /*--- order = 3 ---*/"), None);
        assert_eq!(header_of("/*--- order = 3"), None);
    }

    #[test]
    fn hosts_are_names_without_scheme_and_port() {
        assert_eq!(host_name("API.Example.org").as_deref(), Some("api.example.org"));
        assert_eq!(host_name("127.0.0.1").as_deref(), Some("127.0.0.1"));
        for bad in ["https://a.example", "a.example:443", "a.example/x", "", "a b"] {
            assert_eq!(host_name(bad), None, "{bad}");
        }
    }
}
