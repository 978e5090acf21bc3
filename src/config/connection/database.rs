//! `[connection.database]`.

use crate::config::application::is_loopback;
use crate::config::context::Context;
use crate::config::secrets;
use crate::connection::database::{CUSTOM_SECRET, CustomSettings, DatabaseSettings, Names, PasswordPolicy, SHORTEST, SigningSecret};
use crate::connection::outbound::download::Reach;
use crate::oidc::rp::provider::is_endpoint;
use crate::toml_file::Section;
use crate::user::folded;
use url::Url;

/// Reads the settings of a database.
pub fn read(context: &Context<'_>, section: &Section<'_>) -> Option<DatabaseSettings> {
    let names = names(section);
    let sign_up = section.bool("sign_up").unwrap_or(false);
    let require_verified_email = section.bool("require_verified_email").unwrap_or(false);
    if let Some(names) = names.filter(|names| !names.email) {
        if sign_up {
            section.problem("sign_up", "people without an address cannot be written to", "add \"email\" to `names`");
        }
        if require_verified_email && !names.email {
            section.problem("require_verified_email", "people here have no address", "add \"email\" to `names`");
        }
    }
    let reset = section.bool("reset").unwrap_or(true);
    let (policy, acr) = (policy(section), super::acr_table(section));
    let custom = match section.section("custom") {
        Some(section) => Some(custom(context, &section)?),
        None => None,
    };
    Some(DatabaseSettings { names: names?, sign_up, reset, require_verified_email, policy, custom, acr })
}

/// Are the accounts of this connection behind an endpoint of the operator's?
pub fn is_elsewhere(connection: &Section<'_>) -> bool {
    connection.section("database").is_some_and(|database| database.has("custom"))
}

/// `[connection.database.custom]`; what the management API makes has its secrets beside it.
fn custom(context: &Context<'_>, section: &Section<'_>) -> Option<CustomSettings> {
    let kept = |key: &str| {
        let stored = context.stored()?;
        if key == "secret" { stored.shared_secret.cloned() } else { stored.key.cloned() }
    };
    let endpoint = section.required("endpoint").and_then(|at| {
        let url = Url::parse(at.value).ok().filter(|url| is_endpoint(url, context.loopback && is_loopback(url)));
        if url.is_none() {
            section.problem(
                "endpoint",
                format!("`{}` is no https address", at.value),
                "write it in full, as in https://users.acme.example/isthmus",
            );
        }
        url
    });
    if !section.has("secret") && kept("secret").is_none() {
        section.problem("secret", "`secret` is missing", "make one of `openssl rand -hex 32`, and give it to the endpoint too");
    }
    let secret = |key: &'static str| {
        let text = secrets::read(context, section, key).or_else(|| kept(key))?;
        let secret = SigningSecret::parse(&text);
        if secret.is_none() {
            let message = format!("`{key}` has fewer than {CUSTOM_SECRET} octets, or is `whsec_` without base64");
            section.problem(key, message, "make one of `openssl rand -hex 32`, and give it to the endpoint too");
        }
        secret
    };
    let (first, previous, reach) = (secret("secret"), secret("previous_secret"), super::client::reach(context, section));
    let reach = if context.loopback { Reach::Everything } else { reach };
    section.finish();
    Some(CustomSettings { endpoint: endpoint?, secrets: [Some(first?), previous].into_iter().flatten().collect(), reach })
}

fn names(section: &Section<'_>) -> Option<Names> {
    let Some(texts) = section.strings("names") else { return (!section.has("names")).then_some(Names { email: true, username: false }) };
    let mut names = Names { email: false, username: false };
    for at in texts {
        match at.value {
            "email" => names.email = true,
            "username" => names.username = true,
            other => {
                let help = "people type their `email`, their `username`, or either";
                section.file().problem(at.span.clone(), &at.path, format!("`{other}` is nothing that people are known by"), help);
            }
        }
    }
    if !names.email && !names.username {
        section.problem("names", "nobody could be known by anything", "write [\"email\"], [\"username\"] or both");
        return None;
    }
    Some(names)
}

/// `[connection.database.passwords]`.
fn policy(section: &Section<'_>) -> PasswordPolicy {
    let usual = PasswordPolicy::default();
    let Some(section) = section.section("passwords") else { return usual };
    let number = |key: &'static str, range| section.integer(key, range).and_then(|at| usize::try_from(at.value).ok());
    let policy = PasswordPolicy {
        min_length: number("min_length", i64::try_from(SHORTEST).unwrap_or(8)..=128).unwrap_or(usual.min_length),
        kinds: number("kinds", 0..=4).unwrap_or(usual.kinds),
        common: section.bool("refuse_common").unwrap_or(usual.common),
        personal: section.bool("refuse_personal").unwrap_or(usual.personal),
        words: section.strings("words").unwrap_or_default().into_iter().map(|at| folded(at.value)).collect(),
    };
    for (key, kept) in [("refuse_common", policy.common), ("refuse_personal", policy.personal)] {
        if !kept {
            let message = "weakened: people may choose passwords that are tried first";
            section.warning(key, message, "remove it; whoever knows a better password needs no rule");
        }
    }
    section.finish();
    policy
}

#[cfg(test)]
mod tests {
    use crate::config::render_human;
    use crate::config::tests::{GOOD, config, findings};
    use crate::connection::config::ConnectionKind;

    fn with(database: &str) -> String {
        let mail = "[mail]\nhost = \"mail.acme.example\"\nfrom = \"login@acme.example\"";
        format!("{GOOD}\n{mail}\n[[connection]]\nname = \"people\"\n[connection.database]\n{database}\n")
    }

    #[test]
    fn a_database_lets_nobody_sign_up_unless_it_is_said() {
        let settings =
            |text: &str| match config(&with(text)).connections.into_iter().find(|found| found.name == "people").expect("read").kind {
                ConnectionKind::Database(settings) => settings,
                other => panic!("{other:?}"),
            };
        let usual = settings("");
        assert!(usual.names.email && !usual.names.username && !usual.sign_up && !usual.require_verified_email);
        assert_eq!((usual.policy.min_length, usual.policy.common, usual.policy.personal), (8, true, true));
        let said = settings(
            "names = [\"email\", \"username\"]\nsign_up = true\nrequire_verified_email = true\n\
             [connection.database.passwords]\nmin_length = 12\nkinds = 3\nwords = [\"Acme\"]",
        );
        assert!(said.names.email && said.names.username && said.sign_up && said.require_verified_email);
        assert_eq!((said.policy.min_length, said.policy.kinds, said.policy.words.as_slice()), (12, 3, &["acme".to_owned()][..]));
    }

    #[test]
    fn accounts_may_be_behind_an_endpoint() {
        let secret = "0123456789abcdefghijklmnopqrstuvwxyz";
        let custom = |text: &str| format!("{}[connection.database.custom]\n{text}\n", with(""));
        let good = custom(&format!("endpoint = \"https://users.acme.example/\"\nsecret = \"{secret}\"\nprevious_secret = \"{secret}2\""));
        let good = good.replace("name = \"people\"", "name = \"people\"\nprofile_sync = \"on_each_login\"\nmapping = \"oidc\"");
        let found = config(&good).connections.into_iter().find(|found| found.name == "people").expect("read");
        assert_eq!((found.strategy(), found.keeps_accounts()), ("custom", false));
        let ConnectionKind::Database(settings) = found.kind else { unreachable!() };
        assert_eq!(settings.custom.as_ref().map(|custom| custom.secrets.len()), Some(2));
        for (text, expected) in [
            (format!("secret = \"{secret}\""), "endpoint"),
            (format!("endpoint = \"http://users.acme.example/\"\nsecret = \"{secret}\""), "endpoint"),
            ("endpoint = \"https://users.acme.example/\"".to_owned(), "secret"),
            ("endpoint = \"https://users.acme.example/\"\nsecret = \"short\"".to_owned(), "secret"),
            (format!("endpoint = \"https://users.acme.example/\"\nsecret = \"{secret}\"\nother = 1"), "other"),
        ] {
            let found = findings(&custom(&text));
            let path = format!("database.custom.{expected}");
            assert!(found.problems.iter().any(|problem| problem.path.ends_with(&path)), "{}", render_human(&found));
        }
    }

    #[test]
    fn what_cannot_work_is_refused_and_what_is_weak_is_told() {
        for (text, expected) in [
            ("names = []", "names"),
            ("names = [\"phone\"]", "names[0]"),
            ("names = [\"username\"]\nsign_up = true", "sign_up"),
            ("[connection.database.passwords]\nmin_length = 6", "passwords.min_length"),
            ("unknown = 1", "unknown"),
        ] {
            let found = findings(&with(text));
            let path = format!("connection[1].database.{expected}");
            assert!(
                found.problems.iter().any(|problem| problem.path.ends_with(&path[path.find(".database").unwrap_or(0)..])),
                "{}",
                render_human(&found)
            );
        }
        let weak = findings(&with("[connection.database.passwords]\nrefuse_common = false"));
        assert!(
            weak.problems.is_empty() && weak.warnings.iter().any(|warning| warning.message.starts_with("weakened")),
            "{}",
            render_human(&weak)
        );
        let unwritten = findings(&with("sign_up = true").replace("[mail]", "[mali]"));
        assert!(unwritten.problems.iter().any(|problem| problem.path == "mail"), "{}", render_human(&unwritten));
        let synced = findings(&with("").replace("name = \"people\"", "name = \"people\"\nprofile_sync = \"on_each_login\""));
        assert!(synced.problems.iter().any(|problem| problem.path.ends_with("profile_sync")), "{}", render_human(&synced));
    }
}
