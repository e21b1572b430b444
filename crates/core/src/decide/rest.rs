//! What is left to be asked once every check has passed, and in which order: the ledger, limits, the captcha.
use super::{Denial, Duty, Facts, Permit, Refusal, Stands, Step, Unclaimed};
use crate::captcha::{self, MAX_AGE_MS, MAX_AHEAD_MS, Response, Verdict};
use crate::checks::Subject;
use crate::credential::SchemeName;
use crate::limits::{LimitName, Spend, SpendKey, Spends, Spent};
use crate::policy::{Api, Mode, Rule, RuleSet};
use crate::ports::{LedgerKey, Once, OnceBy, Shares, Window};
use crate::reason::Reason;
use crate::secret::Keys;
use std::net::IpAddr;

/// A permit, and what has to be asked before it is one.
#[derive(Debug)]
pub(super) struct Rest {
    permit: Permit,
    /// Most requests have none, and all are passed on.
    spends: Option<Box<Spends>>,
    /// Whether the limit of a credential is its own.
    own: bool,
    captcha: Option<Box<Puzzle>>,
}

/// A response to be checked.
#[derive(Debug)]
struct Puzzle {
    response: Response,
    enforced: bool,
    /// Under what the ledger remembers it.
    key: LedgerKey,
    owner: Shares,
}

impl Rest {
    pub(super) fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The next step.
    pub(super) fn next(mut self) -> Step {
        if let Some(spends) = self.spends.take() {
            return Step::Ask(Duty::Spend(Unspent { spends, rest: self }));
        }
        match self.captcha.take() {
            Some(puzzle) => Step::Ask(Duty::Captcha(Box::new(Unverified { puzzle: *puzzle, rest: self }))),
            None => Step::Permit(self.permit),
        }
    }

    /// For who has no credential: the limit of the address.
    pub(super) fn anonymous(permit: Permit, api: &Api, client: Option<IpAddr>) -> Rest {
        let spends = api.anonymous.map(|(rate, mode)| {
            let key = SpendKey::client(None, &api.id, client);
            let spend = Spend { name: LimitName::Client, key, rate, enforced: mode == Mode::Enforce };
            Box::new(Spends::from_iter([spend]))
        });
        Rest { permit, spends, own: false, captcha: None }
    }

    /// What is left for who passed every check. A captcha that is missing is refused, or seen, at once.
    pub(super) fn of(
        s: &Subject<'_>,
        permit: Permit,
        keys: &Keys,
        would_refuse: &mut RuleSet,
    ) -> Result<Rest, Denial> {
        let captcha = if s.route.captcha { puzzle(s, keys, would_refuse)? } else { None };
        let own = s.credential.limit().is_some();
        Ok(Rest { permit, spends: spends(s), own, captcha: captcha.map(Box::new) })
    }
}

fn spends(s: &Subject<'_>) -> Option<Box<Spends>> {
    // What binds a credential alone has no mode: it holds, whatever policies say.
    let (limits, own) = (s.rules.limits.filter(|limits| limits.mode != Mode::Off), s.credential.limit());
    if limits.is_none() && own.is_none() {
        return None;
    }
    let observed = limits.is_some_and(|limits| limits.mode == Mode::Observe);
    let mut spends = Box::new(Spends::new());
    let mut add = |name, key, rate| {
        let enforced = !observed || own.is_some() && name == LimitName::Credential;
        spends.push(Spend { name, key, rate, enforced });
    };
    let (workspace, api) = (&*s.workspace.id, &*s.api.id);
    if let Some(rate) = limits.and_then(|limits| limits.workspace) {
        add(LimitName::Workspace, SpendKey::workspace(workspace, api), rate);
    }
    let id = &*s.credential.id;
    match (own, limits.and_then(|limits| limits.credential)) {
        (Some(rate), _) => add(LimitName::Credential, SpendKey::credential(id, None), rate),
        (None, Some(rate)) => add(LimitName::Credential, SpendKey::credential(id, Some(api)), rate),
        (None, None) => {}
    }
    // Whoever may be anywhere: in pages and apps.
    let scheme = s.presented.scheme;
    let client_side = s.route.client_side && matches!(scheme, SchemeName::Publishable | SchemeName::Bearer);
    if let Some(rate) = limits.and_then(|limits| limits.client).filter(|_| client_side) {
        add(LimitName::Client, SpendKey::client(Some(workspace), api, s.req.client), rate);
    }
    (!spends.is_empty()).then_some(spends)
}

fn captcha_denial(reason: Reason, detail: &'static str) -> Denial {
    let (rule, stands) = (Some(Rule::Captcha.name()), Some(Stands::Policy));
    Denial { rule, stands, ..Refusal::new(reason, detail).into() }
}

/// Refuses for the captcha's sake, or sees that it would.
fn unsolved(enforced: bool, denial: Denial, would_refuse: &mut RuleSet) -> Result<(), Denial> {
    if enforced {
        return Err(denial);
    }
    would_refuse.add(Rule::Captcha);
    Ok(())
}

fn puzzle(s: &Subject<'_>, keys: &Keys, would_refuse: &mut RuleSet) -> Result<Option<Puzzle>, Denial> {
    let mode = s.rules.captcha;
    if mode == Mode::Off {
        return Ok(None);
    }
    let enforced = mode == Mode::Enforce;
    let text = match captcha::of_request(s.req) {
        Ok(Some(text)) => text,
        Ok(None) => {
            let missing = captcha_denial(Reason::CaptchaRequired, "captcha-missing");
            return unsolved(enforced, missing, would_refuse).map(|()| None);
        }
        Err(detail) => {
            let odd = captcha_denial(Reason::CaptchaInvalid, detail);
            return unsolved(enforced, odd, would_refuse).map(|()| None);
        }
    };
    let workspace: &str = &s.workspace.id;
    Ok(Some(Puzzle {
        response: Response { workspace: workspace.into(), text: text.into(), client: s.req.client },
        enforced,
        // Whoever it was used for: workspaces may share a secret, and a person solved one puzzle.
        key: keys.ledger_key(OnceBy::Captcha, "", text.as_bytes()),
        owner: Shares {
            workspace: keys.workspace_share(workspace),
            credential: keys.credential_share(&s.credential.id),
        },
    }))
}

/// A request that may be forwarded if its limits have room.
#[derive(Debug)]
pub struct Unspent {
    spends: Box<Spends>,
    rest: Rest,
}

impl Unspent {
    pub(super) fn permit(&self) -> &Permit {
        self.rest.permit()
    }

    /// What is to be spent.
    #[must_use]
    pub fn spends(&self) -> &[Spend] {
        &self.spends
    }

    /// Goes on with what was spent; `None`: nobody could tell.
    ///
    /// # Errors
    /// A limit that is enforced has no room, or nobody could tell.
    pub fn answered(self, spent: Option<Spent>, facts: &mut Facts) -> Result<Step, Denial> {
        let Unspent { spends, rest } = self;
        let (rule, own) = (Some(Rule::Limits.name()), rest.own);
        let stands = |name| match name {
            LimitName::Credential if own => Stands::Credential,
            _ => Stands::Policy,
        };
        let known = spent.filter(|spent| spent.levels.len() == spends.len());
        let Some(spent) = known else {
            if spends.iter().any(|spend| spend.enforced) {
                let refusal = Refusal::new(Reason::Unavailable, "limits-unknown");
                return Err(Denial { rule, stands: Some(Stands::Policy), ..refusal.into() });
            }
            return Ok(rest.next());
        };
        facts.limits.extend(
            spends
                .iter()
                .zip(&spent.levels)
                .filter(|(spend, _)| spend.enforced)
                .map(|(spend, level)| Limited { name: spend.name, rate: spend.rate, level: *level }),
        );
        // Of several without room, the one that has none for longest.
        let lacking = facts.limits.iter().filter(|l| !l.level.room).max_by_key(|l| l.level.next_in_ms);
        if let Some(Limited { name, rate, level }) = lacking.copied() {
            let (detail, whose) = match name {
                LimitName::Workspace => ("limit-of-workspace", "this workspace"),
                LimitName::Credential => ("limit-of-credential", "this credential"),
                LimitName::Client => ("limit-of-client", "this address"),
            };
            let (requests, per_s, burst) = (rate.requests(), rate.per_s(), rate.burst());
            let note =
                format!("There are {requests} requests in {per_s} s for {whose} here, {burst} at once.");
            let retry_after_s = u32::try_from(level.next_in_ms.div_ceil(1_000).max(1)).unwrap_or(u32::MAX);
            return Err(Denial {
                rule,
                stands: Some(stands(name)),
                retry_after_s: Some(retry_after_s),
                ..Refusal::new(Reason::RateLimited, detail).saying(note).into()
            });
        }
        if spent.levels.iter().any(|level| !level.room) {
            facts.would_refuse.add(Rule::Limits);
        }
        Ok(rest.next())
    }
}

/// What is known of a limit that holds for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Whose it is.
    pub name: LimitName,
    /// How much there is.
    pub rate: crate::limits::Rate,
    /// How much of it is left.
    pub level: crate::limits::Level,
}

/// A request that may be forwarded if a person solved a puzzle for it.
#[derive(Debug)]
pub struct Unverified {
    puzzle: Puzzle,
    rest: Rest,
}

impl Unverified {
    pub(super) fn permit(&self) -> &Permit {
        self.rest.permit()
    }

    /// What is to be checked.
    #[must_use]
    pub fn response(&self) -> &Response {
        &self.puzzle.response
    }

    /// Goes on with what the provider said: a response that passed is claimed, so that it passes once.
    ///
    /// # Errors
    /// It did not pass, or nobody knows.
    pub fn answered(self, verdict: Verdict, facts: &mut Facts) -> Result<Step, Denial> {
        let Unverified { puzzle, rest } = self;
        let at = match verdict {
            Verdict::Passed { at } => at,
            Verdict::Failed(detail) | Verdict::Unavailable(detail) => {
                let failed = captcha_denial(Reason::CaptchaInvalid, detail);
                return unsolved(puzzle.enforced, failed, &mut facts.would_refuse).map(|()| rest.next());
            }
        };
        let window = Window::new(at, MAX_AHEAD_MS, MAX_AGE_MS);
        let once = Once { key: puzzle.key, window, owner: puzzle.owner };
        let unclaimed = Unclaimed { once, rest, captcha: Some(puzzle.enforced) };
        Ok(Step::Ask(Duty::Claim(Box::new(unclaimed))))
    }
}

/// What the ledger said of a response: whatever is not new does not pass.
pub(super) fn claimed(
    is_new: bool,
    detail: &'static str,
    enforced: bool,
    rest: Rest,
    facts: &mut Facts,
) -> Result<Step, Denial> {
    if !is_new {
        unsolved(enforced, captcha_denial(Reason::CaptchaInvalid, detail), &mut facts.would_refuse)?;
    }
    Ok(rest.next())
}
