//! Identifiers: newtypes, so that one kind cannot be passed for another.
//!
//! Binary identifiers are displayed as lower-case hexadecimal, and parsing accepts only that form. An identifier with two
//! spellings could be pinned under one and looked up under the other.

use core::fmt;
use core::str::FromStr;

use rand_core::CryptoRng;

mod hex;

/// The text or bytes are not an identifier of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseIdError {
    /// The text has another length than this kind of identifier.
    #[error("an identifier has the wrong length")]
    Length,
    /// A character is not one of `0-9a-f` (or not a decimal digit, in a number).
    #[error("an identifier has a character that does not belong there")]
    Character,
    /// A device id outside 1–127.
    #[error("a device id must be from 1 to 127")]
    DeviceId,
}

macro_rules! binary_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps the bytes; every value is a valid identifier.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Returns the identifier's bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Draws a new identifier. It is long enough that collisions need no check.
            pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
                let mut bytes = [0; $len];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex::write(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                hex::write_short(f, &self.0)?;
                f.write_str(")")
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                hex::read(text).map(Self)
            }
        }
    };
}

binary_id! {
    /// An account: 16 random bytes, never given to another account.
    AccountId, 16
}
binary_id! {
    /// One registration of a device: 32 random bytes, drawn anew whenever a device id is reused, so that nothing meant for
    /// the id's former holder reaches the next one.
    RegistrationId, 32
}

/// A device of an account: 1–127.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(u8);

impl DeviceId {
    /// The device that holds the account's private identity key.
    pub const PRIMARY: Self = Self(1);
    /// The highest device id.
    pub const MAX: Self = Self(127);

    /// Checks the range of a device id.
    ///
    /// # Errors
    /// [`ParseIdError::DeviceId`] outside 1–127.
    pub const fn new(id: u8) -> Result<Self, ParseIdError> {
        if id >= Self::PRIMARY.0 && id <= Self::MAX.0 { Ok(Self(id)) } else { Err(ParseIdError::DeviceId) }
    }

    /// Returns the number, 1–127.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for DeviceId {
    type Error = ParseIdError;

    fn try_from(id: u8) -> Result<Self, ParseIdError> {
        Self::new(id)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({})", self.0)
    }
}

impl FromStr for DeviceId {
    type Err = ParseIdError;

    /// Reads the decimal form without sign or leading zeros.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if text.is_empty() || text.len() > 3 {
            return Err(ParseIdError::Length);
        }
        if text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseIdError::Character);
        }
        let id = text.parse::<u8>().map_err(|_| ParseIdError::DeviceId)?;
        Self::new(id)
    }
}

/// The full name of a device: account, device id and registration id. Every key, index, window and limit uses all three.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceAddress {
    /// The account that the device belongs to.
    pub account: AccountId,
    /// The device's number within the account.
    pub device: DeviceId,
    /// The device's registration, which tells it from earlier holders of the same number.
    pub registration: RegistrationId,
}

impl DeviceAddress {
    /// Length of [`to_bytes`](Self::to_bytes).
    pub const LEN: usize = AccountId::LEN + 1 + RegistrationId::LEN;

    /// Returns the binary form: account id (16) ‖ device id (1) ‖ registration id (32).
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (account, rest) = bytes.split_at_mut(AccountId::LEN);
        account.copy_from_slice(self.account.as_bytes());
        if let Some((device, registration)) = rest.split_first_mut() {
            *device = self.device.get();
            registration.copy_from_slice(self.registration.as_bytes());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`ParseIdError::DeviceId`] if the device id is outside 1–127.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, ParseIdError> {
        let (account, rest) = bytes.split_first_chunk().ok_or(ParseIdError::Length)?;
        let (device, rest) = rest.split_first().ok_or(ParseIdError::Length)?;
        let (registration, _) = rest.split_first_chunk().ok_or(ParseIdError::Length)?;
        Ok(Self {
            account: AccountId::from_bytes(*account),
            device: DeviceId::new(*device)?,
            registration: RegistrationId::from_bytes(*registration),
        })
    }
}

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.account, self.device, self.registration)
    }
}

impl fmt::Debug for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceAddress(")?;
        hex::write_short(f, self.account.as_bytes())?;
        write!(f, ".{}.", self.device)?;
        hex::write_short(f, self.registration.as_bytes())?;
        f.write_str(")")
    }
}

impl FromStr for DeviceAddress {
    type Err = ParseIdError;

    /// Reads the displayed form, `account.device.registration`.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let (account, rest) = text.split_once('.').ok_or(ParseIdError::Length)?;
        let (device, registration) = rest.split_once('.').ok_or(ParseIdError::Length)?;
        Ok(Self { account: account.parse()?, device: device.parse()?, registration: registration.parse()? })
    }
}

/// The id of a device's signed prekey. The device chooses it, and each new one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedPrekeyId(pub u32);

/// The id of a device's one-time prekey. The device chooses it, and each new one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OneTimePrekeyId(pub u32);

impl fmt::Display for SignedPrekeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for OneTimePrekeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
///
/// This crate reads no clock; the caller passes the time in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// Returns the time `ms` milliseconds later, or the greatest representable time on overflow.
    #[must_use]
    pub const fn saturating_add(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Returns the time `ms` milliseconds earlier, or the start of 1970.
    #[must_use]
    pub const fn saturating_sub(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Returns the milliseconds from `earlier` to this time, or 0 if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> DeviceAddress {
        DeviceAddress {
            account: AccountId::from_bytes([0xab; 16]),
            device: DeviceId::new(7).unwrap(),
            registration: RegistrationId::from_bytes([0x0c; 32]),
        }
    }

    #[test]
    fn an_address_survives_bytes_and_text() {
        assert_eq!(DeviceAddress::from_bytes(&address().to_bytes()), Ok(address()));
        assert_eq!(address().to_string().parse(), Ok(address()));
    }

    #[test]
    fn an_identifier_has_one_spelling() {
        let text = address().account.to_string();
        assert_eq!(text.parse::<AccountId>(), Ok(address().account));
        assert_eq!(text.to_uppercase().parse::<AccountId>(), Err(ParseIdError::Character));
        assert_eq!(text[1..].parse::<AccountId>(), Err(ParseIdError::Length));
        assert_eq!("+7".parse::<DeviceId>(), Err(ParseIdError::Character));
        assert_eq!("07".parse::<DeviceId>(), Err(ParseIdError::Character));
    }

    #[test]
    fn device_ids_are_1_to_127() {
        assert_eq!(DeviceId::new(0), Err(ParseIdError::DeviceId));
        assert_eq!(DeviceId::new(128), Err(ParseIdError::DeviceId));
        assert_eq!("128".parse::<DeviceId>(), Err(ParseIdError::DeviceId));
        assert_eq!("999".parse::<DeviceId>(), Err(ParseIdError::DeviceId));
        assert_eq!(DeviceId::new(1), Ok(DeviceId::PRIMARY));
        assert_eq!("127".parse::<DeviceId>(), Ok(DeviceId::MAX));
    }

    #[test]
    fn debug_output_is_short() {
        assert_eq!(format!("{:?}", address()), "DeviceAddress(abababab….7.0c0c0c0c…)");
    }
}
