//! Who would come of it, and what an application would get.

use super::*;

#[test]
fn only_what_the_scopes_give_is_released() {
    let desk = Desk::new();
    let (status, report) = desk.explain(desk.response(|_| {}), &["--application", "notes", "--scope", "openid email admin"]);
    assert_eq!(status, 0);
    let released = &report["released"];
    assert_eq!(released["scopes"], "openid email");
    assert_eq!(released["scopes_refused"], json!(["admin"]));
    assert!(released["claims"].get("email").is_some() && released["claims"].get("name").is_none(), "{released:#}");
    assert!(released["withheld"].as_array().unwrap().contains(&json!({"name": "name", "scope": "profile"})), "{released:#}");
    assert!(released.get("dialect").is_none());
}

#[test]
fn claims_and_tokens_are_mapped_and_not_judged() {
    let desk = Desk::new();
    let claims = json!({"$name_id": "jane-1", "mail": ["Jane.Doe@acme.example"], "displayName": "Jane Doe"});
    let (status, report) = desk.explain(claims.to_string(), &["--application", "notes"]);
    assert_eq!((status, report["verdict"].as_str()), (0, Some("not_judged")), "{report:#}");
    assert_eq!((&report["input"]["kind"], &report["checks"]), (&json!("claims"), &json!([])));
    assert_eq!((&report["profile"]["user_id"], &report["profile"]["name"]), (&json!("samlp|acme|jane-1"), &json!("Jane Doe")));
    assert_eq!(report["released"]["claims"]["name"], "Jane Doe");
    assert_eq!(report["verified"], false);

    let (status, report) = desk.explain(token(&json!({"sub": "jane", "iss": "https://op.example", "email": "jane@acme.example"})), &[]);
    assert_eq!((status, &report["input"]), (0, &json!({"kind": "id_token", "form": "jwt"})));
    let signature = check(&report, "signature");
    assert_eq!((&signature["passed"], &signature["found"]), (&Value::Null, &json!("not checked (algorithm RS256)")));
    assert_eq!(report["profile"]["user_id"], "oidc|acme|jane");
    assert_eq!(report["said"]["facts"], json!({"issuer": "https://op.example", "subject": "jane"}));
    assert!(!report.to_string().contains(&URL_SAFE_NO_PAD.encode("the-signature")), "{report:#}");

    let (status, report) = desk.explain("{}", &[]);
    assert_eq!((status, &report["profile"]["user_id"]), (0, &json!("samlp|acme|(unknown)")));
    assert!(has_note(&report, "Nobody is named"), "{report:#}");
}

#[test]
fn a_mapping_that_refuses_is_a_refusal() {
    let desk = Desk::with("mapping = \"acme\"", "", "");
    fs::create_dir(desk.place.path().join("mappings")).unwrap();
    let table = "direction = \"to_profile\"\nextends = \"saml\"\n[[row]]\nfield = \"employee_id\"\nfrom = [\"employeeNumber\"]\ntake = \"first\"\nrequire = true\n";
    fs::write(desk.place.path().join("mappings/acme.toml"), table).unwrap();
    let (status, report) = desk.explain(desk.response(|_| {}), &[]);
    assert_eq!((status, &report["verified"]), (1, &json!(true)), "{report:#}");
    let refusal = &report["refusals"][0];
    assert_eq!((&refusal["by"], &refusal["code"]), (&json!("mapping"), &json!("ISTH-3005")));
    assert_eq!(report["mapping"]["error"]["field"], "employee_id");
    assert!(report.get("profile").is_none(), "{report:#}");
    assert_eq!(desk.explain("{\"employeeNumber\": \"7\"}", &[]).0, 0);
    assert_eq!(desk.explain("{}", &[]).0, 1);
}

#[test]
fn what_is_not_kept_is_named_and_serves_the_login() {
    let desk = Desk::with("non_persistent_attrs = [\"isMemberOf\", \"urn:oid:2.5.4.42\"]\nprofile_sync = \"never_on_login\"", "", "");
    let (status, report) = desk.explain(desk.response(|_| {}), &["--application", "notes"]);
    assert_eq!(status, 0, "{report:#}");
    // As at a login, an attribute may be told by its friendly name too.
    assert_eq!(report["not_kept"], json!(["groups"]), "{report:#}");
    // The sync mode leaves the root attributes to operators, so the name is made from what there is.
    assert_eq!(report["profile"]["name"], "Jane.Doe@acme.example");
    assert!(report["profile"].get("given_name").is_none(), "{report:#}");

    let desk = Desk::with("non_persistent_attrs = [\"urn:oid:1.3.6.1.4.1.5923.1.5.1.1\", \"email\"]", "", "");
    let (_, report) = desk.explain(desk.response(|_| {}), &["--application", "notes", "--dialect", "gigya"]);
    assert_eq!(report["not_kept"], json!(["email", "groups"]), "{report:#}");
    assert_eq!(report["released"]["claims"]["groups"], json!(["staff", "admins"]));
    let gigya = &report["dialect"]["profile"];
    assert_eq!(gigya["profile"]["email"], "Jane.Doe@acme.example", "{gigya:#}");
    assert!(gigya["identities"][0].get("email").is_none() && gigya["identities"][0].get("lastName").is_some(), "{gigya:#}");
}

#[test]
fn a_person_is_shown_in_a_dialect_with_this_one_identity() {
    let desk = Desk::with("", "", "legacy_profile = true\ndialect = \"logto\"");
    let xml = desk.response(|_| {});
    let (status, report) = desk.explain(&xml, &["--dialect", "gigya", "--application", "notes"]);
    assert_eq!((status, &report["dialect"]["name"]), (0, &json!("gigya")), "{report:#}");
    let identities = report["dialect"]["profile"]["identities"].as_array().expect("identities");
    assert_eq!((identities.len(), &identities[0]["providerUID"]), (1, &json!("jane-1")), "{report:#}");
    assert_eq!(identities[0]["isLoginIdentity"], true);
    assert_eq!(report["released"]["dialect"]["name"], "gigya");
    // Without a wish it is the application's own dialect, with the sub that /userinfo has in every one.
    let (_, report) = desk.explain(&xml, &["--application", "notes"]);
    assert_eq!(report["released"]["dialect"]["name"], "logto");
    assert_eq!(report["released"]["dialect"]["profile"]["sub"], "samlp|acme|jane-1");
    assert!(report.get("dialect").is_none());
    assert!(desk.unusable(&xml, &["--dialect", "klingon"]).contains("klingon"));
}

#[test]
fn the_subject_may_be_an_attribute() {
    let desk = Desk::with("subject_comparison = \"ignore_case\"", "subject_attribute = \"urn:oid:0.9.2342.19200300.100.1.3\"", "");
    let (_, report) = desk.explain(desk.response(|_| {}), &[]);
    assert_eq!(report["profile"]["user_id"], "samlp|acme|jane.doe@acme.example");
    let (_, unverified) = desk.explain(desk.response(|response| response.sign = Sign::Nothing), &[]);
    assert_eq!(unverified["profile"]["user_id"], "samlp|acme|jane.doe@acme.example");
    let (_, claims) = desk.explain("{\"urn:oid:0.9.2342.19200300.100.1.3\": \"X@Y.example\", \"sub\": \"z\"}", &[]);
    assert_eq!(claims["profile"]["user_id"], "samlp|acme|x@y.example");
}

#[test]
fn a_saml_application_is_shown_its_attributes() {
    let desk = Desk::new();
    let config = fs::read_to_string(desk.place.path().join("isthmus.toml")).unwrap();
    let wiki = "[[application]]\nclient_id = \"wiki\"\n[application.saml]\nentity_id = \"urn:wiki\"\nacs_urls = [\"https://wiki.example/acs\"]\n\
                release = \"requested\"\nrequested_attributes = [\"urn:oid:0.9.2342.19200300.100.1.3\"]\nname_id_format = \"transient\"\n";
    fs::write(desk.place.path().join("isthmus.toml"), format!("{config}{wiki}")).unwrap();
    let (status, report) = desk.explain(desk.response(|_| {}), &["--application", "wiki"]);
    assert_eq!(status, 0, "{report:#}");
    let assertion = &report["released"]["assertion"];
    assert_eq!(assertion["table"], "saml");
    let mail = json!([{"name": "urn:oid:0.9.2342.19200300.100.1.3", "friendly_name": "mail",
        "name_format": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri", "value": "Jane.Doe@acme.example"}]);
    assert_eq!(assertion["attributes"], mail);
    assert_eq!(assertion["name_id_format"], "urn:oasis:names:tc:SAML:2.0:nameid-format:transient");
    let surname = json!({"name": "urn:oid:2.5.4.4", "why": "the application does not ask for it"});
    assert!(assertion["withheld"].as_array().unwrap().contains(&surname), "{assertion:#}");
    assert!(report["released"].get("claims").is_none(), "it has no claims");
}
