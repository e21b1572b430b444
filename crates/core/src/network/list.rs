//! A list of networks that is looked up fast, however long it is.
use super::Network;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses are on a list. It does not change: whoever wants another one makes another one.
///
/// An empty list holds nobody. Networks that overlap or touch are one; the list remembers what it covers, and not how that
/// was written.
///
/// # Shape
/// Disjoint ranges in order, IPv4 and IPv6 apart. The firsts stand by themselves, so that a search goes through little
/// memory: 8 bytes a range of IPv4, 32 a range of IPv6.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Networks {
    four: Ranges<u32>,
    six: Ranges<u128>,
}

impl Networks {
    /// The list of some networks, in any order.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Networks {
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for network in networks {
            match (network.first(), network.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => four.push((first.to_bits(), last.to_bits())),
                (IpAddr::V6(first), IpAddr::V6(last)) => six.push((first.to_bits(), last.to_bits())),
                // The first and the last address of a network are of one family.
                _ => {}
            }
        }
        Networks {
            four: Ranges::merged(four, |last| last.checked_add(1)),
            six: Ranges::merged(six, |last| last.checked_add(1)),
        }
    }

    /// Whether an address is on the list. IPv4 in IPv6 counts as IPv4.
    #[inline]
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(four) => self.four.contains(four.to_bits()),
            IpAddr::V6(six) => self.six.contains(six.to_bits()),
        }
    }

    /// Whether nobody is on the list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.four.firsts.is_empty() && self.six.firsts.is_empty()
    }

    /// How many ranges there are, once what overlaps or touches is one.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.four.firsts.len() + self.six.firsts.len()
    }

    /// Whether all of IPv4, or all of IPv6, is on it.
    #[must_use]
    pub fn holds_a_whole_family(&self) -> bool {
        self.four.covers(0, u32::MAX) || self.six.covers(0, u128::MAX)
    }

    /// Whether some address is on both lists.
    #[must_use]
    pub fn overlaps(&self, other: &Networks) -> bool {
        self.four.iter().any(|(first, last)| other.four.touches(first, last))
            || self.six.iter().any(|(first, last)| other.six.touches(first, last))
    }

    /// Whether every address of this list is on the other one, too.
    #[must_use]
    pub fn is_within(&self, other: &Networks) -> bool {
        self.four.iter().all(|(first, last)| other.four.covers(first, last))
            && self.six.iter().all(|(first, last)| other.six.covers(first, last))
    }

    /// The fewest networks that hold the same addresses, IPv4 first, in order.
    pub fn iter(&self) -> impl Iterator<Item = Network> + '_ {
        let four = self.four.iter().flat_map(|(first, last)| {
            let address = |at: u128| IpAddr::V4(Ipv4Addr::from_bits(at as u32));
            Blocks::new(first.into(), last.into(), 32).map(move |(at, prefix)| (address(at), prefix))
        });
        let six = self.six.iter().flat_map(|(first, last)| {
            let address = |at: u128| IpAddr::V6(Ipv6Addr::from_bits(at));
            Blocks::new(first, last, 128).map(move |(at, prefix)| (address(at), prefix))
        });
        four.chain(six).map(|(first, prefix)| Network { first, prefix })
    }

    /// The same as text, as files and stores write it.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.iter().map(|network| network.to_string()).collect()
    }
}

/// Says how many there are: there may be very many.
impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Networks({} ranges)", self.ranges())
    }
}

/// Ranges of numbers in order, no two of which overlap or touch.
#[derive(Clone, PartialEq, Eq)]
struct Ranges<T> {
    firsts: Box<[T]>,
    /// The last number of each.
    lasts: Box<[T]>,
}

impl<T> Default for Ranges<T> {
    fn default() -> Ranges<T> {
        Ranges { firsts: Box::default(), lasts: Box::default() }
    }
}

impl<T: Copy + Ord> Ranges<T> {
    /// `next` is the number after another one, where there is one.
    fn merged(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Ranges<T> {
        ranges.sort_unstable();
        let (mut firsts, mut lasts): (Vec<T>, Vec<T>) = (Vec::new(), Vec::new());
        for (first, last) in ranges {
            match lasts.last_mut() {
                // Nothing comes after the greatest number, so whatever follows is inside.
                Some(before) if next(*before).is_none_or(|next| first <= next) => *before = last.max(*before),
                _ => {
                    firsts.push(first);
                    lasts.push(last);
                }
            }
        }
        Ranges { firsts: firsts.into(), lasts: lasts.into() }
    }

    #[inline]
    fn contains(&self, at: T) -> bool {
        self.covers(at, at)
    }

    /// Whether all of a range is in one of these.
    #[inline]
    fn covers(&self, first: T, last: T) -> bool {
        let after = self.firsts.partition_point(|other| *other <= first);
        after > 0 && last <= self.lasts[after - 1]
    }

    /// Whether some number of a range is in one of these.
    fn touches(&self, first: T, last: T) -> bool {
        let after = self.firsts.partition_point(|other| *other <= last);
        after > 0 && first <= self.lasts[after - 1]
    }

    fn iter(&self) -> impl Iterator<Item = (T, T)> + '_ {
        self.firsts.iter().copied().zip(self.lasts.iter().copied())
    }
}

/// The fewest blocks whose size is a power of two, and which start at a multiple of it, that make up a range.
struct Blocks {
    /// The first number that is left, and the last.
    left: Option<(u128, u128)>,
    bits: u8,
}

impl Blocks {
    fn new(first: u128, last: u128, bits: u8) -> Blocks {
        Blocks { left: Some((first, last)), bits }
    }
}

impl Iterator for Blocks {
    type Item = (u128, u8);

    /// Where the next block starts, and the length of its prefix.
    fn next(&mut self) -> Option<(u128, u8)> {
        let (first, last) = self.left?;
        // Powers of two: as large as where it starts allows, and as what is left allows.
        let aligned = first.trailing_zeros().min(self.bits.into());
        let fits = match (last - first).checked_add(1) {
            Some(size) => size.ilog2(),
            None => u128::BITS,
        };
        let power = aligned.min(fits);
        let end = first + 1u128.checked_shl(power).map_or(u128::MAX, |size| size - 1);
        self.left = (end < last).then(|| (end + 1, last));
        Some((first, self.bits - power as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_written_in_the_fewest_blocks() {
        let blocks = |first, last| Blocks::new(first, last, 8).collect::<Vec<_>>();
        assert_eq!(blocks(0, 255), [(0, 0)]);
        assert_eq!(blocks(1, 8), [(1, 8), (2, 7), (4, 6), (8, 8)]);
        assert_eq!(blocks(255, 255), [(255, 8)]);
        assert_eq!(Blocks::new(0, u128::MAX, 128).collect::<Vec<_>>(), [(0, 0)]);
        assert_eq!(Blocks::new(u128::MAX, u128::MAX, 128).collect::<Vec<_>>(), [(u128::MAX, 128)]);
    }
}
