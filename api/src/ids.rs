//! Newtypes for every id that crosses the wire and is not already one of the crypto crate's.

use std::fmt;

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The id's bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

bytes_id!(
    /// A login on one device (16 random bytes drawn by the client, so that a repeated request is recognised).
    SessionId, 16
);
bytes_id!(
    /// Names the server in everything that a device signs for it (16 random bytes, drawn at its first start).
    ServerId, 16
);
bytes_id!(
    /// Changes whenever the store is restored from a backup (16 random bytes).
    StoreId, 16
);
bytes_id!(
    /// Names a message across every re-encryption (16 random bytes, inside the plaintext only).
    MessageId, 16
);
bytes_id!(
    /// SHA-256 of a refresh token (32 bytes); the server knows nothing else of it.
    RefreshTokenHash, 32
);
number_id!(
    /// A sender device's number of one sending, from 1 for each registration.
    MessageNumber, u64
);
number_id!(
    /// A row of a device's queue, or a notice; named in an `Ack`.
    RowId, u64
);
number_id!(
    /// Counts the sockets of one device; the newest wins.
    ConnectionEpoch, u64
);
number_id!(
    /// Rises when a restore emptied a device's one-time prekeys; an upload names the one it was made for.
    KeyEpoch, u32
);
