//! `[connection.ldap]`.

use crate::config::application::is_loopback;
use crate::config::context::Context;
use crate::config::{authorities, secrets};
use crate::connection::ldap::{Find, Groups, LdapSettings, Lookup, Nested, Search, is_filter, names};
use crate::connection::outbound::download::Reach;
use crate::toml_file::Section;
use std::time::Duration;
use url::Url;

/// What directories of a kind have.
#[derive(Clone, Copy)]
struct Schema {
    filter: &'static str,
    subject: &'static str,
}

const SCHEMAS: &[(&str, Schema)] = &[
    ("openldap", Schema { filter: "(|(uid={username})(mail={username}))", subject: "entryUUID" }),
    (
        "active_directory",
        Schema {
            filter: "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={username})(userPrincipalName={username})))",
            subject: "objectGUID",
        },
    ),
];

/// What the mapping table `ldap` reads.
const ATTRIBUTES: [&str; 27] = [
    "uid",
    "cn",
    "sn",
    "givenName",
    "displayName",
    "mail",
    "telephoneNumber",
    "mobile",
    "title",
    "department",
    "departmentNumber",
    "company",
    "o",
    "physicalDeliveryOfficeName",
    "employeeNumber",
    "employeeID",
    "preferredLanguage",
    "street",
    "streetAddress",
    "l",
    "st",
    "postalCode",
    "c",
    "sAMAccountName",
    "userPrincipalName",
    "eduPersonAffiliation",
    "memberOf",
];

/// Nobody needs them here, and they could be tried elsewhere.
const PASSWORDS: [&str; 4] = ["userPassword", "unicodePwd", "sambaNTPassword", "sambaLMPassword"];

/// Reads the settings of a directory.
pub fn read(context: &Context<'_>, section: &Section<'_>) -> Option<LdapSettings> {
    let (servers, start_tls) = servers(context, section);
    let schema = section.choice("schema", SCHEMAS).or(SCHEMAS.first().map(|(_, schema)| *schema))?;
    let find = find(context, section, schema);
    let subject_attribute = section.string("subject_attribute").map_or(schema.subject, |at| at.value).to_owned();
    let binary_attributes: Vec<String> = texts(section, "binary_attributes");
    let groups = groups(section);
    let mut attributes: Vec<String> = ATTRIBUTES.map(str::to_owned).into();
    let named = groups.as_ref().map(group_attributes).unwrap_or_default();
    for name in
        texts(section, "attributes").into_iter().chain(binary_attributes.iter().cloned()).chain([subject_attribute.clone()]).chain(named)
    {
        if !attributes.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            attributes.push(name);
        }
    }
    for name in attributes.iter().filter(|name| PASSWORDS.iter().any(|known| known.eq_ignore_ascii_case(name))) {
        section.problem("attributes", format!("`{name}` is a password"), "remove it: passwords are tried, and never read");
    }
    let tell_locked = section.bool("tell_locked").unwrap_or(false);
    if tell_locked {
        let message = "weakened: people who try names learn which of them are locked accounts";
        section.warning("tell_locked", message, "remove it, unless nobody outside can reach the page");
    }
    let seconds =
        |key: &'static str, usual: u64| Duration::from_secs(section.integer(key, 1..=60).map_or(usual, |at| at.value.unsigned_abs()));
    let settings = LdapSettings {
        servers: servers?,
        start_tls,
        // What the management API makes is asked nowhere inside, as other providers are not.
        reach: if context.stored().is_some() { Reach::Public } else { Reach::Everything },
        authorities: authorities::read(context, section),
        find: find?,
        subject_attribute,
        attributes,
        binary_attributes,
        groups: groups?,
        tell_locked,
        acr: super::acr_table(section),
        connect_timeout: seconds("connect_timeout", 3),
        timeout: seconds("timeout", 5),
        connections: section.integer("connections", 1..=500).and_then(|at| usize::try_from(at.value).ok()).unwrap_or(16),
    };
    Some(settings)
}

/// TLS, or in development a machine that is this one.
fn servers(context: &Context<'_>, section: &Section<'_>) -> (Option<Vec<Url>>, bool) {
    let start_tls = section.bool("start_tls").unwrap_or(false);
    let Some(texts) = section.strings("servers").filter(|texts| !texts.is_empty()) else {
        if !section.has("servers") {
            section.problem("servers", "`servers` is missing", "write them as in [\"ldaps://ldap.acme.example\"]");
        } else {
            section.problem("servers", "there are no servers", "write them as in [\"ldaps://ldap.acme.example\"]");
        }
        return (None, start_tls);
    };
    let mut servers = Vec::new();
    for at in texts {
        let refuse = |message: &str, help: &str| {
            section.file().problem(at.span.clone(), &at.path, format!("`{}` {message}", at.value), help);
        };
        let url = Url::parse(at.value).ok().filter(|url| url.has_host() && matches!(url.scheme(), "ldap" | "ldaps"));
        let Some(url) = url.filter(|url| matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty()) else {
            refuse("is no address of a directory", "write scheme and host, as in ldaps://ldap.acme.example");
            continue;
        };
        let loopback = is_loopback(&Url::parse(&format!("http://{}", url.host_str().unwrap_or_default())).unwrap_or_else(|_| url.clone()));
        match (url.scheme(), start_tls) {
            ("ldaps", true) => refuse("has TLS already", "remove `start_tls`, or write ldap://"),
            ("ldap", false) if !(context.development && loopback) => {
                refuse("would carry passwords in the clear", "write ldaps://, or add start_tls = true");
            }
            _ => {}
        }
        servers.push(url);
    }
    (Some(servers), start_tls)
}

fn find(context: &Context<'_>, section: &Section<'_>, schema: Schema) -> Option<Find> {
    let direct = section.string("user_dn");
    let base = section.string("user_base").map(|at| at.value.to_owned());
    let filter = filter(section, "user_filter", schema.filter, |name| name == "username");
    let subtree = scope(section, "user_scope");
    let search = base.map(|base| Search { base, filter, subtree });
    let account = section.string("bind_dn").map(|at| at.value.to_owned());
    let kept = context.stored().and_then(|stored| stored.key.cloned());
    let has_password = section.has("bind_password") || kept.is_some();
    let password = secrets::read(context, section, "bind_password").or(kept);
    if account.is_some() != has_password {
        section.problem("bind_dn", "`bind_dn` and `bind_password` belong together", "write both, or none where anybody may search");
    }
    if account.as_deref() == Some("") || password.as_ref().is_some_and(|password| password.expose().is_empty()) {
        section.problem("bind_dn", "our own account has a name and a password", "remove both where anybody may search");
    }
    match (direct, search) {
        (Some(at), search) => {
            if account.is_some() {
                section.problem(
                    "user_dn",
                    "people are bound as themselves, so there is no account of ours",
                    "remove `bind_dn`, or `user_dn`",
                );
            }
            if names(at.value) != ["username"] {
                let message = format!("`{}` does not say once where the name stands", at.value);
                section.problem("user_dn", message, "write it as in uid={username},ou=people,dc=acme,dc=example");
            }
            if !at.value.contains('=') && search.is_none() {
                section.problem("user_base", "without a DN the entry has to be searched for", "add `user_base`, below which people are");
            }
            Some(Find::Direct { name: at.value.to_owned(), search })
        }
        (None, Some(search)) => Some(Find::Search { account: account.zip(password), search }),
        (None, None) => {
            section.problem(
                "user_base",
                "`user_base` is missing",
                "write below which entry people are, as in ou=people,dc=acme,dc=example",
            );
            None
        }
    }
}

fn scope(section: &Section<'_>, key: &'static str) -> bool {
    section.choice(key, &[("subtree", true), ("one_level", false)]).unwrap_or(true)
}

/// A filter whose names in braces are all known.
fn filter(section: &Section<'_>, key: &'static str, usual: &str, known: impl Fn(&str) -> bool) -> String {
    let text = section.string(key).map_or(usual, |at| at.value);
    let names = names(text);
    if !is_filter(text) {
        section.problem(key, format!("`{text}` is no filter"), "write it as in (uid={username}), with all its brackets");
    } else if names.is_empty() || !names.iter().all(|name| known(name)) {
        section.problem(key, format!("`{text}` does not ask for the person"), "write the name in braces where it stands");
    }
    text.to_owned()
}

fn groups(section: &Section<'_>) -> Option<Groups> {
    let Some(section) = section.section("groups") else { return Some(Groups { lookup: Lookup::MemberOf, nested: Nested::No }) };
    let base = section.string("base").map(|at| at.value.to_owned());
    let is_attribute = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let filter = filter(&section, "filter", "(|(member={dn})(uniqueMember={dn}))", is_attribute);
    let subtree = scope(&section, "scope");
    let base = || {
        if base.is_none() {
            section.problem("base", "`base` is missing", "write below which entry groups are, as in ou=groups,dc=acme,dc=example");
        }
        base.clone()
    };
    let lookup = match section.choice("lookup", &[("member_of", false), ("search", true)]).unwrap_or(false) {
        false => Some(Lookup::MemberOf),
        true => base().map(|base| Lookup::Search(Search { base, filter, subtree })),
    };
    let nested = match section.choice("nested", &[("no", 0), ("steps", 1), ("in_chain", 2)]).unwrap_or(0) {
        0 => Some(Nested::No),
        1 => Some(Nested::Steps),
        _ => base().map(Nested::InChain),
    };
    section.finish();
    Some(Groups { lookup: lookup?, nested: nested? })
}

/// Attributes of people that the filter for groups names.
fn group_attributes(groups: &Groups) -> Vec<String> {
    let Lookup::Search(search) = &groups.lookup else { return Vec::new() };
    names(&search.filter).into_iter().filter(|name| *name != "dn").map(str::to_owned).collect()
}

fn texts(section: &Section<'_>, key: &'static str) -> Vec<String> {
    section.strings(key).unwrap_or_default().into_iter().map(|at| at.value.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::render_human;
    use crate::config::tests::{GOOD, config, findings};
    use crate::connection::recipients::Recipients;

    fn paths(ldap: &str) -> Vec<String> {
        let found = findings(&format!("{GOOD}\n[[connection]]\nname = \"staff\"\n[connection.ldap]\n{ldap}\n"));
        let prefix = "connection[1].ldap.";
        let path = |path: &str| path.split_once(".ldap.").map_or(path, |(_, rest)| rest).to_owned();
        let paths: Vec<String> = found.problems.iter().map(|problem| path(&problem.path)).collect();
        assert!(!paths.iter().any(|path| path.starts_with(prefix)), "{}", render_human(&found));
        paths
    }

    #[test]
    fn a_directory_is_asked_by_tls_or_not_at_all() {
        let base = "user_base = \"ou=people,dc=x\"";
        assert_eq!(paths(&format!("servers = [\"ldaps://ldap.acme.example\"]\n{base}")), [""; 0]);
        assert_eq!(paths(&format!("servers = [\"ldap://ldap.acme.example\"]\nstart_tls = true\n{base}")), [""; 0]);
        // In development, on this machine.
        assert_eq!(paths(&format!("servers = [\"ldap://127.0.0.1\"]\n{base}")), [""; 0]);
        for server in [
            "ldap://ldap.acme.example",
            "https://x.example",
            "ldaps://x.example/dc=x",
            "ldaps://x.example/?uid",
            "ldaps://gateway@x.example",
        ] {
            let servers = format!("[\"{server}\"]");
            assert_eq!(paths(&format!("servers = {servers}\n{base}")), ["servers[0]"], "{servers}");
        }
        assert_eq!(paths(&format!("servers = [\"ldaps://x.example\"]\nstart_tls = true\n{base}")), ["servers[0]"]);
        assert_eq!([paths(base), paths(&format!("servers = []\n{base}"))], [["servers"], ["servers"]]);
    }

    #[test]
    fn a_directory_without_tls_is_somebody_else() {
        let recipients = |ldap: &str| {
            let text = format!("{GOOD}\n[[connection]]\nname = \"staff\"\n[connection.ldap]\nuser_base = \"dc=x\"\n{ldap}\n");
            let found = config(&text).connections.into_iter().find(|found| found.name == "staff").expect("read");
            Recipients::of(&found)
        };
        let (tls, plain) =
            (recipients("servers = [\"ldap://127.0.0.1\"]\nstart_tls = true"), recipients("servers = [\"ldap://127.0.0.1\"]"));
        assert_eq!(plain.beyond(&tls).as_deref(), Some("ldap://127.0.0.1:389"));
        assert_eq!((plain.beyond(&plain), tls.beyond(&tls)), (None, None));
    }

    #[test]
    fn a_second_factor_is_asked_for_where_people_type_a_password() {
        let directory = "[connection.ldap]\nservers = [\"ldaps://ldap.acme.example\"]\nuser_base = \"ou=people,dc=x\"";
        let found = |option: &str, protocol: &str| {
            let found = findings(&format!("{GOOD}\n[[connection]]\nname = \"staff\"\nsecond_factor = {option}\n{protocol}\n"));
            found.problems.iter().map(|problem| problem.path.clone()).collect::<Vec<_>>()
        };
        for option in ["off", "optional", "required"] {
            assert_eq!(found(&format!("\"{option}\""), directory), [""; 0], "{option}");
        }
        let provider = "[connection.oidc]\nissuer = \"https://op.example\"\nclient_id = \"x\"\nclient_secret = \"secret\"";
        assert_eq!(found("\"off\"", provider), [""; 0]);
        for (option, protocol) in [("\"required\"", provider), ("\"optional\"", provider), ("\"always\"", directory), ("true", directory)] {
            assert_eq!(found(option, protocol), ["connection[1].second_factor"], "{option} {protocol}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let server = "servers = [\"ldaps://ldap.acme.example\"]\n";
        let base = "user_base = \"ou=people,dc=x\"\n";
        for (ldap, expected) in [
            ("", "user_base"),
            ("user_base = \"dc=x\"\nuser_filter = \"uid={username}\"", "user_filter"),
            ("user_base = \"dc=x\"\nuser_filter = \"(uid=jane)\"", "user_filter"),
            ("user_base = \"dc=x\"\nuser_filter = \"(uid={name})\"", "user_filter"),
            ("user_dn = \"uid=jane,dc=x\"", "user_dn"),
            ("user_dn = \"{username}@acme.example\"", "user_base"),
            ("user_base = \"dc=x\"\nbind_dn = \"cn=gateway,dc=x\"", "bind_dn"),
            ("user_base = \"dc=x\"\nbind_dn = \"\"\nbind_password = \"secret\"", "bind_dn"),
            ("user_base = \"dc=x\"\nbind_dn = \"cn=gateway,dc=x\"\nbind_password = \"\"", "bind_dn"),
            ("user_dn = \"uid={username},dc=x\"\nbind_dn = \"cn=gateway,dc=x\"\nbind_password = \"secret\"", "user_dn"),
            ("user_base = \"dc=x\"\nattributes = [\"userpassword\"]", "attributes"),
            ("user_base = \"dc=x\"\nca_file = \"nowhere.pem\"", "ca_file"),
            ("user_base = \"dc=x\"\nca_file = \"isthmus.toml\"", "ca_file"),
            ("user_base = \"dc=x\"\n[connection.ldap.groups]\nlookup = \"search\"", "groups.base"),
            ("user_base = \"dc=x\"\n[connection.ldap.groups]\nnested = \"in_chain\"", "groups.base"),
        ] {
            assert_eq!(paths(&format!("{server}{ldap}")), [expected], "{ldap}");
        }
        assert_eq!(paths(&format!("{server}{base}unknown = 1")), ["unknown"]);
    }
}
