//! What holds for one workspace at one API: its rules, each with a mode.
use super::Mode;
use crate::credential::names;
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

/// How often callers may call: so many requests in so many seconds, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many requests.
    pub requests: u32,
    /// In how many seconds.
    pub per_s: u32,
    /// How many at once.
    pub burst: u32,
}

/// Most requests of a limit, and most at once.
pub const MAX_LIMIT_REQUESTS: u32 = 1_000_000_000;
/// Longest time of a limit, in seconds: a day.
pub const MAX_LIMIT_S: u32 = 86_400;

impl Limit {
    /// A limit, where its numbers can be.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn new(requests: u32, per_s: u32, burst: u32) -> Result<Limit, String> {
        let many = 1..=MAX_LIMIT_REQUESTS;
        if many.contains(&requests) && many.contains(&burst) && (1..=MAX_LIMIT_S).contains(&per_s) {
            return Ok(Limit { requests, per_s, burst });
        }
        Err(format!(
            "a limit has 1 to {MAX_LIMIT_REQUESTS} requests, as many at once, in 1 to {MAX_LIMIT_S} seconds"
        ))
    }

    /// Reads `requests/seconds` or `requests/seconds/at once`.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn parse(text: &str) -> Result<Limit, String> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            part.parse().ok().filter(|_| digits)
        };
        let parts: Option<Vec<u32>> = text.split('/').map(number).collect();
        match parts.as_deref() {
            Some([requests, per_s]) => Limit::new(*requests, *per_s, *requests),
            Some([requests, per_s, burst]) => Limit::new(*requests, *per_s, *burst),
            _ => Err(format!(
                "`{text}` is not a limit; write requests/seconds or requests/seconds/at once, as in 600/60/100"
            )),
        }
    }
}

/// `600/60/100`, as [`Limit::parse`] reads it.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.requests, self.per_s, self.burst)
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

    #[test]
    fn limits_are_read_strictly() {
        assert_eq!(Limit::parse("600/60"), Limit::new(600, 60, 600));
        let limit = Limit::parse("600/60/100").unwrap();
        assert_eq!((limit.burst, limit.to_string()), (100, "600/60/100".to_owned()));
        for bad in
            ["", "600", "0/60", "600/0", "600/60/0", "-1/60", "+1/60", "1/1/1/1", "600/86401", "a/b", "1//1"]
        {
            assert!(Limit::parse(bad).is_err(), "{bad}");
        }
    }
}
