//! What of a credential may be changed later: its name, its scopes, its origins, and until when it is good.
use super::draft::{self, Wanted};
use super::{CredentialView, Desk, Error};
use doorward_core::time::UnixMillis;
use doorward_store::Terms;

/// What is to become of a credential; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermsWanted {
    /// For people.
    pub name: Option<String>,
    /// What it may do by itself; an empty list: nothing.
    pub scopes: Option<Vec<String>>,
    /// Where its key, or its tokens for pages, may be used.
    pub origins: Option<Vec<String>>,
    /// From when on it is expired; `Some(None)`: never.
    pub expires_at: Option<Option<UnixMillis>>,
}

/// Changes what is asked for, all of it in one step. Where that changes nothing, nothing is written.
///
/// # Errors
/// [`Error::UnknownCredential`]; [`Error::Credential`] with every mistake; or the store's.
pub async fn set(desk: Desk<'_>, id: &str, wanted: &TermsWanted) -> Result<CredentialView, Error> {
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let stored = desk.store.credential(id).await?;
    let mut stored = stored.ok_or_else(|| Error::UnknownCredential(id.to_owned()))?;
    let c = &mut stored.credential;
    // Held against the rules that hold for new ones.
    let mut asked = Wanted { dialect: Some(c.dialect), ..Wanted::new(&*c.workspace, c.kind) };
    let texts = |all: &[Box<str>]| all.iter().map(|one| one.to_string()).collect();
    asked.name = wanted.name.clone().unwrap_or_else(|| c.name.to_string());
    asked.scopes = wanted.scopes.clone().unwrap_or_else(|| texts(&c.scopes));
    asked.origins =
        wanted.origins.clone().unwrap_or_else(|| c.origins.iter().map(ToString::to_string).collect());
    let (scopes, origins) = draft::terms(&asked, wanted.expires_at.flatten(), desk.now)?;
    let terms = Terms {
        name: asked.name.into(),
        scopes,
        origins,
        expires_at: wanted.expires_at.unwrap_or(c.expires_at),
    };
    let before = Terms {
        name: c.name.clone(),
        scopes: c.scopes.clone(),
        origins: c.origins.clone(),
        expires_at: c.expires_at,
    };
    if terms != before {
        write.set_terms(id, terms.clone()).await?;
        write.commit().await?;
        let Terms { name, scopes, origins, expires_at } = terms;
        (c.name, c.scopes, c.origins, c.expires_at) = (name, scopes, origins, expires_at);
    }
    Ok(CredentialView::stored(&stored, None))
}
