//! One event a request: begun with what is known when it was decided, finished with how it ended, written once.
use crate::peer::Peer;
use crate::text::member;
use doorward_core::decide::Facts;
use doorward_core::policy::Policy;
use doorward_core::reason::Reason;
use doorward_core::request::RequestView;
use doorward_core::time::UnixMillis;
use std::io::Write;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Permit,
    Deny,
    Preflight,
    Redirect,
    /// Refused by the wire rules, before there was a request to decide about.
    Reject,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Verdict::Permit => "permit",
            Verdict::Deny => "deny",
            Verdict::Preflight => "preflight",
            Verdict::Redirect => "redirect",
            Verdict::Reject => "reject",
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Option<Reason>,
    /// For the log alone.
    pub(crate) detail: Option<&'static str>,
    pub(crate) rule: Option<&'static str>,
    /// 0 where nothing was answered.
    pub(crate) status: u16,
    pub(crate) complete: bool,
    pub(crate) upstream_us: Option<u64>,
    pub(crate) total_us: u64,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
}

/// Writes what is known once the decision was made. `seen` is absent for what the wire rules refused.
pub(crate) fn begin(
    out: &mut Vec<u8>,
    now: UnixMillis,
    request_id: &[u8],
    peer: &Peer,
    seen: Option<(&RequestView<'_>, &Policy, &Facts)>,
) {
    let _ = write!(out, "{{\"at\":\"{now}\",");
    member(out, "request_id", Some(request_id));
    member(out, "client", peer.client.map(|_| peer.text.as_bytes()));
    let Some((req, policy, facts)) = seen else {
        out.extend_from_slice(
            b"\"method\":null,\"path\":null,\"host\":null,\"api\":null,\"route\":null,\"workspace\":null,\
              \"credential\":null,\"scheme\":null,\"dialect\":null,",
        );
        return tail(out, &Facts::default());
    };
    member(out, "method", Some(req.method));
    member(out, "path", Some(req.path));
    member(out, "host", Some(req.host));
    let route = facts.route.map(|id| &policy.routes[id.0]);
    member(out, "api", route.map(|r| policy.apis[r.api].id.as_bytes()));
    out.extend_from_slice(b"\"route\":");
    match route {
        // A template has no character that JSON would escape.
        Some(route) => drop(write!(out, "\"{}\",", route.template)),
        None => out.extend_from_slice(b"null,"),
    }
    let credential = facts.credential.as_deref();
    member(out, "workspace", credential.map(|c| c.workspace.as_bytes()));
    member(out, "credential", credential.map(|c| c.label().as_bytes()));
    member(out, "scheme", facts.presented.map(|(scheme, _)| scheme.name().as_bytes()));
    member(out, "dialect", facts.presented.map(|(_, dialect)| dialect.name.as_bytes()));
    tail(out, facts);
}

fn tail(out: &mut Vec<u8>, facts: &Facts) {
    let _ = write!(out, "\"weak\":{},\"exposed\":{},", facts.weak, facts.exposed);
}

/// Writes how it ended, and the end of the line.
pub(crate) fn finish(out: &mut Vec<u8>, o: &Outcome) {
    member(out, "decision", Some(o.verdict.name().as_bytes()));
    member(out, "code", o.reason.map(|r| r.code().as_bytes()));
    member(out, "detail", o.detail.map(str::as_bytes));
    member(out, "rule", o.rule.map(str::as_bytes));
    let _ = write!(out, "\"status\":{},\"complete\":{},\"upstream_us\":", o.status, o.complete);
    match o.upstream_us {
        Some(us) => drop(write!(out, "{us}")),
        None => out.extend_from_slice(b"null"),
    }
    let _ = writeln!(
        out,
        ",\"total_us\":{},\"request_bytes\":{},\"response_bytes\":{}}}",
        o.total_us, o.request_bytes, o.response_bytes
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json() {
        let peer =
            Peer { client: None, text: String::new(), transport: doorward_core::request::Transport::Secure };
        let mut out = Vec::new();
        begin(&mut out, UnixMillis(0), b"id", &peer, None);
        let o = Outcome {
            verdict: Verdict::Reject,
            reason: Some(Reason::RequestAmbiguous),
            detail: Some("bare-line-feed"),
            rule: None,
            status: 400,
            complete: true,
            upstream_us: None,
            total_us: 5,
            request_bytes: 1,
            response_bytes: 2,
        };
        finish(&mut out, &o);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(
            text.starts_with(
                "{\"at\":\"1970-01-01T00:00:00.000Z\",\"request_id\":\"id\",\"client\":null,\"method\":null"
            ),
            "{text}"
        );
        assert!(text.ends_with("\"status\":400,\"complete\":true,\"upstream_us\":null,\"total_us\":5,\"request_bytes\":1,\"response_bytes\":2}\n"));
    }
}
