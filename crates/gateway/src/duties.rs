//! What a decision asks outside besides the body: the ledger, limits, captchas. Each answers soon, or counts as one that
//! can't.
use crate::clock::Slot;
use crate::pool::Dial;
use crate::worker::Worker;
use doorward_core::captcha::Verdict;
use doorward_core::decide::{Duty, Facts, Refusal, Step};
use doorward_core::ports::{Claim, Spending};
use doorward_core::reason::Reason;
use doorward_core::time::UnixMillis;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// How long a claim may take, in milliseconds.
const CLAIM_MS: u64 = 3_000;
/// How long spending may take, in milliseconds. A limiter falls back to what it knows itself sooner.
const SPEND_MS: u64 = 2_000;
/// How long checking a captcha may take, in milliseconds; whoever asks the provider gives up sooner.
const CAPTCHA_MS: u64 = 4_000;

/// Waits no longer than that; `None`: there is no answer. The coarse clock's 50 ms may come on top.
async fn within<T, D: Dial>(
    worker: &Worker<D>,
    slot: &Slot,
    ms: u64,
    mut coming: Pin<Box<dyn Future<Output = T> + Send + '_>>,
) -> Option<T> {
    slot.set(worker.clock.after(ms));
    let came = poll_fn(|cx| match coming.as_mut().poll(cx) {
        Poll::Pending => slot.pending(cx, &worker.clock),
        Poll::Ready(came) => Poll::Ready(Ok(came)),
    });
    came.await.ok()
}

/// Asks what there is to ask, one after the other, until it is decided.
pub(crate) async fn settled<D: Dial>(
    worker: &Worker<D>,
    slot: &Slot,
    mut step: Step,
    facts: &mut Facts,
    now: UnixMillis,
) -> Step {
    loop {
        let answered = match step {
            Step::Ask(Duty::Claim(unclaimed)) => {
                // A ledger answers sooner; one that does not must not hold connections.
                let claim = within(worker, slot, CLAIM_MS, worker.ledger.claim(unclaimed.once())).await;
                unclaimed.answered(claim.unwrap_or(Claim::Unavailable), now, facts)
            }
            Step::Ask(Duty::Spend(unspent)) => {
                let spent = match worker.limiter.spend(unspent.spends()) {
                    Spending::Now(spent) => Some(spent),
                    Spending::Later(later) => within(worker, slot, SPEND_MS, later).await,
                };
                unspent.answered(spent, facts)
            }
            Step::Ask(Duty::Captcha(unverified)) => {
                let verifying = worker.captchas.verify(unverified.response());
                let verdict = within(worker, slot, CAPTCHA_MS, verifying).await;
                unverified.answered(verdict.unwrap_or(Verdict::Unavailable("captcha-late")), facts)
            }
            // What was read is asked for again: it is never forwarded without.
            Step::Ask(Duty::Body(_)) => {
                return Step::Denied(Refusal::new(Reason::Unavailable, "body-digest").into());
            }
            other => return other,
        };
        step = answered.unwrap_or_else(Step::Denied);
    }
}
