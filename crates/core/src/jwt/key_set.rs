//! The keys that tokens may be signed by, under their names.
use super::json::{Json, Object};
use super::{KeyFault, VerifyKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most keys of a set.
pub const MAX_KEYS: usize = 64;

/// Public keys by their names. A name means nothing but itself: it is no path, no address, no query.
#[derive(Clone, Debug, Default)]
pub struct KeySet(BTreeMap<Box<str>, Arc<VerifyKey>>);

impl KeySet {
    /// Adds a key.
    ///
    /// # Errors
    /// [`KeyFault::Repeated`] where its name is taken, [`KeyFault::TooMany`]; then nothing has changed.
    pub fn add(&mut self, key: VerifyKey) -> Result<(), KeyFault> {
        if self.0.contains_key(key.kid()) {
            return Err(KeyFault::Repeated);
        }
        if self.0.len() >= MAX_KEYS {
            return Err(KeyFault::TooMany);
        }
        self.0.insert(key.kid().into(), Arc::new(key));
        Ok(())
    }

    /// The key of that name.
    #[must_use]
    pub fn get(&self, kid: &str) -> Option<&VerifyKey> {
        self.0.get(kid).map(|key| &**key)
    }

    /// The keys, by their names.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyKey> {
        self.0.values().map(|key| &**key)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The document that publishes them (RFC 7517 5). It is made of public parts alone.
    #[must_use]
    pub fn jwks(&self) -> String {
        let keys: Vec<&str> = self.iter().map(VerifyKey::jwk).collect();
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }

    /// Reads such a document. One bad key, and the set is not taken.
    ///
    /// # Errors
    /// What is wrong with the first key that is not taken, or with the document.
    pub fn from_jwks(text: &str) -> Result<KeySet, KeyFault> {
        let document = Object::read(text.as_bytes()).ok_or(KeyFault::Json)?;
        let Some(Json::List(keys)) = document.get("keys") else { return Err(KeyFault::Member("keys")) };
        let mut set = KeySet::default();
        for key in keys {
            let Json::Object(key) = key else { return Err(KeyFault::Json) };
            set.add(VerifyKey::from_object(key)?)?;
        }
        Ok(set)
    }
}
