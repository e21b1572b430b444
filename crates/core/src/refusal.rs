//! Why something is refused: what everybody may know, and what the log alone is told.
use crate::reason::Reason;

/// Why a part of the decision says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The public reason.
    pub reason: Reason,
    /// For the log alone.
    pub detail: &'static str,
    /// For the caller: about facts that it knows already, or that it may know after the proof.
    pub note: Option<Box<str>>,
    /// The scope that was lacking, where one was.
    pub scope: Option<Box<str>>,
}

impl Refusal {
    /// A refusal that tells the caller no more than its reason.
    #[must_use]
    #[cold]
    pub fn new(reason: Reason, detail: &'static str) -> Refusal {
        Refusal { reason, detail, note: None, scope: None }
    }
    /// The same, with a sentence for the caller.
    #[must_use]
    #[cold]
    pub fn saying(mut self, note: impl Into<String>) -> Refusal {
        self.note = Some(note.into().into());
        self
    }
    /// The same, for want of a scope.
    #[must_use]
    pub(crate) fn lacking(mut self, scope: &str) -> Refusal {
        self.scope = Some(scope.into());
        self
    }
    /// A credential that is there, but can't be read.
    #[must_use]
    #[cold]
    pub fn malformed(detail: &'static str, note: impl Into<String>) -> Refusal {
        Refusal::new(Reason::CredentialMalformed, detail).saying(note)
    }
    /// A credential in more than one place.
    #[must_use]
    #[cold]
    pub(crate) fn ambiguous(detail: &'static str, note: impl Into<String>) -> Refusal {
        Refusal::new(Reason::CredentialAmbiguous, detail).saying(note)
    }
    /// A way of presenting a credential that is not accepted here.
    #[must_use]
    #[cold]
    pub(crate) fn not_accepted(detail: &'static str, note: impl Into<String>) -> Refusal {
        Refusal::new(Reason::SchemeNotAccepted, detail).saying(note)
    }
    /// A second credential.
    #[must_use]
    #[cold]
    pub fn credential_ambiguous() -> Refusal {
        Refusal::new(Reason::CredentialAmbiguous, "two-credentials")
    }
}

/// For whoever operates a node or mends a client.
impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.reason.code(), self.detail)?;
        self.note.as_ref().map_or(Ok(()), |note| write!(f, ": {note}"))
    }
}
