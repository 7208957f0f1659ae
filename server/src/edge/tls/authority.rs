//! The private authority of one server. It is created at the first start and kept for ever, and issues a new
//! certificate when the names change or the old one expires soon. Clients pin the authority, so they do not notice.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sealpost_crypto::UnixMillis;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::base::files::{FileError, private_folder, refuse_loose, replace};

const DAY_MILLIS: u64 = 24 * 3_600 * 1_000;
/// The lifetime of the authority. It is longer than a machine's, so that clients that pinned it need not do so again.
const AUTHORITY_LIFE_MILLIS: u64 = 20 * 365 * DAY_MILLIS;
/// The lifetime of a certificate, below the 398 days that browsers and operating systems accept.
const LEAF_LIFE_MILLIS: u64 = 390 * DAY_MILLIS;
/// How long before the old certificate expires a new one is issued.
const RENEW_BEFORE_MILLIS: u64 = 30 * DAY_MILLIS;
/// Certificates are valid from a day ago, because clocks differ.
const BACKDATE_MILLIS: u64 = DAY_MILLIS;

/// Why the authority cannot be used. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// A file is damaged.
    #[error("{} is damaged; restore it from a backup", .0.display())]
    Damaged(PathBuf),
    /// A certificate could not be made.
    #[error("a certificate could not be made")]
    Make(#[from] rcgen::Error),
}

/// The authority in a folder of its own: `ca.pem` and `ca.key`, and the last certificate, `server.pem` and
/// `server.key`.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    certificate: PathBuf,
    fingerprint: String,
    not_after: u64,
}

impl Authority {
    /// Opens the authority of this folder, and creates it if it is missing.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn open(folder: &Path, now: UnixMillis) -> Result<Self, AuthorityError> {
        private_folder(folder)?;
        let certificate = folder.join("ca.pem");
        let key = folder.join("ca.key");
        if !certificate.exists() {
            create(&certificate, &key, now)?;
        }
        refuse_loose(&key, 0o600)?;
        let der = read_certificate(&certificate)?;
        let not_after = parsed(&certificate, &der)?.not_after;
        let fingerprint = hex::encode(Sha256::digest(&der));
        Ok(Self { folder: folder.to_owned(), certificate, fingerprint, not_after })
    }

    /// Returns the path of the authority's certificate.
    #[must_use]
    pub fn certificate_path(&self) -> &Path {
        &self.certificate
    }

    /// Returns the SHA-256 of the authority's certificate in hex, which people compare.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns the paths of a certificate for exactly these names and of its key. It issues a new one if there is none
    /// yet, if the names differ, or if it expires within 30 days.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn ensure_leaf(&self, names: &[String], now: UnixMillis) -> Result<(PathBuf, PathBuf), AuthorityError> {
        let certificate = self.folder.join("server.pem");
        let key = self.folder.join("server.key");
        if certificate.exists() && key.exists() {
            refuse_loose(&key, 0o600)?;
            let facts = parsed(&certificate, &read_certificate(&certificate)?)?;
            let mut wanted = names.to_vec();
            wanted.sort();
            let lasts = facts.not_after >= now.0.saturating_add(RENEW_BEFORE_MILLIS);
            if facts.names == wanted && lasts && self.issued(&facts) {
                return Ok((certificate, key));
            }
        }
        let leaf_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name.push(DnType::CommonName, "Sealpost server");
        set_validity(&mut params, now, now.0.saturating_add(LEAF_LIFE_MILLIS).min(self.not_after));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let authority_key = self.folder.join("ca.key");
        let text =
            fs::read_to_string(&authority_key).map_err(|error| AuthorityError::Read(authority_key.clone(), error))?;
        let issuer_key = KeyPair::from_pem(&text).map_err(|_| AuthorityError::Damaged(authority_key))?;
        let issuer = Issuer::new(authority_params(&issuer_key), issuer_key);
        let leaf = params.signed_by(&leaf_key, &issuer)?;
        // The old certificate is removed first, so that a crash leaves a key alone and never a pair whose halves
        // differ.
        if certificate.exists() {
            fs::remove_file(&certificate).map_err(|error| AuthorityError::Read(certificate.clone(), error))?;
        }
        replace(&key, leaf_key.serialize_pem().as_bytes(), 0o600)?;
        replace(&certificate, leaf.pem().as_bytes(), 0o644)?;
        tracing::info!(names = names.len(), "a certificate was issued by the built-in authority");
        Ok((certificate, key))
    }

    /// Returns whether this authority issued the leaf, and not one from before a restore.
    fn issued(&self, facts: &Facts) -> bool {
        read_certificate(&self.certificate)
            .and_then(|der| parsed(&self.certificate, &der))
            .is_ok_and(|authority| authority.subject == facts.issuer)
    }
}

fn create(certificate: &Path, key: &Path, now: UnixMillis) -> Result<(), AuthorityError> {
    // A crash at this point leaves a key without its certificate, which nobody has seen.
    let pair = KeyPair::generate()?;
    let mut params = authority_params(&pair);
    set_validity(&mut params, now, now.0.saturating_add(AUTHORITY_LIFE_MILLIS));
    let made = params.self_signed(&pair)?;
    replace(key, pair.serialize_pem().as_bytes(), 0o600)?;
    replace(certificate, made.pem().as_bytes(), 0o644)?;
    Ok(())
}

/// Returns the parameters that make this the same authority each time it is built from its key. The name is derived
/// from the key, because two authorities with the same name and different keys confuse clients that trust both.
fn authority_params(key: &KeyPair) -> CertificateParams {
    let id = hex::encode(Sha256::digest(key.der_bytes()));
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("Sealpost private CA {}", id.get(..8).unwrap_or("")));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// The fields of a certificate that the server checks.
struct Facts {
    names: Vec<String>,
    not_after: u64,
    subject: String,
    issuer: String,
}

fn parsed(path: &Path, der: &[u8]) -> Result<Facts, AuthorityError> {
    let damaged = || AuthorityError::Damaged(path.to_owned());
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| damaged())?;
    let mut names = Vec::new();
    if let Some(extension) = certificate.subject_alternative_name().map_err(|_| damaged())? {
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => {
                    let address = <[u8; 4]>::try_from(*bytes)
                        .map(std::net::IpAddr::from)
                        .or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
                    names.push(address.map_err(|_| damaged())?.to_string());
                }
                _ => {}
            }
        }
    }
    names.sort();
    let seconds = certificate.validity().not_after.timestamp();
    Ok(Facts {
        names,
        not_after: u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000),
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
    })
}

fn read_certificate(path: &Path) -> Result<Vec<u8>, AuthorityError> {
    let der = CertificateDer::from_pem_file(path).map_err(|_| AuthorityError::Damaged(path.to_owned()))?;
    Ok(der.to_vec())
}

fn set_validity(params: &mut CertificateParams, now: UnixMillis, until: u64) {
    let date = |millis: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(millis / 1_000);
    params.not_before = date(now.0.saturating_sub(BACKDATE_MILLIS));
    params.not_after = date(until);
}
