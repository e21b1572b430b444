//! Where connections may change their protocol, and where they can't.
use super::Compiler;
use crate::policy::Methods;
use crate::policy::draft::RouteDraft;

impl Compiler {
    /// Why a connection can't change its protocol at a route that says it may.
    pub(super) fn cannot_upgrade(
        &self,
        r: &RouteDraft,
        methods: &Methods,
        api: usize,
    ) -> Option<&'static str> {
        let api = &self.policy.apis[api];
        if r.upgrades.is_empty() {
            None
        } else if r.target.is_some() {
            Some("what is answered here is never upgraded; leave out `upgrades`")
        } else if r.upgrades.iter().any(|name| name == "websocket") && !methods.has(b"GET") {
            Some("a websocket begins with GET, which is no method of this route")
        } else if [&api.production, &api.sandbox].into_iter().flatten().any(|u| u.http2) {
            Some("connections are upgraded in HTTP/1.1 only, and this API's upstream is spoken to in HTTP/2")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::compile;
    use crate::policy::draft::read;

    fn told(upstream: &str, route: &str) -> Vec<String> {
        let text = format!(
            "[[api]]\nid = \"a\"\ndialect = \"standard\"\nupstream = {{ production = {upstream} }}\n[[api.route]]\npath = \"/x\"\n{route}\n"
        );
        match read(&text).map(|draft| compile(&draft, None)) {
            Ok(Ok(policy)) => policy.routes[0].upgrades.iter().map(|name| name.to_string()).collect(),
            Ok(Err(mistakes)) | Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn only_what_can_be_upgraded_may_be() {
        let one = "\"http://u:1\"";
        assert_eq!(told(one, "upgrades = [\"WebSocket\", \"x/2\"]"), ["websocket", "x/2"]);
        assert!(told(one, "").is_empty());
        for (upstream, route, want) in [
            (
                one,
                "methods = [\"POST\"]\nupgrades = [\"websocket\"]",
                "line 5, api `a`, /x: a websocket begins with GET, which is no method of this route",
            ),
            (
                "{ addresses = [\"http://u:1\"], http2 = true }",
                "upgrades = [\"websocket\"]",
                "line 5, api `a`, /x: connections are upgraded in HTTP/1.1 only, and this API's upstream is spoken to in HTTP/2",
            ),
            (
                one,
                "target = \"jwks\"\nupgrades = [\"websocket\"]",
                "line 5, api `a`, /x: what is answered here is never upgraded; leave out `upgrades`",
            ),
            (
                one,
                "upgrades = [\"h2c\"]",
                "line 7, api[0].route[0].upgrades[0]: `h2c` would carry requests that nobody has looked at",
            ),
        ] {
            assert_eq!(told(upstream, route), [want]);
        }
    }
}
