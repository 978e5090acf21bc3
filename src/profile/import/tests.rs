//! Tests of imports: each notation in its direction, and that what comes out maps as the other product would.

use super::super::{Direction, Fact, MappingTable, Profile, RawAttributes};
use super::*;
use serde_json::json;
use std::sync::Arc;

fn imported(notation: Notation, input: &Value) -> Imported {
    import(notation, &input.to_string()).expect("is of this notation")
}

fn table(imported: &Imported) -> Arc<MappingTable> {
    let (library, findings) = MappingLibrary::load(vec![("t.toml".to_owned(), imported.toml.clone())]);
    assert_eq!(findings, crate::toml_file::Findings::default(), "{}", imported.toml);
    let directions = [Direction::ToProfile, Direction::FromProfile];
    directions.into_iter().find_map(|direction| library.table("t", direction)).expect("the table")
}

/// What attributes become by the imported table.
fn inward(notation: Notation, input: &Value, attributes: &[(&str, &[&str])]) -> Value {
    let mut raw = RawAttributes::new();
    for (name, values) in attributes {
        raw.push_texts(name, values.iter().copied());
    }
    raw.set_fact(Fact::NameId, "jane");
    let profile = table(&imported(notation, input)).to_profile(&raw, &mut Vec::new()).expect("maps");
    Value::Object(profile.into_map())
}

/// What the imported table releases of a profile.
fn outward(notation: Notation, input: &Value, profile: &Value) -> Value {
    let profile = Profile::from_map(profile.as_object().expect("an object").clone());
    let released = table(&imported(notation, input)).from_profile(&profile, &mut Vec::new()).expect("maps");
    released.into_iter().map(|released| (released.name, released.value)).collect::<Map<_, _>>().into()
}

fn lost(imported: &Imported) -> Vec<&str> {
    imported.notes.iter().filter(|note| note.lost).map(|note| note.place.as_str()).collect()
}

#[test]
fn details_f_a_fields_map_is_field_to_attributes_and_the_first_present_wins() {
    let input = json!({
        "email": ["mail", "EmailAddress"], "given_name": "vorname", "phone_verified": "phoneOk", "job_title": "position",
        "colour": "favouriteColour", "user.nick": "nick", "username": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
    });
    let found = inward(
        Notation::Auth0FieldsMap,
        &input,
        &[
            ("EmailAddress", &["b@x"]),
            ("vorname", &["Jane"]),
            ("sn", &["Doe"]),
            ("phoneOk", &["true"]),
            ("position", &["Dr"]),
            ("favouriteColour", &["blue", "red"]),
            ("nick", &["JD"]),
        ],
    );
    let expected = json!({
        "email": "b@x", "given_name": "Jane", "family_name": "Doe", "phone_number_verified": true, "title": "Dr", "username": "jane",
        "custom": {"colour": ["blue", "red"], "user": {"nick": "JD"}},
    });
    assert_eq!(found, expected, "the rest as Auth0's own defaults; one value stays one, several stay several");
}

#[test]
fn details_f_what_a_fields_map_cannot_do_here_is_said() {
    let input = json!({"options": {"fieldsMap": {
        "user_id": ["uid", "sub"], "user_metadata.a": "b", "app_metadata": "c", "x": {"y": 1}, "email": ["$mail", "mail"], "y*": "z", "": "e",
        "many": ["a", "b", "c", "d", "e"],
    }, "user_id_attribute": "employee", "signInEndpoint": "https://idp.example"}});
    let imported = imported(Notation::Auth0FieldsMap, &input);
    let expected = [
        "user_id_attribute",
        "fieldsMap.user_id",
        "fieldsMap.user_metadata.a",
        "fieldsMap.app_metadata",
        "fieldsMap.x",
        "fieldsMap.email",
        "fieldsMap.y*",
        "fieldsMap.",
    ];
    assert_eq!(lost(&imported), expected);
    let comment = "# Not carried over:\n#   user_id_attribute: write subject_attribute = \"employee\" under [connection.saml]\n";
    assert!(imported.toml.contains(comment), "{}", imported.toml);
    assert!(imported.notes.iter().any(|note| note.place == "fieldsMap.many" && !note.lost), "more than Auth0 takes is a warning");
    let many: Map<String, Value> = (0..45).map(|n| (format!("f{n}"), json!("a"))).collect();
    assert_eq!(self::imported(Notation::Auth0FieldsMap, &Value::Object(many)).notes.len(), 1);
}

#[test]
fn details_h_an_attribute_map_is_field_to_template() {
    let input = json!({"mapping_mode": "use_map", "attributes": {
        "email": "${context.tokenset.email}", "name": "${context.userinfo.given_name} of ${context.tokenset.org}", "nickname": "a\"b\\c",
        "badge": "user_${context.connection.strategy}|${context.userinfo.badge}", "colours": "${context.userinfo.colours}",
        "picture": "${context.userinfo.nothing}", "website": "https://x/${context.userinfo.nothing}", "gender": "${context.userinfo.a.b}",
    }});
    let given: &[(&str, &[&str])] = &[
        ("tokenset.email", &["jane@acme.example"]),
        ("tokenset.org", &["Acme"]),
        ("userinfo.given_name", &["Jane"]),
        ("userinfo.badge", &["7"]),
        ("userinfo.colours", &["red", "blue"]),
        ("userinfo.a.b", &["female"]),
        ("email", &["another@acme.example"]),
        ("family_name", &["Doe"]),
    ];
    let of_map = json!({
        "email": "jane@acme.example", "name": "Jane of Acme", "nickname": "a\"b\\c", "gender": "female",
        "custom": {"badge": "user_oidc|7", "colours": ["red", "blue"]},
    });
    assert_eq!(inward(Notation::Auth0AttributeMap, &input, given), of_map, "and nothing else");
    let mut all = of_map.clone();
    all["family_name"] = json!("Doe");
    for mode in [json!("bind_all"), Value::Null] {
        let mut bound = input.clone();
        bound["mapping_mode"] = mode;
        assert_eq!(inward(Notation::Auth0AttributeMap, &bound, given), all);
    }
    let basic =
        json!({"options": {"attribute_map": {"mapping_mode": "basic_profile", "attributes": {"email": "${context.tokenset.email}"}}}});
    let found = inward(Notation::Auth0AttributeMap, &basic, &[given, &[("department", &["a"])]].concat());
    assert_eq!(found, json!({"email": "jane@acme.example", "family_name": "Doe"}));
}

#[test]
fn details_h_what_no_template_may_say_is_said() {
    let input = json!({"attributes": {
        "sub": "${context.tokenset.sub}", "acr": "x", "groups": "${context.userinfo.groups}", "x5t#S256": "x", "user_id": "x",
        "app_metadata.plan": "gold", "a": 7, "b": "", "c": "${context.tokenset.x", "d": "${secrets.x}", "e": "${context.tokenset}",
        "f": "${context.connection.id}", "g": "${context.tokenset.a\"]}", "h": "${context.userinfo.x*}", "email": "${context.tokenset.email}",
    }});
    let imported = imported(Notation::Auth0AttributeMap, &input);
    let lost: Vec<&str> = lost(&imported).into_iter().map(|place| place.trim_start_matches("attributes.")).collect();
    assert_eq!(lost, ["sub", "acr", "groups", "x5t#S256", "user_id", "app_metadata.plan", "a", "b", "c", "d", "e", "f", "g", "h"]);
    assert!(import(Notation::Auth0AttributeMap, r#"{"mapping_mode": "all"}"#).is_err());
}

#[test]
fn details_g_the_add_on_is_field_to_attributes_and_all_are_written() {
    let input = json!({"user_id": "id", "email": ["mail", "http://x.example/mail"], "app_metadata.plan": "plan", "nickname": "call me",
        "colour": "colour", "phone_verified": "verified"});
    let profile = json!({"user_id": "samlp|a|7", "email": "a@b", "app_metadata": {"plan": "gold"}, "nickname": "J", "title": "Dr",
        "phone_number_verified": true, "saml_data": {"colour": ["blue"]}});
    let expected = json!({"id": "samlp|a|7", "mail": "a@b", "http://x.example/mail": "a@b", "plan": "gold", "call me": "J",
        "colour": ["blue"], "verified": true});
    assert_eq!(outward(Notation::Auth0Addon, &input, &profile), expected, "mappings alone pass nothing on");
    let toml = imported(Notation::Auth0Addon, &input).toml;
    for format in
        ["release = \"mail\"\nfrom = [\"email\"]\nname_format = \"basic\"", "name_format = \"uri\"", "name_format = \"unspecified\""]
    {
        assert!(toml.contains(format), "{format} in {toml}");
    }
}

#[test]
fn details_g_whole_settings_pass_on_what_is_not_mapped() {
    let profile = json!({"user_id": "samlp|a|7", "email": "a@b", "title": "Dr", "custom": {"colour": "blue", "size": 7},
        "saml_data": {"x": ["y"]}, "user_metadata": {"a": 1}, "identities": [{"provider": "samlp"}]});
    let whole = |more: Value| {
        let mut settings = json!({"mappings": {"email": "mail", "colour": "c"}, "mapIdentities": false});
        let Value::Object(more) = more else { return settings };
        settings.as_object_mut().expect("an object").extend(more);
        settings
    };
    let prefixed = json!({"mail": "a@b", "c": "blue", "http://schemas.auth0.com/title": "Dr", "http://schemas.auth0.com/size": 7,
        "http://schemas.auth0.com/x": ["y"]});
    assert_eq!(outward(Notation::Auth0Addon, &whole(json!({})), &profile), prefixed);
    let as_is = json!({"mail": "a@b", "c": "blue", "title": "Dr", "size": 7, "x": ["y"]});
    assert_eq!(outward(Notation::Auth0Addon, &whole(json!({"mapUnknownClaimsAsIs": true})), &profile), as_is);
    let nothing = json!({"mail": "a@b", "c": "blue"});
    assert_eq!(outward(Notation::Auth0Addon, &whole(json!({"passthroughClaimsWithNoMapping": false})), &profile), nothing);
    let settings = json!({"addons": {"samlp": {"audience": "urn:x", "lifetimeInSeconds": 60, "passthroughClaimsWithNoMapping": false}}});
    assert_eq!(lost(&imported(Notation::Auth0Addon, &settings)), ["mapIdentities", "audience", "lifetimeInSeconds"]);
    let uri = |name: &str| format!("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/{name}");
    let usual = json!({uri("nameidentifier"): "samlp|a|7", uri("emailaddress"): "a@b"});
    assert_eq!(outward(Notation::Auth0Addon, &settings, &profile), usual, "the mappings that Auth0 has by itself");
}

#[test]
fn details_g_a_rule_s_mappings_go_from_the_attribute_to_the_profile_s_path() {
    let input = json!({"mappings": {"http://x.example/food": "user_metadata.favorite_food", "mail": "email", "mail2": "email", "bad": 7,
        "first": "identities[0].provider"}});
    let profile = json!({"email": "a@b", "user_metadata": {"favorite_food": "pizza"}});
    let expected = json!({"http://x.example/food": "pizza", "mail": "a@b", "mail2": "a@b"});
    assert_eq!(outward(Notation::Auth0Rule, &input, &profile), expected);
    assert_eq!(lost(&imported(Notation::Auth0Rule, &input)), ["mappings.bad", "mappings.first"]);
    // The direction trap: the same object read as the add-on's would be about other fields.
    assert_eq!(outward(Notation::Auth0Addon, &json!({"mail": "email"}), &profile), json!({}), "the profile has no field `mail`");
}

#[test]
fn details_m_gigya_s_attribute_map_goes_from_the_attribute_to_the_field() {
    let input = json!({"nick": "ProviderUID", "land": "Country", "ort": "City", "mail": "Email", "mail2": "email", "vorname": "profile.firstName",
        "nachname": "LastName", "plz": "Zip", "sprachen": "languages", "sex": "Gender", "aff": "samlData.affiliation", "x": "data.flag",
        "shoe": "shoeSize", "tag": "birthDay", "y": 7});
    let found = inward(
        Notation::Gigya,
        &input,
        &[
            ("land", &["AT"]),
            ("ort", &["Vienna"]),
            ("mail2", &["a@b"]),
            ("vorname", &["Jane"]),
            ("nachname", &["Doe"]),
            ("plz", &["1010"]),
            ("sprachen", &["de,en"]),
            ("sex", &["f"]),
            ("aff", &["member@x", "staff@x"]),
            ("x", &["1"]),
            ("shoe", &["38"]),
        ],
    );
    let expected = json!({"address": {"country": "AT", "locality": "Vienna", "postal_code": "1010"}, "email": "a@b", "given_name": "Jane",
        "family_name": "Doe", "languages": ["de", "en"], "gender": "f", "saml_data": {"affiliation": ["member@x", "staff@x"]},
        "custom": {"flag": ["1"], "shoeSize": ["38"]}});
    assert_eq!(found, expected);
    let imported = imported(Notation::Gigya, &input);
    assert_eq!(lost(&imported), ["nick", "tag", "y"]);
    assert!(imported.toml.contains("subject_attribute = \"nick\""), "{}", imported.toml);
    assert!(imported.notes.iter().any(|note| note.place == "mail" && !note.lost), "two attributes for one field");
}

#[test]
fn details_m_gigya_s_attribute_mapping_goes_from_the_field_to_the_attribute() {
    let input = json!({"name": "wiki", "attributeMapping": [
        {"attributeName": "mail", "gigyaField": "profile.email", "attributeType": "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"},
        {"attributeName": "id", "gigyaField": "UID"},
        {"attributeName": "langs", "gigyaField": "profile.languages"},
        {"attributeName": "sex", "gigyaField": "gender"},
        {"attributeName": "year", "gigyaField": "birthYear"},
        {"attributeName": "month", "gigyaField": "birthMonth"},
        {"attributeName": "day", "gigyaField": "birthDay"},
        {"attributeName": "flag", "gigyaField": "data.flag"},
        {"attributeName": "puid", "gigyaField": "providerUID"},
        {"gigyaField": "email"},
    ]});
    let profile = json!({"email": "a@b", "user_id": "samlp|a|7", "languages": ["de", "en"], "gender": "female", "birthdate": "1966-10-08",
        "custom_fields": {"flag": true}});
    let expected =
        json!({"mail": "a@b", "id": "samlp|a|7", "langs": "de,en", "sex": "f", "year": 1966, "month": 10, "day": 8, "flag": true});
    assert_eq!(outward(Notation::Gigya, &input, &profile), expected);
    assert_eq!(outward(Notation::Gigya, &input, &json!({"birthdate": "0000-10-08"})), json!({"month": 10, "day": 8}), "no year");
    let imported = imported(Notation::Gigya, &input);
    assert_eq!(lost(&imported), ["attributeMapping[8]", "attributeMapping[9]", "name"]);
    assert!(imported.toml.contains("name_format = \"urn:oasis:names:tc:SAML:2.0:attrname-format:basic\""));
}

#[test]
fn hostile_names_are_texts_in_the_table_and_nothing_else() {
    let hostile = [
        "\"",
        "'",
        "\\",
        "\n",
        "\"\n[[row]]\nfield = \"user_id\"",
        "'''",
        "\"\"\"",
        "\u{0}",
        "\u{7f}",
        "\u{202e}x",
        "# x",
        "a.b",
        "a..b",
        ".",
        "*",
        "a*",
        "$name_id",
        "$x",
        " ",
        "",
        "é",
        "\u{1f600}",
        "]]",
        "{}",
        "${x}",
        "\r",
        "\t",
        "\u{85}",
        "\u{2028}",
    ];
    for name in hostile {
        for (notation, input) in [
            (Notation::Auth0FieldsMap, json!({name: name, "email": [name, "mail"]})),
            (Notation::Auth0Addon, json!({name: name, "email": [name, "mail"]})),
            (Notation::Auth0Rule, json!({name: name, "mail": name, "ok": "email"})),
            (Notation::Gigya, json!({name: name, "mail": name})),
            (Notation::Gigya, json!([{"attributeName": name, "gigyaField": name, "attributeType": name}])),
        ] {
            let imported = imported(notation, &input);
            table(&imported);
            assert!(!imported.toml.lines().any(|line| line.trim() == "field = \"user_id\""), "{name:?}");
        }
    }
    let found = inward(Notation::Auth0FieldsMap, &json!({"email": "a\"\n'\\b"}), &[("a\"\n'\\b", &["x@y"])]);
    assert_eq!(found, json!({"email": "x@y"}));
}

#[test]
fn what_is_not_of_the_notation_is_an_error() {
    for (notation, input) in [
        (Notation::Auth0FieldsMap, "[]"),
        (Notation::Auth0FieldsMap, "{"),
        (Notation::Auth0FieldsMap, "{\"fieldsMap\": 7}"),
        (Notation::Auth0FieldsMap, "{\"signInEndpoint\": \"https://x\"}"),
        (Notation::Auth0Addon, "\"x\""),
        (Notation::Auth0Addon, "{\"mappings\": 7, \"createUpnClaim\": true}"),
        (Notation::Auth0Rule, "7"),
        (Notation::Gigya, "null"),
    ] {
        assert!(import(notation, input).is_err(), "{input}");
    }
    assert!(import(Notation::Gigya, &format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_INPUT))).is_err(), "too long");
    assert!(import(Notation::Gigya, &"[".repeat(100_000)).is_err(), "too deep");
}
