//! An attacker's own account, so that its requests are refused for their content and not for their sender.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use rand::rngs::StdRng;
use sealpost_api::server::ServerInfo;
use sealpost_api::sessions::SessionGrant;
use sealpost_crypto::{DeviceAddress, UnixMillis};
use sealpost_harness::people::Account;
use serde_json::Value;

use super::wire::Target;

const PASSWORD: &str = "an attacker's own password";

/// The account and its access token.
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) address: DeviceAddress,
    pub(super) token: String,
    /// The body of its registration.
    registration: Value,
}

impl Identity {
    /// Registers an account under a new name.
    ///
    /// # Errors
    /// An error if the server refuses an honest registration.
    pub(super) fn register(rng: &mut StdRng, target: &Target) -> Result<Self> {
        let authority = target.authority();
        let info = target.call(&format!("GET /v1/server HTTP/1.1\r\nhost: {authority}\r\n\r\n"))?;
        let info: ServerInfo = serde_json::from_value(info)?;
        // Not seeded, because a name is registered once, and runs with one seed can share a server.
        let name = format!("mallory.{:x}", rng.random::<u64>());
        let account = Account::new(&name);
        let request = account.registration((info.server_id.0, UnixMillis(info.now)), PASSWORD, []);
        let text = serde_json::to_string(&request)?;
        let answer = target.call(&format!(
            "POST /v1/accounts HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n\
             {text}",
            text.len()
        ))?;
        let grant: SessionGrant = serde_json::from_value(answer)?;
        let token = grant.access_token.reveal().to_owned();
        Ok(Self { name, address: account.device.address, token, registration: serde_json::from_str(&text)? })
    }

    /// Returns the true value of this account for a field with this name.
    pub(super) fn known(&self, field: &str) -> Option<Value> {
        match field {
            "old_password" => Some(Value::from(PASSWORD)),
            field => find(&self.registration, field).cloned(),
        }
    }

    /// Returns the account id in the form of a path.
    pub(super) fn account(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.address.account.as_bytes())
    }
}

fn find<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(field).or_else(|| object.values().find_map(|inner| find(inner, field)))
}
