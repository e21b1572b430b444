//! Workspaces and APIs, kept in the form that operators write.
use crate::connect::{ANSWER_MS, within};
use crate::write::{Told, Write};
use crate::{Store, StoreError};
use doorward_core::policy::draft::{self, ApiDraft, Draft, LicenceDraft, PolicyDraft, WorkspaceDraft};
use sqlx::{AnyConnection, Row};

/// The kind of a workspace.
pub(crate) const WORKSPACE: &str = "workspace";
/// The kind of an API.
pub(crate) const API: &str = "api";
/// The kind of what holds for one workspace at one API; its id is the API's.
pub(crate) const POLICY: &str = "policy";
/// The kind of a licence; its id is its name, and its user's after a slash.
pub(crate) const LICENCE: &str = "licence";

const ALL: &str = "SELECT kind, workspace, id, body FROM object ORDER BY kind, workspace, id";
const ONE: &str = "SELECT body FROM object WHERE kind = $1 AND workspace = $2 AND id = $3";
const PUT: &str = "INSERT INTO object (kind, workspace, id, revision, body) VALUES ($1, $2, $3, 1, $4) \
     ON CONFLICT (kind, workspace, id) DO UPDATE SET body = excluded.body, revision = object.revision + 1";
const DELETE: &str = "DELETE FROM object WHERE kind = $1 AND workspace = $2 AND id = $3";
const CREDENTIALS: &str = "SELECT COUNT(*) FROM credential WHERE workspace = $1";

/// Where an object stands, and whose it is: a workspace belongs to itself, an API to the installation, a policy to the
/// workspace for which it holds.
#[derive(Clone, Copy)]
struct Place<'a> {
    kind: &'static str,
    id: &'a str,
    workspace: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn workspace(id: &'a str) -> Place<'a> {
        Place { kind: WORKSPACE, id, workspace: Some(id) }
    }
    fn api(id: &'a str) -> Place<'a> {
        Place { kind: API, id, workspace: None }
    }
    fn policy(workspace: &'a str, api: &'a str) -> Place<'a> {
        Place { kind: POLICY, id: api, workspace: Some(workspace) }
    }
    fn licence(workspace: &'a str, key: &'a str) -> Place<'a> {
        Place { kind: LICENCE, id: key, workspace: Some(workspace) }
    }
    fn missing(self) -> StoreError {
        StoreError::NotFound { kind: self.kind, id: self.id.to_owned() }
    }
}

impl Store {
    /// The whole policy: workspaces and APIs, each in the order of their ids.
    ///
    /// # Errors
    /// An object can't be read, or the store fails.
    pub async fn policy(&self) -> Result<Draft, StoreError> {
        within(ANSWER_MS, async { whole(all(&mut *self.pool.acquire().await?).await?) }).await
    }
}

/// All objects, and the mistakes of those that can't be read.
pub(crate) async fn all(conn: &mut AnyConnection) -> Result<(Draft, Vec<String>), StoreError> {
    let (mut draft, mut mistakes) = (Draft::default(), Vec::new());
    for row in sqlx::query(ALL).fetch_all(conn).await? {
        let (kind, id): (&str, &str) = (row.try_get(0)?, row.try_get(2)?);
        match read(kind, row.try_get(1)?, id, row.try_get(3)?) {
            Ok(one) => {
                draft.workspaces.extend(one.workspaces);
                draft.apis.extend(one.apis);
                draft.licences.extend(one.licences);
                draft.policies.extend(one.policies);
            }
            Err(found) => mistakes.extend(found.into_iter().map(|m| format!("{kind} `{id}`: {m}"))),
        }
    }
    Ok((draft, mistakes))
}

pub(crate) fn whole((draft, mistakes): (Draft, Vec<String>)) -> Result<Draft, StoreError> {
    if mistakes.is_empty() { Ok(draft) } else { Err(StoreError::Damaged(mistakes.join("; "))) }
}

/// Reads the body of one object, which holds that object and nothing else.
pub(crate) fn read(kind: &str, workspace: &str, id: &str, body: &str) -> Result<Draft, Vec<String>> {
    let draft = draft::read(body).map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let ids = (
        draft.workspaces.iter().map(|w| w.id.as_str()).collect::<Vec<_>>(),
        draft.apis.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(),
        draft.policies.iter().map(|p| (p.workspace.as_str(), p.api.as_str())).collect::<Vec<_>>(),
        draft.licences.iter().map(|l| (l.workspace.as_str(), l.key())).collect::<Vec<_>>(),
    );
    let fits = match kind {
        WORKSPACE => ids == (vec![id], vec![], vec![], vec![]),
        API => ids == (vec![], vec![id], vec![], vec![]),
        POLICY => ids == (vec![], vec![], vec![(workspace, id)], vec![]),
        LICENCE => ids == (vec![], vec![], vec![], vec![(workspace, id.to_owned())]),
        // A newer program's; this one would leave out what it says.
        _ => return Err(vec!["this program does not know that kind of object".to_owned()]),
    };
    if fits { Ok(draft) } else { Err(vec!["its body is something else".to_owned()]) }
}

impl Write {
    /// Creates a workspace, or changes the one with its id. Its environment stays as it was created.
    ///
    /// # Errors
    /// The environment would change, or the store fails.
    pub async fn put_workspace(&mut self, workspace: &WorkspaceDraft) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let place = Place::workspace(&workspace.id);
            let before = self.body(place).await?;
            if let Some(was) =
                before.as_deref().and_then(|body| read(WORKSPACE, place.id, place.id, body).ok())
                && was.workspaces.iter().any(|was| was.environment != workspace.environment)
            {
                return Err(StoreError::Refused(format!(
                    "workspace `{}`: its environment was fixed when it was created; make another workspace",
                    place.id
                )));
            }
            let body = Draft { workspaces: vec![workspace.clone()], ..Draft::default() }.write();
            self.put(place, before, body).await
        })
        .await
    }

    /// Deletes a workspace that has no credentials.
    ///
    /// # Errors
    /// It is not there, still has credentials, or the store fails.
    pub async fn delete_workspace(&mut self, id: &str) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let left: i64 = sqlx::query(CREDENTIALS).bind(id).fetch_one(&mut *self.tx).await?.try_get(0)?;
            if left > 0 {
                return Err(StoreError::Refused(format!(
                    "workspace `{id}` still has credentials ({left}); delete them first"
                )));
            }
            self.delete(Place::workspace(id)).await
        })
        .await
    }

    /// Creates an API, or changes the one with its id.
    ///
    /// # Errors
    /// The store fails.
    pub async fn put_api(&mut self, api: &ApiDraft) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let place = Place::api(&api.id);
            let before = self.body(place).await?;
            let body = Draft { apis: vec![api.clone()], ..Draft::default() }.write();
            self.put(place, before, body).await
        })
        .await
    }

    /// Deletes an API with its routes.
    ///
    /// # Errors
    /// It is not there, or the store fails.
    pub async fn delete_api(&mut self, id: &str) -> Result<(), StoreError> {
        within(ANSWER_MS, async { self.delete(Place::api(id)).await }).await
    }

    /// Says what holds for one workspace at one API, anew or for the first time.
    ///
    /// # Errors
    /// The store fails.
    pub async fn put_policy(&mut self, policy: &PolicyDraft) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let place = Place::policy(&policy.workspace, &policy.api);
            let before = self.body(place).await?;
            let body = Draft { policies: vec![policy.clone()], ..Draft::default() }.write();
            self.put(place, before, body).await
        })
        .await
    }

    /// Says no more what holds for one workspace at one API.
    ///
    /// # Errors
    /// It is not there, or the store fails.
    pub async fn delete_policy(&mut self, workspace: &str, api: &str) -> Result<(), StoreError> {
        within(ANSWER_MS, async { self.delete(Place::policy(workspace, api)).await }).await
    }

    /// Gives a workspace, or one of its users, a licence, or changes it.
    ///
    /// # Errors
    /// The store fails.
    pub async fn put_licence(&mut self, licence: &LicenceDraft) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let key = licence.key();
            let place = Place::licence(&licence.workspace, &key);
            let before = self.body(place).await?;
            let body = Draft { licences: vec![licence.clone()], ..Draft::default() }.write();
            self.put(place, before, body).await
        })
        .await
    }

    /// Takes a licence away.
    ///
    /// # Errors
    /// It is not there, or the store fails.
    pub async fn delete_licence(&mut self, workspace: &str, key: &str) -> Result<(), StoreError> {
        within(ANSWER_MS, async { self.delete(Place::licence(workspace, key)).await }).await
    }

    /// Whether there is such a workspace.
    pub(crate) async fn has_workspace(&mut self, id: &str) -> Result<bool, StoreError> {
        Ok(self.body(Place::workspace(id)).await?.is_some())
    }

    async fn body(&mut self, p: Place<'_>) -> Result<Option<String>, StoreError> {
        let query = sqlx::query(ONE).bind(p.kind).bind(p.workspace.unwrap_or("")).bind(p.id);
        let row = query.fetch_optional(&mut *self.tx).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    async fn put(&mut self, p: Place<'_>, before: Option<String>, body: String) -> Result<(), StoreError> {
        self.begin_step();
        sqlx::query(PUT)
            .bind(p.kind)
            .bind(p.workspace.unwrap_or(""))
            .bind(p.id)
            .bind(body.as_str())
            .execute(&mut *self.tx)
            .await?;
        let action = if before.is_none() { "created" } else { "changed" };
        let Place { kind, id, workspace } = p;
        self.tell(Told { workspace, kind, id, action, before, after: Some(body) }).await
    }

    async fn delete(&mut self, p: Place<'_>) -> Result<(), StoreError> {
        let before = self.body(p).await?.ok_or_else(|| p.missing())?;
        self.begin_step();
        let query = sqlx::query(DELETE).bind(p.kind).bind(p.workspace.unwrap_or("")).bind(p.id);
        query.execute(&mut *self.tx).await?;
        let Place { kind, id, workspace } = p;
        self.tell(Told { workspace, kind, id, action: "deleted", before: Some(before), after: None }).await
    }
}
