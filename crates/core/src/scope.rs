//! What callers may do: the names that they hold, and what a request asks for.
//!
//! A name is `thing:verb`, or any other word. Who holds `vouchers:*` may do everything with vouchers, who holds `*:read` may
//! read everything, and who holds `*` may do everything; but names under `admin:` are held by name, or by `admin:*`.
//!
//! A token opens what its scope and its credential do, both; a token that does not say leaves it to its credential. A
//! credential that has no names opens what asks for none. Where paths have scopes, which keys are not asked for, it leaves
//! those to its token.
use crate::path;

mod held;

pub use held::Held;

/// What names of management begin with. No token of any dialect carries one.
const RESERVED: &str = "admin";

/// Whether a name is one of management.
#[must_use]
pub fn reserved(name: &str) -> bool {
    name.strip_prefix(RESERVED).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// Whether a name that somebody holds means another one as well.
#[must_use]
pub fn covers(held: &str, name: &str) -> bool {
    if held == name {
        return true;
    }
    if reserved(name) && !reserved(held) {
        return false;
    }
    match held.split_once(':') {
        None => held == "*",
        Some((thing, verb)) => {
            let fits = |held: &str, name: &str| held == "*" || held == name;
            (thing == "*" || verb == "*")
                && name.split_once(':').is_some_and(|(t, v)| fits(thing, t) && fits(verb, v))
        }
    }
}

/// Whether a name can be held: a `*` stands for a whole thing or verb, or for everything.
///
/// # Errors
/// A sentence for an operator.
pub fn pattern(name: &str) -> Result<(), String> {
    let good = match name.split_once(':') {
        None => name == "*" || !name.contains('*'),
        Some((thing, verb)) => {
            let whole = |part: &str| part == "*" || !part.contains('*');
            whole(thing) && whole(verb) && (thing, verb) != ("*", "*")
        }
    };
    if good {
        return Ok(());
    }
    Err(format!("`{name}`: `*` stands for a whole word, as in vouchers:*, *:read or *"))
}

/// How a dialect's scopes say what they open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeRule {
    /// A route names the scope that it asks for.
    Named,
    /// The path does, where the route names none.
    Paths(&'static PathScopes),
}

/// Scopes that stand for what begins with a path, on either side.
#[derive(Debug, PartialEq, Eq)]
pub struct PathScopes {
    /// At routes for servers.
    pub server: Side,
    /// At routes that are open to client side.
    pub client: Side,
}

/// The scopes of one side. They open nothing on the other one.
#[derive(Debug, PartialEq, Eq)]
pub struct Side {
    /// The scope that opens all of it.
    pub all: &'static str,
    /// What stands before the segment that chooses the scope.
    pub under: &'static str,
    /// The other scopes, each with the segment that it opens, and everything below.
    pub names: &'static [(&'static str, &'static str)],
}

impl Side {
    /// The scope that opens a path. None where an upstream could take the path for another one: only [`Side::all`] opens it.
    fn of(&self, path: &[u8]) -> Option<&'static str> {
        let rest = path.strip_prefix(self.under.as_bytes())?;
        let segment = rest.split(|b| *b == b'/').next().unwrap_or_default();
        let (name, _) = self.names.iter().find(|(_, own)| own.as_bytes() == segment)?;
        let plain = path::oddities(path).against(path::PathRules::default()).is_none();
        plain.then_some(*name)
    }

    fn has(&self, name: &str) -> bool {
        name == self.all || self.names.iter().any(|(own, _)| *own == name)
    }
}

impl ScopeRule {
    /// The name that stands for everything on the side that a name is of, where there is one.
    fn all_of(self, name: &str) -> Option<&'static str> {
        match self {
            ScopeRule::Named => None,
            ScopeRule::Paths(_) if reserved(name) => None,
            ScopeRule::Paths(p) if p.client.has(name) => Some(p.client.all),
            ScopeRule::Paths(p) => Some(p.server.all),
        }
    }

    /// Whether who holds a name may do what another one opens.
    #[must_use]
    pub fn covers(self, held: &str, name: &str) -> bool {
        covers(held, name) || !reserved(name) && self.all_of(name) == Some(held)
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The scope that its route names.
    pub scope: Option<&'a str>,
    /// Whether its route is open to client side.
    pub client_side: bool,
    /// Its path.
    pub path: &'a [u8],
}

/// By what a caller proved to be somebody.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// A token with this scope, names with one space between them; `None` where such tokens don't say.
    Token(Option<&'a str>),
    /// Anything else.
    Key,
}

/// The names that stand for all of a side.
type Alls = [Option<&'static str>; 2];

fn fits(own: &str, name: &str, alls: Alls) -> bool {
    covers(own, name) || !reserved(name) && alls.contains(&Some(own))
}

/// What a caller has been given.
#[derive(Clone, Copy, Debug)]
pub struct Granted<'a> {
    /// How the caller's dialect has it.
    pub rule: ScopeRule,
    /// By what it was proved.
    pub by: By<'a>,
    /// What the credential may do now by itself.
    pub credential: &'a [Box<str>],
    /// What it may do by its role; `None` where it has none.
    pub role: Option<&'a [Box<str>]>,
}

impl<'a> Granted<'a> {
    /// Whether a request may be made.
    ///
    /// # Errors
    /// The scope that is missing.
    pub fn allows(&self, asked: &Asked<'a>) -> Result<(), &'a str> {
        let Some((name, alls, lenient)) = self.needs(asked) else { return Ok(()) };
        if self.has(name, alls, lenient) { Ok(()) } else { Err(name) }
    }

    /// The same by what the token says alone, whatever its credential may do: no token opens more than it was given for.
    ///
    /// # Errors
    /// The scope that the token lacks.
    pub fn token_allows(&self, asked: &Asked<'a>) -> Result<(), &'a str> {
        let Some(mut names) = self.token_names() else { return Ok(()) };
        match self.needs(asked) {
            Some((name, alls, _)) if !names.any(|own| fits(own, name, alls)) => Err(name),
            _ => Ok(()),
        }
    }

    /// The name that a request needs, the names that stand for all of its side, and whether a credential of which nobody has
    /// said anything leaves it to its token.
    fn needs(&self, asked: &Asked<'a>) -> Option<(&'a str, Alls, bool)> {
        let sides = match self.rule {
            ScopeRule::Named => None,
            ScopeRule::Paths(paths) if asked.client_side => Some((&paths.client, paths)),
            ScopeRule::Paths(paths) => Some((&paths.server, paths)),
        };
        let (own_side, other_side) = match (sides, self.by) {
            (None, _) => (None, None),
            (Some((side, _)), By::Token(_)) => (Some(side), None),
            // Who may call from a server may call there what pages may call.
            (Some((side, paths)), By::Key) => (Some(side), Some(&paths.server)),
        };
        // Keys are held to paths where somebody has given them names of paths.
        let by_path = match (sides, self.by) {
            // Whose role opens nothing, or is gone, may have been held to paths by it.
            (Some((_, paths)), By::Key) => {
                self.role.is_some_and(<[_]>::is_empty)
                    || self.held().any(|name| paths.server.has(name) || paths.client.has(name))
            }
            _ => true,
        };
        let of_path = own_side.filter(|_| by_path).map(|side| side.of(asked.path).unwrap_or(side.all));
        let alls = [own_side.map(|side| side.all), other_side.map(|side| side.all)];
        // What a key does not open, no token of its opens either.
        match asked.scope {
            Some(name) => Some((name, alls, false)),
            None => of_path.map(|name| (name, alls, true)),
        }
    }

    /// Whether both token and credential have a name, or one that stands for all of its side. `lenient`: a credential of
    /// which nobody has said anything leaves it to its token.
    fn has(&self, name: &str, alls: Alls, lenient: bool) -> bool {
        let fits = |own: &str| fits(own, name, alls);
        match self.by {
            By::Key => self.held().any(fits),
            By::Token(_) => {
                !reserved(name)
                    && self.token_names().is_none_or(|mut names| names.any(fits))
                    && (lenient && self.says_nothing() || self.held().any(fits))
            }
        }
    }

    fn token_names(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        let By::Token(Some(scope)) = self.by else { return None };
        Some(scope.split(' ').filter(|name| !name.is_empty()))
    }

    /// What the credential may do, by itself and by its role.
    fn held(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.credential.iter().chain(self.role.unwrap_or_default()).map(|name| &**name)
    }

    /// Whether it is a token for pages and apps: all that it names stands for paths of the client side.
    #[must_use]
    pub fn is_for_client_side(&self) -> bool {
        let (ScopeRule::Paths(paths), Some(names)) = (self.rule, self.token_names()) else { return false };
        let mut names = names.peekable();
        names.peek().is_some() && names.all(|name| paths.client.has(name))
    }

    /// Whether nobody has said what the credential may do.
    fn says_nothing(&self) -> bool {
        self.credential.is_empty() && self.role.is_none()
    }

    /// What is left of token and credential, where both say something; with one space between the names.
    #[must_use]
    pub fn narrowed(&self) -> Option<String> {
        let mut left: Vec<&str> = Vec::new();
        let of_token = self.token_names()?;
        if self.says_nothing() {
            return None;
        }
        for name in of_token.chain(self.held()) {
            if self.has(name, [self.rule.all_of(name), None], false) && !left.contains(&name) {
                left.push(name);
            }
        }
        Some(left.join(" "))
    }
}

#[cfg(test)]
mod tests;
