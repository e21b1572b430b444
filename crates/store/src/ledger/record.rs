//! How the journal is written: segments, each a header and then records of one length. All numbers have the high byte
//! first, and everything carries a checksum.
use doorward_core::ports::{LedgerKey, Once, ShareId, Shares, Window};
use doorward_core::time::UnixMillis;

/// What a segment begins with; the last character is the number of the form.
const MAGIC: [u8; 8] = *b"dwledge1";
const SUM_BYTES: usize = 4;
/// The length of a name's digest.
pub(super) const DIGEST_BYTES: usize = 16;
/// The length of a header in bytes.
pub(super) const HEADER_BYTES: usize = 8 * 5 + 2 * DIGEST_BYTES + SUM_BYTES;
/// The length of a record in bytes.
pub(super) const RECORD_BYTES: usize = 16 + 8 + 8 + 8 + 4 + SUM_BYTES;

/// What a segment tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Its number: one more than that of the segment before.
    pub(super) number: u64,
    /// The first segment that was still needed when this one was begun.
    pub(super) first: u64,
    /// The fence at that time.
    pub(super) fence: UnixMillis,
    /// Under which turn of the lease it was begun.
    pub(super) turn: i64,
    /// Whose journal it is.
    pub(super) installation: [u8; DIGEST_BYTES],
    /// The start of the machine that it was begun after.
    pub(super) boot: [u8; DIGEST_BYTES],
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

impl Header {
    /// Its bytes, and what the checksums of its records begin with: so that no record counts in another segment.
    pub(super) fn bytes(&self) -> (Vec<u8>, u32) {
        let mut out = MAGIC.to_vec();
        for number in [self.number, self.first, self.fence.0.cast_unsigned(), self.turn.cast_unsigned()] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.installation);
        out.extend_from_slice(&self.boot);
        let sum = crc32fast::hash(&out);
        out.extend_from_slice(&sum.to_be_bytes());
        (out, sum)
    }

    /// Reads what [`Header::bytes`] made.
    pub(super) fn read(bytes: &[u8]) -> Option<(Header, u32)> {
        let (told, mut sum) = bytes.get(..HEADER_BYTES)?.split_at(HEADER_BYTES - SUM_BYTES);
        let sum = u32::from_be_bytes(take(&mut sum)?);
        let from = &mut &*told;
        if crc32fast::hash(told) != sum || take(from)? != MAGIC {
            return None;
        }
        let header = Header {
            number: u64::from_be_bytes(take(from)?),
            first: u64::from_be_bytes(take(from)?),
            fence: UnixMillis(i64::from_be_bytes(take(from)?)),
            turn: i64::from_be_bytes(take(from)?),
            installation: take(from)?,
            boot: take(from)?,
        };
        Some((header, sum))
    }
}

fn sum(seed: u32, bytes: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new_with_initial(seed);
    sum.update(bytes);
    sum.finalize()
}

/// Appends the record of a claim.
pub(super) fn write(once: &Once, seed: u32, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(once.key.bytes());
    out.extend_from_slice(&once.owner.workspace.0.to_be_bytes());
    out.extend_from_slice(&once.owner.credential.0.to_be_bytes());
    out.extend_from_slice(&once.window.date().0.to_be_bytes());
    out.extend_from_slice(&once.window.late_ms().to_be_bytes());
    let sum = sum(seed, &out[start..]);
    out.extend_from_slice(&sum.to_be_bytes());
}

/// Reads what [`write`] made. How early the request might have come does not matter any more.
pub(super) fn read(record: &[u8; RECORD_BYTES], seed: u32) -> Option<Once> {
    let (told, mut stated) = record.split_at(RECORD_BYTES - SUM_BYTES);
    if sum(seed, told) != u32::from_be_bytes(take(&mut stated)?) {
        return None;
    }
    let from = &mut &*told;
    Some(Once {
        key: LedgerKey::new(take(from)?),
        owner: Shares {
            workspace: ShareId(u64::from_be_bytes(take(from)?)),
            credential: ShareId(u64::from_be_bytes(take(from)?)),
        },
        window: Window::new(UnixMillis(i64::from_be_bytes(take(from)?)), 0, u32::from_be_bytes(take(from)?)),
    })
}
