//! What the operator adds to authorization requests: texts, and what the application has said (`upstream_params`).

use crate::connection::UpstreamRequest;

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamParam {
    Value(String),
    /// That of a parameter of the application's request; nothing where it has none.
    Alias(Alias),
}

/// Parameters of an application's request that can be passed on, in the words of OpenID Connect. What an application of SAML
/// asks has the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    AcrValues,
    Audience,
    ClientId,
    Display,
    IdTokenHint,
    LoginHint,
    MaxAge,
    Prompt,
    Resource,
    ResponseMode,
    ResponseType,
    UiLocales,
}

impl Alias {
    /// With their names.
    pub const ALL: [(&str, Self); 12] = [
        ("acr_values", Self::AcrValues),
        ("audience", Self::Audience),
        ("client_id", Self::ClientId),
        ("display", Self::Display),
        ("id_token_hint", Self::IdTokenHint),
        ("login_hint", Self::LoginHint),
        ("max_age", Self::MaxAge),
        ("prompt", Self::Prompt),
        ("resource", Self::Resource),
        ("response_mode", Self::ResponseMode),
        ("response_type", Self::ResponseType),
        ("ui_locales", Self::UiLocales),
    ];
}

/// The parameters as they are sent in answer to this application's request.
pub fn resolved(params: &[(String, UpstreamParam)], asked: &UpstreamRequest) -> Vec<(String, String)> {
    let value = |param: &UpstreamParam| match param {
        UpstreamParam::Value(value) => Some(value.clone()),
        UpstreamParam::Alias(alias) => asked.said.iter().find(|(said, _)| said == alias).map(|(_, value)| value.clone()),
    };
    params.iter().filter_map(|(name, param)| Some((name.clone(), value(param)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_application_does_not_say_is_not_sent() {
        let params = [
            ("hd".to_owned(), UpstreamParam::Value("acme.example".to_owned())),
            ("screen_name".to_owned(), UpstreamParam::Alias(Alias::LoginHint)),
            ("lang".to_owned(), UpstreamParam::Alias(Alias::UiLocales)),
        ];
        let asked = UpstreamRequest { said: vec![(Alias::LoginHint, "jane".to_owned())], ..UpstreamRequest::default() };
        let expected = [("hd".to_owned(), "acme.example".to_owned()), ("screen_name".to_owned(), "jane".to_owned())];
        assert_eq!(resolved(&params, &asked), expected);
        assert_eq!(resolved(&params, &UpstreamRequest::default()), expected[..1]);
    }
}
