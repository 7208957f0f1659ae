//! Rule 8: wiping on drop is an opt-in feature of each crate that holds a secret for us. Without it these don't compile.

use zeroize::ZeroizeOnDrop;

fn wiped_on_drop<T: ZeroizeOnDrop>() {}

#[test]
fn every_type_that_holds_a_secret_is_wiped_on_drop() {
    wiped_on_drop::<ed25519_dalek::SigningKey>();
    wiped_on_drop::<x25519_dalek::StaticSecret>();
    wiped_on_drop::<x25519_dalek::SharedSecret>();
    wiped_on_drop::<aes_gcm::Aes256Gcm>();
    wiped_on_drop::<sha2::Sha256>();
    wiped_on_drop::<sha2::Sha512>();
    // `Hmac` itself has no such marker; what it consists of has: two hash states and a block buffer. So has its output.
    wiped_on_drop::<<sha2::Sha256 as hmac::EagerHash>::Core>();
    wiped_on_drop::<hmac::digest::block_api::Buffer<hmac::block_api::HmacCore<sha2::Sha256>>>();
    wiped_on_drop::<hmac::digest::CtOutput<crate::kdf::HmacSha256>>();
    wiped_on_drop::<zeroize::Zeroizing<Vec<u8>>>();
}
