//! Users and their passwords. Guessing is slow, for names that nobody has as well, and keeps nobody out who comes from
//! elsewhere.
use super::fault::Fault;
use super::pool::{Pool, WAITING};
use super::room::Room;
use super::{Asked, Server};
use doorward_core::credential::{Credential, Kind, MAX_ID_BYTES};
use doorward_core::guessing::{Delays, GuessKey, Network};
use doorward_core::password::{Comparer, Cost};
use doorward_core::reason::Reason;
use doorward_core::time::UnixMillis;
use doorward_store::StoreError;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Whom nobody tells: all of them are one network.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

type Turns = Mutex<HashMap<GuessKey, Arc<tokio::sync::Mutex<()>>>>;

/// How passwords are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordRules {
    /// How long tries have to wait after wrong ones.
    pub delays: Delays,
    /// What a try costs for a name that nobody has: as much as for others.
    pub cost: Cost,
    /// How many may wait at once that come from one network.
    pub waiting_of_one: usize,
}

impl Default for PasswordRules {
    fn default() -> PasswordRules {
        PasswordRules { delays: Delays::default(), cost: Cost::FULL, waiting_of_one: WAITING / 4 }
    }
}

impl PasswordRules {
    /// For trying things out: whoever does may be wrong as often as he likes.
    #[must_use]
    pub fn of_a_demo() -> PasswordRules {
        let delays = Delays { free: u32::MAX, ..Delays::default() };
        PasswordRules { delays, cost: Cost::TOKEN, waiting_of_one: WAITING }
    }
}

/// What passwords are compared with.
pub(super) struct Passwords {
    pool: Pool,
    delays: Delays,
    room: Room,
    /// Who is being tried now. Tries of one name from one network come one after the other, so that none slips through
    /// before the one before it was counted.
    turns: Turns,
}

impl Passwords {
    pub(super) fn start(rules: PasswordRules) -> std::io::Result<Passwords> {
        let PasswordRules { delays, cost, waiting_of_one } = rules;
        let (pool, room) = (Pool::start(Comparer::new(cost))?, Room::new(waiting_of_one));
        Ok(Passwords { pool, delays, room, turns: Turns::default() })
    }

    fn turn(&self, who: GuessKey) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.turns.lock().unwrap_or_else(PoisonError::into_inner).entry(who).or_default())
    }

    /// After one's turn: nobody remembers whom nobody waits for.
    fn leave(&self, who: GuessKey, turn: Arc<tokio::sync::Mutex<()>>) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        drop(turn);
        if turns.get(&who).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&who);
        }
    }
}

fn store_failed(why: &StoreError) -> Fault {
    tracing::warn!(%why, "tries of passwords can't be counted");
    Fault::away(Reason::Unavailable, "tries-not-counted")
}

/// Whether anybody may have that name. Others are never looked up: not every store can be asked for any text.
fn can_be_a_name(name: &str) -> bool {
    name.len() <= MAX_ID_BYTES && name.bytes().all(|b| matches!(b, 0x21..=0x7e))
}

/// Until then, in whole seconds.
fn seconds(until: Option<UnixMillis>, now: UnixMillis) -> Option<i64> {
    until.map(|until| (until.0 - now.0 + 999).div_euclid(1000).max(1))
}

impl Server {
    /// Whether users get tokens for their passwords anywhere.
    pub(super) fn passwords_are_on(&self) -> bool {
        self.live.policy.load().workspaces.values().any(|workspace| workspace.password_grant)
    }

    /// The user that has this name and this password, and may get tokens here now.
    pub(super) async fn user(
        &self,
        asked: &Asked,
        name: &str,
        password: &str,
    ) -> Result<Arc<Credential>, Fault> {
        let network = Network::of(asked.client.unwrap_or(NOWHERE));
        let who = self.live.keys.guess_key(name, network);
        let Some(_place) = self.passwords.room.enter(network) else {
            return Err(Fault::away(Reason::Overloaded, "too-many-passwords"));
        };
        let turn = self.passwords.turn(who);
        let held = turn.lock().await;
        let tried = self.try_user(asked, name, password, who).await;
        drop(held);
        self.passwords.leave(who, turn);
        tried
    }

    async fn try_user(
        &self,
        asked: &Asked,
        name: &str,
        password: &str,
        who: GuessKey,
    ) -> Result<Arc<Credential>, Fault> {
        let (store, delays, now) = (&self.store, &self.passwords.delays, asked.now);
        let wait = store.guess_allowed(who, delays, now).await.map_err(|e| store_failed(&e))?;
        if wait.is_some() {
            let told = Fault::grant(Reason::CredentialInvalid, "too-many-wrong-passwords");
            return Err(told.after_s(seconds(wait, now)));
        }
        // Passwords are not kept in memory, and names that nobody has are looked up as well.
        let found = match can_be_a_name(name) {
            true => store.credential(name).await.map_err(|e| store_failed(&e))?,
            false => None,
        };
        let ours = |c: &Credential| c.kind == Kind::User && c.dialect.name == asked.dialect.name;
        let known = found.filter(|stored| ours(&stored.credential));
        let (known, kept) = known.map(|stored| (Arc::new(stored.credential), stored.password)).unzip();
        let fits = self.passwords.pool.fits(password, kept.flatten()).await;
        let fits = fits.ok_or_else(|| Fault::away(Reason::Overloaded, "too-many-passwords"))?;
        let Some(user) = known.filter(|_| fits) else {
            let wait = store.guess_failed(who, delays, now).await.map_err(|e| store_failed(&e))?;
            let told = Fault::grant(Reason::CredentialInvalid, "wrong-password");
            return Err(told.after_s(seconds(wait, now)));
        };
        store.guess_succeeded(who).await.map_err(|e| store_failed(&e))?;
        match self.allowed(asked, &user) {
            Ok(workspace) if workspace.password_grant => Ok(user),
            Ok(_) => Err(Fault::unauthorized("password-grant-off").of(&user)),
            Err((Reason::NetworkDenied, detail)) => Err(Fault::elsewhere(detail).of(&user)),
            Err((code, detail)) => Err(Fault::grant(code, detail).of(&user)),
        }
    }
}
