//! The session store that several nodes share: Redis 6.2 or later, single, behind Sentinels or as a Cluster.
//!
//! | URL | |
//! |---|---|
//! | `redis://[user:password@]host[:6379][/db]` | one server |
//! | `redis+sentinel://[user:password@]host[:26379],host/name[/db]` | the master called `name`; `?sentinel_password=` (and `sentinel_username=`) where the Sentinels have their own |
//! | `redis+cluster://[user:password@]host[:6379],host` | a cluster, found from any of these nodes |
//!
//! `rediss` instead of `redis` is TLS with certificates checked (`SSL_CERT_FILE` names a private authority).
//!
//! One multiplexed connection, made at the first call. When it breaks or does not answer in time, callers are
//! refused at once while one task in the background tries again every quarter of a second; so a Redis that hangs
//! costs the callers of one moment their time-out, not everybody for as long as it hangs.

use super::{is_mark, life, mark, wrong};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Consumed, Later, Op, SavedEntry, SessionStore};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisError, RedisFuture, Script, Value};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

const CONNECT: Duration = Duration::from_millis(1000);
const RESPONSE: Duration = Duration::from_millis(800);
/// Connecting and asking together, whatever happens.
const TOTAL: Duration = Duration::from_millis(1700);
/// Between two attempts to reach a Redis that is down.
const PROBE: Duration = Duration::from_millis(250);

/// Leaves a tombstone (a value behind a NUL byte) where a value stood. Answers what stood there.
const CONSUME: &str = r"local v = redis.call('GET', KEYS[1])
if v and string.byte(v, 1) ~= 0 then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
return v";

/// One command, because those of a commit may be done in any order in a cluster.
const APPEND: &str = r"redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, ARGV[2] - 1)
return redis.call('EXPIRE', KEYS[1], ARGV[3])";

pub struct RedisSessions {
    link: Arc<Link>,
    consume: Script,
}

impl RedisSessions {
    pub fn new(place: Place) -> Result<Self> {
        let way = Way::new(place).map_err(|error| wrong("The session store's URL is not usable.").because(error))?;
        let link = Link { way, state: Mutex::new(State::Idle), connecting: tokio::sync::Mutex::new(()), serials: AtomicU64::new(0) };
        Ok(Self { link: Arc::new(link), consume: Script::new(CONSUME) })
    }
}

impl SessionStore for RedisSessions {
    fn get_many<'a>(&'a self, keys: &'a [String]) -> Later<'a, Vec<Option<Vec<u8>>>> {
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let mut command = redis::cmd("MGET");
            command.arg(keys);
            let values: Vec<Option<Vec<u8>>> = self.link.ask(&command, Again::Yes).await?;
            Ok(values.into_iter().map(unmarked).collect())
        })
    }

    fn take<'a>(&'a self, key: &'a str) -> Later<'a, Option<Vec<u8>>> {
        Box::pin(async move { self.link.ask(redis::cmd("GETDEL").arg(key), Again::No).await.map(unmarked) })
    }

    fn consume<'a>(&'a self, key: &'a str, tombstone: Vec<u8>, ttl: u64) -> Later<'a, Consumed> {
        Box::pin(async move {
            let mut script = self.consume.key(key);
            script.arg(mark(&tombstone)).arg(life(ttl));
            let script = &script;
            let found: Option<Vec<u8>> =
                self.link.run(Again::No, |mut connection| async move { script.invoke_async(&mut connection).await }).await?;
            Ok(match found {
                None => Consumed::Absent,
                Some(stored) if is_mark(&stored) => Consumed::Used(stored.get(1..).unwrap_or_default().to_vec()),
                Some(value) => Consumed::Fresh(value),
            })
        })
    }

    fn list<'a>(&'a self, key: &'a str, limit: usize) -> Later<'a, Vec<Vec<u8>>> {
        Box::pin(async move {
            let Some(last) = limit.checked_sub(1) else { return Ok(Vec::new()) };
            self.link.ask(redis::cmd("LRANGE").arg(key).arg(0).arg(last), Again::Yes).await
        })
    }

    fn commit(&self, ops: Vec<Op>) -> Later<'_, Vec<bool>> {
        Box::pin(async move {
            // Writing the same value twice is harmless, appending it twice nearly; claiming twice would find our own claim.
            let again = if ops.iter().any(|op| matches!(op, Op::Claim { .. })) { Again::No } else { Again::Yes };
            let commands: Vec<Cmd> = ops.iter().map(command).collect();
            let commands = &commands;
            let answers = self.link.run(again, |connection| send_all(connection, commands)).await?;
            Ok(ops.iter().zip(answers).map(|(op, answer)| !matches!((op, answer), (Op::Claim { .. }, Value::Nil))).collect())
        })
    }

    fn ping(&self) -> Later<'_, ()> {
        Box::pin(async move { self.link.run(Again::Yes, check).await })
    }

    fn export(&self) -> Vec<SavedEntry> {
        Vec::new()
    }

    /// What an embedded store left behind stays behind: sessions live in Redis now.
    fn import(&self, _: Vec<SavedEntry>, _: Timestamp) {}
}

fn command(op: &Op) -> Cmd {
    let mut command = redis::cmd(match op {
        Op::Put { .. } | Op::Claim { .. } => "SET",
        Op::Delete { .. } => "DEL",
        Op::Append { .. } => "EVAL",
    });
    match op {
        Op::Put { key, value, ttl } => command.arg(key).arg(value.as_slice()).arg("EX").arg(life(*ttl)),
        Op::Claim { key, ttl } => command.arg(key).arg(mark(&[])).arg("NX").arg("EX").arg(life(*ttl)),
        Op::Delete { key } => command.arg(key),
        Op::Append { key, value, keep, ttl } => {
            command.arg(APPEND).arg(1).arg(key).arg(value.as_slice()).arg((*keep).max(1)).arg(life(*ttl))
        }
    };
    command
}

/// One round trip: a pipeline, or in a cluster, where the keys may live on several nodes, all commands at once.
async fn send_all(mut connection: Connection, commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
    if let [only] = commands {
        return only.query_async(&mut connection).await.map(|answer| vec![answer]);
    }
    if let Connection::One(_) = connection {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        return if commands.is_empty() { Ok(Vec::new()) } else { pipeline.query_async(&mut connection).await };
    }
    let mut under_way = JoinSet::new();
    for (position, command) in commands.iter().enumerate() {
        let (command, mut connection) = (command.clone(), connection.clone());
        under_way.spawn(async move { (position, command.query_async::<Value>(&mut connection).await) });
    }
    let mut answers = vec![Value::Nil; commands.len()];
    for (position, answer) in under_way.join_all().await {
        answers[position] = answer?;
    }
    Ok(answers)
}

fn unmarked(stored: Option<Vec<u8>>) -> Option<Vec<u8>> {
    stored.filter(|stored| !is_mark(stored))
}

/// Does this connection reach somebody who answers, and may be written to?
async fn check(mut connection: Connection) -> Result<(), RedisError> {
    redis::cmd("PING").query_async(&mut connection).await
}

/// May a command be sent again when the connection broke and nobody knows whether it was done?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Yes,
    No,
}

/// The connection and what is known about it.
struct Link {
    way: Way,
    state: Mutex<State>,
    /// Held by the one caller that makes the first connection.
    connecting: tokio::sync::Mutex<()>,
    serials: AtomicU64,
}

enum State {
    /// Nobody has asked for anything yet.
    Idle,
    Up {
        connection: Connection,
        /// Tells this connection from the one before it.
        serial: u64,
    },
    /// A task in the background is trying to get back `Up`.
    Down {
        /// What was wrong the last time.
        why: String,
    },
}

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    async fn ask<T: redis::FromRedisValue>(self: &Arc<Self>, command: &Cmd, again: Again) -> Result<T> {
        self.run(again, |mut connection| async move { command.query_async(&mut connection).await }).await
    }

    async fn run<T, F: Future<Output = Result<T, RedisError>>>(
        self: &Arc<Self>,
        again: Again,
        work: impl Fn(Connection) -> F,
    ) -> Result<T> {
        timeout(TOTAL, self.try_run(again, &work)).await.unwrap_or_else(|late| Err(unavailable(late)))
    }

    async fn try_run<T, F: Future<Output = Result<T, RedisError>>>(
        self: &Arc<Self>,
        mut again: Again,
        work: &impl Fn(Connection) -> F,
    ) -> Result<T> {
        loop {
            let (connection, serial) = self.connection().await?;
            let error = match work(connection).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let closed = error.is_connection_dropped() && !error.is_timeout();
            if closed && again == Again::Yes {
                // Closed while idle, most likely: worth one more attempt at once.
                again = Again::No;
                self.forget(serial);
                continue;
            }
            if breaks(&error) {
                self.lost(serial, &error);
            }
            return Err(unavailable(error));
        }
    }

    async fn connection(self: &Arc<Self>) -> Result<(Connection, u64)> {
        if let Some(answer) = self.known() {
            return answer;
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(answer) = self.known() {
            return answer;
        }
        match self.way.connect().await {
            Ok(connection) => Ok((connection.clone(), self.found(connection))),
            Err(error) => {
                self.search(&error);
                Err(unavailable(error))
            }
        }
    }

    /// The connection, or the news that there is none; `None` when somebody has to make it.
    fn known(&self) -> Option<Result<(Connection, u64)>> {
        match &*self.state() {
            State::Idle => None,
            State::Up { connection, serial } => Some(Ok((connection.clone(), *serial))),
            State::Down { why } => Some(Err(unavailable(format!("Redis is being tried again, after: {why}")))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self, connection: Connection) -> u64 {
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        *self.state() = State::Up { connection, serial };
        serial
    }

    /// The next caller makes a new connection, unless somebody has made one meanwhile.
    fn forget(&self, broken: u64) {
        let mut state = self.state();
        if matches!(*state, State::Up { serial, .. } if serial == broken) {
            *state = State::Idle;
        }
    }

    fn lost(self: &Arc<Self>, broken: u64, error: &RedisError) {
        if matches!(*self.state(), State::Up { serial, .. } if serial == broken) {
            self.search(error);
        }
    }

    /// From now on callers are refused at once, until the task that this starts finds Redis again.
    fn search(self: &Arc<Self>, error: &RedisError) {
        let down = State::Down { why: error.to_string() };
        if matches!(std::mem::replace(&mut *self.state(), down), State::Down { .. }) {
            return;
        }
        let link = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(link) = link.upgrade() {
                match link.way.connect().await {
                    Ok(connection) => {
                        link.found(connection);
                        return;
                    }
                    Err(error) => *link.state() = State::Down { why: error.to_string() },
                }
                drop(link);
                tokio::time::sleep(PROBE).await;
            }
        });
    }
}

/// Is the connection useless after this error? A former master that became a replica counts as gone.
fn breaks(error: &RedisError) -> bool {
    use redis::{ErrorKind as Kind, ServerErrorKind as Server};
    error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            Kind::Io | Kind::Server(Server::ReadOnly | Server::MasterDown | Server::BusyLoading | Server::ClusterDown)
        )
}

fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::StoreUnavailable, "The session store does not answer.").because(source)
}

/// How to get a connection.
enum Way {
    One(Client),
    Sentinel { sentinels: Vec<Client>, master: ConnectionInfo, name: String },
    Cluster(ClusterClient),
}

impl Way {
    fn new(place: Place) -> Result<Self, RedisError> {
        Ok(match place {
            Place::One(server) => Self::One(Client::open(server)?),
            Place::Sentinel { sentinels, master, name } => {
                Self::Sentinel { sentinels: sentinels.into_iter().map(Client::open).collect::<Result<_, _>>()?, master, name }
            }
            Place::Cluster(nodes) => Self::Cluster(
                ClusterClient::builder(nodes)
                    .connection_timeout(CONNECT)
                    .response_timeout(RESPONSE)
                    .overall_response_timeout(Some(RESPONSE + RESPONSE / 2))
                    .retries(2)
                    .min_retry_wait(20)
                    .max_retry_wait(200)
                    .build()?,
            ),
        })
    }

    /// A connection that answers, within [`CONNECT`].
    async fn connect(&self) -> Result<Connection, RedisError> {
        let connecting = async {
            let connection = match self {
                Self::One(client) => Connection::One(open(client).await?),
                Self::Sentinel { sentinels, master, name } => Connection::One(open(&find_master(sentinels, master, name).await?).await?),
                Self::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
            };
            check(connection.clone()).await?;
            Ok(connection)
        };
        timeout(CONNECT, connecting).await.unwrap_or_else(|late| Err(std::io::Error::from(late).into()))
    }
}

async fn open(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(RESPONSE));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// Asks all Sentinels at once, so that one that hangs delays nobody; the first who names a server that calls
/// itself master wins.
async fn find_master(sentinels: &[Client], master: &ConnectionInfo, name: &str) -> Result<Client, RedisError> {
    let mut asked = JoinSet::new();
    for sentinel in sentinels {
        let (sentinel, master, name) = (sentinel.clone(), master.clone(), name.to_owned());
        asked.spawn(async move {
            let mut connection = open(&sentinel).await?;
            let (host, port): (String, u16) =
                redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name).query_async(&mut connection).await?;
            let addr = match master.addr() {
                redis::ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                    redis::ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
                }
                _ => redis::ConnectionAddr::Tcp(host, port),
            };
            let client = Client::open(master.clone().set_addr(addr))?;
            let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut open(&client).await?).await?;
            match role.first() {
                Some(Value::BulkString(role)) if role == b"master" => Ok(client),
                _ => Err(RedisError::from((redis::ErrorKind::Client, "a Sentinel named a server that is no master"))),
            }
        });
    }
    let mut failure = RedisError::from((redis::ErrorKind::Client, "no Sentinel answered"));
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) => failure = error,
            Err(_) => {}
        }
    }
    Err(failure)
}

/// Commands go the same way to one server and to a cluster.
impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(&'a mut self, pipeline: &'a Pipeline, offset: usize, count: usize) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// A URL, understood. Holds the password, so it does not print.
pub enum Place {
    One(ConnectionInfo),
    Sentinel { sentinels: Vec<ConnectionInfo>, master: ConnectionInfo, name: String },
    Cluster(Vec<ConnectionInfo>),
}

impl Place {
    /// Reads a URL; what is wrong with it is said without repeating any of it.
    pub fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong(FORMS))?;
        let (tls, kind) = match scheme {
            "redis" => ("redis", Kind::One),
            "rediss" => ("rediss", Kind::One),
            "redis+sentinel" => ("redis", Kind::Sentinel),
            "rediss+sentinel" => ("rediss", Kind::Sentinel),
            "redis+cluster" => ("redis", Kind::Cluster),
            "rediss+cluster" => ("rediss", Kind::Cluster),
            _ => return Err(wrong(FORMS)),
        };
        if rest.contains('#') {
            return Err(wrong("A Redis URL has no #fragment; certificates are always checked, and a # in a password is written %23."));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let server = |host: &str, port: u16, credentials: &str, db: &str| -> Result<ConnectionInfo> {
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
            let port = if has_port { String::new() } else { format!(":{port}") };
            let at = if credentials.is_empty() { "" } else { "@" };
            let url = format!("{tls}://{credentials}{at}{host}{port}/{db}");
            match host {
                "" => Err(wrong("The Redis URL names no host, or an empty one.")),
                _ => url.as_str().into_connection_info().map_err(|_| wrong(FORMS)),
            }
        };
        let hosts: Vec<&str> = hosts.split(',').collect();
        if kind != Kind::Sentinel && !query.is_empty() {
            return Err(wrong("Only a Sentinel URL takes ?parameters."));
        }
        match kind {
            Kind::One => match hosts.as_slice() {
                [host] => Ok(Self::One(server(host, 6379, credentials, database(path)?)?)),
                _ => Err(wrong("Several hosts need redis+sentinel:// or redis+cluster://.")),
            },
            Kind::Cluster if !path.is_empty() => Err(wrong("A Redis Cluster has one database; the URL ends after the hosts.")),
            Kind::Cluster => Ok(Self::Cluster(hosts.into_iter().map(|host| server(host, 6379, credentials, "")).collect::<Result<_>>()?)),
            Kind::Sentinel => {
                let (name, db) = path.split_once('/').unwrap_or((path, ""));
                if name.is_empty() {
                    return Err(wrong("A Sentinel URL names the master after the hosts: redis+sentinel://host1,host2/mymaster."));
                }
                let own = sentinel_credentials(query)?;
                let sentinels = hosts.iter().map(|host| server(host, 26379, &own, "")).collect::<Result<_>>()?;
                let master = server("master", 6379, credentials, database(db)?)?;
                Ok(Self::Sentinel { sentinels, master, name: name.to_owned() })
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    One,
    Sentinel,
    Cluster,
}

fn database(text: &str) -> Result<&str> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { Ok(text) } else { Err(wrong("The Redis database is a number, such as /0.")) }
}

/// `user:password`, still percent-encoded.
fn sentinel_credentials(query: &str) -> Result<String> {
    let (mut user, mut password) = ("", "");
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sentinel_username", value)) => user = value,
            Some(("sentinel_password", value)) => password = value,
            _ => return Err(wrong("A Sentinel URL takes only ?sentinel_username= and sentinel_password=.")),
        }
    }
    Ok(if user.is_empty() && password.is_empty() { String::new() } else { format!("{user}:{password}") })
}

const FORMS: &str = "The session store is memory:, redis://[user:password@]host[:port][/db], redis+sentinel://host1,host2/name[/db] or \
                     redis+cluster://host1,host2; rediss instead of redis for TLS.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::test_servers::{Server, free_port};
    use crate::store::{conformance, open_sessions};
    use std::time::Instant;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_server_conforms() {
        let server = Server::redis(&[]);
        conformance::sessions(open_sessions(&server.redis_url()).expect("understood")).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_with_a_password_conforms_and_the_password_is_not_shown() {
        let server = Server::redis(&["--requirepass", "hunter2"]);
        let url = format!("redis://:hunter2@127.0.0.1:{}/1", server.port);
        conformance::sessions(open_sessions(&url).expect("understood")).await;
        let wrong = open_sessions(&url.replace("hunter2", "hunter3")).expect("understood");
        let error = wrong.ping().await.expect_err("refused");
        assert!(!format!("{error:?}").contains("hunter3"), "{error:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cluster_conforms() {
        let server = Server::redis_cluster();
        conformance::sessions(open_sessions(&format!("redis+cluster://127.0.0.1:{}", server.port)).expect("understood")).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_behind_sentinels_conforms() {
        let server = Server::redis(&[]);
        let sentinel = Server::redis_sentinel(&server);
        // One of the Sentinels does not exist.
        let url = format!("redis+sentinel://127.0.0.1:{},127.0.0.1:{}/mymaster/2", free_port(), sentinel.port);
        conformance::sessions(open_sessions(&url).expect("understood")).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn outages_are_short_errors() {
        let one = Server::redis(&[]);
        let url = one.redis_url();
        outage(one, &url).await;
        let cluster = Server::redis_cluster();
        let url = format!("redis+cluster://127.0.0.1:{}", cluster.port);
        hang(&cluster, &*open_sessions(&url).expect("understood")).await;
    }

    async fn outage(mut server: Server, url: &str) {
        let store = open_sessions(url).expect("understood");
        hang(&server, &*store).await;

        server.kill();
        refused(&*store, Duration::from_secs(2)).await;
        for _ in 0..10 {
            refused(&*store, Duration::from_millis(50)).await;
        }
        server.start();
        recovers(&*store).await;

        // Closed while idle: nobody notices.
        server.ask_redis("CLIENT KILL TYPE normal SKIPME yes");
        tokio::time::sleep(Duration::from_millis(50)).await;
        store.get_many(&["k".to_owned()]).await.expect("connected again");
    }

    async fn hang(server: &Server, store: &dyn SessionStore) {
        recovers(store).await;
        server.hold();
        refused(store, Duration::from_secs(2)).await;
        for _ in 0..10 {
            refused(store, Duration::from_millis(50)).await;
        }
        server.go_on();
        recovers(store).await;
    }

    #[tokio::test]
    async fn a_server_that_starts_later_is_found() {
        let mut server = Server::redis(&[]);
        server.kill();
        let store = open_sessions(&server.redis_url()).expect("understood");
        refused(&*store, Duration::from_secs(2)).await;
        server.start();
        recovers(&*store).await;
    }

    #[tokio::test]
    async fn a_master_that_became_a_replica_is_left() {
        let (old, new) = (Server::redis(&[]), Server::redis(&[]));
        let sentinel = Server::redis_sentinel(&old);
        let store = open_sessions(&format!("redis+sentinel://127.0.0.1:{}/mymaster", sentinel.port)).expect("understood");
        recovers(&*store).await;
        old.ask_redis(&format!("REPLICAOF 127.0.0.1 {}", new.port));
        refused(&*store, Duration::from_secs(2)).await;
        sentinel.ask_redis("SENTINEL REMOVE mymaster");
        sentinel.ask_redis(&format!("SENTINEL MONITOR mymaster 127.0.0.1 {} 1", new.port));
        recovers(&*store).await;
        assert!(new.ask_redis("EXISTS k").contains(":1"));
    }

    async fn refused(store: &dyn SessionStore, within: Duration) {
        let begin = Instant::now();
        let error = store.commit(vec![Op::Claim { key: "k".into(), ttl: 60 }]).await.expect_err("out of order");
        assert_eq!(error.kind, ErrorKind::StoreUnavailable);
        assert!(begin.elapsed() < within, "{:?}", begin.elapsed());
    }

    async fn recovers(store: &dyn SessionStore) {
        let deadline = Instant::now() + Duration::from_secs(2);
        while let Err(error) = store.commit(vec![Op::Claim { key: "k".into(), ttl: 60 }]).await {
            assert!(Instant::now() < deadline, "{error:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
