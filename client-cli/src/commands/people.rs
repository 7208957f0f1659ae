//! `contacts` and `verify`.

use sealpost_api::encoding::B64;
use sealpost_api::username::Username;
use sealpost_client::engine::{Command, ContactInfo, Outcome};
use serde::Serialize;

use super::account::unexpected;
use crate::errors;
use crate::failure::Failure;
use crate::limit::Limit;
use crate::owner::{Owner, username};
use crate::sanitise::visible;
use crate::sink::Sink;
use crate::task::Line;

/// Lists the people known. Needs no server.
pub(crate) async fn contacts(owner: &Owner, sink: &Sink) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Object<'a, Account: Serialize, Key: Serialize> {
        event: &'static str,
        name: &'a str,
        account_id: Account,
        account_identity_key: Key,
        verified: bool,
        identity_changed: bool,
        device_list_version: u64,
        devices: Vec<u8>,
    }
    owner.account().await?;
    let contacts = owner.query(|engine, _| Ok(engine.contacts())).await?;
    let lines: Vec<_> = contacts
        .iter()
        .map(|contact| {
            let object = Object {
                event: "contact",
                name: &contact.label,
                account_id: B64(contact.account),
                account_identity_key: B64(contact.account_identity),
                verified: contact.verified,
                identity_changed: contact.identity_changed,
                device_list_version: contact.list_version,
                devices: contact.devices.iter().map(|device| device.get()).collect(),
            };
            Line::new(&object, format!("{}  {}", visible(&contact.label), standing(contact)))
        })
        .collect();
    sink.lines(&lines).await
}

/// How far a contact is trusted, in words.
const fn standing(contact: &ContactInfo) -> &'static str {
    match (contact.identity_changed, contact.verified) {
        (true, _) => "identity changed, not accepted",
        (false, true) => "verified",
        (false, false) => "not verified",
    }
}

/// Shows a safety number; with `mark` notes that it was compared, with `accept` accepts a changed identity.
pub(crate) async fn verify(
    owner: &Owner,
    limit: &Limit,
    sink: &Sink,
    name: &str,
    mark: bool,
    accept: bool,
) -> Result<(), Failure> {
    let name = username(name)?;
    owner.account().await?;
    let mut contact = match find(owner, &name).await? {
        Some(contact) => contact,
        None => match owner.command(limit, Command::LookUp(name.clone())).await? {
            Outcome::Contact(contact) => contact,
            _ => return Err(unexpected()),
        },
    };
    if accept {
        owner.command(limit, Command::AcceptIdentity(name.clone())).await?;
    } else if mark {
        owner.command(limit, Command::MarkVerified(name.clone())).await?;
    }
    if accept || mark {
        contact = find(owner, &name).await?.ok_or_else(|| errors::unknown_contact(name.as_str()))?;
    }
    let asked = name.clone();
    let number = owner.query(move |engine, _| Ok(engine.safety_number(&asked).map(|number| number.digits()))).await?;
    let number = number.ok_or_else(|| errors::unknown_contact(name.as_str()))?;
    show(sink, &contact, &number, accept, mark).await?;
    if accept {
        // What waited for the yes may go now.
        return super::outbox::flush(owner, limit, sink).await;
    }
    if contact.identity_changed {
        return Err(Failure {
            message: format!("the identity of {name} has changed; this is the number of the new one"),
            ..errors::identity_changed(name.as_str())
        });
    }
    Ok(())
}

async fn show(sink: &Sink, contact: &ContactInfo, number: &str, accept: bool, mark: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        name: &'a str,
        safety_number: String,
        verified: bool,
        identity_changed: bool,
    }
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && position % 5 == 0 {
            grouped.push(if position % 20 == 0 { '\n' } else { ' ' });
        }
        grouped.push(digit);
    }
    let name = visible(&contact.label);
    let next = match (accept, mark) {
        (true, _) => format!(
            "The new identity is accepted, and not verified. If {name} sees the same number: sealpost verify {name} --mark"
        ),
        (_, true) => "Marked as verified.".to_owned(),
        _ if contact.verified => "Verified.".to_owned(),
        _ => format!("Not verified. If {name} sees the same number: sealpost verify {name} --mark"),
    };
    let event = match (accept, mark) {
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
    sink.line(Line::new(&object, format!("Safety number with {name}:\n{grouped}\n{next}"))).await
}

async fn find(owner: &Owner, name: &Username) -> Result<Option<ContactInfo>, Failure> {
    let name = name.clone();
    owner.query(move |engine, _| Ok(engine.contact(&name))).await
}
