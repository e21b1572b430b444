//! Licences that end soon, or have ended: the log and the metrics tell, before anybody is refused.
use crate::clock;
use doorward_core::live::Live;
use doorward_core::policy::{Licence, Policy};
use doorward_core::time::UnixMillis;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(10);
/// How long nothing more is said about a licence, in milliseconds: a day.
const QUIET_MS: i64 = 24 * 60 * 60 * 1000;

/// How a licence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stand {
    EndsSoon,
    Over,
}

fn stand(licence: &Licence, now: UnixMillis) -> Option<(Stand, UnixMillis)> {
    match licence.until {
        Some(until) if until <= now => Some((Stand::Over, until)),
        Some(until) if licence.ends_soon(now) => Some((Stand::EndsSoon, until)),
        _ => None,
    }
}

/// The licences that end soon or have ended, each with its workspace, in an order that stays the same.
fn told(policy: &Policy, now: UnixMillis) -> Vec<(&str, &Licence, Stand, UnixMillis)> {
    let all = policy.workspaces.values().flat_map(|w| w.licences.iter().map(move |l| (w.id.as_str(), l)));
    let mut all: Vec<_> = all
        .filter_map(|(workspace, licence)| {
            let (stand, until) = stand(licence, now)?;
            Some((workspace, licence, stand, until))
        })
        .collect();
    all.sort_unstable_by_key(|(workspace, licence, ..)| (*workspace, &licence.name, &licence.user));
    all
}

/// The end of each of them, in seconds since 1970, with its labels. Nothing in them needs escaping.
pub(crate) fn samples(policy: &Policy, now: UnixMillis) -> Vec<(String, i64)> {
    let sample = |(workspace, licence, _, until): (&str, &Licence, Stand, UnixMillis)| {
        let user = licence.user.as_deref().unwrap_or_default();
        let labels = format!("{{workspace=\"{workspace}\",licence=\"{}\",user=\"{user}\"}}", licence.name);
        (labels, until.0.div_euclid(1000))
    };
    told(policy, now).into_iter().map(sample).collect()
}

/// A workspace, a licence, a user, and how that licence stands.
type About = (String, String, String, Stand);

/// What was said, and when.
#[derive(Default)]
struct Said(HashMap<About, UnixMillis>);

impl Said {
    /// What is to be said now: each licence once a day, and as soon as it is over.
    fn due<'p>(
        &mut self,
        policy: &'p Policy,
        now: UnixMillis,
    ) -> Vec<(&'p str, &'p Licence, Stand, UnixMillis)> {
        let mut still = HashMap::new();
        let mut due = Vec::new();
        for one in told(policy, now) {
            let (workspace, licence, stand, _) = one;
            let user = licence.user.as_deref().unwrap_or_default();
            let key = (workspace.to_owned(), licence.name.to_string(), user.to_owned(), stand);
            let last = self.0.get(&key).filter(|at| now.0.saturating_sub(at.0) < QUIET_MS).copied();
            if last.is_none() {
                due.push(one);
            }
            still.insert(key, last.unwrap_or(now));
        }
        self.0 = still;
        due
    }
}

/// Tells of licences that end soon, and of those that have ended, for ever.
pub(crate) async fn watch(live: Arc<Live>) {
    let mut said = Said::default();
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        let policy = live.policy.load_full();
        for (workspace, licence, stand, until) in said.due(&policy, clock::now()) {
            let (name, user) = (&*licence.name, licence.user.as_deref());
            match stand {
                Stand::EndsSoon => {
                    tracing::warn!(workspace, licence = name, user, %until, "a licence ends soon")
                }
                Stand::Over => tracing::warn!(workspace, licence = name, user, %until, "a licence has ended"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::policy::{compile, draft};

    #[test]
    fn a_licence_is_told_of_once_a_day_and_when_it_is_over() {
        let text = "[[workspace]]\nid = \"w\"\nenvironment = \"sandbox\"\n\
             [[licence]]\nname = \"p\"\nworkspace = \"w\"\nuntil = \"2027-01-31\"\nwarn_days = 10\n\
             [[licence]]\nname = \"p\"\nworkspace = \"w\"\nuser = \"ann\"\n";
        let policy = compile(&draft::read(text).unwrap(), None).unwrap();
        let mut said = Said::default();
        let mut due = |at: &str| {
            let now = UnixMillis::parse(at).unwrap();
            let due: Vec<_> = said.due(&policy, now).iter().map(|(.., stand, _)| *stand).collect();
            (due, samples(&policy, now).len())
        };
        assert_eq!(due("2027-01-20T23:59:59Z"), (vec![], 0));
        assert_eq!(due("2027-01-21T00:00:00Z"), (vec![Stand::EndsSoon], 1));
        assert_eq!(due("2027-01-21T00:01:00Z"), (vec![], 1));
        assert_eq!(due("2027-01-22T00:00:00Z"), (vec![Stand::EndsSoon], 1));
        assert_eq!(due("2027-01-30T23:59:00Z"), (vec![Stand::EndsSoon], 1));
        assert_eq!(due("2027-01-31T00:00:00Z"), (vec![Stand::Over], 1));
        assert_eq!(due("2027-01-31T00:01:00Z"), (vec![], 1));
        let [(labels, until)] = &samples(&policy, UnixMillis::parse("2027-01-30").unwrap())[..] else {
            panic!("one licence ends");
        };
        assert_eq!(labels, "{workspace=\"w\",licence=\"p\",user=\"\"}");
        assert_eq!(*until, UnixMillis::parse("2027-01-31").unwrap().0 / 1000);
    }
}
