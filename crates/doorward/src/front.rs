//! The side of a node that faces callers: its listeners, and what they need.
use crate::config::Config;
use crate::{Failure, harden, random};
use doorward_gateway::tls::{self, Certificates};
use doorward_gateway::{Events, Gateway, Limits, Listeners, Outside, Settings, bind};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

/// Callers are served.
pub(crate) struct Front {
    pub(crate) gateway: Gateway,
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) plain: Option<String>,
    pub(crate) tls: Option<String>,
}

/// The addresses for callers, opened: they wait until somebody serves them.
pub(crate) struct Doors {
    plain: Option<TcpListener>,
    tls: Option<TcpListener>,
    pub(crate) plain_url: Option<String>,
    pub(crate) tls_url: Option<String>,
}

impl Doors {
    /// Opens the addresses for callers.
    ///
    /// # Errors
    /// Which one can't be opened.
    pub(crate) fn open(config: &Config) -> Result<Doors, Failure> {
        let plain = config.listen.plain.map(|at| listen("plain", at)).transpose()?;
        let tls = config.listen.tls.map(|at| listen("tls", at)).transpose()?;
        let plain_url = plain.as_ref().map(|l| url("http", l)).transpose()?;
        let tls_url = tls.as_ref().map(|l| url("https", l)).transpose()?;
        Ok(Doors { plain, tls, plain_url, tls_url })
    }
}

impl Front {
    /// Serves callers at these addresses.
    ///
    /// # Errors
    /// What can't be read.
    pub(crate) fn start(config: &Config, outside: &Outside, doors: Doors) -> Result<Front, Failure> {
        let certificates = certificates(config)?;
        let roots = upstream_roots(config)?;
        let events = events(config)?;
        let Doors { plain, tls: secure, plain_url, tls_url } = doors;
        let tls_port = secure.as_ref().map(TcpListener::local_addr).transpose()?.map(|a| a.port());
        let settings = Settings {
            name: config.name.clone(),
            cores: config.cores,
            plain_http: config.plain_http,
            plain_http2: config.plain_http2,
            https_port: config.https_port.or(tls_port),
            hsts: config.tls.hsts,
            trusted: config.trusted.clone(),
            timeouts: config.timeouts.clone(),
            limits: limits_that_fit(config),
            upstream_roots: Arc::new(roots),
        };
        let secure = secure.zip(certificates.as_ref().map(|c| tls::server_config(Arc::clone(c))));
        let mut seed = [0; 16];
        random::fill(&mut seed);
        let listeners = Listeners { plain, tls: secure };
        let gateway = Gateway::start(settings, listeners, outside, events, seed)?;
        Ok(Front { gateway, certificates, plain: plain_url, tls: tls_url })
    }
}

/// The limits that the settings name, as far as file descriptors are enough for them.
fn limits_that_fit(config: &Config) -> Limits {
    let mut limits = config.limits.clone();
    if harden::fit_descriptors(&mut limits) {
        tracing::warn!(
            "limits.connections is {} and limits.requests is {}, but the file descriptors of this process are enough for {} \
             and {}, which are the limits now; raise its hard limit (ulimit -Hn, LimitNOFILE) or lower the settings",
            config.limits.connections,
            config.limits.requests,
            limits.connections,
            limits.requests,
        );
    }
    limits
}

/// Opens an address.
///
/// # Errors
/// A sentence that names it, with what the system says.
pub(crate) fn listen(what: &str, at: SocketAddr) -> Result<TcpListener, String> {
    bind(at).map_err(|e| {
        format!("can't listen on {at} ({what}): {e}; choose another address, or stop what uses it")
    })
}

/// Where a listener is reached.
///
/// # Errors
/// What the system says.
pub(crate) fn url(scheme: &str, listener: &TcpListener) -> io::Result<String> {
    Ok(format!("{scheme}://{}", listener.local_addr()?))
}

fn events(config: &Config) -> Result<Events, String> {
    let file = config.events_file.as_deref();
    Events::open(file).map_err(|e| format!("{}: {e}", file.unwrap_or(Path::new("standard output")).display()))
}

/// The certificates that the settings name, where they do.
///
/// # Errors
/// That they can't be read or don't belong together.
pub(crate) fn certificates(config: &Config) -> Result<Option<Arc<Certificates>>, Failure> {
    match (config.listen.tls, &config.tls.certificate_file, &config.tls.key_file) {
        (Some(_), Some(certificate), Some(key)) => Ok(Some(Certificates::load(certificate, key)?)),
        _ => Ok(None),
    }
}

/// Everything that is wrong with them.
pub(crate) fn faults_of_certificates(config: &Config) -> Vec<String> {
    match (config.listen.tls, &config.tls.certificate_file, &config.tls.key_file) {
        (Some(_), Some(certificate), Some(key)) => {
            Certificates::faults(certificate, key).iter().map(ToString::to_string).collect()
        }
        _ => Vec::new(),
    }
}

/// What certificates of https upstreams are checked against: the system's roots and those that the settings name.
///
/// # Errors
/// That the file with further roots can't be read.
pub(crate) fn upstream_roots(config: &Config) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    // A system without roots is fine as long as no upstream needs them: the connection would tell.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = &config.upstream_ca_file {
        roots_in(file, &mut roots)?;
    }
    Ok(roots)
}

/// Adds the certificates in a file, of which there must be one.
///
/// # Errors
/// A sentence that names the file.
pub(crate) fn roots_in(file: &Path, roots: &mut RootCertStore) -> Result<(), String> {
    let wrong = |e: &dyn fmt::Display| format!("{}: {e}", file.display());
    let all = CertificateDer::pem_file_iter(file).map_err(|e| wrong(&e))?;
    let mut count = 0;
    for one in all {
        roots.add(one.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
        count += 1;
    }
    if count == 0 { Err(wrong(&"there is no certificate in it")) } else { Ok(()) }
}
