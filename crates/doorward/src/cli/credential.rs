//! The command line of `doorward credential`.
use super::{Output, Place};
use clap::{ArgGroup, Args, Subcommand};
use doorward_core::credential::{Kind, Status};
use doorward_core::dialect::Dialect;
use doorward_core::time::UnixMillis;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Credential {
    /// Make credentials; each secret is printed now
    Create(Create),
    /// Take over credentials from elsewhere; an import that was cut off is begun again with the same words
    Import(Import),
    /// Credentials without their secrets, in the order of their ids
    List(List),
    /// One credential
    Show {
        #[command(flatten)]
        one: One,
        /// With its secret, while that may still be shown
        #[arg(long)]
        reveal: bool,
    },
    /// Let it open nothing until it is unblocked
    Block(One),
    /// Let a blocked one in again
    Unblock(One),
    /// Change its name, its scopes, its origins, or until when it is good; every node obeys within a second
    Set(Set),
    /// From where it may be used, besides what policies say
    #[command(subcommand)]
    Network(Network),
    /// How often it may be used, in the place of what policies say about each credential
    #[command(subcommand)]
    Limit(Limit),
    /// Remove it for good
    Delete(One),
    /// Make a new secret for it; the old one opens nothing from then on
    Regenerate {
        #[command(flatten)]
        one: One,
        /// Let the tokens that it was given live on; voucherify's do unless --revoke-tokens says otherwise
        #[arg(long, conflicts_with = "revoke_tokens")]
        keep_tokens: bool,
        /// Let the tokens that it was given die; those of other dialects than voucherify do in any case
        #[arg(long)]
        revoke_tokens: bool,
    },
    /// Give it a role of its workspace, whose scopes it has besides its own
    Role {
        #[command(flatten)]
        one: One,
        /// admin, user, viewer, merchant, or a role of its workspace's own; --clear takes its role away
        #[arg(value_name = "ROLE")]
        role: Option<String>,
        /// Take its role away
        #[arg(long, conflicts_with = "role")]
        clear: bool,
    },
    /// Give a user another password; the old one opens nothing from then on
    Password {
        #[command(flatten)]
        one: One,
        /// The new password is in this file; `-` for standard input
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
        /// Let the tokens that the user was given live on; they die otherwise
        #[arg(long)]
        keep_tokens: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Network {
    /// Let it be used from these networks alone; every node obeys within a second
    Set {
        #[command(flatten)]
        one: One,
        /// An address or a range, as in 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32; again for more
        #[arg(long = "network", value_name = "NETWORK", required = true)]
        networks: Vec<String>,
    },
    /// Let it be used from anywhere again, as far as policies do
    Clear(One),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Limit {
    /// Let it be used so often at all APIs together; every node obeys within a second
    Set {
        #[command(flatten)]
        one: One,
        /// requests/seconds, as in 600/60, or requests/seconds/burst, as in 600/60/100
        #[arg(value_name = "LIMIT")]
        limit: String,
    },
    /// Let policies say how often it may be used
    Clear(One),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct Set {
    #[command(flatten)]
    pub(crate) one: One,
    /// For people
    #[arg(long, group = "change")]
    pub(crate) name: Option<String>,
    /// What it may do, as in vouchers:read, vouchers:*, *:read; again for more; in the place of all that it has by itself
    #[arg(long = "scope", value_name = "SCOPE", group = "change")]
    pub(crate) scopes: Option<Vec<String>>,
    /// Take all its scopes away, but for those of its role
    #[arg(long, conflicts_with = "scopes", group = "change")]
    pub(crate) no_scopes: bool,
    /// Where it may be used, as in https://shop.example; again for more; in the place of all that it has
    #[arg(long = "origin", value_name = "ORIGIN", group = "change")]
    pub(crate) origins: Option<Vec<String>>,
    /// Take all its origins away; a client credential needs one
    #[arg(long, conflicts_with = "origins", group = "change")]
    pub(crate) no_origins: bool,
    /// From when on it is expired, as in 2026-12-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant, group = "change")]
    pub(crate) expires: Option<UnixMillis>,
    /// Let it be good until it is blocked or deleted
    #[arg(long, conflicts_with = "expires", group = "change")]
    pub(crate) no_expiry: bool,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The credential's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The workspace it belongs to
    #[arg(long, value_name = "ID")]
    pub(crate) workspace: String,
    /// server, client, integration, user or oauth_client
    ///
    /// A user is a service user: a name (--id) and a password, with which tokens are asked for, where the workspace allows
    /// that. An oauth_client has an id and a secret that open nothing but the token endpoints.
    #[arg(long, value_parser = Kind::parse)]
    pub(crate) kind: Kind,
    /// The names under which it is sent: standard, voucherify, antavo, aws4 or, for users, vista; left out, the first
    /// that knows such keys
    ///
    /// Servers and integrations of antavo and aws4 sign their requests (scheme escher); their secrets are never sent.
    #[arg(long, value_parser = Dialect::parse)]
    pub(crate) dialect: Option<&'static Dialect>,
    /// For people
    #[arg(long, default_value = "")]
    pub(crate) name: String,
    /// Let its id alone open APIs that allow it, besides what it signs: weak, since ids are no secrets
    #[arg(long)]
    pub(crate) plain_key: bool,
    /// Where a client credential may be used, as in https://shop.example; of other keys of voucherify, where their tokens for
    /// pages may
    #[arg(long = "origin", value_name = "ORIGIN")]
    pub(crate) origins: Vec<String>,
    /// What it may do, as in vouchers:read, vouchers:*, *:read; upstreams are told
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// Its role, whose scopes it has besides: admin, user, viewer, merchant, or one of the workspace's own
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// From where it may be used, and from nowhere else, as in 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32; left out, from
    /// anywhere, as far as policies let it
    #[arg(long = "network", value_name = "NETWORK")]
    pub(crate) networks: Option<Vec<String>>,
    /// From when on it is expired, as in 2026-12-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(crate) expires: Option<UnixMillis>,
    /// Take over this id; the name of a user
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// The password of a user is in this file; `-` for standard input
    ///
    /// It has 12 to 128 characters, whichever they are. It is not printed, and can't be shown again.
    #[arg(long, value_name = "FILE", requires = "id", conflicts_with = "secret_file")]
    pub(crate) password_file: Option<PathBuf>,
    /// Let an oauth_client ask for tokens with the passwords of users, where their workspace allows that
    #[arg(long)]
    pub(crate) password_grant: bool,
    /// Take over the secret in this file; `-` for standard input
    #[arg(long, value_name = "FILE", requires = "id")]
    pub(crate) secret_file: Option<PathBuf>,
    /// How many
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000), conflicts_with = "id")]
    pub(crate) count: u32,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Lines of JSON, a credential each, with the fields that `create --json` prints; `-` for standard input
    ///
    /// `workspace`, `kind`, `id` and `secret` (of a user: the password) are needed, or `plain_key` for an id that stands
    /// alone. `dialect`, `name`, `origins`, `scopes`, `role`, `networks`, `limit`, `expires_at`, `password_grant` and `status` may be there. All mistakes are told with their lines, and then
    /// nothing is written. What is there already and is the same is passed over; what differs is a mistake.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Those of this workspace
    #[arg(long, value_name = "ID")]
    pub(crate) workspace: Option<String>,
    /// Those of this kind: server, client, integration, user or oauth_client
    #[arg(long, value_parser = Kind::parse)]
    pub(crate) kind: Option<Kind>,
    /// Those that are active, or blocked
    #[arg(long, value_parser = Status::parse)]
    pub(crate) status: Option<Status>,
    /// Those whose id starts with this, or whose name contains it
    ///
    /// Letters A to Z of names count in either case, those of ids as they are. An id that opens doors by itself is found
    /// by the whole of it only.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) search: Option<String>,
    /// At most so many; left out, 1000, or all with --json
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// From the one after this id
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

fn instant(text: &str) -> Result<UnixMillis, String> {
    UnixMillis::parse(text).ok_or_else(|| "write it as 2026-12-31T00:00:00Z".to_owned())
}
