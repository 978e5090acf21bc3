//! What the parts of the configuration need to know while they are read, from the file or from the directory.

use crate::clock::Timestamp;
use crate::profile::{Direction, MappingLibrary, MappingTable};
use crate::secret::Secret;
use crate::toml_file::Section;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Known to every reader.
pub struct Context<'a> {
    pub now: Timestamp,
    /// Secrets may stand in the file.
    pub development: bool,
    /// Development: this machine itself may be asked for metadata, and for accounts.
    pub loopback: bool,
    /// Where the last good copies of metadata are kept.
    pub state: &'a Path,
    /// Both signature engines.
    pub second_opinion: bool,
    pub source: Source<'a>,
    pub library: &'a MappingLibrary,
}

/// Where what is read comes from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// The configuration file; paths are relative to this directory.
    File(&'a Path),
    /// The management API. It names no files of this machine.
    Stored(Stored<'a>),
}

/// What a stored object has beside its text.
#[derive(Clone, Copy, Default)]
pub struct Stored<'a> {
    /// Takes the place of the table that the object names.
    pub mapping: Option<&'a Arc<MappingTable>>,
    /// The same for the attributes of a SAML application.
    pub attributes: Option<&'a Arc<MappingTable>>,
    /// Digests of the secrets that an application has at present.
    pub secret_digests: &'a [String],
    /// Its present secret, where it makes MACs with it; the one of ours at a provider.
    pub shared_secret: Option<&'a Secret<String>>,
    /// Another secret of ours at a provider: a private key, the password of an account, the signing secret before this one.
    pub key: Option<&'a Secret<String>>,
}

impl<'a> Context<'a> {
    /// The text of a file that the configuration names.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read_file(&self, path: &str) -> Result<String, String> {
        match self.source {
            Source::File(directory) => {
                std::fs::read_to_string(directory.join(path)).map_err(|error| format!("{path} cannot be read: {error}"))
            }
            Source::Stored(_) => Err("files of this machine cannot be named here".to_owned()),
        }
    }

    pub const fn stored(&self) -> Option<Stored<'a>> {
        match self.source {
            Source::File(_) => None,
            Source::Stored(stored) => Some(stored),
        }
    }

    /// Paths are relative to the configuration file.
    pub fn resolve(&self, path: &str) -> PathBuf {
        match self.source {
            Source::File(directory) => directory.join(path),
            Source::Stored(_) => PathBuf::new(),
        }
    }

    /// The mapping table that a section names, or the usual one; faults in the table's own file are reported with it.
    pub fn mapping(&self, section: &Section<'_>, usual: &str, direction: Direction) -> Option<Arc<MappingTable>> {
        let name = section.string("mapping").map_or(usual, |at| at.value);
        if let Some(table) = self.stored().and_then(|stored| stored.mapping) {
            return Some(Arc::clone(table));
        }
        let table = self.library.table(name, direction);
        if table.is_none() && !self.library.is_broken(name) {
            let help = format!("write mappings/{name}.toml beside this file, or use one of: {}", self.library.names(direction).join(", "));
            section.problem("mapping", format!("there is no mapping table `{name}` with direction {}", direction.name()), help);
        }
        table
    }
}
