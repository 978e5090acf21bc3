//! Real servers for tests: Redis (alone, as a one-node cluster, behind a Sentinel) and PostgreSQL, each on a free
//! loopback port with its data in a temporary directory, stopped and wiped when dropped, also by a panic.
//!
//! Nothing but `std`, so that the integration tests can include this file by its path.
#![allow(dead_code, reason = "each user needs a part")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// A server process and its data.
pub struct Server {
    pub port: u16,
    child: Option<Child>,
    command: Vec<String>,
    directory: Directory,
    /// Whose process it is, when not ours.
    user: Option<u32>,
}

impl Server {
    /// A Redis; `arguments` as on its command line.
    pub fn redis(arguments: &[&str]) -> Self {
        let program = program("redis-server", &[], "redis-server");
        let port = free_port();
        let directory = Directory::new("redis");
        let mut command = vec![program, "--port".to_owned(), port.to_string(), "--dir".to_owned(), directory.text()];
        command.extend(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned));
        command.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let mut server = Self { port, child: None, command, directory, user: None };
        server.start();
        server
    }

    /// A cluster of one node that serves all slots.
    pub fn redis_cluster() -> Self {
        // Without a free port of its own, the cluster bus would take the port plus 10000, which may not exist.
        let server = Self::redis(&["--cluster-enabled", "yes", "--cluster-port", &free_port().to_string()]);
        server.ask_redis("CLUSTER ADDSLOTSRANGE 0 16383");
        server.wait_for("the cluster's state", || server.ask_redis("CLUSTER INFO").contains("cluster_state:ok"));
        server
    }

    /// A Sentinel that watches `master` under the name `mymaster`.
    pub fn redis_sentinel(master: &Self) -> Self {
        let program = program("redis-server", &[], "redis-server");
        let port = free_port();
        let directory = Directory::new("sentinel");
        let configuration = directory.path.join("sentinel.conf");
        let text = format!("port {port}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {} 1\n", master.port);
        fs::write(&configuration, text).expect("the Sentinel's configuration is written");
        let command = vec![program, configuration.display().to_string(), "--sentinel".to_owned()];
        let mut server = Self { port, child: None, command, directory, user: None };
        server.start();
        server
    }

    /// A PostgreSQL with an empty database `postgres` and a user `postgres` without password.
    pub fn postgres() -> Self {
        let initdb = program("initdb", &["/usr/lib/postgresql"], "postgresql");
        let postgres = program("postgres", &["/usr/lib/postgresql"], "postgresql");
        let directory = Directory::new("postgres");
        // PostgreSQL refuses to run as root; its package has made a user for it.
        let user = (id(&["-u"]) == Some(0)).then(|| {
            let user = id(&["-u", "postgres"]).expect("root needs the user postgres for this test: apt-get install postgresql");
            std::os::unix::fs::chown(&directory.path, Some(user), None).expect("given away");
            user
        });
        let data = directory.path.join("data").display().to_string();
        let init = [&initdb, "-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"].map(str::to_owned);
        let initialised = spawn(&init, &directory.path, user).wait();
        assert!(initialised.is_ok_and(|status| status.success()), "initdb: {}", directory.log());
        // Only now: the making of a database takes seconds, in which somebody else could take the port.
        let port = free_port();
        let mut command =
            [&postgres, "-D", &data, "-p", &port.to_string(), "-k", "", "-c", "listen_addresses=127.0.0.1"].map(str::to_owned).to_vec();
        command.extend(["-c", "fsync=off", "-c", "shared_buffers=32MB"].map(str::to_owned));
        let mut server = Self { port, child: None, command, directory, user };
        server.start();
        let mut psql = Command::new(program("psql", &["/usr/lib/postgresql"], "postgresql-client"));
        psql.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", "-c", "SELECT 1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let deadline = Instant::now() + PATIENCE;
        while !psql.status().is_ok_and(|status| status.success()) {
            assert!(Instant::now() < deadline, "PostgreSQL did not start: {}", server.directory.log());
            sleep(Duration::from_millis(50));
        }
        server
    }

    pub fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn postgres_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it, or starts it again on the same port.
    pub fn start(&mut self) {
        self.child = Some(spawn(&self.command, &self.directory.path, self.user));
        self.wait_for("its port", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    /// Holds it: connections stay open and nothing answers.
    pub fn hold(&self) {
        self.signal("-STOP");
    }

    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    /// Like a power cut.
    pub fn kill(&mut self) {
        self.signal("-KILL");
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    /// One command, written as one line; answers what comes back first.
    pub fn ask_redis(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("Redis listens");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
        stream.write_all(format!("{line}\r\n").as_bytes()).expect("Redis reads");
        let mut answer = vec![0; 1 << 16];
        let length = stream.read(&mut answer).expect("Redis answers");
        String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned()
    }

    fn wait_for(&self, what: &str, ready: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            assert!(Instant::now() < deadline, "{:?}: {what} did not come up: {}", self.command, self.directory.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// To the server and to whatever it started, such as PostgreSQL's backends.
    fn signal(&self, signal: &str) {
        let Some(child) = &self.child else { return };
        let mut ids = vec![child.id()];
        let mut position = 0;
        while let Some(&id) = ids.get(position) {
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
            ids.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            position += 1;
        }
        let _ = Command::new("kill").arg(signal).args(ids.iter().map(u32::to_string)).stderr(Stdio::null()).status();
    }
}

impl Drop for Server {
    /// Asks first: a server that ends by itself leaves no processes behind.
    fn drop(&mut self) {
        self.signal("-CONT");
        let Some(mut child) = self.child.take() else { return };
        let _ = Command::new("kill").arg("-INT").arg(child.id().to_string()).stderr(Stdio::null()).status();
        for _ in 0..250 {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        self.child = Some(child);
        self.kill();
    }
}

fn id(arguments: &[&str]) -> Option<u32> {
    let answer = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8_lossy(&answer.stdout).trim().parse().ok()
}

fn spawn(command: &[String], directory: &Path, user: Option<u32>) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).expect("a log file");
    let errors = log.try_clone().expect("a log file");
    let (program, arguments) = command.split_first().expect("a program");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).stdout(log).stderr(errors);
    if let Some(user) = user {
        command.uid(user);
    }
    command.spawn().unwrap_or_else(|error| panic!("{program} does not start: {error}"))
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// The full path of a program, looked for in PATH and in `versions/*/bin`, newest first.
fn program(name: &str, versions: &[&str], package: &str) -> String {
    let mut places: Vec<PathBuf> = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    for versions in versions {
        let mut found: Vec<PathBuf> =
            fs::read_dir(versions).into_iter().flatten().flatten().map(|version| version.path().join("bin")).collect();
        found.sort();
        places.extend(found.into_iter().rev());
    }
    let path = places.into_iter().map(|place| place.join(name)).find(|path| path.is_file());
    path.unwrap_or_else(|| panic!("this test needs {name}: apt-get install {package}")).display().to_string()
}

/// A directory that goes when dropped.
struct Directory {
    path: PathBuf,
}

impl Directory {
    fn new(name: &str) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("isthmus-test-{name}-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("readable to the server's user");
        Self { path }
    }

    fn text(&self) -> String {
        self.path.display().to_string()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path.join("log")).unwrap_or_default()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
