//! Requests that are answered here, as their endpoints see them.
use doorward_core::credential::{Credential, SchemeName};
use doorward_core::decide::Refusal;
use doorward_core::dialect::Dialect;
use doorward_core::policy::{Endpoint, Workspace};
use doorward_core::reason::Reason;
use doorward_core::time::UnixMillis;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

/// Fields that only the gateway writes: they frame the message, name it, or let pages read it.
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The name and the value of a header field.
pub type FieldLine = (Box<[u8]>, Box<[u8]>);

/// A permitted request that is answered here, whole.
pub struct LocalRequest {
    /// What it asks for.
    pub endpoint: Endpoint,
    /// The API that its route belongs to.
    pub api: Box<str>,
    /// That API's names and shape of errors.
    pub dialect: &'static Dialect,
    /// The method.
    pub method: Box<[u8]>,
    /// The path as sent.
    pub path: Box<[u8]>,
    /// The query as sent, without the `?`.
    pub query: Option<Box<[u8]>>,
    /// Every header field in the order sent, names as sent, credentials among them; of a signed request, those that were
    /// signed.
    pub fields: Vec<FieldLine>,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// The real caller; `None` where a trusted proxy does not tell.
    pub client: Option<IpAddr>,
    /// Whether it came over HTTPS.
    pub secure: bool,
    /// When it was decided, by the clock that never goes back.
    pub now: UnixMillis,
    /// The id that answer and event carry.
    pub request_id: Box<str>,
    /// Who proved to call, and how; `None` at public routes, where the endpoint has to find out.
    pub credential: Option<(Arc<Credential>, SchemeName)>,
    /// The caller's workspace.
    pub workspace: Option<Arc<Workspace>>,
}

/// Shows no field, no query and no body: there are secrets in them.
impl fmt::Debug for LocalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalRequest({} at {})", self.endpoint.name(), self.api)
    }
}

/// An answer. What it does not say itself is added: its length, the date, the request's id, and `no-store`.
#[derive(Default)]
pub struct LocalAnswer {
    status: u16,
    fields: Vec<(&'static str, String)>,
    body: Vec<u8>,
    code: Option<Reason>,
    detail: Option<&'static str>,
    credential: Option<Arc<Credential>>,
}

/// Shows no field and no body: there are secrets in them.
impl fmt::Debug for LocalAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalAnswer({})", self.status)
    }
}

impl LocalAnswer {
    /// An answer without a body; `status` is from 200 to 599.
    #[must_use]
    pub fn new(status: u16) -> LocalAnswer {
        LocalAnswer { status, ..LocalAnswer::default() }
    }
    /// Adds a header field; the name is in lower case. An answer with a value that is no printable ASCII, or with a field
    /// that only the gateway writes, is never sent.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl Into<String>) -> LocalAnswer {
        self.fields.push((name, value.into()));
        self
    }
    /// Gives it a body, and says of which type.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Vec<u8>>) -> LocalAnswer {
        self.body = body.into();
        self.field("content-type", content_type)
    }
    /// Says that it is a refusal, and why: for the `Doorward-Code` field, the event and the metrics. `detail` is a fact for
    /// the log alone.
    #[must_use]
    pub fn refusing(mut self, code: Reason, detail: &'static str) -> LocalAnswer {
        (self.code, self.detail) = (Some(code), Some(detail));
        self
    }
    /// Says who proved to call, where the endpoint found that out itself.
    #[must_use]
    pub fn to(mut self, credential: Arc<Credential>) -> LocalAnswer {
        self.credential = Some(credential);
        self
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }
    pub(crate) fn fields(&self) -> &[(&'static str, String)] {
        &self.fields
    }
    /// The body, where an answer of this status may have one (RFC 9110 15.3.5, 15.4.5).
    pub(crate) fn content(&self) -> Option<&[u8]> {
        (!matches!(self.status, 204 | 304)).then_some(&self.body[..])
    }
    pub(crate) fn code(&self) -> Option<Reason> {
        self.code
    }
    pub(crate) fn detail(&self) -> Option<&'static str> {
        self.detail
    }
    pub(crate) fn credential(&self) -> Option<&Arc<Credential>> {
        self.credential.as_ref()
    }

    /// Whether it can be sent as it is: nothing in it can be read as more than one field.
    fn is_sound(&self) -> bool {
        let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let name = |n: &str| !n.is_empty() && n.bytes().all(token);
        let ours =
            |n: &str| OURS.contains(&n) || n.starts_with("doorward-") || n.starts_with("access-control-");
        let value = |v: &str| v.bytes().all(|b| matches!(b, b' '..=b'~'));
        (200..600).contains(&self.status) && self.fields.iter().all(|(n, v)| name(n) && !ours(n) && value(v))
    }
}

/// What becomes of a request that is answered here: an answer of the endpoint's own, or a refusal that is told in the
/// API's own style.
pub type Answered = Result<LocalAnswer, Refusal>;

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// Answers requests in the place of an upstream.
pub trait Local: Send + Sync {
    /// Answers a request. Whoever asks may be gone before it is done; it goes on all the same.
    fn answer(self: Arc<Self>, request: LocalRequest) -> Answering;
}

/// What came back, as far as it can be sent. `None`: the endpoint has failed.
pub(crate) fn judged(came: Option<Answered>) -> Answered {
    match came {
        Some(Ok(answer)) if !answer.is_sound() => {
            tracing::error!(status = answer.status, "an answer of this node's own can't be sent");
            Err(Refusal::new(Reason::Unavailable, "local-answer"))
        }
        Some(answered) => answered,
        None => Err(Refusal::new(Reason::Unavailable, "local-failed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever an endpoint puts into a field, it stays one field.
    #[test]
    fn an_answer_that_would_split_is_never_sent() {
        let with = |name: &'static str, value: &str| {
            let answer = LocalAnswer::new(200).field(name, value);
            judged(Some(Ok(answer))).map(|a| a.status()).map_err(|r| r.detail)
        };
        assert_eq!(with("www-authenticate", "Basic realm=\"x\""), Ok(200));
        for value in ["a\r\nset-cookie: b", "a\nb", "a\rb", "a\0", "a\tb", "\u{7f}", "\u{e9}"] {
            assert_eq!(with("x", value), Err("local-answer"), "{value:?}");
        }
        for name in [
            "",
            "X",
            "a b",
            "a:",
            "a\r\nb",
            "content-length",
            "transfer-encoding",
            "doorward-code",
            "access-control-allow-origin",
        ] {
            assert_eq!(with(name, "1"), Err("local-answer"), "{name:?}");
        }
        for status in [0, 100, 101, 199, 600, 999] {
            assert!(judged(Some(Ok(LocalAnswer::new(status)))).is_err(), "{status}");
        }
        assert_eq!(judged(None).err().map(|r| r.detail), Some("local-failed"));
    }
}
