//! How each peer is configured and started.

use super::doorward::{self, KEYS, Key, Signer, WithTokens};
use super::folder::Folder;
use super::peers::{
    Doors, ENVOY_JWT, HAPROXY_KEY, JWT, KEY_TARGET, NEW_TOKEN, NO_LOG, PLAIN, PUBLIC, PUBLIC_TARGET, Peer,
    RULED, RULED_TARGET, SIGNED, TOKEN,
};
use super::process::Server;
use super::tokens;
use crate::Outcome;
use crate::cargo::output;
use crate::packages::on_path;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

/// Peers whose programs are not Debian's, or not wanted everywhere: measured where they are.
pub(super) const OPTIONAL: [&str; 2] = ["envoy", "caddy"];

/// Tokens that a peer may remember which is to remember all.
const ALL_TOKENS: usize = 1 << 15;

/// The length of what is fetched where bodies are large; as much is sent.
pub(super) const LARGE_BODY_BYTES: usize = 64 << 10;

/// What the load tools' TLS library reads: one cipher suite for all (RFC 8446 B.4), whatever a server would choose.
pub(super) const TLS_CONFIG: &str = "tls-client.cnf";
const TLS_CONFIG_TEXT: &str = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = default\n\
                               [default]\nCiphersuites = TLS_AES_128_GCM_SHA256\nMinProtocol = TLSv1.3\n";

/// All peers and what they stand on. Dropping it stops everything.
pub(super) struct Peers {
    pub(super) list: Vec<Peer>,
    _upstream: Server,
}

/// What all of them are started with.
struct Ground<'a> {
    folder: &'a Folder,
    upstream_port: String,
    user: String,
}

impl Ground<'_> {
    /// Fills a template in with free ports and starts the program on it; its log is `NAME.log`.
    fn start(
        &self,
        name: &str,
        template: &str,
        more: &[(&str, &str)],
        run: impl FnOnce(&str, &Path) -> Outcome<Server>,
    ) -> Outcome<(Rc<Server>, Doors)> {
        let [plain, http2, tls] = free_ports()?;
        let log = self.folder.path.join(format!("{name}.log"));
        let (log_text, texts) = (log.display().to_string(), [plain, http2, tls].map(|port| port.to_string()));
        let mut values = vec![
            ("name", name),
            ("port", &*texts[0]),
            ("h2_port", &*texts[1]),
            ("tls_port", &*texts[2]),
            ("upstream_port", &*self.upstream_port),
            ("log", &*log_text),
            ("user", &*self.user),
        ];
        values.extend(more);
        let config = self.folder.fill(template, &values)?;
        // Several may have one template.
        let own = self.folder.path.join(format!("{name}.{template}"));
        fs::rename(&config, &own).map_err(|e| format!("{}: {e}", own.display()))?;
        let server = run(&own.display().to_string(), &log)?;
        server.until_listening(local(plain))?;
        let http2 = if template.contains("envoy") || template == "Caddyfile" { plain } else { http2 };
        Ok((Rc::new(server), Doors { plain: local(plain), http2: local(http2), tls: local(tls) }))
    }

    fn nginx(&self, name: &str, template: &str, more: &[(&str, &str)]) -> Outcome<(Rc<Server>, Doors)> {
        self.start(name, template, more, |config, log| {
            let dir = self.folder.path.display().to_string();
            Server::start(&program("nginx")?, &["-p", &dir, "-c", config], &log.with_extension("out"))
        })
    }

    fn haproxy(&self, name: &str, template: &str, more: &[(&str, &str)]) -> Outcome<(Rc<Server>, Doors)> {
        self.start(name, template, more, |config, log| {
            Server::start(&program("haproxy")?, &["-f", config], log)
        })
    }

    fn envoy(&self, name: &str, filters: &str) -> Outcome<(Rc<Server>, Doors)> {
        self.start(name, "envoy.yaml", &[("filters", filters)], |config, log| {
            let words = ["-c", config, "--concurrency", "2", "--use-dynamic-base-id", "--log-level", "error"];
            let more = ["--file-flush-interval-msec", "1000"];
            Server::start(&program("envoy")?, &[&words[..], &more].concat(), &log.with_extension("out"))
        })
    }

    fn caddy(&self, name: &str) -> Outcome<(Rc<Server>, Doors)> {
        self.start(name, "Caddyfile", &[], |config, log| {
            let home = format!("HOME={}", self.folder.path.display());
            let caddy = program("caddy")?.display().to_string();
            let words = ["GOMAXPROCS=2", &home, &caddy, "run", "--adapter", "caddyfile", "--config", config];
            Server::start(&program("env")?, &words, &log.with_extension("out"))
        })
    }
}

/// Starts those that are wanted and there.
pub(super) fn start(folder: &Folder, binary: &Path, wanted: impl Fn(&str) -> bool) -> Outcome<Peers> {
    let wanted = |name: &str| {
        let program = name.split('-').next().unwrap_or_default();
        wanted(name) && (!OPTIONAL.contains(&program) || on_path(program).is_some())
    };
    certificate(folder)?;
    folder.write(TLS_CONFIG, TLS_CONFIG_TEXT)?;
    fs::write(folder.path.join("blob-64k"), vec![b'b'; LARGE_BODY_BYTES])
        .map_err(|e| format!("{}: {e}", folder.path.display()))?;
    let [upstream_port] = free_ports()?;
    let user = output(command(Path::new("id"), &["-un"]))?.trim().to_owned();
    let ground = Ground { folder, upstream_port: upstream_port.to_string(), user };
    let values = [("port", &*ground.upstream_port), ("user", &*ground.user)];
    let config = folder.fill("nginx-upstream.conf", &values)?.display().to_string();
    let (dir, out) = (folder.path.display().to_string(), folder.path.join("upstream.out"));
    let upstream = Server::start(&program("nginx")?, &["-p", &dir, "-c", &config], &out)?;
    upstream.until_listening(local(upstream_port))?;

    let started = doorward::start(folder, binary, upstream_port)?;
    let key = started.keys.get(KEYS / 2).cloned().ok_or("Doorward made too few credentials")?;
    let base = Rc::new(started.server);
    let signer = Signer { host: started.doors.plain.to_string(), ..started.signer };
    let (key, signer) = (Rc::new(key), Rc::new(signer));
    let peer = |name, (server, doors): (Rc<Server>, Doors), target, log: &str| {
        let (key, signer) = (Rc::clone(&key), Rc::clone(&signer));
        let log = folder.path.join(format!("{log}.log"));
        Peer { name, server, doors, target, key, signer, tokens: Rc::new([]), log }
    };
    let mut list = Vec::new();
    let logged = format!("{dir}/{PLAIN}.log combined buffer=64k flush=1s");
    for (name, log) in [(PLAIN, &*logged), (NO_LOG, "off")].into_iter().filter(|(name, _)| wanted(name)) {
        let nginx = ground.nginx(name, "nginx-plain.conf", &[("access_log", log)])?;
        list.push(peer(name, nginx, KEY_TARGET, name));
    }
    if wanted("nginx-key") {
        let line = |Key { id, secret }: &Key| format!("\"{id}:{secret}\" \"{id}\";\n");
        let map = folder.write("keys.map", &started.keys.iter().map(line).collect::<String>())?;
        let values = [("keys", &*KEYS.to_string()), ("keys_file", &*map.display().to_string())];
        let nginx = ground.nginx("nginx-key", "nginx-key.conf", &values)?;
        list.push(peer("nginx-key", nginx, KEY_TARGET, "nginx-key"));
    }
    if wanted("haproxy-plain") {
        let haproxy = ground.haproxy("haproxy-plain", "haproxy.cfg", &[])?;
        list.push(peer("haproxy-plain", haproxy, KEY_TARGET, "haproxy-plain"));
    }
    if wanted(HAPROXY_KEY) {
        let line = |Key { id, secret }: &Key| format!("{id} {secret}\n");
        let map = folder.write("keys-haproxy.map", &started.keys.iter().map(line).collect::<String>())?;
        let networks = folder.fill("networks.lst", &[])?.display().to_string();
        let (keys, map) = (KEYS.to_string(), map.display().to_string());
        let values = [("keys", &*keys), ("keys_file", &*map), ("networks_file", &*networks)];
        let haproxy = ground.haproxy(HAPROXY_KEY, "haproxy-key.cfg", &values)?;
        list.push(peer(HAPROXY_KEY, haproxy, KEY_TARGET, HAPROXY_KEY));
    }
    if wanted("envoy-plain") {
        list.push(peer("envoy-plain", ground.envoy("envoy-plain", "")?, KEY_TARGET, "envoy-plain"));
    }
    if wanted("envoy-key") {
        let line =
            |Key { id, secret }: &Key| format!("              - {{ key: \"{secret}\", client: \"{id}\" }}\n");
        let all = started.keys.iter().map(line).collect::<String>();
        let filters = folder.fill("envoy-key.yaml", &[("credentials", &all)])?;
        let envoy = ground.envoy("envoy-key", &read(&filters)?)?;
        list.push(peer("envoy-key", envoy, KEY_TARGET, "envoy-key"));
    }
    if wanted("caddy-plain") {
        list.push(peer("caddy-plain", ground.caddy("caddy-plain")?, KEY_TARGET, "caddy-plain"));
    }
    let own = [
        (PUBLIC, PUBLIC_TARGET, &key),
        ("doorward-key", KEY_TARGET, &key),
        (RULED, RULED_TARGET, &Rc::new(started.ruled)),
        (SIGNED, KEY_TARGET, &key),
    ];
    for (name, target, key) in own.into_iter().filter(|(name, ..)| wanted(name)) {
        let peer = peer(name, (Rc::clone(&base), started.doors), target, "doorward");
        list.push(Peer { key: Rc::clone(key), ..peer });
    }
    with_tokens(&ground, binary, upstream_port, &wanted, &peer, &mut list)?;
    list.iter().try_for_each(Peer::check)?;
    Ok(Peers { list, _upstream: upstream })
}

/// Those that take tokens, if one of them is wanted; whoever forwards anything gets the tokens as well.
fn with_tokens(
    ground: &Ground<'_>,
    binary: &Path,
    upstream_port: u16,
    wanted: &impl Fn(&str) -> bool,
    peer: &impl Fn(&'static str, (Rc<Server>, Doors), &'static str, &str) -> Peer,
    list: &mut Vec<Peer>,
) -> Outcome {
    if ![TOKEN, NEW_TOKEN, JWT, ENVOY_JWT].into_iter().any(wanted) {
        return Ok(());
    }
    let folder = ground.folder;
    let start = |name, entries| doorward::start_with_tokens(folder, binary, upstream_port, name, entries);
    let seen = start(TOKEN, ALL_TOKENS)?;
    // Other peers have one key: that of the Doorward which remembers tokens.
    for peer in list.iter_mut() {
        peer.tokens = Rc::clone(&seen.tokens);
    }
    let mut add = |name, started: (Rc<Server>, Doors), tokens: &Rc<[String]>| {
        list.push(Peer { tokens: Rc::clone(tokens), ..peer(name, started, KEY_TARGET, name) });
    };
    let doorward = |with: &WithTokens| (Rc::clone(&with.server), Doors::plain(with.address));
    if wanted(JWT) {
        tokens::key_file(seen.address, &folder.path)?;
        add(JWT, ground.haproxy(JWT, "haproxy-jwt.cfg", &[("issuer", doorward::ISSUER)])?, &seen.tokens);
    }
    if wanted(ENVOY_JWT) {
        let keys = tokens::keys(seen.address)?;
        let values = [("issuer", doorward::ISSUER), ("jwks", &*keys), ("entries", &*ALL_TOKENS.to_string())];
        let filters = folder.fill("envoy-jwt.yaml", &values)?;
        add(ENVOY_JWT, ground.envoy(ENVOY_JWT, &read(&filters)?)?, &seen.tokens);
    }
    if wanted(TOKEN) {
        add(TOKEN, doorward(&seen), &seen.tokens);
    }
    if wanted(NEW_TOKEN) {
        let unseen = start(NEW_TOKEN, tokens::REMEMBERED)?;
        add(NEW_TOKEN, doorward(&unseen), &unseen.tokens);
    }
    Ok(())
}

/// A certificate for all of them, with a key as most have it today.
fn certificate(folder: &Folder) -> Outcome {
    let [key, certificate, both] =
        ["server.key", "server.crt", "server.pem"].map(|name| folder.path.join(name).display().to_string());
    let kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let name =
        ["-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    let files = ["-keyout", &*key, "-out", &*certificate];
    output(command(Path::new("openssl"), &[&kind[..], &name, &files].concat()))?;
    // haproxy wants both in one file.
    let text = read(Path::new(&certificate))? + &read(Path::new(&key))?;
    fs::write(&both, text).map_err(|e| format!("{both}: {e}"))
}

fn read(file: &Path) -> Outcome<String> {
    fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))
}

pub(crate) fn command(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words);
    command
}

pub(crate) fn program(name: &str) -> Outcome<PathBuf> {
    on_path(name).ok_or_else(|| format!("{name} is not installed"))
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
