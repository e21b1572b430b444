//! What signers get wrong, in a sentence each.
use std::fmt;

/// The likely cause of a signature that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The date is too far from the server's clock.
    Clock,
    /// The date is not that of the credential, or not the one that was sent.
    Date,
    /// The date was signed in another form than it was sent in.
    DateForm,
    /// Another algorithm.
    Algorithm,
    /// Another region or service.
    Scope,
    /// The host, with or without its port.
    HostPort,
    /// The method.
    Method,
    /// Dot segments or doubled slashes.
    PathNormalised,
    /// The path is encoded once too often, or not often enough.
    PathEncoding,
    /// Another path.
    Path,
    /// The parameters are not sorted, or by another rule.
    QueryOrder,
    /// A space, `+` and `%2B` were mixed up.
    QueryPlus,
    /// Parameters are encoded otherwise.
    QueryEncoding,
    /// Another query.
    Query,
    /// A field that has to be signed, or is said to be, is not there.
    FieldMissing(String),
    /// A field is signed that should not be.
    FieldExtra(String),
    /// The name of a field is not in lower case.
    FieldCase(String),
    /// The value of a field is another one, or its spaces are.
    FieldValue(String),
    /// The list of signed fields.
    FieldList,
    /// The empty line after the fields.
    BlankLine,
    /// A line feed too many at the end.
    TrailingNewline,
    /// Lines end in CR LF.
    LineEnds,
    /// The body is another one.
    Body,
    /// The string to sign holds the canonical request itself, or is put together otherwise.
    StringToSign,
    /// The secret went into the key without the prefix.
    KeyPrefix,
    /// The secret was used as the key.
    KeyChain,
    /// Everything else agrees.
    Secret,
}

impl Cause {
    /// A lasting name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Cause::Clock => "clock",
            Cause::Date => "date",
            Cause::DateForm => "date_form",
            Cause::Algorithm => "algorithm",
            Cause::Scope => "scope",
            Cause::HostPort => "host_port",
            Cause::Method => "method",
            Cause::PathNormalised => "path_normalised",
            Cause::PathEncoding => "path_encoding",
            Cause::Path => "path",
            Cause::QueryOrder => "query_order",
            Cause::QueryPlus => "query_plus",
            Cause::QueryEncoding => "query_encoding",
            Cause::Query => "query",
            Cause::FieldMissing(_) => "field_missing",
            Cause::FieldExtra(_) => "field_extra",
            Cause::FieldCase(_) => "field_case",
            Cause::FieldValue(_) => "field_value",
            Cause::FieldList => "field_list",
            Cause::BlankLine => "blank_line",
            Cause::TrailingNewline => "trailing_newline",
            Cause::LineEnds => "line_ends",
            Cause::Body => "body",
            Cause::StringToSign => "string_to_sign",
            Cause::KeyPrefix => "key_prefix",
            Cause::KeyChain => "key_chain",
            Cause::Secret => "secret",
        }
    }
}

/// The sentence.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Cause::Clock => {
                "The client's clock is wrong, or the request took too long: sign with the time of sending, in UTC."
            }
            Cause::Date => {
                "The date that was signed is not the one that was sent: take the time once, and use it for the date, the day of the credential and the string to sign."
            }
            Cause::DateForm => {
                "The date was signed in another form than it was sent in: the line of the canonical request holds the value exactly as sent, the string to sign always YYYYMMDDTHHMMSSZ."
            }
            Cause::Algorithm => "The algorithm's name is another one than this server's.",
            Cause::Scope => {
                "The region or the service is wrong: the credential scope must be this server's, in the credential, in the string to sign and in the key."
            }
            Cause::HostPort => {
                "The host was signed with a port that was not sent, or without one that was: sign the Host field exactly as it is sent."
            }
            Cause::Method => "The method was signed otherwise than it is sent: write it in upper case.",
            Cause::PathNormalised => {
                "The path was normalised otherwise: dot segments and doubled slashes are signed another way than the client did."
            }
            Cause::PathEncoding => {
                "The path was percent-encoded once too often, or not often enough, before it was signed."
            }
            Cause::Path => "The path that was signed is not the one that was sent.",
            Cause::QueryOrder => {
                "The query's parameters are in the wrong order: sort them by their encoded names, then by their values."
            }
            Cause::QueryPlus => {
                "A space, `+` and `%2B` were mixed up in the query: a space is signed as %20 and a plus as %2B, and never as +."
            }
            Cause::QueryEncoding => {
                "The query was encoded otherwise: in names and values everything but A-Z a-z 0-9 - . _ ~ is percent-encoded with upper-case digits, and a parameter without a value gets a `=`."
            }
            Cause::Query => "The query that was signed is not the one that was sent.",
            Cause::FieldMissing(name) => {
                return write!(f, "The header field {name} has to be signed and sent, but is missing.");
            }
            Cause::FieldExtra(name) => {
                return write!(
                    f,
                    "The header field {name} was signed, but SignedHeaders does not name it, or it was not sent."
                );
            }
            Cause::FieldCase(name) => {
                return write!(
                    f,
                    "The name of the header field {name} has to be written in lower case in what is signed."
                );
            }
            Cause::FieldValue(name) => {
                return write!(
                    f,
                    "The value of the header field {name} that was signed is not the one that was sent; mind spaces, and what libraries add before sending."
                );
            }
            Cause::FieldList => {
                "The list of signed header fields is not the one in SignedHeaders: lower case, sorted, with `;` between the names."
            }
            Cause::BlankLine => {
                "The empty line between the header fields and their names is missing from the canonical request, or there is one too many."
            }
            Cause::TrailingNewline => {
                "There is a line feed too many at the end: neither the canonical request nor the string to sign ends in one."
            }
            Cause::LineEnds => "The lines end in CR LF: a line feed alone stands between lines.",
            Cause::Body => {
                "The body that was signed is not the one that was sent: hash exactly the bytes that are sent, after all encoding, and the empty string where there are none."
            }
            Cause::StringToSign => {
                "The string to sign is put together otherwise: algorithm, date, scope with the day, and the hexadecimal digest of the canonical request, a line each."
            }
            Cause::KeyPrefix => {
                "The signing key was made without the right prefix: it begins with the algorithm's prefix and the secret in one string."
            }
            Cause::KeyChain => {
                "The secret itself was used as the key: the signing key is derived from it by the day and each part of the scope."
            }
            Cause::Secret => {
                "Everything that is signed agrees, so the secret is another one, or the signing key is derived otherwise."
            }
        };
        f.write_str(sentence)
    }
}
