//! Time. The only place that reads the system clock; everything else takes `now` as an argument.
//!
//! A [`Timestamp`] counts milliseconds since the Unix epoch, UTC. Its arithmetic saturates, so that a
//! date from a hostile message (year 262142 and the like) can be compared but never panics.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The current time. Read it once per request and pass it down.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now() -> Self {
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        Self(i64::try_from(now).unwrap_or(i64::MAX))
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down (a JWT NumericDate).
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment moved by `seconds` (negative: earlier), saturating.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// The time when what began at this one has taken so long.
    #[must_use]
    pub fn after(self, took: Duration) -> Self {
        Self::from_millis(self.millis().saturating_add(i64::try_from(took.as_millis()).unwrap_or(i64::MAX)))
    }

    /// `self - earlier` in whole seconds, saturating, rounded down.
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(1000)
    }

    /// Reads an `xs:dateTime` that carries a zone, as SAML Core 1.3.3 demands UTC; other offsets are converted.
    /// `None` when the text is no such date.
    pub fn parse(text: &str) -> Option<Self> {
        let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(date.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }
}

/// RFC 3339 in UTC with seconds (milliseconds where they are not zero): `2026-11-21T02:42:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .to_offset(UtcOffset::UTC);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            u8::from(date.month()),
            date.day(),
            date.hour(),
            date.minute(),
            date.second()
        )?;
        match date.millisecond() {
            0 => f.write_str("Z"),
            millis => write!(f, ".{millis:03}Z"),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_utc() {
        let date = Timestamp::parse("2026-11-21T02:42:00Z").expect("a date");
        assert_eq!(date.to_string(), "2026-11-21T02:42:00Z");
        assert_eq!(Timestamp::parse("2026-11-21T03:42:00.250+01:00").expect("a date").to_string(), "2026-11-21T02:42:00.250Z");
    }

    #[test]
    fn later_is_later_and_never_too_late() {
        let at = Timestamp::from_millis(1000);
        assert_eq!([at.after(Duration::ZERO), at.after(Duration::from_micros(1_500_900))], [at, Timestamp::from_millis(2500)]);
        assert_eq!(at.after(Duration::MAX), Timestamp::from_millis(i64::MAX));
    }

    #[test]
    fn a_date_without_zone_or_out_of_range_is_none() {
        for text in ["2026-11-21T02:42:00", "2026-11-21", "", "+262142-01-01T00:00:00Z", "x"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::from_millis(i64::MAX).plus_seconds(i64::MAX).millis(), i64::MAX);
        assert_eq!(Timestamp::from_millis(i64::MIN).plus_seconds(i64::MIN).millis(), i64::MIN);
    }
}
