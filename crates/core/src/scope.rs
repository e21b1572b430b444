//! What a token opens: the names in its scope, those that its credential has now, and what a request asks for.
//!
//! A token opens what both of them do. A token that does not say, and a credential that has no names, leave it to the other.
use crate::path;

/// Scopes of management begin so. No token carries or opens one, and no other scope stands for one.
pub const RESERVED: &str = "admin:";

/// How a dialect's scopes say what they open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeRule {
    /// A route names the scope that it asks for.
    Named,
    /// The path does, where the route names none.
    Paths(&'static PathScopes),
}

/// Scopes that stand for what begins with a path, on either side.
#[derive(Debug, PartialEq, Eq)]
pub struct PathScopes {
    /// At routes for servers.
    pub server: Side,
    /// At routes that are open to client side.
    pub client: Side,
}

/// The scopes of one side. They open nothing on the other one.
#[derive(Debug, PartialEq, Eq)]
pub struct Side {
    /// The scope that opens all of it.
    pub all: &'static str,
    /// What stands before the segment that chooses the scope.
    pub under: &'static str,
    /// The other scopes, each with the segment that it opens, and everything below.
    pub names: &'static [(&'static str, &'static str)],
}

impl Side {
    /// The scope that opens a path. None where an upstream could take the path for another one: only [`Side::all`] opens it.
    fn of(&self, path: &[u8]) -> Option<&'static str> {
        let rest = path.strip_prefix(self.under.as_bytes())?;
        let segment = rest.split(|b| *b == b'/').next().unwrap_or_default();
        let (name, _) = self.names.iter().find(|(_, own)| own.as_bytes() == segment)?;
        let plain = path::oddities(path).against(path::PathRules::default()).is_none();
        plain.then_some(*name)
    }

    fn has(&self, name: &str) -> bool {
        name == self.all || self.names.iter().any(|(own, _)| *own == name)
    }
}

impl ScopeRule {
    /// The name that stands for everything on the side that a name is of, where there is one.
    fn all_of(self, name: &str) -> Option<&'static str> {
        match self {
            ScopeRule::Named => None,
            ScopeRule::Paths(_) if name.starts_with(RESERVED) => None,
            ScopeRule::Paths(p) if p.client.has(name) => Some(p.client.all),
            ScopeRule::Paths(p) => Some(p.server.all),
        }
    }

    /// Whether who holds a name may do what another one opens.
    #[must_use]
    pub fn covers(self, held: &str, name: &str) -> bool {
        held == name || self.all_of(name) == Some(held)
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The scope that its route names.
    pub scope: Option<&'a str>,
    /// Whether its route is open to client side.
    pub client_side: bool,
    /// Its path.
    pub path: &'a [u8],
}

/// What a token and its credential have been given.
#[derive(Clone, Copy, Debug)]
pub struct Granted<'a> {
    /// How the token's dialect has it.
    pub rule: ScopeRule,
    /// The token's scope, names with one space between them; `None` where such tokens don't say.
    pub token: Option<&'a str>,
    /// What the credential may do now; empty where nobody has said.
    pub credential: &'a [Box<str>],
}

impl<'a> Granted<'a> {
    /// Whether a request may be made.
    ///
    /// # Errors
    /// The scope that is missing.
    pub fn allows(&self, asked: &Asked<'a>) -> Result<(), &'a str> {
        let (needed, all) = match self.rule {
            ScopeRule::Named => (asked.scope, None),
            ScopeRule::Paths(paths) => {
                let side = if asked.client_side { &paths.client } else { &paths.server };
                (asked.scope.or_else(|| side.of(asked.path)).or(Some(side.all)), Some(side.all))
            }
        };
        match needed {
            Some(name) if !self.has(name, all) => Err(name),
            _ => Ok(()),
        }
    }

    /// Whether both have a name, or the one that stands for all of its side.
    fn has(&self, name: &str, all: Option<&str>) -> bool {
        if name.starts_with(RESERVED) {
            return false;
        }
        let fits = |own: &str| own == name || all == Some(own);
        self.token_names().is_none_or(|mut names| names.any(fits)) && self.credential_has(fits)
    }

    fn token_names(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.token.map(|scope| scope.split(' ').filter(|name| !name.is_empty()))
    }

    fn credential_has(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.credential.is_empty() || self.credential.iter().any(|own| fits(own))
    }

    /// What is left of the two, where both say something; with one space between the names.
    #[must_use]
    pub fn narrowed(&self) -> Option<String> {
        let mut left: Vec<&str> = Vec::new();
        let of_token = self.token_names()?;
        if self.credential.is_empty() {
            return None;
        }
        for name in of_token.chain(self.credential.iter().map(|name| &**name)) {
            if self.has(name, self.rule.all_of(name)) && !left.contains(&name) {
                left.push(name);
            }
        }
        Some(left.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    fn voucherify() -> ScopeRule {
        Dialect::named("voucherify").unwrap().scopes
    }

    fn allows(
        rule: ScopeRule,
        token: Option<&str>,
        credential: &[&str],
        asked: Asked<'_>,
    ) -> Result<(), String> {
        let credential: Vec<Box<str>> = credential.iter().map(|name| Box::from(*name)).collect();
        Granted { rule, token, credential: &credential }.allows(&asked).map_err(str::to_owned)
    }

    fn at(path: &str) -> Asked<'_> {
        Asked { scope: None, client_side: path.starts_with("/client/"), path: path.as_bytes() }
    }

    /// The whole list, as it is published: each scope opens its segment and what is below, and nothing else.
    #[test]
    fn each_scope_opens_its_own_segment() {
        let ScopeRule::Paths(paths) = voucherify() else { panic!("voucherify has scopes for paths") };
        let all: Vec<(&Side, &str, &str)> = [&paths.server, &paths.client]
            .into_iter()
            .flat_map(|s| s.names.iter().map(move |(n, p)| (s, *n, *p)))
            .collect();
        assert_eq!(all.len() + 2, 42);
        for (side, name, segment) in &all {
            let expected = match *name {
                "skus" => "SKUs",
                name => name.strip_prefix("client_").unwrap_or(name),
            };
            assert_eq!(*segment, expected);
            assert_eq!(name.starts_with("client_"), side.all == "client_api");
            for (other, path_of, segment) in &all {
                for path in [format!("{}{segment}", other.under), format!("{}{segment}/x/y", other.under)] {
                    let expected = if path_of == name { Ok(()) } else { Err((*path_of).to_owned()) };
                    assert_eq!(
                        allows(voucherify(), Some(name), &[], at(&path)),
                        expected,
                        "{name} at {path}"
                    );
                    let whole = allows(voucherify(), Some(side.all), &[], at(&path));
                    assert_eq!(whole.is_ok(), side.all == other.all, "{} at {path}", side.all);
                }
            }
        }
    }

    #[test]
    fn only_whole_segments_count() {
        for path in [
            "/v1/validation-rules-assignments",
            "/v1/validation-rule",
            "/v1/validation-rulesx/1",
            "/v1/Validation-rules",
            "/v1/validation%2drules",
            "/v1/validation-rules;a=1",
            "/v1/validation-rules/../vouchers",
            "/v1/validation-rules/%2e%2e/vouchers",
            "/v1/validation-rules/..%2fvouchers",
            "/v1/validation-rules//vouchers",
            "/v1//validation-rules",
            "//v1/validation-rules",
            "/v2/validation-rules",
            "/validation-rules",
            "/v1/",
            "/v1",
            "/",
        ] {
            assert!(allows(voucherify(), Some("validation-rules"), &[], at(path)).is_err(), "{path}");
            assert_eq!(allows(voucherify(), Some("validation-rules api"), &[], at(path)), Ok(()), "{path}");
        }
        assert_eq!(
            allows(voucherify(), Some("validation-rules"), &[], at("/v1/validation-rules/a%20b")),
            Ok(())
        );
    }

    #[test]
    fn token_and_credential_must_both_allow_it() {
        for (token, credential, path, expected) in [
            (Some("vouchers"), &[][..], "/v1/vouchers", true),
            (Some("vouchers"), &["api"], "/v1/vouchers", true),
            (Some("vouchers"), &["vouchers", "orders"], "/v1/vouchers", true),
            (Some("vouchers"), &["orders"], "/v1/vouchers", false),
            (Some("api"), &["orders"], "/v1/orders", true),
            (Some("api"), &["orders"], "/v1/vouchers", false),
            (Some("api"), &["client_api"], "/v1/vouchers", false),
            (Some("client_api"), &["client_api"], "/client/v1/vouchers", true),
            (Some("client_vouchers"), &["client_api"], "/client/v1/vouchers", true),
            (Some("vouchers"), &["api", "client_api"], "/client/v1/vouchers", false),
            (Some("api"), &[], "/client/v1/vouchers", false),
            (Some("client_api"), &[], "/v1/vouchers", false),
            (Some(""), &[], "/v1/vouchers", false),
            (None, &["vouchers"], "/v1/vouchers", true),
            (None, &["vouchers"], "/v1/orders", false),
            (None, &[], "/v1/orders", true),
        ] {
            let said = allows(voucherify(), token, credential, at(path));
            assert_eq!(said.is_ok(), expected, "{token:?} {credential:?} {path}");
        }
    }

    #[test]
    fn a_route_names_its_scope() {
        let asks = |scope| Asked { scope, client_side: false, path: b"/v1/vouchers" };
        let named =
            |token, credential: &[&str], scope| allows(ScopeRule::Named, token, credential, asks(scope));
        assert_eq!(named(Some("a b"), &[], Some("b")), Ok(()));
        assert_eq!(named(Some("a b"), &["a"], Some("b")), Err("b".to_owned()));
        assert_eq!(named(Some("a b"), &[], Some("B")), Err("B".to_owned()), "names are compared as they are");
        assert_eq!(named(Some("ab"), &[], Some("a")), Err("a".to_owned()));
        assert_eq!(named(Some(""), &[], None), Ok(()));
        assert_eq!(
            (named(None, &[], Some("b")), named(None, &["a"], Some("b"))),
            (Ok(()), Err("b".to_owned()))
        );
        // Where paths have scopes too, the route's own comes first.
        let own = |token| allows(voucherify(), Some(token), &[], asks(Some("orders")));
        assert_eq!((own("orders"), own("vouchers"), own("api")), (Ok(()), Err("orders".to_owned()), Ok(())));
    }

    /// No wildcard reaches what is reserved, and neither does a token that says nothing.
    #[test]
    fn what_is_reserved_is_opened_by_no_token() {
        let asked = Asked { scope: Some("admin:all"), client_side: false, path: b"/v1/vouchers" };
        for rule in [voucherify(), ScopeRule::Named] {
            for token in [Some("api"), Some("api admin:all"), Some("admin:all"), None] {
                for credential in [&[][..], &["api", "admin:all"], &["admin:all"]] {
                    assert_eq!(
                        allows(rule, token, credential, asked),
                        Err("admin:all".to_owned()),
                        "{token:?}"
                    );
                }
            }
            assert!(!rule.covers("api", "admin:all"));
        }
        let credential: [Box<str>; 2] = ["api".into(), "admin:all".into()];
        let granted = Granted { rule: voucherify(), token: Some("api admin:all"), credential: &credential };
        assert_eq!(granted.narrowed().as_deref(), Some("api"), "nobody is told of it either");
    }

    #[test]
    fn the_whole_of_a_side_covers_its_parts() {
        for (held, name, expected) in [
            ("api", "vouchers", true),
            ("api", "api", true),
            ("client_api", "client_vouchers", true),
            ("vouchers", "api", false),
            ("api", "client_vouchers", false),
            ("api", "client_api", false),
            ("client_api", "vouchers", false),
            ("vouchers", "orders", false),
        ] {
            assert_eq!(voucherify().covers(held, name), expected, "{held} {name}");
            assert_eq!(ScopeRule::Named.covers(held, name), held == name);
        }
    }

    #[test]
    fn what_is_left_is_told() {
        let narrowed = |rule, token, credential: &[&str]| {
            let credential: Vec<Box<str>> = credential.iter().map(|name| Box::from(*name)).collect();
            Granted { rule, token, credential: &credential }.narrowed()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(narrowed(voucherify(), Some("api"), &["vouchers", "client_api"]), some("vouchers"));
        assert_eq!(narrowed(voucherify(), Some("vouchers orders"), &["api"]), some("vouchers orders"));
        assert_eq!(narrowed(voucherify(), Some("api orders"), &["api"]), some("api orders"));
        assert_eq!(narrowed(ScopeRule::Named, Some("api b"), &["b", "vouchers"]), some("b"));
        assert_eq!(narrowed(ScopeRule::Named, Some("a"), &["b"]), some(""));
        assert_eq!(narrowed(ScopeRule::Named, Some("a"), &[]), None);
        assert_eq!(narrowed(ScopeRule::Named, None, &["a"]), None);
    }
}
