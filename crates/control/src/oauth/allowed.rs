//! Whether a credential that is proved may call here now, by the rules that hold for every request.
use super::{Asked, Server};
use doorward_core::checks;
use doorward_core::credential::{Credential, Status};
use doorward_core::policy::{Api, Workspace};
use doorward_core::reason::Reason;
use std::sync::Arc;

impl Server {
    /// Its workspace, or why not: the public code, and a fact for the log.
    pub(super) fn allowed(
        &self,
        asked: &Asked,
        credential: &Credential,
    ) -> Result<Arc<Workspace>, (Reason, &'static str)> {
        let policy = self.live.policy.load();
        if credential.status != Status::Active {
            return Err((Reason::CredentialBlocked, "blocked"));
        }
        if credential.expires_at.is_some_and(|at| asked.now >= at) {
            return Err((Reason::CredentialExpired, "expired"));
        }
        let workspace = policy.workspaces.get(&*credential.workspace);
        let workspace = workspace.ok_or((Reason::CredentialInvalid, "no-workspace"))?;
        if workspace.region.is_some() && workspace.region != policy.region {
            return Err((Reason::RegionDenied, "other-region"));
        }
        // An API that is gone serves nobody.
        let api = policy.apis.iter().find(|api| *api.id == *asked.api);
        let serving = |api: &&Api| api.serves(&workspace.id) && api.answers(workspace.environment);
        let api = api.filter(serving).ok_or((Reason::CredentialInvalid, "workspace-not-served"))?;
        let rules = api.rules(&workspace.id);
        checks::within_networks(rules, credential, asked.client).map_err(|why| (why.reason, why.detail))?;
        Ok(Arc::clone(workspace))
    }
}
