//! `export`.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;
use sealpost_client::engine::{Command, Outcome};
use serde::{Deserialize, Serialize};

use crate::errors;
use crate::failure::Failure;
use crate::files;
use crate::front::Front;
use crate::job::Job;
use crate::line::Line;
use crate::lines::outcome;
use crate::run::Run;
use crate::sink::Sink;
use crate::task;

/// Save everything that the server holds of this account
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A new JSON file, readable for you alone
    file: PathBuf,
}

impl Run for Export {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        // Made before the server is asked: an existing file ends the command here.
        let file = files::new_private_file(&self.file)?;
        let outcome = save(front, file).await;
        if outcome.is_err() {
            // What is there is ours and no export; it would stand in the way of the next try.
            let _ = std::fs::remove_file(self.file);
        }
        outcome
    }
}

async fn save(front: &Front, mut file: File) -> Result<(), Failure> {
    let collected = Rc::default();
    front.perform_to(Task {}, &Sink::Collected(Rc::clone(&collected))).await?;
    let lines: Vec<Line> = collected.take();
    let [document, event] = lines.as_slice() else { return Err(errors::unexpected()) };
    file.write_all(document.json.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .map_err(|error: io::Error| Failure::io("cannot write the export", &error))?;
    front.stdout().line(event.clone()).await
}

/// Fetches what the server holds: the document, which the asker writes to a file, and the line to print then.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {}

impl task::Task for Task {
    const NAME: &'static str = "export";

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let account = job.account().await?;
        let Outcome::Export(json) = job.command(Command::Export).await? else { return Err(errors::unexpected()) };
        let document = Line { json, text: String::new() };
        let text = "what the server holds is saved".to_owned();
        job.lines(&[document, outcome::account("exported", &account, text)]).await
    }
}
