//! What of a signed request reaches the upstream: what was signed, spelt as it was signed.
use crate::canonical::{self, QueryReading, Spaces};
use crate::policy::Signing;
use std::sync::Arc;

/// What a caller signed.
#[derive(Clone, Debug)]
pub struct Signed {
    pub(super) names: Vec<Box<str>>,
    pub(super) reading: QueryReading,
    pub(super) spaces: Spaces,
    pub(super) signing: Arc<Signing>,
}

impl Signed {
    /// How requests are signed there.
    #[must_use]
    pub fn signing(&self) -> &Signing {
        &self.signing
    }

    /// The name of a field in lower case, if it was signed.
    #[must_use]
    pub fn name(&self, name: &[u8]) -> Option<&str> {
        self.names.iter().find(|n| name.eq_ignore_ascii_case(n.as_bytes())).map(|n| &**n)
    }

    /// Appends a value of a signed field as it was signed: runs of white space are one space.
    pub fn push_value(&self, out: &mut Vec<u8>, value: &[u8]) {
        canonical::push_value(out, value, self.spaces);
    }

    /// Appends a query with each name and value spelt as it was signed, in the order in which they were sent. Parameters
    /// that `left_out` names are left out.
    pub fn push_query(&self, out: &mut Vec<u8>, query: &[u8], left_out: impl Fn(&[u8]) -> bool) {
        canonical::push_respelt(out, query, self.reading, left_out);
    }
}
