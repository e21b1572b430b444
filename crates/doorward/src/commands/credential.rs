//! `doorward credential ...`.
use super::usage::usage;
use super::{ACTOR, import, list, print};
use crate::cli::{Create, Credential, Limit, Network, One, Output, Set};
use crate::{Failure, clock, place, random};
use doorward_control::actions::{
    CredentialView, Import, OwnWanted, Password, Showing, TermsWanted, Wanted, credentials, networks, own,
    terms,
};
use std::io::{self, Read as _};
use std::path::Path;

/// Most bytes that are read as a secret: more than any has.
const MAX_SECRET_FILE_BYTES: u64 = 4096;
/// What is told in the place of a list that holds nobody.
const NOWHERE: &str = "none  (it can't be used from anywhere)";

pub(super) async fn run(command: Credential) -> Result<(), Failure> {
    match command {
        Credential::Create(options) => create(options).await,
        Credential::Import(options) => import::run(&options).await,
        Credential::List(options) => list::run(options).await,
        Credential::Show { one, reveal } => {
            let opened = place::open(&one.place).await?;
            let desk = opened.desk(ACTOR);
            let found = match reveal {
                true => credentials::reveal(desk, &one.id).await?,
                false => credentials::show(desk, &one.id).await?,
            };
            Ok(told(&found, one.output)?)
        }
        Credential::Block(one) => {
            let opened = place::open(&one.place).await?;
            Ok(told(&credentials::block(opened.desk(ACTOR), &one.id).await?, one.output)?)
        }
        Credential::Unblock(one) => {
            let opened = place::open(&one.place).await?;
            Ok(told(&credentials::unblock(opened.desk(ACTOR), &one.id).await?, one.output)?)
        }
        Credential::Set(options) => set(options).await,
        Credential::Limit(Limit::Set { one, limit }) => {
            let opened = place::open(&one.place).await?;
            Ok(told(&own::set_limit(opened.desk(ACTOR), &one.id, Some(&limit)).await?, one.output)?)
        }
        Credential::Limit(Limit::Clear(one)) => {
            let opened = place::open(&one.place).await?;
            Ok(told(&own::set_limit(opened.desk(ACTOR), &one.id, None).await?, one.output)?)
        }
        Credential::Network(Network::Set { one, networks }) => {
            let opened = place::open(&one.place).await?;
            Ok(told(&networks::set(opened.desk(ACTOR), &one.id, &networks).await?, one.output)?)
        }
        Credential::Network(Network::Clear(one)) => {
            let opened = place::open(&one.place).await?;
            Ok(told(&networks::clear(opened.desk(ACTOR), &one.id).await?, one.output)?)
        }
        Credential::Delete(one) => delete(one).await,
        Credential::Regenerate { one, keep_tokens, revoke_tokens } => {
            let opened = place::open(&one.place).await?;
            let keep = (keep_tokens || revoke_tokens).then_some(keep_tokens);
            let made = credentials::regenerate(opened.desk(ACTOR), &one.id, keep, &mut random::fill).await?;
            if made.weak {
                tracing::warn!(
                    "the id alone still opens APIs that allow it; to change that, make another credential"
                );
            }
            Ok(told(&made, one.output)?)
        }
        Credential::Role { one, role, clear } => {
            if role.is_none() && !clear {
                usage(
                    "name the role, as in `doorward credential role ID viewer`, or say --clear to take its role away",
                );
            }
            let opened = place::open(&one.place).await?;
            Ok(told(&own::set_role(opened.desk(ACTOR), &one.id, role.as_deref()).await?, one.output)?)
        }
        Credential::Password { one, password_file, keep_tokens } => {
            let chosen = Password::new(secret(&password_file)?);
            let opened = place::open(&one.place).await?;
            let (desk, random) = (opened.desk(ACTOR), &mut random::fill);
            let set = credentials::set_password(desk, &one.id, &chosen, keep_tokens, random).await?;
            Ok(told(&set, one.output)?)
        }
    }
}

async fn create(options: Create) -> Result<(), Failure> {
    let password = options.password_file.as_deref().map(secret).transpose()?.map(Password::new);
    let secret = options.secret_file.as_deref().map(secret).transpose()?;
    let wanted = Wanted {
        workspace: options.workspace,
        kind: options.kind,
        dialect: options.dialect,
        name: options.name,
        plain_key: options.plain_key,
        origins: options.origins,
        scopes: options.scopes,
        own: OwnWanted { role: options.role, networks: options.networks, ..OwnWanted::default() },
        expires_at: options.expires,
        import: options.id.map(|id| Import { id, secret }),
        password,
        password_grant: options.password_grant,
        showing: Showing::ByDialect,
    };
    let opened = place::open(&options.place).await?;
    let (mut left, mut batch) = (options.count as usize, 1);
    while left > 0 {
        let count = left.min(batch);
        let desk = opened.desk(ACTOR);
        let made = credentials::create_many(desk, &wanted, count, &mut random::fill).await?;
        // What was printed is there, whatever happens next.
        made.iter().try_for_each(|c| told(c, options.output))?;
        left -= count;
        // Few come at once, and many take few transactions.
        batch = (batch * 2).min(credentials::BATCH);
    }
    Ok(())
}

async fn set(options: Set) -> Result<(), Failure> {
    let Set { one, name, scopes, no_scopes, origins, no_origins, expires, no_expiry } = options;
    let or_none = |list: Option<Vec<String>>, none: bool| if none { Some(Vec::new()) } else { list };
    let wanted = TermsWanted {
        name,
        scopes: or_none(scopes, no_scopes),
        origins: or_none(origins, no_origins),
        expires_at: if no_expiry { Some(None) } else { expires.map(Some) },
    };
    let opened = place::open(&one.place).await?;
    Ok(told(&terms::set(opened.desk(ACTOR), &one.id, &wanted).await?, one.output)?)
}

async fn delete(one: One) -> Result<(), Failure> {
    let opened = place::open(&one.place).await?;
    let gone = credentials::delete(opened.desk(ACTOR), &one.id).await?;
    if one.output.json {
        return Ok(print::json(&gone)?);
    }
    Ok(print::line(format_args!("{} is deleted", gone.id))?)
}

/// A secret comes from a file or from standard input, never from the command line, which others can see.
fn secret(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(MAX_SECRET_FILE_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|f| f.take(MAX_SECRET_FILE_BYTES).read_to_string(&mut text))
    };
    read.map_err(|e| format!("{}: {e}", file.display()))?;
    // The end of the last line is not part of it.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn told(c: &CredentialView, output: Output) -> io::Result<()> {
    if output.json { print::json(c) } else { card(c) }
}

/// The status as people care about it: what is expired opens nothing, whatever else it is.
pub(super) fn status(c: &CredentialView) -> String {
    match c.expires_at {
        Some(at) if at <= clock::now() => format!("{}, expired", c.status),
        _ => c.status.to_owned(),
    }
}

/// Everything about one credential, a line each.
fn card(c: &CredentialView) -> io::Result<()> {
    let time = |t: Option<doorward_core::time::UnixMillis>| t.map(|t| t.to_string());
    let id = if c.weak { format!("{}  (weak: it opens doors by itself)", c.id) } else { c.id.clone() };
    let some = |list: &[String]| (!list.is_empty()).then(|| list.join(" "));
    let lines = [
        ("id", Some(id)),
        ("secret", c.secret.as_ref().map(|s| s.0.clone())),
        ("workspace", Some(c.workspace.clone())),
        ("kind", Some(c.kind.to_owned())),
        ("name", Some(c.name.clone()).filter(|n| !n.is_empty())),
        ("dialect", Some(c.dialect.to_owned())),
        ("scheme", Some(c.scheme.to_owned())),
        ("grants", c.password_grant.then(|| "password".to_owned())),
        ("status", Some(status(c))),
        ("origins", some(&c.origins)),
        ("scopes", some(&c.scopes)),
        ("role", c.role.clone()),
        ("networks", c.networks.as_ref().map(|all| some(all).unwrap_or_else(|| NOWHERE.to_owned()))),
        ("limit", c.limit.clone()),
        ("expires", time(c.expires_at)),
        ("last used", time(c.last_used)),
        ("exposed", time(c.exposed_at).map(|t| format!("{t}  (sent over plain HTTP)"))),
    ];
    lines
        .into_iter()
        .filter_map(|(k, v)| Some((k, v?)))
        .try_for_each(|(k, v)| print::line(format_args!("{k:<10} {v}")))
}
