//! What is said about a ledger that can't be had: once for each reason.
use crate::outage::Outage;
use doorward_core::live::Live;
use doorward_store::ledger::LedgerError;

const REFUSING: &str =
    "this node has no ledger, so it refuses requests that are accepted only once, and serves all others";

/// What was said already.
#[derive(Default)]
pub(super) struct Told {
    outage: Outage,
    last: Option<String>,
}

impl Told {
    /// Tells how a try to have the ledger, or to keep it, went; gives back what it brought.
    pub(super) fn of<T>(&mut self, live: &Live, tried: Result<T, LedgerError>) -> Option<T> {
        match tried {
            Ok(there) => {
                if self.last.take().is_some() {
                    tracing::info!("this node has its ledger");
                }
                self.outage.over();
                return Some(there);
            }
            // That the store is away is told elsewhere.
            Err(LedgerError::Store(e)) => self.outage.goes_on(live, REFUSING, &e),
            Err(e) => {
                let why = e.to_string();
                if self.last.as_ref() != Some(&why) {
                    tracing::error!("{REFUSING}; trying on: {why}");
                }
                self.last = Some(why);
            }
        }
        None
    }
}
