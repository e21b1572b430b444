//! What the process asks of the kernel for itself. It holds secrets in memory: no core dump, and no debugger of the
//! same user. It holds many connections: as many file descriptors as it may.
use doorward_gateway::{Limits, turned_away};
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

/// Raises the soft limit of file descriptors to the hard one, and lowers limits to what that is enough for; whether they
/// were too high.
pub(crate) fn fit_descriptors(limits: &mut Limits) -> bool {
    let now = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: now.maximum, maximum: now.maximum };
    // Where it can't be raised, what there is has to do.
    let limit = if setrlimit(Resource::Nofile, wanted).is_ok() { now.maximum } else { now.current };
    limit.is_some_and(|n| {
        fit(limits, usize::try_from(n.saturating_sub(OTHER_DESCRIPTORS)).unwrap_or(usize::MAX))
    })
}

/// A connection from a caller takes one, and so does each request's to its upstream, of which there are no more than
/// requests at a time; some are for callers that are only told that there is no room.
fn fit(limits: &mut Limits, descriptors: usize) -> bool {
    let needed = |l: &Limits| l.connections + turned_away(l.connections) + l.requests.min(l.connections);
    if needed(limits) <= descriptors {
        return false;
    }
    let told = turned_away(limits.connections);
    let left = descriptors.saturating_sub(limits.connections + told);
    limits.requests = left.clamp(descriptors / 4, limits.requests.max(descriptors / 4)).max(1);
    // The most that leaves room for an eighth, or a few, of those that are only told.
    let for_callers = descriptors.saturating_sub(limits.requests);
    let most = for_callers.saturating_sub(turned_away(for_callers)).max(1);
    limits.connections = limits.connections.min(most);
    // Still no address takes all of them.
    limits.connections_per_address = limits.connections_per_address.min(limits.connections.div_ceil(2));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_enough_for_all_connections() {
        for descriptors in [0, 2, 10, 192, 1_000, 5_000, 19_936] {
            let mut limits = Limits::default();
            assert!(fit(&mut limits, descriptors), "{descriptors}");
            let Limits { connections, requests, connections_per_address, .. } = limits;
            let needed = connections + turned_away(connections) + requests;
            assert!(connections > 0 && requests > 0 && connections_per_address <= connections.div_ceil(2));
            assert!(needed <= descriptors || descriptors < 10, "{connections} {requests} with {descriptors}");
            assert!(2 * connections >= descriptors || descriptors < 192, "{connections} with {descriptors}");
        }
        let mut limits = Limits::default();
        assert!(!fit(&mut limits, 30_000) && limits == Limits::default());
        assert!(fit(&mut limits, 19_936) && limits.connections == 10_000 && limits.requests > 9_000);
    }
}
