//! What a reader is told about a message beside its content.

use sealpost_crypto::{AccountIdentityKey, DeviceAddress};

use crate::engine::model::MessageFlag;
use crate::engine::people::People;

/// Returns the flags of a message. `identity` is the account identity key that its session was begun with.
pub(crate) fn flags(
    people: People<'_>,
    from: DeviceAddress,
    identity: Option<AccountIdentityKey>,
    relabelled: bool,
) -> Vec<MessageFlag> {
    let mut flags = Vec::new();
    if relabelled {
        flags.push(MessageFlag::Relabelled);
    }
    if let Some(contact) = people.contact(from.account) {
        if identity != Some(contact.list.account_identity()) {
            flags.push(MessageFlag::UnacceptedIdentity);
        } else if !contact.list.contains(&from) {
            flags.push(MessageFlag::RemovedDevice);
        }
    }
    flags
}

/// Returns whether a message with these flags may make this device do something.
pub(crate) fn is_trusted(flags: &[MessageFlag]) -> bool {
    !flags.iter().any(|flag| matches!(flag, MessageFlag::UnacceptedIdentity | MessageFlag::RemovedDevice))
}
