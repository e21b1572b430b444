//! Changes of single credentials, each acknowledged when it is committed: how many a second, by one process and by four.
use crate::feed::{figures, is_proof};
use crate::support::{Engine, Gateway, Setup, Upstream, World, number_of_trials, rows};
use doorward_control::actions::{Desk, Showing, Wanted, credentials};
use doorward_core::credential::Kind;
use doorward_core::dialect::Dialect;
use doorward_core::keyring::MasterKey;
use doorward_core::time::UnixMillis;
use doorward_store::{Purpose, Store};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Instant, SystemTime};

/// What makes a process of the tests a writer, and nothing else.
const ORDER: &str = "DOORWARD_TEST_WRITER";
/// The story that a writer's process is told to run.
const STORY: &str = "writes::changes_are_acknowledged_one_by_one";

/// Changes a second that have to be acknowledged, where time counts.
const BOUND_ON_SQLITE: f64 = 300.0;
const BOUND_ON_POSTGRES: f64 = 500.0;

#[test]
fn changes_are_acknowledged_one_by_one() {
    if let Ok(order) = std::env::var(ORDER) {
        return write(&serde_json::from_str(&order).expect("an order"));
    }
    let changes = number_of_trials(60);
    let (production, sandbox) = (Upstream::start(), Upstream::start());
    let gateway = Setup::new().policy(World::policy(&production, &sandbox)).prepare();
    let mut expected = Expected::default();
    for writers in [1, 4] {
        let rate = rate(&gateway, writers, changes, &mut expected);
        expected.compare(&listed(&gateway, None), "in the end");
        gateway.command(&["check"]).ok();
        let engine = Engine::of_this_run();
        figures(format_args!("{engine:?}, writers: {writers}: {rate:.0} acknowledged changes a second"));
        let bound = match engine {
            Engine::Sqlite => BOUND_ON_SQLITE,
            Engine::Postgres if writers > 1 => BOUND_ON_POSTGRES,
            Engine::Postgres => 0.0,
        };
        assert!(!is_proof() || rate >= bound, "{rate} a second");
    }
}

fn rate(gateway: &Gateway, writers: u64, changes: u64, expected: &mut Expected) -> f64 {
    let each = changes / writers;
    let mut all: Vec<Writer> =
        (0..writers).map(|n| Writer::start(gateway, &format!("writer {n} of {writers}"), each)).collect();
    let started = Instant::now();
    all.iter_mut().for_each(Writer::go);
    let told: Vec<Vec<Told>> = std::thread::scope(|scope| {
        let readers: Vec<_> = all.into_iter().map(|writer| scope.spawn(|| writer.finish())).collect();
        readers.into_iter().map(|reader| reader.join().expect("every writer ends well")).collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    assert!(told.iter().all(|told| told.len() as u64 == each), "a writer did less than it was told");
    told.into_iter().for_each(|told| expected.add(told));
    (each * writers) as f64 / seconds
}

/// Every credential, or those whose names contain a text.
pub(crate) fn listed(gateway: &Gateway, name: Option<&str>) -> Vec<Value> {
    let search = name.map_or_else(Vec::new, |name| vec!["--search", name]);
    rows(&gateway.command(&[&["credential", "list", "--json"], &search[..]].concat()).ok().stdout)
}

/// A change that was acknowledged: what a credential is since, and what the writer makes of it next.
pub(crate) struct Told {
    pub(crate) id: String,
    is: String,
    next: Option<String>,
}

impl Told {
    /// From a line; `None` if it was cut off, which is no acknowledgement.
    pub(crate) fn read(line: &str) -> Option<Told> {
        let row: Value = serde_json::from_str(line).ok()?;
        let text = |field: &str| row[field].as_str().map(str::to_owned);
        // What a command created has a status, and stays as it is.
        Some(Told { id: text("id")?, is: text("is").or_else(|| text("status"))?, next: text("next") })
    }
}

/// What credentials may be, after all that was told. `gone` is none.
#[derive(Default)]
pub(crate) struct Expected(HashMap<String, Vec<String>>);

impl Expected {
    /// Takes over what one writer told, in its order. What it did next may have been done, or not.
    pub(crate) fn add(&mut self, told: Vec<Told>) {
        let last = told.len().saturating_sub(1);
        for (n, told) in told.into_iter().enumerate() {
            let next = told.next.filter(|_| n == last);
            self.0.insert(told.id, std::iter::once(told.is).chain(next).collect());
        }
    }

    /// Asserts that all is as it was told, and stays as it is now. How many are there that nobody was told of.
    #[track_caller]
    pub(crate) fn compare(&mut self, rows: &[Value], when: &str) -> usize {
        let mut there: HashMap<&str, &str> =
            rows.iter().filter_map(|row| Some((row["id"].as_str()?, row["status"].as_str()?))).collect();
        assert_eq!(there.len(), rows.len(), "{when}: a row without id or status, or twice: {rows:?}");
        for (id, may_be) in &mut self.0 {
            let is = there.remove(id.as_str()).unwrap_or("gone").to_owned();
            assert!(may_be.contains(&is), "{when}: {id} is {is}, and was acknowledged as {may_be:?}");
            *may_be = vec![is];
        }
        there.len()
    }

    /// Takes over what others compared.
    pub(crate) fn append(&mut self, more: Expected) {
        self.0.extend(more.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A process that changes one credential after another, as fast as each is committed.
pub(crate) struct Writer {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    /// One that has the store open, and waits.
    pub(crate) fn start(gateway: &Gateway, name: &str, changes: u64) -> Writer {
        let order = json!({"config": gateway.config, "name": name, "changes": changes});
        let mut child = Command::new(std::env::current_exe().expect("the tests' own program"))
            .args([STORY, "--exact", "--nocapture", "--test-threads", "1"])
            .env(ORDER, order.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tests' own program runs");
        let orders = child.stdin.take().expect("a pipe");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // The harness speaks first.
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line == "ready");
        assert!(ready, "a writer did not begin");
        Writer { child, orders, lines }
    }

    pub(crate) fn go(&mut self) {
        writeln!(self.orders, "go").expect("it waits");
    }

    /// The next change that it acknowledged; `None` when it does no more.
    pub(crate) fn next(&mut self) -> Option<Told> {
        self.lines.next().and_then(Result::ok).as_deref().and_then(Told::read)
    }

    /// Everything else that it acknowledges until it ends by itself.
    fn finish(mut self) -> Vec<Told> {
        let told = std::iter::from_fn(|| self.next()).collect();
        self.lines.by_ref().for_each(drop);
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "a writer: {status}");
        told
    }

    /// Kills it, and everything else that it acknowledged until then.
    pub(crate) fn kill(mut self) -> Vec<Told> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        std::iter::from_fn(|| self.next()).collect()
    }
}

/// What a writer does with its credentials, one after another. Some stay in each state.
const LIVES: [&[&str]; 3] =
    [&["create", "block"], &["create", "block", "unblock"], &["create", "regenerate", "delete"]];

fn state_after(verb: &str) -> &'static str {
    match verb {
        "block" => "blocked",
        "delete" => "gone",
        _ => "active",
    }
}

/// Does what a process with an order does.
fn write(order: &Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let text = |field: &str| order[field].as_str().expect("a text").to_owned();
        let (url, key) = store_of(&text("config"));
        let store = Store::open(&url, &key, Purpose::Own, now()).await.expect("the store opens");
        let keys = store.keys();
        // Ends the line that the harness has left open.
        println!("\nready");
        let mut go = String::new();
        std::io::stdin().read_line(&mut go).expect("an order");
        let wanted = Wanted {
            workspace: "acme-live".to_owned(),
            kind: Kind::Server,
            dialect: Some(Dialect::parse("voucherify").expect("a dialect")),
            name: text("name"),
            plain_key: false,
            origins: Vec::new(),
            scopes: Vec::new(),
            own: Default::default(),
            expires_at: None,
            import: None,
            password: None,
            password_grant: false,
            showing: Showing::ByDialect,
        };
        let mut left = order["changes"].as_u64().expect("a number");
        for life in LIVES.iter().cycle() {
            let mut id = String::new();
            for (n, verb) in life.iter().enumerate() {
                if left == 0 {
                    return;
                }
                left -= 1;
                let desk = Desk { store: &store, keys: &keys, actor: "writer", now: now() };
                let mut random =
                    |bytes: &mut [u8]| aws_lc_rs::rand::fill(bytes).expect("the system has random bytes");
                let done = match *verb {
                    "create" => credentials::create(desk, &wanted, &mut random).await,
                    "block" => credentials::block(desk, &id).await,
                    "unblock" => credentials::unblock(desk, &id).await,
                    "regenerate" => credentials::regenerate(desk, &id, None, &mut random).await,
                    _ => credentials::delete(desk, &id).await,
                };
                id = done.expect("the change is made").id;
                let next = life.get(n + 1).map(|verb| state_after(verb));
                println!("{}", json!({"id": id, "is": state_after(verb), "next": next}));
            }
        }
    });
}

/// The address of the store that a file of settings names, and its master key.
pub(crate) fn store_of(config: &str) -> (String, MasterKey) {
    let config = std::fs::read_to_string(config).expect("the settings");
    let value = |key: &str| -> String {
        let found = config.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
        serde_json::from_str(found.expect("it is set")).expect("a text in quotes")
    };
    let key = std::fs::read_to_string(value("master_key_file")).expect("the master key");
    let key = from_base64(key.trim()).try_into().expect("a key of 32 bytes");
    (value("url"), MasterKey::new(key))
}

/// What a text in base64 stands for.
fn from_base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let group = |four: &[u8]| {
        let bits = four.iter().enumerate().fold(0, |n, (i, c)| n | u32::from(digit(*c)) << (18 - 6 * i));
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    text.trim_end_matches('=').as_bytes().chunks(4).flat_map(group).collect()
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    UnixMillis(i64::try_from(since.as_millis()).expect("it is before the end of time"))
}
