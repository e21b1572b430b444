//! The tables of HPACK: the static one, and one that grows with what was sent (RFC 7541 2.3).
use std::collections::VecDeque;

/// RFC 7541 appendix A; indices start at 1.
#[rustfmt::skip]
pub(super) const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""), (b":method", b"GET"), (b":method", b"POST"), (b":path", b"/"),
    (b":path", b"/index.html"), (b":scheme", b"http"), (b":scheme", b"https"), (b":status", b"200"),
    (b":status", b"204"), (b":status", b"206"), (b":status", b"304"), (b":status", b"400"),
    (b":status", b"404"), (b":status", b"500"), (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"), (b"accept-language", b""), (b"accept-ranges", b""),
    (b"accept", b""), (b"access-control-allow-origin", b""), (b"age", b""), (b"allow", b""),
    (b"authorization", b""), (b"cache-control", b""), (b"content-disposition", b""),
    (b"content-encoding", b""), (b"content-language", b""), (b"content-length", b""),
    (b"content-location", b""), (b"content-range", b""), (b"content-type", b""), (b"cookie", b""),
    (b"date", b""), (b"etag", b""), (b"expect", b""), (b"expires", b""), (b"from", b""), (b"host", b""),
    (b"if-match", b""), (b"if-modified-since", b""), (b"if-none-match", b""), (b"if-range", b""),
    (b"if-unmodified-since", b""), (b"last-modified", b""), (b"link", b""), (b"location", b""),
    (b"max-forwards", b""), (b"proxy-authenticate", b""), (b"proxy-authorization", b""), (b"range", b""),
    (b"referer", b""), (b"refresh", b""), (b"retry-after", b""), (b"server", b""), (b"set-cookie", b""),
    (b"strict-transport-security", b""), (b"transfer-encoding", b""), (b"user-agent", b""), (b"vary", b""),
    (b"via", b""), (b"www-authenticate", b""),
];

/// What an entry takes besides its text, in bytes (RFC 7541 4.1).
const ENTRY_BYTES: usize = 32;

#[derive(Clone, Copy)]
struct Entry {
    /// Where it begins, counted from the first byte that ever was in the table.
    start: usize,
    name: usize,
    value: usize,
}

impl Entry {
    fn bytes(self) -> usize {
        self.name + self.value + ENTRY_BYTES
    }
}

/// The dynamic table. Its text stands in one buffer, the oldest first.
pub(super) struct Table {
    text: Vec<u8>,
    /// How many bytes were taken off the front of `text` so far.
    gone: usize,
    entries: VecDeque<Entry>,
    bytes: usize,
    /// As large as it may be now, as the other side says.
    most: usize,
    /// As large as the other side may make it.
    allowed: usize,
}

impl Table {
    pub(super) fn new(allowed: usize) -> Table {
        Table { text: Vec::new(), gone: 0, entries: VecDeque::new(), bytes: 0, most: allowed, allowed }
    }

    /// The other side sets its size; `false`: larger than allowed.
    #[must_use]
    pub(super) fn resize(&mut self, most: usize) -> bool {
        if most > self.allowed {
            return false;
        }
        self.most = most;
        self.evict(0);
        true
    }

    fn evict(&mut self, room: usize) {
        while self.bytes + room > self.most {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.bytes -= oldest.bytes();
        }
    }

    /// Adds an entry, which may leave no room for any.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let (name_bytes, value_bytes) = (name.len(), value.len());
        let room = name_bytes + value_bytes + ENTRY_BYTES;
        self.evict(room);
        if room > self.most {
            return;
        }
        if self.text.len() + room > 2 * self.allowed {
            let from = self.entries.back().map_or(self.text.len(), |oldest| oldest.start - self.gone);
            self.text.drain(..from);
            self.gone += from;
        }
        let start = self.gone + self.text.len();
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.entries.push_front(Entry { start, name: name_bytes, value: value_bytes });
        self.bytes += room;
    }

    /// The entry of an index into both tables.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        if let Some(entry) = STATIC.get(index.checked_sub(1)?) {
            return Some(*entry);
        }
        let entry = self.entries.get(index - STATIC.len() - 1)?;
        let name = entry.start - self.gone;
        let value = name + entry.name;
        Some((&self.text[name..value], &self.text[value..value + entry.value]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_leave_and_memory_stays_bounded() {
        let mut table = Table::new(128);
        for n in 0..10_000_u32 {
            table.insert(b"name", n.to_string().as_bytes());
            assert!(table.bytes <= 128 && table.text.len() <= 256);
            assert_eq!(table.get(62).unwrap().1, n.to_string().as_bytes());
        }
        assert_eq!(table.entries.len(), 3);
        assert_eq!(table.get(64).unwrap(), (&b"name"[..], &b"9997"[..]));
        assert!(table.get(65).is_none() && table.get(0).is_none());
        assert_eq!(table.get(61).unwrap().0, b"www-authenticate");
        assert!(table.resize(40) && !table.resize(129));
        assert_eq!(table.entries.len(), 1);
        table.insert(&[b'a'; 9], b"");
        assert_eq!(table.entries.len(), 0, "what does not fit empties it");
    }
}
