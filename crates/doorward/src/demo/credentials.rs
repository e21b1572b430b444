//! The demo's credentials. They can be shown again for ever, so that a demo that is started anew prints the same.
use super::policy::{PRODUCTION, SANDBOX};
use crate::place::Opened;
use crate::{Failure, random};
use doorward_control::actions::{CredentialView, Error, Import, Password, Showing, Wanted, credentials};
use doorward_core::credential::{Kind, Status};
use doorward_core::dialect::Dialect;
use doorward_core::ids;
use doorward_core::password::Cost;

/// Who the change table names.
pub(super) const ACTOR: &str = "demo";

/// One of the demo's own, known by its name when it is looked for again.
struct Own {
    workspace: &'static str,
    kind: Kind,
    name: &'static str,
    dialect: &'static str,
    plain_key: bool,
    origins: &'static [&'static str],
    scopes: &'static [&'static str],
    password_grant: bool,
    /// Of a user: his name.
    id: Option<&'static str>,
}

const SERVER: Own = Own {
    workspace: PRODUCTION,
    kind: Kind::Server,
    name: "",
    dialect: "standard",
    plain_key: false,
    origins: &[],
    scopes: &[],
    password_grant: false,
    id: None,
};

const ALL: [Own; 11] = [
    Own { name: "Order service", dialect: "voucherify", scopes: &["api"], ..SERVER },
    Own { name: "Partner back end", ..SERVER },
    Own { name: "Loyalty back end", dialect: "antavo", scopes: &["loyalty.async_events"], ..SERVER },
    Own { name: "Cloud function", dialect: "aws4", ..SERVER },
    Own {
        kind: Kind::Client,
        name: "Web shop",
        dialect: "voucherify",
        origins: &["https://shop.example", "shop.example", ".shop.example", "capacitor://localhost"],
        scopes: &["client_api"],
        ..SERVER
    },
    Own {
        workspace: SANDBOX,
        name: "Order service, trying out",
        dialect: "voucherify",
        scopes: &["api"],
        ..SERVER
    },
    Own {
        workspace: SANDBOX,
        name: "Loyalty till",
        dialect: "antavo",
        plain_key: true,
        scopes: &["loyalty.async_events"],
        ..SERVER
    },
    Own { workspace: SANDBOX, name: "Partner back end, trying out", ..SERVER },
    Own { name: "Mail scanner", dialect: "avanan", ..SERVER },
    Own { kind: Kind::OauthClient, name: "Partner portal", password_grant: true, ..SERVER },
    Own { kind: Kind::User, id: Some("box-office"), name: "Box office", dialect: "vista", ..SERVER },
];
/// Random characters of the demo user's password.
const PASSWORD_CHARS: usize = 24;

/// The demo's credentials with their secrets: those that are there already, and new ones for what is missing.
///
/// # Errors
/// The store's.
pub(super) async fn all(opened: &Opened) -> Result<Vec<CredentialView>, Failure> {
    let there = credentials::list(opened.desk(ACTOR), None).await?;
    let mut out = Vec::new();
    for own in &ALL {
        let found = match there.iter().find(|c| own.is(c)) {
            Some(c) => shown(opened, &c.id).await?,
            None => None,
        };
        out.push(match found {
            Some(found) => found,
            None => {
                let made = credentials::create(opened.desk(ACTOR), &own.wanted()?, &mut random::fill).await?;
                match &made.secret {
                    Some(_) => made,
                    // A password is not told where it was chosen, but a demo's can be shown.
                    None => credentials::reveal(opened.desk(ACTOR), &made.id).await?,
                }
            }
        });
    }
    Ok(out)
}

/// With its secret, unless somebody made a new one that can't be shown any more.
async fn shown(opened: &Opened, id: &str) -> Result<Option<CredentialView>, Failure> {
    match credentials::reveal(opened.desk(ACTOR), id).await {
        Ok(c) => Ok(Some(c)),
        Err(Error::NotShownAgain(_)) => Ok(None),
        // Somebody chose another password, and there can't be a second user of that name.
        Err(Error::HasPassword(_)) => Ok(Some(credentials::show(opened.desk(ACTOR), id).await?)),
        Err(e) => Err(e.into()),
    }
}

fn password() -> Password {
    let mut bytes = [0; PASSWORD_CHARS];
    random::fill(&mut bytes);
    Password { text: ids::with_prefix("dwp-", &bytes), cost: Cost::TOKEN }
}

impl Own {
    fn is(&self, c: &CredentialView) -> bool {
        c.workspace == self.workspace
            && c.kind == self.kind.name()
            && c.name == self.name
            && c.dialect == self.dialect
            && c.plain_key == self.plain_key
            && c.password_grant == self.password_grant
            // A blocked one is made anew, unless it has a name that there can be but once.
            && (c.status == Status::Active.name() || self.id.is_some())
    }

    fn wanted(&self) -> Result<Wanted, Failure> {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Ok(Wanted {
            dialect: Some(Dialect::parse(self.dialect)?),
            name: self.name.to_owned(),
            plain_key: self.plain_key,
            origins: owned(self.origins),
            scopes: owned(self.scopes),
            showing: Showing::Always,
            import: self.id.map(|id| Import { id: id.to_owned(), secret: None }),
            password: self.kind.has_password().then(password),
            password_grant: self.password_grant,
            ..Wanted::new(self.workspace, self.kind)
        })
    }
}
