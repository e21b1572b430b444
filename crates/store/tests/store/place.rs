//! Where a test has its store: a folder that goes away, or a database of a server.
//!
//! Each test of [`on_both_engines!`] runs twice. `DOORWARD_TEST_POSTGRES` is the address of the superuser of a server
//! that may be used freely, as in `postgres://postgres@127.0.0.1:5433/postgres`; without it, half of them are skipped.
use crate::support::{ask, connection, master, open};
use doorward_store::{Purpose, Store};
use sqlx::Connection;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OnceCell;

/// Makes each test twice: on a file, and on a server.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $name() { super::$name().await })+
        }
        mod on_postgres {
            $(#[tokio::test] async fn $name() {
                crate::place::on_postgres(concat!(module_path!(), "::", stringify!($name)), super::$name()).await
            })+
        }
    };
}
pub(crate) use on_both_engines;

/// Makes tests that are about a server.
macro_rules! on_postgres_only {
    ($($name:ident),+ $(,)?) => {
        mod on_postgres_only {
            $(#[tokio::test] async fn $name() {
                crate::place::on_postgres(concat!(module_path!(), "::", stringify!($name)), super::$name()).await
            })+
        }
    };
}
pub(crate) use on_postgres_only;

tokio::task_local! {
    /// Set while a test runs on a server.
    static ON_SERVER: ();
}

fn on_server() -> bool {
    ON_SERVER.try_with(|()| ()).is_ok()
}

/// Runs a test on a server; says that it is skipped where there is none.
pub(crate) async fn on_postgres(name: &str, test: impl Future<Output = ()>) {
    if std::env::var("DOORWARD_TEST_POSTGRES").is_ok_and(|url| !url.is_empty()) {
        ON_SERVER.scope((), test).await;
    } else {
        // Past the harness, which would keep it to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {name}: DOORWARD_TEST_POSTGRES is not set");
    }
}

/// One store's place.
#[derive(Clone)]
pub(crate) struct Db(String);

impl From<PathBuf> for Db {
    fn from(file: PathBuf) -> Db {
        Db(format!("sqlite:{}", file.display()))
    }
}

impl Db {
    pub(crate) fn url(&self) -> &str {
        &self.0
    }
    pub(crate) fn is_server(&self) -> bool {
        self.0.starts_with("postgres")
    }
    /// The same database for somebody else.
    pub(crate) fn url_of(&self, user: &str) -> String {
        let (_, rest) = self.0.split_once('@').unwrap();
        format!("postgres://{user}@{rest}")
    }
    /// Puts the engine's words in SQL: `{z32}` stands for 32 zero bytes.
    pub(crate) fn words(&self, sql: &str) -> String {
        [1, 8, 32, 40].into_iter().fold(sql.to_owned(), |sql, n| {
            let zeros = "00".repeat(n);
            let literal =
                if self.is_server() { format!("'\\x{zeros}'::bytea") } else { format!("x'{zeros}'") };
            sql.replace(&format!("{{z{n}}}"), &literal)
        })
    }
    /// What is said differently on the two engines.
    pub(crate) fn either<'a>(&self, sqlite: &'a str, postgres: &'a str) -> &'a str {
        if self.is_server() { postgres } else { sqlite }
    }
}

/// A folder, and a database where the test runs on a server. Both go with it.
pub(crate) struct Place {
    folder: PathBuf,
    database: Option<String>,
}

/// One address of the server: that of its superuser, or of a database on it.
pub(crate) fn server(database: Option<&str>) -> Db {
    let url = std::env::var("DOORWARD_TEST_POSTGRES").unwrap();
    Db(match database {
        None => url,
        Some(name) => format!("{}/{name}", url.rsplit_once('/').unwrap().0),
    })
}

fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("doorward_test_{}_s{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn copied_from(template: &str, more: &str) -> String {
    let name = name();
    crate::support::sql(&server(None), &format!("CREATE DATABASE {name} TEMPLATE {template} {more}")).await;
    name
}

/// A database with the tables as this program makes them; the databases of most tests are copies of it.
async fn template() -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(|| async {
            let name = copied_from("template0", "ENCODING 'UTF8'").await;
            let url = server(Some(&name));
            Store::open(url.url(), &master(), Purpose::Own, crate::support::NOW).await.unwrap().close().await;
            name
        })
        .await
}

impl Place {
    pub(crate) fn new() -> Place {
        let made = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let folder = std::env::temp_dir().join(format!("doorward-store-{}-{:?}", name(), made.as_nanos()));
        std::fs::create_dir(&folder).unwrap();
        // Tests make their place before anything else, and there is one thread for each.
        let database = on_server().then(|| aside(async { copied_from(template().await, "").await }));
        Place { folder, database }
    }
    /// With nothing in it, not even tables.
    pub(crate) fn empty() -> Place {
        Place::empty_with("ENCODING 'UTF8'")
    }
    pub(crate) fn empty_with(encoding: &str) -> Place {
        let encoding = encoding.to_owned();
        let database = on_server().then(|| aside(async move { copied_from("template0", &encoding).await }));
        let folder = std::env::temp_dir().join(name());
        std::fs::create_dir(&folder).unwrap();
        Place { folder, database }
    }
    /// Another one with all that is in this one, which nobody may have open.
    pub(crate) async fn copy(&self) -> Place {
        let folder = std::env::temp_dir().join(name());
        std::fs::create_dir(&folder).unwrap();
        let database = match &self.database {
            Some(name) => Some(copied_from(name, "").await),
            None => {
                std::fs::copy(self.file("doorward.db"), folder.join("doorward.db")).unwrap();
                None
            }
        };
        Place { folder, database }
    }
    pub(crate) fn database(&self) -> &str {
        self.database.as_deref().unwrap()
    }
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
    pub(crate) fn db(&self) -> Db {
        match &self.database {
            Some(name) => server(Some(name)),
            None => self.file("doorward.db").into(),
        }
    }
    pub(crate) async fn store(&self) -> Store {
        open(&self.db()).await.unwrap()
    }
    /// Every byte of every file; of a server, everything in every row.
    pub(crate) async fn bytes(&self) -> Vec<u8> {
        if self.database.is_none() {
            let files = std::fs::read_dir(self.folder()).unwrap();
            return files.flat_map(|f| std::fs::read(f.unwrap().path()).unwrap()).collect();
        }
        let tables = "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public'";
        let mut all = Vec::new();
        for table in ask(&self.db(), tables).await {
            let rows = ask(&self.db(), &format!("SELECT CAST(t AS TEXT) FROM {table} t")).await;
            all.extend(rows.join("\n").into_bytes());
        }
        all
    }
}

/// Runs something to its end beside the test's own runtime.
fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    std::thread::spawn(run).join().unwrap()
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
        if let Some(name) = self.database.take() {
            aside(async move {
                let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                if let Ok(conn) = connection(&server(None), &drop).await {
                    conn.close().await.ok();
                }
            });
        }
    }
}
