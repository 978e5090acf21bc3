//! Texts with names in braces: filters and DNs in which a value is put so that it stays a value.

/// How a value is written where it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// RFC 4515 3.
    Filter,
    /// RFC 4514 2.4.
    Dn,
    /// A name as such, for directories that take more than DNs.
    Plain,
}

/// Characters that part a name as such from where it is, or that no such name has.
const NOT_PLAIN: [char; 19] = ['@', '\\', '/', '"', '[', ']', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '(', ')', '#'];

/// The text with its values. `None` where one of them is unknown or cannot stand there.
pub(super) fn put<'v>(text: &str, form: Form, value: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
    let mut made = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        let value = value(name)?;
        made.push_str(before);
        match form {
            Form::Filter => made.push_str(&ldap3::ldap_escape(value)),
            Form::Dn => made.push_str(&ldap3::dn_escape(value)),
            Form::Plain if value.contains(NOT_PLAIN) => return None,
            Form::Plain => made.push_str(value),
        }
        rest = after;
    }
    made.push_str(rest);
    Some(made)
}

/// The names in braces.
pub fn names(text: &str) -> Vec<&str> {
    text.split('{').skip(1).filter_map(|after| Some(after.split_once('}')?.0)).collect()
}

/// Is this a filter, whatever its names stand for?
pub fn is_filter(text: &str) -> bool {
    text.starts_with('(') && put(text, Form::Filter, |_| Some("x")).is_some_and(|text| ldap3::parse_filter(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(name: &str) -> String {
        put("(&(objectClass=person)(uid={username}))", Form::Filter, |_| Some(name)).expect("put")
    }

    #[test]
    fn values_stay_values_in_filters() {
        assert_eq!(filter("jane"), "(&(objectClass=person)(uid=jane))");
        assert_eq!(filter("*)(uid=*"), "(&(objectClass=person)(uid=\\2a\\29\\28uid=\\2a))");
        assert_eq!(filter("a\\2a\0ö{username}"), "(&(objectClass=person)(uid=a\\5c2a\\00ö{username}))");
        for name in ["*", "jane)(|(a=b", "\\", "(", "é*"] {
            assert!(ldap3::parse_filter(filter(name)).is_ok(), "{name}");
        }
    }

    #[test]
    fn values_stay_values_in_names() {
        let dn = |name: &str| put("uid={username},ou=people", Form::Dn, |_| Some(name));
        assert_eq!(dn("jane,ou=admins").as_deref(), Some("uid=jane\\2cou\\3dadmins,ou=people"));
        let upn = |name: &str| put("{username}@acme.example", Form::Plain, |_| Some(name));
        assert_eq!(upn("jane.doe").as_deref(), Some("jane.doe@acme.example"));
        assert_eq!([upn("jane@other"), upn("OTHER\\jane"), upn("cn=jane,dc=x")], [None, None, None]);
        assert_eq!(put("{other}", Form::Filter, |_| None), None);
    }

    #[test]
    fn filters_are_told_from_what_is_none() {
        assert!(is_filter("(uid={username})") && is_filter("(|(mail={username})(uid={username}))"));
        assert!(!is_filter("uid={username}") && !is_filter("(uid={username}") && !is_filter("(uid={username)") && !is_filter(""));
    }
}
