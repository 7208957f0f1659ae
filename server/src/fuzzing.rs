//! Doors for the fuzz targets to what is private. Compiled for them alone (`--cfg fuzzing`).

use sealpost_api::endpoint::{Endpoint, RequestBody as _, Visitor};
use sealpost_api::endpoints;

use crate::edge::http::parse_body;
use crate::process::settings::from_text;

/// A good body of some requests.
pub const BODY_SEEDS: [(&str, &str); 4] = [
    ("bundles", r#"{"devices":[1,2]}"#),
    ("delete", r#"{"password":"correct horse battery"}"#),
    ("password", r#"{"current_password":"correct horse battery","new_password":"correct horse battery 2"}"#),
    (
        "log_in",
        r#"{"username":"alice","password":"correct horse battery","device_id":1,"session":{"session_id":"AAAAAAAAAAAAAAAAAAAAAA","refresh_hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","signature":"AAAA"}}"#,
    ),
];

/// Configuration files.
pub const CONFIG_SEEDS: [(&str, &str); 2] = [
    ("limits", "listen = '127.0.0.1:0'\n[limits.send_pair]\nburst = 1\ntokens = 1\nper_seconds = 1\n"),
    ("tls", "data = '/a'\nworkers = 2\n[tls]\nmode = 'plain'\nanywhere = true\n[queue]\nmessages_max = 5\n"),
];

/// Reads bytes as the body of every endpoint that takes one.
pub fn bodies(bytes: &[u8]) {
    struct Reading<'a>(&'a [u8]);

    impl Visitor for Reading<'_> {
        fn visit<E: Endpoint>(&mut self) {
            if E::Request::EXPECTED {
                let _ = parse_body::<E::Request>(self.0);
            }
        }
    }

    endpoints::visit(&mut Reading(bytes));
}

/// Reads a configuration file's text. What is printed of it must read the same again.
///
/// # Panics
/// When it does not.
pub fn config(text: &str) {
    let Ok(config) = from_text(text) else { return };
    let Ok(printed) = toml::to_string(&config) else { return };
    assert!(from_text(&printed).is_ok_and(|again| again == config), "printed, it reads differently");
}
