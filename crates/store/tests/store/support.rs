//! A directory that goes away, keys, things to store.
use doorward_core::credential::{Credential, Kind, Status};
use doorward_core::dialect::Dialect;
use doorward_core::origin::OriginEntry;
use doorward_core::policy::draft::{self, Draft};
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use doorward_store::{Display, NewCredential, Purpose, Store, StoreError};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "doorward-store-{}-{}-{:?}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed),
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Place(path)
    }
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    pub(crate) fn db(&self) -> PathBuf {
        self.file("doorward.db")
    }
    pub(crate) async fn store(&self) -> Store {
        open(&self.db()).await.unwrap()
    }
    /// Every byte of every file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(&self.0).unwrap();
        files.flat_map(|f| std::fs::read(f.unwrap().path()).unwrap()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

pub(crate) fn keys() -> Arc<Keys> {
    Arc::new(Keys::derive(&[7; 32]))
}

pub(crate) fn url(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

pub(crate) async fn open(file: &Path) -> Result<Store, StoreError> {
    Store::open(&url(file), keys(), Purpose::Own, NOW).await
}

/// Does what no program of ours does.
pub(crate) async fn sql(file: &Path, statements: &str) {
    connection(file, statements).await.unwrap();
}

async fn connection(file: &Path, statements: &str) -> Result<AnyConnection, sqlx::Error> {
    sqlx::any::install_default_drivers();
    let mut conn = AnyConnection::connect(&url(file)).await?;
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut conn).await?;
    Ok(conn)
}

/// The first column of every row, as text.
pub(crate) async fn ask(file: &Path, query: &str) -> Vec<String> {
    let mut conn = connection(file, "").await.unwrap();
    let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut conn).await.unwrap();
    rows.iter().map(|r| r.get::<String, _>(0)).collect()
}

pub(crate) const POLICY: &str = r#"
[[workspace]]
id = "acme"
name = "Acme \"quoted\""
environment = "production"
region = "us"

[[workspace]]
id = "acme-test"
environment = "sandbox"

[[api]]
id = "vouchers"
dialect = "voucherify"
schemes = ["api_key", "publishable"]
hosts = ["api.example.com"]
workspaces = ["acme", "acme-test"]
upstream = { production = "http://127.0.0.1:9000", sandbox = "http://127.0.0.1:9001" }
[[api.route]]
path = "/v1/vouchers/*"
methods = ["GET", "POST"]
[[api.route]]
path = "/client/v1/*"
client_side = true
"#;

pub(crate) fn policy() -> Draft {
    draft::read(POLICY).unwrap()
}

pub(crate) async fn put_policy(store: &Store) -> i64 {
    let mut write = store.write("setup", NOW).await.unwrap();
    for w in &policy().workspaces {
        write.put_workspace(w).await.unwrap();
    }
    for a in &policy().apis {
        write.put_api(a).await.unwrap();
    }
    write.commit().await.unwrap()
}

pub(crate) fn credential(id: &str, secret: &str) -> Credential {
    Credential {
        id: id.into(),
        pseudonym: None,
        workspace: "acme".into(),
        kind: Kind::Server,
        name: "a name".into(),
        dialect: Dialect::named("voucherify").unwrap(),
        plain_key: false,
        status: Status::Active,
        expires_at: None,
        scopes: Box::default(),
        origins: Box::default(),
        secret: keys().hash(id.as_bytes(), secret.as_bytes()),
    }
}

/// A credential with every field filled.
pub(crate) fn full_credential(id: &str) -> Credential {
    Credential {
        kind: Kind::Client,
        name: "\u{e4} \"quoted\" \\ name".into(),
        plain_key: true,
        pseudonym: Some(keys().pseudonym(id).into()),
        status: Status::Blocked,
        expires_at: Some(UnixMillis(-5)),
        scopes: ["orders:read".into(), "a \"b\"".into()].into(),
        origins: ["https://shop.example", ".example.org", "localhost:3000", "*"]
            .iter()
            .map(|o| OriginEntry::parse(o).unwrap())
            .collect(),
        ..credential(id, "s")
    }
}

pub(crate) fn new(credential: Credential, display: Option<Display>) -> NewCredential {
    NewCredential { credential, display }
}

pub(crate) async fn create(store: &Store, id: &str, secret: &str, display: Option<Display>) {
    let mut write = store.write("setup", NOW).await.unwrap();
    write.create_credential(&new(credential(id, secret), display)).await.unwrap();
    write.commit().await.unwrap();
}

/// All fields, since credentials themselves can't be compared.
pub(crate) fn shown(c: &Credential) -> String {
    format!("{c:?} {:?}", c.secret.0)
}
