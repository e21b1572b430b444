//! Why no token is given, before a dialect has put it into its words.
use doorward_core::credential::Credential;
use doorward_core::reason::Reason;
use std::sync::Arc;

/// What went wrong, as RFC 6749 5.2 and RFC 8707 2 sort it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The request can't be read, or lacks something.
    Request,
    /// Nobody proved to be a client.
    Client,
    /// What was to be exchanged for a token is not good.
    Grant,
    /// The client may not have tokens this way.
    Unauthorized,
    /// It may, from another address.
    Elsewhere,
    /// There is no such way.
    GrantType,
    /// More than the client may do, or nothing that there is.
    Scope,
    /// A resource that can't be one.
    Target,
    /// There are as many tokens as there may be.
    TooMany,
    /// This node can't do it now.
    Away,
}

/// Why no token is given.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) what: What,
    /// The public code.
    pub(super) code: Reason,
    /// For the log alone.
    pub(super) detail: &'static str,
    /// For the caller, in words.
    pub(super) note: &'static str,
    /// Who it is, once that is proved.
    pub(super) who: Option<Arc<Credential>>,
    /// How long to wait before another try, in seconds.
    pub(super) retry_after_s: Option<i64>,
}

impl Fault {
    fn new(what: What, code: Reason, detail: &'static str, note: &'static str) -> Fault {
        Fault { what, code, detail, note, who: None, retry_after_s: None }
    }

    pub(super) fn request(detail: &'static str, note: &'static str) -> Fault {
        Fault::new(What::Request, Reason::RequestAmbiguous, detail, note)
    }

    /// The same words whatever it was: unknown, wrong, blocked, elsewhere.
    pub(super) fn client(code: Reason, detail: &'static str) -> Fault {
        Fault::new(What::Client, code, detail, "client authentication failed")
    }

    /// The same words whatever it was.
    pub(super) fn grant(code: Reason, detail: &'static str) -> Fault {
        Fault::new(
            What::Grant,
            code,
            detail,
            "the user name or the password is wrong, or may not be used here",
        )
    }

    pub(super) fn unauthorized(detail: &'static str) -> Fault {
        let note = "this client gets no tokens this way";
        Fault::new(What::Unauthorized, Reason::SchemeNotAccepted, detail, note)
    }

    pub(super) fn elsewhere(detail: &'static str) -> Fault {
        let note = "calls from this address are not accepted";
        Fault::new(What::Elsewhere, Reason::NetworkDenied, detail, note)
    }

    pub(super) fn grant_type(detail: &'static str) -> Fault {
        let note = "there is no such grant_type here";
        Fault::new(What::GrantType, Reason::SchemeNotAccepted, detail, note)
    }

    pub(super) fn passwords_off() -> Fault {
        let note = "the password grant is switched off here";
        Fault::new(What::GrantType, Reason::SchemeNotAccepted, "password-grant-off", note)
    }

    /// Something proves who calls, and it is nothing that the endpoint takes.
    pub(super) fn other_authentication() -> Fault {
        let note = "a client authenticates with HTTP Basic, or with client_id and client_secret in the form";
        Fault::new(What::Client, Reason::SchemeNotAccepted, "other-authentication", note)
    }

    pub(super) fn scope(detail: &'static str) -> Fault {
        let note = "the scope is not a list of names, or more than this client may do";
        Fault::new(What::Scope, Reason::ScopeMissing, detail, note)
    }

    pub(super) fn target(detail: &'static str) -> Fault {
        let note = "a resource is an absolute address without a fragment, and there are eight at most";
        Fault::new(What::Target, Reason::RequestAmbiguous, detail, note)
    }

    pub(super) fn away(code: Reason, detail: &'static str) -> Fault {
        Fault::new(What::Away, code, detail, "this node can't do it now; try again later")
    }

    pub(super) fn too_many() -> Fault {
        let note = "there are as many live tokens as there may be; use them, or revoke some";
        Fault::new(What::TooMany, Reason::RateLimited, "too-many-tokens", note)
    }

    pub(super) fn coded(self, code: Reason) -> Fault {
        Fault { code, ..self }
    }

    pub(super) fn of(self, who: &Arc<Credential>) -> Fault {
        Fault { who: Some(Arc::clone(who)), ..self }
    }

    pub(super) fn after_s(self, retry_after_s: Option<i64>) -> Fault {
        Fault { retry_after_s, ..self }
    }
}
