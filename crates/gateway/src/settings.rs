//! Settings of the process that the data plane obeys. Every limit and every time-out is here, with its unit.
use doorward_core::network::Networks;
use doorward_core::request::PlainHttp;
use doorward_core::token::cache;
use std::sync::Arc;

/// How long each phase may take, in milliseconds. The clock is coarse: up to 50 ms may come on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a request to the end of its head.
    pub head_ms: u64,
    /// Between two requests on one connection.
    pub idle_ms: u64,
    /// Between two pieces of a request's body.
    pub body_ms: u64,
    /// For connecting to an upstream, TLS included.
    pub connect_ms: u64,
    /// From the end of the request to the head of the upstream's answer.
    pub response_ms: u64,
    /// Between two pieces of the answer's body.
    pub response_body_ms: u64,
    /// Until the other side takes what it is sent.
    pub write_ms: u64,
    /// For a TLS handshake with a caller.
    pub tls_handshake_ms: u64,
    /// How long an idle upstream connection is kept. Shorter than what common servers keep (5 s), because a request
    /// that meets the upstream's closing can't be sent again.
    pub upstream_idle_ms: u64,
    /// How long a request waits for its turn where every address of its upstream has as many as it may have.
    pub upstream_wait_ms: u64,
    /// How long nothing may be said in a connection that has changed its protocol.
    pub upgraded_idle_ms: u64,
    /// How long requests in flight may go on once the node is asked to stop.
    pub drain_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            head_ms: 10_000,
            idle_ms: 60_000,
            body_ms: 30_000,
            connect_ms: 5_000,
            response_ms: 60_000,
            response_body_ms: 60_000,
            write_ms: 30_000,
            tls_handshake_ms: 10_000,
            upstream_idle_ms: 4_000,
            upstream_wait_ms: 500,
            upgraded_idle_ms: 300_000,
            drain_ms: 30_000,
        }
    }
}

/// How much of everything there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections from callers at a time, on this node.
    pub connections: usize,
    /// Connections from one caller's address at a time; proxies that are trusted may have more.
    pub connections_per_address: usize,
    /// Requests that are served at a time, on this node.
    pub requests: usize,
    /// How long a request may wait for its turn in a core's queue until requests are turned away, in milliseconds; 0: for
    /// as long as it takes.
    pub queue_ms: u64,
    /// Bytes of a head.
    pub head_bytes: usize,
    /// Fields of a head.
    pub fields: usize,
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// Interim answers (1xx) of an upstream to one request.
    pub interim_responses: usize,
    /// Bytes of a trailer section.
    pub trailer_bytes: usize,
    /// Bytes of a signed request's body: all of it waits for the proof.
    pub signed_body_bytes: u64,
    /// Bytes of bodies that wait at a time, for a proof or for an answer of this node's own, of one caller's address.
    pub signed_bodies_caller_bytes: u64,
    /// Bytes of bodies that wait at a time, on this node.
    pub signed_bodies_node_bytes: u64,
    /// Bytes of the body of a request that is answered here.
    pub local_body_bytes: u64,
    /// Bytes of a refused request's body that are read so that its connection can be kept.
    pub unread_body_bytes: u64,
    /// Bytes a second that a request's body has to reach on average, once `body_ms` are over.
    pub min_body_rate_bytes_per_s: u64,
    /// Bytes a second that the caller has to take of an answer that waits for it, once `write_ms` are over.
    pub min_answer_rate_bytes_per_s: u64,
    /// Idle connections kept for each upstream by each core.
    pub upstream_idle_connections: usize,
    /// Access tokens that each core remembers, once they are verified; see [`doorward_core::token::Cache`] for what they take.
    pub token_cache_entries: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 10_000,
            connections_per_address: 5_000,
            requests: 10_000,
            queue_ms: 5,
            head_bytes: 16_384,
            fields: 64,
            body_bytes: 10 * 1024 * 1024,
            interim_responses: 16,
            trailer_bytes: 4_096,
            signed_body_bytes: 1024 * 1024,
            signed_bodies_caller_bytes: 16 * 1024 * 1024,
            signed_bodies_node_bytes: 128 * 1024 * 1024,
            local_body_bytes: 65_536,
            unread_body_bytes: 65_536,
            min_body_rate_bytes_per_s: 240,
            min_answer_rate_bytes_per_s: 240,
            upstream_idle_connections: 256,
            token_cache_entries: cache::DEFAULT_ENTRIES,
        }
    }
}

/// Which header field of a trusted proxy names the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrustedHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies in front of this node. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    /// Their addresses.
    pub networks: Networks,
    /// Where they name the caller.
    pub header: TrustedHeader,
}

/// `Strict-Transport-Security` (RFC 6797), sent over TLS alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// Seconds.
    pub max_age_s: u64,
    /// Whether subdomains are included.
    pub include_subdomains: bool,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's name.
    pub name: String,
    /// Cores that serve; each has a runtime of its own.
    pub cores: usize,
    /// What is done with plain HTTP.
    pub plain_http: PlainHttp,
    /// Whether HTTP/2 is spoken over plain HTTP as well, with callers that begin with it.
    pub plain_http2: bool,
    /// The port that redirects to https name; `None`: 443.
    pub https_port: Option<u16>,
    /// HSTS, where it is on.
    pub hsts: Option<Hsts>,
    /// Proxies in front.
    pub trusted: Trusted,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// Limits.
    pub limits: Limits,
    /// Roots that certificates of https upstreams are checked against.
    pub upstream_roots: Arc<rustls::RootCertStore>,
}
