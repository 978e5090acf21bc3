//! The file as a whole.

use super::application::Registered;
use super::context::{Context, Source};
use super::stored::StoredObjects;
use super::{
    Config, Findings, application, connection, keys, limits, mail, metadata, pages, possession, registration, scripts, secrets, seed,
};
use crate::broker::Lifetimes;
use crate::clock::Timestamp;
use crate::connection::outbound::download::Reach;
use crate::http::state::{ApiSettings, HttpSettings};
use crate::profile::MappingLibrary;
use crate::profile::dialect::GigyaSigner;
use crate::secret::Secret;
use crate::startup::{AskForCertificates, TlsFiles};
use crate::store;
use crate::telemetry::LogFormat;
use crate::toml_file::{Problem, Section, TomlFile};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::level_filters::LevelFilter;
use url::Url;

/// Reads everything and says everything that is wrong.
pub fn read(path: &Path, now: Timestamp) -> (Option<Config>, Findings) {
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return (None, unreadable(name, &error)),
    };
    let file = TomlFile::new(&name, &text);
    let table = file.parse();
    let root = file.root(&table);
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let (config, more) = read_root(&root, directory, now);
    root.finish();
    let mut findings = file.into_findings();
    findings.extend(more);
    findings.sort();
    (config, findings)
}

fn unreadable(file: String, error: &std::io::Error) -> Findings {
    let help = "name it with --config; isthmus.example.toml is one to start from";
    let problem = whole_file(file, String::new(), format!("the configuration cannot be read: {error}"), help);
    Findings { problems: vec![problem], ..Findings::default() }
}

pub(super) fn whole_file(file: String, path: String, message: String, help: &str) -> Problem {
    Problem { file, line: 0, column: 0, path, message, help: help.to_owned(), excerpt: None, width: 0 }
}

/// The operator's mapping tables: path and text of every `.toml` file in the directory.
pub fn mapping_files(directory: &Path, unreadable: &mut Vec<Problem>) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => files.push((name, text)),
            Err(error) => unreadable.push(whole_file(
                name,
                String::new(),
                format!("the mapping table cannot be read: {error}"),
                "correct the file's mode or encoding",
            )),
        }
    }
    files
}

/// The tests that mapping tables carry.
fn failed_tests(library: &MappingLibrary) -> Vec<Problem> {
    let failures = library.tables().flat_map(|table| table.run_tests());
    failures
        .map(|failure| {
            let differences: Vec<_> = failure.differences.iter().map(ToString::to_string).collect();
            let message = format!("the test \"{}\" of the mapping table fails: {}", failure.test, differences.join("; "));
            let problem = whole_file(failure.file, "test".to_owned(), message, "correct the row or the test");
            Problem { line: failure.line, column: 1, ..problem }
        })
        .collect()
}

fn read_root(root: &Section<'_>, directory: &Path, now: Timestamp) -> (Option<Config>, Findings) {
    let mut unreadable_files = Vec::new();
    let issuer = issuer(root);
    let loopback = issuer.as_deref().and_then(|issuer| Url::parse(issuer).ok()).is_some_and(|issuer| application::is_loopback(&issuer));
    let development = root.bool("development").unwrap_or(loopback);
    if development && !loopback && issuer.is_some() {
        root.warning("development", "development mode: secrets may stand in the file", "remove it where people really sign in");
    }
    let sealed = metadata::read(root);
    let mapping_files = mapping_files(&directory.join("mappings"), &mut unreadable_files);
    let (library, mut findings) = MappingLibrary::load(mapping_files.clone());
    findings.problems.extend(unreadable_files);
    findings.problems.extend(failed_tests(&library));
    let state = directory.join(root.string("state").map_or("data/state", |at| at.value));
    let context = Context {
        now,
        development,
        loopback: development,
        state: &state,
        second_opinion: signature_check(root),
        source: Source::File(directory),
        library: &library,
    };
    let listen = address(root, "listen", "127.0.0.1:8400");
    let operations_listen = address(root, "operations_listen", "127.0.0.1:8401");
    if operations_listen.is_some_and(|address: SocketAddr| !address.ip().is_loopback()) {
        let help = "bind it to an address that only operators and machines reach, or keep others out by a firewall";
        root.warning("operations_listen", "the operations listener shows login traces, which are personal data, without a password", help);
    }
    let directory_url = url_of(&context, root, "directory", "sqlite:data/isthmus.db", store::directory::check_url);
    let sessions_url = url_of(&context, root, "sessions", "memory:", store::session::check_url);
    let keys_path = keys::read(&context, root);
    let possession = possession::read(&context, root);
    let tls = tls(&context, root, possession.ask.clone());
    let (log_level, log_format) = in_section(root, "log", log).unwrap_or((LevelFilter::INFO, LogFormat::Human));
    let lifetimes = in_section(root, "lifetimes", lifetimes).unwrap_or_default();
    let gigya = in_section(root, "gigya", |section| gigya(&context, section)).flatten();
    let (scripts, more) = scripts::read(&context, root);
    findings.extend(more);
    let (look, more) = pages::read(&context, root);
    findings.extend(more);
    let http = HttpSettings {
        country_header: scripts.country_header.clone(),
        look: Arc::new(look),
        client_certificates: possession.ask.is_some() || possession.header.is_some(),
        client_certificate_header: possession.header,
        ..http_settings(root, issuer.as_deref().unwrap_or_default())
    };
    let mail = mail::read(&context, root);
    let names: Vec<String> = names(root, "connection", "name");
    let registration = registration::read(&context, root, &names);
    let connections: Vec<_> = each(root, "connection", |section| connection::read(&context, section, &names));
    let known = seed::Known { names: &names, connections: &connections, sealed: &sealed };
    let (seed, more) = root.section("directory").map(|section| seed::read(&context, &section, &known)).unwrap_or_default();
    findings.extend(more);
    unique_domains(root);
    let registered: Vec<_> = each(root, "application", |section| application::read(&context, section, &names));
    names_unique(root, "application", "client_id");
    let known: Vec<_> = registered.iter().flatten().map(|one| &one.application).collect();
    let good: Vec<_> = connections.iter().flatten().cloned().collect();
    connection::unsolicited::check(root, &good, &known);
    connection::check_mail(root, &good);
    connection::client::check_callbacks(root, &good);
    warn_shared_entity_ids(root, &registered);
    let reach = reach(root, development);
    let config = (|| {
        let registered = registered.into_iter().collect::<Option<Vec<_>>>()?;
        let api_scopes = registered.iter().filter_map(|one| Some((one.application.client_id.clone(), one.api_scopes.clone()?))).collect();
        let living = registered.iter().filter_map(|one| Some((one.application.client_id.clone(), one.living.clone()?)));
        let application_metadata = living.collect();
        let applications = registered.into_iter().map(|one| one.application).collect();
        Some(Config {
            stored: StoredObjects::new(&context, mapping_files),
            issuer: issuer?,
            listen: listen?,
            operations_listen: operations_listen?,
            directory_url: directory_url?,
            sessions_url: sessions_url?,
            keys_path,
            tls,
            possession: possession.settings,
            log_level,
            log_format,
            lifetimes,
            gigya,
            registration,
            mail,
            http,
            connections: connections.into_iter().collect::<Option<_>>()?,
            applications,
            application_metadata,
            api_scopes,
            sealed,
            seed,
            reach,
            scripts,
            warnings: Vec::new(),
        })
    })();
    (config, findings)
}

/// Where applications may have the documents that they name, as their keys.
fn reach(root: &Section<'_>, development: bool) -> Reach {
    let private = root.bool("clients_private_network").unwrap_or(false);
    if private {
        let message = "weakened: keys and other documents of applications are fetched from addresses of the own network";
        root.warning("clients_private_network", message, "keep it only if applications have no public address");
    }
    match (development, private) {
        (true, _) => Reach::Everything,
        (false, true) => Reach::Network,
        (false, false) => Reach::Public,
    }
}

/// Reads a sub-table and reports its unknown keys.
fn in_section<T>(root: &Section<'_>, key: &'static str, read: impl FnOnce(&Section<'_>) -> T) -> Option<T> {
    let section = root.section(key)?;
    let value = read(&section);
    section.finish();
    Some(value)
}

fn each<T>(root: &Section<'_>, key: &'static str, read: impl Fn(&Section<'_>) -> Option<T>) -> Vec<Option<T>> {
    root.sections(key)
        .into_iter()
        .map(|section| {
            let value = read(&section);
            section.finish();
            value
        })
        .collect()
}

/// The names of a list's members; a repeated one is a problem.
fn names(root: &Section<'_>, key: &'static str, name: &'static str) -> Vec<String> {
    let mut seen = Vec::new();
    for section in root.sections(key) {
        let Some(at) = section.value(name).and_then(|at| at.value.as_str().map(str::to_owned)) else { continue };
        if seen.contains(&at) {
            section.problem(name, format!("`{at}` is there twice"), "give each its own");
        } else {
            seen.push(at);
        }
    }
    seen
}

fn names_unique(root: &Section<'_>, key: &'static str, name: &'static str) {
    names(root, key, name);
}

fn unique_domains(root: &Section<'_>) {
    let mut seen = HashSet::new();
    for section in root.sections("connection") {
        let Some(items) = section.value("domains").and_then(|at| at.value.as_array().cloned()) else { continue };
        for domain in items.iter().filter_map(|item| item.get_ref().as_str()) {
            if !seen.insert(domain.to_ascii_lowercase()) {
                section.problem(
                    "domains",
                    format!("the domain {domain} belongs to another connection already"),
                    "a domain decides where people sign in, so it can have one connection only",
                );
            }
        }
    }
}

/// A request at the common address says only its issuer.
fn warn_shared_entity_ids(root: &Section<'_>, registered: &[Option<Registered>]) {
    let mut seen = HashSet::new();
    for (section, registered) in root.sections("application").into_iter().zip(registered) {
        let Some(application) = registered.as_ref().map(|registered| &registered.application) else { continue };
        let awaited = || application.by_metadata.as_ref()?.entity_id.as_deref();
        let said = application.saml.as_ref().map(|saml| saml.sp.trust().entity_id());
        let Some(entity_id) = said.or_else(awaited) else { continue };
        if !seen.insert(entity_id) {
            let message = format!("another application has the entity ID {entity_id} too");
            section.warning("saml", message, "let both use their own address, /samlp/{client_id}: at /saml/sso neither is answered");
        }
    }
}

/// Our public address: https, or http on loopback; no trailing slash, query or fragment.
fn issuer(root: &Section<'_>) -> Option<String> {
    let text = root.required("issuer")?;
    let refuse = |message: &str, help: &str| {
        root.problem("issuer", format!("`{}` {message}", text.value), help);
        None
    };
    let Ok(url) = Url::parse(text.value) else { return refuse("is no address", "write it as in https://login.example.org") };
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return refuse("has more than a host and a path", "remove query, fragment and credentials");
    }
    if url.path() != "/" || text.value.ends_with('/') {
        return refuse("has a path or ends with a slash", "write only scheme and host; the gateway stands at the root of its host");
    }
    // Applications compare it letter by letter, and so do we: no capitals, blanks or default ports that parsing forgives.
    let usual = url.as_str().trim_end_matches('/');
    if usual != text.value {
        return refuse("is not written in the usual form", &format!("write {usual}"));
    }
    match url.scheme() {
        "https" => Some(text.value.to_owned()),
        "http" if application::is_loopback(&url) => Some(text.value.to_owned()),
        _ => refuse("is not https", "use https; http is for development on a loopback address"),
    }
}

fn signature_check(root: &Section<'_>) -> bool {
    in_section(root, "saml", |saml| {
        let both = saml.choice("signature_check", &[("both", true), ("strict", false)]).unwrap_or(true);
        if !both {
            saml.warning("signature_check", "weakened: signatures are checked by one engine only", "\"both\" costs about 0.3 ms a login");
        }
        if both && !cfg!(feature = "xmlsec") {
            saml.problem(
                "signature_check",
                "this program was built without the second engine",
                "build it with the feature xmlsec, or set \"strict\"",
            );
        }
        both
    })
    .unwrap_or(cfg!(feature = "xmlsec"))
}

fn address(root: &Section<'_>, key: &'static str, usual: &str) -> Option<SocketAddr> {
    let text = root.string(key).map_or(usual, |at| at.value);
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            root.problem(key, format!("`{text}` is no address to listen on"), format!("write IP and port, as in \"{usual}\""));
            None
        }
    }
}

/// The address of a store. One that carries a password is a secret.
fn url_of(
    context: &Context<'_>,
    root: &Section<'_>,
    key: &'static str,
    usual: &str,
    check: fn(&str) -> crate::error::Result<()>,
) -> Option<Secret<String>> {
    let Some(section) = root.section(key) else { return Some(Secret::new(relative(context, usual))) };
    if key == "directory" {
        // Read once the connections are known.
        section.value("seed");
    }
    let literal = section.value("url").and_then(|at| at.value.as_str());
    // What cannot be parsed here (several hosts, for instance) holds one as soon as it holds credentials.
    let without_password =
        |text: &str| !text.contains("password=") && Url::parse(text).map_or_else(|_| !text.contains('@'), |url| url.password().is_none());
    let url = match literal {
        Some(text) if without_password(text) => Some(Secret::new(text.to_owned())),
        None if !section.has("url") => Some(Secret::new(usual.to_owned())),
        _ => secrets::read(context, &section, "url"),
    };
    let checked = url.and_then(|url| match check(url.expose()) {
        Ok(()) => Some(Secret::new(relative(context, url.expose()))),
        Err(error) => {
            section.problem("url", error.detail, "directory: sqlite:PATH or postgres://..; sessions: memory:, redis://.., rediss://.., redis+sentinel://.. or redis+cluster://..");
            None
        }
    });
    section.finish();
    checked
}

/// A relative SQLite path is relative to the configuration file.
fn relative(context: &Context<'_>, url: &str) -> String {
    match url.strip_prefix("sqlite:") {
        Some(path) if !path.starts_with('/') && !path.starts_with(':') && !path.is_empty() => {
            format!("sqlite:{}", context.resolve(path.trim_start_matches("./")).display())
        }
        _ => url.to_owned(),
    }
}

fn tls(context: &Context<'_>, root: &Section<'_>, ask: Option<AskForCertificates>) -> Option<TlsFiles> {
    let section = root.section("tls")?;
    let file = |key: &'static str| {
        let path = context.resolve(section.required(key)?.value);
        if let Err(error) = std::fs::metadata(&path) {
            section.problem(
                key,
                format!("{} cannot be read: {error}", path.display()),
                "correct the path; it is relative to the configuration",
            );
        }
        Some(path)
    };
    let (certificate, key) = (file("certificate"), file("key"));
    let files = certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key, ask });
    if let Some(files) = files.as_ref().filter(|files| files.certificate.exists() && files.key.exists())
        && let Err(error) = crate::startup::check_tls(files)
    {
        section.problem("certificate", error.detail, "name a certificate chain and its private key, both PEM and readable to this program");
    }
    section.finish();
    files
}

fn log(section: &Section<'_>) -> (LevelFilter, LogFormat) {
    let levels = [("error", LevelFilter::ERROR), ("warn", LevelFilter::WARN), ("info", LevelFilter::INFO), ("debug", LevelFilter::DEBUG)];
    let level = section.choice("level", &levels).unwrap_or(LevelFilter::INFO);
    (level, section.choice("format", &[("human", LogFormat::Human), ("json", LogFormat::Json)]).unwrap_or_default())
}

fn lifetimes(section: &Section<'_>) -> Lifetimes {
    let usual = Lifetimes::default();
    let seconds =
        |key: &'static str, range, usual: u64| section.integer(key, range).map_or(usual, |at| u64::try_from(at.value).unwrap_or(usual));
    Lifetimes {
        transaction: seconds("transaction", 1..=86_400, usual.transaction),
        session: seconds("session", 60..=30 * 86_400, usual.session),
        code: seconds("code", 5..=600, usual.code),
        id_token: seconds("id_token", 60..=86_400, usual.id_token),
        access_token: u32::try_from(seconds("access_token", 60..=86_400, u64::from(usual.access_token))).unwrap_or(usual.access_token),
        refresh_token: seconds("refresh_token", 60..=365 * 86_400, usual.refresh_token),
        refresh_token_idle: seconds("refresh_token_idle", 0..=365 * 86_400, usual.refresh_token_idle),
    }
}

/// Signatures of identifiers in the dialect `gigya` (S2-5).
fn gigya(context: &Context<'_>, section: &Section<'_>) -> Option<GigyaSigner> {
    let sign_ids = section.bool("sign_ids").unwrap_or(false);
    let secret = secrets::read(context, section, "partner_secret");
    if sign_ids && !section.has("partner_secret") {
        section.problem(
            "sign_ids",
            "there is nothing to sign with",
            "add the partner secret, in base64, as `partner_secret = { env = \"NAME\" }`",
        );
    }
    let signer = GigyaSigner::from_base64(&secret?);
    if let Err(error) = &signer {
        section.problem("partner_secret", error.detail.clone(), "write it in base64, as the console shows it");
    }
    signer.ok().filter(|_| sign_ids)
}

/// How much the management API takes.
fn api(section: &Section<'_>) -> ApiSettings {
    let usual = ApiSettings::default();
    let number =
        |key: &'static str, range, usual: u32| section.integer(key, range).map_or(usual, |at| u32::try_from(at.value).unwrap_or(usual));
    ApiSettings {
        requests_per_second: number("requests_per_second", 1..=100_000, usual.requests_per_second),
        burst: number("burst", 1..=1_000_000, usual.burst),
        import_file: section.integer("import_file", 1..=4_194_304).map_or(usual.import_file, |at| at.value.unsigned_abs() << 10),
        log_days: number("log_days", 1..=3650, usual.log_days),
    }
}

fn http_settings(root: &Section<'_>, issuer: &str) -> HttpSettings {
    let mut trusted_proxies = Vec::new();
    for at in root.strings("trusted_proxies").unwrap_or_default() {
        match at.value.parse() {
            Ok(network) => trusted_proxies.push(network),
            Err(_) => root.file().problem(at.span.clone(), &at.path, format!("`{}` is no network", at.value), "write it as in 10.0.0.0/8"),
        }
    }
    let api = in_section(root, "api", api).unwrap_or_default();
    let session_management = root.bool("session_management").unwrap_or(false);
    if session_management {
        let message = "weakened: a cookie that scripts can read, and that other sites' pages send, says whether the session has changed";
        root.warning(
            "session_management",
            message,
            "remove it where no application needs check_session_iframe; many browsers block it anyway",
        );
    }
    HttpSettings {
        secure: issuer.starts_with("https://"),
        trusted_proxies,
        country_header: None,
        client_certificate_header: None,
        client_certificates: false,
        session_management,
        look: Arc::default(),
        require_pushed_authorization_requests: root.bool("require_pushed_authorization_requests").unwrap_or(false),
        saml_body_limit: 1024 * 1024,
        body_limit: 64 * 1024,
        api,
        limits: limits::read(root),
    }
}
