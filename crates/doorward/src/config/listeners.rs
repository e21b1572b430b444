//! Where this node listens, and how: sections that have to fit together.
use super::sections::{path, section};
use super::{Listen, Tls};
use crate::role::Role;
use doorward_core::document::{Entry, Table};
use doorward_core::request::PlainHttp;
use doorward_gateway::Hsts;
use std::net::SocketAddr;
use std::path::Path;

/// A year, the least that browsers' preload lists take.
const HSTS_MAX_AGE_S: u64 = 31_536_000;
/// Ten years.
const HSTS_RANGE_S: std::ops::RangeInclusive<u64> = 0..=315_360_000;

pub(super) struct Listeners {
    pub(super) listen: Listen,
    pub(super) tls: Tls,
    pub(super) plain_http: PlainHttp,
    pub(super) plain_http2: bool,
    pub(super) https_port: Option<u16>,
}

/// Which listeners the file names, right or wrong.
#[derive(Default)]
struct Named<'d, 't> {
    plain: Option<Entry<'d, 't>>,
    tls: Option<Entry<'d, 't>>,
}

pub(super) fn read(root: &Table<'_, '_>, folder: &Path, role: Role) -> Listeners {
    let (listen, named) = match root.table("listen") {
        Some(table) => {
            let read = (listen(&table), Named { plain: table.entry("plain"), tls: table.entry("tls") });
            if role.takes_callers() && read.1.plain.is_none() && read.1.tls.is_none() {
                table.wrong("nothing to listen on: write `plain`, `tls`, or both");
            }
            table.finish();
            read
        }
        None => {
            if role.takes_callers() && root.entry("listen").is_none() {
                root.wrong("`listen` is missing; write [listen] with `plain`, `tls`, or both");
            }
            (Listen::default(), Named::default())
        }
    };
    let tls = tls(root, folder, &named);
    let (plain_http, https_port, plain_http2) = plain_http(root, &named);
    Listeners { listen, tls, plain_http, plain_http2, https_port }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not an address with a port, as in 127.0.0.1:8080 or [::1]:8080"))
}

/// Three addresses, no two of them the same.
fn listen(table: &Table<'_, '_>) -> Listen {
    let mut seen: Vec<(&str, SocketAddr)> = Vec::new();
    let mut one = |key: &'static str| {
        let at = table.parsed(key, address)?;
        let same = |other: SocketAddr| {
            let everywhere = at.ip().is_unspecified() || other.ip().is_unspecified();
            at.port() != 0 && other.port() == at.port() && (everywhere || other.ip() == at.ip())
        };
        if let (Some((other, _)), Some(entry)) = (seen.iter().find(|(_, a)| same(*a)), table.entry(key)) {
            entry.wrong(format!("{at} is taken by `{other}` already"));
        }
        seen.push((key, at));
        Some(at)
    };
    Listen { plain: one("plain"), tls: one("tls"), operations: one("operations") }
}

fn tls(root: &Table<'_, '_>, folder: &Path, named: &Named<'_, '_>) -> Tls {
    let needs = |key: &str| {
        if let Some(listener) = &named.tls {
            listener.wrong(format!("a TLS listener needs `tls.{key}`"));
        }
    };
    let read = section(root, "tls", |t| {
        let file = |key: &str| {
            let file = t.parsed(key, |f| path(folder, f));
            match t.entry(key) {
                None => needs(key),
                Some(e) if named.tls.is_none() => {
                    e.wrong("there is no `listen.tls`, so nothing would use it")
                }
                Some(_) => {}
            }
            file
        };
        let (certificate_file, key_file) = (file("certificate_file"), file("key_file"));
        let on = t.boolean("hsts").unwrap_or(true);
        let max_age_s = t.integer("hsts_max_age_s", HSTS_RANGE_S).unwrap_or(HSTS_MAX_AGE_S);
        let include_subdomains = t.boolean("hsts_include_subdomains").unwrap_or(false);
        Tls { certificate_file, key_file, hsts: on.then_some(Hsts { max_age_s, include_subdomains }) }
    });
    read.unwrap_or_else(|| {
        needs("certificate_file");
        needs("key_file");
        let hsts = Hsts { max_age_s: HSTS_MAX_AGE_S, include_subdomains: false };
        Tls { certificate_file: None, key_file: None, hsts: Some(hsts) }
    })
}

fn plain_http(root: &Table<'_, '_>, named: &Named<'_, '_>) -> (PlainHttp, Option<u16>, bool) {
    let mode = |text: &str| match text {
        "redirect" => Ok(PlainHttp::Redirect),
        "refuse" => Ok(PlainHttp::Refuse),
        "serve" => Ok(PlainHttp::Serve),
        _ => Err(format!("`{text}` is none of redirect, refuse, serve")),
    };
    let nowhere = |entry: &Entry<'_, '_>| {
        entry.wrong(
            "plain HTTP is redirected to https, but there is no `listen.tls`: name the `plain_http.https_port` of whoever \
             serves https, or choose the mode refuse or serve",
        );
    };
    let leads_nowhere = named.plain.is_some() && named.tls.is_none();
    let read = section(root, "plain_http", |t| {
        let port = t.integer("https_port", 1..=u64::from(u16::MAX)).map(|p| p as u16);
        let told = t.entry("mode");
        // A mode that can't be read was told already.
        let chosen = if told.is_some() { t.parsed("mode", mode) } else { Some(PlainHttp::Redirect) };
        if leads_nowhere && chosen == Some(PlainHttp::Redirect) && t.entry("https_port").is_none() {
            told.as_ref().or(named.plain.as_ref()).into_iter().for_each(nowhere);
        }
        let http2 = t.boolean("http2").unwrap_or(false);
        if let Some(entry) = t.entry("http2").filter(|_| http2 && named.plain.is_none()) {
            entry.wrong("there is no `listen.plain`; over TLS, callers choose HTTP/2 by themselves");
        }
        (chosen.unwrap_or(PlainHttp::Redirect), port, http2)
    });
    read.unwrap_or_else(|| {
        if leads_nowhere {
            named.plain.iter().for_each(nowhere);
        }
        (PlainHttp::Redirect, None, false)
    })
}
