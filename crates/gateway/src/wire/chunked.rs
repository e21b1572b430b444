//! A chunked body, taken apart (RFC 9112 7.1).
use super::{Limits, Reject, trailers};
use memchr::memchr;
use std::ops::Range;

/// A size has at most so many digits ...
const MAX_SIZE_DIGITS: u8 = 16;

/// ... and is less than this, so that adding sizes up can't overflow.
const TOO_LARGE: u64 = 1 << 56;

/// Bytes of chunk extensions in one body. They are read and dropped, so that each is work for nothing.
const MAX_EXTENSION_BYTES: u16 = 16 * 1024 - 1;

/// Decodes one chunked body over any number of reads. Strict: lines end in CRLF, sizes are plain hexadecimal numbers,
/// extensions are bounded and dropped, trailers are bounded and kept apart.
#[derive(Clone, Debug)]
pub struct Chunked {
    /// What is left of the current chunk, or its size as far as it is read.
    left: u64,
    at: At,
    digits: u8,
    line_bytes: u16,
    extension_bytes: u16,
    max_line_bytes: u16,
    max_trailer_bytes: usize,
    /// The trailer section as received; empty where the body has none.
    section: Vec<u8>,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    /// The first line after the last chunk.
    Section,
    LastLineFeed,
    /// A trailer section that is not empty.
    Trailer,
    Done,
}

impl Default for Chunked {
    fn default() -> Chunked {
        Chunked::new(&Limits::default())
    }
}

impl Chunked {
    /// A decoder at the start of a body.
    #[must_use]
    pub fn new(limits: &Limits) -> Chunked {
        Chunked {
            left: 0,
            at: At::Size,
            digits: 0,
            line_bytes: 0,
            extension_bytes: 0,
            max_line_bytes: limits.chunk_line_bytes,
            max_trailer_bytes: limits.trailer_bytes,
            section: Vec::new(),
        }
    }

    /// Whether the body is complete.
    #[must_use]
    pub fn done(&self) -> bool {
        self.at == At::Done
    }

    /// Whether the next byte is one of the body, and not of its framing.
    #[must_use]
    pub fn in_data(&self) -> bool {
        self.at == At::Data
    }

    /// The trailer fields in the order received, once the body is complete. Nothing was left out yet: see
    /// [`trailer_may_travel`](super::trailer_may_travel).
    pub fn trailers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        trailers::fields(if self.done() { &self.section } else { &[] })
    }

    /// Takes bytes up to the end of the body and hands each piece of data to `data`, as a place in `bytes`. Returns
    /// how many bytes were taken: all of them, unless the body ended before.
    ///
    /// # Errors
    /// Anything but the strict form. The decoder is of no use then.
    pub fn feed(&mut self, bytes: &[u8], mut data: impl FnMut(Range<usize>)) -> Result<usize, Reject> {
        let mut at = 0;
        while at < bytes.len() {
            match self.at {
                At::Done => break,
                At::Data => {
                    let rest = bytes.len() - at;
                    let length = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
                    data(at..at + length);
                    at += length;
                    self.left -= length as u64;
                    if self.left == 0 {
                        self.at = At::DataReturn;
                    }
                }
                At::Trailer => at += self.trailer(&bytes[at..])?,
                _ => {
                    self.at = self.byte(bytes[at])?;
                    at += usize::from(self.at != At::Trailer);
                }
            }
        }
        Ok(at)
    }

    /// Where one byte of the framing leads. [`At::Trailer`] means that the byte itself is still to be taken.
    fn byte(&mut self, byte: u8) -> Result<At, Reject> {
        match (self.at, byte) {
            (At::Size | At::Extension | At::SizeLineFeed, _) => {
                self.line_bytes += 1;
                if self.line_bytes > self.max_line_bytes {
                    return Err(Reject::ChunkLineTooLong);
                }
                self.size_line(byte)
            }
            (At::DataReturn, b'\r') => Ok(At::DataLineFeed),
            (At::DataLineFeed, b'\n') => {
                (self.digits, self.line_bytes) = (0, 0);
                Ok(At::Size)
            }
            (At::DataReturn | At::DataLineFeed, _) => Err(Reject::ChunkEnd),
            (At::Section, b'\r') => Ok(At::LastLineFeed),
            (At::Section, b'\n') => Err(Reject::BareLineFeed),
            (At::Section, _) => Ok(At::Trailer),
            (At::LastLineFeed, b'\n') => Ok(At::Done),
            _ => Err(Reject::BareCarriageReturn),
        }
    }

    fn size_line(&mut self, byte: u8) -> Result<At, Reject> {
        match (self.at, byte) {
            (At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = match byte {
                    b'0'..=b'9' => byte - b'0',
                    _ => (byte | 0x20) - b'a' + 10,
                };
                self.digits += 1;
                self.left = self.left << 4 | u64::from(digit);
                if self.digits > MAX_SIZE_DIGITS || self.left >= TOO_LARGE {
                    return Err(Reject::ChunkTooLarge);
                }
                Ok(At::Size)
            }
            (At::Size, b';' | b'\r') if self.digits == 0 => Err(Reject::ChunkSize),
            (At::Size, b';') => Ok(At::Extension),
            (At::Size | At::Extension, b'\r') => Ok(At::SizeLineFeed),
            (At::Size | At::Extension, b'\n') => Err(Reject::BareLineFeed),
            (At::Size, _) => Err(Reject::ChunkSize),
            (At::Extension, b'\t' | b' '..=b'~') => {
                self.extension_bytes += 1;
                if self.extension_bytes > MAX_EXTENSION_BYTES {
                    return Err(Reject::ChunkExtensionsTooLong);
                }
                Ok(At::Extension)
            }
            (At::Extension, _) => Err(Reject::ChunkExtension),
            (At::SizeLineFeed, b'\n') if self.left == 0 => Ok(At::Section),
            (At::SizeLineFeed, b'\n') => Ok(At::Data),
            _ => Err(Reject::BareCarriageReturn),
        }
    }

    /// Takes at most one line of the trailer section; returns how many bytes that was.
    fn trailer(&mut self, bytes: &[u8]) -> Result<usize, Reject> {
        let line_end = memchr(b'\n', bytes);
        let taken = line_end.map_or(bytes.len(), |at| at + 1);
        if self.section.len() + taken > self.max_trailer_bytes {
            return Err(Reject::TrailerTooLarge);
        }
        self.section.extend_from_slice(&bytes[..taken]);
        if line_end.is_some() {
            if !self.section.ends_with(b"\r\n") {
                return Err(Reject::BareLineFeed);
            }
            if self.section.ends_with(b"\r\n\r\n") {
                trailers::check(&self.section)?;
                self.at = At::Done;
            }
        }
        Ok(taken)
    }
}

#[cfg(test)]
#[path = "chunked_tests.rs"]
mod tests;
