//! Starts a ledger where the last one left off, and keeps its lease.
use super::journal::{self, Journal};
use super::lease::{LEDGER, Lease};
use super::memory::Memory;
use super::reach::Reach;
use super::record::{DIGEST_BYTES, Header};
use super::recover::{self, Expected, Loss};
use super::term::Term;
use super::{Clock, Inner, LedgerError, MemoryLedger, RENEW_MS, Settings};
use crate::Store;
use aws_lc_rs::digest::{SHA256, digest};
use doorward_core::time::UnixMillis;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// The file in the folder that is locked.
const LOCK: &str = "lock";
/// Where the kernel tells which start of the machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where a ledger is.
pub(super) struct Place<'p> {
    pub(super) folder: &'p Path,
    pub(super) installation: &'p str,
    /// Names the machine's start.
    pub(super) boot: &'p str,
}

fn short(name: &str) -> [u8; DIGEST_BYTES] {
    let mut out = [0; DIGEST_BYTES];
    out.copy_from_slice(&digest(&SHA256, name.as_bytes()).as_ref()[..DIGEST_BYTES]);
    out
}

/// Makes the folder where there is none, for its owner alone, and locks it.
pub(super) fn lock(folder: &Path) -> Result<File, LedgerError> {
    let failed = |why| LedgerError::Folder { folder: folder.to_owned(), why };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK));
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(LedgerError::FolderTaken(folder.to_owned())),
        Err(fs::TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// Names who holds a lease: a process with this folder, since this start of the machine. The lock sees to it that there is
/// only one, and a killed one's successor goes by the same name.
fn holder(folder: &Path, boot: &str) -> io::Result<String> {
    let folder = fs::metadata(folder)?;
    Ok(format!("{boot} {:x}:{:x}", folder.dev(), folder.ino()))
}

impl MemoryLedger {
    /// Starts the ledger of a store. Its journal is in `folder`, which is made where there is none.
    ///
    /// # Errors
    /// Another node has the lease or the folder, or one of them can't be used. What is wrong with the journal is no error:
    /// it raises the fence, and is told.
    pub async fn start(
        store: &Store,
        folder: &Path,
        settings: Settings,
        clock: Clock,
    ) -> Result<MemoryLedger, LedgerError> {
        let file = lock(folder)?;
        let boot = match fs::read_to_string(BOOT_ID) {
            Ok(boot) => boot.trim().to_owned(),
            // Then any start may be the machine's.
            Err(_) => crate::schema::random_name()?,
        };
        let failed = |why| LedgerError::Folder { folder: folder.to_owned(), why };
        let holder = holder(folder, &boot).map_err(failed)?;
        let (asked, asked_at) = (Instant::now(), clock());
        let lease = store.take_lease(LEDGER, &holder).await?.ok_or(LedgerError::HeldElsewhere)?;
        let place = Place { folder, installation: &store.installation, boot: &boot };
        // Whoever had the lease before claims nothing any more, and so raises nothing.
        let skew_ms = u32::try_from(store.ledger_reach_ms().await?).unwrap_or(u32::MAX).max(settings.skew_ms);
        let settings = Settings { skew_ms, ..settings };
        let ledger = MemoryLedger::open(&place, file, holder, lease, settings, clock)?;
        ledger.0.term.extend(asked, asked_at);
        Ok(ledger)
    }

    /// Reads the journal and goes on with it. Nothing is claimed before its term begins.
    pub(super) fn open(
        place: &Place<'_>,
        file: File,
        holder: String,
        lease: Lease,
        settings: Settings,
        clock: Clock,
    ) -> Result<MemoryLedger, LedgerError> {
        let failed = |why| LedgerError::Folder { folder: place.folder.to_owned(), why };
        let expected =
            Expected { turn: lease.turn, installation: short(place.installation), boot: short(place.boot) };
        let memory = Memory::new(settings);
        let mut found = recover::read(place.folder, &expected, &memory).map_err(failed)?;
        match found.known {
            // Whoever gave the lease for the first time does not know of this journal: it is an older copy of the store.
            Ok(_) if lease.first => {
                found.known = Err(Loss::OtherTurn);
                found.useless.extend(found.segments.drain(..).map(|segment| segment.number));
            }
            Err(Loss::Missing) if lease.first => found.known = Ok(UnixMillis(i64::MIN)),
            _ => (),
        }
        let fence = match found.known {
            Ok(fence) => fence,
            Err(why) => {
                let fence = lost(i64::from(settings.skew_ms), &memory, clock());
                tracing::warn!(
                    journal = %place.folder.display(), until = %fence,
                    "it is not known which requests were accepted before: {why}; those signed with an earlier date than this are refused"
                );
                fence
            }
        };
        memory.raise_fence(fence);
        let header = Header {
            number: found.next,
            first: found.segments.front().map_or(found.next, |segment| segment.number),
            fence,
            turn: lease.turn,
            installation: expected.installation,
            boot: expected.boot,
        };
        let journal = Journal::begin(place.folder, header, found.segments).map_err(failed)?;
        found.useless.iter().for_each(|number| journal::remove(place.folder, *number));
        Ok(MemoryLedger(Arc::new(Inner {
            memory,
            journal,
            clock,
            folder: place.folder.to_owned(),
            _lock: file,
            holder,
            turn: AtomicI64::new(lease.turn),
            term: Term::over(),
            reach: Reach::new(i64::from(settings.skew_ms)),
        })))
    }

    /// Renews the lease once. While another node has it, or the store can't tell for too long, nothing is claimed.
    ///
    /// # Errors
    /// The store failed, another node has the lease, or the journal can't be written.
    pub async fn renew(&self, store: &Store) -> Result<(), LedgerError> {
        let (asked, asked_at) = (Instant::now(), (self.0.clock)());
        match store.take_lease(LEDGER, &self.0.holder).await? {
            None => {
                self.0.term.end();
                Err(LedgerError::HeldElsewhere)
            }
            Some(lease) => self.renewed(lease, asked, asked_at),
        }
    }

    pub(super) fn renewed(
        &self,
        lease: Lease,
        asked: Instant,
        asked_at: UnixMillis,
    ) -> Result<(), LedgerError> {
        let inner = &self.0;
        if lease.first || lease.turn != inner.turn.load(SeqCst) {
            // Others may have claimed in between.
            inner.term.end();
            let fence = lost(inner.reach.ms(), &inner.memory, (inner.clock)());
            inner.memory.raise_fence(fence);
            let over = inner.journal.turn_over(inner.memory.fence(), lease.turn);
            over.map_err(|why| LedgerError::Folder { folder: inner.folder.clone(), why })?;
            inner.turn.store(lease.turn, SeqCst);
            tracing::warn!(
                until = %fence,
                "the lease of the ledger was another's in between; requests signed with an earlier date than this are refused"
            );
        }
        inner.term.extend(asked, asked_at);
        Ok(())
    }

    /// Renews the lease, learns what reach is asked for, and tidies up, until it is dropped. `told` hears how each try
    /// went.
    pub async fn keep(&self, store: &Store, mut told: impl FnMut(Result<(), LedgerError>)) {
        let _kept = self.0.reach.keep();
        let mut every = tokio::time::interval(Duration::from_millis(RENEW_MS));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        every.tick().await;
        loop {
            tokio::select! {
                () = self.0.reach.asked() => {
                    let settled = self.0.reach.settle(store).await;
                    self.0.reach.tried();
                    told(settled.map_err(LedgerError::from));
                }
                _ = every.tick() => {
                    told(self.renew(store).await);
                    self.tidy();
                }
            }
        }
    }

    /// Gives the lease back, so that another node need not wait for its end. Nothing is claimed any more.
    ///
    /// # Errors
    /// The store failed.
    pub async fn stop(&self, store: &Store) -> Result<(), LedgerError> {
        self.0.term.end();
        Ok(store.end_lease(LEDGER, &self.0.holder).await?)
    }
}

/// The fence when what was claimed until now is not known: nothing that could have been accepted is dated later.
fn lost(reach_ms: i64, memory: &Memory, now: UnixMillis) -> UnixMillis {
    now.plus_ms(memory.late_ms().max(reach_ms).saturating_add(1))
}
