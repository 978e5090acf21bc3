//! Whole logins over real HTTP, without a browser: what `isthmus demo --once` prints.

use super::{DIRECTORY, GITHUB, OPENID, PASSWORD, SAML};
use crate::connection::outbound;
use crate::error::{Error, ErrorKind, Result};
use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::Url;

/// Steps after which something goes round in circles.
const STEPS: usize = 20;

/// As much of a browser as the walk needs: cookies by host, redirects, forms that send themselves.
struct Walker {
    client: Client,
    /// Cookies by host and name.
    cookies: BTreeMap<(String, String), String>,
    /// What to press where a page asks.
    connection: &'static str,
    person: String,
    /// The last one that the gateway has told.
    correlation_id: String,
}

/// Signs `person` in at both applications by each provider, every time in another browser.
pub async fn everything(app_url: &str, operations_url: &str, person: &str) -> Result<Value> {
    let mut shown = json!({});
    for connection in [SAML, OPENID, GITHUB, DIRECTORY] {
        let openid = openid_connect(app_url, connection, person).await?;
        let saml = saml(app_url, operations_url, connection, person).await?;
        shown[connection] = json!({ "openid": openid, "saml": saml });
    }
    Ok(shown)
}

/// Claims, ID token and trace of a login at the application that speaks OpenID Connect.
async fn openid_connect(app_url: &str, connection: &'static str, person: &str) -> Result<Value> {
    let (mut walker, shown) = Walker::walk(&format!("{app_url}/login"), connection, person).await?;
    let trace = walker.trace(shown["trace_url"].as_str().unwrap_or_default()).await?;
    Ok(json!({ "claims": shown["claims"], "id_token": shown["id_token"], "trace": trace }))
}

/// NameID, attributes and trace of a login at the application that speaks SAML.
async fn saml(app_url: &str, operations_url: &str, connection: &'static str, person: &str) -> Result<Value> {
    let (mut walker, mut shown) = Walker::walk(&format!("{app_url}/saml/login"), connection, person).await?;
    // An assertion does not say under which id the gateway has traced the login; its answers to the browser do.
    let trace_url = format!("{operations_url}/traces/{}", walker.correlation_id);
    shown["trace"] = walker.trace(&trace_url).await?;
    Ok(shown)
}

impl Walker {
    /// Goes from `start` to what the application shows in the end.
    async fn walk(start: &str, connection: &'static str, person: &str) -> Result<(Self, Value)> {
        let (client, person) = (outbound::client()?, person.to_owned());
        let mut walker = Self { client, cookies: BTreeMap::new(), connection, person, correlation_id: String::new() };
        let (mut method, mut target, mut form) = (Method::GET, parse(start)?, Vec::new());
        for _ in 0..STEPS {
            let response = walker.send(&method, &target, &form).await?;
            let status = response.status();
            if let Some(location) = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()) {
                (method, target, form) =
                    (Method::GET, target.join(location).map_err(|error| stuck("a redirect leads nowhere").because(error))?, Vec::new());
                continue;
            }
            let body = outbound::text(response).await?;
            if let Ok(shown) = serde_json::from_str::<Value>(&body) {
                return Ok((walker, shown));
            }
            if !status.is_success() {
                return Err(stuck(&format!("{} answered {status}: {body}", target.path())));
            }
            let (action, fields) = walker.form(&body).ok_or_else(|| stuck(&format!("the page at {} has no form", target.path())))?;
            (method, target, form) =
                (Method::POST, target.join(&action).map_err(|error| stuck("a form leads nowhere").because(error))?, fields);
        }
        Err(stuck("the login goes round in circles"))
    }

    async fn send(&mut self, method: &Method, target: &Url, form: &[(String, String)]) -> Result<Response> {
        let host = target.host_str().unwrap_or_default().to_owned();
        let cookies: Vec<_> =
            self.cookies.iter().filter(|((of, _), _)| *of == host).map(|((_, name), value)| format!("{name}={value}")).collect();
        let mut request = self.client.request(method.clone(), target.clone()).header(ACCEPT, accept(target));
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        if *method == Method::POST {
            request = request.form(form);
        }
        let response = request.send().await.map_err(|error| stuck("no answer").because(error))?;
        if let Some(correlation_id) = response.headers().get("x-correlation-id").and_then(|value| value.to_str().ok()) {
            correlation_id.clone_into(&mut self.correlation_id);
        }
        for cookie in response.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            if let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) {
                self.cookies.insert((host.clone(), name.to_owned()), value.to_owned());
            }
        }
        Ok(response)
    }

    /// The first form of one of our own pages, with the person's button where there is one.
    fn form(&self, page: &str) -> Option<(String, Vec<(String, String)>)> {
        let action = between(page, "action=\"", "\"")?;
        let mut fields = Vec::new();
        for input in page.split("<input type=\"hidden\" ").skip(1) {
            fields.push((unescape(between(input, "name=\"", "\"")?), unescape(between(input, "value=\"", "\"")?)));
        }
        for (name, value) in [("connection", self.connection), ("person", &self.person)] {
            if page.contains(&format!("<button class=\"plain\" name=\"{name}\"")) {
                fields.push((name.to_owned(), value.to_owned()));
            }
        }
        if page.contains("name=\"password\" type=\"password\"") {
            fields.extend([("username".to_owned(), self.person.clone()), ("password".to_owned(), PASSWORD.to_owned())]);
        }
        Some((unescape(action), fields))
    }

    async fn trace(&mut self, trace_url: &str) -> Result<Value> {
        let response = self.send(&Method::GET, &parse(trace_url)?, &[]).await?;
        let trace: Value =
            serde_json::from_str(&outbound::text(response).await?).map_err(|error| stuck("the trace is no JSON").because(error))?;
        Ok(trace["entries"].clone())
    }
}

/// The applications' last pages and the traces are wanted as JSON; everything else as a browser sees it.
fn accept(target: &Url) -> &'static str {
    let wanted = ["/callback", "/saml/acs"].contains(&target.path()) || target.path().starts_with("/traces/");
    if wanted { "application/json" } else { "text/html" }
}

fn parse(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| stuck("an address cannot be read").because(error))
}

fn stuck(why: &str) -> Error {
    Error::new(ErrorKind::Internal, why.to_owned())
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let rest = text.split_once(start)?.1;
    Some(rest.split_once(end)?.0)
}

/// The character references that our templates write.
fn unescape(text: &str) -> String {
    [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")]
        .into_iter()
        .fold(text.to_owned(), |text, (reference, character)| text.replace(reference, character))
}
