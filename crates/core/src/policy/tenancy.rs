//! What a workspace has: modules, roles, licences.
use crate::credential::names;
use crate::time::UnixMillis;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

names! {
    /// A part of Doorward that a workspace may have switched on.
    Module:
    /// Filters by address.
    Network = "network",
    /// Signed requests.
    Signatures = "signatures",
    /// Publishable keys.
    ClientSide = "client_side",
    /// Captchas.
    Captcha = "captcha",
    /// Licences.
    Licences = "licences",
    /// Limits.
    Limits = "limits"
}

/// The modules of a workspace that are on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Modules(u8);

impl Modules {
    /// Every one.
    pub const ALL: Modules = Modules(u8::MAX);

    /// Whether one is on.
    #[must_use]
    pub fn on(self, module: Module) -> bool {
        self.0 & (1 << module as u8) != 0
    }
}

impl FromIterator<Module> for Modules {
    fn from_iter<I: IntoIterator<Item = Module>>(modules: I) -> Modules {
        Modules(modules.into_iter().fold(0, |all, module| all | 1 << module as u8))
    }
}

impl fmt::Debug for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = Module::ALL.iter().filter(|module| self.on(**module));
        f.debug_set().entries(on.map(|module| module.name())).finish()
    }
}

/// The scopes of a role.
pub type Scopes = Arc<[Box<str>]>;

/// The roles that every workspace has, with their scopes.
///
/// `admin` may do everything but manage Doorward, `viewer` looks, `user` looks and changes, `merchant` stands at a till: it
/// looks vouchers up, checks them and redeems them.
pub const BUILT_IN_ROLES: [(&str, &[&str]); 4] = [
    ("admin", &["*"]),
    ("user", &["*:read", "*:write"]),
    ("viewer", &["*:read"]),
    ("merchant", &["vouchers:read", "*:validate", "*:redeem"]),
];

static BUILT_IN: LazyLock<HashMap<&str, Scopes>> = LazyLock::new(|| {
    BUILT_IN_ROLES
        .iter()
        .map(|(name, scopes)| (*name, scopes.iter().map(|scope| Box::from(*scope)).collect()))
        .collect()
});

/// The roles of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(HashMap<Box<str>, Scopes>);

impl Roles {
    /// With those of its own, which are called otherwise than those that every workspace has.
    #[must_use]
    pub fn new(own: HashMap<Box<str>, Scopes>) -> Roles {
        Roles(own)
    }

    /// The scopes of a role; `None`: there is no such role.
    #[must_use]
    pub fn scopes(&self, name: &str) -> Option<&Scopes> {
        BUILT_IN.get(name).or_else(|| self.0.get(name))
    }

    /// The names of all, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut all: Vec<&str> = BUILT_IN.keys().copied().chain(self.0.keys().map(|name| &**name)).collect();
        all.sort_unstable();
        all
    }
}

/// How many days before the end a warning goes out unless a licence says otherwise.
pub const DEFAULT_WARN_DAYS: u32 = 30;
/// The most that a licence may say.
pub const MAX_WARN_DAYS: u32 = 3650;
const DAY_MS: i64 = 86_400_000;

/// A licence that a workspace or one of its users has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    /// As routes ask for it.
    pub name: Box<str>,
    /// The id of the service user who has it; `None`: everybody in the workspace.
    pub user: Option<Box<str>>,
    /// From this instant on it is good; `None`: it always was.
    pub from: Option<UnixMillis>,
    /// From this instant on it is over; `None`: never.
    pub until: Option<UnixMillis>,
    /// How many days before its end a warning goes out.
    pub warn_days: u32,
}

impl Licence {
    /// Whether it is good for a credential at an instant.
    #[must_use]
    pub fn covers(&self, credential: &str, now: UnixMillis) -> bool {
        self.user.as_deref().is_none_or(|user| user == credential) && self.good_at(now)
    }

    /// Whether it is good at an instant.
    #[must_use]
    pub fn good_at(&self, now: UnixMillis) -> bool {
        self.from.is_none_or(|from| now >= from) && self.until.is_none_or(|until| now < until)
    }

    /// Whether it ends so soon that somebody ought to be told.
    #[must_use]
    pub fn ends_soon(&self, now: UnixMillis) -> bool {
        let warn_ms = i64::from(self.warn_days) * DAY_MS;
        self.good_at(now) && self.until.is_some_and(|until| now >= until.plus_ms(-warn_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_good_from_its_first_instant_to_the_one_before_its_end() {
        let at = UnixMillis;
        let day = DAY_MS;
        let licence = Licence {
            name: "premium".into(),
            user: Some("ann".into()),
            from: Some(at(100 * day)),
            until: Some(at(200 * day)),
            warn_days: 30,
        };
        let good = |now| licence.covers("ann", at(now));
        assert_eq!(
            [good(100 * day - 1), good(100 * day), good(200 * day - 1), good(200 * day)],
            [false, true, true, false]
        );
        assert!(!licence.covers("bob", at(150 * day)));
        let soon = |now| licence.ends_soon(at(now));
        assert_eq!(
            [soon(170 * day - 1), soon(170 * day), soon(200 * day - 1), soon(200 * day)],
            [false, true, true, false]
        );
        let for_ever = Licence { user: None, from: None, until: None, ..licence };
        assert!(for_ever.covers("bob", at(0)) && !for_ever.ends_soon(at(i64::MAX)));
    }

    #[test]
    fn every_workspace_has_the_built_in_roles() {
        let own = HashMap::from([("auditor".into(), Scopes::from([Box::from("vouchers:read")]))]);
        let roles = Roles::new(own);
        assert_eq!(roles.names(), ["admin", "auditor", "merchant", "user", "viewer"]);
        assert_eq!(&**roles.scopes("admin").unwrap(), ["*".into()]);
        assert!(roles.scopes("auditor").is_some() && roles.scopes("boss").is_none());
        let few: Modules = [Module::Network, Module::Limits].into_iter().collect();
        assert!(few.on(Module::Limits) && !few.on(Module::Captcha) && Modules::ALL.on(Module::Captcha));
        assert_eq!(format!("{few:?}"), "{\"network\", \"limits\"}");
    }
}
