//! Guessing a password is slow: after a few wrong ones each try has to wait longer, for one name from one network. Nobody
//! can keep a caller with the right password out from another network.
use crate::time::UnixMillis;
use std::fmt;
use std::net::IpAddr;

/// Failures are forgotten when so many milliseconds have gone by without another: an hour. Whoever waits for that gets
/// fewer tries than whoever takes the longest delays.
pub const FORGOTTEN_AFTER_MS: i64 = 60 * 60 * 1000;
/// Bytes under which the failures of one name from one network are kept.
pub const GUESS_KEY_BYTES: usize = 16;

/// How long tries have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// So many failures cost nothing.
    pub free: u32,
    /// The wait after the next one, in milliseconds. Each further one doubles it.
    pub first_ms: i64,
    /// No wait is longer, in milliseconds.
    pub longest_ms: i64,
}

impl Default for Delays {
    fn default() -> Delays {
        Delays { free: 5, first_ms: 1_000, longest_ms: 300_000 }
    }
}

impl Delays {
    /// The wait after so many failures, in milliseconds.
    #[must_use]
    pub fn after_ms(&self, failures: i64) -> i64 {
        match failures - i64::from(self.free) {
            ..=0 => 0,
            over => {
                let factor = u32::try_from(over - 1).ok().and_then(|n| 1_i64.checked_shl(n));
                let doubled = factor.filter(|f| *f > 0).and_then(|f| self.first_ms.checked_mul(f));
                doubled.unwrap_or(self.longest_ms).min(self.longest_ms)
            }
        }
    }

    /// The first instant of another try after so many failures, the last of them at `last_at`; `None`: now. A failure that
    /// a node with a fast clock noted counts as one of now.
    #[must_use]
    pub fn not_before(&self, failures: i64, last_at: UnixMillis, now: UnixMillis) -> Option<UnixMillis> {
        if last_at < now.plus_ms(-FORGOTTEN_AFTER_MS) {
            return None;
        }
        Some(last_at.min(now).plus_ms(self.after_ms(failures))).filter(|at| *at > now)
    }
}

/// Where tries come from: one IPv4 address, or the 64 bits of IPv6 that are one customer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// An address.
    V4([u8; 4]),
    /// The first half of an address.
    V6([u8; 8]),
}

impl Network {
    /// The network of a caller.
    #[must_use]
    pub fn of(peer: IpAddr) -> Network {
        match peer.to_canonical() {
            IpAddr::V4(peer) => Network::V4(peer.octets()),
            IpAddr::V6(peer) => {
                let mut half = [0; 8];
                half.copy_from_slice(&peer.octets()[..8]);
                Network::V6(half)
            }
        }
    }

    /// Its bytes; those of different networks differ.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Network::V4(bytes) => bytes,
            Network::V6(bytes) => bytes,
        }
    }
}

/// Under what the failures of one name from one network are kept: a keyed hash, which tells neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GuessKey(pub [u8; GUESS_KEY_BYTES]);

impl fmt::Display for GuessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_are_free_and_then_each_doubles_the_wait() {
        let told: Vec<i64> = (0..17).map(|n| Delays::default().after_ms(n)).collect();
        let s = 1_000;
        let wanted = [0, 0, 0, 0, 0, 0, s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 64 * s, 128 * s, 256 * s];
        assert_eq!((&told[..15], &told[15..]), (&wanted[..], &[300 * s, 300 * s][..]));
        for many in [68, 69, 70, 1_000, i64::MAX] {
            assert_eq!(Delays::default().after_ms(many), 300 * s);
        }
        let none = Delays { free: u32::MAX, ..Delays::default() };
        assert_eq!(none.after_ms(1_000_000), 0);
    }

    #[test]
    fn a_try_waits_and_is_forgiven() {
        let (delays, now) = (Delays::default(), UnixMillis(10_000_000));
        let at = |failures, ago: i64| delays.not_before(failures, now.plus_ms(-ago), now);
        assert_eq!((at(5, 0), at(6, 0)), (None, Some(now.plus_ms(1_000))));
        assert_eq!((at(6, 999), at(6, 1_000)), (Some(now.plus_ms(1)), None));
        assert_eq!(at(6, -5_000), Some(now.plus_ms(1_000)), "another node's clock is ahead");
        let slow = Delays { longest_ms: i64::MAX, ..delays };
        assert!(slow.not_before(60, now.plus_ms(-FORGOTTEN_AFTER_MS), now).is_some());
        assert_eq!(slow.not_before(60, now.plus_ms(-FORGOTTEN_AFTER_MS - 1), now), None);
    }

    #[test]
    fn a_network_is_what_one_customer_has() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("192.0.2.1").as_bytes(), [192, 0, 2, 1]);
    }
}
