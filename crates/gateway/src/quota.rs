//! What callers are told of their limits: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10,
//! structured fields of RFC 9651), and Voucherify's own fields where answers are in its style.
use crate::text::decimal;
use doorward_core::decide::Limited;
use doorward_core::dialect::ErrorStyle;
use doorward_core::limits::LimitName;
use doorward_core::time::UnixMillis;

/// Writes the field lines. Nothing is told where no limit is enforced.
pub(crate) fn fields(out: &mut Vec<u8>, limits: &[Limited], style: ErrorStyle, now: UnixMillis) {
    if limits.is_empty() {
        return;
    }
    // Pieces that are known when this is compiled are stored, not copied: it is done for every answer.
    out.extend_from_slice(b"ratelimit-policy: ");
    for (at, Limited { name, rate, .. }) in limits.iter().enumerate() {
        begin(out, at, *name);
        number(out, "q=", rate.requests().into());
        number(out, ";w=", rate.per_s().into());
    }
    out.extend_from_slice(b"\r\nratelimit: ");
    for (at, Limited { name, level, .. }) in limits.iter().enumerate() {
        begin(out, at, *name);
        number(out, "r=", level.remaining.into());
        number(out, ";t=", level.full_in_ms.div_ceil(1_000));
    }
    out.extend_from_slice(b"\r\n");
    if style == ErrorStyle::Voucherify {
        voucherify(out, limits, now);
    }
}

/// Begins an item of a list: its name, and what comes before its first parameter.
#[inline(always)]
fn begin(out: &mut Vec<u8>, at: usize, name: LimitName) {
    if at > 0 {
        out.extend_from_slice(b", ");
    }
    match name {
        LimitName::Workspace => out.extend_from_slice(b"\"workspace\";"),
        LimitName::Credential => out.extend_from_slice(b"\"credential\";"),
        LimitName::Client => out.extend_from_slice(b"\"client\";"),
    }
}

#[inline(always)]
fn number(out: &mut Vec<u8>, before: &'static str, n: u64) {
    out.extend_from_slice(before.as_bytes());
    decimal(out, n);
}

/// One limit is told: the one that refuses for longest, or else that of which the least is left.
fn voucherify(out: &mut Vec<u8>, limits: &[Limited], now: UnixMillis) {
    let tightest = limits.iter().min_by_key(|l| (l.level.remaining, u64::MAX - l.level.next_in_ms));
    let Some(Limited { rate, level, .. }) = tightest else { return };
    // When to come again, in seconds since 1970: at once where something is left.
    let again = now.plus_ms(i64::try_from(level.next_in_ms).unwrap_or(i64::MAX));
    number(out, "x-rate-limit-limit: ", rate.requests().into());
    number(out, "\r\nx-rate-limit-remaining: ", level.remaining.into());
    number(out, "\r\nx-rate-limit-retry: ", again.0.max(0).unsigned_abs().div_ceil(1_000));
    out.extend_from_slice(b"\r\n");
}

/// Whether a field of an upstream's answer says what we say ourselves.
pub(crate) fn is_ours(name: &[u8]) -> bool {
    const OURS: [&[u8]; 5] = [
        b"ratelimit",
        b"ratelimit-policy",
        b"x-rate-limit-limit",
        b"x-rate-limit-remaining",
        b"x-rate-limit-retry",
    ];
    OURS.iter().any(|own| name.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::limits::{Level, Rate};

    fn limited(name: LimitName, rate: &str, remaining: u32, next_in_ms: u64) -> Limited {
        let rate: Rate = rate.parse().unwrap();
        let level = Level { room: next_in_ms == 0, remaining, full_in_ms: 16_001, next_in_ms };
        Limited { name, rate, level }
    }

    fn told(limits: &[Limited], style: ErrorStyle) -> String {
        let mut out = Vec::new();
        fields(&mut out, limits, style, UnixMillis(1_795_285_931_000));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn limits_are_told_as_structured_fields() {
        let two = [
            limited(LimitName::Workspace, "600/60/100", 99, 0),
            limited(LimitName::Credential, "100/60", 42, 0),
        ];
        assert_eq!(
            told(&two, ErrorStyle::Problem),
            "ratelimit-policy: \"workspace\";q=600;w=60, \"credential\";q=100;w=60\r\n\
             ratelimit: \"workspace\";r=99;t=17, \"credential\";r=42;t=17\r\n"
        );
        assert_eq!(told(&[], ErrorStyle::Voucherify), "");
    }

    #[test]
    fn voucherify_is_told_of_the_tightest() {
        let fields = |limits: &[Limited]| {
            let told = told(limits, ErrorStyle::Voucherify);
            told.lines().skip(2).map(str::to_owned).collect::<Vec<_>>()
        };
        let left = limited(LimitName::Credential, "100/60", 42, 0);
        assert_eq!(
            fields(&[limited(LimitName::Workspace, "600/60", 99, 0), left]),
            ["x-rate-limit-limit: 100", "x-rate-limit-remaining: 42", "x-rate-limit-retry: 1795285931"]
        );
        let gone = limited(LimitName::Client, "5/5", 0, 1);
        let longer = limited(LimitName::Workspace, "9/9", 0, 1_001);
        assert_eq!(
            fields(&[left, gone, longer]),
            ["x-rate-limit-limit: 9", "x-rate-limit-remaining: 0", "x-rate-limit-retry: 1795285933"]
        );
    }
}
