//! What needs no store: reading requests, and the words for what is wrong with them. The rest is told through sockets.
mod bodies;
mod parsing;
mod seen;

use super::Asked;
use doorward_core::dialect::Dialect;
use doorward_core::policy::Endpoint;
use doorward_core::time::UnixMillis;

/// A request with a form.
fn post(body: &str) -> Asked {
    Asked {
        endpoint: Endpoint::Token,
        api: "own".into(),
        dialect: Dialect::named("standard").unwrap(),
        head_only: false,
        query: None,
        content_types: vec![b"application/x-www-form-urlencoded".as_slice().into()],
        authorizations: Vec::new(),
        body: body.as_bytes().to_vec(),
        client: None,
        now: UnixMillis(0),
        proved: None,
    }
}
