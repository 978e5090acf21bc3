//! The profile over whole logins: whose an identity is, what follows the identity provider, and what is kept.

mod caching;
mod hostile;
mod legacy;
mod lines;
mod linking;
mod metadata;
mod proof;
mod replay;
mod sync;
mod told;

use crate::harness::app::{App, Tokens, begin};
use crate::harness::browser::{Browser, Landed};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{AuthnRequest, DISPLAY_NAME, GROUPS, Idp, MAIL, Person};
use serde_json::Value;

/// A gateway with several identity providers and one application that takes all of them.
pub struct World {
    pub gateway: Gateway,
    pub app: App,
    pub idps: Vec<Idp>,
}

impl World {
    /// Each connection by its name and its lines before `[connection.saml]`.
    pub async fn new(connections: &[(&str, &str)]) -> Self {
        Self::with(connections, "").await
    }

    /// With more lines of the application.
    pub async fn with(connections: &[(&str, &str)], application: &str) -> Self {
        Self::of(Setup::new(), connections, application).await
    }

    /// With other stores or settings.
    pub async fn of(setup: Setup, connections: &[(&str, &str)], application: &str) -> Self {
        let app = App::new("notes");
        let mut setup = setup.application(&app.toml(application, ""));
        let mut idps = Vec::new();
        for (name, lines) in connections {
            let idp = Idp::new(name);
            setup = setup.connection(&idp.toml(lines, ""));
            idps.push(idp);
        }
        Self { gateway: Gateway::start(setup).await, app, idps }
    }

    pub fn idp(&self, name: &str) -> &Idp {
        self.idps.iter().find(|idp| idp.name == name).expect("an identity provider of this name")
    }

    /// The browser on its way to one of them.
    pub async fn ask(&self, browser: &Browser, connection: &str, changes: &[(&str, &str)]) -> AuthnRequest {
        let changes: Vec<_> = changes.iter().copied().chain([("connection", connection)]).collect();
        self.idp(connection).read(&begin(browser, &self.app.authorize(&self.gateway, &changes)).await)
    }

    /// Somebody comes from one of them.
    pub async fn come(&self, browser: &Browser, connection: &str, person: &Person) -> Landed {
        let request = self.ask(browser, connection, &[]).await;
        self.answer(browser, connection, &request, person).await
    }

    /// One of them answers a request.
    pub async fn answer(&self, browser: &Browser, connection: &str, request: &AuthnRequest, person: &Person) -> Landed {
        let answer = self.idp(connection).respond(request, person);
        browser.post(&answer.from, &answer.to, &answer.fields()).await
    }

    /// A whole login in a browser of its own.
    pub async fn sign_in(&self, connection: &str, person: &Person) -> Tokens {
        self.redeem(self.come(&Browser::new(), connection, person).await).await
    }

    /// The tokens for a login that ended well.
    pub async fn redeem(&self, landed: Landed) -> Tokens {
        let code = self.app.code(&self.gateway, &landed.away());
        Tokens::of(&self.app.redeem(&self.gateway, &code, &[]).await)
    }

    /// The user id of somebody who signs in.
    pub async fn user(&self, connection: &str, person: &Person) -> String {
        subject(&self.sign_in(connection, person).await)
    }

    /// The trace of a login, as JSON.
    pub async fn trace(&self, correlation_id: &str) -> Value {
        let url = self.gateway.operations(&format!("/traces/{correlation_id}"));
        let answer = self.gateway.client().get(url).header("accept", "application/json").send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
    }

    /// A command line of the program with this gateway's configuration: exit status and output.
    pub async fn command(&self, arguments: &[&str]) -> (i32, String) {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .args(arguments)
            .args(["--config", "isthmus.toml"])
            .current_dir(self.gateway.place())
            .env("TEST_SECRET", crate::harness::app::SECRET)
            .output()
            .await
            .expect("it runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), text)
    }
}

pub fn subject(tokens: &Tokens) -> String {
    tokens.claims()["sub"].as_str().expect("a subject").to_owned()
}

/// Somebody with an address that the identity provider has verified, or not.
pub fn person(name_id: &str, email: &str, verified: bool) -> Person {
    Person::new(name_id)
        .with(MAIL, &[email])
        .with(DISPLAY_NAME, &[&format!("The {name_id}")])
        .with(("email_verified", ""), &[if verified { "true" } else { "false" }])
}

pub fn in_groups(person: Person, groups: &[&str]) -> Person {
    person.with(GROUPS, groups)
}
