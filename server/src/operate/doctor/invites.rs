//! Invites for a server that requires them.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::operate::admin::{Reply, Request, ask};

/// The validity of the invites, longer than a run takes.
const DAYS: u32 = 1;

/// The invites from the command line. When they are used up, the running server makes further ones.
pub(super) struct Invites {
    given: Vec<String>,
    made: Vec<String>,
}

impl Invites {
    pub(super) fn new(given: Vec<String>) -> Self {
        Self { given, made: Vec::new() }
    }

    /// Returns an unused invite.
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

    /// Revokes the invites that were made here, because after a failure some may be unused. A used one no longer
    /// exists, and revoking it is refused.
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
