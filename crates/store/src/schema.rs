//! The tables, and how they came to be: a numbered list of migrations. Each only adds, so that a program one version
//! older still runs on them.
use crate::engine::Engine;
use crate::{Purpose, StoreError, keyring};
use doorward_core::keyring::{Keyring, MasterKey};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

/// The schema that this program makes and knows.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

const MIGRATIONS: [&[&str]; 10] =
    [FIRST, NODES_AND_KEYS, LEASES, SIGNING, LEDGER, OBSERVED, TOKENS, PASSWORDS, RULES, ANONYMOUS];

const FIRST: &[&str] = &[
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
];

const NODES_AND_KEYS: &[&str] = &[
    // Each node that runs, or did.
    "CREATE TABLE node (
        id {text} NOT NULL PRIMARY KEY,
        name {text} NOT NULL,
        version {text} NOT NULL,
        role {text} NOT NULL,
        region {text},
        started_at {bigint} NOT NULL,
        seen_at {bigint} NOT NULL,
        seq {bigint} NOT NULL,
        age_ms {bigint}
    ) {keyed}",
    // What everything is sealed with, sealed with each master key that opens the store.
    "CREATE TABLE keyring (master {text} NOT NULL PRIMARY KEY, sealed {blob} NOT NULL) {keyed}",
    "ALTER TABLE secret_display ADD COLUMN key_version {bigint} NOT NULL DEFAULT 1",
];

const LEASES: &[&str] = &[
    // What one node at a time may do, whose turn it is, and until when by the store's clock.
    "CREATE TABLE lease (
        name {text} NOT NULL PRIMARY KEY,
        holder {text} NOT NULL,
        until {bigint} NOT NULL,
        turn {bigint} NOT NULL,
        renewals {bigint} NOT NULL
    ) {keyed}",
];

const SIGNING: &[&str] = &[
    // What requests are signed with, sealed.
    "CREATE TABLE signing_secret (
        credential {text} NOT NULL PRIMARY KEY REFERENCES credential (id) ON DELETE CASCADE,
        sealed {blob} NOT NULL,
        key_version {bigint} NOT NULL
    ) {keyed}",
];

const LEDGER: &[&str] = &[
    // One row, once there is something to tell: how far from the time anything that was accepted was dated; and about a
    // ledger that nodes share, its mark, under which turn of the lease it was set, and which history of data it belongs to.
    "CREATE TABLE ledger (
        one {bigint} NOT NULL PRIMARY KEY CHECK (one = 1),
        reach_ms {bigint} NOT NULL DEFAULT 0,
        ahead_ms {bigint} NOT NULL DEFAULT 0,
        turn {bigint} NOT NULL DEFAULT 0,
        mark {text} NOT NULL DEFAULT '',
        history {text} NOT NULL DEFAULT ''
    ) {table}",
];

const OBSERVED: &[&str] = &[
    // Calls to APIs where signatures are observed: those without a signature, and when there was one with.
    "CREATE TABLE unsigned_use (
        credential {text} NOT NULL REFERENCES credential (id) ON DELETE CASCADE,
        api {text} NOT NULL,
        calls {bigint} NOT NULL,
        first_at {bigint},
        last_at {bigint},
        signed_at {bigint},
        PRIMARY KEY (credential, api)
    ) {keyed}",
];

const TOKENS: &[&str] = &[
    // The number of the change that created a credential or last revoked all of its tokens. Those that are there already
    // have no tokens.
    "ALTER TABLE credential ADD COLUMN tokens_since {bigint} NOT NULL DEFAULT 0",
    // What tokens are signed with. The private key is sealed, together with what else must not be changed: whoever can
    // only write here can't have a key of his own believed.
    "CREATE TABLE token_key (
        kid {text} NOT NULL PRIMARY KEY,
        alg {text} NOT NULL,
        state {text} NOT NULL,
        created_at {bigint} NOT NULL,
        signs_from {bigint} NOT NULL,
        retired_at {bigint},
        verify_until {bigint},
        public_jwk {text} NOT NULL,
        sealed {blob} NOT NULL,
        key_version {bigint} NOT NULL
    ) {keyed}",
    // Every token that was issued, until it is over. Not the token itself: nobody finds one here. A credential that is
    // deleted leaves its tokens, which are dead, to their end.
    "CREATE TABLE token (
        jti {text} NOT NULL PRIMARY KEY,
        credential {text} NOT NULL,
        workspace {text} NOT NULL,
        dialect {text} NOT NULL,
        label {text},
        scope {text} NOT NULL,
        gen {text} NOT NULL,
        issued_at {bigint} NOT NULL,
        expires_at {bigint} NOT NULL,
        revoked_at {bigint}
    ) {keyed}",
    "CREATE INDEX token_expiry ON token (expires_at, jti)",
    "CREATE INDEX token_workspace ON token (workspace, expires_at, jti)",
    "CREATE INDEX token_revoked ON token (expires_at, jti) WHERE revoked_at IS NOT NULL",
    // How often a name was tried in vain from a network; a keyed hash of both stands for them.
    "CREATE TABLE guess (
        who {text} NOT NULL PRIMARY KEY,
        failures {bigint} NOT NULL,
        last_at {bigint} NOT NULL
    ) {keyed}",
    "CREATE INDEX guess_last ON guess (last_at)",
];

const PASSWORDS: &[&str] = &[
    // The hash of a service user's password. The column `secret` binds it to the credential.
    "ALTER TABLE credential ADD COLUMN password {text}",
    // Whether an OAuth client may ask for tokens with the passwords of users.
    "ALTER TABLE credential ADD COLUMN password_grant {bigint} NOT NULL DEFAULT 0",
];

const RULES: &[&str] = &[
    // What holds for one credential alone: its role; from where it may be used, a list of networks; how often.
    "ALTER TABLE credential ADD COLUMN role {text}",
    "ALTER TABLE credential ADD COLUMN networks {text}",
    "ALTER TABLE credential ADD COLUMN limit_rule {text}",
    // Calls that a rule would have refused, were it enforced. Those without a signature are in `unsigned_use`.
    "CREATE TABLE rule_use (
        credential {text} NOT NULL REFERENCES credential (id) ON DELETE CASCADE,
        api {text} NOT NULL,
        rule {text} NOT NULL,
        calls {bigint} NOT NULL,
        first_at {bigint},
        last_at {bigint},
        PRIMARY KEY (credential, api, rule)
    ) {keyed}",
    // The newest of them, of every rule.
    "CREATE TABLE rule_sample (
        credential {text} NOT NULL REFERENCES credential (id) ON DELETE CASCADE,
        api {text} NOT NULL,
        rule {text} NOT NULL,
        at {bigint} NOT NULL,
        method {text} NOT NULL,
        path {text} NOT NULL,
        client {text},
        PRIMARY KEY (credential, api, rule, at)
    ) {keyed}",
    // Who tells whether a workspace's captchas were solved. The secret is sealed.
    "CREATE TABLE captcha (
        workspace {text} NOT NULL PRIMARY KEY,
        provider {text} NOT NULL,
        hostnames {text} NOT NULL,
        sealed {blob} NOT NULL,
        key_version {bigint} NOT NULL,
        created_at {bigint} NOT NULL
    ) {keyed}",
];

const ANONYMOUS: &[&str] = &[
    // What a rule would have refused of callers without a credential, and the newest of those calls.
    "CREATE TABLE anonymous_use (
        api {text} NOT NULL,
        rule {text} NOT NULL,
        calls {bigint} NOT NULL,
        first_at {bigint},
        last_at {bigint},
        PRIMARY KEY (api, rule)
    ) {keyed}",
    "CREATE TABLE anonymous_sample (
        api {text} NOT NULL,
        rule {text} NOT NULL,
        at {bigint} NOT NULL,
        method {text} NOT NULL,
        path {text} NOT NULL,
        client {text},
        PRIMARY KEY (api, rule, at)
    ) {keyed}",
];

/// The first schema with a keyring.
const KEYRING_SINCE: i64 = 2;

/// Under which name the table `meta` has the installation's id.
pub(crate) const INSTALLATION: &str = "installation";
/// Under which name the table `meta` of a store that began with the first schema has what its master key was known by.
const KEY_CHECK: &str = "key_check";
/// Under which name the table `meta` has the epoch.
pub(crate) const EPOCH: &str = "epoch";

const META: &str = "SELECT value FROM meta WHERE key = $1";
const SET_META: &str =
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// Brings the tables up to date and returns the installation's id and its keys. A store of another purpose or master key is left as it is.
pub(crate) async fn ensure(
    conn: &mut AnyConnection,
    engine: Engine,
    master: &MasterKey,
    purpose: Purpose,
) -> Result<(String, Keyring), StoreError> {
    let version = version(conn, engine).await?;
    if version > 0 {
        verify(conn, version, master, purpose).await?;
    }
    if version < VERSION {
        migrate(conn, engine, master, purpose).await?;
        verify(conn, VERSION, master, purpose).await?;
    }
    let installation = meta(conn, INSTALLATION).await?;
    let ring = keyring::open(conn, master, &installation).await?;
    Ok((installation, ring))
}

/// Whether there is any table.
pub(crate) async fn has_tables(conn: &mut AnyConnection, engine: Engine) -> Result<bool, StoreError> {
    Ok(sqlx::query(engine.tables()).fetch_optional(conn).await?.is_some())
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

/// What the table `meta` says about the whole store.
pub(crate) async fn meta(conn: &mut AnyConnection, key: &str) -> Result<String, StoreError> {
    let row = sqlx::query(META).bind(key).fetch_optional(conn).await?;
    let row = row.ok_or_else(|| StoreError::Damaged(format!("`{key}` is missing in its table `meta`")))?;
    Ok(row.try_get(0)?)
}

async fn verify(
    conn: &mut AnyConnection,
    version: i64,
    master: &MasterKey,
    purpose: Purpose,
) -> Result<(), StoreError> {
    let found = meta(conn, "purpose").await?;
    let found = Purpose::named(&found)
        .ok_or_else(|| StoreError::Damaged(format!("it was made for `{found}`, which is nothing known")))?;
    if found != purpose {
        return Err(StoreError::OtherPurpose { found });
    }
    if version >= KEYRING_SINCE {
        let installation = meta(conn, INSTALLATION).await?;
        keyring::open(conn, master, &installation).await.map(|_| ())
    } else if meta(conn, KEY_CHECK).await? == hex(&master.check()) {
        Ok(())
    } else {
        Err(StoreError::WrongMasterKey)
    }
}

/// Sets what the table `meta` says.
pub(crate) async fn set_meta(conn: &mut AnyConnection, key: &str, value: &str) -> Result<(), StoreError> {
    sqlx::query(SET_META).bind(key).bind(value).execute(conn).await?;
    Ok(())
}

async fn migrate(
    conn: &mut AnyConnection,
    engine: Engine,
    master: &MasterKey,
    purpose: Purpose,
) -> Result<(), StoreError> {
    let mut tx = conn.begin_with(AssertSqlSafe(engine.begin_alone())).await?;
    // Another process may have been faster.
    let found = version(&mut tx, engine).await?;
    if found > 0 {
        verify(&mut tx, found, master, purpose).await?;
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        for statement in *migration {
            sqlx::query(AssertSqlSafe(engine.ddl(statement))).execute(&mut *tx).await?;
        }
    }
    let mut values = vec![("schema", VERSION.to_string())];
    if found == 0 {
        values.extend([
            (INSTALLATION, random_name()?),
            (EPOCH, random_name()?),
            ("purpose", purpose.name().to_owned()),
        ]);
    }
    for (key, value) in values {
        set_meta(&mut tx, key, &value).await?;
    }
    if found < KEYRING_SINCE {
        // What was hashed, chained and sealed before stays as it is.
        let ring = if found == 0 { keyring::new()? } else { master.first_keyring() };
        let installation = meta(&mut tx, INSTALLATION).await?;
        keyring::put(&mut tx, master, &installation, &ring).await?;
        set_meta(&mut tx, keyring::SEAL, &ring.name()).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Makes the tables where there are none, for what another store holds.
pub(crate) async fn make_tables(conn: &mut AnyConnection, engine: Engine) -> Result<(), StoreError> {
    for statement in MIGRATIONS.iter().copied().flatten() {
        sqlx::query(AssertSqlSafe(engine.ddl(statement))).execute(&mut *conn).await?;
    }
    Ok(())
}

/// 128 random bits in hexadecimal digits.
pub(crate) fn random_name() -> Result<String, StoreError> {
    keyring::random::<16>().map(|bytes| hex(&bytes))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
