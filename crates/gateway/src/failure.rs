//! How an exchange can fail, and what the caller is told.
use crate::deadlines::Why;
use crate::pump::Broken;
use doorward_core::reason::Reason;

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The caller is gone: there is nobody to answer.
    CallerGone(&'static str),
    /// What the caller would be told.
    Refused(Reason, &'static str),
}

#[cold]
pub(crate) fn too_late(why: Why) -> Stop {
    match why {
        Why::CallerSends => refused(Reason::RequestTimeout, "body-timeout"),
        Why::CallerTakes => gone("caller-takes-nothing"),
        Why::AnySends => gone("upgraded-idle"),
        Why::Ends => gone("upgraded-half-closed"),
        Why::UpstreamTakes => refused(Reason::UpstreamTimeout, "upstream-takes-nothing"),
        Why::UpstreamAnswers => refused(Reason::UpstreamTimeout, "upstream-answers-late"),
        Why::UpstreamSends | Why::Nothing => refused(Reason::UpstreamTimeout, "upstream-stalls"),
    }
}

/// Why an exchange stops before its end.
pub(crate) enum Stop {
    /// A kept connection took nothing of the request.
    NotSent,
    Failed(Failure),
}

/// What a broken request body means before anything was sent.
#[cold]
pub(crate) fn why(broken: Broken) -> Failure {
    match broken {
        Broken::Framing(reject) => Failure::Refused(Reason::RequestAmbiguous, reject.detail()),
        Broken::TooLarge => Failure::Refused(Reason::BodyTooLarge, "body-bytes"),
        Broken::Source | Broken::Sink => Failure::CallerGone("caller-closed-in-body"),
    }
}

#[cold]
pub(crate) fn refused(reason: Reason, detail: &'static str) -> Stop {
    Stop::Failed(Failure::Refused(reason, detail))
}

#[cold]
pub(crate) fn gone(detail: &'static str) -> Stop {
    Stop::Failed(Failure::CallerGone(detail))
}
