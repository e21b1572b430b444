//! Where a head ends.
use super::{Limits, MAX_HEAD_BYTES, Reject, TOKEN};
use memchr::memchr_iter;

/// Finds the end of a head over any number of reads, looking for each line end only once.
///
/// Starts over by itself once an end was found; after a refusal or for another connection, start with a new one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    /// Bytes already looked at.
    seen: usize,
    /// Where the current line starts.
    line: usize,
}

impl Lines {
    /// Looks at what `buffer` holds beyond the last call. `buffer` starts at the head's first byte and only grows
    /// from call to call. Returns the length of the head with its last empty line, once all of it is there.
    ///
    /// # Errors
    /// A line that ends in LF alone, an empty line first, a first octet that begins no message, or a head longer
    /// than the limit.
    pub fn scan(&mut self, buffer: &[u8], limits: &Limits) -> Result<Option<usize>, Reject> {
        if self.seen == 0 {
            match buffer.first() {
                None => return Ok(None),
                Some(b'\r' | b'\n') => return Err(Reject::EmptyLineFirst),
                Some(first) if !TOKEN[usize::from(*first)] => return Err(Reject::NotHttp),
                Some(_) => {}
            }
        }
        let limit = limits.head_bytes.min(MAX_HEAD_BYTES);
        let within = &buffer[..buffer.len().min(limit)];
        let from = self.seen.min(within.len());
        for found in memchr_iter(b'\n', &within[from..]) {
            let at = from + found;
            if at == self.line || within[at - 1] != b'\r' {
                return Err(Reject::BareLineFeed);
            }
            if at - self.line == 1 {
                *self = Lines::default();
                return Ok(Some(at + 1));
            }
            self.line = at + 1;
        }
        self.seen = within.len();
        if buffer.len() >= limit { Err(Reject::HeadTooLarge) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";

    #[test]
    fn the_end_is_found_at_every_split() {
        let mut stream = HEAD.to_vec();
        stream.extend_from_slice(b"body\nwith\n\nline feeds");
        for first in 0..=stream.len() {
            let mut lines = Lines::default();
            let early = lines.scan(&stream[..first], &Limits::default());
            if first >= HEAD.len() {
                assert_eq!(early, Ok(Some(HEAD.len())));
            } else {
                assert_eq!(early, Ok(None), "{first}");
                assert_eq!(lines.scan(&stream, &Limits::default()), Ok(Some(HEAD.len())), "{first}");
            }
        }
        let mut lines = Lines::default();
        for n in 0..HEAD.len() {
            assert_eq!(lines.scan(&HEAD[..n], &Limits::default()), Ok(None));
        }
        assert_eq!(lines.scan(HEAD, &Limits::default()), Ok(Some(HEAD.len())));
        assert_eq!(lines.scan(HEAD, &Limits::default()), Ok(Some(HEAD.len())), "it starts over by itself");
    }

    #[test]
    fn s9112_3_bare_line_feeds_and_empty_lines_are_refused_at_every_split() {
        for (bytes, reject) in [
            (&b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..], Reject::BareLineFeed),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n", Reject::BareLineFeed),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n", Reject::BareLineFeed),
            (b"GET / HTTP/1.1\r\n\nHost: a\r\n\r\n", Reject::BareLineFeed),
            (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::EmptyLineFirst),
            (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::EmptyLineFirst),
            (b"\x16\x03\x01\x02\x00\x01", Reject::NotHttp),
            (b" GET / HTTP/1.1\r\n\r\n", Reject::NotHttp),
            (b"\x00", Reject::NotHttp),
        ] {
            for first in 0..bytes.len() {
                let mut lines = Lines::default();
                let early = lines.scan(&bytes[..first], &Limits::default());
                let late = early.and_then(|_| lines.scan(bytes, &Limits::default()));
                assert_eq!(late, Err(reject), "{} at {first}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn a_head_may_be_as_long_as_the_limit_and_no_longer() {
        let at = |head_bytes| Limits { head_bytes, ..Limits::default() };
        assert_eq!(Lines::default().scan(HEAD, &at(HEAD.len())), Ok(Some(HEAD.len())));
        assert_eq!(Lines::default().scan(HEAD, &at(HEAD.len() - 1)), Err(Reject::HeadTooLarge));
        assert_eq!(Lines::default().scan(&HEAD[..10], &at(10)), Err(Reject::HeadTooLarge));
        assert_eq!(Lines::default().scan(&HEAD[..9], &at(10)), Ok(None));
        let endless = vec![b'a'; MAX_HEAD_BYTES];
        assert_eq!(Lines::default().scan(&endless, &at(usize::MAX)), Err(Reject::HeadTooLarge));
    }
}
