//! Names as a person types them.

use sealpost_api::username::Username;

use crate::errors;
use crate::failure::Failure;

/// Parses a username.
pub(crate) fn username(name: &str) -> Result<Username, Failure> {
    Username::parse(name).map_err(|error| errors::username(&error))
}
