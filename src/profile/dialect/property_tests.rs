//! Rendering never invents, loses or reorders a value beyond what the dialect says.
//!
//! Random people are made from a seed. Every text and number in them is unique, so that a value in the output tells from
//! where in the input it is. The tables below were written from the specification, not from the renderers.

use super::random::Random;
use super::samples::{NOW, Sample};
use super::{Dialect, DialectOptions, GigyaSigner, Person, gigya, iso_8601, render};
use crate::clock::Timestamp;
use crate::profile::{Field, Kind, Profile};
use crate::secret::Secret;
use serde_json::{Value, json};
use std::collections::HashSet;

const PEOPLE: u64 = 400;

/// Gigya member, the field that it shows. Those that more than one field can give are in [`gigya_is_complete`].
const GIGYA: &[(&str, &str)] = &[
    ("thumbnailURL", "thumbnail"),
    ("firstName", "given_name"),
    ("lastName", "family_name"),
    ("gender", "gender"),
    ("age", "age"),
    ("email", "email"),
    ("country", "address.country"),
    ("state", "address.region"),
    ("city", "address.locality"),
    ("zip", "address.postal_code"),
    ("profileURL", "profile"),
    ("locale", "locale"),
    ("timezone", "zoneinfo"),
    ("hometown", "hometown"),
    ("languages", "languages"),
    ("honors", "honors"),
    ("education", "education"),
    ("publications", "publications"),
    ("patents", "patents"),
    ("certifications", "certifications"),
    ("work", "work"),
    ("skills", "skills"),
    ("favorites", "favorites"),
    ("likes", "likes"),
    ("professionalHeadline", "headline"),
    ("bio", "bio"),
    ("industry", "industry"),
    ("specialties", "specialties"),
    ("religion", "religion"),
    ("politicalView", "political_view"),
    ("interestedIn", "interested_in"),
    ("relationshipStatus", "relationship_status"),
    ("followersCount", "followers_count"),
    ("followingCount", "following_count"),
    ("verified", "email_verified"),
    ("samlData", "saml_data"),
];

const LOGTO: &[(&str, &str)] = &[
    ("primaryEmail", "email"),
    ("primaryPhone", "phone_number"),
    ("name", "name"),
    ("profile.givenName", "given_name"),
    ("profile.familyName", "family_name"),
    ("profile.middleName", "middle_name"),
    ("profile.nickname", "nickname"),
    ("profile.preferredUsername", "preferred_username"),
    ("profile.profile", "profile"),
    ("profile.website", "website"),
    ("profile.gender", "gender"),
    ("profile.birthdate", "birthdate"),
    ("profile.zoneinfo", "zoneinfo"),
    ("profile.locale", "locale"),
    ("profile.address.formatted", "address.formatted"),
    ("profile.address.streetAddress", "address.street_address"),
    ("profile.address.locality", "address.locality"),
    ("profile.address.region", "address.region"),
    ("profile.address.postalCode", "address.postal_code"),
    ("profile.address.country", "address.country"),
];

#[test]
fn auth0_shows_every_attribute_once_and_nothing_else() {
    for_everybody(Dialect::Auth0, |person, shown, options| {
        let mut known = Leaves::of(person);
        known.allow_times(person, iso_8601);
        known.allow_tokens(person, options);
        known.contain(shown);
        for (place, view) in person.identities.iter().enumerate() {
            let (root, profile) = match place {
                0 => (Some(shown), person.profile),
                _ => (shown["identities"][place].get("profileData"), view.profile),
            };
            auth0_has_all(root.expect("attributes"), profile, place == 0);
            assert_eq!(shown["identities"][place].get("profileData").is_some(), place > 0);
            assert_eq!(shown["identities"][place].get("access_token").is_some(), options.map_identities && view.provider_tokens.is_some());
        }
        assert_eq!(shown["identities"].as_array().map(Vec::len), Some(person.identities.len()));
    });
}

fn auth0_has_all(root: &Value, profile: &Profile, is_user: bool) {
    for (name, value) in profile.as_map() {
        match name.as_str() {
            // The gateway's own, and what the user object has of its own.
            "user_id" => {}
            "updated_at" if is_user => assert_ne!(&root["updated_at"], value),
            "phone_number_verified" => assert_eq!(&root["phone_verified"], value),
            "custom" => {
                for (member, value) in value.as_object().expect("an object") {
                    assert_eq!(&root[member], value, "{member}");
                }
            }
            "saml_data" => {
                for (member, values) in value.as_object().expect("an object") {
                    let values = values.as_array().expect("a list");
                    let expected = if values.len() == 1 { values[0].clone() } else { json!(values) };
                    assert_eq!(root[member], expected, "{member}");
                }
            }
            name => assert_eq!(&root[name], value, "{name}"),
        }
    }
}

#[test]
fn gigya_shows_what_its_table_names_and_nothing_else() {
    for_everybody(Dialect::Gigya, |person, shown, options| {
        let mut known = Leaves::of(person);
        known.allow_times(person, iso_8601);
        known.allow_times(person, |time| time.seconds().to_string());
        known.allow_times(person, |time| time.millis().to_string());
        known.allow_gigya_derivations(person);
        known.contain(shown);
        let identities = shown["identities"].as_array().expect("a list");
        if options.include_all_identities {
            assert_eq!(identities.len(), person.identities.len());
        } else {
            assert_eq!(identities.len(), 1);
        }
        assert_eq!(identities.iter().filter(|identity| identity["isLoginIdentity"] == true).count(), 1);
        gigya_is_complete(&shown["profile"], person.profile);
        for identity in identities {
            let view = person.identities.iter().find(|view| view.subject == identity["providerUID"]).expect("a known subject");
            gigya_is_complete(identity, view.profile);
            assert_eq!(identity.get("proxiedEmail"), view.profile.get("proxied_email"));
            assert_eq!(identity.get("providerUIDSig").is_some(), options.sign_ids.is_some());
            assert_eq!(identity.get("isExpiredSession").is_some(), options.include_all_identities);
            joined(identity, "missingPermissions", view.profile, "missing_permissions", ", ");
            let mapped = view.profile.get("mapped_provider_uids").and_then(Value::as_array).cloned().unwrap_or_default();
            let shown: Vec<Value> = identity.get("mappedProviderUIDs").and_then(Value::as_array).cloned().unwrap_or_default();
            assert_eq!(shown.len(), mapped.len());
            for (shown, mapped) in shown.iter().zip(&mapped) {
                assert_eq!((&shown["providerUID"], &shown["apiKey"]), (&mapped["provider_uid"], &mapped["api_key"]));
            }
        }
    });
}

fn gigya_is_complete(shown: &Value, profile: &Profile) {
    for (member, field) in GIGYA {
        let value = profile.get(field);
        assert_eq!(shown.get(member).is_some(), value.is_some(), "{member} of {field}");
        match (value, Field::parse(field).expect("known").kind) {
            (Some(_), Kind::List) => joined(shown, member, profile, field, ","),
            (Some(value), Kind::Items) => same_items(&shown[member], value, if *member == "likes" { 100 } else { usize::MAX }),
            (Some(_), _) if *member == "gender" => {}
            (Some(value), _) => assert_eq!(&shown[member], value, "{member}"),
            (None, _) => {}
        }
    }
    let number = |name: &str| shown.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    let birthdate = gigya::birthdate_from_parts(number("birthDay"), number("birthMonth"), number("birthYear"));
    assert_eq!(birthdate.as_deref(), profile.str("birthdate"), "there and back");
    let first = |fields: &[&str]| fields.iter().find_map(|field| profile.get(field)).cloned();
    assert_eq!(shown.get("address").cloned(), first(&["address.street_address", "address.formatted"]));
    assert_eq!(shown.get("username").cloned(), first(&["username", "preferred_username"]));
    match (profile.get("phones"), profile.get("phone_number")) {
        (Some(phones), _) => same_items(&shown["phones"], phones, usize::MAX),
        (None, Some(number)) => assert_eq!(shown["phones"], json!([{ "number": number }])),
        (None, None) => assert_eq!(shown.get("phones"), None),
    }
    if profile.get("given_name").is_some() || profile.get("family_name").is_some() {
        assert!(shown.get("nickname").is_some());
    }
}

#[test]
fn logto_shows_what_its_table_names_and_nothing_else() {
    for_everybody(Dialect::Logto, |person, shown, _| {
        let mut known = Leaves::of(person);
        known.allow_times(person, |time| time.millis().to_string());
        for view in &person.identities {
            known.allow([view.provider.to_uppercase(), view.connection.to_uppercase()]);
        }
        known.allow(["social".to_owned(), "enterprise".to_owned()]);
        known.contain(shown);
        for (path, field) in LOGTO {
            let found = path.split('.').try_fold(shown, |value, name| value.get(name));
            assert_eq!(found, person.profile.get(field), "{path} of {field}");
        }
        assert_eq!(shown["custom_fields"], Value::Object(person.custom_fields.clone()));
        let subjects = |of: &str| -> Vec<String> {
            let list = shown.get(of).and_then(Value::as_array).cloned().unwrap_or_default();
            list.iter().map(|identity| identity["social_identity_ref"].as_str().expect("text").to_owned()).collect()
        };
        let expected: Vec<&str> = person.identities.iter().filter(|view| view.provider != "database").map(|view| view.subject).collect();
        assert_eq!(subjects("identities"), expected);
        assert_eq!(subjects("identity_details"), expected);
    });
}

#[test]
fn no_dialect_trips_over_values_of_other_kinds() {
    for seed in 1..=PEOPLE {
        let mut random = Random(seed);
        let mut sample = Sample::of(json!({}));
        let junk = [
            json!(null),
            json!(""),
            json!([]),
            json!({}),
            json!([[]]),
            json!({"a": null}),
            json!(-1),
            json!(1e300),
            json!(true),
            json!("x"),
        ];
        let members = Field::names().map(|name| (name.to_owned(), junk[random.below(junk.len())].clone())).collect();
        sample.identities[0].profile = Profile::from_map(members);
        sample.root = None;
        for dialect in Dialect::ALL {
            let shown = sample.with(|person| render(dialect, person, &DialectOptions::new(NOW)));
            for (name, value) in &shown {
                assert!(!value.is_null() && value != "", "{seed}: {name} in {}", dialect.name());
            }
        }
    }
}

fn for_everybody(dialect: Dialect, check: impl Fn(&Person<'_>, &Value, &DialectOptions<'_>)) {
    let signer = GigyaSigner::from_base64(&Secret::new("SmVmZQ==".to_owned())).expect("a secret");
    for seed in 1..=PEOPLE {
        let mut random = Random(seed);
        let sample = random.person();
        let options = DialectOptions {
            include_all_identities: random.chance(50),
            map_identities: random.chance(50),
            sign_ids: random.chance(50).then_some(&signer),
            now: NOW,
        };
        sample.with(|person| {
            let shown = Value::from(render(dialect, person, &options));
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(person, &shown, &options)));
            assert!(result.is_ok(), "person {seed}: {person:#?}\n{shown:#}");
        });
    }
}

fn joined(shown: &Value, member: &str, profile: &Profile, field: &str, separator: &str) {
    let texts = profile.list(field);
    assert_eq!(shown.get(member).and_then(Value::as_str).unwrap_or_default(), texts.join(separator), "{member}");
}

/// The items in their order, each itself or as the only member of an object.
fn same_items(shown: &Value, items: &Value, limit: usize) {
    let (shown, items) = (shown.as_array().expect("a list"), items.as_array().expect("a list"));
    assert_eq!(shown.len(), items.len().min(limit));
    for (shown, item) in shown.iter().zip(items) {
        let object = shown.as_object().expect("an object");
        assert!(shown == item || (object.len() == 1 && object.values().next() == Some(item)), "{shown} of {item}");
    }
}

/// The values that may be in an output. Flags tell nothing of where they are from, and are left to the single checks.
struct Leaves(HashSet<String>);

impl Leaves {
    fn of(person: &Person<'_>) -> Self {
        let mut known = Self(HashSet::new());
        let free = [person.user_metadata, person.app_metadata, person.custom_fields].map(|map| Value::Object(map.clone()));
        let profiles = person.identities.iter().map(|view| view.profile).chain([person.profile]);
        for value in free.into_iter().chain(profiles.map(|profile| Value::Object(profile.as_map().clone()))) {
            each_leaf(&value, &mut |leaf| known.allow([text(leaf)]));
        }
        known.allow([person.user_id.to_owned(), person.logins_count.to_string()]);
        known.allow(person.last_ip.map(str::to_owned));
        for view in &person.identities {
            known.allow([view.connection, view.provider, view.subject].map(str::to_owned));
        }
        known
    }

    fn allow(&mut self, texts: impl IntoIterator<Item = String>) {
        self.0.extend(texts);
    }

    fn allow_times(&mut self, person: &Person<'_>, form: impl Fn(Timestamp) -> String) {
        let of_identities = person.identities.iter().flat_map(|view| [view.last_login, view.last_updated]);
        let times = of_identities.chain([person.created_at, person.updated_at, NOW]).chain(person.last_login);
        self.allow(times.map(form));
    }

    fn allow_tokens(&mut self, person: &Person<'_>, options: &DialectOptions<'_>) {
        if options.map_identities {
            self.allow(person.identities.iter().filter_map(|view| view.provider_tokens).map(|tokens| tokens.access_token.expose().clone()));
        }
    }

    fn allow_gigya_derivations(&mut self, person: &Person<'_>) {
        self.allow(["m", "f", "u", "site"].map(str::to_owned));
        let mut providers = Vec::new();
        for view in &person.identities {
            let kind = if view.provider == "samlp" { "saml" } else { view.provider };
            let provider = match view.provider {
                "database" => "site".to_owned(),
                social if view.is_social => social.to_lowercase(),
                _ => format!("{kind}-{}", view.connection).to_lowercase(),
            };
            if !providers.contains(&provider) {
                providers.push(provider);
            }
        }
        self.allow([providers.join(",")]);
        self.allow(providers);
        let signer = GigyaSigner::from_base64(&Secret::new("SmVmZQ==".to_owned())).expect("a secret");
        self.allow(signer.sign_uid(NOW, person.user_id));
        for profile in person.identities.iter().map(|view| view.profile).chain([person.profile]) {
            self.allow(["languages", "honors"].map(|field| profile.list(field).join(",")));
            self.allow([profile.list("missing_permissions").join(", ")]);
            self.allow([["given_name", "family_name"].into_iter().filter_map(|field| profile.str(field)).collect::<Vec<_>>().join(" ")]);
            self.allow(
                profile.str("birthdate").into_iter().flat_map(|date| date.split('-')).map(|part| part.trim_start_matches('0').to_owned()),
            );
        }
        for view in &person.identities {
            let provider = gigya::identity(view, &DialectOptions::new(NOW))["provider"].clone();
            self.allow(signer.sign_provider_uid(NOW, provider.as_str().unwrap_or_default(), view.subject));
        }
    }

    fn contain(&self, shown: &Value) {
        each_leaf(shown, &mut |leaf| {
            assert!(leaf.is_boolean() || self.0.contains(&text(leaf)), "{leaf} was invented");
            assert!(!leaf.is_null() && leaf != "", "there is an empty value");
        });
    }
}

fn each_leaf(value: &Value, visit: &mut dyn FnMut(&Value)) {
    match value {
        Value::Object(map) => map.values().for_each(|value| each_leaf(value, visit)),
        Value::Array(items) => items.iter().for_each(|value| each_leaf(value, visit)),
        leaf => visit(leaf),
    }
}

fn text(leaf: &Value) -> String {
    leaf.as_str().map_or_else(|| leaf.to_string(), str::to_owned)
}
