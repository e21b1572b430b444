//! Which pages may read answers (Fetch standard, "CORS protocol"), and what they are told before they ask.
//!
//! There are two ways in: a publishable key that is meant for the page's origin, and a token, at APIs that name the origin.
//! Cookies are never part of it. What is answered here is for no page.
use super::{Denial, Preflight, Refusal, World};
use crate::credential::SchemeName;
use crate::origin::Origin;
use crate::policy::{Api, Policy, Route, RouteId};
use crate::reason::Reason;
use crate::request::{Lookup, RequestView};
use crate::schemes::bearer;

/// What pages may ask for beside what they name: the token, and the proof that a person is there.
const WITH_TOKENS: [&str; 2] = ["Authorization", "CaptchaResponse"];

/// How the page of a request may read the answers of a route.
#[derive(Clone, Copy)]
pub(super) struct Readers {
    /// With a publishable key.
    pub(super) keys: bool,
    /// With a token.
    pub(super) tokens: bool,
}

impl Readers {
    pub(super) fn any(self) -> bool {
        self.keys || self.tokens
    }
}

/// Whether it depends on the origin who may read answers.
pub(super) fn by_origin(route: &Route, api: &Api) -> bool {
    route.client_side || for_tokens(route, api)
}

fn for_tokens(route: &Route, api: &Api) -> bool {
    !api.cors.is_empty() && route.local.is_none()
}

pub(super) fn readers(req: &RequestView<'_>, route: &Route, api: &Api, world: World<'_>) -> Readers {
    let origin = if by_origin(route, api) { origin_of(req) } else { None };
    let Some(origin) = origin else { return Readers { keys: false, tokens: false } };
    Readers {
        keys: route.client_side && world.directory.lets_in(&origin, |w| api.serves(w)),
        tokens: for_tokens(route, api) && api.cors.iter().any(|entry| entry.matches(&origin)),
    }
}

fn origin_of(req: &RequestView<'_>) -> Option<Origin> {
    match req.field("origin") {
        Lookup::One(value) => Origin::parse(value),
        _ => None,
    }
}

/// The answer to a preflight about a path with these routes, where the asked one has these readers.
pub(super) fn preflight(
    req: &RequestView<'_>,
    routes: &[RouteId],
    asked: Readers,
    world: World<'_>,
) -> Result<Preflight, Denial> {
    if !asked.any() {
        return Err(Refusal::new(Reason::OriginDenied, "preflight-origin").into());
    }
    let policy = world.policy;
    let open = routes.iter().map(|id| &policy.routes[id.0]);
    let open = open.filter(|route| readers(req, route, &policy.apis[route.api], world).any());
    let mut methods: Vec<String> = open.flat_map(|route| route.methods.names()).map(str::to_owned).collect();
    methods.sort_unstable();
    methods.dedup();
    Ok(Preflight { methods, headers: headers(req, asked, policy) })
}

/// The fields that the page may send: those that it asks for, but no key of a server where only tokens are expected.
fn headers(req: &RequestView<'_>, asked: Readers, policy: &Policy) -> Vec<String> {
    let wanted = match req.field("access-control-request-headers") {
        Lookup::One(names) => names,
        _ => b"",
    };
    let is_name = |name: &&[u8]| {
        !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
    };
    let is_key = |name: &[u8]| {
        let of_policy = policy.credential_headers.iter().any(|c| name.eq_ignore_ascii_case(c.as_bytes()));
        of_policy && !name.eq_ignore_ascii_case(bearer::FIELD.as_bytes())
    };
    let names = wanted.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(is_name);
    let names = names.filter(|name| asked.keys || !is_key(name));
    let mut headers: Vec<String> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    if asked.tokens {
        for name in WITH_TOKENS {
            if !headers.iter().any(|there| there.eq_ignore_ascii_case(name)) {
                headers.push(name.to_owned());
            }
        }
    }
    headers
}

/// Whether the page may read the answer to what came with this scheme.
pub(super) fn readable(readers: Readers, scheme: SchemeName) -> bool {
    readers.keys || readers.tokens && scheme == SchemeName::Bearer
}
