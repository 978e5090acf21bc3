//! Commands that work on the directory of a configuration by themselves, whether a gateway runs or not.

use super::{complain, unusable};
use crate::broker::admin::By;
use crate::clock::Timestamp;
use crate::config::{self, Config};
use crate::error::Result;
use crate::http::state::State;
use crate::id;
use crate::keys::Keyring;
use crate::startup;
use crate::store::{self, Directory};
use actix_web::web::Data;
use clap::Args;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Where the configuration is, and for whom the answer is.
#[derive(Args)]
pub struct Common {
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG", global = true)]
    pub config: PathBuf,
    /// For programs.
    #[arg(long, global = true)]
    pub json: bool,
}

/// A gateway that serves nobody, as it is now: what the management API has stored counts as what stands in the file.
pub struct AtRest {
    pub state: Data<State>,
    pub now: Timestamp,
    pub actor: String,
    directory: Arc<dyn Directory>,
    correlation_id: String,
}

impl AtRest {
    pub async fn open(config: Config, keyring: Keyring) -> Result<Self> {
        let directory = store::open_directory(config.directory_url.expose()).await?;
        // Nobody signs in here.
        let sessions = store::open_sessions("memory:")?;
        let (state, _) = startup::state(config.into_parts(keyring, sessions, Arc::clone(&directory)))?;
        let now = Timestamp::now();
        state.live.refresh(now).await?;
        Ok(Self { state, now, actor: actor(), directory, correlation_id: id::correlation_id() })
    }

    /// On whose behalf, for the audit log.
    pub fn by(&self) -> By<'_> {
        By { actor: &self.actor, correlation_id: &self.correlation_id }
    }

    pub async fn close(self) -> Result<()> {
        self.directory.close().await
    }
}

/// The configuration, or the exit status after its faults were told.
pub fn load(path: &Path) -> Result<Config, ExitCode> {
    config::load(path).map_err(|findings| unusable(&config::render_human(&findings)))
}

/// Shows what was done; or says why it was not, with 1 where the asker can mend that and 2 where the program could not work.
pub fn ended<T>(result: Result<T>, show: impl FnOnce(T)) -> ExitCode {
    match result {
        Ok(done) => {
            show(done);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(if error.kind.wire().status < 500 { 1 } else { 2 })
        }
    }
}

/// `cli:` and the name of the user who runs this program, or the number where it has no name.
fn actor() -> String {
    let Ok(process) = std::fs::metadata("/proc/self") else { return "cli".to_owned() };
    let number = process.uid().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    // name:password:uid:..
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    format!("cli:{}", name.unwrap_or(number))
}
