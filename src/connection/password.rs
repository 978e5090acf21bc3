//! What connections have in common whose people type their name and password into a page of ours: how a login is sent to
//! that page, what is typed there, and what may be wrong with it. The page itself is `broker/password.rs`.

use super::config::ConnectionConfig;
use super::{Authentication, BrowserStep, Refused, UpstreamRequest};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::PendingAuthn;
use crate::login::trace::{Step as Note, Trace};
use crate::secret::Secret;
use std::pin::Pin;
use url::Url;

/// Path of the page.
pub const PAGE: &str = "/login/password";

/// What somebody has typed.
#[derive(Clone, Copy)]
pub struct Typed<'a> {
    name: &'a str,
    password: &'a Secret<String>,
}

impl<'a> Typed<'a> {
    /// `None` for what no directory needs to see: nothing, too much, or control characters, which some of them cut or
    /// skip. Least of all an empty password, with which many directories let anybody in (RFC 4513 5.1.2).
    pub fn new(name: &'a str, password: &'a Secret<String>) -> Option<Self> {
        let name = name.trim();
        let plain = |text: &str, most: usize| !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control);
        (plain(name, NAME) && plain(password.expose(), PASSWORD)).then_some(Self { name, password })
    }

    /// Without blanks around it.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    pub const fn password(&self) -> &'a Secret<String> {
        self.password
    }
}

/// Octets of a name at most.
pub const NAME: usize = 256;

/// Octets of a password at most.
pub const PASSWORD: usize = 1024;

/// Why somebody could not sign in, as far as they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// The name, the password, or something else of which one may not know whether it is the name.
    Wrong,
    /// The password was right, and is too old.
    Expired,
    /// The password was right, and counts only for changing it.
    MustChange,
    /// The account takes no password for now, whether it is right or not.
    Locked,
    /// The password was right, and the account is switched off, at an end, or not allowed now.
    Disabled,
    /// The password was right, and the address of the account must be proven first.
    Unverified,
    /// Nobody has looked: too many passwords are being looked at.
    Busy,
    /// Nobody can say: the directory does not answer, or not as it must.
    Unavailable,
}

/// A password that did not let anybody in.
#[derive(Debug)]
pub enum NotProven {
    /// They may try again. `reason` is for operators.
    Again { why: Unproven, reason: String },
    /// The login is over.
    Refused(Box<Refused>),
}

impl NotProven {
    pub fn again(why: Unproven, reason: impl Into<String>) -> Self {
        Self::Again { why, reason: reason.into() }
    }
}

/// A password that is being looked at.
pub type Proving<'a> = Pin<Box<dyn Future<Output = Result<Authentication, NotProven>> + Send + 'a>>;

/// The step to the page. Whoever comes to it is asked, always: `prompt=login` and `max_age` need nothing more.
///
/// # Errors
/// [`ErrorKind::LoginRequired`] where nobody may be asked.
pub(super) fn begin(
    config: &ConnectionConfig,
    issuer: &str,
    transaction_id: &str,
    asked: &UpstreamRequest,
    now: Timestamp,
    trace: &mut Trace,
) -> Result<(BrowserStep, PendingAuthn)> {
    if asked.passive {
        return Err(Error::new(ErrorKind::LoginRequired, "Somebody would have to type a password."));
    }
    asked.check_comparison(config)?;
    let mut page = Url::parse(&format!("{issuer}{PAGE}"))
        .map_err(|error| Error::new(ErrorKind::Internal, "the page has no address").because(error))?;
    page.query_pairs_mut().append_pair("login", transaction_id);
    let request_id = id::random_id();
    trace.note(
        now,
        Note::RequestOut {
            connection: config.name.clone(),
            binding: "page for name and password".into(),
            destination: PAGE.to_owned(),
            request_id: request_id.clone(),
            facts: Vec::new(),
        },
    );
    let pending = PendingAuthn {
        force_authn: asked.force_authn,
        max_age: asked.max_age,
        authn_context: config.contexts(&asked.acr_values),
        authn_context_comparison: asked.acr_comparison,
        ..PendingAuthn::new(request_id, now)
    };
    Ok((BrowserStep::Redirect(page), pending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_directory_needs_to_see_is_not_shown_to_any() {
        let typed = |name: &str, password: &str| {
            let password = Secret::new(password.to_owned());
            Typed::new(name, &password).map(|typed| typed.name().to_owned())
        };
        assert_eq!(typed(" jane ", "s e"), Some("jane".to_owned()));
        let long = "x".repeat(PASSWORD + 1);
        for (name, password) in
            [("", "s"), ("  ", "s"), ("jane", ""), ("ja\0ne", "s"), ("jane", "s\0"), ("ja\nne", "s"), ("jane", &long), (&long, "s")]
        {
            assert_eq!(typed(name, password), None, "{name:?} {password:?}");
        }
    }
}
