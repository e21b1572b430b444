//! What the settings tell beforehand about rules that judge where callers are: whether this node can see that at all.
use crate::config::Config;
use doorward_core::credential::Credential;
use doorward_core::live::Live;
use doorward_core::network::{Network, Networks};
use doorward_core::policy::{Mode, Policy, Rule};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// So many rules are named in one sentence; others are counted.
const MOST_NAMED: usize = 5;

/// So many credentials with lists of their own are looked at.
pub(crate) const MOST_CREDENTIALS: usize = 1_000;
/// How often a running node looks whether there are other policies.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A list of networks that callers are held to.
pub(crate) struct Listed {
    /// As in `policy acme/v1`.
    pub(crate) name: String,
    pub(crate) allow: Networks,
}

impl Listed {
    /// Those of policies, unless they are off.
    pub(crate) fn of_policies(policy: &Policy) -> Vec<Listed> {
        let mut all: Vec<Listed> = Vec::new();
        for api in &policy.apis {
            let on = api.rules.iter().filter(|(_, rules)| rules.mode(Rule::Network) != Mode::Off);
            all.extend(on.filter_map(|(workspace, rules)| {
                let allow = rules.network.as_ref()?.allow.clone();
                let observed =
                    if rules.mode(Rule::Network) == Mode::Observe { " (only observed)" } else { "" };
                Some(Listed { name: format!("policy {workspace}/{}{observed}", api.id), allow })
            }));
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// That of a credential, where it has one.
    pub(crate) fn of_credential(credential: &Credential) -> Option<Listed> {
        let allow = credential.networks()?.clone();
        Some(Listed { name: format!("credential {}", credential.label()), allow })
    }
}

/// Warns of rules that can't work, once each: when the node is ready, and when there are other policies.
pub(crate) async fn watch(sight: Sight, live: Arc<Live>, mut ready: watch::Receiver<bool>) {
    if ready.wait_for(|ready| *ready).await.is_err() {
        return;
    }
    let (mut told, mut last) = (HashSet::new(), None);
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        every.tick().await;
        let policy = live.policy.load_full();
        if last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &policy)) {
            continue;
        }
        let mut rules = Listed::of_policies(&policy);
        last = Some(policy);
        let own = live.directory.some(MOST_CREDENTIALS, |credential| credential.networks().is_some());
        rules.extend(own.iter().filter_map(|credential| Listed::of_credential(credential)));
        sight.doubts(&rules).into_iter().filter(|doubt| told.insert(doubt.clone())).for_each(|doubt| {
            tracing::warn!("{doubt}");
        });
        sight.note(&rules).into_iter().filter(|note| told.insert(note.clone())).for_each(|note| {
            tracing::info!("{note}");
        });
    }
}

/// Whom this node can see.
pub(crate) struct Sight {
    /// The addresses that can connect to it.
    direct: Networks,
    /// The proxies that it believes about others.
    trusted: Networks,
}

/// What is wrong with a list, from worst to least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    /// Everybody looks alike, and is on the list.
    EverybodyLetIn,
    /// Everybody looks alike, and is not on it.
    EverybodyKeptOut,
    ProxiesAlone,
    ProxiesToo,
    NobodyConnects,
    Empty,
}

impl Sight {
    pub(crate) fn of(config: &Config) -> Sight {
        let listeners = [config.listen.plain, config.listen.tls];
        let direct = listeners.into_iter().flatten().flat_map(|at| from(at.ip()));
        Sight { direct: Networks::new(direct), trusted: config.trusted.networks.clone() }
    }

    /// Whether nobody but this machine connects, and it is believed about nobody: a proxy on it that is not named.
    fn is_blind(&self) -> bool {
        let here =
            Networks::new([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(machine));
        !self.direct.is_empty() && self.direct.is_within(&here) && !self.trusted.overlaps(&self.direct)
    }

    fn doubt(&self, allow: &Networks) -> Option<Doubt> {
        match allow {
            _ if allow.is_empty() => Some(Doubt::Empty),
            _ if self.is_blind() && allow.overlaps(&self.direct) => Some(Doubt::EverybodyLetIn),
            _ if self.is_blind() => Some(Doubt::EverybodyKeptOut),
            _ if allow.is_within(&self.trusted) => Some(Doubt::ProxiesAlone),
            _ if allow.overlaps(&self.trusted) => Some(Doubt::ProxiesToo),
            _ if self.trusted.is_empty() && !allow.overlaps(&self.direct) => Some(Doubt::NobodyConnects),
            _ => None,
        }
    }

    /// What can't work, in sentences; each names the rules that it is about.
    pub(crate) fn doubts(&self, rules: &[Listed]) -> Vec<String> {
        // A node that takes no callers judges none.
        if self.direct.is_empty() {
            return Vec::new();
        }
        let mut doubts: Vec<(Doubt, &str)> =
            rules.iter().filter_map(|rule| Some((self.doubt(&rule.allow)?, rule.name.as_str()))).collect();
        doubts.sort_unstable();
        doubts.chunk_by(|a, b| a.0 == b.0).map(|alike| told(alike[0].0, &names(alike))).collect()
    }

    /// What operators have to know where nothing looks wrong.
    pub(crate) fn note(&self, rules: &[Listed]) -> Option<String> {
        let judged =
            !rules.is_empty() && self.trusted.is_empty() && !self.direct.is_empty() && !self.is_blind();
        judged.then(|| {
            "callers are judged by the address that connects, since no proxy is trusted; if there is one in front, \
             name it in `trusted_proxies`, or everybody seems to come from there"
                .to_owned()
        })
    }
}

fn told(doubt: Doubt, rules: &str) -> String {
    const UNSEEN: &str = "this node listens on this machine alone and trusts no proxy on it, so every caller seems to come \
                          from there; name the proxy in front of it in `trusted_proxies`";
    let why = match doubt {
        Doubt::EverybodyLetIn => format!("lets everybody in: {UNSEEN}"),
        Doubt::EverybodyKeptOut => format!("lets nobody in: {UNSEEN}"),
        Doubt::ProxiesAlone => {
            "lets nobody in: it lists nothing but trusted proxies, and a proxy is never the caller".to_owned()
        }
        Doubt::ProxiesToo => {
            "lists addresses of trusted proxies: whoever calls from there is not let in, and could pose as \
                              anybody; leave callers out of `trusted_proxies`"
                .to_owned()
        }
        Doubt::NobodyConnects => {
            "lets nobody in: no address that it lists can connect to the listeners of this node, and no \
                                  proxy is trusted"
                .to_owned()
        }
        Doubt::Empty => "lets nobody in: its list is empty".to_owned(),
    };
    format!("{rules}: the network rule {why}")
}

fn names(rules: &[(Doubt, &str)]) -> String {
    let named: Vec<&str> = rules.iter().take(MOST_NAMED).map(|(_, name)| *name).collect();
    match rules.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The network of this machine's own addresses.
fn machine(address: IpAddr) -> Network {
    let prefix = if address.is_ipv4() { 8 } else { 128 };
    Network::new(address, prefix).unwrap_or_else(|| Network::from(address))
}

/// From where a listener can be reached.
fn from(listener: IpAddr) -> Vec<Network> {
    let all = |ip: IpAddr| Network::new(ip, 0);
    match listener.to_canonical() {
        ip if ip.is_loopback() => vec![machine(ip)],
        // Listens for IPv4 as well.
        IpAddr::V6(six) if six.is_unspecified() => {
            [all(Ipv4Addr::UNSPECIFIED.into()), all(six.into())].into_iter().flatten().collect()
        }
        ip => all(ip).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Networks {
        Networks::new(texts.iter().map(|text| Network::parse(text).unwrap()))
    }

    fn sight(listeners: &[&str], trusted: &[&str]) -> Sight {
        let direct = listeners.iter().flat_map(|ip| from(ip.parse().unwrap()));
        Sight { direct: Networks::new(direct), trusted: list(trusted) }
    }

    #[test]
    fn a_rule_that_cant_know_the_caller_is_doubted() {
        for (listeners, trusted, allow, want) in [
            // Behind a proxy that is not named, everybody is 127.0.0.1.
            (
                &["127.0.0.1"][..],
                &[][..],
                &["192.0.2.0/24"][..],
                "lets nobody in: this node listens on this machine",
            ),
            (
                &["127.0.0.1", "::1"],
                &[],
                &["192.0.2.0/24"],
                "lets nobody in: this node listens on this machine",
            ),
            (&["127.0.0.1"], &[], &["192.0.2.0/24", "127.0.0.1"], "lets everybody in: this node listens"),
            (&["::1"], &[], &["::/0"], "lets everybody in: this node listens"),
            // One elsewhere is named, which can't connect.
            (&["127.0.0.1"], &["10.0.0.0/8"], &["192.0.2.0/24"], "lets nobody in: this node listens"),
            (&["127.0.0.1"], &["127.0.0.1"], &["192.0.2.0/24"], ""),
            (&["0.0.0.0"], &[], &["192.0.2.0/24"], ""),
            (&["0.0.0.0", "127.0.0.1"], &[], &["192.0.2.0/24"], ""),
            (&["198.51.100.1"], &["10.0.0.1"], &["192.0.2.0/24"], ""),
            (&["0.0.0.0"], &["10.0.0.0/8"], &["10.1.0.0/16"], "nothing but trusted proxies"),
            (
                &["0.0.0.0"],
                &["10.0.0.0/8"],
                &["10.1.0.0/16", "192.0.2.7"],
                "lists addresses of trusted proxies",
            ),
            (&["0.0.0.0"], &[], &["2001:db8::/32"], "can connect"),
            (&["2001:db8::1"], &[], &["192.0.2.0/24"], "can connect"),
            (&["::"], &[], &["192.0.2.0/24"], ""),
            // A proxy that comes over IPv4 reports callers of either kind.
            (&["0.0.0.0"], &["10.0.0.1"], &["2001:db8::/32"], ""),
            (&["0.0.0.0"], &[], &[], "its list is empty"),
            (&["127.0.0.1"], &[], &[], "its list is empty"),
            (&[], &[], &[], ""),
        ] {
            let rule = Listed { name: "policy acme/v1".into(), allow: list(allow) };
            let told = sight(listeners, trusted).doubts(&[rule]);
            match want {
                "" => assert!(told.is_empty(), "{listeners:?} {trusted:?} {allow:?}: {told:?}"),
                want => {
                    assert!(told.len() == 1 && told[0].contains(want), "{listeners:?} {allow:?}: {told:?}");
                    assert!(told[0].starts_with("policy acme/v1: the network rule "), "{told:?}");
                }
            }
        }
    }

    #[test]
    fn rules_with_one_trouble_are_told_together() {
        let rule = |n: usize, allow: &[&str]| Listed { name: format!("policy w{n}/a"), allow: list(allow) };
        let mut rules: Vec<Listed> = (0..7).map(|n| rule(n, &[])).collect();
        rules.push(rule(8, &["10.0.0.1"]));
        rules.push(rule(9, &["192.0.2.1"]));
        let told = sight(&["0.0.0.0"], &["10.0.0.0/8"]).doubts(&rules);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("policy w8/a: "), "{told:?}");
        assert!(
            told[1]
                .starts_with("policy w0/a, policy w1/a, policy w2/a, policy w3/a, policy w4/a and 2 more: ")
        );
    }

    #[test]
    fn where_nothing_looks_wrong_it_is_told_who_is_judged() {
        let rules = [Listed { name: "policy acme/v1".into(), allow: list(&["192.0.2.0/24"]) }];
        let noted = |listeners, trusted| sight(listeners, trusted).note(&rules).is_some();
        assert!(
            noted(&["0.0.0.0"][..], &[][..])
                && !noted(&["0.0.0.0"], &["10.0.0.1"])
                && !noted(&["127.0.0.1"], &[])
        );
        assert!(sight(&["0.0.0.0"], &[]).note(&[]).is_none());
    }
}
