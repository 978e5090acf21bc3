//! People from nine kinds of provider, and how each dialect must show them: `tests/fixtures/dialects/NAME.json` is the
//! record, `NAME.DIALECT.json` what is expected. The expectations were written from the specification, member by member;
//! do not take them over from the output.

use super::samples::{Sample, SampleIdentity, normalized};
use super::{Dialect, DialectOptions, GigyaSigner, render};
use crate::clock::Timestamp;
use crate::profile::{Profile, ProviderTokens};
use crate::secret::Secret;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::PathBuf;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// For the reader.
    #[serde(rename = "about")]
    _about: String,
    user_id: String,
    created_at: String,
    updated_at: String,
    last_login: Option<String>,
    last_ip: Option<String>,
    logins_count: i64,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    user_metadata: Map<String, Value>,
    #[serde(default)]
    app_metadata: Map<String, Value>,
    #[serde(default)]
    custom_fields: Map<String, Value>,
    /// Root attributes that were edited here.
    #[serde(default)]
    edited: Map<String, Value>,
    #[serde(default)]
    options: Options,
    identities: Vec<Identity>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    include_all_identities: bool,
    #[serde(default)]
    map_identities: bool,
    sign_secret: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    connection: String,
    provider: String,
    subject: String,
    is_social: bool,
    #[serde(default = "yes")]
    allows_login: bool,
    #[serde(default)]
    is_login_identity: bool,
    last_login: String,
    last_updated: String,
    #[serde(default)]
    expired_session: bool,
    token: Option<String>,
    /// As the mapping table left it.
    profile: Value,
}

const fn yes() -> bool {
    true
}

/// Name of the test, the person, the dialect.
macro_rules! golden {
    ($($test:ident: $person:literal in $dialect:ident;)*) => {
        $(#[test]
        fn $test() {
            check($person, Dialect::$dialect);
        })*

        #[test]
        fn every_file_is_used() {
            let mut expected = BTreeSet::new();
            $(expected.insert(format!("{}.json", $person));
            expected.insert(format!("{}.{}.json", $person, Dialect::$dialect.name()));)*
            let found: BTreeSet<String> = std::fs::read_dir(directory())
                .expect("the directory")
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect();
            assert_eq!(found, expected);
        }
    };
}

golden! {
    s2_22_a_saml_university_in_auth0: "saml-university" in Auth0;
    s2_22_a_saml_university_in_gigya: "saml-university" in Gigya;
    s2_22_a_saml_university_in_logto: "saml-university" in Logto;
    s4_2_an_entra_enterprise_in_auth0: "saml-entra" in Auth0;
    s4_2_an_entra_enterprise_in_gigya: "saml-entra" in Gigya;
    s4_2_an_entra_enterprise_in_logto: "saml-entra" in Logto;
    s0_14_google_in_auth0: "oidc-google" in Auth0;
    s0_14_google_in_gigya: "oidc-google" in Gigya;
    s0_14_google_in_logto: "oidc-google" in Logto;
    s1_7_github_without_email_in_auth0: "oauth2-github" in Auth0;
    s1_7_github_without_email_in_gigya: "oauth2-github" in Gigya;
    s1_7_github_without_email_in_logto: "oauth2-github" in Logto;
    s2_3_wechat_with_a_long_id_in_auth0: "wechat" in Auth0;
    s2_3_wechat_with_a_long_id_in_gigya: "wechat" in Gigya;
    s0_4_wechat_with_a_long_id_in_logto: "wechat" in Logto;
    s2_facebook_with_everything_in_auth0: "facebook" in Auth0;
    s2_facebook_with_everything_in_gigya: "facebook" in Gigya;
    s2_facebook_with_everything_in_logto: "facebook" in Logto;
    s2_19_an_apple_relay_in_auth0: "apple-relay" in Auth0;
    s2_19_an_apple_relay_in_gigya: "apple-relay" in Gigya;
    s2_19_an_apple_relay_in_logto: "apple-relay" in Logto;
    s4_24_ldap_in_auth0: "ldap" in Auth0;
    s4_24_ldap_in_gigya: "ldap" in Gigya;
    s4_24_ldap_in_logto: "ldap" in Logto;
    s4_27_linked_identities_in_auth0: "linked" in Auth0;
    s4_27_linked_identities_in_gigya: "linked" in Gigya;
    s4_27_linked_identities_in_logto: "linked" in Logto;
}

fn check(person: &str, dialect: Dialect) {
    let record: Record = read(&format!("{person}.json"));
    let expected: Value = read(&format!("{person}.{}.json", dialect.name()));
    let signer = record.options.sign_secret.clone().map(|secret| GigyaSigner::from_base64(&Secret::new(secret)).expect("a secret"));
    let options = DialectOptions {
        include_all_identities: record.options.include_all_identities,
        map_identities: record.options.map_identities,
        sign_ids: signer.as_ref(),
        now: time("2026-03-01T12:00:00Z"),
    };
    let found = record.sample().with(|person| Value::from(render(dialect, person, &options)));
    let mut found_differences = Vec::new();
    differences("", Some(&expected), Some(&found), &mut found_differences);
    assert!(found_differences.is_empty(), "{person} in {}:\n{}", dialect.name(), found_differences.join("\n"));
}

impl Record {
    fn sample(self) -> Sample {
        let identities: Vec<SampleIdentity> = self.identities.into_iter().map(Identity::sample).collect();
        let mut root = identities.first().expect("an identity").profile.as_map().clone();
        root.extend(self.edited);
        Sample {
            user_id: self.user_id,
            created_at: time(&self.created_at),
            updated_at: time(&self.updated_at),
            last_login: self.last_login.as_deref().map(time),
            last_ip: self.last_ip,
            logins_count: self.logins_count,
            blocked: self.blocked,
            root: Some(Profile::from_map(root)),
            user_metadata: self.user_metadata,
            app_metadata: self.app_metadata,
            custom_fields: self.custom_fields,
            identities,
        }
    }
}

impl Identity {
    fn sample(self) -> SampleIdentity {
        let user_id = format!("{}|{}|{}", self.provider, self.connection, self.subject);
        SampleIdentity {
            profile: normalized(self.profile, &user_id, &self.subject),
            connection: self.connection,
            provider: self.provider,
            subject: self.subject,
            is_social: self.is_social,
            allows_login: self.allows_login,
            is_login_identity: self.is_login_identity,
            last_login: time(&self.last_login),
            last_updated: time(&self.last_updated),
            expired_session: self.expired_session,
            tokens: self.token.map(|token| ProviderTokens::bare(Secret::new(token))),
        }
    }
}

/// One line for each place where the two are not the same.
fn differences(path: &str, expected: Option<&Value>, found: Option<&Value>, lines: &mut Vec<String>) {
    match (expected, found) {
        (Some(Value::Object(expected)), Some(Value::Object(found))) => {
            let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
            for name in names {
                differences(&format!("{path}/{name}"), expected.get(name), found.get(name), lines);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(found))) => {
            for at in 0..expected.len().max(found.len()) {
                differences(&format!("{path}/{at}"), expected.get(at), found.get(at), lines);
            }
        }
        (expected, found) if expected != found => {
            let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            lines.push(format!("{path}: expected {}, found {}", shown(expected), shown(found)));
        }
        _ => {}
    }
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialects")
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(directory().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_difference_is_told() {
    let mut lines = Vec::new();
    let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    differences("", Some(&value(r#"{"a": [1, 2], "b": 1}"#)), Some(&value(r#"{"a": [1], "c": 1, "b": 1.0}"#)), &mut lines);
    assert_eq!(lines, ["/a/1: expected 2, found nothing", "/b: expected 1, found 1.0", "/c: expected nothing, found 1"]);
}
