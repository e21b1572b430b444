//! One question to a provider: one connection, one POST, one small answer in JSON. Nothing is followed and nothing is
//! sent twice.
use crate::config::CaptchaUrls;
use crate::url::Url;
use doorward_core::captcha::{MAX_ANSWER_BYTES, Provider, Response, Settings};
use doorward_gateway::tls::client_config;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Most bytes of the head of an answer.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most fields of it.
const MAX_FIELDS: usize = 100;

/// Knows where providers are.
pub(super) struct Client {
    urls: CaptchaUrls,
    tls: TlsConnector,
}

/// A failure as a fact for the log; what the other side said stays out of it.
type Fact = &'static str;

impl Client {
    pub(super) fn new(urls: CaptchaUrls, roots: RootCertStore) -> Client {
        Client { urls, tls: TlsConnector::from(client_config(Arc::new(roots))) }
    }

    /// Asks a provider about a response, and returns what it answers.
    pub(super) async fn ask(&self, settings: &Settings, response: &Response) -> Result<Bytes, Fact> {
        let url = match settings.provider {
            Provider::Recaptcha => &self.urls.recaptcha,
            Provider::Hcaptcha => &self.urls.hcaptcha,
            Provider::Turnstile => &self.urls.turnstile,
        };
        let form = form(settings, response);
        let tcp = TcpStream::connect((&*url.name, url.port)).await.map_err(|_| "captcha-no-connection")?;
        if !url.secure {
            return post(TokioIo::new(tcp), url, form).await;
        }
        let name = ServerName::try_from(url.name.clone()).map_err(|_| "captcha-no-connection")?;
        let tls = self.tls.connect(name, tcp).await.map_err(|_| "captcha-no-tls")?;
        post(TokioIo::new(tls), url, form).await
    }
}

/// `application/x-www-form-urlencoded`, as all of them read it.
fn form(settings: &Settings, response: &Response) -> String {
    let mut form = String::new();
    push(&mut form, "secret", settings.secret.as_bytes());
    push(&mut form, "response", response.text.as_bytes());
    if let Some(client) = response.client {
        push(&mut form, "remoteip", client.to_canonical().to_string().as_bytes());
    }
    form
}

fn push(form: &mut String, name: &str, value: &[u8]) {
    if !form.is_empty() {
        form.push('&');
    }
    form.push_str(name);
    form.push('=');
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-._".contains(byte) {
            form.push(char::from(*byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(form, "%{byte:02X}");
        }
    }
}

async fn post<I>(io: TokioIo<I>, url: &Url, form: String) -> Result<Bytes, Fact>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_FIELDS);
    let (mut sender, connection) = builder.handshake(io).await.map_err(|_| "captcha-no-connection")?;
    let request = Request::post(url.target.as_str())
        .header(HOST, url.host.as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "doorward")
        .header(CONNECTION, "close")
        .body(Full::new(Bytes::from(form)))
        .map_err(|_| "captcha-no-request")?;
    // Both live here, so that whoever gives up leaves nothing behind.
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|_| "captcha-no-answer")?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => return Err("captcha-redirect"),
            _ => return Err("captcha-odd-status"),
        }
        let kind = answer.headers().get(CONTENT_TYPE).map_or(b"".as_slice(), |value| value.as_bytes());
        let kind = kind.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        if !kind.eq_ignore_ascii_case(b"application/json") {
            return Err("captcha-not-json");
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        body.map(|body| body.to_bytes()).map_err(|_| "captcha-answer-broken")
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // It may end once all of the answer is there.
        _ = &mut connection => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::schemes::escher::SigningSecret;

    #[test]
    fn nothing_of_a_response_ends_its_field() {
        let settings = Settings {
            provider: Provider::Recaptcha,
            hostnames: Box::default(),
            secret: SigningSecret::new(b"s&=+ %"),
        };
        let response = Response {
            workspace: "w".into(),
            text: "a&secret=b+c%".into(),
            client: Some("::ffff:192.0.2.1".parse().unwrap()),
        };
        assert_eq!(
            form(&settings, &response),
            "secret=s%26%3D%2B%20%25&response=a%26secret%3Db%2Bc%25&remoteip=192.0.2.1"
        );
    }
}
