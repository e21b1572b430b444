//! Where the providers of captchas are asked.
use crate::url::Url;
use doorward_core::document::Table;

/// The addresses of the providers; tests and demos have their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaptchaUrls {
    pub(crate) recaptcha: Url,
    pub(crate) hcaptcha: Url,
    pub(crate) turnstile: Url,
}

const RECAPTCHA: &str = "https://www.google.com/recaptcha/api/siteverify";
const HCAPTCHA: &str = "https://api.hcaptcha.com/siteverify";
const TURNSTILE: &str = "https://challenges.cloudflare.com/turnstile/v0/siteverify";

impl Default for CaptchaUrls {
    fn default() -> CaptchaUrls {
        let own = |text| Url::parse(text).expect("it is an address");
        CaptchaUrls { recaptcha: own(RECAPTCHA), hcaptcha: own(HCAPTCHA), turnstile: own(TURNSTILE) }
    }
}

/// An address that secrets may be sent to: over TLS, or to this machine.
pub(crate) fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)?;
    let here = url.name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if url.secure || here {
        Ok(url)
    } else {
        Err(format!(
            "`{text}`: secrets are sent there, so write https://; http:// is for addresses of this machine"
        ))
    }
}

/// Reads the section.
pub(super) fn read(table: &Table<'_, '_>) -> CaptchaUrls {
    let own = CaptchaUrls::default();
    let url = |key, own: Url| table.parsed(key, address).unwrap_or(own);
    CaptchaUrls {
        recaptcha: url("recaptcha_url", own.recaptcha),
        hcaptcha: url("hcaptcha_url", own.hcaptcha),
        turnstile: url("turnstile_url", own.turnstile),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_nowhere_in_the_clear() {
        assert!(address("https://verify.example/x").is_ok());
        for here in ["http://127.0.0.1:7/x", "http://[::1]/x"] {
            assert!(address(here).is_ok(), "{here}");
        }
        for bad in
            ["http://verify.example/x", "http://localhost/x", "http://10.0.0.1/", "ftp://x", "verify.example"]
        {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert_eq!(CaptchaUrls::default().hcaptcha.name, "api.hcaptcha.com");
    }
}
