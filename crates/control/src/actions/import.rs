//! Taking over many credentials from elsewhere. What is there already and is the same is passed over, so that an import
//! that was cut off is simply begun again.
use super::credentials::{Random, assemble, hashed, new_secret};
use super::draft::{self, Checked};
use super::{Desk, Error, Wanted};
use doorward_core::credential::Status;
use doorward_core::password::{self, PasswordHash};
use doorward_core::policy::draft::Draft;
use doorward_store::Stored;
use std::collections::HashMap;

/// One line of what is taken over.
#[derive(Clone, Debug)]
pub struct Line {
    /// Counts from 1.
    pub number: usize,
    /// The credential; it names its id, and its secret unless its id alone opens doors.
    pub wanted: Wanted,
    /// Whether it may be used.
    pub status: Status,
}

/// What became of some lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// So many credentials were made.
    pub created: usize,
    /// So many were there already, and the same.
    pub there: usize,
}

/// What to do about a line.
enum Verdict {
    Create(Checked),
    There,
}

/// Everything that is wrong with some lines, as of now: with what they ask for, and with what the store has already.
/// Sentences that begin with the line's number and name neither ids nor secrets.
///
/// # Errors
/// The store's.
pub async fn check(desk: Desk<'_>, lines: &[Line]) -> Result<Vec<String>, Error> {
    let policy = desk.store.policy().await?;
    let there = there(desk, lines).await?;
    Ok(lines.iter().filter_map(|line| judge(desk, &policy, &there, line).err()).flatten().collect())
}

/// Takes over some lines, all of them or none.
///
/// # Errors
/// [`Error::Credential`] with every mistake, as [`check`] tells them, or the store's.
pub async fn write(desk: Desk<'_>, lines: &[Line], random: Random<'_>) -> Result<Done, Error> {
    // The write comes first: nothing that is looked at can change before the commit.
    // Passwords are hashed before, so that others are not kept waiting.
    let mut passwords: HashMap<usize, PasswordHash> = HashMap::new();
    for line in lines {
        passwords.extend(hashed(&line.wanted, random).map(|hash| (line.number, hash)));
    }
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let policy = desk.store.policy().await?;
    let there = there(desk, lines).await?;
    let (mut done, mut wrong) = (Done::default(), Vec::new());
    for line in lines {
        match judge(desk, &policy, &there, line) {
            Err(mistakes) => wrong.extend(mistakes),
            Ok(Verdict::There) => done.there += 1,
            Ok(Verdict::Create(checked)) => {
                let (id, secret) = key(&line.wanted);
                let secret = match line.wanted.kind.has_password() {
                    true => None,
                    false => Some(secret.map_or_else(|| new_secret(line.wanted.kind, random), str::to_owned)),
                };
                let password = passwords.remove(&line.number);
                let mut new = assemble(desk, &line.wanted, checked, id, secret.as_deref(), password);
                new.credential.status = line.status;
                write.create_credential(&new).await?;
                done.created += 1;
            }
        }
    }
    if !wrong.is_empty() {
        return Err(Error::Credential(wrong));
    }
    write.commit().await?;
    Ok(done)
}

/// The credentials with these lines' ids.
async fn there(desk: Desk<'_>, lines: &[Line]) -> Result<HashMap<Box<str>, Stored>, Error> {
    let ids: Vec<&str> = lines.iter().map(|line| key(&line.wanted).0).collect();
    let mut stored = desk.store.credentials_named(&ids).await?;
    // Lists come without the passwords of users, with which those of lines are compared.
    for one in stored.iter_mut().filter(|s| s.credential.kind.has_password()) {
        if let Some(whole) = desk.store.credential(&one.credential.id).await? {
            *one = whole;
        }
    }
    Ok(stored.into_iter().map(|s| (s.credential.id.clone(), s)).collect())
}

fn key(wanted: &Wanted) -> (&str, Option<&str>) {
    wanted.import.as_ref().map_or(("", None), |i| (i.id.as_str(), i.secret.as_deref()))
}

fn judge(
    desk: Desk<'_>,
    policy: &Draft,
    there: &HashMap<Box<str>, Stored>,
    line: &Line,
) -> Result<Verdict, Vec<String>> {
    let at = |what: String| format!("line {}: {what}", line.number);
    let (id, secret) = key(&line.wanted);
    let mut wrong = Vec::new();
    if secret.is_none() && !line.wanted.plain_key && !line.wanted.kind.has_password() {
        wrong.push(at("`secret` is missing; only a key with `plain_key` can do without".to_owned()));
    }
    match draft::check(&line.wanted, policy, desk.now) {
        Ok(checked) if wrong.is_empty() => match there.get(id) {
            None => Ok(Verdict::Create(checked)),
            Some(stored) => match differences(desk, stored, line, &checked) {
                none if none.is_empty() => Ok(Verdict::There),
                some => {
                    let what = format!("there is another credential with this id; not the same: {some}");
                    Err(vec![at(what)])
                }
            },
        },
        Ok(_) => Err(wrong),
        Err(Error::Credential(mistakes)) => {
            wrong.extend(mistakes.into_iter().map(at));
            Err(wrong)
        }
        Err(other) => Err(vec![at(other.to_string())]),
    }
}

/// The names of the fields in which a credential is not what a line asks for. One that is blocked may have been blocked
/// since; but whoever asks for a blocked one must not be told that all is well with one that opens doors.
fn differences(desk: Desk<'_>, stored: &Stored, line: &Line, checked: &Checked) -> String {
    let (there, wanted) = (&stored.credential, &line.wanted);
    let secret = key(wanted).1;
    let fits = |s: &str| desk.keys.fits(there.id.as_bytes(), s.as_bytes(), Some(&there.secret));
    let same_secret = match &wanted.password {
        Some(chosen) => stored.password.as_ref().is_some_and(|kept| password::fits(&chosen.text, kept)),
        None => secret.is_none_or(fits),
    };
    let fields = [
        ("workspace", *there.workspace == *wanted.workspace),
        ("kind", there.kind == wanted.kind),
        ("dialect", there.dialect == checked.dialect),
        ("name", *there.name == *wanted.name),
        ("plain_key", there.plain_key == wanted.plain_key),
        ("password_grant", there.password_grant == wanted.password_grant),
        ("origins", there.origins == checked.origins),
        ("scopes", there.scopes == checked.scopes),
        ("role, networks, limit", there.own_rules() == checked.own),
        ("expires_at", there.expires_at == wanted.expires_at),
        ("status", there.status == line.status || there.status == Status::Blocked),
        ("secret", same_secret),
    ];
    let names: Vec<&str> = fields.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect();
    names.join(", ")
}
