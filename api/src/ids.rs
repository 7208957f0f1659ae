//! Newtypes for every id that crosses the wire and is not already one of the crypto crate's.

use std::fmt;

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Wraps the bytes; every value is a valid id.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// Returns the id's bytes.
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
    /// The id of a login on one device: 16 random bytes drawn by the client, so that a repeated request is recognised.
    SessionId, 16
);
bytes_id!(
    /// The id of the server, which is part of everything that a device signs for it: 16 random bytes, drawn at its
    /// first start.
    ServerId, 16
);
bytes_id!(
    /// The id of the store's state, which changes whenever the store is restored from a backup: 16 random bytes.
    StoreId, 16
);
bytes_id!(
    /// The id of a message, which stays the same however often it is encrypted: 16 random bytes, known to sender and
    /// recipients only.
    MessageId, 16
);
bytes_id!(
    /// The SHA-256 of a refresh token (32 bytes). The server stores nothing else of the token.
    RefreshTokenHash, 32
);
number_id!(
    /// The number that a sender device gives one sending, counted from 1 for each registration.
    MessageNumber, u64
);
number_id!(
    /// The id of a row in a device's queue, which an `Ack` names.
    RowId, u64
);
number_id!(
    /// The count of a device's streams. The newest stream wins.
    ConnectionEpoch, u64
);
number_id!(
    /// The key epoch, which rises when a restore discarded a device's one-time prekeys. An upload names the epoch that
    /// it was made for.
    KeyEpoch, u32
);
