//! A wall clock of a test's own, by way of libfaketime; the steady clock stays as it is.
use super::gateway::Setup;
use super::process::Folder;
use super::wait::skipped;

/// The clock of whatever is started with it.
pub(crate) struct FakeClock {
    library: String,
    folder: Folder,
}

impl FakeClock {
    /// `time` is an instant at which it stands still, `2028-01-01 00:00:00`, or how far it is ahead of the true one, in
    /// seconds: `+600`. `None` without the library, which is told.
    pub(crate) fn showing(test: &str, time: &str) -> Option<FakeClock> {
        let Ok(library) = std::env::var("DOORWARD_FAKETIME") else {
            skipped(test, "DOORWARD_FAKETIME is not set");
            return None;
        };
        let clock = FakeClock { library, folder: Folder::new() };
        clock.set(time);
        Some(clock)
    }

    /// Has a gateway look at it.
    pub(crate) fn given_to(&self, setup: Setup) -> Setup {
        let setup = setup.env("LD_PRELOAD", &self.library);
        let setup = setup.env("FAKETIME_TIMESTAMP_FILE", &self.folder.file("clock"));
        setup.env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1").env("TZ", "UTC")
    }

    pub(crate) fn set(&self, time: &str) {
        // Written anew as a whole: a clock that is read while it is being written would be none.
        let new = self.folder.write("clock.new", time);
        std::fs::rename(new, self.folder.file("clock")).expect("a file");
    }
}
