//! The peers: what each is, what it is asked, and how it must answer.

use super::doorward::{Key, Signer};
use super::load::{Load, Wire};
use super::process::Server;
use crate::Outcome;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// What is asked for; `/p1` is Doorward's public route, of the same length.
pub(super) const KEY_TARGET: &str = "/v1/vouchers/FESTIVE-2026?expand=campaign";
pub(super) const RULED_TARGET: &str = "/r1/vouchers/FESTIVE-2026?expand=campaign";
pub(super) const PUBLIC_TARGET: &str = "/p1/vouchers/FESTIVE-2026?expand=campaign";

/// What is asked for where bodies are large.
const DOWN_TARGET: &str = "/v1/blobs/64k";
const UP_TARGET: &str = "/v1/uploads";

/// What everything is held against.
pub(super) const PLAIN: &str = "nginx-plain";

/// The same without its log, to show what the log costs.
pub(super) const NO_LOG: &str = "nginx-nolog";

/// haproxy with the same check of keys as nginx.
pub(super) const HAPROXY_KEY: &str = "haproxy-key";

/// The peer that takes signed requests.
pub(super) const SIGNED: &str = "doorward-signed";

/// The peer that asks every rule about a key.
pub(super) const RULED: &str = "doorward-rules";

/// The peer that asks nothing.
pub(super) const PUBLIC: &str = "doorward-public";

/// The peers that take tokens: two remember them, one forgets them before they come again, one never does.
pub(super) const TOKEN: &str = "doorward-token";
pub(super) const ENVOY_JWT: &str = "envoy-jwt";
pub(super) const NEW_TOKEN: &str = "doorward-new-token";
pub(super) const JWT: &str = "haproxy-jwt";

/// What every request carries besides its key: what a client library sends.
pub(super) const HEADERS: &[&str] = &[
    "User-Agent: doorward-bench/1.0",
    "Accept: application/json",
    "Accept-Encoding: gzip",
    "Content-Type: application/json",
    "X-Client-Channel: bench",
];

/// Where a peer listens, for each way to speak to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doors {
    pub(super) plain: SocketAddr,
    pub(super) http2: SocketAddr,
    pub(super) tls: SocketAddr,
}

impl Doors {
    /// All behind one address; such a peer is asked in HTTP/1.1 alone.
    pub(super) fn plain(address: SocketAddr) -> Doors {
        Doors { plain: address, http2: address, tls: address }
    }
}

/// Something that takes requests and is measured.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) server: Rc<Server>,
    pub(super) doors: Doors,
    pub(super) target: &'static str,
    pub(super) key: Rc<Key>,
    pub(super) signer: Rc<Signer>,
    pub(super) tokens: Rc<[String]>,
    /// Where it writes its line for each request.
    pub(super) log: PathBuf,
}

/// Whether a peer is measured under a load: signed requests and tokens are for who checks them, and for who forwards
/// anything; the rest is for who forwards or checks keys.
pub(super) fn takes(name: &str, load: Load) -> bool {
    let plain = name == PLAIN;
    let other = [SIGNED, JWT, ENVOY_JWT, TOKEN, NEW_TOKEN].contains(&name);
    match load {
        Load::SignedGet | Load::SignedPost => plain || name == SIGNED,
        Load::Token => plain || [JWT, ENVOY_JWT, TOKEN].contains(&name),
        Load::NewToken => plain || [JWT, NEW_TOKEN].contains(&name),
        Load::Saturation | Load::Even => !other,
        Load::Fixed => !other && name != NO_LOG,
        // They differ from another in the decision or the log alone, which these loads say nothing of.
        _ => !other && ![PUBLIC, RULED, HAPROXY_KEY, NO_LOG].contains(&name),
    }
}

impl Peer {
    pub(super) fn url(&self, load: Load) -> String {
        let (scheme, address) = match load.wire() {
            Wire::Plain => ("http", self.doors.plain),
            Wire::Http2 => ("http", self.doors.http2),
            Wire::Tls | Wire::TlsHttp2 => ("https", self.doors.tls),
        };
        let target = match load {
            Load::Down => DOWN_TARGET,
            Load::Up => UP_TARGET,
            _ => self.target,
        };
        format!("{scheme}://{address}{target}")
    }

    /// The tokens that are sent; other peers get those of Doorward.
    pub(super) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// Who signs for Doorward; other peers get the same requests.
    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The headers of every request besides those that prove anything.
    pub(super) fn common_headers(&self) -> impl Iterator<Item = String> + use<> {
        HEADERS.iter().map(|header| (*header).to_owned())
    }

    /// The headers of every request, the same for all peers.
    pub(super) fn headers(&self) -> impl Iterator<Item = String> {
        self.headers_with(&self.key.secret)
    }

    fn headers_with(&self, secret: &str) -> impl Iterator<Item = String> + use<> {
        let key = [format!("X-App-Id: {}", self.key.id), format!("X-App-Token: {secret}")];
        HEADERS.iter().map(|header| (*header).to_owned()).chain(key)
    }

    pub(super) fn folder(&self) -> &Path {
        self.log.parent().unwrap_or(Path::new("."))
    }

    /// Empties the log, which must not be empty: a peer that logs nothing would be measured at another job.
    pub(super) fn cut_log(&self) -> Outcome {
        if self.name == NO_LOG {
            return Ok(());
        }
        let broken = |e: std::io::Error| format!("{}: {e}", self.log.display());
        let file = OpenOptions::new().write(true).open(&self.log).map_err(broken)?;
        if file.metadata().map_err(broken)?.len() == 0 {
            return Err("no line was logged".to_owned());
        }
        file.set_len(0).map_err(broken)
    }

    /// The status of one request with these headers.
    fn ask(&self, headers: impl Iterator<Item = String>) -> Outcome<u16> {
        let broken = |e: std::io::Error| format!("{}: {e}", self.name);
        let mut request =
            format!("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.target, self.doors.plain);
        for header in headers {
            request += &format!("{header}\r\n");
        }
        let mut stream = TcpStream::connect(self.doors.plain).map_err(broken)?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(broken)?;
        stream.write_all(format!("{request}\r\n").as_bytes()).map_err(broken)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(broken)?;
        let head = String::from_utf8_lossy(&answer);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.ok_or_else(|| format!("{}: no HTTP answer", self.name))
    }

    /// What proves opens; what is wrong must not where it is checked.
    pub(super) fn check(&self) -> Outcome {
        let turned = |text: &str| text.chars().rev().collect::<String>();
        let answers = match self.name {
            JWT | ENVOY_JWT | TOKEN | NEW_TOKEN => {
                let token = self.tokens.first().map(String::as_str).unwrap_or_default();
                let (rest, signature) = token.rsplit_once('.').unwrap_or_default();
                let with = |token: &str| {
                    self.common_headers().chain(std::iter::once(format!("Authorization: Bearer {token}")))
                };
                [self.ask(with(token))?, self.ask(with(&format!("{rest}.{}", turned(signature))))?]
            }
            name => {
                let right = self.ask(self.headers())?;
                let checks_keys = name.ends_with("-key") || name == RULED;
                let wrong = || self.ask(self.headers_with(&turned(&self.key.secret)));
                [right, if checks_keys { wrong()? } else { 401 }]
            }
        };
        if answers == [200, 401] { Ok(()) } else { Err(format!("{} answers with {answers:?}", self.name)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_one_thing_is_measured_where_that_shows() {
        let loads = |name| Load::ALL.into_iter().filter(move |load| takes(name, *load)).collect::<Vec<_>>();
        assert_eq!(loads(NO_LOG), [Load::Saturation, Load::Even]);
        assert_eq!(loads(HAPROXY_KEY), [Load::Saturation, Load::Fixed, Load::Even]);
        assert_eq!(loads(PLAIN), Load::ALL);
    }
}
