//! What differs between those who speak this scheme: names, scope, and the way the canonical request is written.
use crate::canonical::{
    CanonicalForm, Hash, PathForm, QueryOrder, QueryReading, Spaces, only_as_sent, unreserved,
};
use smallvec::SmallVec;

/// The two families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Escher: SHA-256 and SHA-512, the path as sent, presigned GET without a body.
    Escher,
    /// AWS Signature Version 4: SHA-256, the path encoded once more, `x-amz-content-sha256`.
    SigV4,
}

/// One vendor's way of signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) flavour: Flavour,
    pub(super) prefix: Box<str>,
    pub(super) auth_field: Box<str>,
    pub(super) date_field: Box<str>,
    pub(super) scope: Box<str>,
    pub(super) form: CanonicalForm,
    pub(super) must_sign: Vec<Box<str>>,
    pub(super) presigned_max_s: Option<i64>,
    pub(super) escaped_plus_as_space: bool,
    pub(super) parameters: ParameterNames,
}

/// The query parameters of a presigned address, spelt out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParameterNames {
    pub(super) algorithm: Box<str>,
    pub(super) credential: Box<str>,
    pub(super) date: Box<str>,
    pub(super) expires: Box<str>,
    pub(super) signed: Box<str>,
    pub(super) signature: Box<str>,
    pub(super) token: Option<Box<str>>,
    pub(super) payload: Option<Box<str>>,
}

impl ParameterNames {
    fn of(flavour: Flavour, vendor: &str) -> ParameterNames {
        let name = |rest: &str| format!("X-{vendor}-{rest}").into_boxed_str();
        let sigv4 = flavour == Flavour::SigV4;
        ParameterNames {
            algorithm: name("Algorithm"),
            credential: name(if sigv4 { "Credential" } else { "Credentials" }),
            date: name("Date"),
            expires: name("Expires"),
            signed: name("SignedHeaders"),
            signature: name("Signature"),
            token: sigv4.then(|| name("Security-Token")),
            payload: sigv4.then(|| name("Content-Sha256")),
        }
    }

    /// Those that a presigned address can't be without.
    pub(super) fn needed(&self) -> [&str; 6] {
        [&self.algorithm, &self.credential, &self.date, &self.expires, &self.signed, &self.signature]
    }
}

/// A configuration can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(why: String) -> ConfigError {
        ConfigError(why)
    }
}

impl Config {
    /// Antavo's names: `ANTAVO-HMAC-SHA256`, `Authorization`, `Date`, `X-Antavo-*`. `scope` as in
    /// `us/api/antavo_request`.
    ///
    /// # Errors
    /// A sentence for an operator about the scope.
    pub fn antavo(scope: &str) -> Result<Config, ConfigError> {
        let mut config = Config::new(Flavour::Escher, "ANTAVO", "Antavo", "authorization", "date", scope)?;
        config.escaped_plus_as_space = true;
        Ok(config)
    }

    /// AWS's names: `AWS4-HMAC-SHA256`, `Authorization`, `X-Amz-Date`, `X-Amz-*`. `scope` as in
    /// `us-east-1/execute-api/aws4_request`. Paths of the service `s3` are signed as they are sent.
    ///
    /// # Errors
    /// A sentence for an operator about the scope.
    pub fn aws4(scope: &str) -> Result<Config, ConfigError> {
        Config::new(Flavour::SigV4, "AWS4", "Amz", "authorization", "x-amz-date", scope)
    }

    /// Any other names. Neither presigned addresses nor further signed fields are asked for.
    ///
    /// # Errors
    /// A sentence for an operator: which name can't be sent.
    pub fn new(
        flavour: Flavour,
        algorithm_prefix: &str,
        vendor_key: &str,
        auth_field: &str,
        date_field: &str,
        scope: &str,
    ) -> Result<Config, ConfigError> {
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
        let wrong = |what: &str, text: &str, may: &str| Err(ConfigError(format!("{what} `{text}` {may}")));
        for (what, text) in [("the algorithm prefix", algorithm_prefix), ("the vendor key", vendor_key)] {
            if !plain(text) {
                return wrong(what, text, "must be letters and digits");
            }
        }
        for (what, text) in
            [("the signature's header field", auth_field), ("the date's header field", date_field)]
        {
            if !field_name(&text.to_ascii_lowercase()) {
                return wrong(what, text, "is not the name of a header field");
            }
        }
        if auth_field.eq_ignore_ascii_case(date_field) {
            return wrong("the date's header field", date_field, "is the signature's as well");
        }
        if scope.split('/').count() < 2 || !scope.split('/').all(scope_part) {
            return wrong("the credential scope", scope, "must be parts like us/api/antavo_request");
        }
        let sigv4 = flavour == Flavour::SigV4;
        let s3 = sigv4 && scope.split('/').nth(1) == Some("s3");
        Ok(Config {
            flavour,
            prefix: algorithm_prefix.into(),
            auth_field: auth_field.to_ascii_lowercase().into(),
            date_field: date_field.to_ascii_lowercase().into(),
            scope: scope.into(),
            form: CanonicalForm {
                method_upper: !sigv4,
                path: PathForm { normalised: !s3, encoded: sigv4 && !s3 },
                query_order: if sigv4 { QueryOrder::NamesThenValues } else { QueryOrder::Pairs },
                spaces: if sigv4 { Spaces::Everywhere } else { Spaces::OutsideQuotes },
            },
            must_sign: Vec::new(),
            presigned_max_s: None,
            escaped_plus_as_space: false,
            parameters: ParameterNames::of(flavour, vendor_key),
        })
    }

    /// The same, with addresses that are signed in their query, good for at most so many seconds.
    #[must_use]
    pub fn with_presigned(self, max_expires_s: i64) -> Config {
        Config { presigned_max_s: Some(max_expires_s), ..self }
    }

    /// The same, with paths signed as they are sent, dot segments and all.
    #[must_use]
    pub fn with_paths_as_sent(mut self) -> Config {
        self.form.path.normalised = false;
        self
    }

    /// The same, whether or not `%2B` in a query may be signed as a space. Some signers decode twice; who takes their
    /// signatures can't tell `%20` from `%2B`.
    #[must_use]
    pub fn with_escaped_plus_as_space(self, accepted: bool) -> Config {
        Config { escaped_plus_as_space: accepted, ..self }
    }

    /// The same, with header fields that must be signed beside host and date.
    #[must_use]
    pub fn with_fields_to_sign(self, names: &[&str]) -> Config {
        Config { must_sign: names.iter().map(|n| n.to_ascii_lowercase().into()).collect(), ..self }
    }

    /// Whether a request that is signed under the names of one is signed under those of the other.
    #[must_use]
    pub fn same_names(&self, other: &Config) -> bool {
        self.flavour == other.flavour
            && self.prefix == other.prefix
            && self.auth_field == other.auth_field
            && self.parameters.algorithm == other.parameters.algorithm
    }

    /// Whether a request could not be told to be signed under one or the other, though they differ.
    #[must_use]
    pub fn clashes_with(&self, other: &Config) -> bool {
        self.prefix == other.prefix && self.auth_field == other.auth_field && !self.same_names(other)
    }

    /// The hashes that it takes.
    #[must_use]
    pub fn hashes(&self) -> &'static [Hash] {
        match self.flavour {
            Flavour::Escher => &Hash::ALL,
            Flavour::SigV4 => &[Hash::Sha256],
        }
    }

    /// How the spaces in values are written.
    pub(crate) fn spaces(&self) -> crate::canonical::Spaces {
        self.form.spaces
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The scope, without the day.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The header fields that carry credentials, in lower case: they are not for upstreams.
    pub fn credential_headers(&self) -> impl Iterator<Item = &str> {
        let token = (self.flavour == Flavour::SigV4).then_some("x-amz-security-token");
        std::iter::once(&*self.auth_field).chain(token)
    }

    /// The query parameters that carry credentials: they are not for upstreams.
    pub fn credential_parameters(&self) -> impl Iterator<Item = &str> {
        let names = &self.parameters;
        names.needed().into_iter().chain(names.token.as_deref()).chain(names.payload.as_deref())
    }

    /// For a caller who sent no credential: how a request is signed.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("the header field {} with `{}-HMAC-...`", self.auth_field, self.prefix)
    }

    /// How a query is signed by default.
    pub(crate) fn reading(&self) -> QueryReading {
        QueryReading { plus_is_plus: self.flavour == Flavour::SigV4, ..QueryReading::default() }
    }

    /// The ways in which this query may have been read by who signed it, the default first. As many as differ.
    pub(crate) fn readings(
        &self,
        path: &[u8],
        query: &[u8],
        token: bool,
        in_header: bool,
    ) -> SmallVec<[QueryReading; 4]> {
        let mut all = SmallVec::from_slice(&[self.reading()]);
        // What signers of Escher differ in begins with one of these.
        if self.flavour == Flavour::Escher && !query.iter().any(|b| matches!(b, b'!' | b'*' | b'%')) {
            return all;
        }
        let mut also = |wanted: bool, change: fn(&mut QueryReading)| {
            if wanted {
                let mut changed: SmallVec<[QueryReading; 4]> = all.clone();
                changed.iter_mut().for_each(change);
                all.extend(changed);
            }
        };
        let has = |wanted: &[u8]| query.windows(wanted.len()).any(|w| w.eq_ignore_ascii_case(wanted));
        match self.flavour {
            Flavour::Escher => {
                let bang_or_star = || has(b"!") || has(b"*") || has(b"%21") || has(b"%2a");
                also(bang_or_star(), |r| r.bang_and_star_plain = true);
                also(self.escaped_plus_as_space && has(b"%2b"), |r| r.escaped_plus_is_space = true);
            }
            Flavour::SigV4 => {
                also(has(b"+"), |r| r.plus_is_plus = false);
                also(token, |r| r.token_added_later = true);
                // What some clients sign (curl, for one): both as they were sent.
                let more_than_one = |b: &u8| !unreserved(*b) && *b != b'=';
                also(in_header && query.iter().any(more_than_one), |r| r.query_as_sent = true);
                let as_sent = in_header && self.form.path.encoded && only_as_sent(path);
                also(as_sent, |r| r.path_as_sent = true);
                // As it was sent, a plus has no second reading.
                all.retain(|r| !r.query_as_sent || r.plus_is_plus);
            }
        }
        all
    }
}

/// The name of a header field, in lower case.
pub(super) fn field_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'))
}

/// One part of a credential scope. Spaces are known to occur.
pub(super) fn scope_part(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b' '))
}
