//! One request over a connection of its own: probes ask so.
use super::FRAME_BYTES;
use super::bridge::Bridge;
use super::client::reserve;
use super::frame::Code;
use super::state::{Role, Shared, State};
use crate::wire::{self, Head, Lines};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// The status of the answer to a request without a body, which is written as HTTP/1.1.
pub(crate) async fn status<S>(io: &mut S, secure: bool, request: &[u8]) -> io::Result<u16>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = wire::Limits::default();
    let shared: Shared = Rc::new(RefCell::new(State::new(Role::Client { secure }, limits)));
    let mut stream = reserve(&shared);
    stream.write_all(request).await?;
    let (mut came, mut answer) = (Vec::new(), Vec::new());
    let mut room = vec![0; FRAME_BYTES];
    loop {
        let out = std::mem::take(&mut shared.borrow_mut().out);
        io.write_all(&out).await?;
        io.flush().await?;
        let n = io.read(&mut room).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        came.extend_from_slice(&room[..n]);
        let fed = shared.borrow_mut().feed(&came).map_err(|fatal| io::Error::other(fatal.1))?;
        came.drain(..fed.used);
        take(&mut stream, &mut room, &mut answer)?;
        if let Some(status) = final_status(&mut answer, &limits)? {
            drop(stream);
            // It may be gone already, and has answered.
            shared.borrow_mut().end(Code::NoError);
            let out = std::mem::take(&mut shared.borrow_mut().out);
            let _ = io.write_all(&out).await;
            return Ok(status);
        }
    }
}

/// Takes what there is of the answer.
fn take(stream: &mut Bridge, room: &mut [u8], answer: &mut Vec<u8>) -> io::Result<()> {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let mut buf = ReadBuf::new(room);
        match Pin::new(&mut *stream).poll_read(&mut cx, &mut buf) {
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => answer.extend_from_slice(buf.filled()),
            Poll::Ready(Err(error)) => return Err(error),
            _ => return Ok(()),
        }
    }
}

fn final_status(answer: &mut Vec<u8>, limits: &wire::Limits) -> io::Result<Option<u16>> {
    let bad = |reject: wire::Reject| io::Error::other(reject.detail());
    let mut head = Head::default();
    while let Some(end) = Lines::default().scan(answer, limits).map_err(bad)? {
        wire::response(&answer[..end], false, limits, &mut head).map_err(bad)?;
        if head.status >= 200 {
            return Ok(Some(head.status));
        }
        answer.drain(..end);
    }
    Ok(None)
}
