//! The authorization response (Core 3.1.2.5, RFC 9207), as the browser brings it.

use super::provider::IssuerRule;
use super::rejection::{Check, Rejection};
use crate::oidc::Params;

/// Characters of an error's texts that are kept.
const SHOWN: usize = 300;

/// What the answer is held against.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedAnswer<'a> {
    /// `None`: nobody has told us who the provider says that it is.
    pub issuer: Option<&'a IssuerRule>,
    /// The provider has promised `iss` in every answer (RFC 9207 3).
    pub response_iss: bool,
    /// Others answer at the same address: whoever says there who it is must be known.
    pub shared: bool,
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
    let looked_at = match expected.issuer {
        Some(_) => found.is_some() || expected.response_iss,
        None => found.is_some() && expected.shared,
    };
    if looked_at {
        let passed = expected.issuer.zip(found).is_some_and(|(rule, found)| rule.may_answer_as(found));
        let wanted = expected.issuer.map(|rule| rule.text().to_owned());
        let none = || "none".to_owned();
        let (expected, shown) = (wanted.clone().unwrap_or_else(none), found.map_or_else(none, short));
        checks.push(Check { name: "response-iss", passed, expected, found: shown });
        if !passed {
            return Err(Rejection::ResponseIssuer { expected: wanted, found: found.map(short) });
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
        let rule = IssuerRule::Exact("https://op.example".to_owned());
        let expected = ExpectedAnswer { issuer: Some(&rule), response_iss, shared: false };
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
    fn where_several_answer_nobody_says_who_it_is_but_one_that_is_known() {
        let asked = |query: &str, shared| {
            let params = Params::parse_noting_repeats(query.as_bytes()).expect("a query");
            read(&params, ExpectedAnswer { issuer: None, response_iss: false, shared }, &mut Vec::new())
        };
        for query in ["code=c&iss=https%3A%2F%2Fop.example", "error=access_denied&iss=https%3A%2F%2Fop.example"] {
            let found = Some("https://op.example".to_owned());
            assert_eq!(asked(query, true), Err(Rejection::ResponseIssuer { expected: None, found }), "{query}");
        }
        assert!(asked("code=c&iss=https%3A%2F%2Fop.example", false).is_ok() && asked("code=c", true).is_ok());
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
