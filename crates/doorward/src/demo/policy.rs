//! The demo's workspaces and APIs.
use super::REGION;
mod tokens;

use doorward_core::credential::{Environment, SchemeName};
use doorward_core::dialect::DIALECTS;
use doorward_core::policy::draft::{ApiDraft, CorsDraft, Draft, RouteDraft, UpstreamDraft, WorkspaceDraft};
use std::net::SocketAddr;

/// The production workspace.
pub(super) const PRODUCTION: &str = "demo-production";
/// The sandbox workspace.
pub(super) const SANDBOX: &str = "demo-sandbox";
/// Pages that may call with tokens.
const PAGE: &str = "https://shop.example";
/// The API that takes everything.
const ECHO: &str = "echo";

/// What the loyalty API's server side offers below `/v1/`.
const VOUCHERIFY: [&str; 29] = [
    "assets",
    "async-actions",
    "campaigns",
    "categories",
    "consents",
    "customers",
    "events",
    "exports",
    "locations",
    "loyalties",
    "metadata-schemas",
    "orders",
    "product-collections",
    "products",
    "promotions",
    "publications",
    "qualifications",
    "redemptions",
    "referrals",
    "rewards",
    "segments",
    "SKUs",
    "task-results",
    "templates",
    "trash-bin",
    "validation-rules",
    "validation-rules-assignments",
    "validations",
    "vouchers",
];

/// APIs of the antavo dialect: id and path.
const ANTAVO: [(&str, &str); 13] = [
    ("challenges", "/challenges/*"),
    ("coupons", "/coupons/*"),
    ("customer", "/customers/*"),
    ("display", "/display/*"),
    ("entities", "/entities/*"),
    ("events", "/events/*"),
    ("faq", "/faq/*"),
    ("leaderboard", "/leaderboard/*"),
    ("levels", "/levels/*"),
    ("offers", "/offers/*"),
    ("rewards", "/rewards/*"),
    ("wallet", "/wallet/*"),
    ("workflow-campaigns", "/workflow-campaigns/*"),
];

/// The demo's objects, all leading to the sample upstream.
pub(super) fn draft(sample: SocketAddr) -> Draft {
    let workspace = |id: &str, name: &str, environment: Environment| WorkspaceDraft {
        id: id.to_owned(),
        name: Some(name.to_owned()),
        environment: environment.name().to_owned(),
        region: Some(REGION.to_owned()),
        explain: environment == Environment::Sandbox,
        password_grant: true,
        ..WorkspaceDraft::default()
    };
    let url = format!("http://{sample}");
    let api = |id: &str, name: &str, dialect: &str, paths: &mut dyn Iterator<Item = String>| ApiDraft {
        id: id.to_owned(),
        name: Some(name.to_owned()),
        dialect: dialect.to_owned(),
        schemes: vec![SchemeName::ApiKey.name().to_owned()],
        upstream: UpstreamDraft { production: Some(url.clone().into()), sandbox: Some(url.clone().into()) },
        routes: paths.map(|path| RouteDraft { path, ..RouteDraft::default() }).collect(),
        ..ApiDraft::default()
    };
    let one = |path: &str| std::iter::once(path.to_owned());
    let open_to_pages = |mut api: ApiDraft| {
        api.routes.iter_mut().for_each(|r| r.client_side = true);
        api
    };
    let in_sandbox_by_id =
        |api: ApiDraft| ApiDraft { plain_key: vec![Environment::Sandbox.name().to_owned()], ..api };
    let signed = SchemeName::Escher.name().to_owned();
    let publishable = SchemeName::Publishable.name().to_owned();

    let bearer = SchemeName::Bearer.name().to_owned();
    let echo = ApiDraft {
        names: Some(DIALECTS.iter().map(|d| d.name.to_owned()).collect()),
        schemes: SchemeName::ALL.iter().map(|s| s.name().to_owned()).collect(),
        ..api(ECHO, "Echo", "standard", &mut one("/echo/*"))
    };
    let families = &mut VOUCHERIFY.iter().map(|f| format!("/v1/{f}/*"));
    let server_side = ApiDraft {
        schemes: vec![SchemeName::ApiKey.name().to_owned(), bearer.clone()],
        ..api("voucherify", "Voucherify, server side", "voucherify", families)
    };
    let client_side = ApiDraft {
        schemes: vec![publishable, bearer],
        cors: CorsDraft { origins: vec![PAGE.to_owned()] },
        ..api("voucherify-client", "Voucherify, client side", "voucherify", &mut one("/client/v1/*"))
    };
    let mut apis = vec![in_sandbox_by_id(open_to_pages(echo)), server_side, open_to_pages(client_side)];
    for (id, path) in ANTAVO {
        apis.push(ApiDraft {
            schemes: vec![signed.clone(), SchemeName::ApiKey.name().to_owned()],
            ..in_sandbox_by_id(api(id, &format!("Antavo {id}"), "antavo", &mut one(path)))
        });
    }
    apis.extend(tokens::apis(&api));
    Draft {
        workspaces: vec![
            workspace(PRODUCTION, "Demo shop", Environment::Production),
            workspace(SANDBOX, "Demo shop (sandbox)", Environment::Sandbox),
        ],
        apis,
        licences: Vec::new(),
        policies: Vec::new(),
    }
}

/// The policy with the demo's own objects as they have to be now; what was added besides them stays.
pub(super) fn merged(before: &Draft, demo: Draft) -> Draft {
    let mut all = demo;
    for w in &before.workspaces {
        if !all.workspaces.iter().any(|own| own.id == w.id) {
            all.workspaces.push(w.clone());
        }
    }
    for a in &before.apis {
        if !all.apis.iter().any(|own| own.id == a.id) {
            all.apis.push(a.clone());
        }
    }
    all.licences.extend(before.licences.iter().cloned());
    all.policies.extend(before.policies.iter().cloned());
    all
}

/// The port that the sample upstream had when the policy was written.
pub(super) fn sample_port(before: &Draft) -> Option<u16> {
    let echo = before.apis.iter().find(|a| a.id == ECHO)?;
    echo.upstream.production.as_ref()?.addresses().first()?.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::policy::compile;

    const SAMPLE: ([u8; 4], u16) = ([127, 0, 0, 1], 9000);

    #[test]
    fn the_demo_compiles_and_reads_as_written() {
        let draft = draft(SAMPLE.into());
        let policy = compile(&draft, Some(REGION)).unwrap();
        assert_eq!((policy.apis.len(), policy.workspaces.len()), (23, 2));
        assert_eq!(policy.routes.len(), 1 + 29 + 1 + 13 + 5 + 3 + 1 + 1 + 3 + 3 + 2);
        let read = doorward_core::policy::draft::read(&draft.write()).unwrap();
        assert_eq!(read, draft);
        assert_eq!(sample_port(&draft), Some(9000));
    }

    #[test]
    fn what_was_added_stays() {
        let mut before = draft(SAMPLE.into());
        before.apis.push(ApiDraft { id: "mine".to_owned(), ..before.apis[0].clone() });
        before.apis[0].name = Some("changed".to_owned());
        let after = merged(&before, draft(([127, 0, 0, 1], 9001).into()));
        assert_eq!(after.apis.len(), 24);
        assert_eq!(after.apis[0].name.as_deref(), Some("Echo"));
        assert_eq!(after.apis.last().unwrap().id, "mine");
    }
}
