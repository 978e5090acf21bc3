use super::*;
use crate::user::metadata::Part;
use crate::user::search::evaluate::Random;
use crate::user::search::{FlagField, IdentityField, MetadataPath, Pattern, Range, ValueTest, parse};
use std::ops::Bound as End;

impl Statement {
    /// What SQLite would do.
    pub(in crate::store::directory::search) fn explain(mut self) -> Query<'static, Any, AnyArguments> {
        self.text.insert_str(0, "EXPLAIN QUERY PLAN ");
        self.query()
    }
}

/// What somebody might write, with a mark that no piece of SQL has.
fn hostile(random: &mut Random) -> String {
    (*random.pick(&["ZQX", "ZQX' OR 1=1 --", "$1ZQX", "ZQX\"; DROP TABLE users", "\\ZQX%_*[?", "ZQX\0", "ZQX)"])).to_owned()
}

fn range<T>(random: &mut Random, end: impl Fn(&mut Random) -> T) -> Range<T> {
    let mut bound = || match random.below(3) {
        0 => End::Unbounded,
        1 => End::Included(end(random)),
        _ => End::Excluded(end(random)),
    };
    Range { from: bound(), to: bound() }
}

fn pattern(random: &mut Random) -> Pattern {
    // Only the parser makes patterns.
    let text: String = hostile(random).replace(['\0', '"'], "").chars().flat_map(|letter| ['\\', letter]).collect();
    let query = (*random.pick(&["name:A*", "name:*A", "name:A*A", "name:*A*A*"])).replace('A', &text);
    match parse(&query) {
        Ok(Filter::Text(_, Test::Like(pattern))) => pattern,
        other => panic!("{query}: {other:?}"),
    }
}

fn test(random: &mut Random) -> Test<String> {
    match random.below(4) {
        0 => Test::Is(hostile(random)),
        1 => Test::Like(pattern(random)),
        2 => Test::Within(range(random, hostile)),
        _ => Test::Exists,
    }
}

fn filter(random: &mut Random, depth: usize) -> Filter {
    let several = |random: &mut Random| (0..random.below(4)).map(|_| filter(random, depth - 1)).collect();
    let number = |random: &mut Random| i64::try_from(random.below(9)).expect("small");
    match random.below(if depth == 0 { 8 } else { 11 }) {
        0 => Filter::Text(*random.pick(&TextField::ALL), test(random)),
        1 => Filter::Anywhere(test(random)),
        2 => Filter::Identity(*random.pick(&[IdentityField::Connection, IdentityField::Provider, IdentityField::UserId]), test(random)),
        3 => Filter::Flag(*random.pick(&[FlagField::Blocked, FlagField::EmailVerified, FlagField::PhoneVerified]), random.below(2) == 0),
        4 => Filter::Time(*random.pick(&[TimeField::CreatedAt, TimeField::UpdatedAt, TimeField::LastLogin]), range(random, number)),
        5 => Filter::LoginsCount(range(random, number)),
        6 => Filter::IsSocial(random.below(2) == 0),
        7 => {
            let test = match random.below(5) {
                0 => ValueTest::Is((*random.pick(&["5", "ZQX", "inf"])).to_owned()),
                1 => ValueTest::Like(pattern(random)),
                2 => ValueTest::Numbers(range(random, |random| random.below(9) as f64)),
                3 => ValueTest::Texts(range(random, hostile)),
                _ => ValueTest::Exists,
            };
            Filter::Metadata(MetadataPath { which: *random.pick(&Part::ALL), path: format!("app_metadata.{}", hostile(random)) }, test)
        }
        8 => Filter::All(several(random)),
        9 => Filter::Any(several(random)),
        _ => Filter::Not(Box::new(filter(random, depth - 1))),
    }
}

fn statements(filter: &Filter, random: &mut Random) -> Vec<Statement> {
    let sort = format!("{}:-1", random.pick(&["name", "user_id", "created_at", "updated_at", "last_login", "logins_count"]));
    let sort = Sort::parse(&sort).expect("a sort");
    let query = UserQuery { filter: Some(filter.clone()), sort, offset: 3, limit: 5, count: true };
    let of = |backend| {
        let (after, connection) = ("ZQX", Some("ZQX"));
        [Statement::page(backend, &query), Statement::count(backend, Some(filter)), Statement::after(backend, Some(after), connection, 9)]
    };
    [Backend::Sqlite, Backend::Postgres].into_iter().flat_map(of).collect()
}

#[test]
fn nothing_that_somebody_wrote_is_in_a_statement() {
    let mut random = Random(99);
    let mut bound = 0;
    for _ in 0..3000 {
        let filter = filter(&mut random, 4);
        for statement in statements(&filter, &mut random) {
            assert!(!statement.text.to_ascii_uppercase().contains("ZQX"), "{}", statement.text);
            let known = |letter: char| letter.is_ascii_alphanumeric() || " _.,()$'!\"*=<>".contains(letter);
            assert!(statement.text.chars().all(known), "{}", statement.text);
            // One value for each place, in their order.
            let places: Vec<&str> = statement.text.split('$').skip(1).collect();
            assert_eq!(places.len(), statement.values.len(), "{}", statement.text);
            for (number, place) in (1..).zip(places) {
                assert!(
                    place.split(|letter: char| !letter.is_ascii_digit()).next() == Some(format!("{number}").as_str()),
                    "{}",
                    statement.text
                );
            }
            bound += statement
                .values
                .iter()
                .filter(|value| matches!(value, Bound::Text(text) if text.to_ascii_uppercase().contains("ZQX")))
                .count();
            assert!(
                !statement.values.iter().any(|value| matches!(value, Bound::Text(text) if text.contains('\0'))),
                "PostgreSQL has no NUL"
            );
        }
    }
    assert!(bound > 10_000, "{bound}");
}

#[test]
fn the_database_begins_where_few_users_are() {
    for (query, begin) in [
        ("name:a", Some("n.name")),
        ("name:a AND identities.connection:x", Some("n.name")),
        ("identities.connection:x AND app_metadata.a:b", Some("n.path")),
        ("blocked:true AND logins_count:7", Some("n.logins_count")),
        ("blocked:true", Some("n.blocked")),
        ("blocked:false", None),
        ("NOT name:a", None),
        ("_exists_:name", None),
        ("name:*smith", None),
        ("name:a OR blocked:false", None),
        ("name:a OR email:b", Some("n.name")),
        ("(name:a AND blocked:true) OR email:b", Some("n.name")),
        ("a", Some("n.user_id")),
    ] {
        let filter = parse(query).expect("understood");
        for backend in [Backend::Sqlite, Backend::Postgres] {
            let text = Statement::count(backend, Some(&filter)).text;
            let found = text.split_once("s.user_id IN (").map(|(_, set)| set.split_once("n.").expect("a column").1);
            let column = begin.map(|begin| begin.strip_prefix("n.").expect("a column"));
            // The first mention of `n` is what is selected.
            let second = found.and_then(|set| set.split_once("n.")).map(|(_, rest)| rest);
            assert_eq!(
                second.is_some_and(|rest| column.is_some_and(|column| rest.starts_with(column))),
                begin.is_some(),
                "{query}: {text}"
            );
        }
    }
}

#[test]
fn what_begins_with_a_text_ends_before_its_successor() {
    for (prefix, next) in
        [("a", Some("b")), ("az", Some("a{")), ("\u{d7ff}", Some("\u{e000}")), ("a\u{10ffff}", Some("b")), ("\u{10ffff}\u{10ffff}", None)]
    {
        assert_eq!(term::successor(prefix).as_deref(), next, "{prefix}");
    }
}
