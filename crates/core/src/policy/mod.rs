//! What operators write ([`draft`]), and what is made of it ([`compile`]): an immutable policy, swapped whole.
use crate::credential::{Credential, Environment, SchemeName};
use crate::dialect::Dialect;
use crate::origin::OriginEntry;
use crate::path::PathRules;
use crate::time::UnixMillis;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

mod compile;
pub mod draft;
mod endpoint;
mod routes;
mod rules;
mod signing;
mod tenancy;
mod upstream;

pub use crate::limits::Rate as Limit;
pub use compile::compile;
pub use endpoint::Endpoint;
pub use routes::{Methods, Routes, Template, host_name};
pub use rules::{Limits, NetworkRule, Rule, RuleSet, Rules};
pub use signing::{DEFAULT_SKEW_S, MAX_PRESIGNED_S, MAX_SKEW_S, Mode, OnceOnly, Signing};
pub use tenancy::{
    BUILT_IN_ROLES, DEFAULT_WARN_DAYS, Licence, MAX_WARN_DAYS, Module, Modules, Roles, Scopes,
};
pub use upstream::{Address, MAX_ADDRESSES, MAX_UPSTREAM_CONNECTIONS, Probe, Upstream, upgrade_protocol};

/// The policy in force.
#[derive(Debug, Default)]
pub struct Policy {
    /// The region of this node.
    pub region: Option<String>,
    /// Every API.
    pub apis: Vec<Api>,
    /// Every route; a [`RouteId`] points here.
    pub routes: Vec<Route>,
    /// Finds routes.
    pub table: Routes,
    /// Workspaces by id.
    pub workspaces: HashMap<String, Arc<Workspace>>,
    /// The dialects that some API accepts.
    pub dialects: Vec<&'static Dialect>,
    /// The ways of signing that some API accepts, one for each set of names.
    pub signings: Vec<Arc<Signing>>,
    /// Whether some API accepts tokens.
    pub bearer: bool,
    /// The header fields that carry credentials in any of them, in lower case.
    pub credential_headers: Vec<Box<str>>,
    /// The query parameters that carry credentials in any of them.
    pub credential_parameters: Vec<Box<str>>,
}

/// Where a route stands in [`Policy::routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteId(pub usize);

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Unique in the installation.
    pub id: String,
    /// For people.
    pub name: String,
    /// Picks the upstream.
    pub environment: Environment,
    /// Where it is served; `None`: everywhere.
    pub region: Option<String>,
    /// Whether refused signatures are explained in the answer. Only in sandboxes.
    pub explain: bool,
    /// Whether its service users may ask for tokens with their passwords (RFC 6749 4.3).
    pub password_grant: bool,
    /// What is switched on.
    pub modules: Modules,
    /// Its roles.
    pub roles: Roles,
    /// Its licences, and those of its users.
    pub licences: Vec<Licence>,
}

impl Workspace {
    /// The scopes that a credential has from its role. One that names a role that is not there has none.
    #[must_use]
    pub fn role_scopes(&self, credential: &Credential) -> Option<&Scopes> {
        self.roles.scopes(credential.role()?)
    }

    /// Whether a credential has a licence at an instant.
    #[must_use]
    pub fn has_licence(&self, name: &str, credential: &str, now: UnixMillis) -> bool {
        self.licences.iter().any(|licence| *licence.name == *name && licence.covers(credential, now))
    }
}

/// A named group of routes.
#[derive(Clone, Debug)]
pub struct Api {
    /// Unique in the installation.
    pub id: String,
    /// The shape of errors, and the names under which credentials are presented unless `names` says more.
    pub dialect: &'static Dialect,
    /// Whose names are accepted.
    pub names: Vec<&'static Dialect>,
    /// Accepted schemes.
    pub schemes: Vec<SchemeName>,
    /// How requests are signed, for each dialect in `names` that has signatures; empty where signatures are not accepted.
    pub signing: Vec<Arc<Signing>>,
    /// What holds for a workspace, as far as operators have said so. A rule whose module is off there is off.
    pub rules: hashbrown::HashMap<String, Rules>,
    /// How often one client address may call without a credential, and how far that goes: the tightest of what the
    /// workspaces that it serves say about client addresses, of those that enforce it where some do.
    pub anonymous: Option<(Limit, Mode)>,
    /// Whether keys are refused whoever sends them: every workspace that it serves enforces signatures.
    pub always_signed: bool,
    /// Whether some workspace that it serves enforces signatures.
    pub sometimes_signed: bool,
    /// Whether some workspace that it serves has refused signatures explained.
    pub explains: bool,
    /// Whom a token of the dialect `standard` has to be for, one of them; the issuer where there is none.
    pub audiences: Box<[Box<str>]>,
    /// The origins of pages that may call with a token.
    pub cors: Box<[OriginEntry]>,
    /// The environments in which an id alone opens this API.
    pub plain_key: Vec<Environment>,
    /// The workspaces it serves; `None`: all.
    pub workspaces: Option<HashSet<String>>,
    /// What odd paths it lets through.
    pub paths: PathRules,
    /// The upstream for production.
    pub production: Option<Arc<Upstream>>,
    /// The upstream for sandboxes.
    pub sandbox: Option<Arc<Upstream>>,
}

impl Api {
    /// Whether it serves a workspace.
    #[must_use]
    pub fn serves(&self, workspace: &str) -> bool {
        self.workspaces.as_ref().is_none_or(|w| w.contains(workspace))
    }
    /// What holds for a workspace.
    #[must_use]
    pub fn rules(&self, workspace: &str) -> &Rules {
        static DEFAULT: Rules = Rules::DEFAULT;
        self.rules.get(workspace).unwrap_or(&DEFAULT)
    }
    /// Whether keys are refused because requests of that workspace have to be signed.
    #[must_use]
    pub fn signatures(&self, workspace: &Workspace) -> Mode {
        self.signatures_by(self.rules(&workspace.id), workspace)
    }
    /// The same for whoever has looked up already what holds for the workspace.
    #[must_use]
    pub fn signatures_by(&self, rules: &Rules, workspace: &Workspace) -> Mode {
        rules.signatures.unwrap_or_else(|| self.default_signatures(workspace))
    }
    /// The same where nobody has said anything: production starts with signatures enforced on APIs that take an id alone
    /// there, since whoever knows the id would be in.
    #[must_use]
    pub fn default_signatures(&self, workspace: &Workspace) -> Mode {
        let at_risk = workspace.environment == Environment::Production
            && self.plain_key.contains(&Environment::Production);
        if at_risk && !self.signing.is_empty() { Mode::Enforce } else { Mode::Off }
    }
    /// Where requests of an environment go.
    #[must_use]
    pub fn upstream(&self, environment: Environment) -> Option<&Arc<Upstream>> {
        match environment {
            Environment::Production => self.production.as_ref(),
            Environment::Sandbox => self.sandbox.as_ref(),
        }
    }
    /// Whether it answers callers of an environment: those for which it has an upstream, or all where it has none at all and
    /// every route is answered here.
    #[must_use]
    pub fn answers(&self, environment: Environment) -> bool {
        self.upstream(environment).is_some() || self.production.is_none() && self.sandbox.is_none()
    }
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// The API it belongs to: an index of [`Policy::apis`].
    pub api: usize,
    /// The path it answers.
    pub template: Template,
    /// The methods it takes.
    pub methods: Methods,
    /// Whether publishable keys reach it.
    pub client_side: bool,
    /// Whether it needs no credential.
    pub public: bool,
    /// The scope that callers need there.
    pub scope: Option<Box<str>>,
    /// The licences that callers need there, every one of them.
    pub licences: Box<[Box<str>]>,
    /// Whether callers solve a captcha there.
    pub captcha: bool,
    /// What answers it here; `None`: the API's upstream does.
    pub local: Option<Endpoint>,
    /// The protocols that a connection may change to there, in lower case (RFC 9110 7.8).
    pub upgrades: Box<[Box<str>]>,
}
