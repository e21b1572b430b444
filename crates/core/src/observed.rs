//! What is seen of a credential's calls to an API while signatures are observed there.
use crate::decide::Facts;
use crate::policy::{Mode, Policy};
use crate::time::UnixMillis;

/// The calls of one credential to one API, as far as they were let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The API.
    pub api: Box<str>,
    /// How many came without a signature. Each of them would be refused if signatures were enforced.
    pub calls: u64,
    /// The first one without a signature.
    pub first_at: Option<UnixMillis>,
    /// The last one without a signature.
    pub last_at: Option<UnixMillis>,
    /// The last one with a signature.
    pub signed_at: Option<UnixMillis>,
}

impl Observed {
    /// No call so far.
    #[must_use]
    pub fn nothing(api: &str) -> Observed {
        Observed { api: api.into(), calls: 0, first_at: None, last_at: None, signed_at: None }
    }

    /// Notes one call.
    pub fn note(&mut self, signed: bool, at: UnixMillis) {
        if signed {
            self.signed_at = self.signed_at.max(Some(at));
        } else {
            self.calls += 1;
            self.first_at = earlier(self.first_at, Some(at));
            self.last_at = self.last_at.max(Some(at));
        }
    }

    /// Adds what else was seen of the same calls, at whatever time.
    pub fn add(&mut self, more: &Observed) {
        self.calls = self.calls.saturating_add(more.calls);
        self.first_at = earlier(self.first_at, more.first_at);
        self.last_at = self.last_at.max(more.last_at);
        self.signed_at = self.signed_at.max(more.signed_at);
    }
}

/// Of a permitted request, the API where signatures are observed for its credential, and whether it is signed as well as
/// enforcement would have it. `None` where they are not observed.
#[must_use]
pub fn permitted<'p>(policy: &'p Policy, facts: &Facts) -> Option<(&'p str, bool)> {
    let api = &policy.apis[policy.routes[facts.route?.0].api];
    if facts.would_refuse.is_some() {
        return Some((&api.id, false));
    }
    let (scheme, _) = facts.presented?;
    let workspace = &*facts.credential.as_ref()?.workspace;
    // To observe is never a default: what operators have said is enough to know.
    let observed = || api.signatures.get(workspace) == Some(&Mode::Observe);
    (scheme.signs() && observed()).then_some((&api.id, true))
}

fn earlier(a: Option<UnixMillis>, b: Option<UnixMillis>) -> Option<UnixMillis> {
    [a, b].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_add_up_and_times_keep_their_ends() {
        let at = |ms| Some(UnixMillis(ms));
        let mut seen = Observed::nothing("shop");
        seen.note(true, UnixMillis(7));
        assert_eq!((seen.calls, seen.first_at, seen.last_at, seen.signed_at), (0, None, None, at(7)));
        seen.note(false, UnixMillis(5));
        seen.note(false, UnixMillis(9));
        seen.note(true, UnixMillis(6));
        assert_eq!((seen.calls, seen.first_at, seen.last_at, seen.signed_at), (2, at(5), at(9), at(7)));
        let mut sum = Observed::nothing("shop");
        sum.add(&seen);
        sum.add(&Observed { calls: 3, first_at: at(2), last_at: at(8), signed_at: None, ..seen.clone() });
        assert_eq!((sum.calls, sum.first_at, sum.last_at, sum.signed_at), (5, at(2), at(9), at(7)));
    }
}
