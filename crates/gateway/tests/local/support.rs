//! A gateway, its endpoints, and callers.
use doorward_core::credential::{Credential, Kind, Status};
use doorward_core::decide::Refusal;
use doorward_core::dialect::Dialect;
use doorward_core::live::Live;
use doorward_core::policy::{compile, draft};
use doorward_core::ports::{Claim, Claiming, Ledger, Once};
use doorward_core::reason::Reason;
use doorward_core::request::PlainHttp;
use doorward_core::schemes::escher::SigningSecret;
use doorward_core::secret::Keys;
use doorward_gateway::{
    Answering, Desk, Events, Gateway, Limits, Listeners, Local, LocalAnswer, LocalRequest, Outside, Settings,
    Snapshot, Timeouts, Trusted, bind,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

const POLICY: &str = r#"
workspace = [{ id = "live", environment = "production" }]
[[api]]
id = "api"
dialect = "voucherify"
names = ["voucherify", "antavo"]
schemes = ["api_key", "escher"]
route = [
    { path = "/token", target = "token" },
    { path = "/open", target = "revoke", public = true },
    { path = "/keys", target = "jwks", public = true },
]
"#;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for something.
pub(crate) fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !there() {
        assert!(Instant::now() < until, "{what} never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The endpoints: what they do is in the body of the request.
struct Endpoints {
    calls: AtomicU64,
    gate: Notify,
    server: Arc<Credential>,
}

impl Endpoints {
    async fn answered(&self, r: LocalRequest) -> Result<LocalAnswer, Refusal> {
        self.calls.fetch_add(1, SeqCst);
        match &r.body[..] {
            b"panic" => panic!("as it was asked to"),
            b"wait" => self.gate.notified().await,
            b"split" => return Ok(LocalAnswer::new(200).field("x", "1\r\nx: 2")),
            b"busy" => return Err(Refusal::new(Reason::Unavailable, "endpoint-busy")),
            b"nothing" => return Ok(LocalAnswer::new(204)),
            b"self" => {
                let answer = LocalAnswer::new(400).body("application/json", "{\"error\":\"invalid_client\"}");
                let who = Arc::clone(&self.server);
                return Ok(answer.refusing(Reason::CredentialInvalid, "own-proof").to(who));
            }
            _ => {}
        }
        if r.endpoint.name() == "jwks" {
            return Ok(LocalAnswer::new(200).field("cache-control", "max-age=60").body("text/plain", "keys"));
        }
        Ok(LocalAnswer::new(200).body("text/plain", told(&r)))
    }
}

fn told(r: &LocalRequest) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields: Vec<String> =
        r.fields.iter().map(|(n, v)| format!("{}: {}", text(n).to_ascii_lowercase(), text(v))).collect();
    let who = r.credential.as_ref().map(|(c, by)| format!("{} by {}", c.id, by.name()));
    format!(
        "{} of {}, {}\n{} {} ? {}\nclient {}, secure {}\nid {}\ncredential {}, workspace {}\n{}\nbody {}",
        r.endpoint.name(),
        r.api,
        r.dialect.name,
        text(&r.method),
        text(&r.path),
        text(r.query.as_deref().unwrap_or_default()),
        r.client.unwrap(),
        r.secure,
        r.request_id,
        who.unwrap_or_default(),
        r.workspace.as_ref().map(|w| w.id.as_str()).unwrap_or_default(),
        fields.join("\n"),
        text(&r.body),
    )
}

impl Local for Endpoints {
    fn answer(self: Arc<Self>, request: LocalRequest) -> Answering {
        Box::pin(async move { self.answered(request).await })
    }
}

/// Everything is new.
struct Anything;

impl Ledger for Anything {
    fn claim<'c>(&'c self, _: &'c Once) -> Claiming<'c> {
        Box::pin(std::future::ready(Claim::New))
    }
}

/// A gateway with its endpoints.
pub(crate) struct Front {
    gateway: Option<Gateway>,
    endpoints: Arc<Endpoints>,
    address: SocketAddr,
    events: PathBuf,
    _control: tokio::runtime::Runtime,
    _facts: mpsc::Receiver<doorward_gateway::Fact>,
}

fn live() -> Arc<Live> {
    let keys = Arc::new(Keys::derive(&[3; 32]));
    let live = Live::new(Arc::clone(&keys));
    live.policy.store(Arc::new(compile(&draft::read(POLICY).unwrap(), None).unwrap()));
    live.store_answered();
    live.renew(1, doorward_gateway::monotonic_ms(), u64::MAX / 2);
    for (id, dialect) in [("server", "voucherify"), ("signer", "antavo")] {
        live.directory.put(Credential {
            id: id.into(),
            pseudonym: None,
            workspace: "live".into(),
            kind: Kind::Server,
            name: "".into(),
            dialect: Dialect::named(dialect).unwrap(),
            plain_key: false,
            password_grant: false,
            status: Status::Active,
            expires_at: None,
            scopes: Box::default(),
            origins: Box::default(),
            secret: keys.hash(id.as_bytes(), b"secret"),
            signing: Dialect::named(dialect).unwrap().signing.map(|_| SigningSecret::new(b"secret")),
            own: None,
            tokens_since: 0,
        });
    }
    Arc::new(live)
}

impl Front {
    pub(crate) fn start(change: impl FnOnce(&mut Limits)) -> Front {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("local-{}-{}.jsonl", std::process::id(), NUMBER.fetch_add(1, SeqCst));
        let events = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut limits = Limits::default();
        change(&mut limits);
        let control = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (facts, kept) = mpsc::channel(64);
        let live = live();
        let server = live.directory.get("server").unwrap();
        let endpoints = Arc::new(Endpoints { calls: AtomicU64::new(0), gate: Notify::new(), server });
        let outside = Outside {
            live,
            facts,
            ledger: Arc::new(Anything),
            limiter: Arc::new(doorward_core::ports::NoLimiter),
            captchas: Arc::new(doorward_core::ports::NoCaptchas),
            desk: Desk::new(Arc::clone(&endpoints) as _, control.handle().clone()),
        };
        let settings = Settings {
            name: "test".to_owned(),
            cores: 1,
            plain_http: PlainHttp::Serve,
            plain_http2: false,
            https_port: None,
            hsts: None,
            trusted: Trusted::default(),
            timeouts: Timeouts { drain_ms: 200, ..Timeouts::default() },
            limits,
            upstream_roots: Arc::new(rustls::RootCertStore::empty()),
        };
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let listeners = Listeners { plain: Some(listener), tls: None };
        let log = Events::open(Some(&events)).unwrap();
        let gateway = Gateway::start(settings, listeners, &outside, log, [7; 16]).unwrap();
        Front { gateway: Some(gateway), endpoints, address, events, _control: control, _facts: kept }
    }

    pub(crate) fn connect(&self) -> Conn {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Conn { socket, read: Vec::new(), to_head: false }
    }

    /// How often an endpoint was asked.
    pub(crate) fn calls(&self) -> u64 {
        self.endpoints.calls.load(SeqCst)
    }

    /// Lets a request go on that waits.
    pub(crate) fn go_on(&self) {
        self.endpoints.gate.notify_one();
    }

    /// The event of a request.
    pub(crate) fn event(&self, id: &str) -> String {
        let mut found = None;
        wait_for("the event", || {
            let all = std::fs::read_to_string(&self.events).unwrap_or_default();
            found = all.lines().find(|line| line.contains(id)).map(str::to_owned);
            found.is_some()
        });
        found.unwrap()
    }

    /// What it has counted.
    pub(crate) fn stats(&self) -> Snapshot {
        self.gateway.as_ref().unwrap().stats()
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.drain();
            gateway.join();
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_file(&self.events);
    }
}

/// A caller's connection.
pub(crate) struct Conn {
    socket: TcpStream,
    read: Vec<u8>,
    to_head: bool,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut all = self.fields.iter().filter(|(n, _)| n == name);
        let found = all.next();
        assert!(all.next().is_none(), "{name} came more than once");
        found.map(|(_, v)| v.as_str())
    }
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks, and tells the status.
pub(crate) fn answered(c: &mut Conn, request: &str) -> u16 {
    c.send(request);
    c.answer().status
}

impl Conn {
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    pub(crate) fn send(&mut self, request: &str) {
        assert!(self.read.is_empty(), "something behind the last answer");
        self.to_head = request.starts_with("HEAD ");
        self.socket.write_all(request.as_bytes()).unwrap();
    }

    fn more(&mut self) {
        let mut room = [0; 4096];
        let n = self.socket.read(&mut room).unwrap();
        assert!(n > 0, "the connection ended: {:?}", String::from_utf8_lossy(&self.read));
        self.read.extend_from_slice(&room[..n]);
    }

    /// The next answer; one to HEAD is told by its fields alone.
    pub(crate) fn answer(&mut self) -> Answer {
        let end = loop {
            match self.read.windows(4).position(|w| w == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more(),
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let mut lines = head.split("\r\n").filter(|l| !l.is_empty());
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields: Vec<(String, String)> =
            lines.map(|l| l.split_once(": ").unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        let length =
            fields.iter().find(|(n, _)| n == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
        let length = if self.to_head { 0 } else { length };
        while self.read.len() < length {
            self.more();
        }
        Answer { status, fields, body: self.read.drain(..length).collect() }
    }
}
