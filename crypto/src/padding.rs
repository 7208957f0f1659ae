//! Padding, so that a message's length shows an observer only its size bucket.
//!
//! Padded form: plaintext ‖ `0x80` ‖ zeros, up to the smallest bucket that it fits. The first bucket has 256 bytes, and each
//! doubling after it has four (320, 384, 448, 512, 640, …), so that padding adds at most a quarter to a longer message.

/// Size of the smallest bucket in bytes, which fits nearly all text messages.
const MIN_BUCKET: usize = 256;
/// Size of the largest bucket, 80 KiB. With header and device list it stays below the largest message.
const MAX_BUCKET: usize = 80 * 1024;
/// Marks the end of the plaintext.
const END: u8 = 0x80;

/// Length of the longest plaintext in bytes: the largest bucket without the end mark.
pub const PLAINTEXT_MAX_BYTES: usize = MAX_BUCKET - 1;

/// The plaintext is longer than [`PLAINTEXT_MAX_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message is longer than {PLAINTEXT_MAX_BYTES} bytes")]
pub struct TooLong;

/// The decrypted bytes are not padded exactly as [`pad`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message is not padded as it must be")]
pub struct BadPadding;

/// Returns the length that a plaintext of `plaintext_len` bytes is padded to.
///
/// # Errors
/// [`TooLong`] beyond [`PLAINTEXT_MAX_BYTES`].
pub fn padded_len(plaintext_len: usize) -> Result<usize, TooLong> {
    if plaintext_len > PLAINTEXT_MAX_BYTES {
        return Err(TooLong);
    }
    let needed = plaintext_len + 1;
    if needed <= MIN_BUCKET {
        return Ok(MIN_BUCKET);
    }
    // The bucket lies in the doubling that starts at the power of two below `needed`; a quarter of that is the step.
    let step = (1 << (needed - 1).ilog2()) / 4;
    Ok(needed.next_multiple_of(step))
}

/// Appends the padded form of `plaintext`.
///
/// # Errors
/// [`TooLong`] beyond [`PLAINTEXT_MAX_BYTES`]; `out` is then unchanged.
pub fn pad(plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
    let end = out.len() + padded_len(plaintext.len())?;
    out.extend_from_slice(plaintext);
    out.push(END);
    out.resize(end, 0);
    Ok(())
}

/// Returns the length of the plaintext inside a padded form.
///
/// # Errors
/// [`BadPadding`] unless [`pad`] would produce exactly these bytes. Only authenticated bytes get here, so the error tells
/// an attacker nothing.
pub fn unpadded_len(padded: &[u8]) -> Result<usize, BadPadding> {
    let end = padded.iter().rposition(|byte| *byte != 0).ok_or(BadPadding)?;
    if padded.get(end) == Some(&END) && padded_len(end) == Ok(padded.len()) { Ok(end) } else { Err(BadPadding) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn padded(plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        pad(plaintext, &mut out).unwrap();
        out
    }

    #[test]
    fn lengths_are_known_only_to_a_bucket() {
        let buckets: std::collections::BTreeSet<_> =
            (0..=PLAINTEXT_MAX_BYTES).map(|len| padded_len(len).unwrap()).collect();
        let expected = [256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280];
        assert_eq!(buckets.iter().copied().take(expected.len()).collect::<Vec<_>>(), expected);
        assert_eq!(buckets.len(), 34);
        assert_eq!(buckets.last(), Some(&MAX_BUCKET));
    }

    #[test]
    fn a_plaintext_is_never_padded_by_more_than_a_quarter() {
        for len in MIN_BUCKET..=PLAINTEXT_MAX_BYTES {
            let padded = padded_len(len).unwrap();
            assert!(padded > len && padded - len <= len / 4 + 1, "{len} to {padded}");
        }
    }

    #[test]
    fn one_byte_too_many_is_refused() {
        let mut out = vec![1];
        assert_eq!(pad(&vec![0; PLAINTEXT_MAX_BYTES + 1], &mut out), Err(TooLong));
        assert_eq!(out, [1]);
        assert_eq!(padded(&vec![0; PLAINTEXT_MAX_BYTES]).len(), MAX_BUCKET);
    }

    #[test]
    fn another_form_of_the_same_plaintext_is_refused() {
        let good = padded(b"text");
        assert_eq!(unpadded_len(&good), Ok(4));
        let mut longer = good.clone();
        longer.resize(320, 0);
        let mut no_mark = good.clone();
        no_mark[4] = 0x81;
        for bad in [longer.as_slice(), &good[..255], &no_mark, &[0; 256], &[]] {
            assert_eq!(unpadded_len(bad), Err(BadPadding));
        }
    }

    proptest! {
        #[test]
        fn a_padded_plaintext_comes_back(plaintext in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let padded = padded(&plaintext);
            prop_assert_eq!(&padded[..unpadded_len(&padded).unwrap()], &plaintext);
        }

        #[test]
        fn unpadding_any_bytes_never_panics(bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(0x80), any::<u8>()], 0..600)) {
            if let Ok(len) = unpadded_len(&bytes) {
                prop_assert_eq!(padded(&bytes[..len]), bytes);
            }
        }
    }
}
