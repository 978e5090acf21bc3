//! The usual scene: one gateway, one identity provider, one application, one browser.

use super::app::{App, Tokens, begin};
use super::browser::{Browser, Departure, Landed};
use super::gateway::{Gateway, Setup};
use super::idp::{AuthnRequest, Idp, Person};

pub struct Scene {
    pub gateway: Gateway,
    pub idp: Idp,
    pub app: App,
    pub browser: Browser,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(|setup| setup).await
    }

    /// With changes to the configuration; the connection `acme` and the application `notes` are there already.
    pub async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let (idp, app) = (Idp::new("acme"), App::new("notes"));
        let setup = Setup::new().connection(&idp.toml("", "")).application(&app.toml("", ""));
        Self { gateway: Gateway::start(change(setup)).await, idp, app, browser: Browser::new() }
    }

    /// The scene of other parts.
    pub async fn of(setup: Setup, idp: Idp, app: App) -> Self {
        Self { gateway: Gateway::start(setup).await, idp, app, browser: Browser::new() }
    }

    /// The browser on its way to the identity provider.
    pub async fn ask(&self, changes: &[(&str, &str)]) -> AuthnRequest {
        self.idp.read(&begin(&self.browser, &self.app.authorize(&self.gateway, changes)).await)
    }

    /// The identity provider's form arrives.
    pub async fn answer(&self, answer: &super::idp::Answer) -> Landed {
        self.browser.post(&answer.from, &answer.to, &answer.fields()).await
    }

    /// A whole login, up to the answer to the application.
    pub async fn sign_in(&self, person: &Person, changes: &[(&str, &str)]) -> Departure {
        let request = self.ask(changes).await;
        self.answer(&self.idp.respond(&request, person)).await.away()
    }

    /// A whole login with tokens.
    pub async fn tokens(&self, person: &Person, changes: &[(&str, &str)]) -> Tokens {
        let answer = self.sign_in(person, changes).await;
        let code = self.app.code(&self.gateway, &answer);
        Tokens::of(&self.app.redeem(&self.gateway, &code, &[]).await)
    }

    /// The application asks again, and the session here answers.
    pub async fn again(&self, changes: &[(&str, &str)]) -> Departure {
        self.browser.open(self.app.authorize(&self.gateway, changes).as_str()).await.away()
    }
}
