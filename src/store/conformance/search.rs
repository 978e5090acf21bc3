//! That a search finds whom its query says, in whatever way users have come to be what they are.

use super::logins::{at, by, kind, read, recorded};
use super::users::new_user;
use super::{NOW, identity, login, object, raw};
use crate::clock::Timestamp;
use crate::error::ErrorKind;
use crate::store::search::{MOST_FOUND, MOST_REACHED};
use crate::store::{Directory, IdentityLogin, NewUser, ProfileSync, UserChange, UserQuery};
use crate::user::search::evaluate::{Random, holds};
use crate::user::search::{DEEPEST, Filter, MOST_TERMS, Order, Sort, SortField, TextField, TimeField, parse};
use crate::user::{Identity, ROOT_ATTRIBUTES, User};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::sync::Arc;
use tokio::task::JoinSet;

pub(super) async fn all(directory: &Arc<dyn Directory>) {
    s4_15_queries_find_whom_they_say(&**directory).await;
    s4_15_an_address_is_that_of_the_login(&**directory).await;
    s4_15_a_search_sees_every_change_at_once(&**directory).await;
    s4_15_concurrent_logins_are_all_counted(directory).await;
    let users = random_users(&**directory).await;
    s4_15_random_queries_agree_with_an_evaluation_in_memory(&**directory, &users).await;
    s4_15_sorts_and_pages(&**directory, &users).await;
    s4_15_the_largest_queries_are_answered(&**directory, &users).await;
    s4_15_everybody_is_listed_once(&**directory).await;
    s4_15_nobody_is_forgotten_whatever_happened_before(&**directory).await;
    pages_have_bounds(&**directory).await;
}

async fn found(directory: &dyn Directory, filter: Filter) -> Vec<String> {
    let (mut ids, mut total) = (Vec::new(), None);
    loop {
        let query = UserQuery { filter: Some(filter.clone()), offset: ids.len(), limit: MOST_FOUND, count: true, ..UserQuery::default() };
        let answer = directory.find_users(&query).await.unwrap_or_else(|error| panic!("{filter:?}: {error:?}"));
        let several = answer.users.len();
        ids.extend(answer.users.into_iter().map(|user| user.user_id));
        total = total.max(answer.total);
        if several < MOST_FOUND || ids.len() == MOST_REACHED {
            break;
        }
    }
    if ids.len() < MOST_REACHED {
        assert_eq!(total, i64::try_from(ids.len()).ok(), "{filter:?}");
    }
    ids
}

/// Of the users of one connection.
async fn found_at(directory: &dyn Directory, connection: &str, query: &str) -> Vec<String> {
    let filter = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let here = parse(&format!("identities.connection:\"{connection}\"")).expect("understood");
    found(directory, Filter::All(vec![here, filter])).await
}

/// A login as the broker records one.
async fn come(directory: &dyn Directory, identity: &Identity, profile: &Value, sync: ProfileSync, now: Timestamp) -> String {
    let (text, email) = (raw(profile), profile["email"].as_str().map(crate::user::folded));
    let root: Map<String, Value> =
        ROOT_ATTRIBUTES.iter().filter_map(|name| Some(((*name).to_owned(), profile.get(*name)?.clone()))).collect();
    let root = Value::Object(root).to_string();
    let login = IdentityLogin { root: &root, sync, email: email.as_deref(), ..IdentityLogin::plain(identity, &text, now) };
    recorded(directory, &login).await.user_id
}

fn table_person(subject: &str) -> Identity {
    Identity { connection: "table".into(), provider: "samlp".into(), user_id: subject.into(), is_social: false }
}

async fn make_table(directory: &dyn Directory) {
    let person = |subject: &str| table_person(subject);
    let each = ProfileSync::OnEachLogin;
    let jane = json!({"email": "Jane@Acme.example", "email_verified": true, "name": "Jane Smith", "given_name": "Jane", "family_name": "Smith",
        "nickname": "jane", "username": "JSmith", "phone_number": "+431", "phone_number_verified": true, "picture": "https://a.example/?j"});
    let new = NewUser {
        user_metadata: object(json!({"theme": "dark", "addresses": [{"city": "Paris"}, {"city": "Rome"}], "n": 5})),
        app_metadata: object(
            json!({"plan": "gold", "seats": 12, "roles": ["admin", "staff"], "deep": {"er": {"x": "y"}}, "on": true, "none": null, "empty": [],
            "since": "2017-12-05", "ratio": 2.5, "nul": "a\u{0}b"}),
        ),
        custom_fields: object(json!({"size": "XL", "odd % _ name": "v"})),
        ..new_user(person("jane"))
    };
    directory.create_user(&new, Timestamp::parse("2017-11-30T23:59:59.999Z").expect("a date")).await.expect("made");
    for day in ["2017-12-01T00:00:00Z", "2017-12-31T23:59:59.999Z"] {
        come(directory, &person("jane"), &jane, each, Timestamp::parse(day).expect("a date")).await;
    }
    let john = json!({"email": "john@globex.example", "name": "JOHN \"Åsa\" 100%_!*[x]?\\", "family_name": "O'Neil", "nickname": "a\u{0}b",
        "given_name": 7});
    come(directory, &person("john"), &john, each, Timestamp::parse("2018-01-01T00:00:00Z").expect("a date")).await;
    directory.set_blocked("samlp|table|john", true).await.expect("blocked");
    // Nobody has come yet; the groups of `new_user` and so on do not matter.
    let empty = NewUser {
        user_metadata: Map::new(),
        app_metadata: object(json!({"plan": "Gold", "seats": "12"})),
        custom_fields: Map::new(),
        ..new_user(person("empty"))
    };
    directory.create_user(&empty, NOW).await.expect("made");
    let linked = come(
        directory,
        &Identity { connection: "table-social".into(), is_social: true, ..person("x|y") },
        &json!({"name": "Linked", "email": "l@l.example"}),
        each,
        Timestamp::parse("2017-12-15T00:00:00Z").expect("a date"),
    )
    .await;
    directory.link_users("samlp|table|jane", &linked, &by("table"), NOW).await.expect("linked");
}

#[rustfmt::skip]
const TABLE: &[(&str, &[&str])] = &[
    ("", &["empty", "jane", "john"]), ("*", &["empty", "jane", "john"]), ("*:*", &["empty", "jane", "john"]),
    ("email:jane@acme.EXAMPLE", &["jane"]), ("email:\"l@l.example\"", &[]), ("email:jane", &[]), ("email:*.example", &["jane", "john"]),
    ("email:j*@acme*", &["jane"]), ("email.domain:\"ACME.example\"", &["jane"]), ("email.domain:*.example", &["jane", "john"]),
    ("NOT email.domain:acme.example", &["empty", "john"]),
    ("name:\"jane smith\"", &["jane"]), ("name:jane", &[]), ("name:jane*", &["jane"]), ("name:JANE*smith", &["jane"]), ("name:*smith", &["jane"]),
    ("name:*ane*mit*", &["jane"]), ("name:*åSA*", &["john"]), ("name:*%_!*", &["john"]), (r"name:*\!\*\[x\]\?\\", &["john"]),
    (r"name:*100_*", &[]), ("name:jo%*", &[]), ("family_name:\"O'Neil\"", &["john"]), ("family_name:\"x' OR '1'='1\"", &[]), ("name:Linked", &[]),
    ("given_name:7", &[]), ("_exists_:given_name", &["jane"]), ("nickname:\"a\u{fffd}b\"", &["john"]), ("nickname:[a TO b]", &["john"]),
    ("name:[jane TO jane\\ z}", &["jane"]), ("name:{\"jane smith\" TO *]", &["john"]), ("name:[* TO *]", &["jane", "john"]),
    ("username:JSmith", &["jane"]), ("username:jsmith", &[]), ("phone_number:\"+431\"", &["jane"]), ("phone_number:*431", &["jane"]), ("picture:https\\:*\\?j", &["jane"]),
    ("user_id:\"samlp|table|jane\"", &["jane"]), ("user_id:samlp|table|j*", &["jane", "john"]), ("user_id:SAMLP*", &[]),
    ("user_id:{samlp|table|jane TO *]", &["john"]),
    ("email_verified:true", &["jane"]), ("email_verified:false OR NOT _exists_:email_verified", &["empty", "john"]), ("phone_verified:true", &["jane"]),
    ("blocked:true", &["john"]), ("blocked:false", &["empty", "jane"]),
    ("logins_count:3", &["jane"]), ("logins_count:[1 TO 3]", &["jane", "john"]), ("logins_count:{1 TO 3]", &["jane"]), ("logins_count:[1 TO 3}", &["john"]),
    ("(NOT _exists_:logins_count OR logins_count:0)", &["empty"]), ("logins_count:[* TO 0]", &["empty"]),
    ("last_login:[* TO 2017-12-31]", &["jane"]), ("last_login:[2018-01 TO *]", &["john"]), ("last_login:{2017-11 TO 2017-12]", &["jane"]),
    ("last_login:{2017-12-31 TO *]", &["john"]), ("last_login:2017-12-31", &["jane"]), ("last_login:2017", &["jane"]), ("NOT _exists_:last_login", &["empty"]),
    ("last_login:[* TO 2017-12-31}", &[]), ("NOT last_login:[2018 TO *]", &["empty", "jane"]),
    ("created_at:2017-11", &["jane"]), ("created_at:[2017-12 TO 2018-01]", &["john"]), ("updated_at:[2026 TO *]", &["empty", "jane", "john"]),
    ("identities.connection:\"table-social\"", &["jane"]), ("identities.connection:table-*", &["jane"]), ("NOT identities.connection:*social", &["empty", "john"]),
    ("identities.provider:samlp AND identities.user_id:\"x|y\"", &["jane"]), ("identities.user_id:j*", &["jane", "john"]), ("identities.isSocial:true", &["jane"]),
    ("user_metadata.theme:dark", &["jane"]), ("user_metadata.theme:Dark", &[]), ("user_metadata.addresses.city:\"Paris\"", &["jane"]),
    ("user_metadata.addresses.city:Rome AND user_metadata.n:5", &["jane"]), ("_exists_:user_metadata", &["jane"]), ("NOT _exists_:user_metadata.theme", &["empty", "john"]),
    ("app_metadata.plan:\"gold\"", &["jane"]), 
    ("app_metadata.plan:(gold OR Gold)", &["empty", "jane"]), ("app_metadata.plan:go*", &["jane"]), ("app_metadata.plan:*old", &["empty", "jane"]),
    ("app_metadata.seats:12", &["empty", "jane"]), ("app_metadata.seats:12.0", &["jane"]), ("app_metadata.seats:[10 TO 12]", &["jane"]), ("app_metadata.seats:[10 TO 12}", &[]),
    ("app_metadata.ratio:{2 TO 3}", &["jane"]), ("app_metadata.since:[2017-12-01 TO 2017-12-31]", &["jane"]), ("app_metadata.roles:staff", &["jane"]),
    ("app_metadata.roles:(admin AND staff)", &["jane"]), ("app_metadata.on:true", &["jane"]), ("app_metadata.deep.er.x:y", &["jane"]), ("_exists_:app_metadata.deep", &["jane"]),
    ("_exists_:app_metadata.dee", &[]), ("_exists_:app_metadata.none OR _exists_:app_metadata.empty", &[]), ("app_metadata.nul:\"a\u{fffd}b\"", &["jane"]),
    ("custom_fields.size:XL", &["jane"]), (r"custom_data.odd\ %\ _\ name:v", &["jane"]),
    ("jane", &["jane"]), ("SMITH", &["jane"]), ("JSmith", &["jane"]), ("jsmith", &[]), ("john@GLOBEX*", &["john"]), ("samlp|table|empty", &["empty"]), ("dark", &[]),
    ("jane john@globex.example", &["jane", "john"]), ("-jane", &["empty", "john"]), ("+email:* -jane", &["john"]), ("name:* NOT blocked:true", &["jane"]),
    ("NOT (name:jane* OR blocked:true)", &["empty"]), ("NOT (name:jane* AND logins_count:3)", &["empty", "john"]), ("name:jane* AND NOT blocked:true AND app_metadata.plan:gold", &["jane"]),
    ("name:jane* OR (blocked:true AND logins_count:1)", &["jane", "john"]), ("name:jane* OR NOT _exists_:name", &["empty", "jane"]),
];

async fn s4_15_queries_find_whom_they_say(directory: &dyn Directory) {
    make_table(directory).await;
    for (query, subjects) in TABLE {
        let expected: Vec<String> = subjects.iter().map(|subject| format!("samlp|table|{subject}")).collect();
        assert_eq!(found_at(directory, "table", query).await, expected, "{query}");
    }
}

/// As `users_by_email` has it, although the profile says something else.
async fn s4_15_an_address_is_that_of_the_login(directory: &dyn Directory) {
    let (who, profile) = (at("address", "a"), raw(&json!({"email": "profile@a.example"})));
    recorded(directory, &IdentityLogin { email: Some("login@a.example"), ..IdentityLogin::plain(&who, &profile, NOW) }).await;
    assert_eq!(found_at(directory, "address", "email:login@a.example").await.len(), 1);
    assert_eq!(found_at(directory, "address", "email:profile@a.example").await.len(), 0);
    let long = format!("{}@a.example", "l".repeat(320));
    recorded(directory, &IdentityLogin { email: Some(&long), ..IdentityLogin::plain(&who, &profile, NOW) }).await;
    assert_eq!(found_at(directory, "address", "_exists_:email").await.len(), 0);
}

async fn s4_15_a_search_sees_every_change_at_once(directory: &dyn Directory) {
    let (first, sync) = (at("change", "a"), ProfileSync::OnFirstLogin);
    let user_id = come(directory, &first, &json!({"name": "First", "username": "u1"}), sync, NOW).await;
    let finds = async |query: &str| !found_at(directory, "change", query).await.is_empty();
    assert!(finds("name:first AND username:u1 AND logins_count:1").await);
    // The root attributes are in force, and not what the connection says now.
    come(directory, &first, &json!({"name": "Second", "username": "u2"}), sync, NOW.plus_seconds(9)).await;
    assert!(finds("name:first AND username:u2 AND logins_count:2").await && !finds("name:second").await);
    let seen = read(directory, &user_id).await.updated_at;
    let change = UserChange {
        root: Some(object(json!({"name": "Third"}))),
        app_metadata: Some(object(json!({"a": "x"}))),
        user_metadata: Some(object(json!({"b": "y"}))),
        ..UserChange::default()
    };
    directory.update_user(&user_id, seen, &change, NOW).await.expect("changed").expect("there");
    assert!(finds("name:third AND app_metadata.a:x AND user_metadata.b:y").await && !finds("name:first").await);
    let seen = read(directory, &user_id).await.updated_at;
    let change = UserChange { app_metadata: Some(object(json!({"a": "z"}))), ..UserChange::default() };
    directory.update_user(&user_id, seen, &change, NOW).await.expect("changed").expect("there");
    assert!(finds("app_metadata.a:z AND user_metadata.b:y").await && !finds("app_metadata.a:x").await, "replaced, and nothing else");

    let other = come(directory, &at("change", "b"), &json!({"name": "Other"}), sync, NOW.plus_seconds(60)).await;
    let seen = read(directory, &other).await.updated_at;
    let change = UserChange { app_metadata: Some(object(json!({"kept": 1}))), ..UserChange::default() };
    directory.update_user(&other, seen, &change, NOW).await.expect("changed").expect("there");
    directory.link_users(&user_id, &other, &by("change"), NOW).await.expect("linked");
    assert!(finds("name:third AND logins_count:3 AND identities.user_id:b").await && !finds("name:other OR app_metadata.kept:1").await);
    let at_last = NOW.plus_seconds(60);
    assert!(finds(&format!("name:third AND last_login:\"{at_last}\"")).await);
    directory.undo_link("change", NOW).await.expect("undone").expect("there");
    assert!(finds("name:third AND logins_count:2").await && finds("name:other AND app_metadata.kept:1 AND logins_count:1").await);

    assert!(directory.forget_profile(&user_id, NOW).await.expect("forgotten"));
    assert!(finds("logins_count:0 AND NOT _exists_:last_login AND app_metadata.a:z").await && !finds("name:third OR username:*").await);
    come(directory, &first, &json!({"name": "Again"}), sync, NOW).await;
    assert!(finds("name:again AND logins_count:1").await);
    assert!(directory.delete_user(&user_id).await.expect("deleted"));
    assert!(!finds("name:again OR app_metadata.a:z").await && finds("name:other").await);
    // Whoever may not come changes nothing that is found.
    directory.set_blocked(&other, true).await.expect("blocked");
    let (blocked, evil) = (at("change", "b"), raw(&json!({"name": "Evil"})));
    directory.record_login(&IdentityLogin::plain(&blocked, &evil, NOW)).await.expect("answered");
    assert!(finds("name:other AND logins_count:1 AND blocked:true").await && !finds("name:evil").await);
}

/// By two identities of one user, while they are linked and parted.
async fn s4_15_concurrent_logins_are_all_counted(directory: &Arc<dyn Directory>) {
    let (one, two) = (at("crowded", "one"), at("crowded", "two"));
    let user_id = login(&**directory, &one, json!({}), NOW).await.user_id;
    let other = login(&**directory, &two, json!({}), NOW).await.user_id;
    let mut set = JoinSet::new();
    for n in 0..40_i64 {
        let (directory, who) = (Arc::clone(directory), if n % 2 == 0 { one.clone() } else { two.clone() });
        set.spawn(async move { login(&*directory, &who, json!({"name": format!("n{n}")}), NOW.plus_seconds(n)).await.logins_count });
    }
    for n in 0..3 {
        let link = format!("crowded-{n}");
        directory.link_users(&user_id, &other, &by(&link), NOW).await.expect("linked");
        directory.undo_link(&link, NOW).await.expect("undone").expect("there");
    }
    set.join_all().await;
    assert_eq!(found_at(&**directory, "crowded", "logins_count:21").await.len(), 2);
    for id in [&user_id, &other] {
        let user = read(&**directory, id).await;
        let last = user.identities[0].last_login.expect("a login");
        let name = user.identities[0].profile["name"].as_str().expect("a name").to_owned();
        let query = format!("name:{name} AND last_login:\"{last}\"");
        assert_eq!(found_at(&**directory, "crowded", &query).await, std::slice::from_ref(id));
    }
}

const WORDS: &[&str] = &[
    "Jane Smith",
    "jane",
    "JOHN",
    "Åsa",
    "åsa ÖST",
    "%",
    "_a_",
    "a*b",
    "[x]",
    "!bang",
    "x\u{0}y",
    "jane\u{10ffff}z",
    "\u{d7ff}",
    "5",
    "5.0",
    "true",
    "a.b",
    "jan",
    "\u{212a}",
];

fn random_value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 5 } else { 8 }) {
        0 => json!(random.below(7)),
        1 => json!(random.below(14) as f64 / 2.0 - 1.0),
        2 => json!(random.below(2) == 0),
        3 => Value::Null,
        4 => json!(*random.pick(WORDS)),
        5 | 6 => (0..random.below(4)).map(|_| random_value(random, depth - 1)).collect(),
        _ => Value::Object(random_object(random, depth - 1)),
    }
}

fn random_object(random: &mut Random, depth: usize) -> Map<String, Value> {
    (0..random.below(4)).map(|_| ((*random.pick(&["a", "b", "ab", "ü x"])).to_owned(), random_value(random, depth))).collect()
}

fn random_profile(random: &mut Random) -> Value {
    let mut profile = Map::new();
    for name in ["name", "given_name", "family_name", "nickname", "username", "phone_number", "picture"] {
        if random.below(3) > 0 {
            profile.insert(name.to_owned(), json!(*random.pick(WORDS)));
        }
    }
    for name in ["email_verified", "phone_number_verified"] {
        if random.below(2) > 0 {
            profile.insert(name.to_owned(), json!(random.below(2) == 0));
        }
    }
    if random.below(3) > 0 {
        profile.insert("email".to_owned(), json!(*random.pick(&["Jane@a.example", "john@a.example", "x@B.example", "odd", "\"a@b\"@c"])));
    }
    Value::Object(profile)
}

fn random_time(random: &mut Random) -> Timestamp {
    Timestamp::parse("2017-12-30T00:00:00Z").expect("a date").plus_seconds(3600 * i64::try_from(random.below(100)).expect("small"))
}

/// All at the connection `random`, and some at others, too.
async fn random_users(directory: &dyn Directory) -> Vec<User> {
    let mut random = Random(42);
    let syncs = [ProfileSync::OnEachLogin, ProfileSync::OnFirstLogin, ProfileSync::NeverOnLogin];
    let mut ids = Vec::new();
    for n in 0..110 {
        let who = Identity {
            connection: "random".into(),
            provider: (*random.pick(&["samlp", "oidc"])).into(),
            user_id: format!("{n}"),
            is_social: random.below(4) == 0,
        };
        let new = NewUser {
            user_metadata: random_object(&mut random, 3),
            app_metadata: random_object(&mut random, 3),
            custom_fields: random_object(&mut random, 3),
            ..new_user(who.clone())
        };
        assert!(directory.create_user(&new, random_time(&mut random)).await.expect("made"));
        for _ in 0..random.below(4) {
            let (profile, sync, now) = (random_profile(&mut random), *random.pick(&syncs), random_time(&mut random));
            come(directory, &who, &profile, sync, now).await;
        }
        let user_id = who.user_id_for_new_user();
        if random.below(3) == 0 {
            let (profile, now) = (random_profile(&mut random), random_time(&mut random));
            let other =
                come(directory, &at(if n % 2 == 0 { "random" } else { "Random-2" }, &format!("other-{n}")), &profile, syncs[0], now).await;
            directory.link_users(&user_id, &other, &by(&format!("random-{n}")), NOW).await.expect("linked");
        }
        if random.below(4) == 0 {
            let root = random_profile(&mut random)
                .as_object()
                .expect("an object")
                .iter()
                .filter(|(name, _)| ROOT_ATTRIBUTES.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let seen = read(directory, &user_id).await.updated_at;
            let change = UserChange {
                root: Some(root),
                app_metadata: Some(random_object(&mut random, 3)),
                blocked: Some(true),
                ..UserChange::default()
            };
            directory.update_user(&user_id, seen, &change, random_time(&mut random)).await.expect("changed").expect("there");
        }
        if random.below(12) == 0 {
            directory.forget_profile(&user_id, random_time(&mut random)).await.expect("forgotten");
        }
        ids.push(user_id);
    }
    let mut users = Vec::new();
    for id in ids {
        users.push(read(directory, &id).await);
    }
    users.sort_by(|one, other| one.user_id.cmp(&other.user_id));
    users
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\0', "\u{fffd}"))
}

fn escaped(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
        .chars()
        .flat_map(|letter| if letter.is_alphanumeric() { vec![letter] } else { vec!['\\', letter] })
        .collect()
}

fn random_term(random: &mut Random) -> String {
    let word = *random.pick(WORDS);
    let other = *random.pick(WORDS);
    let text = |random: &mut Random| match random.below(7) {
        0 => format!("{}*", escaped(&word.chars().take(2).collect::<String>())),
        1 => format!("*{}*", escaped(&format!("{other}jan").chars().skip(1).collect::<String>())),
        2 => format!("{}*{}", escaped(&word.chars().take(1).collect::<String>()), escaped(&word.chars().skip(2).collect::<String>())),
        3 => format!("{}{} TO {}{}", random.pick(&["[", "{"]), quoted(word), quoted(other), random.pick(&["]", "}"])),
        4 => "*".to_owned(),
        _ => quoted(word),
    };
    let date =
        |random: &mut Random| (*random.pick(&["2017-12-30", "2017", "2018-01", "2017-12-31T12", "2018-01-01T00:00:00Z", "*"])).to_owned();
    let number = |random: &mut Random| match random.below(8) {
        7 => "*".to_owned(),
        number => number.to_string(),
    };
    let path = format!("{}{}", random.pick(&["a", "b", "ab", "a.a", "b.ab", "a.b.a", r"ü\ x"]), "");
    match random.below(12) {
        0..3 => {
            let field = *random.pick(&[
                "user_id",
                "email",
                "email.domain",
                "name",
                "given_name",
                "family_name",
                "nickname",
                "username",
                "phone_number",
                "picture",
            ]);
            format!("{field}:{}", text(random))
        }
        3 => format!(
            "{}:{}",
            random.pick(&["identities.connection", "identities.provider", "identities.user_id"]),
            random.pick(&["\"random\"", "ran*", "Ran*", "\"samlp\"", "oidc", "other-*", "*dom*", "[1 TO 5]", "*"])
        ),
        4 => format!(
            "{}:{}",
            random.pick(&["blocked", "email_verified", "phone_verified", "identities.isSocial"]),
            random.pick(&["true", "false"])
        ),
        5 => format!(
            "{}:{}{} TO {}{}",
            random.pick(&["created_at", "updated_at", "last_login"]),
            random.pick(&["[", "{"]),
            date(random),
            date(random),
            random.pick(&["]", "}"])
        ),
        6 => format!("logins_count:{}{} TO {}{}", random.pick(&["[", "{"]), number(random), number(random), random.pick(&["]", "}"])),
        7 => format!("app_metadata.{path}:{}", text(random)),
        8 => format!(
            "{}.{path}:{}",
            random.pick(&["user_metadata", "custom_fields", "app_metadata"]),
            random.pick(&["5", "\"5\"", "5.0", "true", "jane", "3", "-0", "*"])
        ),
        9 => {
            format!("app_metadata.{path}:{}{} TO {}{}", random.pick(&["[", "{"]), number(random), number(random), random.pick(&["]", "}"]))
        }
        10 => format!(
            "_exists_:{}",
            random.pick(&[
                "name",
                "email",
                "last_login",
                "app_metadata.a",
                "app_metadata.b.a",
                "user_metadata",
                "custom_fields.ab",
                "blocked"
            ])
        ),
        _ => match text(random) {
            range if range.starts_with(['[', '{']) => quoted(word),
            term => term,
        },
    }
}

fn random_query(random: &mut Random, depth: usize) -> String {
    let one = |random: &mut Random| if depth == 0 { random_term(random) } else { random_query(random, depth - 1) };
    match random.below(7) {
        0 => format!("({}) AND ({})", one(random), one(random)),
        1 => format!("({}) OR ({})", one(random), one(random)),
        2 => format!("NOT ({})", one(random)),
        3 => format!("({}) -({}) ({})", one(random), one(random), one(random)),
        4 => format!("+({}) {}", one(random), one(random)),
        _ => random_term(random),
    }
}

async fn s4_15_random_queries_agree_with_an_evaluation_in_memory(directory: &dyn Directory, users: &[User]) {
    let mut random = Random(2);
    let (mut some, mut none, mut refused) = (0, 0, 0);
    for _ in 0..500 {
        let depth = random.below(4);
        let query = random_query(&mut random, depth);
        let Ok(filter) = parse(&query) else {
            refused += 1;
            continue;
        };
        let expected: Vec<&str> = users.iter().filter(|user| holds(&filter, user)).map(|user| user.user_id.as_str()).collect();
        if expected.is_empty() {
            none += 1
        } else {
            some += 1
        }
        assert_eq!(found_at(directory, "random", &query).await, expected, "{query}\n{filter:?}");
    }
    assert!(some > 160 && none > 25 && refused < 110, "{some} {none} {refused}");
}

fn sort_key(field: SortField, user: &User) -> (bool, String, i64) {
    let primary = &user.identities[0];
    let latest = user.identities.iter().filter_map(|stored| stored.last_login).max();
    match field {
        SortField::Text(TextField::UserId) => (false, user.user_id.clone(), 0),
        SortField::Text(field) => {
            let text = primary
                .root
                .get(field.name())
                .filter(|_| ROOT_ATTRIBUTES.contains(&field.name()))
                .or_else(|| primary.profile.get(field.name()));
            let text = text.and_then(Value::as_str).map(|text| field.compared(&text.replace('\0', "\u{fffd}")));
            (text.is_none(), text.unwrap_or_default(), 0)
        }
        SortField::Time(TimeField::CreatedAt) => (false, String::new(), user.created_at.millis()),
        SortField::Time(TimeField::UpdatedAt) => (false, String::new(), user.changed_at().millis()),
        SortField::Time(TimeField::LastLogin) => (false, String::new(), latest.map_or(0, Timestamp::millis)),
        SortField::LoginsCount => (false, String::new(), user.identities.iter().map(|stored| stored.logins_count).sum()),
    }
}

async fn s4_15_sorts_and_pages(directory: &dyn Directory, users: &[User]) {
    let filter = parse("identities.connection:random").expect("understood");
    for name in ["user_id", "email", "name", "username", "picture", "created_at", "updated_at", "last_login", "logins_count"] {
        for direction in ["1", "-1"] {
            let sort = Sort::parse(&format!("{name}:{direction}")).expect("understood");
            let mut expected: Vec<&User> = users.iter().collect();
            expected.sort_by(|one, other| {
                let order: Ordering = sort_key(sort.field, one).cmp(&sort_key(sort.field, other)).then(one.user_id.cmp(&other.user_id));
                if sort.order == Order::Ascending { order } else { order.reverse() }
            });
            let mut found = Vec::new();
            for offset in (0..users.len()).step_by(40) {
                let query = UserQuery { filter: Some(filter.clone()), sort, offset, limit: 40, count: offset == 0 };
                let page = directory.find_users(&query).await.expect("found");
                assert_eq!(page.total, (offset == 0).then_some(110));
                found.extend(page.users);
            }
            assert!(found.iter().eq(expected.iter().copied()), "{name}:{direction}");
        }
    }
}

/// As many terms as there may be, and as deep.
async fn s4_15_the_largest_queries_are_answered(directory: &dyn Directory, users: &[User]) {
    let many = |term: &str, between: &str| vec![term; MOST_TERMS].join(between);
    let deep = format!("{}name:jane{}", "NOT (name:a* AND ".repeat(DEEPEST / 2), ")".repeat(DEEPEST / 2));
    let mut queries = vec![deep, format!("-{}", "(".repeat(DEEPEST - 1)) + "jane" + &")".repeat(DEEPEST - 1)];
    for term in [
        "jane",
        "ja*",
        "app_metadata.a:5",
        "NOT user_metadata.b:5",
        "identities.user_id:1*",
        "logins_count:2",
        "last_login:[2017 TO *]",
        "*jan*",
    ] {
        queries.extend([" ", " AND "].map(|between| many(term, between)));
        queries.push(many(&format!("({term})"), " -"));
    }
    for query in queries {
        let filter = parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let expected: Vec<&str> = users.iter().filter(|user| holds(&filter, user)).map(|user| user.user_id.as_str()).collect();
        let here = parse("identities.connection:random").expect("understood");
        assert_eq!(found(directory, Filter::All(vec![filter, here])).await, expected, "{query}");
    }
}

async fn s4_15_everybody_is_listed_once(directory: &dyn Directory) {
    let mut all: Vec<User> = Vec::new();
    loop {
        let page = directory.users_after(all.last().map(|user| user.user_id.as_str()), None, 37).await.expect("listed");
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    assert!(all.windows(2).all(|two| two[0].user_id < two[1].user_id), "in order, and nobody twice");
    let everybody = UserQuery { limit: 1, count: true, ..UserQuery::default() };
    assert_eq!(directory.find_users(&everybody).await.expect("found").total, i64::try_from(all.len()).ok());
    let expected: Vec<&User> =
        all.iter().filter(|user| user.identities.iter().any(|stored| stored.identity.connection == "random")).collect();
    let first = directory.users_after(None, Some("random"), 60).await.expect("listed");
    let rest = directory.users_after(first.last().map(|user| user.user_id.as_str()), Some("random"), 60).await.expect("listed");
    assert!(first.iter().chain(&rest).eq(expected) && first.len() == 60);
    assert!(directory.users_after(Some("\u{10ffff}"), None, 9).await.expect("listed").is_empty());
    for (after, connection) in [(Some("a\0"), None), (None, Some("a\0")), (None, Some("nowhere"))] {
        assert!(directory.users_after(after, connection, 9).await.expect("an answer").is_empty());
    }
}

/// Everybody whom the rest of the suite has made, linked, parted, forgotten and left.
async fn s4_15_nobody_is_forgotten_whatever_happened_before(directory: &dyn Directory) {
    let (mut all, mut last) = (Vec::new(), None);
    loop {
        let page = directory.users_after(last.as_deref(), None, 1000).await.expect("listed");
        let Some(user) = page.last() else { break };
        last = Some(user.user_id.clone());
        all.extend(page);
    }
    for query in [
        "logins_count:0",
        "logins_count:1",
        "logins_count:[2 TO *]",
        "_exists_:last_login AND NOT identities.connection:acme",
        "NOT _exists_:last_login",
        "name:*",
        "name:[a TO n]",
        "_exists_:app_metadata",
        "custom_fields.Foo.foo:*",
        "user_metadata.theme:dark",
        "blocked:true",
        "identities.isSocial:true",
        "updated_at:[* TO 2027-01-15T08:00:00Z]",
        "created_at:[2027-01-15T08:00:01Z TO *]",
    ] {
        let filter = parse(query).expect("understood");
        let expected: Vec<&str> =
            all.iter().filter(|user| holds(&filter, user)).map(|user| user.user_id.as_str()).take(MOST_REACHED).collect();
        assert_eq!(found(directory, filter).await, expected, "{query}");
    }
    assert!(all.len() > 300, "{}", all.len());
}

async fn pages_have_bounds(directory: &dyn Directory) {
    let page = |offset, limit| UserQuery { offset, limit, ..UserQuery::default() };
    for (offset, limit) in [(0, MOST_FOUND + 1), (MOST_REACHED - 9, 10), (usize::MAX, 1)] {
        assert_eq!(kind(directory.find_users(&page(offset, limit)).await), Some(ErrorKind::InvalidRequest), "{offset} {limit}");
    }
    assert!(directory.find_users(&page(MOST_REACHED - 10, 10)).await.is_ok());
    let nobody = directory.find_users(&UserQuery { count: true, ..page(0, 0) }).await.expect("an answer");
    assert!(nobody.users.is_empty() && nobody.total.is_some_and(|total| total > 300));
    let beyond = UserQuery { filter: parse("identities.connection:table").ok(), count: true, ..page(500, 10) };
    assert_eq!(directory.find_users(&beyond).await.expect("an answer").total, Some(3));
    // What the parser refuses cannot come, and would find nobody rather than fail.
    let nul = Filter::Anywhere(crate::user::search::Test::Is("a\0b".into()));
    assert!(directory.find_users(&UserQuery { filter: Some(nul), ..page(0, 9) }).await.is_ok());
    assert!(login(directory, &identity("after-search"), json!({}), NOW).await.created);
}
