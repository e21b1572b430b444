//! The keys that sign, made ready once.
use doorward_core::jwt::{Algorithm, SigningKey};
use doorward_core::time::UnixMillis;
use doorward_core::token_keys::TokenKeys;
use std::sync::{Arc, Mutex, PoisonError};

/// Keys that were made ready, each until the store has it no more.
#[derive(Default)]
pub(super) struct Signers(Mutex<Vec<Arc<SigningKey>>>);

impl Signers {
    /// The key that signs by an algorithm at `now`; `None` where there is none yet, or it can't be read.
    pub(super) fn get(&self, keys: &TokenKeys, alg: Algorithm, now: UnixMillis) -> Option<Arc<SigningKey>> {
        let key = keys.signer(alg.name(), now)?;
        // Whoever panicked while it was locked has left whole entries behind.
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = ready.iter().find(|ready| ready.kid() == key.kid && ready.alg() == alg) {
            return Some(Arc::clone(there));
        }
        ready.retain(|ready| keys.get(ready.kid()).is_some());
        let made = SigningKey::from_pkcs8(alg, key.private.as_ref()?.as_bytes());
        let made = made.inspect_err(|why| tracing::error!(kid = key.kid, %why, "a token key can't be used"));
        let made = Arc::new(made.ok().filter(|made| made.kid() == key.kid)?);
        ready.push(Arc::clone(&made));
        Some(made)
    }
}
