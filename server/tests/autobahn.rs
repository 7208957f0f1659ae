//! The Autobahn cases, run by kosoku against an echo on the server's own WebSocket reader and writer.
//!
//! kosoku is found in the folder that `SEALPOST_KOSOKU` names, or in `target/engines/kosoku` of the workspace.

#[cfg(test)]
mod autobahn {
    use std::collections::BTreeMap;
    use std::net::TcpListener;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use actix_web::{App, HttpRequest, HttpResponse, web};
    use sealpost_server::edge::ws::{Received, SocketLimits, SocketReader, SocketWriter, accept};
    use sealpost_server::process::serve::serve_plain;
    use sealpost_server::service::hub::CloseReason;
    use sealpost_server::service::stream::{Incoming, Writer as _};

    /// The suite sends up to 16 MiB in one message, and 4 MiB in fragments of 64 bytes.
    const LIMITS: SocketLimits = SocketLimits { message_bytes: 64 << 20, fragments: 1 << 20, text: true };
    /// What is run by default. `SEALPOST_AUTOBAHN='*'` runs every case; more than one pattern is separated by commas.
    const CASES: &str = "*";
    /// What a case may end with: `UNIMPLEMENTED` is for the compression that is not offered, and for that alone.
    const GOOD: [&str; 3] = ["OK", "NON-STRICT", "INFORMATIONAL"];

    async fn socket(request: HttpRequest) -> HttpResponse {
        accept(&request, LIMITS, echo).unwrap_or_else(|_| HttpResponse::BadRequest().finish())
    }

    async fn echo(mut reader: SocketReader, mut writer: SocketWriter) {
        let reason = loop {
            match reader.receive().await {
                Received::Text(text) => writer.text(text),
                Received::Other(Incoming::Frame(bytes)) => writer.frame(&bytes),
                Received::Other(Incoming::Alive) => {}
                Received::Other(Incoming::Violation(reason)) => break reason,
                Received::Other(Incoming::Gone) => break CloseReason::Gone,
            }
            while writer.pending() > 0 {
                if writer.flush().await.is_err() {
                    return;
                }
            }
        };
        writer.close(reason).await;
    }

    fn kosoku() -> PathBuf {
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/engines/kosoku");
        let folder = std::env::var_os("SEALPOST_KOSOKU").map_or(installed, PathBuf::from);
        assert!(
            folder.join("kosoku/__init__.py").exists(),
            "{} is no kosoku; install it with `cargo xtask engines`, or name its folder in SEALPOST_KOSOKU",
            folder.display()
        );
        folder
    }

    fn run(port: u16, report: &Path) -> BTreeMap<String, String> {
        let cases = std::env::var("SEALPOST_AUTOBAHN").unwrap_or_else(|_| CASES.to_owned());
        let mut command = Command::new("python3");
        command.args(["-c", "from kosoku._cli import main; main()", &format!("127.0.0.1:{port}"), "--outdir"]);
        command.arg(report).args(cases.split(',').flat_map(|case| ["--include", case]));
        let output = command.env("PYTHONPATH", kosoku()).output().expect("python3 must be installed");
        // It fails when a case does; what counts is what it wrote about each.
        let said = String::from_utf8_lossy(&output.stderr);
        let index = std::fs::read(report.join("index.json")).unwrap_or_else(|_| panic!("no report: {said}"));
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        let agents = index.as_object().unwrap();
        assert_eq!(agents.len(), 1);
        let cases = agents.values().next().unwrap().as_object().unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        cases.iter().map(|(case, outcome)| (case.clone(), text(&outcome["behavior"]))).collect()
    }

    #[actix_web::test]
    async fn threat_49_the_autobahn_cases_hold() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = serve_plain(listener, 2, || App::new().default_service(web::to(socket))).unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let report = tempfile::tempdir().unwrap();
        let folder = report.path().to_owned();
        let outcomes = tokio::task::spawn_blocking(move || run(port, &folder)).await.unwrap();
        handle.stop(false).await;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for outcome in outcomes.values() {
            *counts.entry(outcome).or_default() += 1;
        }
        println!("{} cases: {counts:?}", outcomes.len());
        let compression = |case: &str| case.starts_with("12.") || case.starts_with("13.");
        let bad: Vec<_> = outcomes
            .iter()
            .filter(|(case, outcome)| match compression(case) {
                true => *outcome != "UNIMPLEMENTED",
                false => !GOOD.contains(&outcome.as_str()),
            })
            .collect();
        assert!(bad.is_empty(), "{bad:?}");
        assert!(outcomes.len() > 200 && outcomes.keys().any(|case| compression(case)), "{counts:?}");
    }
}
