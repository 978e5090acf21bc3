use super::super::samples::{NOW, Sample, options};
use super::*;

/// The one identity of a person of whom the connection said this.
fn identity_of(members: Value) -> Value {
    Sample::of(members).with(|person| identity(&person.identities[0], &options()).into())
}

fn signer() -> GigyaSigner {
    // `Jefe`
    GigyaSigner::from_base64(&Secret::new("SmVmZQ==".to_owned())).expect("a secret")
}

#[test]
fn s2_1_one_identity_object_for_each_provider() {
    let mut sample = Sample::of(json!({"given_name": "Jane"}));
    sample.add("facebook", "facebook", "5110", true);
    let all = DialectOptions { include_all_identities: true, ..options() };
    let account = sample.with(|person| Value::from(account(person, &all)));
    let providers: Vec<&Value> = account["identities"].as_array().expect("a list").iter().map(|identity| &identity["provider"]).collect();
    assert_eq!(providers, ["saml-acme", "facebook"]);
    assert_eq!(account["socialProviders"], "saml-acme,facebook");
}

#[test]
fn s2_2_the_provider_is_in_lower_case() {
    for (strategy, connection, is_social, shown) in [
        ("FaceBook", "fb", true, "facebook"),
        ("samlp", "ACME", false, "saml-acme"),
        ("oidc", "acme", false, "oidc-acme"),
        ("ldap", "Campus", false, "ldap-campus"),
        ("database", "people", false, "site"),
    ] {
        let mut sample = Sample::of(json!({}));
        let view = sample.add(strategy, connection, "7", is_social).view();
        assert_eq!(identity(&view, &options())["provider"], shown);
    }
}

#[test]
fn s2_3_a_provider_uid_may_be_long() {
    let long = "ü".repeat(5000);
    let mut sample = Sample::of(json!({}));
    let view = sample.add("wechat", "wechat", &long, true).view();
    assert_eq!(identity(&view, &DialectOptions { sign_ids: Some(&signer()), ..options() })["providerUID"], long);
}

#[test]
fn s2_4_all_mapped_uids_are_listed() {
    let members =
        json!({"mapped_provider_uids": [{"provider_uid": "1", "api_key": "3_a"}, {"provider_uid": "2", "api_key": "3_b", "else": 1}, 7]});
    let mapped = json!([{"providerUID": "1", "apiKey": "3_a"}, {"providerUID": "2", "apiKey": "3_b"}]);
    assert_eq!(identity_of(members)["mappedProviderUIDs"], mapped);
    assert_eq!(identity_of(json!({})).get("mappedProviderUIDs"), None);
}

#[test]
fn s2_5_identifiers_are_signed_only_with_a_signer() {
    let signer = signer();
    let signed = DialectOptions { sign_ids: Some(&signer), ..options() };
    let mut sample = Sample::of(json!({}));
    sample.add("FACEBOOK", "facebook", "5110888888888888", true);
    let shown = sample.with(|person| identity(&person.identities[1], &signed));
    // printf 1763000000_facebook_5110888888888888 | openssl dgst -sha1 -hmac Jefe -binary | base64
    assert_eq!(shown["providerUIDSig"], "9caeLZPE+Z0clD6oFkvuT/Bvu0U=");
    assert_eq!(shown["signatureTimestamp"], "1763000000");
    let account = sample.with(|person| account(person, &signed));
    // printf '1763000000_samlp|acme|jane' | ..
    assert_eq!(account["UIDSignature"], "Mg+26PpXg6RlXABs7bi6ocEL8oY=");
    assert_eq!(account["signatureTimestamp"], "1763000000");

    let unsigned = sample.with(|person| Value::from(super::account(person, &options())));
    assert!(!unsigned.to_string().contains("Sig") && !unsigned.to_string().contains("signatureTimestamp"));
}

#[test]
fn s2_6_exactly_one_identity_is_the_one_of_the_login() {
    let mut sample = Sample::of(json!({}));
    sample.add("facebook", "facebook", "5110", true).is_login_identity = true;
    let logins = |sample: &Sample| -> Vec<bool> {
        let all = DialectOptions { include_all_identities: true, ..options() };
        let account = sample.with(|person| Value::from(account(person, &all)));
        account["identities"].as_array().expect("a list").iter().map(|identity| identity["isLoginIdentity"] == true).collect()
    };
    assert_eq!(logins(&sample), [true, false], "of two that say so, the first");
    sample.identities[0].is_login_identity = false;
    assert_eq!(logins(&sample), [false, true]);
    sample.identities[1].is_login_identity = false;
    assert_eq!(logins(&sample), [false, false], "outside a session there is none");
}

#[test]
fn s2_6_an_account_shows_the_identity_of_the_login() {
    let mut sample = Sample::of(json!({}));
    sample.add("facebook", "facebook", "5110", true).is_login_identity = true;
    sample.identities[0].is_login_identity = false;
    let shown = sample.with(|person| Value::from(account(person, &options())));
    assert_eq!((&shown["loginProvider"], &shown["loginProviderUID"]), (&json!("facebook"), &json!("5110")));
    assert_eq!(shown["identities"].as_array().map(Vec::len), Some(1));
    assert_eq!(shown["identities"][0]["provider"], "facebook");

    sample.identities[1].is_login_identity = false;
    sample.identities[1].last_login = NOW.plus_seconds(-1);
    let shown = sample.with(|person| Value::from(account(person, &options())));
    assert_eq!(shown["loginProvider"], "saml-acme", "else that of the latest login");
}

#[test]
fn s2_7_the_nickname_is_the_providers_else_first_and_last_name() {
    let names = json!({"given_name": "Jane", "family_name": "Doe", "email": "jd@acme.example"});
    assert_eq!(identity_of(names.clone())["nickname"], "Jane Doe");
    let mut with_nickname = names;
    with_nickname["nickname"] = json!("Janie");
    assert_eq!(identity_of(with_nickname)["nickname"], "Janie");
    assert_eq!(identity_of(json!({"family_name": "Doe"}))["nickname"], "Doe");
    assert_eq!(identity_of(json!({"name": "Octo Cat", "email": "oc@x"}))["nickname"], "Octo Cat");
    assert_eq!(identity_of(json!({})).get("nickname"), None, "the subject is no nickname");
}

#[test]
fn s2_8_s2_9_flags_of_the_identity() {
    let mut sample = Sample::of(json!({}));
    sample.identities[0].allows_login = false;
    sample.identities[0].expired_session = true;
    let flags = |include_all_identities| {
        let options = DialectOptions { include_all_identities, ..options() };
        let shown = sample.with(|person| identity(&person.identities[0], &options));
        (shown["allowsLogin"].clone(), shown.get("isExpiredSession").cloned())
    };
    assert_eq!(flags(false), (json!(false), None));
    assert_eq!(flags(true), (json!(false), Some(json!(true))));
}

#[test]
fn s2_10_the_last_login_is_in_seconds_and_the_last_update_in_both_forms() {
    let mut sample = Sample::of(json!({}));
    sample.identities[0].last_login = Timestamp::from_millis(1_763_000_000_999);
    sample.identities[0].last_updated = Timestamp::from_millis(1_465_860_232_512);
    let shown = sample.with(|person| Value::from(identity(&person.identities[0], &options())));
    assert_eq!(shown["lastLoginTime"], 1_763_000_000);
    assert_eq!(shown["lastUpdated"], "2016-06-13T23:23:52.512Z");
    assert_eq!(shown["lastUpdatedTimestamp"], 1_465_860_232_512_i64);
}

#[test]
fn s2_11_photos_are_the_providers() {
    let sent = identity_of(json!({"picture": "https://p/full.png", "thumbnail": "https://p/small.png", "email": "j@x"}));
    assert_eq!((&sent["photoURL"], &sent["thumbnailURL"]), (&json!("https://p/full.png"), &json!("https://p/small.png")));
    assert_eq!(identity_of(json!({"email": "j@x"})).get("photoURL"), None, "not the one that we made up");
}

#[test]
fn s2_12_address_and_names() {
    let shown = identity_of(json!({
        "given_name": "Jane", "family_name": "Doe", "preferred_username": "jd", "zoneinfo": "Europe/Vienna", "locale": "de-AT", "hometown": "Linz",
        "profile": "https://p/jane",
        "address": {"formatted": "all of it", "street_address": "Karlsplatz 13", "locality": "Wien", "region": "W", "postal_code": "1040", "country": "AT"},
    }));
    let expected = [
        ("firstName", "Jane"),
        ("lastName", "Doe"),
        ("username", "jd"),
        ("timezone", "Europe/Vienna"),
        ("locale", "de-AT"),
        ("hometown", "Linz"),
        ("profileURL", "https://p/jane"),
        ("address", "Karlsplatz 13"),
        ("city", "Wien"),
        ("state", "W"),
        ("zip", "1040"),
        ("country", "AT"),
    ];
    for (name, value) in expected {
        assert_eq!(shown[name], value, "{name}");
    }
    assert_eq!(identity_of(json!({"address": {"formatted": "all of it"}}))["address"], "all of it");
}

#[test]
fn s2_13_gender_is_one_of_three_letters() {
    for (sent, letter) in [
        ("m", "m"),
        ("male", "m"),
        ("Man", "m"),
        ("1", "m"),
        ("F", "f"),
        ("FEMALE", "f"),
        ("woman", "f"),
        ("2", "f"),
        ("0", "u"),
        ("9", "u"),
        ("diverse", "u"),
        ("männlich", "u"),
    ] {
        assert_eq!(identity_of(json!({"gender": sent}))["gender"], letter, "{sent}");
    }
    assert_eq!(identity_of(json!({})).get("gender"), None, "absent stays absent");
}

#[test]
fn s2_14_the_birth_date_becomes_numbers_and_back() {
    for (birthdate, day, month, year) in
        [("1966-04-12", Some(12), Some(4), Some(1966)), ("0000-02-29", Some(29), Some(2), None), ("1966", None, None, Some(1966))]
    {
        let shown = identity_of(json!({"birthdate": birthdate, "age": 59}));
        let number = |name: &str| shown.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
        assert_eq!((number("birthDay"), number("birthMonth"), number("birthYear")), (day, month, year), "{birthdate}");
        assert_eq!(shown["age"], 59);
        assert_eq!(birthdate_from_parts(day, month, year).as_deref(), Some(birthdate));
    }
    assert_eq!(birthdate_from_parts(None, Some(4), Some(1966)).as_deref(), Some("1966"), "a month alone has no form");
    for (day, month, year) in [
        (Some(29), Some(2), Some(1966)),
        (Some(31), Some(4), None),
        (Some(1), Some(13), Some(1966)),
        (Some(0), Some(1), None),
        (Some(1), None, Some(1966)),
        (None, Some(4), None),
        (None, None, None),
        (None, None, Some(0)),
        (None, None, Some(10_000)),
        (Some(300), Some(1), None),
    ] {
        assert_eq!(birthdate_from_parts(day, month, year), None, "{day:?} {month:?} {year:?}");
    }
    let unclean = Profile::from_map(Map::from_iter([("birthdate".to_owned(), json!("12.4.1966"))]));
    assert!(person_members(&unclean, "jane").is_empty());
}

#[test]
fn s2_15_texts_with_commas_and_arrays_of_objects() {
    let shown = identity_of(json!({
        "languages": ["English", "Deutsch"], "honors": ["a", "b"], "favorites": {"music": [{"name": "x"}]},
        "education": [{"school": "TU Wien", "degree": "MSc"}, "HTL Leonding"], "phones": [{"type": "mobile", "number": "+431"}, "+432"],
        "work": ["Acme"], "skills": [{"skill": "Rust", "level": "good"}], "publications": ["On Bridges"], "patents": ["Isthmus"],
        "certifications": ["CISSP"],
    }));
    assert_eq!((&shown["languages"], &shown["honors"]), (&json!("English,Deutsch"), &json!("a,b")));
    assert_eq!(shown["favorites"], json!({"music": [{"name": "x"}]}));
    assert_eq!(shown["education"], json!([{"school": "TU Wien", "degree": "MSc"}, {"school": "HTL Leonding"}]));
    assert_eq!(shown["phones"], json!([{"type": "mobile", "number": "+431"}, {"number": "+432"}]));
    for (name, objects) in [
        ("work", json!([{"company": "Acme"}])),
        ("skills", json!([{"skill": "Rust", "level": "good"}])),
        ("publications", json!([{"title": "On Bridges"}])),
        ("patents", json!([{"title": "Isthmus"}])),
        ("certifications", json!([{"name": "CISSP"}])),
    ] {
        assert_eq!(shown[name], objects, "{name}");
    }
    assert_eq!(identity_of(json!({"phone_number": "+431"}))["phones"], json!([{"number": "+431"}]));
}

#[test]
fn s2_15_at_most_the_first_hundred_likes() {
    let likes: Vec<Value> = (0..250).map(|id| json!({"id": id})).collect();
    let shown = identity_of(json!({ "likes": likes }));
    assert_eq!(shown["likes"].as_array().map(Vec::len), Some(100));
    assert_eq!(shown["likes"][99], json!({"id": 99}));
}

#[test]
fn s2_16_s2_17_s2_18_texts_counts_and_verified() {
    let texts = [
        ("headline", "professionalHeadline"),
        ("bio", "bio"),
        ("industry", "industry"),
        ("specialties", "specialties"),
        ("religion", "religion"),
        ("political_view", "politicalView"),
        ("interested_in", "interestedIn"),
        ("relationship_status", "relationshipStatus"),
    ];
    let mut members: Map<String, Value> = texts.iter().map(|(field, _)| ((*field).to_owned(), json!(format!("the {field}")))).collect();
    members.extend([("followers_count".to_owned(), json!(12.0)), ("following_count".to_owned(), json!(7))]);
    members.extend([("email".to_owned(), json!("j@x")), ("email_verified".to_owned(), json!(true))]);
    let shown = identity_of(Value::Object(members));
    for (field, name) in texts {
        assert_eq!(shown[name], format!("the {field}"));
    }
    assert_eq!((&shown["followersCount"], &shown["followingCount"], &shown["verified"]), (&json!(12), &json!(7), &json!(true)));
    assert_eq!(identity_of(json!({"followers_count": 1.5})).get("followersCount"), None, "no integer");
}

#[test]
fn s2_19_the_relay_address() {
    let relayed = identity_of(json!({"email": "x7@privaterelay.appleid.com"}));
    assert_eq!(
        (&relayed["email"], &relayed["proxiedEmail"]),
        (&json!("x7@privaterelay.appleid.com"), &json!("x7@privaterelay.appleid.com"))
    );
    assert_eq!(identity_of(json!({"email": "j@x"})).get("proxiedEmail"), None);
}

#[test]
fn s2_20_missing_permissions_are_one_text() {
    assert_eq!(
        identity_of(json!({"missing_permissions": ["Actions", "Status", "Photos"]}))["missingPermissions"],
        "Actions, Status, Photos"
    );
    assert_eq!(identity_of(json!({"missing_permissions": []})).get("missingPermissions"), None);
}

#[test]
fn s2_21_s2_22_saml_data_with_all_values() {
    let data = json!({"eduPersonScopedAffiliation": ["member@tuwien.ac.at", "staff@tuwien.ac.at"], "myField": ["x"]});
    assert_eq!(identity_of(json!({ "saml_data": data.clone() }))["samlData"], data);
}

#[test]
fn s2_an_account_has_state_times_profile_and_data() {
    let mut sample = Sample::of(json!({"email": "j@x", "email_verified": true, "missing_permissions": ["a"], "given_name": "Jane"}));
    sample.last_login = Some(Timestamp::from_millis(1_465_860_232_200));
    sample.custom_fields = Map::from_iter([("subscribe".to_owned(), json!(true))]);
    let shown = sample.with(|person| Value::from(account(person, &options())));
    assert_eq!((&shown["isActive"], &shown["isVerified"], &shown["data"]), (&json!(true), &json!(true), &json!({"subscribe": true})));
    assert_eq!((&shown["lastLogin"], &shown["lastLoginTimestamp"]), (&json!("2016-06-13T23:23:52.200Z"), &json!(1_465_860_232_200_i64)));
    assert_eq!(shown["profile"], json!({"nickname": "Jane", "firstName": "Jane", "email": "j@x", "verified": true}));
    sample.blocked = true;
    assert_eq!(sample.with(|person| account(person, &options())["isActive"].clone()), json!(false));
}
