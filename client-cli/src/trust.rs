//! Which server, and whether it is believed.
//!
//! A certificate that the system's roots trust needs nothing. A private authority is believed after `--ca` or a yes at the
//! terminal, and then it alone: it is kept in the vault, and another one is refused.

use std::path::Path;
use std::time::Duration;

use sealpost_client::driver;
use sealpost_client::native::{BaseUrl, ServerTrust, TransportError, probe};
use sealpost_client::vault::{VaultError, VaultTransaction};
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};
use crate::sanitise::visible;
use crate::secrets;

/// The note that holds it.
const NOTE: &str = "server";
/// The longest CA file, in bytes; a certificate takes two thousand.
const CA_FILE_MAX_BYTES: u64 = 64 * 1024;

/// What a profile remembers of its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownServer {
    /// Its address.
    pub(crate) url: String,
    /// The pinned authority, DER in hex; none where the system's roots decide.
    ca: Option<String>,
}

impl KnownServer {
    /// What the vault remembers.
    pub(crate) fn read(vault: &mut dyn VaultTransaction) -> Result<Option<Self>, VaultError> {
        let Some(bytes) = driver::note(vault, NOTE)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| VaultError::Damaged { what: "record of the server" })
    }

    /// Remembers it.
    pub(crate) fn write(&self, vault: &mut dyn VaultTransaction) -> Result<(), VaultError> {
        let bytes = serde_json::to_vec(self).map_err(|_| VaultError::Damaged { what: "record of the server" })?;
        driver::set_note(vault, NOTE, &bytes)
    }

    /// Its address, parsed.
    pub(crate) fn base(&self) -> Result<BaseUrl, Failure> {
        parse(&self.url)
    }

    /// Whom to believe.
    pub(crate) fn trust(&self) -> Result<ServerTrust, Failure> {
        let Some(ca) = &self.ca else { return Ok(ServerTrust::System) };
        hex::decode(ca).ok().and_then(|der| ServerTrust::pin(&der).ok()).ok_or_else(|| {
            Failure::new(Exit::Vault, "vault_damaged", "the pinned certificate in the vault can't be read")
        })
    }

    fn new(base: &BaseUrl, trust: &ServerTrust) -> Self {
        let ca = match trust {
            ServerTrust::System => None,
            ServerTrust::Pinned(der) => Some(hex::encode(der)),
        };
        Self { url: base.to_string(), ca }
    }
}

/// What was said about the server on the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    /// `--server`.
    pub(crate) server: Option<&'a str>,
    /// `--ca`.
    pub(crate) ca: Option<&'a Path>,
    /// Whether this command may begin with a new server or a new pin: `register` and `login`.
    pub(crate) may_change: bool,
}

/// Whether a new profile can begin with this.
pub(crate) fn begins_with(server: Option<&str>) -> Result<(), Failure> {
    server.ok_or_else(server_needed).and_then(parse).map(|_| ())
}

fn server_needed() -> Failure {
    Failure::new(Exit::Usage, "server_needed", "this profile knows no server yet")
        .hint("Say which: --server https://HOST:PORT")
}

/// Decides which server to use, from what was said and what is known. Asks the network only where nothing is known yet.
pub(crate) async fn decide(
    known: Option<&KnownServer>,
    said: Said<'_>,
    patience: Duration,
) -> Result<KnownServer, Failure> {
    let base = match (said.server.map(parse).transpose()?, known) {
        (None, None) => return Err(server_needed()),
        (None, Some(known)) => known.base()?,
        (Some(said_base), Some(known)) if said_base != known.base()? && !said.may_change => {
            return Err(Failure::new(
                Exit::Usage,
                "other_server",
                format!("this profile belongs to {}, not to {said_base}", visible(&known.url)),
            )
            .hint("Leave --server out; or, if the server has moved: sealpost login NAME --server URL"));
        }
        (Some(said_base), _) => said_base,
    };
    let file = said.ca.map(read_ca).transpose()?;
    // What is known is about one server; a move to another begins anew, unless its authority is the same.
    let pinned = known.map(KnownServer::trust).transpose()?;
    match (file, pinned) {
        (Some(file), Some(ServerTrust::Pinned(_) | ServerTrust::System)) if !said.may_change => {
            let pinned = known.map(KnownServer::trust).transpose()?.unwrap_or(ServerTrust::System);
            if file == pinned {
                return Ok(KnownServer::new(&base, &pinned));
            }
            Err(changed("--ca names another authority than the one that this profile trusts"))
        }
        (Some(file), _) => Ok(KnownServer::new(&base, &file)),
        (None, Some(pinned)) => Ok(KnownServer::new(&base, &pinned)),
        (None, None) if !base.is_tls() => Ok(KnownServer::new(&base, &ServerTrust::System)),
        (None, None) => ask(&base, patience).await,
    }
}

/// The failure for an authority that is not the pinned one.
fn changed(what: &str) -> Failure {
    Failure::new(Exit::Identity, "server_untrusted", what)
        .hint("If the server really has a new authority: sealpost login NAME --ca FILE")
}

/// Meets a server for the first time.
async fn ask(base: &BaseUrl, patience: Duration) -> Result<KnownServer, Failure> {
    let shown = probe(base, patience).await.map_err(|error| meeting(&error))?;
    if shown.trusted_by_system {
        return Ok(KnownServer::new(base, &ServerTrust::System));
    }
    let untrusted =
        || Failure::new(Exit::Identity, "server_untrusted", format!("the authority of {base} is not known"));
    if !secrets::can_ask() {
        return Err(
            untrusted().hint("Name the server's CA certificate: --ca FILE; without a terminal nobody can be asked")
        );
    }
    if shown.chain.len() < 2 {
        // What it shows is its own certificate, which is renewed every few months; nothing that could be pinned.
        return Err(untrusted().hint(
            "The server does not show its authority's certificate. Get the file from whoever runs it, and name it: --ca FILE",
        ));
    }
    // In the form that the server prints, so that two lines can be laid side by side.
    let fingerprint = hex::encode(shown.ca_fingerprint_sha256);
    secrets::say(&format!(
        "{base} has a private certificate authority. The SHA-256 of its certificate is\n\n  {fingerprint}\n\nCompare it \
         with what the server printed at its start, by a way that you trust."
    ));
    if !secrets::confirm("Is it the same? Then it will be trusted from now on.").await? {
        return Err(untrusted().hint("Nothing was sent. Ask whoever runs the server for the CA's fingerprint or file."));
    }
    let trust = shown.pin().map_err(|error| untrusted().hint(error.to_string()))?;
    Ok(KnownServer::new(base, &trust))
}

fn meeting(error: &TransportError) -> Failure {
    match error {
        TransportError::Tls(_) => Failure::new(Exit::Identity, "server_untrusted", error.to_string()),
        _ => Failure::new(Exit::Unreachable, "unreachable", error.to_string())
            .hint("Look at the network and at the server's address, then try again."),
    }
}

fn parse(url: &str) -> Result<BaseUrl, Failure> {
    url.parse()
        .map_err(|error: sealpost_client::native::UrlError| Failure::new(Exit::Usage, "server_url", error.to_string()))
}

fn read_ca(path: &Path) -> Result<ServerTrust, Failure> {
    use std::io::Read as _;
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(CA_FILE_MAX_BYTES).read_to_end(&mut text))
        .map_err(|error| Failure::io(&format!("cannot read the CA file {}", path.display()), &error))?;
    ServerTrust::from_pem(&text).map_err(|error| {
        Failure::new(Exit::Usage, "ca_file", error.to_string())
            .hint("The server keeps it in its data folder, in PEM form.")
    })
}
