//! What a field's name means to an intermediary.
use doorward_core::request::FieldKind;

/// Classifies a field by its name.
///
/// Many upstreams read `_`, `.` and their like as `-`. So a name that is ours, tells about the caller's address, or
/// frames the message is recognised with any octet that is no letter and no digit in place of each `-`. An alias of a
/// framing name frames nothing here: it is [`FieldKind::Hop`], so that it goes no further.
#[must_use]
pub fn kind(name: &[u8]) -> FieldKind {
    use FieldKind::{Connection, ContentLength, Expect, Forwarded, Hop, Host, TransferEncoding, Via};
    let Some(first) = name.first() else { return FieldKind::Other };
    let (lower, kind): (&[u8], FieldKind) = match (name.len(), first | 0x20) {
        (_, b'x') => return extension(name),
        (8.., b'd') => return identity(name),
        (2, b't') => (b"te", Hop),
        (3, b'v') => (b"via", Via),
        // Servers that speak CGI take it for the address of a proxy.
        (5, b'p') => (b"proxy", Hop),
        (4, b'h') => (b"host", Host),
        (6, b'e') => (b"expect", Expect),
        (7, b'u') => (b"upgrade", Hop),
        (9, b'f') => (b"forwarded", Forwarded),
        (9, b'c') => (b"client-ip", Forwarded),
        (10, b'c') => (b"connection", Connection),
        (10, b'k') => (b"keep-alive", Hop),
        (14, b'c') => (b"content-length", ContentLength),
        (14, b't') => (b"true-client-ip", Forwarded),
        (14, b'h') => (b"http2-settings", Hop),
        (15, b'f') => (b"front-end-https", Forwarded),
        (16, b'c') => (b"cf-connecting-ip", Forwarded),
        (16, b'f') => (b"fastly-client-ip", Forwarded),
        (18, b'c') => (b"cf-connecting-ipv6", Forwarded),
        (16, b'p') => (b"proxy-connection", Hop),
        (17, b't') => (b"transfer-encoding", TransferEncoding),
        (18, b'p') => (b"proxy-authenticate", Hop),
        (19, b'p') => (b"proxy-authorization", Hop),
        _ => return FieldKind::Other,
    };
    if name.eq_ignore_ascii_case(lower) {
        kind
    } else if folds_to(name, lower) {
        if kind == Forwarded { Forwarded } else { Hop }
    } else {
        FieldKind::Other
    }
}

/// `Doorward-*`. `Doorward` alone counts as well.
fn identity(name: &[u8]) -> FieldKind {
    if starts_word(name, b"doorward") { FieldKind::Identity } else { FieldKind::Other }
}

/// `X-*`: what proxies tell about the caller and the address that was asked for, and what would make another request
/// of this one.
fn extension(name: &[u8]) -> FieldKind {
    let overrides = match name.len() {
        13 => folds_to(name, b"x-http-method"),
        17 => folds_to(name, b"x-method-override"),
        22 => folds_to(name, b"x-http-method-override"),
        _ => false,
    };
    if overrides {
        return FieldKind::Hop;
    }
    let known = match name.len() {
        6 => folds_to(name, b"x-host"),
        8 => folds_to(name, b"x-scheme"),
        9 => folds_to(name, b"x-real-ip"),
        11 => folds_to(name, b"x-client-ip"),
        12 => folds_to(name, b"x-url-scheme"),
        13 => folds_to(name, b"x-rewrite-url") || folds_to(name, b"x-remote-addr"),
        14 => {
            [&b"x-original-url"[..], b"x-original-uri", b"x-forwardedfor"].iter().any(|n| folds_to(name, n))
        }
        15 => folds_to(name, b"x-original-host"),
        16 => folds_to(name, b"x-originating-ip"),
        19 => folds_to(name, b"x-cluster-client-ip"),
        20 => folds_to(name, b"x-http-host-override"),
        24 => folds_to(name, b"x-envoy-external-address"),
        _ => false,
    };
    if known || starts_word(name, b"x-forwarded") { FieldKind::Forwarded } else { FieldKind::Other }
}

/// Whether `name` is `lower`, or starts with it and goes on with an octet that is no letter and no digit.
fn starts_word(name: &[u8], lower: &[u8]) -> bool {
    name.get(..lower.len()).is_some_and(|start| folds_to(start, lower))
        && name.get(lower.len()).is_none_or(|next| !next.is_ascii_alphanumeric())
}

/// Whether `name` is `lower` in any case, with any octet that is no letter and no digit in place of `-`.
pub(crate) fn folds_to(name: &[u8], lower: &[u8]) -> bool {
    name.len() == lower.len()
        && name.iter().zip(lower).all(|(have, want)| match want {
            b'-' => !have.is_ascii_alphanumeric(),
            want => have.eq_ignore_ascii_case(want),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use FieldKind::{
        Connection, ContentLength, Expect, Forwarded, Hop, Host, Identity, Other, TransferEncoding, Via,
    };

    #[test]
    fn every_name_that_matters_is_known_in_any_case() {
        for (name, expected) in [
            ("Host", Host),
            ("Content-Length", ContentLength),
            ("Transfer-Encoding", TransferEncoding),
            ("Connection", Connection),
            ("Expect", Expect),
            ("Via", Via),
            ("TE", Hop),
            ("Keep-Alive", Hop),
            ("Upgrade", Hop),
            ("HTTP2-Settings", Hop),
            ("Proxy-Connection", Hop),
            ("Proxy-Authenticate", Hop),
            ("Proxy-Authorization", Hop),
            ("Forwarded", Forwarded),
            ("X-Forwarded", Forwarded),
            ("X-Forwarded-For", Forwarded),
            ("X-Forwarded-Prefix", Forwarded),
            ("X-Real-IP", Forwarded),
            ("X-Client-IP", Forwarded),
            ("X-Cluster-Client-IP", Forwarded),
            ("True-Client-IP", Forwarded),
            ("CF-Connecting-IP", Forwarded),
            ("X-Original-URI", Forwarded),
            ("X-Original-URL", Forwarded),
            ("X-Original-Host", Forwarded),
            ("X-Rewrite-URL", Forwarded),
            ("Doorward-Workspace", Identity),
            ("Doorward-", Identity),
            ("Doorward", Identity),
            ("Trailer", Other),
            ("Accept", Other),
            ("Authorization", Other),
            ("Doorwards", Other),
            ("X-ForwardedFor", Forwarded),
            ("X-Scheme", Forwarded),
            ("X-Remote-Addr", Forwarded),
            ("X-Originating-IP", Forwarded),
            ("X-HTTP-Host-Override", Forwarded),
            ("X-Envoy-External-Address", Forwarded),
            ("Client-IP", Forwarded),
            ("Front-End-Https", Forwarded),
            ("CF-Connecting-IPv6", Forwarded),
            ("Proxy", Hop),
            ("X-HTTP-Method", Hop),
            ("X-HTTP-Method-Override", Hop),
            ("X-Method-Override", Hop),
            ("X-Forwardedfors", Other),
            ("X-Original-Urn", Other),
            ("Content-Lengths", Other),
            ("Hosts", Other),
            ("", Other),
        ] {
            for name in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(kind(name.as_bytes()), expected, "{name}");
            }
        }
    }

    #[test]
    fn sxff_1_aliases_never_pass_for_something_else() {
        for (name, expected) in [
            ("doorward_workspace", Identity),
            ("DOORWARD.Workspace", Identity),
            ("Doorward~Kind", Identity),
            ("x_forwarded_for", Forwarded),
            ("X-Forwarded_Host", Forwarded),
            ("x_real_ip", Forwarded),
            ("X.Original.Url", Forwarded),
            ("cf_connecting_ip", Forwarded),
            ("True_Client_IP", Forwarded),
            ("content_length", Hop),
            ("Content.Length", Hop),
            ("transfer_encoding", Hop),
            ("keep_alive", Hop),
            ("proxy_authorization", Hop),
            ("HTTP2_Settings", Hop),
            ("contentxlength", Other),
            ("x_app_id", Other),
        ] {
            assert_eq!(kind(name.as_bytes()), expected, "{name}");
        }
    }
}
