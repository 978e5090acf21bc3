//! What a provider by OAuth 2.0 is asked: the code for tokens, and the tokens for a profile.

use crate::clock::Timestamp;
use crate::connection::circuit::Circuit;
use crate::connection::config::{OAuth2Connection as Settings, Quirk};
use crate::connection::outbound::asker::{Asked, Asker, basic};
use crate::error::Result;
use crate::id;
use crate::oidc::TokenEndpointAuthMethod;
use crate::oidc::rp::{Rejection, TokenAnswer, callback, token};
use crate::secret::Secret;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::{Map, Value};
use std::sync::Arc;
use url::Url;
use url::form_urlencoded::Serializer;

/// Octets of a profile at most.
const LIMIT: u64 = 1024 * 1024;

pub struct Remote {
    settings: Arc<Settings>,
    asker: Asker,
    circuit: Circuit,
}

impl Remote {
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(settings: Arc<Settings>) -> Result<Self> {
        let asker = Asker::proving(settings.reach, settings.client_certificate.as_deref())?;
        Ok(Self { asker, circuit: Circuit::default(), settings })
    }

    /// # Errors
    /// When the provider has failed again and again, and is left alone.
    pub fn check_circuit(&self, now: Timestamp) -> Result<(), Rejection> {
        self.circuit.check("token endpoint", now)
    }

    /// The code for tokens (RFC 6749 4.1.3).
    pub async fn redeem(&self, code: &str, redirect_uri: &str, verifier: Option<&str>, now: Timestamp) -> Result<TokenAnswer, Rejection> {
        let endpoint = &self.settings.token_endpoint;
        let (form, authorization) = self.form(code, redirect_uri, verifier);
        let answer = async {
            if self.settings.quirk == Some(Quirk::WeChat) {
                let mut url = endpoint.clone();
                url.query_pairs_mut().extend_pairs(url::form_urlencoded::parse(form.expose().as_bytes()));
                self.asker.get(&url, "application/json", None, token::LIMIT).await
            } else {
                self.asker.post(endpoint, form.expose().clone(), authorization.as_ref(), token::LIMIT).await
            }
        };
        let answer = self.circuit.guarded("token endpoint", now, answer).await?;
        if let Some(rejection) = own_error(&answer.body).filter(|_| self.settings.quirk == Some(Quirk::WeChat)) {
            return Err(rejection);
        }
        TokenAnswer::parse(&answer.body, answer.status == 200)
    }

    /// The form, and the value of the header that proves who we are, where the form does not.
    fn form(&self, code: &str, redirect_uri: &str, verifier: Option<&str>) -> (Secret<String>, Option<Secret<String>>) {
        let Settings { client_id, client_secret, auth_method, quirk, .. } = self.settings.as_ref();
        let secret = client_secret.as_ref().map_or("", |secret| secret.expose());
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code").append_pair("code", code);
        if *quirk == Some(Quirk::WeChat) {
            form.append_pair("appid", client_id).append_pair("secret", secret);
            return (Secret::new(form.finish()), None);
        }
        form.append_pair("redirect_uri", redirect_uri);
        if let Some(verifier) = verifier {
            form.append_pair("code_verifier", verifier);
        }
        let mut authorization = None;
        match auth_method {
            TokenEndpointAuthMethod::ClientSecretBasic => {
                authorization = Some(basic(client_id, secret));
            }
            TokenEndpointAuthMethod::ClientSecretPost => {
                form.append_pair("client_id", client_id).append_pair("client_secret", secret);
            }
            _ => {
                form.append_pair("client_id", client_id);
            }
        }
        (Secret::new(form.finish()), authorization)
    }

    /// What the provider tells of the person, with what it tells elsewhere as members of it.
    pub async fn profile(&self, tokens: &TokenAnswer) -> Result<Map<String, Value>, Rejection> {
        let settings = &self.settings;
        let bearer = Secret::new(format!("Bearer {}", tokens.access_token.expose()));
        let mut url = settings.userinfo_endpoint.clone();
        for (name, value) in &settings.userinfo_parameters {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut header = Some(&bearer);
        match settings.quirk {
            Some(Quirk::WeChat) => {
                let openid = tokens.others.get("openid").and_then(Value::as_str).unwrap_or_default();
                url.query_pairs_mut().append_pair("access_token", tokens.access_token.expose()).append_pair("openid", openid);
                header = None;
            }
            Some(Quirk::Facebook) => {
                let proof =
                    self.proof(tokens.access_token.expose()).ok_or(Rejection::UserInfo { why: "no proof can be made".to_owned() })?;
                url.query_pairs_mut().append_pair("appsecret_proof", &proof);
            }
            None => {}
        }
        let answer = self.ask("UserInfo", &url, header).await?;
        if answer.status != 200 {
            return Err(Rejection::ProviderUnreachable { what: "UserInfo", why: format!("it answers with status {}", answer.status) });
        }
        let no_object = |_| Rejection::UserInfo { why: "it is no JSON object".to_owned() };
        let mut profile: Map<String, Value> = serde_json::from_slice(&answer.body).map_err(no_object)?;
        if settings.quirk == Some(Quirk::WeChat) && profile.get("openid") != tokens.others.get("openid") {
            return Err(Rejection::UserInfoSubject);
        }
        for (member, url) in &settings.more {
            // Nothing but this question itself says what the member is.
            profile.shift_remove(member);
            let answer = self.ask("UserInfo", url, Some(&bearer)).await?;
            match answer.status {
                200 => {
                    let value = serde_json::from_slice(&answer.body).map_err(no_object)?;
                    profile.insert(member.clone(), value);
                }
                // The person did not permit it: what is absent there is absent here.
                401 | 403 | 404 => {}
                status => {
                    return Err(Rejection::ProviderUnreachable { what: "UserInfo", why: format!("it answers with status {status}") });
                }
            }
        }
        Ok(profile)
    }

    async fn ask(&self, what: &'static str, url: &Url, authorization: Option<&Secret<String>>) -> Result<Asked, Rejection> {
        let answer = self.asker.get(url, "application/json", authorization, LIMIT).await;
        answer.map_err(|why| Rejection::ProviderUnreachable { what, why })
    }

    /// Facebook's `appsecret_proof`.
    fn proof(&self, access_token: &str) -> Option<String> {
        let key = PKey::hmac(self.settings.client_secret.as_ref()?.expose().as_bytes()).ok()?;
        let mac = Signer::new(MessageDigest::sha256(), &key).ok()?.sign_oneshot_to_vec(access_token.as_bytes()).ok()?;
        Some(id::hex(&mac))
    }
}

/// WeChat's way to say that something failed: with status 200.
fn own_error(body: &[u8]) -> Option<Rejection> {
    let members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let code = members.get("errcode")?.as_i64().filter(|code| *code != 0)?;
    let description = members.get("errmsg").and_then(Value::as_str).map(callback::short);
    Some(Rejection::TokenEndpoint { error: code.to_string(), description })
}
