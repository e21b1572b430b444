//! Callers that hold a credential.
use super::client::HOST;
use serde_json::Value;

/// Somebody who calls.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) workspace: String,
    pub(crate) kind: String,
    pub(crate) dialect: String,
    pub(crate) id: String,
    pub(crate) secret: String,
    /// Sent with every request of a publishable key.
    pub(crate) origin: Option<String>,
}

impl Actor {
    /// From a line of `credential create --json`.
    pub(crate) fn from_row(row: &Value) -> Actor {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let origin = row["origins"][0].as_str().filter(|o| o.contains("://")).map(str::to_owned);
        let (workspace, kind, dialect) = (text("workspace"), text("kind"), text("dialect"));
        Actor { workspace, kind, dialect, id: text("id"), secret: text("secret"), origin }
    }

    /// Somebody with another secret.
    pub(crate) fn with_secret(&self, secret: &str) -> Actor {
        Actor { secret: secret.to_owned(), ..self.clone() }
    }

    /// Somebody with another id.
    pub(crate) fn with_id(&self, id: &str) -> Actor {
        Actor { id: id.to_owned(), ..self.clone() }
    }

    /// The same, calling from elsewhere.
    pub(crate) fn at(&self, origin: Option<&str>) -> Actor {
        Actor { origin: origin.map(str::to_owned), ..self.clone() }
    }

    /// The header lines that carry the credential, each with its CRLF.
    pub(crate) fn lines(&self) -> String {
        let Actor { id, secret, .. } = self;
        match (self.dialect.as_str(), self.kind.as_str()) {
            ("voucherify", "client") => {
                let origin = self.origin.as_ref().map(|o| format!("Origin: {o}\r\n")).unwrap_or_default();
                format!("X-Client-Application-Id: {id}\r\nX-Client-Token: {secret}\r\n{origin}")
            }
            ("voucherify", _) => format!("X-App-Id: {id}\r\nX-App-Token: {secret}\r\n"),
            ("standard", _) => format!("X-API-Key: {id}.{secret}\r\n"),
            _ => String::new(),
        }
    }

    /// The target with the credential in its query, where the dialect puts it there.
    pub(crate) fn target(&self, target: &str) -> String {
        if self.dialect != "antavo" {
            return target.to_owned();
        }
        let separator = if target.contains('?') { '&' } else { '?' };
        format!("{target}{separator}api_key={}", self.id)
    }

    /// A request without a body.
    pub(crate) fn request(&self, method: &str, target: &str, lines: &str) -> String {
        format!("{method} {} HTTP/1.1\r\nHost: {HOST}\r\n{}{lines}\r\n", self.target(target), self.lines())
    }

    pub(crate) fn get(&self, target: &str) -> String {
        self.request("GET", target, "")
    }

    /// A request with a body of known length.
    pub(crate) fn post(&self, target: &str, body: &[u8]) -> Vec<u8> {
        let head = self.request("POST", target, &format!("Content-Length: {}\r\n", body.len()));
        [head.as_bytes(), body].concat()
    }

    /// A request with a chunked body, already framed.
    pub(crate) fn post_chunks(&self, target: &str, chunks: &[u8]) -> Vec<u8> {
        let head = self.request("POST", target, "Transfer-Encoding: chunked\r\n");
        [head.as_bytes(), chunks].concat()
    }
}
