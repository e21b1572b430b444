//! Tests that fail beside all others, and pass by themselves: a machine that is busier than any that was thought of. They
//! are named in the summary, and must be few.

use crate::Outcome;
use crate::cargo::Tally;

/// How often a test that failed must pass by itself, each time.
const ROUNDS: u32 = 3;
/// Most tests of a whole run that may be unsteady.
pub(crate) const MOST: usize = 2;

/// What a run of tests says of those that failed.
#[derive(Default)]
struct Heard {
    failed: Vec<String>,
    /// A process of the tests did not come to its end.
    died: bool,
}

impl Heard {
    fn read(&mut self, line: &str) {
        self.died |= line.contains("(signal: ") || line.contains("could not compile");
        let name = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"));
        // Tests of documentation have names that can't be asked for.
        self.failed.extend(name.filter(|name| !name.contains(' ')).map(str::to_owned));
    }
}

/// Runs tests; few that fail are run again by themselves. Those that pass then, each time, are added to `unsteady`. `tests`
/// runs those of the names, or all where there are none, as [`crate::cargo::run_tests`] does.
///
/// # Errors
/// As that, for tests that fail by themselves as well.
pub(crate) fn run(
    mut tests: impl FnMut(&[String], &mut Tally, &mut dyn FnMut(&str)) -> Outcome,
    tally: &mut Tally,
    unsteady: &mut Vec<String>,
) -> Outcome {
    let (mut heard, mut own) = (Heard::default(), Tally::default());
    let outcome = tests(&[], &mut own, &mut |line| heard.read(line));
    let names = heard.failed;
    let few = !names.is_empty() && names.len() + unsteady.len() <= MOST;
    let mut again = outcome.is_err() && few && !heard.died && names.len() as u64 == own.failed;
    for round in 1..=ROUNDS {
        if again {
            println!("\n-- again by themselves, {round} of {ROUNDS}: {}", names.join(", "));
            let mut alone = Tally::default();
            let passed = tests(&names, &mut alone, &mut |_| ()).is_ok();
            again = passed && alone.passed() >= names.len() as u64;
        }
    }
    if again {
        own.failed = 0;
        unsteady.extend(names);
    }
    *tally += own;
    if again { Ok(()) } else { outcome }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs tests that say one thing together, and another by themselves.
    fn harness(together: (&[&str], bool), alone: (&[&str], bool)) -> (Outcome, Tally, Vec<String>, u32) {
        let (mut tally, mut unsteady, mut runs) = (Tally::default(), Vec::new(), 0);
        let tests = |names: &[String], tally: &mut Tally, heard: &mut dyn FnMut(&str)| {
            let (lines, passes) = if names.is_empty() { together } else { alone };
            runs += 1;
            for line in lines {
                tally.read(line);
                heard(line);
            }
            if passes { Ok(()) } else { Err("exit status: 101".to_owned()) }
        };
        let outcome = run(tests, &mut tally, &mut unsteady);
        (outcome, tally, unsteady, runs)
    }

    #[test]
    fn what_passes_by_itself_is_named_and_what_does_not_fails() {
        let one = "test result: FAILED. 4 passed; 1 failed;";
        let fails = (&["test a::b ... FAILED", one][..], false);
        let passes = (&["test result: ok. 1 passed; 0 failed;"][..], true);
        let (outcome, tally, unsteady, runs) = harness(fails, passes);
        assert_eq!((outcome, tally.passed(), tally.failed, runs), (Ok(()), 4, 0, 1 + ROUNDS));
        assert_eq!(unsteady, ["a::b"]);
        assert_eq!(harness(passes, fails), (Ok(()), harness(passes, fails).1, vec![], 1));
        let nothing_ran = (&["test result: ok. 0 passed; 0 failed;"][..], true);
        let three = ["test a ... FAILED", "test b ... FAILED", "test c ... FAILED", &one.replace('1', "3")];
        for (together, alone) in [
            (fails, fails),
            (fails, nothing_ran),
            ((&["process didn't exit successfully (signal: 6, SIGABRT)"], false), passes),
            ((&["test a::b ... FAILED", one, "error: could not compile `x`"], false), passes),
            ((&[one], false), passes),
            ((&["test a::b ... FAILED", one, one], false), passes),
            ((&three, false), passes),
        ] {
            let (outcome, tally, unsteady, _) = harness(together, alone);
            assert!(outcome.is_err() && unsteady.is_empty(), "{:?}", together.0);
            assert!(tally.failed > 0 || !together.0.contains(&one), "{:?}", together.0);
        }
    }
}
