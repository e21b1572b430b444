//! `doorward report ...`.
use super::{ACTOR, print};
use crate::cli::{Readiness, Report};
use crate::{Failure, place};
use doorward_control::actions::readiness::{self, ANONYMOUS, Caller};
use doorward_core::policy::Mode;
use doorward_core::time::UnixMillis;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

const UNSIGNED: [&str; 7] = [
    "  CREDENTIAL",
    "CALLS",
    "FIRST WITHOUT SIGNATURE",
    "LAST WITHOUT SIGNATURE",
    "LAST SIGNED",
    "NOTE",
    "NAME",
];
const REFUSED: [&str; 6] = ["  CREDENTIAL", "CALLS", "FIRST", "LAST", "NOTE", "NAME"];
/// Calls that are shown of a credential, to people.
const CALLS_SHOWN: usize = 3;

pub(super) async fn run(command: Report) -> Result<(), Failure> {
    let Report::Readiness(options) = command;
    let opened = place::open(&options.place).await?;
    let desk = opened.desk(ACTOR);
    let all =
        readiness::report(desk, options.workspace.as_deref(), options.api.as_deref(), options.rule).await?;
    if options.output.json {
        return Ok(all.iter().try_for_each(print::json)?);
    }
    Ok(told(&all, &options)?)
}

/// The whole report, for people.
fn told(all: &[readiness::Readiness], asked: &Readiness) -> io::Result<()> {
    if all.is_empty() {
        let of = asked.api.as_ref().map(|id| format!(" of `{id}`")).unwrap_or_default();
        return print::line(format_args!(
            "nothing{of} is observed, and no requests can be signed: no rule that is asked for counts anything"
        ));
    }
    let of = |mode: Mode| all.iter().filter(move |r| r.mode == mode.name());
    for one in of(Mode::Observe) {
        observed(one)?;
    }
    for one in of(Mode::Enforce) {
        print::line(format_args!("{} at {}: {} are enforced", one.workspace, one.api, one.rule))?;
    }
    let mut off: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    of(Mode::Off).for_each(|one| off.entry(&one.api).or_default().push(&one.workspace));
    for (api, workspaces) in &off {
        print::line(format_args!(
            "{} at {api}: signatures are accepted, not observed: nothing is counted",
            workspaces.join(", ")
        ))?;
    }
    if let Some((api, workspaces)) = off.first_key_value() {
        let workspace = workspaces.first().copied().unwrap_or_default();
        print::line(
            "To count who does not sign, apply the policy with this in it, for each workspace and API:",
        )?;
        print::line(format_args!(
            "  [[policy]]\n  workspace = \"{workspace}\"\n  api = \"{api}\"\n  signatures = \"observe\""
        ))?;
    }
    print::line(verdict(all))
}

/// A rule that is observed for one workspace at one API.
fn observed(one: &readiness::Readiness) -> io::Result<()> {
    let since = one.since.map_or_else(|| "lately".to_owned(), |t| t.to_string());
    print::line(format_args!("{} at {}: {} observed since {since}", one.workspace, one.api, one.rule))?;
    if let Some(signing) = one.signing_only {
        if one.credentials.is_empty() && signing == 0 {
            return print::line("  ready, but nobody has called yet, with a signature or without");
        }
        if !one.credentials.is_empty() {
            print::table(&UNSIGNED, one.credentials.iter().map(|c| cells(c, true)))?;
        }
        let signing = match signing {
            0 => "none was seen to sign only".to_owned(),
            1 => "1 was seen to sign only".to_owned(),
            n => format!("{n} were seen to sign only"),
        };
        return print::line(format_args!("  {}; {signing}", refused(one.would_be_refused, false)));
    }
    if !one.credentials.is_empty() {
        print::table(&REFUSED, one.credentials.iter().map(|c| cells(c, false)))?;
    }
    for c in one.credentials.iter().filter(|c| !c.refused_anyway) {
        for call in c.samples.iter().take(CALLS_SHOWN) {
            let at = call.at.map_or_else(|| "-".to_owned(), |at| at.to_string());
            let from = call.client.as_deref().unwrap_or("an unknown address");
            let told = format_args!("  {}: {at} {} {} from {from}", c.credential, call.method, call.path);
            print::line(told)?;
        }
    }
    let anonymous = one.credentials.iter().any(is_anonymous);
    print::line(format_args!("  {}", refused(one.would_be_refused - usize::from(anonymous), anonymous)))
}

fn cells(c: &Caller, signs: bool) -> Vec<String> {
    let time = |at: Option<UnixMillis>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let note = match (c.refused_anyway, c.status, c.can_sign) {
        (true, "blocked", _) => "blocked",
        (true, ..) => "expired",
        (false, ..) if !signs => "-",
        (false, _, false) => "can't sign",
        (false, _, true) if c.signed_at > c.last_at => "signs by now",
        _ => "-",
    };
    let mut all = vec![format!("  {}", c.credential), c.calls.to_string(), time(c.first_at), time(c.last_at)];
    all.extend(signs.then(|| time(c.signed_at)));
    all.extend([note.to_owned(), c.name.clone()]);
    all
}

/// All who call without a credential stand in one line.
fn is_anonymous(c: &Caller) -> bool {
    c.kind == ANONYMOUS
}

fn refused(credentials: usize, anonymous: bool) -> String {
    let who = match credentials {
        0 if anonymous => return "callers without a credential would be refused".to_owned(),
        0 => return "ready: no credential would be refused".to_owned(),
        1 => "1 credential".to_owned(),
        n => format!("{n} credentials"),
    };
    let others = if anonymous { " and callers without one" } else { "" };
    format!("{who}{others} would be refused")
}

/// All of it in one line.
fn verdict(all: &[readiness::Readiness]) -> String {
    if all.iter().all(|one| one.ready.is_none()) {
        return "nothing is observed".to_owned();
    }
    let callers = all.iter().flat_map(|one| &one.credentials).filter(|c| !c.refused_anyway);
    let (anonymous, known): (Vec<_>, Vec<_>) = callers.partition(|c| is_anonymous(c));
    let known: BTreeSet<_> = known.iter().map(|c| c.credential.as_str()).collect();
    let told = refused(known.len(), !anonymous.is_empty());
    let blind = all.iter().any(|one| one.mode == Mode::Off.name());
    if blind { format!("{told} where rules are observed") } else { told }
}
