//! Forms on our own pages: a field proves that what is posted was made by us, for this browser and this login.
//!
//! Identity providers know a login's id, and anybody can post a form; the browser's binding they do not know.

use super::Gateway;
use crate::error::Result;
use crate::id;
use crate::login::LoginTransaction;

/// Which question a form answers: the form of one is none of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Link,
    Consent,
    Password,
    Factor,
    SignUp,
    Reset,
}

impl Form {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Link => b"link form",
            Self::Consent => b"consent form",
            Self::Password => b"password form",
            Self::Factor => b"second factor form",
            Self::SignUp => b"sign-up form",
            Self::Reset => b"reset form",
        }
    }
}

impl Gateway {
    /// The value of the field, for the page that asks.
    pub(super) fn csrf_of(&self, form: Form, transaction: &LoginTransaction) -> Result<String> {
        let mac = self.keyring.sealer().mac(&[form.name(), transaction.browser.as_bytes(), transaction.id.as_bytes()])?;
        Ok(id::hex(&mac))
    }

    /// Was the form made by us for this login? `given`: the value of its field.
    pub(super) fn is_our_form(&self, form: Form, transaction: &LoginTransaction, given: Option<&str>) -> Result<bool> {
        let expected = self.csrf_of(form, transaction)?;
        Ok(given.is_some_and(|given| id::eq_constant_time(given.as_bytes(), expected.as_bytes())))
    }
}
