//! Takes connections and hands them to the cores in turn: more even than letting the kernel spread them.
use crate::clock::Slot;
use crate::h2;
use crate::input::Input;
use crate::io::Stream;
use crate::pool::Network;
use crate::serve::{plain, serve, serve_either, turn_away};
use crate::settings::Settings;
use crate::tls::HTTP2;
use crate::worker::Worker;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Connections that the kernel keeps until they are taken.
const BACKLOG: i32 = 4096;
/// Connections beyond the limit that are told so at a time; further ones are just closed.
const TURNED_AWAY: usize = 256;
/// After a failed accept (out of file descriptors, mostly) the acceptor waits so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection that was taken, on its way to a core.
pub(crate) struct Taken {
    socket: TcpStream,
    from: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    /// There is no room for it: it is only told so.
    overloaded: bool,
    /// Counts as long as the connection lives, on its way as well.
    held: Held,
}

/// Opens a listening socket.
///
/// # Errors
/// The address can't be used.
pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Makes a blocked `accept` return.
pub(crate) fn stop(listener: &TcpListener) {
    let _ = SockRef::from(listener).shutdown(Shutdown::Both);
}

/// A place among the connections of this node.
struct Held(Arc<AtomicUsize>, usize);

impl Held {
    fn new(all: &Arc<AtomicUsize>) -> Held {
        Held(Arc::clone(all), all.fetch_add(1, Relaxed))
    }
    /// How many there were before this one.
    fn others(&self) -> usize {
        self.1
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What an acceptor shares with the others.
pub(crate) struct Acceptor {
    pub(crate) cores: Vec<UnboundedSender<Taken>>,
    /// Connections there are, on all cores and on their way to one.
    pub(crate) held: Arc<AtomicUsize>,
    pub(crate) next: AtomicUsize,
    /// Connections at a time.
    pub(crate) most: usize,
    pub(crate) overloaded: AtomicU64,
}

impl Acceptor {
    /// Takes connections until the listener is stopped.
    pub(crate) fn run(
        &self,
        listener: &TcpListener,
        tls: Option<&Arc<rustls::ServerConfig>>,
        stopped: impl Fn() -> bool,
    ) {
        let mut failing = false;
        loop {
            let taken = listener.accept();
            if stopped() {
                return;
            }
            match taken {
                Ok((socket, from)) => {
                    failing = false;
                    self.hand_over(socket, from, tls);
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "connections can't be taken until this is over");
                    }
                    failing = true;
                    std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
    }

    fn hand_over(&self, socket: TcpStream, from: SocketAddr, tls: Option<&Arc<rustls::ServerConfig>>) {
        let held = Held::new(&self.held);
        let open = held.others();
        let overloaded = open >= self.most;
        if overloaded {
            self.overloaded.fetch_add(1, Relaxed);
            // Telling so takes a connection as well, and a handshake would take more than that.
            if tls.is_some() || open >= self.most + TURNED_AWAY {
                return;
            }
        }
        if socket.set_nonblocking(true).is_err() {
            return;
        }
        // Small answers must not wait for an acknowledgement.
        let _ = socket.set_nodelay(true);
        let core = self.next.fetch_add(1, Relaxed) % self.cores.len();
        // A core only goes away when the node stops.
        let _ = self.cores[core].send(Taken { socket, from, tls: tls.cloned(), overloaded, held });
    }
}

/// Serves one connection on the core it was handed to.
pub(crate) async fn begin(worker: Rc<Worker<Network>>, taken: Taken) {
    let Ok(tcp) = tokio::net::TcpStream::from_std(taken.socket) else { return };
    let settings: &Settings = &worker.settings;
    let at = plain(taken.from.ip(), taken.tls.is_some(), settings.plain_http);
    let _open = (worker.stats.opened(), taken.held);
    if taken.overloaded {
        return turn_away(worker, Stream::Plain(tcp), at).await;
    }
    let Some(config) = taken.tls else {
        let plain = Stream::Plain(tcp);
        return if settings.plain_http2 {
            serve_either(worker, plain, at).await
        } else {
            serve(worker, plain, at).await
        };
    };
    let slot: Rc<Slot> = worker.clock.slot();
    slot.set(worker.clock.after(settings.timeouts.tls_handshake_ms));
    let mut shaking = std::pin::pin!(tokio_rustls::TlsAcceptor::from(config).accept(tcp));
    let shaken = poll_fn(|cx| match shaking.as_mut().poll(cx) {
        Poll::Pending => slot.pending(cx, &worker.clock),
        ready => ready,
    })
    .await;
    drop(slot);
    match shaken {
        Ok(tls) => {
            let http2 = tls.get_ref().1.alpn_protocol() == Some(HTTP2);
            let (worker, io) = (Rc::clone(&worker), Stream::Tls(Box::new(tls.into())));
            if http2 {
                h2::serve(worker, io, Input::default(), at).await;
            } else {
                serve(worker, io, at).await;
            }
        }
        Err(error) => tracing::debug!(client = %at.socket, %error, "a TLS handshake failed"),
    }
}
