//! Bytes that were read from a connection and not yet used, and the buffers they stand in.
use crate::wire::{Limits, Lines, Reject};
use std::cell::RefCell;

/// The size of a buffer in bytes. Heads are at most as long as a buffer may become: see [`Input::make_room`].
pub(crate) const SMALL: usize = 16 * 1024;
/// The size of a buffer for large bodies, in bytes.
pub(crate) const LARGE: usize = 64 * 1024;
/// Buffers of each size that a core keeps.
const KEPT: usize = 256;

/// The buffers of a core: taken when something arrives, given back when all of it is used.
#[derive(Default)]
pub(crate) struct Buffers {
    small: RefCell<Vec<Vec<u8>>>,
    large: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    fn take(&self, large: bool) -> Vec<u8> {
        let (kept, size) = if large { (&self.large, LARGE) } else { (&self.small, SMALL) };
        kept.borrow_mut().pop().unwrap_or_else(|| vec![0; size])
    }

    fn give(&self, buffer: Vec<u8>) {
        let kept = match buffer.len() {
            SMALL => &self.small,
            LARGE => &self.large,
            _ => return,
        };
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}

/// What was read and not yet used: `buf[at..have]`. Without a buffer while there is nothing.
#[derive(Default)]
pub(crate) struct Input {
    buf: Vec<u8>,
    at: usize,
    have: usize,
    lines: Lines,
}

impl Input {
    /// What was not yet used.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf[self.at..self.have]
    }

    /// A place that was taken before, and not moved since.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.buf
    }

    /// The last `n` bytes that were used.
    pub(crate) fn before(&self, n: usize) -> &[u8] {
        &self.buf[self.at - n..self.at]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.have
    }

    /// Uses `n` bytes; where they stood in the buffer.
    pub(crate) fn consume(&mut self, n: usize) -> std::ops::Range<usize> {
        let from = self.at;
        self.at += n;
        from..self.at
    }

    /// Where a head ends that starts at the first unused byte.
    pub(crate) fn head_end(&mut self, limits: &Limits) -> Result<Option<usize>, Reject> {
        self.lines.scan(&self.buf[self.at..self.have], limits)
    }

    /// Forgets how far a head was looked for.
    pub(crate) fn restart_head(&mut self) {
        self.lines = Lines::default();
    }

    /// Makes room to read into, moving what is unused to the front. Nothing may point into the buffer any more.
    pub(crate) fn make_room(&mut self, buffers: &Buffers) {
        if self.buf.is_empty() {
            self.buf = buffers.take(false);
        }
        if self.at > 0 {
            self.buf.copy_within(self.at..self.have, 0);
            (self.at, self.have) = (0, self.have - self.at);
        }
        if self.have == self.buf.len() {
            // A head longer than a small buffer, where settings allow that.
            self.grow(buffers);
        }
    }

    /// For large bodies: a larger buffer.
    pub(crate) fn grow(&mut self, buffers: &Buffers) {
        if self.buf.len() < LARGE {
            let mut large = buffers.take(true);
            let n = self.have - self.at;
            large[..n].copy_from_slice(&self.buf[self.at..self.have]);
            buffers.give(std::mem::replace(&mut self.buf, large));
            (self.at, self.have) = (0, n);
        }
    }

    /// The place to read into; say how much was read with [`Input::filled`].
    pub(crate) fn space(&mut self) -> &mut [u8] {
        &mut self.buf[self.have..]
    }

    pub(crate) fn filled(&mut self, n: usize) {
        self.have += n;
    }

    /// Gives the buffer back where nothing is left in it.
    pub(crate) fn release(&mut self, buffers: &Buffers) {
        if self.is_empty() {
            buffers.give(std::mem::take(&mut self.buf));
            (self.at, self.have) = (0, 0);
            self.restart_head();
        }
    }

    /// Gives the buffer back with whatever is in it.
    pub(crate) fn discard(&mut self, buffers: &Buffers) {
        self.at = self.have;
        self.release(buffers);
    }
}
