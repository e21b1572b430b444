//! What a node is there for.

/// The part of the work that a node does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// Serves callers.
    Gateway,
    /// Manages, and keeps the store tidy.
    Control,
    /// Both.
    #[default]
    All,
}

impl Role {
    const EACH: [Role; 3] = [Role::Gateway, Role::Control, Role::All];

    /// Reads its name.
    ///
    /// # Errors
    /// A sentence that lists the choices.
    pub(crate) fn parse(text: &str) -> Result<Role, String> {
        let found = Role::EACH.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("`{text}` is none of gateway, control, all"))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Gateway => "gateway",
            Role::Control => "control",
            Role::All => "all",
        }
    }

    /// Whether callers come to such a node.
    pub(crate) fn takes_callers(self) -> bool {
        matches!(self, Role::Gateway | Role::All)
    }

    /// Whether such a node keeps the store tidy.
    pub(crate) fn keeps_house(self) -> bool {
        matches!(self, Role::Control | Role::All)
    }
}
