//! The table of decisions about access tokens: what their scopes open, what pages may do with them, and what forms must not
//! have.
use crate::bearer::{POLICY, changed, line};
use crate::tokens::{Wanted, credential, sent, taking_tokens, world_with_tokens};
use crate::{Request, heading, world_with};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::decide::{Received, Step};
use doorward_core::live::Live;
use doorward_core::reason::Reason;
use doorward_core::schemes::Outgoing;
use doorward_core::token::Issuer;
use std::collections::BTreeSet;
use std::fmt::Write;

pub(crate) fn scopes(table: &mut String, live: &Live, seen: &mut BTreeSet<Reason>) {
    heading(table, "Scopes that routes name");
    for (subject, scope) in [
        ("standard", "read"),
        ("standard", "read write"),
        ("standard", ""),
        ("reader", "read write"),
        ("writer", "read"),
    ] {
        for path in ["/t/any", "/t/read", "/t/write"] {
            let out = changed(|t| (t.subject, t.scope) = (subject.to_owned(), scope));
            line(table, live, seen, path, &format!("{path:<9} {subject}, scope `{scope}`"), &out);
        }
    }
    heading(table, "Scopes that paths name");
    for scope in [
        "api",
        "vouchers",
        "validation-rules",
        "skus",
        "client_api",
        "client_validate",
        "vouchers client_api",
        "loyalty.async_events",
    ] {
        for path in [
            "/v1/vouchers",
            "/v1/vouchers/a/b",
            "/v1/validation-rules",
            "/v1/validation-rules-assignments",
            "/v1/SKUs",
            "/v1/skus",
            "/v1/unknown",
            "/client/v1/validate",
            "/client/v1/validations",
        ] {
            let out = Wanted { scope, ..Wanted::of("voucherify") }.sent();
            line(table, live, seen, path, &format!("{path:<31} {scope}"), &out);
        }
    }
}

pub(crate) fn pages(table: &mut String, live: &Live, seen: &mut BTreeSet<Reason>) {
    heading(table, "Pages: by the origins of the API, and of the credential where pages call");
    let standard = Wanted::of("standard").sent();
    let (free, bound) = (Wanted { scope: "client_api", ..Wanted::of("voucherify") }, "bound".to_owned());
    let bound = Wanted { subject: bound, ..free.clone() };
    let key = Outgoing {
        target: String::new(),
        headers: vec![("x-api-key".to_owned(), "single.secret".to_owned())],
    };
    for (name, path, out) in [
        ("a token", "/t/any", &standard),
        ("a bad token", "/t/any", &sent("a.b.c")),
        ("nothing", "/t/any", &Outgoing::default()),
        ("a key", "/t/any", &key),
        ("a token", "/t/resource", &standard),
        ("of a credential without origins", "/client/v1/validate", &free.sent()),
        ("of a credential with origins", "/client/v1/validate", &bound.sent()),
        ("of the same, for servers", "/v1/vouchers", &Wanted { scope: "api", ..bound.clone() }.sent()),
    ] {
        for origin in [None, Some("https://page.example"), Some("https://shop.example"), Some("null")] {
            let mut r = Request::new("GET", path, out);
            r.more = origin.iter().map(|o| ("origin", *o)).collect();
            let said = r.decide(live, seen);
            let _ = writeln!(table, "{:<54} {:<22} {said}", format!("{path}, {name}"), origin.unwrap_or("-"));
        }
    }
    heading(table, "Preflights");
    for path in ["/t/any", "/t/local", "/t/resource", "/client/v1/validate"] {
        for origin in ["https://page.example", "https://shop.example", "http://page.example"] {
            let mut r = Request::new("OPTIONS", path, &Outgoing::default());
            r.more = vec![
                ("origin", origin),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "content-type,x-api-key"),
            ];
            let headers = match r.step(live).step {
                Step::Preflight(answer) => format!(", may send {}", answer.headers.join(" ")),
                _ => String::new(),
            };
            let said = r.decide(live, seen);
            let _ = writeln!(table, "{path:<20} {origin:<22} {said}{headers}");
        }
    }
}

pub(crate) fn forms(table: &mut String, live: &Live, seen: &mut BTreeSet<Reason>) {
    heading(table, "POST /t/any with a form: a token must not stand there as well");
    let token = Wanted::of("standard").sent();
    let bad = sent("a.b.c");
    for (name, media, out, body) in [
        ("not read yet", "application/x-www-form-urlencoded", &token, None),
        ("not read yet, a bad token", "application/x-www-form-urlencoded", &bad, None),
        ("not read yet, JSON", "application/json", &token, None),
        ("without", "application/x-www-form-urlencoded", &token, Some("a=1&b=2")),
        ("with", "Application/X-WWW-Form-URLencoded; charset=utf-8", &token, Some("a=1&access_token=x")),
        ("with, in disguise", "application/x-www-form-urlencoded", &token, Some("access%5ftoken=x")),
        ("with, JSON", "application/json", &token, Some("access_token=x")),
    ] {
        let bytes = body.unwrap_or_default().as_bytes();
        let digest = BodyDigest::of(Hash::Sha256, bytes);
        let mut r = Request::new("POST", "/t/any", out);
        r.more = vec![("content-type", media)];
        r.body = body.map_or(Received::NotYet, |_| Received::All { digest: &digest, bytes });
        let said = r.decide(live, seen);
        let _ = writeln!(table, "{name:<30} {said}");
    }
}

/// SD-5: what pages are given opens nothing for servers, however far the scopes of routes are enforced.
#[test]
fn tokens_for_pages_stay_on_their_side_whatever_the_mode_of_scopes() {
    for mode in ["off", "observe", "enforce"] {
        let policy =
            format!("{POLICY}[[policy]]\nworkspace = \"live\"\napi = \"shop\"\nscopes = \"{mode}\"\n");
        let live = world_with_tokens(&policy);
        let opens = |scope, path| {
            let out = Wanted { scope, ..Wanted::of("voucherify") }.sent();
            Request::new("GET", path, &out).decide(&live, &mut BTreeSet::new())
        };
        for scope in ["client_api", "client_vouchers", "client_vouchers client_validate"] {
            let said = opens(scope, "/v1/vouchers");
            assert!(said.contains("scope_missing"), "{mode}, {scope}: {said}");
        }
        let said = opens("client_api", "/client/v1/vouchers");
        assert!(!said.contains("scope_missing"), "{mode}: {said}");
        let said = opens("vouchers client_vouchers", "/v1/vouchers");
        assert!(!said.contains("scope_missing"), "{mode}: {said}");
    }
}

/// A token is good for its scope at issue, whatever the mode of scopes; the mode is about what its credential may do.
#[test]
fn tokens_open_what_they_were_given_for_whatever_the_mode_of_scopes() {
    for mode in ["off", "observe", "enforce"] {
        let more = ["shop", "tokens"]
            .map(|api| format!("[[policy]]\nworkspace = \"live\"\napi = \"{api}\"\nscopes = \"{mode}\"\n"));
        let live = world_with_tokens(&format!("{POLICY}{}", more.concat()));
        for (subject, scopes) in [("reader", &["read"][..]), ("held", &["orders"])] {
            let dialect = if subject == "held" { "voucherify" } else { "standard" };
            let mut one = credential(subject, dialect);
            one.scopes = scopes.iter().map(|name| Box::from(*name)).collect();
            live.directory.put(one);
        }
        let opens = |dialect, subject: &str, scope, path| {
            let out = Wanted { scope, subject: subject.to_owned(), ..Wanted::of(dialect) }.sent();
            Request::new("GET", path, &out).decide(&live, &mut BTreeSet::new())
        };
        for (dialect, subject, scope, path) in [
            ("standard", "standard", "read", "/t/write"),
            ("standard", "standard", "", "/t/read"),
            ("standard", "reader", "read", "/t/write"),
            ("voucherify", "voucherify", "orders", "/v1/vouchers"),
            ("voucherify", "voucherify", "api", "/client/v1/vouchers"),
        ] {
            let said = opens(dialect, subject, scope, path);
            assert!(said.contains("scope_missing"), "{mode}, {subject} with {scope} at {path}: {said}");
        }
        // The token has it, and its credential has not (any more).
        for (dialect, subject, scope, path) in
            [("standard", "reader", "write", "/t/write"), ("voucherify", "held", "api", "/v1/vouchers")]
        {
            let said = opens(dialect, subject, scope, path);
            assert_eq!(said.contains("scope_missing"), mode == "enforce", "{mode}, {subject}: {said}");
        }
        assert!(opens("standard", "standard", "read", "/t/read").starts_with("permit"), "{mode}");
    }
}

/// Where the client side is switched off, its tokens are refused like its keys; others go on.
#[test]
fn tokens_for_pages_are_refused_where_the_client_side_is_off() {
    let on = format!("{}{POLICY}", crate::POLICY);
    let modules = r#"modules = ["network", "signatures", "captcha", "licences", "limits"]"#;
    let off = on.replacen("id = \"live\",", &format!("id = \"live\", {modules},"), 1);
    assert_ne!(off, on);
    for (policy, refused) in [(&on, false), (&off, true)] {
        let live = taking_tokens(world_with(policy, Issuer::parse("https://api.example").ok()));
        let opens = |scope, path| {
            let out = Wanted { scope, ..Wanted::of("voucherify") }.sent();
            Request::new("GET", path, &out).decide(&live, &mut BTreeSet::new())
        };
        let said = opens("client_api", "/client/v1/vouchers");
        assert_eq!(said.contains("scheme_not_accepted"), refused, "{said}");
        assert_eq!(said.starts_with("permit"), !refused, "{said}");
        let said = opens("vouchers", "/v1/vouchers");
        assert!(said.starts_with("permit"), "{said}");
    }
}
