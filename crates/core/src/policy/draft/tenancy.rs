//! What operators write about the roles and licences of workspaces.
use super::{Line, bearer, id};
use crate::credential::MAX_ID_BYTES;
use crate::document::Table;
use crate::policy::{BUILT_IN_ROLES, MAX_WARN_DAYS};
use crate::scope;
use crate::time::UnixMillis;
use serde::Serialize;

/// A role of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RoleDraft {
    /// Unique in the workspace.
    pub name: String,
    /// What whoever has it may do.
    pub scopes: Vec<String>,
    /// Where it stands in the document.
    #[serde(skip)]
    pub line: Line,
}

/// A licence of a workspace, or of one of its service users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LicenceDraft {
    /// As routes ask for it.
    pub name: String,
    /// The workspace.
    pub workspace: String,
    /// The service user; everybody in the workspace where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// From when on it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// From when on it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How many days before its end a warning goes out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_days: Option<u32>,
    /// Where it stands in the document.
    #[serde(skip)]
    pub line: Line,
}

impl LicenceDraft {
    /// Names it within its workspace: its name, and its user after a slash.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.user {
            Some(user) => format!("{}/{user}", self.name),
            None => self.name.clone(),
        }
    }

    /// Names it: its workspace, its name, and its user.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.workspace, self.key())
    }
}

/// One scope, or a pattern of them, as roles hold it.
pub(super) fn held(text: &str) -> Result<String, String> {
    let text = bearer::scope(text)?;
    scope::pattern(&text).map(|()| text)
}

pub(super) fn role(t: Table<'_, '_>) -> Option<RoleDraft> {
    let name = t.required("name", |text| match BUILT_IN_ROLES.iter().any(|(own, _)| *own == text) {
        true => Err(format!("every workspace has a role `{text}`; call this one something else")),
        false => id(text),
    });
    let scopes = t.list("scopes", held);
    if t.entry("scopes").is_none() {
        t.wrong("`scopes` is missing; write scopes = [\"vouchers:read\", \"campaigns:*\"]");
    }
    let line = Line(t.line());
    t.finish();
    Some(RoleDraft { name: name?, scopes: scopes.unwrap_or_default(), line })
}

fn instant(text: &str) -> Result<String, String> {
    match UnixMillis::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("`{text}` is no instant; write 2027-01-01, or 2027-01-01T12:00:00Z")),
    }
}

/// The id of a service user.
fn user(text: &str) -> Result<String, String> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b);
    if text.is_empty() || text.len() > MAX_ID_BYTES || !text.bytes().all(ok) {
        return Err(format!("`{text}` is not the id of a user"));
    }
    Ok(text.to_owned())
}

pub(super) fn licence(t: Table<'_, '_>) -> Option<LicenceDraft> {
    let (name, workspace) = (t.required("name", id), t.required("workspace", id));
    let user = t.parsed("user", user);
    let (from, until) = (t.parsed("from", instant), t.parsed("until", instant));
    let warn_days = t.integer("warn_days", 0..=u64::from(MAX_WARN_DAYS));
    let over = from.as_deref().and_then(UnixMillis::parse).zip(until.as_deref().and_then(UnixMillis::parse));
    if over.is_some_and(|(from, until)| from >= until) {
        t.wrong("`until` is not after `from`, so it would never be good");
    }
    let line = Line(t.line());
    t.finish();
    let warn_days = warn_days.and_then(|days| u32::try_from(days).ok());
    Some(LicenceDraft { name: name?, workspace: workspace?, user, from, until, warn_days, line })
}
