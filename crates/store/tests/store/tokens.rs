//! Tokens that were issued, and their end.
use crate::following::Node;
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::credential::Status;
use doorward_core::time::UnixMillis;
use doorward_core::token::{Jti, KEPT_AFTER_EXPIRY_MS};
use doorward_store::{
    LISTED_AFTER_EXPIRY_MS, NewToken, NotIssued, SecretSeen, Store, StoreError, Token, TokenFilter,
};

on_both_engines!(
    a_token_that_was_issued_is_found_and_outlives_a_restart,
    tokens_are_listed_page_by_page,
    what_the_issuer_saw_has_to_be_so_still,
    one_token_is_revoked_once_and_for_all,
    all_tokens_of_a_credential_die_at_once,
    nodes_learn_which_tokens_are_revoked,
    another_epoch_kills_every_token,
    tokens_go_when_they_are_over,
);

/// Milliseconds for which the tokens here live.
pub(crate) const LIFE_MS: i64 = 900_000;

/// What an issuer knows about a credential.
#[derive(Clone)]
pub(crate) struct Seen {
    credential: String,
    workspace: String,
    epoch: String,
    tokens_since: i64,
    secret: SecretSeen,
}

pub(crate) async fn seen(store: &Store, id: &str) -> Seen {
    let stored = store.credential(id).await.unwrap().unwrap();
    Seen {
        credential: id.to_owned(),
        workspace: stored.credential.workspace.to_string(),
        epoch: store.head().await.unwrap().epoch,
        tokens_since: stored.credential.tokens_since,
        secret: SecretSeen::Version(stored.secret_version),
    }
}

pub(crate) fn token(seen: &Seen, n: u128) -> NewToken {
    NewToken {
        id: Jti::new((n << 64 | n).to_be_bytes()),
        credential: seen.credential.clone(),
        workspace: seen.workspace.clone(),
        dialect: "voucherify".to_owned(),
        label: n.is_multiple_of(2).then(|| "a \"label\"".to_owned()),
        scope: "api vouchers".to_owned(),
        issued_at: NOW,
        expires_at: NOW.plus_ms(LIFE_MS + n as i64),
        epoch: seen.epoch.clone(),
        tokens_since: seen.tokens_since,
        secret: seen.secret,
        cap: None,
    }
}

pub(crate) async fn issue(store: &Store, token: &NewToken) -> Result<(), NotIssued> {
    store.issue_tokens(std::slice::from_ref(token)).await.unwrap().remove(0)
}

/// A store with two credentials, `a` and `b`.
pub(crate) async fn filled() -> (Place, Store) {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "a", "s", None).await;
    create(&store, "b", "s", None).await;
    (place, store)
}

async fn alive(store: &Store, token: &NewToken, now: UnixMillis) -> Option<bool> {
    store.token(token.id, now).await.unwrap().map(|token| token.alive)
}

async fn revoke(store: &Store, id: Jti) -> Result<bool, StoreError> {
    let mut write = store.write("ann", NOW).await.unwrap();
    let revoked = write.revoke_token(id).await?;
    write.commit().await.unwrap();
    Ok(revoked)
}

async fn set_status(store: &Store, id: &str, status: Status) {
    let mut write = store.write("ann", NOW).await.unwrap();
    write.set_status(id, status).await.unwrap();
    write.commit().await.unwrap();
}

async fn a_token_that_was_issued_is_found_and_outlives_a_restart() {
    let (place, store) = filled().await;
    let head = store.head().await.unwrap();
    let (first, second) = (token(&seen(&store, "a").await, 1), token(&seen(&store, "b").await, 2));
    let told = store.issue_tokens(&[first.clone(), second.clone()]).await.unwrap();
    assert_eq!(told, [Ok(()), Ok(())]);
    // What was acknowledged is there for whoever comes next, although nothing was closed.
    let other = place.store().await;
    let found = other.token(second.id, NOW).await.unwrap().unwrap();
    let wanted = Token {
        id: second.id,
        credential: "b".to_owned(),
        workspace: "acme".to_owned(),
        dialect: "voucherify".to_owned(),
        label: Some("a \"label\"".to_owned()),
        scope: "api vouchers".to_owned(),
        issued_at: NOW,
        expires_at: NOW.plus_ms(LIFE_MS + 2),
        revoked_at: None,
        alive: true,
    };
    assert_eq!(found, wanted);
    let end = first.expires_at;
    assert_eq!(alive(&other, &first, end.plus_ms(-1)).await, Some(true));
    assert_eq!(alive(&other, &first, end).await, Some(false), "S7519-2: the end is exclusive");
    assert_eq!(other.token(Jti::new([9; 16]), NOW).await.unwrap(), None);
    assert_eq!(store.head().await.unwrap(), head, "it is no change");
    // An id is never given twice, and nobody learns of a token that was not written down.
    let again = store.issue_tokens(&[token(&seen(&store, "a").await, 3), first.clone()]).await;
    assert!(again.is_err(), "{again:?}");
    assert_eq!(other.token(token(&seen(&store, "a").await, 3).id, NOW).await.unwrap(), None);
    other.check().await.unwrap();
}

async fn tokens_are_listed_page_by_page() {
    let (_place, store) = filled().await;
    let (a, b) = (seen(&store, "a").await, seen(&store, "b").await);
    let tokens: Vec<NewToken> = (0..300).map(|n| token(if n % 3 == 0 { &b } else { &a }, n)).collect();
    assert!(store.issue_tokens(&tokens).await.unwrap().iter().all(Result::is_ok));
    revoke(&store, tokens[4].id).await.unwrap();
    let all = async |filter: TokenFilter, now| {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = store.live_tokens(&filter, after, 70, now).await.unwrap();
            assert!(page.len() <= 70 && page.iter().all(|token| token.alive));
            let Some(last) = page.last() else { return ids };
            after = Some((last.expires_at, last.id));
            ids.extend(
                page.iter().map(|token| u64::from_be_bytes(token.id.bytes()[8..].try_into().unwrap())),
            );
        }
    };
    let wanted = |but: &dyn Fn(u64) -> bool| (0..300).filter(|n| *n != 4 && but(*n)).collect::<Vec<u64>>();
    assert_eq!(all(TokenFilter::All, NOW).await, wanted(&|_| true));
    let of = |id: &str| TokenFilter::Credential(id.to_owned());
    let workspace = |id: &str| TokenFilter::Workspace(id.to_owned());
    assert_eq!(all(of("b"), NOW).await, wanted(&|n| n % 3 == 0));
    assert_eq!(all(workspace("acme"), NOW).await, wanted(&|_| true));
    assert_eq!(all(workspace("acme-test"), NOW).await, [0; 0]);
    let later = NOW.plus_ms(LIFE_MS + 100);
    assert_eq!(all(workspace("acme"), later).await, wanted(&|n| n > 100));
    set_status(&store, "a", Status::Blocked).await;
    assert_eq!(all(TokenFilter::All, NOW).await, wanted(&|n| n % 3 == 0));
    assert_eq!(all(of("a"), NOW).await, [0; 0]);
}

/// R: whoever was shown an old secret, or a credential as it was, issues nothing; others in the same batch do.
async fn what_the_issuer_saw_has_to_be_so_still() {
    let (_place, store) = filled().await;
    let mut expiring = credential("old", "s");
    expiring.expires_at = Some(NOW);
    let mut write = store.write("setup", NOW).await.unwrap();
    write.create_credential(&new(expiring, None)).await.unwrap();
    write.commit().await.unwrap();
    let (a, b) = (seen(&store, "a").await, seen(&store, "b").await);
    let hash = |secret: &str| SecretSeen::Hash(keys().hash(b"a", secret.as_bytes()));
    let refused = [
        Seen { credential: "nobody".to_owned(), ..a.clone() },
        Seen { workspace: "acme-test".to_owned(), ..a.clone() },
        Seen { epoch: "another".to_owned(), ..a.clone() },
        Seen { tokens_since: a.tokens_since - 1, ..a.clone() },
        Seen { secret: SecretSeen::Version(2), ..a.clone() },
        Seen { secret: hash("t"), ..a.clone() },
        seen(&store, "old").await,
    ];
    let mut batch: Vec<NewToken> = refused.iter().zip(0..).map(|(seen, n)| token(seen, n)).collect();
    batch.extend([token(&b, 100), token(&Seen { secret: hash("s"), ..a.clone() }, 101)]);
    let told = store.issue_tokens(&batch).await.unwrap();
    let (not, issued) = told.split_at(refused.len());
    assert!(not.iter().all(|one| *one == Err(NotIssued::CredentialChanged)), "{told:?}");
    assert_eq!(issued, [Ok(()), Ok(())]);
    for (n, one) in batch.iter().enumerate() {
        assert_eq!(store.token(one.id, NOW).await.unwrap().is_some(), n >= refused.len());
    }
    let changed = Err(NotIssued::CredentialChanged);
    set_status(&store, "a", Status::Blocked).await;
    assert_eq!(issue(&store, &token(&a, 200)).await, changed);
    set_status(&store, "a", Status::Active).await;
    assert_eq!(issue(&store, &token(&a, 201)).await, Ok(()));
    let mut write = store.write("ann", NOW).await.unwrap();
    write.delete_credential("a").await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(issue(&store, &token(&a, 202)).await, changed);
    // Another one of the same id, with the same secret even, is another.
    create(&store, "a", "s", None).await;
    assert_eq!(issue(&store, &token(&a, 203)).await, changed);
    assert_eq!(alive(&store, &token(&a, 201), NOW).await, Some(false));
    assert_eq!(issue(&store, &token(&seen(&store, "a").await, 204)).await, Ok(()));
}

async fn one_token_is_revoked_once_and_for_all() {
    let (place, store) = filled().await;
    let a = seen(&store, "a").await;
    let (dead, other) = (token(&a, 1), token(&a, 2));
    store.issue_tokens(&[dead.clone(), other.clone()]).await.unwrap();
    assert!(revoke(&store, dead.id).await.unwrap());
    let head = store.head().await.unwrap();
    assert!(!revoke(&store, dead.id).await.unwrap(), "idempotent");
    assert_eq!(store.head().await.unwrap(), head, "S7009-1: and nothing is written");
    let unknown = revoke(&store, Jti::new([9; 16])).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { kind: "token", .. })), "{unknown:?}");
    let again = place.store().await;
    assert_eq!(
        (alive(&again, &dead, NOW).await, alive(&again, &other, NOW).await),
        (Some(false), Some(true))
    );
    assert_eq!(again.token(dead.id, NOW).await.unwrap().unwrap().revoked_at, Some(NOW));
    let change = again.changes_after(head.seq - 1, 9).await.unwrap().remove(0);
    let about = (&*change.kind, &*change.id, &*change.action, change.workspace.as_deref(), &*change.actor);
    assert_eq!(about, ("token", &*dead.id.to_string(), "revoked", Some("acme"), "ann"));
    let before = change.before.unwrap();
    assert!(before.contains("\"credential\":\"a\"") && change.after.is_none(), "{before}");
    again.check().await.unwrap();
    // Nobody brings it back to life behind the program's back.
    sql(&place.db(), "UPDATE token SET revoked_at = NULL").await;
    let found = again.check().await;
    assert!(matches!(&found, Err(StoreError::Damaged(why)) if why.contains("is not revoked")), "{found:?}");
}

/// Regenerating revokes, or keeps, as it is told.
async fn all_tokens_of_a_credential_die_at_once() {
    let (_place, store) = filled().await;
    let (old, b) = (seen(&store, "a").await, seen(&store, "b").await);
    let (one, other) = (token(&old, 1), token(&b, 2));
    store.issue_tokens(&[one.clone(), other.clone()]).await.unwrap();
    let mut write = store.write("ann", NOW).await.unwrap();
    write.revoke_tokens_of("a").await.unwrap();
    let seq = write.commit().await.unwrap();
    let since = async || store.credential("a").await.unwrap().unwrap().credential.tokens_since;
    assert_eq!(since().await, seq);
    assert_eq!((alive(&store, &one, NOW).await, alive(&store, &other, NOW).await), (Some(false), Some(true)));
    assert_eq!(issue(&store, &token(&old, 3)).await, Err(NotIssued::CredentialChanged));
    let change = store.changes_after(seq - 1, 9).await.unwrap().remove(0);
    assert_eq!((&*change.kind, &*change.action), ("credential", "tokens_revoked"));
    let told = |json: Option<String>| json.unwrap().split_once("tokens_since\":").unwrap().1.to_owned();
    assert_eq!(told(change.after), format!("{seq}}}"));
    assert_eq!(told(change.before), format!("{}}}", old.tokens_since));
    for (secret, keep) in [("t", true), ("u", false)] {
        let before = seen(&store, "a").await;
        let kept = token(&before, 10 + u128::from(keep));
        assert_eq!(issue(&store, &kept).await, Ok(()));
        let mut write = store.write("ann", NOW).await.unwrap();
        write.replace_secret("a", keys().hash(b"a", secret.as_bytes()), None, None, keep).await.unwrap();
        // Numbers are those of each change, also of the second one of a transaction.
        write.set_status("b", Status::Active).await.unwrap();
        write.revoke_tokens_of("b").await.unwrap();
        let seq = write.commit().await.unwrap();
        assert_eq!(store.credential("b").await.unwrap().unwrap().credential.tokens_since, seq);
        assert_eq!(alive(&store, &kept, NOW).await, Some(keep));
        assert_eq!(since().await, if keep { before.tokens_since } else { seq - 2 });
        let late = issue(&store, &token(&before, 20 + u128::from(keep))).await;
        assert_eq!(late, Err(NotIssued::CredentialChanged), "it was the old secret");
    }
    store.check().await.unwrap();
}

async fn nodes_learn_which_tokens_are_revoked() {
    let (place, store) = filled().await;
    let a = seen(&store, "a").await;
    let tokens: Vec<NewToken> = (0..20).map(|n| token(&a, n)).collect();
    store.issue_tokens(&tokens).await.unwrap();
    revoke(&store, tokens[0].id).await.unwrap();
    let mut nodes =
        [Node::start(place.store().await, 20, 60_000), Node::start(place.store().await, 100, 60_000)];
    for node in &mut nodes {
        node.ready().await;
        assert!(node.live.tokens.is_revoked(tokens[0].id) && node.live.tokens.revoked() == 1);
        assert_eq!(*node.live.tokens.trust().epoch, *a.epoch);
    }
    let mut write = store.write("ann", NOW).await.unwrap();
    for token in &tokens[1..10] {
        write.revoke_token(token.id).await.unwrap();
    }
    write.commit().await.unwrap();
    for node in &nodes {
        node.soon("revocations", |live| tokens[..10].iter().all(|t| live.tokens.is_revoked(t.id))).await;
        assert_eq!(node.live.tokens.revoked(), 10);
        assert!(!node.live.tokens.is_revoked(tokens[10].id));
        // They leave when their tokens are over, with the leeway that others may give, and not before.
        assert_eq!(node.live.tokens.sweep(NOW.plus_ms(LIFE_MS + KEPT_AFTER_EXPIRY_MS)), 0);
        assert_eq!(node.live.tokens.sweep(NOW.plus_ms(LIFE_MS + KEPT_AFTER_EXPIRY_MS + 10)), 10);
    }
    let mut late = Node::start(place.store().await, 20, 60_000);
    late.ready().await;
    assert_eq!(late.live.tokens.revoked(), 10, "unexpired ones are loaded at the start");
}

async fn another_epoch_kills_every_token() {
    let (place, store) = filled().await;
    let a = seen(&store, "a").await;
    let (one, two) = (token(&a, 1), token(&a, 2));
    store.issue_tokens(&[one.clone(), two.clone()]).await.unwrap();
    revoke(&store, two.id).await.unwrap();
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    let epoch = store.begin_epoch("ann", NOW).await.unwrap().epoch;
    assert_ne!(epoch, a.epoch);
    node.soon("another epoch", |live| *live.tokens.trust().epoch == *epoch).await;
    assert!(node.live.tokens.is_revoked(two.id));
    assert_eq!(alive(&store, &one, NOW).await, Some(false));
    assert_eq!(issue(&store, &token(&a, 3)).await, Err(NotIssued::CredentialChanged));
    assert_eq!(issue(&store, &token(&Seen { epoch, ..a }, 3)).await, Ok(()));
}

async fn tokens_go_when_they_are_over() {
    let (place, store) = filled().await;
    let a = seen(&store, "a").await;
    let tokens: Vec<NewToken> = (0..2_500).map(|n| token(&a, n)).collect();
    assert!(store.issue_tokens(&tokens).await.unwrap().iter().all(Result::is_ok));
    revoke(&store, tokens[0].id).await.unwrap();
    revoke(&store, tokens[2_400].id).await.unwrap();
    let over = NOW.plus_ms(LIFE_MS + LISTED_AFTER_EXPIRY_MS);
    assert_eq!(store.sweep_tokens(over).await.unwrap(), 0);
    assert_eq!(store.sweep_tokens(over.plus_ms(2_300)).await.unwrap(), 2_299);
    assert_eq!(store.sweep_tokens(over.plus_ms(2_300)).await.unwrap(), 0);
    // A clock that is ahead by hours has nothing forgotten that was revoked.
    let over = NOW.plus_ms(LIFE_MS + KEPT_AFTER_EXPIRY_MS);
    assert_eq!(store.sweep_tokens(over).await.unwrap(), 199);
    assert_eq!(store.sweep_tokens(over.plus_ms(2_300)).await.unwrap(), 1);
    assert_eq!(ask(&place.db(), "SELECT CAST(COUNT(*) AS TEXT) FROM token").await, ["1"]);
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    assert!(node.live.tokens.revoked() == 1 && node.live.tokens.is_revoked(tokens[2_400].id));
    store.check().await.unwrap();
}
