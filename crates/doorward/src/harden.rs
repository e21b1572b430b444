//! The process holds secrets in memory: no core dump, and no debugger of the same user.
use rustix::io;
use rustix::process::{Resource, Rlimit, setrlimit};

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
