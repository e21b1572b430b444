//! Callers that sign.
use super::actor::Actor;
use super::client::HOST;
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::schemes::escher::{self, Config, How, SigningSecret, ToSign};
use doorward_core::time::UnixMillis;
use std::time::{SystemTime, UNIX_EPOCH};

/// Somebody who signs for gateways of the region `us`, under the names of its credential's dialect.
pub(crate) struct Signer {
    config: Config,
    signer: escher::Signer,
}

/// The machine's clock.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    UnixMillis(i64::try_from(since.as_millis()).expect("long before"))
}

impl Signer {
    pub(crate) fn of(actor: &Actor) -> Signer {
        let config = match actor.dialect.as_str() {
            "antavo" => Config::antavo("us/api/antavo_request"),
            _ => Config::aws4("us-east-1/execute-api/aws4_request"),
        };
        let secret = SigningSecret::new(actor.secret.as_bytes());
        Signer { config: config.expect("a scope"), signer: escher::Signer { id: actor.id.clone(), secret } }
    }

    fn to_sign(method: &str, target: &str, body: &[u8]) -> ToSign {
        ToSign {
            method: method.to_owned(),
            host: HOST.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: BodyDigest::of(Hash::Sha256, body),
        }
    }

    /// A request, signed at `at`.
    pub(crate) fn request(&self, method: &str, target: &str, body: &[u8], at: UnixMillis) -> Vec<u8> {
        let how = How { payload_field: true, ..How::default() };
        let signed = escher::sign(&self.config, &self.signer, &Self::to_sign(method, target, body), &how, at);
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n");
        for (name, value) in signed.expect("it can be signed").headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }

    /// A request without a body, signed now.
    pub(crate) fn get(&self, target: &str) -> Vec<u8> {
        self.request("GET", target, b"", now())
    }

    /// A request to an address that is signed in its query, good for ten minutes.
    pub(crate) fn get_address(&self, target: &str) -> String {
        let req = Self::to_sign("GET", target, b"");
        let signed = escher::presign(&self.config, &self.signer, &req, &How::default(), 600, now());
        format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", signed.expect("it can be signed").target)
    }
}
