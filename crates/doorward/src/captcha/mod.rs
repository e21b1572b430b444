//! Asks providers of captchas whether puzzles were solved, on the runtime that everything but the gateway runs on.
mod client;
mod room;

use crate::clock;
use crate::config::CaptchaUrls;
use client::Client;
use doorward_core::captcha::{Response, Settings, Verdict, is_test_secret, judge};
use doorward_core::credential::Environment;
use doorward_core::live::Live;
use doorward_core::ports::{Captchas, Verifying};
use doorward_gateway::monotonic_ms;
use room::Room;
use rustls::RootCertStore;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a provider may take, from the first look for its address to the last byte of its answer.
const ASKING: Duration = Duration::from_secs(3);

/// What became of responses, as metrics name it.
pub(crate) const OUTCOMES: [&str; 3] = ["passed", "failed", "unavailable"];

fn outcome(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Passed { .. } => 0,
        Verdict::Failed(_) => 1,
        Verdict::Unavailable(_) => 2,
    }
}

/// Asks providers.
pub(crate) struct Verifier {
    live: Arc<Live>,
    client: Arc<Client>,
    runtime: Handle,
    room: Arc<Room>,
    told: Arc<[AtomicU64; OUTCOMES.len()]>,
}

impl Verifier {
    /// Providers at these addresses are asked on `runtime`; `roots` vouch for them.
    pub(crate) fn new(live: Arc<Live>, urls: CaptchaUrls, roots: RootCertStore, runtime: Handle) -> Verifier {
        Verifier {
            live,
            client: Arc::new(Client::new(urls, roots)),
            runtime,
            room: Arc::default(),
            told: Arc::default(),
        }
    }

    /// What became of responses so far, in the order of [`OUTCOMES`].
    pub(crate) fn counts(&self) -> [u64; OUTCOMES.len()] {
        std::array::from_fn(|at| self.told[at].load(Relaxed))
    }

    /// What a workspace's captchas are checked with; the error is a fact for the log.
    fn settings(&self, workspace: &str) -> Result<Arc<Settings>, &'static str> {
        let settings = self.live.captchas.load().get(workspace).cloned().ok_or("captcha-not-set-up")?;
        let policy = self.live.policy.load();
        let production =
            policy.workspaces.get(workspace).is_none_or(|w| w.environment == Environment::Production);
        // Nobody can set one, but a store may have been written to by others.
        if production && is_test_secret(settings.secret.as_bytes()) {
            return Err("captcha-test-secret");
        }
        Ok(settings)
    }

    fn tell(told: &[AtomicU64; OUTCOMES.len()], verdict: Verdict) -> Verdict {
        told[outcome(verdict)].fetch_add(1, Relaxed);
        verdict
    }
}

impl Captchas for Verifier {
    fn verify<'r>(&'r self, response: &'r Response) -> Verifying<'r> {
        let none = |why| Box::pin(ready(Verifier::tell(&self.told, Verdict::Unavailable(why))));
        let settings = match self.settings(&response.workspace) {
            Ok(settings) => settings,
            Err(why) => return none(why),
        };
        let Some(place) = self.room.enter(&response.workspace) else { return none("captcha-too-many") };
        let (send, receive) = oneshot::channel();
        let (client, live, told) = (Arc::clone(&self.client), Arc::clone(&self.live), Arc::clone(&self.told));
        let response = response.clone();
        self.runtime.spawn(async move {
            let verdict = match timeout(ASKING, client.ask(&settings, &response)).await {
                Ok(Ok(answer)) => {
                    let now = live.clock.judge(clock::now(), monotonic_ms());
                    judge(&answer, &settings.hostnames, now)
                }
                Ok(Err(why)) => Verdict::Unavailable(why),
                Err(_) => Verdict::Unavailable("captcha-late"),
            };
            drop(place);
            if let Verdict::Unavailable(why) = verdict {
                let provider = settings.provider.name();
                tracing::debug!(provider, why, "a captcha could not be checked");
            }
            // Nobody may be waiting any more.
            let _ = send.send(Verifier::tell(&told, verdict));
        });
        Box::pin(async move { receive.await.unwrap_or(Verdict::Unavailable("captcha-lost")) })
    }
}
