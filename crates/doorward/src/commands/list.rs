//! `doorward credential list`.
use super::{ACTOR, credential, print};
use crate::cli::List;
use crate::{Failure, place};
use doorward_control::actions::{CredentialView, credentials};
use doorward_store::Filter;
use std::fmt::Write as _;

/// Most lines for people, unless they say otherwise.
const MOST_LINES: usize = 1_000;
/// Read and printed at a time: there may be a million.
const PAGE: usize = 500;

pub(super) async fn run(options: List) -> Result<(), Failure> {
    let json = options.output.json;
    let filter = Filter {
        workspace: options.workspace,
        kind: options.kind,
        status: options.status,
        search: options.search,
        ..Filter::default()
    };
    let most = options.limit.map_or(if json { usize::MAX } else { MOST_LINES }, |n| n as usize);
    let opened = place::open(&options.place).await?;
    let (mut printed, mut last) = (0, options.after);
    loop {
        // One more than is printed tells whether there are more.
        let want = (most - printed).min(PAGE);
        let page = credentials::page(opened.desk(ACTOR), &filter, last.as_deref(), want + 1).await?;
        let shown = &page[..page.len().min(want)];
        print(shown, json)?;
        printed += shown.len();
        last = shown.last().map(|c| c.id.clone()).or(last);
        if page.len() <= want {
            break;
        }
        if printed == most {
            if let (Some(last), false) = (&last, json) {
                print::line(format_args!("... and more: --after {last}"))?;
            }
            break;
        }
    }
    if printed == 0 && !json {
        print::line("there are no such credentials")?;
    }
    Ok(())
}

fn print(page: &[CredentialView], json: bool) -> Result<(), Failure> {
    let mut text = String::new();
    for c in page {
        if json {
            text.push_str(&serde_json::to_string(c)?);
            text.push('\n');
        } else {
            let mark = if c.weak { " weak" } else { "" };
            let (status, name) = (credential::status(c), &c.name);
            writeln!(text, "{}  {}  {} {} {status}{mark}  {name}", c.id, c.workspace, c.kind, c.dialect)?;
        }
    }
    match text.pop() {
        None => Ok(()),
        // The end of the last line is printed with it.
        Some(_) => Ok(print::line(text)?),
    }
}
