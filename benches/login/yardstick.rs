//! What RSA costs on this machine at this moment.

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::{Signer, Verifier};
use std::time::Duration;

/// CPU milliseconds of the RSA operations that every login contains, in this process.
pub struct Yardstick {
    pub signature: f64,
    pub verification: f64,
}

impl Yardstick {
    pub fn measure() -> Result<Self, String> {
        let text = [b'x'; 600];
        let key = Rsa::generate(2048).and_then(PKey::from_rsa).map_err(|error| error.to_string())?;
        let sign = || Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(&text);
        let signature = sign().map_err(|error| error.to_string())?;
        let verify = || Verifier::new(MessageDigest::sha256(), &key)?.verify_oneshot(&signature, &text);
        let verification = cpu_milliseconds(5000, || verify().is_ok_and(|good| good))?;
        Ok(Self { signature: cpu_milliseconds(800, || sign().is_ok())?, verification })
    }
}

/// CPU time of one of `count` calls, in this thread.
fn cpu_milliseconds(count: u32, call: impl Fn() -> bool) -> Result<f64, String> {
    let nanoseconds = || -> Result<f64, String> {
        // The kernel counts at the end of a time slice only: give it one.
        std::thread::sleep(Duration::from_millis(1));
        let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").map_err(|error| error.to_string())?;
        schedstat.split(' ').next().and_then(|field| field.parse().ok()).ok_or_else(|| format!("unexpected schedstat: {schedstat}"))
    };
    let before = nanoseconds()?;
    if !(0..count).all(|_| call()) {
        return Err("an RSA operation failed".to_owned());
    }
    Ok((nanoseconds()? - before) / f64::from(count) / 1e6)
}
