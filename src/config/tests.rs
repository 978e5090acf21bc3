use super::{Config, Findings, check, load, render_human};
use crate::connection::metadata::{Hold, Members};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

pub const GOOD: &str = r#"
issuer = "http://127.0.0.1:8400"
[[connection]]
name = "acme"
[connection.saml]
metadata_file = "idp.xml"
[[application]]
client_id = "notes"
connections = ["acme"]
[application.oidc]
redirect_uris = ["https://notes.example/callback"]
"#;

/// A directory with this configuration and the metadata of a test identity provider.
pub fn written(text: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("isthmus.toml"), text).expect("written");
    fs::copy("tests/fixtures/config/acme-idp.xml", directory.path().join("idp.xml")).expect("copied");
    directory
}

pub fn findings(text: &str) -> Findings {
    check(&written(text).path().join("isthmus.toml"))
}

pub fn config(text: &str) -> Config {
    let directory = written(text);
    load(&directory.path().join("isthmus.toml")).unwrap_or_else(|findings| panic!("{}", render_human(&findings)))
}

/// The good configuration with a change makes exactly this problem.
#[track_caller]
fn refused(from: &str, to: &str, path: &str, message: &str) {
    assert!(GOOD.contains(from), "{from}");
    let findings = findings(&GOOD.replace(from, to));
    let found: Vec<_> = findings.problems.iter().map(|problem| (problem.path.as_str(), problem.message.as_str())).collect();
    assert!(found.iter().any(|(at, text)| *at == path && text.contains(message)), "{found:?}");
}

#[test]
fn a_good_configuration_has_no_findings() {
    let findings = findings(GOOD);
    assert!(findings.problems.is_empty() && findings.warnings.is_empty(), "{}", render_human(&findings));
    let config = config(GOOD);
    assert_eq!((config.connections.len(), config.applications.len()), (1, 1));
    assert!(!config.http.secure);
}

#[test]
fn the_example_is_good() {
    let findings = check(Path::new("isthmus.example.toml"));
    assert!(findings.problems.is_empty() && findings.warnings.is_empty(), "{}", render_human(&findings));
}

#[test]
fn all_faults_are_reported_at_once_with_their_places() {
    let findings = findings(
        r#"issuer = "http://login.example.org"
listen = "localhost"
colour = "red"
[directory]
url = "mysql://x"
[saml]
signature_check = "none"
[[connection]]
name = "a b"
mapping = "nope"
[connection.saml]
metadata_file = "nix.xml"
alow_cbc = true
[[application]]
client_id = "n"
connections = ["acme"]
[application.oidc]
redirect_uris = ["http://notes.example/cb", "javascript:alert(1)"]
client_secret = "0123456789abcdef"
require_pkce = "yes"
"#,
    );
    let places: Vec<_> = findings.problems.iter().map(|problem| (problem.line, problem.column, problem.path.as_str())).collect();
    assert_eq!(
        places,
        [
            (1, 10, "issuer"),
            (2, 10, "listen"),
            (3, 1, "colour"),
            (5, 7, "directory.url"),
            (7, 19, "saml.signature_check"),
            (9, 8, "connection[0].name"),
            (10, 11, "connection[0].mapping"),
            (12, 17, "connection[0].saml.metadata_file"),
            (13, 1, "connection[0].saml.alow_cbc"),
            (16, 16, "application[0].connections[0]"),
            (18, 18, "application[0].oidc.redirect_uris[0]"),
            (18, 45, "application[0].oidc.redirect_uris[1]"),
            (19, 17, "application[0].oidc.client_secret"),
            (20, 16, "application[0].oidc.require_pkce"),
        ]
    );
    assert!(findings.problems.iter().all(|problem| !problem.help.is_empty()));
}

#[test]
fn a_syntax_error_is_reported_with_its_place() {
    let findings = findings("issuer = \"http://127.0.0.1:8400\"\nlisten = \n[keys\n");
    assert!(findings.problems.iter().any(|problem| problem.line == 2), "{}", render_human(&findings));
}

#[test]
fn the_issuer_is_https_or_loopback_without_path() {
    for (text, message) in [
        ("http://login.example.org", "is not https"),
        ("https://login.example.org/", "ends with a slash"),
        ("https://login.example.org/path", "has a path"),
        ("https://login.example.org?x", "more than a host"),
        ("login", "is no address"),
    ] {
        refused("http://127.0.0.1:8400", text, "issuer", message);
    }
}

#[test]
fn a_connection_without_trust_is_refused() {
    refused("metadata_file = \"idp.xml\"", "", "connection[0].saml.certificates", "missing");
    refused(
        "metadata_file = \"idp.xml\"",
        "entity_id = \"x\"\nsso_url = \"https://i.example/\"\ncertificates = []",
        "connection[0].saml.certificates",
        "usable signing certificate",
    );
    refused("metadata_file = \"idp.xml\"", "metadata_file = \"isthmus.toml\"", "connection[0].saml.metadata_file", "isthmus.toml");
    refused("metadata_file = \"idp.xml\"", "metadata_url = \"http://i.example/\"", "connection[0].saml.metadata_url", "without https");
}

#[test]
fn names_and_domains_are_unique() {
    let twice = "name = \"acme\"\ndomains = [\"a.example\"]\n[connection.saml]\nmetadata_file = \"idp.xml\"\n[[connection]]\nname = \"acme\"\ndomains = [\"A.example\"]";
    refused("name = \"acme\"", twice, "connection[1].name", "twice");
    refused("name = \"acme\"", twice, "connection[1].domains", "another connection");
    let application =
        "client_id = \"notes\"\n[application.oidc]\nredirect_uris = [\"https://x.example/\"]\n[[application]]\nclient_id = \"notes\"";
    refused("client_id = \"notes\"", application, "application[1].client_id", "twice");
}

#[test]
fn redirect_addresses_are_safe_ones() {
    let address = "https://notes.example/callback";
    for (text, message) in [
        ("http://notes.example/callback", "not https"),
        ("https://notes.example/callback#x", "fragment"),
        ("https://u:p@notes.example/", "credentials"),
        ("javascript:alert(1)", "no place to return to"),
        ("/callback", "no absolute address"),
        ("com.example.app:/callback", "not https"),
    ] {
        refused(address, text, "application[0].oidc.redirect_uris[0]", message);
    }
    for text in ["http://localhost:3000/cb", "http://127.0.0.1/cb", "http://[::1]:3000/cb"] {
        config(&GOOD.replace(address, text));
    }
    config(&GOOD.replace("redirect_uris", "application_type = \"native\"\nredirect_uris").replace(address, "com.example.app:/callback"));
}

#[test]
fn secrets_stand_in_the_file_in_development_only() {
    let with_secret = "client_secret = \"0123456789abcdef\"\nredirect_uris";
    config(&GOOD.replace("redirect_uris", with_secret));
    let elsewhere = GOOD.replace("http://127.0.0.1:8400", "https://login.example.org").replace("redirect_uris", with_secret);
    let found = findings(&elsewhere);
    assert!(found.problems.iter().any(|problem| problem.message.contains("written into the file")), "{}", render_human(&found));
    assert!(!render_human(&found).contains("0123456789abcdef"), "the secret is repeated");
}

#[test]
fn secrets_come_from_files_and_the_environment() {
    let directory = written(&GOOD.replace("redirect_uris", "client_secret = { file = \"secret\" }\nredirect_uris"));
    fs::write(directory.path().join("secret"), "0123456789abcdef\n").expect("written");
    let config = load(&directory.path().join("isthmus.toml")).expect("good");
    let clients = config.applications.iter().filter_map(|application| application.oidc.as_ref());
    let digests: Vec<_> = clients.flat_map(|client| &client.secret_digests).cloned().collect();
    assert_eq!(digests, [crate::id::digest("0123456789abcdef")]);
    refused(
        "redirect_uris",
        "client_secret = { env = \"ISTHMUS_NOT_SET\" }\nredirect_uris",
        "application[0].oidc.client_secret.env",
        "not set",
    );
    refused(
        "redirect_uris",
        "client_secret = { file = \"nix\" }\nredirect_uris",
        "application[0].oidc.client_secret.file",
        "cannot be read",
    );
}

#[test]
fn the_authentication_method_fits_the_secret() {
    refused(
        "redirect_uris",
        "token_endpoint_auth_method = \"client_secret_post\"\nredirect_uris",
        "application[0].oidc.token_endpoint_auth_method",
        "needs a `client_secret`",
    );
    let both = "client_secret = \"0123456789abcdef\"\ntoken_endpoint_auth_method = \"none\"\nredirect_uris";
    refused("redirect_uris", both, "application[0].oidc.token_endpoint_auth_method", "public client has no secret");
    refused("redirect_uris", "require_pkce = false\nredirect_uris", "application[0].oidc.require_pkce", "cannot do without PKCE");
}

#[test]
fn every_loosening_is_a_warning() {
    for option in ["allow_sha1", "allow_cbc", "allow_inclusive_c14n"] {
        let found = findings(&GOOD.replace("metadata_file", &format!("{option} = true\nmetadata_file")));
        assert!(found.warnings.iter().any(|warning| warning.path.ends_with(option) && warning.message.contains("weakened")), "{option}");
    }
    let strict = findings(&GOOD.replace("[[connection]]", "[saml]\nsignature_check = \"strict\"\n[[connection]]"));
    assert!(strict.warnings.iter().any(|warning| warning.path == "saml.signature_check"));
}

#[test]
fn mapping_tables_beside_the_file_are_used_and_tested() {
    let directory = written(&GOOD.replace("name = \"acme\"", "name = \"acme\"\nmapping = \"acme\""));
    fs::create_dir(directory.path().join("mappings")).expect("made");
    let table = |expected: &str| {
        format!(
            "direction = \"to_profile\"\nextends = \"saml\"\n[[test]]\nname = \"mail\"\ngiven = {{ mail = [\"a@x.example\"] }}\nexpect = {{ email = \"{expected}\" }}\n"
        )
    };
    let path = directory.path().join("mappings/acme.toml");
    fs::write(&path, table("a@x.example")).expect("written");
    let good = check(&directory.path().join("isthmus.toml"));
    assert!(good.problems.is_empty(), "{}", render_human(&good));
    fs::write(&path, table("other@x.example")).expect("written");
    let bad = check(&directory.path().join("isthmus.toml"));
    assert!(bad.problems.iter().any(|problem| problem.message.contains("the test \"mail\"")), "{}", render_human(&bad));
}

/// The good configuration with more lines of `[connection.saml]`.
fn with_saml(lines: &str) -> String {
    GOOD.replace("metadata_file = \"idp.xml\"\n", &format!("metadata_file = \"idp.xml\"\n{lines}\n"))
}

#[test]
fn what_can_be_said_of_requests_and_of_us_is_read() {
    let config = config(
        &with_saml(
            r#"allow_passive_probe = true
select_account_forces_authn = true
login_hint_parameter = "username"
authn_context_comparison = "minimum"
authn_context = ["urn:weak"]
authn_context_ranking = ["urn:weak", "urn:strong"]
entity_categories = ["http://refeds.org/category/research-and-scholarship"]
subject_id_requirement = "any"
[connection.saml.ui]
display_name = { en = "Notes", de = "Notizen" }
information_url = "https://notes.example/about"
logo = [{ url = "https://notes.example/logo.png", width = 80, height = 60 }]
[connection.saml.organization]
name = "Example"
display_name = "Example"
url = "https://example.org/"
[[connection.saml.contact]]
kind = "security"
email = "security@example.org"
[[connection.saml.attribute_set]]
index = 1
scopes = ["profile"]
attributes = [{ name = "urn:oid:0.9.2342.19200300.100.1.3", friendly_name = "mail", required = true }]
[connection.saml.unsolicited]
application = "notes"
mode = "hint"
protocol = "oidc"
relay_states = ["start", "https://notes.example/*"]"#,
        )
        .replace("[application.oidc]\n", "[application.oidc]\ninitiate_login_uri = \"https://notes.example/start\"\n"),
    );
    let saml = config.connections[0].saml().expect("SAML");
    assert!(saml.allow_passive_probe && saml.select_account_forces_authn);
    assert_eq!((saml.login_hint_parameter.as_deref(), saml.policy.authn_context_ranking.len()), (Some("username"), 2));
    assert_eq!((saml.about.ui.display_names.len(), saml.about.contacts.len(), saml.about.ui.logos.len()), (2, 1, 1));
    assert!(saml.about.organization.is_some());
    assert_eq!((saml.attribute_sets[0].requested.index, saml.attribute_sets[0].requested.attributes.len()), (1, 1));
    assert_eq!(saml.unsolicited.as_ref().map(|rules| rules.relay_states.as_ref().map_or(0, Vec::len)), Some(2));
}

#[test]
fn what_contradicts_itself_in_saml_is_refused_with_its_place() {
    let problem = |lines: &str, path: &str, message: &str| {
        let findings = findings(&with_saml(lines));
        let found: Vec<_> = findings.problems.iter().map(|problem| (problem.path.as_str(), problem.message.as_str())).collect();
        assert!(found.iter().any(|(at, text)| at.ends_with(path) && text.contains(message)), "{lines}: {found:?}");
    };
    problem("login_hint_parameter = \"RelayState\"", "login_hint_parameter", "cannot be a parameter");
    problem("login_hint_parameter = \"a b\"", "login_hint_parameter", "cannot be a parameter");
    problem("authn_context = [\"urn:x\"]\nauthn_context_ranking = [\"urn:y\"]", "authn_context_ranking", "has no rank");
    problem("[[connection.saml.attribute_set]]\nindex = 1", "attributes", "asks for nothing");
    let twice = "[[connection.saml.attribute_set]]\nindex = 1\nfrom_mapping = true\n";
    problem(&twice.repeat(2), "index", "another set has the index 1");
    problem("entity_categories = [\"r and s\"]", "entity_categories[0]", "is no URI");
    problem("[connection.saml.ui]\nlogo = [{ url = \"http://notes.example/l.png\", width = 1, height = 1 }]", "url", "no https address");
    problem("[connection.saml.ui]\ndisplay_name = { en = 1 }", "display_name.en", "expected a text");
    problem("[[connection.saml.contact]]\nkind = \"technical\"", "email", "is missing");
    problem("[connection.saml.organization]\nname = \"x\"", "url", "is missing");
    let rules = |lines: &str| format!("[connection.saml.unsolicited]\napplication = \"notes\"\n{lines}");
    // Nobody but the application could begin with PKCE.
    problem(&rules(""), "unsolicited.application", "needs PKCE");
    problem(&rules("mode = \"accept_directly\""), "unsolicited.application", "needs PKCE");
    let pushed = |lines: &str| {
        let text = format!("{}client_secret = \"a-secret-that-is-long\"\nrequire_pkce = false\n{lines}\n", with_saml(&rules("")));
        let listed = findings(&text).problems.into_iter().filter(|problem| problem.path.ends_with("unsolicited.application"));
        listed.map(|problem| problem.message).collect::<Vec<_>>()
    };
    for required in ["require_pushed_authorization_requests = true", "require_signed_request_object = true"] {
        assert!(pushed(required).iter().any(|message| message.contains("signed or pushed")), "{required}: {:?}", pushed(required));
        let begins = format!("{required}\ninitiate_login_uri = \"https://notes.example/start\"");
        assert_eq!(pushed(&begins), [""; 0], "{required}");
    }
    problem(&rules("protocol = \"saml\""), "unsolicited.protocol", "does not speak");
    problem(&rules("query = \"prompt=none\""), "unsolicited.query", "`prompt` cannot be part");
    for wrong in ["https://notes.example*", "http://notes.example/*", "*", "javascript:*"] {
        problem(&rules(&format!("relay_states = [\"{wrong}\"]")), "relay_states[0]", "no beginning of https addresses");
    }
    problem(&format!("force_authn = true\n{}", rules("mode = \"accept_directly\"")), "unsolicited.mode", "contradict");
}

#[test]
fn accepting_unsolicited_answers_directly_is_a_weakening_that_is_told() {
    let text = with_saml("[connection.saml.unsolicited]\napplication = \"notes\"\nmode = \"accept_directly\"");
    let findings = findings(&text);
    assert!(findings.warnings.iter().any(|warning| warning.path.ends_with("unsolicited.mode") && warning.message.starts_with("weakened")));
    let elsewhere = self::findings(&text.replace("application = \"notes\"", "application = \"other\""));
    assert!(elsewhere.warnings.iter().any(|warning| warning.message.contains("no application `other`")));
    let promised = self::findings(&with_saml("entity_categories = [\"https://refeds.org/category/code-of-conduct/v2\"]"));
    assert!(promised.warnings.iter().any(|warning| warning.message.contains("without a privacy statement")));
}

#[test]
fn living_metadata_are_read_and_contradictions_refused() {
    let with = |lines: &str| GOOD.replace("metadata_file = \"idp.xml\"", lines);
    let living = |lines: &str| {
        let config = config(&with(lines));
        let saml = config.connections[0].saml().expect("SAML");
        saml.living.clone().expect("living")
    };
    let one = living("metadata_url = \"https://idp.example/metadata?token=x\"\nmetadata_refresh = 60");
    assert_eq!((one.members, one.source.shown().as_str()), (Members::One, "https://idp.example/metadata"));
    assert_eq!((one.source.cadence.at_least_seconds, one.source.cadence.at_most_seconds), (60, 60));
    assert!(one.source.cache.is_some_and(|cache| cache.ends_with("data/state/acme")));
    let all = living("federation_file = \"all.xml\"");
    assert_eq!((all.members, all.source.hold), (Members::All, Hold::Only(Default::default())));
    for (lines, key, message) in [
        ("federation_url = \"https://f.example/all\"", "metadata_certificates", "signature must be verified"),
        ("mdq_url = \"https://f.example/mdq\"", "metadata_certificates", "signature must be verified"),
        ("federation_url = \"https://f.example/all\"\nmetadata_certificates = []", "metadata_certificates", "is empty"),
        ("metadata_url = \"http://idp.example/metadata\"", "metadata_url", "without https"),
        ("metadata_url = \"https://a:b@idp.example/metadata\"", "metadata_url", "password"),
        ("metadata_url = \"https://idp.example/m\"\nmetadata_file = \"idp.xml\"", "metadata_file", "contradict"),
        ("metadata_url = \"https://idp.example/m\"\nmdq_url = \"https://f.example/mdq\"", "mdq_url", "contradict"),
        ("federation_file = \"all.xml\"\nentity_id = \"https://idp.example\"", "entity_id", "no single identity provider"),
        ("metadata_url = \"https://idp.example/m\"\ndiscovery_url = \"https://d.example\"", "discovery_url", "nobody has to find"),
        ("metadata_file = \"idp.xml\"\nmetadata_refresh = 5", "metadata_refresh", "only where metadata are fetched"),
    ] {
        let findings = findings(&with(lines));
        let path = format!("connection[0].saml.{key}");
        let found: Vec<_> = findings.problems.iter().map(|problem| (problem.path.as_str(), problem.message.as_str())).collect();
        assert!(found.iter().any(|(at, text)| *at == path && text.contains(message)), "{lines}: {found:?}");
    }
}
