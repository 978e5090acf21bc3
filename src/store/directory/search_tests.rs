//! What searches of SQL directories do beside `store::conformance`: they take their time alone, and use indexes.

use super::super::tests::login;
use super::*;
use crate::store::directory::{Directory, SqlDirectory, connect};
use crate::store::test_servers::Server;
use crate::user::search::parse;
use sqlx::{Connection as _, Row as _};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn query(text: &str) -> UserQuery {
    UserQuery { filter: Some(parse(text).expect("understood")), limit: 10, count: true, ..UserQuery::default() }
}

/// While `slow` keeps searches from ending: they end in time with an error of their own, and logins go on.
async fn takes_too_long(directory: &SqlDirectory) {
    let (begin, jane) = (Instant::now(), query("name:*jane*"));
    let (one, other, ()) = tokio::join!(directory.find_users(&jane), directory.users_after(None, None, 10), async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let begin = Instant::now();
            login(directory).await.expect("logins go on");
            assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
        }
    });
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    for error in [one.expect_err("too long"), other.expect_err("too long")] {
        assert_eq!((error.kind, error.detail.contains("took too long")), (ErrorKind::StoreUnavailable, true), "{error:?}");
    }
    assert!(!directory.down.load(Ordering::Relaxed), "the database answers");
    login(directory).await.expect("logins go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_15_a_search_that_takes_too_long_in_postgres_harms_nobody() {
    let server = Server::postgres();
    let directory = SqlDirectory::open(&server.postgres_url()).await.expect("opened");
    login(&directory).await.expect("recorded");
    let mut other = connect::Target::new(&server.postgres_url()).expect("understood").connect().await.expect("connected");
    for _ in 0..2 {
        let mut lock = other.begin().await.expect("begun");
        sqlx::raw_sql("LOCK TABLE search_users IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.expect("locked");
        takes_too_long(&directory).await;
        lock.rollback().await.expect("unlocked");
        // More of them than there are connections.
        for _ in 0..5 {
            assert_eq!(directory.find_users(&query("*")).await.expect("found").total, Some(1));
        }
    }
}

/// As [`crate::store::directory::connect`] has it, the server ends what takes longer, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_15_what_the_server_ends_is_said_to_have_taken_too_long() {
    let server = Server::postgres();
    let directory = SqlDirectory::open(&server.postgres_url()).await.expect("opened");
    let mut held = directory.searches.as_ref().expect("searches").acquire().await.expect("a connection");
    sqlx::raw_sql("SET statement_timeout = 100").execute(&mut *held).await.expect("set");
    held.ended(crate::store::directory::Use::Finished);
    drop(held);
    let mut other = connect::Target::new(&server.postgres_url()).expect("understood").connect().await.expect("connected");
    let mut lock = other.begin().await.expect("begun");
    sqlx::raw_sql("LOCK TABLE search_users IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.expect("locked");
    let begin = Instant::now();
    let error = directory.find_users(&query("*")).await.expect_err("too long");
    assert!(error.detail.contains("took too long") && begin.elapsed() < Duration::from_secs(1), "{error:?}");
    lock.rollback().await.expect("unlocked");
    assert!(directory.find_users(&query("*")).await.is_ok(), "by the same connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_15_a_search_that_takes_too_long_in_sqlite_harms_nobody() {
    let place = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", place.path().join("d.db").display());
    let directory = SqlDirectory::open(&url).await.expect("opened");
    login(&directory).await.expect("recorded");
    let mut held = directory.pool.acquire().await.expect("a connection");
    let slow = "ALTER TABLE search_users RENAME TO kept; CREATE VIEW search_users AS \
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000000) \
        SELECT k.* FROM n CROSS JOIN kept k WHERE n.i = 0";
    sqlx::raw_sql(slow).execute(&mut *held).await.expect("made");
    drop(held);
    takes_too_long(&directory).await;
    let mut held = directory.pool.acquire().await.expect("a connection");
    sqlx::raw_sql("DROP VIEW search_users; ALTER TABLE kept RENAME TO search_users").execute(&mut *held).await.expect("made");
    drop(held);
    // What was begun is finished first.
    let deadline = Instant::now() + Duration::from_secs(180);
    while let Err(error) = directory.find_users(&query("*")).await {
        assert!(Instant::now() < deadline, "{error:?}");
    }
    login(&directory).await.expect("logins go on");
}

/// A database that does not answer at all is another matter, and other calls find that out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_neither_says_that_a_database_is_down_nor_that_it_is_up() {
    let server = Server::postgres();
    let directory = SqlDirectory::open(&server.postgres_url()).await.expect("opened");
    assert!(directory.find_users(&query("*")).await.is_ok());
    server.hold();
    assert!(directory.find_users(&query("*")).await.is_err());
    assert!(!directory.down.load(Ordering::Relaxed));
    assert!(login(&directory).await.is_err());
    assert!(directory.down.load(Ordering::Relaxed));
    assert!(directory.find_users(&query("*")).await.is_err());
    assert!(directory.down.load(Ordering::Relaxed));
    server.go_on();
    assert!(directory.find_users(&query("*")).await.is_ok());
    assert!(!directory.down.load(Ordering::Relaxed));
}

/// SQLite tells what it would do. PostgreSQL decides by how many users there are: benches/search.rs measures it.
#[tokio::test]
async fn s4_15_common_searches_use_an_index() {
    let directory = SqlDirectory::open("sqlite::memory:").await.expect("opened");
    let mut held = directory.pool.acquire().await.expect("a connection");
    for (text, scans) in [
        ("email:jane@a.example", false),
        ("email.domain:a.example", false),
        ("name:jane", false),
        ("name:ja*", false),
        ("name:jane*smith", false),
        ("nickname:jane", false),
        ("user_id:samlp|a|b", false),
        ("user_id:samlp*", false),
        ("username:a OR given_name:b OR family_name:c", false),
        ("identities.connection:acme", false),
        ("logins_count:[3 TO 4]", false),
        ("last_login:2017-12", false),
        ("created_at:{2017 TO *]", false),
        ("app_metadata.plan:gold", false),
        ("user_metadata.n:5", false),
        ("app_metadata.n:[5 TO 6]", false),
        ("jane", false),
        ("jane AND NOT blocked:true", false),
        ("name:*x*xyz* AND _exists_:app_metadata.a AND identities.connection:acme", false),
        ("name:*jane", true),
        ("NOT name:jane", true),
        ("blocked:true", false),
        ("blocked:false", true),
        ("phone_number:\"+43\"", true),
        ("name:jane OR blocked:true", false),
        ("name:jane OR blocked:false", true),
    ] {
        let plan = plan_of(Statement::count(Backend::Sqlite, query(text).filter.as_ref()), &mut held).await;
        let all = plan.iter().any(|line| ["SCAN s", "SCAN n"].iter().any(|scan| line.starts_with(scan) && !line.contains("users_blocked")));
        assert_eq!(all, scans, "{text}: {plan:?}");
    }
    // A page in this order is read from the index, and not sorted.
    for sort in ["user_id:1", "created_at:-1", "last_login:-1", "logins_count:1", "name:1", "email:-1"] {
        let page = UserQuery { sort: crate::user::search::Sort::parse(sort).expect("a sort"), limit: 10, ..UserQuery::default() };
        let plan = plan_of(Statement::page(Backend::Sqlite, &page), &mut held).await;
        assert!(!plan.iter().any(|line| line == "USE TEMP B-TREE FOR ORDER BY"), "{sort}: {plan:?}");
    }
}

async fn plan_of(statement: Statement, connection: &mut AnyConnection) -> Vec<String> {
    let rows = statement.explain().fetch_all(connection).await.expect("explained");
    rows.iter().map(|row| row.get("detail")).collect()
}
