//! One event a request: begun with what is known when it was decided, finished with how it ended, written once.
use crate::peer::Peer;
use crate::text::{decimal, member, plain};
use doorward_core::decide::{Facts, Stands};
use doorward_core::policy::Policy;
use doorward_core::reason::Reason;
use doorward_core::request::RequestView;

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

/// Writes what is known once the decision was made. `at` is the instant as text. `seen` is absent for what the wire
/// rules refused.
pub(crate) fn begin(
    out: &mut Vec<u8>,
    at: &str,
    request_id: &str,
    peer: &Peer,
    seen: Option<(&RequestView<'_>, &Policy, &Facts)>,
) {
    out.push(b'{');
    plain(out, "at", Some(at));
    plain(out, "request_id", Some(request_id));
    plain(out, "client", peer.client.map(|_| peer.text.as_str()));
    if let Some(proxy) = peer.proxy {
        plain(out, "proxy", Some(&proxy.to_string()));
    }
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
    plain(out, "api", route.map(|r| policy.apis[r.api].id.as_str()));
    plain(out, "route", route.map(|r| r.template.as_str()));
    if let Some(endpoint) = route.and_then(|r| r.local) {
        plain(out, "target", Some(endpoint.name()));
    }
    let credential = facts.credential.as_deref();
    plain(out, "workspace", credential.map(|c| &*c.workspace));
    member(out, "credential", credential.map(|c| c.label().as_bytes()));
    plain(out, "scheme", facts.presented.map(|(scheme, _)| scheme.name()));
    plain(out, "dialect", facts.presented.map(|(_, dialect)| dialect.name));
    tail(out, facts);
}

fn boolean(out: &mut Vec<u8>, name: &[u8], value: bool) {
    out.extend_from_slice(name);
    out.extend_from_slice(if value { b"true," } else { b"false," });
}

fn tail(out: &mut Vec<u8>, facts: &Facts) {
    boolean(out, b"\"weak\":", facts.weak);
    boolean(out, b"\"exposed\":", facts.exposed);
    if !facts.would_refuse.is_empty() {
        out.extend_from_slice(b"\"would_refuse\":");
        for (at, rule) in facts.would_refuse.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"[\"" } else { b",\"" });
            out.extend_from_slice(rule.name().as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(b"],");
    }
}

/// Writes where the rule stands that refused.
pub(crate) fn stands(out: &mut Vec<u8>, stands: Stands, policy: &Policy, facts: &Facts) {
    let place = match stands {
        Stands::Credential => "credential".to_owned(),
        Stands::Policy => {
            let api = facts.route.map(|id| policy.apis[policy.routes[id.0].api].id.as_str());
            let workspace = facts.credential.as_deref().map(|c| &*c.workspace);
            let (Some(workspace), Some(api)) = (workspace, api) else { return };
            format!("{workspace}/{api}")
        }
    };
    plain(out, "policy", Some(&place));
}

/// Writes which of several addresses the request was sent to.
pub(crate) fn upstream(out: &mut Vec<u8>, name: &str) {
    plain(out, "upstream", Some(name));
}

/// Writes how it ended, and the end of the line.
pub(crate) fn finish(out: &mut Vec<u8>, o: &Outcome) {
    plain(out, "decision", Some(o.verdict.name()));
    plain(out, "code", o.reason.map(Reason::code));
    plain(out, "detail", o.detail);
    plain(out, "rule", o.rule);
    let number = |out: &mut Vec<u8>, name: &[u8], n: u64| {
        out.extend_from_slice(name);
        decimal(out, n);
        out.push(b',');
    };
    number(out, b"\"status\":", o.status.into());
    boolean(out, b"\"complete\":", o.complete);
    match o.upstream_us {
        Some(us) => number(out, b"\"upstream_us\":", us),
        None => out.extend_from_slice(b"\"upstream_us\":null,"),
    }
    number(out, b"\"total_us\":", o.total_us);
    number(out, b"\"request_bytes\":", o.request_bytes);
    number(out, b"\"response_bytes\":", o.response_bytes);
    out.pop();
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json() {
        let transport = doorward_core::request::Transport::Secure;
        let peer = Peer { client: None, text: String::new(), proxy: None, transport };
        let mut out = Vec::new();
        begin(&mut out, "1970-01-01T00:00:00.000Z", "id", &peer, None);
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
