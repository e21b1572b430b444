//! The keys that tokens are signed with, as plain data: which there are, and whose turn it is.
//!
//! A key is published before it signs, so that whoever verifies has it by then, and verifies until the last token that it
//! signed has expired. Times decide; the state says what the store has made of them so far.
use crate::credential::names;
use crate::keyring::wipe;
use crate::time::UnixMillis;
use std::fmt;
use std::sync::Arc;

/// How long a key verifies after it has signed for the last time, in milliseconds: the life of the longest token of any
/// dialect, twelve hours, and ten minutes for clocks and for nodes that learn late that another key signs.
pub const VERIFY_MS: i64 = (12 * 60 + 10) * 60 * 1000;

names! {
    /// What a key is there for.
    KeyState:
    /// It is published, and signs from a certain instant on.
    Next = "next",
    /// It signs.
    Signing = "signing",
    /// It signs no more, and verifies what it has signed.
    Retired = "retired"
}

/// A private key, as PKCS #8 (RFC 5208) in DER. It is never shown.
#[derive(PartialEq, Eq)]
pub struct PrivateKey(Box<[u8]>);

impl PrivateKey {
    /// The key with this encoding.
    #[must_use]
    pub fn new(pkcs8: Vec<u8>) -> PrivateKey {
        PrivateKey(pkcs8.into())
    }

    /// Its encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// A key that tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKey {
    /// Its name: the thumbprint of the public key (RFC 7638).
    pub kid: String,
    /// The algorithm, as tokens name it: `ES256`.
    pub algorithm: String,
    /// What it is there for.
    pub state: KeyState,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From this instant on it signs.
    pub signs_from: UnixMillis,
    /// From this instant on it signed no more.
    pub retired_at: Option<UnixMillis>,
    /// Until then, exclusively, it verifies.
    pub verify_until: Option<UnixMillis>,
    /// The public key as a JSON Web Key (RFC 7517).
    pub public_jwk: String,
    /// The private key; `None` in lists, which need none.
    pub private: Option<Arc<PrivateKey>>,
}

impl TokenKey {
    /// Whether tokens signed with it are taken at `now`. A key that does not sign yet verifies already: another node may
    /// be ahead.
    #[must_use]
    pub fn verifies(&self, now: UnixMillis) -> bool {
        self.verify_until.is_none_or(|until| now < until)
    }

    fn may_sign(&self, now: UnixMillis) -> bool {
        self.state != KeyState::Retired && self.signs_from <= now
    }

    /// Which of several that may sign is to.
    fn turn(&self) -> (UnixMillis, UnixMillis, &str) {
        (self.signs_from, self.created_at, &self.kid)
    }
}

/// All keys that a node knows at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenKeys(pub Vec<TokenKey>);

impl TokenKeys {
    /// The key of that name.
    #[must_use]
    pub fn get(&self, kid: &str) -> Option<&TokenKey> {
        self.0.iter().find(|key| key.kid == kid)
    }

    /// The key that signs with an algorithm at `now`: of those whose time has come, the latest. It does not hang on anybody
    /// having noted that its time has come.
    #[must_use]
    pub fn signer(&self, algorithm: &str, now: UnixMillis) -> Option<&TokenKey> {
        let ready =
            |key: &&TokenKey| key.algorithm == algorithm && key.may_sign(now) && key.private.is_some();
        self.0.iter().filter(ready).max_by_key(|key| key.turn())
    }
}

/// What the time has made of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It signs now.
    Sign(String),
    /// It signs no more, and verifies until then.
    Retire(String, UnixMillis),
    /// Nothing that it signed is good any more.
    Remove(String),
}

/// What is due at `now`, where the longest token lives for `verify_ms` milliseconds, the leeway of verifiers included: of
/// each algorithm the latest key whose time has come signs, and the others retire.
#[must_use]
pub fn due(keys: &[TokenKey], now: UnixMillis, verify_ms: i64) -> Vec<Turn> {
    let mut turns = Vec::new();
    for key in keys {
        let same = keys.iter().filter(|other| other.algorithm == key.algorithm && other.may_sign(now));
        let newest = same.max_by_key(|other| other.turn()).is_none_or(|newest| newest.kid == key.kid);
        match key.state {
            KeyState::Retired if !key.verifies(now) => turns.push(Turn::Remove(key.kid.clone())),
            KeyState::Next if key.may_sign(now) && newest => turns.push(Turn::Sign(key.kid.clone())),
            KeyState::Next | KeyState::Signing if key.may_sign(now) && !newest => {
                turns.push(Turn::Retire(key.kid.clone(), now.plus_ms(verify_ms)));
            }
            _ => (),
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str, algorithm: &str, state: KeyState, signs_from: i64) -> TokenKey {
        TokenKey {
            kid: kid.to_owned(),
            algorithm: algorithm.to_owned(),
            state,
            created_at: UnixMillis(0),
            signs_from: UnixMillis(signs_from),
            retired_at: None,
            verify_until: None,
            public_jwk: "{}".to_owned(),
            private: Some(Arc::new(PrivateKey::new(b"secret".to_vec()))),
        }
    }

    #[test]
    fn a_private_key_is_never_shown() {
        let shown = format!("{:?}", key("a", "ES256", KeyState::Next, 0));
        assert!(shown.contains("PrivateKey(..)") && !shown.contains("115, 101"), "{shown}");
    }

    #[test]
    fn the_latest_key_whose_time_has_come_signs() {
        let mut keys = TokenKeys(vec![
            key("old", "ES256", KeyState::Signing, 1),
            key("new", "ES256", KeyState::Next, 100),
            key("rsa", "RS256", KeyState::Signing, 1),
        ]);
        let signer = |keys: &TokenKeys, alg, now| keys.signer(alg, UnixMillis(now)).map(|k| k.kid.clone());
        assert_eq!(signer(&keys, "ES256", 0), None);
        assert_eq!(signer(&keys, "ES256", 99).as_deref(), Some("old"));
        assert_eq!(signer(&keys, "ES256", 100).as_deref(), Some("new"));
        assert_eq!(signer(&keys, "RS256", 100).as_deref(), Some("rsa"));
        assert_eq!(signer(&keys, "EdDSA", 100), None);
        keys.0[1].private = None;
        assert_eq!(signer(&keys, "ES256", 100).as_deref(), Some("old"), "a key that does not open");
        keys.0[0].state = KeyState::Retired;
        assert_eq!(signer(&keys, "ES256", 100), None);
    }

    #[test]
    fn a_key_signs_retires_and_goes_when_its_time_has_come() {
        let mut keys =
            vec![key("old", "ES256", KeyState::Signing, 1), key("new", "ES256", KeyState::Next, 100)];
        keys.push(key("rsa", "RS256", KeyState::Signing, 1));
        let now = UnixMillis;
        assert_eq!(due(&keys, now(99), 50), []);
        let both = [Turn::Retire("old".to_owned(), now(150)), Turn::Sign("new".to_owned())];
        assert_eq!(due(&keys, now(100), 50), both);
        keys[0] = TokenKey { state: KeyState::Retired, verify_until: Some(now(150)), ..keys[0].clone() };
        keys[1].state = KeyState::Signing;
        assert_eq!(due(&keys, now(149), 50), []);
        assert!(keys[0].verifies(now(149)) && !keys[0].verifies(now(150)) && keys[1].verifies(now(0)));
        assert_eq!(due(&keys, now(150), 50), [Turn::Remove("old".to_owned())]);
        // One that was overtaken never signs.
        keys[0] = key("older", "ES256", KeyState::Next, 50);
        assert_eq!(due(&keys, now(120), 50), [Turn::Retire("older".to_owned(), now(170))]);
        assert_eq!(
            due(&[key("first", "ES256", KeyState::Next, 0)], now(0), 1),
            [Turn::Sign("first".to_owned())]
        );
    }
}
