//! The formats and bounds of numbers, as the OpenAPI format registry names them.

use utoipa::Number;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayItems, KnownFormat, Object, Schema, SchemaFormat};

/// Mends every number within a schema. utoipa writes `u-int32` for `uint32`, and gives no maximum.
pub(crate) fn mend(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            bound(object);
            object.properties.values_mut().for_each(mend);
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                mend(items);
            }
        }
        Schema::OneOf(choice) => choice.items.iter_mut().for_each(mend),
        _ => {}
    }
}

/// Sets the format and the bounds of an unsigned number. Numbers of 64 bits have no maximum: most readers of JSON could not
/// hold it exactly.
fn bound(object: &mut Object) {
    let Some(SchemaFormat::KnownFormat(format)) = &object.format else { return };
    let (name, maximum) = match format {
        KnownFormat::UInt8 => ("uint8", Some(Number::from(u8::MAX))),
        KnownFormat::UInt16 => ("uint16", Some(Number::from(u16::MAX))),
        KnownFormat::UInt32 => ("uint32", Some(Number::from(u32::MAX))),
        KnownFormat::UInt64 => ("uint64", None),
        _ => return,
    };
    object.format = Some(SchemaFormat::Custom(name.to_owned()));
    object.minimum.get_or_insert(Number::from(0_u8));
    if object.maximum.is_none() {
        object.maximum = maximum;
    }
}
