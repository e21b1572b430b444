//! `cargo xtask`: everything around the code that is not the code. Tests, hygiene, benchmarks, proofs.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal speaks through it")]

mod bench;
mod cargo;
mod crowds;
mod fuzz;
mod instructions;
mod licences;
mod packages;
mod postgres;
mod prove;
mod spdx;
mod steady;
mod test;
mod tidy;

use std::process::ExitCode;

/// Why something did not work, in words for whoever runs the tool.
type Outcome<T = ()> = Result<T, String>;

const USAGE: &str = "\
cargo xtask test [FILTER]      install what tests need, lint, run every test; with FILTER only those tests
cargo xtask tidy               the rules of the house that no compiler keeps
cargo xtask licences           licences, duplicates, bans and sources of all dependencies (deny.toml)
cargo xtask prove [NAME] [--n N] [--seconds S] [--engine sqlite|postgres] [--list]
                               the long runs, all or one; N, or S for each fuzz target, overrides how long
cargo xtask bench [--rounds N] [--seconds S] [--load NAME] [--peer NAME] [--binary FILE] [--markdown] [--write]
                               Doorward beside others on this machine (see bench/README.md)
cargo xtask instructions [--record]
                               instructions of the hot path, held against bench/instructions.toml or recorded there";

/// What the command line asks for.
enum Task {
    Test { filter: Option<String> },
    Tidy,
    Licences,
    Prove(prove::Wanted),
    Bench(bench::Plan),
    Instructions { record: bool },
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if matches!(words.first().map(String::as_str), Some("help" | "--help" | "-h")) {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let task = match parse(&words) {
        Ok(task) => task,
        Err(mistake) => {
            eprintln!("{mistake}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = match task {
        Task::Test { filter } => test::run(filter.as_deref()),
        Task::Tidy => tidy::run(),
        Task::Licences => licences::run(),
        Task::Prove(wanted) => prove::run(&wanted),
        Task::Bench(plan) => bench::run(&plan),
        Task::Instructions { record } => instructions::run(record),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // An empty message means that everything has been said already.
            if !why.is_empty() {
                eprintln!("{why}");
            }
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String]) -> Outcome<Task> {
    let mut words = words.iter().map(String::as_str);
    let task = match words.next() {
        Some("test") => {
            let filter = words.next();
            if let Some(option) = filter.filter(|f| f.starts_with('-')) {
                return Err(format!("unknown option {option}"));
            }
            Task::Test { filter: filter.map(str::to_owned) }
        }
        Some("tidy") => Task::Tidy,
        Some("licences") => Task::Licences,
        Some("prove") => Task::Prove(prove::Wanted::parse(&mut words)?),
        Some("bench") => Task::Bench(bench::Plan::parse(&mut words)?),
        Some("instructions") => match words.next() {
            None => Task::Instructions { record: false },
            Some("--record") => Task::Instructions { record: true },
            Some(other) => return Err(format!("unknown option {other}")),
        },
        Some(other) => return Err(format!("unknown task {other}")),
        None => return Err("which task?".to_owned()),
    };
    match words.next() {
        Some(extra) => Err(format!("unexpected {extra}")),
        None => Ok(task),
    }
}

/// The positive number that follows an option.
fn number<'a>(option: &str, words: &mut impl Iterator<Item = &'a str>) -> Outcome<u64> {
    let word = words.next().ok_or_else(|| format!("{option} needs a number"))?;
    word.parse().map_err(|_| format!("{option} needs a number, not {word}"))
}
