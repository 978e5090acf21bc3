//! Rules beside those of `tests.rs`: server settings, terms of a connection, ends of certificates, client methods, tables.

use super::*;
use crate::keys::{CertifiedKey, KeyKind, PrivateKey};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::{X509Builder, X509NameBuilder};
use tempfile::TempDir;

/// A directory with a certificate `idp.pem`, an empty file and a secret.
fn place() -> TempDir {
    let place = TempDir::new().expect("a directory");
    let key = PrivateKey::generate(KeyKind::EcP256).expect("a key");
    let pem = CertifiedKey::self_signed(key, "idp").expect("a certificate").certificate().to_pem().expect("pem");
    std::fs::write(place.path().join("idp.pem"), pem).expect("written");
    std::fs::write(place.path().join("empty"), "").expect("written");
    std::fs::write(place.path().join("secret"), "0123456789abcdef0123\n").expect("written");
    std::fs::create_dir(place.path().join("mappings")).expect("a directory");
    place
}

const SERVER: &str = "issuer = \"https://login.example.org\"\n";
const CONNECTION: &str = "[[connection]]\nname = \"acme\"\n[connection.saml]\nentity_id = \"https://idp\"\nsso_url = \"https://idp/sso\"\ncertificates = [\"idp.pem\"]\n";
const APPLICATION: &str = "[[application]]\nclient_id = \"notes\"\n[application.oidc]\nredirect_uris = [\"https://notes/cb\"]\n";

fn check_in(place: &TempDir, text: &str) -> Findings {
    let path = place.path().join("isthmus.toml");
    std::fs::write(&path, text).expect("written");
    check(&path)
}

fn found(text: &str) -> Findings {
    check_in(&place(), text)
}

/// The paths at which there are problems.
fn problems(text: &str) -> Vec<String> {
    found(text).problems.into_iter().map(|problem| problem.path).collect()
}

#[test]
fn a_finding_shows_its_line_with_a_mark() {
    let text = render_human(&found(&format!("{SERVER}listen = \"everywhere\"\n")));
    assert!(text.contains("  2 | listen = \"everywhere\"\n    |          ^^^^^^^^^^^^\n"), "{text}");
    assert!(text.ends_with("1 error, 0 warnings."), "{text}");
    let secret = found(&format!("{SERVER}{APPLICATION}client_secret = \"hunter2 hunter2 hunter2\"\n"));
    assert!(!render_human(&secret).contains("hunter2") && !to_json(&secret).contains("hunter2"), "secrets are not shown");
}

/// Each root line breaks one rule.
fn root_fails(line: &str, path: &str) {
    assert_eq!(problems(&format!("{SERVER}{line}\n")), [path], "{line}");
}

/// Each line breaks one rule of a SAML connection.
fn saml_fails(lines: &str, paths: &[&str]) {
    assert_eq!(problems(&format!("{SERVER}[[connection]]\nname = \"acme\"\n[connection.saml]\n{lines}\n")), paths, "{lines}");
}

/// Each line breaks one rule of an application.
fn oidc_fails(lines: &str, paths: &[&str]) {
    assert_eq!(problems(&format!("{SERVER}[[application]]\nclient_id = \"notes\"\n[application.oidc]\n{lines}\n")), paths, "{lines}");
}

#[test]
fn a_file_that_is_not_there_is_one_problem() {
    let findings = check(Path::new("/nowhere/isthmus.toml"));
    assert_eq!((findings.problems.len(), findings.problems[0].line), (1, 0));
}

#[test]
fn addresses_are_written_in_the_usual_form() {
    for issuer in ["HTTPS://login.example.org", "https://Login.example.org", "https://login.example.org:443", " https://login.example.org"]
    {
        assert_eq!(problems(&format!("issuer = \"{issuer}\"\n")), ["issuer"], "{issuer}");
    }
    for uri in ["https://notes/c b", " https://notes/cb", "https://notes/c\\tb", "https://b\u{fc}cher.example/cb"] {
        oidc_fails(&format!("redirect_uris = [\"{uri}\"]"), &["application[0].oidc.redirect_uris[0]"]);
    }
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_found() {
    let place = place();
    let key = PKey::generate_ed25519().and_then(|key| key.private_key_to_pem_pkcs8()).expect("pem");
    std::fs::write(place.path().join("other.pem"), key).expect("written");
    for key in ["other.pem", "empty"] {
        let text = format!("{SERVER}[tls]\ncertificate = \"idp.pem\"\nkey = \"{key}\"\n");
        let paths: Vec<_> = check_in(&place, &text).problems.into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["tls.certificate"], "{key}");
    }
}

#[test]
fn a_password_among_several_hosts_is_a_secret() {
    for url in ["redis+sentinel://:hunter2@a:26379,b:26379/mymaster", "redis+sentinel://a/mymaster?sentinel_password=hunter2"] {
        assert_eq!(problems(&format!("{SERVER}[sessions]\nurl = \"{url}\"\n")), ["sessions.url"], "{url}");
    }
}

#[test]
fn server_settings_are_checked() {
    root_fails("listen = \"8400\"", "listen");
    root_fails("listen = 8400", "listen");
    root_fails("trusted_proxies = [\"10.0.0.0/99\"]", "trusted_proxies[0]");
    root_fails("nonsense = 1", "nonsense");
    root_fails("[directory]\nurl = \"mysql://host/db\"", "directory.url");
    root_fails("[directory]\nurl = \"postgres://u:password@host/db\"", "directory.url");
    root_fails("[sessions]\nurl = \"http://host\"", "sessions.url");
    root_fails("[sessions]\nurl = \"memory:\"\nsize = 1", "sessions.size");
    root_fails("[saml]\nsignature_check = \"none\"", "saml.signature_check");
    root_fails("[log]\nformat = \"xml\"", "log.format");
    root_fails("[lifetimes]\ncode = 0", "lifetimes.code");
    root_fails("[lifetimes]\nsession = 99999999", "lifetimes.session");
    root_fails("[tls]\ncertificate = \"idp.pem\"\nkey = \"nowhere.pem\"", "tls.key");
    root_fails("[tls]\ncertificate = \"idp.pem\"", "tls.key");
}

#[test]
fn a_connection_has_a_name_for_addresses_and_one_protocol_of_this_version() {
    let named = |name: &str| problems(&format!("{SERVER}{}", CONNECTION.replace("\"acme\"", name)));
    for name in ["\"a b\"", "\"a/b\"", "\"\"", "7"] {
        assert_eq!(named(name), ["connection[0].name"], "{name}");
    }
    let text = format!("{SERVER}[[connection]]\nname = \"a\"\n[connection.database]\nx = 1\n");
    assert_eq!(problems(&text), ["connection[0].database.x"]);
    assert_eq!(problems(&format!("{SERVER}[[connection]]\nname = \"a\"\n")), ["connection[0].saml"]);
    assert_eq!(
        problems(&format!("{SERVER}{}", CONNECTION.replace("[connection.saml]", "domains = [\"a@b\"]\n[connection.saml]"))),
        ["connection[0].domains[0]"]
    );
}

#[test]
fn what_an_openid_provider_is_must_be_clear() {
    let good = "issuer = \"https://op.example\"\nclient_id = \"us\"\n";
    let oidc = |lines: &str| problems(&format!("{SERVER}[[connection]]\nname = \"a\"\n[connection.oidc]\n{lines}"));
    assert!(oidc(good).is_empty() && oidc(&format!("{good}client_secret = {{ file = \"secret\" }}")).is_empty());
    for (lines, place) in [
        ("x = 1", "x"),
        ("token_endpoint_auth_method = \"client_secret_basic\"", "client_secret"),
        ("client_secret = { file = \"secret\" }\ntoken_endpoint_auth_method = \"none\"", "client_secret"),
        ("token_endpoint_auth_method = \"plain\"", "token_endpoint_auth_method"),
        ("scopes = [\"profile\"]", "scopes"),
        ("scopes = [\"openid\", \"a b\"]", "scopes[1]"),
        ("id_token_signed_response_alg = \"none\"", "id_token_signed_response_alg"),
        ("id_token_signed_response_alg = \"HS256\"", "id_token_signed_response_alg"),
        ("token_endpoint = \"http://op.example/token\"", "token_endpoint"),
        ("metadata_url = \"op.example\"", "metadata_url"),
        ("tenants = [\"a\"]", "tenants"),
        ("parameters = { state = \"x\" }", "parameters.state"),
        ("parameters = { hd = 7 }", "parameters.hd"),
        ("client_secret = { file = \"secret\" }\ntoken_endpoint_auth_method = \"private_key_jwt\"", "client_secret"),
        ("token_endpoint_auth_signing_alg = \"ES256\"", "token_endpoint_auth_signing_alg"),
        (
            "token_endpoint_auth_method = \"private_key_jwt\"\ntoken_endpoint_auth_signing_alg = \"HS256\"",
            "token_endpoint_auth_signing_alg",
        ),
        ("request_object_signing_alg = \"none\"", "request_object_signing_alg"),
        ("id_token_encrypted_response_alg = \"RSA1_5\"", "id_token_encrypted_response_alg"),
        ("userinfo_signed_response_alg = \"HS256\"", "userinfo_signed_response_alg"),
        ("userinfo_encrypted_response_alg = \"dir\"", "userinfo_encrypted_response_alg"),
    ] {
        assert_eq!(oidc(&format!("{good}{lines}")), [format!("connection[0].oidc.{place}")], "{lines}");
    }
    for issuer in ["http://op.example", "https://op.example/?x", "https://op.example/#x", "https://a:b@op.example", "op"] {
        assert_eq!(oidc(&good.replace("https://op.example", issuer)), ["connection[0].oidc.issuer"], "{issuer}");
    }
    // Who is not asked about itself has said nothing of these.
    let pinned = format!(
        "{good}authorization_endpoint = \"https://op.example/a\"\ntoken_endpoint = \"https://op.example/t\"\njwks_uri = \"https://op.example/k\"\n"
    );
    for (line, endpoint) in [("pushed_authorization_requests", "pushed_authorization_request_endpoint"), ("logout", "end_session_endpoint")]
    {
        assert!(oidc(&format!("{good}{line} = true")).is_empty(), "{line}");
        assert_eq!(oidc(&format!("{pinned}{line} = true")), [format!("connection[0].oidc.{line}")]);
        assert!(oidc(&format!("{pinned}{line} = true\n{endpoint} = \"https://op.example/e\"")).is_empty(), "{line}");
    }
    let both = format!("{SERVER}{CONNECTION}\n[connection.oidc]\n{good}");
    assert_eq!(problems(&both), ["connection[0].oidc"]);
}

#[test]
fn an_identity_provider_without_a_usable_key_cannot_be_configured() {
    let literal = "entity_id = \"e\"\nsso_url = \"https://i/s\"\n";
    saml_fails(literal, &["connection[0].saml.certificates"]);
    saml_fails(&format!("{literal}certificates = []"), &["connection[0].saml.certificates"]);
    saml_fails(&format!("{literal}certificates = [\"nowhere.pem\"]"), &["connection[0].saml.certificates[0]"]);
    saml_fails(&format!("{literal}certificates = [\"empty\"]"), &["connection[0].saml.certificates[0]"]);
    saml_fails("entity_id = \"e\"\nsso_url = \"http://i/s\"\ncertificates = [\"idp.pem\"]", &["connection[0].saml.sso_url"]);
    saml_fails("sso_url = \"https://i/s\"\ncertificates = [\"idp.pem\"]", &["connection[0].saml.entity_id"]);
    saml_fails("metadata_url = \"http://i/metadata\"", &["connection[0].saml.metadata_url"]);
    saml_fails("metadata_file = \"empty\"", &["connection[0].saml.metadata_file"]);
    saml_fails("metadata_file = \"idp.pem\"", &["connection[0].saml.metadata_file"]);
}

#[test]
fn saml_settings_are_checked() {
    let with = |line: &str| problems(&format!("{SERVER}{CONNECTION}{line}\n"));
    for (line, path) in [
        ("request_binding = \"post\"", "request_binding"),
        ("request_binding = \"artifact\"", "request_binding"),
        ("clock_skew = 601", "clock_skew"),
        ("message_max_age = 1", "message_max_age"),
        ("sign_requests = \"yes\"", "sign_requests"),
        ("validate = false", "validate"),
        ("acr = { mfa = 1 }", "acr.mfa"),
    ] {
        assert_eq!(with(line), [format!("connection[0].saml.{path}")], "{line}");
    }
}

#[test]
fn certificates_that_end_soon_are_warnings() {
    let place = place();
    std::fs::write(place.path().join("idp.pem"), certificate_for(20)).expect("written");
    let findings = check_in(&place, &format!("{SERVER}{CONNECTION}"));
    assert_eq!(findings.problems, []);
    assert_eq!(findings.warnings.iter().map(|w| w.path.as_str()).collect::<Vec<_>>(), ["connection[0].saml.certificates"]);
    std::fs::write(place.path().join("idp.pem"), certificate_for(40)).expect("written");
    assert_eq!(check_in(&place, &format!("{SERVER}{CONNECTION}")), Findings::default());
}

#[test]
fn clients_authenticate_as_registered() {
    let with = |lines: &str, paths: &[&str]| oidc_fails(&format!("redirect_uris = [\"https://n/cb\"]\n{lines}"), paths);
    with("require_pkce = false", &["application[0].oidc.require_pkce"]);
    with("token_endpoint_auth_method = \"client_secret_post\"", &["application[0].oidc.token_endpoint_auth_method"]);
    with(
        "client_secret = { file = \"secret\" }\ntoken_endpoint_auth_method = \"none\"",
        &["application[0].oidc.token_endpoint_auth_method"],
    );
    with("token_endpoint_auth_method = \"private_key_jwt\"", &["application[0].oidc.token_endpoint_auth_method"]);
    with("id_token_signed_response_alg = \"none\"", &["application[0].oidc.id_token_signed_response_alg"]);
}

#[test]
fn an_application_names_what_exists() {
    let with = |line: &str| {
        problems(&format!("{SERVER}{CONNECTION}{}", APPLICATION.replace("[application.oidc]", &format!("{line}\n[application.oidc]"))))
    };
    assert_eq!(with("connections = [\"acme\", \"nowhere\"]"), ["application[0].connections[1]"]);
    assert_eq!(with("mapping = \"nowhere\""), ["application[0].mapping"]);
    assert_eq!(with("mapping = \"saml\""), [""; 0], "the one for this direction");
    assert_eq!(problems(&format!("{SERVER}[[application]]\nclient_id = \"a\"\n")), ["application[0].oidc"]);
    assert_eq!(problems(&format!("{SERVER}{}", APPLICATION.replace("notes\"\n", "no tes\"\n"))), ["application[0].client_id"]);
}

#[test]
fn mapping_tables_beside_the_file_are_used_and_tested() {
    let place = place();
    let table = "direction = \"to_profile\"\n[[row]]\nfield = \"email\"\nfrom = [\"m\"]\nrequire = true\n[[test]]\nname = \"t\"\n";
    let file = place.path().join("mappings/own.toml");
    let connection = CONNECTION.replace("[connection.saml]", "mapping = \"own\"\n[connection.saml]");
    std::fs::write(&file, format!("{table}given = {{ m = \"a@b\" }}\nexpect = {{ email = \"a@b\" }}\n")).expect("written");
    assert_eq!(check_in(&place, &format!("{SERVER}{connection}")), Findings::default());
    std::fs::write(&file, format!("{table}given = {{ x = \"a@b\" }}\n")).expect("written");
    let findings = check_in(&place, &format!("{SERVER}{connection}"));
    let problem = &findings.problems[0];
    assert_eq!((findings.problems.len(), problem.file.as_str(), problem.line), (1, file.to_str().expect("utf-8"), 6));
    assert!(problem.message.contains("is required, and nothing came for it"), "{}", problem.message);
}

/// A certificate that ends in some days.
fn certificate_for(days: u32) -> Vec<u8> {
    let curve = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).expect("a curve");
    let key = PKey::from_ec_key(openssl::ec::EcKey::generate(&curve).expect("a key")).expect("a key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "idp").expect("a name");
    let name = name.build();
    let mut builder = X509Builder::new().expect("a builder");
    builder.set_subject_name(&name).expect("set");
    builder.set_issuer_name(&name).expect("set");
    builder.set_pubkey(&key).expect("set");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("a date")).expect("set");
    builder.set_not_after(&Asn1Time::days_from_now(days).expect("a date")).expect("set");
    builder.sign(&key, MessageDigest::sha256()).expect("signed");
    builder.build().to_pem().expect("pem")
}

/// Each text between the name and `[connection.saml]` breaks or loosens one rule of a connection.
fn connection_with(lines: &str) -> Findings {
    let (head, tail) = CONNECTION.split_once("[connection.saml]").expect("a SAML connection");
    found(&format!("{SERVER}{head}{lines}\n[connection.saml]{tail}"))
}

#[test]
fn linking_is_checked() {
    for (lines, path) in [
        ("[connection.linking]\npolicy = \"always\"", "connection[0].linking.policy"),
        ("[connection.linking]\npolicy = \"verified_email\"", "connection[0].linking.policy"),
        ("[connection.linking]\npolicy = \"ask\"\namong = [\"acme\", \"globex\"]", "connection[0].linking.among[1]"),
        ("[connection.linking]\non_conflict = \"guess\"", "connection[0].linking.on_conflict"),
        ("[connection.linking]\nemail_domains = [\"@acme\"]", "connection[0].linking.email_domains[0]"),
        ("[connection.linking]\nemail_domains = [\"acme.example.\"]", "connection[0].linking.email_domains[0]"),
        ("domains = [\".acme.example\"]", "connection[0].domains[0]"),
        ("[connection.linking]\nautomatic = true", "connection[0].linking.automatic"),
        ("profile_sync = \"sometimes\"", "connection[0].profile_sync"),
        ("subject_comparison = \"fuzzy\"", "connection[0].subject_comparison"),
    ] {
        let paths: Vec<_> = connection_with(lines).problems.into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, [path], "{lines}");
    }
    let good = "domains = [\"acme.example\"]\nprofile_sync = \"on_first_login\"\nnon_persistent_attrs = [\"phone_number\"]\nlink_only = false\n[connection.linking]\npolicy = \"verified_email\"";
    assert_eq!(connection_with(good), Findings::default());
}

#[test]
fn what_loosens_profile_and_linking_is_a_warning() {
    for (lines, path) in [
        ("[connection.linking]\npolicy = \"verified_email\"\ntrust_email = \"any\"", "connection[0].linking.trust_email"),
        ("subject_comparison = \"ignore_case\"", "connection[0].subject_comparison"),
    ] {
        let findings = connection_with(lines);
        assert!(findings.problems.is_empty(), "{findings:?}");
        assert_eq!(findings.warnings.into_iter().map(|warning| warning.path).collect::<Vec<_>>(), [path], "{lines}");
    }
    let legacy = APPLICATION.replace("[application.oidc]", "legacy_profile = true\ndialect = \"gigya\"\n[application.oidc]");
    let findings = found(&format!("{SERVER}{legacy}"));
    assert_eq!((findings.problems.len(), findings.warnings.len()), (0, 1), "{findings:?}");
    let dialect = APPLICATION.replace("[application.oidc]", "dialect = \"gigya\"\n[application.oidc]");
    assert_eq!(problems(&format!("{SERVER}{dialect}")), ["application[0].dialect"]);
}

#[test]
fn a_program_may_use_the_management_api_by_itself_and_needs_no_address() {
    let program = |oidc: &str, api: &str| {
        let secret = "client_secret = { file = \"secret\" }\n";
        problems(&format!("{SERVER}[[application]]\nclient_id = \"robot\"\n[application.oidc]\n{secret}{oidc}\n[application.api]\n{api}\n"))
    };
    let credentials = "grant_types = [\"client_credentials\"]";
    assert!(program(credentials, "scopes = [\"read:users\"]").is_empty());
    assert_eq!(program(credentials, ""), ["application[0].api.scopes"]);
    // Scopes of people are not for programs.
    for scope in ["read:everything", "read:current_user"] {
        assert_eq!(program(credentials, &format!("scopes = [\"{scope}\"]")), ["application[0].api.scopes[0]"]);
    }
    assert_eq!(program("redirect_uris = [\"https://a.example/\"]", "scopes = []"), ["application[0].api.scopes"]);
    // A public client could be anybody.
    oidc_fails("grant_types = [\"client_credentials\"]", &["application[0].oidc.grant_types"]);
}

#[test]
fn metadata_may_stand_in_the_file_itself_and_not_twice() {
    saml_fails("metadata = \"<x/>\"", &["connection[0].saml.metadata"]);
    saml_fails("metadata = \"<x/>\"\nmetadata_file = \"empty\"", &["connection[0].saml.metadata", "connection[0].saml.metadata_file"]);
    let metadata = include_str!("../../tests/fixtures/config/acme-idp.xml");
    let text =
        format!("{SERVER}[[connection]]\nname = \"acme\"\napplications = [\"notes\"]\n[connection.saml]\nmetadata = '''{metadata}'''\n");
    assert!(problems(&text).is_empty());
}
