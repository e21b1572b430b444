//! `doorward token ...`.
use super::{ACTOR, print, signing};
use crate::cli::{Issue, Key, Output, Place, Revoke, Token, TokenList};
use crate::place::{self, Opened};
use crate::{Failure, random};
use doorward_control::actions::token_keys::{self, KeyView};
use doorward_control::actions::tokens::{self, Issuing, PAGE, TokenTold, TokenView, TokenWanted};
use doorward_core::jwt::MAX_TOKEN_BYTES;
use doorward_core::time::UnixMillis;
use doorward_core::token::Jti;
use doorward_store::TokenFilter;
use std::io;
use std::path::Path;

/// Tokens that are listed for people, unless they say otherwise.
const LIST_LIMIT: usize = 1_000;
const MS: i64 = 1_000;

pub(super) async fn run(command: Token) -> Result<(), Failure> {
    match command {
        Token::Issue(options) => issue(options).await,
        Token::Introspect { place, token_file, output } => introspect(&place, &token_file, output).await,
        Token::Revoke(options) => revoke(options).await,
        Token::List(options) => list(options).await,
        Token::Key(command) => key(command).await,
    }
}

async fn open(place: &Place) -> Result<(Opened, Issuing), Failure> {
    let (opened, settings) = place::open_issuing(place).await?;
    let issuing = Issuing { issuer: settings.issuer, algorithm: settings.algorithm };
    Ok((opened, issuing))
}

async fn issue(options: Issue) -> Result<(), Failure> {
    let (opened, issuing) = open(&options.place).await?;
    let wanted = TokenWanted {
        credential: options.id,
        scopes: options.scopes,
        resources: options.resources,
        life_s: options.life_s,
    };
    let made = tokens::give(opened.desk(ACTOR), &issuing, &wanted, &mut random::fill).await?;
    if options.output.json {
        return Ok(print::json(&made)?);
    }
    // The token alone on standard output: it goes into a file or a variable as it is.
    tracing::info!(jti = made.jti, credential = made.credential, "a token was issued");
    let token = made.token.as_ref().map(|t| t.0.as_str()).unwrap_or_default();
    Ok(print::line(token)?)
}

/// A token comes from a file or from standard input, never from the command line, which others can see.
fn shown(file: &Path) -> Result<String, Failure> {
    let text = signing::read_some(file, MAX_TOKEN_BYTES as u64 + 2)?;
    let text = String::from_utf8(text).map_err(|_| format!("{}: that is no token", file.display()))?;
    match text.trim() {
        "" => Err(format!("{}: there is no token in it", file.display()).into()),
        token => Ok(token.to_owned()),
    }
}

async fn introspect(place: &Place, file: &Path, output: Output) -> Result<(), Failure> {
    let token = shown(file)?;
    let (opened, issuing) = open(place).await?;
    let told = tokens::introspect(opened.desk(ACTOR), &issuing, &token).await?;
    Ok(if output.json { print::json(&told) } else { card(&told) }?)
}

fn card(told: &TokenTold) -> io::Result<()> {
    let verdict = match &told.reason {
        None => "it would be taken".to_owned(),
        Some(why) => format!("it would not be taken: {why}"),
    };
    let mut lines = vec![("verdict", verdict)];
    if let Some(token) = &told.token {
        lines.extend([
            ("jti", token.jti.clone()),
            ("credential", token.credential.clone()),
            ("workspace", token.workspace.clone()),
            ("dialect", token.dialect.clone()),
            ("label", token.label.clone().unwrap_or_default()),
            ("scope", token.scope.clone()),
            ("audience", told.audience.join(" ")),
            ("issued", time(token.issued_at)),
            ("expires", time(token.expires_at)),
        ]);
    }
    let some = lines.into_iter().filter(|(_, value)| !value.is_empty());
    some.into_iter().try_for_each(|(name, value)| print::line(format_args!("{name:<10} {value}")))
}

fn time(at: Option<UnixMillis>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

async fn revoke(options: Revoke) -> Result<(), Failure> {
    let Revoke { place, which, output } = options;
    if let Some(id) = &which.credential {
        let opened = place::open(&place).await?;
        tokens::revoke_all(opened.desk(ACTOR), id).await?;
        if output.json {
            return Ok(print::json(&serde_json::json!({ "credential": id, "revoked": "all" }))?);
        }
        return Ok(print::line(format_args!("all tokens that {id} was given so far are dead"))?);
    }
    let (opened, jti) = match (which.jti, &which.token_file) {
        (Some(jti), _) => (place::open(&place).await?, jti),
        (None, file) => {
            let token = shown(file.as_deref().unwrap_or(Path::new("-")))?;
            let (opened, issuing) = open(&place).await?;
            let jti = tokens::name_of(opened.desk(ACTOR), &issuing, &token).await?;
            (opened, jti)
        }
    };
    let done = tokens::revoke(opened.desk(ACTOR), jti).await?;
    if output.json {
        return Ok(print::json(&serde_json::json!({ "jti": jti.to_string(), "revoked": done }))?);
    }
    Ok(match done {
        true => print::line(format_args!("{jti} is dead")),
        false => print::line(format_args!("{jti} was revoked before")),
    }?)
}

async fn list(options: TokenList) -> Result<(), Failure> {
    let opened = place::open(&options.place).await?;
    let filter = match (options.workspace, options.credential) {
        (Some(id), _) => TokenFilter::Workspace(id),
        (None, Some(id)) => TokenFilter::Credential(id),
        (None, None) => TokenFilter::All,
    };
    let all = if options.output.json { usize::MAX } else { LIST_LIMIT };
    let mut left = options.limit.map_or(all, |n| n as usize);
    let (mut after, mut rows) = (None, Vec::new());
    while left > 0 {
        let page = tokens::page(opened.desk(ACTOR), &filter, after).await?;
        let Some(last) = page.last() else { break };
        after = last.expires_at.zip(Jti::parse(&last.jti));
        let whole = page.len() == PAGE;
        for token in page.into_iter().take(left) {
            left -= 1;
            if options.output.json {
                print::json(&token)?;
            } else {
                rows.push(row(&token));
            }
        }
        if !whole {
            break;
        }
    }
    if options.output.json {
        return Ok(());
    }
    if rows.is_empty() {
        return Ok(print::line("no token is alive")?);
    }
    Ok(print::table(&["jti", "credential", "workspace", "dialect", "scope", "expires"], rows.into_iter())?)
}

fn row(token: &TokenView) -> Vec<String> {
    let scope = if token.scope.is_empty() { "-".to_owned() } else { token.scope.clone() };
    let TokenView { jti, credential, workspace, dialect, .. } = token.clone();
    vec![jti, credential, workspace, dialect, scope, time(token.expires_at)]
}

async fn key(command: Key) -> Result<(), Failure> {
    match command {
        Key::List { place, output } => {
            let opened = place::open(&place).await?;
            keys(&token_keys::list(opened.desk(ACTOR)).await?, output)
        }
        Key::Rotate { place, alg, now, output } => {
            let (opened, settings) = place::open_issuing(&place).await?;
            let publish_s = i64::try_from(settings.publish_before_s).unwrap_or(i64::MAX / MS);
            let publish_ms = (!now).then_some(publish_s * MS);
            keys(&token_keys::rotate(opened.desk(ACTOR), alg, publish_ms).await?, output)
        }
        Key::Remove { place, kid, output } => {
            let opened = place::open(&place).await?;
            token_keys::remove(opened.desk(ACTOR), &kid).await?;
            if output.json {
                return Ok(print::json(&serde_json::json!({ "kid": kid, "removed": true }))?);
            }
            Ok(print::line(format_args!("{kid} is removed; what it signed is dead"))?)
        }
    }
}

fn keys(all: &[KeyView], output: Output) -> Result<(), Failure> {
    if output.json {
        return Ok(all.iter().try_for_each(print::json)?);
    }
    if all.is_empty() {
        return Ok(print::line("there is no key; the first start with an issuer makes them")?);
    }
    let rows = all.iter().map(|key| {
        let until = key.verify_until.map_or("-".to_owned(), |at| at.to_string());
        vec![key.kid.clone(), key.algorithm.clone(), key.state.to_owned(), time(key.signs_from), until]
    });
    Ok(print::table(&["kid", "algorithm", "state", "signs from", "verifies until"], rows)?)
}
