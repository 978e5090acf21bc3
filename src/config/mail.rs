//! `[mail]`: the server that takes our messages to people.

use super::application::is_loopback;
use super::context::Context;
use super::{authorities, secrets};
use crate::broker::mail::{MailSettings, MailTls, is_sender};
use crate::toml_file::Section;
use url::Url;

/// Reads the table; without one nobody is written to.
pub fn read(context: &Context<'_>, root: &Section<'_>) -> Option<MailSettings> {
    let section = root.section("mail")?;
    let host = section.required("host").map(|at| at.value.to_owned());
    let choices = [("starttls", MailTls::StartTls), ("tls", MailTls::Wrapped), ("none", MailTls::None)];
    let tls = section.choice("tls", &choices).unwrap_or(MailTls::StartTls);
    let is_here = host.as_deref().and_then(|host| Url::parse(&format!("http://{host}")).ok()).is_some_and(|url| is_loopback(&url));
    if tls == MailTls::None && !is_here {
        section.problem("tls", "links that sign people in would be sent in the clear", "use \"starttls\" or \"tls\"");
    }
    let usual = match tls {
        MailTls::StartTls => 587,
        MailTls::Wrapped => 465,
        MailTls::None => 25,
    };
    let port = section.integer("port", 1..=65_535).and_then(|at| u16::try_from(at.value).ok()).unwrap_or(usual);
    let authorities = authorities::read(context, &section);
    let username = section.string("username").map(|at| at.value.to_owned());
    let password = secrets::read(context, &section, "password");
    if username.is_some() != section.has("password") {
        section.problem("username", "`username` and `password` belong together", "write both, or none");
    }
    let from = section.required("from").map(|at| at.value.to_owned());
    if let Some(from) = from.as_deref().filter(|from| !is_sender(from)) {
        section.problem("from", format!("`{from}` is no address"), "write it as in Acme <login@acme.example>");
    }
    section.finish();
    Some(MailSettings { host: host?, port, tls, authorities, account: username.zip(password), from: from? })
}

#[cfg(test)]
mod tests {
    use crate::broker::mail::MailTls;
    use crate::config::render_human;
    use crate::config::tests::{GOOD, config, findings};

    #[test]
    fn a_mail_server_is_spoken_to_by_tls_or_stands_here() {
        let mail = |more: &str| format!("{GOOD}\n[mail]\nhost = \"mail.acme.example\"\nfrom = \"Acme <login@acme.example>\"\n{more}\n");
        let usual = config(&mail("")).mail.expect("read");
        assert_eq!((usual.port, usual.tls, usual.account.is_none()), (587, MailTls::StartTls, true));
        assert_eq!(config(&mail("tls = \"tls\"")).mail.expect("read").port, 465);
        assert!(config(GOOD).mail.is_none());
        for (text, path) in [
            (mail("tls = \"none\""), "mail.tls"),
            (mail("username = \"isthmus\""), "mail.username"),
            (mail("").replace("Acme <login@acme.example>", "Acme"), "mail.from"),
            (mail("ca_file = \"nowhere.pem\""), "mail.ca_file"),
            (mail("host = 1").replace("host = \"mail.acme.example\"\n", ""), "mail.host"),
            (mail("more = 1"), "mail.more"),
        ] {
            let found = findings(&text);
            assert!(found.problems.iter().any(|problem| problem.path == path), "{path}: {}", render_human(&found));
        }
        let here = mail("tls = \"none\"").replace("mail.acme.example", "127.0.0.1");
        assert_eq!(config(&here).mail.expect("read").tls, MailTls::None);
    }
}
