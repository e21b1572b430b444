//! What is seen of a credential's calls to an API while rules are observed there.
use crate::decide::Facts;
use crate::policy::{Mode, Policy, Rule, RuleSet};
use crate::time::UnixMillis;

/// Most samples that are kept of the calls of one credential to one API that one rule would have refused.
pub const MAX_SAMPLES: usize = 5;
/// Longest path of a sample, in bytes: what is longer is cut.
pub const MAX_SAMPLE_PATH_BYTES: usize = 256;

/// The calls of one credential to one API, as far as they were let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The API.
    pub api: Box<str>,
    /// Those that rules would have refused, each rule once.
    pub refused: Vec<Refused>,
    /// The last one with a signature, while signatures were observed.
    pub signed_at: Option<UnixMillis>,
}

/// Calls that one rule would have refused, were it enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The rule.
    pub rule: Rule,
    /// How many.
    pub calls: u64,
    /// The first one.
    pub first_at: Option<UnixMillis>,
    /// The last one.
    pub last_at: Option<UnixMillis>,
    /// Some of them, at most [`MAX_SAMPLES`].
    pub samples: Vec<Sample>,
}

/// One call, for whoever looks into it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    /// When.
    pub at: UnixMillis,
    /// Its method.
    pub method: Box<str>,
    /// Its path, without the query.
    pub path: Box<str>,
    /// The caller's address, where it was known.
    pub client: Option<Box<str>>,
}

/// What is to be noted of a permitted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'p> {
    /// The API.
    pub api: &'p str,
    /// The rules that would have refused it.
    pub refused: RuleSet,
    /// Whether it is signed, where signatures are observed.
    pub signed: bool,
}

impl Refused {
    /// No call so far.
    #[must_use]
    pub fn nothing(rule: Rule) -> Refused {
        Refused { rule, calls: 0, first_at: None, last_at: None, samples: Vec::new() }
    }

    fn add(&mut self, more: &Refused) {
        self.calls = self.calls.saturating_add(more.calls);
        self.first_at = [self.first_at, more.first_at].into_iter().flatten().min();
        self.last_at = self.last_at.max(more.last_at);
        self.samples.extend(more.samples.iter().cloned());
        self.samples.sort_unstable_by(|a, b| b.cmp(a));
        self.samples.dedup();
        self.samples.truncate(MAX_SAMPLES);
    }
}

impl Observed {
    /// No call so far.
    #[must_use]
    pub fn nothing(api: &str) -> Observed {
        Observed { api: api.into(), refused: Vec::new(), signed_at: None }
    }

    /// Notes one call. The sample is made where it is wanted.
    pub fn note(&mut self, seen: Seen<'_>, at: UnixMillis, sample: impl Fn() -> Sample) {
        if seen.signed {
            self.signed_at = self.signed_at.max(Some(at));
        }
        for rule in seen.refused.iter() {
            let refused = self.of(rule);
            refused.calls += 1;
            refused.first_at = [refused.first_at, Some(at)].into_iter().flatten().min();
            refused.last_at = refused.last_at.max(Some(at));
            if refused.samples.len() < MAX_SAMPLES {
                refused.samples.push(sample());
            }
        }
    }

    /// Adds what else was seen of the same calls, at whatever time.
    pub fn add(&mut self, more: &Observed) {
        self.signed_at = self.signed_at.max(more.signed_at);
        for refused in &more.refused {
            self.of(refused.rule).add(refused);
        }
    }

    fn of(&mut self, rule: Rule) -> &mut Refused {
        let known = self.refused.iter().position(|refused| refused.rule == rule).unwrap_or_else(|| {
            self.refused.push(Refused::nothing(rule));
            self.refused.len() - 1
        });
        &mut self.refused[known]
    }
}

/// Of a permitted request, what is to be noted; `None` where nothing of it is observed.
#[must_use]
pub fn permitted<'p>(policy: &'p Policy, facts: &Facts) -> Option<Seen<'p>> {
    let api = &policy.apis[policy.routes[facts.route?.0].api];
    let refused = facts.would_refuse;
    // To observe signatures is never a default: what operators have said is enough to know.
    let signed = match (facts.presented, &facts.credential) {
        (Some((scheme, _)), Some(credential)) => {
            scheme.signs()
                && !refused.has(Rule::Signatures)
                && api.rules(&credential.workspace).signatures == Some(Mode::Observe)
        }
        // Who calls without a credential is of no workspace.
        _ => false,
    };
    (signed || !refused.is_empty()).then_some(Seen { api: &api.id, refused, signed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: i64) -> Sample {
        Sample { at: UnixMillis(at), method: "GET".into(), path: "/".into(), client: None }
    }

    #[test]
    fn calls_add_up_and_times_keep_their_ends() {
        let at = |ms| Some(UnixMillis(ms));
        let mut seen = Observed::nothing("shop");
        let mut note = |signed, refused: &[Rule], at: i64| {
            let refused = refused.iter().copied().collect();
            seen.note(Seen { api: "shop", refused, signed }, UnixMillis(at), || sample(at));
        };
        note(true, &[], 7);
        note(false, &[Rule::Signatures], 5);
        note(false, &[Rule::Signatures, Rule::Scope], 9);
        note(true, &[], 6);
        assert_eq!(seen.signed_at, at(7));
        let [signatures, scope] = &seen.refused[..] else { panic!("{seen:?}") };
        assert_eq!((signatures.calls, signatures.first_at, signatures.last_at), (2, at(5), at(9)));
        assert_eq!((scope.rule, scope.calls, &scope.samples), (Rule::Scope, 1, &vec![sample(9)]));
        let mut sum = Observed::nothing("shop");
        sum.add(&seen);
        let more = Refused { calls: 3, first_at: at(2), last_at: at(8), ..Refused::nothing(Rule::Scope) };
        sum.add(&Observed { refused: vec![more], signed_at: None, ..Observed::nothing("shop") });
        assert_eq!(
            (sum.refused[1].calls, sum.refused[1].first_at, sum.refused[1].last_at),
            (4, at(2), at(9))
        );
        assert_eq!(sum.signed_at, at(7));
    }

    #[test]
    fn few_samples_are_kept_and_the_newest_of_several_nodes() {
        let mut one = Observed::nothing("shop");
        let refused = [Rule::Network].into_iter().collect();
        for at in 0..100 {
            one.note(Seen { api: "shop", refused, signed: false }, UnixMillis(at), || sample(at));
        }
        assert_eq!((one.refused[0].calls, one.refused[0].samples.len()), (100, MAX_SAMPLES));
        let mut other = Observed::nothing("shop");
        other.note(Seen { api: "shop", refused, signed: false }, UnixMillis(500), || sample(500));
        one.add(&other);
        assert_eq!((one.refused[0].samples.len(), &one.refused[0].samples[0]), (MAX_SAMPLES, &sample(500)));
    }
}
