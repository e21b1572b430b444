//! Where the result goes: a page between two marks, and a file for programs.

use super::{Calls, Plan, Sample, load, start};
use crate::Outcome;
use crate::cargo::{output, root, target_dir};
use crate::packages::on_path;
use std::fs;
use std::process::Command;

/// The page, and what stands around the part of it that is measured.
const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- written by cargo xtask bench --write -->\n";
const END: &str = "<!-- up to here -->";

/// What was measured on, with what, and what was left out: a line each.
pub(super) fn machine(plan: &Plan) -> String {
    let says = |program: &str, option: &str| -> String {
        let mut command = Command::new("sh");
        command.args(["-c", "\"$0\" \"$1\" 2>&1 || :", program, option]);
        let said = output(command).unwrap_or_default();
        said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut lines = vec![format!(
        "{} rounds of {} s; {} requests at a time; {} cores, {}, Linux {}",
        plan.rounds,
        plan.seconds,
        load::CONNECTIONS,
        cores,
        model.map_or("unknown processor", |(_, model)| model),
        kernel.trim(),
    )];
    let mut versions = vec![says("nginx", "-v"), says("haproxy", "-v")];
    let (there, missing): (Vec<&str>, Vec<&str>) =
        start::OPTIONAL.into_iter().partition(|program| on_path(program).is_some());
    for program in there {
        let said = says(program, if program == "caddy" { "version" } else { "--version" });
        versions.push(format!("{program} {}", version(&said)));
    }
    versions.extend([says("wrk", "-v"), says("h2load", "--version")]);
    lines.push(versions.join("; "));
    if !missing.is_empty() {
        lines.push(format!("left out, since they are not on the PATH: {}", missing.join(", ")));
    }
    lines.join("\n")
}

/// The version in what a program says of itself: the first part that is made of numbers and dots.
fn version(said: &str) -> &str {
    let number = |part: &&str| {
        part.contains('.') && part.trim_start_matches('v').chars().all(|c| c == '.' || c.is_ascii_digit())
    };
    said.split([' ', '/']).find(number).unwrap_or(said)
}

/// Puts the result into the page, where the last one was.
pub(super) fn write(tables: &str, machine: &str, command: &str) -> Outcome {
    let page = root().join(PAGE);
    let broken = |e: std::io::Error| format!("{PAGE}: {e}");
    let text = fs::read_to_string(&page).map_err(broken)?;
    let machine: String = machine.lines().map(|line| format!("- {line}\n")).collect();
    let part = format!("```sh\n{command}\n```\n\n{tables}\n{machine}");
    fs::write(&page, between(&text, &part)?).map_err(broken)
}

/// A text with another part between its marks.
fn between(text: &str, part: &str) -> Outcome<String> {
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| format!("{PAGE} lacks {}", BEGIN.trim()))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("{PAGE} lacks {END}"))?;
    Ok(format!("{before}{BEGIN}{part}{END}{after}"))
}

/// Everything that was measured, as JSON, and where.
pub(super) fn keep(samples: &[Sample], calls: &[Calls], machine: &str, command: &str) -> Outcome {
    let file = target_dir().join("bench.json");
    let text = json(samples, calls, machine, command);
    fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))
}

fn json(samples: &[Sample], calls: &[Calls], machine: &str, command: &str) -> String {
    let string = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("\"{escaped}\"")
    };
    let sample = |s: &Sample| {
        format!(
            "{{\"peer\":{},\"load\":{},\"round\":{},\"requests_per_s\":{:.1},\"cpu_us\":{:.3},\"tool_cpu_us\":{:.3},\
             \"p50_us\":{:.1},\"p99_us\":{:.1},\"memory_kib\":{}}}",
            string(s.peer),
            string(s.load.name()),
            s.round,
            s.requests_per_s,
            s.cpu_us,
            s.tool_cpu_us,
            s.p50_us,
            s.p99_us,
            s.memory_kib
        )
    };
    let call = |c: &Calls| {
        let (peer, load) = (string(c.peer), string(c.load.name()));
        format!("{{\"peer\":{peer},\"load\":{load},\"per_request\":{:.3}}}", c.per_request)
    };
    format!(
        "{{\"command\":{},\n\"machine\":{},\n\"samples\":[\n{}\n],\n\"system_calls\":[\n{}\n]}}\n",
        string(command),
        string(machine),
        samples.iter().map(sample).collect::<Vec<_>>().join(",\n"),
        calls.iter().map(call).collect::<Vec<_>>().join(",\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found() {
        assert_eq!(version("bin/envoy  version: 9e5580/1.40.0/Clean/RELEASE/BoringSSL"), "1.40.0");
        assert_eq!(version("v2.7.6 h1:w0NymbG2m9Pc"), "v2.7.6");
        assert_eq!(version("unknown"), "unknown");
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = format!("a\n{BEGIN}old\n{END}\nb\n");
        assert_eq!(between(&text, "new\n"), Ok(format!("a\n{BEGIN}new\n{END}\nb\n")));
        assert!(between("a\nb\n", "new\n").is_err());
        assert!(between(BEGIN, "new\n").is_err());
    }

    #[test]
    fn what_is_kept_for_programs_escapes_what_must_be() {
        let text = json(&[], &[], "a \"b\"\nc", "d\\e");
        assert!(text.starts_with("{\"command\":\"d\\\\e\",\n\"machine\":\"a \\\"b\\\"\\nc\","), "{text}");
    }
}
