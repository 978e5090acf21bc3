//! What a directory answers, read without trust in its form: the verdict on a password, and entries.

use super::settings::LdapSettings;
use crate::connection::password::Unproven;
use crate::id;
use crate::profile::{Fact, RawAttributes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ldap3::controls::Control;
use ldap3::{LdapResult, ResultEntry};

/// The control by which a directory says more of a password (draft-behera-ldap-password-policy-10 6).
pub(super) const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// What a bind was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    /// With words for operators.
    No(Unproven, String),
}

/// The verdict, from the result code, Active Directory's words, and the password policy's control.
///
/// Active Directory says 532, 533, 701 and 773 only to whoever knows the password; 775 it says to anybody.
pub(super) fn verdict(result: &LdapResult) -> Verdict {
    let no = |why, reason: &str| Verdict::No(why, reason.to_owned());
    let policy = result.ctrls.iter().find_map(policy_error);
    match (result.rc, policy) {
        (0, Some(CHANGE_AFTER_RESET)) => no(Unproven::MustChange, "the directory demands another password"),
        (0, _) => Verdict::Accepted,
        (49, Some(PASSWORD_EXPIRED)) => no(Unproven::Expired, "the directory says that the password has expired"),
        (49, Some(ACCOUNT_LOCKED)) => no(Unproven::Locked, "the directory says that the account is locked"),
        (49, _) => match ad_code(&result.text) {
            Some("532") => no(Unproven::Expired, "Active Directory says that the password has expired (532)"),
            Some("773") => no(Unproven::MustChange, "Active Directory demands another password (773)"),
            Some("533") => no(Unproven::Disabled, "Active Directory says that the account is disabled (533)"),
            Some("701") => no(Unproven::Disabled, "Active Directory says that the account has expired (701)"),
            Some("775") => no(Unproven::Locked, "Active Directory says that the account is locked (775)"),
            Some("530" | "531") => no(Unproven::Wrong, "Active Directory does not allow it now, or from here (530, 531)"),
            _ => no(Unproven::Wrong, "the directory says that name and password do not belong together"),
        },
        // 389 Directory Server: too many attempts; an account that is switched off.
        (19, _) => no(Unproven::Locked, "the directory takes no more attempts (constraintViolation)"),
        (53, _) => no(Unproven::Locked, "the directory is not willing to take this account (unwillingToPerform)"),
        // noSuchObject, invalidDNSyntax, inappropriateAuthentication, insufficientAccessRights
        (32 | 34 | 48 | 50, _) => no(Unproven::Wrong, "the directory knows no such account with a password"),
        (code, _) => Verdict::No(Unproven::Unavailable, format!("the directory answered with the result code {code}")),
    }
}

const PASSWORD_EXPIRED: u8 = 0;
const ACCOUNT_LOCKED: u8 = 1;
const CHANGE_AFTER_RESET: u8 = 2;

/// `data 52e` of "80090308: LdapErr: DSID-0C09.., comment: AcceptSecurityContext error, data 52e, v3839".
fn ad_code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("AcceptSecurityContext")?.1.split_once("data ")?;
    Some(rest.split(',').next()?.trim().trim_end_matches('\0'))
}

/// PasswordPolicyResponseValue ::= SEQUENCE { warning [0] .. OPTIONAL, error [1] ENUMERATED .. OPTIONAL }
fn policy_error(control: &Control) -> Option<u8> {
    let raw = Some(&control.1).filter(|raw| raw.ctype == PASSWORD_POLICY)?;
    let (&[0x30, _], mut rest) = raw.val.as_deref()?.split_first_chunk::<2>()? else { return None };
    while let Some((&[tag, length], inside)) = rest.split_first_chunk::<2>() {
        let (value, after) = inside.split_at_checked(usize::from(length))?;
        if let (0x81, &[error]) = (tag, value) {
            return Some(error);
        }
        rest = after;
    }
    None
}

/// An entry as the directory has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub dn: String,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// SearchResultEntry (RFC 4511 4.5.2); `None` for what has another form, as references to other directories have.
    pub fn read(entry: ResultEntry) -> Option<Self> {
        let mut parts = entry.0.expect_constructed()?.into_iter();
        let dn = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
        let mut attributes = Vec::new();
        for attribute in parts.next()?.expect_constructed()? {
            let mut parts = attribute.expect_constructed()?.into_iter();
            let name = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
            let values = parts.next()?.expect_constructed()?.into_iter().map(|value| value.expect_primitive()).collect::<Option<_>>()?;
            attributes.push((name, values));
        }
        Some(Self { dn, attributes })
    }

    /// All values of an attribute, whatever its case and its options (RFC 4512 2.5).
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let is_it = |known: &str| known.split(';').next().is_some_and(|known| known.eq_ignore_ascii_case(name));
        self.attributes.iter().filter(|(known, _)| is_it(known)).flat_map(|(_, values)| values.iter().map(Vec::as_slice)).collect()
    }

    /// The values that are texts.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.values(name).into_iter().filter_map(|value| std::str::from_utf8(value).ok()).filter(|text| !text.is_empty()).collect()
    }

    /// What the person's identity is named by: the one value that its attribute has.
    pub fn subject(&self, attribute: &str) -> Option<String> {
        match self.values(attribute).as_slice() {
            [value] => shown(attribute, value).filter(|text| !text.trim().is_empty()),
            _ => None,
        }
    }

    /// For the mapping table: what was asked for, under the names by which it was; groups come from `groups`.
    pub fn raw(&self, settings: &LdapSettings, groups: &[String]) -> RawAttributes {
        let mut raw = RawAttributes::new();
        for name in settings.attributes.iter().filter(|name| !name.eq_ignore_ascii_case(MEMBER_OF)) {
            let binary = settings.binary_attributes.iter().any(|known| known.eq_ignore_ascii_case(name));
            let shown = |value: &[u8]| if binary { Some(STANDARD.encode(value)) } else { shown(name, value) };
            let values: Vec<String> = self.values(name).into_iter().filter_map(shown).collect();
            if !values.is_empty() {
                raw.push_texts(name, values.iter().map(String::as_str));
            }
        }
        if !groups.is_empty() {
            raw.push_texts(MEMBER_OF, groups.iter().map(String::as_str));
        }
        raw.set_fact(Fact::NameId, self.dn.as_str());
        raw
    }
}

/// The attribute under which all groups go to the mapping table, wherever they were found.
pub(super) const MEMBER_OF: &str = "memberOf";

/// A value as a text; what is none, in base64.
fn shown(name: &str, value: &[u8]) -> Option<String> {
    if let (true, Ok(octets)) = (name.eq_ignore_ascii_case("objectGUID"), <[u8; 16]>::try_from(value)) {
        return Some(guid(octets));
    }
    let text = std::str::from_utf8(value).map_or_else(|_| STANDARD.encode(value), str::to_owned);
    (!text.is_empty()).then_some(text)
}

/// As Microsoft's tools write it: the first three parts are little-endian (MS-DTYP 2.3.4).
fn guid(octets: [u8; 16]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let hex = id::hex(&ORDER.map(|at| octets.get(at).copied().unwrap_or_default()));
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3::controls::RawControl;

    #[test]
    fn a_person_is_named_by_one_value_or_is_nobody() {
        let subject = |attributes: &[(&str, &[&str])]| {
            let attributes = attributes.iter().map(|(name, values)| {
                let values = values.iter().map(|value| value.as_bytes().to_vec()).collect();
                ((*name).to_owned(), values)
            });
            Entry { dn: "uid=jane".to_owned(), attributes: attributes.collect() }.subject("uid")
        };
        assert_eq!(subject(&[("UID", &["jane"])]).as_deref(), Some("jane"));
        let nobody: [&[(&str, &[&str])]; 6] = [
            &[],
            &[("uid", &[])],
            &[("uid", &["jane", "joe"])],
            &[("uid", &["jane"]), ("uid;lang-de", &["joe"])],
            &[("uid", &[""])],
            &[("uid", &["  "])],
        ];
        for attributes in nobody {
            assert_eq!(subject(attributes), None, "{attributes:?}");
        }
    }

    fn result(rc: u32, text: &str, policy: Option<&[u8]>) -> LdapResult {
        let control = |val: &[u8]| Control(None, RawControl { ctype: PASSWORD_POLICY.to_owned(), crit: false, val: Some(val.to_vec()) });
        let ctrls = policy.map(control).into_iter().collect();
        LdapResult { rc, matched: String::new(), text: text.to_owned(), refs: Vec::new(), ctrls }
    }

    fn why(rc: u32, text: &str, policy: Option<&[u8]>) -> Option<Unproven> {
        match verdict(&result(rc, text, policy)) {
            Verdict::Accepted => None,
            Verdict::No(why, _) => Some(why),
        }
    }

    #[test]
    fn active_directory_says_what_is_wrong() {
        let told = |code: &str| {
            why(49, &format!("80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data {code}, v4563\0"), None)
        };
        for (code, expected) in [
            ("525", Unproven::Wrong),
            ("52e", Unproven::Wrong),
            ("530", Unproven::Wrong),
            ("532", Unproven::Expired),
            ("533", Unproven::Disabled),
            ("701", Unproven::Disabled),
            ("773", Unproven::MustChange),
            ("775", Unproven::Locked),
        ] {
            assert_eq!(told(code), Some(expected), "{code}");
        }
        assert_eq!(why(49, "data 532", None), Some(Unproven::Wrong), "words of another directory");
    }

    #[test]
    fn the_password_policy_says_what_is_wrong() {
        // A warning before the error; an error alone; only a warning; something else; cut off.
        let expired = [0x30, 8, 0xa0, 3, 0x80, 1, 9, 0x81, 1, 0];
        assert_eq!(why(49, "", Some(&expired)), Some(Unproven::Expired));
        assert_eq!(why(49, "", Some(&[0x30, 3, 0x81, 1, 1])), Some(Unproven::Locked));
        assert_eq!(why(0, "", Some(&[0x30, 3, 0x81, 1, 2])), Some(Unproven::MustChange));
        assert_eq!(why(0, "", Some(&[0x30, 5, 0xa0, 3, 0x80, 1, 9])), None);
        for broken in [&[][..], &[0x30], &[0x30, 3, 0x81, 9, 1], &[0x04, 3, 0x81, 1, 2], &[0x30, 200, 0x81]] {
            assert_eq!(why(0, "", Some(broken)), None, "{broken:?}");
            assert_eq!(why(49, "", Some(broken)), Some(Unproven::Wrong), "{broken:?}");
        }
    }

    #[test]
    fn other_controls_say_nothing_of_a_password() {
        let control = RawControl { ctype: "1.2.840.113556.1.4.319".to_owned(), crit: false, val: Some(vec![0x30, 3, 0x81, 1, 0]) };
        let answer = LdapResult { ctrls: vec![Control(None, control)], ..result(49, "", None) };
        assert!(matches!(verdict(&answer), Verdict::No(Unproven::Wrong, _)));
    }

    #[test]
    fn other_results_are_no_sign_in() {
        for (code, expected) in [(19, Unproven::Locked), (53, Unproven::Locked), (32, Unproven::Wrong), (48, Unproven::Wrong)] {
            assert_eq!(why(code, "", None), Some(expected), "{code}");
        }
        for code in [1, 2, 3, 7, 8, 10, 13, 14, 51, 52, 80, 4096] {
            assert_eq!(why(code, "", None), Some(Unproven::Unavailable), "{code}");
        }
    }

    #[test]
    fn an_object_guid_is_written_as_its_owner_does() {
        let octets = [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(shown("objectguid", &octets).as_deref(), Some("00112233-4455-6677-8899-aabbccddeeff"));
        // Also where it happens to be a text.
        assert_eq!(shown("objectGUID", b"abcdefghijklmnop").as_deref(), Some("64636261-6665-6867-696a-6b6c6d6e6f70"));
        assert_eq!(shown("photo", &[0xff, 0xd8]).as_deref(), Some("/9g="));
        assert_eq!(shown("cn", b""), None);
    }
}
