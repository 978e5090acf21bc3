//! Scripts of logins to SAML applications.

use super::{Script, with_actions, with_rules};
use crate::harness::browser::Browser;
use crate::harness::idp::{Idp, Person};
use crate::harness::saml_answer::{SamlAnswer, authn_request};
use crate::harness::scene::Scene;

const WIKI: &str = "client_id = \"wiki\"\n[application.saml]\nentity_id = \"urn:wiki\"\nacs_urls = [\"https://wiki.example/acs\"]\nallow_unsolicited = true\n";

async fn landed(scene: &Scene, path: &str) -> SamlAnswer {
    let (browser, idp): (Browser, &Idp) = (Browser::new(), &scene.idp);
    let request = idp.read(&browser.open(scene.gateway.url(path).as_str()).await.away());
    let answer = idp.respond(&request, &Person::jane());
    SamlAnswer::of(&browser.post(&answer.from, &answer.to, &answer.fields()).await.away())
}

#[tokio::test]
async fn a_rule_decides_which_attributes_a_saml_application_gets() {
    let rule = "function (user, context, callback) {\n  if (context.protocol !== 'samlp') return callback(null, user, context);\n  \
                user.user_metadata = { food: 'rice' };\n  context.samlConfiguration.mappings = { 'urn:mail': 'email', 'urn:food': 'user_metadata.food', 'urn:none': 'user_metadata.none' };\n  \
                context.samlConfiguration.lifetimeInSeconds = 60;\n  context.samlConfiguration.nameIdentifierFormat = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress';\n  callback(null, user, context);\n}";
    let scene = Scene::with(|setup| with_rules(setup.application(WIKI), &[Script("saml", "", rule)])).await;
    let answer = landed(&scene, &format!("/samlp/wiki?connection=acme&{}&RelayState=theirs", authn_request("urn:wiki", ""))).await;
    assert_eq!(answer.names(), ["urn:mail", "urn:food"]);
    assert_eq!((answer.values("urn:mail"), answer.values("urn:food")), (vec!["Jane.Doe@acme.example".to_owned()], vec!["rice".to_owned()]));
    assert_eq!(answer.text("NameID").as_deref(), Some("Jane.Doe@acme.example"));
    assert_eq!(answer.relay_state.as_deref(), Some("theirs"));
}

#[tokio::test]
async fn an_action_sets_attributes_and_settings_and_the_answer_goes_where_it_goes() {
    let action = "exports.onExecutePostLogin = async (event, api) => {\n  if (event.transaction.protocol !== 'samlp') return;\n  \
                  api.samlResponse.setAttribute('urn:tier', ['gold', 'eu']).samlResponse.setDestination('https://elsewhere.example/acs')\n    \
                  .samlResponse.setRecipient('https://elsewhere.example/acs').samlResponse.setAudience('urn:other').samlResponse.setSignResponse(true)\n    \
                  .samlResponse.setAuthnContextClassRef('urn:class').samlResponse.setRelayState('/start').samlResponse.setIssuer('urn:us');\n};";
    let scene = Scene::with(|setup| with_actions(setup.application(WIKI), "post-login", &[Script("saml", "", action)])).await;
    let answer = landed(&scene, "/samlp/wiki?connection=acme").await;
    assert_eq!((answer.to.as_str(), answer.relay_state.as_deref()), ("https://wiki.example/acs", Some("/start")));
    assert_eq!(answer.values("urn:tier"), ["gold", "eu"]);
    assert_eq!(answer.attribute_of("samlp:Response", "Destination").as_deref(), Some("https://elsewhere.example/acs"));
    assert_eq!(answer.text("Audience").as_deref(), Some("urn:other"));
    assert_eq!((answer.text("Issuer").as_deref(), answer.text("AuthnContextClassRef").as_deref()), (Some("urn:us"), Some("urn:class")));
    assert_eq!(answer.xml.matches("<ds:Signature ").count(), 2);
}

#[tokio::test]
async fn a_script_that_wants_a_weaker_answer_fails_the_login_and_the_application_is_told_no_more() {
    let rule = "function (user, context, callback) {\n  context.samlConfiguration.signatureAlgorithm = 'rsa-sha1';\n  callback(null, user, context);\n}";
    let scene = Scene::with(|setup| with_rules(setup.application(WIKI), &[Script("weak", "", rule)])).await;
    let answer = landed(&scene, &format!("/samlp/wiki?connection=acme&{}", authn_request("urn:wiki", ""))).await;
    assert!(!answer.xml.contains("<saml:Assertion") && answer.xml.contains("status:Responder"), "{}", answer.xml);
    assert!(!answer.xml.contains("signatureAlgorithm") && !answer.xml.contains("rsa-sha1\">"), "{}", answer.xml);
    assert!(scene.gateway.log().contains("SHA-1 is the registration's to allow"), "{}", scene.gateway.log());
}
