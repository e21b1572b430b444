//! `avanan`: a request is signed with a secret that is never sent, by a plain SHA-256 over fields that stand side by side.
//!
//! `x-av-sig` is the lower-case hexadecimal SHA-256 of the base64 text of `x-av-req-id`, `x-av-app-id`, `x-av-date`, the
//! request's target (path, `?` and query as sent) and the secret, joined without a separator. Only the request for a token
//! may be signed without its target. Method and body are never signed.
//!
//! Since nothing separates the fields, what may stand in them is checked before anything is hashed: then one text can be
//! taken apart in one way only. [`detect`] does that, [`check_time`] judges the date, [`verify`] the signature, in constant
//! time and with the same steps where the id is unknown. [`sign`] is their mirror: `verify(detect(sign(r)))` is Ok.
//!
//! Beside the signature, each request carries a token in `x-av-token`. It is no part of what is signed, and judged elsewhere:
//! see [`Presented::token`].
use crate::canonical::unhex;
use crate::decide::Refusal;
use crate::reason::Reason;
use crate::request::RequestView;
use crate::schemes::escher::SigningSecret;
use crate::time::UnixMillis;
use aws_lc_rs::{constant_time, digest};
use smallvec::SmallVec;
use std::fmt;

mod base64;
mod detect;
mod sign;

pub use detect::{detect, is_app_id};
pub use sign::{DateForm, ToSign, sign};

/// How far a date may be from now, in either direction, in milliseconds.
pub const SKEW_MS: u32 = 300_000;
/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The field with the id of the request: 8 to 64 hexadecimal digits and dashes, once only.
pub(crate) const REQ_ID: &str = "x-av-req-id";
/// The field with the id of the caller.
pub(crate) const APP_ID: &str = "x-av-app-id";
/// The field with the date.
pub(crate) const DATE: &str = "x-av-date";
/// The field with the signature.
pub(crate) const SIG: &str = "x-av-sig";
/// The field with the token.
pub(crate) const TOKEN: &str = "x-av-token";
/// All of them.
pub(crate) const FIELDS: [&str; 5] = [REQ_ID, APP_ID, DATE, SIG, TOKEN];

/// What is hashed where nobody is known. It proves nothing: who has no secret has no proof.
const NOBODY: &[u8] = b"................................";
/// What stands for the secret where the text is shown.
const HIDDEN: &str = "<secret>";

/// What a signature covers beside id, caller and date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// Path and query.
    Target,
    /// Nothing: good only where a token is given.
    Nothing,
}

/// A signature as presented, not yet proved.
#[derive(Clone)]
pub struct Presented<'a> {
    req_id: &'a str,
    app_id: &'a str,
    date_text: &'a str,
    date: UnixMillis,
    signature: [u8; 32],
    token: Option<&'a str>,
}

/// Shows neither id nor signature nor token.
impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(avanan)")
    }
}

impl<'a> Presented<'a> {
    /// The id of who claims to have signed, the region before it included: `US:myapp29`.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.app_id
    }
    /// The region that the id begins with, as sent: `US`.
    #[must_use]
    pub fn region(&self) -> Option<&'a str> {
        self.app_id.split_once(':').map(|(region, _)| region)
    }
    /// The id of the request; with the credential, it names this request.
    #[must_use]
    pub fn req_id(&self) -> &'a str {
        self.req_id
    }
    /// The instant that was signed, cut to milliseconds.
    #[must_use]
    pub fn date(&self) -> UnixMillis {
        self.date
    }
    /// The token, where one was sent that is not empty. The signature says nothing about it.
    #[must_use]
    pub fn token(&self) -> Option<&'a str> {
        self.token
    }

    /// What was hashed, as it may be shown: the secret at its end is hidden.
    #[must_use]
    pub fn displayable(&self, req: &RequestView<'_>, covers: Covers) -> String {
        let text = self.text(req, covers, HIDDEN.as_bytes());
        text.escape_ascii().to_string()
    }

    /// What is hashed once it is written as base64. Whoever gets it has the secret.
    fn text(&self, req: &RequestView<'_>, covers: Covers, secret: &[u8]) -> Text {
        let mut text = Text::new();
        for part in [self.req_id, self.app_id, self.date_text] {
            text.extend_from_slice(part.as_bytes());
        }
        if covers == Covers::Target {
            text.extend_from_slice(req.path);
            if let Some(query) = req.query {
                text.push(b'?');
                text.extend_from_slice(query);
            }
        }
        text.extend_from_slice(secret);
        text
    }
}

type Text = SmallVec<[u8; 512]>;

/// The signature over a text.
fn signature(text: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, &base64::encode(text))
}

/// Whether the date is within [`SKEW_MS`] of `now`, in either direction, both ends included.
///
/// # Errors
/// `signature_expired`.
pub fn check_time(presented: &Presented<'_>, now: UnixMillis) -> Result<(), Refusal> {
    let (date, skew_ms) = (presented.date, i64::from(SKEW_MS));
    let (detail, side) = match now {
        _ if now < date.plus_ms(-skew_ms) => ("date-ahead", "ahead of"),
        _ if now > date.plus_ms(skew_ms) => ("date-behind", "behind"),
        _ => return Ok(()),
    };
    let away_s = (now.0 - date.0).unsigned_abs() / 1000;
    let note = format!("The signature is dated {date} and is {away_s} s {side} this server's clock ({now}).");
    Err(Refusal::new(Reason::SignatureExpired, detail).saying(note))
}

/// Whether the signature is that of this request by who has `secret`, and what it covers. `or_nothing`: one that does not
/// cover the target is good as well. Unknown ids have no secret: the same steps are taken, with the same answer as for a
/// wrong signature.
///
/// # Errors
/// `signature_invalid`.
pub fn verify(
    presented: &Presented<'_>,
    req: &RequestView<'_>,
    or_nothing: bool,
    secret: Option<&SigningSecret>,
) -> Result<Covers, Refusal> {
    let known = secret.is_some();
    let secret = secret.map_or(NOBODY, SigningSecret::as_bytes);
    let fits = |covers| {
        let own = signature(&presented.text(req, covers, secret));
        constant_time::verify_slices_are_equal(own.as_ref(), &presented.signature).is_ok()
    };
    // Each of them is tried, whatever came of the one before.
    let whole = fits(Covers::Target);
    let short = or_nothing && fits(Covers::Nothing);
    match (known, whole, short) {
        (true, true, _) => Ok(Covers::Target),
        (true, _, true) => Ok(Covers::Nothing),
        (true, ..) => Err(Refusal::new(Reason::SignatureInvalid, "wrong-signature")),
        _ => Err(Refusal::new(Reason::SignatureInvalid, "unknown")),
    }
}

fn read_signature(text: &[u8]) -> Option<[u8; 32]> {
    unhex(text)?[..].try_into().ok()
}
