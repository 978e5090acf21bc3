//! `isthmus demo`: gateway, practice providers and practice applications in one process, on loopback, with embedded stores.
//! The gateway is configured as any other, by a file. Nothing is left behind: file, keys and directory live in a temporary
//! directory.

mod once;

use super::{block_on, complain, print};
use crate::broker::Gateway;
use crate::broker::admin::By;
use crate::clock::Timestamp;
use crate::config;
use crate::error::{Error, ErrorKind, Result};
use crate::http::practice::app::{self, App};
use crate::http::practice::idp::{self, Idp};
use crate::http::practice::openid::{self, GitHub, OpenIdProvider};
use crate::http::practice::people::PEOPLE;
use crate::http::practice::saml_app::{self, SamlApp};
use crate::id;
use crate::keys::Keyring;
use crate::secret::Secret;
use crate::{startup, store, telemetry};
use actix_web::dev::Server;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpServer, rt};
use clap::Args;
use serde_json::json;
use std::fs::{DirBuilder, write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

/// Names of the demo's connections.
const SAML: &str = "practice";
const OPENID: &str = "practice-openid";
const GITHUB: &str = "practice-github";
const DIRECTORY: &str = "practice-directory";

/// Everybody's password in the directory. It stands on the page of the practice applications.
const PASSWORD: &str = "practice makes wiser";

#[derive(Args)]
pub struct Options {
    /// Walk through one login at each provider and application without a browser, print what the applications were told and the traces as JSON, and end.
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

/// Everybody around the gateway.
struct World {
    issuer: String,
    operations_url: String,
    app_url: String,
    idp_url: String,
    /// What the gateway is registered with at the providers, and the application at the gateway.
    secrets: [String; 3],
    idp: Idp,
    openid: OpenIdProvider,
    github: GitHub,
    saml_app: SamlApp,
}

impl World {
    fn new(listeners: &Listeners) -> Result<Self> {
        // The gateway is another site than the others, as it is in life: localhost here, 127.0.0.1 there.
        let issuer = url("localhost", &listeners.gateway)?;
        let operations_url = url("localhost", &listeners.operations)?;
        let [idp_url, app_url] = [url("127.0.0.1", &listeners.idp)?, url("127.0.0.1", &listeners.app)?];
        let secrets = [id::random_token(), id::random_token(), id::random_token()];
        let at = |connection: &str, path: &str| format!("{issuer}/connections/{connection}/{path}");
        Ok(Self {
            idp: Idp::new(idp_url.clone(), at(SAML, "metadata"), at(SAML, "acs"))?,
            openid: OpenIdProvider::new(&idp_url, at(OPENID, "callback"), secrets[0].clone())?,
            github: GitHub::new(at(GITHUB, "callback"), secrets[1].clone()),
            saml_app: SamlApp::new(issuer.clone(), &app_url, operations_url.clone())?,
            issuer,
            operations_url,
            app_url,
            idp_url,
            secrets,
        })
    }

    /// Writes `isthmus.toml` and the metadata that it names.
    fn write_configuration(&self, directory: &Path) -> Result<PathBuf> {
        let file = directory.join("isthmus.toml");
        for (path, text) in [
            (directory.join("practice-idp.xml"), self.idp.metadata()),
            (directory.join("practice-application.xml"), self.saml_app.metadata(Timestamp::now())?),
            (file.clone(), self.configuration()),
        ] {
            write(&path, text)
                .map_err(|error| Error::new(ErrorKind::Internal, format!("{} cannot be written", path.display())).because(error))?;
        }
        Ok(file)
    }

    fn configuration(&self) -> String {
        let Self { issuer, operations_url, app_url, idp_url, secrets: [openid_secret, github_secret, app_secret], .. } = self;
        let [listen, operations_listen] = [issuer, operations_url].map(|url| url.replace("http://localhost", "127.0.0.1"));
        let (openid_issuer, client_id) = (self.openid.issuer(), openid::CLIENT_ID);
        let (app, saml_app) = (app::CLIENT_ID, saml_app::CLIENT_ID);
        format!(
            r#"
issuer = "{issuer}"
listen = "{listen}"
operations_listen = "{operations_listen}"

[directory]
url = "sqlite:demo.db"

[[connection]]
name = "{SAML}"
display_name = "Practice identity provider (SAML)"
domains = ["practice.example"]
[connection.saml]
metadata_file = "practice-idp.xml"

[[connection]]
name = "{OPENID}"
display_name = "Practice OpenID provider"
[connection.oidc]
issuer = "{openid_issuer}"
client_id = "{client_id}"
client_secret = "{openid_secret}"
scopes = ["openid", "profile", "email", "groups"]

[[connection]]
name = "{GITHUB}"
display_name = "Practice GitHub"
[connection.social]
preset = "github"
client_id = "{client_id}"
client_secret = "{github_secret}"
authorization_endpoint = "{idp_url}/github/login/oauth/authorize"
token_endpoint = "{idp_url}/github/login/oauth/access_token"
userinfo_endpoint = "{idp_url}/github/user"
more = {{ emails = "{idp_url}/github/user/emails" }}

[[connection]]
name = "{DIRECTORY}"
display_name = "Practice directory (user name and password)"
[connection.database]
names = ["username", "email"]

[[application]]
client_id = "{app}"
name = "Practice application"
[application.oidc]
redirect_uris = ["{app_url}/callback"]
post_logout_redirect_uris = ["{app_url}/"]
client_secret = "{app_secret}"

[[application]]
client_id = "{saml_app}"
name = "Practice SAML application"
[application.saml]
metadata_file = "practice-application.xml"
"#
        )
    }
}

async fn demo(options: &Options, directory: &Path) -> Result<()> {
    let listeners = Listeners::bind(options)?;
    let world = World::new(&listeners)?;
    let config = config::load(&world.write_configuration(directory)?)
        .map_err(|findings| Error::new(ErrorKind::Internal, format!("the demo's configuration: {}", config::render_human(&findings))))?;
    let keyring = Keyring::open_or_create(&config.keys_path)?;
    let stores = (store::open_sessions(config.sessions_url.expose())?, store::open_directory(config.directory_url.expose()).await?);
    let (state, background) = startup::state(config.into_parts(keyring, stores.0, stores.1))?;
    fill(&state.gateway()).await?;
    let background = background.start();
    let World { issuer, operations_url, app_url, secrets: [_, _, app_secret], idp, openid, github, saml_app, .. } = world;
    let app = Data::new(App::new(issuer, app_url.clone(), operations_url.clone(), app_secret)?);
    let (idp, openid, github, saml_app) = (Data::new(idp), Data::new(openid), Data::new(github), Data::new(saml_app));
    let servers = [
        startup::public_server(&state, listeners.gateway, None)?,
        startup::operations_server(&state, listeners.operations)?,
        practice(listeners.idp, move |config| {
            config.app_data(idp.clone()).configure(idp::routes);
            config.app_data(openid.clone()).app_data(github.clone()).configure(openid::routes);
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
        let shown = once::everything(&app_url, &operations_url, &options.person).await?;
        print(&serde_json::to_string_pretty(&shown).unwrap_or_default());
    } else {
        print("Gateway, practice providers and practice applications are running. Open this link, and press Ctrl-C to stop:");
        print(&format!("\n    {app_url}/\n"));
        print(&format!("The gateway is configured by {}", directory.join("isthmus.toml").display()));
        startup::wait_for_signal().await;
    }
    for handle in handles {
        handle.stop(false).await;
    }
    background.stop().await;
    state.gateway().directory.close().await
}

/// The practice people as users of the directory.
async fn fill(gateway: &Gateway) -> Result<()> {
    let by = By { actor: "demo", correlation_id: "" };
    let place = gateway.place_of(DIRECTORY).ok_or_else(|| Error::new(ErrorKind::Internal, "the demo's directory is missing"))?;
    for person in &PEOPLE {
        let mut members = json!({
            "username": person.id, "name": person.display_name, "given_name": person.given_name, "family_name": person.family_name,
            "groups": person.groups(),
        });
        if let Some(email) = person.email {
            members["email"] = email.into();
        }
        let members = members.as_object().cloned().unwrap_or_default();
        let user = gateway.admin.create_user(&place, Some(person.id), &members, by, Timestamp::now()).await?;
        gateway.admin.set_password(&user.user_id, &Secret::new(PASSWORD.to_owned()), by, Timestamp::now()).await?;
    }
    Ok(())
}

fn practice(listener: TcpListener, routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Result<Server> {
    HttpServer::new(move || actix_web::App::new().configure(routes.clone()))
        .workers(1)
        .disable_signals()
        .listen(listener)
        .map(HttpServer::run)
        .map_err(|error| Error::new(ErrorKind::Internal, "a practice partner cannot start").because(error))
}

fn url(host: &str, listener: &TcpListener) -> Result<String> {
    let address = listener.local_addr().map_err(|error| Error::new(ErrorKind::Internal, "a listener has no address").because(error))?;
    Ok(format!("http://{host}:{}", address.port()))
}

/// Removed when the demo ends; nobody else reads the secrets in it.
struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("isthmus-demo-{}", id::random_id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("{} cannot be made", path.display())).because(error))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
