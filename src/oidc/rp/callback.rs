//! The authorization response (Core 3.1.2.5, RFC 9207), as the browser brings it.

use super::rejection::{Check, Rejection};
use crate::oidc::Params;

/// Characters of an error's texts that are kept.
const SHOWN: usize = 300;

/// What the answer is held against.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedAnswer<'a> {
    /// `None`: of a provider of many tenants, which one it is says the ID token only.
    pub issuer: Option<&'a str>,
    /// The provider has promised `iss` in every answer (RFC 9207 3).
    pub response_iss: bool,
}

/// A good answer: the code.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationAnswer {
    pub code: String,
}

/// Who holds the code can ask for the tokens.
impl std::fmt::Debug for AuthorizationAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthorizationAnswer(..)")
    }
}

/// Reads the answer. Whose login it belongs to (`state`) is known already.
///
/// # Errors
/// What the provider says of its failure, or why the answer is not its own.
pub fn read(params: &Params, expected: ExpectedAnswer<'_>, checks: &mut Vec<Check>) -> Result<AuthorizationAnswer, Rejection> {
    if let Some(name) = ["code", "error", "iss", "state"].into_iter().find(|name| params.is_repeated(name)) {
        return Err(Rejection::ParameterRepeated { name: name.to_owned() });
    }
    // RFC 9207 2.4: an error may be another one's as well.
    let found = params.get("iss");
    if let Some(issuer) = expected.issuer.filter(|_| found.is_some() || expected.response_iss) {
        let passed = found == Some(issuer);
        let shown = found.map_or_else(|| "none".to_owned(), short);
        checks.push(Check { name: "response-iss", passed, expected: issuer.to_owned(), found: shown });
        if !passed {
            return Err(Rejection::ResponseIssuer { expected: issuer.to_owned(), found: found.map(short) });
        }
    }
    if let Some(error) = params.get("error") {
        return Err(Rejection::ProviderError { error: short(error), description: params.get("error_description").map(short) });
    }
    let code = params.get("code").filter(|code| code.len() <= 4096).ok_or(Rejection::ResponseWithoutCode)?;
    Ok(AuthorizationAnswer { code: code.to_owned() })
}

/// A text of a stranger, for a trace.
pub fn short(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(query: &str, response_iss: bool) -> Result<String, Rejection> {
        let params = Params::parse_noting_repeats(query.as_bytes()).expect("a query");
        let expected = ExpectedAnswer { issuer: Some("https://op.example"), response_iss };
        read(&params, expected, &mut Vec::new()).map(|answer| answer.code)
    }

    #[test]
    fn a_code_is_taken_from_the_provider_that_was_asked() {
        assert_eq!(answer("code=c&state=s", false).expect("good"), "c");
        assert_eq!(answer("code=c&iss=https%3A%2F%2Fop.example", true).expect("good"), "c");
        for (query, promised) in
            [("code=c&iss=https%3A%2F%2Fevil.example", false), ("code=c&iss=https%3A%2F%2Fop.example%2F", true), ("code=c", true)]
        {
            assert!(matches!(answer(query, promised), Err(Rejection::ResponseIssuer { .. })), "{query}");
        }
        assert!(matches!(answer("error=access_denied", true), Err(Rejection::ResponseIssuer { .. })), "errors say it too");
    }

    #[test]
    fn errors_are_told_without_whole_novels() {
        let Err(Rejection::ProviderError { error, description }) =
            answer(&format!("error=access_denied&error_description={}", "x".repeat(1000)), false)
        else {
            panic!("an error")
        };
        assert_eq!(error, "access_denied");
        assert_eq!(description.expect("a text").len(), SHOWN);
        assert_eq!(short("a\u{1b}[31m\nb"), "a[31mb");
    }

    #[test]
    fn an_answer_is_clear_or_none() {
        for name in ["code", "error", "iss", "state"] {
            let query = format!("code=a&{name}=https%3A%2F%2Fop.example&{name}=b");
            assert_eq!(answer(&query, false), Err(Rejection::ParameterRepeated { name: name.to_owned() }));
        }
        assert_eq!(answer("state=s", false), Err(Rejection::ResponseWithoutCode));
        assert_eq!(answer(&format!("code={}", "x".repeat(5000)), false), Err(Rejection::ResponseWithoutCode));
    }
}
