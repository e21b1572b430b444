//! `doorward apply`.
use super::{ACTOR, print};
use crate::cli::{Output, Place};
use crate::config::AllMistakes;
use crate::{Failure, place};
use doorward_control::actions::{Error, policy};
use doorward_core::document::Mistake;
use doorward_core::policy::{compile, draft};
use serde::Serialize;
use std::io::Read as _;
use std::path::Path;

#[derive(Serialize)]
struct Told<'a> {
    dry_run: bool,
    #[serde(flatten)]
    plan: &'a policy::Plan,
}

pub(super) async fn run(place: &Place, file: &Path, dry_run: bool, output: Output) -> Result<(), Failure> {
    let text = read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let mistakes = |all: Vec<Mistake>| Failure::from(AllMistakes(file, &all).to_string());
    let (draft, mut found) = draft::read_what_can_be(&text);
    if !found.is_empty() {
        // What can be read is held against itself as well, so that all mistakes are told at once.
        found.extend(compile(&draft, None).err().unwrap_or_default());
        found.sort_by_key(|m| m.line);
        return Err(mistakes(found));
    }
    let opened = place::open(place).await?;
    let plan = policy::apply(opened.desk(ACTOR), &draft, dry_run).await.map_err(|e| match e {
        Error::Policy(all) => mistakes(all),
        other => other.into(),
    })?;
    if output.json {
        return Ok(print::json(&Told { dry_run, plan: &plan })?);
    }
    for (sign, objects) in [("+", &plan.added), ("~", &plan.changed), ("-", &plan.removed)] {
        for o in objects {
            print::line(format_args!("{sign} {} {}", o.kind, o.id))?;
        }
    }
    print::line(format_args!("= {} unchanged", plan.unchanged.len()))?;
    for c in &plan.modes {
        let (sign, told) = if c.loosened { ('!', ", loosened") } else { ('*', "") };
        print::line(format_args!(
            "{sign} policy {}/{}: {} {} -> {}{told}",
            c.workspace, c.api, c.rule, c.from, c.to
        ))?;
    }
    for l in &plan.loosened {
        print::line(format_args!("! {} {}: {}, loosened", l.kind, l.id, l.what))?;
    }
    for warning in &plan.warnings {
        print::line(format_args!("* {warning}"))?;
    }
    if dry_run {
        print::line("nothing was written: this was a dry run")?;
    }
    Ok(())
}

fn read(file: &Path) -> std::io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}
