use super::evaluate::Random;
use super::*;
use std::ops::Bound::{Excluded, Included, Unbounded};

fn is(field: TextField, text: &str) -> Filter {
    Filter::Text(field, Test::Is(text.into()))
}

fn name(text: &str) -> Filter {
    is(TextField::Name, text)
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn like(literals: &[&str]) -> Pattern {
    Pattern { literals: literals.iter().map(|&literal| literal.to_owned()).collect() }
}

fn app(path: &str, test: ValueTest) -> Filter {
    Filter::Metadata(MetadataPath { which: Part::AppMetadata, path: format!("app_metadata.{path}") }, test)
}

#[track_caller]
fn reads(query: &str, expected: Filter) {
    assert_eq!(parse(query), Ok(expected), "{query}");
}

#[test]
fn s4_15_words_phrases_and_escapes() {
    reads("", Filter::All(vec![]));
    reads(" \t", Filter::All(vec![]));
    reads("*:*", Filter::All(vec![]));
    reads("name:jane", name("jane"));
    reads(r#"name:"jane smith""#, name("jane smith"));
    reads(r#"name: "jane (smith) * [\"\\x""#, name(r#"jane (smith) * ["\x"#));
    reads(r"name:jane\ smith\*\:\?\~", name("jane smith*:?~"));
    reads("user_id:auth0|12-3+4!5&6", is(TextField::UserId, "auth0|12-3+4!5&6"));
    reads("picture:https://a/b", is(TextField::Picture, "https://a/b"));
    reads(r#"email.domain:"Acme.Example""#, is(TextField::EmailDomain, "acme.example"));
    reads("jane", Filter::Anywhere(Test::Is("jane".into())));
    reads(r#""Green Apple""#, Filter::Anywhere(Test::Is("Green Apple".into())));
    reads("identities.connection:\"Acme\"", Filter::Identity(IdentityField::Connection, Test::Is("Acme".into())));
    reads("identities.isSocial:true", Filter::IsSocial(true));
    reads("email_verified:false", Filter::Flag(FlagField::EmailVerified, false));
    reads(
        "custom_data.a:1",
        Filter::Metadata(MetadataPath { which: Part::CustomFields, path: "custom_fields.a".into() }, ValueTest::Is("1".into())),
    );
    reads(r"app_metadata.full\ name:x", app("full name", ValueTest::Is("x".into())));
}

#[test]
fn s4_15_only_five_fields_and_the_domain_ignore_case() {
    for field in TextField::ALL {
        let ignores = ["email", "email.domain", "name", "given_name", "family_name", "nickname"].contains(&field.name());
        reads(&format!("{}:ÅSa", field.name()), is(field, if ignores { "åsa" } else { "ÅSa" }));
    }
    reads("name:J*N", Filter::Text(TextField::Name, Test::Like(like(&["j", "n"]))));
    reads("identities.provider:SAML*", Filter::Identity(IdentityField::Provider, Test::Like(like(&["SAML", ""]))));
    reads("app_metadata.plan:Gold", app("plan", ValueTest::Is("Gold".into())));
}

#[test]
fn s4_15_operators_and_their_order() {
    let (a, b, c) = (|| name("a"), || name("b"), || name("c"));
    reads("name:a AND name:b", Filter::All(vec![a(), b()]));
    reads("name:a && name:b || name:c", Filter::Any(vec![Filter::All(vec![a(), b()]), c()]));
    reads("name:a OR name:b AND name:c", Filter::Any(vec![a(), Filter::All(vec![b(), c()])]));
    reads("(name:a OR name:b)AND name:c", Filter::All(vec![Filter::Any(vec![a(), b()]), c()]));
    reads("name:a name:b", Filter::Any(vec![a(), b()]));
    reads("name:(a OR \"b\" AND NOT c)", Filter::Any(vec![a(), Filter::All(vec![b(), not(c())])]));
    reads("name:(a b)", Filter::Any(vec![a(), b()]));
    reads("NOT name:a", not(a()));
    reads("!name:a", not(a()));
    reads("NOT NOT name:a", not(not(a())));
    reads("name:a OR NOT name:b", Filter::Any(vec![a(), not(b())]));
    reads("name:a -name:b", Filter::All(vec![a(), not(b())]));
    reads("name:a name:c NOT name:b", Filter::All(vec![Filter::Any(vec![a(), c()]), not(b())]));
    reads("+name:a name:b -name:c", Filter::All(vec![a(), not(c())]));
    reads("-name:a -name:b", Filter::All(vec![not(a()), not(b())]));
    reads("-name:a AND name:b", Filter::All(vec![not(a()), b()]));
    // Only in capitals, and only as whole words.
    reads("name:and or name:ORB", Filter::Any(vec![name("and"), Filter::Anywhere(Test::Is("or".into())), name("orb")]));
}

#[test]
fn s4_15_wildcards() {
    let text = |literals: &[&str]| Filter::Text(TextField::Nickname, Test::Like(like(literals)));
    reads("nickname:j*", text(&["j", ""]));
    reads("nickname:jane*smith", text(&["jane", "smith"]));
    reads("nickname:*jan**e*", text(&["", "jan", "e", ""]));
    reads("nickname:*usa", text(&["", "usa"]));
    reads("nickname:*", Filter::Text(TextField::Nickname, Test::Exists));
    reads("nickname:**", Filter::Text(TextField::Nickname, Test::Exists));
    reads("app_metadata.plan:go*", app("plan", ValueTest::Like(like(&["go", ""]))));
    reads("app_metadata.plan:*", app("plan", ValueTest::Exists));
    reads("jo*", Filter::Anywhere(Test::Like(like(&["jo", ""]))));
}

#[test]
fn s4_15_ranges_and_existence() {
    let count = |from, to| Filter::LoginsCount(Range { from, to });
    reads("logins_count:[100 TO 200}", count(Included(100), Excluded(200)));
    reads("logins_count:{100 TO *]", count(Excluded(100), Unbounded));
    reads("logins_count:[ * TO 5 ]", count(Unbounded, Included(5)));
    reads("logins_count:-1", count(Included(-1), Included(-1)));
    reads(
        "name:[a TO \"M n\"}",
        Filter::Text(TextField::Name, Test::Within(Range { from: Included("a".into()), to: Excluded("m n".into()) })),
    );
    reads("app_metadata.n:[1 TO 2.5}", app("n", ValueTest::Numbers(Range { from: Included(1.0), to: Excluded(2.5) })));
    reads("app_metadata.n:[1 TO b]", app("n", ValueTest::Texts(Range { from: Included("1".into()), to: Included("b".into()) })));
    reads("app_metadata.n:[nan TO inf]", app("n", ValueTest::Texts(Range { from: Included("nan".into()), to: Included("inf".into()) })));
    reads("_exists_:nickname", Filter::Text(TextField::Nickname, Test::Exists));
    reads("NOT _exists_:last_login", not(Filter::Time(TimeField::LastLogin, Range::ALL)));
    reads("_exists_:blocked", Filter::All(vec![]));
    reads("_exists_:app_metadata.a.b", app("a.b", ValueTest::Exists));
    reads(
        "_exists_:user_metadata",
        Filter::Metadata(MetadataPath { which: Part::UserMetadata, path: "user_metadata".into() }, ValueTest::Exists),
    );
}

#[test]
fn s4_15_dates_are_spans_of_time() {
    let at = |text: &str| crate::clock::Timestamp::parse(text).expect("a date").millis();
    for (date, begin, end) in [
        ("2017", "2017-01-01T00:00:00Z", "2018-01-01T00:00:00Z"),
        ("2017-11", "2017-11-01T00:00:00Z", "2017-12-01T00:00:00Z"),
        ("2017-12", "2017-12-01T00:00:00Z", "2018-01-01T00:00:00Z"),
        ("2016-02", "2016-02-01T00:00:00Z", "2016-03-01T00:00:00Z"),
        ("2016-02-29", "2016-02-29T00:00:00Z", "2016-03-01T00:00:00Z"),
        ("2017-12-31T23", "2017-12-31T23:00:00Z", "2018-01-01T00:00:00Z"),
        ("2017-12-31T23:59", "2017-12-31T23:59:00Z", "2018-01-01T00:00:00Z"),
        ("2017-12-31T23:59:59Z", "2017-12-31T23:59:59Z", "2018-01-01T00:00:00Z"),
        ("2017-12-31T23:59:59+02:30", "2017-12-31T21:29:59Z", "2017-12-31T21:30:00Z"),
        ("2017-12-31T23:59:59.5-01:00", "2018-01-01T00:59:59.500Z", "2018-01-01T00:59:59.501Z"),
    ] {
        let (begin, end) = (at(begin), at(end));
        let time = |from, to| Filter::Time(TimeField::LastLogin, Range { from, to });
        reads(&format!("last_login:\"{date}\""), time(Included(begin), Excluded(end)));
        reads(&format!("last_login:{date}"), time(Included(begin), Excluded(end)));
        reads(&format!("last_login:[{date} TO {date}]"), time(Included(begin), Excluded(end)));
        reads(&format!("last_login:{{{date} TO *]"), time(Included(end), Unbounded));
        reads(&format!("last_login:[* TO {date}}}"), time(Unbounded, Excluded(begin)));
    }
    assert!(parse("last_login:[* TO 9999-12-31]").is_ok() && parse("last_login:[* TO 9999]").is_ok());
    for wrong in [
        "",
        "17",
        "2017-1",
        "2017-13",
        "2017-02-30",
        "2017-12-31-01",
        "2017-12T10",
        "2017-12-31T",
        "2017-12-31T24",
        "2017-12-31T10:61",
        "x",
        "2017-12-31T10:00:00.1234Z",
        "2017-12-31T10:00:00+25:00",
        "2017-12-31T10:00:00+2",
        "2017-12-31T10.5",
        "+017",
        "２０１７",
        "2017-12-31T10:00:00Zé",
        "2017-12-31Té",
    ] {
        let error = parse(&format!("created_at:\"{wrong}\"")).expect_err(wrong);
        assert_eq!((error.position, error.message), (11, format!("{wrong} is no date, such as 2017-12-31 or 2017-12-31T23:59:59Z")));
    }
}

#[test]
fn s4_15_what_is_wrong_is_said_with_its_place() {
    for (query, position, message) in [
        ("user_metadata.a:jo*", 16, "user_metadata cannot be searched with a wildcard"),
        ("user_metadata.a:[1 TO 2]", 16, "user_metadata cannot be searched with a range"),
        ("app_metadata:x", 13, "app_metadata needs a member"),
        ("name:*sa", 5, "at least 3 characters"),
        ("name:*s*a", 5, "at least 3 characters"),
        ("name:a*b*c*d*e*f*g*h*i*j", 5, "at most 8 wildcards"),
        ("é AND emial:x", 6, "there is no field emial"),
        ("department:x", 0, "department cannot be searched"),
        ("app_metadata..a:x", 0, "an empty name between its dots"),
        ("name:", 5, "a value is missing"),
        ("name:a AND", 10, "something is missing at the end"),
        ("AND name:a", 0, "something is missing before this operator"),
        ("name:a OR OR name:b", 10, "something is missing before this operator"),
        ("(name:a", 0, "this parenthesis is not closed"),
        ("name:a)", 6, "closes nothing"),
        ("()", 1, "nothing between the parentheses"),
        ("name:()", 6, "nothing between the parentheses"),
        ("name:\"a", 5, "not closed"),
        ("name:[a TO b", 5, "not closed"),
        ("name:[a b]", 8, "a range is written [a TO b]"),
        ("name:[a TO b c]", 13, "a range is written [a TO b]"),
        ("name:[ TO b]", 10, "a range is written [a TO b]"),
        ("name:[jo* TO b]", 6, "or a * alone"),
        ("[1 TO 2]", 0, "a range needs a field"),
        ("name:jo?n", 7, "? is no wildcard"),
        ("name:jo~", 7, "fuzzy"),
        ("\"jo\"^2", 4, "weights"),
        ("(jo)^2", 4, "weights"),
        ("name:/jo/", 5, "regular expressions"),
        ("logins_count:>10", 13, "a comparison is written as a range"),
        ("logins_count:many", 13, "many is no whole number"),
        ("logins_count:1*", 13, "a number cannot"),
        ("last_login:2017*", 11, "a date cannot"),
        ("blocked:yes", 8, "blocked is true or false"),
        ("identities:x", 11, "identities needs a member"),
        ("_exists_:emial", 9, "there is no field emial"),
        ("_exists_:*", 9, "needs the name of a field"),
        ("*:x", 2, "holds no wildcard"),
        ("a\\", 2, "a backslash needs a character"),
        ("a\0b", 1, "NUL"),
        ("name:a]", 6, "in a value a ] is written"),
    ] {
        let error = parse(query).expect_err(query);
        assert!(error.message.contains(message), "{query}: {error}");
        assert_eq!((error.position, error.fault), (position, Fault::Wrong), "{query}: {error}");
    }
}

#[test]
fn s4_15_a_query_is_bounded() {
    let longest = format!("name:{}", "a".repeat(LONGEST_QUERY - 5));
    assert!(parse(&longest).is_ok());
    assert_eq!(parse(&format!("{longest}a")).expect_err("too long").fault, Fault::TooLong);
    let deep = |levels: usize| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse(&deep(DEEPEST)).is_ok());
    assert!(parse(&deep(DEEPEST + 1)).expect_err("too deep").message.contains("deeper"));
    assert!(parse(&format!("{}a", "!".repeat(DEEPEST + 1))).expect_err("too deep").message.contains("deeper"));
    assert!(parse(&vec!["(a)"; DEEPEST * 2].join(" ")).is_ok(), "side by side is not deep");
    assert!(parse(&vec!["a"; MOST_TERMS].join(" ")).is_ok());
    assert!(parse(&vec!["a"; MOST_TERMS + 1].join(" ")).expect_err("too many").message.contains("at most 100 terms"));
    let path = |length: usize| format!("app_metadata.{}:x", "a".repeat(length));
    assert!(parse(&path(LONGEST_PATH - 13)).is_ok());
    assert!(parse(&path(LONGEST_PATH - 12)).expect_err("too long").message.contains("a path of more than"));
}

#[test]
fn s4_15_only_the_beginning_of_a_long_text_counts() {
    let long = "é".repeat(LONGEST_TEXT + 5);
    reads(&format!("name:{long}"), name(&"é".repeat(LONGEST_TEXT)));
    reads(&format!("user_id:{long}"), is(TextField::UserId, &long));
}

#[test]
fn s4_15_no_text_makes_it_panic() {
    const PIECES: [&str; 40] = [
        "name",
        ":",
        "user_metadata.a",
        "app_metadata.b",
        "AND",
        "OR",
        "NOT",
        "&&",
        "||",
        "!",
        "+",
        "-",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "TO",
        "*",
        "\"",
        "\\",
        " ",
        "é",
        "\u{10ffff}",
        "jane",
        "logins_count",
        "last_login",
        "2017-12",
        "5",
        "_exists_",
        "~",
        "^",
        "/",
        "?",
        "\u{301}",
        "email.domain",
        "identities.connection",
        "blocked",
        "true",
    ];
    let mut random = Random(7);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..60_000 {
        let query: String = (0..random.below(14)).map(|_| PIECES[random.below(PIECES.len())]).collect();
        match parse(&query) {
            Ok(_) => good += 1,
            Err(error) => {
                assert!(error.position <= query.chars().count() && !error.message.is_empty(), "{query}: {error}");
                bad += 1;
            }
        }
    }
    assert!(good > 3000 && bad > 3000, "{good} {bad}");
}

#[test]
fn s4_15_sorts_are_fields_and_a_direction() {
    assert_eq!(Sort::parse("created_at:-1"), Ok(Sort { field: SortField::Time(TimeField::CreatedAt), order: Order::Descending }));
    assert_eq!(Sort::parse("name:1"), Ok(Sort { field: SortField::Text(TextField::Name), order: Order::Ascending }));
    for (text, position, message) in [
        ("user_metadata.a:1", 0, "user_metadata cannot be sorted by"),
        ("app_metadata.a:-1", 0, "app_metadata cannot be sorted by"),
        ("identities.connection:1", 0, "cannot be sorted by"),
        ("emial:1", 0, "there is no field emial"),
        ("name", 0, "a sort is"),
        ("name:asc", 5, "the order is"),
    ] {
        let error = Sort::parse(text).expect_err(text);
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(error.position, position, "{text}");
    }
}

#[test]
fn values_in_metadata_are_found_by_their_path() {
    let object = serde_json::json!({"a": [{"b": 5}, {"b": ["x", true, null]}], "c": {}, "d": [], "e\0": "\0", "f": "é".repeat(500), ("g".repeat(200)): 1});
    let found = leaves_of(Part::AppMetadata, object.as_object().expect("an object"));
    let leaf = |path: &str, text: &str, number| Leaf { path: format!("app_metadata.{path}"), text: text.into(), number };
    let expected = [
        leaf("a.b", "5", Some(5.0)),
        leaf("a.b", "x", None),
        leaf("a.b", "true", None),
        leaf("e\u{fffd}", "\u{fffd}", None),
        leaf("f", &"é".repeat(400), None),
    ];
    assert_eq!(found, expected);
}
