//! A gateway: the built program with a store, a policy and an event file of its own.
use super::actor::Actor;
use super::cli::{Run, doorward, rows};
use super::client::Conn;
use super::engine::{Database, Engine};
use super::process::{Folder, spawn, write_for_owner};
use super::wait::{DEADLINE, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a gateway is to be like.
pub(crate) struct Setup {
    sections: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    policy: String,
    environment: Vec<(String, String)>,
    under: Vec<String>,
    store: Store,
    folder: Folder,
}

/// What a gateway remembers in, and the master key's file if it has one already.
#[derive(Clone)]
struct Store {
    database: Option<Arc<Database>>,
    url: String,
    key: Option<Vec<u8>>,
}

impl Setup {
    /// Plain HTTP, served; a policy with nothing in it; a store of its own on the engine of this run.
    pub(crate) fn new() -> Setup {
        let folder = Folder::new();
        let store = match Engine::of_this_run() {
            Engine::Sqlite => {
                Store { database: None, url: format!("sqlite:{}", folder.file("doorward.db")), key: None }
            }
            Engine::Postgres => Store::on(Database::prepared()),
        };
        Setup::on(folder, store)
    }

    /// A gateway on a PostgreSQL database that was made with the key of [`Database::master_key`], or is empty.
    pub(crate) fn on_database(database: Database) -> Setup {
        Setup::on(Folder::new(), Store::on(database))
    }

    /// Another node on the store of this one, with the same master key and all else its own.
    pub(crate) fn beside(other: &Gateway) -> Setup {
        let key = std::fs::read(other.folder.file("master.key")).expect("the other's master key");
        Setup::on(Folder::new(), Store { key: Some(key), ..other.store.clone() }).set(
            "",
            "name",
            "\"another\"",
        )
    }

    fn on(folder: Folder, store: Store) -> Setup {
        let (sections, url) = (BTreeMap::new(), format!("{:?}", store.url));
        let setup =
            Setup { sections, policy: String::new(), environment: vec![], under: vec![], store, folder };
        let quoted = |file: &str| format!("{:?}", setup.folder.file(file));
        let (key, events) = (quoted("master.key"), quoted("events.jsonl"));
        // A store on a server leaves open where this node's journal is.
        let journal = setup.store.database.is_some().then(|| quoted("ledger"));
        let setup = match journal {
            Some(journal) => setup.set("ledger", "journal", journal),
            None => setup,
        };
        setup
            .set("", "name", "\"test\"")
            .set("", "region", "\"us\"")
            .set("store", "url", url)
            .set("store", "master_key_file", key)
            .set("listen", "plain", "\"127.0.0.1:0\"")
            .set("listen", "operations", "\"127.0.0.1:0\"")
            .set("plain_http", "mode", "\"serve\"")
            .set("events", "file", events)
            // A machine that runs tests is always too busy.
            .set("limits", "queue_ms", 2_000)
    }

    /// Sets one line of the configuration; the value is TOML.
    pub(crate) fn set(mut self, section: &'static str, key: &'static str, value: impl ToString) -> Setup {
        self.sections.entry(section).or_default().insert(key, value.to_string());
        self
    }

    /// Takes one line out again.
    pub(crate) fn unset(mut self, section: &'static str, key: &'static str) -> Setup {
        self.sections.entry(section).or_default().remove(key);
        self
    }

    /// Takes a whole section out again.
    pub(crate) fn without(mut self, section: &str) -> Setup {
        self.sections.remove(section);
        self
    }

    pub(crate) fn policy(mut self, policy: impl Into<String>) -> Setup {
        self.policy = policy.into();
        self
    }

    /// Talks to its database by way of something else that listens.
    pub(crate) fn through(self, address: SocketAddr) -> Setup {
        let url = self.store.database.as_ref().expect("a store on PostgreSQL").url_at(address);
        self.set("store", "url", format!("{url:?}"))
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// May have so many file descriptors, and no more.
    pub(crate) fn descriptors(mut self, most: u64) -> Setup {
        self.under = vec!["prlimit".to_owned(), format!("--nofile={most}:{most}"), "--".to_owned()];
        self
    }

    /// Where its files will be.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Listens for TLS with this certificate chain and key, both PEM.
    pub(crate) fn tls(self, certificate: &str, key: &str) -> Setup {
        let certificate = format!("{:?}", self.folder.write("server.pem", certificate));
        let key = format!("{:?}", self.folder.write("server.key", key));
        let listening = self.set("listen", "tls", "\"127.0.0.1:0\"");
        listening.set("tls", "certificate_file", certificate).set("tls", "key_file", key)
    }

    /// Writes the files and makes the master key.
    pub(crate) fn prepare_unchecked(self) -> Gateway {
        let mut text = String::new();
        for (section, lines) in &self.sections {
            if !section.is_empty() {
                text.push_str(&format!("[{section}]\n"));
            }
            lines.iter().for_each(|(key, value)| text.push_str(&format!("{key} = {value}\n")));
        }
        let config = self.folder.write("doorward.toml", &text);
        let key = self.folder.file("master.key");
        match &self.store.key {
            None => drop(doorward(&["master-key", "create", &key]).ok()),
            Some(known) => write_for_owner(&key, known),
        }
        Gateway {
            config,
            store: self.store,
            environment: self.environment,
            under: self.under,
            folder: self.folder,
            process: None,
            addresses: Value::Null,
            started_in: Duration::ZERO,
        }
    }

    /// The same, and applies the policy.
    pub(crate) fn prepare(mut self) -> Gateway {
        let policy = std::mem::take(&mut self.policy);
        let gateway = self.prepare_unchecked();
        if !policy.is_empty() {
            gateway.apply(&policy).ok();
        }
        gateway
    }
}

impl Store {
    fn on(database: Database) -> Store {
        let (url, key) = (database.url(), Some(Database::master_key()));
        Store { database: Some(Arc::new(database)), url, key }
    }
}

/// A gateway, running or not.
pub(crate) struct Gateway {
    pub(crate) folder: Folder,
    pub(crate) config: String,
    environment: Vec<(String, String)>,
    under: Vec<String>,
    store: Store,
    process: Option<Child>,
    addresses: Value,
    /// From the start of the process until it was ready.
    pub(crate) started_in: Duration,
}

impl Gateway {
    /// Another node on the store of this one, running.
    pub(crate) fn beside(other: &Gateway) -> Gateway {
        let mut gateway = Setup::beside(other).prepare_unchecked();
        gateway.start();
        gateway
    }

    /// Its database, where it is one on PostgreSQL.
    pub(crate) fn database(&self) -> &Database {
        self.store.database.as_ref().expect("a store on PostgreSQL")
    }

    /// Everything that its store holds, as it lies there.
    pub(crate) fn stored(&self) -> Vec<u8> {
        let read = |name: &str| std::fs::read(self.folder.file(name)).unwrap_or_default();
        match &self.store.database {
            None => [read("doorward.db"), read("doorward.db-wal")].concat(),
            Some(database) => database.bytes(),
        }
    }

    /// Takes the store out of every node's reach; nothing in it is lost.
    pub(crate) fn take_store_away(&self) {
        match &self.store.database {
            Some(database) => database.close_to_all(),
            None => self.rename_store("doorward.db", "doorward.db.away"),
        }
    }

    /// Undoes [`Gateway::take_store_away`].
    pub(crate) fn give_store_back(&self) {
        match &self.store.database {
            Some(database) => database.open_again(),
            None => self.rename_store("doorward.db.away", "doorward.db"),
        }
    }

    fn rename_store(&self, from: &str, to: &str) {
        let file = self.store.url.strip_prefix("sqlite:").expect("a file");
        let file = |name: &str| file.replace("doorward.db", name);
        std::fs::rename(file(from), file(to)).expect("moved");
    }

    /// Ends it in good order and starts it again.
    pub(crate) fn restart(&mut self) {
        self.signal("TERM");
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{status:?}: {}", self.log());
        self.start();
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(&mut self) {
        let ready = self.folder.file("ready.json");
        let _ = std::fs::remove_file(&ready);
        let started = Instant::now();
        let mut process = self.launch(&["--ready-file", &ready]);
        self.addresses = loop {
            let read = std::fs::read(&ready).ok().and_then(|text| serde_json::from_slice(&text).ok());
            if let Some(addresses) = read {
                break addresses;
            }
            let ended = process.try_wait().expect("a child");
            let late = started.elapsed() > DEADLINE;
            assert!(ended.is_none() && !late, "not ready ({ended:?}): {}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        };
        self.started_in = started.elapsed();
        self.process = Some(process);
    }

    fn launch(&self, more: &[&str]) -> Child {
        let log = |name: &str| {
            let file = self.folder.file(name);
            File::options().create(true).append(true).open(file).expect("the folder takes files")
        };
        let words = [&["serve", "--config", &self.config], more].concat();
        let words = words.into_iter().map(str::to_owned).collect();
        spawn(&self.under, words, self.environment.clone(), log("stdout.log"), log("stderr.log"))
    }

    /// Starts it and kills it so much later, whatever it has come to by then.
    pub(crate) fn start_and_kill_within(&self, span: Duration) {
        let mut process = self.launch(&[]);
        std::thread::sleep(span);
        let _ = process.kill();
        let _ = process.wait();
    }

    /// What it wrote to standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.file("stderr.log")).unwrap_or_default()
    }

    /// Asserts that nothing in it has panicked so far.
    pub(crate) fn expect_no_panic(&self) {
        let log = self.log();
        assert!(!log.contains("panicked at"), "{log}");
    }

    pub(crate) fn events_file(&self) -> String {
        self.folder.file("events.jsonl")
    }

    /// The URL of one of its listeners: `plain`, `tls` or `operations`.
    pub(crate) fn url(&self, listener: &str) -> &str {
        self.addresses[listener].as_str().unwrap_or_else(|| panic!("no {listener} in {}", self.addresses))
    }

    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        let url = self.url(listener);
        let address = url.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
        address.parse().unwrap_or_else(|e| panic!("{e}: {url}"))
    }

    /// A connection to the plain listener.
    pub(crate) fn connect(&self) -> Conn {
        Conn::open(self.address("plain"))
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> super::Answer {
        let method = if request.as_ref().starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        self.connect().send(request).try_answer(method).expect("an answer")
    }

    /// A request to the listener for operations.
    pub(crate) fn operations(&self, path: &str) -> super::Answer {
        let mut connection = Conn::open(self.address("operations"));
        connection
            .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
            .answer()
    }

    /// A command about this gateway's store.
    pub(crate) fn command(&self, words: &[&str]) -> Run {
        doorward(&[words, &["--config", &self.config]].concat())
    }

    pub(crate) fn apply(&self, policy: &str) -> Run {
        let file = self.folder.write("policy.toml", policy);
        self.command(&["apply", "-f", &file])
    }

    /// Creates credentials; of the dialect voucherify, unless the words say otherwise.
    pub(crate) fn create(&self, words: &[&str]) -> Vec<Value> {
        let dialect: &[&str] = if words.contains(&"--dialect") { &[] } else { &["--dialect", "voucherify"] };
        rows(&self.command(&[&["credential", "create", "--json"], words, dialect].concat()).ok().stdout)
    }

    /// Creates one credential and knows how to call with it.
    pub(crate) fn actor(&self, workspace: &str, kind: &str, more: &[&str]) -> Actor {
        let created = self.create(&[&["--workspace", workspace, "--kind", kind], more].concat());
        assert_eq!(created.len(), 1, "{created:?}");
        Actor::from_row(&created[0])
    }

    /// What `credential show` says.
    pub(crate) fn show(&self, id: &str) -> Value {
        rows(&self.command(&["credential", "show", id, "--json"]).ok().stdout).remove(0)
    }

    /// The process, while it runs.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("it was started").id()
    }

    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it was started");
        wait_for("the gateway to end", || process.try_wait().expect("a child"))
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the gateway's log:\n{}", self.log());
        } else {
            self.expect_no_panic();
        }
    }
}
