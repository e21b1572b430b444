//! Secrets, passwords and tokens on the command line: they come by file or standard input. Arguments are for everybody on a
//! machine to see, so nothing secret is ever taken from them.
use crate::support::{PROGRAM, Run, eventually};
use crate::token_commands::{issued, started, text};
use std::io::Write as _;
use std::process::{Command, Stdio};

const PASSWORD: &str = "swordfish & chips";
const ANOTHER: &str = "chips & swordfish";

/// Runs a command, and reads what every user of this machine sees of it (`/proc/PID/cmdline`), and what its owner does
/// (`environ`), before it is given anything to read and until it ends.
fn watched(words: &[&str], stdin: &str) -> (Run, String) {
    let mut command = Command::new(PROGRAM);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let look = |pid: u32| {
        let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        String::from_utf8_lossy(&[read("cmdline"), read("environ")].concat()).into_owned()
    };
    // It takes a moment until it runs; then it waits for what it is to read, or does its work.
    let mut seen = String::new();
    eventually("the program to run", || {
        seen = look(child.id());
        words.iter().all(|word| seen.contains(word))
    });
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(stdin.as_bytes()));
    while child.try_wait().expect("it runs").is_none() {
        seen.push_str(&look(child.id()));
    }
    let out = child.wait_with_output().expect("it has ended");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        Run { code: out.status.code().unwrap_or(-1), stdout: text(&out.stdout), stderr: text(&out.stderr) },
        seen,
    )
}

/// Secrets that must be recoverable: none of them is in `/proc/PID/cmdline`.
#[test]
fn no_secret_is_in_the_list_of_processes() {
    let (gateway, _upstreams) = started();
    let config = ["--config", &gateway.config];
    let password = gateway.folder.write("password", PASSWORD);
    let user = ["credential", "create", "--workspace", "acme-live", "--kind", "user", "--id", "svc"];
    gateway.command(&[&user[..], &["--password-file", &password]].concat()).ok();
    let run = |words: &[&str], stdin: &str, secrets: &[&str]| {
        let (run, seen) = watched(&[words, &config].concat(), stdin);
        let run = run.ok();
        for secret in secrets {
            assert!(!seen.contains(secret) && !run.stderr.contains(secret), "{words:?}: {secret} in {seen}");
        }
        run
    };
    let new = ["credential", "password", "svc", "--password-file", "-"];
    let run_password = run(&new, ANOTHER, &[ANOTHER, PASSWORD]);
    assert!(!run_password.stdout.contains(ANOTHER), "{run_password:?}");
    let made = run(&["token", "issue", "--id", "svc"], "", &["eyJ"]);
    let token = made.stdout.trim();
    assert_eq!(token.split('.').count(), 3, "{made:?}");
    for words in [&["token", "introspect"][..], &["token", "revoke", "--token-file", "-"]] {
        let said = run(words, token, &[token, "eyJ"]);
        assert!(!said.stdout.contains("eyJ"), "{said:?}");
    }
    let made = run(
        &[
            "credential",
            "create",
            "--workspace",
            "acme-live",
            "--kind",
            "user",
            "--id",
            "svc2",
            "--password-file",
            "-",
        ],
        PASSWORD,
        &[PASSWORD],
    );
    assert!(!made.stdout.contains(PASSWORD), "{made:?}");
}

/// Whoever offers one as an argument is told the usage, and hears it from nobody: what is said may be kept in a log.
#[test]
fn secrets_are_no_arguments() {
    let (gateway, _upstreams) = started();
    let made = issued(&gateway, &gateway.actor("acme-live", "server", &[]).id, &[]);
    let token = text(&made, "token");
    for (words, secret) in [
        (&["token", "introspect", token][..], token),
        (&["token", "introspect", "--token", token], token),
        (&["token", "revoke", token], token),
        (&["token", "revoke", "--token", token], token),
        (&["token", "revoke", "--jti", token], token),
        (&["token", token], token),
        (&["token", "issue", "--id", "svc", "--secret", ANOTHER], ANOTHER),
        (&["token", "issue", "--id", "svc", ANOTHER], ANOTHER),
        (&["credential", "password", "svc", ANOTHER], ANOTHER),
        (&["credential", "password", "svc", "--password", ANOTHER], ANOTHER),
        (
            &["credential", "create", "--workspace", "acme-live", "--kind", "user", "--password", ANOTHER],
            ANOTHER,
        ),
        (
            &["credential", "create", "--workspace", "acme-live", "--kind", "server", "--secret", ANOTHER],
            ANOTHER,
        ),
    ] {
        let run = gateway.command(words);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stdout.is_empty() && !run.stderr.contains(secret), "{run:?}");
    }
    assert_eq!(
        crate::token_commands::introspected(&gateway, token)["active"],
        true,
        "none of it did anything"
    );
}
