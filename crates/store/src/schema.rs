//! The tables, and how they came to be: a numbered list of migrations. Each only adds, so that a program one version
//! older still runs on them.
use crate::engine::Engine;
use crate::{Purpose, StoreError};
use doorward_core::secret::Keys;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Row};

/// The schema that this program makes and knows.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

const MIGRATIONS: [&[&str]; 1] = [&[
    "CREATE TABLE meta (key {text} NOT NULL PRIMARY KEY, value {text} NOT NULL) {keyed}",
    // One row. Whoever writes takes it first, so that changes are numbered in the order of their commits, without gaps.
    "CREATE TABLE head (one {bigint} NOT NULL PRIMARY KEY CHECK (one = 1), seq {bigint} NOT NULL) {table}",
    "INSERT INTO head (one, seq) VALUES (1, 0)",
    "CREATE TABLE change (
        seq {bigint} NOT NULL PRIMARY KEY,
        at {bigint} NOT NULL,
        actor {text} NOT NULL,
        workspace {text},
        kind {text} NOT NULL,
        id {text} NOT NULL,
        action {text} NOT NULL,
        before {text},
        after {text},
        mac {blob} NOT NULL
    ) {table}",
    "CREATE INDEX change_about ON change (kind, id, seq)",
    "CREATE TABLE object (
        kind {text} NOT NULL,
        workspace {text} NOT NULL,
        id {text} NOT NULL,
        revision {bigint} NOT NULL,
        body {text} NOT NULL,
        PRIMARY KEY (kind, workspace, id)
    ) {table}",
    "CREATE TABLE credential (
        id {text} NOT NULL PRIMARY KEY,
        workspace {text} NOT NULL,
        kind {text} NOT NULL,
        name {text} NOT NULL,
        dialect {text} NOT NULL,
        plain_key {bigint} NOT NULL CHECK (plain_key IN (0, 1)),
        status {text} NOT NULL,
        expires_at {bigint},
        scopes {text} NOT NULL,
        origins {text} NOT NULL,
        secret {blob} NOT NULL,
        secret_version {bigint} NOT NULL,
        created_at {bigint} NOT NULL
    ) {keyed}",
    "CREATE INDEX credential_workspace ON credential (workspace, id)",
    "CREATE TABLE secret_display (
        credential {text} NOT NULL PRIMARY KEY REFERENCES credential (id) ON DELETE CASCADE,
        sealed {blob} NOT NULL,
        shown_until {bigint}
    ) {keyed}",
    "CREATE INDEX secret_display_until ON secret_display (shown_until)",
    "CREATE TABLE credential_fact (
        credential {text} NOT NULL PRIMARY KEY REFERENCES credential (id) ON DELETE CASCADE,
        last_used {bigint},
        exposed_at {bigint}
    ) {keyed}",
]];

const META: &str = "SELECT value FROM meta WHERE key = $1";
const SET_META: &str =
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// Brings the tables up to date and returns the installation's id. A store of another purpose or master key is left as it is.
pub(crate) async fn ensure(
    pool: &AnyPool,
    engine: Engine,
    keys: &Keys,
    purpose: Purpose,
) -> Result<String, StoreError> {
    let mut conn = pool.acquire().await?;
    let version = version(&mut conn, engine).await?;
    if version > 0 {
        verify(&mut conn, keys, purpose).await?;
    }
    if version < VERSION {
        drop(conn);
        migrate(pool, engine, keys, purpose).await?;
        conn = pool.acquire().await?;
        verify(&mut conn, keys, purpose).await?;
    }
    meta(&mut conn, "installation").await
}

/// The schema of the store; 0 where there is none yet.
async fn version(conn: &mut AnyConnection, engine: Engine) -> Result<i64, StoreError> {
    let tables = sqlx::query(engine.tables()).fetch_all(&mut *conn).await?;
    let mut names = Vec::new();
    for table in &tables {
        names.push(table.try_get::<&str, _>(0)?);
    }
    if names.is_empty() {
        return Ok(0);
    }
    if !(names.contains(&"meta") && names.contains(&"head") && names.contains(&"change")) {
        return Err(StoreError::Refused(
            "the database holds other tables, and is no Doorward store".to_owned(),
        ));
    }
    let found = meta(conn, "schema").await?;
    let found = found.parse().map_err(|_| StoreError::Damaged(format!("its schema is `{found}`")))?;
    if found > VERSION { Err(StoreError::NewerSchema { found, known: VERSION }) } else { Ok(found) }
}

async fn meta(conn: &mut AnyConnection, key: &str) -> Result<String, StoreError> {
    let row = sqlx::query(META).bind(key).fetch_optional(conn).await?;
    let row = row.ok_or_else(|| StoreError::Damaged(format!("`{key}` is missing in its table `meta`")))?;
    Ok(row.try_get(0)?)
}

async fn verify(conn: &mut AnyConnection, keys: &Keys, purpose: Purpose) -> Result<(), StoreError> {
    let found = meta(conn, "purpose").await?;
    let found = Purpose::named(&found)
        .ok_or_else(|| StoreError::Damaged(format!("it was made for `{found}`, which is nothing known")))?;
    if found != purpose {
        return Err(StoreError::OtherPurpose { found });
    }
    if meta(conn, "key_check").await? == hex(&keys.check()) {
        Ok(())
    } else {
        Err(StoreError::WrongMasterKey)
    }
}

async fn migrate(pool: &AnyPool, engine: Engine, keys: &Keys, purpose: Purpose) -> Result<(), StoreError> {
    let mut tx = pool.begin_with(engine.begin_alone()).await?;
    // Another process may have been faster.
    let found = version(&mut tx, engine).await?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        for statement in *migration {
            sqlx::query(AssertSqlSafe(engine.ddl(statement))).execute(&mut *tx).await?;
        }
    }
    let mut values = vec![("schema", VERSION.to_string())];
    if found == 0 {
        values.extend([
            ("installation", random_name()?),
            ("epoch", random_name()?),
            ("purpose", purpose.name().to_owned()),
            ("key_check", hex(&keys.check())),
        ]);
    }
    for (key, value) in values {
        sqlx::query(SET_META).bind(key).bind(value).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// 128 random bits in hexadecimal digits.
fn random_name() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| StoreError::Refused("the system gave no random bytes".to_owned()))?;
    Ok(hex(&bytes))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
