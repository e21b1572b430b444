//! The command line of `doorward token`.
use super::{Output, Place};
use clap::{Args, Subcommand};
use doorward_core::jwt::Algorithm;
use doorward_core::token::Jti;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Issue a token for a credential; it is printed now, and never again
    Issue(Issue),
    /// Tell everything about a token, and whether it would be taken
    Introspect {
        #[command(flatten)]
        place: Place,
        /// The token is in this file; `-` for standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        token_file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// End a token, or all of a credential's; every node obeys within a second
    Revoke(Revoke),
    /// Tokens that are alive, in the order in which they expire
    List(TokenList),
    /// What tokens are signed with
    #[command(subcommand)]
    Key(Key),
}

#[derive(Debug, Args)]
pub(crate) struct Issue {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The credential whose token it is to be
    #[arg(long, value_name = "ID")]
    pub(crate) id: String,
    /// What it may do, of what its credential may; left out, all of that
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Option<Vec<String>>,
    /// For which resource it is, as in https://orders.example; left out, the issuer. Standard tokens only
    #[arg(long = "resource", value_name = "URI")]
    pub(crate) resources: Vec<String>,
    /// How long it is good, in seconds; left out, as long as tokens of its dialect are, which is also the most
    #[arg(long, value_name = "N", value_parser = life)]
    pub(crate) life_s: Option<i64>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Which tokens.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// The one in this file; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The one of this name, as `token list` and `token issue` print it
    // One in 64 begins with a dash.
    #[arg(long, value_name = "JTI", value_parser = jti, allow_hyphen_values = true)]
    pub(crate) jti: Option<Jti>,
    /// All that this credential was given so far
    #[arg(long, value_name = "ID")]
    pub(crate) credential: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TokenList {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Those that were issued in this workspace
    #[arg(long, value_name = "ID", conflicts_with = "credential")]
    pub(crate) workspace: Option<String>,
    /// Those of this credential
    #[arg(long, value_name = "ID")]
    pub(crate) credential: Option<String>,
    /// At most so many; left out, 1000, or all with --json
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Every key, and what it is there for
    List {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Make another key; it is published now and signs later, and the one before it verifies until its last token is over
    Rotate {
        #[command(flatten)]
        place: Place,
        /// Only for this algorithm: ES256, RS256 or EdDSA; left out, for all that have a key
        #[arg(long, value_parser = Algorithm::parse)]
        alg: Option<Algorithm>,
        /// Let it sign at once (in two seconds, when every node has it), or the one that waits already
        ///
        /// Those elsewhere who verify tokens and keep the published keys for a while refuse tokens until they fetch the
        /// keys anew. Otherwise it signs after `tokens.publish_before_s` of the settings.
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a key that does not sign; all tokens that it signed are dead then
    Remove {
        #[command(flatten)]
        place: Place,
        /// Its name, as `token key list` prints it
        // One in 64 begins with a dash.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        output: Output,
    },
}

fn jti(text: &str) -> Result<Jti, String> {
    let parsed = Jti::parse(text).filter(|jti| jti.to_string() == text);
    parsed.ok_or_else(|| "a token's name has 22 characters: letters, digits, `-` and `_`".to_owned())
}

fn life(text: &str) -> Result<i64, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| "a token is good for a number of seconds, 1 at least".to_owned())
}
