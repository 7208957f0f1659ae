//! Whose limit a notice falls under: what a server can make this device tell is bounded, and every drop is counted.

use super::stored::StoredNotice;
use crate::engine::people::People;

/// Whose limit a notice falls under.
pub(super) enum Subject {
    /// A server can't make it up.
    Unlimited,
    Stranger,
    Name(String),
}

/// Returns under whose limit a notice falls. What only an authentic message can cause has no limit.
pub(super) fn subject(people: People<'_>, body: &StoredNotice) -> Subject {
    match body {
        StoredNotice::Message { .. } | StoredNotice::Limited { .. } => Subject::Unlimited,
        StoredNotice::Undecryptable { from, .. }
        | StoredNotice::NumberReused { from, .. }
        | StoredNotice::Missed { from, .. }
        | StoredNotice::Expired { to: from, .. } => {
            if people.is_stranger(&from.address.0) {
                Subject::Stranger
            } else {
                Subject::Name(from.label.clone())
            }
        }
        StoredNotice::Gap { from, .. }
        | StoredNotice::Altered { from, .. }
        | StoredNotice::GapClosed { from, .. }
        | StoredNotice::SessionRepaired { from } => {
            if people.is_stranger(&from.address.0) {
                Subject::Stranger
            } else {
                Subject::Unlimited
            }
        }
        StoredNotice::IdentityChanged { label, .. } | StoredNotice::ListForked { label, .. } => {
            Subject::Name(label.clone())
        }
        StoredNotice::RolledBack | StoredNotice::Restored { .. } => {
            Subject::Name(people.me().map(|me| me.username.as_str().to_owned()).unwrap_or_default())
        }
    }
}
