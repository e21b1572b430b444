//! Which route a request is for.
use super::{Denial, Facts, Refusal};
use crate::path::{self, Habits};
use crate::policy::{Api, Policy, RouteId, host_name};
use crate::reason::Reason;
use crate::request::{Lookup, RequestView};

/// What is asked of a route.
pub(super) enum Asked<'p> {
    Request,
    /// About a path with these routes.
    Preflight(&'p [RouteId]),
}

/// The method that a preflight asks about.
fn preflight_for<'a>(req: &RequestView<'a>) -> Option<&'a [u8]> {
    match req.field("access-control-request-method") {
        Lookup::One(method) if req.field("origin") != Lookup::Absent => Some(method),
        _ => None,
    }
}

#[cold]
fn ambiguous(detail: &'static str, note: &str) -> Denial {
    Refusal::new(Reason::RequestAmbiguous, detail).saying(note).into()
}

/// The one route that this request is for.
pub(super) fn find<'p>(
    req: &RequestView<'_>,
    policy: &'p Policy,
    facts: &mut Facts,
) -> Result<(RouteId, Asked<'p>), Denial> {
    if !req.path.starts_with(b"/") {
        return Err(Refusal::new(Reason::RouteUnknown, "no-path").into());
    }
    let host = if policy.table.hosts_matter() { host_name(req.host) } else { String::new() };
    let found = only_route(req.path, &host, policy).inspect_err(|_| {
        facts.style = policy.table.style_near(&host, req.path);
    })?;
    facts.route = found.first().copied();
    facts.style = facts.route.map(|r| policy.apis[policy.routes[r.0].api].dialect.errors);
    let taking = |method: &[u8]| found.iter().copied().find(|r| policy.routes[r.0].methods.has(method));
    let all = || {
        let mut names: Vec<String> =
            found.iter().flat_map(|r| policy.routes[r.0].methods.names()).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let wanted = if req.method == b"OPTIONS" { preflight_for(req) } else { None };
    let refused = || {
        let allow = all();
        let method = String::from_utf8_lossy(wanted.unwrap_or(req.method));
        let note = format!("{method} is not allowed here; {} is.", allow.join(" or "));
        Denial {
            allow: allow.into(),
            ..Denial::from(Refusal::new(Reason::MethodNotAllowed, "method").saying(note))
        }
    };
    match wanted {
        None => Ok((taking(req.method).ok_or_else(refused)?, Asked::Request)),
        Some(method) => Ok((taking(method).ok_or_else(refused)?, Asked::Preflight(found))),
    }
}

/// The routes of a path, which every reader must take for the same.
fn only_route<'p>(path: &[u8], host: &str, policy: &'p Policy) -> Result<&'p [RouteId], Denial> {
    let odd = path::oddities(path);
    let (found, alike) = policy.table.as_sent(host, path);
    let rules =
        found.first().map_or_else(path::PathRules::default, |r| policy.apis[policy.routes[r.0].api].paths);
    if let Some(fact) = odd.against(rules) {
        return Err(ambiguous(fact, path::sentence(fact)));
    }
    // What leads nowhere as it was sent goes nowhere, whatever others read.
    let elsewhere = |habits: &Habits| policy.table.as_read_leniently(host, path, *habits) != [found; 2];
    if (odd.readings_differ || alike && !found.is_empty()) && odd.readers().iter().any(elsewhere) {
        return Err(ambiguous(
            "path-two-routes",
            "The path leads to different routes for servers that decode it, or that know no capital letters.",
        ));
    }
    if found.is_empty() {
        return Err(Refusal::new(Reason::RouteUnknown, "no-route").into());
    }
    Ok(found)
}

/// The API that answers at a request's host and path, whatever the method; `None` where there is none, or where the path
/// can be read in two ways.
#[must_use]
pub fn api_of<'p>(req: &RequestView<'_>, policy: &'p Policy) -> Option<&'p Api> {
    let found = only_route(req.path, &host_name(req.host), policy).ok()?;
    found.first().map(|route| &policy.apis[policy.routes[route.0].api])
}
