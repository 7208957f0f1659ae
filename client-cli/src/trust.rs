//! Finds out which server to use: from the command line, from what the profile remembers, and where nothing is known, by
//! asking the server for its certificates and the person at the terminal for a yes.

use std::path::Path;
use std::time::Duration;

use sealpost_client::front::pin::{self, Authority, Decision, KnownServer, Meeting, NotUsed, Said};
use sealpost_client::native::{BaseUrl, ServerTrust, TransportError, UrlError, probe};

use crate::failure::{Exit, Failure};
use crate::sanitise::visible;
use crate::secrets;

/// The longest CA file, in bytes; a certificate takes two thousand.
const CA_FILE_MAX_BYTES: u64 = 64 * 1024;

/// Refuses to begin a new profile without a valid address of a server.
pub(crate) fn begins_with(server: Option<&str>) -> Result<(), Failure> {
    server.ok_or_else(|| not_used(&NotUsed::NoServer)).and_then(parse).map(|_| ())
}

/// Reads what the command line says about the server: `--server` and `--ca`.
pub(crate) fn said(server: Option<&str>, ca: Option<&Path>, may_change: bool) -> Result<Said, Failure> {
    Ok(Said {
        url: server.map(parse).transpose()?.map(|base| base.to_string()),
        authority: ca.map(read_ca).transpose()?,
        may_change,
    })
}

/// Decides which server to use. Asks the network and the person only where nothing is known yet.
pub(crate) async fn decide(
    known: Option<&KnownServer>,
    said: Said,
    patience: Duration,
) -> Result<KnownServer, Failure> {
    match pin::decide(known, said).map_err(|error| not_used(&error))? {
        Decision::Use(server) => Ok(server),
        Decision::Meet(url) => {
            let authority = meet(&parse(&url)?, patience).await?;
            Ok(KnownServer { url, authority })
        }
    }
}

fn not_used(error: &NotUsed) -> Failure {
    match error {
        NotUsed::NoServer => {
            Failure::new(Exit::Usage, "server_needed", error.to_string()).hint("Say which: --server https://HOST:PORT")
        }
        NotUsed::OtherServer { known, said } => Failure::new(
            Exit::Usage,
            "other_server",
            format!("this profile belongs to {}, not to {said}", visible(known)),
        )
        .hint("Leave --server out. If the server has moved: sealpost login NAME --server URL"),
        NotUsed::OtherAuthority => Failure::new(
            Exit::Identity,
            "server_untrusted",
            "--ca names another authority than the one that this profile trusts",
        )
        .hint("If the server really has a new authority: sealpost login NAME --ca FILE"),
    }
}

/// Meets a server for the first time. Returns whose certificates to accept from it.
async fn meet(base: &BaseUrl, patience: Duration) -> Result<Authority, Failure> {
    let untrusted =
        || Failure::new(Exit::Identity, "server_untrusted", format!("the authority of {base} is not known"));
    let shown = probe(base, patience).await.map_err(|error| no_meeting(&error))?;
    let meeting = pin::meet(&shown.chain, shown.trusted_by_system);
    if meeting == Meeting::Trusted {
        return Ok(Authority::System);
    }
    if !secrets::can_ask() {
        return Err(
            untrusted().hint("Name the server's CA certificate: --ca FILE. Without a terminal nobody can be asked.")
        );
    }
    let Meeting::Ask { authority, fingerprint } = meeting else {
        return Err(untrusted().hint(
            "The server does not show its authority's certificate. Get the file from its operator, and name it: --ca FILE",
        ));
    };
    // In the form that the server prints, so that the two lines can be compared side by side.
    let fingerprint = hex::encode(fingerprint);
    secrets::say(&format!(
        "{base} has a private certificate authority. The SHA-256 of its certificate is\n\n  {fingerprint}\n\nCompare it \
         with what the server printed when it started. Get that by a way that you trust."
    ));
    if !secrets::confirm("Is it the same? Then it will be trusted from now on.").await? {
        return Err(untrusted().hint("Nothing was sent. Ask the server's operator for the CA's fingerprint or file."));
    }
    ServerTrust::pin(&authority).map(Authority::from).map_err(|error| untrusted().hint(error.to_string()))
}

fn no_meeting(error: &TransportError) -> Failure {
    match error {
        TransportError::Tls(_) => Failure::new(Exit::Identity, "server_untrusted", error.to_string()),
        _ => Failure::new(Exit::Unreachable, "unreachable", error.to_string())
            .hint("Check the network and the server's address, then try again."),
    }
}

fn parse(url: &str) -> Result<BaseUrl, Failure> {
    url.parse().map_err(|error: UrlError| Failure::new(Exit::Usage, "server_url", error.to_string()))
}

fn read_ca(path: &Path) -> Result<Authority, Failure> {
    use std::io::Read as _;
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(CA_FILE_MAX_BYTES).read_to_end(&mut text))
        .map_err(|error| Failure::io(&format!("cannot read the CA file {}", path.display()), &error))?;
    ServerTrust::from_pem(&text).map(Authority::from).map_err(|error| {
        Failure::new(Exit::Usage, "ca_file", error.to_string())
            .hint("The server keeps it in its data folder, in PEM form.")
    })
}
