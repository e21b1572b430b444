//! What this program answers by itself in the place of an upstream: the token server's endpoints.
use doorward_control::oauth::{Answer, Asked, Server};
use doorward_gateway::{Answering, FieldLine, Local, LocalAnswer, LocalRequest};
use std::sync::Arc;

/// The token server, as the gateway sees it.
#[derive(Debug)]
pub(crate) struct Tokens(pub(crate) Server);

impl Local for Tokens {
    fn answer(self: Arc<Self>, request: LocalRequest) -> Answering {
        Box::pin(async move { self.0.answer(&asked(request)).await.map(answer) })
    }
}

fn asked(request: LocalRequest) -> Asked {
    let all = |name: &str| {
        let named =
            request.fields.iter().filter(|(n, _): &&FieldLine| n.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| value.clone()).collect()
    };
    Asked {
        endpoint: request.endpoint,
        content_types: all("content-type"),
        authorizations: all("authorization"),
        api: request.api,
        dialect: request.dialect,
        head_only: *request.method == *b"HEAD",
        query: request.query,
        body: request.body,
        client: request.client,
        now: request.now,
        proved: request.credential,
    }
}

fn answer(from: Answer) -> LocalAnswer {
    let mut to = LocalAnswer::new(from.status);
    for (name, value) in from.fields {
        to = to.field(name, value);
    }
    if let Some(content_type) = from.content_type {
        to = to.body(content_type, from.body);
    }
    if let Some((code, detail)) = from.refused {
        to = to.refusing(code, detail);
    }
    match from.credential {
        Some(credential) => to.to(credential),
        None => to,
    }
}
