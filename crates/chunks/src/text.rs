//! Instants as text: RFC 3339, as JSON carries them.

use crate::calendar::{civil, days_from_date, days_in_month};
use crate::{DAY, END_INSTANT, HOUR, MIN_INSTANT, MINUTE, Micros, SECOND};

/// Why a text is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("is not a time like 2026-01-31T12:00:00Z")]
    Syntax,
    #[error("has no offset from UTC, such as Z or +01:00")]
    NoOffset,
    #[error("names a day or an hour that does not exist")]
    NoSuchTime,
    #[error("is outside what a timestamp can hold")]
    OutOfRange,
}

/// An instant in UTC with as many digits of a second as it needs: `2026-01-31T12:00:00.5Z`.
pub fn format(instant: Micros) -> String {
    let c = civil(instant);
    let (year, era) = if c.year > 0 { (c.year, "") } else { (1 - c.year, " BC") };
    let (h, m, s) = (c.micros / HOUR, c.micros / MINUTE % 60, c.micros / SECOND % 60);
    let mut text = format!("{year:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}", c.month, c.day);
    let micros = c.micros % SECOND;
    if micros != 0 {
        text.push_str(format!(".{micros:06}").trim_end_matches('0'));
    }
    text + "Z" + era
}

/// Reads `YYYY-MM-DD`, `T` or a space, `HH:MM[:SS[.digits]]`, and `Z` or an offset (`+01`, `+01:00`,
/// `+0100`). RFC 3339 (section 5.6), with seconds optional and years of more than four digits
/// allowed. Beyond microseconds, digits are rounded. Second 60 is the next minute's first.
pub fn parse(text: &str) -> Result<Micros, TimeError> {
    let (text, bc) = match text.strip_suffix(" BC") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut rest = Cursor(text.as_bytes());
    let year = rest.digits(4, 6)?;
    let year = if bc { 1 - year } else { year };
    rest.expect(b"-")?;
    let month = rest.digits(2, 2)? as u32;
    rest.expect(b"-")?;
    let day = rest.digits(2, 2)? as u32;
    if rest.0.is_empty() {
        return Err(TimeError::NoOffset);
    }
    rest.expect(b"Tt ")?;
    let hour = rest.digits(2, 2)?;
    rest.expect(b":")?;
    let minute = rest.digits(2, 2)?;
    let mut second = 0;
    let mut micros = 0;
    if rest.take(b":") {
        second = rest.digits(2, 2)?;
        if rest.take(b".") {
            micros = rest.fraction()?;
        }
    }
    if day == 0 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 60 {
        return Err(TimeError::NoSuchTime);
    }
    let offset = rest.offset()?;
    let local = days_from_date(year, month, day) as i128 * i128::from(DAY)
        + i128::from(hour * HOUR + minute * MINUTE + second * SECOND + micros);
    let instant = local - i128::from(offset);
    if instant < i128::from(MIN_INSTANT) || instant >= i128::from(END_INSTANT) {
        return Err(TimeError::OutOfRange);
    }
    Ok(instant as Micros)
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take(&mut self, any_of: &[u8]) -> bool {
        match self.0.split_first() {
            Some((byte, rest)) if any_of.contains(byte) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, any_of: &[u8]) -> Result<(), TimeError> {
        if self.take(any_of) { Ok(()) } else { Err(TimeError::Syntax) }
    }

    fn digits(&mut self, min: usize, max: usize) -> Result<i64, TimeError> {
        let count = self.0.iter().take(max).take_while(|b| b.is_ascii_digit()).count();
        if count < min {
            return Err(TimeError::Syntax);
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(digits.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')))
    }

    /// Digits after the point, as microseconds.
    fn fraction(&mut self) -> Result<Micros, TimeError> {
        let count = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return Err(TimeError::Syntax);
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let mut micros = 0;
        for place in 0..6 {
            micros = micros * 10 + digits.get(place).map_or(0, |b| i64::from(b - b'0'));
        }
        Ok(micros + i64::from(digits.get(6).is_some_and(|b| *b >= b'5')))
    }

    /// What follows the time; nothing may follow it.
    fn offset(&mut self) -> Result<Micros, TimeError> {
        if self.0.is_empty() {
            return Err(TimeError::NoOffset);
        }
        if self.take(b"Zz") {
            return if self.0.is_empty() { Ok(0) } else { Err(TimeError::Syntax) };
        }
        let sign = match self.0.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(TimeError::Syntax),
        };
        self.0 = &self.0[1..];
        let hours = self.digits(2, 2)?;
        let mut minutes = 0;
        if !self.0.is_empty() {
            self.take(b":");
            minutes = self.digits(2, 2)?;
        }
        if !self.0.is_empty() {
            return Err(TimeError::Syntax);
        }
        if hours > 23 || minutes > 59 {
            return Err(TimeError::NoSuchTime);
        }
        Ok(sign * (hours * HOUR + minutes * MINUTE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_read() {
        let noon = days_from_date(2026, 1, 31) * DAY + 12 * HOUR;
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31 12:00:00+00",
            "2026-01-31t12:00z",
            "2026-01-31T13:00:00.000000+01:00",
            "2026-01-31T06:30:00.0000004-0530",
        ] {
            assert_eq!(parse(text), Ok(noon), "{text}");
        }
        assert_eq!(parse("2026-01-31T11:59:59.9999996Z"), Ok(noon));
        assert_eq!(parse("2026-01-31T11:59:60Z"), Ok(noon));
    }

    #[test]
    fn what_is_refused() {
        for (text, error) in [
            ("", TimeError::Syntax),
            ("1769860800", TimeError::Syntax),
            ("yesterday", TimeError::Syntax),
            ("2026-01-31", TimeError::NoOffset),
            ("2026-01-31T12:00:00", TimeError::NoOffset),
            ("2026-02-29T12:00:00Z", TimeError::NoSuchTime),
            ("2026-13-01T12:00:00Z", TimeError::NoSuchTime),
            ("2026-01-31T24:00:00Z", TimeError::NoSuchTime),
            ("2026-01-31T12:00:00Zulu", TimeError::Syntax),
            ("2026-01-31T12:00:00.Z", TimeError::Syntax),
            ("2026-01-31T12:00:00+25:00", TimeError::NoSuchTime),
            ("294277-01-01T00:00:00Z", TimeError::OutOfRange),
            ("5000-01-01T00:00:00Z BC", TimeError::OutOfRange),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(instant in MIN_INSTANT..END_INSTANT) {
            prop_assert_eq!(parse(&format(instant)), Ok(instant));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_near_miss_panics(text in "[0-9]{1,7}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:?[0-9.]{0,12}[Z+-]?[0-9:]{0,6}") {
            let _ = parse(&text);
        }
    }
}
