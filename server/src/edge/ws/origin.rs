//! The web pages that can open a stream (against cross-site WebSocket hijacking). Native clients send no `Origin` and
//! authenticate by their token. A browser always sends one, and a page cannot change it.

use actix_web::http::header::HeaderValue;
use sealpost_sabotage::{Countermeasure, holds};

/// An exact allow-list of origins (`https://host[:port]`), compared byte for byte: no suffixes, no case folding, no wildcards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginPolicy {
    allowed: Vec<String>,
}

impl OriginPolicy {
    /// Creates the policy that allows these origins, and requests without one.
    #[must_use]
    pub const fn new(allowed: Vec<String>) -> Self {
        Self { allowed }
    }

    /// Returns whether a request with these `Origin` headers is allowed.
    pub(crate) fn allows<'a>(&self, mut origins: impl Iterator<Item = &'a HeaderValue>) -> bool {
        let allowed = match (origins.next(), origins.next()) {
            (None, _) => true,
            (Some(origin), None) => self.allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()),
            (Some(_), Some(_)) => false,
        };
        holds(Countermeasure::OriginCheck, allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_origin_is_allowed_exactly() {
        let policy = OriginPolicy::new(vec!["https://chat.example".to_owned()]);
        let allows = |origin: &str| policy.allows([HeaderValue::from_str(origin).unwrap()].iter());
        assert!(allows("https://chat.example"));
        for origin in [
            "null",
            "",
            "https://chat.example.evil",
            "https://evil-chat.example",
            "https://chat.example:443",
            "https://chat.example:8443",
            "http://chat.example",
            "https://Chat.example",
            "https://chat.example/",
            "https://user@chat.example",
            "https://xn--cht-5na.example",
            "https://chat.example https://chat.example",
            "*",
            "https://",
            "chat.example",
        ] {
            assert!(!allows(origin), "{origin}");
        }
        assert!(policy.allows([].into_iter()), "a native client sends none");
        let twice = HeaderValue::from_static("https://chat.example");
        assert!(!policy.allows([&twice, &twice].into_iter()));
    }
}
