//! The verbs, over a store in a temporary folder.
use super::*;
use doorward_core::credential::Kind;
use doorward_core::keyring::MasterKey;
use doorward_core::policy::draft;
use doorward_store::Purpose;
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

mod credentials;
mod import;
mod loosened;
mod policy;
mod readiness;
mod users;

const NOW: UnixMillis = UnixMillis(1_767_225_600_000);
const POLICY: &str = r#"
[[workspace]]
id = "live"
environment = "production"
[[workspace]]
id = "try"
environment = "sandbox"
[[api]]
id = "shop"
dialect = "voucherify"
upstream = { production = "http://127.0.0.1:9000", sandbox = "http://127.0.0.1:9001" }
[[api.route]]
path = "/v1/*"
"#;

/// A store of its own, gone with the test.
struct Office {
    folder: PathBuf,
    store: Store,
    keys: Arc<Keys>,
    next: Cell<u8>,
}

impl Office {
    async fn open() -> Office {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("doorward-control-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let url = format!("sqlite:{}", folder.join("d.db").display());
        let store = Store::open(&url, &MasterKey::new([7; 32]), Purpose::Own, NOW).await.unwrap();
        let keys = store.keys();
        Office { folder, store, keys, next: Cell::new(0) }
    }

    async fn with_policy() -> Office {
        let office = Office::open().await;
        super::policy::apply(office.desk(), &draft::read(POLICY).unwrap(), false).await.unwrap();
        office
    }

    fn desk(&self) -> Desk<'_> {
        self.later(0)
    }

    fn later(&self, ms: i64) -> Desk<'_> {
        Desk { store: &self.store, keys: &self.keys, actor: "test", now: NOW.plus_ms(ms) }
    }

    async fn create(&self, wanted: &Wanted) -> Result<CredentialView, Error> {
        super::credentials::create(self.desk(), wanted, &mut |b| self.fill(b)).await
    }

    /// Different bytes each time, the same in every run.
    fn fill(&self, buffer: &mut [u8]) {
        for b in buffer {
            *b = self.next.get();
            self.next.set(self.next.get().wrapping_add(37));
        }
        self.next.set(self.next.get().wrapping_add(1));
    }

    async fn seq(&self) -> i64 {
        self.store.head().await.unwrap().seq
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn wanted(workspace: &str, kind: Kind) -> Wanted {
    Wanted::new(workspace, kind)
}

fn dialect(name: &str) -> Option<&'static doorward_core::dialect::Dialect> {
    doorward_core::dialect::Dialect::named(name)
}
