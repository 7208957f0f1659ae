//! The messages on the operator's socket.

mod accounts;
mod invites;
mod reply;
mod request;
mod state;

pub use accounts::{Changed, Device, Erased, Session, User, UserDetail};
pub use invites::{Invite, Issued, Revoked};
pub use reply::{Failure, Reply};
pub use request::Request;
pub use state::{Keys, Queue, Reloaded, Restored, Status};

/// The longest question: a password of 1,024 bytes, escaped, with room to spare.
pub const REQUEST_MAX_BYTES: u64 = 16 * 1024;
/// The longest answer that the client reads: 100,000 invites have about 15 MB.
pub const REPLY_MAX_BYTES: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_with_an_unknown_field_or_act_is_refused() {
        assert!(serde_json::from_str::<Request>("{\"act\":\"status\"}").is_ok());
        for text in ["{\"act\":\"stat\"}", "{\"act\":\"queues\",\"top\":1,\"x\":1}", "{\"act\":\"queues\"}", "{}"] {
            assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
        }
    }
}
