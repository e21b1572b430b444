//! Keys as callers present them.
use doorward_core::dialect::Dialect;
use doorward_core::schemes::{ApiKey, KeySecret, Outgoing, Publishable, Scheme};

/// How a credential is presented: a name for the table, and what it adds to the request.
pub(crate) fn presented() -> Vec<(&'static str, Outgoing)> {
    let key = |id: &str, secret: &str| KeySecret { id: id.to_owned(), secret: secret.to_owned() };
    let (v, s, a) = (
        Dialect::named("voucherify").unwrap(),
        Dialect::named("standard").unwrap(),
        Dialect::named("antavo").unwrap(),
    );
    let pair = |id| signed::<ApiKey>(v, &key(id, "secret"));
    let fields = |all: &[(&str, &str)]| Outgoing {
        target: String::new(),
        headers: all.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    };
    vec![
        ("nothing", Outgoing::default()),
        ("pair", pair("server")),
        ("pair of an integration", pair("integration")),
        ("pair, unknown id", pair("nobody")),
        ("pair, wrong secret", signed::<ApiKey>(v, &key("server", "wrong"))),
        ("pair, blocked", pair("blocked")),
        ("pair, blocked, wrong secret", signed::<ApiKey>(v, &key("blocked", "wrong"))),
        ("pair, expired", pair("expired")),
        ("pair, sandbox", pair("sandbox")),
        ("pair, other region", pair("far")),
        ("pair, workspace not served", pair("other")),
        ("pair with a client's key", pair("client")),
        ("pair with a single-field key", pair("single")),
        ("half a pair", fields(&[("x-app-id", "server")])),
        (
            "pair, id twice",
            fields(&[("x-app-id", "server"), ("X-App-Id", "server"), ("x-app-token", "secret")]),
        ),
        ("pair, id too long", fields(&[("x-app-id", &"i".repeat(129)), ("x-app-token", "secret")])),
        ("pair, empty secret", fields(&[("x-app-id", "server"), ("x-app-token", "")])),
        ("single", signed::<ApiKey>(s, &key("single", "secret"))),
        ("single, no dot", fields(&[("x-api-key", "single")])),
        (
            "pair and single",
            fields(&[("x-app-id", "server"), ("x-app-token", "secret"), ("x-api-key", "single.secret")]),
        ),
        ("client pair", signed::<Publishable>(v, &key("client", "secret"))),
        ("client pair, wrong token", signed::<Publishable>(v, &key("client", "wrong"))),
        ("client pair with a server's key", signed::<Publishable>(v, &key("server", "secret"))),
        ("id alone", signed::<ApiKey>(a, &key("weak", ""))),
        ("id alone, production", signed::<ApiKey>(a, &key("weak-live", ""))),
        ("id alone, not switched on", signed::<ApiKey>(a, &key("strong", ""))),
        ("id alone, unknown", signed::<ApiKey>(a, &key("nobody", ""))),
        ("id alone of a pair", signed::<ApiKey>(a, &key("server", ""))),
        (
            "id alone, twice",
            Outgoing { target: "?api_key=weak&api_key=weak".to_owned(), headers: Vec::new() },
        ),
        ("id alone, disguised", Outgoing { target: "?api%5Fkey=weak".to_owned(), headers: Vec::new() }),
    ]
}

fn signed<S: Scheme<Secret = KeySecret>>(dialect: &'static Dialect, key: &KeySecret) -> Outgoing {
    let mut out = Outgoing::default();
    S::sign(dialect, key, &mut out).unwrap();
    out
}
