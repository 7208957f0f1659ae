//! HMAC-SHA-256 and HKDF-SHA-256 (RFC 2104, RFC 5869) with keys of 32 bytes, as the protocol uses them.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

pub(crate) type HmacSha256 = Hmac<Sha256>;

/// Starts an HMAC with a key of 32 bytes. Clone the result for each message under the same key, because the key schedule is
/// half of the cost.
pub(crate) fn hmac(key: &[u8; 32]) -> HmacSha256 {
    // HMAC pads a short key with zeros to the hash's block. Padding it here makes the length right by its type.
    let mut block = Zeroizing::new([0; 64]);
    if let Some(start) = block.first_chunk_mut() {
        *start = *key;
    }
    HmacSha256::new((&*block).into())
}

/// Finishes the HMAC over `message` and writes the MAC to `out`. The intermediate copy is wiped.
pub(crate) fn finish(mut mac: HmacSha256, message: &[u8], out: &mut [u8; 32]) {
    mac.update(message);
    let mut bytes = mac.finalize().into_bytes();
    out.copy_from_slice(&bytes);
    bytes.as_mut_slice().zeroize();
}

/// Derives `LEN` bytes by HKDF with a salt of 32 bytes.
pub(crate) fn hkdf<const LEN: usize>(salt: &[u8; 32], input: &[u8], info: &[u8]) -> Zeroizing<[u8; LEN]> {
    const { assert!(LEN <= 255 * 32, "RFC 5869 allows 255 blocks") };
    let mut pseudorandom_key = Zeroizing::new([0; 32]);
    finish(hmac(salt), input, &mut pseudorandom_key);
    let mut output = Zeroizing::new([0; LEN]);
    #[expect(clippy::expect_used, reason = "both lengths are known when this is compiled, and are in range")]
    Hkdf::<Sha256>::from_prk(pseudorandom_key.as_slice())
        .expect("a pseudorandom key of one hash length")
        .expand(info, output.as_mut_slice())
        .expect("at most 255 blocks");
    output
}
