//! Rows from one store to another, whatever their engines: every table that is moved, with every column, and a digest
//! that tells whether two stores hold the same.
use crate::tables::Holds::{self, Bytes, Number, Text};
use crate::tables::Table;
use crate::{StoreError, schema};
use aws_lc_rs::digest::{Context, SHA256};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row};

/// Rows read at a time.
const PAGE_ROWS: usize = 2_000;
/// Rows written by one statement. Engines limit the values of one: SQLite takes 32,766, PostgreSQL 65,535.
const STATEMENT_ROWS: usize = 200;

/// What a table holds: how many rows, and a digest of all values in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) rows: i64,
    digest: Vec<u8>,
}

#[derive(Clone)]
enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

impl Value {
    fn read(row: &AnyRow, at: usize, holds: Holds) -> Result<Value, sqlx::Error> {
        Ok(match holds {
            Text => Value::Text(row.try_get(at)?),
            Number => Value::Number(row.try_get(at)?),
            Bytes => Value::Bytes(row.try_get(at)?),
        })
    }

    fn bind(query: Query<'_, Any, AnyArguments>, value: Value) -> Query<'_, Any, AnyArguments> {
        match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
        }
    }

    fn digest(&self, into: &mut Context) {
        let bytes: Option<&[u8]> = match self {
            Value::Text(text) => text.as_deref().map(str::as_bytes),
            Value::Number(number) => {
                into.update(&number.unwrap_or_default().to_be_bytes());
                number.is_some().then_some(&[])
            }
            Value::Bytes(bytes) => bytes.as_deref(),
        };
        // Each with its length before it, so that no two rows look alike.
        into.update(&bytes.map_or(u64::MAX, |b| b.len() as u64).to_be_bytes());
        into.update(bytes.unwrap_or_default());
    }
}

/// Goes through a table's rows in the order of its key.
struct Reading<'t> {
    table: &'t Table,
    first: String,
    next: String,
    /// The key of the last row.
    last: Option<Vec<Value>>,
    over: bool,
    rows: i64,
    digest: Context,
}

impl<'t> Reading<'t> {
    fn of(table: &'t Table) -> Reading<'t> {
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        let key = names[..table.key].join(", ");
        let all = format!("SELECT {} FROM {}", names.join(", "), table.name);
        let but =
            if table.unless.is_empty() { "1 = 1".to_owned() } else { format!("NOT ({})", table.unless) };
        let limit = format!(" LIMIT {PAGE_ROWS}");
        let places: Vec<String> = (1..=table.key).map(|n| format!("${n}")).collect();
        let places = places.join(", ");
        Reading {
            table,
            first: format!("{all} WHERE {but} ORDER BY {key}{limit}"),
            next: format!("{all} WHERE {but} AND ({key}) > ({places}) ORDER BY {key}{limit}"),
            last: None,
            over: false,
            rows: 0,
            digest: Context::new(&SHA256),
        }
    }

    /// The next rows; none at the end.
    async fn page(&mut self, conn: &mut AnyConnection) -> Result<Vec<Vec<Value>>, StoreError> {
        if self.over {
            return Ok(Vec::new());
        }
        let sql = if self.last.is_some() { &self.next } else { &self.first };
        let key = self.last.take().into_iter().flatten();
        let query = key.fold(sqlx::query(AssertSqlSafe(sql.as_str())), Value::bind);
        let rows = query.fetch_all(conn).await?;
        let mut page = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = self.table.columns.iter().enumerate();
            let values = columns.map(|(at, (_, holds))| Value::read(row, at, *holds));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            values.iter().for_each(|value| value.digest(&mut self.digest));
            page.push(values);
        }
        self.rows += i64::try_from(page.len()).unwrap_or(i64::MAX);
        self.over = page.len() < PAGE_ROWS;
        self.last = page.last().map(|row| row[..self.table.key].to_vec());
        Ok(page)
    }

    fn seen(self) -> Seen {
        Seen { rows: self.rows, digest: self.digest.finish().as_ref().to_vec() }
    }
}

/// What a table holds.
pub(crate) async fn see(table: &Table, conn: &mut AnyConnection) -> Result<Seen, StoreError> {
    let mut reading = Reading::of(table);
    while !reading.page(conn).await?.is_empty() {}
    Ok(reading.seen())
}

/// Copies a table's rows into one that is empty, and tells what was read.
pub(crate) async fn copy(
    table: &Table,
    from: &mut AnyConnection,
    to: &mut AnyConnection,
) -> Result<Seen, StoreError> {
    let mut reading = Reading::of(table);
    let whole = insert(table, STATEMENT_ROWS);
    loop {
        let page = reading.page(from).await?;
        if page.is_empty() {
            return Ok(reading.seen());
        }
        for rows in page.chunks(STATEMENT_ROWS) {
            let part;
            let sql = if rows.len() == STATEMENT_ROWS {
                &whole
            } else {
                part = insert(table, rows.len());
                &part
            };
            let query = sqlx::query(AssertSqlSafe(sql.as_str()));
            let query = rows.iter().flatten().cloned().fold(query, Value::bind);
            query.execute(&mut *to).await?;
        }
    }
}

/// A statement that writes so many rows.
fn insert(table: &Table, rows: usize) -> String {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let row = |n: usize| {
        let values: Vec<String> = (1..=names.len()).map(|at| format!("${}", n * names.len() + at)).collect();
        format!("({})", values.join(", "))
    };
    let all: Vec<String> = (0..rows).map(row).collect();
    format!("INSERT INTO {} ({}) VALUES {}", table.name, names.join(", "), all.join(", "))
}

/// The last change's number is a row of its own.
pub(crate) async fn set_head(conn: &mut AnyConnection, seq: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE head SET seq = $1 WHERE one = 1").bind(seq).execute(conn).await?;
    Ok(())
}

/// Where a store was moved, once it was.
pub(crate) async fn moved_to(conn: &mut AnyConnection) -> Result<Option<String>, StoreError> {
    let row =
        sqlx::query("SELECT value FROM meta WHERE key = $1").bind(MOVED_TO).fetch_optional(conn).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

pub(crate) async fn set_moved_to(conn: &mut AnyConnection, address: &str) -> Result<(), StoreError> {
    schema::set_meta(conn, MOVED_TO, address).await
}

/// Whoever puts a store back, or in force again, takes the mark away.
pub(crate) async fn forget_moved_to(conn: &mut AnyConnection) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM meta WHERE key = $1").bind(MOVED_TO).execute(conn).await?;
    Ok(())
}

/// Under which name the table `meta` has the address that a store was moved to.
const MOVED_TO: &str = "moved_to";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::TABLES;
    use crate::{Purpose, Store};
    use doorward_core::keyring::MasterKey;
    use doorward_core::time::UnixMillis;
    use sqlx::Connection as _;
    use std::collections::BTreeMap;

    /// A migration that adds a table or a column has to add it here, or it would be left behind.
    #[tokio::test]
    async fn every_column_of_every_table_is_moved() {
        let file = std::env::temp_dir().join(format!("doorward-copy-{}.db", std::process::id()));
        let url = format!("sqlite:{}", file.display());
        let store = Store::open(&url, &MasterKey::new([7; 32]), Purpose::Own, UnixMillis(0)).await.unwrap();
        let mut conn = store.connector.connect().await.unwrap();
        let columns = "SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c \
             WHERE m.type = 'table' ORDER BY m.name, c.cid";
        let mut found: BTreeMap<String, Vec<(String, Holds)>> = BTreeMap::new();
        for row in sqlx::query(columns).fetch_all(&mut conn).await.unwrap() {
            let holds = match row.get::<String, _>(2).as_str() {
                "TEXT" => Text,
                "INTEGER" => Number,
                "BLOB" => Bytes,
                other => panic!("{other}"),
            };
            found.entry(row.get(0)).or_default().push((row.get(1), holds));
        }
        for stays in ["node", "head"] {
            assert!(found.remove(stays).is_some());
        }
        let moved = TABLES.iter().map(|table| {
            let columns = table.columns.iter().map(|(name, holds)| ((*name).to_owned(), *holds)).collect();
            (table.name.to_owned(), columns)
        });
        assert_eq!(found, moved.collect::<BTreeMap<String, Vec<_>>>());
        conn.close().await.unwrap();
        store.close().await;
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(crate::backup::beside(&file, end));
        }
    }
}
