//! Keeps what a node decides from in step with the store, whoever writes to it.
use crate::captcha::CAPTCHA;
use crate::changes::{self, Mark};
use crate::connect::{ANSWER_MS, SIGN_OF_LIFE_MS, within};
use crate::file::Traces;
use crate::keyring::STORE;
use crate::row::{Reader, Row};
use crate::signing::Signing;
use crate::token_keys::TOKEN_KEY;
use crate::tokens::{self, TOKEN};
use crate::{Store, StoreError, captcha, credentials, follow_tokens, load, objects, schema};
use doorward_core::credential::Credential;
use doorward_core::live::Live;
use doorward_core::policy;
use doorward_core::time::UnixMillis;
use sqlx::{AnyConnection, Connection};
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Changes read at a time.
const BATCH_ROWS: i64 = 1_000;
/// One look in so many asks the store even where its files were not written.
const ASK_EVERY: u32 = 10;
/// Longest pause between two attempts while the store fails, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 2_000;

/// How to follow.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The region of this node.
    pub region: Option<String>,
    /// The pause between two looks at the store.
    pub poll: Duration,
    /// How long what was seen may be relied on.
    pub max_staleness: Duration,
}

/// Loads everything into `live`, and then applies every change to it, for ever. `woken` ends a pause early; whoever writes
/// in the same process wakes. `clock` is a monotonic one in milliseconds, the one that decisions are made by. `ready`
/// becomes true once there is something to decide from.
///
/// The lease of `live` is renewed by each look at the store after which all of its changes are in. It counts from before
/// that look. A policy with mistakes never takes the place of a good one; each mistake is logged.
pub async fn follow(
    store: Store,
    live: Arc<Live>,
    settings: Follow,
    woken: Arc<Notify>,
    clock: fn() -> u64,
    ready: watch::Sender<bool>,
) -> Infallible {
    let staleness_ms = u64::try_from(settings.max_staleness.as_millis()).unwrap_or(u64::MAX);
    // A store that is slow is followed as long as what it tells is still fresh when it comes.
    let patience_ms = (staleness_ms / 4).clamp(SIGN_OF_LIFE_MS, ANSWER_MS);
    let mut follower = Follower {
        store,
        live: Arc::clone(&live),
        region: settings.region,
        patience_ms,
        clock,
        mark: None,
        settled: None,
        looks: 0,
        conn: None,
        keys_due: false,
        token_keys_due: false,
        captchas_due: false,
        policy_due: true,
        policy_good: false,
    };
    let mut failures: u32 = 0;
    loop {
        let looked_at = clock();
        match follower.catch_up().await {
            Ok(seq) => {
                if failures > 0 {
                    tracing::info!(seq, "the store can be followed again");
                }
                failures = 0;
                live.store_answered();
                if follower.policy_good {
                    live.renew(seq, looked_at, staleness_ms);
                    ready.send_if_modified(|ready| !std::mem::replace(ready, true));
                }
            }
            Err(e) => {
                if failures == 0 {
                    tracing::warn!(error = %e, "the store can't be followed; trying on");
                    live.store_lost();
                }
                failures = failures.saturating_add(1);
            }
        }
        let longest = settings.poll.max(Duration::from_millis(LONGEST_PAUSE_MS));
        let pause = settings.poll.saturating_mul(1 << failures.min(8)).min(longest);
        tokio::select! {
            () = woken.notified() => (),
            () = tokio::time::sleep(pause) => (),
        }
    }
}

/// The credential in a row. One whose secret does not open can't sign; but where this node can't learn the key that its
/// secret is sealed with now, it keeps what it opened before.
fn credential(live: &Live, row: Row) -> Credential {
    let Row { credential: mut c, signing, .. } = row;
    let kept = || live.directory.get(&c.id).filter(|old| old.secret == c.secret)?.signing.clone();
    if signing == Signing::OtherKey {
        // The hash is the same, so the secret is.
        c.signing = kept();
    }
    if signing != Signing::None && c.signing.is_none() {
        tracing::error!(
            credential = c.label(),
            "its signing secret does not open; no request is proved with it"
        );
    }
    c
}

/// One credential that can't be read is refused; the others are served.
fn readable(row: Result<Row, StoreError>, take: impl FnOnce(Row)) -> Result<(), StoreError> {
    match row {
        Ok(row) => take(row),
        Err(StoreError::Damaged(why)) => tracing::error!(%why, "a credential can't be read, and is refused"),
        Err(other) => return Err(other),
    }
    Ok(())
}

struct Follower {
    store: Store,
    live: Arc<Live>,
    region: Option<String>,
    /// How long a look may take, in milliseconds.
    patience_ms: u64,
    /// A monotonic one, in milliseconds.
    clock: fn() -> u64,
    /// The last change that is in; `None` before the first load, and after one that failed.
    mark: Option<Mark>,
    /// What the files looked like before the store was last asked, where everything it told is in.
    settled: Option<Traces>,
    /// Looks so far.
    looks: u32,
    /// What the store is asked through; none after a failure.
    conn: Option<AnyConnection>,
    /// The store may have other keys than when they were last learnt.
    keys_due: bool,
    /// The keys that tokens are signed with have changed since they were last read.
    token_keys_due: bool,
    /// What captchas are checked with has changed since it was last read.
    captchas_due: bool,
    /// Objects have changed since the policy was made.
    policy_due: bool,
    /// There is a policy in force.
    policy_good: bool,
}

impl Follower {
    /// What time it is at least.
    fn now(&self) -> UnixMillis {
        self.live.clock.at((self.clock)())
    }

    /// Brings in all changes there are, and returns the number of the last one.
    async fn catch_up(&mut self) -> Result<i64, StoreError> {
        self.store.still_there()?;
        // Most looks find nothing, and files that nobody has written hold no change. Now and then the store is asked all
        // the same: it may no longer be able to answer.
        let traces = self.store.traces();
        self.looks = self.looks.wrapping_add(1);
        let quiet = traces.is_some() && self.settled == traces;
        if let (Some(mark), true) = (&self.mark, quiet && !self.looks.is_multiple_of(ASK_EVERY)) {
            return Ok(mark.seq);
        }
        self.settled = None;
        // Judged before the store is asked: however long that takes, no later write may look like this one.
        let settled = traces.filter(Traces::are_settled);
        // A connection of its own, so that nobody who writes keeps this node from looking. It is given up after whatever
        // fails: a server may have stopped in the middle of an answer.
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.store.connector.connect_to_follow().await?,
        };
        let seq = self.catch_up_with(&mut conn).await?;
        self.conn = Some(conn);
        self.settled = settled;
        Ok(seq)
    }

    async fn catch_up_with(&mut self, conn: &mut AnyConnection) -> Result<i64, StoreError> {
        let head = within(self.patience_ms, changes::mark(conn)).await?;
        let seq = match self.mark.clone() {
            Some(mark) if mark == head => mark.seq,
            Some(mark) if mark.epoch == head.epoch && mark.seq < head.seq => {
                match self.apply(conn, mark, &head).await? {
                    Some(seq) => seq,
                    None => self.load_again(conn).await?,
                }
            }
            Some(_) => self.load_again(conn).await?,
            None => self.load(conn).await?,
        };
        if self.keys_due {
            within(ANSWER_MS, self.store.follow_keys(conn)).await?;
            self.keys_due = false;
        }
        if self.token_keys_due {
            let epoch = self.live.tokens.trust();
            follow_tokens::keys(&self.store, &self.live, conn, (&epoch.epoch, self.now())).await?;
            self.token_keys_due = false;
        }
        if self.captchas_due {
            captcha::follow(&self.store, &self.live, conn).await?;
            self.captchas_due = false;
        }
        if self.policy_due {
            self.make_policy(conn).await?;
        }
        Ok(seq)
    }

    async fn load_again(&mut self, conn: &mut AnyConnection) -> Result<i64, StoreError> {
        tracing::warn!("the store has another history than the one followed so far; loading all of it");
        self.mark = None;
        self.load(conn).await
    }

    async fn load(&mut self, conn: &mut AnyConnection) -> Result<i64, StoreError> {
        let begin = conn.begin_with(self.store.engine.begin_read());
        let mut tx = within(ANSWER_MS, async { Ok(begin.await?) }).await?;
        let mark = within(ANSWER_MS, changes::mark(&mut tx)).await?;
        let installation = within(ANSWER_MS, schema::meta(&mut tx, schema::INSTALLATION)).await?;
        self.store.see_own(Some(&installation))?;
        // As of the same instant as what they sealed.
        within(ANSWER_MS, self.store.follow_keys(&mut tx)).await?;
        let (reader, mut secretless) = (&mut Reader::new(&self.store.keys), 0_u64);
        // A load that fails half-way must not take away what is good.
        let mut all = self.live.directory.replacement();
        let mut add = |row: Row| {
            let signs = row.credential.scheme().signs();
            secretless += u64::from(signs && row.signing == Signing::None);
            all.add(credential(&self.live, row));
        };
        load::each(&mut tx, reader, |row| readable(row, &mut add)).await?;
        let revoked = tokens::revoked(&mut tx).await?;
        let token_keys = follow_tokens::read_keys(&self.store, &self.live, &mut tx);
        let token_keys = within(ANSWER_MS, token_keys).await?;
        within(ANSWER_MS, captcha::take(&self.store, &self.live, &mut tx)).await?;
        // What is dead first: in another epoch all earlier tokens are, and no credential brings one back.
        self.live.tokens.revoke_only(revoked);
        follow_tokens::take(&self.live, token_keys, &mark.epoch, self.now());
        all.finish();
        within(ANSWER_MS, async { Ok(tx.rollback().await?) }).await?;
        if secretless > 0 {
            tracing::warn!(
                credentials = secretless,
                "made before their dialect signed, they have no signing secret; regenerate those that are to sign"
            );
        }
        (self.policy_due, self.keys_due, self.token_keys_due, self.captchas_due) =
            (true, false, false, false);
        let seq = mark.seq;
        self.mark = Some(mark);
        Ok(seq)
    }

    /// Brings in the changes from `mark` to `head`; `None` when the store has not come that way.
    async fn apply(
        &mut self,
        conn: &mut AnyConnection,
        mut mark: Mark,
        head: &Mark,
    ) -> Result<Option<i64>, StoreError> {
        let mut reader = Reader::new(&self.store.keys);
        while mark.seq < head.seq {
            // The last change that is in comes first: it must still be the same.
            let from = (mark.seq - 1).max(0);
            let page = within(ANSWER_MS, changes::after(conn, from, BATCH_ROWS + 1)).await?;
            let mut page = page.into_iter();
            if mark.seq > 0 && page.next().map(|(_, mac)| mac) != mark.mac {
                return Ok(None);
            }
            let (mut next, mut ids) = (mark.clone(), HashSet::new());
            for (change, mac) in page {
                if change.seq != next.seq + 1 {
                    return Ok(None);
                }
                (next.seq, next.mac) = (change.seq, Some(mac));
                if change.kind == credentials::CREDENTIAL {
                    ids.insert(change.id);
                } else if change.kind == STORE {
                    self.keys_due = true;
                } else if change.kind == TOKEN {
                    follow_tokens::revoke(&self.live, &change);
                } else if change.kind == TOKEN_KEY {
                    self.token_keys_due = true;
                } else if change.kind == CAPTCHA {
                    self.captchas_due = true;
                } else {
                    self.policy_due = true;
                }
            }
            if next.seq == mark.seq {
                return Ok(None);
            }
            // What is there now may be newer than the change; the next look will find the same again.
            for id in ids {
                match within(ANSWER_MS, self.store.one_opened(conn, &mut reader, &id)).await? {
                    Some((Ok(row), _)) => self.live.directory.put(credential(&self.live, row)),
                    None => self.live.directory.remove(&id),
                    Some((Err(why), _)) => {
                        // Nobody may rely on what this credential was before.
                        tracing::error!(%why, "a changed credential can't be read, and is refused");
                        self.live.directory.remove(&id);
                    }
                }
            }
            mark = next;
            self.mark = Some(mark.clone());
        }
        Ok(Some(mark.seq))
    }

    async fn make_policy(&mut self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        let (draft, mut mistakes) = within(ANSWER_MS, objects::all(conn)).await?;
        self.policy_due = false;
        if mistakes.is_empty() {
            match policy::compile(&draft, self.region.as_deref()) {
                Ok(policy) => {
                    self.live.policy.store(Arc::new(policy));
                    self.policy_good = true;
                    return Ok(());
                }
                // Lines are those of single objects, whose names the places tell.
                Err(found) => {
                    mistakes.extend(found.into_iter().map(|m| format!("{}: {}", m.place, m.message)))
                }
            }
        }
        for mistake in mistakes {
            tracing::error!(mistake, "the stored policy has a mistake, and is not used");
        }
        Ok(())
    }
}
