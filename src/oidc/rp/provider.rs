//! What a provider says of itself (OpenID Connect Discovery 3, RFC 8414), with what an operator has pinned instead.

use super::rejection::Rejection;
use crate::oidc::ClientSigningAlg;
use serde_json::{Map, Value};
use url::Url;

/// Octets of a metadata document at most.
pub const LIMIT: u64 = 256 * 1024;

/// What stands for the tenant in the issuer of a provider of many.
pub const TENANT: &str = "{tenantid}";

/// Which issuers a provider's ID tokens may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerRule {
    Exact(String),
    /// [`TENANT`] in the text stands for the claim `tid` of the same ID token.
    OfTenants {
        template: String,
        /// Those that may sign in; `None`: all.
        tenants: Option<Vec<String>>,
    },
}

impl IssuerRule {
    /// The issuer as the metadata have it.
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(issuer) => issuer,
            Self::OfTenants { template, .. } => template,
        }
    }

    /// Is an ID token with this issuer one of this provider?
    pub fn accepts(&self, issuer: &str, claims: &Map<String, Value>) -> bool {
        match self {
            Self::Exact(expected) => issuer == expected,
            Self::OfTenants { template, tenants } => {
                let tenant = claims.get("tid").and_then(Value::as_str).filter(|tenant| may_sign_in(tenant, tenants.as_deref()));
                tenant.is_some_and(|tenant| template.replacen(TENANT, tenant, 1) == issuer)
            }
        }
    }

    /// Can an answer with this issuer be one of this provider? Which tenant it is says the ID token only, which comes later.
    pub fn may_answer_as(&self, issuer: &str) -> bool {
        match self {
            Self::Exact(expected) => issuer == expected,
            Self::OfTenants { template, tenants } => {
                let around = template.split_once(TENANT);
                let tenant = around.and_then(|(before, after)| issuer.strip_prefix(before)?.strip_suffix(after));
                tenant.is_some_and(|tenant| may_sign_in(tenant, tenants.as_deref()))
            }
        }
    }
}

/// `tenants`: those that may; `None`: all.
fn may_sign_in(tenant: &str, tenants: Option<&[String]>) -> bool {
    is_tenant(tenant) && tenants.is_none_or(|tenants| tenants.iter().any(|known| known.eq_ignore_ascii_case(tenant)))
}

fn is_tenant(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Endpoints that an operator has pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub authorization_endpoint: Option<Url>,
    pub token_endpoint: Option<Url>,
    pub userinfo_endpoint: Option<Url>,
    pub jwks_uri: Option<Url>,
    pub end_session_endpoint: Option<Url>,
    pub pushed_authorization_request_endpoint: Option<Url>,
}

impl Overrides {
    /// Is there enough for a login without asking the provider about itself?
    pub const fn are_whole(&self) -> bool {
        self.authorization_endpoint.is_some() && self.token_endpoint.is_some() && self.jwks_uri.is_some()
    }
}

/// A provider as a relying party needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub jwks_uri: Url,
    pub userinfo_endpoint: Option<Url>,
    pub end_session_endpoint: Option<Url>,
    pub pushed_authorization_request_endpoint: Option<Url>,
    pub require_pushed_authorization_requests: bool,
    /// It takes signed requests only (RFC 9101 10.5).
    pub require_signed_request_object: bool,
    /// It says in every answer whose it is (RFC 9207): one without that is not its own.
    pub response_iss: bool,
    /// It says that it can sign ID tokens with these; empty: it does not say.
    pub id_token_algs: Vec<ClientSigningAlg>,
    /// Where those are asked for who shows a certificate (RFC 8705 5).
    pub mtls_aliases: MtlsAliases,
}

/// Endpoints that take certificates, where they are others than those that do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MtlsAliases {
    pub token_endpoint: Option<Url>,
    pub userinfo_endpoint: Option<Url>,
    pub pushed_authorization_request_endpoint: Option<Url>,
}

impl Provider {
    /// Reads a metadata document of the provider with this issuer. `plain_http` is for development: endpoints on this
    /// machine without TLS.
    ///
    /// # Errors
    /// When it is of another issuer (Discovery 4.3), or lacks what a login needs.
    pub fn parse(document: &[u8], issuer: &IssuerRule, overrides: &Overrides, plain_http: bool) -> Result<Self, Rejection> {
        let invalid = |why: &str| Rejection::MetadataInvalid { why: why.to_owned() };
        let members: Map<String, Value> = serde_json::from_slice(document).map_err(|_| invalid("this is no JSON object"))?;
        let found = members.get("issuer").and_then(Value::as_str);
        if found != Some(issuer.text()) {
            let found: String = found.unwrap_or("none").chars().take(200).collect();
            return Err(Rejection::MetadataInvalid { why: format!("the issuer is `{found}`, not `{}`", issuer.text()) });
        }
        let aliases = members.get("mtls_endpoint_aliases").and_then(Value::as_object);
        let endpoint_of = |members: &Map<String, Value>, name: &str| -> Result<Option<Url>, Rejection> {
            let Some(text) = members.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
            let url = text.as_str().filter(|text| text.len() <= 2048).and_then(|text| Url::parse(text).ok());
            let usable = url.filter(|url| is_endpoint(url, plain_http));
            usable.map(Some).ok_or_else(|| Rejection::MetadataInvalid { why: format!("`{name}` is no https address") })
        };
        let endpoint = |name: &str| endpoint_of(&members, name);
        let alias = |name: &str| aliases.map_or(Ok(None), |aliases| endpoint_of(aliases, name));
        let needed = |name: &str, pinned: &Option<Url>| match pinned {
            Some(pinned) => Ok(pinned.clone()),
            None => endpoint(name)?.ok_or_else(|| Rejection::MetadataInvalid { why: format!("`{name}` is missing") }),
        };
        let optional = |name: &str, pinned: &Option<Url>| pinned.clone().map_or_else(|| endpoint(name), |pinned| Ok(Some(pinned)));
        let texts = |name: &str| {
            let list = members.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            list.iter().filter_map(Value::as_str).take(100).map(str::to_owned).collect::<Vec<_>>()
        };
        let flag = |name: &str| members.get(name).and_then(Value::as_bool).unwrap_or(false);
        Ok(Self {
            authorization_endpoint: needed("authorization_endpoint", &overrides.authorization_endpoint)?,
            token_endpoint: needed("token_endpoint", &overrides.token_endpoint)?,
            jwks_uri: needed("jwks_uri", &overrides.jwks_uri)?,
            userinfo_endpoint: optional("userinfo_endpoint", &overrides.userinfo_endpoint)?,
            end_session_endpoint: optional("end_session_endpoint", &overrides.end_session_endpoint)?,
            pushed_authorization_request_endpoint: optional(
                "pushed_authorization_request_endpoint",
                &overrides.pushed_authorization_request_endpoint,
            )?,
            require_pushed_authorization_requests: flag("require_pushed_authorization_requests"),
            require_signed_request_object: flag("require_signed_request_object"),
            response_iss: flag("authorization_response_iss_parameter_supported"),
            id_token_algs: texts("id_token_signing_alg_values_supported")
                .iter()
                .filter_map(|alg| ClientSigningAlg::from_wire(alg))
                .collect(),
            mtls_aliases: MtlsAliases {
                token_endpoint: alias("token_endpoint")?,
                userinfo_endpoint: alias("userinfo_endpoint")?,
                pushed_authorization_request_endpoint: alias("pushed_authorization_request_endpoint")?,
            },
        })
    }

    /// For who shows a certificate: its other endpoints, but for those that are pinned.
    #[must_use]
    pub fn by_certificate(mut self, overrides: &Overrides) -> Self {
        let MtlsAliases { token_endpoint, userinfo_endpoint, pushed_authorization_request_endpoint } = self.mtls_aliases.clone();
        if let (Some(alias), None) = (token_endpoint, &overrides.token_endpoint) {
            self.token_endpoint = alias;
        }
        if let (Some(alias), None) = (userinfo_endpoint, &overrides.userinfo_endpoint) {
            self.userinfo_endpoint = Some(alias);
        }
        if let (Some(alias), None) = (pushed_authorization_request_endpoint, &overrides.pushed_authorization_request_endpoint) {
            self.pushed_authorization_request_endpoint = Some(alias);
        }
        self
    }

    /// A provider that is not asked about itself. `None` when too little is pinned.
    pub fn pinned(overrides: &Overrides) -> Option<Self> {
        Some(Self {
            authorization_endpoint: overrides.authorization_endpoint.clone()?,
            token_endpoint: overrides.token_endpoint.clone()?,
            jwks_uri: overrides.jwks_uri.clone()?,
            userinfo_endpoint: overrides.userinfo_endpoint.clone(),
            end_session_endpoint: overrides.end_session_endpoint.clone(),
            pushed_authorization_request_endpoint: overrides.pushed_authorization_request_endpoint.clone(),
            require_pushed_authorization_requests: false,
            require_signed_request_object: false,
            response_iss: false,
            id_token_algs: Vec::new(),
            mtls_aliases: MtlsAliases::default(),
        })
    }
}

/// May this be asked with a secret? By https; without TLS only this machine, in development.
pub fn is_endpoint(url: &Url, plain_http: bool) -> bool {
    let harmless = url.host_str().is_some() && url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    harmless && (url.scheme() == "https" || (url.scheme() == "http" && plain_http))
}

/// Where the metadata of an issuer are (Discovery 4.1): below its path.
pub fn metadata_address(issuer: &str) -> Option<Url> {
    Url::parse(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ISSUER: &str = "https://op.example";

    fn document(changes: &Value) -> Vec<u8> {
        let mut document = json!({
            "issuer": ISSUER, "authorization_endpoint": "https://op.example/auth", "token_endpoint": "https://op.example/token",
            "jwks_uri": "https://op.example/keys", "userinfo_endpoint": "https://op.example/me",
            "id_token_signing_alg_values_supported": ["RS256", "none", "XX"],
            "authorization_response_iss_parameter_supported": true,
        });
        for (name, value) in changes.as_object().expect("an object") {
            document[name] = value.clone();
        }
        document.to_string().into_bytes()
    }

    fn parse(changes: &Value) -> Result<Provider, Rejection> {
        Provider::parse(&document(changes), &IssuerRule::Exact(ISSUER.to_owned()), &Overrides::default(), false)
    }

    #[test]
    fn metadata_of_the_issuer_are_read() {
        let provider = parse(&json!({})).expect("good");
        assert_eq!(provider.token_endpoint.as_str(), "https://op.example/token");
        assert_eq!(provider.id_token_algs, [ClientSigningAlg::RS256, ClientSigningAlg::None]);
        assert!(provider.response_iss && provider.end_session_endpoint.is_none());
    }

    #[test]
    fn metadata_of_another_issuer_are_refused() {
        for issuer in [json!("https://op.example/"), json!("https://OP.example"), json!("https://evil.example"), json!(null), json!(["x"])]
        {
            assert!(matches!(parse(&json!({ "issuer": issuer })), Err(Rejection::MetadataInvalid { .. })), "{issuer}");
        }
    }

    #[test]
    fn endpoints_are_https_and_there() {
        for (name, value) in [
            ("token_endpoint", json!("http://op.example/token")),
            ("token_endpoint", json!("https://a:b@op.example/token")),
            ("token_endpoint", json!("https://a@op.example/token")),
            ("token_endpoint", json!("https://:b@op.example/token")),
            ("token_endpoint", json!("https://op.example/token#x")),
            ("token_endpoint", json!(format!("https://op.example/{}", "x".repeat(2048)))),
            ("mtls_endpoint_aliases", json!({ "token_endpoint": "http://mtls.op.example/token" })),
            ("jwks_uri", json!(null)),
            ("jwks_uri", json!("file:///etc/passwd")),
            ("authorization_endpoint", json!("javascript:alert(1)")),
            ("userinfo_endpoint", json!(7)),
        ] {
            assert!(parse(&json!({ name: value })).is_err(), "{name} {value}");
        }
        assert!(parse(&json!({ "userinfo_endpoint": null })).is_ok());
    }

    #[test]
    fn what_is_pinned_counts_whatever_the_document_says() {
        let pinned = Overrides { token_endpoint: Url::parse("https://pinned.example/token").ok(), ..Overrides::default() };
        let bad = document(&json!({ "token_endpoint": "http://evil.example" }));
        let provider = Provider::parse(&bad, &IssuerRule::Exact(ISSUER.to_owned()), &pinned, false).expect("good");
        assert_eq!(provider.token_endpoint.as_str(), "https://pinned.example/token");
    }

    #[test]
    fn who_shows_a_certificate_asks_elsewhere_but_where_an_endpoint_is_pinned() {
        let aliases = json!({ "mtls_endpoint_aliases": { "token_endpoint": "https://mtls.op.example/token",
            "userinfo_endpoint": "https://mtls.op.example/me", "pushed_authorization_request_endpoint": "https://mtls.op.example/par" } });
        let parsed = parse(&aliases).expect("good");
        assert_eq!(parsed.token_endpoint.as_str(), "https://op.example/token", "without a certificate nothing is other");
        let text = |url: &Option<Url>| url.as_ref().map(ToString::to_string);
        let other = parsed.clone().by_certificate(&Overrides::default());
        assert_eq!(other.token_endpoint.as_str(), "https://mtls.op.example/token");
        assert_eq!(text(&other.userinfo_endpoint).as_deref(), Some("https://mtls.op.example/me"));
        assert_eq!(text(&other.pushed_authorization_request_endpoint).as_deref(), Some("https://mtls.op.example/par"));
        assert_eq!((other.jwks_uri, other.authorization_endpoint), (parsed.jwks_uri.clone(), parsed.authorization_endpoint.clone()));
        let pin = Url::parse("https://pinned.example/").ok();
        let pinned = Overrides {
            token_endpoint: pin.clone(),
            userinfo_endpoint: pin.clone(),
            pushed_authorization_request_endpoint: pin.clone(),
            ..Overrides::default()
        };
        let kept = Provider::parse(&document(&aliases), &IssuerRule::Exact(ISSUER.to_owned()), &pinned, false).expect("good");
        let kept = kept.by_certificate(&pinned);
        assert_eq!(
            (Some(kept.token_endpoint), kept.userinfo_endpoint, kept.pushed_authorization_request_endpoint),
            (pin.clone(), pin.clone(), pin)
        );
    }

    #[test]
    fn a_tenant_is_the_one_of_the_same_token() {
        let template = "https://login.example/{tenantid}/v2.0".to_owned();
        let rule = |tenants| IssuerRule::OfTenants { template: template.clone(), tenants };
        let claims = |tid: &str| Map::from_iter([("tid".to_owned(), Value::from(tid))]);
        assert!(rule(None).accepts("https://login.example/a-1/v2.0", &claims("a-1")));
        assert!(rule(Some(vec!["A-1".to_owned()])).accepts("https://login.example/a-1/v2.0", &claims("a-1")));
        for (issuer, tid, tenants) in [
            ("https://login.example/a-1/v2.0", "a-2", None),
            ("https://login.example/a-1/v2.0", "a-1", Some(vec!["b".to_owned()])),
            ("https://login.example/{tenantid}/v2.0", "{tenantid}", None),
            ("https://login.example//v2.0", "", None),
            ("https://login.example/x/../y/v2.0", "x/../y", None),
        ] {
            assert!(!rule(tenants).accepts(issuer, &claims(tid)), "{issuer} {tid}");
        }
        assert!(!rule(None).accepts("https://login.example/a-1/v2.0", &Map::new()));
    }

    #[test]
    fn an_answer_is_of_one_of_the_tenants_before_it_is_known_of_which() {
        let template = "https://login.example/{tenantid}/v2.0".to_owned();
        let rule = |tenants| IssuerRule::OfTenants { template: template.clone(), tenants };
        assert!(rule(None).may_answer_as("https://login.example/a-1/v2.0"));
        assert!(rule(Some(vec!["A-1".to_owned()])).may_answer_as("https://login.example/a-1/v2.0"));
        assert!(!rule(Some(vec!["b".to_owned()])).may_answer_as("https://login.example/a-1/v2.0"));
        for issuer in ["https://evil.example/a-1/v2.0", "https://login.example/{tenantid}/v2.0", "https://login.example/a/b/v2.0", ""] {
            assert!(!rule(None).may_answer_as(issuer), "{issuer}");
        }
    }
}
