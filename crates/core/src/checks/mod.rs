//! What is checked once it is clear who calls: a file a check, run in this order.
use crate::credential::Credential;
use crate::decide::Refusal;
use crate::policy::{Api, Policy, Route, Workspace};
use crate::request::RequestView;
use crate::schemes::Presented;
use crate::scope::Granted;

mod dialect;
mod expiry;
mod origin;
mod region;
mod scope;
mod served;
mod status;

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
    /// What the token and its credential have been given, where a token was presented.
    pub granted: Option<Granted<'a>>,
}

/// One check. The name stands in the event of a request that it refused.
pub struct Check {
    /// As events name it.
    pub name: &'static str,
    /// Passes, or says why not.
    pub run: fn(&Subject<'_>) -> Result<(), Refusal>,
}

/// Every check, in order.
pub static CHECKS: &[Check] = &[
    Check { name: "status", run: status::check },
    Check { name: "expiry", run: expiry::check },
    Check { name: "dialect", run: dialect::check },
    Check { name: "region", run: region::check },
    Check { name: "served", run: served::check },
    Check { name: "origin", run: origin::check },
    Check { name: "scope", run: scope::check },
];
