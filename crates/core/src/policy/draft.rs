//! What operators write: workspaces and APIs, in the form that `apply` reads and `export` writes.
mod bearer;
mod rules;
mod signing;
mod tenancy;
mod upstream;

pub use bearer::{CorsDraft, MAX_AUDIENCE_BYTES, MAX_SCOPE_BYTES};
pub use rules::{LimitDraft, LimitsDraft, MAX_NETWORKS, NetworkDraft, PolicyDraft};
pub use signing::SigningDraft;
pub use tenancy::{LicenceDraft, RoleDraft};
pub use upstream::{FullDraft, ProbeDraft, ServiceDraft, UpstreamDraft};

use super::{Endpoint, Methods, Module, Template, upgrade_protocol};
use crate::credential::{Environment, SchemeName};
use crate::dialect::Dialect;
use crate::document::{Document, Mistake, Table};
use rules::policy;
use serde::Serialize;
use signing::signing;
use tenancy::{licence, role};

/// Longest id of a workspace or an API, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// The methods of a route that names none.
pub const DEFAULT_METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// A whole policy as written. Names in it were read, but not yet held against each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// Tenants.
    #[serde(rename = "workspace", skip_serializing_if = "Vec::is_empty")]
    pub workspaces: Vec<WorkspaceDraft>,
    /// APIs with their routes.
    #[serde(rename = "api", skip_serializing_if = "Vec::is_empty")]
    pub apis: Vec<ApiDraft>,
    /// What workspaces and their users are licensed for.
    #[serde(rename = "licence", skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<LicenceDraft>,
    /// What holds for one workspace at one API.
    #[serde(rename = "policy", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyDraft>,
}

/// A workspace as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WorkspaceDraft {
    /// Unique.
    pub id: String,
    /// For people; the id where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `production` or `sandbox`.
    pub environment: String,
    /// Where it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether refused signatures are explained in the answer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
    /// Whether service users may ask for tokens with their passwords.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub password_grant: bool,
    /// The modules that are on; every one where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modules: Option<Vec<String>>,
    /// Its roles, besides those that every workspace has.
    #[serde(rename = "role", skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleDraft>,
    /// Where it stands in the document.
    #[serde(skip)]
    pub line: Line,
}

/// An API as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ApiDraft {
    /// Unique.
    pub id: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Names and shape of errors.
    pub dialect: String,
    /// Whose names are accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// Accepted schemes.
    pub schemes: Vec<String>,
    /// Whom a token has to be for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// The environments in which an id alone opens it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plain_key: Vec<String>,
    /// The hosts it answers for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The workspaces it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspaces: Option<Vec<String>>,
    /// Odd paths it lets through.
    pub paths: PathsDraft,
    /// Where its requests go. None is needed where every route has a target of its own.
    #[serde(skip_serializing_if = "UpstreamDraft::is_empty")]
    pub upstream: UpstreamDraft,
    /// Pages that may call with a token.
    #[serde(skip_serializing_if = "CorsDraft::is_empty")]
    pub cors: CorsDraft,
    /// How its requests are signed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signing: Vec<SigningDraft>,
    /// Its routes.
    #[serde(rename = "route")]
    pub routes: Vec<RouteDraft>,
    /// Where it stands in the document.
    #[serde(skip)]
    pub line: Line,
}

/// Odd paths let through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "named as in `PathRules`")]
pub struct PathsDraft {
    pub encoded_slash: bool,
    pub empty_segments: bool,
    pub dot_segments: bool,
}

/// A route as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RouteDraft {
    /// Its template.
    pub path: String,
    /// Its methods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// Whether publishable keys reach it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub client_side: bool,
    /// Whether it needs no credential.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// The scope that callers need there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The licences that callers need there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<String>,
    /// Whether callers solve a captcha there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub captcha: bool,
    /// What answers it in the place of an upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The protocols that a connection may change to there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upgrades: Vec<String>,
    /// Where it stands in the document.
    #[serde(skip)]
    pub line: Line,
}

/// A line of the document a draft was read from. Two drafts that differ in nothing else are the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line(pub usize);

impl PartialEq for Line {
    fn eq(&self, _: &Line) -> bool {
        true
    }
}
impl Eq for Line {}

/// Reads a policy.
///
/// # Errors
/// All mistakes that a document can have by itself, with their lines; the first one where it is not TOML.
pub fn read(text: &str) -> Result<Draft, Vec<Mistake>> {
    let (draft, mistakes) = read_what_can_be(text);
    if mistakes.is_empty() { Ok(draft) } else { Err(mistakes) }
}

/// Reads what can be read of a policy, so that more mistakes can be looked for in it: what has a mistake itself is left
/// out where it can't stand without the missing part.
#[must_use]
pub fn read_what_can_be(text: &str) -> (Draft, Vec<Mistake>) {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(mistakes) => return (Draft::default(), mistakes),
    };
    let root = document.root();
    let workspaces = root.tables("workspace").into_iter().filter_map(workspace).collect();
    let apis = root.tables("api").into_iter().filter_map(api).collect();
    let licences = root.tables("licence").into_iter().filter_map(licence).collect();
    let policies = root.tables("policy").into_iter().filter_map(policy).collect();
    root.finish();
    (Draft { workspaces, apis, licences, policies }, document.finish())
}

impl Draft {
    /// The document that [`read`] reads as this.
    #[must_use]
    pub fn write(&self) -> String {
        toml::to_string(self).expect("strings, booleans and lists of them can be written as TOML")
    }
}

/// An id of a workspace or an API: it stands in headers and logs.
fn id(text: &str) -> Result<String, String> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > MAX_NAME_BYTES || !text.bytes().all(ok) {
        return Err(format!("`{text}`: an id has 1 to {MAX_NAME_BYTES} letters, digits, `-`, `_` or `.`"));
    }
    Ok(text.to_owned())
}

fn people(text: &str) -> Result<String, String> {
    let short = !text.is_empty() && text.chars().count() <= 100;
    if short && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 100 characters, none of them a control character".to_owned())
    }
}

/// Checks that `parse` takes a text, and keeps the text.
fn kept<T>(parse: impl Fn(&str) -> Result<T, String>) -> impl Fn(&str) -> Result<String, String> {
    move |text| parse(text).map(|_| text.to_owned())
}

fn host(text: &str) -> Result<String, String> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'[' | b']' | b':');
    if text.is_empty()
        || !text.bytes().all(ok)
        || super::host_name(text.as_bytes()) != text.to_ascii_lowercase()
    {
        return Err(format!("`{text}` is not a host name; write it without port, scheme and wildcards"));
    }
    Ok(text.to_ascii_lowercase())
}

fn workspace(t: Table<'_, '_>) -> Option<WorkspaceDraft> {
    let (id, name) = (t.required("id", id), t.parsed("name", people));
    let environment = t.required("environment", kept(Environment::parse));
    let region = t.parsed("region", self::id);
    let explain = t.boolean("explain").unwrap_or(false);
    let password_grant = t.boolean("password_grant").unwrap_or(false);
    let modules = t.list("modules", kept(Module::parse));
    let roles = t.tables("role").into_iter().filter_map(role).collect();
    let line = Line(t.line());
    t.finish();
    // Without a good environment it still stands, so that whatever names it is not called a mistake as well.
    let environment = environment.unwrap_or_else(|| Environment::Production.name().to_owned());
    let id = id?;
    Some(WorkspaceDraft { id, name, environment, region, explain, password_grant, modules, roles, line })
}

fn api(t: Table<'_, '_>) -> Option<ApiDraft> {
    let (id, name) = (t.required("id", id), t.parsed("name", people));
    let dialect = t.required("dialect", kept(Dialect::parse));
    let names = t.list("names", kept(Dialect::parse));
    let schemes = t
        .list("schemes", kept(SchemeName::parse))
        .unwrap_or_else(|| vec![SchemeName::ApiKey.name().to_owned()]);
    let audiences = t.list("audiences", bearer::audience).unwrap_or_default();
    let plain_key = t.list("plain_key", kept(Environment::parse)).unwrap_or_default();
    let hosts = t.list("hosts", host).unwrap_or_default();
    let workspaces = t.list("workspaces", self::id);
    let paths = t.table("paths").map_or_else(PathsDraft::default, |p| {
        let on = |key| p.boolean(key).unwrap_or(false);
        let draft = PathsDraft {
            encoded_slash: on("encoded_slash"),
            empty_segments: on("empty_segments"),
            dot_segments: on("dot_segments"),
        };
        p.finish();
        draft
    });
    let tables = t.tables("route");
    // Whether somebody else has to answer one of them.
    let forwards = tables.is_empty() || tables.iter().any(|r| r.entry("target").is_none());
    let upstream = match t.table("upstream") {
        None if !forwards => UpstreamDraft::default(),
        None => {
            t.wrong("`upstream` is missing; write upstream = { production = \"http://host:port\" }");
            UpstreamDraft::default()
        }
        Some(u) => {
            let draft = upstream::upstream(&u, forwards);
            u.finish();
            draft
        }
    };
    let cors = t.table("cors").map(|cors| {
        let draft = bearer::cors(&cors);
        cors.finish();
        draft
    });
    let signing = t.tables("signing").into_iter().map(signing).collect();
    if tables.is_empty() {
        t.wrong("an API needs at least one route, written [[api.route]]");
    }
    let routes = tables.into_iter().filter_map(route).collect();
    let line = Line(t.line());
    t.finish();
    Some(ApiDraft {
        id: id?,
        name,
        dialect: dialect?,
        names,
        schemes,
        audiences,
        plain_key,
        hosts,
        workspaces,
        paths,
        upstream,
        cors: cors.unwrap_or_default(),
        signing,
        routes,
        line,
    })
}

fn route(t: Table<'_, '_>) -> Option<RouteDraft> {
    let path = t.required("path", kept(Template::parse));
    let methods = t.list("methods", |m| Methods::new([m]).map(|_| m.to_owned()));
    let client_side = t.boolean("client_side").unwrap_or(false);
    let public = t.boolean("public").unwrap_or(false);
    let scope = t.parsed("scope", asked_scope);
    let licences = t.list("licences", self::id).unwrap_or_default();
    let captcha = t.boolean("captcha").unwrap_or(false);
    let target = t.parsed("target", kept(Endpoint::parse));
    let upgrades = t.list("upgrades", upgrade_protocol).unwrap_or_default();
    let line = Line(t.line());
    t.finish();
    let path = path?;
    Some(RouteDraft { path, methods, client_side, public, scope, licences, captcha, target, upgrades, line })
}

/// The scope of a route: one, and no pattern.
fn asked_scope(text: &str) -> Result<String, String> {
    match bearer::scope(text)? {
        text if text.split(':').any(|part| part == "*") => {
            Err(format!("`{text}`: a route asks for one scope; `*` stands in what callers hold"))
        }
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests;
