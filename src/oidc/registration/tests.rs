use super::*;

fn parse(said: Value) -> Result<ClientMetadata> {
    ClientMetadata::parse(said.as_object().expect("an object"), false)
}

fn with(changes: &Value) -> Value {
    let mut said = json!({ "redirect_uris": ["https://app.example/cb"] });
    let members = said.as_object_mut().expect("an object");
    members.extend(changes.as_object().expect("an object").clone());
    said
}

/// Each member with a value that is refused, and a word of the reason.
#[test]
fn every_member_is_looked_at() {
    for (name, value, word) in [
        ("redirect_uris", json!("https://app.example/cb"), "no list"),
        ("redirect_uris", json!([]), "missing"),
        ("redirect_uris", json!([1]), "no text"),
        ("redirect_uris", json!(vec!["https://app.example/cb"; 51]), "more than 50"),
        ("response_types", json!(["token"]), "no response type"),
        ("response_types", json!("code"), "no list"),
        ("grant_types", json!({}), "no list"),
        ("application_type", json!("mobile"), "neither"),
        ("application_type", json!(["web"]), "neither"),
        ("contacts", json!([7]), "no text"),
        ("client_name", json!("a\u{202e}b"), "direction"),
        ("client_name", json!("x".repeat(101)), "more than 100"),
        ("client_name", json!("a\nb"), "control"),
        ("logo_uri", json!("http://app.example/l.png"), "not https"),
        ("client_uri", json!("javascript:alert(1)"), "not https"),
        ("policy_uri", json!("/policy"), "no absolute"),
        ("tos_uri", json!("https://a:b@app.example/"), "credentials"),
        ("jwks_uri", json!("https://10.0.0.1/jwks"), "by its number"),
        ("jwks_uri", json!("https://localhost/jwks"), "by its number"),
        ("jwks", json!("{}"), "no JWK Set"),
        ("sector_identifier_uri", json!("https://[::1]/s"), "by its number"),
        ("sector_identifier_uri", json!("http://app.example/s"), "not https"),
        ("subject_type", json!(1), "no text"),
        ("id_token_signed_response_alg", json!(["RS256"]), "no text"),
        ("default_max_age", json!("60"), "seconds"),
        ("default_max_age", json!(-1), "seconds"),
        ("default_max_age", json!(1.5), "seconds"),
        ("require_auth_time", json!("true"), "true nor false"),
        ("default_acr_values", json!("a"), "no list"),
        ("initiate_login_uri", json!("http://app.example/start"), "not https"),
        ("request_uris", json!(["http://app.example/r"]), "not https"),
        ("request_uris", json!(["https://169.254.169.254/r#x"]), "by its number"),
        ("request_uris", json!(vec!["https://app.example/r"; 51]), "more than 50"),
        ("scope", json!(["openid"]), "no text"),
        ("software_id", json!(""), "empty"),
        ("tls_client_certificate_bound_access_tokens", json!(1), "true nor false"),
        ("dpop_bound_access_tokens", json!("yes"), "true nor false"),
        ("post_logout_redirect_uris", json!(["http://app.example/bye"]), "not https"),
        ("backchannel_logout_uri", json!("https://192.168.1.1/out"), "by its number"),
        ("frontchannel_logout_uri", json!("https://other.example/out"), "another origin"),
    ] {
        let error = parse(with(&json!({ name: value.clone() }))).expect_err(name);
        assert!(error.detail.starts_with(&format!("{name}: ")) && error.detail.contains(word), "{name} {value}: {}", error.detail);
        let kind = if name == "redirect_uris" { ErrorKind::InvalidRegisteredUri } else { ErrorKind::InvalidClientMetadata };
        assert_eq!(error.kind, kind, "{name}");
    }
    // RFC 7591 2: what is not known is ignored.
    assert!(!parse(with(&json!({"shoe_size": 42, "client_id": "mine"}))).expect("good").members().contains_key("shoe_size"));
}

#[test]
fn redirect_uris_are_those_of_the_kind_of_application() {
    let at = |kind: &str, uri: &str, development: bool| {
        let said = json!({ "redirect_uris": [uri], "application_type": kind });
        ClientMetadata::parse(said.as_object().expect("an object"), development).map(drop).map_err(|error| error.detail)
    };
    for (kind, good) in [
        ("web", "https://app.example/cb"),
        ("web", "https://app.example:8443/cb?x=1"),
        ("native", "org.example.app:/cb"),
        ("native", "http://127.0.0.1/cb"),
        ("native", "http://localhost:4321/cb"),
        ("native", "http://[::1]/cb"),
    ] {
        assert_eq!(at(kind, good, false), Ok(()), "{kind} {good}");
    }
    for (kind, bad, word) in [
        ("web", "http://app.example/cb", "not https"),
        ("web", "https://localhost/cb", "own machine"),
        ("web", "http://127.0.0.1/cb", "own machine"),
        ("web", "https://LOCALHOST./cb", "own machine"),
        ("web", "https://x.localhost/cb", "own machine"),
        ("web", "https://0.0.0.0/cb", "own machine"),
        ("web", "https://[::ffff:127.0.0.1]/cb", "own machine"),
        ("web", "org.example.app:/cb", "not https"),
        ("web", "https://app.example/cb#x", "fragment"),
        ("web", "https://app.example/cb#", "fragment"),
        ("web", "https://app.example/c b", "blank"),
        ("web", "https://app.example/\n", "control"),
        ("web", "//app.example/cb", "absolute"),
        ("native", "https://app.example/cb", "native"),
        ("native", "http://app.example/cb", "native"),
        ("native", "app:/cb", "without a dot"),
        ("native", "javascript:alert(1)", "no place"),
        ("native", "data:text/html,x", "no place"),
    ] {
        let why = at(kind, bad, false).expect_err(bad);
        assert!(why.starts_with("redirect_uris: ") && why.contains(word), "{kind} {bad}: {why}");
    }
    assert_eq!(at("web", "http://127.0.0.1:3000/cb", true), Ok(()));
    assert!(at("web", "http://app.example/cb", true).is_err());
}

#[test]
fn what_is_not_said_is_as_the_standard_has_it() {
    let plain = parse(with(&json!({}))).expect("good");
    assert_eq!(
        Value::Object(plain.members().clone()),
        json!({
            "redirect_uris": ["https://app.example/cb"], "application_type": "web", "subject_type": "public",
            "id_token_signed_response_alg": "RS256", "token_endpoint_auth_method": "client_secret_basic",
            "response_types": ["code"], "grant_types": ["authorization_code"],
        })
    );
    for (types, grants) in
        [(json!(["code", "code id_token"]), json!(["authorization_code", "implicit"])), (json!(["token id_token"]), json!(["implicit"]))]
    {
        assert_eq!(parse(with(&json!({ "response_types": types }))).expect("good").members()["grant_types"], grants);
    }
    let machine = parse(json!({"grant_types": ["client_credentials"]})).expect("nobody returns");
    assert_eq!(machine.members()["response_types"], json!([]));
    // RFC 7592 2.2.
    assert_eq!(parse(with(&json!({"client_name": null, "jwks_uri": null}))).expect("good"), plain);
}

#[test]
fn response_types_and_grant_types_belong_together() {
    for (types, grants, member) in [
        (json!(["code"]), json!(["implicit"]), "grant_types"),
        (json!(["code id_token"]), json!(["authorization_code"]), "grant_types"),
        (json!(["code"]), json!(["authorization_code", "implicit"]), "response_types"),
        (json!(["id_token"]), json!(["authorization_code", "implicit"]), "response_types"),
    ] {
        let error = parse(with(&json!({ "response_types": types, "grant_types": grants }))).expect_err("a contradiction");
        assert!(error.detail.starts_with(&format!("{member}: ")), "{}", error.detail);
    }
    let both = json!({"jwks": {"keys": []}, "jwks_uri": "https://app.example/jwks"});
    assert!(parse(with(&both)).expect_err("both").detail.starts_with("jwks: "));
}

#[test]
fn names_in_other_languages_are_kept() {
    let said =
        json!({"client_name": "Notes", "client_name#de": "Notizen", "tos_uri#ja-Hani-JP": "https://app.example/tos", "scope#de": "x"});
    let read = parse(with(&said)).expect("good");
    assert_eq!((read.text("client_name#de"), read.text("tos_uri#ja-Hani-JP")), (Some("Notizen"), Some("https://app.example/tos")));
    assert!(!read.members().contains_key("scope#de"));
    assert!(parse(with(&json!({"client_name#d e": "x"}))).is_err());
    assert!(parse(with(&json!({"tos_uri#de": "http://app.example/"}))).is_err());
    let many: Map<String, Value> = (0..51).map(|number| (format!("client_name#x{number}"), json!("x"))).collect();
    assert!(parse(with(&Value::Object(many))).is_err());
}

#[test]
fn a_sector_lists_all_redirect_uris() {
    let read = parse(json!({ "redirect_uris": ["https://a.example/cb", "https://b.example/cb"] })).expect("good");
    assert!(read.check_sector(br#"["https://b.example/cb", "https://a.example/cb", "https://c.example/"]"#).is_ok());
    for bad in [&br#"["https://a.example/cb"]"#[..], b"{}", b"[1]", b"", b"\xff", br#"["https://a.example/cb/", "https://b.example/cb"]"#] {
        assert!(read.check_sector(bad).expect_err("refused").detail.starts_with("sector_identifier_uri: "));
    }
}

#[test]
fn a_software_statement_says_more_than_the_client() {
    let said = json!({"client_name": "Mine", "redirect_uris": ["https://a.example/"], "software_statement": "x.y.z"});
    let claims = json!({"iss": "https://maker.example", "iat": 1, "client_name": "Theirs", "software_id": "s"});
    let whole = with_statement(said.as_object().expect("one"), claims.as_object().expect("one"));
    assert_eq!(
        Value::Object(whole),
        json!({"client_name": "Theirs", "redirect_uris": ["https://a.example/"], "software_statement": "x.y.z", "software_id": "s"})
    );
}
