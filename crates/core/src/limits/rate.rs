//! A limit as operators write it.
use std::fmt;
use std::str::FromStr;

/// The most requests in a time.
pub const MAX_REQUESTS: u32 = 1_000_000;
/// The longest time that a limit may be about, in seconds: 31 days.
pub const MAX_PER_S: u32 = 2_678_400;
/// The most requests at once.
pub const MAX_BURST: u32 = 1_000_000;

/// How a limit is written on a command line.
const FORM: &str = "write requests/seconds, as in 600/60, or requests/seconds/burst, as in 600/60/100";

/// So many requests in so many seconds, evenly; and at most so many at once after a pause that was long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    requests: u32,
    per_s: u32,
    burst: u32,
}

fn within(number: u32, most: u32, what: &str) -> Result<u32, String> {
    if (1..=most).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{what} of a limit is {number}; it is a whole number from 1 to {most}"))
    }
}

impl Rate {
    /// The limit with these numbers.
    ///
    /// # Errors
    /// One of them is out of its range: a sentence for an operator.
    pub fn new(requests: u32, per_s: u32, burst: u32) -> Result<Rate, String> {
        Ok(Rate {
            requests: within(requests, MAX_REQUESTS, "the number of requests")?,
            per_s: within(per_s, MAX_PER_S, "the time in seconds")?,
            burst: within(burst, MAX_BURST, "the number of requests at once")?,
        })
    }

    /// Reads `requests/seconds`, which has as many at once, or `requests/seconds/at once`.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn parse(text: &str) -> Result<Rate, String> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            part.parse().ok().filter(|_| digits)
        };
        let parts: Option<Vec<u32>> = text.split('/').map(number).collect();
        match parts.as_deref() {
            Some([requests, per_s]) => Rate::new(*requests, *per_s, *requests),
            Some([requests, per_s, burst]) => Rate::new(*requests, *per_s, *burst),
            _ => Err(format!("`{text}` is not a limit; {FORM}")),
        }
    }

    /// How many requests.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// In how many seconds.
    #[must_use]
    pub fn per_s(&self) -> u32 {
        self.per_s
    }

    /// How many at once, after a pause.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// Whether it lets through less than another: in the long run, or at once where that is the same.
    #[must_use]
    pub fn is_tighter_than(&self, other: &Rate) -> bool {
        let own = u64::from(self.requests) * u64::from(other.per_s);
        let others = u64::from(other.requests) * u64::from(self.per_s);
        (own, self.burst) < (others, other.burst)
    }
}

/// `requests/per_s/burst`, as [`Rate::parse`] reads it.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.requests, self.per_s, self.burst)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        Rate::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_it_is_written() {
        let rate: Rate = "600/60".parse().unwrap();
        assert_eq!((rate.requests(), rate.per_s(), rate.burst()), (600, 60, 600));
        assert_eq!("600/60/100".parse::<Rate>().unwrap().to_string(), "600/60/100");
        assert_eq!(Rate::new(1, 1, 1).unwrap().to_string(), "1/1/1");
        assert_eq!(Rate::new(1_000_000, 2_678_400, 1_000_000).unwrap().burst(), MAX_BURST);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for (text, why) in [
            ("", "is not a limit"),
            ("600", "is not a limit"),
            ("600/60/1/1", "is not a limit"),
            ("600/", "is not a limit"),
            ("-1/60", "is not a limit"),
            ("+1/60", "is not a limit"),
            (" 1/60", "is not a limit"),
            ("1e3/60", "is not a limit"),
            ("99999999999999999999/60", "is not a limit"),
            ("0/60", "the number of requests of a limit is 0"),
            ("1000001/60", "from 1 to 1000000"),
            ("1/0", "the time in seconds of a limit is 0"),
            ("1/2678401", "from 1 to 2678400"),
            ("1/1/0", "at once of a limit is 0"),
            ("1/1/1000001", "at once of a limit is 1000001"),
        ] {
            let told = text.parse::<Rate>().unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn the_tighter_one_lets_less_through() {
        let rate = |text: &str| text.parse::<Rate>().unwrap();
        assert!(rate("1/60").is_tighter_than(&rate("1/1")));
        assert!(rate("60/60/1").is_tighter_than(&rate("1/1/2")));
        assert!(!rate("60/60/1").is_tighter_than(&rate("1/1/1")));
        assert!(rate("999999/2678400").is_tighter_than(&rate("1000000/2678400")));
    }
}
