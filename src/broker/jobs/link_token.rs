//! What proves, for a minute, that somebody may download an export.

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::Sealer;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Seconds.
const VALID: i64 = 60;

const PURPOSE: &[u8] = b"export link";

/// `job id.expiry.proof`, for an address.
pub fn export_link_token(sealer: &Sealer, job_id: &str, now: Timestamp) -> Result<String> {
    let expiry = now.plus_seconds(VALID).seconds().to_string();
    let proof = sealer.mac(&[PURPOSE, job_id.as_bytes(), expiry.as_bytes()])?;
    Ok(format!("{job_id}.{expiry}.{}", URL_SAFE_NO_PAD.encode(proof)))
}

/// The job whose file may be downloaded.
///
/// # Errors
/// [`ErrorKind::InvalidToken`].
pub fn verify_export_link(sealer: &Sealer, token: &str, now: Timestamp) -> Result<String> {
    let refused = || Error::new(ErrorKind::InvalidToken, "The link has expired, or is none of ours.");
    let mut parts = token.split('.');
    let (Some(job_id), Some(expiry), Some(proof), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(refused());
    };
    let proof = URL_SAFE_NO_PAD.decode(proof).map_err(|_| refused())?;
    let expected = sealer.mac(&[PURPOSE, job_id.as_bytes(), expiry.as_bytes()])?;
    if !id::eq_constant_time(&proof, &expected) {
        return Err(refused());
    }
    let expiry: i64 = expiry.parse().map_err(|_| refused())?;
    if now.seconds() >= expiry {
        return Err(refused());
    }
    Ok(job_id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn details_e_a_link_is_valid_for_sixty_seconds_and_for_its_job() {
        let sealer = Sealer::new(&Secret::new(vec![7; 32])).expect("a sealer");
        let now = Timestamp::from_seconds(1_800_000_000);
        let token = export_link_token(&sealer, "job_a", now).expect("a token");
        let check = |token: &str, seconds: i64| verify_export_link(&sealer, token, now.plus_seconds(seconds));
        assert_eq!(check(&token, 0).expect("valid"), "job_a");
        assert_eq!(check(&token, 59).expect("valid"), "job_a");
        assert_eq!(check(&token, 60).expect_err("over").kind, ErrorKind::InvalidToken);
        let later = token.replace(".18000000", ".19000000");
        assert_ne!(later, token);
        let (_, proof) = token.rsplit_once('.').expect("a proof");
        for forged in
            [token.replace("job_a", "job_b"), later, token.replace(proof, ""), format!("{token}x"), format!("{token}.x"), String::new()]
        {
            assert_eq!(check(&forged, 0).expect_err("forged").kind, ErrorKind::InvalidToken, "{forged}");
        }
        let other = Sealer::new(&Secret::new(vec![8; 32])).expect("a sealer");
        assert!(verify_export_link(&other, &token, now).is_err());
    }
}
