//! A user as a bulk import brings it (details E): one exact schema, and everything that is wrong with a user said at once,
//! with a code, a message and a path. Messages never repeat a value.

use super::metadata::{self, Fault, Part};
use super::password_hash;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Why a user is not imported. The codes are Auth0's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// A further factor is of none of the known kinds.
    AnyOfMissing,
    ArrayLengthLong,
    ArrayLengthShort,
    /// A user with this id is there.
    Conflict,
    ConflictEmail,
    ConflictUsername,
    ConnectionNotFound,
    /// The file has the user twice.
    DuplicatedUser,
    EnumMismatch,
    Format,
    InvalidType,
    MaxLength,
    Maximum,
    MfaFactorsFailed,
    MinLength,
    Minimum,
    /// What must not be there is: an unknown member, or two that exclude each other.
    NotPassed,
    ObjectRequired,
    Pattern,
}

/// One thing that is wrong with a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportError {
    pub code: ErrorCode,
    pub message: String,
    /// As in `mfa_factors[0].totp.secret`; absent where it is about the user as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl ImportError {
    pub fn new(code: ErrorCode, path: Option<&str>, problem: &str) -> Self {
        let message = path.map_or_else(|| format!("The user {problem}."), |path| format!("{path} {problem}."));
        Self { code, message, path: path.map(str::to_owned) }
    }
}

/// A user that keeps the schema.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// As it stands in the file; see [`subject`].
    pub user_id: Option<String>,
    pub email: String,
    pub email_verified: Option<bool>,
    pub phone_number: Option<String>,
    pub phone_verified: Option<bool>,
    pub username: Option<String>,
    /// Name, given_name, family_name, nickname, picture: those that are there.
    pub root: Map<String, Value>,
    pub blocked: bool,
    pub user_metadata: Option<Map<String, Value>>,
    pub app_metadata: Option<Map<String, Value>>,
    pub password: Option<ImportedPassword>,
    /// JSON: the further factors.
    pub factors: Option<Secret<String>>,
}

/// A password that somebody else hashed; JSON.
#[derive(Clone, Debug)]
pub enum ImportedPassword {
    /// A text: `password_hash`.
    Bcrypt(Secret<String>),
    /// An object: `custom_password_hash`. An update may bring another one.
    Custom(Secret<String>),
}

impl ImportedPassword {
    /// As it is sealed: `{"bcrypt": ".."}` or `{"custom": {..}}`.
    pub fn json(&self) -> Secret<String> {
        match self {
            Self::Bcrypt(hash) => Secret::new(format!("{{\"bcrypt\":{}}}", hash.expose())),
            Self::Custom(hash) => Secret::new(format!("{{\"custom\":{}}}", hash.expose())),
        }
    }
}

impl ImportedUser {
    /// Reads a user of an import.
    ///
    /// # Errors
    /// Everything that is wrong with it, at most a hundred things.
    pub fn parse(value: &Value) -> Result<Self, Vec<ImportError>> {
        let mut check = Check::default();
        let user = check.object(value, "", &MEMBERS, &["email"]).map(|members| read(members, &mut check));
        match user.flatten() {
            Some(user) if check.errors.is_empty() => Ok(user),
            _ => Err(check.errors),
        }
    }
}

/// The subject of an imported user: its id without the prefix that ids of this strategy and connection have here or at
/// Auth0. One that was exported with its prefix does not get it twice.
pub fn subject<'i>(user_id: &'i str, provider: &str, connection: &str) -> &'i str {
    let rest = user_id.strip_prefix(provider).and_then(|rest| rest.strip_prefix('|'));
    match rest {
        Some(rest) if provider == super::DATABASE => rest,
        Some(rest) => rest.strip_prefix(connection).and_then(|rest| rest.strip_prefix('|')).unwrap_or(user_id),
        None => user_id,
    }
}

/// A user as a report of errors shows it: without what is secret.
pub fn without_secrets(value: &Value) -> Value {
    let Value::Object(members) = value else { return Value::from("(no object)") };
    let shown = |(name, value): (&String, &Value)| {
        let value = match name.as_str() {
            "password_hash" | "custom_password_hash" | "mfa_factors" => Value::from("*****"),
            _ => metadata::masked(value),
        };
        (name.clone(), if metadata::looks_secret(name) { Value::from("*****") } else { value })
    };
    Value::Object(members.iter().map(shown).collect())
}

fn read(members: &Map<String, Value>, check: &mut Check) -> Option<ImportedUser> {
    let email = members.get("email").and_then(|value| check.email(value, "email"));
    let user_id = text(members, "user_id", MAX_USER_ID, check);
    let username = text(members, "username", MAX_USERNAME, check);
    for (name, found) in [("user_id", &user_id), ("username", &username)] {
        if found.as_ref().is_some_and(|text| text.chars().any(|c| c.is_control() || (name == "username" && c.is_whitespace()))) {
            check.fault(ErrorCode::Pattern, name, "has blanks or control characters");
        }
    }
    let mut root = Map::new();
    for name in super::ROOT_ATTRIBUTES {
        let limit = match *name {
            "nickname" => MAX_NICKNAME,
            "picture" => MAX_PICTURE,
            _ => MAX_NAME,
        };
        if let Some(text) = text(members, name, limit, check) {
            if text.chars().any(char::is_control) {
                check.fault(ErrorCode::Pattern, name, "has control characters");
            } else if *name == "picture" && !is_address(&text) {
                check.fault(ErrorCode::Format, name, "is no http or https address");
            }
            root.insert((*name).to_owned(), Value::from(text));
        }
    }
    let phone_number = text(members, "phone_number", 16, check);
    if phone_number.as_deref().is_some_and(|number| !is_phone_number(number)) {
        check.fault(ErrorCode::Pattern, "phone_number", "is not + and 1 to 15 digits");
    }
    let mut flag = |name: &str| members.get(name).and_then(|value| check.flag(value, name));
    let [email_verified, phone_verified, blocked] = ["email_verified", "phone_verified", "blocked"].map(&mut flag);
    let [user_metadata, app_metadata] = [Part::UserMetadata, Part::AppMetadata].map(|part| free_data(members, part, check));
    let (password, factors) = (password(members, check), factors(members, check));
    Some(ImportedUser {
        user_id,
        email: email?,
        email_verified,
        phone_number,
        phone_verified,
        username,
        root,
        blocked: blocked.unwrap_or(false),
        user_metadata,
        app_metadata,
        password,
        factors,
    })
}

fn text(members: &Map<String, Value>, name: &str, longest: usize, check: &mut Check) -> Option<String> {
    members.get(name).and_then(|value| check.text(value, name, 1, longest)).map(str::to_owned)
}

fn free_data(members: &Map<String, Value>, part: Part, check: &mut Check) -> Option<Map<String, Value>> {
    let value = members.get(part.name())?;
    let Value::Object(given) = value else {
        check.fault(ErrorCode::InvalidType, part.name(), "is no object");
        return None;
    };
    let mut faults = Vec::new();
    metadata::check(part, given, "", &mut faults);
    for Fault { pointer, problem, .. } in &faults {
        check.fault(ErrorCode::NotPassed, &format!("{}{}", part.name(), pointer.replace('/', ".")), problem);
    }
    let mut faults = Vec::new();
    metadata::check_size(given, "", &mut faults);
    for fault in &faults {
        check.fault(ErrorCode::MaxLength, part.name(), &fault.problem);
    }
    Some(given.clone())
}

fn password(members: &Map<String, Value>, check: &mut Check) -> Option<ImportedPassword> {
    let (bcrypt, custom) = (members.get("password_hash"), members.get("custom_password_hash"));
    if bcrypt.is_some() && custom.is_some() {
        check.fault(ErrorCode::NotPassed, "password_hash", "and custom_password_hash exclude each other");
    }
    if let Some(value) = bcrypt {
        password_hash::check_password_hash(value, "password_hash", check);
    }
    if let Some(value) = custom {
        password_hash::check_custom(value, "custom_password_hash", check);
    }
    let custom = custom.map(|value| ImportedPassword::Custom(Secret::new(value.to_string())));
    custom.or_else(|| bcrypt.map(|value| ImportedPassword::Bcrypt(Secret::new(value.to_string()))))
}

fn factors(members: &Map<String, Value>, check: &mut Check) -> Option<Secret<String>> {
    let value = members.get("mfa_factors")?;
    let Value::Array(items) = value else {
        check.fault(ErrorCode::InvalidType, "mfa_factors", "is no list");
        return None;
    };
    if items.is_empty() {
        check.fault(ErrorCode::ArrayLengthShort, "mfa_factors", "is empty");
    }
    if items.len() > MAX_FACTORS {
        check.fault(ErrorCode::ArrayLengthLong, "mfa_factors", format!("has more than {MAX_FACTORS} items"));
    }
    let mut kinds: Vec<&str> = Vec::new();
    for (index, item) in items.iter().take(MAX_FACTORS).enumerate() {
        let here = format!("mfa_factors[{index}]");
        if let Some(kind) = factor(item, &here, check) {
            // An authenticator cannot be told from another one of the person.
            if kind == "totp" && kinds.contains(&kind) {
                check.fault(ErrorCode::MfaFactorsFailed, &here, "is a second totp");
            }
            kinds.push(kind);
        }
    }
    Some(Secret::new(value.to_string()))
}

fn factor(item: &Value, here: &str, check: &mut Check) -> Option<&'static str> {
    let kinds = [("totp", "secret"), ("phone", "value"), ("email", "value")];
    let members = check.object(item, here, &["totp", "phone", "email"], &[])?;
    let mut found = kinds.into_iter().filter(|(kind, _)| members.contains_key(*kind));
    let (Some((kind, member)), another) = (found.next(), found.next()) else {
        check.fault(ErrorCode::AnyOfMissing, here, "is none of totp, phone and email");
        return None;
    };
    if another.is_some() {
        check.fault(ErrorCode::NotPassed, here, "is of more than one kind");
    }
    let here = format!("{here}.{kind}");
    let inner = check.object(members.get(kind)?, &here, &[member], &[member])?;
    let (value, path) = (inner.get(member)?, format!("{here}.{member}"));
    if kind == "email" {
        check.email(value, &path)?;
        return Some(kind);
    }
    let text = check.text(value, &path, 1, MAX_SECRET)?;
    let is_one = if kind == "totp" { is_base32(text) } else { is_phone_number(text) };
    if !is_one {
        check.fault(ErrorCode::Pattern, &path, if kind == "totp" { "is not base32 (RFC 4648)" } else { "is not + and 1 to 15 digits" });
    }
    Some(kind)
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Check {
    errors: Vec<ImportError>,
}

impl Check {
    pub(super) fn fault(&mut self, code: ErrorCode, path: &str, problem: impl AsRef<str>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(ImportError::new(code, Some(path).filter(|path| !path.is_empty()), problem.as_ref()));
        }
    }

    /// An object with these members and no others, some of which must be there.
    pub(super) fn object<'v>(&mut self, value: &'v Value, path: &str, known: &[&str], required: &[&str]) -> Option<&'v Map<String, Value>> {
        let Value::Object(members) = value else {
            self.fault(ErrorCode::InvalidType, path, "is no object");
            return None;
        };
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            let shown: String = name.chars().take(100).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            self.fault(ErrorCode::NotPassed, &joined(path, &shown), "is no member that an import knows");
        }
        for name in required.iter().filter(|name| !members.contains_key(**name)) {
            self.fault(ErrorCode::ObjectRequired, &joined(path, name), "is missing");
        }
        Some(members)
    }

    /// A text of so many characters.
    pub(super) fn text<'v>(&mut self, value: &'v Value, path: &str, shortest: usize, longest: usize) -> Option<&'v str> {
        let Value::String(text) = value else {
            self.fault(ErrorCode::InvalidType, path, "is no text");
            return None;
        };
        let length = text.chars().count();
        if length < shortest {
            self.fault(ErrorCode::MinLength, path, format!("has fewer than {shortest} characters"));
        } else if length > longest {
            self.fault(ErrorCode::MaxLength, path, format!("has more than {longest} characters"));
        } else {
            return Some(text);
        }
        None
    }

    pub(super) fn one_of<'v>(&mut self, value: &'v Value, path: &str, known: &[&str]) -> Option<&'v str> {
        let text = self.text(value, path, 0, usize::MAX)?;
        if known.contains(&text) {
            return Some(text);
        }
        self.fault(ErrorCode::EnumMismatch, path, format!("is none of {}", known.join(", ")));
        None
    }

    pub(super) fn integer(&mut self, value: &Value, path: &str, least: i64, largest: i64) -> Option<i64> {
        let Some(number) = value.as_i64() else {
            self.fault(ErrorCode::InvalidType, path, "is no whole number");
            return None;
        };
        if number < least {
            self.fault(ErrorCode::Minimum, path, format!("is less than {least}"));
        } else if number > largest {
            self.fault(ErrorCode::Maximum, path, format!("is more than {largest}"));
        } else {
            return Some(number);
        }
        None
    }

    fn flag(&mut self, value: &Value, path: &str) -> Option<bool> {
        let flag = value.as_bool();
        if flag.is_none() {
            self.fault(ErrorCode::InvalidType, path, "is neither true nor false");
        }
        flag
    }

    /// Details B: 64 octets before the `@`, 254 in all.
    fn email(&mut self, value: &Value, path: &str) -> Option<String> {
        let text = self.text(value, path, 1, usize::MAX)?;
        let (local, domain) = text.rsplit_once('@').unwrap_or_default();
        let blank = text.chars().any(|c| c.is_whitespace() || c.is_control());
        if local.is_empty() || domain.is_empty() || blank || local.contains('@') {
            self.fault(ErrorCode::Format, path, "is no e-mail address");
        } else if local.len() > 64 || text.len() > 254 {
            self.fault(ErrorCode::MaxLength, path, "has more than 64 octets before the @, or more than 254 in all");
        } else {
            return Some(text.to_owned());
        }
        None
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn is_phone_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_base32(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    !bare.is_empty() && bare.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'2'..=b'7'))
}

fn is_address(text: &str) -> bool {
    !text.contains(char::is_whitespace) && url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

const MEMBERS: [&str; 17] = [
    "email",
    "email_verified",
    "phone_number",
    "phone_verified",
    "user_id",
    "username",
    "given_name",
    "family_name",
    "name",
    "nickname",
    "picture",
    "blocked",
    "password_hash",
    "custom_password_hash",
    "mfa_factors",
    "app_metadata",
    "user_metadata",
];

const MAX_ERRORS: usize = 100;
const MAX_FACTORS: usize = 10;
/// Characters (details B), but for ids and secrets, whose limits are ours.
const MAX_NAME: usize = 150;
const MAX_NICKNAME: usize = 350;
const MAX_PICTURE: usize = 2000;
const MAX_USERNAME: usize = 128;
const MAX_USER_ID: usize = 400;
const MAX_SECRET: usize = 512;

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
