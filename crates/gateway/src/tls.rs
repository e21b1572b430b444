//! Certificates for callers, exchanged without a restart; trust in upstreams.
use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// A certificate or its key can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}")]
pub struct TlsError {
    path: String,
    what: String,
}

fn wrong(path: &Path, what: impl std::fmt::Display) -> TlsError {
    TlsError { path: path.display().to_string(), what: what.to_string() }
}

/// When both files were last written, and their lengths.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// The certificate in use, and the files it came from.
#[derive(Debug)]
pub struct Certificates {
    chain: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
    seen: Mutex<Stamp>,
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn read(chain: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(|e| wrong(chain, format!("can't be read as certificates in PEM: {e}")))?;
    if certificates.is_empty() {
        return Err(wrong(chain, "holds no certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| wrong(key, format!("can't be read as a private key in PEM: {e}")))?;
    let signing = provider()
        .key_provider
        .load_private_key(private)
        .map_err(|e| wrong(key, format!("this kind of private key can't be used: {e}")))?;
    let certified = CertifiedKey::new(certificates, signing);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(_) => Err(wrong(key, format!("does not belong to the certificate in {}", chain.display()))),
    }
}

fn stamp(chain: &Path, key: &Path) -> Stamp {
    [chain, key].map(|p| std::fs::metadata(p).ok().and_then(|m| Some((m.modified().ok()?, m.len()))))
}

impl Certificates {
    /// Reads a chain and its key.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn load(chain: &Path, key: &Path) -> Result<Arc<Certificates>, TlsError> {
        let seen = stamp(chain, key);
        let current = ArcSwap::from_pointee(read(chain, key)?);
        Ok(Arc::new(Certificates {
            chain: chain.to_owned(),
            key: key.to_owned(),
            current,
            seen: Mutex::new(seen),
        }))
    }

    /// Reads the files anew. What is in use stays in use where they can't be used.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn reload(&self) -> Result<(), TlsError> {
        let now = stamp(&self.chain, &self.key);
        let loaded = read(&self.chain, &self.key);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
        self.current.store(Arc::new(loaded?));
        Ok(())
    }

    /// Reads the files anew where they were written since. Whether they were.
    ///
    /// # Errors
    /// As for [`Certificates::reload`]; once for each change.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let changed =
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != stamp(&self.chain, &self.key);
        if changed { self.reload().map(|()| true) } else { Ok(false) }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// TLS 1.2 and 1.3 towards callers, HTTP/2 or HTTP/1.1 over it, as they choose.
#[must_use]
pub fn server_config(certificates: Arc<Certificates>) -> Arc<rustls::ServerConfig> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider's suites serve both versions")
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The name of HTTP/2 over TLS (RFC 9113 3.1).
pub(crate) const HTTP2: &[u8] = b"h2";

/// TLS towards upstreams and other servers: their certificates are always checked against `roots`.
///
/// # Panics
/// Never: the provider's suites serve both versions.
#[must_use]
pub fn client_config(roots: Arc<rustls::RootCertStore>) -> Arc<rustls::ClientConfig> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider's suites serve both versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The same for HTTP/2 alone.
pub(crate) fn client_config_http2(common: &rustls::ClientConfig) -> Arc<rustls::ClientConfig> {
    let mut config = common.clone();
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Arc::new(config)
}
