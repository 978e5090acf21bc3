//! Valid settings of a connection. Made by the configuration; a connection that could not be trusted cannot be made.

use super::database::DatabaseSettings;
use super::ldap::LdapSettings;
use super::metadata::Living;
use super::outbound::download::Reach;
use super::unsolicited::Unsolicited;
use super::upstream_params::UpstreamParam;
use crate::error::Result;
use crate::keys::{ClientCertificate, Digest, PrivateKey, SamlKeys, SignatureScheme};
use crate::oidc::rp::{IssuerRule, Overrides};
use crate::oidc::{ClientSigningAlg, KeyManagementAlg, SigningAlg, TokenEndpointAuthMethod};
use crate::profile::MappingTable;
use crate::saml::metadata::about::{EntityInfo, RequestedSet};
use crate::saml::{Binding, Comparison, IdpTrust, ResponseBinding, ResponsePolicy, Signer};
use crate::secret::Secret;
use crate::user::linking::{Linking, TrustEmail};
use crate::user::{CUSTOM, DATABASE, Identity, ProfileSync, folded};
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// A configured identity provider.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    pub name: String,
    /// For people.
    pub display_name: String,
    pub enabled: bool,
    /// E-mail domains for which this connection is responsible, lower case.
    pub domains: Vec<String>,
    /// Client ids of the applications whose users may come by it; `None`: of all.
    pub applications: Option<Vec<String>>,
    /// From what it sends to the profile.
    pub mapping: Arc<MappingTable>,
    pub profile: ProfileSettings,
    pub linking: Linking,
    /// What is asked after a password that was typed here.
    pub second_factor: SecondFactor,
    /// Of a provider that the program knows by name.
    pub provider: Option<&'static Provider>,
    pub kind: ConnectionKind,
}

/// Is a code asked for after the password?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondFactor {
    #[default]
    Off,
    /// Of those who have an app for it.
    Optional,
    /// Of everybody; who has no app yet sets one up.
    Required,
}

/// SAML Authentication Context 3.4: a password over a protected session.
pub const PASSWORD_CONTEXT: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";

/// What a login by password and code is called (REFEDS MFA Profile 1.2), as identity providers name their contexts.
pub const FACTOR_CONTEXT: &str = "https://refeds.org/profile/mfa";

/// What is known of a provider beside its protocol.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name in the identities of people, and in the management API.
    pub strategy: &'static str,
    /// People have accounts there of their own, and not of an organization's.
    pub is_social: bool,
    /// What stands for it where people choose.
    pub icon: Icon,
}

/// A monogram.
#[derive(Debug, PartialEq, Eq)]
pub struct Icon {
    /// One or two letters.
    pub letters: &'static str,
    /// Six hexadecimal digits, dark enough for white letters.
    pub color: &'static str,
}

/// What of a login is kept, and how subjects compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileSettings {
    pub sync: ProfileSync,
    /// Profile fields, and attributes by their upstream names, that are used in a login and never stored.
    pub non_persistent: Vec<String>,
    pub subject_comparison: SubjectComparison,
    /// Identities of this connection are only linked to other accounts; nobody signs in by one alone.
    pub link_only: bool,
}

/// Whether two subjects are the same person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubjectComparison {
    /// Letter by letter.
    #[default]
    Exact,
    /// Without regard to case: the subject is kept in lower case.
    IgnoreCase,
}

impl SubjectComparison {
    /// The subject as it is kept, so that keeping it twice is the same.
    pub fn kept(self, subject: &str) -> String {
        match self {
            Self::Exact => subject.to_owned(),
            Self::IgnoreCase => folded(subject),
        }
    }
}

impl ConnectionConfig {
    /// May users of this application come by it? What the application itself allows is another matter.
    pub fn serves(&self, client_id: &str) -> bool {
        self.applications.as_ref().is_none_or(|applications| applications.iter().any(|known| known == client_id))
    }

    /// Is `prompt=none` passed on where there is no session here?
    pub fn allows_passive_probe(&self) -> bool {
        match &self.kind {
            ConnectionKind::Saml(settings) => settings.allow_passive_probe,
            ConnectionKind::Oidc(settings) => settings.allow_passive_probe,
            // Nobody can be asked without a page, and nobody would say that they were not.
            ConnectionKind::OAuth2(_) | ConnectionKind::Ldap(_) | ConnectionKind::Database(_) => false,
        }
    }

    /// Where the provider answers; `None`: by no authorization response.
    pub fn callback(&self) -> Option<CallbackAddress> {
        match &self.kind {
            ConnectionKind::Oidc(settings) => Some(settings.callback),
            ConnectionKind::OAuth2(settings) => Some(settings.callback),
            ConnectionKind::Saml(_) | ConnectionKind::Ldap(_) | ConnectionKind::Database(_) => None,
        }
    }

    /// Are tokens of the provider kept?
    pub fn stores_tokens(&self) -> bool {
        match &self.kind {
            ConnectionKind::Oidc(settings) => settings.store_tokens,
            ConnectionKind::OAuth2(settings) => settings.store_tokens,
            _ => false,
        }
    }

    /// What becomes of answers to no question of ours; `None`: they are refused.
    pub fn unsolicited(&self) -> Option<&Unsolicited> {
        self.saml()?.unsolicited.as_ref()
    }

    /// `acr` values of applications, and what each is called at the identity provider.
    pub fn acr(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        match &self.kind {
            ConnectionKind::Saml(settings) => &settings.acr,
            ConnectionKind::Oidc(settings) => &settings.acr,
            ConnectionKind::Ldap(settings) => &settings.acr,
            ConnectionKind::Database(settings) => &settings.acr,
            ConnectionKind::OAuth2(_) => &NONE,
        }
    }

    /// The contexts that an application counts on, as they are called there: of its `acr_values` those in the table, and
    /// those that are URIs. For the others it only wishes (OpenID Connect Core 3.1.2.1): where it does not, their absence is
    /// noticed when the login ends.
    pub fn contexts(&self, acr_values: &[String]) -> Vec<String> {
        let context = |acr: &String| self.acr().get(acr).or_else(|| Url::parse(acr).is_ok().then_some(acr)).cloned();
        acr_values.iter().filter_map(context).collect()
    }

    /// The other way round: what a context of the identity provider is called toward applications.
    pub fn acr_here(&self, theirs: &str) -> String {
        self.acr().iter().find(|(_, mapped)| *mapped == theirs).map_or(theirs, |(acr, _)| acr).to_owned()
    }

    /// Which of the two contexts of its own an application wants that asks for these: that of a password alone, or that of a
    /// password and a second factor. `None`: it asks for neither.
    pub fn wanted_context(&self, acr_values: &[String]) -> Option<&'static str> {
        let asked = |context: &str| acr_values.iter().any(|acr| acr == context || *acr == self.acr_here(context));
        // Whoever is content with a password is not made to set anything up.
        let offered: &[&'static str] = if self.second_factor == SecondFactor::Off { &[] } else { &[PASSWORD_CONTEXT, FACTOR_CONTEXT] };
        offered.iter().copied().find(|context| asked(context))
    }

    /// The settings of one that speaks SAML.
    pub const fn saml(&self) -> Option<&Arc<SamlConnection>> {
        match &self.kind {
            ConnectionKind::Saml(settings) => Some(settings),
            ConnectionKind::Oidc(_) | ConnectionKind::OAuth2(_) | ConnectionKind::Ldap(_) | ConnectionKind::Database(_) => None,
        }
    }

    /// The identity that the person with this subject has here.
    pub fn identity(&self, subject: &str) -> Identity {
        Identity {
            connection: self.name.clone(),
            provider: self.strategy().to_owned(),
            user_id: self.profile.subject_comparison.kept(subject),
            is_social: self.is_social(),
        }
    }

    /// Its name in the identities of people, and in the management API.
    pub fn strategy(&self) -> &'static str {
        self.provider.map_or(self.kind.strategy(), |provider| provider.strategy)
    }

    /// Are the accounts of its people kept here, so that no login brings anything new?
    pub fn keeps_accounts(&self) -> bool {
        matches!(&self.kind, ConnectionKind::Database(database) if database.custom.is_none())
    }

    pub fn is_social(&self) -> bool {
        self.provider.is_some_and(|provider| provider.is_social)
    }

    /// Is this connection believed for the domain of an e-mail address? Nobody is for an address with several `@`: which
    /// of them parts name and domain is a matter of who reads it.
    pub fn is_trusted_for(&self, email: &str) -> bool {
        let Some((_, domain)) = email.split_once('@').filter(|(_, domain)| !domain.contains('@')) else { return false };
        let mut known = self.domains.iter().chain(&self.linking.email_domains);
        self.linking.trust_email == TrustEmail::Any || known.any(|known| known.eq_ignore_ascii_case(domain))
    }
}

/// The protocol and its settings.
#[derive(Clone, Debug)]
pub enum ConnectionKind {
    Saml(Arc<SamlConnection>),
    Oidc(Arc<OidcConnection>),
    Ldap(Arc<LdapSettings>),
    Database(Arc<DatabaseSettings>),
    OAuth2(Arc<OAuth2Connection>),
}

impl ConnectionKind {
    /// Do people type name and password into a page of ours?
    pub const fn asks_password(&self) -> bool {
        match self {
            Self::Ldap(_) | Self::Database(_) => true,
            Self::Saml(_) | Self::Oidc(_) | Self::OAuth2(_) => false,
        }
    }

    /// Its name where the provider has none of its own.
    fn strategy(&self) -> &'static str {
        match self {
            Self::Saml(_) => "samlp",
            Self::Oidc(_) => "oidc",
            Self::Ldap(_) => "ad",
            Self::Database(database) => {
                if database.custom.is_some() {
                    CUSTOM
                } else {
                    DATABASE
                }
            }
            Self::OAuth2(_) => "oauth2",
        }
    }
}

/// Which redirect URI a provider has registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallbackAddress {
    /// `/connections/{name}/callback`: whatever comes there is of this connection.
    #[default]
    Own,
    /// `/login/callback`, as at Auth0: the state says of which connection an answer is.
    Shared,
}

impl CallbackAddress {
    /// The redirect URI of a connection; `issuer`: our public address, without a trailing slash.
    pub fn redirect_uri(self, issuer: &str, connection: &str) -> String {
        match self {
            Self::Own => format!("{issuer}/connections/{connection}/callback"),
            Self::Shared => format!("{issuer}/login/callback"),
        }
    }
}

/// Settings of an OpenID Connect provider.
#[derive(Clone, Debug)]
pub struct OidcConnection {
    /// Which issuers its ID tokens may have.
    pub issuer: IssuerRule,
    /// Where it describes itself, unless everything is pinned.
    pub metadata: Url,
    /// What is not taken from there.
    pub pinned: Overrides,
    pub client_id: String,
    /// Where it answers.
    pub callback: CallbackAddress,
    pub client_secret: Option<Secret<String>>,
    /// How we prove who we are at its endpoints; `none`: by PKCE alone.
    pub auth_method: TokenEndpointAuthMethod,
    /// What TLS to its endpoints shows of us.
    pub client_certificate: Option<Arc<ClientCertificate>>,
    /// What `private_key_jwt` signs with.
    pub auth_alg: SigningAlg,
    /// Requests are pushed, also to a provider that does not demand it.
    pub pushed: bool,
    /// Requests are signed with this.
    pub request_object_alg: Option<SigningAlg>,
    /// `openid` among them.
    pub scopes: Vec<String>,
    /// The algorithms of its ID tokens; `None`: those that it announces, without MACs.
    pub id_token_algs: Option<Vec<ClientSigningAlg>>,
    /// Its ID tokens are encrypted to our keys, with this.
    pub id_token_encryption: Option<KeyManagementAlg>,
    /// UserInfo is signed with this.
    pub userinfo_alg: Option<ClientSigningAlg>,
    /// UserInfo is encrypted to our keys, with this.
    pub userinfo_encryption: Option<KeyManagementAlg>,
    /// It answers by a posted form.
    pub form_post: bool,
    /// Ask UserInfo, where there is one.
    pub userinfo: bool,
    /// What the operator adds to requests.
    pub parameters: Vec<(String, UpstreamParam)>,
    /// Its session is ended with ours, where it has an address for that.
    pub logout: bool,
    /// Its tokens are kept sealed, for who may read them by the management API.
    pub store_tokens: bool,
    /// `acr` values of applications, and what each is called there.
    pub acr: BTreeMap<String, String>,
    /// `prompt=none` without a session here is passed on.
    pub allow_passive_probe: bool,
    /// Every login is a fresh one.
    pub force_authn: bool,
    /// Send the application's `login_hint`.
    pub login_hint: bool,
    /// Seconds by which clocks may differ.
    pub clock_skew: i64,
    /// Which machines may be asked.
    pub reach: Reach,
    /// Endpoints without TLS are possible: in development, on this machine.
    pub plain_http: bool,
    /// Apple's kind of a client secret.
    pub apple: Option<Arc<AppleSecret>>,
}

/// Settings of a provider by OAuth 2.0 alone: who signed in is what it answers to a question with the access token.
#[derive(Clone, Debug)]
pub struct OAuth2Connection {
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub userinfo_endpoint: Url,
    /// What else is asked with the token, and the member of the profile that the answer becomes.
    pub more: Vec<(String, Url)>,
    pub client_id: String,
    /// Where it answers.
    pub callback: CallbackAddress,
    pub client_secret: Option<Secret<String>>,
    pub auth_method: TokenEndpointAuthMethod,
    /// What TLS to its endpoints shows of us.
    pub client_certificate: Option<Arc<ClientCertificate>>,
    pub scopes: Vec<String>,
    /// Send the challenge (RFC 7636): always, but to providers that break on it.
    pub pkce: bool,
    /// Its `iss` in answers (RFC 9207), if it sends one.
    pub issuer: Option<String>,
    /// Where the subject stands in the profile; the first that is there counts.
    pub subject: Vec<String>,
    /// What is added to authorization requests.
    pub parameters: Vec<(String, UpstreamParam)>,
    /// What is added to the question for the profile.
    pub userinfo_parameters: Vec<(String, String)>,
    pub quirk: Option<Quirk>,
    /// Its tokens are kept sealed, for who may read them by the management API.
    pub store_tokens: bool,
    /// Which machines may be asked.
    pub reach: Reach,
}

/// Ways of a provider that no setting describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// Facebook: questions with a token prove that the secret is known (`appsecret_proof`).
    Facebook,
    /// WeChat: other names of the client and its secret, tokens by GET, and the `openid` beside the token in the question
    /// for the profile, which takes the token in the query.
    WeChat,
}

/// What Apple wants instead of a client secret: a statement that the key of a developer signs.
pub struct AppleSecret {
    pub team_id: String,
    pub key_id: String,
    pub key: PrivateKey,
}

impl std::fmt::Debug for AppleSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppleSecret").field("team_id", &self.team_id).field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Settings of a SAML identity provider.
#[derive(Clone, Debug)]
pub struct SamlConnection {
    /// Nobody ([`IdpTrust::nobody`]) where `living` says who.
    pub idp: IdpTrust,
    /// Metadata that are fetched while the process runs.
    pub living: Option<Living>,
    /// Which machines may be asked for what an artifact stands for.
    pub artifact_reach: Reach,
    pub policy: ResponsePolicy,
    /// Our entity ID toward it; by default the address of our metadata.
    pub sp_entity_id: Option<String>,
    pub request_binding: Binding,
    /// How answers are asked for. Artifacts are taken only where they are; posted answers always.
    pub response_binding: ResponseBinding,
    /// Sign requests even where the identity provider's metadata do not ask for it.
    pub sign_requests: bool,
    /// How requests, logout messages and our metadata are signed; it also chooses the kind of key. `None`: RSA-SHA256.
    pub request_signature: Option<SignatureScheme>,
    /// `None`: that of the signature.
    pub request_digest: Option<Digest>,
    pub name_id_format: Option<String>,
    /// Every login is a fresh one.
    pub force_authn: bool,
    /// `acr` values of applications, and the AuthnContextClassRef that each means here.
    pub acr: BTreeMap<String, String>,
    /// Send the application's `login_hint` as the Subject of the request.
    pub login_hint_as_subject: bool,
    /// Send the application's client id as Scoping/RequesterID.
    pub send_requester_id: bool,
    /// Scoping/ProxyCount: how many more proxies may stand between.
    pub proxy_count: Option<u32>,
    /// How the asked context classes compare.
    pub authn_context_comparison: Comparison,
    /// Context classes to ask for when the application asks for none.
    pub authn_context: Vec<String>,
    pub allow_create: bool,
    /// Our name for people, in the request.
    pub provider_name: Option<String>,
    /// Name the assertion consumer service by its index instead of its address.
    pub acs_index: Option<u16>,
    /// The set of attributes to ask for where the scopes of an application choose none.
    pub attribute_consuming_service_index: Option<u16>,
    /// `prompt=select_account` asks for a fresh login, at which another account can be chosen.
    pub select_account_forces_authn: bool,
    /// `prompt=none` without a session here is passed on with IsPassive.
    pub allow_passive_probe: bool,
    /// The identity provider takes the application's `login_hint` as this parameter of its address.
    pub login_hint_parameter: Option<String>,
    /// Sets of attributes that can be asked for by index.
    pub attribute_sets: Vec<AttributeSet>,
    /// What our metadata say of us beside the protocol.
    pub about: EntityInfo,
    /// What becomes of responses to no request of ours; `None`: they are refused.
    pub unsolicited: Option<Unsolicited>,
    /// Tell the identity provider when a session ends here.
    pub logout: bool,
    pub logout_binding: Binding,
    /// Encrypt the NameID in that.
    pub logout_encrypt: bool,
}

/// A set of attributes: an AttributeConsumingService of our metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeSet {
    /// An application that asks for one of these scopes has this set asked for.
    pub scopes: Vec<String>,
    pub requested: RequestedSet,
    /// Ask for what the connection's mapping table reads, too.
    pub from_mapping: bool,
}

impl SamlConnection {
    /// The usual settings for an identity provider: redirect, requests signed if its metadata want it, strict terms.
    pub fn new(idp: IdpTrust) -> Self {
        Self {
            idp,
            living: None,
            artifact_reach: Reach::Public,
            policy: ResponsePolicy::default(),
            sp_entity_id: None,
            request_binding: Binding::Redirect,
            response_binding: ResponseBinding::Post,
            sign_requests: false,
            request_signature: None,
            request_digest: None,
            name_id_format: None,
            force_authn: false,
            acr: BTreeMap::new(),
            login_hint_as_subject: false,
            send_requester_id: false,
            proxy_count: None,
            authn_context_comparison: Comparison::Exact,
            authn_context: Vec::new(),
            allow_create: true,
            provider_name: None,
            acs_index: None,
            attribute_consuming_service_index: None,
            logout: false,
            logout_binding: Binding::Redirect,
            logout_encrypt: false,
            select_account_forces_authn: false,
            allow_passive_probe: false,
            login_hint_parameter: None,
            attribute_sets: Vec::new(),
            about: EntityInfo::default(),
            unsolicited: None,
        }
    }

    /// What signs toward the identity provider.
    ///
    /// # Errors
    /// When there is no key of the kind that the algorithm wants.
    pub fn request_signer<'k>(&self, keys: &'k SamlKeys) -> Result<Signer<'k>> {
        Signer::with(keys.signing(self.request_signature)?.active(), self.request_signature, self.request_digest)
    }
}
