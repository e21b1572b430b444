//! An installation whose callers sign.
use super::actor::Actor;
use super::gateway::{Gateway, Setup};
use super::upstream::Upstream;

/// `{production}` and `{sandbox}` stand for the upstreams' addresses.
const POLICY: &str = r#"
[[workspace]]
id = "live"
environment = "production"

[[workspace]]
id = "test"
environment = "sandbox"
explain = true

[[api]]
id = "signed"
dialect = "antavo"
names = ["antavo", "aws4"]
schemes = ["escher"]
workspaces = ["live"]
upstream = { production = "http://{production}" }
[[api.route]]
path = "/signed/*"

[[api]]
id = "explained"
dialect = "antavo"
schemes = ["escher"]
upstream = { production = "http://{production}", sandbox = "http://{sandbox}" }
[[api.route]]
path = "/explained/*"

[[api]]
id = "presigned"
dialect = "antavo"
names = ["antavo", "aws4"]
schemes = ["escher"]
workspaces = ["live"]
upstream = { production = "http://{production}" }
[[api.signing]]
dialect = "antavo"
presigned_max_s = 600
[[api.signing]]
dialect = "aws4"
presigned_max_s = 600
[[api.route]]
path = "/presigned/*"

[[api]]
id = "unsafe"
dialect = "antavo"
schemes = ["escher"]
workspaces = ["live"]
upstream = { production = "http://{production}" }
[[api.signing]]
once_only = "unsafe"
pass_unsigned = ["x-passed"]
fields = ["x-must"]
[[api.route]]
path = "/unsafe/*"

[[api]]
id = "tight"
dialect = "antavo"
schemes = ["escher"]
workspaces = ["live"]
upstream = { production = "http://{production}" }
[[api.signing]]
skew_s = 2
[[api.route]]
path = "/tight/*"

[[api]]
id = "plain"
dialect = "voucherify"
upstream = { production = "http://{production}" }
[[api.route]]
path = "/plain/*"
"#;

/// A gateway with upstreams and callers.
pub(crate) struct SigningWorld {
    pub(crate) gateway: Gateway,
    pub(crate) production: Upstream,
    pub(crate) sandbox: Upstream,
    /// Antavo's names, production.
    pub(crate) signer: Actor,
    /// Another one of the same workspace.
    pub(crate) second: Actor,
    /// Signature Version 4, production.
    pub(crate) aws: Actor,
    /// Antavo's names, sandbox.
    pub(crate) tester: Actor,
    /// Sends a key.
    pub(crate) server: Actor,
}

impl SigningWorld {
    pub(crate) fn new() -> SigningWorld {
        SigningWorld::with(|setup| setup)
    }

    /// One with settings of its own.
    pub(crate) fn with(change: impl FnOnce(Setup) -> Setup) -> SigningWorld {
        let (production, sandbox) = (Upstream::start(), Upstream::start());
        let policy = POLICY.replace("{production}", &production.address.to_string());
        let policy = policy.replace("{sandbox}", &sandbox.address.to_string());
        let mut gateway = change(Setup::new().policy(policy)).prepare();
        let signs = |workspace, dialect| gateway.actor(workspace, "server", &["--dialect", dialect]);
        let (signer, second) = (signs("live", "antavo"), signs("live", "antavo"));
        let (aws, tester) = (signs("live", "aws4"), signs("test", "antavo"));
        let server = gateway.actor("live", "server", &[]);
        gateway.start();
        SigningWorld { gateway, production, sandbox, signer, second, aws, tester, server }
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> super::Answer {
        self.gateway.ask(request)
    }

    /// Asserts that nothing whatsoever came to an upstream, not even a connection.
    #[track_caller]
    pub(crate) fn expect_untouched(&self, what: &str) {
        for upstream in [&self.production, &self.sandbox] {
            assert_eq!((upstream.connections(), upstream.count()), (0, 0), "{what} reached the upstream");
        }
    }
}
