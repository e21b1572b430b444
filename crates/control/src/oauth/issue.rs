//! Giving a token: made, written down, and only then told.
use super::fault::Fault;
use super::{Asked, Server};
use doorward_core::credential::Credential;
use doorward_core::jwt::Algorithm;
use doorward_core::reason::Reason;
use doorward_core::time::UnixMillis;
use doorward_core::token::{Asker, Grant, Issued, JTI_BYTES, Jti, TokenRecord, issue};
use doorward_store::{IssueError, NewToken, NotIssued, SecretSeen};
use std::sync::Arc;

/// What is wanted of a token.
pub(super) struct Wish<'a> {
    /// Whose it is to be.
    pub(super) credential: &'a Arc<Credential>,
    /// The client that asked, where it is another one.
    pub(super) client: Option<&'a Credential>,
    pub(super) label: Option<&'a str>,
    /// What it may do.
    pub(super) scope: &'a str,
    pub(super) resources: &'a [&'a str],
    /// At most so many may live in the workspace, this one included.
    pub(super) cap: Option<u32>,
}

impl Server {
    /// Gives a token of the API's dialect. When this returns it is written down.
    pub(super) async fn give(&self, asked: &Asked, wish: Wish<'_>) -> Result<Issued, Fault> {
        let credential = wish.credential;
        let away = |detail| Fault::away(Reason::Unavailable, detail).of(credential);
        let record = TokenRecord::of(credential.dialect.name).ok_or_else(|| away("no-token-record"))?;
        let issuer = self.live.tokens.issuer().ok_or_else(|| away("no-issuer"))?;
        let algorithm = self.algorithm(record).ok_or_else(|| away("no-algorithm"))?;
        let key = self.keys.get(&self.live.token_keys.load(), algorithm, asked.now);
        let key = key.ok_or_else(|| away("no-token-key"))?;
        let trust = self.live.tokens.trust();
        // It is never good for longer than its credential.
        let left_s = credential.expires_at.map(|at| at.0.div_euclid(1000) - asked.now.0.div_euclid(1000));
        let grant = Grant {
            record,
            subject: &credential.id,
            client: wish.client.map(|client| Asker { id: &client.id, since: client.tokens_since }),
            label: wish.label,
            scope: if record.scope { wish.scope } else { "" },
            resources: wish.resources,
            since: credential.tokens_since,
            life_s: left_s,
        };
        let mut random = [0; JTI_BYTES];
        (self.random)(&mut random);
        let issued =
            issue(&grant, issuer, &trust.epoch, &key, Jti::new(random), asked.now).map_err(|why| {
                tracing::error!(%why, "a token can't be made");
                away("token-not-made")
            })?;
        let written = self.issuer.issue(NewToken {
            id: issued.jti,
            credential: credential.id.to_string(),
            workspace: credential.workspace.to_string(),
            dialect: record.dialect.to_owned(),
            label: wish.label.map(str::to_owned),
            scope: wish.scope.to_owned(),
            issued_at: UnixMillis(issued.issued_s * 1000),
            expires_at: UnixMillis(issued.expires_s * 1000),
            epoch: trust.epoch.to_string(),
            tokens_since: credential.tokens_since,
            secret: SecretSeen::Hash(credential.secret),
            cap: wish.cap,
        });
        match written.await {
            Ok(()) => Ok(issued),
            // As if it had been asked a moment later.
            Err(IssueError::Refused(NotIssued::CredentialChanged)) => {
                Err(Fault::client(Reason::CredentialInvalid, "credential-changed"))
            }
            Err(IssueError::Refused(NotIssued::TooMany)) => Err(Fault::too_many().of(credential)),
            Err(IssueError::Overloaded) => {
                Err(Fault::away(Reason::Overloaded, "too-many-issues").of(credential))
            }
            Err(why) => {
                tracing::warn!(%why, "a token could not be written down");
                Err(away("token-not-written"))
            }
        }
    }

    /// How tokens of a record are signed.
    pub(super) fn algorithm(&self, record: &TokenRecord) -> Option<Algorithm> {
        let wanted = self.settings.algorithm;
        if record.algorithms.contains(&wanted) { Some(wanted) } else { record.algorithms.first().copied() }
    }
}
