//! Reads everything, as of one instant.
use crate::changes::{self, Mark};
use crate::connect::{ANSWER_MS, within};
use crate::row::{self, COLUMNS, Reader, Row, columns};
use crate::{Head, Snapshot, Store, StoreError, objects, signing};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

/// Credentials read at a time.
const PAGE_ROWS: i64 = 2_000;

pub(crate) const PAGE: &str =
    concat!("SELECT ", columns!(), " FROM credential c WHERE c.id > $1 ORDER BY c.id LIMIT $2");
/// The same, with what the last change about each credential says that it is.
const PAGE_TOLD: &str = concat!(
    "SELECT ",
    columns!(),
    ", (SELECT h.after FROM change h WHERE h.kind = 'credential' AND h.id = c.id ORDER BY h.seq DESC LIMIT 1) \
     FROM credential c WHERE c.id > $1 ORDER BY c.id LIMIT $2"
);

/// Gives each credential to `take`, in the order of their ids, and also those that can't be read.
pub(crate) async fn each(
    conn: &mut AnyConnection,
    reader: &mut Reader<'_>,
    mut take: impl FnMut(Result<Row, StoreError>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut last = String::new();
    while let Some((rows, next)) = page(conn, PAGE, &last).await? {
        for known in signing::read(conn, reader, &rows, (&last, &next)).await? {
            take(known.map_err(StoreError::from))?;
        }
        last = next;
    }
    Ok(())
}

/// The same, each with what the change table says about it.
pub(crate) async fn each_told(
    conn: &mut AnyConnection,
    reader: &mut Reader<'_>,
    mut take: impl FnMut(Row, Option<String>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut last = String::new();
    while let Some((rows, next)) = page(conn, PAGE_TOLD, &last).await? {
        let read = signing::read(conn, reader, &rows, (&last, &next)).await?;
        for (known, row) in read.into_iter().zip(&rows) {
            take(known?, row.try_get(COLUMNS)?)?;
        }
        last = next;
    }
    Ok(())
}

/// The rows after the id `last`, and the last id among them; `None` when there are no more.
async fn page(
    conn: &mut AnyConnection,
    query: &'static str,
    last: &str,
) -> Result<Option<(Vec<AnyRow>, String)>, StoreError> {
    let rows = sqlx::query(query).bind(last).bind(PAGE_ROWS).fetch_all(conn);
    let rows = within(ANSWER_MS, async { Ok(rows.await?) }).await?;
    let next = rows.last().map(|last| row::id(last).map(str::to_owned)).transpose()?;
    Ok(next.map(|next| (rows, next)))
}

impl Store {
    /// Everything that decisions need, as of one instant.
    ///
    /// # Errors
    /// Something in it can't be read, or the store fails.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut tx = self.pool.begin_with(self.engine.begin_read()).await?;
        let Mark { epoch, seq, .. } = changes::mark(&mut tx).await?;
        let policy = objects::whole(objects::all(&mut tx).await?)?;
        self.follow_keys(&mut tx).await?;
        let mut credentials = Vec::new();
        each(&mut tx, &mut Reader::new(&self.keys), |row| {
            credentials.push(row?.credential);
            Ok(())
        })
        .await?;
        tx.rollback().await?;
        Ok(Snapshot { head: Head { epoch, seq }, policy, credentials })
    }
}
