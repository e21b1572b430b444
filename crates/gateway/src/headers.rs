//! The heads that are sent: the request's for the upstream, the answer's for the caller.
use crate::peer::Peer;
use crate::pump::field;
use crate::quota;
use crate::relay::Plan;
use crate::text::decimal;
use crate::wire::{self, Framing, Head, Towards};
use doorward_core::decide::{Facts, Permit, Signed};
use doorward_core::policy::Policy;
use doorward_core::request::{FieldKind, RequestView, Transport};

/// Whether a field carries credentials in one of the configured dialects, whatever stands for its `-`: some servers fold
/// such names.
pub(crate) fn is_credential(policy: &Policy, name: &[u8]) -> bool {
    policy.credential_headers.iter().any(|c| wire::folds_to(name, c.as_bytes()))
}

/// Whether there is a body where servers may not look for one. One that ignores it would take it for the next request,
/// so that nothing else may come on its connection.
pub(crate) fn unexpected_body(method: &[u8], head: &Head) -> bool {
    head.framing != Framing::None && !matches!(method, b"POST" | b"PUT" | b"PATCH")
}

/// What goes to the upstream besides the request itself.
pub(crate) struct Sender<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) permit: &'a Permit,
    pub(crate) facts: &'a Facts,
    pub(crate) peer: &'a Peer,
    pub(crate) request_id: &'a [u8],
    /// How the body is framed, where it is framed anew.
    pub(crate) framing: Framing,
    /// The field line that tells of this installation.
    pub(crate) via: &'a [u8],
    /// How often the request may be passed on, once it has been here.
    pub(crate) forwards: Option<u32>,
    /// The protocol that the connection is to change to.
    pub(crate) upgrade: Option<&'a str>,
}

impl Sender<'_> {
    /// Whether a field is written anew.
    fn rewrites(&self, name: &[u8]) -> bool {
        self.forwards.is_some() && name.eq_ignore_ascii_case(b"max-forwards")
    }
}

/// The fields that ask for another protocol, or tell that it follows.
fn changes(out: &mut Vec<u8>, protocol: &str) {
    field(out, b"connection", b"upgrade");
    field(out, b"upgrade", protocol.as_bytes());
}

/// The head of the answer that says that another protocol follows (RFC 9110 15.2.2).
pub(crate) fn upgraded(out: &mut Vec<u8>, raw: &[u8], head: &Head, plan: &Plan<'_>, protocol: &str) {
    status_line(out, raw, head);
    passed_on(out, raw, head, plan);
    changes(out, protocol);
    out.extend_from_slice(plan.via.line(head.minor, false));
    out.extend_from_slice(plan.extra);
    out.extend_from_slice(b"\r\n");
}

/// Writes the head for the upstream. Ours come after everything that the caller sent was filtered.
pub(crate) fn request(out: &mut Vec<u8>, req: &RequestView<'_>, head: &Head, from: &Sender<'_>) {
    out.extend_from_slice(req.method);
    out.push(b' ');
    out.extend_from_slice(req.path);
    match (from.permit.signed(), req.query) {
        (Some(signed), Some(sent)) => signed.push_query(out, sent, |name| is_parameter(from.policy, name)),
        _ => query(out, req, from.policy),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    field(out, b"host", req.host);
    match from.permit.signed() {
        Some(signed) => signed_fields(out, req, head, signed, from),
        None => {
            for (name, value, _) in wire::end_to_end(req.raw, head, Towards::Upstream) {
                if !is_credential(from.policy, name) && !from.rewrites(name) {
                    field(out, name, value);
                }
            }
        }
    }
    match from.framing {
        Framing::Length(n) => length(out, n),
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        // RFC 9110 8.6: methods that anticipate a body say that there is none.
        _ if matches!(req.method, b"POST" | b"PUT" | b"PATCH") => {
            out.extend_from_slice(b"content-length: 0\r\n")
        }
        _ => {}
    }
    if unexpected_body(req.method, head) {
        field(out, b"connection", b"close");
    }
    out.extend_from_slice(from.via);
    if let Some(left) = from.forwards {
        out.extend_from_slice(b"max-forwards: ");
        decimal(out, left.into());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(protocol) = from.upgrade {
        changes(out, protocol);
    }
    if !from.peer.text.is_empty() {
        field(out, b"x-forwarded-for", from.peer.text.as_bytes());
    }
    let secure = req.transport == Transport::Secure;
    field(out, b"x-forwarded-proto", if secure { b"https" } else { b"http" });
    field(out, b"x-forwarded-host", req.host);
    identity(out, from);
    out.extend_from_slice(b"\r\n");
}

/// Of a signed request, what was signed, spelt as it was signed: nothing else can be relied on. `Via` is for whoever passes
/// the request on, not for who answers it, and nobody signs it: without it, a circle of several would be endless.
fn signed_fields(out: &mut Vec<u8>, req: &RequestView<'_>, head: &Head, signed: &Signed, from: &Sender<'_>) {
    let mut typed = false;
    // A signature covers at most 64 fields.
    let mut told = 0_u64;
    let lines = || wire::end_to_end(req.raw, head, Towards::Upstream);
    for (name, value, kind) in lines() {
        if is_credential(from.policy, name) || from.rewrites(name) {
            continue;
        }
        let mut names = signed.names().enumerate();
        if let Some((at, lower)) = names.find(|(_, n)| name.eq_ignore_ascii_case(n.as_bytes())) {
            let this = 1_u64.checked_shl(at as u32).unwrap_or(0);
            if told & this == 0 {
                told |= this;
                // Lines of one name were signed as one.
                let all = lines().filter(|(other, ..)| other.eq_ignore_ascii_case(name));
                let mut between: &[u8] = b": ";
                out.extend_from_slice(lower.as_bytes());
                for (_, value, _) in all {
                    out.extend_from_slice(between);
                    signed.push_value(out, value);
                    between = b",";
                }
                out.extend_from_slice(b"\r\n");
            }
        } else if kind == FieldKind::Via || signed.signing().passes(name) {
            field(out, name, value);
        } else {
            continue;
        }
        typed |= name.eq_ignore_ascii_case(b"content-type");
    }
    let some = !matches!(from.framing, Framing::None | Framing::Length(0));
    if let Some(content_type) = signed.signing().content_type.as_deref().filter(|_| some && !typed) {
        field(out, b"content-type", content_type.as_bytes());
    }
}

fn identity(out: &mut Vec<u8>, from: &Sender<'_>) {
    field(out, b"doorward-request-id", from.request_id);
    if let (Some(workspace), Some(credential)) = (from.permit.workspace(), &from.facts.credential) {
        field(out, b"doorward-workspace", workspace.id.as_bytes());
        field(out, b"doorward-credential", credential.label().as_bytes());
        field(out, b"doorward-kind", credential.kind.name().as_bytes());
        let used = from.facts.presented.map_or(credential.scheme(), |(scheme, _)| scheme);
        field(out, b"doorward-scheme", used.name().as_bytes());
        let mut scopes = from.facts.scopes().peekable();
        if scopes.peek().is_some() {
            out.extend_from_slice(b"doorward-scopes:");
            for scope in scopes {
                out.push(b' ');
                out.extend_from_slice(scope.as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
        let token = from.facts.token.as_deref();
        if token.is_some_and(|token| token.client.is_some() || token.label.is_some()) {
            // Somebody asked for the token in the credential's name.
            field(out, b"doorward-subject", credential.label().as_bytes());
        }
    }
}

fn is_parameter(policy: &Policy, name: &[u8]) -> bool {
    policy.credential_parameters.iter().any(|p| p.as_bytes() == name)
}

/// The query without the parameters that carry credentials.
fn query(out: &mut Vec<u8>, req: &RequestView<'_>, policy: &Policy) {
    let Some(query) = req.query else { return };
    let secret = |part: &[u8]| is_parameter(policy, part.split(|b| *b == b'=').next().unwrap_or(part));
    let separator = |b: &u8| matches!(b, b'&' | b';');
    if !query.split(separator).any(secret) {
        out.push(b'?');
        out.extend_from_slice(query);
        return;
    }
    let mut between = b'?';
    for part in query.split_inclusive(separator) {
        let (bare, after) = match part.last() {
            Some(b @ (b'&' | b';')) => (&part[..part.len() - 1], *b),
            _ => (part, b'&'),
        };
        if !secret(bare) {
            out.push(between);
            out.extend_from_slice(bare);
            between = after;
        }
    }
}

fn length(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(b"content-length: ");
    decimal(out, n);
    out.extend_from_slice(b"\r\n");
}

fn status_line(out: &mut Vec<u8>, raw: &[u8], head: &Head) {
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, head.status.into());
    out.push(b' ');
    out.extend_from_slice(head.reason.on(raw));
    out.extend_from_slice(b"\r\n");
}

/// An interim answer as it is passed on.
pub(crate) fn interim(out: &mut Vec<u8>, raw: &[u8], head: &Head) {
    status_line(out, raw, head);
    for (name, value, _) in wire::end_to_end(raw, head, Towards::Caller) {
        field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// What this node alone says to callers: who may read answers, and that TLS is to be used.
fn ours(name: &[u8]) -> bool {
    const CORS: &[u8] = b"access-control-";
    name.eq_ignore_ascii_case(b"strict-transport-security")
        || name.len() > CORS.len() && name[..CORS.len()].eq_ignore_ascii_case(CORS)
}

/// The upstream's own fields, but for those that say what we say ourselves.
fn passed_on(out: &mut Vec<u8>, raw: &[u8], head: &Head, plan: &Plan<'_>) {
    for (name, value, kind) in wire::end_to_end(raw, head, Towards::Caller) {
        let said_here = ours(name) || plan.limited && quota::is_ours(name);
        if kind != FieldKind::Other || !said_here {
            field(out, name, value);
        }
    }
}

/// The head of the answer. `http2`: it came in HTTP/2.
pub(crate) fn response(
    out: &mut Vec<u8>,
    raw: &[u8],
    head: &Head,
    plan: &Plan<'_>,
    http2: bool,
    chunk: bool,
    keep: bool,
) {
    status_line(out, raw, head);
    passed_on(out, raw, head, plan);
    match head.framing {
        Framing::Length(n) => length(out, n),
        Framing::None if plan.to_head || head.status == 304 => {
            if let Some(n) = head.content_length {
                length(out, n);
            }
        }
        Framing::None if head.status != 204 => out.extend_from_slice(b"content-length: 0\r\n"),
        _ if chunk => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        _ => {}
    }
    out.extend_from_slice(plan.via.line(head.minor, http2));
    out.extend_from_slice(plan.extra);
    if !keep {
        out.extend_from_slice(b"connection: close\r\n");
    } else if plan.minor == 0 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::request::PlainHttp;
    use doorward_core::time::UnixMillis;

    fn left(sent: &str) -> String {
        let policy = Policy { credential_parameters: vec!["api_key".into()], ..Policy::default() };
        let req = RequestView {
            raw: b"",
            method: b"GET",
            path: b"/",
            query: Some(sent.as_bytes()),
            host: b"h",
            fields: &[],
            client: None,
            transport: Transport::Plain(PlainHttp::Serve),
            now: UnixMillis(0),
        };
        let mut out = Vec::new();
        query(&mut out, &req, &policy);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_query_loses_its_credential_and_nothing_else() {
        for (sent, want) in [
            ("", "?"),
            ("a=1&b=2", "?a=1&b=2"),
            ("api_key=x", ""),
            ("api_key=x&a=1", "?a=1"),
            ("a=1&api_key=x", "?a=1"),
            ("a=1&api_key=x&b=2", "?a=1&b=2"),
            ("a=1;api_key=x&b=2&&c", "?a=1&b=2&&c"),
            ("api_keys=1&xapi_key=2", "?api_keys=1&xapi_key=2"),
            ("api_key", ""),
        ] {
            let got = left(sent);
            assert!(!got.contains("api_key=x"), "{got}");
            if sent.contains(';') { assert_eq!(got, "?a=1;b=2&&c") } else { assert_eq!(got, want, "{sent}") }
        }
    }

    #[test]
    fn names_fold_as_servers_fold_them() {
        let policy = Policy { credential_headers: vec!["x-app-token".into()], ..Policy::default() };
        for yes in ["X-App-Token", "x_app_token", "X-APP_token", "x.app-token"] {
            assert!(is_credential(&policy, yes.as_bytes()));
        }
        for no in ["x-app-tokens", "xxapp-token", "app-token"] {
            assert!(!is_credential(&policy, no.as_bytes()));
        }
    }
}
