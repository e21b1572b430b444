//! The demo's credentials. They can be shown again for ever, so that a demo that is started anew prints the same.
use super::policy::{PRODUCTION, SANDBOX};
use crate::place::Opened;
use crate::{Failure, random};
use doorward_control::actions::{CredentialView, Error, Showing, Wanted, credentials};
use doorward_core::credential::{Kind, Status};
use doorward_core::dialect::Dialect;

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
}

const SERVER: Own = Own {
    workspace: PRODUCTION,
    kind: Kind::Server,
    name: "",
    dialect: "standard",
    plain_key: false,
    origins: &[],
    scopes: &[],
};

const ALL: [Own; 8] = [
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
];

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
            None => credentials::create(opened.desk(ACTOR), &own.wanted()?, &mut random::fill).await?,
        });
    }
    Ok(out)
}

/// With its secret, unless somebody made a new one that can't be shown any more.
async fn shown(opened: &Opened, id: &str) -> Result<Option<CredentialView>, Failure> {
    match credentials::reveal(opened.desk(ACTOR), id).await {
        Ok(c) => Ok(Some(c)),
        Err(Error::NotShownAgain(_)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

impl Own {
    fn is(&self, c: &CredentialView) -> bool {
        c.workspace == self.workspace
            && c.kind == self.kind.name()
            && c.name == self.name
            && c.dialect == self.dialect
            && c.plain_key == self.plain_key
            && c.status == Status::Active.name()
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
            ..Wanted::new(self.workspace, self.kind)
        })
    }
}
