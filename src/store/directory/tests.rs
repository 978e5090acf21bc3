//! What every directory must do is in `store::conformance`; here it runs, with what only SQL directories do.

use super::*;
use crate::profile::Written;
use crate::store::conformance;
use crate::store::test_servers::Server;
use crate::user::Identity;
use crate::user::search::parse;
use serde_json::Map;
use sqlx::Connection as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_conforms() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("made/here/isthmus.db");
    let url = format!("sqlite:{}", path.display());
    conformance::directory(open_directory(&url).await.expect("opened")).await;
    nothing_contradicts_itself(&url).await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("made").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().expect("a parent")), 0o700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_in_memory_conforms() {
    conformance::directory(open_directory("sqlite::memory:").await.expect("opened")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms() {
    let server = Server::postgres();
    conformance::directory(open_directory(&server.postgres_url()).await.expect("opened")).await;
    nothing_contradicts_itself(&server.postgres_url()).await;
}

/// What the tables say to each other after everything that the suite has done.
async fn nothing_contradicts_itself(url: &str) {
    let directory = SqlDirectory::open(url).await.expect("opened");
    let mut held = directory.pool.acquire().await.expect("a connection");
    for (what, sql) in [
        ("no users at all", "SELECT CASE WHEN EXISTS (SELECT 1 FROM users) THEN 0 ELSE CAST(1 AS BIGINT) END"),
        (
            "a user without a primary",
            "SELECT COUNT(*) FROM users u WHERE NOT EXISTS (SELECT 1 FROM identities i WHERE i.user_id = u.user_id AND i.position = 0)",
        ),
        (
            "a line whose identity is elsewhere",
            "SELECT COUNT(*) FROM link_identities h JOIN links l ON l.link_id = h.link_id \
            LEFT JOIN identities i ON i.connection = h.connection AND i.subject = h.subject AND i.user_id = l.user_id AND i.position > 0 \
            WHERE h.here = 1 AND i.user_id IS NULL",
        ),
        (
            "an undone line with an identity",
            "SELECT COUNT(*) FROM link_identities h JOIN links l ON l.link_id = h.link_id \
            WHERE h.here = 1 AND l.undone_at IS NOT NULL",
        ),
        ("an undone line that keeps something", "SELECT COUNT(*) FROM links WHERE undone_at IS NOT NULL AND kept <> '{}'"),
        (
            "a linked identity without a line",
            "SELECT COUNT(*) FROM identities i WHERE i.position > 0 AND NOT EXISTS (SELECT 1 \
            FROM link_identities h JOIN links l ON l.link_id = h.link_id \
            WHERE h.connection = i.connection AND h.subject = i.subject AND l.user_id = i.user_id AND h.here = 1)",
        ),
        ("a turn that was not ended", "SELECT COUNT(*) FROM email_turns"),
    ] {
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut *held).await.expect(what);
        assert_eq!(count, 0, "{what}");
    }
}

const FIRST_VERSION: &str = "CREATE TABLE schema_version (version BIGINT NOT NULL PRIMARY KEY); INSERT INTO schema_version VALUES (1); \
    INSERT INTO users VALUES ('samlp|acme|jane', 1, 1000, '{\"u\":1}', '{\"a\":1}'), ('samlp|acme|joe', 0, 1500, '{}', '{}'); \
    INSERT INTO identities VALUES ('acme', 'jane', 'samlp|acme|jane', 0, 'samlp', 0, 2000, 7, '{\"name\":\"Jane\"}'), \
        ('acme', 'joe', 'samlp|acme|joe', 0, 'samlp', 0, 2500, 1, '{}'); \
    INSERT INTO refresh_families VALUES ('g', 'notes', 'samlp|acme|jane', 0, 1000, 1000, 99999999999999, 0, '{}')";

/// Both at PostgreSQL at once, since it takes its time to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_are_brought_up_to_date_and_several_nodes_may_start_at_once() {
    let server = Server::postgres();
    let place = tempfile::tempdir().expect("a directory");
    let (first, second) = (place.path().join("1.db").display().to_string(), place.path().join("2.db").display().to_string());
    several_nodes_start_at_once([server.postgres_url(), format!("sqlite:{first}")]).await;
    let mut held = Target::new(&server.postgres_url()).expect("understood").connect().await.expect("connected");
    sqlx::raw_sql("CREATE DATABASE old").execute(&mut held).await.expect("made");
    let old = server.postgres_url().replace("/postgres", "/old").replace("//old", "//postgres");
    a_database_of_the_first_version_is_brought_up_to_date([old, format!("sqlite:{second}")]).await;
}

async fn a_database_of_the_first_version_is_brought_up_to_date(urls: [String; 2]) {
    for url in urls {
        let mut old = Target::new(&url).expect("understood").connect().await.expect("connected");
        for sql in [connect::MIGRATIONS[0].sqlite, FIRST_VERSION] {
            sqlx::raw_sql(sql).execute(&mut old).await.expect("made");
        }
        old.close().await.expect("closed");

        let directory = open_directory(&url).await.expect("opened");
        for query in ["name:jane AND app_metadata.a:1 AND user_metadata.u:1 AND logins_count:7 AND last_login:1970", "NOT _exists_:name"] {
            let query = UserQuery { filter: parse(query).ok(), limit: 9, count: true, ..UserQuery::default() };
            assert_eq!(directory.find_users(&query).await.expect("found").total, Some(1), "what was there before is found");
        }
        let user = directory.user("samlp|acme|jane").await.expect("read").expect("still there");
        let at = Timestamp::from_millis;
        assert_eq!((user.blocked, user.created_at, user.updated_at), (true, at(1000), at(1000)));
        assert_eq!((user.user_metadata.get("u").is_some(), user.app_metadata.get("a").is_some()), (true, true));
        assert_eq!((user.groups.len(), user.custom_fields.len()), (0, 0));
        let [stored] = user.identities.as_slice() else { panic!("one identity: {user:?}") };
        assert_eq!((stored.allows_login, stored.created_at, stored.last_login), (true, at(1000), Some(at(2000))));
        assert_eq!((stored.logins_count, stored.profile.len(), stored.root.len()), (7, 1, 0));
        assert!(directory.set_blocked("samlp|acme|jane", false).await.expect("unblocked"));
        let answer = login(&*directory).await.expect("recorded");
        assert_eq!((answer.user_id.as_str(), answer.created, answer.logins_count), ("samlp|acme|jane", false, 8));
        let by = LinkedBy { link_id: "l".into(), how: "operator".into(), actor: "test".into(), correlation_id: String::new() };
        directory.link_users("samlp|acme|jane", "samlp|acme|joe", &by, at(3000)).await.expect("linked");
        let joe = directory.undo_link("l", at(4000)).await.expect("undone").expect("there");
        assert_eq!((joe.created_at, joe.identities[0].last_login), (at(1500), Some(at(2500))));
        let rotated = directory.rotate_family("g", "notes", 0, at(5000), 30).await.expect("an answer");
        assert_eq!(rotated, Rotation::Refused, "undoing the link has ended it");
        directory.close().await.expect("closed");
        // Once more changes nothing.
        assert!(open_directory(&url).await.expect("opened").user("samlp|acme|joe").await.expect("read").is_some());
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let place = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", place.path().join("d.db").display());
    let first = open_directory(&url).await.expect("opened");
    let user_id = login(&*first).await.expect("recorded").user_id;
    first.close().await.expect("closed");
    let second = open_directory(&url).await.expect("opened again");
    assert!(second.user(&user_id).await.expect("read").is_some());
}

async fn several_nodes_start_at_once(urls: [String; 2]) {
    for url in urls {
        let mut nodes = JoinSet::new();
        for _ in 0..6 {
            let url = url.clone();
            nodes.spawn(async move { login(&*open_directory(&url).await.expect("opened")).await.expect("recorded") });
        }
        assert_eq!(nodes.join_all().await.iter().filter(|login| login.created).count(), 1);
    }
}

#[tokio::test]
async fn expired_families_are_forgotten_at_start() {
    let place = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", place.path().join("d.db").display());
    let directory = open_directory(&url).await.expect("opened");
    let user_id = login(&*directory).await.expect("recorded").user_id;
    let now = Timestamp::now();
    for (grant_id, expires_at) in [("old", now.plus_seconds(-1)), ("new", now.plus_seconds(600))] {
        let (user_id, client_id, data) = (user_id.clone(), "notes".to_owned(), "{}".to_owned());
        let (grant_id, generation) = (grant_id.to_owned(), 0);
        let family = RefreshFamily { grant_id, client_id, user_id, generation, created_at: now, rotated_at: now, expires_at, data };
        directory.put_family(&family).await.expect("stored");
    }
    directory.close().await.expect("closed");
    let directory = SqlDirectory::open(&url).await.expect("opened again");
    let mut held = directory.pool.acquire().await.expect("a connection");
    let left: Vec<String> = sqlx::query_scalar("SELECT grant_id FROM refresh_families").fetch_all(&mut *held).await.expect("read");
    assert_eq!(left, ["new"]);
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", place.path().join("d.db").display());
    let directory = SqlDirectory::open(&url).await.expect("opened");
    let mut held = directory.pool.acquire().await.expect("a connection");
    sqlx::query("INSERT INTO schema_version VALUES (1000)").execute(&mut *held).await.expect("written");
    drop(held);
    directory.close().await.expect("closed");
    let error = open_directory(&url).await.err().expect("refused");
    assert_eq!(error.kind, ErrorKind::Misconfigured);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_outages_are_short_errors() {
    let mut server = Server::postgres();
    let directory = open_directory(&server.postgres_url()).await.expect("opened");
    for _ in 0..4 {
        login(&*directory).await.expect("recorded");
    }

    server.hold();
    let begin = Instant::now();
    assert_eq!(login(&*directory).await.expect_err("held").kind, ErrorKind::StoreUnavailable);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    // While one caller tries again, the others do not wait.
    let begin = Instant::now();
    let (trying, other) = tokio::join!(login(&*directory), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let other = login(&*directory).await;
        assert!(begin.elapsed() < Duration::from_millis(300), "{:?}", begin.elapsed());
        other
    });
    assert!(trying.is_err() && other.is_err());
    server.go_on();
    recovers(&*directory, Duration::from_secs(2)).await;

    server.kill();
    let begin = Instant::now();
    assert_eq!(login(&*directory).await.expect_err("dead").kind, ErrorKind::StoreUnavailable);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    server.start();
    recovers(&*directory, Duration::from_secs(20)).await;
    // Connections from before are no trouble later on either.
    for _ in 0..4 {
        login(&*directory).await.expect("recorded");
    }
}

#[tokio::test]
async fn a_locked_database_is_a_short_error() {
    let place = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", place.path().join("d.db").display());
    let (ours, other) = (open_directory(&url).await.expect("opened"), SqlDirectory::open(&url).await.expect("opened"));
    let mut held = other.pool.acquire().await.expect("a connection");
    let lock = held.begin_with("BEGIN IMMEDIATE").await.expect("locked");
    let begin = Instant::now();
    assert_eq!(login(&*ours).await.expect_err("locked").kind, ErrorKind::StoreUnavailable);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    lock.rollback().await.expect("unlocked");
    recovers(&*ours, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_in_time() {
    let begin = Instant::now();
    let url = format!("postgres://u:hunter2@127.0.0.1:{}/d", crate::store::test_servers::free_port());
    let error = open_directory(&url).await.err().expect("nobody there");
    assert_eq!(error.kind, ErrorKind::StoreUnavailable);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn urls_are_checked_without_connecting() {
    for url in [
        "sqlite:data/isthmus.db",
        "sqlite://data/x.db",
        "sqlite:/var/lib/x.db",
        "sqlite::memory:",
        "postgres://h/d",
        "postgresql://u:p@h:1/d?sslmode=require",
    ] {
        assert!(check_url(url).is_ok(), "{url}: {:?}", check_url(url).err());
    }
    for url in [
        "",
        "sqlite:",
        "sqlite:dir/",
        "sqlite:x?mode=ro",
        "hunter2.db",
        "mysql://u:hunter2@h/d",
        "postgres://u:hunter2@h",
        "postgres://u:hunter2@h/d?sslmode=hunter2",
    ] {
        let error = check_url(url).expect_err(url);
        assert_eq!(error.kind, ErrorKind::Misconfigured, "{url}");
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    }
}

pub(super) async fn login(directory: &dyn Directory) -> Result<UserLogin> {
    let identity = Identity { connection: "acme".into(), provider: "samlp".into(), user_id: "jane".into(), is_social: false };
    let profile = Written::object(&Map::new()).expect("JSON");
    match directory.record_login(&IdentityLogin::plain(&identity, profile.as_raw(), Timestamp::now())).await? {
        Recorded::Login(login) => Ok(*login),
        Recorded::Taken(users) => panic!("nobody was to be looked for, and {} were found", users.len()),
    }
}

async fn recovers(directory: &dyn Directory, patience: Duration) {
    let deadline = Instant::now() + patience;
    while let Err(error) = login(directory).await {
        assert!(Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
