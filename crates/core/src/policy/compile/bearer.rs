//! What an API says about tokens, and what it can't say.
use super::Compiler;
use crate::credential::SchemeName;
use crate::origin::OriginEntry;
use crate::policy::draft::{ApiDraft, RouteDraft};
use crate::scope::reserved;

/// What an API says about tokens.
#[derive(Default)]
pub(super) struct Bearer {
    pub(super) audiences: Box<[Box<str>]>,
    pub(super) cors: Box<[OriginEntry]>,
}

impl Compiler {
    pub(super) fn bearer(&mut self, d: &ApiDraft, schemes: &[SchemeName]) -> Bearer {
        let place = format!("api `{}`", d.id);
        let takes = schemes.contains(&SchemeName::Bearer);
        for (there, what) in [(!d.audiences.is_empty(), "audiences"), (!d.cors.origins.is_empty(), "cors")] {
            if there && !takes {
                self.wrong(
                    d.line.0,
                    &place,
                    format!("it has `{what}`, but does not accept the scheme bearer"),
                );
            }
        }
        let read = |text: &String| self.read(d, OriginEntry::parse(text));
        let cors = d.cors.origins.iter().filter_map(read).collect();
        Bearer { audiences: d.audiences.iter().map(|a| a.as_str().into()).collect(), cors }
    }

    /// What nobody is asked for would be taken for a wall.
    pub(super) fn asks(&mut self, r: &RouteDraft, schemes: &[SchemeName], place: &str) {
        let tokens_alone = schemes.iter().all(|scheme| *scheme == SchemeName::Bearer);
        if let Some(scope) = r.scope.as_deref().filter(|scope| tokens_alone && reserved(scope)) {
            let why = "scopes that begin so are those of management, and in no token";
            self.wrong(r.line.0, place, format!("it asks for the scope `{scope}`, but {why}"));
        }
        let why = match () {
            () if r.public => "a public route lets in whoever has no credential at all",
            () if r.target.is_some() => "what is answered here has rules of its own",
            () => return,
        };
        let scope = r.scope.iter().map(|scope| format!("the scope `{scope}`"));
        let licences = r.licences.iter().map(|licence| format!("the licence `{licence}`"));
        let captcha = r.captcha.then(|| "a captcha".to_owned());
        for asked in scope.chain(licences).chain(captcha) {
            self.wrong(r.line.0, place, format!("it asks for {asked}, but {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::origin::Origin;
    use crate::policy::compile;
    use crate::policy::draft::read;

    fn api(dialect: &str, more: &str, route: &str) -> String {
        format!(
            "[[api]]\nid = \"a\"\ndialect = \"{dialect}\"\nupstream = {{ production = \"http://u:1\" }}\n{more}\n[[api.route]]\npath = \"/x\"\n{route}\n"
        )
    }

    fn told(text: &str) -> Vec<String> {
        let found = read(text).and_then(|draft| compile(&draft, None).map(|_| ()));
        found.err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_said_about_tokens_is_kept() {
        let more = "schemes = [\"bearer\"]\naudiences = [\"https://api.example/a\", \"urn:b\"]\ncors = { origins = [\"https://p.example\", \".p.example\"] }";
        let draft = read(&api("standard", more, "scope = \"read\"")).unwrap();
        assert_eq!(read(&draft.write()).unwrap(), draft);
        let policy = compile(&draft, None).unwrap();
        let api = &policy.apis[0];
        assert_eq!(*api.audiences, ["https://api.example/a".into(), "urn:b".into()]);
        let may = |origin: &str| {
            let origin = Origin::parse(origin.as_bytes()).unwrap();
            api.cors.iter().any(|entry| entry.matches(&origin))
        };
        assert!(may("https://p.example") && may("https://a.p.example") && !may("https://q.example"));
        assert_eq!(policy.routes[0].scope.as_deref(), Some("read"));
        assert!(policy.bearer);
        assert!(policy.credential_headers.iter().any(|name| &**name == "authorization"));
        assert!(policy.credential_parameters.iter().any(|name| &**name == "access_token"));
    }

    #[test]
    fn every_dialect_but_one_has_tokens() {
        for (dialect, good) in [
            ("standard", true),
            ("voucherify", true),
            ("antavo", true),
            ("vista", true),
            ("avanan", true),
            ("aws4", false),
        ] {
            let told = told(&api(dialect, "schemes = [\"bearer\"]", ""));
            assert_eq!(told.is_empty(), good, "{told:?}");
        }
    }

    #[test]
    fn what_can_not_be_is_told_with_its_line() {
        let more = "audiences = [\"urn:b\"]\ncors = { origins = [\"https://p.example\"] }";
        assert_eq!(
            told(&api("standard", more, "scope = \"read\"")),
            [
                "line 1, api `a`: it has `audiences`, but does not accept the scheme bearer",
                "line 1, api `a`: it has `cors`, but does not accept the scheme bearer",
            ]
        );
        let takes = "schemes = [\"bearer\"]";
        assert_eq!(
            told(&api("standard", takes, "scope = \"read\"\npublic = true")),
            [
                "line 6, api `a`, /x: it asks for the scope `read`, but a public route lets in whoever has no credential at all"
            ]
        );
        assert_eq!(
            told(&api("standard", takes, "scope = \"admin:all\"")),
            [
                "line 6, api `a`, /x: it asks for the scope `admin:all`, but scopes that begin so are those of management, and in no token"
            ]
        );
        assert_eq!(
            told(&api("standard", takes, "scope = \"read\"\ntarget = \"jwks\"")),
            [
                "line 6, api `a`, /x: it asks for the scope `read`, but what is answered here has rules of its own"
            ]
        );
        for (more, route, line, what) in [
            ("audiences = [\"api\"]", "", 5, "`api` is no audience"),
            ("cors = { origins = [\"https://a/b\"] }", "", 5, "`https://a/b` is not an origin"),
            ("cors = { origins = [] }", "", 5, "`cors` names no origin"),
            ("cors = { origin = [\"https://a\"] }", "", 5, "`cors` names no origin"),
            ("", "scope = \"a b\"", 8, "`a b` is not one scope"),
        ] {
            let text = api("standard", &format!("{more}\n{takes}").trim().replace("\n\n", "\n"), route);
            let found = told(&text);
            let first = found.iter().find(|said| said.contains(what));
            assert!(
                first.is_some_and(|said| said.starts_with(&format!("line {line}, "))),
                "{text}\n{found:?}"
            );
        }
    }
}
