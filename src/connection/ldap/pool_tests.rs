//! Against somebody who takes connections and gives every question the same answer, or none.

use super::super::settings::{Groups, Lookup, Nested};
use super::*;
use crate::connection::outbound::download::Reach;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Clone, Default)]
struct Stub {
    connections: Arc<AtomicUsize>,
    /// Octets.
    heard: Arc<AtomicUsize>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
    port: u16,
}

impl Stub {
    /// `code`: the result of each question.
    async fn start(code: Option<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stub = Self { port: listener.local_addr().expect("an address").port(), ..Self::default() };
        let counted = stub.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::SeqCst);
                let task = tokio::spawn(serve(stream, code, Arc::clone(&counted.heard)));
                counted.tasks.lock().expect("a list").push(task);
            }
        });
        stub
    }

    fn pool(&self, change: impl FnOnce(&mut LdapSettings)) -> Pool {
        let mut settings = LdapSettings {
            servers: vec![format!("ldap://127.0.0.1:{}", self.port).parse().expect("a URL")],
            start_tls: false,
            reach: Reach::Everything,
            authorities: None,
            find: Find::Direct { name: "uid={username}".to_owned(), search: None },
            subject_attribute: "uid".to_owned(),
            attributes: Vec::new(),
            binary_attributes: Vec::new(),
            groups: Groups { lookup: Lookup::MemberOf, nested: Nested::No },
            tell_locked: false,
            acr: BTreeMap::new(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            connections: 1,
        };
        change(&mut settings);
        Pool::new(Arc::new(settings)).expect("a pool")
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Ends all connections.
    fn hang_up(&self) {
        self.tasks.lock().expect("a list").drain(..).for_each(|task| task.abort());
    }
}

/// A LDAPMessage is answered with its ID and a result without words (RFC 4511 4.1.9).
async fn serve(mut stream: TcpStream, code: Option<u8>, heard: Arc<AtomicUsize>) {
    let mut asked = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut asked).await {
        heard.fetch_add(count, Ordering::SeqCst);
        let header = if asked[1] < 0x80 { 2 } else { 2 + usize::from(asked[1] & 0x7f) };
        let (id, operation) = (asked[header + 2], asked[header + 3]);
        // BindRequest and SearchRequest; their answers have the next number, and the one after the next.
        let answer = if operation == 0x60 { 0x61 } else { 0x65 };
        if let Some(code) = code {
            let _ = stream.write_all(&[0x30, 12, 2, 1, id, answer, 7, 10, 1, code, 4, 0, 4, 0]).await;
        }
    }
}

fn fault<T>(result: Result<T, Fault>) -> String {
    result.err().map(|fault| fault.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn nobody_is_bound_as_nobody() {
    let stub = Stub::start(Some(0)).await;
    let pool = stub.pool(|_| ());
    let mut line = pool.take(Role::Proving, false).await.expect("a connection");
    // RFC 4513 5.1.2: a bind without a password is a good one, and proves nothing.
    for (dn, password) in [("", "correct horse"), ("uid=jane,dc=x", ""), ("", "")] {
        assert_eq!(fault(line.prove(dn, password).await), "nobody is bound as nobody");
    }
    assert_eq!(stub.heard.load(Ordering::SeqCst), 0, "the directory was asked");
    assert_eq!(line.prove("uid=jane,dc=x", "correct horse").await.expect("an answer"), Verdict::Accepted);
}

#[tokio::test]
async fn what_is_refused_has_no_answer() {
    let search = Search { base: "dc=x".to_owned(), filter: "(uid=x)".to_owned(), subtree: true };
    let stub = Stub::start(Some(50)).await;
    let account = Some(("cn=gateway".to_owned(), Secret::new("secret".to_owned())));
    let searching = stub.pool(|settings| settings.find = Find::Search { account, search: search.clone() });
    assert!(fault(searching.take(Role::Searching, false).await.map(drop)).contains("does not let our own account in (result code 50)"));
    assert!(searching.take(Role::Proving, false).await.is_ok(), "people are bound as themselves");
    let pool = stub.pool(|_| ());
    let mut line = pool.take(Role::Searching, false).await.expect("a connection");
    assert!(fault(line.search(&search, "(uid=x)", &[], 2).await).contains("is refused (result code 50)"));
    assert!(fault(line.entry("uid=jane,dc=x", &[]).await).contains("is refused (result code 50)"));
    assert!(fault(line.names(&search, "(member=x)", 10).await).contains("is refused (result code 50)"));
    // noSuchObject: there may be no such entry, but people must be somewhere.
    let stub = Stub::start(Some(32)).await;
    let pool = stub.pool(|_| ());
    let mut line = pool.take(Role::Searching, false).await.expect("a connection");
    assert!(line.entry("uid=jane,dc=x", &[]).await.expect("an answer").is_none());
    assert!(fault(line.search(&search, "(uid=x)", &[], 2).await).contains("is refused (result code 32)"));
}

#[tokio::test]
async fn a_connection_is_used_again_for_the_same_while_it_is_good() {
    let stub = Stub::start(Some(0)).await;
    let pool = stub.pool(|_| ());
    let count = || pool.idle.lock().expect("a list").len();
    let take = async |role| {
        let mut line = pool.take(role, false).await.expect("a connection");
        // Whoever has answered has counted.
        assert_eq!(line.prove("uid=jane,dc=x", "correct horse").await.expect("an answer"), Verdict::Accepted);
        line
    };
    take(Role::Proving).await.give_back();
    take(Role::Proving).await.give_back();
    assert_eq!((stub.connections(), count()), (1, 1));
    // Who is bound on the one never searches.
    take(Role::Searching).await.give_back();
    assert_eq!((stub.connections(), count()), (2, 2));
    let mut third = pool.take(Role::Proving, true).await.expect("a new one");
    assert!(third.prove("uid=jane,dc=x", "correct horse").await.is_ok());
    third.give_back();
    assert_eq!((stub.connections(), count()), (3, 2), "no more are kept than can be used");
    // Something may still be on its way.
    let mut line = take(Role::Searching).await;
    line.spoiled = true;
    line.give_back();
    assert_eq!(count(), 1);
    // One that lay for long, and one that is closed.
    pool.idle.lock().expect("a list")[0].1 = Instant::now().checked_sub(IDLE).expect("a time");
    take(Role::Proving).await.give_back();
    assert_eq!((stub.connections(), count()), (4, 1));
    stub.hang_up();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if pool.idle.lock().expect("a list").iter_mut().all(|(_, _, ldap)| ldap.is_closed()) {
            break;
        }
    }
    take(Role::Proving).await.give_back();
    assert_eq!((stub.connections(), count()), (5, 1));
}

#[tokio::test]
async fn nobody_waits_without_end() {
    let stub = Stub::start(None).await;
    let pool = stub.pool(|settings| settings.timeout = Duration::from_millis(100));
    let mut line = pool.take(Role::Proving, false).await.expect("a connection");
    let asked = timeout(Duration::from_secs(3), line.prove("uid=jane,dc=x", "correct horse")).await;
    assert!(fault(asked.expect("given up in time")).contains("no answer in time"));
    let pool = stub.pool(|settings| (settings.connect_timeout, settings.timeout) = (Duration::from_millis(50), Duration::from_millis(50)));
    let _first = pool.turn().await.expect("a turn");
    let second = timeout(Duration::from_secs(5), pool.turn()).await.expect("given up in time");
    assert!(fault(second.map(drop)).contains("all connections are in use"));
}

#[test]
fn a_file_without_certificates_vouches_for_nobody() {
    assert!(!check_authorities("") && !check_authorities("issuer = \"https://login.example.org\""));
    assert!(!check_authorities("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
}
