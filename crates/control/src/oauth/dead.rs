//! Revoking a token: written down before anybody is told.
use super::fault::Fault;
use super::seen::Seen;
use super::{Asked, Server};
use doorward_core::credential::Credential;
use doorward_core::reason::Reason;
use doorward_core::time::UnixMillis;
use doorward_store::StoreError;

impl Server {
    /// Revokes a token for ever. When this returns, it stays dead through any crash. `false`: nobody has such a token.
    pub(super) async fn kill(&self, asked: &Asked, seen: &Seen, who: &Credential) -> Result<bool, Fault> {
        let actor = format!("credential {}", who.label());
        let done = async {
            let mut write = self.store.write(&actor, asked.now).await?;
            if write.revoke_token(seen.token.jti).await? {
                write.commit().await?;
            }
            Ok::<(), StoreError>(())
        };
        match done.await {
            Ok(()) => {
                // This node need not wait for its own news.
                self.live.tokens.revoke(seen.token.jti, UnixMillis(seen.token.expires_s * 1000));
                Ok(true)
            }
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(why) => {
                tracing::warn!(%why, "a token could not be revoked");
                Err(Fault::away(Reason::Unavailable, "token-not-revoked"))
            }
        }
    }
}
