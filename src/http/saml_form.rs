//! The form of a message by HTTP-POST (SAML Bindings 3.5.4).

use super::pages::BOUNCED;
use crate::error::{Error, ErrorKind, Result};

/// Its fields, also as a query that carries an artifact; a repeated one is refused, others are ignored. Base64 may be broken into lines.
pub struct SamlForm {
    /// SAMLRequest or SAMLResponse.
    pub message: Option<String>,
    /// SAMLart, in place of a message.
    pub artifact: Option<String>,
    pub relay_state: Option<String>,
    /// Our own page has sent the form again already.
    pub bounced: bool,
}

impl SamlForm {
    /// `parameter`: the name of the message's field.
    ///
    /// # Errors
    /// When a field is repeated.
    pub fn read(raw: &[u8], parameter: &str) -> Result<Self> {
        let repeated = |name: &str| Error::new(ErrorKind::InvalidRequest, format!("the parameter {name} is repeated"));
        let prefix = format!("{parameter}=");
        let mut form = Self { message: None, artifact: None, relay_state: None, bounced: false };
        for pair in raw.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).take(20) {
            if let Some(value) = pair.strip_prefix(prefix.as_bytes()).and_then(long_value) {
                if form.message.replace(value).is_some() {
                    return Err(repeated(parameter));
                }
                continue;
            }
            let Some((name, value)) = url::form_urlencoded::parse(pair).next() else { continue };
            let slot = match name.as_ref() {
                name if name == parameter => &mut form.message,
                "SAMLart" => &mut form.artifact,
                "RelayState" => &mut form.relay_state,
                BOUNCED => {
                    form.bounced = true;
                    continue;
                }
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(repeated(&name));
            }
        }
        Ok(form)
    }
}

/// Decodes in one pass what `form_urlencoded` copies several times. `None` for what is not encoded as it should be.
fn long_value(encoded: &[u8]) -> Option<String> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut text = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'%' | b'+')) {
        let (plain, from) = rest.split_at(at);
        text.extend_from_slice(plain);
        let (byte, after) = match from {
            [b'%', high, low, after @ ..] => (u8::try_from(digit(high)? * 16 + digit(low)?).ok()?, after),
            [b'+', after @ ..] => (b' ', after),
            _ => return None,
        };
        text.push(byte);
        rest = after;
    }
    text.extend_from_slice(rest);
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(form: &str) -> Option<String> {
        SamlForm::read(form.as_bytes(), "SAMLResponse").expect("a form").message
    }

    #[test]
    fn the_response_is_decoded_as_any_form_value() {
        for value in ["", "a", "YQ%3D%3D", "a%2Bb+c%0d%0A%2f", "%C3%A4", "a=b", "%", "%4", "%zz", "a%+1", "%ff", "+%+%41"] {
            let form = format!("x=1&&SAMLResponse={value}&RelayState=r");
            let plain = url::form_urlencoded::parse(form.as_bytes()).find(|(name, _)| name == "SAMLResponse");
            assert_eq!(response(&form), plain.map(|(_, value)| value.into_owned()), "{value}");
        }
        assert_eq!(response("SAMLResponse"), Some(String::new()));
        assert_eq!(response("%53AMLResponse=a%20b").as_deref(), Some("a b"));
    }

    #[test]
    fn a_second_response_is_refused_however_it_is_written() {
        for form in [
            "SAMLResponse=a&SAMLResponse=b",
            "SAMLResponse=a&%53AMLResponse=b",
            "SAMLResponse=%&SAMLResponse=b",
            "SAMLResponse&SAMLResponse=b",
        ] {
            assert!(SamlForm::read(form.as_bytes(), "SAMLResponse").is_err(), "{form}");
        }
    }
}
