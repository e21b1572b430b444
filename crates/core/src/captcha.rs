//! Captchas: a page shows a puzzle, whoever solves it gets a response from the provider, and the provider says once
//! whether a response is good. reCAPTCHA v2 (developers.google.com/recaptcha/docs/verify), hCaptcha and Turnstile are asked
//! and answer in the same way.
use crate::request::{Lookup, RequestView};
use crate::schemes::escher::SigningSecret;
use crate::time::UnixMillis;
use serde::Deserialize;
use std::net::IpAddr;

/// The header field that a response is sent in, in lower case.
pub const HEADER: &str = "captcharesponse";
/// Longest response, in bytes: several times what providers give out.
pub const MAX_RESPONSE_BYTES: usize = 8_192;
/// How old a solved puzzle may be, in milliseconds: two minutes. Providers let it be used for as long.
pub const MAX_AGE_MS: u32 = 120_000;
/// How far the provider's clock may be ahead, in milliseconds.
pub const MAX_AHEAD_MS: u32 = 30_000;
/// Most bytes of a provider's answer; a good one has some hundred.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Most hosts of pages that a workspace may have its puzzles on.
pub const MAX_HOSTNAMES: usize = 100;

/// Who says whether a puzzle was solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Google's reCAPTCHA v2.
    Recaptcha,
    /// hCaptcha.
    Hcaptcha,
    /// Cloudflare's Turnstile.
    Turnstile,
}

impl Provider {
    /// Each of them.
    pub const ALL: [Provider; 3] = [Provider::Recaptcha, Provider::Hcaptcha, Provider::Turnstile];

    /// As operators write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Provider::Recaptcha => "recaptcha",
            Provider::Hcaptcha => "hcaptcha",
            Provider::Turnstile => "turnstile",
        }
    }

    /// Reads what operators write.
    ///
    /// # Errors
    /// A sentence for them.
    pub fn parse(text: &str) -> Result<Provider, String> {
        let found = Provider::ALL.into_iter().find(|provider| provider.name() == text);
        found.ok_or_else(|| {
            format!("`{text}` is not a provider of captchas; there are recaptcha, hcaptcha and turnstile")
        })
    }
}

/// Secrets that providers publish for tests: anybody's response passes, or has a known end. Those of one are none of
/// another's, but nobody has use for them there.
const TEST_SECRETS: [&[u8]; 5] = [
    b"6LeIxAcTAAAAAGG-vFI1TnRWxMZNFuojJ4WifJWe",
    b"0x0000000000000000000000000000000000000000",
    b"1x0000000000000000000000000000000AA",
    b"2x0000000000000000000000000000000AA",
    b"3x0000000000000000000000000000000AA",
];

/// Whether a secret is one that providers publish for tests. In production it would let everybody pass.
#[must_use]
pub fn is_test_secret(secret: &[u8]) -> bool {
    TEST_SECRETS.contains(&secret)
}

/// The host of a page, as providers tell it: a name or an address in lower case, without a port.
///
/// # Errors
/// A sentence for an operator.
pub fn hostname(text: &str) -> Result<String, String> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if text.is_empty() || text.len() > 253 || !text.bytes().all(ok) || text.starts_with('.') {
        return Err(format!(
            "`{text}` is not the name of a host; write it without scheme, port, path and `*`"
        ));
    }
    Ok(text.to_ascii_lowercase())
}

/// What a workspace has its puzzles checked with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// By whom.
    pub provider: Provider,
    /// The hosts of the pages where its puzzles are shown, in lower case.
    pub hostnames: Box<[Box<str>]>,
    /// The secret that the provider knows the workspace by.
    pub secret: SigningSecret,
}

/// A response to a puzzle, to be checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The workspace whose puzzle it was.
    pub workspace: Box<str>,
    /// The response.
    pub text: Box<str>,
    /// From where the caller calls, where that is known.
    pub client: Option<IpAddr>,
}

/// Shows no response: it passes once.
impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "captcha::Response({})", self.workspace)
    }
}

/// What is known of a response. The texts are facts for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The puzzle was solved.
    Passed {
        /// When, by the provider's clock.
        at: UnixMillis,
    },
    /// It was not, or not here, or not just now.
    Failed(&'static str),
    /// Nobody knows: the provider is away, or its answer is none.
    Unavailable(&'static str),
}

/// The response that a request has; `Err`: what is wrong with it.
///
/// # Errors
/// A fact for the log.
pub fn of_request<'a>(req: &RequestView<'a>) -> Result<Option<&'a str>, &'static str> {
    let value = match req.field(HEADER) {
        Lookup::Absent | Lookup::One(b"") => return Ok(None),
        Lookup::One(value) => value,
        Lookup::Repeated => return Err("captcha-repeated"),
    };
    if value.len() > MAX_RESPONSE_BYTES {
        return Err("captcha-oversized");
    }
    let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_graphic()));
    text.map(Some).ok_or("captcha-odd-text")
}

/// A provider's answer. Where a member is there twice, it is none.
#[derive(Deserialize)]
struct Answer {
    success: bool,
    challenge_ts: Option<String>,
    hostname: Option<String>,
    #[serde(rename = "error-codes")]
    error_codes: Option<Vec<String>>,
}

/// What a provider's answer is worth at `now`: `success`, for a page of one of these hosts, solved less than
/// [`MAX_AGE_MS`] ago.
#[must_use]
pub fn judge(answer: &[u8], hostnames: &[Box<str>], now: UnixMillis) -> Verdict {
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else {
        return Verdict::Unavailable("captcha-strange-answer");
    };
    if !answer.success {
        let codes = answer.error_codes.unwrap_or_default();
        let has = |code: &str| codes.iter().any(|told| told == code);
        return match () {
            () if has("missing-input-secret") || has("invalid-input-secret") => {
                Verdict::Unavailable("captcha-secret-unknown")
            }
            () if has("timeout-or-duplicate") => Verdict::Failed("captcha-late-or-used"),
            () => Verdict::Failed("captcha-not-solved"),
        };
    }
    // Where nothing is told, nothing is known of it.
    let Some(host) = answer.hostname else { return Verdict::Failed("captcha-no-hostname") };
    if !hostnames.iter().any(|known| host.eq_ignore_ascii_case(known)) {
        return Verdict::Failed("captcha-other-hostname");
    }
    let Some(at) = answer.challenge_ts.as_deref().and_then(instant) else {
        return Verdict::Failed("captcha-no-time");
    };
    match now {
        _ if now >= at.plus_ms(i64::from(MAX_AGE_MS)) => Verdict::Failed("captcha-too-old"),
        _ if now < at.plus_ms(-i64::from(MAX_AHEAD_MS)) => Verdict::Failed("captcha-from-the-future"),
        _ => Verdict::Passed { at },
    }
}

/// An instant of RFC 3339, or with the offset of ISO 8601 that has no colon.
fn instant(text: &str) -> Option<UnixMillis> {
    const MINUTE_MS: i64 = 60_000;
    if text.ends_with('Z') {
        return UnixMillis::parse(text);
    }
    let time = text.find('T')?;
    let at = time + text[time..].rfind(['+', '-'])?;
    let (local, offset) = text.split_at(at);
    let digits: String = offset[1..].split(':').collect();
    let plain = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    let number: i64 = digits.parse().ok().filter(|_| plain)?;
    let minutes = Some(number / 100 * 60 + number % 100).filter(|n| number % 100 < 60 && *n < 24 * 60)?;
    let ahead = if offset.starts_with('-') { -minutes } else { minutes };
    Some(UnixMillis::parse(&format!("{local}Z"))?.plus_ms(-ahead * MINUTE_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_285_931_000);

    fn judged(answer: &str) -> Verdict {
        judge(answer.as_bytes(), &["shop.example".into(), "10.0.0.1".into()], NOW)
    }

    fn solved(host: &str, at: &str) -> Verdict {
        judged(&format!(r#"{{"success":true,"challenge_ts":"{at}","hostname":"{host}","x":[1]}}"#))
    }

    #[test]
    fn a_solved_puzzle_of_a_known_host_passes_for_two_minutes() {
        let at = |ms: i64| NOW.plus_ms(-ms).to_string();
        for age in [0, 119_999, -30_000] {
            assert_eq!(solved("Shop.Example", &at(age)), Verdict::Passed { at: NOW.plus_ms(-age) }, "{age}");
        }
        assert_eq!(solved("shop.example", &at(120_000)), Verdict::Failed("captcha-too-old"));
        assert_eq!(solved("shop.example", &at(-30_001)), Verdict::Failed("captcha-from-the-future"));
        for host in ["", "example", "evil-shop.example", "shop.example.evil", "testkey.google.com"] {
            assert_eq!(solved(host, &at(0)), Verdict::Failed("captcha-other-hostname"), "{host}");
        }
    }

    #[test]
    fn times_are_read_as_providers_write_them() {
        let utc = instant("2026-11-21T18:32:11Z").unwrap();
        for text in ["2026-11-21T18:32:11+00:00", "2026-11-21T18:32:11-0000", "2026-11-21T20:02:11+01:30"] {
            assert_eq!(instant(text), Some(utc), "{text}");
        }
        assert_eq!(instant("2026-11-21T13:32:11.5-05:00"), Some(utc.plus_ms(500)));
        for bad in [
            "",
            "Z",
            "now",
            "2026-11-21",
            "2026-11-21T18:32:11",
            "2026-11-21T18:32:11+24:00",
            "2026-11-21T18:32:11+0",
            "2026-11-21T18:32:11+00:60",
            "1795285931",
        ] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }

    #[test]
    fn whatever_is_strange_does_not_pass() {
        use Verdict::{Failed, Unavailable};
        let strange = Unavailable("captcha-strange-answer");
        for (answer, verdict) in [
            ("", strange),
            ("<html>success</html>", strange),
            ("true", strange),
            ("[]", strange),
            ("{}", strange),
            (r#"{"success":"true"}"#, strange),
            (r#"{"success":1}"#, strange),
            (r#"{"success":null}"#, strange),
            (r#"{"success":false,"success":true}"#, strange),
            (r#"{"success":true,"hostname":"evil.example","hostname":"shop.example"}"#, strange),
            (r#"{"success":true} x"#, strange),
            (r#"{"success":true}"#, Failed("captcha-no-hostname")),
            (r#"{"success":true,"hostname":"shop.example"}"#, Failed("captcha-no-time")),
            (
                r#"{"success":true,"hostname":"shop.example","challenge_ts":"soon"}"#,
                Failed("captcha-no-time"),
            ),
            (r#"{"success":true,"apk_package_name":"app"}"#, Failed("captcha-no-hostname")),
            (r#"{"success":false}"#, Failed("captcha-not-solved")),
            (r#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#, Failed("captcha-late-or-used")),
            (
                r#"{"success":false,"error-codes":["invalid-input-secret"]}"#,
                Unavailable("captcha-secret-unknown"),
            ),
            (r#"{"success":false,"error-codes":"x"}"#, strange),
        ] {
            assert_eq!(judged(answer), verdict, "{answer}");
        }
    }

    #[test]
    fn test_secrets_and_odd_names_are_known() {
        assert!(is_test_secret(b"6LeIxAcTAAAAAGG-vFI1TnRWxMZNFuojJ4WifJWe"));
        assert!(is_test_secret(b"0x0000000000000000000000000000000000000000"));
        assert!(is_test_secret(b"1x0000000000000000000000000000000AA") && !is_test_secret(b"1x00"));
        assert_eq!(hostname("Shop.Example").unwrap(), "shop.example");
        for bad in ["", "https://shop.example", "shop.example:443", "*.example", ".example", "a b", "shop/x"]
        {
            assert!(hostname(bad).is_err(), "{bad}");
        }
        assert!(Provider::ALL.iter().all(|p| Provider::parse(p.name()) == Ok(*p)));
        assert!(Provider::parse("Recaptcha").is_err());
    }
}
