//! Why a message is refused.

/// Why a message is refused. Each stands for one rule; the connection is closed after any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reject {
    /// The head is longer than the limit.
    HeadTooLarge,
    /// More field lines than the limit.
    TooManyFields,
    /// A line ends in LF alone.
    BareLineFeed,
    /// CR stands where no line ends.
    BareCarriageReturn,
    /// NUL or another control octet.
    ControlOctet,
    /// An empty line stands before the head.
    EmptyLineFirst,
    /// The first octet can't begin a message: TLS on a plain port, binary protocols.
    NotHttp,
    /// What was given is not exactly one head.
    NotOneHead,
    /// The preface of HTTP/2.
    Http2Preface,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    Version,
    /// The request line is none.
    RequestLine,
    /// The method is no token.
    Method,
    /// The method is longer than [`MAX_METHOD_BYTES`](super::MAX_METHOD_BYTES).
    MethodTooLong,
    /// CONNECT: this is no tunnel.
    MethodConnect,
    /// The target holds an octet that no target may hold.
    TargetOctet,
    /// The target holds a fragment.
    TargetFragment,
    /// The target has none of the forms that are served.
    TargetForm,
    /// The target's authority holds a user name.
    TargetUserinfo,
    /// The target's authority is not the one that `Host` names.
    TargetNotHost,
    /// A field continues on the next line (obs-fold).
    FoldedField,
    /// White space between a field's name and its colon.
    SpaceBeforeColon,
    /// A field line without a name, without a colon, or with a name that is no token.
    FieldName,
    /// No `Host`.
    HostMissing,
    /// `Host` twice, even if both say the same.
    HostRepeated,
    /// `Host` is no host with an optional port.
    HostInvalid,
    /// `Content-Length` is no plain decimal number of at most 18 digits.
    ContentLengthInvalid,
    /// `Content-Length` twice, even if both say the same.
    ContentLengthRepeated,
    /// The body is longer or shorter than `Content-Length` says (HTTP/2, where it ends by itself).
    ContentLengthNotData,
    /// Both a length and a transfer coding.
    ContentLengthWithTransferEncoding,
    /// A transfer coding other than exactly `chunked`.
    TransferEncodingNotChunked,
    /// `Transfer-Encoding` twice.
    TransferEncodingRepeated,
    /// A transfer coding in HTTP/1.0, which knows none.
    TransferEncodingInHttp10,
    /// A `Connection` option that is no token.
    ConnectionOption,
    /// More `Connection` options than any sender needs.
    ConnectionOptionsTooMany,
    /// `Connection` names a field whose removal would change what the message is.
    ConnectionNamesProtected,
    /// The status line is none.
    StatusLine,
    /// A status outside of 100 to 599.
    StatusRange,
    /// A body is announced where the status allows none (1xx, 204).
    BodyNotAllowed,
    /// A chunk size is no plain hexadecimal number.
    ChunkSize,
    /// A chunk of 2^56 bytes or more, or more than 16 digits.
    ChunkTooLarge,
    /// A chunk-size line longer than the limit.
    ChunkLineTooLong,
    /// A control octet or one beyond ASCII in a chunk extension.
    ChunkExtension,
    /// More chunk extensions in one body than any sender needs.
    ChunkExtensionsTooLong,
    /// The data of a chunk is not followed by CRLF.
    ChunkEnd,
    /// A line of the trailer section is no field line.
    TrailerSyntax,
    /// The trailer section is longer, or has more lines, than the limit.
    TrailerTooLarge,
}

impl Reject {
    /// The fact in short, for the log.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Reject::HeadTooLarge => "head-too-large",
            Reject::TooManyFields => "too-many-fields",
            Reject::BareLineFeed => "bare-line-feed",
            Reject::BareCarriageReturn => "bare-carriage-return",
            Reject::ControlOctet => "control-octet",
            Reject::EmptyLineFirst => "empty-line-first",
            Reject::NotHttp => "not-http",
            Reject::NotOneHead => "not-one-head",
            Reject::Http2Preface => "http2-preface",
            Reject::Version => "version-unknown",
            Reject::RequestLine => "request-line-invalid",
            Reject::Method => "method-invalid",
            Reject::MethodTooLong => "method-too-long",
            Reject::MethodConnect => "method-connect",
            Reject::TargetOctet => "target-octet-invalid",
            Reject::TargetFragment => "target-fragment",
            Reject::TargetForm => "target-form",
            Reject::TargetUserinfo => "target-userinfo",
            Reject::TargetNotHost => "target-and-host-differ",
            Reject::FoldedField => "folded-field",
            Reject::SpaceBeforeColon => "space-before-colon",
            Reject::FieldName => "field-name-invalid",
            Reject::HostMissing => "host-missing",
            Reject::HostRepeated => "host-repeated",
            Reject::HostInvalid => "host-invalid",
            Reject::ContentLengthInvalid => "content-length-invalid",
            Reject::ContentLengthRepeated => "content-length-repeated",
            Reject::ContentLengthNotData => "content-length-and-data-differ",
            Reject::ContentLengthWithTransferEncoding => "content-length-with-transfer-encoding",
            Reject::TransferEncodingNotChunked => "transfer-encoding-not-chunked",
            Reject::TransferEncodingRepeated => "transfer-encoding-repeated",
            Reject::TransferEncodingInHttp10 => "transfer-encoding-in-http10",
            Reject::ConnectionOption => "connection-option-invalid",
            Reject::ConnectionOptionsTooMany => "connection-options-too-many",
            Reject::ConnectionNamesProtected => "connection-names-protected-field",
            Reject::StatusLine => "status-line-invalid",
            Reject::StatusRange => "status-out-of-range",
            Reject::BodyNotAllowed => "body-not-allowed",
            Reject::ChunkSize => "chunk-size-invalid",
            Reject::ChunkTooLarge => "chunk-too-large",
            Reject::ChunkLineTooLong => "chunk-line-too-long",
            Reject::ChunkExtension => "chunk-extension-invalid",
            Reject::ChunkExtensionsTooLong => "chunk-extensions-too-long",
            Reject::ChunkEnd => "chunk-end-missing",
            Reject::TrailerSyntax => "trailer-invalid",
            Reject::TrailerTooLarge => "trailer-too-large",
        }
    }

    /// Whether the head was too large (431) rather than wrong (400).
    #[must_use]
    pub fn too_large(self) -> bool {
        matches!(self, Reject::HeadTooLarge | Reject::TooManyFields)
    }
}
