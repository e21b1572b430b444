use super::*;
use crate::dialect::Dialect;

fn voucherify() -> ScopeRule {
    Dialect::named("voucherify").unwrap().scopes
}

fn allows(rule: ScopeRule, token: Option<&str>, credential: &[&str], asked: Asked<'_>) -> Result<(), String> {
    let credential: Vec<Box<str>> = credential.iter().map(|name| Box::from(*name)).collect();
    let granted = Granted { rule, by: By::Token(token), credential: &credential, role: None };
    granted.allows(&asked).map_err(str::to_owned)
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
                assert_eq!(allows(voucherify(), Some(name), &[], at(&path)), expected, "{name} at {path}");
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
    assert_eq!(allows(voucherify(), Some("validation-rules"), &[], at("/v1/validation-rules/a%20b")), Ok(()));
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
    let named = |token, credential: &[&str], scope| allows(ScopeRule::Named, token, credential, asks(scope));
    assert_eq!(named(Some("a b"), &["b"], Some("b")), Ok(()));
    assert_eq!(named(Some("a b"), &[], Some("b")), Err("b".to_owned()));
    assert_eq!(named(Some("a b"), &["a"], Some("b")), Err("b".to_owned()));
    assert_eq!(named(Some("a b"), &[], Some("B")), Err("B".to_owned()), "names are compared as they are");
    assert_eq!(named(Some("ab"), &[], Some("a")), Err("a".to_owned()));
    assert_eq!(named(Some(""), &[], None), Ok(()));
    assert_eq!(
        (named(None, &["b"], Some("b")), named(None, &["a"], Some("b"))),
        (Ok(()), Err("b".to_owned()))
    );
    // Where paths have scopes too, the route's own comes first.
    let own = |token| allows(voucherify(), Some(token), &["api"], asks(Some("orders")));
    assert_eq!((own("orders"), own("vouchers"), own("api")), (Ok(()), Err("orders".to_owned()), Ok(())));
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
        Granted { rule, by: By::Token(token), credential: &credential, role: None }.narrowed()
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

#[test]
fn names_are_covered_by_patterns() {
    for (held, name, expected) in [
        ("vouchers:read", "vouchers:read", true),
        ("vouchers:*", "vouchers:read", true),
        ("*:read", "vouchers:read", true),
        ("*", "vouchers:read", true),
        ("*", "vouchers", true),
        ("*", "*:read", true),
        ("*", "vouchers:*", true),
        ("vouchers:*", "vouchers:read:all", true),
        ("vouchers:*", "vouchers", false),
        ("vouchers:*", "vouchersx:read", false),
        ("vouchers:read", "vouchers:*", false),
        ("*:read", "vouchers:*", false),
        ("*:read", "read", false),
        ("vouchers:read", "*", false),
        ("vouchers:*", "*", false),
        ("vouchers:read", "Vouchers:read", false),
        // Management is reached by its own names.
        ("*", "admin:keys", false),
        ("*:keys", "admin:keys", false),
        ("*", "admin:*", false),
        ("*", "admin", false),
        ("admin:*", "admin:keys", true),
        ("admin:keys", "admin:keys", true),
        ("admin:*", "admin:*", true),
        ("admin:keys", "admin:*", false),
        ("*", "administer:keys", true),
    ] {
        assert_eq!(covers(held, name), expected, "{held} {name}");
    }
    for good in ["*", "vouchers:*", "*:read", "a", "a:b", "a:b:c"] {
        assert_eq!(pattern(good), Ok(()), "{good}");
    }
    for bad in ["**", "v*", "*:*", "vouch*:read", "a:r*", "a:*:b"] {
        assert!(pattern(bad).is_err(), "{bad}");
    }
}

/// What keys may do: routes that ask for a name are closed to whoever has none.
#[test]
fn keys_are_held_to_what_they_were_given() {
    let boxed = |names: &[&str]| names.iter().map(|name| Box::from(*name)).collect::<Vec<Box<str>>>();
    let may = |rule, own: &[&str], role: Option<&[&str]>, asked: Asked<'_>| {
        let (own, role) = (boxed(own), role.map(boxed));
        let granted = Granted { rule, by: By::Key, credential: &own, role: role.as_deref() };
        granted.allows(&asked).is_ok()
    };
    let route = |scope| Asked { scope: Some(scope), client_side: false, path: b"/v1/vouchers" };
    let open = Asked { scope: None, ..route("") };
    for (own, role, scope, expected) in [
        (&[][..], None, "vouchers:read", false),
        (&["vouchers:read"], None, "vouchers:read", true),
        (&["vouchers:*"], None, "vouchers:read", true),
        (&["orders:*"], None, "vouchers:read", false),
        (&[], Some(&["*:read"][..]), "vouchers:read", true),
        (&[], Some(&["*:read"]), "vouchers:write", false),
        (&["vouchers:write"], Some(&["*:read"]), "vouchers:write", true),
        (&[], Some(&[]), "vouchers:read", false),
        (&["*"], Some(&["*"]), "admin:keys", false),
    ] {
        assert_eq!(may(ScopeRule::Named, own, role, route(scope)), expected, "{own:?} {role:?} {scope}");
        assert!(may(ScopeRule::Named, own, role, open));
    }
    // Paths count for keys that have names of paths.
    for (own, path, expected) in [
        (&[][..], "/v1/vouchers", true),
        (&["campaigns:read"], "/v1/vouchers", true),
        (&["api"], "/v1/vouchers", true),
        (&["vouchers"], "/v1/vouchers/7", true),
        (&["vouchers"], "/v1/orders", false),
        (&["client_api"], "/v1/orders", false),
        (&["client_api"], "/client/v1/orders", true),
        (&["client_vouchers"], "/client/v1/orders", false),
        (&["api"], "/client/v1/orders", true),
    ] {
        assert_eq!(may(voucherify(), own, None, at(path)), expected, "{own:?} {path}");
    }
}

#[test]
fn a_token_opens_no_more_than_its_key() {
    let asked = Asked { scope: Some("vouchers:read"), client_side: false, path: b"/" };
    let admin = Asked { scope: Some("admin:keys"), ..asked };
    for (token, credential, asked, expected) in [
        (Some("vouchers:read"), &[][..], asked, false),
        (None, &[], asked, false),
        (Some("vouchers:*"), &["vouchers:read"], asked, true),
        (Some("vouchers:read"), &["*"], asked, true),
        (Some("orders:read"), &["*"], asked, false),
        (Some("admin:keys"), &["admin:*"], admin, false),
    ] {
        assert_eq!(allows(ScopeRule::Named, token, credential, asked).is_ok(), expected, "{token:?}");
    }
}

/// No wildcard reaches what is reserved, and neither does a token that says nothing.
#[test]
fn what_is_reserved_is_opened_by_no_token() {
    let asked = Asked { scope: Some("admin:all"), client_side: false, path: b"/v1/vouchers" };
    for rule in [voucherify(), ScopeRule::Named] {
        for token in [Some("api"), Some("api admin:all"), Some("admin:all"), Some("*"), None] {
            for credential in [&[][..], &["api", "admin:all"], &["admin:all"], &["*"]] {
                let said = allows(rule, token, credential, asked);
                assert_eq!(said, Err("admin:all".to_owned()), "{token:?} {credential:?}");
            }
        }
        assert!(!rule.covers("api", "admin:all"));
    }
    let credential: [Box<str>; 2] = ["api".into(), "admin:all".into()];
    let by = By::Token(Some("api admin:all"));
    let granted = Granted { rule: voucherify(), by, credential: &credential, role: None };
    assert_eq!(granted.narrowed().as_deref(), Some("api"), "nobody is told of it either");
}

/// A key is never held to less because its role went away.
#[test]
fn a_role_that_is_gone_or_empty_opens_no_path() {
    let of = |own: &[&str], role: Option<&[&str]>, path: &str| {
        let boxed = |all: &[&str]| all.iter().map(|name| Box::from(*name)).collect::<Vec<Box<str>>>();
        let (own, role) = (boxed(own), role.map(boxed));
        let granted = Granted { rule: voucherify(), by: By::Key, credential: &own, role: role.as_deref() };
        granted.allows(&at(path)).is_ok()
    };
    assert!(of(&[], Some(&["vouchers"]), "/v1/vouchers") && !of(&[], Some(&["vouchers"]), "/v1/orders"));
    for path in ["/v1/vouchers", "/v1/orders", "/v1/unknown", "/client/v1/vouchers"] {
        assert!(of(&[], None, path), "nobody has said anything: {path}");
        assert!(!of(&[], Some(&[]), path), "{path}");
        assert!(!of(&["reports:read"], Some(&[]), path), "{path}");
        assert!(of(&["api"], Some(&[]), path), "its own are its own: {path}");
        assert!(of(&[], Some(&["*:read"]), path), "held to the scopes of routes alone: {path}");
    }
}

#[test]
fn tokens_of_the_client_side_are_told_from_others() {
    for (token, expected) in [
        (Some("client_api"), true),
        (Some("client_vouchers client_validate"), true),
        (Some("client_vouchers vouchers"), false),
        (Some("api"), false),
        (Some(""), false),
        (None, false),
    ] {
        let granted = Granted { rule: voucherify(), by: By::Token(token), credential: &[], role: None };
        assert_eq!(granted.is_for_client_side(), expected, "{token:?}");
        let named = Granted { rule: ScopeRule::Named, ..granted };
        assert!(!named.is_for_client_side(), "{token:?}");
        assert!(!Granted { by: By::Key, ..granted }.is_for_client_side());
    }
}
