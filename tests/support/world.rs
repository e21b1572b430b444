//! The installation that most stories share: one gateway, two upstreams, callers of every kind.
use super::actor::Actor;
use super::gateway::{Gateway, Setup};
use super::upstream::Upstream;
use std::ops::Deref;
use std::sync::OnceLock;

/// `{production}` and `{sandbox}` stand for the upstreams' addresses.
pub(crate) const POLICY: &str = r#"
[[workspace]]
id = "acme-live"
name = "Acme"
environment = "production"

[[workspace]]
id = "acme-test"
environment = "sandbox"

[[workspace]]
id = "acme-far"
environment = "production"
region = "eu"

[[workspace]]
id = "other-live"
environment = "production"

[[api]]
id = "vouchers"
dialect = "voucherify"
upstream = { production = "http://{production}", sandbox = "http://{sandbox}" }
[[api.route]]
path = "/v1/*"

[[api]]
id = "client"
dialect = "voucherify"
schemes = ["publishable"]
upstream = { production = "http://{production}", sandbox = "http://{sandbox}" }
[[api.route]]
path = "/client/v1/*"
client_side = true
[[api.route]]
path = "/client/inner/*"

[[api]]
id = "standard"
dialect = "standard"
upstream = { production = "http://{production}" }
[[api.route]]
path = "/std/*"
[[api.route]]
path = "/only/get"
methods = ["GET"]

[[api]]
id = "members"
dialect = "antavo"
plain_key = ["sandbox"]
upstream = { production = "http://{production}", sandbox = "http://{sandbox}" }
[[api.route]]
path = "/customers/*"

[[api]]
id = "open"
dialect = "standard"
upstream = { production = "http://{production}" }
[[api.route]]
path = "/public/*"
public = true

[[api]]
id = "pinned"
dialect = "voucherify"
workspaces = ["other-live"]
upstream = { production = "http://{production}" }
[[api.route]]
path = "/pinned/*"

[[api]]
id = "loose"
dialect = "voucherify"
paths = { encoded_slash = true, empty_segments = true, dot_segments = true }
upstream = { production = "http://{production}" }
[[api.route]]
path = "/loose/*"

[[api]]
id = "dead"
dialect = "voucherify"
upstream = { production = "http://127.0.0.1:1" }
[[api.route]]
path = "/dead/*"

[[api]]
id = "hosted"
dialect = "voucherify"
hosts = ["shop.example", "api.shop.example"]
upstream = { production = "http://{production}" }
[[api.route]]
path = "/hosted/*"
"#;

/// A gateway with upstreams and callers.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) production: Upstream,
    pub(crate) sandbox: Upstream,
    /// Voucherify's header pair, production.
    pub(crate) server: Actor,
    /// The same in the sandbox.
    pub(crate) tester: Actor,
    /// A single header, production.
    pub(crate) single: Actor,
    /// A publishable key, production, with its origins.
    pub(crate) page: Actor,
    /// An id alone, sandbox.
    pub(crate) plain: Actor,
}

/// Where the page of [`World::page`] is.
pub(crate) const ORIGINS: [&str; 2] = ["https://shop.example", "capacitor://localhost"];

impl World {
    /// The policy with the addresses in it.
    pub(crate) fn policy(production: &Upstream, sandbox: &Upstream) -> String {
        let policy = POLICY.replace("{production}", &production.address.to_string());
        policy.replace("{sandbox}", &sandbox.address.to_string())
    }

    /// One with settings of its own.
    pub(crate) fn with(change: impl FnOnce(Setup) -> Setup) -> World {
        let (production, sandbox) = (Upstream::start(), Upstream::start());
        let setup = Setup::new().policy(World::policy(&production, &sandbox));
        let mut gateway = change(setup).prepare();
        let origins = ORIGINS.map(|o| ["--origin", o]).concat();
        let server = gateway.actor(
            "acme-live",
            "server",
            &["--name", "back end", "--scope", "api", "--scope", "read"],
        );
        let tester = gateway.actor("acme-test", "server", &["--dialect", "voucherify"]);
        let single = gateway.actor("acme-live", "integration", &["--dialect", "standard"]);
        let page = gateway.actor("acme-live", "client", &origins);
        let plain = gateway.actor("acme-test", "server", &["--dialect", "antavo", "--plain-key"]);
        gateway.start();
        World { gateway, production, sandbox, server, tester, single, page, plain }
    }

    /// One for a test alone.
    pub(crate) fn new() -> World {
        World::with(|setup| setup)
    }

    /// The one that every test may use which changes nothing in it.
    pub(crate) fn shared() -> Shared {
        static WORLD: OnceLock<World> = OnceLock::new();
        Shared(WORLD.get_or_init(World::new))
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> super::Answer {
        self.gateway.ask(request)
    }
}

/// The shared installation. It outlives every test, so each looks for panics when it is done.
pub(crate) struct Shared(&'static World);

impl Deref for Shared {
    type Target = World;
    fn deref(&self) -> &World {
        self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.gateway.expect_no_panic();
        }
    }
}
