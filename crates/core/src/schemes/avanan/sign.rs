//! Signs a request that is being made: the mirror of detection and verification.
use super::detect::{date, is_app_id, is_req_id};
use super::{APP_ID, Covers, DATE, Presented, REQ_ID, SIG, TOKEN, signature};
use crate::canonical::push_hex;
use crate::request::{RequestView, Transport};
use crate::schemes::escher::Signer;
use crate::schemes::{Outgoing, SignError};
use crate::time::UnixMillis;

/// How the date is written. Clients differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateForm {
    /// `2021-04-10T00:00:00.000000`: what most clients send.
    #[default]
    Micros,
    /// `2021-04-10T00:00:00.000Z`: what the vendor's page has.
    Zulu,
    /// `2021-04-10T00:00:00`.
    Seconds,
}

impl DateForm {
    fn write(self, now: UnixMillis) -> String {
        let zulu = now.to_string();
        let zoneless = zulu.trim_end_matches('Z');
        match self {
            DateForm::Zulu => zulu,
            DateForm::Micros => format!("{zoneless}000"),
            DateForm::Seconds => zoneless.split('.').next().unwrap_or_default().to_owned(),
        }
    }
}

/// A request that is being made.
#[derive(Clone, Copy, Debug)]
pub struct ToSign<'a> {
    /// Path and query, exactly as they will be sent.
    pub target: &'a str,
    /// What is signed of it.
    pub covers: Covers,
    /// The id of the request: new each time.
    pub req_id: &'a str,
    /// How the date is written.
    pub date_form: DateForm,
}

/// Signs a request at `now`, and adds a token where there is one.
///
/// # Errors
/// [`SignError::Unsendable`]: ids, target or token have characters that can't be sent or are not signed.
pub fn sign(
    signer: &Signer,
    req: &ToSign<'_>,
    token: Option<&str>,
    now: UnixMillis,
) -> Result<Outgoing, SignError> {
    let visible = |text: &str| text.bytes().all(|b| matches!(b, 0x21..=0x7e));
    let date_text = req.date_form.write(now);
    let date = date(&date_text).ok_or(SignError::Unsendable)?;
    let sendable = is_req_id(req.req_id)
        && is_app_id(&signer.id)
        && req.target.starts_with('/')
        && visible(req.target)
        && !req.target.contains('#')
        && token.is_none_or(visible);
    if !sendable || signer.secret.as_bytes().is_empty() {
        return Err(SignError::Unsendable);
    }
    let presented = Presented {
        req_id: req.req_id,
        app_id: &signer.id,
        date_text: &date_text,
        date,
        signature: [0; 32],
        token,
    };
    let (path, query) = match req.target.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes())),
        None => (req.target, None),
    };
    let view = RequestView {
        raw: b"",
        method: b"",
        path: path.as_bytes(),
        query,
        host: b"",
        fields: &[],
        client: None,
        transport: Transport::Secure,
        now,
    };
    let mut hex = Vec::with_capacity(64);
    push_hex(&mut hex, signature(&presented.text(&view, req.covers, signer.secret.as_bytes())).as_ref());
    let hex = String::from_utf8(hex).expect("hexadecimal digits are ASCII");
    let mut headers: Vec<(String, String)> =
        [(REQ_ID, req.req_id), (APP_ID, &signer.id), (DATE, &date_text), (SIG, &hex)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    headers.extend(token.map(|token| (TOKEN.to_owned(), token.to_owned())));
    Ok(Outgoing { target: req.target.to_owned(), headers })
}
