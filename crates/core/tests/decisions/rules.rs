//! The table of decisions about rules: what each mode of each rule makes of callers, alone and together.
use crate::{NOW, Request, compare, heading};
use doorward_core::credential::{Credential, Kind, OwnRules};
use doorward_core::decide::Step;
use doorward_core::live::Live;
use doorward_core::network::{Network, Networks};
use doorward_core::policy::{compile, draft};
use doorward_core::reason::Reason;
use doorward_core::schemes::Outgoing;
use doorward_core::time::UnixMillis;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

const MODES: [&str; 3] = ["off", "observe", "enforce"];
const LIST: &str = "\"192.168.0.3/24\", \"192.168.1.2\", \"2001:db8::/32\"";
const WITHIN: &str = "192.168.0.9";
const FOREIGN: &str = "198.51.100.7";

/// One workspace, one API, and what holds there.
fn policy(workspace: &str, rules: &str) -> String {
    format!(
        r#"
[[workspace]]
id = "acme"
environment = "production"
{workspace}
[[workspace.role]]
name = "auditor"
scopes = ["vouchers:read", "campaigns:*"]
[[licence]]
name = "premium"
workspace = "acme"
until = "1970-01-20"
[[licence]]
name = "late"
workspace = "acme"
from = "1970-02-01"
[[licence]]
name = "gold"
workspace = "acme"
user = "golden"
[[api]]
id = "v1"
dialect = "voucherify"
names = ["voucherify", "antavo"]
schemes = ["api_key", "publishable", "escher"]
upstream = {{ production = "http://live:1" }}
route = [
    {{ path = "/free" }},
    {{ path = "/read", scope = "vouchers:read" }},
    {{ path = "/write", scope = "vouchers:write" }},
    {{ path = "/keys", scope = "admin:keys" }},
    {{ path = "/premium", licences = ["premium"] }},
    {{ path = "/late", licences = ["late"] }},
    {{ path = "/gold", licences = ["gold"] }},
    {{ path = "/both", licences = ["premium", "gold"] }},
    {{ path = "/all", scope = "vouchers:read", licences = ["premium"] }},
    {{ path = "/page", client_side = true }},
]
[[policy]]
workspace = "acme"
api = "v1"
{rules}
"#
    )
}

fn world(workspace: &str, rules: &str) -> Live {
    let live = crate::world("");
    let draft = draft::read(&policy(workspace, rules)).unwrap();
    live.policy.store(Arc::new(compile(&draft, None).unwrap()));
    live
}

/// Adds somebody who calls with id and secret.
fn put(live: &Live, id: &str, scopes: &[&str], role: Option<&str>, networks: Option<&[&str]>) {
    let like = live.directory.get("server").unwrap();
    let networks = networks.map(|all| Networks::new(all.iter().map(|n| Network::parse(n).unwrap())));
    let credential = Credential {
        id: id.into(),
        workspace: "acme".into(),
        scopes: scopes.iter().map(|scope| Box::from(*scope)).collect(),
        secret: live.keys.hash(id.as_bytes(), b"secret"),
        ..Credential::clone(&like)
    };
    let own = OwnRules { role: role.map(Into::into), networks, limit: None };
    live.directory.put(credential.with_own(own));
}

fn key(id: &str) -> Outgoing {
    let headers = [("x-app-id", id), ("x-app-token", "secret")];
    Outgoing {
        target: String::new(),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    }
}

struct Call<'a> {
    id: &'a str,
    path: &'a str,
    client: Option<&'a str>,
    now: UnixMillis,
}

impl Call<'_> {
    fn request(&self) -> Request<'_> {
        let mut r = Request::new("GET", self.path, &key(self.id));
        (r.client, r.now) = (self.client.map(|c| c.parse().unwrap()), self.now);
        r
    }

    fn decide(&self, live: &Live, seen: &mut BTreeSet<Reason>) -> String {
        self.request().decide(live, seen)
    }
}

fn call<'a>(id: &'a str, path: &'a str) -> Call<'a> {
    Call { id, path, client: Some(WITHIN), now: NOW }
}

/// In one word: what refused it, in capitals, or that it passed; and the first letters of what would have refused it.
fn word(call: &Call<'_>, live: &Live) -> String {
    let decision = call.request().step(live);
    let mut said = match &decision.step {
        Step::Permit(_) => "pass".to_owned(),
        Step::Denied(denial) => denial.rule.unwrap_or("machine").to_uppercase(),
        other => panic!("{other:?}"),
    };
    for rule in decision.facts.would_refuse.iter() {
        let _ = write!(said, "{}{}", if said.contains(' ') { "" } else { " " }, &rule.name()[..1]);
    }
    said
}

fn together(table: &mut String) {
    heading(
        table,
        "GET /all: it asks for a scope and a licence, from listed networks; by the modes of these rules",
    );
    table.push_str(
        "Columns: whether the caller comes from a listed network (n), has the scope (s), has the licence (l); - where not.\n\
         `pass n`: let through, and the rule network would have refused it, were it enforced.\n\n",
    );
    let facts = [0, 1, 2, 3, 4, 5, 6, 7].map(|bits| (bits & 4 == 0, bits & 2 == 0, bits & 1 == 0));
    let letter = |on: bool, letter: &'static str| if on { letter } else { "-" };
    let _ = write!(table, "{:<8} {:<8} {:<8} |", "network", "scopes", "licences");
    for (n, s, l) in facts {
        let _ = write!(table, " {:<10}", format!("{}{}{}", letter(n, "n"), letter(s, "s"), letter(l, "l")));
    }
    table.push('\n');
    for network in MODES {
        for scopes in MODES {
            for licences in MODES {
                let rules = format!(
                    "network = {{ mode = \"{network}\", allow = [{LIST}] }}\nscopes = \"{scopes}\"\nlicences = \"{licences}\""
                );
                let live = world("", &rules);
                put(&live, "has", &["vouchers:read"], None, None);
                put(&live, "lacks", &[], None, None);
                let _ = write!(table, "{network:<8} {scopes:<8} {licences:<8} |");
                for (n, s, l) in facts {
                    let call = Call {
                        id: if s { "has" } else { "lacks" },
                        path: "/all",
                        client: Some(if n { WITHIN } else { FOREIGN }),
                        // Its last instant, and the one after.
                        now: UnixMillis::parse("1970-01-20").unwrap().plus_ms(if l { -1 } else { 0 }),
                    };
                    let _ = write!(table, " {:<10}", word(&call, &live));
                }
                table.truncate(table.trim_end().len());
                table.push('\n');
            }
        }
    }
}

fn networks(table: &mut String, seen: &mut BTreeSet<Reason>) {
    heading(table, "GET /free: networks, of the policy and of the credential");
    let of_policy = [("none", ""), ("listed", LIST), ("empty", "")];
    let of_credential: [(&str, Option<&[&str]>); 3] =
        [("none", None), ("listed", Some(&["192.168.1.2", "::1"])), ("empty", Some(&[]))];
    for (policy, list) in of_policy {
        let rules =
            if policy == "none" { String::new() } else { format!("network = {{ allow = [{list}] }}") };
        let live = world("", &rules);
        for (credential, own) in of_credential {
            put(&live, "key", &[], None, own);
            for client in [
                Some("192.168.0.0"),
                Some("192.168.0.255"),
                Some("192.168.1.2"),
                Some("::ffff:192.168.1.2"),
                Some("192.168.1.3"),
                Some("2001:db8:ffff::1"),
                Some("::1"),
                None,
            ] {
                let said = Call { client, ..call("key", "/free") }.decide(&live, seen);
                let client = client.unwrap_or("unknown");
                let _ = writeln!(table, "policy {policy:<7} credential {credential:<7} {client:<20} {said}");
            }
        }
    }
}

fn scopes(table: &mut String, seen: &mut BTreeSet<Reason>) {
    heading(table, "Scopes: what a key holds, by itself and by its role, and what routes ask for");
    let live = world("", "");
    for (id, scopes, role) in [
        ("nothing", &[][..], None),
        ("vouchers:read", &["vouchers:read"], None),
        ("vouchers:*", &["vouchers:*"], None),
        ("*:read", &["*:read"], None),
        ("*", &["*"], None),
        ("admin:*", &["admin:*"], None),
        ("campaigns:read", &["campaigns:read"], None),
        ("api", &["api"], None),
        ("role admin", &[], Some("admin")),
        ("role user", &[], Some("user")),
        ("role viewer", &[], Some("viewer")),
        ("role merchant", &[], Some("merchant")),
        ("role auditor", &[], Some("auditor")),
        ("role nobody has", &[], Some("boss")),
        ("role viewer, and vouchers:write", &["vouchers:write"], Some("viewer")),
    ] {
        put(&live, "key", scopes, role, None);
        for path in ["/free", "/read", "/write", "/keys"] {
            let said = call("key", path).decide(&live, seen);
            let _ = writeln!(table, "{id:<32} {path:<7} {said}");
        }
    }
}

fn licences(table: &mut String, seen: &mut BTreeSet<Reason>) {
    heading(table, "Licences: premium until 1970-01-20, late from 1970-02-01, gold for one user");
    let live = world("", "");
    put(&live, "golden", &[], None, None);
    put(&live, "other", &[], None, None);
    for at in ["1970-01-19T23:59:59.999Z", "1970-01-20T00:00:00Z", "1970-02-01T00:00:00Z"] {
        for id in ["golden", "other"] {
            for path in ["/free", "/premium", "/late", "/gold", "/both"] {
                let said = Call { now: UnixMillis::parse(at).unwrap(), ..call(id, path) }.decide(&live, seen);
                let _ = writeln!(table, "{at:<25} {id:<7} {path:<9} {said}");
            }
        }
    }
}

fn modules(table: &mut String, seen: &mut BTreeSet<Reason>) {
    heading(table, "Modules: what is off is hidden, and a scheme whose module is off is refused");
    let watched = format!(
        "network = {{ mode = \"observe\", allow = [{LIST}] }}\nlicences = \"observe\"\ncaptcha = \"off\""
    );
    for (name, modules) in [
        ("all", ""),
        ("none", "modules = []"),
        ("client_side", "modules = [\"client_side\"]"),
        ("signatures", "modules = [\"signatures\"]"),
        ("network, licences", "modules = [\"network\", \"licences\"]"),
    ] {
        let live = world(modules, &watched);
        put(&live, "key", &[], None, None);
        let client = Credential {
            kind: Kind::Client,
            origins: live.directory.get("client").unwrap().origins.clone(),
            ..Credential::clone(&live.directory.get("key").unwrap())
        };
        live.directory.put(Credential {
            id: "page".into(),
            secret: live.keys.hash(b"page", b"secret"),
            ..client
        });
        live.directory.put(Credential {
            workspace: "acme".into(),
            ..Credential::clone(&live.directory.get("signer").unwrap())
        });
        let foreign = |path| Call { client: Some(FOREIGN), ..call("key", path) };
        let said = foreign("/late").decide(&live, seen);
        let _ = writeln!(table, "{name:<18} {:<28} {said}", "a key, from elsewhere, /late");
        let call = foreign("/page");
        let mut page = call.request();
        page.out.headers = [
            ("x-client-application-id", "page"),
            ("x-client-token", "secret"),
            ("origin", "https://shop.example"),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .to_vec();
        let said = page.decide(&live, seen);
        let _ = writeln!(table, "{name:<18} {:<28} {said}", "a page, /page");
        let signed = crate::signed::presented("/free").into_iter().find(|(n, _)| *n == "signed").unwrap().1;
        let said = Request::new("GET", "/free", &signed).decide(&live, seen);
        let _ = writeln!(table, "{name:<18} {:<28} {said}", "signed, /free");
    }
}

/// Fills `seen` with the reasons that it gives.
pub(crate) fn table(seen: &mut BTreeSet<Reason>) {
    let mut all = String::from(
        "# Written by crates/core/tests/decisions/rules.rs. Keys are right, and nothing is asked for but what is named.\n",
    );
    together(&mut all);
    networks(&mut all, seen);
    scopes(&mut all, seen);
    licences(&mut all, seen);
    modules(&mut all, seen);
    compare("rules.txt", &all);
}

/// How long it takes to read and to compile 10,000 rules over 1,000 APIs and workspaces.
#[test]
#[ignore = "it measures, and asserts nothing"]
fn cost() {
    let mut text = String::new();
    for n in 0..1_000 {
        let _ = write!(
            text,
            "[[workspace]]\nid = \"w{n}\"\nenvironment = \"production\"\n[[api]]\nid = \"a{n}\"\ndialect = \"standard\"\n\
             upstream = {{ production = \"http://u:1\" }}\nroute = [{{ path = \"/a{n}/*\", scope = \"a{n}:read\" }}]\n"
        );
    }
    for n in 0..10_000 {
        let _ = write!(
            text,
            "[[policy]]\nworkspace = \"w{}\"\napi = \"a{}\"\nscopes = \"observe\"\nnetwork = {{ allow = [\"10.0.0.0/8\"] }}\n",
            n % 1_000,
            n / 10
        );
    }
    let started = std::time::Instant::now();
    let draft = draft::read(&text).unwrap();
    let read = started.elapsed();
    let started = std::time::Instant::now();
    let policy = compile(&draft, None).unwrap();
    eprintln!("read in {read:?}, compiled in {:?}: {} APIs", started.elapsed(), policy.apis.len());
}
