//! `[[application]]`.

use super::context::Context;
use super::secrets;
use crate::application::{Application, ProfileUse, management};
use crate::id;
use crate::oidc::{ApplicationType, ClientFacts, GrantType, SigningAlg, TokenEndpointAuthMethod};
use crate::profile::Direction;
use crate::profile::dialect::Dialect;
use crate::toml_file::{At, Section, nearest};
use url::Url;

/// Bytes that a client secret needs at least.
const SECRET_LENGTH: usize = 16;

/// An application, and what it may do at the management API by itself.
#[derive(Debug)]
pub struct Registered {
    pub application: Application,
    /// Scopes of the management API.
    pub api_scopes: Option<Vec<String>>,
}

/// Reads one application; `connections` are the names that exist.
pub fn read(context: &Context<'_>, section: &Section<'_>, connections: &[String]) -> Option<Registered> {
    let client_id = section.required("client_id").map(|at| at.value.to_owned());
    if client_id.as_ref().is_some_and(|id| id.len() > 255 || id.bytes().any(|byte| !(0x21..=0x7e).contains(&byte))) {
        section.problem("client_id", "a client_id has up to 255 printable ASCII characters and no space", "choose another one");
    }
    let name = section.string("name").map(|at| at.value.to_owned());
    let enabled = section.bool("enabled").unwrap_or(true);
    let allowed =
        section.strings("connections").map(|names| names.into_iter().map(|at| known_connection(section, &at, connections)).collect());
    let mapping = context.mapping(section, "oidc", Direction::FromProfile);
    let profile = profile_use(section);
    if section.has("saml") {
        section.value("saml");
        section.problem("saml", "SAML applications are not available in this version", "use [application.oidc]");
    }
    let oidc = match section.section("oidc") {
        Some(oidc) => {
            let facts = client_facts(context, &oidc, client_id.clone().unwrap_or_default());
            oidc.finish();
            facts
        }
        None => {
            if !section.has("saml") {
                section.problem("oidc", "the application has no protocol", "add [application.oidc] with its redirect_uris");
            }
            None
        }
    };
    let api_scopes = section.section("api").map(|api| api_scopes(&api, oidc.as_ref()));
    let client_id = client_id?;
    let application = Application {
        name: name.unwrap_or_else(|| client_id.clone()),
        client_id,
        enabled,
        connections: allowed,
        mapping: mapping?,
        profile,
        oidc: Some(oidc?),
        saml: None,
    };
    Some(Registered { application, api_scopes })
}

/// `[application.api]`: scopes of the management API.
fn api_scopes(section: &Section<'_>, oidc: Option<&ClientFacts>) -> Vec<String> {
    let scopes = section.strings("scopes").unwrap_or_default();
    if !section.has("scopes") {
        section.problem("scopes", "`scopes` is missing", "list what the application may do, as in [\"read:users\"]");
    }
    for at in &scopes {
        if !management::SCOPES.iter().any(|(known, _)| *known == at.value) {
            let nearest = nearest(at.value, management::SCOPES.iter().map(|(known, _)| *known));
            let help = nearest.map_or_else(|| "docs/api.md lists them".to_owned(), |name| format!("did you mean `{name}`?"));
            section.file().problem(at.span.clone(), &at.path, format!("the management API has no scope `{}`", at.value), help);
        }
    }
    if oidc.is_some_and(|oidc| !oidc.may_use(GrantType::ClientCredentials)) {
        let help = "add client_credentials to the grant_types of [application.oidc]";
        section.problem("scopes", "the application cannot get a token for the management API by itself", help);
    }
    section.finish();
    scopes.into_iter().map(|at| at.value.to_owned()).collect()
}

/// What it sees of the profile beside its table, and how old that may be.
fn profile_use(section: &Section<'_>) -> ProfileUse {
    let legacy_profile = section.bool("legacy_profile").unwrap_or(false);
    if legacy_profile {
        let message = "weakened: UserInfo gives the whole profile, whatever scopes were granted";
        section.warning("legacy_profile", message, "keep it for applications that were written for it, and use scopes for the others");
    }
    let dialects = [("auth0", Dialect::Auth0), ("gigya", Dialect::Gigya), ("logto", Dialect::Logto)];
    let dialect = section.choice("dialect", &dialects);
    if dialect.is_some() && !legacy_profile {
        section.problem("dialect", "`dialect` is the form of the whole profile", "add `legacy_profile = true`, or remove `dialect`");
    }
    let reads_sealed = section.bool("reads_sealed").unwrap_or(false);
    ProfileUse {
        legacy_profile,
        dialect: dialect.unwrap_or_default(),
        stale_profile_max: section.integer("stale_profile_max", 0..=365 * 86_400).and_then(|at| u64::try_from(at.value).ok()),
        reads_sealed,
    }
}

/// A name of a connection that exists.
pub fn known_connection(section: &Section<'_>, name: &At<&str>, connections: &[String]) -> String {
    if !connections.iter().any(|known| known == name.value) {
        let help =
            if connections.is_empty() { "add the [[connection]]".to_owned() } else { format!("there are: {}", connections.join(", ")) };
        section.file().problem(name.span.clone(), &name.path, format!("there is no connection `{}`", name.value), help);
    }
    name.value.to_owned()
}

fn client_facts(context: &Context<'_>, section: &Section<'_>, client_id: String) -> Option<ClientFacts> {
    let application_type = section
        .choice("application_type", &[("web", ApplicationType::Web), ("native", ApplicationType::Native)])
        .unwrap_or(ApplicationType::Web);
    let native = application_type == ApplicationType::Native;
    let grant_types = grant_types(section);
    let redirect_uris = uris(section, "redirect_uris", native);
    if redirect_uris.is_empty() && grant_types.contains(&GrantType::AuthorizationCode) {
        let (message, help) = ("`redirect_uris` is missing", "list the addresses to which people return after a login");
        match context.stored() {
            None => section.problem("redirect_uris", message, help),
            Some(_) => section.warning("redirect_uris", "is empty: nobody can sign in", help),
        }
    }
    let post_logout_redirect_uris = uris(section, "post_logout_redirect_uris", native);
    let secret = secrets::read(context, section, "client_secret");
    if secret.as_ref().is_some_and(|secret| secret.expose().len() < SECRET_LENGTH) {
        let (message, help) = (
            format!("a client secret needs at least {SECRET_LENGTH} characters"),
            "use a random one, such as `openssl rand -hex 32` prints",
        );
        if context.development { section.warning("client_secret", message, help) } else { section.problem("client_secret", message, help) }
    }
    let secret_digests = match context.stored() {
        None => secret.iter().map(|secret| id::digest(secret.expose())).collect(),
        Some(stored) => stored.secret_digests.to_vec(),
    };
    let method = auth_method(context, section, section.has("client_secret") || !secret_digests.is_empty());
    if method == TokenEndpointAuthMethod::None && grant_types.contains(&GrantType::ClientCredentials) {
        let help = "choose client_secret_basic or client_secret_post, or remove client_credentials";
        section.problem("grant_types", "a public client cannot have tokens by itself", help);
    }
    let require_pkce = section.bool("require_pkce").unwrap_or(true);
    if !require_pkce {
        let public = method == TokenEndpointAuthMethod::None;
        if public {
            section.problem(
                "require_pkce",
                "a public client cannot do without PKCE",
                "remove `require_pkce = false`, or give the client a secret",
            );
        } else {
            section.warning(
                "require_pkce",
                "weakened: a code works without PKCE",
                "remove it as soon as the application's library can do PKCE",
            );
        }
    }
    let alg = section
        .choice("id_token_signed_response_alg", &[("RS256", SigningAlg::RS256), ("ES256", SigningAlg::ES256), ("EdDSA", SigningAlg::EdDSA)])
        .unwrap_or(SigningAlg::RS256);
    let scopes = section.strings("scopes").map(|scopes| scopes.into_iter().map(|at| at.value.to_owned()).collect());
    Some(ClientFacts {
        redirect_uris,
        post_logout_redirect_uris,
        application_type,
        token_endpoint_auth_method: method,
        secret_digests,
        require_pkce,
        grant_types,
        scopes,
        id_token_signed_response_alg: alg,
        ..ClientFacts::public(client_id)
    })
}

/// Codes always; refresh tokens unless the list leaves them out.
fn grant_types(section: &Section<'_>) -> Vec<GrantType> {
    let Some(texts) = section.strings("grant_types") else { return vec![GrantType::AuthorizationCode, GrantType::RefreshToken] };
    let mut grants = Vec::new();
    for at in texts {
        match GrantType::from_wire(at.value) {
            Some(grant) => grants.push(grant),
            None => section.file().problem(
                at.span.clone(),
                &at.path,
                format!("the grant type `{}` is not available", at.value),
                "use authorization_code, refresh_token and client_credentials",
            ),
        }
    }
    grants
}

fn auth_method(context: &Context<'_>, section: &Section<'_>, has_secret: bool) -> TokenEndpointAuthMethod {
    let default = if has_secret { TokenEndpointAuthMethod::ClientSecretBasic } else { TokenEndpointAuthMethod::None };
    let method = section
        .choice(
            "token_endpoint_auth_method",
            &[
                ("client_secret_basic", TokenEndpointAuthMethod::ClientSecretBasic),
                ("client_secret_post", TokenEndpointAuthMethod::ClientSecretPost),
                ("none", TokenEndpointAuthMethod::None),
            ],
        )
        .unwrap_or(default);
    match (method, has_secret) {
        // Stored clients always have a secret, for the day when they are public no more.
        (TokenEndpointAuthMethod::None, true) if context.stored().is_none() => {
            section.problem(
                "token_endpoint_auth_method",
                "a public client has no secret",
                "remove `client_secret`, or choose client_secret_basic",
            );
        }
        (TokenEndpointAuthMethod::ClientSecretBasic | TokenEndpointAuthMethod::ClientSecretPost, false) => {
            section.problem(
                "token_endpoint_auth_method",
                "this method needs a `client_secret`",
                "add `client_secret = { env = \"NAME\" }`, or choose none",
            );
        }
        _ => {}
    }
    method
}

/// Redirect addresses: absolute, without a fragment; https, or http on loopback, or a native application's own scheme.
fn uris(section: &Section<'_>, key: &'static str, native: bool) -> Vec<String> {
    let texts = section.strings(key).unwrap_or_default();
    texts
        .into_iter()
        .map(|at| {
            if let Err((message, help)) = check_uri(at.value, native) {
                section.file().problem(at.span.clone(), &at.path, format!("`{}` {message}", at.value), help);
            }
            at.value.to_owned()
        })
        .collect()
}

fn check_uri(text: &str, native: bool) -> Result<(), (&'static str, &'static str)> {
    let url = Url::parse(text).map_err(|_| ("is no absolute address", "write it with its scheme, as in https://app.example/callback"))?;
    // Parsing forgives blanks and line ends, and an answer's Location header cannot carry anything else.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(("has a blank or a character that is not ASCII", "percent-encode it, and write a host name in its xn-- form"));
    }
    if url.fragment().is_some() || text.contains('#') {
        return Err(("has a fragment", "remove everything from the # on"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(("contains credentials", "remove them"));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&url) => Ok(()),
        "http" => Err(("is not https", "use https; http is for loopback addresses only")),
        "javascript" | "data" | "file" | "vbscript" | "blob" | "about" => Err(("has a scheme that is no place to return to", "use https")),
        // RFC 8252 7.1: private-use schemes contain a dot.
        scheme if native && scheme.contains('.') => Ok(()),
        _ => Err(("is not https", "use https; a native application may use its own scheme with a dot (application_type = \"native\")")),
    }
}

/// `localhost`, 127.0.0.0/8 or ::1.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
