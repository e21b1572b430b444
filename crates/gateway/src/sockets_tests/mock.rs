//! A mock of a socket: a script of what comes from the other side, and a record of what was sent there.
use super::model::whole_requests;
use crate::io::Io;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What happens to what comes from the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// Nothing more comes, but the connection stays.
    Silence(usize),
    /// It ends.
    End(usize),
    /// It is reset.
    Reset(usize),
    /// Writing to it fails after so many bytes.
    Deaf(usize),
}

/// What comes from the other side, when, and what is done with what is sent there.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// Bytes, and how many whole requests must have been sent to the other side before they come.
    pub(super) says: Vec<(usize, Vec<u8>)>,
    /// Reads stop here for once.
    pub(super) splits: Vec<usize>,
    /// A write takes at most so many bytes; every other one is made to wait.
    pub(super) takes: usize,
    pub(super) trouble: Trouble,
    /// After everything was said, the connection ends.
    pub(super) ends: bool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) heard: Vec<u8>,
    pub(super) said: usize,
    pub(super) paused: Option<usize>,
    pub(super) stalled: bool,
    pub(super) waker: Option<Waker>,
    pub(super) aborted: bool,
    pub(super) shut: bool,
}

#[derive(Clone)]
pub(super) struct Mock {
    pub(super) script: Rc<Script>,
    pub(super) state: Rc<RefCell<State>>,
}

impl Mock {
    pub(super) fn new(script: Script) -> Mock {
        Mock { script: Rc::new(script), state: Rc::default() }
    }
}

impl Io for Mock {
    fn abort(&mut self) {
        self.state.borrow_mut().aborted = true;
    }
    fn tells_what_it_sent(&self) -> bool {
        true
    }
}

impl AsyncRead for Mock {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut s = self.state.borrow_mut();
        let heard =
            if self.script.says.iter().all(|(after, _)| *after == 0) { 0 } else { whole_requests(&s.heard) };
        let may = self.script.says.iter().take_while(|(after, _)| heard >= *after);
        let all: Vec<u8> = may.flat_map(|(_, b)| b.clone()).collect();
        let whole: usize = self.script.says.iter().map(|(_, b)| b.len()).sum();
        let (end, then) = match self.script.trouble {
            Trouble::Silence(at) => (at, None),
            Trouble::End(at) => (at, Some(Ok(()))),
            Trouble::Reset(at) => (at, Some(Err(io::ErrorKind::ConnectionReset.into()))),
            _ => (usize::MAX, None),
        };
        if s.said >= end {
            s.waker = Some(cx.waker().clone());
            return then.map_or(Poll::Pending, Poll::Ready);
        }
        let split =
            self.script.splits.iter().copied().find(|p| *p > s.said || *p == s.said && s.paused != Some(*p));
        if split == Some(s.said) {
            // Nothing there for now; the next time there is.
            s.paused = split;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let to = all.len().min(end).min(split.unwrap_or(usize::MAX)).min(s.said + buf.remaining());
        if to > s.said {
            buf.put_slice(&all[s.said..to]);
            s.said = to;
            return Poll::Ready(Ok(()));
        }
        if s.said == whole && self.script.ends {
            return Poll::Ready(Ok(()));
        }
        s.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Mock {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut s = self.state.borrow_mut();
        assert!(!s.shut, "nothing is written after the end");
        if self.script.takes < usize::MAX {
            s.stalled = !s.stalled;
            if s.stalled {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let mut n = buf.len().min(self.script.takes);
        if let Trouble::Deaf(at) = self.script.trouble {
            if s.heard.len() >= at {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            n = n.min(at - s.heard.len());
        }
        s.heard.extend_from_slice(&buf[..n]);
        if let Some(waker) = s.waker.take() {
            waker.wake();
        }
        Poll::Ready(Ok(n))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.borrow_mut().shut = true;
        Poll::Ready(Ok(()))
    }
}
