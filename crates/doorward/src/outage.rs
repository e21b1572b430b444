//! What a node does with the store on the side fails while the store is away. Whoever follows the store tells that, once;
//! here only what fails while the store answers is told, and that once as well.
use doorward_core::live::Live;
use std::fmt::Display;

/// One kind of work that may fail for a while.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    told: bool,
    /// It has failed while the store answered. Once may be chance: the store was just about to go, or has just come back.
    failed: bool,
}

impl Outage {
    /// It works.
    pub(crate) fn over(&mut self) {
        *self = Outage::default();
    }

    /// It does not work, which `what` says.
    pub(crate) fn goes_on(&mut self, live: &Live, what: &str, why: &dyn Display) {
        let (store_answers, _) = live.store();
        if self.is_news(store_answers) {
            tracing::warn!("{what}; trying on: {why}");
        } else {
            tracing::debug!("{what}: {why}");
        }
    }

    fn is_news(&mut self, store_answers: bool) -> bool {
        let again = std::mem::replace(&mut self.failed, store_answers);
        again && store_answers && !std::mem::replace(&mut self.told, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_while_the_store_answers_is_told_once() {
        let mut outage = Outage::default();
        let told = [true; 4].map(|answers| outage.is_news(answers));
        assert_eq!(told, [false, true, false, false]);
        outage.over();
        let told = [true, true].map(|answers| outage.is_news(answers));
        assert_eq!(told, [false, true], "this is another one");
    }

    #[test]
    fn a_store_that_is_away_is_told_elsewhere() {
        let mut outage = Outage::default();
        let told = [true, false, false, true, false, true].map(|answers| outage.is_news(answers));
        assert_eq!(told, [false; 6]);
        assert!(outage.is_news(true), "it answers, and this fails on");
    }
}
