//! Reads the source and fails on what the design forbids: an import that points upward, a crate away from its home, a
//! clock read twice, a private key outside the keyring, I/O in protocol code.
//!
//! The rules stand in docs/ARCHITECTURE.md; here is what is enforced of them. Test code inside `src` is exempt.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// From the top down. A module may import its own row and what is below.
const ROWS: &[&[&str]] = &[
    &["main", "lib", "cli", "startup", "config", "telemetry"],
    &["http"],
    &["broker"],
    &["store", "connection", "rules"],
    &["login", "application", "user"],
    &["profile"],
    &["saml", "oidc"],
    &["keys"],
    &["error", "check", "clock", "id", "secret", "toml_file"],
];

/// In one row, and still never each other.
const STRANGERS: &[(&str, &str)] = &[("saml", "oidc"), ("oidc", "saml")];

/// A crate, and the only paths that may name it.
const HOMES: &[(&str, &[&str])] = &[
    ("actix_web", &["http/", "cli/", "startup.rs"]),
    ("askama", &["http/"]),
    ("redis", &["store/session/redis.rs", "store/session/mod.rs"]),
    ("sqlx", &["store/directory/"]),
    ("moka", &["store/session/embedded.rs"]),
    ("samael", &["saml/"]),
    ("quick_xml", &["saml/"]),
    ("josekit", &["oidc/jose/"]),
    // The practice application and the demo's walk are programs of their own that happen to live in this binary.
    ("reqwest", &["connection/outbound.rs", "connection/outbound/", "http/practice/", "cli/demo/"]),
    ("cel", &["profile/expression/"]),
    ("ldap3", &["connection/ldap/"]),
    ("native_tls", &["connection/ldap/", "connection/outbound.rs"]),
    ("mimalloc", &["main.rs"]),
    ("rustix", &["connection/database/hashing.rs"]),
    ("rquickjs", &["rules/sandbox.rs"]),
    ("prometheus", &["http/metrics.rs"]),
    ("clap", &["cli/"]),
    ("toml", &["toml_file.rs", "profile/", "config/"]),
    ("qrcode", &["http/login/factor.rs"]),
    ("argon2", &["connection/database/hashing.rs"]),
    ("bcrypt", &["connection/database/"]),
    ("md4", &["connection/database/digest.rs"]),
    ("sha_crypt", &["connection/database/digest.rs"]),
    ("lettre", &["broker/mail/"]),
];

/// A text that may stand only under these paths, and why.
const TEXTS: &[(&str, &[&str], &str)] = &[
    // A store in process keeps its own time for what expires, as a server would.
    (
        "Timestamp::now",
        &[
            "clock.rs",
            "http/",
            "cli/",
            "startup.rs",
            "config/mod.rs",
            "store/session/embedded.rs",
            "store/directory/mod.rs",
            "rules/host.rs",
        ],
        "`now` is an argument; the clock is read once per request",
    ),
    ("now_utc", &["clock.rs"], "`now` is an argument; the clock is read in clock.rs"),
    ("SystemTime::now", &["clock.rs"], "`now` is an argument; the clock is read in clock.rs"),
    ("pkey::Private", &["keys/"], "private keys stay in keys/"),
    ("PKey<Private>", &["keys/"], "private keys stay in keys/"),
    ("private_key_from_", &["keys/"], "private keys stay in keys/"),
    ("private_key_to_", &["keys/"], "private keys stay in keys/"),
];

/// Plain functions only.
const WITHOUT_ASYNC: &[&str] = &["saml/", "oidc/", "profile/", "user/", "application/", "login/", "broker/next.rs"];

#[test]
fn the_source_keeps_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 50, "the source is not where it was expected");
    let complaints: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            complaints(&name, &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

/// Everything that is wrong in one file; `name` is its path below `src`.
fn complaints(name: &str, text: &str) -> Vec<String> {
    if is_test_file(name) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in code_lines(text) {
        let mut complain = |why: String| found.push(format!("src/{name}:{number}: {why}: {}", line.trim()));
        for target in imports(&line) {
            if let Some(why) = upward(name, &target) {
                complain(why);
            }
        }
        for (krate, homes) in HOMES {
            if names_crate(&line, krate) && !at_home(name, homes) {
                complain(format!("the crate {krate} belongs to {}", homes.join(", ")));
            }
        }
        for (forbidden, homes, why) in TEXTS {
            if line.contains(forbidden) && !at_home(name, homes) {
                complain((*why).to_owned());
            }
        }
        if at_home(name, WITHOUT_ASYNC) && words(&line).any(|word| word == "async" || word == "await") {
            complain("protocol code does no I/O".to_owned());
        }
    }
    found
}

fn is_test_file(name: &str) -> bool {
    let stem = name.trim_end_matches(".rs");
    name.contains("/tests/")
        || stem.ends_with("/tests")
        || stem.ends_with("_tests")
        || stem.ends_with("/testing")
        || stem.ends_with("test_servers")
        || stem.ends_with("conformance")
}

/// Lines with their numbers, without comments, and without modules and items that exist in tests only.
fn code_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut skipping: Option<i64> = None;
    let mut test_only = false;
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let depth = |code: &str| code.chars().map(|c| i64::from(c == '{') - i64::from(c == '}')).sum::<i64>();
        if let Some(open) = &mut skipping {
            *open += depth(code);
            if *open <= 0 {
                skipping = None;
            }
            continue;
        }
        if code.trim() == "#[cfg(test)]" {
            test_only = true;
            continue;
        }
        if test_only && !code.trim().is_empty() && !code.trim_start().starts_with("#[") {
            test_only = false;
            let open = depth(code);
            if open > 0 {
                skipping = Some(open);
            }
            continue;
        }
        lines.push((index + 1, code.to_owned()));
    }
    lines
}

/// The top modules that a line reaches by `crate::`, in a `use` or in an expression, braces included.
fn imports(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        // `pub(in crate::x)` and `$crate::` are not imports of others.
        if line[..at].ends_with(['$', '_']) || line[..at].ends_with(|c: char| c.is_alphanumeric()) {
            continue;
        }
        let rest = &line[at + "crate::".len()..];
        let inner = rest.strip_prefix('{').map_or(rest, |inner| inner.split_once('}').map_or(inner, |(inner, _)| inner));
        let parts: Vec<&str> = if rest.starts_with('{') { inner.split(',').collect() } else { vec![rest] };
        found.extend(parts.into_iter().map(first_word).filter(|word| !word.is_empty()));
    }
    found
}

fn first_word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn upward(name: &str, target: &str) -> Option<String> {
    let own = name.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let row = |module: &str| ROWS.iter().position(|row| row.contains(&module));
    let Some(from) = row(own) else { return Some(format!("the module {own} has no row in tests/layering.rs")) };
    // What is no module is a name of lib.rs, such as a macro.
    let to = row(target)?;
    if to < from {
        return Some(format!("{own} may not import {target}, which stands above it"));
    }
    STRANGERS.contains(&(own, target)).then(|| format!("{own} and {target} do not know each other"))
}

fn names_crate(line: &str, krate: &str) -> bool {
    let path = format!("{krate}::");
    let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    line.match_indices(&path).any(|(at, _)| begins(at)) || line.trim() == format!("use {krate};")
}

fn at_home(name: &str, homes: &[&str]) -> bool {
    homes.iter().any(|home| name == *home || (home.ends_with('/') && name.starts_with(home)))
}

#[test]
fn the_checker_can_fail() {
    let complains = |name: &str, text: &str| complaints(name, text).len();
    for (name, text) in [
        ("saml/sp.rs", "use crate::oidc::Params;"),
        ("oidc/token.rs", "use crate::saml;"),
        ("saml/sp.rs", "use crate::http::pages;"),
        ("login/mod.rs", "fn x() { crate::broker::next(); }"),
        ("keys/mod.rs", "pub use crate::{error::Result, profile::Profile};"),
        ("broker/mod.rs", "use crate::http::state::State;"),
        ("error.rs", "use crate::keys::Keyring;"),
        ("brandnew/mod.rs", "use crate::error::Error;"),
        ("broker/mod.rs", "use actix_web::web;"),
        ("broker/mod.rs", "fn x() -> redis::Client {"),
        ("broker/mod.rs", "use reqwest;"),
        ("oidc/mod.rs", "use josekit::jws;"),
        ("broker/token.rs", "let now = Timestamp::now();"),
        ("store/mod.rs", "let now = OffsetDateTime::now_utc();"),
        ("saml/sign.rs", "use openssl::pkey::Private;"),
        ("oidc/rp.rs", "pub async fn fetch() {}"),
        ("broker/next.rs", "let x = later.await;"),
        ("oidc/x.rs", "#[cfg(test)]\nmod tests {\n    use crate::http::x;\n}\nuse crate::http::x;"),
    ] {
        assert_eq!(complains(name, text), 1, "{name}: {text}: {:?}", complaints(name, text));
    }
    for (name, text) in [
        ("http/mod.rs", "use crate::broker::Gateway;\nuse actix_web::web;"),
        ("saml/sp.rs", "// use crate::oidc; async\nuse crate::keys::Keyring;"),
        ("oidc/x.rs", "#[cfg(test)]\nmod tests {\n    use crate::http::x;\n    async fn y() {}\n}"),
        ("oidc/x.rs", "#[cfg(test)]\nuse crate::http::x;"),
        ("broker/mod.rs", "use crate::store::SessionStore;\nuse crate::saml;\nuse crate::oidc;"),
        ("broker/tests.rs", "use crate::http::x;"),
        ("store/session/redis.rs", "use redis::Client;"),
        ("oidc/x.rs", "let asynchronous = my_redis::x();"),
    ] {
        assert_eq!(complaints(name, text), Vec::<String>::new(), "{name}");
    }
}
