//! Connections to the servers of a directory: opened with TLS, bounded in number and time, kept for the next login.
//!
//! There are two kinds. One is bound as the account of ours and searches; on the other, people's passwords are tried, so
//! that what is left bound there never searches for anybody else.

use super::answer::{Entry, PASSWORD_POLICY, Verdict, verdict};
use super::settings::{Find, LdapSettings, Search};
use crate::connection::outbound::download::{LookUp, look_up};
use crate::error::{Error, ErrorKind, Result};
use crate::oidc::rp::callback::short;
use ldap3::adapters::PagedResults;
use ldap3::controls::RawControl;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchOptions, StdStream};
use native_tls::{Certificate, Protocol, TlsConnector};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use url::Url;

/// Entries in one page of an answer: no directory gives fewer, and none is asked often.
const PAGE: i32 = 200;

/// A connection that was not used for so long is not used again: whoever stands between may have forgotten it.
const IDLE: Duration = Duration::from_secs(60);

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection broke; one that lay unused may have been closed.
    Lost(String),
    /// No server can be reached.
    Unreachable(String),
    /// A question had no answer in time. It may be the question.
    Slow,
    /// It answers, and not what it should: the settings are wrong, there or here.
    Wrong(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(why) => write!(f, "the connection broke: {why}"),
            Self::Unreachable(why) => write!(f, "no server answers: {why}"),
            Self::Slow => f.write_str("no answer in time"),
            Self::Wrong(why) => f.write_str(why),
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Searching,
    Proving,
}

/// All connections to one directory.
pub(super) struct Pool {
    settings: Arc<LdapSettings>,
    tls: TlsConnector,
    turns: Semaphore,
    idle: Mutex<Vec<(Role, Instant, Ldap)>>,
    look_up: LookUp,
}

impl Pool {
    /// # Errors
    /// When the certificates of the authorities cannot be used.
    pub fn new(settings: Arc<LdapSettings>) -> Result<Self> {
        let tls = connector(settings.authorities.as_deref())
            .map_err(|error| Error::new(ErrorKind::Misconfigured, "the certificates in `ca_file` cannot be used").because(error))?;
        Ok(Self { turns: Semaphore::new(settings.connections), tls, settings, idle: Mutex::default(), look_up })
    }

    /// A turn of one login; there are as many as connections may be used.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, Fault> {
        let patience = self.settings.connect_timeout + self.settings.timeout;
        let turn = timeout(patience, self.turns.acquire()).await;
        turn.map_err(|_| Fault::Unreachable("all connections are in use".to_owned()))?
            .map_err(|error| Fault::Unreachable(error.to_string()))
    }

    /// A connection of this kind; `fresh`: none that lay unused.
    pub async fn take(&self, role: Role, fresh: bool) -> Result<Line<'_>, Fault> {
        if let Some(ldap) = (!fresh).then(|| self.kept(role)).flatten() {
            return Ok(Line { pool: self, role, ldap, spoiled: false });
        }
        let mut last = Fault::Unreachable("there are no servers".to_owned());
        for server in &self.settings.servers {
            match self.open(server).await {
                Ok(ldap) => {
                    let mut line = Line { pool: self, role, ldap, spoiled: false };
                    if role == Role::Searching {
                        line.bind_account().await?;
                    }
                    return Ok(line);
                }
                Err(fault) => {
                    tracing::warn!(server = server.as_str(), reason = %fault, "a directory does not answer");
                    last = fault;
                }
            }
        }
        Err(last)
    }

    fn kept(&self, role: Role) -> Option<Ldap> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain_mut(|(_, since, ldap)| since.elapsed() < IDLE && !ldap.is_closed());
        let at = idle.iter().rposition(|(kept, _, _)| *kept == role)?;
        Some(idle.swap_remove(at).2)
    }

    async fn open(&self, server: &Url) -> Result<Ldap, Fault> {
        let (host, port) =
            (server.host_str().unwrap_or_default(), server.port().unwrap_or(if server.scheme() == "ldaps" { 636 } else { 389 }));
        let settings =
            LdapConnSettings::new().set_connector(self.tls.clone()).set_starttls(self.settings.start_tls && server.scheme() == "ldap");
        // The name is looked up once, here. TLS is for the name, not for its address.
        let opened = async {
            let unreachable = |error: std::io::Error| Fault::Unreachable(error.to_string());
            let stream = self.settings.reach.connect_by(self.look_up, host.trim_matches(['[', ']']), port).await;
            let stream = stream.and_then(TcpStream::into_std).map_err(unreachable)?;
            let settings = settings.set_std_stream(StdStream::Tcp(stream));
            let opened = LdapConnAsync::with_settings(settings, server.as_str()).await;
            opened.map_err(|error| Fault::Unreachable(error.to_string()))
        };
        let patience = self.settings.connect_timeout;
        let late = |_| Fault::Unreachable("no connection in time".to_owned());
        let (connection, ldap) = timeout(patience, opened).await.map_err(late)??;
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a connection to a directory has ended");
            }
        });
        Ok(ldap)
    }
}

/// One connection. It is closed when dropped, unless it is given back: after a fault nobody knows what is on its way.
pub(super) struct Line<'a> {
    pool: &'a Pool,
    role: Role,
    ldap: Ldap,
    /// Something may still be on its way.
    spoiled: bool,
}

impl Line<'_> {
    /// Nothing is on its way any more: the next login may have it.
    pub fn give_back(self) {
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.spoiled && idle.len() < 2 * self.pool.settings.connections {
            idle.push((self.role, Instant::now(), self.ldap));
        }
    }

    async fn bind_account(&mut self) -> Result<(), Fault> {
        let settings = Arc::clone(&self.pool.settings);
        let Find::Search { account: Some((dn, password)), .. } = &settings.find else { return Ok(()) };
        let result = self.asked(self.ldap.clone().simple_bind(dn, password.expose())).await;
        // Nothing in this question is of anybody who signs in.
        let result = result.map_err(|fault| match fault {
            Fault::Slow => Fault::Unreachable(fault.to_string()),
            fault => fault,
        })?;
        match result.rc {
            0 => Ok(()),
            code => {
                Err(Fault::Wrong(format!("the directory does not let our own account in (result code {code}): {}", short(&result.text))))
            }
        }
    }

    /// Tries a password, which is not empty, with a DN, which is neither.
    pub async fn prove(&mut self, dn: &str, password: &str) -> Result<Verdict, Fault> {
        if dn.is_empty() || password.is_empty() {
            return Err(Fault::Wrong("nobody is bound as nobody".to_owned()));
        }
        let policy = RawControl { ctype: PASSWORD_POLICY.to_owned(), crit: false, val: None };
        let mut ldap = self.ldap.clone();
        ldap.with_controls(policy);
        self.asked(ldap.simple_bind(dn, password)).await.map(|result| verdict(&result))
    }

    /// Up to `most` entries below the base of a search.
    pub async fn search(&mut self, search: &Search, filter: &str, attributes: &[String], most: i32) -> Result<Vec<Entry>, Fault> {
        let scope = if search.subtree { Scope::Subtree } else { Scope::OneLevel };
        self.entries(&search.base, scope, filter, attributes, most).await
    }

    /// One entry by its DN.
    pub async fn entry(&mut self, dn: &str, attributes: &[String]) -> Result<Option<Entry>, Fault> {
        Ok(self.entries(dn, Scope::Base, "(objectClass=*)", attributes, 1).await?.into_iter().next())
    }

    async fn entries(&mut self, base: &str, scope: Scope, filter: &str, attributes: &[String], most: i32) -> Result<Vec<Entry>, Fault> {
        let mut ldap = self.ldap.clone();
        ldap.with_search_options(SearchOptions::new().sizelimit(most));
        let found = self.asked(ldap.search(base, scope, filter, attributes)).await?;
        match found.1.rc {
            // sizeLimitExceeded: there are more than were asked for; noSuchObject: there is no such place.
            0 | 4 => Ok(found.0.into_iter().filter_map(Entry::read).collect()),
            32 if scope == Scope::Base => Ok(Vec::new()),
            code => Err(Fault::Wrong(format!("the search below {base} is refused (result code {code}): {}", short(&found.1.text)))),
        }
    }

    /// DNs of what is found, page by page (RFC 2696), up to `most`; whether that is all.
    pub async fn names(&mut self, search: &Search, filter: &str, most: usize) -> Result<(Vec<String>, bool), Fault> {
        let scope = if search.subtree { Scope::Subtree } else { Scope::OneLevel };
        let mut ldap = self.ldap.clone();
        let paged = PagedResults::new(PAGE);
        // 1.1: no attributes (RFC 4511 4.5.1.8).
        let mut stream = self.asked(ldap.streaming_search_with(paged, &search.base, scope, filter, vec!["1.1".to_owned()])).await?;
        let mut names = Vec::new();
        while let Some(entry) = self.asked(stream.next()).await? {
            if names.len() >= most {
                self.spoiled = true;
                return Ok((names, false));
            }
            names.extend(Entry::read(entry).map(|entry| entry.dn));
        }
        match stream.finish().await.rc {
            0 => Ok((names, true)),
            4 => Ok((names, false)),
            code => Err(Fault::Wrong(format!("the search for groups is refused (result code {code})"))),
        }
    }

    async fn asked<T>(&self, question: impl Future<Output = ldap3::result::Result<T>>) -> Result<T, Fault> {
        match timeout(self.pool.settings.timeout, question).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error @ (LdapError::FilterParsing | LdapError::AdapterInit(_)))) => Err(Fault::Wrong(error.to_string())),
            Ok(Err(error)) => Err(Fault::Lost(error.to_string())),
            Err(_) => Err(Fault::Slow),
        }
    }
}

/// TLS 1.2 at least, with certificates that are checked, names included.
fn connector(authorities: Option<&str>) -> Result<TlsConnector, native_tls::Error> {
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(Protocol::Tlsv12));
    if let Some(pem) = authorities {
        builder.disable_built_in_roots(true);
        for certificate in Certificate::stack_from_pem(pem.as_bytes())? {
            builder.add_root_certificate(certificate);
        }
    }
    builder.build()
}

/// Can these certificates be used?
pub fn check_authorities(pem: &str) -> bool {
    Certificate::stack_from_pem(pem.as_bytes()).is_ok_and(|found| !found.is_empty()) && connector(Some(pem)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Groups, Lookup, Nested};
    use super::*;
    use crate::connection::outbound::download::Reach;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::TcpListener;

    static LOOKED_UP: AtomicUsize = AtomicUsize::new(0);

    fn settings(server: &str) -> LdapSettings {
        LdapSettings {
            servers: vec![server.parse().expect("a URL")],
            start_tls: false,
            reach: Reach::Everything,
            authorities: None,
            find: Find::Direct { name: "{username}".to_owned(), search: None },
            subject_attribute: "uid".to_owned(),
            attributes: Vec::new(),
            binary_attributes: Vec::new(),
            groups: Groups { lookup: Lookup::MemberOf, nested: Nested::No },
            tell_locked: false,
            acr: BTreeMap::new(),
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(2),
            connections: 1,
        }
    }

    #[tokio::test]
    async fn a_directory_is_looked_up_once_and_reached_where_the_guard_looked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = format!("ldap://directory.invalid:{}", listener.local_addr().expect("an address").port());
        let mut pool = Pool::new(Arc::new(settings(&server))).expect("a pool");
        // A name that nobody else knows, and that is another one's from the second time on.
        pool.look_up = |_| {
            Box::pin(async {
                let first = LOOKED_UP.fetch_add(1, Ordering::SeqCst) == 0;
                Ok(vec![(if first { [127, 0, 0, 1] } else { [127, 0, 0, 2] }, 0).into()])
            })
        };
        let (line, asked) = tokio::join!(pool.take(Role::Proving, false), listener.accept());
        assert!(line.is_ok(), "{:?}", line.err());
        assert!(asked.is_ok() && LOOKED_UP.load(Ordering::SeqCst) == 1);
        let mut inside = settings(&server);
        inside.reach = Reach::Network;
        let mut pool = Pool::new(Arc::new(inside)).expect("a pool");
        pool.look_up = |_| Box::pin(async { Ok(vec![([127, 0, 0, 1], 0).into()]) });
        let why = pool.take(Role::Proving, false).await.err().expect("refused").to_string();
        assert!(why.contains("not on the public Internet"), "{why}");
        // Somebody who takes connections and says nothing keeps nobody waiting for TLS.
        let mut slow = settings(&server.replace("ldap:", "ldaps:"));
        slow.connect_timeout = Duration::from_millis(200);
        let mut pool = Pool::new(Arc::new(slow)).expect("a pool");
        pool.look_up = |_| Box::pin(async { Ok(vec![([127, 0, 0, 1], 0).into()]) });
        let why = pool.take(Role::Proving, false).await.err().expect("no TLS").to_string();
        assert!(why.contains("in time"), "{why}");
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod pool_tests;
