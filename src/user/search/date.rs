//! Dates in a query: `2017`, `2017-12`, `2017-12-31`, and with a time of day, down to the millisecond.
//!
//! Each is the span of time that it names, which is what makes `[2017-11 TO 2017-12]` two whole months.

use time::{Date, Duration, Month, PrimitiveDateTime, Time, UtcOffset};

const MILLIS_OF_A_DAY: i64 = 86_400_000;

/// From the first millisecond of what a text names to the first one after it. Without an offset it is UTC.
/// `None` when the text is no date.
pub(super) fn span(text: &str) -> Option<(i64, i64)> {
    let (date, rest) = text.split_once('T').map_or((text, None), |(date, rest)| (date, Some(rest)));
    let mut parts = date.split('-');
    let year: i32 = number(parts.next()?, 4)?;
    let month = parts.next().map(|text| number::<u8>(text, 2)).map_or(Some(None), |month| month.map(Some))?;
    let day = parts.next().map(|text| number::<u8>(text, 2)).map_or(Some(None), |day| day.map(Some))?;
    if parts.next().is_some() || (rest.is_some() && day.is_none()) {
        return None;
    }
    let first = Date::from_calendar_date(year, Month::try_from(month.unwrap_or(1)).ok()?, day.unwrap_or(1)).ok()?;
    let begin = PrimitiveDateTime::new(first, Time::MIDNIGHT);
    if let Some(rest) = rest {
        return time_of_day(begin, rest);
    }
    let last = match (month, day) {
        (_, Some(_)) => first,
        (Some(_), None) => first.replace_day(first.month().length(year)).ok()?,
        (None, None) => Date::from_calendar_date(year, Month::December, 31).ok()?,
    };
    let last = millis(PrimitiveDateTime::new(last, Time::MIDNIGHT), UtcOffset::UTC)?;
    Some((millis(begin, UtcOffset::UTC)?, last + MILLIS_OF_A_DAY))
}

fn time_of_day(day: PrimitiveDateTime, text: &str) -> Option<(i64, i64)> {
    let at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (clock, zone) = text.split_at_checked(at)?;
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let mut parts = clock.split(':');
    let hour: u8 = number(parts.next()?, 2)?;
    let minute = parts.next().map(|text| number::<u8>(text, 2)).map_or(Some(None), |part| part.map(Some))?;
    let second = parts.next().map(|text| number::<u8>(text, 2)).map_or(Some(None), |part| part.map(Some))?;
    if parts.next().is_some() || (fraction.is_some() && second.is_none()) {
        return None;
    }
    let milli: Option<u16> = match fraction {
        None => None,
        Some(digits) if (1..=3).contains(&digits.len()) => {
            Some(number::<u16>(digits, digits.len())? * 10_u16.pow(3 - u32::try_from(digits.len()).ok()?))
        }
        Some(_) => return None,
    };
    let begin = day.replace_time(Time::from_hms_milli(hour, minute.unwrap_or(0), second.unwrap_or(0), milli.unwrap_or(0)).ok()?);
    let length = match (minute, second, milli) {
        (None, ..) => Duration::HOUR,
        (_, None, _) => Duration::MINUTE,
        (_, _, None) => Duration::SECOND,
        _ => Duration::MILLISECOND,
    };
    let offset = offset(zone)?;
    let begin = millis(begin, offset)?;
    Some((begin, begin.checked_add(i64::try_from(length.whole_milliseconds()).ok()?)?))
}

fn offset(zone: &str) -> Option<UtcOffset> {
    if zone.is_empty() || zone == "Z" {
        return Some(UtcOffset::UTC);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let hours = number::<i8>(hours, 2).filter(|hours| *hours < 24)?;
    UtcOffset::from_hms(sign * hours, sign * number::<i8>(minutes, 2)?, 0).ok()
}

fn millis(moment: PrimitiveDateTime, offset: UtcOffset) -> Option<i64> {
    i64::try_from(moment.assume_offset(offset).unix_timestamp_nanos() / 1_000_000).ok()
}

/// So many digits, and nothing else.
fn number<T: std::str::FromStr>(text: &str, digits: usize) -> Option<T> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}
