//! What commands print: the objects of `--json`, and the same for people.
//!
//! Scripts rely on the objects' names and fields. Binary values are base64url as in the API; message ids are hex. Text for
//! people is sanitised.

pub(crate) mod message;
pub(crate) mod notice;
pub(crate) mod outcome;
