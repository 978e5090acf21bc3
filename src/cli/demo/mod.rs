//! `isthmus demo`: gateway, practice identity provider and practice applications in one process, on loopback, with
//! embedded stores. Nothing is left behind: keys and directory live in a temporary directory.

mod once;

use super::{block_on, complain, print};
use crate::application::release::ReleasePolicy;
use crate::application::saml_sp::{SamlSp, SamlSpSettings};
use crate::application::{Application, ProfileUse, SamlApplication};
use crate::broker::Lifetimes;
use crate::broker::live::NoMaker;
use crate::broker::possession::PossessionSettings;
use crate::broker::registration::Policy;
use crate::clock::Timestamp;
use crate::connection::config::{ConnectionConfig, ConnectionKind, ProfileSettings, SamlConnection};
use crate::connection::outbound::download::Reach;
use crate::error::{Error, ErrorKind, Result};
use crate::http::limit::LimitSettings;
use crate::http::practice::app::{self, App};
use crate::http::practice::idp::{self, Idp};
use crate::http::practice::saml_app::{self, SamlApp};
use crate::http::state::{ApiSettings, HttpSettings};
use crate::id;
use crate::keys::Keyring;
use crate::oidc::{ClientFacts, GrantType, TokenEndpointAuthMethod};
use crate::profile::{Direction, MappingLibrary};
use crate::saml::{MetadataOptions, metadata::read_idp};
use crate::startup::{self, Parts};
use crate::user::linking::Linking;
use crate::{store, telemetry};
use actix_web::dev::Server;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpServer, rt};
use clap::Args;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tracing::level_filters::LevelFilter;

/// Name of the demo's connection.
const CONNECTION: &str = "practice";

#[derive(Args)]
pub struct Options {
    /// Walk through one login at each application without a browser, print what they were told and the traces as JSON, and end.
    #[arg(long)]
    once: bool,
    /// Which practice person signs in with --once.
    #[arg(long, default_value = "ada", value_parser = ["ada", "zoe", "max", "nomail"])]
    person: String,
    /// First of four consecutive ports on loopback; with --once any free ones are taken.
    #[arg(long, default_value_t = 8400)]
    port: u16,
}

pub fn run(options: &Options) -> ExitCode {
    telemetry::start(LevelFilter::WARN, telemetry::LogFormat::Human);
    let done = TemporaryDirectory::new().and_then(|directory| block_on(demo(options, &directory.0)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(1)
        }
    }
}

/// The listeners of the four parts.
struct Listeners {
    gateway: TcpListener,
    operations: TcpListener,
    idp: TcpListener,
    app: TcpListener,
}

impl Listeners {
    fn bind(options: &Options) -> Result<Self> {
        let bind = |offset: u16| {
            let port = if options.once { 0 } else { options.port.saturating_add(offset) };
            startup::bind(SocketAddr::from(([127, 0, 0, 1], port)))
        };
        Ok(Self { gateway: bind(0)?, operations: bind(1)?, idp: bind(2)?, app: bind(3)? })
    }
}

async fn demo(options: &Options, directory: &Path) -> Result<()> {
    let listeners = Listeners::bind(options)?;
    // The gateway is another site than the others, as it is in life: localhost here, 127.0.0.1 there.
    let issuer = url("localhost", &listeners.gateway)?;
    let operations_url = url("localhost", &listeners.operations)?;
    let idp_url = url("127.0.0.1", &listeners.idp)?;
    let app_url = url("127.0.0.1", &listeners.app)?;
    let client_secret = id::random_token();

    let acs_url = format!("{issuer}/connections/{CONNECTION}/acs");
    let sp_entity_id = format!("{issuer}/connections/{CONNECTION}/metadata");
    let idp = Idp::new(idp_url, sp_entity_id, acs_url)?;
    let saml_app = SamlApp::new(issuer.clone(), &app_url, operations_url.clone())?;
    let parts = Parts {
        connections: vec![connection(&idp)?],
        application_metadata: std::collections::BTreeMap::new(),
        applications: vec![application(&app_url, &client_secret)?, saml_application(&saml_app)?],
        issuer: issuer.clone(),
        lifetimes: Lifetimes::default(),
        gigya: None,
        possession: PossessionSettings::default(),
        mail: None,
        registration: Policy::default(),
        http: HttpSettings {
            session_management: false,
            look: Arc::default(),
            require_pushed_authorization_requests: false,
            secure: false,
            trusted_proxies: Vec::new(),
            country_header: None,
            client_certificate_header: None,
            client_certificates: false,
            saml_body_limit: 1024 * 1024,
            body_limit: 64 * 1024,
            api: ApiSettings::default(),
            limits: LimitSettings::default(),
        },
        keyring: Keyring::open_or_create(&directory.join("certs"))?,
        sessions: store::open_sessions("memory:")?,
        directory: store::open_directory(&format!("sqlite:{}", directory.join("demo.db").display())).await?,
        sealed: Vec::new(),
        more: Vec::new(),
        maker: Arc::new(NoMaker),
        reach: Reach::Everything,
        script_threads: 1,
    };
    let (state, background) = startup::state(parts)?;
    let background = background.start();
    let app = App::new(issuer, app_url.clone(), operations_url.clone(), client_secret)?;
    let (idp, app, saml_app) = (Data::new(idp), Data::new(app), Data::new(saml_app));
    let servers = [
        startup::public_server(&state, listeners.gateway, None)?,
        startup::operations_server(&state, listeners.operations)?,
        practice(listeners.idp, move |config| {
            config.app_data(idp.clone()).configure(idp::routes);
        })?,
        practice(listeners.app, move |config| {
            config.app_data(app.clone()).configure(app::routes);
            config.app_data(saml_app.clone()).configure(saml_app::routes);
        })?,
    ];
    let handles: Vec<_> = servers.iter().map(Server::handle).collect();
    for server in servers {
        rt::spawn(server);
    }
    if options.once {
        let mut shown = once::openid_connect(&app_url, &options.person).await?;
        shown["saml"] = once::saml(&app_url, &operations_url, &options.person).await?;
        print(&serde_json::to_string_pretty(&shown).unwrap_or_default());
    } else {
        print("Gateway, practice identity provider and practice applications are running. Open this link, and press Ctrl-C to stop:");
        print(&format!("\n    {app_url}/\n"));
        startup::wait_for_signal().await;
    }
    for handle in handles {
        handle.stop(false).await;
    }
    background.stop().await;
    state.gateway().directory.close().await
}

fn practice(listener: TcpListener, routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Result<Server> {
    HttpServer::new(move || actix_web::App::new().configure(routes.clone()))
        .workers(1)
        .disable_signals()
        .listen(listener)
        .map(HttpServer::run)
        .map_err(|error| Error::new(ErrorKind::Internal, "a practice partner cannot start").because(error))
}

fn connection(idp: &Idp) -> Result<ConnectionConfig> {
    let metadata = read_idp(&idp.metadata(), MetadataOptions::default(), Timestamp::now())
        .map_err(|error| Error::new(ErrorKind::Internal, format!("the practice metadata: {error}")))?;
    Ok(ConnectionConfig {
        name: CONNECTION.to_owned(),
        display_name: "Practice identity provider".to_owned(),
        enabled: true,
        applications: None,
        domains: vec!["practice.example".to_owned()],
        mapping: table("saml", Direction::ToProfile)?,
        profile: ProfileSettings::default(),
        linking: Linking::default(),
        provider: None,
        kind: ConnectionKind::Saml(Arc::new(SamlConnection::new(metadata.trust()))),
    })
}

fn application(app_url: &str, client_secret: &str) -> Result<Application> {
    Ok(Application {
        client_id: app::CLIENT_ID.to_owned(),
        name: "Practice application".to_owned(),
        enabled: true,
        connections: None,
        mapping: table("oidc", Direction::FromProfile)?,
        profile: ProfileUse::default(),
        saml: None,
        by_metadata: None,
        oidc: Some(ClientFacts {
            redirect_uris: vec![format!("{app_url}/callback")],
            post_logout_redirect_uris: vec![format!("{app_url}/")],
            token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
            secret_digests: vec![id::digest(client_secret)],
            grant_types: vec![GrantType::AuthorizationCode],
            ..ClientFacts::public(app::CLIENT_ID)
        }),
    })
}

/// The same person as the other application sees it, by SAML: requests are signed, assertions as well.
fn saml_application(app: &SamlApp) -> Result<Application> {
    let wrong = |problems: Vec<_>| Error::new(ErrorKind::Internal, format!("the practice SAML application: {problems:?}"));
    let sp = SamlSp::new(SamlSpSettings::new(app.trust(Timestamp::now())?)).map_err(wrong)?;
    let mapping = table("saml", Direction::FromProfile)?;
    Ok(Application {
        client_id: saml_app::CLIENT_ID.to_owned(),
        name: "Practice SAML application".to_owned(),
        enabled: true,
        connections: None,
        mapping: Arc::clone(&mapping),
        profile: ProfileUse::default(),
        oidc: None,
        saml: Some(SamlApplication { sp: Arc::new(sp), mapping, release: ReleasePolicy::default(), valid_until: None }),
        by_metadata: None,
    })
}

fn table(name: &str, direction: Direction) -> Result<Arc<crate::profile::MappingTable>> {
    MappingLibrary::built_in().table(name, direction).ok_or_else(|| Error::new(ErrorKind::Internal, "a built-in mapping table is missing"))
}

fn url(host: &str, listener: &TcpListener) -> Result<String> {
    let address = listener.local_addr().map_err(|error| Error::new(ErrorKind::Internal, "a listener has no address").because(error))?;
    Ok(format!("http://{host}:{}", address.port()))
}

/// Removed when the demo ends.
struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("isthmus-demo-{}", id::random_id()));
        std::fs::create_dir(&path)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("{} cannot be made", path.display())).because(error))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
