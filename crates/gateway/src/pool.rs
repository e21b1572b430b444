//! Connections to upstreams: how they are made, and what a core knows of those that it makes them to.
use crate::backend::{Backend, Group};
use crate::clock::TICK_MS;
use crate::condition::Conditions;
use crate::h2::Bridge;
use crate::io::{Io, Stream};
use crate::tls::HTTP2;
use doorward_core::policy::{Address, Upstream};
use hashbrown::HashMap;
use rustls::pki_types::ServerName;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Makes connections to upstreams.
pub(crate) trait Dial: 'static {
    /// What it makes.
    type Io: Io;
    /// Connects, to speak HTTP/2 or HTTP/1.1.
    fn connect(&self, upstream: &Address, http2: bool) -> impl Future<Output = io::Result<Self::Io>>;
    /// A stream of such a connection, as one of its own; `None` where there are none.
    fn bridged(_: Bridge) -> Option<Self::Io> {
        None
    }
}

/// By address, and whether it is spoken to in HTTP/2: connections are of one kind.
type Backends<I> = HashMap<(Arc<Address>, bool), Rc<Backend<I>>>;

/// The upstreams that one core knows. They are found by where the policy keeps them; what is known of an address outlives
/// the policy.
pub(crate) struct Pool<I> {
    groups: RefCell<HashMap<usize, Rc<Group<I>>>>,
    backends: RefCell<Backends<I>>,
    conditions: Arc<Conditions>,
    /// Idle connections that are kept to each address.
    pub(crate) most: usize,
    /// How long, in ticks.
    pub(crate) ticks: u32,
}

impl<I: Io> Pool<I> {
    pub(crate) fn new(most: usize, idle_ms: u64, conditions: Arc<Conditions>) -> Pool<I> {
        let ticks = u32::try_from(idle_ms / TICK_MS).unwrap_or(u32::MAX);
        Pool { groups: RefCell::default(), backends: RefCell::default(), conditions, most, ticks }
    }

    /// The addresses of an upstream.
    #[inline]
    pub(crate) fn group(&self, upstream: &Arc<Upstream>) -> Rc<Group<I>> {
        if let Some(known) = self.groups.borrow().get(&(Arc::as_ptr(upstream) as usize)) {
            return Rc::clone(known);
        }
        self.meet(upstream)
    }

    #[cold]
    fn meet(&self, upstream: &Arc<Upstream>) -> Rc<Group<I>> {
        let mut known = self.backends.borrow_mut();
        let backend = |address: &Arc<Address>| {
            let new = || Rc::new(Backend::new(Arc::clone(address), self.conditions.of(address)));
            Rc::clone(known.entry((Arc::clone(address), upstream.http2)).or_insert_with(new))
        };
        let backends = upstream.addresses.iter().map(backend).collect();
        let group = Rc::new(Group::new(Arc::clone(upstream), backends));
        self.groups.borrow_mut().insert(Arc::as_ptr(upstream) as usize, Rc::clone(&group));
        group
    }

    /// Lets everybody look who waits for a place.
    pub(crate) fn tick(&self) {
        self.groups.borrow().values().for_each(|group| group.wake_all());
    }

    /// Closes all that is idle.
    pub(crate) fn clear(&self) {
        self.backends.borrow().values().for_each(|backend| backend.clear());
    }

    /// Closes what was idle for too long, and forgets what no policy leads to any more.
    pub(crate) fn sweep(&self, now: u32) {
        self.groups.borrow_mut().retain(|_, group| group.is_used());
        self.backends.borrow_mut().retain(|_, backend| {
            backend.sweep(now, self.ticks);
            Rc::strong_count(backend) > 1
        });
    }

    /// How many idle connections there are.
    #[cfg(test)]
    pub(crate) fn idle(&self) -> usize {
        self.backends.borrow().values().map(|backend| backend.idle()).sum()
    }
}

/// Connects over TCP, with TLS where the upstream's address says https.
pub(crate) struct Network {
    pub(crate) tls: Arc<rustls::ClientConfig>,
    /// The same for HTTP/2.
    pub(crate) tls_http2: Arc<rustls::ClientConfig>,
    /// This node's own listeners: never an upstream.
    pub(crate) own: Vec<SocketAddr>,
    /// Which address of a name that has several is tried first: they take turns.
    pub(crate) turn: Cell<usize>,
}

impl Network {
    /// Addresses that an upstream's name must not lead to: this node itself, and what hands out a cloud machine's own
    /// secrets.
    fn forbidden(&self, addr: &SocketAddr) -> bool {
        let ip = addr.ip().to_canonical();
        let metadata = match ip {
            IpAddr::V4(v4) => v4.is_link_local() || v4 == Ipv4Addr::new(100, 100, 100, 200),
            IpAddr::V6(v6) => {
                v6.is_unicast_link_local() || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
            }
        };
        let own = |o: &SocketAddr| {
            let same_machine = o.ip().to_canonical() == ip || o.ip().is_unspecified() && ip.is_loopback();
            o.port() == addr.port() && (same_machine || ip.is_unspecified())
        };
        metadata || self.own.iter().any(own)
    }
}

impl Dial for Network {
    type Io = Stream;

    fn bridged(bridge: Bridge) -> Option<Stream> {
        Some(Stream::Bridged(bridge))
    }

    async fn connect(&self, upstream: &Address, http2: bool) -> io::Result<Stream> {
        let mut addrs: Vec<SocketAddr> = match upstream.host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, upstream.port)],
            Err(_) => tokio::net::lookup_host((upstream.host.as_str(), upstream.port)).await?.collect(),
        };
        if addrs.len() > 1 {
            let turn = self.turn.replace(self.turn.get().wrapping_add(1));
            let first = turn % addrs.len();
            addrs.rotate_left(first);
        }
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the upstream's name has no address");
        for addr in addrs {
            if self.forbidden(&addr) {
                last = io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "the upstream's address is this node's own or link-local",
                );
                continue;
            }
            match TcpStream::connect(addr).await {
                Ok(tcp) => return self.greet(tcp, upstream, http2).await,
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

impl Network {
    async fn greet(&self, tcp: TcpStream, upstream: &Address, http2: bool) -> io::Result<Stream> {
        tcp.set_nodelay(true)?;
        if !upstream.tls {
            return Ok(Stream::Plain(tcp));
        }
        let name = ServerName::try_from(upstream.host.clone()).map_err(io::Error::other)?;
        let config = if http2 { &self.tls_http2 } else { &self.tls };
        let tls = tokio_rustls::TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?;
        if http2 && tls.get_ref().1.alpn_protocol() != Some(HTTP2) {
            return Err(io::Error::other("the upstream does not speak HTTP/2"));
        }
        Ok(Stream::Tls(Box::new(tls.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_never_this_node_nor_a_metadata_service() {
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
        let n = Network {
            tls_http2: Arc::new(tls.clone()),
            tls: Arc::new(tls),
            own: vec!["127.0.0.1:80".parse().unwrap(), "0.0.0.0:81".parse().unwrap()],
            turn: Cell::new(0),
        };
        for yes in [
            "127.0.0.1:80",
            "[::ffff:127.0.0.1]:80",
            "127.0.0.1:81",
            "[::1]:81",
            "169.254.169.254:80",
            "[fd00:ec2::254]:80",
            "[fe80::1]:1",
        ] {
            assert!(n.forbidden(&yes.parse().unwrap()), "{yes}");
        }
        for no in ["127.0.0.1:82", "10.0.0.1:80", "[::1]:80"] {
            assert!(!n.forbidden(&no.parse().unwrap()), "{no}");
        }
    }
}
