//! Keys, things to store, and SQL past the program.
use doorward_core::credential::{Credential, Kind, Status};
use doorward_core::dialect::Dialect;
use doorward_core::keyring::MasterKey;
use doorward_core::origin::OriginEntry;
use doorward_core::policy::draft::{self, Draft};
use doorward_core::schemes::escher::SigningSecret;
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use doorward_store::{Display, NewCredential, Purpose, Store, StoreError};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use std::sync::Arc;

pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

pub(crate) use crate::place::{Db, Place};

pub(crate) fn master() -> MasterKey {
    MasterKey::new([7; 32])
}

/// Keys of no store: what is hashed with them is as good as anything for a store that only keeps it.
pub(crate) fn keys() -> Arc<Keys> {
    Arc::new(Keys::derive(&[7; 32]))
}

pub(crate) fn url(db: &Db) -> String {
    db.url().to_owned()
}

pub(crate) async fn open(db: &Db) -> Result<Store, StoreError> {
    Store::open(db.url(), &master(), Purpose::Own, NOW).await
}

/// Does what no program of ours does. `{z8}` stands for eight zero bytes.
pub(crate) async fn sql(db: &Db, statements: &str) {
    connection(db, statements).await.unwrap();
}

pub(crate) async fn connection(db: &Db, statements: &str) -> Result<AnyConnection, sqlx::Error> {
    sqlx::any::install_default_drivers();
    let mut conn = AnyConnection::connect(db.url()).await?;
    sqlx::raw_sql(AssertSqlSafe(db.words(statements))).execute(&mut conn).await?;
    Ok(conn)
}

/// The first column of every row, as text.
pub(crate) async fn ask(db: &Db, query: &str) -> Vec<String> {
    let mut conn = connection(db, "").await.unwrap();
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

/// A store as the first schema had it, with the policy and a credential `k`, whose secret `s` may be shown.
pub(crate) async fn of_the_first_schema() -> Place {
    let place = Place::new();
    place.store().await.close().await;
    let ring = master().first_keyring();
    let installation = ask(&place.db(), "SELECT value FROM meta WHERE key = 'installation'").await.remove(0);
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let locked = hex(&master().lock(&installation, &ring));
    let locked = match place.db().is_server() {
        true => format!("'\\x{locked}'::bytea"),
        false => format!("x'{locked}'"),
    };
    let ring = ring.name();
    sql(
        &place.db(),
        &format!("UPDATE keyring SET sealed = {locked}; UPDATE meta SET value = '{ring}' WHERE key = 'seal'"),
    )
    .await;
    let store = place.store().await;
    put_policy(&store).await;
    let mut write = store.write("setup", NOW).await.unwrap();
    let display = Display { secret: "s".to_owned(), until: None };
    let hash = Keys::derive(&[7; 32]).hash(b"k", b"s");
    write
        .create_credential(&new(Credential { secret: hash, ..credential("k", "s") }, Some(display)))
        .await
        .unwrap();
    write.commit().await.unwrap();
    store.close().await;
    forget_tokens_since(&place).await;
    let check = hex(&master().check());
    let older = "DROP TABLE guess; DROP TABLE token; DROP TABLE token_key; ALTER TABLE credential DROP COLUMN tokens_since; ALTER TABLE credential DROP COLUMN password; ALTER TABLE credential DROP COLUMN password_grant; ALTER TABLE credential DROP COLUMN role; ALTER TABLE credential DROP COLUMN networks; ALTER TABLE credential DROP COLUMN limit_rule; DROP TABLE rule_use; DROP TABLE rule_sample; DROP TABLE captcha; DROP TABLE anonymous_use; DROP TABLE anonymous_sample; DROP TABLE unsigned_use; DROP TABLE ledger; DROP TABLE signing_secret; DROP TABLE lease; DROP TABLE node; DROP TABLE keyring; ALTER TABLE secret_display DROP COLUMN key_version; \
                 UPDATE meta SET value = '1' WHERE key = 'schema'; DELETE FROM meta WHERE key = 'seal'";
    sql(&place.db(), &format!("{older}; INSERT INTO meta (key, value) VALUES ('key_check', '{check}')"))
        .await;
    place
}

/// Takes out of the only change about a credential what the first program did not write.
async fn forget_tokens_since(place: &Place) {
    let db = place.db();
    let told = ask(&db, "SELECT after FROM change WHERE seq = 4").await.remove(0);
    let (former, _) = told.split_once(",\"tokens_since\"").unwrap();
    let former = format!("{former}}}");
    let mac = db.either("hex(mac)", "encode(mac, 'hex')");
    let before = ask(&db, &format!("SELECT {mac} FROM change WHERE seq = 3")).await.remove(0);
    let byte = |at| u8::from_str_radix(&before[at..at + 2], 16).unwrap();
    let before: Vec<u8> = (0..before.len()).step_by(2).map(byte).collect();
    let after = [&[1], former.as_bytes()].concat();
    let parts: [&[u8]; 9] = [
        &4_i64.to_be_bytes(),
        &NOW.0.to_be_bytes(),
        b"setup",
        b"\x01acme",
        b"credential",
        b"k",
        b"created",
        &[0],
        &after,
    ];
    let mac: String = keys().chain(&before, &parts).iter().map(|b| format!("{b:02x}")).collect();
    let mac = if db.is_server() { format!("'\\x{mac}'::bytea") } else { format!("x'{mac}'") };
    sql(&db, &format!("UPDATE change SET after = '{former}', mac = {mac} WHERE seq = 4")).await;
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
        password_grant: false,
        status: Status::Active,
        expires_at: None,
        scopes: Box::default(),
        origins: Box::default(),
        secret: keys().hash(id.as_bytes(), secret.as_bytes()),
        signing: None,
        own: None,
        tokens_since: 0,
    }
}

/// A credential that signs, as a store keeps it that has these keys.
pub(crate) fn signer(keys: &Keys, id: &str, secret: &str) -> Credential {
    Credential {
        dialect: Dialect::named("antavo").unwrap(),
        secret: keys.hash(id.as_bytes(), secret.as_bytes()),
        signing: Some(SigningSecret::new(secret.as_bytes())),
        ..credential(id, secret)
    }
}

/// Creates a credential that signs.
pub(crate) async fn create_signer(store: &Store, id: &str, secret: &str) {
    let mut write = store.write("setup", NOW).await.unwrap();
    write.create_credential(&new(signer(&store.keys(), id, secret), None)).await.unwrap();
    write.commit().await.unwrap();
}

/// What a credential signs with, as the store gives it.
pub(crate) async fn signs_with(store: &Store, id: &str) -> Option<String> {
    text(&store.credential(id).await.unwrap().unwrap().credential)
}

/// What a credential signs with.
pub(crate) fn text(c: &Credential) -> Option<String> {
    c.signing.as_ref().map(|s| String::from_utf8(s.as_bytes().to_vec()).unwrap())
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
    NewCredential { credential, display, password: None }
}

pub(crate) async fn create(store: &Store, id: &str, secret: &str, display: Option<Display>) {
    let mut write = store.write("setup", NOW).await.unwrap();
    write.create_credential(&new(credential(id, secret), display)).await.unwrap();
    write.commit().await.unwrap();
}

/// All fields, since credentials themselves can't be compared.
pub(crate) fn shown(c: &Credential) -> String {
    format!("{c:?} {:?} {}", c.secret.0, c.tokens_since)
}
