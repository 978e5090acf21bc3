//! The last good copy on disk: the document as it came, and beside it what must not be forgotten.
//!
//! Two files, each replaced as a whole. The notes are written first: what an operator has not approved must be known before
//! the copy that brings it. They name the copy by its digest, so validators of one copy are never used for another. What is read
//! back is verified like what is fetched; the directory is not trusted for more than being there.

use super::difference::Place;
use crate::connection::outbound::download::Validators;
use crate::id;
use openssl::sha::Sha256;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What is kept beside a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notes {
    /// Where the copy is from.
    pub source: String,
    pub validators: Validators,
    /// SHA-256 of the copy that the validators belong to, hex.
    pub digest: String,
    /// See [`super::Refresher::approved`].
    pub approved: BTreeMap<String, BTreeSet<Place>>,
}

/// The files of one source.
#[derive(Clone, Debug)]
pub(super) struct Cache(PathBuf);

impl Cache {
    pub const fn new(base: PathBuf) -> Self {
        Self(base)
    }

    fn with(&self, ending: &str) -> PathBuf {
        let mut path = self.0.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    pub fn copy(&self) -> PathBuf {
        self.with(".xml")
    }

    /// A new file for a document that is on its way; nobody else has it.
    pub fn part(&self) -> io::Result<(PathBuf, File)> {
        if let Some(directory) = self.0.parent() {
            fs::create_dir_all(directory)?;
        }
        let path = self.with(&format!(".{}.part", id::hex(&id::random_bytes::<8>())));
        Ok((path.clone(), File::options().read(true).write(true).create_new(true).open(path)?))
    }

    /// Takes a document that was verified in place of the copy.
    pub fn take(&self, part: &Path) -> io::Result<()> {
        File::open(part)?.sync_all()?;
        fs::rename(part, self.copy())?;
        self.sync_directory()
    }

    /// Forgets the copy, not what was approved.
    pub fn remove_copy(&self) {
        // Where there is none, nothing is to be done.
        drop(fs::remove_file(self.copy()));
    }

    pub fn notes(&self) -> Option<Notes> {
        let mut text = String::new();
        File::open(self.with(".json")).ok()?.take(NOTES).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    pub fn write_notes(&self, notes: &Notes) -> io::Result<()> {
        let (path, mut file) = self.part()?;
        let written =
            serde_json::to_vec(notes).map_err(io::Error::other).and_then(|text| file.write_all(&text)).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| fs::rename(&path, self.with(".json"))) {
            drop(fs::remove_file(&path));
            return Err(error);
        }
        self.sync_directory()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.parent().filter(|directory| !directory.as_os_str().is_empty()).map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }
}

/// SHA-256 of what is read, hex.
pub(super) fn digest(mut source: impl Read) -> io::Result<String> {
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        let length = source.read(&mut buffer)?;
        if length == 0 {
            return Ok(id::hex(&hasher.finish()));
        }
        hasher.update(buffer.get(..length).unwrap_or_default());
    }
}

/// Bytes of the notes at most.
const NOTES: u64 = 64 * 1024 * 1024;
