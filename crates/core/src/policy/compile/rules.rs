//! What drafts say about one workspace at one API, and which modules that takes.
use super::Compiler;
use crate::network::{Network, Networks};
use crate::policy::draft::{Draft, PolicyDraft};
use crate::policy::{Limit, Limits, Mode, Module, NetworkRule, Rule, Rules, Workspace};
use std::collections::{HashMap, HashSet};

impl Rule {
    /// The module without which it is not looked at.
    fn module(self) -> Option<Module> {
        match self {
            Rule::Signatures => Some(Module::Signatures),
            Rule::Network => Some(Module::Network),
            Rule::Scope => None,
            Rule::Licence => Some(Module::Licences),
            Rule::Limits => Some(Module::Limits),
            Rule::Captcha => Some(Module::Captcha),
        }
    }
}

/// Whether the module that a rule needs is on.
fn on(workspace: &Workspace, rule: Rule) -> bool {
    rule.module().is_none_or(|module| workspace.modules.on(module))
}

impl Compiler {
    /// What holds for one workspace at one API.
    pub(super) fn policies(&mut self, draft: &Draft) {
        let apis: HashMap<String, usize> =
            self.policy.apis.iter().enumerate().rev().map(|(at, api)| (api.id.clone(), at)).collect();
        let drafted: HashSet<&str> = draft.apis.iter().map(|a| a.id.as_str()).collect();
        let mut seen = HashSet::new();
        for p in &draft.policies {
            let place = format!("policy of `{}` at `{}`", p.workspace, p.api);
            if !seen.insert((p.workspace.as_str(), p.api.as_str())) {
                self.wrong(p.line.0, &place, "there is another one");
            }
            let workspace = self.policy.workspaces.get(&p.workspace).cloned();
            if workspace.is_none() {
                self.wrong(p.line.0, &place, format!("there is no workspace `{}`", p.workspace));
            }
            let Some(at) = apis.get(&p.api).copied() else {
                if !drafted.contains(p.api.as_str()) {
                    self.wrong(p.line.0, &place, format!("there is no API `{}`", p.api));
                }
                continue;
            };
            let mut rules = self.rules(p, &place);
            let signatures = rules.mode(Rule::Signatures);
            if signatures != Mode::Off && self.policy.apis[at].signing.is_empty() {
                let why = format!("`signatures` is {}, but the API accepts none", signatures.name());
                self.wrong(p.line.0, &place, why);
            }
            if let Some(workspace) = workspace {
                self.hide(p, &workspace, &mut rules, &place);
            }
            self.policy.apis[at].rules.insert(p.workspace.clone(), rules);
        }
        self.whole_apis(draft);
    }

    fn rules(&mut self, p: &PolicyDraft, place: &str) -> Rules {
        let mut mode = |text: &Option<String>| match text.as_deref().map(Mode::parse) {
            None => None,
            Some(Ok(mode)) => Some(mode),
            Some(Err(why)) => {
                self.wrong(p.line.0, place, why);
                None
            }
        };
        let signatures = mode(&p.signatures);
        let scope = mode(&p.scopes).unwrap_or(Rules::DEFAULT.scope);
        let licence = mode(&p.licences).unwrap_or(Rules::DEFAULT.licence);
        let captcha = mode(&p.captcha).unwrap_or(Rules::DEFAULT.captcha);
        let network_mode = p.network.as_ref().map(|n| mode(&n.mode).unwrap_or(Mode::Enforce));
        let limits_mode = p.limits.as_ref().map(|l| mode(&l.mode).unwrap_or(Mode::Enforce));
        let network = p.network.as_ref().zip(network_mode).map(|(network, mode)| {
            let read = |text: &String| Network::parse(text).map_err(|e| self.wrong(p.line.0, place, e)).ok();
            NetworkRule { mode, allow: Networks::new(network.allow.iter().filter_map(read)) }
        });
        let limits = p.limits.as_ref().zip(limits_mode).map(|(l, mode)| {
            let mut read = |limit: Option<crate::policy::draft::LimitDraft>| {
                limit.and_then(|limit| limit.limit().map_err(|e| self.wrong(p.line.0, place, e)).ok())
            };
            let (workspace, credential) = (read(l.workspace), read(l.credential));
            Limits { mode, workspace, credential, client: read(l.client) }
        });
        Rules { signatures, network, scope, licence, limits, captcha }
    }

    /// A rule whose module is off is not looked at, and so can't be enforced.
    fn hide(&mut self, p: &PolicyDraft, workspace: &Workspace, rules: &mut Rules, place: &str) {
        // What holds without a word about it is looked at where some route asks for it.
        let said = |rule| match rule {
            Rule::Licence => p.licences.is_some(),
            Rule::Captcha => p.captcha.is_some(),
            _ => true,
        };
        for rule in Rule::ALL.iter().copied().filter(|rule| !on(workspace, *rule)) {
            if rules.mode(rule) == Mode::Enforce {
                if said(rule) {
                    self.wrong(p.line.0, place, without_module(rule, workspace));
                }
                continue;
            }
            match rule {
                Rule::Signatures => rules.signatures = rules.signatures.and(Some(Mode::Off)),
                Rule::Network => rules.network = None,
                Rule::Scope => {}
                Rule::Licence => rules.licence = Mode::Off,
                Rule::Limits => rules.limits = None,
                Rule::Captcha => rules.captcha = Mode::Off,
            }
        }
    }

    /// What is known of an API once all is said about each of its workspaces.
    fn whole_apis(&mut self, draft: &Draft) {
        let mut wrong = Vec::new();
        let drafts: HashMap<&str, _> = draft.apis.iter().map(|a| (a.id.as_str(), a)).collect();
        let policy = &mut self.policy;
        for api in &mut policy.apis {
            let mut served: Vec<_> = match &api.workspaces {
                Some(ids) => ids.iter().filter_map(|id| policy.workspaces.get(id)).collect(),
                None => policy.workspaces.values().collect(),
            };
            if !api.signing.is_empty() {
                let enforced = served.iter().filter(|w| api.signatures(w) == Mode::Enforce).count();
                api.sometimes_signed = enforced > 0;
                api.always_signed = enforced > 0 && enforced == served.len();
                api.explains = served.iter().any(|w| w.explain);
            }
            let known = served.iter().filter_map(|w| api.rules.get(&w.id)?.limits);
            api.anonymous = tightest(known);
            served.retain(|w| Rule::ALL.iter().any(|rule| !on(w, *rule)));
            let Some(drafted) = drafts.get(api.id.as_str()).filter(|_| !served.is_empty()) else { continue };
            served.sort_unstable_by(|a, b| a.id.cmp(&b.id));
            for w in served {
                // Where it was said, that was told already.
                let unsaid = api.rules(&w.id).signatures.is_none();
                if unsaid && !on(w, Rule::Signatures) && api.signatures(w) == Mode::Enforce {
                    let place = format!("api `{}`", api.id);
                    let why = format!(
                        "it takes an id alone in production, so {}",
                        without_module(Rule::Signatures, w)
                    );
                    wrong.push((drafted.line.0, place, why));
                }
                for rule in [Rule::Captcha, Rule::Licence] {
                    if on(w, rule) || api.rules(&w.id).mode(rule) != Mode::Enforce {
                        continue;
                    }
                    let asks = |r: &&crate::policy::draft::RouteDraft| match rule {
                        Rule::Captcha => r.captcha,
                        _ => !r.licences.is_empty(),
                    };
                    if let Some(route) = drafted.routes.iter().find(asks) {
                        let place = format!("api `{}`, {}", api.id, route.path);
                        wrong.push((route.line.0, place, without_module(rule, w)));
                    }
                }
            }
        }
        for (line, place, why) in wrong {
            self.wrong(line, place, why);
        }
    }
}

/// Who has no credential belongs to no workspace, so whoever is strictest counts.
fn tightest(all: impl Iterator<Item = Limits>) -> Option<(Limit, Mode)> {
    let said = all.filter(|limits| limits.mode != Mode::Off).filter_map(|l| Some((l.client?, l.mode)));
    said.reduce(|a, b| match (a.1, b.1) {
        (Mode::Enforce, Mode::Observe) => a,
        (Mode::Observe, Mode::Enforce) => b,
        _ if b.0.is_tighter_than(&a.0) => b,
        _ => a,
    })
}

fn without_module(rule: Rule, workspace: &Workspace) -> String {
    let module = rule.module().map_or("", Module::name);
    let (key, id) = (rule.key(), &workspace.id);
    format!(
        "`{key}` is enforced for workspace `{id}`, whose module `{module}` is off; switch the module on, or say `{key}` off or observe there"
    )
}

#[cfg(test)]
mod tests {
    use crate::policy::draft::read;
    use crate::policy::{Limit, Mode, Policy, Rule, compile};

    fn compiled(text: &str) -> Result<Policy, Vec<String>> {
        let found = read(text).and_then(|draft| compile(&draft, None));
        found.map_err(|all| all.iter().map(ToString::to_string).collect())
    }

    fn with(workspace: &str, api: &str, route: &str, more: &str) -> String {
        format!(
            "[[workspace]]\nid = \"w\"\nenvironment = \"production\"\n{workspace}\n[[api]]\nid = \"a\"\ndialect = \"antavo\"\n\
             upstream = {{ production = \"http://u:1\" }}\n{api}\n[[api.route]]\npath = \"/x\"\n{route}\n{more}\n"
        )
    }

    fn told(workspace: &str, api: &str, route: &str, more: &str) -> Vec<String> {
        compiled(&with(workspace, api, route, more)).err().unwrap_or_default()
    }

    #[test]
    fn every_rule_of_a_policy_is_kept() {
        let row = "[[policy]]\nworkspace = \"w\"\napi = \"a\"\nscopes = \"observe\"\ncaptcha = \"off\"\n\
                   network = { allow = [\"192.168.0.3/24\", \"::1\"] }\n\
                   limits = { mode = \"observe\", workspace = { requests = 600, per_s = 60, burst = 100 }, client = { requests = 20, per_s = 1 } }";
        let text = with("", "", "", row);
        let draft = read(&text).unwrap();
        assert_eq!(read(&draft.write()).unwrap(), draft);
        let policy = compile(&draft, None).unwrap();
        let rules = policy.apis[0].rules("w");
        let modes: Vec<_> = Rule::ALL.iter().map(|rule| rules.mode(*rule)).collect();
        use Mode::{Enforce, Observe, Off};
        assert_eq!(modes, [Off, Enforce, Observe, Enforce, Observe, Off]);
        let network = rules.network.as_ref().unwrap();
        assert!(network.allow.contains("192.168.0.255".parse().unwrap()));
        let limits = rules.limits.unwrap();
        assert_eq!(limits.workspace, Some(Limit::new(600, 60, 100).unwrap()));
        assert_eq!(limits.client, Some(Limit::new(20, 1, 20).unwrap()));
        assert_eq!((limits.credential, policy.apis[0].rules("other").mode(Rule::Licence)), (None, Enforce));
    }

    #[test]
    fn mistakes_of_policies_are_told_with_their_lines() {
        let row = |more: &str| format!("[[policy]]\nworkspace = \"w\"\napi = \"a\"\n{more}");
        for (more, expected) in [
            ("scopes = \"on\"", "line 16, policy[0].scopes: `on` is none of off, observe, enforce"),
            (
                "network = { mode = \"off\" }",
                "line 16, policy[0].network: `allow` is missing; write network = { allow = [\"192.168.0.0/24\"] }, or allow = [] to refuse all",
            ),
            (
                "network = { allow = [\"10.0.0.1/33\"] }",
                "line 16, policy[0].network.allow[0]: `10.0.0.1/33` has a prefix longer than its address; IPv4 ends at /32",
            ),
            (
                "limits = {}",
                "line 16, policy[0].limits: `limits` limits nothing; write limits = { credential = { requests = 100, per_s = 60 } }",
            ),
            (
                "limits = { client = { requests = -1, per_s = 60 } }",
                "line 16, policy[0].limits.client.requests: must be from 1 to 1000000",
            ),
            (
                "limits = { client = { requests = 1 } }",
                "line 16, policy[0].limits.client: `per_s` is missing",
            ),
            (
                "limit = {}",
                "line 16, policy[0].limit: there is no such setting; known here: api, captcha, licences, limits, network, scopes, signatures, workspace",
            ),
        ] {
            assert_eq!(told("", "", "", &row(more)), [expected], "{more}");
        }
        assert_eq!(
            told("", "", "", &format!("{}\n{}", row(""), row("signatures = \"observe\""))),
            [
                "line 17, policy of `w` at `a`: there is another one",
                "line 17, policy of `w` at `a`: `signatures` is observe, but the API accepts none"
            ]
        );
    }

    #[test]
    fn a_module_stays_on_while_an_enforced_rule_needs_it() {
        let few = "modules = [\"client_side\"]";
        let why = |key: &str, module: &str| {
            format!(
                "`{key}` is enforced for workspace `w`, whose module `{module}` is off; switch the module on, or say `{key}` off or observe there"
            )
        };
        let row = |more: &str| format!("[[policy]]\nworkspace = \"w\"\napi = \"a\"\n{more}");
        let network = row("network = { allow = [] }");
        assert_eq!(
            told(few, "", "", &network),
            [format!("line 13, policy of `w` at `a`: {}", why("network", "network"))]
        );
        assert_eq!(
            told(few, "", "", &row("limits = { workspace = { requests = 1, per_s = 1 } }")),
            [format!("line 13, policy of `w` at `a`: {}", why("limits", "limits"))]
        );
        assert_eq!(
            told(few, "", "captcha = true\nlicences = [\"premium\"]", ""),
            [
                format!("line 10, api `a`, /x: {}", why("captcha", "captcha")),
                format!("line 10, api `a`, /x: {}", why("licences", "licences"))
            ]
        );
        let signs = "schemes = [\"escher\", \"api_key\"]\nplain_key = [\"production\"]";
        assert_eq!(
            told(few, signs, "", ""),
            [format!(
                "line 5, api `a`: it takes an id alone in production, so {}",
                why("signatures", "signatures")
            )]
        );
        assert_eq!(
            told(few, signs, "", &row("signatures = \"enforce\"")),
            [format!("line 14, policy of `w` at `a`: {}", why("signatures", "signatures"))]
        );
        // What is only watched is hidden.
        let watched = row(
            "signatures = \"observe\"\nnetwork = { mode = \"observe\", allow = [] }\ncaptcha = \"observe\"\nlicences = \"off\"\n\
             limits = { mode = \"observe\", workspace = { requests = 1, per_s = 1 } }",
        );
        let policy =
            compiled(&with(few, signs, "captcha = true\nlicences = [\"premium\"]", &watched)).unwrap();
        let rules = policy.apis[0].rules("w");
        for rule in Rule::ALL.iter().filter(|rule| **rule != Rule::Scope) {
            assert_eq!(rules.mode(*rule), Mode::Off, "{rule:?}");
        }
        assert_eq!(policy.apis[0].signatures(&policy.workspaces["w"]), Mode::Off);
        assert_eq!(
            told("modules = [\"captchas\"]", "", "", ""),
            [
                "line 4, workspace[0].modules[0]: `captchas` is none of network, signatures, client_side, captcha, licences, limits"
            ]
        );
    }

    #[test]
    fn roles_and_licences_are_kept_and_their_mistakes_told() {
        let role = "[[workspace.role]]\nname = \"auditor\"\nscopes = [\"vouchers:read\", \"campaigns:*\"]";
        let licence = "[[licence]]\nname = \"premium\"\nworkspace = \"w\"\nuser = \"ann@x\"\nfrom = \"2026-01-01\"\nuntil = \"2027-01-01T00:00:00Z\"\nwarn_days = 7";
        let text = with(role, "", "licences = [\"premium\"]\nscope = \"vouchers:read\"", licence);
        let draft = read(&text).unwrap();
        assert_eq!(read(&draft.write()).unwrap(), draft);
        let policy = compile(&draft, None).unwrap();
        let w = &policy.workspaces["w"];
        assert_eq!(w.roles.scopes("auditor").map(|all| all.len()), Some(2));
        let at = |text: &str| crate::time::UnixMillis::parse(text).unwrap();
        assert!(
            w.has_licence("premium", "ann@x", at("2026-12-31"))
                && !w.has_licence("premium", "ann@x", at("2027-01-01"))
        );
        assert!(!w.has_licence("premium", "bob", at("2026-12-31")));
        assert_eq!((w.licences[0].warn_days, &*policy.routes[0].licences), (7, &["premium".into()][..]));

        let roles = |more: &str| told(&format!("[[workspace.role]]\n{more}"), "", "", "");
        assert_eq!(
            roles("name = \"admin\"\nscopes = []"),
            [
                "line 5, workspace[0].role[0].name: every workspace has a role `admin`; call this one something else"
            ]
        );
        assert_eq!(
            roles("name = \"r\"\nscopes = [\"vouch*\"]")[0].split(": ").next(),
            Some("line 6, workspace[0].role[0].scopes[0]")
        );
        let twice = "name = \"r\"\nscopes = [\"a\"]";
        assert_eq!(
            roles(&format!("{twice}\n[[workspace.role]]\n{twice}")),
            ["line 7, workspace `w`, role `r`: there is another role of this name"]
        );
        let licences = |more: &str| told("", "", "", &format!("[[licence]]\nname = \"p\"\n{more}"));
        assert_eq!(licences("workspace = \"x\""), ["line 13, licence `x/p`: there is no workspace `x`"]);
        assert_eq!(
            licences("workspace = \"w\"\nfrom = \"2027-01-01\"\nuntil = \"2026-01-01\""),
            ["line 13, licence[0]: `until` is not after `from`, so it would never be good"]
        );
        assert_eq!(
            licences("workspace = \"w\"\nuntil = \"soon\""),
            ["line 16, licence[0].until: `soon` is no instant; write 2027-01-01, or 2027-01-01T12:00:00Z"]
        );
        assert_eq!(
            told("", "", "scope = \"vouchers:*\"", ""),
            [
                "line 12, api[0].route[0].scope: `vouchers:*`: a route asks for one scope; `*` stands in what callers hold"
            ]
        );
    }
}
