//! Passwords as they are kept: Argon2id, made and compared off the threads that answer requests.
//!
//! Few are looked at at once and few more wait, so that a flood of logins takes neither all processors nor much memory, and
//! slows nobody down who signs in elsewhere: the threads that hash are the first that the system lets wait. Whoever comes
//! when too many wait is asked to try again. What other products hashed ([`super::foreign`]) is compared here too, and is
//! hashed anew as soon as the password is known.

use super::foreign;
use crate::id;
use crate::secret::Secret;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, STANDARD_NO_PAD as UNPADDED};
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

/// Argon2id as OWASP recommends at least: 19 MiB of memory, two passes, one lane. On one core of today it takes some
/// 20 milliseconds.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Octets.
const SALT: usize = 16;
const HASH: usize = 32;

/// Passwords that are looked at at once: of two processors one is left to everybody else.
static AT_ONCE: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, |all| (all.get() / 2).max(1)));
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(*AT_ONCE));

/// The threads that hash, which do nothing else: what is asked of the others is waited for by people whose password is not
/// ours to look at.
static THREADS: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_current_thread().thread_name("passwords").max_blocking_threads(*AT_ONCE).on_thread_start(give_way).build()
});

/// How much less a thread that hashes counts than others (nice): where all processors are busy it has a tenth of one, so that
/// people who sign in by password wait longer, but not for ever.
const NICE: i32 = 10;

/// Of this thread alone. Where the system does not let it, it counts as the others do.
fn give_way() {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "the threads that hash passwords count as much as all others");
    }
}

/// Those that wait, and those that are looked at.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// So many at most.
const MOST: usize = 64;

/// Why a password was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLooked {
    /// Too many are under way.
    Busy,
    /// What is kept cannot be read, or the machine fails; for operators.
    Unusable(&'static str),
}

/// What came of a comparison.
#[derive(Debug)]
pub struct Looked {
    pub right: bool,
    /// Where the password is right and kept in an older form: what is to be kept from now on.
    pub renewed: Option<Secret<String>>,
}

/// A password as it is to be kept, JSON.
///
/// # Errors
/// [`NotLooked`].
pub async fn kept(password: Secret<String>) -> Result<Secret<String>, NotLooked> {
    work(move || kept_as(&password)).await?
}

/// Compares a password with what is kept; `None`: nobody has this name, and it takes as long.
///
/// # Errors
/// [`NotLooked`].
pub async fn compare(kept: Option<Secret<String>>, password: Secret<String>) -> Result<Looked, NotLooked> {
    work(move || compared(kept.as_ref(), &password)).await?
}

async fn work<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, NotLooked> {
    let place = Place::take().ok_or(NotLooked::Busy)?;
    let turn = TURNS.acquire().await.map_err(|_| NotLooked::Unusable("passwords are not looked at any more"))?;
    // Who does not wait for the answer has the turn until there is one.
    let held = move || {
        let _held = (place, turn);
        work()
    };
    let threads = THREADS.as_ref().map_err(|_| NotLooked::Unusable("there are no threads to look at passwords"))?;
    threads.spawn_blocking(held).await.map_err(|_| NotLooked::Unusable("looking at a password failed"))
}

/// One of [`MOST`].
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let more = |taken: usize| (taken < MOST).then_some(taken + 1);
        UNDER_WAY.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    }
}

fn kept_as(password: &Secret<String>) -> Result<Secret<String>, NotLooked> {
    let hash = hashed(password.expose().as_bytes(), &id::random_bytes::<SALT>())?;
    Ok(Secret::new(json!({ OURS: hash }).to_string()))
}

fn compared(kept: Option<&Secret<String>>, password: &Secret<String>) -> Result<Looked, NotLooked> {
    let octets = password.expose().as_bytes();
    let none = || hashed(octets, &[0; SALT]).map(|_| Looked { right: false, renewed: None });
    let Some(kept) = kept else { return none() };
    let form: Value = serde_json::from_str(kept.expose()).map_err(|_| NotLooked::Unusable("the stored password cannot be read"))?;
    let (right, current) = match (form.get(OURS).and_then(Value::as_str), form.get("bcrypt").and_then(Value::as_str), form.get("custom")) {
        (Some(phc), _, _) => (argon2_matches(phc, octets).ok_or(UNREADABLE)?, phc.starts_with(&prefix())),
        (None, Some(hash), _) => (foreign::bcrypt_matches(octets, hash).map_err(NotLooked::Unusable)?, false),
        (None, None, Some(custom)) => (foreign::matches(custom, password.expose()).map_err(NotLooked::Unusable)?, false),
        _ => return Err(UNREADABLE),
    };
    match (right, current) {
        (true, true) => Ok(Looked { right, renewed: None }),
        (true, false) => Ok(Looked { right, renewed: Some(kept_as(password)?) }),
        (false, true) => Ok(Looked { right, renewed: None }),
        // Right or wrong, and whatever it was: one hash of ours is made.
        (false, false) => none(),
    }
}

/// The member under which hashes of ours are kept.
const OURS: &str = "argon2id";

const UNREADABLE: NotLooked = NotLooked::Unusable("the stored password cannot be read");

/// How a hash begins that was made as they are made now.
fn prefix() -> String {
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$")
}

fn hashed(password: &[u8], salt: &[u8]) -> Result<String, NotLooked> {
    let mut hash = [0; HASH];
    let failed = |_| NotLooked::Unusable("a password cannot be hashed");
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH)).map_err(failed)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(password, salt, &mut hash).map_err(failed)?;
    let [salt, hash] = [salt, &hash].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    Ok(format!("{}{salt}${hash}", prefix()))
}

/// Compares with the PHC string of any variant of Argon2; `None` where it is none, or wants more than a login may cost.
pub(super) fn argon2_matches(phc: &str, password: &[u8]) -> Option<bool> {
    let mut parts = phc.strip_prefix('$')?.split('$').peekable();
    let algorithm = match parts.next()? {
        "argon2id" => Algorithm::Argon2id,
        "argon2i" => Algorithm::Argon2i,
        "argon2d" => Algorithm::Argon2d,
        _ => return None,
    };
    let version = match parts.next_if(|part| part.starts_with("v=")) {
        Some("v=19") => Version::V0x13,
        Some("v=16") | None => Version::V0x10,
        Some(_) => return None,
    };
    let (mut memory, mut passes, mut lanes) = (None, None, None);
    for parameter in parts.next()?.split(',') {
        let (name, value) = parameter.split_once('=')?;
        let value: u32 = value.parse().ok()?;
        *(match name {
            "m" => &mut memory,
            "t" => &mut passes,
            "p" => &mut lanes,
            _ => return None,
        }) = Some(value);
    }
    let (memory, passes, lanes) = (memory?, passes?, lanes?);
    let salt = UNPADDED.decode(parts.next()?).ok()?;
    let expected = UNPADDED.decode(parts.next()?).ok()?;
    if parts.next().is_some() || memory > MOST_MEMORY_KIB || passes > MOST_PASSES || lanes > MOST_LANES || expected.len() > MOST_OCTETS {
        return None;
    }
    let params = Params::new(memory, passes, lanes, Some(expected.len())).ok()?;
    let mut found = vec![0; expected.len()];
    Argon2::new(algorithm, version, params).hash_password_into(password, &salt, &mut found).ok()?;
    Some(id::eq_constant_time(&found, &expected))
}

/// What one login may cost.
const MOST_MEMORY_KIB: u32 = 256 << 10;
const MOST_PASSES: u32 = 32;
const MOST_LANES: u32 = 16;
const MOST_OCTETS: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_hash_says_how_it_was_made_and_depends_on_password_and_salt() {
        let hash = hashed(b"password", b"somesaltsomesalt").expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$"), "{hash}");
        assert_eq!(hash, hashed(b"password", b"somesaltsomesalt").expect("hashed"));
        assert_ne!(hash, hashed(b"passwore", b"somesaltsomesalt").expect("hashed"));
        assert_ne!(hash, hashed(b"password", b"somesaltsomesalu").expect("hashed"));
        assert_eq!([argon2_matches(&hash, b"password"), argon2_matches(&hash, b"passwore")], [Some(true), Some(false)]);
    }

    #[tokio::test]
    async fn hashing_gives_way_to_everything_else_and_nothing_else_does() {
        let nice = || rustix::process::getpriority_process(None).expect("a priority");
        let ours = nice();
        assert_eq!(work(nice).await.expect("looked"), (ours + NICE).min(19));
        assert_eq!(nice(), ours, "the thread that asks");
    }

    #[tokio::test]
    async fn who_does_not_wait_for_the_answer_has_the_turn_until_there_is_one() {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let asked = tokio::spawn(work(move || {
            begun.send(()).expect("somebody waits");
            ended.recv()
        }));
        has_begun.await.expect("begun");
        asked.abort();
        assert!(asked.await.expect_err("aborted").is_cancelled());
        let turns = TURNS.available_permits();
        assert!(turns < *AT_ONCE && UNDER_WAY.load(Ordering::Relaxed) > 0);
        end.send(()).expect("it still works");
        while TURNS.available_permits() == turns {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_compared_and_older_forms_are_renewed() {
        let ours = kept(secret("correct horse")).await.expect("hashed");
        let right = compare(Some(ours.clone()), secret("correct horse")).await.expect("looked");
        assert!(right.right && right.renewed.is_none());
        assert!(!compare(Some(ours), secret("correct hors")).await.expect("looked").right);
        assert!(!compare(None, secret("correct horse")).await.expect("looked").right);
        // Of RFC 9106's kind with fewer passes, and bcrypt.
        let old = "$argon2id$v=19$m=16,t=2,p=1$MTIzNDU2Nzg5MDEyMzQ1Ng$";
        let mut octets = [0; 32];
        let params = Params::new(16, 2, 1, Some(32)).expect("parameters");
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(b"old", b"1234567890123456", &mut octets)
            .expect("hashed");
        let old = format!("{old}{}", UNPADDED.encode(octets));
        let bcrypt = bcrypt::hash_with_salt("old", 4, [7; 16]).expect("hashed").to_string();
        for kept in [
            json!({ "argon2id": old }),
            json!({ "bcrypt": bcrypt }),
            json!({ "custom": { "algorithm": "bcrypt", "hash": { "value": bcrypt } } }),
        ] {
            let kept = secret(&kept.to_string());
            let looked = compare(Some(kept.clone()), secret("old")).await.expect("looked");
            let renewed = looked.renewed.expect("renewed");
            assert!(looked.right && renewed.expose().starts_with("{\"argon2id\":\"$argon2id$v=19$m=19456,t=2,p=1$"));
            assert!(compare(Some(renewed), secret("old")).await.expect("looked").renewed.is_none());
            let wrong = compare(Some(kept), secret("new")).await.expect("looked");
            assert!(!wrong.right && wrong.renewed.is_none());
        }
        for broken in [
            "",
            "{}",
            "{\"argon2id\":\"$argon2id$v=19$m=99999999,t=2,p=1$MTIzNDU2Nzg5MDEyMzQ1Ng$MTIzNDU2Nzg5MDEyMzQ1Ng\"}",
            "{\"bcrypt\":\"x\"}",
        ] {
            assert!(matches!(compare(Some(secret(broken)), secret("x")).await, Err(NotLooked::Unusable(_))), "{broken}");
        }
    }
}
