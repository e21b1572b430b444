//! Where a new policy lets more through than the one before, though no rule's mode says so.
use doorward_core::network::Networks;
use doorward_core::policy::draft::Draft;
use doorward_core::policy::{Api, Limit, Methods, Mode, OnceOnly, Policy, Route, Rule, Rules};
use doorward_core::scope;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Networks that are named; of more, their number is told.
const NAMED: usize = 3;
/// Stands in a path for a segment that no template has as a literal: a literal has no such character.
const ANY: &str = "%20";

/// Something lets more through than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loosened {
    /// `policy`, `route`, `api` or `workspace`.
    pub kind: &'static str,
    /// Which one; a route's is its API's and its path.
    pub id: String,
    /// What it does now: the end of a sentence.
    pub what: String,
}

/// One policy, as it was written and as it is in force.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) draft: &'a Draft,
    pub(super) policy: &'a Policy,
}

/// All that is loosened from one policy to the next.
pub(super) fn all(was: Side<'_>, is: Side<'_>) -> Vec<Loosened> {
    let mut found = Vec::new();
    workspaces(was, is, &mut found);
    let before: HashMap<&str, &Api> = was.policy.apis.iter().map(|api| (api.id.as_str(), api)).collect();
    for api in &is.policy.apis {
        if let Some(old) = before.get(api.id.as_str()) {
            api_as_a_whole(old, api, is, &mut found);
            for (workspace, old_rules) in sorted(old) {
                rules(workspace, old, old_rules, api, &mut found);
            }
        }
    }
    routes(was, is, &mut found);
    found
}

/// What is said of workspaces at an API, in an order that stays the same.
fn sorted(api: &Api) -> BTreeMap<&str, &Rules> {
    api.rules.iter().map(|(workspace, rules)| (workspace.as_str(), rules)).collect()
}

fn workspaces(was: Side<'_>, is: Side<'_>, found: &mut Vec<Loosened>) {
    let before: HashMap<&str, _> = was.draft.workspaces.iter().map(|w| (w.id.as_str(), w)).collect();
    for w in &is.draft.workspaces {
        let Some(old) = before.get(w.id.as_str()) else { continue };
        let mut say = |what| found.push(Loosened { kind: "workspace", id: w.id.clone(), what });
        if w.password_grant && !old.password_grant {
            say("tokens are given for the passwords of its users".to_owned());
        }
        for role in &w.roles {
            let Some(held) = old.roles.iter().find(|r| r.name == role.name) else { continue };
            let new = |name: &&String| !held.scopes.iter().any(|own| scope::covers(own, name));
            let more: Vec<&str> = role.scopes.iter().filter(new).map(String::as_str).collect();
            if !more.is_empty() {
                say(format!("the role `{}` holds {} as well", role.name, more.join(" ")));
            }
        }
    }
}

fn api_as_a_whole(old: &Api, api: &Api, is: Side<'_>, found: &mut Vec<Loosened>) {
    let mut say = |what| found.push(Loosened { kind: "api", id: api.id.clone(), what });
    for scheme in api.schemes.iter().filter(|scheme| !old.schemes.contains(scheme)) {
        say(format!("{} is accepted as well", scheme.name()));
    }
    for environment in api.plain_key.iter().filter(|one| !old.plain_key.contains(one)) {
        say(format!("an id alone opens it in {}", environment.name()));
    }
    match (&old.workspaces, &api.workspaces) {
        (Some(_), None) => say("it serves every workspace".to_owned()),
        (Some(before), Some(now)) => {
            let there = |id: &&String| is.policy.workspaces.contains_key(id.as_str());
            let mut more: Vec<&str> = now.difference(before).filter(there).map(String::as_str).collect();
            more.sort_unstable();
            if !more.is_empty() {
                say(format!("it serves {} as well", more.join(", ")));
            }
        }
        (None, _) => {}
    }
    for signing in &api.signing {
        let before = old.signing.iter().find(|one| one.dialect.name == signing.dialect.name);
        let Some(before) = before else { continue };
        if (before.once_only, signing.once_only) == (OnceOnly::All, OnceOnly::Unsafe) {
            say("signed requests that only read are accepted more than once".to_owned());
        }
        if signing.skew_ms > before.skew_ms {
            say(format!("signatures may be {} s old", signing.skew_ms / 1000));
        }
    }
}

/// What holds for a workspace. How far a rule goes is told as its mode.
fn rules(workspace: &str, old_api: &Api, old: &Rules, api: &Api, found: &mut Vec<Loosened>) {
    if !old_api.serves(workspace) || !api.serves(workspace) {
        return;
    }
    let new = api.rules(workspace);
    let looked_at = |rule| old.mode(rule) != Mode::Off && new.mode(rule) != Mode::Off;
    let mut say = |what| {
        found.push(Loosened { kind: "policy", id: format!("{workspace}/{}", api.id), what });
    };
    if let (Some(before), Some(now)) = (&old.network, &new.network)
        && looked_at(Rule::Network)
        && !now.allow.is_within(&before.allow)
    {
        say(format!("network lets {} in as well", added(&before.allow, &now.allow)));
    }
    if let (Some(before), Some(now)) = (&old.limits, &new.limits)
        && looked_at(Rule::Limits)
    {
        for (name, before, now) in [
            ("workspace", before.workspace, now.workspace),
            ("credential", before.credential, now.credential),
            ("client", before.client, now.client),
        ] {
            match (before, now) {
                (Some(before), None) => say(format!("limits.{name} {before} is gone")),
                (Some(before), Some(now)) if is_wider(now, before) => {
                    say(format!("limits.{name} {before} -> {now}"));
                }
                _ => {}
            }
        }
    }
}

/// Whether there is a time in which one lets through more than the other.
fn is_wider(now: Limit, before: Limit) -> bool {
    let rate = |of: Limit, other: Limit| u64::from(of.requests()) * u64::from(other.per_s());
    now.burst() > before.burst() || rate(now, before) > rate(before, now)
}

/// The networks that are new, some of them by name.
fn added(before: &Networks, now: &Networks) -> String {
    let new: Vec<String> = now
        .iter()
        .filter(|one| !Networks::new([*one]).is_within(before))
        .map(|one| one.to_string())
        .collect();
    let named = new[..new.len().min(NAMED)].join(", ");
    match new.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// What a path asked for before and does not ask for now, whichever route has it.
fn routes(was: Side<'_>, is: Side<'_>, found: &mut Vec<Loosened>) {
    // By route and by what it does, the methods.
    let mut all: BTreeMap<(usize, String), BTreeSet<&str>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for side in [was, is] {
        let hosts: HashMap<&str, &[String]> =
            side.draft.apis.iter().map(|api| (api.id.as_str(), api.hosts.as_slice())).collect();
        for route in &side.policy.routes {
            let path = sample(route.template.as_str());
            let hosts = hosts.get(side.policy.apis[route.api].id.as_str()).copied().unwrap_or_default();
            let hosts = hosts.iter().map(String::as_str).chain(hosts.is_empty().then_some(""));
            for host in hosts {
                for method in route.methods.names() {
                    if !seen.insert((host, path.clone(), method)) {
                        continue;
                    }
                    let at = |policy: &Policy| taken(policy, host, &path, method);
                    let (Some(before), Some(now)) = (at(was.policy), at(is.policy)) else { continue };
                    for what in less(&was.policy.routes[before], &is.policy.routes[now]) {
                        all.entry((now, what)).or_default().insert(method);
                    }
                }
            }
        }
    }
    for ((route, what), methods) in all {
        let route = &is.policy.routes[route];
        let api = &is.policy.apis[route.api].id;
        let some = if methods.len() < count(&route.methods) {
            format!(" ({})", methods.into_iter().collect::<Vec<_>>().join(" "))
        } else {
            String::new()
        };
        found.push(Loosened { kind: "route", id: format!("{api} {}{some}", route.template), what });
    }
}

fn count(methods: &Methods) -> usize {
    methods.names().count()
}

/// A path that a template stands for, and that no other one names more closely by chance.
fn sample(template: &str) -> String {
    let any = |segment: &str| segment == "*" || segment.starts_with('{');
    template.split('/').map(|s| if any(s) { ANY } else { s }).collect::<Vec<_>>().join("/")
}

/// The route that takes a request.
fn taken(policy: &Policy, host: &str, path: &str, method: &str) -> Option<usize> {
    let (here, _) = policy.table.as_sent(host, path.as_bytes());
    here.iter().map(|id| id.0).find(|at| policy.routes[*at].methods.has(method.as_bytes()))
}

/// What one route asks for and the other does not.
fn less(before: &Route, now: &Route) -> Vec<String> {
    let mut all = Vec::new();
    // What is answered here has rules of its own.
    if now.local.is_some() {
        return all;
    }
    if now.public && !before.public {
        all.push("it is open to callers without a credential".to_owned());
    }
    if now.client_side && !before.client_side {
        all.push("it is open to publishable keys".to_owned());
    }
    match (&before.scope, &now.scope) {
        (Some(scope), None) => all.push(format!("it does not ask for the scope `{scope}`")),
        (Some(scope), Some(other)) if scope != other => {
            all.push(format!("it asks for the scope `{other}` and not for `{scope}`"));
        }
        _ => {}
    }
    if before.captcha && !now.captcha {
        all.push("it does not ask for a captcha".to_owned());
    }
    for licence in before.licences.iter().filter(|licence| !now.licences.contains(licence)) {
        all.push(format!("it does not ask for the licence `{licence}`"));
    }
    all
}
