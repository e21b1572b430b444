//! What drafts say about modules, roles and licences.
use super::Compiler;
use crate::policy::draft::{Draft, LicenceDraft, WorkspaceDraft};
use crate::policy::{DEFAULT_WARN_DAYS, Licence, Module, Modules, Roles};
use crate::time::UnixMillis;
use std::collections::{HashMap, HashSet};

impl Compiler {
    pub(super) fn modules(&mut self, w: &WorkspaceDraft) -> Modules {
        let Some(names) = &w.modules else { return Modules::ALL };
        let read = |name: &String| {
            let wrong = |e| self.wrong(w.line.0, format!("workspace `{}`", w.id), e);
            Module::parse(name).map_err(wrong).ok()
        };
        names.iter().filter_map(read).collect()
    }

    pub(super) fn roles(&mut self, w: &WorkspaceDraft) -> Roles {
        let mut own = HashMap::new();
        for role in &w.roles {
            let scopes = role.scopes.iter().map(|scope| scope.as_str().into()).collect();
            if own.insert(Box::from(role.name.as_str()), scopes).is_some() {
                let place = format!("workspace `{}`, role `{}`", w.id, role.name);
                self.wrong(role.line.0, place, "there is another role of this name");
            }
        }
        Roles::new(own)
    }

    /// The licences of each workspace.
    pub(super) fn licences(&mut self, draft: &Draft) -> HashMap<String, Vec<Licence>> {
        let mut all: HashMap<String, Vec<Licence>> = HashMap::new();
        let mut seen = HashSet::new();
        let workspaces: HashSet<&str> = draft.workspaces.iter().map(|w| w.id.as_str()).collect();
        for l in &draft.licences {
            let place = || format!("licence `{}`", l.id());
            if !seen.insert(l.id()) {
                self.wrong(l.line.0, place(), "there is another one; one licence has one period");
            }
            if !workspaces.contains(l.workspace.as_str()) {
                self.wrong(l.line.0, place(), format!("there is no workspace `{}`", l.workspace));
            }
            match licence(l) {
                Ok(licence) => all.entry(l.workspace.clone()).or_default().push(licence),
                Err(why) => self.wrong(l.line.0, place(), why),
            }
        }
        all
    }
}

fn licence(l: &LicenceDraft) -> Result<Licence, String> {
    let instant = |text: &Option<String>| {
        let read = |text: &String| UnixMillis::parse(text).ok_or_else(|| format!("`{text}` is no instant"));
        text.as_ref().map(read).transpose()
    };
    Ok(Licence {
        name: l.name.as_str().into(),
        user: l.user.as_deref().map(Into::into),
        from: instant(&l.from)?,
        until: instant(&l.until)?,
        warn_days: l.warn_days.unwrap_or(DEFAULT_WARN_DAYS),
    })
}
