//! Takes connections and hands them to the cores in turn: more even than letting the kernel spread them.
use crate::clock::Slot;
use crate::h2;
use crate::input::Input;
use crate::io::Stream;
use crate::load::HANDSHAKE;
use crate::places::{Place, Places, no_descriptors};
use crate::pool::Network;
use crate::serve::{plain, serve, serve_either, turn_away};
use crate::settings::Settings;
use crate::tls::HTTP2;
use crate::worker::Worker;
#[cfg(target_os = "linux")]
use rustix::{
    io::retry_on_intr,
    net::{SocketFlags, acceptfrom_with},
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Connections that the kernel keeps until they are taken.
const BACKLOG: i32 = 4096;
/// What the kernel takes of an answer before its caller takes it, in bytes. Left to itself it takes megabytes, for each of
/// those who read slowly.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 64 * 1024;
/// After a failed accept (out of file descriptors, mostly) the acceptor waits so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection that was taken, on its way to a core.
pub(crate) struct Taken {
    socket: TcpStream,
    from: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    /// Taken as long as the connection lives, on its way as well.
    place: Place,
}

/// Opens a listening socket.
///
/// # Errors
/// The address can't be used.
pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    // Every connection that is accepted has both from here.
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
        socket.set_tcp_nodelay(true)?;
    }
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes a connection: it does not block, and small answers do not wait for an acknowledgement.
#[cfg(target_os = "linux")]
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, from) = retry_on_intr(|| acceptfrom_with(listener, flags))?;
    let from = from.and_then(|from| SocketAddr::try_from(from).ok());
    Ok((socket.into(), from.ok_or(io::ErrorKind::AddrNotAvailable)?))
}

#[cfg(not(target_os = "linux"))]
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, from) = listener.accept()?;
    socket.set_nonblocking(true)?;
    // A peer that is gone already shows when it is read from.
    let _ = socket.set_nodelay(true);
    Ok((socket, from))
}

/// Makes a blocked `accept` return.
pub(crate) fn stop(listener: &TcpListener) {
    let _ = SockRef::from(listener).shutdown(Shutdown::Both);
}

/// What an acceptor shares with the others.
pub(crate) struct Acceptor {
    pub(crate) cores: Vec<UnboundedSender<Taken>>,
    pub(crate) places: Arc<Places>,
    pub(crate) next: AtomicUsize,
    pub(crate) settings: Arc<Settings>,
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
            let taken = accept(listener);
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
                    if no_descriptors(&error) {
                        self.places.shortage();
                    }
                    std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
    }

    fn hand_over(&self, socket: TcpStream, from: SocketAddr, tls: Option<&Arc<rustls::ServerConfig>>) {
        let trusted = is_trusted(&self.settings, from);
        let Some(place) = self.places.take(from.ip(), trusted) else { return };
        // Telling so over TLS would take a handshake.
        if place.is_turned_away() && tls.is_some() {
            return;
        }
        let core = self.next.fetch_add(1, Relaxed) % self.cores.len();
        // A core only goes away when the node stops.
        let _ = self.cores[core].send(Taken { socket, from, tls: tls.cloned(), place });
    }
}

/// Whether a connection comes from a proxy that stands for many callers.
fn is_trusted(settings: &Settings, from: SocketAddr) -> bool {
    settings.trusted.networks.contains(from.ip().to_canonical())
}

/// Serves one connection on the core it was handed to.
pub(crate) async fn begin(worker: Rc<Worker<Network>>, taken: Taken) {
    let Ok(tcp) = tokio::net::TcpStream::from_std(taken.socket) else { return };
    let settings: &Settings = &worker.settings;
    let at = plain(taken.from.ip(), taken.tls.is_some(), settings.plain_http);
    let turned_away = taken.place.is_turned_away();
    let _open = (worker.stats.opened(), taken.place);
    if turned_away {
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
    // Nothing is made ready for a handshake that nobody begins.
    let begun = poll_fn(|cx| match tcp.poll_read_ready(cx) {
        Poll::Pending => slot.pending(cx, &worker.clock),
        ready => ready,
    });
    if begun.await.is_err() {
        return;
    }
    if !is_trusted(settings, taken.from) {
        if !worker.load.spend(at.socket, HANDSHAKE) {
            return;
        }
        worker.load.turn(at.socket).await;
    }
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
