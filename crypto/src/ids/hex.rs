//! Lower-case hexadecimal for identifiers, which are public: this is not constant-time.

use core::fmt;

use super::ParseIdError;

/// How many bytes of an identifier `Debug` shows: enough to tell two apart in a log.
const SHORT_BYTES: usize = 4;

/// Writes all bytes as lower-case hexadecimal.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Writes the first [`SHORT_BYTES`] and an ellipsis.
pub(crate) fn write_short(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().take(SHORT_BYTES).try_for_each(|byte| write!(f, "{byte:02x}"))?;
    f.write_str("…")
}

/// Reads exactly `LEN` bytes of lower-case hexadecimal.
pub(crate) fn read<const LEN: usize>(text: &str) -> Result<[u8; LEN], ParseIdError> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != LEN || !rest.is_empty() {
        return Err(ParseIdError::Length);
    }
    let mut bytes = [0; LEN];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Ok(bytes)
}

fn digit(character: u8) -> Result<u8, ParseIdError> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(ParseIdError::Character),
    }
}
