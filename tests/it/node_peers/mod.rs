//! npm's openid-client and oauth4webapi as applications, through whole logins: the same lines to both, so that what one of
//! them does not look at the other one does. And express-openid-connect, as the web application that it makes.

mod answers;
mod clients;
mod express;
mod grants;
mod logins;
mod requests;

use crate::harness::app::{App, SECRET};
use crate::harness::browser::{Browser, Departure};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, Person};
use crate::harness::peers::{Peer, node_peer};
use serde_json::{Map, Value, json};

const LIBRARIES: [&str; 2] = ["openid_client.mjs", "oauth4webapi.mjs"];
const REDIRECT: &str = "http://127.0.0.1:9/callback";
const BYE: &str = "http://127.0.0.1:9/bye";

/// A library, with the keys that it has made.
struct Library {
    peer: Peer,
}

/// An application as the gateway and its library know it.
struct Application {
    client_id: String,
    auth: &'static str,
    /// More lines of `[application.oidc]`.
    oidc: String,
    /// More of what the library is told.
    settings: Value,
}

/// A gateway, an identity provider, a person at a browser, and a library that is one of the applications.
struct Stage {
    gateway: Gateway,
    idp: Idp,
    browser: Browser,
    library: Library,
    /// A refresh gives the application another refresh token.
    rotates: bool,
}

impl Library {
    fn new(script: &str) -> Self {
        Self { peer: node_peer(script, None) }
    }

    /// A line `jwks` of `[application.oidc]`, with the public halves of new keys: names and algorithms.
    fn keys(&mut self, wanted: &[(&str, &str)]) -> String {
        let keys: Vec<String> = wanted.iter().map(|(name, alg)| inline(&self.key(name, alg))).collect();
        format!("jwks = {{ keys = [{}] }}\n", keys.join(", "))
    }

    /// The public half of a new key.
    fn key(&mut self, name: &str, alg: &str) -> Value {
        self.peer.ask(&json!({"do": "keys", "name": name, "alg": alg}))["jwk"].clone()
    }
}

/// A table of texts as TOML writes it in one line.
fn inline(table: &Value) -> String {
    let table: &Map<String, Value> = table.as_object().expect("a table");
    format!("{{ {} }}", table.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", "))
}

impl Application {
    fn new(auth: &'static str, oidc: &str) -> Self {
        Self { client_id: "notes".to_owned(), auth, oidc: oidc.to_owned(), settings: json!({}) }
    }

    #[must_use]
    fn named(mut self, client_id: &str) -> Self {
        client_id.clone_into(&mut self.client_id);
        self
    }

    #[must_use]
    fn told(mut self, settings: Value) -> Self {
        self.settings = settings;
        self
    }

    fn toml(&self) -> String {
        let Self { client_id, auth, oidc, .. } = self;
        let secret = if auth.starts_with("client_secret") { "client_secret = { env = \"TEST_SECRET\" }\n" } else { "" };
        format!(
            "client_id = \"{client_id}\"\nname = \"Notes\"\n[application.oidc]\nredirect_uris = [\"{REDIRECT}\"]\n\
             post_logout_redirect_uris = [\"{BYE}\"]\ntoken_endpoint_auth_method = \"{auth}\"\n{secret}{oidc}\n"
        )
    }

    fn settings(&self, gateway: &Gateway) -> Value {
        let mut settings = json!({
            "issuer": gateway.issuer(), "client_id": self.client_id, "client_secret": SECRET, "auth_method": self.auth,
            "alg": "RS256", "redirect_uri": REDIRECT,
        });
        merge(&mut settings, &self.settings);
        settings
    }
}

fn merge(into: &mut Value, more: &Value) {
    into.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
}

impl Stage {
    /// With the applications, of which the library is the first one, and changes to the configuration.
    async fn new(library: Library, applications: &[Application], change: impl FnOnce(&mut Setup)) -> Self {
        let idp = Idp::new("acme");
        let mut setup = applications.iter().fold(Setup::new(), |setup, application| setup.application(&application.toml()));
        setup = setup.connection(&idp.toml("", ""));
        change(&mut setup);
        let mut stage = Self { gateway: Gateway::start(setup).await, idp, browser: Browser::new(), library, rotates: true };
        if let Some(first) = applications.first() {
            stage.become_application(first);
        }
        stage
    }

    /// The library reads discovery and is this application.
    fn become_application(&mut self, application: &Application) {
        // FAPI 2.0 Security Profile 5.3.2.1: its refresh tokens are bound, and stay.
        self.rotates = !application.oidc.contains("fapi2");
        let settings = application.settings(&self.gateway);
        self.library.peer.ask(&json!({"do": "start", "settings": settings}));
    }

    #[track_caller]
    fn ask(&mut self, verb: &str, more: Value) -> Value {
        let mut command = json!({"do": verb});
        merge(&mut command, &more);
        self.library.peer.ask(&command)
    }

    /// What the library says against it.
    #[track_caller]
    fn refuses(&mut self, verb: &str, more: Value) -> String {
        let mut command = json!({"do": verb});
        merge(&mut command, &more);
        let answer = self.library.peer.try_ask(&command);
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{command} is not refused: {answer}"));
        format!("{error}: {}", answer["message"].as_str().unwrap_or_default())
    }

    /// The library begins a login, and the browser comes back, by way of the identity provider if need be.
    async fn answer(&mut self, begin: Value) -> Departure {
        let url = self.ask("begin", begin);
        let url = url["url"].as_str().expect("an address");
        let departure = self.browser.open(url).await.away();
        if departure.url.as_str().starts_with(REDIRECT) {
            return departure;
        }
        let answer = self.idp.respond(&self.idp.read(&departure), &Person::zoe());
        self.browser.post(&answer.from, &answer.to, &answer.fields()).await.away()
    }

    /// A whole login: what the library has found in the answer.
    async fn sign_in(&mut self, begin: Value) -> Value {
        let answer = self.answer(begin).await;
        self.ask("callback", arrival(&answer))
    }

    /// The same, with UserInfo and a refresh; answers the claims.
    async fn whole_login(&mut self, begin: Value) -> Value {
        let first = self.sign_in(begin).await;
        assert_eq!((&first["claims"]["sub"], &first["claims"]["email"]), (&json!("samlp|acme|zoë-2"), &json!("zoe@acme.example")));
        let told = self.ask("userinfo", json!({}));
        assert_eq!(told["claims"]["name"], first["claims"]["name"]);
        let refreshed = self.ask("refresh", json!({}));
        assert_eq!(refreshed["claims"]["sub"], first["claims"]["sub"]);
        let next = Some(&refreshed["refresh_token"]).filter(|token| !token.is_null());
        assert_eq!(next.is_some_and(|token| *token != first["refresh_token"]), self.rotates, "{refreshed}");
        first
    }
}

/// An answer as the web server of an application gets it.
fn arrival(answer: &Departure) -> Value {
    match &answer.form {
        Some(fields) => json!({"url": answer.url.as_str(), "form": fields}),
        None => json!({"url": answer.url.as_str()}),
    }
}

/// The client `notes` without a library.
fn bare() -> App {
    App { callback: REDIRECT.to_owned(), ..App::new("notes") }
}
