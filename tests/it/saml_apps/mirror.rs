//! Mirrored connections: each is an identity provider of its own to applications that may see them so.

use super::judge;
use super::sp::{Answered, Request, Scene, Sp};
use crate::harness::browser::Browser;
use crate::harness::idp::{Idp, Person};

/// `wiki` sees `acme` and `globex` as its own; `notes` does not; `closed` is another application's.
struct Mirrored {
    scene: Scene,
    globex: Idp,
    notes: Sp,
}

impl Mirrored {
    async fn new() -> Self {
        let (globex, closed, off) = (Idp::new("globex"), Idp::new("closed"), Idp::new("off"));
        let notes = Sp::new("notes");
        let scene = Scene::with("mirror = true", |setup| {
            setup
                .connection(&globex.toml("", ""))
                .connection(&closed.toml("applications = [\"notes\"]", ""))
                .connection(&off.toml("enabled = false", ""))
                .application(&notes.toml("", ""))
        })
        .await;
        Self { scene, globex, notes }
    }

    fn request(&self, sp: &Sp, connection: &str) -> Request {
        sp.request(&self.scene.gateway).at(self.scene.gateway.url(&format!("/saml/mirror/{connection}/sso")))
    }
}

#[tokio::test]
async fn a_mirrored_connection_is_asked_and_answers_as_itself() {
    let Mirrored { scene, globex, .. } = Mirrored::new().await;
    let entity = scene.gateway.url("/saml/mirror/globex/metadata").to_string();
    let sso = scene.gateway.url("/saml/mirror/globex/sso");
    for by_post in [false, true] {
        let (browser, request) = (Browser::new(), scene.request().at(sso.clone()));
        let from = entity.parse().unwrap();
        let landed = match by_post {
            true => browser.post(&from, &request.to, &scene.sp.form(&request)).await,
            false => browser.open(scene.sp.redirect(&request).as_str()).await,
        };
        // No chooser, though there are several.
        let answer = globex.respond(&globex.read(&landed.away()), &Person::jane());
        let answered = Answered::read(&scene.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
        assert_eq!(answered.assert_good().texts("saml:Issuer"), [entity.clone(), entity.clone()]);
        assert_eq!(answered.of("saml:NameID", "NameQualifier"), entity);
        assert_eq!(answered.text("saml:AuthenticatingAuthority"), globex.entity_id);
    }
    let passive = scene.request().at(sso).with(r#"IsPassive="true""#);
    let refused = scene.at_once(&passive).await;
    refused.assert_refused("Responder", "NoPassive", &passive.id);
    assert_eq!(refused.texts("saml:Issuer"), [entity]);
}

#[tokio::test]
async fn a_session_by_another_connection_does_not_answer_for_a_mirror() {
    let mirrored = Mirrored::new().await;
    let Mirrored { scene, globex, .. } = &mirrored;
    scene.sign_in(&mirrored.request(&scene.sp, "acme"), &Person::jane()).await.assert_good();
    scene.at_once(&mirrored.request(&scene.sp, "acme")).await.assert_good();
    // The shared entity may answer from it.
    scene.at_once(&scene.request()).await.assert_good();
    let passive = mirrored.request(&scene.sp, "globex").with(r#"IsPassive="true""#);
    scene.at_once(&passive).await.assert_refused("Responder", "NoPassive", &passive.id);
    let request = mirrored.request(&scene.sp, "globex");
    let asked = globex.read(&scene.ask(&request).await.away());
    scene.answer(&globex.respond(&asked, &Person::zoe())).await.assert_good();
}

/// Nobody can pick another connection on the way.
#[tokio::test]
async fn the_connection_of_a_mirror_cannot_be_changed_on_the_way() {
    let mirrored = Mirrored::new().await;
    let Mirrored { scene, globex, .. } = &mirrored;
    let asked = globex.read(&scene.ask(&mirrored.request(&scene.sp, "globex")).await.away());
    // The login's id is in the RelayState: whoever knows it can pick again.
    let login = asked.relay_state.expect("a RelayState");
    let choice = [("connection".to_owned(), "acme".to_owned()), ("login".to_owned(), login)];
    let landed = scene.browser.post(&scene.gateway.url("/login"), &scene.gateway.url("/login"), &choice).await;
    landed.here().assert_refused(404, "ISTH-2001");
}

#[tokio::test]
async fn only_applications_that_are_set_so_and_may_use_the_connection() {
    let mirrored = Mirrored::new().await;
    let Mirrored { scene, notes, .. } = &mirrored;
    for (sp, connection) in [(notes, "acme"), (notes, "closed"), (&scene.sp, "closed"), (&scene.sp, "off"), (&scene.sp, "nowhere")] {
        let request = mirrored.request(sp, connection);
        let page = scene.browser.open(sp.redirect(&request).as_str()).await.here();
        page.assert_refused(400, "ISTH-1008");
    }
    // A request for one is none for another.
    let request = Request { to: scene.gateway.url("/saml/mirror/globex/sso"), ..mirrored.request(&scene.sp, "acme") };
    scene.ask(&request).await.here().assert_refused(400, "ISTH-1001");
    let odd = scene.gateway.url("/saml/mirror/acme/not+base64/sso");
    scene.browser.open(odd.as_str()).await.here().assert_refused(404, "ISTH-4001");
    let unknown = scene.gateway.url("/saml/mirror/acme/aHR0cHM6Ly94/sso");
    scene.ask(&scene.request().at(unknown)).await.here().assert_refused(400, "ISTH-1008");
}

#[tokio::test]
async fn a_mirror_has_metadata_of_its_own() {
    let Mirrored { scene, globex, .. } = Mirrored::new().await;
    let page = scene.browser.open(scene.gateway.url("/saml/mirror/globex/metadata").as_str()).await.here();
    assert_eq!((page.status, page.header("content-type")), (200, "application/samlmetadata+xml"), "{}", page.body);
    judge::is_built_as_the_schema_says(&page.body);
    judge::verify_metadata(&scene.gateway, &page.body);
    assert!(page.contains(&format!("entityID=\"{}\"", scene.gateway.url("/saml/mirror/globex/metadata"))), "{}", page.body);
    assert!(page.contains(&format!(">{}</mdui:DisplayName>", globex.display_name())), "{}", page.body);
    assert_eq!(page.body.matches(scene.gateway.url("/saml/mirror/globex/sso").as_str()).count(), 2);
    for hidden in ["closed", "off", "nowhere", "acme/aHR0cHM6Ly94"] {
        let url = scene.gateway.url(&format!("/saml/mirror/{hidden}/metadata"));
        scene.browser.open(url.as_str()).await.here().assert_refused(400, "ISTH-1008");
    }
    // Without any application that is set so there are none at all.
    let plain = Scene::new().await;
    plain.browser.open(plain.gateway.url("/saml/mirror/acme/metadata").as_str()).await.here().assert_refused(400, "ISTH-1008");
}
