//! What a request spends of the limits that hold for it.
use super::{Bucket, Level, Rate};
use crate::guessing::Network;
use smallvec::SmallVec;
use std::fmt;
use std::net::IpAddr;

/// The limits that one request can be under: its workspace's, its credential's, its address's.
pub const MAX_SPENDS: usize = 3;

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitName {
    /// All of a workspace at an API.
    Workspace,
    /// One credential's.
    Credential,
    /// One client address's at an API.
    Client,
}

impl LimitName {
    /// As header fields and events name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LimitName::Workspace => "workspace",
            LimitName::Credential => "credential",
            LimitName::Client => "client",
        }
    }
}

/// Names what is spent from. The same on every node; different for different limits.
#[derive(Clone, PartialEq, Eq)]
pub struct SpendKey {
    bytes: SmallVec<[u8; SHORT_BYTES]>,
    /// Up to here, it names all addresses of an API together.
    crowd: Option<u16>,
}

impl fmt::Debug for SpendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpendKey({})", self.bytes.escape_ascii())
    }
}

/// Names have no such byte.
const BETWEEN: u8 = 0;
/// Keys up to this length in bytes need no memory of their own.
const SHORT_BYTES: usize = 64;

impl SpendKey {
    fn new(kind: u8, parts: [&str; 2]) -> SpendKey {
        let [one, other] = parts.map(str::as_bytes);
        let (between, end) = (1 + one.len(), 1 + one.len() + 1 + other.len());
        // One is made for every limit of every request, and nearly all are short: what nothing is written to is `BETWEEN`.
        let mut short = [BETWEEN; SHORT_BYTES];
        let bytes = if end < SHORT_BYTES {
            short[0] = kind;
            short[1..between].copy_from_slice(one);
            short[between + 1..end].copy_from_slice(other);
            SmallVec::from_buf_and_len(short, end + 1)
        } else {
            [&[kind], one, &[BETWEEN], other, &[BETWEEN]].concat().into()
        };
        SpendKey { bytes, crowd: None }
    }

    /// All requests of a workspace to an API.
    #[must_use]
    pub fn workspace(workspace: &str, api: &str) -> SpendKey {
        SpendKey::new(b'w', [workspace, api])
    }

    /// All requests of a credential, or those to one API.
    #[must_use]
    pub fn credential(id: &str, api: Option<&str>) -> SpendKey {
        match api {
            Some(api) => SpendKey::new(b'c', [api, id]),
            None => SpendKey::new(b'o', ["", id]),
        }
    }

    /// All requests from an address to an API: of IPv6, from the 64 bits that are one customer's. Whoever has no address
    /// that is known is one with all others like that. Callers without a credential have no workspace.
    #[must_use]
    pub fn client(workspace: Option<&str>, api: &str, address: Option<IpAddr>) -> SpendKey {
        let mut key = SpendKey::new(b'a', [workspace.unwrap_or_default(), api]);
        key.crowd = u16::try_from(key.bytes.len()).ok();
        if let Some(address) = address {
            key.bytes.extend_from_slice(Network::of(address).as_bytes());
        }
        key
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where callers choose the key by where they call from: the bytes that stand for all of them together.
    #[must_use]
    pub fn crowd(&self) -> Option<&[u8]> {
        self.crowd.map(|at| &self.bytes[..usize::from(at)])
    }

    /// The key of all of them together, where there is one; otherwise its own.
    #[must_use]
    pub fn of_the_crowd(&self) -> SpendKey {
        SpendKey { bytes: self.crowd().unwrap_or(&self.bytes).into(), crowd: None }
    }
}

/// One request, to be spent of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// Whose limit it is.
    pub name: LimitName,
    /// What is spent from.
    pub key: SpendKey,
    /// How much there is.
    pub rate: Rate,
    /// Whether a request that does not fit is refused; otherwise that is only seen.
    pub enforced: bool,
}

/// All that a request spends.
pub type Spends = SmallVec<[Spend; MAX_SPENDS]>;

/// What is known of each limit, in the order of what was spent.
pub type Levels = SmallVec<[Level; MAX_SPENDS]>;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// What is known of each limit.
    pub levels: Levels,
    /// Whether only a share of the limits counted, since nodes could not be asked what they have let through.
    pub shared: bool,
}

impl Spent {
    /// Whether a limit that is enforced has no room.
    #[must_use]
    pub fn refused(&self, spends: &[Spend]) -> bool {
        spends.iter().zip(&self.levels).any(|(spend, level)| spend.enforced && !level.room)
    }
}

/// Spends a request of all its limits, or of none of those that are enforced together and of those that are observed
/// together: what one limit refuses takes nothing of another. Nothing at all is spent by a request that is refused.
pub fn settle(buckets: &mut [Bucket], spends: &[Spend], sharers: u32, now_ms: u64) -> Levels {
    let (mut through, mut unseen) = (true, true);
    for (spend, bucket) in spends.iter().zip(&*buckets) {
        let fits = bucket.fits(&spend.rate.pace(sharers), now_ms);
        *(if spend.enforced { &mut through } else { &mut unseen }) &= fits;
    }
    unseen &= through;
    let asked = spends.iter().zip(buckets);
    asked
        .map(|(spend, bucket)| {
            let through = if spend.enforced { through } else { unseen };
            bucket.take(&spend.rate.pace(sharers), now_ms, through)
        })
        .collect()
}
