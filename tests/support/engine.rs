//! Which engine the stores of this run stand on, and databases of the tests' own on a PostgreSQL server.
use super::cli::doorward;
use super::process::Folder;
use super::wait::skipped;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// What `DOORWARD_TEST_ENGINE` says; SQLite where it says nothing.
    pub(crate) fn of_this_run() -> Engine {
        match std::env::var("DOORWARD_TEST_ENGINE").as_deref() {
            Ok("postgres") => Engine::Postgres,
            Ok("sqlite" | "") | Err(_) => Engine::Sqlite,
            Ok(other) => panic!("DOORWARD_TEST_ENGINE is `{other}`; write sqlite or postgres"),
        }
    }
}

/// Whether this run skips a story because it is about SQLite; says so.
pub(crate) fn skips_unless_sqlite() -> bool {
    skips(Engine::Sqlite, "about SQLite")
}

/// Whether this run skips a story because it is about PostgreSQL; says so.
pub(crate) fn skips_unless_postgres() -> bool {
    skips(Engine::Postgres, "about PostgreSQL")
}

fn skips(needed: Engine, why: &str) -> bool {
    let skips = Engine::of_this_run() != needed;
    if skips {
        // The harness names threads after the tests that they run.
        skipped(std::thread::current().name().unwrap_or("a story"), why);
    }
    skips
}

/// A database of one test's own, gone when its owner goes.
pub(crate) struct Database {
    name: String,
}

/// The server that tests are given: `DOORWARD_TEST_POSTGRES` is the address of its superuser,
/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
struct Server {
    user: String,
    password: String,
    address: String,
}

/// A database that every other one is a copy of, and the key that it was made with.
struct Template {
    name: String,
    folder: Folder,
}

const NAMES: &str = "doorward_test";

impl Server {
    fn of_this_run() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| {
            let url = std::env::var("DOORWARD_TEST_POSTGRES").unwrap_or_default();
            let parts = || {
                let (who, rest) = url.strip_prefix("postgres://")?.split_once('@')?;
                let (user, password) = who.split_once(':')?;
                let address = rest.split('/').next()?;
                Some([user, password, address].map(str::to_owned))
            };
            let [user, password, address] = parts().expect(
                "DOORWARD_TEST_POSTGRES is the superuser's postgres://USER:PASSWORD@HOST:PORT/DATABASE; `cargo xtask test` sets it",
            );
            let server = Server { user, password, address };
            server.remove_what_dead_runs_left();
            server
        })
    }

    /// A program that comes with the server, set up to talk to one of its databases.
    fn program(&self, program: &str, database: &str) -> Command {
        let (host, port) = self.address.split_once(':').unwrap_or((&self.address, "5432"));
        let mut command = Command::new(program);
        command.args(["-h", host, "-p", port, "-U", &self.user, "-d", database, "-w"]);
        // Arguments are for all to see, an environment is not.
        command.env("PGPASSWORD", &self.password).env("PGCONNECT_TIMEOUT", "10").stdin(Stdio::null());
        command
    }

    fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = self.program("psql", database);
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        said(psql)
    }

    fn remove_what_dead_runs_left(&self) {
        let listed = format!("SELECT datname FROM pg_database WHERE datname LIKE '{NAMES}_%'");
        for name in self.psql("postgres", &listed).unwrap_or_default().lines() {
            let pid = name.trim_start_matches(NAMES).split('_').nth(1).unwrap_or_default();
            if !Path::new("/proc").join(pid).exists() {
                let _ = self.psql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            }
        }
    }
}

fn said(mut command: Command) -> Result<String, String> {
    let out = command.output().map_err(|e| format!("{:?}: {e}", command.get_program()))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if out.status.success() { Ok(text(out.stdout)) } else { Err(text(out.stderr)) }
}

impl Template {
    fn of_this_run() -> &'static Template {
        static TEMPLATE: OnceLock<Template> = OnceLock::new();
        TEMPLATE.get_or_init(|| {
            let database = Database::empty();
            let folder = Folder::new();
            let key = folder.file("master.key");
            doorward(&["master-key", "create", &key]).ok();
            let config = format!(
                "[store]\nurl = {:?}\nmaster_key_file = {key:?}\n[listen]\nplain = \"127.0.0.1:0\"\n\
                 [plain_http]\nmode = \"serve\"\n",
                database.url()
            );
            let config = folder.write("doorward.toml", &config);
            doorward(&["credential", "list", "--config", &config]).ok();
            let name = database.name.clone();
            // It stays for the whole run; the next one removes it.
            std::mem::forget(database);
            Template { name, folder }
        })
    }
}

impl Database {
    /// One with nothing in it.
    pub(crate) fn empty() -> Database {
        Database::copy_of("template0")
    }

    /// One that the program has made its tables in, with the key of [`Database::master_key`].
    pub(crate) fn prepared() -> Database {
        Database::copy_of(&Template::of_this_run().name)
    }

    /// The key that [`Database::prepared`] ones were made with, as its file has it.
    pub(crate) fn master_key() -> Vec<u8> {
        std::fs::read(Template::of_this_run().folder.file("master.key")).expect("the template's key")
    }

    fn copy_of(template: &str) -> Database {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("{NAMES}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let made =
            Server::of_this_run().psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        made.unwrap_or_else(|e| panic!("no database for a test: {e}"));
        Database { name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        Server::of_this_run().address.parse().expect("the server's address is an IP address with a port")
    }

    /// Its address for the superuser.
    pub(crate) fn url(&self) -> String {
        self.url_at(&Server::of_this_run().address)
    }

    /// The same, by way of something else that listens.
    pub(crate) fn url_at(&self, address: impl std::fmt::Display) -> String {
        let Server { user, password, .. } = Server::of_this_run();
        self.url_of(user, password, address)
    }

    /// Its address for somebody else.
    pub(crate) fn url_of(&self, user: &str, password: &str, address: impl std::fmt::Display) -> String {
        format!("postgres://{user}:{password}@{address}/{}", self.name)
    }

    /// What must not be seen anywhere.
    pub(crate) fn password(&self) -> &'static str {
        &Server::of_this_run().password
    }

    /// Runs SQL in it, past the program; what it gives, a row a line.
    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) -> String {
        Server::of_this_run().psql(&self.name, sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// Ends all connections to it and lets nobody in, until it is opened again.
    pub(crate) fn close_to_all(&self) {
        self.tell_the_server("ALTER DATABASE $ ALLOW_CONNECTIONS false");
        self.tell_the_server("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$'");
    }

    pub(crate) fn open_again(&self) {
        self.tell_the_server("ALTER DATABASE $ ALLOW_CONNECTIONS true");
    }

    /// Runs SQL about it in another database; `$` stands for its name.
    fn tell_the_server(&self, sql: &str) {
        let done = Server::of_this_run().psql("postgres", &sql.replace('$', &self.name));
        done.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// Everything in it as SQL.
    pub(crate) fn dump(&self) -> String {
        let mut dump = Server::of_this_run().program("pg_dump", &self.name);
        // Newer ones put random words into every dump, to keep the shell out of it.
        dump.args(["--no-owner", "--inserts"]);
        let dump = said(dump).unwrap_or_else(|e| panic!("{e}"));
        dump.lines().filter(|line| !line.starts_with('\\')).flat_map(|line| [line, "\n"]).collect()
    }

    /// Everything in it, and what columns of bytes hold as those bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let dump = self.dump();
        let mut all = dump.clone().into_bytes();
        for column in dump.split("'\\x").skip(1) {
            let digits = column.split('\'').next().unwrap_or_default().as_bytes();
            all.extend(
                digits
                    .chunks(2)
                    .filter_map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()),
            );
        }
        all
    }

    /// A database with this in it.
    pub(crate) fn from_dump(sql: &str) -> Database {
        let database = Database::empty();
        let folder = Folder::new();
        let mut psql = Server::of_this_run().program("psql", &database.name);
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", &folder.write("dump.sql", sql)]);
        said(psql).unwrap_or_else(|e| panic!("{e}"));
        database
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = Server::of_this_run()
            .psql("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        if let Err(e) = dropped {
            eprintln!("the database {} stays: {e}", self.name);
        }
    }
}
