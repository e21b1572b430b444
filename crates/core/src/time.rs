//! Time is an argument: nothing here reads a clock.
use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

const DAY_MS: i64 = 86_400_000;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years start in March here, so that the leap day is the last one.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a day counted since 1970-01-01: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * mp + 2) / 5 + 1)
}

impl UnixMillis {
    /// Reads `YYYY-MM-DDTHH:MM:SS[.fff]Z` (RFC 3339 with `Z` only); a date alone means its first instant.
    #[must_use]
    pub fn parse(text: &str) -> Option<UnixMillis> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, time.strip_suffix('Z')?),
            None => (text, "00:00:00"),
        };
        let [year, month, day] = parts(date, '-', [4, 2, 2])?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [hour, minute, second] = parts(time, ':', [2, 2, 2])?;
        if fraction.len() > 9 {
            return None;
        }
        // Looked at before it is cut: what is no digit may be longer than a byte.
        digits(fraction)?;
        let millis = digits(&format!("{fraction:0<3}")[..3])?;
        Some(UnixMillis::of((year, month, day), (hour, minute, second))?.plus_ms(millis))
    }

    /// The instant of a date and a time of day, if there is such a date and such a time.
    fn of(
        (year, month, day): (i64, i64, i64),
        (hour, minute, second): (i64, i64, i64),
    ) -> Option<UnixMillis> {
        let days = days_from_civil(year, month, day);
        if civil_from_days(days) != (year, month, day) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        Some(UnixMillis(days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000))
    }

    /// As a `Date` field has it: `Sun, 30 Aug 2015 12:36:00 GMT` (RFC 9110 5.6.7).
    #[must_use]
    pub fn http_date(self) -> String {
        let days = self.0.div_euclid(DAY_MS);
        let (year, month, day) = civil_from_days(days);
        let s = self.0.rem_euclid(DAY_MS) / 1000;
        let (weekday, month) = (WEEKDAYS[days.rem_euclid(7) as usize], MONTHS[(month - 1) as usize]);
        format!("{weekday}, {day:02} {month} {year:04} {:02}:{:02}:{:02} GMT", s / 3600, s / 60 % 60, s % 60)
    }

    /// Reads what [`UnixMillis::http_date`] writes. The day of the week has to be one, not the right one.
    #[must_use]
    pub fn parse_http_date(text: &str) -> Option<UnixMillis> {
        if text.len() != 29 || !text.is_ascii() {
            return None;
        }
        let marks = [(3, ", "), (7, " "), (11, " "), (16, " "), (19, ":"), (22, ":"), (25, " GMT")];
        if marks.iter().any(|(at, mark)| !text[*at..].starts_with(mark)) || !WEEKDAYS.contains(&&text[..3]) {
            return None;
        }
        let number = |from: usize, to: usize| digits(&text[from..to]);
        let month = MONTHS.iter().position(|m| *m == &text[8..11])? as i64 + 1;
        let date = (number(12, 16)?, month, number(5, 7)?);
        UnixMillis::of(date, (number(17, 19)?, number(20, 22)?, number(23, 25)?))
    }

    /// `YYYYMMDDTHHMMSSZ` (ISO 8601, basic form).
    #[must_use]
    pub fn iso_basic(self) -> String {
        match self.iso_basic_bytes() {
            Some(text) => text.map(char::from).iter().collect(),
            None => {
                let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_MS));
                let s = self.0.rem_euclid(DAY_MS) / 1000;
                format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", s / 3600, s / 60 % 60, s % 60)
            }
        }
    }

    /// The same without an allocation; `None` where the year has more than four digits. It is written twice for each
    /// signed request, and formatting costs more than hashing.
    #[must_use]
    pub(crate) fn iso_basic_bytes(self) -> Option<[u8; 16]> {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_MS));
        if !(0..=9999).contains(&year) {
            return None;
        }
        let s = self.0.rem_euclid(DAY_MS) / 1000;
        let mut out = *b"YYYYMMDDTHHMMSSZ";
        let places = [0, 2, 4, 6, 9, 11, 13];
        let pairs = [year / 100, year % 100, month, day, s / 3600, s / 60 % 60, s % 60];
        for (at, pair) in places.into_iter().zip(pairs) {
            out[at] = b'0' + (pair / 10 % 10) as u8;
            out[at + 1] = b'0' + (pair % 10) as u8;
        }
        Some(out)
    }

    /// Reads what [`UnixMillis::iso_basic`] writes.
    #[must_use]
    pub fn parse_iso_basic(text: &str) -> Option<UnixMillis> {
        if text.len() != 16 || !text.is_ascii() {
            return None;
        }
        let number = |from: usize, to: usize| digits(&text[from..to]);
        if &text[8..9] != "T" || &text[15..] != "Z" {
            return None;
        }
        let date = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
        UnixMillis::of(date, (number(9, 11)?, number(11, 13)?, number(13, 15)?))
    }

    /// This instant and so many milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> UnixMillis {
        UnixMillis(self.0.saturating_add(ms))
    }
}

/// Three numbers, each with as many digits as it has to have.
fn parts(text: &str, mark: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut pieces = text.split(mark);
    let mut next = |width: usize| digits(pieces.next().filter(|piece| piece.len() == width)?);
    let [a, b, c] = widths;
    let all = [next(a)?, next(b)?, next(c)?];
    pieces.next().is_none().then_some(all)
}

fn digits(s: &str) -> Option<i64> {
    if s.is_empty() || s.len() > 9 {
        return None;
    }
    s.bytes().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ` (RFC 3339).
impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for text in [
            "1970-01-01T00:00:00.000Z",
            "2024-02-29T23:59:59.999Z",
            "2026-11-21T18:32:11.075Z",
            "2100-03-01T00:00:00.000Z",
        ] {
            assert_eq!(UnixMillis::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(UnixMillis::parse("2015-08-30T12:36:00Z"), Some(UnixMillis(1_440_938_160_000)));
        assert_eq!(UnixMillis(1_440_938_160_999).http_date(), "Sun, 30 Aug 2015 12:36:00 GMT");
        assert_eq!(UnixMillis(0).http_date(), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(UnixMillis::parse("2026-12-31"), UnixMillis::parse("2026-12-31T00:00:00Z"));
        for bad in [
            "",
            "2026",
            "2026-02-29",
            "2026-13-01",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+01:00",
            "26-01-01",
            "202026-1-1",
            "2026-001-1",
            "2026-01-01T0:000:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.12\u{e9}Z",
            "2026-01-01T00:00:00:00Z",
            "2026-01-01-01",
            "",
        ] {
            assert_eq!(UnixMillis::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_more_forms_there_and_back() {
        for (ms, basic, http) in [
            (1_440_938_160_000, "20150830T123600Z", "Sun, 30 Aug 2015 12:36:00 GMT"),
            (0, "19700101T000000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_399_000, "20000228T235959Z", "Mon, 28 Feb 2000 23:59:59 GMT"),
        ] {
            let at = UnixMillis(ms);
            assert_eq!((at.iso_basic().as_str(), at.http_date().as_str()), (basic, http));
            assert_eq!(UnixMillis::parse_iso_basic(basic), Some(at));
            assert_eq!(UnixMillis::parse_http_date(http), Some(at));
        }
        for bad in [
            "",
            "20150830T123600",
            "20150830t123600Z",
            "20150830T123600z",
            "2015083\u{e9}T12360Z",
            "20150830T126000Z",
            "20150230T123600Z",
            "+0150830T123600Z",
            "2015-08-30T12:36:00Z",
        ] {
            assert_eq!(UnixMillis::parse_iso_basic(bad), None, "{bad}");
        }
        for bad in [
            "",
            "Sun, 30 Aug 2015 12:36:00",
            "Sun, 30 Aug 2015 12:36:00 UTC",
            "Sun, 30 Aug 2015 12:36:00 GMT ",
            "sun, 30 Aug 2015 12:36:00 GMT",
            "Sun, 30 aug 2015 12:36:00 GMT",
            "Sun,  30 Aug 2015 12:36:0 GMT",
            "Sun, 3 Aug 2015 12:36:00 GMT",
            "Sun, 31 Feb 2015 12:36:00 GMT",
            "Sunday, 30-Aug-15 12:36:00 GMT",
            "Sun Aug 30 12:36:00 2015",
            "Xyz, 30 Aug 2015 12:36:00 GMT",
        ] {
            assert_eq!(UnixMillis::parse_http_date(bad), None, "{bad}");
        }
    }
}
