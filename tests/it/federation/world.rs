//! A federation of more than a hundred identity providers, of which three answer: `alpha` and `beta` with everything that an
//! identity provider can have, and `hidden`, which does not want to be found.

use super::loaded;
use super::place::{Described, Place, Registrar, bare, in_seconds};
use crate::harness::app::App;
use crate::harness::artifact::ArtifactService;
use crate::harness::browser::{Browser, Landed};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::html::unescape;
use crate::harness::idp::{Answer, AuthnRequest, Idp, Person, Response};
use crate::harness::keys::Pair;
use crate::logout_support::{Known, Partner};
use crate::saml_apps::sp::Sp;
use std::sync::Arc;

/// Members of the federation beside those that answer.
pub const OTHERS: usize = 120;

const PATH: &str = "/all.xml";

pub struct World {
    pub gateway: Gateway,
    /// An OpenID client, `notes`.
    pub app: App,
    /// A SAML application, `wiki`.
    pub sp: Sp,
    pub alpha: Member,
    pub beta: Member,
    pub hidden: Idp,
    pub browser: Browser,
    _place: Place,
}

/// An identity provider, its keys for logout, and where it keeps what artifacts stand for.
pub struct Member {
    pub idp: Arc<Idp>,
    pub partner: Partner,
    pub artifacts: ArtifactService,
}

/// What the gateway is told of the connection `edu` and its applications; all are lines of TOML.
#[derive(Default)]
pub struct Lines<'a> {
    /// `[connection.saml]`.
    pub connection: &'a str,
    /// `[application.oidc]` of notes.
    pub oidc: &'a str,
    /// `[application.saml]` of wiki.
    pub saml: &'a str,
}

impl World {
    pub async fn new() -> Self {
        Self::with(&Lines::default(), |setup| setup).await
    }

    pub async fn with(lines: &Lines<'_>, change: impl FnOnce(Setup) -> Setup) -> Self {
        let (place, registrar) = (Place::new().await, Registrar::new());
        let (alpha, beta, hidden) = (Member::new("alpha").await, Member::new("beta").await, Idp::new("hidden"));
        place.publish(PATH, &aggregate(&registrar, &[&alpha, &beta], &hidden));
        let (app, sp) = (App::new("notes"), Sp::new("wiki"));
        let connection = format!(
            "name = \"edu\"\ndisplay_name = \"Universities\"\n[connection.saml]\nfederation_url = \"{}\"\nmetadata_certificates = [\"registrar.crt\"]\n{}\n",
            place.url(PATH),
            lines.connection
        );
        let setup = Setup::new().file("registrar.crt", &registrar.0.certificate_pem()).connection(&connection);
        let setup = setup.application(&app.toml("", lines.oidc)).application(&sp.toml("", lines.saml));
        let gateway = Gateway::start(change(setup)).await;
        loaded(&gateway).await;
        Self { gateway, app, sp, alpha, beta, hidden, browser: Browser::new(), _place: place }
    }

    /// The form of an identity provider arrives.
    pub async fn arrive(&self, answer: &Answer) -> Landed {
        self.browser.post(&answer.from, &answer.to, &answer.fields()).await
    }

    pub async fn is_signed_in(&self) -> bool {
        let url = self.app.authorize(&self.gateway, &[("prompt", "none")]);
        self.browser.open(url.as_str()).await.away().parameter("code").is_some()
    }

    /// An answer of a member to no question, with changes.
    pub fn unasked(&self, member: &Member, change: impl FnOnce(&mut Response)) -> Answer {
        member.unasked(&self.gateway, "edu", change)
    }
}

impl Member {
    async fn new(name: &str) -> Self {
        let (idp, partner) = Partner::idp(name);
        let idp = Arc::new(idp);
        let artifacts = ArtifactService::start(&idp).await;
        Self { idp, partner, artifacts }
    }

    /// An answer to no question for a connection, with changes.
    pub fn unasked(&self, gateway: &Gateway, connection: &str, change: impl FnOnce(&mut Response)) -> Answer {
        unasked(&self.idp, gateway, connection, change)
    }

    /// What it knows of the session that an answer of it made.
    pub fn knows(&self, answer: &Answer) -> Known {
        let index = answer.xml.split_once("SessionIndex=\"").expect("an index").1.split('"').next().unwrap().to_owned();
        let name =
            answer.xml.split_once("<saml:NameID ").expect("a name").1.split_once('>').unwrap().1.split('<').next().unwrap().to_owned();
        let format = "Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\"".to_owned();
        Known { attributes: format, name: unescape(&name), session_index: Some(index) }
    }

    fn services(&self) -> String {
        let slo = |binding: &str| {
            format!(
                r#"<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{binding}" Location="{}"/>"#,
                self.partner.slo
            )
        };
        format!(
            r#"<md:ArtifactResolutionService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="{}" index="0"/>{}{}"#,
            self.artifacts.url(),
            slo("Redirect"),
            slo("POST")
        )
    }
}

/// An answer of an identity provider to no question, with changes.
pub fn unasked(idp: &Idp, gateway: &Gateway, connection: &str, change: impl FnOnce(&mut Response)) -> Answer {
    let nothing = AuthnRequest {
        xml: String::new(),
        id: String::new(),
        issuer: gateway.url(&format!("/connections/{connection}/metadata")).into(),
        acs_url: gateway.url(&format!("/connections/{connection}/acs")).into(),
        destination: String::new(),
        force_authn: false,
        is_passive: false,
        relay_state: None,
        post: false,
    };
    idp.respond_with(&nothing, &Person::jane(), |response| {
        response.in_response_to = None;
        change(response);
    })
}

/// Number 7 has accents in its name.
pub fn name_of(number: usize) -> String {
    if number == 7 { "Université de Ünterberg".to_owned() } else { format!("University of Town {number:03}") }
}

pub fn entity_of(number: usize) -> String {
    format!("https://idp.town-{number:03}.example/metadata")
}

fn aggregate(registrar: &Registrar, members: &[&Member], hidden: &Idp) -> String {
    let nobody = bare(&Pair::rsa("nobody").certificate_pem());
    let texts: Vec<[String; 4]> = (0..OTHERS)
        .map(|number| {
            let host = format!("town-{number:03}.example");
            [entity_of(number), format!("https://idp.{host}/sso"), name_of(number), host]
        })
        .collect();
    let mut described: Vec<Described<'_>> = texts
        .iter()
        .map(|[entity_id, sso_url, name, scope]| Described {
            entity_id,
            sso_url,
            certificates: vec![nobody.clone()],
            name,
            scope,
            hidden: false,
            services: String::new(),
        })
        .collect();
    described.extend(members.iter().map(|member| Described { services: member.services(), ..Described::of(&member.idp) }));
    described.push(Described { hidden: true, ..Described::of(hidden) });
    registrar.aggregate(&in_seconds(86_400), &described)
}
