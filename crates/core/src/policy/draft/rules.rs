//! What operators write about one workspace at one API.
use super::{Line, id, kept};
use crate::document::Table;
use crate::network::Network;
use crate::policy::Mode;
use crate::policy::rules::{Limit, MAX_LIMIT_REQUESTS, MAX_LIMIT_S};
use serde::Serialize;

/// Most networks on one list.
pub const MAX_NETWORKS: usize = 100_000;

/// What holds for one workspace at one API. What is left out is as [`crate::policy::Rules::DEFAULT`] has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PolicyDraft {
    /// The workspace.
    pub workspace: String,
    /// The API.
    pub api: String,
    /// Whether requests must be signed: a mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signatures: Option<String>,
    /// Whether callers must hold the scopes that routes ask for: a mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<String>,
    /// Whether captchas must be solved where routes ask for one: a mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captcha: Option<String>,
    /// Whether callers must have the licences that routes ask for: a mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licences: Option<String>,
    /// From where callers may call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkDraft>,
    /// How often may be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsDraft>,
    /// Where it stands in the document.
    #[serde(skip)]
    pub line: Line,
}

impl PolicyDraft {
    /// Names it: the workspace and the API.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.workspace, self.api)
    }
}

/// From where callers may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkDraft {
    /// A mode; `enforce` where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// From there, and from nowhere else.
    pub allow: Vec<String>,
}

/// How often may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitsDraft {
    /// A mode; `enforce` where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// All callers of the workspace together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<LimitDraft>,
    /// Each credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<LimitDraft>,
    /// Each client address, where callers are client side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<LimitDraft>,
}

/// So many requests in so many seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitDraft {
    /// How many.
    pub requests: u32,
    /// In how many seconds.
    pub per_s: u32,
    /// How many at once; as many as `requests` where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

impl LimitDraft {
    /// The limit.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn limit(self) -> Result<Limit, String> {
        Limit::new(self.requests, self.per_s, self.burst.unwrap_or(self.requests))
    }
}

fn mode(t: &Table<'_, '_>, key: &str) -> Option<String> {
    t.parsed(key, kept(Mode::parse))
}

pub(super) fn policy(t: Table<'_, '_>) -> Option<PolicyDraft> {
    let (workspace, api) = (t.required("workspace", id), t.required("api", id));
    let (signatures, scopes) = (mode(&t, "signatures"), mode(&t, "scopes"));
    let (captcha, licences) = (mode(&t, "captcha"), mode(&t, "licences"));
    let (network, limits) = (t.table("network").map(network), t.table("limits").map(limits));
    let line = Line(t.line());
    t.finish();
    let (workspace, api) = (workspace?, api?);
    Some(PolicyDraft { workspace, api, signatures, scopes, captcha, licences, network, limits, line })
}

fn network(t: Table<'_, '_>) -> NetworkDraft {
    let mode = mode(&t, "mode");
    let allow = t.list("allow", kept(Network::parse));
    if t.entry("allow").is_none() {
        t.wrong("`allow` is missing; write network = { allow = [\"192.168.0.0/24\"] }, or allow = [] to refuse all");
    } else if allow.as_ref().is_some_and(|all| all.len() > MAX_NETWORKS) {
        t.wrong(format!("there are more than {MAX_NETWORKS} networks"));
    }
    t.finish();
    NetworkDraft { mode, allow: allow.unwrap_or_default() }
}

fn limits(t: Table<'_, '_>) -> LimitsDraft {
    let limit_of = |key: &str| t.table(key).and_then(limit);
    let draft = LimitsDraft {
        mode: mode(&t, "mode"),
        workspace: limit_of("workspace"),
        credential: limit_of("credential"),
        client: limit_of("client"),
    };
    if ["workspace", "credential", "client"].iter().all(|key| t.entry(key).is_none()) {
        t.wrong("`limits` limits nothing; write limits = { credential = { requests = 100, per_s = 60 } }");
    }
    t.finish();
    draft
}

fn limit(t: Table<'_, '_>) -> Option<LimitDraft> {
    let number =
        |key: &str, most: u32| t.integer(key, 1..=u64::from(most)).and_then(|n| u32::try_from(n).ok());
    let (requests, per_s) = (number("requests", MAX_LIMIT_REQUESTS), number("per_s", MAX_LIMIT_S));
    let burst = number("burst", MAX_LIMIT_REQUESTS);
    for key in ["requests", "per_s"] {
        if t.entry(key).is_none() {
            t.wrong(format!("`{key}` is missing"));
        }
    }
    t.finish();
    Some(LimitDraft { requests: requests?, per_s: per_s?, burst })
}
