//! Requests for tests.
use doorward_core::decide::Refusal;
use doorward_core::request::{Field, FieldKind, RequestView, Span, Transport};
use doorward_core::schemes::Outgoing;
use doorward_core::schemes::avanan::{self, Covers, Presented};
use doorward_core::schemes::escher::SigningSecret;
use doorward_core::time::UnixMillis;

/// A request as it stands on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Http {
    /// With the four fields that are signed with.
    pub(crate) fn new(target: &str, req_id: &str, app_id: &str, date: &str, sig: &str) -> Http {
        let fields =
            [("x-av-req-id", req_id), ("x-av-app-id", app_id), ("x-av-date", date), ("x-av-sig", sig)];
        let fields = fields.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        Http { target: target.to_owned(), fields }
    }

    pub(crate) fn of(out: Outgoing) -> Http {
        Http { target: out.target, fields: out.headers }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Http {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Http {
        self.fields.retain(|(n, _)| n != name);
        self
    }

    pub(crate) fn set(self, name: &str, value: &str) -> Http {
        self.without(name).with(name, value)
    }

    pub(crate) fn view<R>(&self, look: impl FnOnce(&RequestView<'_>) -> R) -> R {
        let raw: String = self.fields.iter().flat_map(|(n, v)| [n.as_str(), v.as_str()]).collect();
        let mut at = 0;
        let mut span = |part: &str| {
            at += part.len();
            Span::of(raw.as_bytes(), &raw.as_bytes()[at - part.len()..at])
        };
        let fields: Vec<Field> = self
            .fields
            .iter()
            .map(|(n, v)| Field { name: span(n), value: span(v), kind: FieldKind::Other })
            .collect();
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes())),
            None => (&*self.target, None),
        };
        look(&RequestView {
            raw: raw.as_bytes(),
            method: b"GET",
            path: path.as_bytes(),
            query,
            host: b"api.example",
            fields: &fields,
            client: None,
            transport: Transport::Secure,
            now: UnixMillis(0),
        })
    }

    /// What was found.
    pub(crate) fn detected<R>(&self, look: impl FnOnce(Result<Option<Presented<'_>>, Refusal>) -> R) -> R {
        self.view(|req| look(avanan::detect(req)))
    }

    /// What is proved with a secret; the fact for the log where nothing is.
    pub(crate) fn judge(&self, or_nothing: bool, secret: Option<&str>) -> Result<Covers, &'static str> {
        let secret = secret.map(|s| SigningSecret::new(s.as_bytes()));
        self.view(|req| {
            let presented = avanan::detect(req).map_err(|r| r.detail)?.ok_or("none")?;
            avanan::verify(&presented, req, or_nothing, secret.as_ref()).map_err(|r| r.detail)
        })
    }
}
