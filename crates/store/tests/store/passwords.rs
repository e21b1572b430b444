//! Passwords of users: kept as hashes that belong to one credential, moved, and found out when they were changed.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::credential::{Credential, Kind};
use doorward_core::dialect::Dialect;
use doorward_core::password::{Cost, PasswordHash, fits, hash};
use doorward_store::{NewCredential, Store, StoreError};

on_both_engines!(
    a_password_is_kept_replaced_and_dies_with_its_user,
    users_have_passwords_and_nobody_else,
    a_password_that_was_put_there_opens_nothing,
);

fn user(id: &str) -> Credential {
    Credential { kind: Kind::User, dialect: Dialect::named("standard").unwrap(), ..credential(id, "unused") }
}

async fn put(store: &Store, id: &str, password: &PasswordHash) -> Result<(), StoreError> {
    let mut write = store.write("setup", NOW).await?;
    let new = NewCredential { credential: user(id), display: None, password: Some(password.clone()) };
    write.create_credential(&new).await?;
    write.commit().await.map(|_| ())
}

async fn password(store: &Store, id: &str) -> Option<PasswordHash> {
    store.credential(id).await.unwrap().unwrap().password
}

async fn a_password_is_kept_replaced_and_dies_with_its_user() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let (first, second) =
        (hash("swordfish & chips", &[1; 16], Cost::FULL), hash("chips & swordfish", &[2; 16], Cost::FULL));
    put(&store, "svc", &first).await.unwrap();
    assert_eq!(password(&store, "svc").await, Some(first.clone()));
    let before = store.credential("svc").await.unwrap().unwrap();
    let mut write = store.write("test", NOW).await.unwrap();
    write.set_password("svc", &second, false).await.unwrap();
    write.commit().await.unwrap();
    let after = store.credential("svc").await.unwrap().unwrap();
    assert!(fits("chips & swordfish", &after.password.expect("a password")));
    assert_eq!(after.secret_version, before.secret_version + 1);
    assert!(after.credential.tokens_since > before.credential.tokens_since);
    assert_ne!(after.credential.secret, before.credential.secret, "an issuer sees that it has changed");
    let page = store.credentials_page(&doorward_store::Filter::default(), None, 10).await.unwrap();
    assert!(page.iter().all(|s| s.password.is_none()), "lists come without");
    let told: Vec<_> = store.changes_after(0, 100).await.unwrap();
    assert_eq!(told.last().unwrap().action, "password_changed");
    assert!(told.iter().all(|c| !format!("{c:?}").contains("argon2")));
    store.check().await.unwrap();
    let mut write = store.write("test", NOW).await.unwrap();
    write.delete_credential("svc").await.unwrap();
    write.commit().await.unwrap();
    let mut write = store.write("test", NOW).await.unwrap();
    let gone = write.set_password("svc", &first, false).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
}

async fn users_have_passwords_and_nobody_else() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "key", "secret", None).await;
    let one = hash("swordfish & chips", &[1; 16], Cost::FULL);
    put(&store, "svc", &one).await.unwrap();
    let mut write = store.write("test", NOW).await.unwrap();
    let (a, b) = (
        write.create_credential(&new(user("other"), None)).await,
        write.set_password("key", &one, false).await,
    );
    let c = write.replace_secret("svc", credential("svc", "s").secret, None, None, true).await;
    for refused in [a, b, c] {
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    write.commit().await.unwrap();
    store.check().await.unwrap();
}

async fn a_password_that_was_put_there_opens_nothing() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let (own, other) =
        (hash("swordfish & chips", &[1; 16], Cost::FULL), hash("swordfish & chips", &[2; 16], Cost::FULL));
    for (id, password) in [("a", &own), ("b", &other)] {
        put(&store, id, password).await.unwrap();
    }
    create(&store, "key", "secret", None).await;
    let set = |id: &str, text: &str| format!("UPDATE credential SET password = {text} WHERE id = '{id}'");
    for (broken, mended) in [
        // The one of another user, of which its thief knows the password.
        (set("a", &format!("'{}'", other.as_str())), set("a", &format!("'{}'", own.as_str()))),
        (set("a", "NULL"), set("a", &format!("'{}'", own.as_str()))),
        (set("a", "'nothing like it'"), set("a", &format!("'{}'", own.as_str()))),
        (set("key", &format!("'{}'", own.as_str())), set("key", "NULL")),
    ] {
        sql(&place.db(), &broken).await;
        let of = if broken.contains("'key'") { "key" } else { "a" };
        assert_eq!(password(&store, of).await, None, "{broken}");
        let told = store.check().await.unwrap_err().to_string();
        assert!(told.contains(&format!("the password of credential `{of}`")), "{told}");
        sql(&place.db(), &mended).await;
        store.check().await.unwrap();
    }
}
