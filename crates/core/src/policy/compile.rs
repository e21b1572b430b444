//! Makes a policy of a draft. A draft with mistakes makes none.
use super::draft::{ApiDraft, DEFAULT_METHODS, Draft, RouteDraft, ServiceDraft};
use super::{Api, Endpoint, Methods, Policy, Route, RouteId, Template, Upstream, Workspace};
use crate::captcha;
use crate::credential::{Environment, SchemeName};
use crate::dialect::{Dialect, KeyForm};
use crate::document::Mistake;
use crate::path::PathRules;
use crate::schemes::bearer::{FIELD, PARAMETER};
use crate::token::TokenRecord;
use std::collections::HashSet;
use std::sync::Arc;

mod bearer;
mod rules;
mod signing;
mod tenancy;
mod upgrades;

struct Compiler {
    policy: Policy,
    mistakes: Vec<Mistake>,
}

/// Compiles a draft for a node of `region`.
///
/// # Errors
/// Every mistake that shows only between objects: names used twice, names of nothing, routes that answer the same.
pub fn compile(draft: &Draft, region: Option<&str>) -> Result<Policy, Vec<Mistake>> {
    let policy = Policy { region: region.map(str::to_owned), ..Policy::default() };
    let mut c = Compiler { policy, mistakes: Vec::new() };
    c.workspaces(draft);
    let mut ids = HashSet::new();
    for api in &draft.apis {
        if !ids.insert(api.id.as_str()) {
            c.wrong(api.line.0, format!("api `{}`", api.id), "there is another API of this id");
        }
        c.api(api);
    }
    c.clashes(draft);
    c.policies(draft);
    c.names();
    c.mistakes.sort_by_key(|m| m.line);
    if c.mistakes.is_empty() { Ok(c.policy) } else { Err(c.mistakes) }
}

impl Compiler {
    fn wrong(&mut self, line: usize, place: impl Into<String>, message: impl Into<String>) {
        self.mistakes.push(Mistake { line, place: place.into(), message: message.into() });
    }

    /// A name that the reader of drafts has checked already; one from elsewhere is a mistake as well.
    fn read<T>(&mut self, api: &ApiDraft, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|e| self.wrong(api.line.0, format!("api `{}`", api.id), e)).ok()
    }

    fn workspaces(&mut self, draft: &Draft) {
        let mut all_licences = self.licences(draft);
        for w in &draft.workspaces {
            let environment = match Environment::parse(&w.environment) {
                Ok(environment) => environment,
                Err(e) => {
                    self.wrong(w.line.0, format!("workspace `{}`", w.id), e);
                    continue;
                }
            };
            let name = w.name.clone().unwrap_or_else(|| w.id.clone());
            if w.explain && environment != Environment::Sandbox {
                let why =
                    "`explain` shows callers how this server reads their signatures; only a sandbox may";
                self.wrong(w.line.0, format!("workspace `{}`", w.id), why);
            }
            let region = w.region.clone();
            let (explain, password_grant) = (w.explain, w.password_grant);
            let (modules, roles) = (self.modules(w), self.roles(w));
            let licences = all_licences.remove(&w.id).unwrap_or_default();
            let id = w.id.clone();
            let workspace = Workspace {
                id,
                name,
                environment,
                region,
                explain,
                password_grant,
                modules,
                roles,
                licences,
            };
            if self.policy.workspaces.insert(w.id.clone(), Arc::new(workspace)).is_some() {
                self.wrong(
                    w.line.0,
                    format!("workspace `{}`", w.id),
                    "there is another workspace of this id",
                );
            }
        }
    }

    fn api(&mut self, d: &ApiDraft) {
        let place = format!("api `{}`", d.id);
        for w in d.workspaces.iter().flatten() {
            if !self.policy.workspaces.contains_key(w) {
                self.wrong(d.line.0, &place, format!("there is no workspace `{w}`"));
            }
        }
        let Some(dialect) = self.read(d, Dialect::parse(&d.dialect)) else { return };
        let names: Vec<_> = match &d.names {
            None => vec![dialect],
            Some(names) => names.iter().filter_map(|n| self.read(d, Dialect::parse(n))).collect(),
        };
        let schemes: Vec<_> = d.schemes.iter().filter_map(|s| self.read(d, SchemeName::parse(s))).collect();
        for scheme in &schemes {
            let known = |n: &&Dialect| match scheme {
                SchemeName::ApiKey => n.api_key.is_some(),
                SchemeName::Publishable => n.publishable.is_some(),
                SchemeName::Escher => n.signing.is_some(),
                SchemeName::Avanan => n.avanan,
                SchemeName::Bearer => TokenRecord::of(n.name).is_some(),
            };
            if !names.iter().any(known) {
                self.wrong(
                    d.line.0,
                    &place,
                    format!("none of its dialects has credentials of the scheme {}", scheme.name()),
                );
            }
        }
        let plain_key: Vec<_> =
            d.plain_key.iter().filter_map(|e| self.read(d, Environment::parse(e))).collect();
        let id_alone = |n: &&Dialect| n.forms().any(|f| matches!(f, KeyForm::QueryId(_)));
        if !plain_key.is_empty() && !names.iter().any(id_alone) {
            self.wrong(d.line.0, &place, "`plain_key` is set, but none of its dialects presents an id alone");
        }
        let signing =
            if schemes.contains(&SchemeName::Escher) { self.signing(d, &names) } else { Vec::new() };
        if !schemes.contains(&SchemeName::Escher) && !d.signing.is_empty() {
            self.wrong(d.line.0, &place, "it has `signing`, but does not accept the scheme escher");
        }
        let bearer = self.bearer(d, &schemes);
        let mut upstream = |service: &Option<ServiceDraft>| {
            let read = service.as_ref().map(|s| self.read(d, Upstream::of(s)));
            read.flatten().map(Arc::new)
        };
        let (production, sandbox) = (upstream(&d.upstream.production), upstream(&d.upstream.sandbox));
        let index = self.policy.apis.len();
        let anonymous_goes_nowhere = production.is_none();
        self.policy.apis.push(Api {
            id: d.id.clone(),
            dialect,
            names,
            schemes,
            signing,
            rules: hashbrown::HashMap::new(),
            anonymous: None,
            always_signed: false,
            sometimes_signed: false,
            explains: false,
            audiences: bearer.audiences,
            cors: bearer.cors,
            plain_key,
            workspaces: d.workspaces.as_ref().map(|w| w.iter().cloned().collect()),
            paths: PathRules {
                encoded_slash: d.paths.encoded_slash,
                empty_segments: d.paths.empty_segments,
                dot_segments: d.paths.dot_segments,
            },
            production,
            sandbox,
        });
        for route in &d.routes {
            if route.public && route.target.is_none() && anonymous_goes_nowhere {
                let why = "a public route sends callers without credential to production, which has no upstream here";
                self.wrong(route.line.0, format!("{place}, {}", route.path), why);
            }
            self.route(d, route, index);
        }
    }

    fn route(&mut self, d: &ApiDraft, r: &RouteDraft, api: usize) {
        let place = format!("api `{}`, {}", d.id, r.path);
        let local = match r.target.as_deref().map(Endpoint::parse).transpose() {
            Ok(local) => local,
            Err(e) => return self.wrong(r.line.0, place, e),
        };
        let dialect = self.policy.apis[api].dialect;
        let methods = match &r.methods {
            Some(names) => Methods::new(names.iter().map(String::as_str)),
            None => Methods::new(local.map_or(&DEFAULT_METHODS[..], |e| e.methods(dialect)).iter().copied()),
        };
        let (template, methods) = match (Template::parse(&r.path), methods) {
            (Ok(template), Ok(methods)) => (template, methods),
            (Err(e), _) | (_, Err(e)) => return self.wrong(r.line.0, place, e),
        };
        if let Some(endpoint) = local {
            self.local(r, endpoint, dialect, &methods, &place);
        }
        if let Some(why) = self.cannot_upgrade(r, &methods, api) {
            self.wrong(r.line.0, &place, why);
        }
        let schemes = self.policy.apis[api].schemes.clone();
        self.asks(r, &schemes, &place);
        let id = RouteId(self.policy.routes.len());
        let hosts: Vec<Option<&str>> =
            if d.hosts.is_empty() { vec![None] } else { d.hosts.iter().map(|h| Some(h.as_str())).collect() };
        let style = self.policy.apis[api].dialect.errors;
        let mut clash = None;
        for host in hosts {
            for other in self.policy.table.add(host, &template, id, style) {
                let other = &self.policy.routes[other.0];
                if other.methods.names().any(|m| methods.has(m.as_bytes())) {
                    clash = Some(self.policy.apis[other.api].id.clone());
                }
            }
        }
        if let Some(other) = clash {
            self.wrong(
                r.line.0,
                place,
                format!("the same path and method is a route of api `{other}` already"),
            );
        }
        let (client_side, public) = (r.client_side, r.public);
        let scope = r.scope.as_deref().map(Into::into);
        let licences = r.licences.iter().map(|name| name.as_str().into()).collect();
        let captcha = r.captcha;
        let upgrades = r.upgrades.iter().map(|name| name.as_str().into()).collect();
        let route =
            Route { api, template, methods, client_side, public, scope, licences, captcha, local, upgrades };
        self.policy.routes.push(route);
    }

    /// What a route can't be whose requests are answered here.
    fn local(
        &mut self,
        r: &RouteDraft,
        endpoint: Endpoint,
        dialect: &Dialect,
        methods: &Methods,
        place: &str,
    ) {
        let name = endpoint.name();
        if r.client_side {
            let why = format!("publishable keys never reach `{name}`; leave out `client_side`");
            self.wrong(r.line.0, place, why);
        }
        let takes = endpoint.methods(dialect);
        if methods.names().any(|m| !takes.contains(&m)) {
            self.wrong(r.line.0, place, format!("`{name}` takes {} and nothing else", takes.join(" and ")));
        }
    }

    /// What has to be looked for in requests, and removed from them.
    fn names(&mut self) {
        let p = &mut self.policy;
        for dialect in p.apis.iter().flat_map(|a| &a.names) {
            if !p.dialects.iter().any(|d| d.name == dialect.name) {
                p.dialects.push(dialect);
                p.credential_headers.extend(dialect.credential_headers().map(Box::from));
                p.credential_parameters.extend(dialect.credential_parameters().map(Box::from));
            }
        }
        p.bearer = p.apis.iter().any(|a| a.schemes.contains(&SchemeName::Bearer));
        if p.bearer {
            p.credential_headers.push(FIELD.into());
            p.credential_parameters.push(PARAMETER.into());
        }
        if p.routes.iter().any(|route| route.captcha) {
            p.credential_headers.push(captcha::HEADER.into());
        }
        for signing in p.apis.iter().flat_map(|a| &a.signing) {
            if p.signings.iter().any(|other| other.config.same_names(&signing.config)) {
                continue;
            }
            p.signings.push(Arc::clone(signing));
            for name in signing.config.credential_headers() {
                if !p.credential_headers.iter().any(|known| **known == *name) {
                    p.credential_headers.push(name.into());
                }
            }
            for name in signing.config.credential_parameters() {
                if !p.credential_parameters.iter().any(|known| **known == *name) {
                    p.credential_parameters.push(name.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft::read;
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        compile(&read(text).unwrap(), None)
            .err()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn what_does_not_fit_together_is_told_with_its_line() {
        let api = |id: &str, more: &str, route: &str| {
            format!(
                "[[api]]\nid = \"{id}\"\ndialect = \"standard\"\nupstream = {{ sandbox = \"http://u:1\" }}\n{more}\n[[api.route]]\n{route}\n"
            )
        };
        let one = api("a", "", "path = \"/x/{id}\"");
        assert_eq!(mistakes(&one), Vec::<String>::new());
        assert_eq!(
            mistakes(&format!("{one}{}", api("a", "workspaces = [\"w\"]", "path = \"/x/{other}\""))),
            [
                "line 8, api `a`: there is another API of this id",
                "line 8, api `a`: there is no workspace `w`",
                "line 13, api `a`, /x/{other}: the same path and method is a route of api `a` already",
            ]
        );
        assert_eq!(
            mistakes(&api(
                "a",
                "schemes = [\"publishable\"]\nplain_key = [\"sandbox\"]",
                "path = \"/\"\npublic = true"
            )),
            [
                "line 1, api `a`: none of its dialects has credentials of the scheme publishable",
                "line 1, api `a`: `plain_key` is set, but none of its dialects presents an id alone",
                "line 7, api `a`, /: a public route sends callers without credential to production, which has no upstream here",
            ]
        );
    }

    #[test]
    fn a_route_may_be_answered_here() {
        let api = |upstream: &str, routes: &str| {
            format!("[[api]]\nid = \"a\"\ndialect = \"standard\"\n{upstream}\nroute = [{routes}]\n")
        };
        let both = "{ path = \"/token\", target = \"token\", public = true }, { path = \"/keys\", target = \"jwks\" }";
        let policy = compile(&read(&api("", both)).unwrap(), None).unwrap();
        let [token, keys] = &policy.routes[..] else { panic!("{:?}", policy.routes) };
        assert_eq!((token.local, keys.local), (Some(Endpoint::Token), Some(Endpoint::Jwks)));
        assert_eq!(token.methods.names().collect::<Vec<_>>(), ["POST"]);
        assert_eq!(keys.methods.names().collect::<Vec<_>>(), ["GET", "HEAD"]);
        let answers =
            |policy: &Policy| Environment::ALL.iter().map(|e| policy.apis[0].answers(*e)).collect::<Vec<_>>();
        assert_eq!(answers(&policy), [true, true]);
        // With an upstream for one environment, the other one is none of its own.
        let one =
            compile(&read(&api("upstream = { sandbox = \"http://u:1\" }", both)).unwrap(), None).unwrap();
        assert_eq!(answers(&one), [false, true]);
        let draft = read(&api("", both)).unwrap();
        assert_eq!(read(&draft.write()).unwrap(), draft);

        let told = |text: &str| read(text).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            told(&api("", "{ path = \"/a\", target = \"tokens\" }")),
            [
                "line 5, api[0].route[0].target: `tokens` is none of token, introspect, revoke, metadata, jwks, public_key"
            ]
        );
        assert_eq!(
            told(&api("", &format!("{both}, {{ path = \"/else\" }}"))),
            ["line 1, api[0]: `upstream` is missing; write upstream = { production = \"http://host:port\" }"]
        );
        assert_eq!(
            mistakes(&api(
                "",
                "{ path = \"/a\", target = \"token\", client_side = true, methods = [\"GET\", \"POST\"] }"
            )),
            [
                "line 5, api `a`, /a: publishable keys never reach `token`; leave out `client_side`",
                "line 5, api `a`, /a: `token` takes POST and nothing else",
            ]
        );
    }
}
