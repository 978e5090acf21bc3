//! Dates of birth: the form of OpenID Connect Core 5.1, and the numbers that other models split it into.
//!
//! The stored form is `YYYY-MM-DD`, `0000-MM-DD` where the year is not told, or `YYYY` alone. A date whose order of day
//! and month would have to be guessed is none.

use std::fmt;
use time::{Date, Month};

/// A date of birth of which a part may be untold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birthdate {
    Full { year: u16, month: u8, day: u8 },
    WithoutYear { month: u8, day: u8 },
    YearOnly(u16),
}

impl Birthdate {
    /// Reads the stored form, and the forms that are surely the same date: `19660412` (schacDateOfBirth), a time zone
    /// after the date (`xs:date`), midnight after the date.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.len() {
            4 => Self::from_parts(None, None, Some(digits(text)?)),
            8 => Self::of_texts(text.get(..4)?, text.get(4..6)?, text.get(6..)?),
            _ => {
                let (date, rest) = text.split_at_checked(10)?;
                if !says_no_more(rest) || date.get(4..5) != Some("-") || date.get(7..8) != Some("-") {
                    return None;
                }
                Self::of_texts(date.get(..4)?, date.get(5..7)?, date.get(8..)?)
            }
        }
    }

    /// From numbers. A day needs its month; a month without a day has no form, and only its year is kept. `None` when
    /// nothing is left, or when there is no such day.
    pub fn from_parts(day: Option<u32>, month: Option<u32>, year: Option<u32>) -> Option<Self> {
        let year = match year {
            Some(year) => Some(u16::try_from(year).ok().filter(|year| (1..=9999).contains(year))?),
            None => None,
        };
        let (Some(day), Some(month)) = (day, month) else {
            return if day.is_some() { None } else { year.map(Self::YearOnly) };
        };
        let (day, month) = (u8::try_from(day).ok()?, u8::try_from(month).ok()?);
        // Without a year, 29 February is a day: 2000 had it.
        Date::from_calendar_date(i32::from(year.unwrap_or(2000)), Month::try_from(month).ok()?, day).ok()?;
        Some(year.map_or(Self::WithoutYear { month, day }, |year| Self::Full { year, month, day }))
    }

    pub fn day(self) -> Option<u8> {
        match self {
            Self::Full { day, .. } | Self::WithoutYear { day, .. } => Some(day),
            Self::YearOnly(_) => None,
        }
    }

    pub fn month(self) -> Option<u8> {
        match self {
            Self::Full { month, .. } | Self::WithoutYear { month, .. } => Some(month),
            Self::YearOnly(_) => None,
        }
    }

    pub fn year(self) -> Option<u16> {
        match self {
            Self::Full { year, .. } | Self::YearOnly(year) => Some(year),
            Self::WithoutYear { .. } => None,
        }
    }

    fn of_texts(year: &str, month: &str, day: &str) -> Option<Self> {
        let year = digits(year)?;
        Self::from_parts(Some(digits(day)?), Some(digits(month)?), Some(year).filter(|year| *year != 0))
    }
}

impl fmt::Display for Birthdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { year, month, day } => write!(f, "{year:04}-{month:02}-{day:02}"),
            Self::WithoutYear { month, day } => write!(f, "0000-{month:02}-{day:02}"),
            Self::YearOnly(year) => write!(f, "{year:04}"),
        }
    }
}

fn digits(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Whether what follows the date is midnight, a zone, or nothing.
fn says_no_more(rest: &str) -> bool {
    let zone = rest.strip_prefix("T00:00:00").map_or(rest, |rest| rest.trim_start_matches(".000"));
    let offset = |zone: &str| zone.len() == 6 && zone.starts_with(['+', '-']) && zone.get(3..4) == Some(":");
    zone.is_empty() || zone == "Z" || offset(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(text: &str) -> Option<String> {
        Birthdate::parse(text).map(|date| date.to_string())
    }

    #[test]
    fn s2_14_forms_that_are_the_same_date_are_read() {
        for (text, form) in [
            ("1966-04-12", "1966-04-12"),
            ("0000-04-12", "0000-04-12"),
            ("0000-02-29", "0000-02-29"),
            ("1966", "1966"),
            ("19660412", "1966-04-12"),
            ("1966-04-12Z", "1966-04-12"),
            ("1966-04-12+01:00", "1966-04-12"),
            ("1966-04-12T00:00:00Z", "1966-04-12"),
            ("1966-04-12T00:00:00.000Z", "1966-04-12"),
        ] {
            assert_eq!(stored(text).as_deref(), Some(form), "{text}");
        }
    }

    #[test]
    fn s2_14_what_is_no_date_or_ambiguous_is_none() {
        for text in [
            "",
            "0000",
            "66",
            "04/05/1966",
            "12.04.1966",
            "1966-13-01",
            "1966-02-29",
            "1966-04-31",
            "1966-00-00",
            "19661301",
            "+966",
            "1966-4-12",
            "1966-04-1é",
            "1966-04-12T23:00:00Z",
            "1966-04-12 and more",
            "１９６６",
            "+1966-04-12",
        ] {
            assert_eq!(stored(text), None, "{text}");
        }
    }
}
