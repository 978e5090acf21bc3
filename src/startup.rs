//! All wiring on one page: from a valid configuration to running listeners, and to a graceful stop.

use crate::application::Application;
use crate::broker::admin::Admin;
use crate::broker::client_keys::Documents;
use crate::broker::events::{Writer, forget_old_events, log_of};
use crate::broker::jobs::Jobs;
use crate::broker::limits::Failures;
use crate::broker::live::{Live, Made, Maker};
use crate::broker::living::LivingApplication;
use crate::broker::mail::{MailSettings, Mailer};
use crate::broker::password::Tries;
use crate::broker::possession::PossessionSettings;
use crate::broker::registration::{self, Policy, Registration};
use crate::broker::{Gateway, Lifetimes, logout, metadata};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::connection::config::ConnectionConfig;
use crate::connection::metadata::{Feeds, Living, Owner};
use crate::connection::outbound::GuardedFetch;
use crate::connection::outbound::download::Reach;
use crate::connection::{self, Registry};
use crate::error::{Error, ErrorKind, Result};
use crate::http::metrics::Metrics;
use crate::http::state::{HttpSettings, State};
use crate::http::{headers, limit, routes};
use crate::keys::{END_IS_NEAR, Keyring, SamlKeys};
use crate::oidc::{ClientCertificate, OidcKeys};
use crate::profile::dialect::GigyaSigner;
use crate::rules::Host;
use crate::store::{self, Directory, SessionStore};
use crate::user::sealing::SealedPath;
use actix_tls::accept::openssl::TlsStream;
use actix_web::dev::{Extensions, Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::rt::{self, task::JoinHandle};
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use openssl::ssl::{SslAcceptor, SslAcceptorBuilder, SslFiletype, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion};
use openssl::x509::X509Name;
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Seconds that requests under way may take at a stop.
const DRAIN: u64 = 10;

/// How often old log events are looked for.
const FORGET: Duration = Duration::from_secs(3600);

/// How long a node may not know what another has stored.
const FOLLOW: Duration = Duration::from_secs(1);

/// The parts from which a gateway is made.
pub struct Parts {
    pub issuer: String,
    pub connections: Vec<ConnectionConfig>,
    pub applications: Vec<Application>,
    /// Where the metadata of some of them come from, by client id.
    pub application_metadata: BTreeMap<String, Living>,
    pub lifetimes: Lifetimes,
    pub gigya: Option<GigyaSigner>,
    pub possession: PossessionSettings,
    pub registration: Policy,
    /// What sends messages to people.
    pub mail: Option<MailSettings>,
    pub http: HttpSettings,
    pub keyring: Keyring,
    pub sessions: Arc<dyn SessionStore>,
    pub directory: Arc<dyn Directory>,
    pub sealed: Vec<SealedPath>,
    /// What else the file makes.
    pub more: Vec<Made>,
    /// Reads what the management API stores.
    pub maker: Arc<dyn Maker>,
    /// Threads that run rules and actions.
    pub script_threads: usize,
    /// Where clients may have their documents.
    pub reach: Reach,
}

/// Certificate and private key of the public listener, PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Clients are asked for certificates, and need not have one.
    pub ask: Option<AskForCertificates>,
}

/// How clients are asked for certificates.
#[derive(Clone, Debug)]
pub struct AskForCertificates {
    /// Whose certificates are named in the question, so that people's browsers keep theirs to themselves; PEM.
    pub authorities: Option<PathBuf>,
}

/// Makes the gateway and what the HTTP side shares.
pub fn state(parts: Parts) -> Result<(Data<State>, Background)> {
    let metrics = Arc::new(Metrics::new().map_err(|error| Error::new(ErrorKind::Internal, "metrics cannot be made").because(error))?);
    let keyring = Arc::new(parts.keyring);
    let keys = OidcKeys::new(&keyring)?;
    parts.applications.iter().filter_map(|application| application.oidc.as_ref()).try_for_each(|client| keys.check(client))?;
    let (log, writer) = log_of(Arc::clone(&parts.directory));
    let admin = Admin::new(Arc::clone(&parts.directory), Arc::clone(&keyring), &parts.connections, parts.sealed);
    let feeds = Arc::new(Feeds::default());
    let mut file: Vec<Made> = Vec::new();
    for config in parts.connections {
        let open = |name: &str, living: &Living| feeds.open(Owner::connection(name), living);
        let connection = connection::connection(config, &parts.issuer, Arc::clone(&keyring), &parts.directory, open)?;
        file.push(Made::Connection(connection));
    }
    for application in parts.applications {
        file.push(match parts.application_metadata.get(&application.client_id) {
            Some(living) => Made::LivingApplication(Arc::new(LivingApplication::new(application, living, &feeds)?)),
            None => Made::Application(Arc::new(application)),
        });
    }
    file.extend(parts.more);
    let host = Arc::new(Host::new(parts.script_threads, Arc::new(GuardedFetch)).of_issuer(parts.issuer.as_str()));
    let gateway = Gateway {
        issuer: parts.issuer,
        applications: Arc::default(),
        service_providers: HashMap::new(),
        resource_servers: HashMap::new(),
        client_grants: HashMap::new(),
        connections: Registry::default(),
        feeds: Arc::clone(&feeds),
        living: Arc::default(),
        approvals: Arc::default(),
        scripts: Arc::default(),
        host,
        sessions: parts.sessions,
        directory: parts.directory,
        keys: Arc::new(keys),
        keyring,
        documents: Arc::new(Documents::new(parts.reach)?),
        lifetimes: parts.lifetimes,
        gigya: parts.gigya,
        possession: parts.possession,
        failures: Arc::new(Failures::new(parts.http.limits.failures, parts.http.limits.exempt.clone())),
        tries: Arc::new(Tries::new(parts.http.limits.passwords, parts.http.limits.exempt.clone())),
        mailer: Arc::new(Mailer::new(parts.mail.as_ref(), parts.http.limits.exempt.clone())?),
        registration: Arc::new(Registration::new(parts.registration)),
        admin,
        events: Arc::clone(&metrics) as _,
        log,
    };
    let (directory, keyring) = (Arc::clone(&gateway.directory), Arc::clone(&gateway.keyring));
    let sealed = gateway.admin.sealed_paths().to_vec();
    let live = Arc::new(Live::new(gateway, file, parts.maker));
    let jobs = Arc::new(Jobs::new(directory, keyring, Arc::clone(&live) as _, sealed, Arc::new(Timestamp::now)));
    let state = Data::new(State::new(live, jobs, parts.http, metrics));
    Ok((state.clone(), Background { state, writer }))
}

/// What runs beside the listeners: the log of what happened, jobs, and following what other nodes store.
pub struct Background {
    state: Data<State>,
    writer: Writer,
}

/// What runs, and how it ends.
pub struct Running {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Background {
    pub fn start(self) -> Running {
        let (stop, stopped) = watch::channel(false);
        let Self { state, writer } = self;
        let tasks = vec![
            rt::spawn(writer.run(stopped.clone())),
            rt::spawn(Arc::clone(&state.jobs).run(stopped.clone())),
            rt::spawn(until(stopped.clone(), follow(state.clone()))),
            rt::spawn(until(stopped.clone(), metadata::watch(Arc::clone(&state.live), Timestamp::now))),
            rt::spawn(logout::deliver_queued(Arc::clone(&state.live), Timestamp::now, stopped.clone())),
            rt::spawn(until(stopped, forget(state))),
        ];
        Running { stop, tasks }
    }
}

impl Running {
    /// Lets everything come to its end: events are written, jobs are given back.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

async fn until(mut stopped: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// Deletes log events that are old enough, every hour.
async fn forget(state: Data<State>) {
    for hour in 0_u64.. {
        if hour.is_multiple_of(24) {
            warn_of_ends(&state.gateway().keyring.saml(), Timestamp::now());
        }
        let days = state.settings.api.log_days;
        if let Err(error) = forget_old_events(state.gateway().directory.as_ref(), days, Timestamp::now()).await {
            tracing::warn!(%error, "old log events cannot be deleted");
        }
        if let Err(error) = registration::forget_unused(&state.live, Timestamp::now()).await {
            tracing::warn!(%error, "clients that were never used cannot be deleted");
        }
        rt::time::sleep(FORGET).await;
    }
}

/// SAML partners may look at dates: an operator must not learn from them that a certificate has ended.
fn warn_of_ends(keys: &SamlKeys, now: Timestamp) {
    for (purpose, key) in keys.in_use() {
        if let Some(end) = key.validity().1.filter(|end| *end < now.plus_seconds(END_IS_NEAR)) {
            tracing::warn!(purpose = purpose.name(), %end, "a certificate of ours ends; rotate the key");
        }
    }
}

/// The public listener on a socket.
pub fn public_server(state: &Data<State>, listener: TcpListener, tls: Option<&TlsFiles>) -> Result<Server> {
    let shared = state.clone();
    let app = move || App::new().app_data(shared.clone()).wrap(from_fn(limit::wrap)).wrap(from_fn(headers::wrap)).configure(routes::public);
    let server = HttpServer::new(app)
        .on_connect(keep_certificate)
        .disable_signals()
        .shutdown_timeout(DRAIN)
        .client_request_timeout(Duration::from_secs(15));
    let bound = match tls {
        Some(files) => server.listen_openssl(listener, acceptor(files)?),
        None => server.listen(listener),
    };
    bound.map(HttpServer::run).map_err(|error| Error::new(ErrorKind::Misconfigured, "the public listener cannot start").because(error))
}

/// The operations listener on a socket; one worker is enough for machines.
pub fn operations_server(state: &Data<State>, listener: TcpListener) -> Result<Server> {
    let shared = state.clone();
    HttpServer::new(move || App::new().app_data(shared.clone()).wrap(from_fn(headers::wrap)).configure(routes::operations))
        .workers(1)
        .disable_signals()
        .shutdown_timeout(DRAIN)
        .listen(listener)
        .map(HttpServer::run)
        .map_err(|error| Error::new(ErrorKind::Misconfigured, "the operations listener cannot start").because(error))
}

/// Binds an address, with an error that names it.
pub fn bind(address: std::net::SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .map_err(|error| Error::new(ErrorKind::Misconfigured, format!("{address} cannot be listened on: {error}")))?;
    Ok(listener)
}

/// Can the public listener be started with these?
pub fn check_tls(files: &TlsFiles) -> Result<()> {
    acceptor(files).map(drop)
}

fn acceptor(files: &TlsFiles) -> Result<SslAcceptorBuilder> {
    let refuse = |path: &Path, what: &str| {
        let text = format!("{}: {what}", path.display());
        move |error: openssl::error::ErrorStack| Error::new(ErrorKind::Misconfigured, text).because(error)
    };
    // Mozilla's intermediate profile: TLS 1.2 and 1.3 with forward secrecy only.
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).map_err(refuse(&files.certificate, "TLS cannot be set up"))?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(refuse(&files.certificate, "TLS cannot be set up"))?;
    builder.set_certificate_chain_file(&files.certificate).map_err(refuse(&files.certificate, "not a readable PEM certificate chain"))?;
    builder.set_private_key_file(&files.key, SslFiletype::PEM).map_err(refuse(&files.key, "not a readable PEM private key"))?;
    builder.check_private_key().map_err(refuse(&files.key, "does not belong to the certificate"))?;
    if let Some(ask) = &files.ask {
        ask_for_certificates(&mut builder, ask)?;
    }
    Ok(builder)
}

/// Whoever has a certificate shows it, and proves that the key is theirs. Whether it is good for anything is for the
/// endpoint to judge: a self-signed one may be.
fn ask_for_certificates(builder: &mut SslAcceptorBuilder, ask: &AskForCertificates) -> Result<()> {
    builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    // A resumed session would not bring the rest of the chain along.
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_options(SslOptions::NO_TICKET);
    if let Some(path) = &ask.authorities {
        let refuse = |error| Error::new(ErrorKind::Misconfigured, format!("{}: not a readable PEM list", path.display())).because(error);
        builder.set_client_ca_list(X509Name::load_client_ca_file(path).map_err(refuse)?);
    }
    Ok(())
}

/// The certificate of a connection, for all of its requests.
fn keep_certificate(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() else { return };
    let Some(leaf) = stream.ssl().peer_certificate() else { return };
    let chain = stream.ssl().peer_cert_chain().into_iter().flatten().map(ToOwned::to_owned).collect();
    if let Ok(certificate) = ClientCertificate::new(leaf, chain) {
        extensions.insert(Arc::new(certificate));
    }
}

/// `isthmus serve`: everything from the configuration, until SIGTERM or SIGINT.
pub async fn serve(mut config: Config) -> Result<()> {
    let directory = store::open_directory(config.directory_url.expose()).await?;
    let sessions = store::open_sessions(config.sessions_url.expose())?;
    let keyring = Keyring::open_or_create(&config.keys_path)?;
    let (listen, operations_listen, tls) = (config.listen, config.operations_listen, config.tls.clone());
    let seed = std::mem::take(&mut config.seed).0;
    let (state, background) = state(config.into_parts(keyring, Arc::clone(&sessions), Arc::clone(&directory)))?;
    let listeners = (bind(listen)?, bind(operations_listen)?);
    if let Some(files) = &tls {
        check_tls(files)?;
    }
    if !seed.is_empty() {
        let made = state.gateway().admin.seed(&seed, Timestamp::now()).await?;
        tracing::info!(users = seed.len(), made, "seed applied");
    }
    state.live.refresh(Timestamp::now()).await?;
    metadata::restore(&state.gateway(), Timestamp::now()).await;
    state.live.renew(Timestamp::now()).await;
    // Taken back last: a start that fails must not forget them.
    sessions.import(directory.take_sessions().await?, Timestamp::now());
    let public = public_server(&state, listeners.0, tls.as_ref())?;
    let operations = operations_server(&state, listeners.1)?;
    tracing::info!(issuer = state.gateway().issuer, %listen, %operations_listen, version = env!("CARGO_PKG_VERSION"), "serving");
    let handles = [public.handle(), operations.handle()];
    let (public, operations) = (rt::spawn(public), rt::spawn(operations));
    let background = background.start();
    wait_for_signal().await;
    tracing::info!("stopping: requests under way are finished");
    state.drain();
    stop(handles).await;
    let _ = tokio::join!(public, operations);
    background.stop().await;
    let saved = sessions.export();
    if !saved.is_empty() {
        directory.save_sessions(&saved).await?;
        tracing::info!(entries = saved.len(), "sessions written down");
    }
    directory.close().await
}

/// Reads what other nodes have stored, every second, for as long as it is let.
async fn follow(state: Data<State>) {
    let mut failing = false;
    loop {
        rt::time::sleep(FOLLOW).await;
        match state.live.refresh(Timestamp::now()).await {
            Ok(_) if failing => tracing::info!("stored configuration can be read again"),
            Ok(_) => {}
            Err(error) if !failing => {
                let source = error.source.as_ref().map(tracing::field::display);
                tracing::warn!(%error, source, "stored configuration cannot be read: changes of other nodes are not seen");
                failing = true;
                continue;
            }
            Err(_) => continue,
        }
        failing = false;
    }
}

async fn stop(handles: [ServerHandle; 2]) {
    let [public, operations] = handles;
    // The operations listener stays until the public one has finished, so that probes see why.
    public.stop(true).await;
    operations.stop(true).await;
}

/// Until SIGTERM or SIGINT.
pub async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        // Without signals the process can only be killed.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
