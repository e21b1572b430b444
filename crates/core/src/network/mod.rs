//! Where callers are: addresses, networks, and lists of networks.
//!
//! IPv4 in IPv6 (`::ffff:192.0.2.7`) is IPv4 everywhere. Other addresses that carry an IPv4 address (6to4, NAT64, Teredo)
//! are what they are: whoever comes from one has not shown to have that IPv4 address.
mod list;
mod parse;

pub use list::Networks;
use std::fmt;
use std::net::IpAddr;

/// Reads one address: four decimal numbers without leading zeros (RFC 6943 3.1.1), or IPv6 (RFC 4291 2.2) without brackets
/// and zone. IPv4 in IPv6 comes out as IPv4. `None` for everything else, also for IPv4-compatible addresses written with
/// dots (`::192.0.2.7`, RFC 4291 2.5.5.1), which some take for the IPv4 address.
#[must_use]
pub fn address(text: &str) -> Option<IpAddr> {
    match text.parse().ok()? {
        IpAddr::V6(six) if six.to_ipv4_mapped().is_none() && text.starts_with("::") && text.contains('.') => {
            // With other groups before the dots it is an IPv6 address like any other.
            (six.to_bits() >> 32 != 0).then_some(IpAddr::V6(six))
        }
        read => Some(read.to_canonical()),
    }
}

/// An address or a range of addresses that share a prefix (CIDR, RFC 4632 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    /// Bits beyond the prefix are 0; never IPv4 in IPv6.
    first: IpAddr,
    /// Bits: up to 32 or 128.
    prefix: u8,
}

impl Network {
    /// The network of an address; bits beyond the prefix are masked. `None` where the prefix is longer than the address,
    /// or holds more than the IPv4 addresses of IPv6.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Network> {
        let (address, prefix) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), four @ IpAddr::V4(_)) => (four, prefix.checked_sub(MAPPED_BITS)?),
            (_, same) => (same, prefix),
        };
        let beyond = u32::from(bits(address)).checked_sub(prefix.into())?;
        let first = match address {
            IpAddr::V4(four) => {
                let mask = u32::MAX.checked_shl(beyond).unwrap_or(0);
                IpAddr::V4((four.to_bits() & mask).into())
            }
            IpAddr::V6(six) => {
                let mask = u128::MAX.checked_shl(beyond).unwrap_or(0);
                IpAddr::V6((six.to_bits() & mask).into())
            }
        };
        Some(Network { first, prefix })
    }

    /// Reads `192.0.2.7`, `10.0.0.0/8` or `2001:db8::/32`. Bits beyond the prefix say nothing: `192.168.0.3/24` is
    /// `192.168.0.0/24`. IPv4 in IPv6 is read as IPv4, with its prefix.
    ///
    /// # Errors
    /// A sentence for whoever wrote it.
    pub fn parse(text: &str) -> Result<Network, String> {
        parse::network(text)
    }

    /// Whether an address is in it. IPv4 in IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && (self.first()..=self.last()).contains(&address)
    }

    /// Its first address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// Its last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        match self.first {
            IpAddr::V4(four) => {
                IpAddr::V4((four.to_bits() | u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0)).into())
            }
            IpAddr::V6(six) => {
                IpAddr::V6((six.to_bits() | u128::MAX.checked_shr(self.prefix.into()).unwrap_or(0)).into())
            }
        }
    }

    /// The length of its prefix, in bits; 32 or 128 for one address.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }
}

/// Bits of the prefix that all of IPv4 has in IPv6 (RFC 4291 2.5.5.2).
const MAPPED_BITS: u8 = 96;

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Network {
        let first = address.to_canonical();
        Network { first, prefix: bits(first) }
    }
}

/// As it is read; one address stands alone.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix == bits(self.first) {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}/{}", self.first, self.prefix),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({self})")
    }
}
