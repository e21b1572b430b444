//! What holds for one workspace at one API: its rules, each with a mode.
use super::Mode;
use crate::credential::names;
use crate::limits::Rate as Limit;
use crate::network::Networks;
use std::fmt;

names! {
    /// A rule that can be watched before it refuses, as events name it.
    Rule:
    /// Requests must be signed.
    Signatures = "signatures",
    /// Callers come from listed networks.
    Network = "network",
    /// Callers hold the scope that a route asks for.
    Scope = "scope",
    /// Callers have the licences that a route asks for.
    Licence = "licence",
    /// Callers call no more often than they may.
    Limits = "limits",
    /// A person solved a puzzle.
    Captcha = "captcha"
}

impl Rule {
    /// The key that says its mode in a `[[policy]]`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Rule::Signatures => "signatures",
            Rule::Network => "network",
            Rule::Scope => "scopes",
            Rule::Licence => "licences",
            Rule::Limits => "limits",
            Rule::Captcha => "captcha",
        }
    }
}

/// Some rules, in the order in which they are looked at.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleSet(u8);

impl RuleSet {
    /// None of them.
    pub const NONE: RuleSet = RuleSet(0);

    /// Adds one.
    pub fn add(&mut self, rule: Rule) {
        self.0 |= 1 << rule as u8;
    }

    /// Whether one is in it.
    #[must_use]
    pub fn has(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u8) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.iter().copied().filter(move |rule| self.has(*rule))
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Rule::name)).finish()
    }
}

impl FromIterator<Rule> for RuleSet {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> RuleSet {
        let mut set = RuleSet::NONE;
        rules.into_iter().for_each(|rule| set.add(rule));
        set
    }
}

/// From where callers may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRule {
    /// How far it goes.
    pub mode: Mode,
    /// From there, and from nowhere else.
    pub allow: Networks,
}

/// How often may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How far they go.
    pub mode: Mode,
    /// All callers of the workspace together.
    pub workspace: Option<Limit>,
    /// Each credential, unless it has a limit of its own.
    pub credential: Option<Limit>,
    /// Each client address, where callers are client side.
    pub client: Option<Limit>,
}

/// What holds for one workspace at one API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether requests must be signed, where somebody has said so.
    pub signatures: Option<Mode>,
    /// From where callers may call; `None`: from anywhere.
    pub network: Option<NetworkRule>,
    /// Whether callers must hold the scopes that routes ask for.
    pub scope: Mode,
    /// Whether callers must have the licences that routes ask for.
    pub licence: Mode,
    /// How often may be called; `None`: without a limit.
    pub limits: Option<Limits>,
    /// Whether captchas must be solved on routes that ask for one.
    pub captcha: Mode,
}

impl Rules {
    /// What holds where nobody has said anything: what routes ask for is enforced.
    pub const DEFAULT: Rules = Rules {
        signatures: None,
        network: None,
        scope: Mode::Enforce,
        licence: Mode::Enforce,
        limits: None,
        captcha: Mode::Enforce,
    };

    /// How far a rule goes. Of signatures, only what was said: see [`super::Api::signatures`].
    #[must_use]
    pub fn mode(&self, rule: Rule) -> Mode {
        match rule {
            Rule::Signatures => self.signatures.unwrap_or(Mode::Off),
            Rule::Network => self.network.as_ref().map_or(Mode::Off, |network| network.mode),
            Rule::Scope => self.scope,
            Rule::Licence => self.licence,
            Rule::Limits => self.limits.map_or(Mode::Off, |limits| limits.mode),
            Rule::Captcha => self.captcha,
        }
    }
}

impl Default for Rules {
    fn default() -> Rules {
        Rules::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_rules_keep_their_order() {
        let set: RuleSet = [Rule::Captcha, Rule::Network, Rule::Captcha].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Rule::Network, Rule::Captcha]);
        assert!(RuleSet::NONE.is_empty() && !set.is_empty() && !set.has(Rule::Scope));
        assert_eq!(format!("{set:?}"), "{\"network\", \"captcha\"}");
    }
}
