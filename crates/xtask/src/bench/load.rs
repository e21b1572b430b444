//! Load: as much as a peer bears (wrk, and h2load for HTTP/2) and a fixed rate (h2load), with the same headers for all.

use super::peers::Peer;
use super::reports::{Seen, Wanted, read_h2load, read_wrk};
use super::start::{LARGE_BODY_BYTES, TLS_CONFIG};
use super::{signed, tokens};
use crate::Outcome;
use crate::cargo::output;
use std::fs;
use std::process::Command;

/// Connections to the peer, each with one request at a time.
pub(super) const CONNECTIONS: u64 = 64;

/// As many requests at a time over HTTP/2: connections, and what each has under way.
const HTTP2_CONNECTIONS: u64 = 16;
const HTTP2_STREAMS: u64 = CONNECTIONS / HTTP2_CONNECTIONS;

/// The fixed rate, requests a second over all connections.
const FIXED_RATE: u64 = 4_000;

/// Makes wrk send a body.
const UPLOAD: &str = "wrk.method = \"POST\"\nwrk.body = string.rep(\"b\", BYTES)\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    Saturation,
    /// A fixed rate as h2load gives it: all connections ask at the same moment, and again one period later.
    Fixed,
    /// The same rate, one request after the other.
    Even,
    /// As much as a peer bears over HTTP/2 without TLS.
    Http2,
    /// The same over TLS 1.3, in HTTP/1.1.
    Tls,
    /// The same over TLS 1.3, in HTTP/2.
    TlsHttp2,
    /// Answers of 64 KiB.
    Down,
    /// Requests with 64 KiB.
    Up,
    /// A connection for each request.
    Churn,
    /// The same over TLS, with a full handshake each.
    TlsChurn,
    /// As much as a peer bears of signed requests, each different.
    SignedGet,
    /// The same with a body of 4 KiB.
    SignedPost,
    /// As much as a peer bears of requests with one access token.
    Token,
    /// The same with tokens that the peer has not seen, or has forgotten.
    NewToken,
}

/// How a peer is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Plain,
    Http2,
    Tls,
    TlsHttp2,
}

/// What is seen of a run, and what must be kept in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// How long things take.
    Time,
    /// What is done, however long it takes.
    Count,
}

impl Load {
    pub(super) const ALL: [Load; 14] = [
        Load::Saturation,
        Load::Fixed,
        Load::Even,
        Load::Http2,
        Load::Tls,
        Load::TlsHttp2,
        Load::Down,
        Load::Up,
        Load::Churn,
        Load::TlsChurn,
        Load::SignedGet,
        Load::SignedPost,
        Load::Token,
        Load::NewToken,
    ];

    /// What stands in one table.
    pub(super) const GROUPS: [(&str, &[Load]); 4] = [
        ("Keys", &[Load::Saturation, Load::Fixed, Load::Even]),
        ("HTTP/2 and TLS", &[Load::Http2, Load::Tls, Load::TlsHttp2]),
        ("Bodies and connections", &[Load::Down, Load::Up, Load::Churn, Load::TlsChurn]),
        ("Signatures and tokens", &[Load::SignedGet, Load::SignedPost, Load::Token, Load::NewToken]),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Load::Saturation => "saturation",
            Load::Fixed => "4,000/s",
            Load::Even => "4,000/s even",
            Load::Http2 => "HTTP/2",
            Load::Tls => "TLS",
            Load::TlsHttp2 => "TLS HTTP/2",
            Load::Down => "64 KiB down",
            Load::Up => "64 KiB up",
            Load::Churn => "churn",
            Load::TlsChurn => "TLS churn",
            Load::SignedGet => "signed GET",
            Load::SignedPost => "signed POST",
            Load::Token => "token",
            Load::NewToken => "new token",
        }
    }

    pub(super) fn wire(self) -> Wire {
        match self {
            Load::Http2 => Wire::Http2,
            Load::Tls | Load::TlsChurn => Wire::Tls,
            Load::TlsHttp2 => Wire::TlsHttp2,
            _ => Wire::Plain,
        }
    }

    /// Loads a peer for so long. Any answer but 200 and any error of a connection fails the run.
    pub(super) fn apply(self, peer: &Peer, seconds: u64, aim: Aim) -> Outcome<Seen> {
        let broken = |e: std::io::Error| format!("{}: {e}", peer.folder().display());
        let mut wrk = wrk(seconds);
        match self {
            Load::Saturation | Load::Tls | Load::Down => {
                wrk.args(named(peer.headers())).arg(peer.url(self));
                run_wrk(wrk, peer)
            }
            Load::Churn | Load::TlsChurn => {
                let close = std::iter::once("Connection: close".to_owned());
                wrk.args(named(peer.headers().chain(close))).arg(peer.url(self));
                run_wrk(wrk, peer)
            }
            Load::Up => {
                let script = peer.folder().join("upload.lua");
                fs::write(&script, UPLOAD.replace("BYTES", &LARGE_BODY_BYTES.to_string())).map_err(broken)?;
                wrk.arg("-s").arg(script).args(named(peer.headers())).arg(peer.url(self));
                run_wrk(wrk, peer)
            }
            Load::SignedGet | Load::SignedPost => {
                let post = self == Load::SignedPost;
                let script = signed::write(peer.folder(), peer.signer(), post, seconds)?;
                wrk.arg("-s").arg(script).args(named(peer.common_headers()));
                wrk.arg(peer.url(self)).arg("--").arg(peer.folder());
                wrk.arg(if post { signed::BODY_BYTES } else { 0 }.to_string());
                run_wrk(wrk, peer)
            }
            Load::Token | Load::NewToken => {
                let all = peer.tokens();
                let some = if self == Load::Token { all.get(..1) } else { Some(all) };
                let some = some.filter(|some| !some.is_empty());
                let some = some.ok_or("tokens come from a peer that takes them: measure one as well")?;
                let (script, list) = tokens::script(peer.folder(), some)?;
                wrk.arg("-s").arg(script).args(named(peer.common_headers()));
                wrk.arg(peer.url(self)).arg("--").arg(list);
                run_wrk(wrk, peer)
            }
            Load::Http2 | Load::TlsHttp2 => {
                let mut h2load = Command::new("h2load");
                h2load.args([&format!("-c{HTTP2_CONNECTIONS}"), &format!("-m{HTTP2_STREAMS}")]);
                h2load.args(["-t1", &format!("-D{seconds}")]);
                run_h2load(h2load, peer, self, None)
            }
            Load::Fixed | Load::Even => {
                let requests = FIXED_RATE * seconds;
                let mut h2load = Command::new("h2load");
                h2load.args(["--h1", "-t1", &format!("-c{CONNECTIONS}"), &format!("-n{requests}")]);
                h2load.arg(format!("--rps={}", FIXED_RATE as f64 / CONNECTIONS as f64));
                if self == Load::Even {
                    // Connections start one after the other over one period of their own.
                    h2load.args(["--rate=4", "--rate-period=1ms"]);
                }
                let rate = (aim == Aim::Time).then_some(FIXED_RATE);
                run_h2load(h2load, peer, self, Some(Wanted { requests, rate }))
            }
        }
    }
}

/// As much as a peer bears, for so long.
fn wrk(seconds: u64) -> Command {
    let mut wrk = Command::new("wrk");
    wrk.args([&format!("-t{}", signed::THREADS), &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s")]);
    wrk.arg("--latency");
    wrk
}

fn run_wrk(mut wrk: Command, peer: &Peer) -> Outcome<Seen> {
    wrk.env("OPENSSL_CONF", peer.folder().join(TLS_CONFIG));
    read_wrk(&output(wrk)?)
}

fn run_h2load(mut h2load: Command, peer: &Peer, load: Load, wanted: Option<Wanted>) -> Outcome<Seen> {
    let log = peer.folder().join("h2load.tsv");
    // h2load appends.
    let _ = fs::remove_file(&log);
    h2load.arg(format!("--log-file={}", log.display())).args(named(peer.headers())).arg(peer.url(load));
    h2load.env("OPENSSL_CONF", peer.folder().join(TLS_CONFIG));
    output(h2load)?;
    let text = fs::read_to_string(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    read_h2load(&text, wanted)
}

/// Headers as both load tools take them.
fn named(headers: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    headers.flat_map(|header| ["-H".to_owned(), header])
}
