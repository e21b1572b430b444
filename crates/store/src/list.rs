//! Lists of credentials: page by page, in the order of their ids.
use crate::connect::{ANSWER_MS, within};
use crate::credentials::with_facts;
use crate::row::{Reader, columns};
use crate::{Store, StoreError, Stored};
use doorward_core::credential::{Kind, Status};
use sqlx::{AssertSqlSafe, Row};
use std::fmt::Write as _;

/// `$1` is the id before the page, `$2` the page's length; what a filter adds is bound from `$3` on.
const PAGE: &str = with_facts!("WHERE c.id > $1");
const PAGE_END: &str = " ORDER BY c.id LIMIT $2";
const FIRST_OF_FILTER: usize = 3;
const NAMED: &str = with_facts!("WHERE c.id IN (");
const HELD: &str = "SELECT COUNT(*) FROM credential WHERE workspace = $1";

/// Which credentials a list has; each field that is there narrows it.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of this workspace.
    pub workspace: Option<String>,
    /// Those of this kind.
    pub kind: Option<Kind>,
    /// Those that are active, or blocked. Whether one is expired makes no difference.
    pub status: Option<Status>,
    /// Those whose id starts with this text, or whose name contains it; ASCII letters of names in either case. An id that
    /// opens doors by itself is not found by its beginning, only by the whole of it.
    pub search: Option<String>,
    /// Those that have this role.
    pub role: Option<String>,
    /// Those that have a list of networks of their own.
    pub with_networks: bool,
    /// Those that have a limit of their own.
    pub with_limit: bool,
}

impl Filter {
    /// The conditions, and what they are bound to.
    fn conditions(&self) -> (String, Vec<String>) {
        let (mut sql, mut bound) = (String::new(), Vec::new());
        let mut bind = |value: String| {
            bound.push(value);
            format!("${}", FIRST_OF_FILTER + bound.len() - 1)
        };
        let equals = [
            ("workspace", self.workspace.clone()),
            ("kind", self.kind.map(|k| k.name().to_owned())),
            ("status", self.status.map(|s| s.name().to_owned())),
            ("role", self.role.clone()),
        ];
        for (column, value) in equals {
            if let Some(value) = value {
                let _ = write!(sql, " AND c.{column} = {}", bind(value));
            }
        }
        if self.with_networks {
            sql.push_str(" AND c.networks IS NOT NULL");
        }
        if self.with_limit {
            sql.push_str(" AND c.limit_rule IS NOT NULL");
        }
        if let Some(text) = &self.search {
            let (from, to) = (bind(text.clone()), bind(format!("{text}{}", char::MAX)));
            let name = bind(contains(text));
            let _ = write!(
                sql,
                " AND (c.id = {from} OR (c.id > {from} AND c.id < {to} AND c.plain_key = 0) \
                 OR LOWER(c.name) LIKE {name} ESCAPE '!')"
            );
        }
        (sql, bound)
    }
}

/// The pattern of what contains `text`.
fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

impl Store {
    /// Up to `limit` credentials that the filter lets through, in the order of their ids, from the one after `after`; that
    /// one need not exist. Whoever wants all asks again with the last id until a page is empty.
    ///
    /// # Errors
    /// One can't be read, or the store fails.
    pub async fn credentials_page(
        &self,
        filter: &Filter,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Stored>, StoreError> {
        let (conditions, bound) = filter.conditions();
        let query = sqlx::query(AssertSqlSafe(format!("{PAGE}{conditions}{PAGE_END}")));
        let query = query.bind(after.unwrap_or("").to_owned()).bind(limit);
        let rows = bound.into_iter().fold(query, sqlx::query::Query::bind).fetch_all(&self.pool);
        let rows = within(ANSWER_MS, async { Ok(rows.await?) }).await?;
        let mut reader = Reader::new(&self.keys);
        rows.iter().map(|row| reader.read_stored(row)).collect()
    }

    /// Those of these credentials that there are, in no order.
    ///
    /// # Errors
    /// One can't be read, or the store fails.
    pub async fn credentials_named(&self, ids: &[&str]) -> Result<Vec<Stored>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (1..=ids.len()).map(|n| format!("${n}")).collect();
        let query = sqlx::query(AssertSqlSafe(format!("{NAMED}{})", places.join(", "))));
        let query = ids.iter().fold(query, |query, id| query.bind((*id).to_owned()));
        let rows = within(ANSWER_MS, async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        let mut reader = Reader::new(&self.keys);
        rows.iter().map(|row| reader.read_stored(row)).collect()
    }

    /// How many credentials a workspace has.
    ///
    /// # Errors
    /// The store fails.
    pub async fn credentials_held(&self, workspace: &str) -> Result<i64, StoreError> {
        let held = sqlx::query(HELD).bind(workspace).fetch_one(&self.pool);
        within(ANSWER_MS, async { Ok(held.await?.try_get(0)?) }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;
    use doorward_core::keyring::MasterKey;
    use doorward_core::time::UnixMillis;

    #[test]
    fn what_is_looked_for_is_taken_literally() {
        assert_eq!(contains("50%_Off!"), "%50!%!_off!!%");
    }

    /// Every statement about one credential or one page of them goes by an index, however many there are.
    #[tokio::test]
    async fn nothing_but_a_search_reads_the_whole_table() {
        let file = std::env::temp_dir().join(format!("doorward-plans-{}", std::process::id()));
        let url = format!("sqlite:{}", file.display());
        let store = Store::open(&url, &MasterKey::new([7; 32]), Purpose::Own, UnixMillis(0)).await.unwrap();
        let page = |filter: Filter| format!("{PAGE}{}{PAGE_END}", filter.conditions().0);
        let acme = || Filter { workspace: Some("acme".to_owned()), ..Filter::default() };
        let by_workspace = "USING INDEX credential_workspace (workspace=? AND id>?)";
        for (sql, how) in [
            (page(Filter::default()), "USING PRIMARY KEY (id>?)"),
            (page(acme()), by_workspace),
            (page(Filter { status: Some(Status::Blocked), ..acme() }), by_workspace),
            (format!("{NAMED}$1, $2)"), "USING PRIMARY KEY (id=?)"),
            (HELD.to_owned(), "USING COVERING INDEX credential_"),
            (crate::observed::PAGE.to_owned(), by_workspace),
            (crate::observed::RULE_PAGE.to_owned(), by_workspace),
            (crate::load::PAGE.to_owned(), "USING PRIMARY KEY (id>?)"),
            (crate::credentials::ONE.to_owned(), "USING PRIMARY KEY (id=?)"),
            (crate::signing::BETWEEN.to_owned(), "USING PRIMARY KEY (credential>? AND credential<?)"),
            (crate::credentials::SET_STATUS.to_owned(), "USING PRIMARY KEY (id=?)"),
            (crate::credentials::SET_SECRET.to_owned(), "USING PRIMARY KEY (id=?)"),
            (crate::credentials::DELETE.to_owned(), "USING PRIMARY KEY (id=?)"),
        ] {
            let rows =
                sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&store.pool).await;
            let plan: Vec<String> = rows.unwrap().iter().map(|row| row.get(3)).collect();
            let plan = plan.join("\n");
            assert!(plan.contains(how), "{sql}\n{plan}");
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        }
        store.close().await;
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
    }
}
