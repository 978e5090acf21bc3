//! Browser, identity provider and application in one: a whole login, every step of it checked.

use crate::gateway::{Gateway, acs_url};
use crate::http::{Connection, Response};
use crate::openid_idp::OpenIdIdp;
use crate::saml_app::SamlApp;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use isthmus::clock::Timestamp;
use isthmus::id;
use isthmus::keys::CertifiedKey;
use isthmus::oidc::OidcKeys;
use isthmus::saml::idp::{Answer, post_response, receive_redirect, respond};
use isthmus::saml::{Outgoing, Signer};
use isthmus::user::Identity;
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use url::Url;
use url::form_urlencoded::Serializer;

pub const CONNECTION: &str = "bench";
pub const ACS_PATH: &str = "/connections/bench/acs";
const CALLBACK_PATH: &str = "/connections/bench/callback";
pub const IDP: &str = "https://idp.example.org/metadata";
pub const CLIENT_ID: &str = "bench-app";
pub const CLIENT_SECRET: &str = "a secret of the load generator";
pub const REDIRECT_URI: &str = "https://app.example.org/callback";

/// So many people sign in, again and again.
pub const PEOPLE: usize = 200;

/// Whom all logins of one run have in common.
pub struct Parties<'a> {
    pub gateway: &'a Gateway,
    /// The identity provider, if it is one that speaks OpenID Connect.
    pub openid_idp: Option<&'a OpenIdIdp>,
    /// The one's that speaks SAML.
    pub idp_key: &'a CertifiedKey,
    /// What the gateway signs ID tokens with, to verify them.
    pub keys: &'a OidcKeys,
    pub algorithm: &'a str,
    /// The OpenID application.
    pub client_id: &'a str,
    /// The application, if it is one that speaks SAML.
    pub saml: Option<&'a SamlApp>,
    /// How many groups everybody is in.
    pub groups: usize,
}

/// What `logins` logins took.
pub struct Measured {
    pub wall: Duration,
    /// For each login the time spent waiting for the gateway, sorted.
    pub latencies: Vec<Duration>,
}

impl Measured {
    /// The latency that `percent` of the logins did not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let position = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(position).copied().unwrap_or_default()
    }
}

/// Logs in `logins` times, on `concurrency` connections at once. The first failure of any login ends everything.
pub fn run(parties: &Parties<'_>, logins: usize, concurrency: usize) -> Result<Measured, String> {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let work = || -> Result<Vec<Duration>, String> {
        let mut client = Client::new(parties)?;
        let mut latencies = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= logins {
                return Ok(latencies);
            }
            latencies.push(client.login(number % PEOPLE).inspect_err(|_| next.store(logins, Ordering::Relaxed))?);
        }
    };
    let mut latencies = Vec::with_capacity(logins);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..concurrency).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            latencies.extend(thread.join().map_err(|_| "a load thread panicked".to_owned())??);
            Ok::<_, String>(())
        })
    })?;
    let wall = started.elapsed();
    latencies.sort_unstable();
    if latencies.len() != logins {
        return Err(format!("{} logins instead of {logins}", latencies.len()));
    }
    Ok(Measured { wall, latencies })
}

/// One connection to the gateway.
pub struct Client<'a> {
    parties: &'a Parties<'a>,
    pub connection: Connection,
    authorization: String,
    acs_url: String,
    sp_entity_id: String,
    /// Spent waiting for the gateway in the login under way.
    waited: Duration,
}

/// An authorization request, and what its answers are held against.
pub struct Asked {
    pub query: String,
    state: String,
    nonce: String,
    verifier: String,
}

impl Asked {
    pub fn new(client_id: &str, scope: &str) -> Self {
        let (state, nonce, verifier) = (id::random_token(), id::random_token(), id::random_token());
        let query = form(&[
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", REDIRECT_URI),
            ("scope", scope),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &URL_SAFE_NO_PAD.encode(id::sha256(verifier.as_bytes()))),
            ("code_challenge_method", "S256"),
        ]);
        Self { query, state, nonce, verifier }
    }

    pub fn token_request(&self, code: &str) -> String {
        let (redirect_uri, verifier) = (("redirect_uri", REDIRECT_URI), ("code_verifier", self.verifier.as_str()));
        form(&[("grant_type", "authorization_code"), ("code", code), redirect_uri, verifier])
    }
}

impl<'a> Client<'a> {
    pub fn new(parties: &'a Parties<'a>) -> Result<Self, String> {
        let issuer = &parties.gateway.issuer;
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        Ok(Self {
            parties,
            connection: Connection::open(parties.gateway.address).map_err(|error| error.to_string())?,
            authorization: format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(parties.client_id), encode(CLIENT_SECRET)))),
            acs_url: acs_url(issuer),
            sp_entity_id: format!("{issuer}/connections/{CONNECTION}/metadata"),
            waited: Duration::ZERO,
        })
    }

    pub fn reconnect(&mut self) -> Result<(), String> {
        self.connection = Connection::open(self.parties.gateway.address).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// One login of one person in a browser that was never here before.
    fn login(&mut self, person: usize) -> Result<Duration, String> {
        self.waited = Duration::ZERO;
        let subject = format!("person-{person}");
        match self.parties.saml {
            Some(app) => self.by_saml(app, &subject)?,
            None => self.by_openid(&subject)?,
        }
        Ok(self.waited)
    }

    /// From the application's AuthnRequest to its assertion.
    fn by_saml(&mut self, app: &SamlApp, subject: &str) -> Result<(), String> {
        let (request, target) = app.request()?;
        let to_idp = self.timed(|connection| connection.get(&target, &[]))?.expect(303)?;
        let page = self.identity_provider(&to_idp, subject)?.expect(200)?;
        app.check(&request, &page.text(), &mail(subject), self.parties.groups)
    }

    /// From the authorization request to userinfo.
    fn by_openid(&mut self, subject: &str) -> Result<(), String> {
        let asked = Asked::new(self.parties.client_id, "openid profile email");
        let (_, back) = self.sign_in(&asked, subject)?;
        let code = self.code(back.header("location")?, &asked)?;
        let tokens = self.redeem(&asked, &code, subject)?;
        self.userinfo(text(&tokens, "access_token")?, subject)
    }

    /// From the authorization request to the answer to the application, with the cookies that the browser has then.
    pub fn sign_in(&mut self, asked: &Asked, subject: &str) -> Result<(String, Response), String> {
        let to_idp = self.timed(|connection| connection.get(&format!("/authorize?{}", asked.query), &[]))?.expect(303)?;
        let back = self.identity_provider(&to_idp, subject)?.expect(303)?;
        Ok((cookies(&back), back))
    }

    /// The code for tokens, checked.
    pub fn redeem(&mut self, asked: &Asked, code: &str, subject: &str) -> Result<Map<String, Value>, String> {
        let request = asked.token_request(code);
        let tokens = object(&self.as_client("/oauth/token", &request)?)?;
        self.check_id_token(&tokens, &asked.nonce, subject)?;
        Ok(tokens)
    }

    /// A form of the client's, with its secret.
    pub fn as_client(&mut self, target: &str, form: &str) -> Result<Response, String> {
        let authorization = self.authorization.clone();
        self.timed(|connection| connection.post(target, &[("Authorization", &authorization)], form))?.expect(200)
    }

    pub fn userinfo(&mut self, access_token: &str, subject: &str) -> Result<(), String> {
        let bearer = format!("Bearer {access_token}");
        let userinfo = self.timed(|connection| connection.get("/userinfo", &[("Authorization", &bearer)]))?.expect(200)?;
        self.check_claims(&object(&userinfo)?, subject)
    }

    fn timed(&mut self, request: impl FnOnce(&mut Connection) -> Result<Response, String>) -> Result<Response, String> {
        let started = Instant::now();
        let response = request(&mut self.connection);
        self.waited += started.elapsed();
        response
    }

    /// Signs somebody in at the identity provider to which the browser was sent, and brings the answer back.
    fn identity_provider(&mut self, to_idp: &Response, subject: &str) -> Result<Response, String> {
        let (cookies, location) = (cookies(to_idp), to_idp.header("location")?);
        match self.parties.openid_idp {
            Some(idp) => {
                let target = format!("{CALLBACK_PATH}?{}", idp.answer(location, subject)?);
                self.timed(|connection| connection.get(&target, &[("Cookie", &cookies)]))
            }
            None => {
                let answer = self.assertion(location, subject)?;
                self.timed(|connection| connection.post(ACS_PATH, &[("Cookie", &cookies)], &answer))
            }
        }
    }

    /// Answers the AuthnRequest behind `location` for somebody with a dozen attributes, as a form.
    fn assertion(&self, location: &str, subject: &str) -> Result<String, String> {
        let (_, query) = location.split_once('?').ok_or_else(|| format!("no request in {location}"))?;
        let request = receive_redirect(query, None, &mut Vec::new()).map_err(|rejection| rejection.to_string())?;
        let now = Timestamp::now();
        let mail = mail(subject);
        let groups: Vec<String> = (0..self.parties.groups).map(|number| format!("group-{number:04}")).collect();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let mut answer = Answer::new(IDP, &self.sp_entity_id, &self.acs_url, Some(&request.id), subject, now);
        let attributes: [(&str, &str, &[&str]); 12] = [
            ("urn:oid:0.9.2342.19200300.100.1.3", "mail", &[&mail]),
            ("urn:oid:2.5.4.42", "givenName", &["Łucja"]),
            ("urn:oid:2.5.4.4", "sn", &["Müller"]),
            ("urn:oid:2.16.840.1.113730.3.1.241", "displayName", &["Łucja Müller"]),
            ("urn:oid:0.9.2342.19200300.100.1.1", "uid", &[subject]),
            ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "eduPersonPrincipalName", &[&mail]),
            ("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", "eduPersonScopedAffiliation", &["staff@example.org", "member@example.org"]),
            ("urn:oid:1.3.6.1.4.1.5923.1.1.1.7", "eduPersonEntitlement", &["urn:mace:dir:entitlement:common-lib-terms"]),
            ("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "isMemberOf", &groups),
            ("urn:oid:2.5.4.20", "telephoneNumber", &["+49 30 901820"]),
            ("urn:oid:2.5.4.10", "o", &["Example Organisation"]),
            ("urn:oid:2.16.840.1.113730.3.1.39", "preferredLanguage", &["pl"]),
        ];
        for (name, friendly_name, values) in attributes {
            answer = answer.with_attribute(name, Some(friendly_name), values);
        }
        let xml = respond(&answer, Signer::new(self.parties.idp_key), now).map_err(|error| error.to_string())?;
        let acs_url = Url::parse(&self.acs_url).map_err(|error| error.to_string())?;
        match post_response(&xml, &acs_url, request.relay_state.as_deref()) {
            Outgoing::PostForm { fields, .. } => Ok(Serializer::new(String::new()).extend_pairs(fields).finish()),
            Outgoing::Redirect(_) => Err("a response does not go by redirect".to_owned()),
        }
    }

    /// The code in the answer to the application.
    pub fn code(&self, location: &str, asked: &Asked) -> Result<String, String> {
        let url = Url::parse(location).map_err(|error| format!("{location}: {error}"))?;
        let parameter = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
        let expected = location.starts_with(REDIRECT_URI)
            && parameter("state").as_deref() == Some(asked.state.as_str())
            && parameter("iss").as_deref() == Some(&self.parties.gateway.issuer);
        parameter("code").filter(|_| expected).ok_or_else(|| format!("not the answer to this request: {location}"))
    }

    fn check_id_token(&self, tokens: &Map<String, Value>, nonce: &str, subject: &str) -> Result<(), String> {
        let token = text(tokens, "id_token")?;
        let header = token.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok()).unwrap_or_default();
        let header: Map<String, Value> = serde_json::from_slice(&header).map_err(|error| error.to_string())?;
        let claims = self.parties.keys.public().verify(token, "JWT").map_err(|error| error.to_string())?;
        let expected = text(&header, "alg")? == self.parties.algorithm
            && text(&claims, "iss")? == self.parties.gateway.issuer
            && text(&claims, "aud")? == self.parties.client_id
            && text(&claims, "nonce")? == nonce;
        if !expected {
            return Err(format!("not the ID token of this login: {claims:?}"));
        }
        self.check_claims(&claims, subject)
    }

    fn check_claims(&self, claims: &Map<String, Value>, subject: &str) -> Result<(), String> {
        let provider = if self.parties.openid_idp.is_some() { "oidc" } else { "samlp" };
        let identity =
            Identity { connection: CONNECTION.to_owned(), provider: provider.to_owned(), user_id: subject.to_owned(), is_social: false };
        let expected = text(claims, "sub")? == identity.user_id_for_new_user()
            && text(claims, "email")? == mail(subject)
            && text(claims, "family_name")? == "Müller";
        if expected { Ok(()) } else { Err(format!("not the claims of {subject}: {claims:?}")) }
    }
}

/// What the browser keeps of an answer.
pub fn cookies(response: &Response) -> String {
    let cookies: Vec<_> = response.headers("set-cookie").filter_map(|cookie| cookie.split(';').next()).collect();
    cookies.join("; ")
}

pub fn mail(subject: &str) -> String {
    format!("{subject}@example.org")
}

pub fn form(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub fn object(response: &Response) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(&response.body).map_err(|error| format!("{error}: {}", response.text()))
}

pub fn text<'m>(map: &'m Map<String, Value>, name: &str) -> Result<&'m str, String> {
    map.get(name).and_then(Value::as_str).ok_or_else(|| format!("no {name} in {map:?}"))
}
