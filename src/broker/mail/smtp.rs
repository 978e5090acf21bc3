//! The mail server of the operator, by SMTP (RFC 5321), with TLS unless it is on this machine.

use super::{Letter, NotSent, misconfigured};
use crate::error::Result;
use crate::id;
use crate::secret::Secret;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use std::time::Duration;
use tokio::time::timeout;

/// `[mail]`.
#[derive(Clone, Debug)]
pub struct MailSettings {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    /// PEM certificates of those who may vouch for the server, instead of those of this machine.
    pub authorities: Option<String>,
    /// Name and password.
    pub account: Option<(String, Secret<String>)>,
    /// As in `Acme <login@acme.example>`.
    pub from: String,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// From the first octet on.
    Wrapped,
    /// By STARTTLS, before anything is said.
    StartTls,
    None,
}

/// Longer than a server takes that works, shorter than the lease of the queue.
const STEP: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(25);

pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Is it an address with or without a name, as in `Acme <login@acme.example>`?
pub fn is_sender(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

/// Can a message go there? Addresses with other letters than ASCII need servers on the way that know them (RFC 6531).
pub fn is_mailbox(text: &str) -> bool {
    text.is_ascii() && text.parse::<lettre::Address>().is_ok()
}

impl Smtp {
    /// # Errors
    /// When the settings cannot be used.
    pub(super) fn new(settings: &MailSettings) -> Result<Self> {
        let from: Mailbox = settings.from.parse().map_err(|_| misconfigured("mail.from is no address"))?;
        let tls = match settings.tls {
            MailTls::None => Tls::None,
            MailTls::Wrapped => Tls::Wrapper(tls(settings)?),
            MailTls::StartTls => Tls::Required(tls(settings)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.as_str())
            .port(settings.port)
            .tls(tls)
            .timeout(Some(STEP))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()));
        if let Some((name, password)) = &settings.account {
            builder = builder.credentials(Credentials::new(name.clone(), password.expose().clone()));
        }
        Ok(Self { transport: builder.build(), from })
    }

    pub(super) async fn send(&self, letter: &Letter) -> std::result::Result<(), NotSent> {
        let message = self.message(letter)?;
        match timeout(WHOLE, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_permanent() => Err(NotSent::Refused(format!("the mail server refuses it: {error}"))),
            Ok(Err(error)) => Err(NotSent::Failed(format!("the mail server does not take it: {error}"))),
            Err(_) => Err(NotSent::Failed("the mail server does not answer in time".to_owned())),
        }
    }

    fn message(&self, letter: &Letter) -> std::result::Result<Message, NotSent> {
        let refuse = |what: &str| NotSent::Refused(format!("the message cannot be written: {what}"));
        let to = letter.to.parse().map_err(|_| refuse("the address is none"))?;
        // One line, whatever an application is called.
        let subject: String = letter.subject.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .message_id(Some(format!("<{}@{}>", id::random_id(), self.from.email.domain())))
            // RFC 3834 5: nobody's absence is answered with.
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.replace("\r\n", "\n").replace('\n', "\r\n"))
            .map_err(|error| refuse(&error.to_string()))
    }
}

fn tls(settings: &MailSettings) -> Result<TlsParameters> {
    let refuse = |what: &'static str| move |error: lettre::transport::smtp::Error| misconfigured(what).because(error);
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(pem) = &settings.authorities {
        builder = builder.certificate_store(CertificateStore::None);
        for pem in certificates(pem) {
            let certificate =
                Certificate::from_pem(pem.as_bytes()).map_err(refuse("mail.ca_file has a certificate that cannot be used"))?;
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(refuse("TLS cannot be set up for the mail server"))
}

/// The certificates of a PEM file, each by itself.
fn certificates(pem: &str) -> impl Iterator<Item = String> {
    const END: &str = "-----END CERTIFICATE-----";
    pem.split_inclusive(END).filter(|part| part.contains("-----BEGIN CERTIFICATE-----")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp() -> Smtp {
        let settings = MailSettings {
            host: "127.0.0.1".to_owned(),
            port: 25,
            tls: MailTls::None,
            authorities: None,
            account: None,
            from: "Acme <login@acme.example>".to_owned(),
        };
        Smtp::new(&settings).expect("made")
    }

    #[test]
    fn a_message_has_the_headers_of_one_and_nobody_adds_others() {
        let letter = Letter { to: "jane@acme.example".into(), subject: "Grüße\r\nBcc: eve@evil.example".into(), text: "One\nTwo".into() };
        let text = String::from_utf8(smtp().message(&letter).expect("written").formatted()).expect("text");
        let (headers, body) = text.split_once("\r\n\r\n").expect("a body");
        for expected in
            ["From: Acme <login@acme.example>", "To: jane@acme.example", "Auto-Submitted: auto-generated", "Message-ID: <", "Date: "]
        {
            assert!(headers.contains(expected), "{headers}");
        }
        assert!(!headers.contains("\r\nBcc") && body.contains("One\r\nTwo"), "{text}");
        for to in ["jane", "", "jane@acme.example\r\nBcc: eve@evil.example", "a@x.example, b@x.example"] {
            assert!(smtp().message(&Letter { to: to.into(), ..letter.clone() }).is_err(), "{to:?}");
        }
        assert!(is_sender("login@acme.example") && is_sender("Acme <login@acme.example>") && !is_sender("Acme"));
    }
}
