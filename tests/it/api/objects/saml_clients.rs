//! Clients with the add-on `samlp`: SAML applications in Auth0's words.

use super::super::{Api, good, refused};
use crate::harness::browser::Browser;
use crate::harness::gateway::Gateway;
use crate::harness::idp::Person;
use crate::harness::keys::Pair;
use crate::harness::peers::{auth0_of_npm, auth0_of_python};
use crate::harness::saml_answer::SamlAnswer;
use crate::harness::scene::Scene;
use serde_json::{Value, json};

const CLAIMS: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/";
const EMPLOYEE_ID: (&str, &str) = ("urn:oid:2.16.840.1.113730.3.1.3", "employeeNumber");
const ACS: &str = "https://wiki.example/acs";

/// A client whose sign-ins may begin here.
fn wiki(addon: &Value) -> Value {
    let mut samlp = json!({"audience": "urn:wiki"});
    samlp.as_object_mut().expect("an object").extend(addon.as_object().expect("an object").clone());
    json!({"name": "Wiki", "callbacks": [ACS], "addons": {"samlp": samlp}, "isthmus": {"saml": {"allow_unsolicited": true}}})
}

async fn sign_in(scene: &Scene, client: &Value, person: &Person) -> SamlAnswer {
    let path = format!("/samlp/{}?connection=acme&RelayState=here", client["client_id"].as_str().expect("an id"));
    let browser = Browser::new();
    let request = scene.idp.read(&browser.open(scene.gateway.url(&path).as_str()).await.away());
    let answer = scene.idp.respond(&request, person);
    SamlAnswer::of(&browser.post(&answer.from, &answer.to, &answer.fields()).await.away())
}

fn warned(client: &Value) -> Vec<&str> {
    let warnings = client["isthmus"]["warnings"].as_array().expect("warnings");
    warnings.iter().map(|warning| warning["pointer"].as_str().expect("a pointer")).collect()
}

#[tokio::test]
async fn the_addon_makes_a_saml_application_that_is_told_what_its_mappings_say() {
    let scene = Scene::new().await;
    let api = Api::of(&scene.gateway).await;
    let mappings = json!({"email": [format!("{CLAIMS}emailaddress"), "mail"], "groups": "memberships", "user_metadata.food": "food"});
    let addon = json!({"mappings": mappings, "lifetimeInSeconds": 60, "nameIdentifierFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
        "recipient": "https://wiki.example/recipient", "destination": "https://wiki.example/destination",
        "authnContextClassRef": "urn:wiki:class", "signResponse": true, "mapIdentities": false});
    let client = api.make("/clients", &wiki(&addon)).await;
    assert_eq!(warned(&client), ["/isthmus/saml/allow_unsolicited"]);
    assert_eq!(client["addons"], wiki(&addon)["addons"], "shown as it was given");
    let person = Person::jane().with(EMPLOYEE_ID, &["4711"]);
    let answer = sign_in(&scene, &client, &person).await;
    assert_eq!((answer.to.as_str(), answer.relay_state.as_deref()), (ACS, Some("here")));
    assert_eq!(answer.names(), [&format!("{CLAIMS}emailaddress"), "mail", "memberships"], "and nothing that is not mapped");
    assert_eq!(answer.values("mail"), ["Jane.Doe@acme.example"]);
    assert_eq!(answer.values("memberships"), ["staff", "admins"]);
    assert_eq!(answer.said_of("mail", "NameFormat").as_deref(), Some("urn:oasis:names:tc:SAML:2.0:attrname-format:basic"));
    assert_eq!(answer.text("NameID").as_deref(), Some("Jane.Doe@acme.example"));
    assert_eq!(answer.text("Audience").as_deref(), Some("urn:wiki"));
    assert_eq!(answer.attribute_of("saml:SubjectConfirmationData", "Recipient").as_deref(), Some("https://wiki.example/recipient"));
    assert_eq!(answer.attribute_of("samlp:Response", "Destination").as_deref(), Some("https://wiki.example/destination"));
    assert_eq!(answer.xml.matches("<ds:Signature ").count(), 2, "assertion and response");
}

#[tokio::test]
async fn a_bare_addon_has_auth0s_table_and_our_defaults() {
    let scene = Scene::new().await;
    let api = Api::of(&scene.gateway).await;
    let client = api.make("/clients", &wiki(&json!({}))).await;
    let person = Person::jane().with(EMPLOYEE_ID, &["4711"]);
    let answer = sign_in(&scene, &client, &person).await;
    let claim = |name: &str| format!("{CLAIMS}{name}");
    let usual = [
        claim("nameidentifier"),
        claim("emailaddress"),
        claim("name"),
        claim("givenname"),
        claim("surname"),
        "http://schemas.xmlsoap.org/claims/Group".to_owned(),
    ];
    assert_eq!(answer.names(), usual, "no UPN, because there is none");
    assert_eq!(answer.values(&claim("nameidentifier")), ["samlp|acme|jane-1"]);
    assert!(answer.attribute_of("saml:NameID", "Format").is_some_and(|format| format.ends_with(":persistent")));
    assert_eq!(answer.xml.matches("<ds:Signature ").count(), 1);
    // What nobody named is passed on only where that is said, under Auth0's prefix or as it is.
    let path = format!("/clients/{}", client["client_id"].as_str().expect("an id"));
    for (as_is, name) in [(false, "http://schemas.auth0.com/employee_id"), (true, "employee_id")] {
        let addon = json!({"addons": {"samlp": {"passthroughClaimsWithNoMapping": true, "mapUnknownClaimsAsIs": as_is}}});
        good(&api.patch(&path, &addon).await, 200);
        let answer = sign_in(&scene, &client, &person).await;
        assert_eq!(answer.values(name), ["4711"], "{:?}", answer.names());
    }
    // Taken away, it is no SAML application any more.
    good(&api.patch(&path, &json!({"addons": null, "isthmus": {"saml": null}})).await, 200);
    let metadata = scene.gateway.url(&format!("/samlp/metadata/{}", client["client_id"].as_str().expect("an id")));
    assert_eq!(scene.gateway.client().get(metadata).send().await.expect("an answer").status(), 400);
}

#[tokio::test]
async fn what_is_wrong_with_the_addon_is_said_with_its_place() {
    let scene = Scene::new().await;
    let api = Api::of(&scene.gateway).await;
    let certificate = Pair::rsa("wiki").certificate_pem();
    let at = |name: &str| format!("/addons/samlp/{name}");
    for (addon, places) in [
        (json!({"audience": null}), vec![at("audience")]),
        (json!({"colour": "red"}), vec![at("colour")]),
        (json!({"lifetimeInSeconds": 90_000}), vec![at("lifetimeInSeconds")]),
        (json!({"signatureAlgorithm": "rsa-md5"}), vec![at("signatureAlgorithm")]),
        (json!({"digestAlgorithm": "md5"}), vec![at("digestAlgorithm")]),
        (json!({"nameIdentifierFormat": "urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos"}), vec![at("nameIdentifierFormat")]),
        (json!({"nameIdentifierProbes": [""]}), vec![at("nameIdentifierProbes")]),
        (json!({"recipient": "wiki"}), vec![at("recipient")]),
        (json!({"destination": "wiki"}), vec![at("destination")]),
        (json!({"binding": "SOAP"}), vec![at("binding")]),
        (json!({"signingCert": "nonsense"}), vec![at("signingCert")]),
        (json!({"logout": {"callback": "http://wiki.example/logout"}}), vec![at("logout/callback")]),
        (json!({"logout": {"slo": true}}), vec![at("logout/slo")]),
        (json!({"logout": true}), vec![at("logout")]),
        (json!({"typedAttributes": "yes"}), vec![at("typedAttributes")]),
        (json!({"includeAttributeNameFormat": "yes"}), vec![at("includeAttributeNameFormat")]),
        (json!({"mapIdentities": true}), vec![at("mapIdentities")]),
        (json!({"mappings": ["email"]}), vec![at("mappings")]),
        (json!({"signingCert": certificate, "audience": ""}), vec![at("audience")]),
    ] {
        let found = refused(&api.post("/clients", &wiki(&addon)).await, 400, "invalid_body");
        assert_eq!(found, places, "{addon}");
    }
    let twice = json!({"name": "W", "callbacks": [ACS], "addons": {"samlp": {"audience": "urn:w", "lifetimeInSeconds": 9}}, "isthmus": {"saml": {"lifetime": 8}}});
    assert_eq!(refused(&api.post("/clients", &twice).await, 400, "invalid_body"), ["/addons/samlp/lifetimeInSeconds"]);
    let table = json!({"name": "W", "callbacks": [ACS], "addons": {"samlp": {"audience": "urn:w", "mappings": {}}}, "isthmus": {"saml": {"mapping": "saml"}}});
    assert_eq!(refused(&api.post("/clients", &table).await, 400, "invalid_body"), ["/addons/samlp/mappings"]);
    let nowhere = json!({"name": "W", "addons": {"samlp": {"audience": "urn:w"}}});
    assert_eq!(refused(&api.post("/clients", &nowhere).await, 400, "invalid_body"), ["/callbacks"]);
    let file = json!({"name": "W", "isthmus": {"saml": {"metadata_file": "isthmus.toml"}}});
    assert_eq!(refused(&api.post("/clients", &file).await, 400, "invalid_body"), ["/isthmus/saml/metadata_file"]);
    // A certificate means that requests are signed, as there.
    let client = api.make("/clients", &wiki(&json!({"signingCert": certificate}))).await;
    let unsigned = format!("/samlp/{}?SAMLRequest=x", client["client_id"].as_str().expect("an id"));
    assert_eq!(scene.gateway.client().get(scene.gateway.url(&unsigned)).send().await.expect("an answer").status(), 400);
}

#[tokio::test]
async fn the_files_saml_applications_are_shown_in_the_same_words() {
    let text = "client_id = \"wiki\"\n[application.saml]\nentity_id = \"urn:wiki\"\nacs_urls = [\"https://wiki.example/acs\"]\n\
                lifetime = 77\nsign_response = true\nname_id_format = \"transient\"\nsignature_algorithm = \"rsa-sha512\"\n";
    let scene = Scene::with(|setup| setup.application(text)).await;
    let api = Api::of(&scene.gateway).await;
    let wiki = api.read("/clients/wiki").await;
    let addon = &wiki["addons"]["samlp"];
    assert_eq!((&addon["audience"], &addon["lifetimeInSeconds"], &addon["signResponse"]), (&json!("urn:wiki"), &json!(77), &json!(true)));
    assert_eq!(
        (&addon["nameIdentifierFormat"], &addon["signatureAlgorithm"]),
        (&json!("urn:oasis:names:tc:SAML:2.0:nameid-format:transient"), &json!("rsa-sha512"))
    );
    assert_eq!((&wiki["callbacks"], wiki.get("grant_types")), (&json!([ACS]), None));
    assert_eq!((addon.get("issuer"), addon.get("digestAlgorithm")), (None, None), "what is not set is not there");
    let own = &wiki["isthmus"]["saml"];
    assert_eq!((&own["entity_id"], &own["mapping"], &own["encrypt"]), (&json!("urn:wiki"), &json!("saml"), &json!("none")));
    refused(&api.patch("/clients/wiki", &json!({"addons": {}})).await, 409, "file_configuration");
}

#[tokio::test]
async fn npm_auth0_and_auth0_python_manage_saml_clients() {
    let gateway: Gateway = super::sdks::secure().await;
    let api = Api::of(&gateway).await;
    let body = json!({"name": "Wiki", "callbacks": [ACS], "addons": {"samlp": {
        "audience": "urn:wiki", "mappings": {"email": "mail"}, "createUpnClaim": true, "passthroughClaimsWithNoMapping": false,
        "mapUnknownClaimsAsIs": false, "mapIdentities": false, "signatureAlgorithm": "rsa-sha256", "digestAlgorithm": "sha256",
        "lifetimeInSeconds": 3600, "signResponse": false, "typedAttributes": true, "includeAttributeNameFormat": true,
        "nameIdentifierFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
        "nameIdentifierProbes": ["mail"], "authnContextClassRef": "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified",
        "logout": {"callback": "https://wiki.example/slo", "slo_enabled": true}}}});
    let mut npm = auth0_of_npm(&gateway, &api.client_id, &api.client_secret);
    let made = npm.ask(&json!({"call": "clients.create", "arguments": [body]}))["result"].clone();
    assert_eq!(made["addons"], body["addons"]);
    let changed =
        npm.ask(&json!({"call": "clients.update", "arguments": [made["client_id"], {"addons": {"samlp": {"lifetimeInSeconds": 60}}}]}));
    assert_eq!(changed["result"]["addons"]["samlp"]["lifetimeInSeconds"], 60);
    let mut python = auth0_of_python(&gateway, &api.client_id, &api.client_secret);
    let made = python.ask(&json!({"call": "clients.create", "arguments": [], "named": body}))["result"].clone();
    let (samlp, given) = (&made["addons"]["samlp"], &body["addons"]["samlp"]);
    for name in ["audience", "mappings", "signatureAlgorithm", "nameIdentifierProbes", "logout"] {
        assert_eq!(samlp[name], given[name], "{name}: {made}");
    }
}
