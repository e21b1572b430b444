//! The demo's own provider of captchas: a response `pass-<anything>` passes once.
use super::policy::{PRODUCTION, SANDBOX};
use crate::config::CaptchaUrls;
use crate::place::Opened;
use crate::url::Url;
use crate::{Failure, clock};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Router, http};
use doorward_control::actions::captcha::{self, CaptchaWanted};
use doorward_core::captcha::Provider;
use doorward_core::schemes::escher::SigningSecret;
use serde_json::json;
use std::collections::{HashSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The host of the page that shows the demo's captchas.
const PAGE: &str = "shop.example";
/// The demo's workspaces are known by it.
const SECRET: &str = "demo-captcha-secret";
/// Most bytes of a question.
const MAX_QUESTION_BYTES: usize = 64 * 1024;
/// Responses that are remembered.
const MAX_USED: usize = 10_000;

#[derive(Default)]
struct Used {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Used {
    /// Whether it is the first time.
    fn first(&mut self, response: &str) -> bool {
        if !self.known.insert(response.to_owned()) {
            return false;
        }
        self.order.push_back(response.to_owned());
        if self.order.len() > MAX_USED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// Starts it on a free port, and has the demo's workspaces ask it; where it is, for every provider.
///
/// # Errors
/// What the system or the store says.
pub(super) async fn start(opened: &Opened) -> Result<(CaptchaUrls, JoinHandle<()>), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let at = listener.local_addr()?;
    let used = Arc::new(Mutex::new(Used::default()));
    let router = Router::new().route("/siteverify", post(verify)).with_state(used);
    let serving = tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, router).await {
            tracing::error!("the demo's provider of captchas ended: {e}");
        }
    });
    let desk = opened.desk(super::credentials::ACTOR);
    for workspace in [PRODUCTION, SANDBOX] {
        if captcha::show(desk, workspace).await?.is_some() {
            continue;
        }
        let wanted = CaptchaWanted {
            workspace: workspace.to_owned(),
            provider: Provider::Recaptcha,
            hostnames: vec![PAGE.to_owned()],
            secret: SigningSecret::new(SECRET.as_bytes()),
        };
        captcha::set(desk, wanted).await?;
    }
    let url = Url::parse(&format!("http://{at}/siteverify"))?;
    Ok((CaptchaUrls { recaptcha: url.clone(), hcaptcha: url.clone(), turnstile: url }, serving))
}

/// A field of a form, where it holds nothing that would be encoded.
fn plain<'f>(form: &'f str, name: &str) -> &'f str {
    let mut fields = form.split('&').filter_map(|field| field.split_once('='));
    fields.find(|(n, _)| *n == name).map_or("", |(_, value)| value)
}

async fn verify(State(used): State<Arc<Mutex<Used>>>, request: Request<Body>) -> Response {
    let Ok(bytes) = to_bytes(request.into_body(), MAX_QUESTION_BYTES).await else {
        return http::StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let form = String::from_utf8_lossy(&bytes);
    let response = plain(&form, "response");
    let code = match () {
        () if plain(&form, "secret") != SECRET => "invalid-input-secret",
        () if !response.starts_with("pass-") => "invalid-input-response",
        () if !used.lock().unwrap_or_else(PoisonError::into_inner).first(response) => "timeout-or-duplicate",
        () => {
            let told = json!({ "success": true, "challenge_ts": clock::now().to_string(), "hostname": PAGE });
            return ([(header::CONTENT_TYPE, "application/json")], told.to_string()).into_response();
        }
    };
    let told = json!({ "success": false, "error-codes": [code] });
    ([(header::CONTENT_TYPE, "application/json")], told.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_remembered_up_to_a_number() {
        let mut used = Used::default();
        assert!(used.first("pass-1") && !used.first("pass-1"));
        for n in 0..MAX_USED {
            assert!(used.first(&n.to_string()));
        }
        assert_eq!((used.known.len(), used.order.len()), (MAX_USED, MAX_USED));
        assert_eq!(plain("secret=s&response=pass-1", "response"), "pass-1");
        assert_eq!(plain("secret=s", "response"), "");
    }
}
