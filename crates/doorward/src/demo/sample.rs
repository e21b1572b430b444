//! The sample upstream: answers 200 to everything, with exactly what reached it.
use crate::base64;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What reached it.
#[derive(Serialize)]
struct Reached {
    method: String,
    path: String,
    /// As sent, without the `?`.
    query: Option<String>,
    /// By name in lower case, in the order of their arrival.
    headers: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Where the body is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// Starts it on the port it had before, or on any; where it listens.
///
/// # Errors
/// What the system says.
pub(super) async fn start(before: Option<u16>) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = match before {
        Some(port) => match bind(port).await {
            Ok(listener) => listener,
            Err(_) => bind(0).await?,
        },
        None => bind(0).await?,
    };
    let at = listener.local_addr()?;
    let serving = tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, Router::new().fallback(echo)).await {
            tracing::error!("the sample upstream ended: {e}");
        }
    });
    Ok((at, serving))
}

async fn echo(request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    // The gateway limits bodies; nobody else is meant to call here.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return (StatusCode::BAD_REQUEST, "the body did not arrive\n").into_response();
    };
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str().to_owned()).or_default().push(value);
    }
    let (body, body_base64) = match String::from_utf8(bytes.to_vec()) {
        Ok(text) => (Some(text), None),
        Err(e) => (None, Some(base64::encode(e.as_bytes()))),
    };
    let reached = Reached {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers,
        body,
        body_base64,
    };
    match serde_json::to_vec(&reached) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
