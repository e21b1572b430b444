//! What is checked once it is clear who calls: a file a check, run in this order.
use crate::credential::Credential;
use crate::decide::{Denial, Refusal, Stands};
use crate::policy::{Api, Mode, Policy, Route, Rule, RuleSet, Rules, Workspace};
use crate::request::RequestView;
use crate::schemes::Presented;
use crate::scope::Granted;

mod dialect;
mod expiry;
mod licence;
mod module;
mod network;
mod origin;
mod region;
mod scope;
mod served;
mod status;
mod token;

pub use network::within as within_networks;

/// What a check may look at.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The request.
    pub req: &'a RequestView<'a>,
    /// The policy in force.
    pub policy: &'a Policy,
    /// The API that the route belongs to.
    pub api: &'a Api,
    /// The route.
    pub route: &'a Route,
    /// What was presented.
    pub presented: &'a Presented<'a>,
    /// Who proved to call.
    pub credential: &'a Credential,
    /// The caller's workspace.
    pub workspace: &'a Workspace,
    /// What holds for the workspace at the API.
    pub rules: &'a Rules,
    /// What the caller has been given.
    pub granted: Granted<'a>,
}

/// One check. The name stands in the event of a request that it refused.
pub struct Check {
    /// As events name it.
    pub name: &'static str,
    /// The rule whose mode says how far it goes; `None`: it refuses.
    pub rule: Option<Rule>,
    /// Whose rule it is, where somebody has made one.
    pub stands: Option<Stands>,
    /// Passes, or says why not.
    pub run: fn(&Subject<'_>) -> Result<(), Refusal>,
}

impl Check {
    const fn always(name: &'static str, run: fn(&Subject<'_>) -> Result<(), Refusal>) -> Check {
        Check { name, rule: None, stands: None, run }
    }

    const fn of(rule: Rule, run: fn(&Subject<'_>) -> Result<(), Refusal>) -> Check {
        Check { name: rule.name(), rule: Some(rule), stands: Some(Stands::Policy), run }
    }

    /// How far it goes.
    #[must_use]
    pub fn mode(&self, rules: &Rules) -> Mode {
        self.rule.map_or(Mode::Enforce, |rule| rules.mode(rule))
    }
}

/// Every check, in order.
pub static CHECKS: &[Check] = &[
    Check::always("status", status::check),
    Check::always("expiry", expiry::check),
    Check::always("dialect", dialect::check),
    Check::always("region", region::check),
    Check::always("served", served::check),
    Check::always("module", module::check),
    Check::of(Rule::Network, network::of_policy),
    Check { name: "network", rule: None, stands: Some(Stands::Credential), run: network::of_credential },
    Check::always("origin", origin::check),
    Check::of(Rule::Scope, scope::check),
    // After the scopes, which say more where they are enforced.
    Check::always("token", token::check),
    Check::of(Rule::Licence, licence::check),
];

/// Runs every check up to the first one that refuses. What is only watched is noted in `would_refuse`.
///
/// # Errors
/// What it refused, and why.
pub fn run(subject: &Subject<'_>, would_refuse: &mut RuleSet) -> Result<(), Denial> {
    for check in CHECKS {
        let mode = check.mode(subject.rules);
        if mode == Mode::Off {
            continue;
        }
        let Err(refusal) = (check.run)(subject) else { continue };
        match check.rule {
            Some(rule) if mode == Mode::Observe => would_refuse.add(rule),
            _ => return Err(Denial { rule: Some(check.name), stands: check.stands, ..refusal.into() }),
        }
    }
    Ok(())
}

/// What one check says.
#[derive(Debug)]
pub struct Finding {
    /// The check.
    pub name: &'static str,
    /// How far it goes.
    pub mode: Mode,
    /// Whose rule it is, where somebody has made one.
    pub stands: Option<Stands>,
    /// What it found; `None` where it was not looked at.
    pub found: Option<Result<(), Refusal>>,
}

/// What every check says, those after a refusal too.
#[must_use]
pub fn walk(subject: &Subject<'_>) -> Vec<Finding> {
    CHECKS
        .iter()
        .map(|check| {
            let mode = check.mode(subject.rules);
            let found = (mode != Mode::Off).then(|| (check.run)(subject));
            Finding { name: check.name, mode, stands: check.stands, found }
        })
        .collect()
}
