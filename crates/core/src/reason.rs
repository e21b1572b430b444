//! Why a request was refused: the closed list of public reasons. A code is stable from the first release; docs/reasons.md
//! tells callers about each.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal, $help:literal;)*) => {
        /// A public reason.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $name,)* }
        impl Reason {
            /// Every reason there is.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];
            /// The stable code, as in the `Doorward-Code` field.
            #[must_use]
            pub fn code(self) -> &'static str { match self { $(Reason::$name => $code,)* } }
            /// The HTTP status, unless a dialect says otherwise.
            #[must_use]
            pub fn status(self) -> u16 { match self { $(Reason::$name => $status,)* } }
            /// A short sentence that says what is wrong.
            #[must_use]
            pub fn title(self) -> &'static str { match self { $(Reason::$name => $title,)* } }
            /// What the caller can do about it.
            #[must_use]
            pub fn help(self) -> &'static str { match self { $(Reason::$name => $help,)* } }
        }
    };
}

reasons! {
    /// The request can be read in more than one way.
    RequestAmbiguous = "request_ambiguous", 400, "The request can be read in more than one way.",
        "Send the request in its plainest form: one length, one Host, a path without encoded or doubled slashes and without dot segments.";
    /// More than one credential was presented.
    CredentialAmbiguous = "credential_ambiguous", 400, "More than one credential was sent.",
        "Send exactly one credential.";
    /// No credential was presented.
    CredentialMissing = "credential_missing", 401, "No credential was sent.",
        "Send the credential in the way this API expects it.";
    /// A credential was presented that can't be read: half a pair, repeated, oversized.
    CredentialMalformed = "credential_malformed", 401, "The credential can't be read.",
        "Send each part of the credential once, complete and unchanged.";
    /// Unknown, or wrong secret: nobody is told which.
    CredentialInvalid = "credential_invalid", 401, "The credential is not valid here.",
        "Check id and secret, and that they belong to this address.";
    /// The credential's time is over.
    CredentialExpired = "credential_expired", 401, "The credential has expired.",
        "Ask whoever issued the credential for a new one.";
    /// The credential was blocked.
    CredentialBlocked = "credential_blocked", 401, "The credential is blocked.",
        "Ask whoever issued the credential why it is blocked.";
    /// This way of presenting a credential is not accepted here.
    SchemeNotAccepted = "scheme_not_accepted", 401, "This kind of credential is not accepted here.",
        "Use a kind of credential that this API accepts.";
    /// A key was sent where each request has to be signed.
    SignatureRequired = "signature_required", 401, "Requests to this API must be signed.",
        "Sign the request instead of sending the key; docs/signing.md tells how.";
    /// The signature is not that of this request by this caller; unknown ids are answered the same.
    SignatureInvalid = "signature_invalid", 401, "The signature does not match.",
        "Compare what you signed with what was sent: `doorward explain` shows the first difference.";
    /// The signature's date is too far from now, or a signed address has expired.
    SignatureExpired = "signature_expired", 401, "The signature is not of this time.",
        "Check the clock, and sign each request when it is sent.";
    /// The same signed request was accepted before.
    SignatureReplayed = "signature_replayed", 401, "This signed request was accepted before.",
        "Sign again: a signed request is accepted once. Two equal requests need dates that differ by a second.";
    /// The body is not the one that the request announces.
    DigestInvalid = "digest_invalid", 401, "The body is not the one that was signed.",
        "Sign the body that is sent, byte for byte.";
    /// The token is not one of ours for this API.
    TokenInvalid = "token_invalid", 401, "The token is not valid here.",
        "Ask the token endpoint that belongs to this API for a token, and send it unchanged.";
    /// The token's time is over.
    TokenExpired = "token_expired", 401, "The token has expired.",
        "Ask the token endpoint for a new one.";
    /// The token was revoked, by itself or with all of its credential's.
    TokenRevoked = "token_revoked", 401, "The token was revoked.",
        "Ask the token endpoint for a new one.";
    /// The caller's address is on no list.
    NetworkDenied = "network_denied", 403, "Calls from this address are not accepted.",
        "Call from an address that the workspace or the credential lists, or ask for yours to be listed.";
    /// The origin is missing, malformed or not on the credential's list.
    OriginDenied = "origin_denied", 403, "Calls from this origin are not allowed.",
        "Call from an origin on the key's list, or have the origin added to it.";
    /// The caller may do other things than this.
    ScopeMissing = "scope_missing", 403, "A scope is missing.",
        "Call with a credential that has the scope that the answer names; a token must have it too.";
    /// A captcha has to be solved.
    CaptchaRequired = "captcha_required", 403, "A captcha has to be solved.",
        "Let the person solve the captcha, and send the response that it gives in the CaptchaResponse field.";
    /// The captcha's response is not good.
    CaptchaInvalid = "captcha_invalid", 403, "The captcha's response is not accepted.",
        "Let the person solve a new captcha: a response is good once, for a short time, and for one site.";
    /// A licence is lacking, or not in force.
    LicenceRequired = "licence_required", 403, "A licence is required.",
        "Ask whoever runs the API for the licence that the answer names.";
    /// The credential belongs to another region.
    RegionDenied = "region_denied", 403, "The credential belongs to another region.",
        "Call the address of the credential's own region.";
    /// Plain HTTP is not accepted here.
    InsecureTransport = "insecure_transport", 403, "Plain HTTP is not accepted here.",
        "Use https. A credential that was sent over plain HTTP should be replaced.";
    /// No route has this host and path.
    RouteUnknown = "route_unknown", 404, "There is nothing at this address.",
        "Check host and path.";
    /// The route does not take this method.
    MethodNotAllowed = "method_not_allowed", 405, "This method is not allowed here.",
        "Use one of the methods that the Allow field names.";
    /// The request did not arrive in time.
    RequestTimeout = "request_timeout", 408, "The request did not arrive in time.",
        "Send the request again, without pauses.";
    /// The body is larger than the limit.
    BodyTooLarge = "body_too_large", 413, "The body is too large.",
        "Send a smaller body.";
    /// `Expect` names something other than `100-continue`.
    ExpectationFailed = "expectation_failed", 417, "The expectation can't be met.",
        "Send no Expect field, or 100-continue.";
    /// The caller called more often than it may.
    RateLimited = "rate_limited", 429, "Too many requests.",
        "Wait for as long as Retry-After says, and send fewer requests.";
    /// The head is larger than the limit.
    HeadTooLarge = "head_too_large", 431, "The header fields are too large.",
        "Send fewer or shorter header fields.";
    /// The upstream can't be reached, or answered with something that is not HTTP.
    UpstreamFailed = "upstream_failed", 502, "The service behind this address failed.",
        "Try again later. The request may have reached the service: repeat it only if that does no harm.";
    /// This node can't decide at the moment.
    Unavailable = "unavailable", 503, "This service can't answer at the moment.",
        "Try again later.";
    /// This node has no room for the request.
    Overloaded = "overloaded", 503, "Too many requests are being served at the moment.",
        "Try again after the time that Retry-After names.";
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream_timeout", 504, "The service behind this address did not answer in time.",
        "Try again later. The request may have reached the service: repeat it only if that does no harm.";
}

impl Reason {
    /// The reason with that code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|r| r.code() == code)
    }
}
