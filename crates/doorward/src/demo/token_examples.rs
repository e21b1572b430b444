//! A command for each way to a token, and what it opens. Each works when pasted into a shell.
use super::examples::Example;
use crate::shell::quoted;
use doorward_control::actions::CredentialView;
use doorward_core::credential::{Environment, Kind};

/// Takes the token out of an answer.
const TOKEN_OF: &str = r#"sed 's/.*"access_token":"\([^"]*\)".*/\1/'"#;

/// A way to a token.
struct Way {
    /// Where it is asked for.
    endpoint: &'static str,
    /// What curl is told besides.
    options: String,
    /// What the token opens.
    opens: &'static str,
}

/// One for each credential of production that can ask for tokens, and what everybody may ask for.
pub(super) fn all(credentials: &[CredentialView], base: &str) -> Vec<Example> {
    let mut out = Vec::new();
    let production = credentials.iter().filter(|c| !c.workspace.ends_with(Environment::Sandbox.name()));
    for c in production.filter(|c| c.secret.is_some() && !c.plain_key) {
        let name = |what: &str| format!("{} ({}): {what}", c.name, c.dialect);
        if let Some(way) = way(c) {
            let Way { endpoint, options, opens } = way;
            let asked = format!("curl -s {options} {}", quoted(&format!("{base}{endpoint}")));
            let url = quoted(&format!("{base}{opens}"));
            let bearer = format!("curl -s -H \"Authorization: Bearer $({asked} | {TOKEN_OF})\" {url}");
            let more = more(c, base, &asked);
            out.push(Example { name: name(&format!("a token from {endpoint}")), curl: asked });
            out.push(Example { name: name(&format!("{opens} with a token")), curl: bearer });
            out.extend(more.into_iter().map(|(what, curl)| Example { name: name(what), curl }));
        }
        if c.dialect == "avanan" {
            for (call, what) in [
                ("av", "a token from /v1.0/auth"),
                ("av /v1.0/scopes \"$(av)\"", "/v1.0/scopes, signed, with a token"),
            ] {
                out.push(Example { name: name(what), curl: format!("{}; {call}", avanan(c, base)) });
            }
        }
    }
    for (path, what) in [
        ("/.well-known/oauth-authorization-server", "Where everything about tokens is"),
        ("/.well-known/jwks.json", "The keys that tokens are verified with"),
    ] {
        out.push(Example {
            name: what.to_owned(),
            curl: format!("curl -s {}", quoted(&format!("{base}{path}"))),
        });
    }
    out
}

/// What else can be done with a token.
fn more(c: &CredentialView, base: &str, asked: &str) -> Vec<(&'static str, String)> {
    let secret = c.secret.as_ref().map(|s| s.0.as_str()).unwrap_or_default();
    let basic = format!("--user {}", quoted(&format!("{}:{secret}", c.id)));
    let url = |path: &str| quoted(&format!("{base}{path}"));
    match (c.dialect, c.kind) {
        ("standard", kind) if kind == Kind::Server.name() => {
            let sent = format!("-d \"token=$T\" {basic}");
            vec![
                (
                    "what /oauth/introspect tells of a token",
                    format!("T=$({asked} | {TOKEN_OF}); curl -s {sent} {}", url("/oauth/introspect")),
                ),
                (
                    "a token is revoked at /oauth/revoke, and introspected",
                    format!(
                        "T=$({asked} | {TOKEN_OF}); curl -s -o /dev/null {sent} {}; curl -s {sent} {}",
                        url("/oauth/revoke"),
                        url("/oauth/introspect")
                    ),
                ),
            ]
        }
        ("vista", _) => vec![(
            "a captcha, which `pass-` and anything solves once",
            format!(
                "curl -s -X POST -H \"Authorization: Bearer $({asked} | {TOKEN_OF})\" \
                 -H \"CaptchaResponse: pass-$(openssl rand -hex 8)\" {}",
                url("/ocapi/v1/members/authentication-token")
            ),
        )],
        _ => Vec::new(),
    }
}

/// How a credential asks for a token, where it can.
fn way(c: &CredentialView) -> Option<Way> {
    let secret = c.secret.as_ref().map(|s| s.0.as_str()).unwrap_or_default();
    let basic = format!("--user {}", quoted(&format!("{}:{secret}", c.id)));
    let grant = "-d grant_type=client_credentials";
    let user = [Kind::User.name(), Kind::OauthClient.name()];
    Some(match (c.dialect, c.kind) {
        ("standard", kind) if kind != Kind::User.name() => {
            Way { endpoint: "/oauth/token", options: format!("{basic} {grant}"), opens: "/echo/hello" }
        }
        ("voucherify", kind) if kind == Kind::Server.name() => Way {
            endpoint: "/v1/oauth/token",
            options: format!(
                "-H {} -H {} {grant} -d scope=api",
                quoted(&format!("X-App-Id: {}", c.id)),
                quoted(&format!("X-App-Token: {secret}"))
            ),
            opens: "/v1/vouchers/FESTIVE-2026",
        },
        ("antavo", kind) if !user.contains(&kind) => Way {
            endpoint: "/v1/auth/token",
            options: format!("{basic} {grant} -d scope=loyalty.async_events"),
            opens: "/v1/async/events/42",
        },
        ("vista", kind) if kind == Kind::User.name() => Way {
            endpoint: "/connect/token",
            options: format!(
                "-d grant_type=password -d client_id=demo -d {} --data-urlencode {}",
                quoted(&format!("username={}", c.id)),
                quoted(&format!("password={secret}"))
            ),
            opens: "/ocapi/v1/cinemas",
        },
        _ => return None,
    })
}

/// A shell function: `av PATH TOKEN` signs and sends; without them it asks for a token. A signature is good for one
/// request, so it is made when the command runs.
fn avanan(c: &CredentialView, base: &str) -> String {
    let secret = c.secret.as_ref().map(|s| s.0.as_str()).unwrap_or_default();
    let (id, secret) = (quoted(&c.id), quoted(secret));
    let app = quoted(&format!("x-av-app-id: {}", c.id));
    format!(
        "av() {{ R=$(openssl rand -hex 16); D=$(date -u +%Y-%m-%dT%H:%M:%S); \
         S=$(printf %s \"$R\"{id}\"$D$1\"{secret} | openssl base64 -A | openssl dgst -sha256 -r | cut -c1-64); \
         curl -s -H \"x-av-req-id: $R\" -H {app} -H \"x-av-date: $D\" -H \"x-av-sig: $S\" -H \"x-av-token: $2\" \
         \"{base}${{1:-/v1.0/auth}}\"; }}"
    )
}
