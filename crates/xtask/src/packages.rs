//! What tests and benchmarks need from outside: Debian's packages, and clients from npm.

use crate::Outcome;
use crate::cargo::{output, root, run, target_dir};
use crate::postgres;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest Node.js that the client libraries run on.
const NODE_MAJOR: u32 = 18;

/// Something that must be on the machine, and the Debian package that brings it.
pub(crate) struct Need {
    what: &'static str,
    package: &'static str,
    present: fn() -> bool,
}

const NGINX: Need = Need { what: "nginx", package: "nginx", present: || nginx().is_some() };
const OPENSSL: Need = Need { what: "openssl", package: "openssl", present: || on_path("openssl").is_some() };

/// What `cargo xtask instructions` needs besides.
pub(crate) const VALGRIND: Need =
    Need { what: "valgrind", package: "valgrind", present: || on_path("valgrind").is_some() };

const H2LOAD: Need =
    Need { what: "h2load", package: "nghttp2-client", present: || on_path("h2load").is_some() };

/// What `cargo xtask test` needs.
pub(crate) const FOR_TESTS: &[Need] = &[
    Need { what: "libfaketime", package: "faketime", present: || libfaketime().is_some() },
    Need { what: "curl", package: "curl", present: || on_path("curl").is_some() },
    OPENSSL,
    Need { what: "node 18 or newer", package: "nodejs", present: has_node },
    Need { what: "npm", package: "npm", present: || on_path("npm").is_some() },
    Need { what: "Redis' server", package: "redis-server", present: || redis().is_some() },
    NGINX,
    VALGRIND,
    Need { what: "PostgreSQL's server", package: "postgresql", present: || postgres::binaries().is_some() },
];

/// What `cargo xtask bench` needs.
pub(crate) const FOR_BENCH: &[Need] = &[
    NGINX,
    Need { what: "haproxy", package: "haproxy", present: || on_path("haproxy").is_some() },
    Need { what: "wrk", package: "wrk", present: || on_path("wrk").is_some() },
    H2LOAD,
    Need { what: "strace", package: "strace", present: || on_path("strace").is_some() },
    OPENSSL,
];

/// What the proofs about slow callers and too many of them need beside that.
pub(crate) const FOR_CROWDS: &[Need] = &[
    Need { what: "slowhttptest", package: "slowhttptest", present: || on_path("slowhttptest").is_some() },
    H2LOAD,
];

/// Installs what is missing, or says what it is.
pub(crate) fn install(needs: &[Need]) -> Outcome {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let by_hand = format!(
        "missing: {}\ninstall as root: apt-get update && apt-get install -y --no-install-recommends {}",
        missing.iter().map(|need| need.what).collect::<Vec<_>>().join(", "),
        packages.join(" ")
    );
    if !is_root() || on_path("apt-get").is_none() {
        return Err(by_hand);
    }
    println!("installing {}", packages.join(" "));
    // A server that a package brings is not to be started by its installation.
    let _services_stay_off = ServicePolicy::deny()?;
    apt(&["update", "-qq"])?;
    let mut words = vec!["install", "-qq", "-y", "--no-install-recommends"];
    words.extend(&packages);
    apt(&words)?;
    match missing.iter().find(|need| !(need.present)()) {
        Some(need) => {
            Err(format!("{} is still missing after its package was installed\n{by_hand}", need.what))
        }
        None => Ok(()),
    }
}

fn apt(words: &[&str]) -> Outcome {
    let mut command = Command::new("apt-get");
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
    output(command).map(drop)
}

/// While it lives, packages start no services. A policy that the machine already has is left alone.
struct ServicePolicy {
    ours: bool,
}

impl ServicePolicy {
    const FILE: &str = "/usr/sbin/policy-rc.d";

    fn deny() -> Outcome<ServicePolicy> {
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(Self::FILE);
        match file {
            Ok(mut file) => {
                let policy = ServicePolicy { ours: true };
                std::io::Write::write_all(&mut file, b"#!/bin/sh\nexit 101\n")
                    .map_err(|e| format!("{}: {e}", Self::FILE))?;
                Ok(policy)
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(ServicePolicy { ours: false }),
            Err(e) => Err(format!("{}: {e}", Self::FILE)),
        }
    }
}

impl Drop for ServicePolicy {
    fn drop(&mut self) {
        if self.ours {
            let _ = std::fs::remove_file(Self::FILE);
        }
    }
}

/// Puts the client libraries that tests drive into the target folder, unless they are there, and says where.
pub(crate) fn install_clients() -> Outcome<PathBuf> {
    let wanted_file = root().join("tests/clients/package.json");
    let wanted =
        std::fs::read_to_string(&wanted_file).map_err(|e| format!("{}: {e}", wanted_file.display()))?;
    let dir = clients_dir();
    let there = std::fs::read_to_string(dir.join("package.json")).unwrap_or_default();
    // npm writes this file when an installation is whole.
    if there == wanted && dir.join("node_modules/.package-lock.json").is_file() {
        return Ok(dir);
    }
    println!("installing client libraries");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir)
        .and_then(|()| std::fs::write(dir.join("package.json"), &wanted))
        .map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut npm = Command::new("npm");
    npm.current_dir(&dir).args([
        "install",
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    run(npm)?;
    Ok(dir)
}

fn clients_dir() -> PathBuf {
    target_dir().join("clients")
}

/// What tests are told about the outside; what is not there is left out, and tests that need it say so.
pub(crate) fn test_environment() -> Vec<(&'static str, PathBuf)> {
    let mut environment = Vec::new();
    if clients_dir().join("node_modules").is_dir() {
        environment.push(("DOORWARD_CLIENTS", clients_dir()));
    }
    if let Some(library) = libfaketime() {
        environment.push(("DOORWARD_FAKETIME", library));
    }
    if let Some(program) = redis() {
        environment.push(("DOORWARD_TEST_REDIS", program));
    }
    if let Some(program) = nginx() {
        environment.push(("DOORWARD_TEST_NGINX", program));
    }
    environment
}

/// The program of which each test that needs a Redis server starts one of its own.
fn redis() -> Option<PathBuf> {
    on_path("redis-server")
}

/// The proxy in front of some tests' gateways.
fn nginx() -> Option<PathBuf> {
    on_path("nginx")
}

/// The library that shows a process another time.
fn libfaketime() -> Option<PathBuf> {
    let in_folder =
        |folder: &Path| Some(folder.join("faketime/libfaketime.so.1")).filter(|file| file.is_file());
    ["/usr/lib", "/usr/lib64", "/usr/local/lib"].iter().find_map(|base| {
        in_folder(Path::new(base))
            .or_else(|| std::fs::read_dir(base).ok()?.flatten().find_map(|entry| in_folder(&entry.path())))
    })
}

fn has_node() -> bool {
    let mut node = Command::new("node");
    node.arg("--version");
    let Ok(version) = output(node) else { return false };
    let major = version.trim().trim_start_matches('v').split('.').next();
    major.and_then(|m| m.parse::<u32>().ok()).is_some_and(|m| m >= NODE_MAJOR)
}

/// Where a program is, as the shell would find it; Debian keeps some servers off an ordinary user's path.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
