//! The directory of keys: a PEM file and a certificate per purpose and state, made at first start, readable by the owner only.

use super::{CertifiedKey, KeyEntry, KeySet, KeyState, PrivateKey, Purpose, SamlKeys, Sealer, certificate_end, parse_certificate};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::secret::Secret;
use std::fs;
use std::io::{ErrorKind as IoErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// All keys of the directory, parsed, and those that SAML uses at present.
#[derive(Debug)]
pub struct Keyring {
    files: Vec<Arc<KeySet>>,
    of_files: SamlKeys,
    saml: RwLock<Arc<SamlKeys>>,
    sealer: Sealer,
}

/// How long to wait for the certificate of a key that another process is making.
const PATIENCE: Duration = Duration::from_secs(5);

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
            let threads: Vec<_> = missing.into_iter().map(|purpose| (purpose, scope.spawn(move || create(path, purpose)))).collect();
            threads.into_iter().try_for_each(|(purpose, thread)| {
                let made = thread.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "a key could not be made")));
                // A directory of an earlier version that is read-only stays good.
                if purpose.is_required() { made } else { Ok(()) }
            })
        })?;
        let seal = path.join("seal.key");
        if !seal.exists() {
            place_private(&seal, id::hex(&id::random_bytes::<32>()).as_bytes())?;
        }
        Self::open(path)
    }

    /// Reads the directory as it is; every purpose that is required needs its active key.
    pub fn open(path: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for purpose in Purpose::ALL {
            let mut entries = Vec::new();
            for state in KeyState::ALL {
                let key_path = file(path, purpose, state, "key");
                let may_lack = state != KeyState::Active || !purpose.is_required();
                if may_lack && !key_path.exists() {
                    continue;
                }
                entries.push(KeyEntry { state, key: read_pair(path, purpose, state)?, published: is_published(purpose, state) });
            }
            if !entries.is_empty() {
                let named = |error: Error| Error::new(ErrorKind::Misconfigured, format!("{}: {}", path.display(), error.detail));
                files.push(Arc::new(KeySet::new(purpose, entries).map_err(named)?));
            }
        }
        let seal_path = path.join("seal.key");
        let hex = Secret::new(String::from_utf8(read_private(&seal_path)?).unwrap_or_default());
        let seal = Secret::new(
            unhex(hex.expose().trim())
                .ok_or_else(|| Error::new(ErrorKind::Misconfigured, format!("{}: 64 hexadecimal digits expected", seal_path.display())))?,
        );
        let of_files = SamlKeys::new(files.iter().filter(|set| set.purpose().is_saml()).cloned().collect())?;
        Ok(Self { saml: RwLock::new(Arc::new(of_files.clone())), files, of_files, sealer: Sealer::new(&seal)? })
    }

    /// What the directory has for a purpose. These are the keys of the beginning: what signs after a rotation is told by
    /// [`Self::saml`], and for OpenID Connect by the snapshot of the gateway.
    ///
    /// # Errors
    /// When it has none.
    pub fn of_files(&self, purpose: Purpose) -> Result<&KeySet> {
        let set = self.files.iter().find(|set| set.purpose() == purpose);
        set.map(AsRef::as_ref).ok_or_else(|| Error::new(ErrorKind::Misconfigured, format!("there is no key {}", purpose.name())))
    }

    /// Everything that the directory has.
    pub fn files(&self) -> impl Iterator<Item = &KeySet> {
        self.files.iter().map(AsRef::as_ref)
    }

    /// The keys that SAML uses now.
    pub fn saml(&self) -> Arc<SamlKeys> {
        Arc::clone(&self.saml.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on SAML uses these; where there is none for a purpose, those of the directory.
    pub fn use_saml(&self, sets: &[Arc<KeySet>]) {
        *self.saml.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(self.of_files.with(sets));
    }

    pub const fn sealer(&self) -> &Sealer {
        &self.sealer
    }
}

/// The certificates of a directory of keys that are in use or will be, and when each ends. Nothing private is read.
pub fn certificates_in(path: &Path) -> Vec<(PathBuf, Timestamp)> {
    let files =
        Purpose::ALL.into_iter().flat_map(|purpose| [KeyState::Active, KeyState::Next].map(|state| file(path, purpose, state, "crt")));
    let end = |file: &Path| certificate_end(&parse_certificate(&fs::read_to_string(file).ok()?).ok()?);
    files.filter_map(|file| end(&file).map(|end| (file, end))).collect()
}

/// What partners are told of: not of a key for decryption that is not to be used any more.
pub const fn is_published(purpose: Purpose, state: KeyState) -> bool {
    !(purpose.is_encryption() && matches!(state, KeyState::Previous))
}

fn read_pair(path: &Path, purpose: Purpose, state: KeyState) -> Result<CertifiedKey> {
    let key_path = file(path, purpose, state, "key");
    let key = Secret::new(read_private(&key_path)?);
    let certificate_path = file(path, purpose, state, "crt");
    if state == KeyState::Active {
        wait_for(&certificate_path)?;
    }
    let certificate = fs::read(&certificate_path).map_err(|error| io(&certificate_path, "read", error))?;
    CertifiedKey::from_pem(key.expose(), &certificate)
        .map_err(|error| Error::new(ErrorKind::Misconfigured, format!("{}: {}", key_path.display(), error.detail)))
}

fn file(path: &Path, purpose: Purpose, state: KeyState, kind: &str) -> PathBuf {
    path.join(format!("{}.{}.{kind}.pem", purpose.name(), state.name()))
}

/// Makes the active key of a purpose. Several processes may begin at the same time: the first one's key counts.
fn create(path: &Path, purpose: Purpose) -> Result<()> {
    let entry = CertifiedKey::self_signed(PrivateKey::generate(purpose.kind())?, &format!("Isthmus {}", purpose.name()))?;
    let pem = Secret::new(entry.key.to_pem()?);
    let certificate = file(path, purpose, KeyState::Active, "crt");
    if !place_private(&file(path, purpose, KeyState::Active, "key"), pem.expose())? {
        return wait_for(&certificate);
    }
    let draft = draft_of(&certificate);
    fs::write(&draft, entry.certificate_pem())
        .and_then(|()| fs::rename(&draft, &certificate))
        .map_err(|error| io(&certificate, "written", error))
}

/// Puts a new file that only its owner can read into its place, whole; false when there is one already.
fn place_private(path: &Path, bytes: &[u8]) -> Result<bool> {
    let draft = draft_of(path);
    write_private(&draft, bytes)?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft).map_err(|error| io(&draft, "removed", error))?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == IoErrorKind::AlreadyExists => Ok(false),
        // A file system without hard links.
        Err(_) => write_private(path, bytes).map(|()| true),
    }
}

fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", id::hex(&id::random_bytes::<8>())));
    name.into()
}

fn wait_for(path: &Path) -> Result<()> {
    let step = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while !path.exists() {
        if waited >= PATIENCE {
            return Err(Error::new(ErrorKind::Misconfigured, format!("{} does not exist, but its private key does", path.display())));
        }
        std::thread::sleep(step);
        waited += step;
    }
    Ok(())
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
    use crate::keys::{Digest, KeyKind, SignatureScheme};

    fn prints(keyring: &Keyring) -> Vec<String> {
        keyring.files().flat_map(KeySet::all).map(|key| key.key.fingerprint().expect("a fingerprint")).collect()
    }

    #[test]
    fn is_made_once_and_private() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("certs");
        let first = Keyring::open_or_create(&path).expect("made");
        let again = Keyring::open_or_create(&path).expect("read");
        assert_eq!(prints(&first), prints(&again));
        assert_eq!(prints(&first).len(), Purpose::ALL.len());
        for entry in fs::read_dir(&path).expect("listed") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("utf-8");
            assert!(name.ends_with(".pem") || name == "seal.key", "{name} was left behind");
            if name.contains("key") {
                assert_eq!(entry.metadata().expect("metadata").permissions().mode() & 0o777, 0o600, "{name}");
            }
        }
    }

    #[test]
    fn processes_that_begin_at_the_same_time_have_the_same_keys() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        let made: Vec<Vec<String>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| prints(&Keyring::open_or_create(path).expect("made")))).collect();
            threads.into_iter().map(|thread| thread.join().expect("ended")).collect()
        });
        assert!(made.iter().all(|prints| *prints == made[0]), "{made:?}");
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

    #[test]
    fn a_directory_of_an_earlier_version_is_good_and_says_what_it_lacks() {
        let directory = tempfile::tempdir().expect("a directory");
        Keyring::open_or_create(directory.path()).expect("made");
        fs::remove_file(file(directory.path(), Purpose::SamlSigningEs384, KeyState::Active, "key")).expect("removed");
        let keys = Keyring::open(directory.path()).expect("read").saml();
        assert!(keys.signing(None).is_ok() && keys.signing(Some(SignatureScheme::Ecdsa(Digest::Sha256))).is_ok());
        let error = keys.signing(Some(SignatureScheme::Ecdsa(Digest::Sha384))).expect_err("there is none");
        assert!(error.detail.contains("saml-signing-es384"), "{}", error.detail);
        fs::remove_file(file(directory.path(), Purpose::SamlSigning, KeyState::Active, "key")).expect("removed");
        assert!(Keyring::open(directory.path()).is_err());
    }

    #[test]
    fn saml_uses_what_it_was_told_last_and_the_files_for_the_rest() {
        let directory = tempfile::tempdir().expect("a directory");
        let keyring = Keyring::open_or_create(directory.path()).expect("made");
        let active = |scheme| keyring.saml().signing(scheme).expect("a key").active().certificate_der();
        let (rsa, ec) = (active(None), active(Some(SignatureScheme::Ecdsa(Digest::Sha256))));
        let entry = |state, published| KeyEntry {
            state,
            published,
            key: CertifiedKey::self_signed(PrivateKey::generate(KeyKind::EcP256).expect("key"), "x").expect("certificate"),
        };
        let entries = vec![entry(KeyState::Previous, false), entry(KeyState::Next, true), entry(KeyState::Active, true)];
        let expected: Vec<_> = [2, 1].map(|at: usize| entries[at].key.certificate_der()).into();
        let set = Arc::new(KeySet::new(Purpose::SamlSigningEs256, entries).expect("a set"));
        assert_eq!(set.published().map(CertifiedKey::certificate_der).collect::<Vec<_>>(), expected);
        assert_eq!(set.all().count(), 3);
        keyring.use_saml(&[Arc::clone(&set)]);
        assert_eq!(active(Some(SignatureScheme::Ecdsa(Digest::Sha256))), expected[0]);
        assert_eq!(active(None), rsa);
        keyring.use_saml(&[]);
        assert_eq!(active(Some(SignatureScheme::Ecdsa(Digest::Sha256))), ec);
        // Two active ones, none, or another kind of key make no set.
        let twice = vec![entry(KeyState::Active, true), entry(KeyState::Active, true)];
        assert!(KeySet::new(Purpose::SamlSigningEs256, twice).is_err());
        assert!(KeySet::new(Purpose::SamlSigningEs256, vec![entry(KeyState::Next, true)]).is_err());
        assert!(KeySet::new(Purpose::SamlSigning, vec![entry(KeyState::Active, true)]).is_err());
    }

    #[test]
    fn no_private_key_is_in_what_debug_shows() {
        let directory = tempfile::tempdir().expect("a directory");
        let keyring = Keyring::open_or_create(directory.path()).expect("made");
        let shown = format!("{keyring:?} {:?}", keyring.saml());
        for entry in fs::read_dir(directory.path()).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.to_string_lossy().contains("key") {
                let text = fs::read_to_string(&path).expect("text");
                let secret = text.lines().find(|line| line.len() > 20 && !line.starts_with('-')).expect("a line of the key");
                assert!(!shown.contains(secret) && !shown.contains("PRIVATE"), "{}: {shown}", path.display());
            }
        }
        assert!(shown.contains("CertifiedKey(Rsa)"), "{shown}");
    }
}
