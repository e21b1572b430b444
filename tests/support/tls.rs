//! Certificates, and callers that use TLS.
use super::client::{Conn, Stream};
use super::http2_upstream::Http2Upstream;
use super::message::Inbox;
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A certificate authority of the tests' own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a caller speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TlsVersion {
    V12,
    V13,
}

impl TlsVersion {
    pub(crate) fn name(self) -> ProtocolVersion {
        match self {
            TlsVersion::V12 => ProtocolVersion::TLSv1_2,
            TlsVersion::V13 => ProtocolVersion::TLSv1_3,
        }
    }
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // OpenSSL takes a certificate for self-signed whose subject is called like its issuer.
        params.distinguished_name.push(DnType::CommonName, "the tests' authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Authority { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }

    /// Its own certificate, PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for `localhost` and its key, both PEM.
    pub(crate) fn certificate(&self) -> (String, String) {
        let (certificate, key) = self.issue("localhost");
        (certificate.pem(), key.serialize_pem())
    }

    fn issue(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.issuer).expect("a certificate"), key)
    }

    /// Serves one fixed answer over TLS under this name, and tells where, and how many requests it has read.
    pub(crate) fn serve(&self, name: &str, answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
        let (certificate, key) = self.issue(name);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        let config =
            Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let count = Arc::new(AtomicUsize::new(0));
        let read = Arc::clone(&count);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let Ok(tls) = ServerConnection::new(Arc::clone(&config)) else { continue };
                let mut inbox = Inbox::new(StreamOwned::new(tls, socket));
                while inbox.head().is_ok() {
                    read.fetch_add(1, Ordering::SeqCst);
                    // Without a length, the end of the answer is the end of the connection: here, a rude one.
                    if inbox.from.write_all(answer.as_bytes()).is_err() || !answer.contains("Length") {
                        break;
                    }
                }
            }
        });
        (address, count)
    }

    /// An upstream that speaks HTTP/2 alone, over TLS under this name.
    pub(crate) fn http2_upstream(&self, name: &str) -> Http2Upstream {
        let (certificate, key) = self.issue(name);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        let mut config =
            config.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let config = Arc::new(config);
        Http2Upstream::wrapped(move |socket| {
            Some(StreamOwned::new(ServerConnection::new(Arc::clone(&config)).ok()?, socket))
        })
    }

    /// A connection over TLS, trusting this authority alone.
    pub(crate) fn connect(&self, address: SocketAddr, version: TlsVersion) -> std::io::Result<Conn> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        let versions: &[_] = match version {
            TlsVersion::V12 => &[&rustls::version::TLS12],
            TlsVersion::V13 => &[&rustls::version::TLS13],
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
        let config = config.expect("both are known").with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(client, TcpStream::connect(address)?);
        stream.sock.set_read_timeout(Some(super::wait::DEADLINE))?;
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        assert_eq!(stream.conn.protocol_version(), Some(version.name()));
        Ok(Conn::over(Stream::Tls(Box::new(stream))))
    }
}
