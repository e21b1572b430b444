//! Where a permitted request goes.
use crate::credential::Environment;
use crate::policy::{Api, Endpoint, Route, Upstream};
use std::sync::Arc;

/// Where a permitted request goes.
#[derive(Debug)]
pub enum Target {
    /// To an upstream.
    Upstream(Forward),
    /// Nowhere: it is answered here.
    Local(Endpoint),
}

/// The permission to forward a request. Only a decision makes it, and nothing is forwarded without.
#[derive(Debug)]
pub struct Forward(Arc<Upstream>);

impl Forward {
    /// Where to.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.0
    }
}

impl Target {
    /// Where a route leads callers of an environment; `None`: nowhere.
    pub(super) fn of(route: &Route, api: &Api, environment: Environment) -> Option<Target> {
        match route.local {
            Some(endpoint) => Some(Target::Local(endpoint)),
            None => Some(Target::Upstream(Forward(Arc::clone(api.upstream(environment)?)))),
        }
    }
}
