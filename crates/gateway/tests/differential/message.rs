//! What a reader made of a stream, in a form that can be compared.
use doorward_gateway::wire::Reject;

/// Fields by lower-case name, those of one name in the order sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn of<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Fields {
        let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let mut list: Vec<_> =
            fields.map(|(name, value)| (shown(name).to_ascii_lowercase(), shown(value))).collect();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        Fields(list)
    }

    /// Whether a field is there whose value holds a text in any case.
    pub(crate) fn hold(&self, name: &str, text: &str) -> bool {
        self.0.iter().any(|(n, value)| n == name && value.to_ascii_lowercase().contains(text))
    }
}

/// A body, as far as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Fields,
    pub(crate) complete: bool,
}

/// One message. `start` is method and target, or status and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) start: (String, Vec<u8>),
    pub(crate) fields: Fields,
    pub(crate) body: Body,
}

/// Why a reader stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The stream ended after a message.
    Clean,
    /// A message said that it is the last.
    Closed,
    /// The stream ended within a message.
    Cut,
    /// Something was refused.
    Refused(Reject),
}

/// A stream, read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) messages: Vec<Message>,
    pub(crate) end: End,
    /// Bytes up to the end of the last message.
    pub(crate) consumed: usize,
}
