//! One connection, many identity providers.

use super::place::{Described, Place, Registrar, in_seconds};
use super::{loaded, sources};
use crate::harness::app::{App, begin, userinfo};
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Answer, AuthnRequest, Idp, Person};
use serde_json::Value;

struct World {
    gateway: Gateway,
    app: App,
    alpha: Idp,
    beta: Idp,
    hidden: Idp,
    _place: Place,
}

const PATH: &str = "/all.xml";

impl World {
    async fn new() -> Self {
        let (place, registrar) = (Place::new().await, Registrar::new());
        let (alpha, beta, hidden) = (Idp::new("alpha"), Idp::new("beta"), Idp::new("hidden"));
        let members = [
            Described { scope: "alpha.example", ..Described::of(&alpha) },
            Described { scope: "beta.example", ..Described::of(&beta) },
            Described { hidden: true, ..Described::of(&hidden) },
        ];
        place.publish(PATH, &registrar.aggregate(&in_seconds(86_400), &members));
        let app = App::new("notes");
        let connection = format!(
            "name = \"acme\"\n[connection.saml]\nfederation_url = \"{}\"\nmetadata_certificates = [\"registrar.crt\"]\n",
            place.url(PATH)
        );
        let setup = Setup::new().file("registrar.crt", &registrar.0.certificate_pem()).connection(&connection);
        let gateway = Gateway::start(setup.application(&app.toml("", ""))).await;
        loaded(&gateway).await;
        Self { gateway, app, alpha, beta, hidden, _place: place }
    }

    async fn ask(&self, browser: &Browser, idp: &Idp) -> AuthnRequest {
        let url = self.app.authorize(&self.gateway, &[("idp", &idp.entity_id), ("prompt", "login")]);
        idp.read(&begin(browser, &url).await)
    }

    async fn profile(&self, browser: &Browser, answer: &Answer) -> Value {
        let landed = browser.post(&answer.from, &answer.to, &answer.fields()).await.away();
        let code = self.app.code(&self.gateway, &landed);
        let tokens = crate::harness::app::Tokens::of(&self.app.redeem(&self.gateway, &code, &[]).await);
        userinfo(&self.gateway, tokens.access_token()).await.json()
    }
}

const AFFILIATION: (&str, &str) = ("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", "eduPersonScopedAffiliation");

#[tokio::test]
async fn the_chosen_identity_provider_signs_people_in_and_its_people_are_nobody_else_s() {
    let world = World::new().await;
    assert_eq!(sources(&world.gateway).await[0]["entities"], 3);
    let mut subjects = Vec::new();
    for idp in [&world.alpha, &world.beta, &world.hidden] {
        let browser = Browser::new();
        let answer = idp.respond(&world.ask(&browser, idp).await, &Person::new("jane-1"));
        subjects.push(world.profile(&browser, &answer).await["sub"].as_str().unwrap().to_owned());
    }
    assert_eq!(subjects[0], format!("samlp|acme|{}!jane-1", world.alpha.entity_id));
    assert!(subjects[0] != subjects[1] && subjects[1] != subjects[2], "{subjects:?}");
    // Again, and the same person.
    let browser = Browser::new();
    let answer = world.alpha.respond(&world.ask(&browser, &world.alpha).await, &Person::new("jane-1"));
    assert_eq!(world.profile(&browser, &answer).await["sub"], subjects[0].as_str());
}

#[tokio::test]
async fn the_answer_of_one_identity_provider_is_refused_for_the_login_of_another() {
    let world = World::new().await;
    let browser = Browser::new();
    let as_itself = |request: &AuthnRequest| world.alpha.respond(request, &Person::jane());
    let as_the_other = |request: &AuthnRequest| {
        world.alpha.respond_with(request, &Person::jane(), |response| response.issuer.clone_from(&world.beta.entity_id))
    };
    for (what, forged) in [
        ("under its own name", as_itself(&world.ask(&browser, &world.beta).await)),
        ("under the other's", as_the_other(&world.ask(&browser, &world.beta).await)),
    ] {
        let landed = browser.post(&forged.from, &forged.to, &forged.fields()).await.away();
        let (error, _) = world.app.error(&world.gateway, &landed);
        assert_eq!(error, "server_error", "{what}");
    }
    let good = world.beta.respond(&world.ask(&browser, &world.beta).await, &Person::jane());
    world.profile(&browser, &good).await;
}

#[tokio::test]
async fn a_session_of_one_identity_provider_does_not_answer_for_another() {
    let world = World::new().await;
    let browser = Browser::new();
    world.profile(&browser, &world.alpha.respond(&world.ask(&browser, &world.alpha).await, &Person::jane())).await;
    let by = |idp: &str| world.app.authorize(&world.gateway, &[("idp", idp)]);
    let same = browser.open(by(&world.alpha.entity_id).as_str()).await.away();
    world.app.code(&world.gateway, &same);
    world.beta.read(&begin(&browser, &by(&world.beta.entity_id)).await);
    // Without a name, who must prove themselves again does so where they came from.
    world.alpha.read(&begin(&browser, &world.app.authorize(&world.gateway, &[("prompt", "login")])).await);
}

#[tokio::test]
async fn somebody_unknown_cannot_be_asked_and_without_a_name_the_person_chooses_among_those_that_want_to_be_found() {
    let world = World::new().await;
    let unknown = [("idp", "https://unknown.example/idp"), ("connection", "acme")];
    let landed = Browser::new().open(world.app.authorize(&world.gateway, &unknown).as_str()).await.away();
    let (_, description) = world.app.error(&world.gateway, &landed);
    assert!(description.contains("The chosen identity provider is not known here"), "{description}");
    let browser = Browser::new();
    let page = browser.open(world.app.authorize(&world.gateway, &[("connection", "acme")]).as_str()).await.here();
    assert_eq!(page.status, 200, "{}", page.body);
    let login = page.url.query_pairs().find(|(name, _)| name == "login").map(|(_, value)| value.into_owned());
    let login = login.or_else(|| page.body.split("name=\"login\" value=\"").nth(1)?.split('"').next().map(str::to_owned)).expect("a login");
    let search = |text: &str| world.gateway.url(&format!("/login?login={login}&q={text}")).to_string();
    let found = browser.open(&search("alpha")).await.here();
    assert!(found.body.contains(&world.alpha.entity_id) && !found.body.contains(&world.beta.entity_id), "{}", found.body);
    let hidden = browser.open(&search("hidden")).await.here();
    assert!(!hidden.body.contains(&world.hidden.entity_id), "{}", hidden.body);
}

#[tokio::test]
async fn an_identity_provider_speaks_for_its_own_scopes_only() {
    let world = World::new().await;
    for (idp, expected) in [(&world.alpha, "staff@alpha.example"), (&world.beta, "staff@beta.example")] {
        let browser = Browser::new();
        let person = Person::jane().with(AFFILIATION, &["staff@alpha.example", "staff@beta.example"]);
        let request = world.ask(&browser, idp).await;
        let answer = idp.respond(&request, &person);
        let landed = browser.post(&answer.from, &answer.to, &answer.fields()).await;
        let correlation_id = trace_of(&world, &landed.away()).await;
        let trace = world.gateway.trace(&correlation_id).await.to_string();
        assert!(trace.contains("1 of 2 have another scope") && trace.contains(expected), "{trace}");
    }
}

/// The newest login.
async fn trace_of(world: &World, _landed: &crate::harness::browser::Departure) -> String {
    let list = world.gateway.ask_operations("/traces", "application/json").await.json();
    let newest = list.as_array().or_else(|| list["logins"].as_array()).expect("a list")[0].clone();
    newest["correlation_id"].as_str().expect("a correlation id").to_owned()
}

#[tokio::test]
async fn entities_are_asked_for_one_at_a_time_and_invented_ones_cost_one_question() {
    let (place, registrar, alpha) = (Place::new().await, Registrar::new(), Idp::new("alpha"));
    let path =
        |entity_id: &str| format!("/mdq/entities/{}", url::form_urlencoded::byte_serialize(entity_id.as_bytes()).collect::<String>());
    place.publish(&path(&alpha.entity_id), &registrar.alone(&in_seconds(86_400), &Described::of(&alpha)));
    let app = App::new("notes");
    let connection =
        format!("name = \"acme\"\n[connection.saml]\nmdq_url = \"{}\"\nmetadata_certificates = [\"registrar.crt\"]\n", place.url("/mdq"));
    let setup = Setup::new().file("registrar.crt", &registrar.0.certificate_pem()).connection(&connection);
    let gateway = Gateway::start(setup.application(&app.toml("", ""))).await;
    let browser = Browser::new();
    let by = |idp: &str| app.authorize(&gateway, &[("idp", idp), ("connection", "acme"), ("prompt", "login")]);
    for _ in 0..3 {
        let request = alpha.read(&begin(&browser, &by(&alpha.entity_id)).await);
        let answer = alpha.respond(&request, &Person::jane());
        app.code(&gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
        app.error(&gateway, &browser.open(by("https://invented.example/idp").as_str()).await.away());
    }
    let asked = |entity_id: &str| place.asked().iter().filter(|asked| **asked == path(entity_id)).count();
    assert_eq!((asked(&alpha.entity_id), asked("https://invented.example/idp")), (1, 1));
    // Whoever invents many is not let through to the server for all of them.
    for number in 0..230 {
        app.error(&gateway, &browser.open(by(&format!("https://invented.example/{number}")).as_str()).await.away());
    }
    assert!(place.asked().len() < 225, "{}", place.asked().len());
    let request = alpha.read(&begin(&browser, &by(&alpha.entity_id)).await);
    let answer = alpha.respond(&request, &Person::jane());
    app.code(&gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
}
