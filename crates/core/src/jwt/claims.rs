//! What a token claims (RFC 7519 4).
use super::json::{Json, Object};
use super::{JwtFault, Part};

/// The last second that a time may name: the end of the year 9999.
pub const LAST_SECOND: i64 = 253_402_300_799;

/// The claims of a token.
#[derive(Debug)]
pub struct Claims<'a>(Object<'a>);

impl<'a> Claims<'a> {
    /// Reads claims. `exp`, `nbf` and `iat` are times wherever they stand, asked for or not.
    ///
    /// # Errors
    /// [`JwtFault::Json`], or [`JwtFault::Member`] for a time that is none.
    pub fn parse(payload: &'a [u8]) -> Result<Claims<'a>, JwtFault> {
        let claims = Claims(Object::read(payload).ok_or(JwtFault::Json(Part::Payload))?);
        for name in ["exp", "nbf", "iat"] {
            claims.seconds(name)?;
        }
        Ok(claims)
    }

    /// Whether there is a claim of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.has(name)
    }

    /// The text that is claimed under a name.
    ///
    /// # Errors
    /// [`JwtFault::Member`] for anything but text.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, JwtFault> {
        self.0.text(name).map_err(JwtFault::Member)
    }

    /// The time that is claimed under a name, in seconds since 1970: a whole number from 0 to [`LAST_SECOND`].
    ///
    /// # Errors
    /// [`JwtFault::Member`] for anything else: text, fractions, what is negative or too large.
    pub fn seconds(&self, name: &'static str) -> Result<Option<i64>, JwtFault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Whole(n)) if (0..=LAST_SECOND).contains(n) => Ok(Some(*n)),
            Some(_) => Err(JwtFault::Member(name)),
        }
    }

    /// For whom the token is: one text, or a list of them. `None` where it does not say.
    ///
    /// # Errors
    /// [`JwtFault::Member`] for anything else.
    pub fn audience(&self) -> Result<Option<Vec<&str>>, JwtFault> {
        match self.0.get("aud") {
            None => Ok(None),
            Some(Json::Text(one)) => Ok(Some(vec![one])),
            Some(other) => other.texts().map(Some).ok_or(JwtFault::Member("aud")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S7519-1
    #[test]
    fn times_are_whole_numbers_of_this_age() {
        for name in ["exp", "nbf", "iat"] {
            for bad in [
                "\"1700000000\"",
                "1700000000.0",
                "1.5",
                "-1",
                "-0",
                "1e9",
                "null",
                "[]",
                "[1]",
                "{}",
                "true",
                "\"\"",
                "253402300800",
                "9223372036854775808",
                "\"NaN\"",
            ] {
                let text = format!("{{\"{name}\":{bad}}}");
                assert_eq!(Claims::parse(text.as_bytes()).err(), Some(JwtFault::Member(name)), "{text}");
            }
            for bad in ["1e400", "NaN", "Infinity", "0x10", "-"] {
                let text = format!("{{\"{name}\":{bad}}}");
                assert_eq!(
                    Claims::parse(text.as_bytes()).err(),
                    Some(JwtFault::Json(Part::Payload)),
                    "{text}"
                );
            }
            for good in [0, 1_795_285_931, LAST_SECOND] {
                let text = format!("{{\"{name}\":{good}}}");
                assert_eq!(Claims::parse(text.as_bytes()).unwrap().seconds(name), Ok(Some(good)));
            }
        }
        assert_eq!(Claims::parse(b"{}").unwrap().seconds("exp"), Ok(None));
    }

    #[test]
    fn an_audience_is_one_text_or_a_list_of_them() {
        let read = |aud: &str| {
            let text = format!("{{\"aud\":{aud}}}");
            let claims = Claims::parse(text.as_bytes()).unwrap();
            claims.audience().map(|a| a.map(|a| a.join("|")))
        };
        assert_eq!(read("\"a\""), Ok(Some("a".to_owned())));
        assert_eq!(read("[\"a\",\"b\"]"), Ok(Some("a|b".to_owned())));
        assert_eq!(read("[]"), Ok(Some(String::new())));
        for bad in ["1", "null", "[1]", "[\"a\",null]", "{\"a\":1}", "[[\"a\"]]"] {
            assert_eq!(read(bad), Err(JwtFault::Member("aud")), "{bad}");
        }
        assert_eq!(Claims::parse(b"{}").unwrap().audience(), Ok(None));
    }
}
