//! Invites for a server that takes nobody without one.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::operate::admin::{Reply, Request, ask};

/// Longer than a run takes.
const DAYS: u32 = 1;

/// Those that were given on the command line; when there are no more, the running server's operator is asked for one.
pub(super) struct Invites {
    given: Vec<String>,
    made: Vec<String>,
}

impl Invites {
    pub(super) fn new(given: Vec<String>) -> Self {
        Self { given, made: Vec::new() }
    }

    /// One that nobody has used yet.
    pub(super) fn next(&mut self, data: Option<&Path>) -> Result<String> {
        if let Some(invite) = self.given.pop() {
            return Ok(invite);
        }
        let invite = make(data).context(
            "registration is by invite; where the server runs name its folder with --data, elsewhere give two invites \
             (--invite CODE --invite CODE) that `sealpost-server admin invites create --count 2` makes",
        )?;
        self.made.push(invite.clone());
        Ok(invite)
    }

    /// Makes those useless that were made here: after a failure some may not have been used. A used one is refused, and gone.
    pub(super) fn revoke(&self, data: Option<&Path>) {
        for invite in &self.made {
            if let Some(data) = data {
                let _gone = ask(data, &Request::InvitesRevoke { invite: invite.clone() });
            }
        }
    }
}

fn make(data: Option<&Path>) -> Result<String> {
    let data = data.context("there is no data folder")?;
    match ask(data, &Request::InvitesCreate { count: 1, days: DAYS })? {
        Reply::Issued(issued) if issued.len() == 1 => Ok(issued.into_iter().map(|one| one.invite).collect()),
        _ => bail!("the server answered with something else than an invite"),
    }
}
