//! Every label and type byte of the protocol, in one table.
//!
//! Everything that is signed, hashed or derived begins with a label, so that bytes made for one purpose are never valid for
//! another. That holds only while no label is a prefix of another; a test below checks the whole table.

/// Type byte of an encoded X25519 public key: `Encode(X25519) = 0x05 ‖ u`.
pub const X25519_TYPE: u8 = 0x05;
/// Type byte of an encoded Ed25519 public key: `Encode(Ed25519) = 0x06 ‖ A`.
pub const ED25519_TYPE: u8 = 0x06;

/// Begins the signed bytes of a device list.
pub const DEVICE_LIST: &[u8] = b"Sealpost Device List v1\0";
/// Begins the hashed bytes of a device list, for the chain of lists.
pub const DEVICE_LIST_HASH: &[u8] = b"Sealpost Device List Hash v1\0";
/// Begins the signed bytes of a signed prekey.
pub const SIGNED_PREKEY: &[u8] = b"Sealpost Signed Prekey v1\0";
/// Begins the signed bytes of a login statement.
pub const LOGIN_STATEMENT: &[u8] = b"Sealpost Login v1\0";
/// Begins the signed bytes of a refresh statement.
pub const REFRESH_STATEMENT: &[u8] = b"Sealpost Refresh v1\0";

/// `info` of the X3DH derivation of SK (X3DH revision 1, section 2.2).
pub const X3DH_INFO: &[u8] = b"Sealpost_X25519_SHA-256_AES-256-GCM";
/// Begins the appendix of X3DH's associated data.
pub const X3DH_APPENDIX: &[u8] = b"Sealpost X3DH Appendix v1\0";
/// `info` of KDF_RK (double ratchet revision 4, section 7.2).
pub const ROOT_CHAIN_INFO: &[u8] = b"Sealpost Root Chain";
/// `info` of the derivation of an AEAD key and nonce from a message key.
pub const MESSAGE_KEYS_INFO: &[u8] = b"Sealpost Message Keys";
/// Begins the hashed bytes of one side's half of a safety number.
pub const SAFETY_NUMBER: &[u8] = b"Sealpost Safety Number v1\0";
/// Begins the scannable form of a safety number.
pub const SAFETY_NUMBER_QR: &[u8] = b"Sealpost Safety QR v1\0";
/// Begins the stored form of all sessions with one device.
pub const PAIR_SESSIONS_STATE: &[u8] = b"Sealpost Pair Sessions\0";

/// Every entry of the table with its name.
pub const ALL: &[(&str, &[u8])] = &[
    ("X25519_TYPE", &[X25519_TYPE]),
    ("ED25519_TYPE", &[ED25519_TYPE]),
    ("DEVICE_LIST", DEVICE_LIST),
    ("DEVICE_LIST_HASH", DEVICE_LIST_HASH),
    ("SIGNED_PREKEY", SIGNED_PREKEY),
    ("LOGIN_STATEMENT", LOGIN_STATEMENT),
    ("REFRESH_STATEMENT", REFRESH_STATEMENT),
    ("X3DH_INFO", X3DH_INFO),
    ("X3DH_APPENDIX", X3DH_APPENDIX),
    ("ROOT_CHAIN_INFO", ROOT_CHAIN_INFO),
    ("MESSAGE_KEYS_INFO", MESSAGE_KEYS_INFO),
    ("SAFETY_NUMBER", SAFETY_NUMBER),
    ("SAFETY_NUMBER_QR", SAFETY_NUMBER_QR),
    ("PAIR_SESSIONS_STATE", PAIR_SESSIONS_STATE),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_is_a_prefix_of_another() {
        for (i, (a_name, a)) in ALL.iter().enumerate() {
            assert!(!a.is_empty(), "{a_name} is empty");
            for (j, (b_name, b)) in ALL.iter().enumerate() {
                assert!(i == j || !b.starts_with(a), "{a_name} begins {b_name}");
            }
        }
    }

    #[test]
    fn every_label_of_this_file_is_in_the_table() {
        let declared = include_str!("labels.rs").lines().filter(|line| line.starts_with("pub const ")).count();
        assert_eq!(declared - 1, ALL.len(), "all but the table itself");
    }
}
