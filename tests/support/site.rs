//! A gateway of a story's own, and the upstream that its policy leads to.
use super::cli::Run;
use super::gateway::{Gateway, Setup};
use super::upstream::Upstream;

/// A gateway and its upstream. Stories add who calls.
pub(crate) struct Site {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
    policy: &'static str,
}

impl Site {
    /// One that is prepared, and not started: whoever is made before that is known from the start. In the policy, `{upstream}`
    /// stands for the upstream's address, and each name in `parts` for what is beside it.
    pub(crate) fn prepare(
        policy: &'static str,
        parts: &[(&str, &str)],
        change: impl FnOnce(Setup) -> Setup,
    ) -> Site {
        let upstream = Upstream::start();
        let gateway = change(Setup::new().policy(filled(policy, &upstream, parts))).prepare();
        Site { gateway, upstream, policy }
    }

    /// Its policy, with other parts.
    pub(crate) fn policy(&self, parts: &[(&str, &str)]) -> String {
        filled(self.policy, &self.upstream, parts)
    }

    /// Applies its policy, with other parts.
    pub(crate) fn apply(&self, parts: &[(&str, &str)]) -> Run {
        self.gateway.apply(&self.policy(parts))
    }
}

fn filled(policy: &str, upstream: &Upstream, parts: &[(&str, &str)]) -> String {
    let policy = policy.replace("{upstream}", &upstream.address.to_string());
    parts.iter().fold(policy, |text, (name, part)| text.replace(&format!("{{{name}}}"), part))
}
