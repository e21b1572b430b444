//! What of a signed request reaches the upstream: what was signed, spelt as it was signed.
use crate::canonical::{self, QueryReading, Spaces};
use crate::policy::Signing;
use smallvec::SmallVec;
use std::sync::Arc;

/// Names in a row, in one piece of memory: they are made and dropped with each signed request.
#[derive(Clone, Debug)]
pub(super) struct Names {
    text: Box<str>,
    /// Where each ends.
    ends: SmallVec<[u32; 16]>,
}

impl Names {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Names {
        let mut text = String::with_capacity(names.clone().map(str::len).sum());
        let mut ends = SmallVec::new();
        for name in names {
            text.push_str(name);
            ends.push(text.len() as u32);
        }
        Names { text: text.into(), ends }
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let mut from = 0;
        self.ends.iter().map(move |end| {
            let name = &self.text[from..*end as usize];
            from = *end as usize;
            name
        })
    }
}

/// What a caller signed.
#[derive(Clone, Debug)]
pub struct Signed {
    pub(super) names: Names,
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

    /// The names of the signed fields, in lower case; at most [`crate::schemes::escher::MAX_SIGNED_FIELDS`].
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter()
    }

    /// Appends a value of a signed field as it was signed: runs of white space are one space.
    pub fn push_value(&self, out: &mut Vec<u8>, value: &[u8]) {
        canonical::push_value(out, value, self.spaces);
    }

    /// Appends a query with each name and value spelt as it was signed. Names come in the order in which they were sent, the
    /// values of one name in the order in which they were signed: another order has the same signature. Parameters that `left_out` names are left out.
    pub fn push_query(&self, out: &mut Vec<u8>, query: &[u8], left_out: impl Fn(&[u8]) -> bool) {
        canonical::push_respelt(out, query, self.reading, left_out);
    }
}
