//! Who has how much of the ledger: a full share refuses its owner, and nobody else.
use super::Settings;
use super::table::MAX_OWNERS;
use doorward_core::ports::{Share, ShareId, Shares};
use std::collections::HashMap;

/// A workspace has none above it.
const NOBODY: u32 = MAX_OWNERS;

struct Owner {
    id: ShareId,
    entries: u32,
    /// A credential's workspace.
    parent: u32,
}

/// All that have something in the ledger.
#[derive(Default)]
pub(super) struct Owners {
    numbers: HashMap<ShareId, u32>,
    all: Vec<Owner>,
    /// Numbers to be used again.
    free: Vec<u32>,
    entries: usize,
}

impl Owners {
    /// Takes one entry for an owner, and returns the credential's number.
    pub(super) fn take(&mut self, owner: &Shares, settings: &Settings) -> Result<u32, Share> {
        if self.entries >= settings.entries {
            return Err(Share::Ledger);
        }
        let full = |at: u32, share: usize| {
            self.all.get(at as usize).is_some_and(|owner| owner.entries as usize >= share)
        };
        let credential = self.numbers.get(&owner.credential).copied();
        if credential.is_some_and(|at| full(at, settings.credential_entries)) {
            return Err(Share::Credential);
        }
        let workspace = match credential {
            Some(at) => Some(self.all[at as usize].parent),
            None => self.numbers.get(&owner.workspace).copied(),
        };
        if workspace.is_some_and(|at| full(at, settings.workspace_entries)) {
            return Err(Share::Workspace);
        }
        match credential {
            Some(at) => self.one_more(at),
            None => self.add(owner),
        }
        .ok_or(Share::Ledger)
    }

    /// The same whatever is full, for what was claimed before. `None`: there are four billion owners.
    pub(super) fn add(&mut self, owner: &Shares) -> Option<u32> {
        let credential = match self.numbers.get(&owner.credential) {
            Some(at) => *at,
            None => {
                let workspace = match self.numbers.get(&owner.workspace) {
                    Some(at) => *at,
                    None => self.put(owner.workspace, NOBODY)?,
                };
                self.put(owner.credential, workspace)?
            }
        };
        self.one_more(credential)
    }

    fn one_more(&mut self, credential: u32) -> Option<u32> {
        self.entries += 1;
        self.all[credential as usize].entries += 1;
        let workspace = self.all[credential as usize].parent;
        self.all.get_mut(workspace as usize)?.entries += 1;
        Some(credential)
    }

    /// Gives back one entry of a credential.
    pub(super) fn give_back(&mut self, credential: u32) {
        self.entries = self.entries.saturating_sub(1);
        let mut at = credential;
        while let Some(owner) = self.all.get_mut(at as usize) {
            owner.entries = owner.entries.saturating_sub(1);
            let parent = owner.parent;
            if owner.entries == 0 {
                self.numbers.remove(&owner.id);
                self.free.push(at);
            }
            at = parent;
        }
    }

    /// Entries of all.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes on the heap. A map keeps a byte beside each of its slots, and leaves at least one in eight free.
    pub(super) fn heap_bytes(&self) -> usize {
        let slots = (self.numbers.capacity() * 8).div_ceil(7);
        slots * (size_of::<(ShareId, u32)>() + 1)
            + self.all.capacity() * size_of::<Owner>()
            + self.free.capacity() * size_of::<u32>()
    }

    fn put(&mut self, id: ShareId, parent: u32) -> Option<u32> {
        let owner = Owner { id, entries: 0, parent };
        let at = match self.free.pop() {
            Some(at) => {
                self.all[at as usize] = owner;
                at
            }
            None => {
                let at = u32::try_from(self.all.len()).ok().filter(|at| *at < MAX_OWNERS)?;
                self.all.push(owner);
                at
            }
        };
        self.numbers.insert(id, at);
        Some(at)
    }
}
