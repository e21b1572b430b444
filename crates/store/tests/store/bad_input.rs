//! Servers and databases that will not do: one sentence each, and nothing is written.
use crate::place::{on_both_engines, on_postgres_only};
use crate::support::*;
use doorward_store::{Purpose, Store, StoreError};
use tokio::io::AsyncWriteExt;

on_both_engines!(a_store_without_its_particulars_is_damaged, an_older_schema_is_brought_up_to_date_once);
on_postgres_only!(
    a_server_that_is_not_there_is_named,
    what_is_no_server_is_refused,
    a_database_that_is_not_there_is_named,
    a_user_who_may_not_make_tables_is_told_so,
    other_encodings_are_refused,
    a_read_only_database_is_refused,
    a_database_of_others_is_left_alone,
);

/// Why it can't be opened; the sentence has no password in it.
async fn refused(url: &str) -> String {
    let e = Store::open(url, &master(), Purpose::Own, NOW).await.unwrap_err();
    assert!(matches!(e, StoreError::CannotOpen { .. }), "{e:?}");
    let told = format!("{e} {e:?}");
    assert!(!told.contains("hush") && !told.contains('\n'), "{told}");
    e.to_string()
}

async fn tables(place: &Place) -> usize {
    ask(&place.db(), "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public'").await.len()
}

async fn a_server_that_is_not_there_is_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = refused(&format!("postgres://u:hush@{free}/d")).await;
    assert!(told.contains(&free.to_string()) && told.contains("does not answer"), "{told}");
    let told = refused("postgres://u:hush@no-such-host.invalid/d?sslmode=disable").await;
    assert!(told.contains("no-such-host.invalid:5432"), "{told}");
    let told = refused("postgres://u:hush@localhost/d?host=/no/such/folder").await;
    assert!(told.contains("/no/such/folder"), "{told}");
}

async fn what_is_no_server_is_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let answers = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.ok();
        }
    });
    let told = refused(&format!("postgres://u:hush@{at}/d")).await;
    assert!(told.contains(&at.to_string()), "{told}");
    answers.abort();
}

async fn a_database_that_is_not_there_is_named() {
    let place = Place::empty();
    let url = place.db().url().replace(place.database(), "doorward_nowhere");
    let told = refused(&url).await;
    assert!(told.contains("doorward_nowhere") && told.contains("make it first"), "{told}");
}

async fn a_user_who_may_not_make_tables_is_told_so() {
    let place = Place::empty();
    let user = format!("{}_guest", place.database());
    let make = format!(
        "CREATE ROLE {user} LOGIN PASSWORD 'hush'; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
         GRANT CONNECT ON DATABASE {} TO {user}",
        place.database()
    );
    sql(&place.db(), &make).await;
    let told = refused(&place.db().url_of(&format!("{user}:hush"))).await;
    assert!(told.contains("permission denied") && told.contains("allowed to create tables"), "{told}");
    assert_eq!(tables(&place).await, 0);
    sql(&place.db(), &format!("DROP OWNED BY {user}; DROP ROLE {user}")).await;
}

async fn other_encodings_are_refused() {
    let place = Place::empty_with("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
    let told = refused(place.db().url()).await;
    assert!(told.contains("LATIN1") && told.contains("UTF8"), "{told}");
    assert_eq!(tables(&place).await, 0);
}

async fn a_read_only_database_is_refused() {
    let place = Place::new();
    let set =
        |to: &str| format!("ALTER DATABASE {} SET default_transaction_read_only = {to}", place.database());
    sql(&crate::place::server(None), &set("on")).await;
    let told = refused(place.db().url()).await;
    assert!(told.contains("read-only"), "{told}");
    sql(&crate::place::server(None), &set("off")).await;
    place.store().await.check().await.unwrap();
}

async fn a_database_of_others_is_left_alone() {
    let place = Place::empty();
    assert!(!Store::is_at(&place.db().url().parse().unwrap()).await.unwrap());
    sql(&place.db(), "CREATE TABLE customers (id INTEGER)").await;
    assert!(Store::is_at(&place.db().url().parse().unwrap()).await.unwrap());
    let told = refused(place.db().url()).await;
    assert!(told.contains("holds other tables"), "{told}");
    assert_eq!(tables(&place).await, 1);
}

async fn a_store_without_its_particulars_is_damaged() {
    for key in ["schema", "purpose", "seal", "installation"] {
        let place = Place::new();
        place.store().await.close().await;
        sql(&place.db(), &format!("DELETE FROM meta WHERE key = '{key}'")).await;
        let refused = open(&place.db()).await;
        assert!(matches!(&refused, Err(StoreError::Damaged(why)) if why.contains(key)), "{refused:?}");
        let left = ask(&place.db(), "SELECT key FROM meta").await;
        assert_eq!(left.len(), 4, "{left:?}");
    }
}

/// Several nodes start at once on what an older program made: one of them adds what is new.
async fn an_older_schema_is_brought_up_to_date_once() {
    let place = of_the_first_schema().await;
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let db = place.db();
            tokio::spawn(async move { open(&db).await.map(|_| ()) })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    assert_eq!(ask(&place.db(), "SELECT value FROM meta WHERE key = 'schema'").await, ["10"]);
    let store = place.store().await;
    assert!(store.nodes().await.unwrap().is_empty() && store.credential("k").await.unwrap().is_some());
    store.check().await.unwrap();
}
