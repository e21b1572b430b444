//! What every event begins with: an instant, and the request's id.
use doorward_core::time::UnixMillis;

/// The id of a request: 32 hexadecimal digits.
#[derive(Clone, Copy)]
pub(crate) struct RequestId(pub(crate) [u8; 32]);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An instant as text: `2026-11-21T20:00:00.000Z`.
#[derive(Clone, Copy)]
pub(crate) struct Stamp([u8; Stamp::BYTES]);

impl Stamp {
    const BYTES: usize = "2026-11-21T20:00:00.000Z".len();
    const MS_AT: usize = "2026-11-21T20:00:00.".len();

    #[cold]
    pub(crate) fn of(at: UnixMillis) -> Stamp {
        // Any other length is a year beyond 9999.
        Stamp(at.to_string().as_bytes().try_into().unwrap_or(*b"9999-12-31T23:59:59.999Z"))
    }

    pub(crate) fn set_ms(&mut self, ms: i64) {
        let digit = |n: i64| b'0' + (n % 10) as u8;
        self.0[Stamp::MS_AT..Stamp::MS_AT + 3].copy_from_slice(&[digit(ms / 100), digit(ms / 10), digit(ms)]);
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits and signs are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_the_instant_with_its_milliseconds() {
        for ms in [0, 7, 45, 999] {
            let mut stamp = Stamp::of(UnixMillis(1_795_291_200_000));
            stamp.set_ms(ms);
            assert_eq!(stamp.as_str(), UnixMillis(1_795_291_200_000 + ms).to_string());
        }
        assert_eq!(Stamp::of(UnixMillis(i64::MAX)).as_str(), "9999-12-31T23:59:59.999Z");
    }
}
