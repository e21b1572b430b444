//! Why a signed request is refused.
use std::fmt;

/// The public reasons that this scheme gives; their codes are those of the closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Something of the signature can't be read.
    CredentialMalformed,
    /// Signed twice.
    CredentialAmbiguous,
    /// This way of signing is not accepted here.
    SchemeNotAccepted,
    /// The signature is not that of this request by this caller.
    SignatureInvalid,
    /// The date is too far from now, or the signed address has expired.
    SignatureExpired,
    /// The body is not the one whose digest was sent.
    DigestInvalid,
}

impl Reason {
    /// Each of them.
    pub const ALL: [Reason; 6] = [
        Reason::CredentialMalformed,
        Reason::CredentialAmbiguous,
        Reason::SchemeNotAccepted,
        Reason::SignatureInvalid,
        Reason::SignatureExpired,
        Reason::DigestInvalid,
    ];

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Reason::CredentialMalformed => "credential_malformed",
            Reason::CredentialAmbiguous => "credential_ambiguous",
            Reason::SchemeNotAccepted => "scheme_not_accepted",
            Reason::SignatureInvalid => "signature_invalid",
            Reason::SignatureExpired => "signature_expired",
            Reason::DigestInvalid => "digest_invalid",
        }
    }
}

/// A refused signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The public reason.
    pub reason: Reason,
    /// For the log alone.
    pub detail: &'static str,
    /// For the caller: about facts that it knows already.
    pub note: Option<String>,
}

impl Refusal {
    #[cold]
    pub(crate) fn new(reason: Reason, detail: &'static str) -> Refusal {
        Refusal { reason, detail, note: None }
    }

    #[cold]
    pub(crate) fn saying(mut self, note: impl Into<String>) -> Refusal {
        self.note = Some(note.into());
        self
    }

    #[cold]
    pub(super) fn malformed(detail: &'static str, note: impl Into<String>) -> Refusal {
        Refusal::new(Reason::CredentialMalformed, detail).saying(note)
    }

    #[cold]
    pub(super) fn ambiguous(detail: &'static str, note: impl Into<String>) -> Refusal {
        Refusal::new(Reason::CredentialAmbiguous, detail).saying(note)
    }

    #[cold]
    pub(super) fn not_accepted(detail: &'static str, note: impl Into<String>) -> Refusal {
        Refusal::new(Reason::SchemeNotAccepted, detail).saying(note)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason.code(), self.detail)?;
        self.note.as_ref().map_or(Ok(()), |note| write!(f, ": {note}"))
    }
}
