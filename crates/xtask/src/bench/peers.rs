//! The peers: how each is configured and started, and what it is asked.

use super::doorward::{self, KEYS, Key, Signer};
use super::load::Load;
use super::process::Server;
use super::tokens;
use crate::Outcome;
use crate::cargo::{output, root};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

/// What is asked for; `/p1` is Doorward's public route, of the same length.
const KEY_TARGET: &str = "/v1/vouchers/FESTIVE-2026?expand=campaign";
const RULED_TARGET: &str = "/r1/vouchers/FESTIVE-2026?expand=campaign";
const PUBLIC_TARGET: &str = "/p1/vouchers/FESTIVE-2026?expand=campaign";

/// The peer that takes signed requests.
const SIGNED: &str = "doorward-signed";

/// The peer that asks every rule about a key.
const RULED: &str = "doorward-rules";

/// The peers that take tokens: one remembers them, one forgets them before they come again, one never does.
const TOKEN: &str = "doorward-token";
const NEW_TOKEN: &str = "doorward-new-token";
const JWT: &str = "haproxy-jwt";

/// What every request carries besides its key: what a client library sends.
const HEADERS: &[&str] = &[
    "User-Agent: doorward-bench/1.0",
    "Accept: application/json",
    "Accept-Encoding: gzip",
    "Content-Type: application/json",
    "X-Client-Channel: bench",
];

/// A folder of this run's own, removed at its end.
pub(super) struct Folder {
    pub(super) path: PathBuf,
}

impl Folder {
    pub(super) fn create(path: PathBuf) -> Outcome<Folder> {
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Folder { path })
    }

    /// Fills in a template of the bench folder and puts it here.
    pub(super) fn fill(&self, template: &str, values: &[(&str, &str)]) -> Outcome<PathBuf> {
        let source = root().join("bench").join(template);
        let text = fs::read_to_string(&source).map_err(|e| format!("{}: {e}", source.display()))?;
        let dir = self.path.display().to_string();
        let all = values.iter().copied().chain([("dir", dir.as_str())]);
        let filled = all.fold(text, |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value));
        if let Some((_, rest)) = filled.split_once("{{") {
            let name = rest.split("}}").next().unwrap_or_default();
            return Err(format!("bench/{template}: nothing to put for {name}"));
        }
        self.write(template, &filled)
    }

    fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let file = self.path.join(name);
        fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Something that takes requests and is measured.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) server: Rc<Server>,
    address: SocketAddr,
    target: &'static str,
    key: Rc<Key>,
    signer: Rc<Signer>,
    tokens: Rc<[String]>,
    /// Where it writes its line for each request.
    log: PathBuf,
}

impl Peer {
    pub(super) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.target)
    }

    /// Whether it is measured under that load: signed requests and tokens are for who checks them, and for who forwards
    /// anything.
    pub(super) fn takes(&self, load: Load) -> bool {
        let plain = self.name == "nginx-plain";
        match load {
            Load::SignedGet | Load::SignedPost => plain || self.name == SIGNED,
            Load::Token => plain || self.name == JWT || self.name == TOKEN,
            Load::NewToken => plain || self.name == JWT || self.name == NEW_TOKEN,
            Load::Saturation | Load::Fixed | Load::Even => {
                ![SIGNED, JWT, TOKEN, NEW_TOKEN].contains(&self.name)
            }
        }
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
            format!("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.target, self.address);
        for header in headers {
            request += &format!("{header}\r\n");
        }
        let mut stream = TcpStream::connect(self.address).map_err(broken)?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(broken)?;
        stream.write_all(format!("{request}\r\n").as_bytes()).map_err(broken)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(broken)?;
        let head = String::from_utf8_lossy(&answer);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.ok_or_else(|| format!("{}: no HTTP answer", self.name))
    }

    /// What proves opens; what is wrong must not where it is checked.
    fn check(&self) -> Outcome {
        let turned = |text: &str| text.chars().rev().collect::<String>();
        let answers = match self.name {
            JWT | TOKEN | NEW_TOKEN => {
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

/// All peers and what they stand on. Dropping it stops everything.
pub(super) struct Peers {
    pub(super) list: Vec<Peer>,
    _upstream: Server,
}

pub(super) fn start(folder: &Folder, binary: &Path) -> Outcome<Peers> {
    let [upstream_port, plain_port, key_port, haproxy_port, jwt_port] = free_ports()?;
    let user = output(command(Path::new("id"), &["-un"]))?;
    let user = user.trim();
    let nginx = |template: &str, name: &str, port: u16, more: &[(&str, &str)]| -> Outcome<Server> {
        let (port_text, upstream) = (port.to_string(), upstream_port.to_string());
        let log = folder.path.join(format!("{name}.log")).display().to_string();
        let mut values =
            vec![("port", port_text.as_str()), ("upstream_port", &upstream), ("log", &log), ("user", user)];
        values.extend(more);
        let config = folder.fill(template, &values)?;
        let (config, dir) = (config.display().to_string(), folder.path.display().to_string());
        let out = folder.path.join(format!("{name}.out"));
        let server = Server::start(&program("nginx")?, &["-p", &dir, "-c", &config], &out)?;
        server.until_listening(local(port))?;
        Ok(server)
    };

    let upstream = nginx("nginx-upstream.conf", "upstream", upstream_port, &[])?;
    let started = doorward::start(folder, binary, upstream_port)?;
    let (doorward, doorward_address, keys) = (started.server, started.address, started.keys);
    let map: String =
        keys.iter().map(|Key { id, secret }| format!("\"{id}:{secret}\" \"{id}\";\n")).collect();
    let map = folder.write("keys.map", &map)?.display().to_string();
    let plain = nginx("nginx-plain.conf", "nginx-plain", plain_port, &[])?;
    let with_keys = [("keys", &*KEYS.to_string()), ("keys_file", &*map)];
    let with_keys = nginx("nginx-key.conf", "nginx-key", key_port, &with_keys)?;

    let haproxy = |template: &str, log: &str, port: u16| -> Outcome<Server> {
        let (port_text, upstream) = (port.to_string(), upstream_port.to_string());
        let values = [("port", &*port_text), ("upstream_port", &upstream), ("issuer", doorward::ISSUER)];
        let config = folder.fill(template, &values)?.display().to_string();
        let server = Server::start(&program("haproxy")?, &["-f", &config], &folder.path.join(log))?;
        server.until_listening(local(port))?;
        Ok(server)
    };
    let tokens_port = [(TOKEN, 1 << 15), (NEW_TOKEN, tokens::REMEMBERED)]
        .map(|(name, entries)| doorward::start_with_tokens(folder, binary, upstream_port, name, entries));
    let [seen, unseen] = tokens_port;
    let (seen, unseen) = (seen?, unseen?);
    tokens::key_file(seen.address, &folder.path)?;
    let jwt = haproxy("haproxy-jwt.cfg", "haproxy-jwt.log", jwt_port)?;
    let haproxy = haproxy("haproxy.cfg", "haproxy-plain.log", haproxy_port)?;

    let key = keys.into_iter().nth(KEYS / 2).map(Rc::new).ok_or("Doorward made too few credentials")?;
    let (doorward, plain, with_keys, haproxy) =
        (Rc::new(doorward), Rc::new(plain), Rc::new(with_keys), Rc::new(haproxy));
    let signer = Rc::new(Signer { host: doorward_address.to_string(), ..started.signer });
    let peer = |name, server: &Rc<Server>, address, target, log: &str| {
        let (server, key, signer) = (Rc::clone(server), Rc::clone(&key), Rc::clone(&signer));
        // haproxy has one key: that of the Doorward which remembers tokens.
        let tokens = Rc::clone(if name == NEW_TOKEN { &unseen.tokens } else { &seen.tokens });
        Peer { name, server, address, target, key, signer, tokens, log: folder.path.join(log) }
    };
    let list = vec![
        peer("nginx-plain", &plain, local(plain_port), KEY_TARGET, "nginx-plain.log"),
        peer("nginx-key", &with_keys, local(key_port), KEY_TARGET, "nginx-key.log"),
        peer("haproxy-plain", &haproxy, local(haproxy_port), KEY_TARGET, "haproxy-plain.log"),
        peer("doorward-public", &doorward, doorward_address, PUBLIC_TARGET, "doorward.log"),
        peer("doorward-key", &doorward, doorward_address, KEY_TARGET, "doorward.log"),
        Peer {
            key: Rc::new(started.ruled),
            ..peer(RULED, &doorward, doorward_address, RULED_TARGET, "doorward.log")
        },
        peer(SIGNED, &doorward, doorward_address, KEY_TARGET, "doorward.log"),
        peer(JWT, &Rc::new(jwt), local(jwt_port), KEY_TARGET, "haproxy-jwt.log"),
        peer(TOKEN, &seen.server, seen.address, KEY_TARGET, "doorward-token.log"),
        peer(NEW_TOKEN, &unseen.server, unseen.address, KEY_TARGET, "doorward-new-token.log"),
    ];
    list.iter().try_for_each(Peer::check)?;
    Ok(Peers { list, _upstream: upstream })
}

pub(super) fn command(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words);
    command
}

fn program(name: &str) -> Outcome<PathBuf> {
    crate::packages::on_path(name).ok_or_else(|| format!("{name} is not installed"))
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Ports that nobody listens on, all different.
fn free_ports<const N: usize>() -> Outcome<[u16; N]> {
    let broken = |e: std::io::Error| format!("a free port: {e}");
    let listeners: Vec<TcpListener> =
        (0..N).map(|_| TcpListener::bind(local(0))).collect::<Result<_, _>>().map_err(broken)?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr().map_err(broken)?.port();
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different() {
        let [a, b, c] = free_ports().unwrap();
        assert!(a != b && b != c && a != c);
    }
}
