//! Why a request over HTTP/2 is refused before it is one that could be written as HTTP/1.1 (RFC 9113 8.1.1).
use crate::wire::Reject;
use doorward_core::reason::Reason;
use std::io;

/// Why a message is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A field that begins with a colon and is none of those that there are.
    PseudoUnknown,
    PseudoRepeated,
    /// After a field that is none.
    PseudoLate,
    PseudoMissing,
    /// CONNECT, plain or extended (RFC 8441): this is no tunnel.
    Connect,
    Method,
    Scheme,
    Path,
    Authority,
    /// `:authority` and `host` do not say the same.
    AuthorityNotHost,
    HostRepeated,
    FieldName,
    /// A control octet.
    FieldValue,
    /// White space around it.
    FieldSpace,
    /// `connection` and its like.
    ConnectionField,
    /// `te` with anything but `trailers`.
    Te,
    /// `content-length` without as much data.
    Length,
    /// It depends on itself.
    Dependency,
    Status,
    /// The head is longer than the limit.
    TooLarge,
}

impl Wrong {
    pub(super) fn reason(self) -> Reason {
        match self {
            Wrong::TooLarge => Reason::HeadTooLarge,
            _ => Reason::RequestAmbiguous,
        }
    }

    /// The fact in short, for the log.
    pub(super) fn detail(self) -> &'static str {
        match self {
            Wrong::PseudoUnknown => "pseudo-header-unknown",
            Wrong::PseudoRepeated => "pseudo-header-repeated",
            Wrong::PseudoLate => "pseudo-header-late",
            Wrong::PseudoMissing => "pseudo-header-missing",
            Wrong::Connect => Reject::MethodConnect.detail(),
            Wrong::Method => Reject::Method.detail(),
            Wrong::Scheme => "scheme-unknown",
            Wrong::Path => Reject::TargetForm.detail(),
            Wrong::Authority => Reject::HostInvalid.detail(),
            Wrong::AuthorityNotHost => Reject::TargetNotHost.detail(),
            Wrong::HostRepeated => Reject::HostRepeated.detail(),
            Wrong::FieldName => Reject::FieldName.detail(),
            Wrong::FieldValue => Reject::ControlOctet.detail(),
            Wrong::FieldSpace => "space-around-value",
            Wrong::ConnectionField => "connection-field",
            Wrong::Te => "te-not-trailers",
            Wrong::Length => Reject::ContentLengthNotData.detail(),
            Wrong::Dependency => "stream-depends-on-itself",
            Wrong::Status => Reject::StatusLine.detail(),
            Wrong::TooLarge => Reject::HeadTooLarge.detail(),
        }
    }

    /// For the caller.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Wrong::PseudoUnknown => "There is a pseudo-header field that HTTP/2 requests do not have.",
            Wrong::PseudoRepeated => "A pseudo-header field was sent more than once.",
            Wrong::PseudoLate => "A pseudo-header field stands after another field.",
            Wrong::PseudoMissing => "One of :method, :scheme and :path is missing.",
            Wrong::Connect => Reject::MethodConnect.sentence(),
            Wrong::Method => Reject::Method.sentence(),
            Wrong::Scheme => "The :scheme is neither http nor https.",
            Wrong::Path => "The :path does not begin with a slash.",
            Wrong::Authority => "The :authority is not a host with an optional port.",
            Wrong::AuthorityNotHost => "The :authority and the host field do not say the same.",
            Wrong::HostRepeated => Reject::HostRepeated.sentence(),
            Wrong::FieldName => "A field's name is no token in lower case.",
            Wrong::FieldValue => "A field's value holds a control character.",
            Wrong::FieldSpace => "A field's value begins or ends with white space.",
            Wrong::ConnectionField => "HTTP/2 has no Connection field, nor the others that belong to it.",
            Wrong::Te => "The te field says something other than trailers.",
            Wrong::Length => Reject::ContentLengthNotData.sentence(),
            Wrong::Dependency => "The stream depends on itself.",
            Wrong::Status => Reject::StatusLine.sentence(),
            Wrong::TooLarge => Reject::HeadTooLarge.sentence(),
        }
    }
}

/// A body that is not what was announced. Whoever reads it can tell it from a connection that broke.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.detail())]
struct Malformed(Reject);

pub(super) fn malformed(reject: Reject) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Malformed(reject))
}

/// Why a body is refused, where that is why it can't be read.
pub(crate) fn rejected(error: &io::Error) -> Option<Reject> {
    error.get_ref()?.downcast_ref::<Malformed>().map(|malformed| malformed.0)
}
