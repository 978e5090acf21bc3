//! Connections.

use super::super::{Api, good, refused};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::Idp;
use crate::harness::scene::Scene;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;

/// The body of a connection to an identity provider, by its metadata.
pub fn by_metadata(idp: &Idp, clients: &[&str]) -> Value {
    let metadata = fs::read_to_string(idp.metadata_file()).expect("metadata");
    json!({
        "name": idp.name, "strategy": "samlp", "display_name": idp.display_name(), "enabled_clients": clients,
        "options": {"metadataXml": metadata},
    })
}

fn literal(idp: &Idp) -> Value {
    json!({
        "name": idp.name, "strategy": "samlp",
        "options": {"signInEndpoint": idp.sso_url, "signingCert": idp.certificate_pem()},
        "isthmus": {"entity_id": idp.entity_id},
    })
}

#[tokio::test]
async fn a_connection_is_made_read_changed_listed_and_deleted() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let idp = Idp::new("acme");
    let made = api.make("/connections", &literal(&idp)).await;
    let id = made["id"].as_str().expect("an id");
    assert!(id.starts_with("con_"), "{id}");
    assert_eq!((&made["enabled_clients"], &made["realms"]), (&json!([]), &json!(["acme"])));
    // Certificates of tests end soon.
    assert_eq!(made["isthmus"]["warnings"][0]["pointer"], "/options/signingCert");
    assert_eq!((&made["isthmus"]["source"], &made["isthmus"]["entity_id"]), (&json!("api"), &json!(idp.entity_id)));
    let path = format!("/connections/{id}");
    let page = api.get(&path).await;
    assert_eq!(good(&page, 200), made);
    // A part of the options is changed, and the rest stays.
    let part = json!({"options": {"signSAMLRequest": true, "domain_aliases": ["acme.example"]}, "display_name": "Acme"});
    let changed = good(&api.patch(&path, &part).await, 200);
    assert_eq!(changed["options"]["signInEndpoint"], idp.sso_url);
    assert_eq!((&changed["options"]["signSAMLRequest"], &changed["display_name"]), (&json!(true), &json!("Acme")));
    let gone = good(&api.patch(&path, &json!({"options": {"domain_aliases": null}})).await, 200);
    assert_eq!(gone["options"].get("domain_aliases"), None);
    let etag = page.header("etag").to_owned();
    refused(&api.call(Method::PATCH, &path, Some(&json!({"display_name": "X"})), &[("if-match", &etag)]).await, 412, "precondition_failed");
    refused(&api.call(Method::DELETE, &path, None, &[("if-match", &etag)]).await, 412, "precondition_failed");
    // Name and strategy are for ever.
    assert_eq!(refused(&api.patch(&path, &json!({"name": "b", "strategy": "auth0"})).await, 400, "invalid_body"), ["/name", "/strategy"]);
    assert_eq!(api.get(&format!("{path}/status")).await.status, 200);
    good(&api.patch(&path, &json!({"isthmus": {"enabled": false}})).await, 200);
    refused(&api.get(&format!("{path}/status")).await, 404, "connection_offline");
    // Lists.
    api.make("/connections", &json!({"name": "people", "strategy": "auth0"})).await;
    let names = async |query: &str| -> Vec<String> {
        let list = api.read(&format!("/connections{query}")).await;
        let list = list.get("connections").unwrap_or(&list).clone();
        let mut names: Vec<String> =
            list.as_array().expect("a list").iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names("").await, ["acme", "people"]);
    assert_eq!(names("?strategy=auth0").await, ["people"]);
    assert_eq!(names("?name=acme&fields=name").await, ["acme"]);
    assert_eq!(names("?take=50").await, ["acme", "people"]);
    assert_eq!(names("?include_totals=true&per_page=1").await.len(), 1);
    assert_eq!(api.delete(&path).await.status, 204);
    for page in
        [api.get(&path).await, api.delete(&path).await, api.patch(&path, &json!({})).await, api.get(&format!("{path}/status")).await]
    {
        refused(&page, 404, "inexistent_connection");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_connection_is_said_with_its_place() {
    let scene = Scene::new().await;
    let api = Api::of(&scene.gateway).await;
    let (idp, other) = (Idp::new("beta"), Idp::new("gamma"));
    let good_one = literal(&idp);
    let with = |path: &str, value: Value| {
        let mut body = good_one.clone();
        match path.split_once('/') {
            Some((outer, inner)) => body[outer][inner] = value,
            None => body[path] = value,
        }
        body
    };
    for (body, pointers) in [
        (json!({}), vec!["/name", "/strategy"]),
        (with("name", json!("a b")), vec!["/name"]),
        (with("strategy", json!("salesforce")), vec!["/strategy"]),
        (with("strategy", json!("adfs")), vec!["/strategy"]),
        (with("colour", json!(1)), vec!["/colour"]),
        (with("options/colour", json!(1)), vec!["/options/colour"]),
        (with("options/signingCert", json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")), vec!["/options/signingCert"]),
        (with("options/signingCert", json!([idp.certificate_pem(), "nonsense"])), vec!["/options/signingCert/1"]),
        // No file of the machine is read, whatever the word for it.
        (with("options/signingCert", json!("isthmus.toml")), vec!["/options/signingCert"]),
        (with("isthmus/metadata_file", json!("/etc/passwd")), vec!["/isthmus/metadata_file"]),
        (with("isthmus/metadata_certificates", json!("/etc/passwd")), vec!["/isthmus/metadata_certificates"]),
        (with("isthmus/certificates", json!(["x"])), vec!["/isthmus/certificates"]),
        (with("options/signInEndpoint", json!("http://idp.example/sso")), vec!["/options/signInEndpoint"]),
        (with("options/signInEndpoint", json!(7)), vec!["/options/signInEndpoint"]),
        (with("options/protocolBinding", json!("artifact")), vec!["/options/protocolBinding"]),
        (with("options/metadataUrl", json!("https://idp.example/metadata")), vec!["/options/signInEndpoint", "/options/signingCert"]),
        (
            with("isthmus/federation_file", json!("/etc/passwd")),
            vec!["/options/signInEndpoint", "/options/signingCert", "/isthmus/entity_id", "/isthmus/federation_file"],
        ),
        (with("options/metadataXml", json!("<x/>")), vec!["/options/signInEndpoint", "/options/signingCert", "/options/metadataXml"]),
        (with("options/set_user_root_attributes", json!("sometimes")), vec!["/options/set_user_root_attributes"]),
        (with("options/domain_aliases", json!(["beta.example", "nonsense"])), vec!["/options/domain_aliases/1"]),
        (with("options/fieldsMap", json!("email")), vec!["/options/fieldsMap"]),
        (with("enabled_clients", json!(["nobody"])), vec!["/enabled_clients/0"]),
        (with("isthmus/linking", json!({"policy": "sometimes"})), vec!["/isthmus/linking/policy"]),
        (with("isthmus/linking", json!({"policy": "ask", "among": ["nowhere"]})), vec!["/isthmus/linking/among/0"]),
        (with("isthmus/acr", json!({"high": 1})), vec!["/isthmus/acr/high"]),
        (with("isthmus/mapping", json!("nowhere")), vec!["/isthmus/mapping"]),
        (with("isthmus/nonsense", json!(1)), vec!["/isthmus/nonsense"]),
        (json!({"name": "b", "strategy": "samlp"}), vec!["/isthmus/entity_id", "/options/signInEndpoint", "/options/signingCert"]),
    ] {
        let page = api.post("/connections", &body).await;
        let mut found = refused(&page, 400, "invalid_body");
        found.dedup();
        let (mut found, mut pointers) = (found, pointers);
        found.sort();
        pointers.sort_unstable();
        assert_eq!(found, pointers, "{body}: {}", page.body);
    }
    for (body, file) in [
        (with("isthmus/metadata_file", json!("isthmus.toml")), "isthmus.toml"),
        (with("isthmus/metadata_certificates", json!("tls.crt")), "tls.crt"),
    ] {
        let page = api.post("/connections", &body).await;
        assert!(!page.body.contains(file) && !page.body.contains("cannot be read"), "{}", page.body);
    }
    // In the words of the caller.
    let page = api.post("/connections", &json!({"name": "b", "strategy": "samlp"})).await;
    assert!(page.body.contains("`signingCert` is missing") && !page.body.contains("`certificates`"), "{}", page.body);
    // A name, and a domain, have one connection.
    refused(&api.post("/connections", &by_metadata(&scene.idp, &[])).await, 409, "conflict");
    api.make("/connections", &with("options/domain_aliases", json!(["beta.example"]))).await;
    refused(&api.post("/connections", &good_one).await, 409, "conflict");
    let mut second = literal(&other);
    second["options"]["domain_aliases"] = json!(["gamma.example", "Beta.example"]);
    assert_eq!(refused(&api.post("/connections", &second).await, 400, "invalid_body"), ["/options/domain_aliases/1"]);
}

#[tokio::test]
async fn what_the_file_makes_is_shown_and_cannot_be_changed() {
    let scene = Scene::new().await;
    let api = Api::of(&scene.gateway).await;
    let all = api.read("/connections").await;
    assert_eq!((all.as_array().map(Vec::len), &all[0]["name"], &all[0]["isthmus"]["source"]), (Some(1), &json!("acme"), &json!("file")));
    assert_eq!(all[0]["options"]["signInEndpoint"], scene.idp.sso_url);
    let path = format!("/connections/{}", all[0]["id"].as_str().expect("an id"));
    assert_eq!(api.read(&path).await, all[0]);
    assert_eq!(api.get(&format!("{path}/status")).await.status, 200);
    refused(&api.patch(&path, &json!({"display_name": "X"})).await, 409, "file_configuration");
    refused(&api.delete(&path).await, 409, "file_configuration");
}

#[tokio::test]
async fn certificates_come_as_pem_as_base64_of_pem_and_as_lists_and_weak_terms_are_told() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let idp = Idp::new("acme");
    let pem = idp.certificate_pem();
    let bare: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    for (number, certificate) in [json!(pem), json!(STANDARD.encode(&pem)), json!(bare), json!([pem, pem])].into_iter().enumerate() {
        let mut body = literal(&idp);
        body["name"] = json!(format!("acme-{number}"));
        body["options"]["signingCert"] = certificate;
        api.make("/connections", &body).await;
    }
    let mut body = literal(&idp);
    body["name"] = json!("weak");
    body["isthmus"]["allow_sha1"] = true.into();
    body["isthmus"]["subject_comparison"] = "ignore_case".into();
    body["options"]["signOutEndpoint"] = "https://idp.example/slo".into();
    body["options"]["fieldsMap"] = json!({"email": ["mail", "email"], "user_metadata.x": "x", "user_id": "uid"});
    let made = api.make("/connections", &body).await;
    let warnings = made["isthmus"]["warnings"].as_array().expect("warnings").clone();
    let pointers: Vec<&str> = warnings.iter().map(|warning| warning["pointer"].as_str().expect("a pointer")).collect();
    for expected in ["/isthmus/allow_sha1", "/isthmus/subject_comparison", "/options/signOutEndpoint", "/options/fieldsMap/user_metadata.x"]
    {
        assert!(pointers.contains(&expected), "{expected}: {pointers:?}");
    }
}

#[tokio::test]
async fn changes_are_in_the_audit_log_with_before_and_after_and_without_secrets() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let made =
        api.make("/connections", &json!({"name": "people", "strategy": "auth0", "options": {"client_secret": "hunter2-hunter2"}})).await;
    assert!(made["options"].get("client_secret").is_none(), "{made}");
    let path = format!("/connections/{}", made["id"].as_str().expect("an id"));
    assert!(!api.get(&path).await.body.contains("hunter2"));
    good(&api.patch(&path, &json!({"display_name": "People"})).await, 200);
    assert_eq!(api.delete(&path).await.status, 204);
    let output = std::process::Command::new("python3")
        .args(["-c", "import sqlite3,json\nfor row in sqlite3.connect('isthmus.db').execute(\"SELECT kind, detail FROM audit WHERE kind LIKE 'connection.%' ORDER BY id\"): print(json.dumps(row))"])
        .current_dir(gateway.place())
        .output()
        .expect("python3 runs");
    let rows: Vec<(String, Value)> = String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(|line| {
            let (kind, detail): (String, String) = serde_json::from_str(line).expect("a row");
            (kind, serde_json::from_str(&detail).expect("JSON"))
        })
        .collect();
    let kinds: Vec<&str> = rows.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["connection.created", "connection.updated", "connection.deleted"], "{}", String::from_utf8_lossy(&output.stderr));
    let (_, updated) = &rows[1];
    assert_eq!((updated["before"].get("display_name"), &updated["after"]["display_name"]), (None, &json!("People")));
    assert_eq!((&updated["actor"], &updated["id"]), (&json!(api.client_id), &made["id"]));
    assert!(rows.iter().all(|(_, detail)| !detail.to_string().contains("hunter2")));
    let database = fs::read(gateway.place().join("isthmus.db")).expect("the directory");
    assert!(!database.windows(7).any(|window| window == b"hunter2"));
}
