//! What is asked of the token server, and what it answers.
use doorward_core::credential::{Credential, SchemeName};
use doorward_core::decide::Refusal;
use doorward_core::dialect::Dialect;
use doorward_core::policy::Endpoint;
use doorward_core::reason::Reason;
use doorward_core::time::UnixMillis;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// A request for one of the endpoints.
pub struct Asked {
    /// What it asks for.
    pub endpoint: Endpoint,
    /// The API that its route belongs to.
    pub api: Box<str>,
    /// That API's names and shape of errors.
    pub dialect: &'static Dialect,
    /// Whether only the head of the answer is wanted (RFC 9110 9.3.2).
    pub head_only: bool,
    /// The query as sent, without the `?`.
    pub query: Option<Box<[u8]>>,
    /// Each `Content-Type` field.
    pub content_types: Vec<Box<[u8]>>,
    /// Each `Authorization` field.
    pub authorizations: Vec<Box<[u8]>>,
    /// The body.
    pub body: Vec<u8>,
    /// The real caller; `None` where nobody tells.
    pub client: Option<IpAddr>,
    /// When it was decided.
    pub now: UnixMillis,
    /// Who has proved to call in the way of the API, and how.
    pub proved: Option<(Arc<Credential>, SchemeName)>,
}

/// Shows no field, no query and no body: there are secrets in them.
impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asked({} at {})", self.endpoint.name(), self.api)
    }
}

/// An answer. What it does not say about caches, caches must not keep.
#[derive(Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub fields: Vec<(&'static str, String)>,
    /// What the body is; `None`: there is none.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
    /// That it is a refusal, and why: the public code, and a fact for the log.
    pub refused: Option<(Reason, &'static str)>,
    /// Who was found to call, or to be given a token.
    pub credential: Option<Arc<Credential>>,
}

/// An answer of the endpoint's own, or a refusal in the API's style.
pub type Outcome = Result<Answer, Refusal>;

/// Shows no field and no body: there are tokens in them.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {:?})", self.status, self.refused)
    }
}

impl Answer {
    pub(super) fn new(status: u16) -> Answer {
        Answer { status, ..Answer::default() }
    }

    pub(super) fn field(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.fields.push((name, value.into()));
        self
    }

    pub(super) fn text(mut self, content_type: &'static str, body: impl Into<Vec<u8>>) -> Answer {
        (self.content_type, self.body) = (Some(content_type), body.into());
        self
    }

    /// With a body of JSON, members in the order of the fields.
    pub(super) fn json(self, body: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(body).expect("texts and numbers can be written as JSON");
        self.text("application/json", body)
    }

    /// As RFC 6749 5.1 has it.
    pub(super) fn unkept(self) -> Answer {
        self.field("cache-control", "no-store").field("pragma", "no-cache")
    }

    pub(super) fn to(mut self, credential: Option<Arc<Credential>>) -> Answer {
        self.credential = credential;
        self
    }

    pub(super) fn refusing(mut self, code: Reason, detail: &'static str) -> Answer {
        self.refused = Some((code, detail));
        self
    }
}
