//! Moves an installation from one store to another, whatever their engines. All of it arrives in one transaction, so there
//! is never half an installation anywhere, and writers wait at the old store until it is marked.
use crate::connect::{Connector, explain};
use crate::copy::{self, Seen};
use crate::engine::Engine;
use crate::file::existing_file;
use crate::tables::TABLES;
use crate::{Address, Head, Report, Store, StoreError, changes, schema};
use sqlx::{Any, AnyConnection, AssertSqlSafe, Connection, Row, Transaction};
use std::path::Path;

const MAC: &str = "SELECT mac FROM change WHERE seq = $1";

/// What is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Rows of the change table.
    pub changes: i64,
    /// Workspaces and APIs.
    pub objects: i64,
    /// Credentials.
    pub credentials: i64,
    /// Secrets that may still be shown.
    pub displays: i64,
    /// Secrets that requests are signed with.
    pub signing: i64,
    /// Credentials with a time of last use or of exposure.
    pub facts: i64,
}

/// What became of a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// All of it is there, and was compared and checked.
    Now {
        /// How far both stores are.
        head: Head,
        /// What was moved.
        counts: Counts,
        /// What a check of the new store found.
        report: Report,
    },
    /// It had been moved there before.
    Before {
        /// How far the new store is.
        head: Head,
    },
}

/// What a place holds that is to be moved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing.
    Empty,
    /// This installation, with all that the old store holds.
    Same(Head),
}

impl Store {
    /// What a move would move.
    ///
    /// # Errors
    /// The store fails.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let mut conn = self.connector.connect().await?;
        let mut count = async |table| Store::count(&mut conn, table).await;
        let counts = Counts {
            changes: count("change").await?,
            objects: count("object").await?,
            credentials: count("credential").await?,
            displays: count("secret_display").await?,
            signing: count("signing_secret").await?,
            facts: count("credential_fact").await?,
        };
        conn.close().await?;
        Ok(counts)
    }

    /// Where this store was moved, if it was: nobody can write to it any more.
    ///
    /// # Errors
    /// The store fails.
    pub async fn moved_to(&self) -> Result<Option<String>, StoreError> {
        copy::moved_to(&mut *self.pool.acquire().await?).await
    }

    /// What is at a place that this store might be moved to. Looking makes nothing.
    ///
    /// # Errors
    /// It holds something else, can't be reached, or this store was moved elsewhere.
    pub async fn look_at_target(&self, to: &Address) -> Result<Target, StoreError> {
        let mut source = self.connector.connect().await?;
        self.see_not_moved_elsewhere(&mut source, to).await?;
        if to.file().is_some_and(|file| !file.exists()) {
            return Ok(Target::Empty);
        }
        let look = async {
            let connector = connector(to)?;
            let mut target = connector.connect().await?;
            let found = self.found(&mut source, &mut target, connector.engine).await;
            target.close().await?;
            found
        };
        look.await.map_err(|e| explain(to, e))
    }

    /// Moves everything to `to`, which has to be empty. Reading goes on meanwhile, and afterwards; whoever writes waits,
    /// and is then told where the store is.
    ///
    /// # Errors
    /// As [`Store::look_at_target`], or something fails: then nothing is there, and this store goes on as before.
    pub async fn move_to(&self, to: &Address) -> Result<Moved, StoreError> {
        let mut source = self.connector.connect().await?;
        let mut from = source.begin_with(AssertSqlSafe(self.engine.begin_move())).await?;
        self.see_not_moved_elsewhere(&mut from, to).await?;
        let made = to.file().is_some_and(|file| !file.exists());
        let moving = async {
            let connector = connector(to)?;
            let mut target = connector.connect().await?;
            let moved = self.fill(&mut from, &mut target, &connector).await;
            let closed = target.close().await;
            let moved = moved?;
            closed?;
            Ok(moved)
        };
        let moved = match moving.await {
            Ok(moved) => moved,
            Err(e) => {
                if let (true, Some(file)) = (made, to.file()) {
                    remove(file);
                }
                return Err(explain(to, e));
            }
        };
        // Only now: where this is not reached, the old store is still the one in force, and the move is done over.
        let marked = async {
            copy::set_moved_to(&mut from, &to.to_string()).await?;
            from.commit().await.map_err(StoreError::of_commit)
        };
        marked.await.map_err(|e: StoreError| {
            StoreError::Refused(format!(
                "all of it is at {to}, but the old store could not be told so, and may still be written to ({e}); run this again"
            ))
        })?;
        Ok(moved)
    }

    async fn see_not_moved_elsewhere(
        &self,
        conn: &mut AnyConnection,
        to: &Address,
    ) -> Result<(), StoreError> {
        match copy::moved_to(conn).await? {
            Some(elsewhere) if elsewhere != to.to_string() => Err(StoreError::Moved(elsewhere)),
            _ => Ok(()),
        }
    }

    async fn fill(
        &self,
        from: &mut AnyConnection,
        target: &mut AnyConnection,
        connector: &Connector,
    ) -> Result<Moved, StoreError> {
        let mut to = begin(target, connector.engine.begin_alone()).await?;
        if let Target::Same(head) = self.found(from, &mut to, connector.engine).await? {
            // Under two names, one store must not be told that it was moved to itself.
            to.rollback().await?;
            begin(target, connector.engine.begin_move()).await?.rollback().await?;
            return Ok(Moved::Before { head });
        }
        schema::make_tables(&mut to, connector.engine).await?;
        let mark = changes::mark(from).await?;
        let mut seen = Vec::new();
        for table in &TABLES {
            seen.push(copy::copy(table, from, &mut to).await?);
        }
        copy::set_head(&mut to, mark.seq).await?;
        for (table, read) in TABLES.iter().zip(&seen) {
            if copy::see(table, &mut to).await? != *read {
                let why = format!("the new table `{}` is not what the old one was", table.name);
                return Err(StoreError::Damaged(why));
            }
        }
        if changes::mark(&mut to).await? != mark {
            return Err(StoreError::Damaged("the new store's history is not the old one's".to_owned()));
        }
        let there = Store {
            pool: connector.pool(),
            engine: connector.engine,
            connector: connector.clone(),
            file: None,
            ..self.clone()
        };
        let report = there.check_in(&mut to).await?;
        to.commit().await.map_err(StoreError::of_commit)?;
        Ok(Moved::Now { head: Head { epoch: mark.epoch, seq: mark.seq }, counts: counts(&seen), report })
    }

    /// What is at the target.
    async fn found(
        &self,
        from: &mut AnyConnection,
        to: &mut AnyConnection,
        engine: Engine,
    ) -> Result<Target, StoreError> {
        let refused = |why: &str| Err(StoreError::Refused(why.to_owned()));
        if !schema::has_tables(to, engine).await? {
            return Ok(Target::Empty);
        }
        let mut names = Vec::new();
        for table in sqlx::query(engine.tables()).fetch_all(&mut *to).await? {
            names.push(table.try_get::<String, _>(0)?);
        }
        if !["meta", "head", "change"].iter().all(|needed| names.iter().any(|name| name == needed)) {
            return refused("the database holds other tables; name one that is empty");
        }
        if *schema::meta(to, "installation").await? != *self.installation {
            return refused("another installation is there already; name a place that is empty");
        }
        if let Some(elsewhere) = copy::moved_to(to).await? {
            // Otherwise each would name the other one, and neither would take changes.
            return refused(&format!(
                "this installation was there before, and was moved to {elsewhere}; name a place that is empty"
            ));
        }
        let (ours, theirs) = (changes::mark(from).await?, changes::mark(to).await?);
        if theirs.seq < ours.seq {
            return refused(&format!(
                "an older copy of this installation is there (as of change {}, and this store is at {}); empty that place first",
                theirs.seq, ours.seq
            ));
        }
        let same = sqlx::query(MAC).bind(ours.seq).fetch_optional(to).await?;
        let same = same.map(|row| row.try_get::<Vec<u8>, _>(0)).transpose()?;
        if same != ours.mac {
            return refused("this installation is there with another history; name a place that is empty");
        }
        Ok(Target::Same(Head { epoch: theirs.epoch, seq: theirs.seq }))
    }
}

async fn begin(conn: &mut AnyConnection, how: String) -> Result<Transaction<'_, Any>, StoreError> {
    conn.begin_with(AssertSqlSafe(how)).await.map_err(|e| match e.into() {
        StoreError::Busy => StoreError::Refused(
            "somebody writes to it, or it is the very store that is to be moved".to_owned(),
        ),
        other => other,
    })
}

fn connector(to: &Address) -> Result<Connector, StoreError> {
    match to {
        Address::Sqlite(path) => {
            Connector::to_file(&existing_file(path).map_err(|e| StoreError::Refused(e.to_string()))?)
        }
        Address::Postgres(server) => Ok(Connector::to_server(server)),
    }
}

/// Takes away what was made and holds nothing.
fn remove(file: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        // What is not there need not go.
        let _ = std::fs::remove_file(crate::backup::beside(file, end));
    }
}

fn counts(seen: &[Seen]) -> Counts {
    let rows = |name: &str| {
        let at = TABLES.iter().position(|table| table.name == name);
        at.and_then(|at| seen.get(at)).map_or(0, |seen| seen.rows)
    };
    Counts {
        changes: rows("change"),
        objects: rows("object"),
        credentials: rows("credential"),
        displays: rows("secret_display"),
        signing: rows("signing_secret"),
        facts: rows("credential_fact"),
    }
}
