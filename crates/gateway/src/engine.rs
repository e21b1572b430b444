//! What the engine refuses itself, whatever was decided.
use crate::hops::{self, Forwards, Via};
use crate::settings::Limits;
use crate::wire::{self, Expect, Framing, Head};
use doorward_core::decide::{Denial, Refusal, Step};
use doorward_core::policy::Policy;
use doorward_core::reason::Reason;
use doorward_core::request::RequestView;

/// Whether what is left of the request can be read and dropped.
pub(crate) fn fits(head: &Head, most: u64) -> bool {
    match head.framing {
        Framing::Length(n) => n <= most,
        _ => true,
    }
}

/// What the engine refuses itself: tricks with `Connection` whatever was decided, and what it can't do for a request
/// that was permitted.
pub(crate) fn engine_refusal(
    req: &RequestView<'_>,
    head: &Head,
    policy: &Policy,
    step: &Step,
    via: &Via,
    limits: &Limits,
) -> Option<Denial> {
    if via.is_in(req.raw, head) {
        let note = "This address leads back to itself: the request came through here before.".to_owned();
        return Some(Refusal::new(Reason::UpstreamFailed, "loop").saying(note).into());
    }
    let names_a_credential =
        || policy.credential_headers.iter().any(|name| wire::nominated(req.raw, head, name.as_bytes()));
    if head.nominates && names_a_credential() {
        return Some(Refusal::new(Reason::RequestAmbiguous, "connection-names-credential").into());
    }
    let signed = match step {
        Step::Permit(permit) => permit.signed(),
        Step::Ask(duty) => match duty.permit() {
            Some(permit) => permit.signed(),
            None => return None,
        },
        _ => return None,
    };
    // What was signed for the upstream must not be taken away on the way.
    let names_signed =
        || signed.is_some_and(|s| s.names().any(|name| wire::nominated(req.raw, head, name.as_bytes())));
    if head.nominates && names_signed() {
        return Some(Refusal::new(Reason::RequestAmbiguous, "connection-names-signed").into());
    }
    if let Some(denial) = cannot_be_read(head) {
        return Some(denial);
    }
    if hops::forwards(req) == Forwards::Unclear {
        return Some(Refusal::new(Reason::RequestAmbiguous, "max-forwards").into());
    }
    match head.framing {
        Framing::Length(n) if n > limits.body_bytes => {
            let note = format!("The body has {n} bytes; at most {} are taken.", limits.body_bytes);
            Some(Refusal::new(Reason::BodyTooLarge, "content-length").saying(note).into())
        }
        _ => None,
    }
}

/// What would have to be met before the body.
pub(crate) fn cannot_be_read(head: &Head) -> Option<Denial> {
    (head.expect == Expect::Unknown).then(|| Refusal::new(Reason::ExpectationFailed, "expect-unknown").into())
}
