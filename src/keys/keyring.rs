//! The directory of keys: one PEM file per purpose and state, made at first start, readable by the owner only.

use super::{CertifiedKey, KeyKind, PrivateKey, Sealer};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::secret::Secret;
use std::fs;
use std::io::{ErrorKind as IoErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    OidcRs256,
    OidcEs256,
    OidcEdDsa,
    SamlSigning,
    SamlEncryption,
}

impl Purpose {
    pub const ALL: [Self; 5] = [Self::OidcRs256, Self::OidcEs256, Self::OidcEdDsa, Self::SamlSigning, Self::SamlEncryption];

    /// The stem of its file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OidcRs256 => "oidc-rs256",
            Self::OidcEs256 => "oidc-es256",
            Self::OidcEdDsa => "oidc-eddsa",
            Self::SamlSigning => "saml-signing",
            Self::SamlEncryption => "saml-encryption",
        }
    }

    const fn kind(self) -> KeyKind {
        match self {
            Self::OidcRs256 | Self::SamlSigning | Self::SamlEncryption => KeyKind::Rsa,
            Self::OidcEs256 => KeyKind::EcP256,
            Self::OidcEdDsa => KeyKind::Ed25519,
        }
    }
}

/// Where a key stands in its life: published before use, in use, or only kept to verify and decrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    Active,
    Next,
    Previous,
}

impl KeyState {
    pub const ALL: [Self; 3] = [Self::Active, Self::Next, Self::Previous];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Next => "next",
            Self::Previous => "previous",
        }
    }
}

/// One line of `isthmus keys list`.
#[derive(Debug)]
pub struct KeyInfo {
    pub purpose: Purpose,
    pub state: KeyState,
    pub kind: KeyKind,
    /// SHA-256 of the public key, hex.
    pub fingerprint: String,
    pub not_after: String,
}

/// All keys, parsed.
#[derive(Debug)]
pub struct Keyring {
    entries: Vec<(Purpose, KeyState, CertifiedKey)>,
    sealer: Sealer,
}

impl Keyring {
    /// Reads the directory, making it and every missing active key.
    ///
    /// # Errors
    /// When a file cannot be read or written, is no key of its purpose, or others may read it.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| io(path, "made", error))?;
        let missing: Vec<Purpose> =
            Purpose::ALL.into_iter().filter(|purpose| !file(path, *purpose, KeyState::Active, "key").exists()).collect();
        // RSA keys take a while: make them side by side.
        std::thread::scope(|scope| {
            let threads: Vec<_> = missing.into_iter().map(|purpose| scope.spawn(move || create(path, purpose))).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "a key could not be made"))))
        })?;
        let seal = path.join("seal.key");
        if !seal.exists() {
            write_private(&seal, id::hex(&id::random_bytes::<32>()).as_bytes())?;
        }
        Self::open(path)
    }

    /// Reads the directory as it is; every purpose needs its active key.
    pub fn open(path: &Path) -> Result<Self> {
        let mut entries = Vec::new();
        for purpose in Purpose::ALL {
            for state in KeyState::ALL {
                let key_path = file(path, purpose, state, "key");
                if state != KeyState::Active && !key_path.exists() {
                    continue;
                }
                let key = Secret::new(read_private(&key_path)?);
                let certificate_path = file(path, purpose, state, "crt");
                let certificate = fs::read(&certificate_path).map_err(|error| io(&certificate_path, "read", error))?;
                let entry = CertifiedKey::from_pem(key.expose(), &certificate)
                    .map_err(|error| Error::new(ErrorKind::Misconfigured, format!("{}: {}", key_path.display(), error.detail)))?;
                if entry.key.kind() != purpose.kind() {
                    return Err(Error::new(ErrorKind::Misconfigured, format!("{}: a key of the wrong kind", key_path.display())));
                }
                entries.push((purpose, state, entry));
            }
        }
        let seal_path = path.join("seal.key");
        let hex = Secret::new(String::from_utf8(read_private(&seal_path)?).unwrap_or_default());
        let seal = Secret::new(
            unhex(hex.expose().trim())
                .ok_or_else(|| Error::new(ErrorKind::Misconfigured, format!("{}: 64 hexadecimal digits expected", seal_path.display())))?,
        );
        Ok(Self { entries, sealer: Sealer::new(&seal)? })
    }

    /// The key in use.
    ///
    /// # Panics
    /// Never: a keyring without every active key cannot be opened.
    pub fn active(&self, purpose: Purpose) -> &CertifiedKey {
        self.of(purpose).next().expect("a keyring has every active key")
    }

    /// Active, next and previous, in this order.
    pub fn of(&self, purpose: Purpose) -> impl Iterator<Item = &CertifiedKey> {
        self.entries.iter().filter(move |(of, _, _)| *of == purpose).map(|(_, _, key)| key)
    }

    /// The key that is published to be used later.
    pub fn next(&self, purpose: Purpose) -> Option<&CertifiedKey> {
        self.entries.iter().find(|(of, state, _)| *of == purpose && *state == KeyState::Next).map(|(_, _, key)| key)
    }

    pub const fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    pub fn list(&self) -> Vec<KeyInfo> {
        self.entries
            .iter()
            .map(|(purpose, state, key)| KeyInfo {
                purpose: *purpose,
                state: *state,
                kind: key.key.kind(),
                fingerprint: id::hex(&id::sha256(&key.key.public_der().unwrap_or_default())),
                not_after: key.certificate().not_after().to_string(),
            })
            .collect()
    }
}

fn file(path: &Path, purpose: Purpose, state: KeyState, kind: &str) -> PathBuf {
    path.join(format!("{}.{}.{kind}.pem", purpose.name(), state.name()))
}

fn create(path: &Path, purpose: Purpose) -> Result<()> {
    let entry = CertifiedKey::self_signed(PrivateKey::generate(purpose.kind())?, &format!("Isthmus {}", purpose.name()))?;
    let certificate = file(path, purpose, KeyState::Active, "crt");
    fs::write(&certificate, entry.certificate_pem()).map_err(|error| io(&certificate, "written", error))?;
    let pem = Secret::new(entry.key.to_pem()?);
    write_private(&file(path, purpose, KeyState::Active, "key"), pem.expose())
}

/// Writes a new file that only its owner can read; never over an existing one.
fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| io(path, "made", error))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| io(path, "written", error))
}

fn read_private(path: &Path) -> Result<Vec<u8>> {
    let mode = fs::metadata(path).map_err(|error| io(path, "read", error))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::new(
            ErrorKind::Misconfigured,
            format!("{}: others may read this private key (mode {:03o}); run chmod 600 on it", path.display(), mode & 0o777),
        ));
    }
    fs::read(path).map_err(|error| io(path, "read", error))
}

fn io(path: &Path, done: &str, error: std::io::Error) -> Error {
    let why = match error.kind() {
        IoErrorKind::NotFound => "it does not exist",
        IoErrorKind::PermissionDenied => "permission denied",
        IoErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        _ => "see the log",
    };
    Error::new(ErrorKind::Misconfigured, format!("{} cannot be {done}: {why}", path.display())).because(error)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32).map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_and_private() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("certs");
        let first = Keyring::open_or_create(&path).expect("made");
        let again = Keyring::open_or_create(&path).expect("read");
        let prints = |keyring: &Keyring| keyring.list().into_iter().map(|key| key.fingerprint).collect::<Vec<_>>();
        assert_eq!(prints(&first), prints(&again));
        assert_eq!(first.list().len(), Purpose::ALL.len());
        for entry in fs::read_dir(&path).expect("listed") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("utf-8");
            if name.contains("key") {
                assert_eq!(entry.metadata().expect("metadata").permissions().mode() & 0o777, 0o600, "{name}");
            }
        }
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        Keyring::open_or_create(directory.path()).expect("made");
        let path = directory.path().join("seal.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        let error = Keyring::open(directory.path()).expect_err("refused");
        assert!(error.detail.contains("chmod 600"), "{}", error.detail);
    }
}
