//! The device grant (RFC 8628): a device asks here, and a person decides in a browser, somewhere else.
//!
//! The login that leads to the decision is one like any other, whose answer goes to the record of the device. The person is
//! asked each time, also by the operator's own applications: nobody knows who holds the device, and codes are sent to people
//! who began nothing (RFC 8628 5.4).

use super::begin::Begun;
use super::client_auth::facts;
use super::finish::{Issue, Issued, code_grant};
use super::limits::network;
use super::sessions::grant_op;
use super::{Answer, Browser, DevicePage, Gateway, Outcome, Reply, decode, encode};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::device::{INTERVAL, REMAINS};
use crate::login::trace::{Step as Note, Trace};
use crate::login::{Asked, DeviceDecision, DeviceGrant, DevicePointer, DeviceReply, ReplyTo};
use crate::oidc::discovery::path::ACTIVATION;
use crate::oidc::{ClientProof, CodeBinding, DeviceCode, GrantType, Scopes};
use crate::store::Op;
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;

/// Seconds that a device waits for the person.
const LIFETIME: u32 = 900;

/// RFC 8628 6.1: no vowels, so that no words come out; nothing that looks like something else.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Codes that are tried where others have them already.
const TRIES: usize = 5;

/// Characters of a typed code at most.
const TYPED: usize = 40;

/// Seconds in which typed codes are counted.
const WINDOW: i64 = 600;

/// Codes that one browser may type in that time, and one address (of IPv6: one /64).
const OF_BROWSER: usize = 10;
const OF_ADDRESS: usize = 60;

/// What a device gets (RFC 8628 3.2).
#[derive(Debug)]
pub struct DeviceStarted {
    device_code: DeviceCode,
    user_code: String,
    verification_uri: String,
}

impl DeviceStarted {
    pub fn to_json(&self) -> String {
        json!({
            "device_code": self.device_code.expose(),
            "user_code": self.user_code,
            "verification_uri": self.verification_uri,
            "verification_uri_complete": format!("{}?user_code={}", self.verification_uri, self.user_code),
            "expires_in": LIFETIME,
            "interval": INTERVAL,
        })
        .to_string()
    }
}

/// What came to the page for codes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Typed<'a> {
    pub user_code: Option<&'a str>,
    /// Proves that the page was ours; absent where somebody has followed a link.
    pub csrf: Option<&'a str>,
    pub address: Option<IpAddr>,
}

impl Gateway {
    /// The device authorization endpoint (RFC 8628 3.1).
    ///
    /// # Errors
    /// For the client itself.
    pub async fn begin_device(&self, proof: ClientProof<'_>, correlation_id: &str, now: Timestamp) -> Result<DeviceStarted> {
        let body = proof.body;
        let application = self.authenticate_client(proof, now).await?;
        if !may_use_devices(&application) {
            return Err(Error::new(ErrorKind::UnauthorizedClient, "this client may not use the device grant"));
        }
        let client = facts(&application)?;
        let asked = Scopes::parse(body.get("scope").unwrap_or_default())?;
        let mut scopes = asked.allowed_for(client);
        let audience = match (body.get("resource"), body.get("audience")) {
            (Some(resource), _) => Some((resource, ErrorKind::InvalidTarget)),
            (None, audience) => audience.map(|audience| (audience, ErrorKind::InvalidRequest)),
        };
        if let Some((audience, unknown)) = audience {
            let unknown = || Error::new(unknown, "the audience is not known here");
            if application.is_self_registered() && audience == self.management_audience() {
                return Err(unknown());
            }
            scopes.extend(&self.scopes_for_audience(audience, &asked).map_err(|_| unknown())?);
        }
        let device_code = DeviceCode::issue(&id::random_id())?;
        let user_code = self.free_user_code().await?;
        let grant = DeviceGrant {
            client_id: client.client_id.clone(),
            user_code: user_code.clone(),
            scopes,
            audience: audience.map(|(audience, _)| audience.to_owned()),
            correlation_id: correlation_id.to_owned(),
            created_at: now,
            expires_at: now.plus_seconds(i64::from(LIFETIME)),
        };
        let pointer = DevicePointer { grant_id: device_code.grant_id().to_owned(), device_code_digest: device_code.digest() };
        let key = DeviceGrant::key(device_code.grant_id(), &device_code.digest());
        let ttl = u64::from(LIFETIME);
        let writes = vec![
            Op::Put { key, value: encode(&grant)?, ttl: ttl + REMAINS },
            Op::Put { key: DevicePointer::key(&user_code), value: encode(&pointer)?, ttl },
        ];
        self.sessions.commit(writes).await?;
        let verification_uri = format!("{}{ACTIVATION}", self.issuer.trim_end_matches('/'));
        Ok(DeviceStarted { device_code, user_code, verification_uri })
    }

    /// A code that no other device has at present.
    async fn free_user_code(&self) -> Result<String> {
        for _ in 0..TRIES {
            let code = user_code();
            let claim = Op::Claim { key: format!("{}:taken", DevicePointer::key(&code)), ttl: u64::from(LIFETIME) };
            if self.sessions.commit(vec![claim]).await?.first() == Some(&true) {
                return Ok(code);
            }
        }
        Err(Error::new(ErrorKind::Internal, "no code for a person to type is free"))
    }

    /// The page on which people type the code of their device, and what comes of it: a login that ends in the question
    /// whether the device may be connected.
    pub async fn activate(&self, typed: Typed<'_>, browser: &Browser, correlation_id: &str, now: Timestamp) -> Outcome {
        match Box::pin(self.activate_inner(typed, browser, correlation_id, now)).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        }
    }

    async fn activate_inner(&self, typed: Typed<'_>, browser: &Browser, correlation_id: &str, now: Timestamp) -> Result<Outcome> {
        let text: String = typed.user_code.unwrap_or_default().chars().take(TYPED).collect();
        let Some(csrf) = typed.csrf.filter(|_| browser.binding.is_some()) else { return self.ask_for_code(text, false, browser) };
        let expected = self.device_csrf(browser.binding.as_deref().unwrap_or_default())?;
        if !id::eq_constant_time(csrf.as_bytes(), expected.as_bytes()) {
            return self.ask_for_code(text, false, browser);
        }
        self.count_typed(&typed, browser, now).await?;
        let Some((grant_id, grant, application)) = self.waiting_device(&text, now).await? else {
            return self.ask_for_code(text, true, browser);
        };
        let reply = DeviceReply { grant_id, user_code: grant.user_code.clone(), expires_at: grant.expires_at };
        let path = format!("{ACTIVATION}?user_code={}", grant.user_code);
        let begun = Begun {
            application: &application,
            reply_to: &ReplyTo::Device(Box::new(reply)),
            path: &path,
            query: b"",
            browser,
            correlation_id,
            now,
        };
        let mut trace = Trace::default();
        let parameters = vec![("scope".to_owned(), grant.scopes.to_string())];
        trace.note(now, Note::RequestIn { application: application.client_id.clone(), parameters });
        let asked = Asked { scopes: grant.scopes, audience: grant.audience, ..Asked::default() };
        let outcome = match Box::pin(self.begin_login(&begun, asked, trace)).await {
            Ok(outcome) => outcome,
            Err(error) => self.refuse_beginning(&begun, error).await?,
        };
        Ok(outcome.in_login(correlation_id))
    }

    fn ask_for_code(&self, user_code: String, unknown: bool, browser: &Browser) -> Result<Outcome> {
        let (binding, change) = super::begin::binding_of(browser);
        let page = DevicePage { csrf: self.device_csrf(&binding)?, user_code, unknown };
        Ok(Outcome { binding: change, ..Outcome::of(Answer::EnterCode(page)) })
    }

    /// The device that shows this code, and its application.
    async fn waiting_device(&self, typed: &str, now: Timestamp) -> Result<Option<(String, DeviceGrant, Arc<Application>)>> {
        let read = async |key: String| Ok::<_, Error>(self.sessions.get_many(&[key]).await?.into_iter().next().flatten());
        let Some(pointer) = read(DevicePointer::key(typed)).await? else { return Ok(None) };
        let DevicePointer { grant_id, device_code_digest } = decode(&pointer)?;
        let Some(grant) = read(DeviceGrant::key(&grant_id, &device_code_digest)).await? else { return Ok(None) };
        let grant: DeviceGrant = decode(&grant)?;
        let application = self.application(&grant.client_id).filter(|application| now < grant.expires_at && may_use_devices(application));
        Ok(application.map(|application| (grant_id, grant, Arc::clone(application))))
    }

    /// RFC 8628 5.1: nobody finds the codes of others by trying.
    async fn count_typed(&self, typed: &Typed<'_>, browser: &Browser, now: Timestamp) -> Result<()> {
        let by_browser = browser.binding.as_deref().map(|binding| (format!("device-typed:b:{}", id::digest(binding)), OF_BROWSER));
        let by_address = typed.address.map(|address| (format!("device-typed:a:{}", network(address)), OF_ADDRESS));
        for (key, limit) in by_browser.into_iter().chain(by_address) {
            let (value, ttl) = (now.millis().to_string().into_bytes(), WINDOW.unsigned_abs());
            // One more than may be is enough to know. Counted before it is looked at: of many at once none goes unseen.
            self.sessions.commit(vec![Op::Append { key: key.clone(), value, keep: limit + 1, ttl }]).await?;
            let since = now.plus_seconds(-WINDOW).millis();
            let counted = self.sessions.list(&key, limit + 1).await?;
            let times = counted.iter().filter_map(|at| std::str::from_utf8(at).ok()?.parse::<i64>().ok());
            if times.filter(|at| *at > since).count() > limit {
                return Err(Error::new(ErrorKind::TooManyRequests, "Too many codes were tried. Wait ten minutes, and try again.")
                    .again_in(WINDOW.unsigned_abs()));
            }
        }
        Ok(())
    }

    fn device_csrf(&self, binding: &str) -> Result<String> {
        Ok(id::hex(&self.keyring.sealer().mac(&[b"device form", id::digest(binding).as_bytes()])?))
    }

    /// The person has agreed: the device gets tokens when it asks again.
    pub(super) async fn issue_to_device(&self, issue: &Issue<'_>, reply: &DeviceReply, trace: &mut Trace) -> Result<Issued> {
        self.decide(reply, issue.now).await?;
        let binding = CodeBinding {
            client_id: issue.application.client_id.clone(),
            redirect_uri: String::new(),
            code_challenge: None,
            dpop_jkt: None,
        };
        let decision = DeviceDecision::Approved(Box::new(code_grant(issue, binding, reply.expires_at)));
        let lives = self.lifetimes.session + u64::from(self.lifetimes.access_token);
        let writes = vec![
            Op::Put { key: DeviceDecision::key(&reply.grant_id), value: encode(&decision)?, ttl: left(reply, issue.now) },
            Op::Delete { key: DevicePointer::key(&reply.user_code) },
            grant_op(&issue.session.sid, &reply.grant_id, &issue.application.client_id, lives)?,
        ];
        trace.note(issue.now, Note::Finished { reply: format!("a device of {} is connected", issue.application.client_id) });
        let secrets = vec![DeviceDecision::key(&reply.grant_id)];
        Ok(Issued { answer: Answer::Reply(Reply::Device { connected: true }), claims: Vec::new(), writes, secrets })
    }

    /// There is no login. That the person or a rule said no is an answer; whatever else went wrong may be tried again, as
    /// long as the device waits.
    pub(super) async fn refuse_device(&self, reply: &DeviceReply, error: &Error, now: Timestamp) -> Outcome {
        let told = || Error::new(error.kind, error.detail.clone());
        if !matches!(error.kind, ErrorKind::AccessDenied | ErrorKind::RuleDenied) {
            return Outcome::refused(told(), None);
        }
        match self.deny_device(reply, now).await {
            Ok(()) if error.kind == ErrorKind::AccessDenied => Outcome::of(Answer::Reply(Reply::Device { connected: false })),
            Ok(()) => Outcome::refused(told(), None),
            Err(error) => Outcome::refused(error, None),
        }
    }

    async fn deny_device(&self, reply: &DeviceReply, now: Timestamp) -> Result<()> {
        self.decide(reply, now).await?;
        let value = encode(&DeviceDecision::<()>::Denied)?;
        let writes = vec![
            Op::Put { key: DeviceDecision::key(&reply.grant_id), value, ttl: left(reply, now) },
            Op::Delete { key: DevicePointer::key(&reply.user_code) },
        ];
        self.sessions.commit(writes).await.map(drop)
    }

    /// The first decision about a device counts, whoever makes it.
    async fn decide(&self, reply: &DeviceReply, now: Timestamp) -> Result<()> {
        if now >= reply.expires_at {
            return Err(Error::new(ErrorKind::ExpiredToken, "The device has waited too long. Begin again there."));
        }
        let claim = Op::Claim { key: DeviceDecision::claim_key(&reply.grant_id), ttl: u64::from(LIFETIME) + REMAINS };
        match self.sessions.commit(vec![claim]).await?.first() {
            Some(true) => Ok(()),
            _ => Err(Error::new(ErrorKind::LoginAlreadyFinished, "This device has its answer already.")),
        }
    }
}

fn may_use_devices(application: &Application) -> bool {
    // FAPI 2.0 5.3.2.2 knows the code flow alone.
    application.oidc.as_ref().is_some_and(|client| client.may_use(GrantType::DeviceCode) && !client.fapi2)
}

/// Seconds that the device goes on asking, and can be told that it is too late.
fn left(reply: &DeviceReply, now: Timestamp) -> u64 {
    u64::try_from(reply.expires_at.seconds_since(now)).unwrap_or(0) + REMAINS
}

/// Eight letters in two halves: 34 bits.
fn user_code() -> String {
    let mut code = String::with_capacity(9);
    while code.len() < 9 {
        for byte in id::random_bytes::<16>() {
            // The largest multiple of their number: each letter is as likely as the others.
            let Some(letter) = (byte < 240).then(|| LETTERS.get(usize::from(byte) % LETTERS.len())).flatten() else { continue };
            if code.len() == 4 {
                code.push('-');
            }
            if code.len() < 9 {
                code.push(char::from(*letter));
            }
        }
    }
    code
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
