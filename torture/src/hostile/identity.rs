//! An attacker's own account, so that its requests are refused for their content and not for their sender.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use rand::rngs::StdRng;
use sealpost_api::accounts::RegisterRequest;
use sealpost_api::encoding::{B64, EncodedDeviceList};
use sealpost_api::ids::{RefreshTokenHash, SessionId};
use sealpost_api::password::Password;
use sealpost_api::prekeys::{DevicePrekeys, SignedPrekeyBody};
use sealpost_api::server::ServerInfo;
use sealpost_api::sessions::{SessionGrant, SessionRequest};
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, LoginStatement, RegistrationId, SignedPrekeyId, SignedPrekeyPair, UnixMillis,
};
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
        let (identity, device_identity) = (AccountIdentityKeyPair::generate(rng), DeviceIdentityKeyPair::generate(rng));
        let device = DeviceId::new(1).context("1 is a device id")?;
        let address =
            DeviceAddress { account: AccountId::generate(rng), device, registration: RegistrationId::generate(rng) };
        let entry = DeviceEntry { device, registration: address.registration, identity: device_identity.public() };
        let body = DeviceListBody {
            account: address.account,
            account_identity: identity.public(),
            version: 1,
            previous_hash: [0; 32],
            new_identity: false,
            devices: vec![entry],
        };
        let list = DeviceList::sign(&identity, body)?;
        let prekey =
            SignedPrekeyPair::generate(rng, SignedPrekeyId(1), UnixMillis(info.now)).signed(&address, &device_identity);
        let session = SessionId::from_bytes(rng.random());
        let refresh_hash: [u8; 32] = rng.random();
        let statement = LoginStatement {
            server: *info.server_id.0.as_bytes(),
            session: *session.as_bytes(),
            address,
            refresh_hash,
        };
        let request = RegisterRequest {
            username: name.clone(),
            password: Password::new(PASSWORD.to_owned()),
            invite: None,
            device_list: B64(EncodedDeviceList(list.encoded().to_vec())),
            device: DevicePrekeys {
                device_id: 1,
                signed_prekey: SignedPrekeyBody {
                    id: prekey.id.0,
                    key: B64(prekey.key),
                    expires_at: prekey.expires_at.0,
                    signature: B64(prekey.signature),
                },
                one_time_prekeys: vec![],
            },
            session: SessionRequest {
                session_id: B64(session),
                refresh_hash: B64(RefreshTokenHash::from_bytes(refresh_hash)),
                signature: B64(statement.sign(&device_identity)),
            },
        };
        let text = serde_json::to_string(&request)?;
        let answer = target.call(&format!(
            "POST /v1/accounts HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n\
             {text}",
            text.len()
        ))?;
        let grant: SessionGrant = serde_json::from_value(answer)?;
        let token = grant.access_token.reveal().to_owned();
        Ok(Self { name, address, token, registration: serde_json::from_str(&text)? })
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
