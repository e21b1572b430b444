//! An installation that takes access tokens: an API for each dialect that has any, and whoever has them.
use super::actor::Actor;
use super::client::HOST;
use super::gateway::{Gateway, Setup};
use super::message::Answer;
use super::signer::now;
use super::upstream::Upstream;
use super::wait::eventually;
use doorward_core::schemes::avanan::{Covers, DateForm, ToSign, sign};
use doorward_core::schemes::escher::{Signer, SigningSecret};

/// The issuer of every token here.
pub(crate) const ISSUER: &str = "https://api.example";

/// `{upstream}` stands for the upstream's address.
const POLICY: &str = r#"
[[workspace]]
id = "live"
environment = "production"
region = "us"
[[workspace]]
id = "far"
environment = "production"
region = "eu"
[[workspace]]
id = "test"
environment = "sandbox"

[[api]]
id = "things"
dialect = "standard"
schemes = ["api_key", "bearer"]
upstream = { production = "http://{upstream}" }
cors = { origins = ["https://page.example"] }
[[api.route]]
path = "/t/*"
[[api.route]]
path = "/t/write/*"
scope = "write"
[[api.route]]
path = "/t/introspect"
target = "introspect"

[[api]]
id = "resource"
dialect = "standard"
schemes = ["bearer"]
audiences = ["https://api.example/things"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/resource/*"

[[api]]
id = "shop"
dialect = "voucherify"
schemes = ["api_key", "publishable", "bearer"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/v1/*"
[[api.route]]
path = "/client/v1/*"
client_side = true

[[api]]
id = "async"
dialect = "antavo"
schemes = ["bearer"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/async/*"
scope = "loyalty.async_events"

[[api]]
id = "ocapi"
dialect = "vista"
schemes = ["bearer"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/ocapi/*"

[[api]]
id = "mail"
dialect = "avanan"
schemes = ["avanan"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/v1.0/*"

[[api]]
id = "post"
dialect = "avanan"
schemes = ["bearer"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/post/*"
"#;

/// The dialects that have tokens, each with the path of an API that takes them.
pub(crate) const PLACES: [(&str, &str); 5] = [
    ("standard", "/t/x"),
    ("voucherify", "/v1/vouchers"),
    ("antavo", "/async/events"),
    ("vista", "/ocapi/v1/sites"),
    ("avanan", "/post/x"),
];

/// A gateway with an upstream, and a credential of each dialect.
pub(crate) struct TokenWorld {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
    actors: Vec<Actor>,
}

impl TokenWorld {
    pub(crate) fn new() -> TokenWorld {
        TokenWorld::with(|setup| setup)
    }

    /// One with settings of its own.
    pub(crate) fn with(change: impl FnOnce(Setup) -> Setup) -> TokenWorld {
        let upstream = Upstream::start();
        let policy = POLICY.replace("{upstream}", &upstream.address.to_string());
        let setup = Setup::new().policy(policy).set("tokens", "issuer", format!("{ISSUER:?}"));
        let mut gateway = change(setup).prepare();
        let password = gateway.folder.write("password", "a password of sufficient length");
        let mut actors = Vec::new();
        for (dialect, _) in PLACES {
            let (kind, more): (_, &[&str]) = match dialect {
                "vista" => ("user", &["--id", "cinema", "--password-file", &password]),
                "antavo" => ("server", &["--scope", "loyalty.async_events"]),
                "voucherify" => ("server", &["--scope", "api", "--scope", "client_api"]),
                "standard" => ("server", &["--scope", "read", "--scope", "write"]),
                _ => ("server", &[]),
            };
            actors.push(gateway.actor("live", kind, &[&["--dialect", dialect], more].concat()));
        }
        gateway.start();
        TokenWorld { gateway, upstream, actors }
    }

    /// The credential of a dialect.
    pub(crate) fn of(&self, dialect: &str) -> &Actor {
        self.actors.iter().find(|a| a.dialect == dialect).expect("a dialect with tokens")
    }

    /// A token for the credential of a dialect, with all that it may do.
    pub(crate) fn token(&self, dialect: &str) -> String {
        self.token_for(&self.of(dialect).id, &[])
    }

    /// A token for some credential.
    #[track_caller]
    pub(crate) fn token_for(&self, id: &str, more: &[&str]) -> String {
        let run = self.gateway.command(&[&["token", "issue", "--id", id], more].concat()).ok();
        run.stdout.trim().to_owned()
    }

    /// Asks with a token.
    #[track_caller]
    pub(crate) fn ask(&self, path: &str, token: &str) -> Answer {
        self.gateway.ask(bearer("GET", path, token, ""))
    }

    /// Waits until a token's credential is known, which the gateway learns a moment later.
    pub(crate) fn settled(&self, path: &str, token: &str) {
        eventually("the credential", || self.ask(path, token).status == 200);
    }

    /// Asks as Avanan's clients do, with a signature and a token.
    #[track_caller]
    pub(crate) fn ask_signed(&self, path: &str, actor: &Actor, token: Option<&str>) -> Answer {
        let secret = SigningSecret::new(actor.secret.as_bytes());
        let signer = Signer { id: actor.id.clone(), secret };
        let req_id = format!("{:032x}", rand_like());
        let req =
            ToSign { target: path, covers: Covers::Target, req_id: &req_id, date_form: DateForm::Micros };
        let lines: String = sign(&signer, &req, token, now())
            .expect("it can be signed")
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        self.gateway.ask(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"))
    }
}

/// A number that was not given before.
fn rand_like() -> u128 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let ms = u128::try_from(now().0).unwrap_or_default();
    ms << 64 | u128::from(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A request with a token.
pub(crate) fn bearer(method: &str, path: &str, token: &str, lines: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n{lines}\r\n")
}
