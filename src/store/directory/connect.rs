//! From a URL to a connection to a database with today's tables.
//!
//! To change the tables: add a file to `migrations/`, numbered, and a line to [`MIGRATIONS`]. Never edit an old one.

use super::{Trouble, search};
use crate::error::{Error, ErrorKind, Result};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use url::Url;

pub(super) const MIGRATIONS: &[Migration] = &[
    Migration::of_both(include_str!("migrations/0001_first.sql")),
    Migration::of_both(include_str!("migrations/0002_linking.sql")),
    Migration::of_both(include_str!("migrations/0003_objects.sql")),
    Migration {
        sqlite: include_str!("migrations/0004_search.sqlite.sql"),
        postgres: include_str!("migrations/0004_search.postgres.sql"),
        fills_search: true,
    },
    Migration {
        sqlite: concat!(include_str!("migrations/0005_jobs.sql"), include_str!("migrations/0005_log.sqlite.sql")),
        postgres: concat!(include_str!("migrations/0005_jobs.sql"), include_str!("migrations/0005_log.postgres.sql")),
        fills_search: false,
    },
    Migration::of_both(include_str!("migrations/0006_queue.sql")),
    Migration::of_both(include_str!("migrations/0007_consents.sql")),
];

/// One step of the tables: one text for both databases, or one for each.
pub(super) struct Migration {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
    /// What is searched is then made of what is there.
    fills_search: bool,
}

impl Migration {
    const fn of_both(sql: &'static str) -> Self {
        Self { sqlite: sql, postgres: sql, fills_search: false }
    }
}

/// For PostgreSQL; statements are short, so a few connections keep many callers busy.
pub(super) const POSTGRES_CONNECTIONS: usize = 8;

/// SQLite has one writer at a time. Waiting for the one connection is cheaper than for SQLite's lock.
const SQLITE_CONNECTIONS: usize = 1;

/// Beside those: for searches, which may take long. SQLite's readers do not wait for its writer.
const SEARCH_CONNECTIONS: usize = 2;

/// NORMAL loses no consistency, only (after a power cut) the last moments: a login count or a last refresh.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 1500; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
                               PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;";

/// So that the server too stops working on what nobody waits for any more.
const POSTGRES_SETTINGS: &str = "SET statement_timeout = 1800; SET idle_in_transaction_session_timeout = 10000; \
                                 SET client_min_messages = warning; SET jit = off;";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
}

/// Would the directory be found by this URL? Opens and makes nothing.
pub fn check_url(url: &str) -> Result<()> {
    parse(url).map(|_| ())
}

enum Place {
    File(PathBuf),
    Memory,
    Postgres(Url),
}

const FORMS: &str = "The directory is sqlite:path/to/file.db or postgres://user:password@host/database.";

/// A URL problem; `detail` never repeats the URL, which may hold a password.
fn wrong(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Misconfigured, detail)
}

fn parse(url: &str) -> Result<Place> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return match path {
            ":memory:" => Ok(Place::Memory),
            "" => Err(wrong("sqlite: needs a path, such as sqlite:data/isthmus.db.")),
            _ if path.contains(['?', '#', '%', '\0']) => Err(wrong("A sqlite: path holds no ?, # or %, and takes no parameters.")),
            _ if path.ends_with('/') => Err(wrong("sqlite: needs the path of a file, not of a directory.")),
            _ => Ok(Place::File(path.into())),
        };
    }
    let parsed = Url::parse(url).map_err(|_| wrong(FORMS))?;
    if !matches!(parsed.scheme(), "postgres" | "postgresql") {
        return Err(wrong(FORMS));
    }
    if parsed.path().trim_matches('/').is_empty() {
        return Err(wrong("The PostgreSQL URL names no database: postgres://user:password@host/database."));
    }
    sqlx::postgres::PgConnectOptions::from_str(url)
        .map_err(|_| wrong("The PostgreSQL URL has a parameter that is not understood, such as a wrong sslmode."))?;
    Ok(Place::Postgres(parsed))
}

/// Where the database is and how to talk to it.
pub(super) struct Target {
    pub(super) backend: Backend,
    /// How many connections there may be at once.
    pub(super) connections: usize,
    options: AnyConnectOptions,
}

impl Target {
    /// Understands the URL; for SQLite, makes the file.
    pub(super) fn new(url: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let (url, backend, connections) = match parse(url)? {
            Place::Memory => ("sqlite::memory:".to_owned(), Backend::Sqlite, SQLITE_CONNECTIONS),
            Place::File(path) => (format!("sqlite:{}", prepare(&path)?), Backend::Sqlite, SQLITE_CONNECTIONS),
            Place::Postgres(url) => (url.into(), Backend::Postgres, POSTGRES_CONNECTIONS),
        };
        let options = AnyConnectOptions::from_str(&url).map_err(|_| wrong(FORMS))?.disable_statement_logging();
        Ok(Self { backend, connections, options })
    }

    /// The same database, for searches; `None` where it can have only one connection.
    pub(super) fn for_searches(url: &str) -> Result<Option<Self>> {
        match parse(url)? {
            Place::Memory => Ok(None),
            Place::File(_) | Place::Postgres(_) => Ok(Some(Self { connections: SEARCH_CONNECTIONS, ..Self::new(url)? })),
        }
    }

    pub(super) async fn connect(&self) -> Result<AnyConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        let settings = match self.backend {
            Backend::Sqlite => SQLITE_SETTINGS,
            Backend::Postgres => POSTGRES_SETTINGS,
        };
        sqlx::raw_sql(settings).execute(&mut connection).await?;
        Ok(connection)
    }
}

/// Makes the file, readable to this user only, and its directory. Answers its full path.
fn prepare(path: &Path) -> Result<String> {
    let refused = |error: io::Error| {
        let detail = format!("The directory's file {} cannot be opened for writing: {}.", path.display(), error.kind());
        wrong(detail).because(error)
    };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(refused)?;
    }
    fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(refused)?;
    let full = fs::canonicalize(path).map_err(refused)?;
    match full.to_str() {
        Some(text) if !text.contains(['?', '#', '%']) => Ok(text.to_owned()),
        _ => Err(wrong("The full path of the directory's file has a character that SQLite's URLs do not allow.")),
    }
}

/// Applies what is missing, all or nothing. Of several nodes that start at once one does it and the others wait.
pub(super) async fn migrate(connection: &mut AnyConnection, backend: Backend) -> Result<(), Trouble> {
    let begin = match backend {
        Backend::Sqlite => "BEGIN IMMEDIATE",
        Backend::Postgres => "BEGIN",
    };
    let mut transaction = connection.begin_with(begin).await?;
    if backend == Backend::Postgres {
        // The lock's number says "isthmus" in no code in particular; it only has to be always the same.
        let alone = "SET LOCAL statement_timeout = '5min'; SELECT pg_advisory_xact_lock(4785074604081152)";
        sqlx::raw_sql(alone).execute(&mut *transaction).await?;
    }
    let table = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY)";
    sqlx::raw_sql(table).execute(&mut *transaction).await?;
    let newest = "SELECT COALESCE(MAX(version), 0) FROM schema_version";
    let applied: i64 = sqlx::query_scalar(newest).fetch_one(&mut *transaction).await?;
    let applied = usize::try_from(applied).unwrap_or(usize::MAX);
    if applied > MIGRATIONS.len() {
        return Err(wrong("The directory was made by a newer Isthmus than this one.").into());
    }
    for (migration, version) in MIGRATIONS.iter().zip(1_i64..).skip(applied) {
        let sql = match backend {
            Backend::Sqlite => migration.sqlite,
            Backend::Postgres => migration.postgres,
        };
        sqlx::raw_sql(sql).execute(&mut *transaction).await?;
        if migration.fills_search {
            search::fill(&mut transaction, backend).await?;
        }
        let done = "INSERT INTO schema_version (version) VALUES ($1)";
        sqlx::query(done).bind(version).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}
