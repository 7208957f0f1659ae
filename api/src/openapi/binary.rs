//! The schemas of binary values. Each has a type of its own, because a schema needs a name and the values' types stand in the
//! crypto crate, which knows no schemas.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::encoding::Binary;

macro_rules! binary_schemas {
    ($($name:ident = $value:path, $public:literal;)*) => {
        $(
            /// The schema of the value with the same name.
            pub(crate) enum $name {}

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    described::<$value>()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed($public)
                }
            }
        )*
    };
}

binary_schemas! {
    AccountId = sealpost_crypto::AccountId, "AccountId";
    AccountIdentityKey = sealpost_crypto::AccountIdentityKey, "AccountIdentityKey";
    EncodedDeviceList = crate::encoding::EncodedDeviceList, "SignedDeviceList";
    PrekeyPublic = sealpost_crypto::PrekeyPublic, "PrekeyPublic";
    RefreshToken = crate::encoding::RefreshToken, "RefreshToken";
    RefreshTokenHash = crate::ids::RefreshTokenHash, "RefreshTokenHash";
    RegistrationId = sealpost_crypto::RegistrationId, "RegistrationId";
    ServerId = crate::ids::ServerId, "ServerId";
    SessionId = crate::ids::SessionId, "SessionId";
    Signature = sealpost_crypto::Signature, "Signature";
}

fn described<T: Binary>() -> RefOr<Schema> {
    let description = format!("Unpadded base64url of {}.", T::DESCRIPTION);
    base64url(T::BYTES_MIN, T::BYTES_MAX).description(Some(description)).build().into()
}

/// Returns the schema of base64url of a value with that many bytes.
pub(crate) fn base64url(bytes_min: usize, bytes_max: usize) -> ObjectBuilder {
    let characters = |bytes: usize| bytes.saturating_mul(4).div_ceil(3);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("base64url".to_owned())))
        .min_length(Some(characters(bytes_min)))
        .max_length(Some(characters(bytes_max)))
        .pattern(Some("^[A-Za-z0-9_-]*$"))
}
