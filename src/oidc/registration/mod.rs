//! What a client says of itself when it registers (OpenID Connect Dynamic Client Registration 1.0 2, RFC 7591 2).
//!
//! [`ClientMetadata::parse`] checks the kinds, sizes and addresses of all members that are known here, and what they must
//! agree on; members that are not known are ignored. Whether an algorithm or a method is one of ours is said by the reader
//! of the configuration, which reads what becomes of it. Software statements are verified elsewhere, and laid over what the
//! client says before it comes here.

mod address;
#[cfg(test)]
mod tests;

use super::names::{ApplicationType, ResponseType};
use crate::error::{Error, ErrorKind, Result};
use address::Address;
use serde_json::{Map, Value, json};
use url::Url;

/// The member with a software statement (RFC 7591 2.3).
pub const SOFTWARE_STATEMENT: &str = "software_statement";

/// Members that say something in a language, as in `client_name#de` (Registration 2.1).
const LOCALISED: [&str; 5] = ["client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri"];

/// Members in other languages, at most.
const MOST_LANGUAGES: usize = 50;

/// What a member has to be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A text of so many characters at most.
    Text(usize),
    /// Words that people see: nothing in them that changes how they are shown.
    Name,
    /// A list of so many texts at most.
    Texts(usize),
    Flag,
    Seconds,
    Scope,
    /// Public keys, which are looked at by their own reader.
    Keys,
    Address(Address),
    Addresses(Address, usize),
}

/// All that are known here.
const MEMBERS: &[(&str, Kind)] = &[
    ("redirect_uris", Kind::Addresses(Address::Redirect, 50)),
    ("response_types", Kind::Texts(10)),
    ("grant_types", Kind::Texts(10)),
    ("application_type", Kind::Text(20)),
    ("contacts", Kind::Texts(20)),
    ("client_name", Kind::Name),
    ("logo_uri", Kind::Address(Address::Page)),
    ("client_uri", Kind::Address(Address::Page)),
    ("policy_uri", Kind::Address(Address::Page)),
    ("tos_uri", Kind::Address(Address::Page)),
    ("jwks_uri", Kind::Address(Address::Fetched)),
    ("jwks", Kind::Keys),
    ("sector_identifier_uri", Kind::Address(Address::Fetched)),
    ("subject_type", Kind::Text(20)),
    ("id_token_signed_response_alg", Kind::Text(20)),
    ("id_token_encrypted_response_alg", Kind::Text(20)),
    ("id_token_encrypted_response_enc", Kind::Text(20)),
    ("userinfo_signed_response_alg", Kind::Text(20)),
    ("userinfo_encrypted_response_alg", Kind::Text(20)),
    ("userinfo_encrypted_response_enc", Kind::Text(20)),
    ("request_object_signing_alg", Kind::Text(20)),
    ("request_object_encryption_alg", Kind::Text(20)),
    ("request_object_encryption_enc", Kind::Text(20)),
    ("token_endpoint_auth_method", Kind::Text(50)),
    ("token_endpoint_auth_signing_alg", Kind::Text(20)),
    ("default_max_age", Kind::Seconds),
    ("require_auth_time", Kind::Flag),
    ("default_acr_values", Kind::Texts(20)),
    ("initiate_login_uri", Kind::Address(Address::Page)),
    ("request_uris", Kind::Addresses(Address::RequestObject, 50)),
    ("scope", Kind::Scope),
    ("software_id", Kind::Text(255)),
    ("software_version", Kind::Text(255)),
    ("tls_client_auth_subject_dn", Kind::Text(1000)),
    ("tls_client_auth_san_dns", Kind::Text(255)),
    ("tls_client_auth_san_uri", Kind::Text(1000)),
    ("tls_client_auth_san_ip", Kind::Text(50)),
    ("tls_client_auth_san_email", Kind::Text(320)),
    ("tls_client_certificate_bound_access_tokens", Kind::Flag),
    ("require_signed_request_object", Kind::Flag),
    ("require_pushed_authorization_requests", Kind::Flag),
    ("dpop_bound_access_tokens", Kind::Flag),
    ("post_logout_redirect_uris", Kind::Addresses(Address::AfterLogout, 50)),
    ("backchannel_logout_uri", Kind::Address(Address::Fetched)),
    ("backchannel_logout_session_required", Kind::Flag),
    ("frontchannel_logout_uri", Kind::Address(Address::Page)),
    ("frontchannel_logout_session_required", Kind::Flag),
];

/// What a client is registered with: checked, with what it has where it does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientMetadata {
    members: Map<String, Value>,
}

impl ClientMetadata {
    /// Reads what a client says. `development`: this machine itself may be named.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRegisteredUri`] for redirect URIs, [`ErrorKind::InvalidClientMetadata`] for everything else; the
    /// detail begins with the name of the member.
    pub fn parse(said: &Map<String, Value>, development: bool) -> Result<Self> {
        let native = match said.get("application_type").filter(|value| !value.is_null()) {
            None => false,
            Some(value) => match value.as_str().and_then(ApplicationType::from_wire) {
                Some(known) => known == ApplicationType::Native,
                None => return Err(invalid("application_type", "is neither web nor native")),
            },
        };
        let rules = Rules { native, development };
        let mut members = Map::new();
        for (name, kind) in MEMBERS {
            // RFC 7592 2.2: null is as if it were not there.
            if let Some(value) = said.get(*name).filter(|value| !value.is_null()) {
                members.insert((*name).to_owned(), rules.check(name, *kind, value)?);
            }
        }
        rules.localised(said, &mut members)?;
        usual(&mut members);
        agree(&members)?;
        Ok(Self { members })
    }

    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }

    pub fn redirect_uris(&self) -> impl Iterator<Item = &str> {
        texts(&self.members, "redirect_uris")
    }

    /// Registration 5: what a sector identifier's address answers is a list with all redirect URIs.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_sector(&self, answer: &[u8]) -> Result<()> {
        let refuse = |why: &str| invalid("sector_identifier_uri", why);
        let listed: Vec<String> = serde_json::from_slice(answer).map_err(|_| refuse("does not answer with a JSON list of addresses"))?;
        match self.redirect_uris().find(|uri| !listed.iter().any(|listed| listed == uri)) {
            None => Ok(()),
            Some(missing) => Err(refuse(&format!("does not list the redirect URI {missing}"))),
        }
    }
}

/// The claims of a software statement in the place of what the client says (RFC 7591 2.3); those about the statement itself
/// say nothing of the client.
pub fn with_statement(said: &Map<String, Value>, claims: &Map<String, Value>) -> Map<String, Value> {
    const OF_THE_STATEMENT: [&str; 8] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", SOFTWARE_STATEMENT];
    let mut whole = said.clone();
    let claims = claims.iter().filter(|(name, _)| !OF_THE_STATEMENT.contains(&name.as_str()));
    whole.extend(claims.map(|(name, value)| (name.clone(), value.clone())));
    whole
}

/// The error for a member that cannot be accepted.
pub fn invalid(member: &str, why: impl AsRef<str>) -> Error {
    let kind = if member == "redirect_uris" { ErrorKind::InvalidRegisteredUri } else { ErrorKind::InvalidClientMetadata };
    Error::new(kind, format!("{member}: {}", why.as_ref()))
}

/// What the checks of single members depend on.
#[derive(Clone, Copy)]
struct Rules {
    native: bool,
    development: bool,
}

impl Rules {
    fn check(self, name: &str, kind: Kind, value: &Value) -> Result<Value> {
        match kind {
            Kind::Text(limit) => text(name, value, limit)?,
            Kind::Name => shown(name, text(name, value, 100)?)?,
            Kind::Texts(limit) => return list(name, value, limit, |one| text(name, one, 255).map(Value::from)),
            Kind::Flag => return value.as_bool().map(Value::from).ok_or_else(|| invalid(name, "is neither true nor false")),
            Kind::Seconds => {
                let number = value.as_u64().filter(|number| u32::try_from(*number).is_ok());
                return number.map(Value::from).ok_or_else(|| invalid(name, "is no number of seconds"));
            }
            Kind::Scope => {
                return super::Scopes::parse(text(name, value, 2000)?).map(|_| value.clone()).map_err(|_| invalid(name, "is no scope"));
            }
            Kind::Keys => {
                return value.is_object().then(|| value.clone()).ok_or_else(|| invalid(name, "is no JWK Set"));
            }
            Kind::Address(address) => return self.address(name, address, value),
            Kind::Addresses(address, limit) => return list(name, value, limit, |one| self.address(name, address, one)),
        };
        Ok(value.clone())
    }

    fn address(self, name: &str, address: Address, value: &Value) -> Result<Value> {
        let text = text(name, value, 2048)?;
        match address.check(text, self.native, self.development) {
            Ok(()) => Ok(value.clone()),
            Err(why) => Err(invalid(name, format!("`{}` {why}", text.escape_debug()))),
        }
    }

    fn localised(self, said: &Map<String, Value>, members: &mut Map<String, Value>) -> Result<()> {
        let localised = said.iter().filter(|(_, value)| !value.is_null()).filter_map(|(name, value)| {
            let (base, language) = name.split_once('#')?;
            LOCALISED.contains(&base).then_some((name, base, language, value))
        });
        let mut count = 0;
        for (name, base, language, value) in localised {
            count += 1;
            // BCP 47, by its letters.
            let good = (1..=35).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let kind = MEMBERS.iter().find(|(known, _)| *known == base).map(|(_, kind)| *kind);
            let (true, true, Some(kind)) = (good, count <= MOST_LANGUAGES, kind) else {
                return Err(invalid(base, "is there in too many languages, or in none that has a tag"));
            };
            members.insert(name.clone(), self.check(name, kind, value)?);
        }
        Ok(())
    }
}

/// Registration 2, RFC 7591 2: what a client has where it does not say.
fn usual(members: &mut Map<String, Value>) {
    for (name, value) in [
        ("application_type", "web"),
        ("subject_type", "public"),
        ("id_token_signed_response_alg", "RS256"),
        ("token_endpoint_auth_method", "client_secret_basic"),
    ] {
        members.entry(name).or_insert_with(|| value.into());
    }
    if !members.contains_key("response_types") {
        // Who asks for grants without a person has nobody to send to us.
        let by_person = members.get("grant_types").is_none_or(|grants| {
            let grants = grants.as_array().into_iter().flatten().filter_map(Value::as_str);
            grants.into_iter().any(|grant| grant == "authorization_code")
        });
        members.insert("response_types".to_owned(), if by_person { json!(["code"]) } else { json!([]) });
    }
    if !members.contains_key("grant_types") {
        let types: Vec<ResponseType> = texts(members, "response_types").filter_map(ResponseType::parse).collect();
        let needed = [
            (types.is_empty() || types.iter().any(|one| one.gives_code()), "authorization_code"),
            (types.iter().any(|one| one.is_implicit()), "implicit"),
        ];
        let grants: Vec<&str> = needed.into_iter().filter(|(needed, _)| *needed).map(|(_, grant)| grant).collect();
        members.insert("grant_types".to_owned(), json!(grants));
    }
}

/// What several members say together.
fn agree(members: &Map<String, Value>) -> Result<()> {
    let has = |name: &str, value: &str| texts(members, name).any(|known| known == value);
    for text in texts(members, "response_types") {
        let Some(one) = ResponseType::parse(text) else {
            return Err(invalid("response_types", format!("`{}` is no response type", text.escape_debug())));
        };
        // Registration 2, RFC 7591 2.1.
        for (needed, grant) in [(one.gives_code(), "authorization_code"), (one.is_implicit(), "implicit")] {
            if needed && !has("grant_types", grant) {
                return Err(invalid("grant_types", format!("the response type {} needs {grant}", one.as_str())));
            }
        }
    }
    for grant in ["authorization_code", "implicit"] {
        let served = texts(members, "response_types")
            .filter_map(ResponseType::parse)
            .any(|one| if grant == "implicit" { one.is_implicit() } else { one.gives_code() });
        if has("grant_types", grant) && !served {
            return Err(invalid("response_types", format!("none of them belongs to the grant type {grant}")));
        }
    }
    let returns = texts(members, "response_types").next().is_some();
    if returns && texts(members, "redirect_uris").next().is_none() {
        return Err(invalid("redirect_uris", "is missing: there is nowhere to return to after a login"));
    }
    // Registration 2: not both.
    if members.contains_key("jwks") && members.contains_key("jwks_uri") {
        return Err(invalid("jwks", "stands beside jwks_uri; keep one of them"));
    }
    frontchannel(members)
}

/// Front-Channel Logout 2: scheme, host and port are those of a redirect URI.
fn frontchannel(members: &Map<String, Value>) -> Result<()> {
    let origin = |text: &str| Url::parse(text).ok().map(|url| url.origin());
    let Some(asked) = members.get("frontchannel_logout_uri").and_then(Value::as_str) else { return Ok(()) };
    if texts(members, "redirect_uris").any(|uri| origin(uri) == origin(asked)) {
        return Ok(());
    }
    Err(invalid("frontchannel_logout_uri", "is on another origin than every redirect URI"))
}

fn texts<'m>(members: &'m Map<String, Value>, name: &str) -> impl Iterator<Item = &'m str> {
    members.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn text<'v>(name: &str, value: &'v Value, limit: usize) -> Result<&'v str> {
    let text = value.as_str().ok_or_else(|| invalid(name, "is no text"))?;
    if text.trim().is_empty() || text.chars().count() > limit || text.chars().any(char::is_control) {
        return Err(invalid(name, format!("is empty, has more than {limit} characters, or control characters")));
    }
    Ok(text)
}

/// Unicode TR 36: what turns the direction of text around makes people read what is not there.
fn shown<'v>(name: &str, text: &'v str) -> Result<&'v str> {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    if text.chars().any(turns) { Err(invalid(name, "has characters that change the direction of text")) } else { Ok(text) }
}

fn list(name: &str, value: &Value, limit: usize, check: impl Fn(&Value) -> Result<Value>) -> Result<Value> {
    let items = value.as_array().ok_or_else(|| invalid(name, "is no list"))?;
    if items.len() > limit {
        return Err(invalid(name, format!("has more than {limit} items")));
    }
    items.iter().map(check).collect()
}
