//! The commonest passwords, which nobody may set: they are what an attacker tries first (OWASP ASVS 6.2.4).

use std::sync::LazyLock;

use sealpost_api::password::Password;
use zeroize::Zeroizing;

/// The entries of at least 8 bytes, sorted, of the password frequency list of zxcvbn (© Dropbox, Inc.; the crate `zxcvbn`
/// © Josh Holmer; MIT licence): 11,600 of what was found most often in published leaks.
const LIST: &str = include_str!("common_passwords.txt");

static SORTED: LazyLock<Vec<&str>> = LazyLock::new(|| LIST.lines().collect());

/// Returns whether the password, with its ASCII capitals folded, is one of the most common ones.
#[must_use]
pub fn is_common(password: &Password) -> bool {
    let folded = Zeroizing::new(password.reveal().to_ascii_lowercase());
    SORTED.binary_search(&folded.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_are_found_in_any_case() {
        for text in ["password", "12345678", "PassWord", "trustno1", "qwertyuiop"] {
            assert!(is_common(&Password::new(text.to_owned())), "{text}");
        }
        for text in ["correct horse battery", "", "passwor", " password", "Pässword"] {
            assert!(!is_common(&Password::new(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn the_list_is_sorted_and_long_enough() {
        assert!(SORTED.is_sorted());
        assert!(SORTED.len() >= 3_000, "ASVS asks for the top 3,000");
    }
}
