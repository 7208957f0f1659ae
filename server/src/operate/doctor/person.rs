//! A temporary account with real keys and signatures, and a name and password of its own.

use anyhow::Result;
use sealpost_api::accounts::{DeleteAccount, DeleteAccountRequest, ErasureReport, Register, RegisterRequest};
use sealpost_api::encoding::{B64, EncodedDeviceList};
use sealpost_api::ids::{RefreshTokenHash, ServerId, SessionId};
use sealpost_api::password::{AccessToken, Password};
use sealpost_api::prekeys::{DevicePrekeys, OneTimePrekeyBody, SignedPrekeyBody};
use sealpost_api::sessions::SessionRequest;
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, LoginStatement, OneTimePrekey, OneTimePrekeyId, OneTimePrekeyPair, RegistrationId, SignedPrekeyId,
    SignedPrekeyPair, UnixMillis,
};

use super::connect::Server;

/// The number of one-time prekeys to upload; one of them is taken.
const ONE_TIME_PREKEYS: u32 = 2;

/// The account and its only device.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) address: DeviceAddress,
    pub(super) list: DeviceList,
    pub(super) one_time: Vec<OneTimePrekey>,
    password: Password,
    request: RegisterRequest,
    /// The access token, once the account is registered.
    token: Option<AccessToken>,
    /// Whether the server can have registered it.
    asked: bool,
}

impl Person {
    /// Creates keys, a list and a request without sending anything.
    pub(super) fn new(server: ServerId, now: UnixMillis, invite: Option<String>) -> Result<Self> {
        let rng = &mut rand::rng();
        let (identity, device) = (AccountIdentityKeyPair::generate(rng), DeviceIdentityKeyPair::generate(rng));
        let address = DeviceAddress {
            account: AccountId::generate(rng),
            device: DeviceId::PRIMARY,
            registration: RegistrationId::generate(rng),
        };
        let body = DeviceListBody {
            account: address.account,
            account_identity: identity.public(),
            version: 1,
            previous_hash: [0; 32],
            new_identity: false,
            devices: vec![DeviceEntry {
                device: address.device,
                registration: address.registration,
                identity: device.public(),
            }],
        };
        let list = DeviceList::sign(&identity, body)?;
        let signed = SignedPrekeyPair::generate(rng, SignedPrekeyId(1), now).signed(&address, &device);
        let one_time: Vec<OneTimePrekey> =
            (1..=ONE_TIME_PREKEYS).map(|id| OneTimePrekeyPair::generate(rng, OneTimePrekeyId(id)).public()).collect();
        let (session, refresh_hash): ([u8; 16], [u8; 32]) = (rand::random(), rand::random());
        let statement = LoginStatement { server: *server.as_bytes(), session, address, refresh_hash };
        let password = Password::new(hex::encode(rand::random::<[u8; 16]>()));
        let name = format!("doctor_{}", hex::encode(rand::random::<[u8; 10]>()));
        let request = RegisterRequest {
            username: name.clone(),
            password: password.clone(),
            invite,
            device_list: B64(EncodedDeviceList(list.encoded().to_vec())),
            device: DevicePrekeys {
                device_id: address.device.get(),
                signed_prekey: SignedPrekeyBody {
                    id: signed.id.0,
                    key: B64(signed.key),
                    expires_at: signed.expires_at.0,
                    signature: B64(signed.signature),
                },
                one_time_prekeys: one_time
                    .iter()
                    .map(|prekey| OneTimePrekeyBody { id: prekey.id.0, key: B64(prekey.key) })
                    .collect(),
            },
            session: SessionRequest {
                session_id: B64(SessionId::from_bytes(session)),
                refresh_hash: B64(RefreshTokenHash::from_bytes(refresh_hash)),
                signature: B64(statement.sign(&device)),
            },
        };
        Ok(Self { name, address, list, one_time, password, request, token: None, asked: false })
    }

    /// Registers the account. Repeating it gets the same answer.
    pub(super) async fn register(&mut self, server: &Server) -> Result<()> {
        self.asked = true;
        let grant = server.ask(&Register, None, &self.request).await?;
        self.token = Some(grant.access_token);
        Ok(())
    }

    /// Returns the access token.
    pub(super) fn token(&self) -> Result<&AccessToken> {
        self.token.as_ref().ok_or_else(|| anyhow::anyhow!("{} is not registered", self.name))
    }

    /// Deletes the account.
    pub(super) async fn delete(&mut self, server: &Server) -> Result<ErasureReport> {
        let body = DeleteAccountRequest { password: self.password.clone() };
        let report = server.ask(&DeleteAccount, Some(self.token()?), &body).await?;
        (self.token, self.asked) = (None, false);
        Ok(report)
    }

    /// Returns whether the server can have the account.
    pub(super) fn may_be_there(&self) -> bool {
        self.asked
    }

    /// Deletes the account if it can exist, even if the answer to its registration was lost.
    pub(super) async fn clean_up(&mut self, server: &Server) -> Result<()> {
        if self.token.is_none() {
            self.register(server).await?;
        }
        self.delete(server).await.map(drop)
    }
}
