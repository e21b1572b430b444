//! What operators write about upstreams.
use super::kept;
use crate::document::Table;
use crate::policy::upstream::{Address, MAX_UPSTREAM_CONNECTIONS, Upstream};
use serde::Serialize;

/// Where requests go, by environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "named as the environments")]
pub struct UpstreamDraft {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<ServiceDraft>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<ServiceDraft>,
}

impl UpstreamDraft {
    pub(super) fn is_empty(&self) -> bool {
        self.production.is_none() && self.sandbox.is_none()
    }
}

/// The service of one environment, as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ServiceDraft {
    /// An address.
    One(String),
    /// Several.
    Many(Vec<String>),
    /// Addresses, and more about them.
    Full(FullDraft),
}

/// A service with all that can be said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FullDraft {
    /// Where it is.
    pub addresses: Vec<String>,
    /// Whether it is spoken to in HTTP/2.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub http2: bool,
    /// How many requests at a time go to one address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// How its addresses are asked whether they are well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeDraft>,
}

/// How an address is asked whether it is well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProbeDraft {
    /// What is asked for.
    pub path: String,
    /// How often, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_s: Option<u64>,
    /// How long the answer may take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// After how many good answers in a row an address is well again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_after: Option<u64>,
    /// After how many failures in a row it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy_after: Option<u64>,
}

impl ServiceDraft {
    /// Its addresses.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        match self {
            ServiceDraft::One(url) => std::slice::from_ref(url),
            ServiceDraft::Many(urls) => urls,
            ServiceDraft::Full(full) => &full.addresses,
        }
    }
    /// What more is said.
    #[must_use]
    pub fn full(&self) -> Option<&FullDraft> {
        match self {
            ServiceDraft::Full(full) => Some(full),
            _ => None,
        }
    }
}

impl From<String> for ServiceDraft {
    fn from(url: String) -> ServiceDraft {
        ServiceDraft::One(url)
    }
}

/// The `upstream` of an API. `needed`: whether some route goes there.
pub(super) fn upstream(u: &Table<'_, '_>, needed: bool) -> UpstreamDraft {
    let draft = UpstreamDraft { production: service(u, "production"), sandbox: service(u, "sandbox") };
    if needed && u.entry("production").is_none() && u.entry("sandbox").is_none() {
        u.wrong("an API needs an upstream for `production`, for `sandbox`, or for both");
    }
    draft
}

fn service(u: &Table<'_, '_>, key: &str) -> Option<ServiceDraft> {
    let e = u.entry(key)?;
    let address = kept(Address::parse);
    let (draft, written) = if e.is_table() {
        let t = u.table(key)?;
        let (full, written) = full(&t);
        t.finish();
        (ServiceDraft::Full(full), written)
    } else if e.is_list() {
        let urls = u.list(key, address)?;
        let written = e.len();
        (ServiceDraft::Many(urls), written)
    } else {
        return e.parse(address).map(ServiceDraft::One);
    };
    // Addresses that can't be read are mistakes already.
    if draft.addresses().len() == written {
        Upstream::of(&draft).map_err(|why| e.wrong(why)).ok()?;
    }
    Some(draft)
}

/// What a table says, and how many addresses stand in it.
fn full(t: &Table<'_, '_>) -> (FullDraft, usize) {
    let written = t.entry("addresses").map(|e| e.len());
    if written.is_none() {
        t.wrong("`addresses` is missing; write addresses = [\"http://host:port\"]");
    }
    let draft = FullDraft {
        addresses: t.list("addresses", kept(Address::parse)).unwrap_or_default(),
        http2: t.boolean("http2").unwrap_or(false),
        connections: t.integer("connections", 1..=MAX_UPSTREAM_CONNECTIONS),
        probe: t.table("probe").and_then(probe),
    };
    (draft, written.unwrap_or(usize::MAX))
}

fn probe(t: Table<'_, '_>) -> Option<ProbeDraft> {
    let draft = ProbeDraft {
        path: t.required("path", path).unwrap_or_default(),
        every_s: t.integer("every_s", 1..=3_600),
        timeout_ms: t.integer("timeout_ms", 10..=60_000),
        healthy_after: t.integer("healthy_after", 1..=100),
        unhealthy_after: t.integer("unhealthy_after", 1..=100),
    };
    t.finish();
    (!draft.path.is_empty()).then_some(draft)
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.len() <= 1_000 && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
    {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is not a path, as in `/health`"))
}

#[cfg(test)]
mod tests {
    use super::super::{read, read_what_can_be};
    use super::*;

    fn told(upstream: &str) -> Vec<String> {
        let text = format!(
            "[[api]]\nid = \"a\"\ndialect = \"standard\"\n[api.upstream]\n{upstream}\n[[api.route]]\npath = \"/\"\n"
        );
        read_what_can_be(&text).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_three_forms_are_read_and_written() {
        for (written, addresses) in [
            ("\"http://u:1\"", 1),
            ("[\"http://u:1\", \"http://v:1\"]", 2),
            (
                "{ addresses = [\"https://u\"], http2 = true, connections = 7, probe = { path = \"/up?x\", every_s = 1, timeout_ms = 20, healthy_after = 3, unhealthy_after = 4 } }",
                1,
            ),
        ] {
            let text = format!(
                "[[api]]\nid = \"a\"\ndialect = \"standard\"\nupstream = {{ production = {written}, sandbox = \"http://s:1\" }}\nroute = [{{ path = \"/\" }}]\n"
            );
            let draft = read(&text).unwrap();
            assert_eq!(read(&draft.write()).unwrap(), draft, "{}", draft.write());
            let service = draft.apis[0].upstream.production.as_ref().unwrap();
            assert_eq!(service.addresses().len(), addresses);
            let upstream = Upstream::of(service).unwrap();
            if let Some(full) = service.full() {
                assert_eq!((upstream.http2, upstream.connections, upstream.tls()), (true, Some(7), true));
                let probe = upstream.probe.unwrap();
                assert_eq!((&*probe.path, probe.every_s, probe.timeout_ms), ("/up?x", 1, 20));
                assert_eq!((probe.healthy_after, probe.unhealthy_after), (3, 4));
                assert_eq!(full.connections, Some(7));
            } else {
                assert!(!upstream.http2 && upstream.connections.is_none() && upstream.probe.is_none());
            }
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let place = "api[0].upstream";
        for (written, want) in [
            ("production = []", format!("line 5, {place}.production: an upstream has at least one address")),
            (
                "sandbox = \"http://u:1\"\nproduction = [\"http://u:1\", \"https://u:1\"]",
                format!("line 6, {place}.production: the addresses of an upstream are all http or all https"),
            ),
            (
                "production = [\"http://u:1\", \"http://U:1/\"]",
                format!("line 5, {place}.production: http://u:1 stands there twice"),
            ),
            (
                "production = [\"http://u:1\", \"ftp://v\"]",
                format!(
                    "line 5, {place}.production[1]: `ftp://v` is not an upstream; write http://host:port or https://host:port, without a path"
                ),
            ),
            (
                "production = { http2 = true }",
                format!(
                    "line 5, {place}.production: `addresses` is missing; write addresses = [\"http://host:port\"]"
                ),
            ),
            (
                "production = { addresses = [\"http://u:1\"], connections = 0 }",
                format!("line 5, {place}.production.connections: must be from 1 to 100000"),
            ),
            (
                "production = { addresses = [\"http://u:1\"], probe = { path = \"up\" } }",
                format!("line 5, {place}.production.probe.path: `up` is not a path, as in `/health`"),
            ),
            (
                "production = { addresses = [\"http://u:1\"], probe = { every_s = 5 } }",
                format!("line 5, {place}.production.probe: `path` is missing"),
            ),
            (
                "production = { addresses = [\"http://u:1\"], h2 = true }",
                format!(
                    "line 5, {place}.production.h2: there is no such setting; known here: addresses, connections, http2, probe"
                ),
            ),
            (
                "production = 3",
                format!("line 5, {place}.production: expected a string, found a whole number"),
            ),
        ] {
            assert_eq!(told(written), [want], "{written}");
        }
        let many: Vec<String> = (0..33).map(|n| format!("\"http://u:{}\"", n + 1)).collect();
        assert_eq!(
            told(&format!("production = [{}]", many.join(", "))),
            [format!("line 5, {place}.production: an upstream has at most 32 addresses")]
        );
    }
}
