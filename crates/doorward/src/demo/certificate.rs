//! A certificate for this machine alone, signed by an authority made for it, whose key is thrown away at once.
use crate::{Failure, clock, files};
use doorward_core::time::UnixMillis;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// How long it is good for. A demo that runs longer makes a new one with each start.
const GOOD_FOR_DAYS: i64 = 365;
const DAY_MS: i64 = 86_400_000;

/// The files of the demo's TLS.
pub(super) struct TlsFiles {
    /// For callers: the authority to trust.
    pub(super) ca: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Makes a certificate for `localhost`, the loopback addresses and `also`.
///
/// # Errors
/// What the file system says.
pub(super) fn make(folder: &Path, also: IpAddr) -> Result<TlsFiles, Failure> {
    let now = clock::now();
    let authority_key = KeyPair::generate()?;
    let mut authority = valid(CertificateParams::default(), now);
    authority.distinguished_name.push(DnType::CommonName, "Doorward demo authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    if !also.is_loopback() && !also.is_unspecified() {
        names.push(also.to_string());
    }
    let mut leaf = valid(CertificateParams::new(names)?, now);
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?.pem();

    let all = TlsFiles {
        ca: folder.join("ca.pem"),
        certificate: folder.join("certificate.pem"),
        key: folder.join("certificate-key.pem"),
    };
    files::replace(&all.ca, ca.as_bytes(), files::PUBLIC_MODE)?;
    files::replace(&all.certificate, certificate.as_bytes(), files::PUBLIC_MODE)?;
    files::replace(&all.key, key.serialize_pem().as_bytes(), files::SECRET_MODE)?;
    Ok(all)
}

/// From yesterday on: clocks differ.
fn valid(mut params: CertificateParams, now: UnixMillis) -> CertificateParams {
    let day = |at: UnixMillis| {
        // YYYY-MM-DD stands at the front.
        let text = at.to_string();
        let number =
            |range: std::ops::Range<usize>| text.get(range).and_then(|n| n.parse::<i32>().ok()).unwrap_or(1);
        date_time_ymd(number(0..4), number(5..7) as u8, number(8..10) as u8)
    };
    params.not_before = day(now.plus_ms(-DAY_MS));
    params.not_after = day(now.plus_ms(GOOD_FOR_DAYS * DAY_MS));
    params
}
