use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const DAY: u64 = 24 * 3_600 * 1_000;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn leaf(folder: &Path, wanted: &[&str], now: UnixMillis) -> Vec<u8> {
    let authority = Authority::open(folder, now).unwrap();
    let (certificate, _) = authority.ensure_leaf(&names(wanted), now).unwrap();
    std::fs::read(certificate).unwrap()
}

#[test]
fn the_certificate_is_reissued_from_the_same_authority_when_names_change_or_it_ends_soon() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("tls");
    let first = leaf(&folder, &["localhost", "127.0.0.1"], NOW);
    let fingerprint = Authority::open(&folder, NOW).unwrap().fingerprint().to_owned();
    assert_eq!(leaf(&folder, &["127.0.0.1", "localhost"], NOW.saturating_add(300 * DAY)), first, "nothing changed");
    let second = leaf(&folder, &["localhost", "127.0.0.1", "chat.example"], NOW);
    assert_ne!(second, first, "a name was added");
    let third = leaf(&folder, &["localhost", "127.0.0.1", "chat.example"], NOW.saturating_add(361 * DAY));
    assert_ne!(third, second, "29 days are left");
    assert_eq!(Authority::open(&folder, NOW).unwrap().fingerprint(), fingerprint);
}

#[test]
fn a_client_that_trusts_the_authority_trusts_what_it_issues_and_nothing_else() {
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};

    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let (our_leaf, their_leaf) = (leaf(&ours, &["localhost"], NOW), leaf(&theirs, &["localhost"], NOW));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ours.join("ca.pem")).unwrap()).unwrap();
    let verifier =
        rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
    let verify = |pem: &[u8], name: &'static str| {
        let der = CertificateDer::from_pem_slice(pem).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_millis(NOW.0));
        verifier.verify_server_cert(&der, &[], &ServerName::try_from(name).unwrap(), &[], now)
    };
    verify(&our_leaf, "localhost").unwrap();
    verify(&our_leaf, "other.example").unwrap_err();
    verify(&their_leaf, "localhost").unwrap_err();
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("tls");
    leaf(&folder, &["localhost"], NOW);
    std::fs::set_permissions(folder.join("ca.key"), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(Authority::open(&folder, NOW).unwrap_err().to_string().contains("chmod 600"));
}

#[test]
fn a_certificate_with_another_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    leaf(&one, &["localhost"], NOW);
    leaf(&other, &["localhost"], NOW);
    let source = Source::Files { certificate: one.join("server.pem"), key: other.join("server.key") };
    assert!(matches!(Certificates::load(source, &[], NOW), Err(TlsError::Unusable(_))));
}

#[test]
fn the_built_in_authority_goes_along_so_that_its_fingerprint_can_be_shown_and_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("tls");
    let authority = Authority::open(&folder, NOW).unwrap();
    let fingerprint = authority.fingerprint().to_owned();
    let certificates = Certificates::load(Source::Authority(authority), &names(&["localhost"]), NOW).unwrap();
    let chain = certificates.current.read().cert.clone();
    assert_eq!(chain.len(), 2);
    assert_eq!(hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&chain[1])), fingerprint);
}
