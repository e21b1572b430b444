//! What is told to whoever sent a message that is refused. All of it is about what they sent themselves.
use super::Reject;

impl Reject {
    /// What is wrong, in a sentence for the sender.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Reject::HeadTooLarge => "The request line and the header fields together are too long.",
            Reject::TooManyFields => "There are too many header fields.",
            Reject::BareLineFeed => "A line ends in a line feed alone; lines end in CR LF.",
            Reject::BareCarriageReturn => "There is a carriage return where no line ends.",
            Reject::ControlOctet => "There is a control character in the head.",
            Reject::EmptyLineFirst => "There is an empty line before the request.",
            Reject::NotHttp => "This is not HTTP; if it is TLS, this port speaks plain HTTP.",
            Reject::NotOneHead => "The head of the request ends in more than one place.",
            Reject::Http2Preface => "HTTP/2 is not spoken here; use HTTP/1.1.",
            Reject::Version => "This version of HTTP is not spoken here; use HTTP/1.1.",
            Reject::RequestLine => {
                "The first line is not a method, a target and a version with one space between them."
            }
            Reject::Method => "The method has characters that no method has.",
            Reject::MethodTooLong => "The method is too long.",
            Reject::MethodConnect => "CONNECT is not served: this is no tunnel.",
            Reject::TargetOctet => "The target has a character that has to be percent-encoded.",
            Reject::TargetFragment => "The target has a `#`; fragments are not sent.",
            Reject::TargetForm => "The target is neither a path nor an http or https address with a path.",
            Reject::TargetUserinfo => "The target names a user; that is not done in HTTP.",
            Reject::TargetNotHost => "The target and the Host field name different hosts.",
            Reject::FoldedField => "A header field goes on in the next line; write it in one line.",
            Reject::SpaceBeforeColon => "There is white space between a header field's name and its colon.",
            Reject::FieldName => {
                "A header line has no name, no colon, or a name with characters that no name has."
            }
            Reject::HostMissing => "There is no Host field.",
            Reject::HostRepeated => "There is more than one Host field.",
            Reject::HostInvalid => "The Host field is not a host with an optional port.",
            Reject::ContentLengthInvalid => "Content-Length is not a plain number.",
            Reject::ContentLengthRepeated => "Content-Length was sent more than once.",
            Reject::ContentLengthNotData => "The body is not as long as Content-Length says.",
            Reject::ContentLengthWithTransferEncoding => {
                "Content-Length and Transfer-Encoding were both sent."
            }
            Reject::TransferEncodingNotChunked => {
                "Transfer-Encoding is something other than exactly `chunked`."
            }
            Reject::TransferEncodingRepeated => "Transfer-Encoding was sent more than once.",
            Reject::TransferEncodingInHttp10 => "HTTP/1.0 has no Transfer-Encoding.",
            Reject::ConnectionOption => "Connection has an option that is no name.",
            Reject::ConnectionOptionsTooMany => "Connection has too many options.",
            Reject::ConnectionNamesProtected => "Connection names a field that must not be removed.",
            Reject::StatusLine | Reject::StatusRange | Reject::BodyNotAllowed => {
                "This is no answer to a request."
            }
            Reject::ChunkSize => "A chunk's size is not a plain hexadecimal number.",
            Reject::ChunkTooLarge => "A chunk is too large.",
            Reject::ChunkLineTooLong => "A chunk's first line is too long.",
            Reject::ChunkExtension => "A chunk extension has characters that it can't have.",
            Reject::ChunkExtensionsTooLong => "There are too many chunk extensions.",
            Reject::ChunkEnd => "A chunk does not end where its size says.",
            Reject::TrailerSyntax => "A trailer field can't be read.",
            Reject::TrailerTooLarge => "The trailer fields are too long, or too many.",
        }
    }
}
