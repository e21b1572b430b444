//! The demo's APIs that give tokens, and those that take nothing else.
use doorward_core::credential::SchemeName;
use doorward_core::policy::Endpoint;
use doorward_core::policy::draft::{ApiDraft, RouteDraft, UpstreamDraft};

/// Makes an API with an id, a name, a dialect and paths, that leads to the sample upstream.
pub(super) type Make<'a> = &'a dyn Fn(&str, &str, &str, &mut dyn Iterator<Item = String>) -> ApiDraft;

/// A route that this node answers. Callers prove themselves to the endpoint, unless `proved` says that they have before.
fn answered(path: &str, endpoint: Endpoint, proved: bool) -> RouteDraft {
    let target = Some(endpoint.name().to_owned());
    RouteDraft { path: path.to_owned(), target, public: !proved, ..RouteDraft::default() }
}

fn only_here(api: ApiDraft, routes: Vec<RouteDraft>) -> ApiDraft {
    ApiDraft { upstream: UpstreamDraft::default(), routes, ..api }
}

pub(super) fn apis(make: Make<'_>) -> Vec<ApiDraft> {
    let of = |id: &str, name: &str, dialect: &str| make(id, name, dialect, &mut std::iter::empty());
    let one = |id: &str, name: &str, dialect: &str, path: &str| {
        make(id, name, dialect, &mut std::iter::once(path.to_owned()))
    };
    let schemes = |scheme: SchemeName| vec![scheme.name().to_owned()];
    let open = |path, endpoint| answered(path, endpoint, false);

    let standard = vec![
        open("/oauth/token", Endpoint::Token),
        open("/oauth/introspect", Endpoint::Introspect),
        open("/oauth/revoke", Endpoint::Revoke),
        open("/.well-known/oauth-authorization-server", Endpoint::Metadata),
        open("/.well-known/jwks.json", Endpoint::Jwks),
    ];
    let voucherify = vec![
        answered("/v1/oauth/token", Endpoint::Token, true),
        answered("/v1/oauth/introspect", Endpoint::Introspect, true),
        answered("/v1/oauth/token/revoke", Endpoint::Revoke, true),
    ];
    let vista = vec![
        open("/connect/token", Endpoint::Token),
        open("/.well-known/openid-configuration", Endpoint::Metadata),
        open("/.well-known/openid-configuration/jwks", Endpoint::Jwks),
    ];
    let mut events = one("async-events", "Antavo async events", "antavo", "/v1/async/events/*");
    events.schemes = schemes(SchemeName::Bearer);
    events.routes.iter_mut().for_each(|r| r.scope = Some("loyalty.async_events".to_owned()));
    let mut avanan = one("avanan", "Avanan", "avanan", "/v1.0/*");
    avanan.schemes = schemes(SchemeName::Avanan);
    avanan.routes.extend([
        answered("/v1.0/auth", Endpoint::Token, true),
        open("/v1.0/public_key", Endpoint::PublicKey),
    ]);
    let mut cinemas = one("vista", "Vista", "vista", "/ocapi/v1/*");
    // Members log in here, and so would machines.
    cinemas.routes.push(RouteDraft {
        path: "/ocapi/v1/members/authentication-token".to_owned(),
        captcha: true,
        ..RouteDraft::default()
    });
    vec![
        only_here(of("oauth", "Tokens", "standard"), standard),
        only_here(of("voucherify-oauth", "Voucherify, tokens", "voucherify"), voucherify),
        only_here(
            of("antavo-oauth", "Antavo, tokens", "antavo"),
            vec![open("/v1/auth/token", Endpoint::Token)],
        ),
        events,
        avanan,
        ApiDraft {
            schemes: schemes(SchemeName::Bearer),
            ..only_here(of("vista-oauth", "Vista, tokens", "vista"), vista)
        },
        ApiDraft { schemes: schemes(SchemeName::Bearer), ..cinemas },
    ]
}
