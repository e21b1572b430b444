//! The node under callgrind, and the requests that are sent to it.

use super::Case;
use super::speak::{Request, upstream};
use crate::Outcome;
use crate::bench::doorward::{Key, RANGES, listening, text};
use crate::bench::{Folder, Server, command, program, tokens};
use crate::cargo::{output, target_dir};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::schemes::escher::{Config, How, Signer, SigningSecret, ToSign, sign};
use doorward_core::time::UnixMillis;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::SystemTime;

/// Whose tokens they are.
const ISSUER: &str = "http://127.0.0.1:1";

/// Part of the name of what only a thread that serves requests runs.
const SERVING: &str = "doorward_gateway::serve";

/// What a client library sends besides what proves anything.
const COMMON: [(&str, &str); 4] = [
    ("user-agent", "doorward-bench/1.0"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip"),
    ("x-client-channel", "bench"),
];

/// A node with one core, counting nothing yet.
pub(super) struct Node {
    pub(super) address: SocketAddr,
    key: Key,
    signer: Key,
    token: String,
    counts: String,
    parts: u32,
    process: u32,
    // Last, so that the node is gone before its files are.
    _server: Server,
    _folder: Folder,
}

impl Node {
    pub(super) fn start() -> Outcome<Node> {
        let folder = Folder::create(target_dir().join("instructions"))?;
        let binary = target_dir().join("debug/doorward");
        let file = |name: &str| folder.path.join(name).display().to_string();
        let config = folder.fill("instructions-node.toml", &[("issuer", ISSUER)])?.display().to_string();
        let ranges: Vec<_> = (1..RANGES).map(|n| format!("\"10.{}.{}.0/24\"", n / 250, n % 250)).collect();
        let ranges = format!("{}, \"127.0.0.1\"", ranges.join(", "));
        let values = [("ranges", &*ranges), ("upstream_port", &*upstream()?.port().to_string())];
        let policy = folder.fill("instructions-policy.toml", &values)?.display().to_string();
        let doorward = |words: &[&str]| output(command(&binary, words));
        doorward(&["master-key", "create", &file("master.key")])?;
        doorward(&["apply", "--config", &config, "-f", &policy])?;
        let create = ["credential", "create", "--config", &config, "--workspace", "bench", "--json"];
        let pair = |words: &[&str]| {
            let made = doorward(&[&create[..], words].concat())?;
            let pair = text(&made, "id").zip(text(&made, "secret"));
            pair.map(|(id, secret)| Key { id, secret }).ok_or(format!("no credential was made:\n{made}"))
        };
        let key = pair(&["--kind", "server", "--dialect", "voucherify", "--scope", "read"])?;
        let signer = pair(&["--kind", "server", "--dialect", "antavo"])?;
        let client = pair(&["--kind", "oauth_client", "--dialect", "standard", "--scope", "read"])?;

        let (counts, ready) = (file("counts"), file("ready.json"));
        let out = format!("--callgrind-out-file={counts}");
        let valgrind = ["--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", &out];
        let serve = [&binary.display().to_string(), "serve", "--config", &config, "--ready-file", &ready];
        let words = [&valgrind[..], &serve].concat();
        let server = Server::start(&program("valgrind")?, &words, &folder.path.join("node.out"))?;
        let (address, _) = server.until(|| listening(&fs::read_to_string(&ready).ok()?))?;
        let process = *server.processes()?.first().ok_or("the node is gone")?;
        let token = tokens::issue(address, &client.id, &client.secret, 1)?.remove(0);
        let (_server, _folder) = (server, folder);
        Ok(Node { address, key, signer, token, counts, parts: 0, process, _server, _folder })
    }

    /// The requests of a kind; those that are signed are all different.
    pub(super) fn requests(&self, case: Case, count: u64) -> Outcome<Vec<Request>> {
        let host = self.address.to_string();
        let request = |target: &str, proof: &[(&str, &str)]| {
            let fields =
                COMMON.iter().chain(proof).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Request { host: host.clone(), target: target.to_owned(), fields: fields.collect() }
        };
        let pair = [("x-app-id", &*self.key.id), ("x-app-token", &*self.key.secret)];
        let bearer = format!("Bearer {}", self.token);
        (0..count)
            .map(|number| match case {
                Case::Key | Case::KeyHttp2 => Ok(request("/v1/vouchers/FESTIVE-2026?expand=campaign", &pair)),
                Case::Rules => Ok(request("/r1/vouchers/FESTIVE-2026?expand=campaign", &pair)),
                Case::Token => {
                    Ok(request("/t1/vouchers/FESTIVE-2026?expand=campaign", &[("authorization", &bearer)]))
                }
                Case::Signed => {
                    let target = format!("/s1/customers/jane?n={number:07}");
                    let [date, signature] = self.signature(&target)?;
                    Ok(request(&target, &[("date", &date), ("authorization", &signature)]))
                }
            })
            .collect()
    }

    /// The fields that sign a request (Escher): when, and by whom.
    fn signature(&self, target: &str) -> Outcome<[String; 2]> {
        let config = Config::antavo("us/api/antavo_request").map_err(|e| e.to_string())?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = UnixMillis(i64::try_from(since.as_millis()).unwrap_or(0));
        let secret = SigningSecret::new(self.signer.secret.as_bytes());
        let req = ToSign {
            method: "GET".to_owned(),
            host: self.address.to_string(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: BodyDigest::of(Hash::Sha256, b""),
        };
        let signer = Signer { id: self.signer.id.clone(), secret };
        let signed = sign(&config, &signer, &req, &How::default(), now).map_err(|e| e.to_string())?;
        let field = |name: &str| {
            let found = signed.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
            found.ok_or_else(|| format!("a signature without {name}"))
        };
        Ok([field("date")?, field("authorization")?])
    }

    /// Instructions of the thread that serves, while something is done.
    pub(super) fn counted(&mut self, work: impl FnOnce() -> Outcome) -> Outcome<u64> {
        self.tell(&["instrumentation", "on"])?;
        let done = work();
        self.tell(&["instrumentation", "off"])?;
        self.tell(&["dump"])?;
        done?;
        self.parts += 1;
        let start = format!("{}.{}-", self.counts, self.parts);
        let folder = Path::new(&self.counts).parent().unwrap_or(Path::new("."));
        let broken = |e: std::io::Error| format!("{}: {e}", folder.display());
        let mut threads = Vec::new();
        for entry in fs::read_dir(folder).map_err(broken)?.flatten() {
            if entry.path().display().to_string().starts_with(&start) {
                let text = fs::read_to_string(entry.path()).map_err(broken)?;
                threads.push((total(&text).ok_or("callgrind tells no total")?, text.contains(SERVING)));
            }
        }
        match threads.iter().max() {
            Some((total, true)) => Ok(*total),
            Some(_) => Err(format!("a thread without {SERVING} does most: is the name another one now?")),
            None => Err("callgrind told nothing".to_owned()),
        }
    }

    /// Tells callgrind what to do, and waits until it is done.
    fn tell(&self, words: &[&str]) -> Outcome {
        let process = format!("--pid={}", self.process);
        output(command(&program("vgdb")?, &[&[&*process][..], words].concat())).map(drop)
    }
}

/// The instructions in one thread's part of a dump.
fn total(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_read() {
        assert_eq!(total("events: Ir\nsummary: 0\n\nfn=(1) main\n3 7\n\ntotals: 4467\n"), Some(4_467));
        assert_eq!(total("events: Ir\n"), None);
    }
}
