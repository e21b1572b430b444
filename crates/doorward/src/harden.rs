//! What the process asks of the kernel for itself. It holds secrets in memory: no core dump, and no debugger of the
//! same user. It holds many connections: as many file descriptors as it may.
use doorward_gateway::turned_away;
use rustix::io;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Switches core dumps off, twice over: no size for them, and (on Linux) not dumpable, which also keeps other processes
/// of the same user from reading the memory.
///
/// # Errors
/// What the kernel says.
pub(crate) fn no_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// File descriptors that are not connections: store, logs, listeners, runtimes.
const OTHER_DESCRIPTORS: u64 = 64;

/// Raises the soft limit of file descriptors to the hard one. How many connections from callers it is enough for, each
/// with one to an upstream, and beside those that are only told that there are too many; `None` where there is no limit.
pub(crate) fn connections_that_fit() -> Option<u64> {
    let now = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: now.maximum, maximum: now.maximum };
    // Where it can't be raised, what there is has to do.
    let limit = if setrlimit(Resource::Nofile, wanted).is_ok() { now.maximum } else { now.current };
    limit.map(|n| connections_for(n.saturating_sub(OTHER_DESCRIPTORS)))
}

fn connections_for(descriptors: u64) -> u64 {
    let told = |n: u64| usize::try_from(n).map_or(0, turned_away) as u64;
    // A first guess without those who are only told, which are at most an eighth or a few.
    let most = descriptors / 2;
    (most - told(most).div_ceil(2).min(most)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_enough_for_all_connections() {
        for descriptors in [0, 2, 10, 192, 1_000, 20_000, 1_000_000] {
            let n = connections_for(descriptors);
            let needed = 2 * n + turned_away(n as usize) as u64;
            assert!(n >= 1 && (needed <= descriptors || n == 1), "{n} with {descriptors}");
            assert!(n * 5 >= descriptors * 2 || descriptors < 64, "{n} with {descriptors}");
        }
    }
}
