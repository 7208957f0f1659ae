//! `verify`.

use clap::Args;
use sealpost_api::username::Username;
use sealpost_client::engine::{Command, ContactInfo, Outcome};
use serde::{Deserialize, Serialize};

use crate::errors;
use crate::failure::Failure;
use crate::front::Front;
use crate::job::Job;
use crate::line::Line;
use crate::names::username;
use crate::run::Run;
use crate::sanitise::visible;
use crate::task::Task;

/// Show a safety number, to be compared with the other person's
#[derive(Debug, Args, Serialize, Deserialize)]
#[command(after_help = "\
Both people see the same number unless somebody intercepts them. Compare it by voice or in person, then
  sealpost verify bob --mark
After a changed identity (exit 5), ask Bob whether it was him, then
  sealpost verify bob --accept")]
pub(crate) struct Verify {
    /// The other person's name
    name: String,
    /// The numbers were compared and are the same
    #[arg(long, conflicts_with = "accept")]
    mark: bool,
    /// Accept a changed identity
    #[arg(long)]
    accept: bool,
}

impl Run for Verify {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        front.perform(self).await
    }
}

impl Task for Verify {
    const NAME: &'static str = "verify";

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let name = username(&self.name)?;
        job.account().await?;
        let mut contact = match find(job, &name).await? {
            Some(contact) => contact,
            None => match job.command(Command::LookUp(name.clone())).await? {
                Outcome::Contact(contact) => contact,
                _ => return Err(errors::unexpected()),
            },
        };
        if self.accept {
            job.command(Command::AcceptIdentity(name.clone())).await?;
        } else if self.mark {
            job.command(Command::MarkVerified(name.clone())).await?;
        }
        if self.accept || self.mark {
            contact = find(job, &name).await?.ok_or_else(|| errors::unknown_contact(name.as_str()))?;
        }
        let asked = name.clone();
        let number =
            job.client().query(move |engine, _| Ok(engine.safety_number(&asked).map(|number| number.digits()))).await?;
        let number = number.ok_or_else(|| errors::unknown_contact(name.as_str()))?;
        job.line(self.line(&contact, &number)).await?;
        if self.accept {
            // What waited for the yes may go now.
            return job.flush().await;
        }
        if contact.identity_changed {
            return Err(Failure {
                message: format!("the identity of {name} has changed; this is the number of the new one"),
                ..errors::identity_changed(name.as_str())
            });
        }
        Ok(())
    }
}

impl Verify {
    fn line(&self, contact: &ContactInfo, number: &str) -> Line {
        #[derive(Serialize)]
        struct Object<'a> {
            event: &'static str,
            name: &'a str,
            safety_number: String,
            verified: bool,
            identity_changed: bool,
        }
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        let name = visible(&contact.label);
        let next = match (self.accept, self.mark) {
            (true, _) => format!(
                "The new identity is accepted, and not verified. If {name} sees the same number: sealpost verify {name} --mark"
            ),
            (_, true) => "Marked as verified.".to_owned(),
            _ if contact.verified => "Verified.".to_owned(),
            _ => format!("Not verified. If {name} sees the same number: sealpost verify {name} --mark"),
        };
        let text = format!("Safety number with {name}:\n{}\n{next}", grouped(&digits));
        let event = match (self.accept, self.mark) {
            (true, _) => "identity_accepted",
            (_, true) => "verified",
            _ => "safety_number",
        };
        let object = Object {
            event,
            name: &contact.label,
            safety_number: digits,
            verified: contact.verified,
            identity_changed: contact.identity_changed,
        };
        Line::new(&object, text)
    }
}

/// Groups digits by five, and four groups a line.
fn grouped(digits: &str) -> String {
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && position % 5 == 0 {
            grouped.push(if position % 20 == 0 { '\n' } else { ' ' });
        }
        grouped.push(digit);
    }
    grouped
}

async fn find(job: &Job<'_>, name: &Username) -> Result<Option<ContactInfo>, Failure> {
    let name = name.clone();
    Ok(job.client().query(move |engine, _| Ok(engine.contact(&name))).await?)
}
