//! An installation with a token server, and what its clients send.
use super::actor::Actor;
use super::client::HOST;
use super::gateway::{Gateway, Setup};
use super::message::Answer;
use super::wait::eventually;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use doorward_core::jwt::{Compact, KeySet};
use serde_json::Value;
use std::time::Duration;

/// Who issues.
pub(crate) const ISSUER: &str = "https://auth.example";
/// The password of every user here.
pub(crate) const PASSWORD: &str = "swordfish & chips";

/// The endpoints of every dialect that has some, and two workspaces that share them.
pub(crate) const POLICY: &str = r#"
[[workspace]]
id = "live"
environment = "production"
password_grant = true

[[workspace]]
id = "other"
environment = "production"

[[workspace]]
id = "far"
environment = "production"
region = "eu"

[[workspace]]
id = "try"
environment = "sandbox"

[[api]]
id = "oauth"
dialect = "standard"
route = [
  { path = "/oauth/token", target = "token", public = true },
  { path = "/oauth/introspect", target = "introspect", public = true },
  { path = "/oauth/revoke", target = "revoke", public = true },
  { path = "/.well-known/oauth-authorization-server", target = "metadata", public = true },
  { path = "/.well-known/jwks.json", target = "jwks", public = true },
  { path = "/key", target = "public_key", public = true },
]

[[api]]
id = "antavo"
dialect = "antavo"
route = [{ path = "/v1/auth/token", target = "token", public = true }, { path = "/v1/auth/introspect", target = "introspect", public = true }]

[[api]]
id = "voucherify"
dialect = "voucherify"
route = [
  { path = "/v1/oauth/token", target = "token" },
  { path = "/v1/oauth/introspect", target = "introspect" },
  { path = "/v1/oauth/token/revoke", target = "revoke" },
]

[[api]]
id = "vista"
dialect = "vista"
schemes = ["bearer"]
route = [
  { path = "/connect/token", target = "token", public = true },
  { path = "/.well-known/openid-configuration", target = "metadata", public = true },
  { path = "/.well-known/jwks", target = "jwks", public = true },
]

[[api]]
id = "avanan"
dialect = "avanan"
schemes = ["avanan"]
route = [
  { path = "/v1.0/auth", target = "token" },
  { path = "/v1.0/public_key", target = "public_key", public = true },
]
"#;

/// A gateway that issues tokens, and a client.
pub(crate) struct Office {
    pub(crate) gateway: Gateway,
    /// An OAuth client of `live` with two scopes.
    pub(crate) client: Actor,
}

impl Office {
    pub(crate) fn open() -> Office {
        Office::with(|setup| setup)
    }

    pub(crate) fn with(change: impl FnOnce(Setup) -> Setup) -> Office {
        let setup = Setup::new().policy(POLICY).set("tokens", "issuer", format!("{ISSUER:?}"));
        let mut gateway = change(setup).prepare();
        let scopes = ["--dialect", "standard", "--scope", "orders:read", "--scope", "orders:write"];
        let client = gateway.actor("live", "oauth_client", &scopes);
        gateway.start();
        Office { gateway, client }
    }

    /// Another credential, once the gateway knows it.
    pub(crate) fn hire(&self, workspace: &str, kind: &str, more: &[&str]) -> Actor {
        let standard: &[&str] = if kind == "oauth_client" { &["--dialect", "standard"] } else { &[] };
        let actor = self.gateway.actor(workspace, kind, &[standard, more].concat());
        self.gateway.obeys_all();
        actor
    }

    /// A service user.
    pub(crate) fn user(&self, workspace: &str, name: &str, more: &[&str]) -> Actor {
        let file = self.gateway.folder.write(&format!("{name}.password"), PASSWORD);
        let dialect: &[&str] = if more.contains(&"--dialect") { &[] } else { &["--dialect", "standard"] };
        let words = [&["--id", name, "--password-file", &file], dialect, more].concat();
        Actor { secret: PASSWORD.to_owned(), ..self.hire(workspace, "user", &words) }
    }

    /// A form to an endpoint, with header lines of the caller's choice.
    pub(crate) fn post(&self, path: &str, lines: &str, form: &[(&str, &str)]) -> Answer {
        self.gateway.ask(post(path, lines, form))
    }

    /// Asks for a token as the standard has it.
    pub(crate) fn token(&self, client: &Actor, form: &[(&str, &str)]) -> Answer {
        let form = [&[("grant_type", "client_credentials")], form].concat();
        self.post("/oauth/token", &basic(client), &form)
    }

    /// A token that is given.
    pub(crate) fn given(&self, client: &Actor, form: &[(&str, &str)]) -> String {
        text_of(&self.token(client, form), "access_token")
    }

    pub(crate) fn introspect(&self, client: &Actor, token: &str) -> Answer {
        self.post("/oauth/introspect", &basic(client), &[("token", token)])
    }

    pub(crate) fn is_active(&self, client: &Actor, token: &str) -> bool {
        let answer = self.introspect(client, token);
        assert_eq!(answer.status, 200, "{answer:?}");
        match answer.json()["active"].as_bool() {
            Some(true) => true,
            // Nothing more is ever said about others.
            _ => {
                assert_eq!(answer.text(), "{\"active\":false}");
                false
            }
        }
    }

    /// Header and claims of a token, after its signature was verified with the keys that are published.
    pub(crate) fn opened(&self, token: &str) -> (Value, Value) {
        let keys = self.gateway.ask(get("/.well-known/jwks.json")).text();
        let keys = KeySet::from_jwks(&keys).expect("good keys");
        let signed = Compact::parse(token).and_then(|t| t.verify(&keys)).expect("signed by one of them");
        let header = token.split('.').next().and_then(doorward_core::jwt::decode).expect("base64url");
        let read = |bytes: &[u8]| serde_json::from_slice(bytes).expect("JSON");
        (read(&header), read(signed.payload()))
    }
}

/// Ticks of the clock by which the kernel counts what a process has spent (`getconf CLK_TCK`).
const TICK: Duration = Duration::from_millis(10);

impl Gateway {
    /// What CPU it has spent so far, in user space and for it in the kernel.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it runs");
        // The name before may hold anything but a closing parenthesis at its end.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<u32>().expect("a number");
        TICK * (ticks(11) + ticks(12))
    }

    /// Waits until the node obeys everything that was written so far.
    pub(crate) fn obeys_all(&self) {
        let told = self.command(&["check"]).ok().stdout;
        let word = told.split_once("the store holds ").and_then(|(_, rest)| rest.split(' ').next());
        let changes: i64 = word.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{told}"));
        eventually("all changes to be obeyed", || {
            let metrics = self.operations("/metrics").text();
            let line = metrics.lines().find_map(|line| line.strip_prefix("doorward_directory_seq "));
            line.and_then(|number| number.parse::<i64>().ok()).unwrap_or_else(|| panic!("{metrics}"))
                >= changes
        });
    }
}

/// The member of an answer that is a token or so.
#[track_caller]
pub(crate) fn text_of(answer: &Answer, member: &str) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()[member].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

pub(crate) fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The header line of HTTP Basic.
pub(crate) fn basic(client: &Actor) -> String {
    let pair = format!("{}:{}", encoded(&client.id), encoded(&client.secret));
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(pair))
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

pub(crate) fn post(path: &str, lines: &str, form: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = form.iter().map(|(n, v)| format!("{}={}", encoded(n), encoded(v))).collect();
    raw(path, &format!("Content-Type: application/x-www-form-urlencoded\r\n{lines}"), &pairs.join("&"))
}

/// A body as it is.
pub(crate) fn raw(path: &str, lines: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}
