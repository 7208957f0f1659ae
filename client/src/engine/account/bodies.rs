//! The bodies of account requests, and the keys that they commit to.

use sealpost_api::accounts::{NewIdentityRequest, RegisterRequest};
use sealpost_api::encoding::{B64, EncodedDeviceList, RefreshToken};
use sealpost_api::ids::{ServerId, SessionId};
use sealpost_api::prekeys::{DevicePrekeys, SignedPrekeyBody};
use sealpost_api::sessions::{LoginRequest, SessionRequest};
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, LoginStatement, RegistrationId,
};

use super::prekeys::first_keys;
use super::request::{AccountRequest, Aim, Made, NewDevice};
use super::tokens::Login;
use crate::engine::codec::{Bin, write_text};
use crate::engine::error::EngineError;
use crate::engine::records::{Me, StoredMe};
use crate::engine::step::Step;

/// Draws a log-in and its first refresh token, and signs for them.
fn begin_session(
    step: &mut Step<'_>,
    server: ServerId,
    address: &DeviceAddress,
    identity: &DeviceIdentityKeyPair,
) -> (Login, SessionRequest) {
    let session = SessionId::from_bytes(step.draw());
    let refresh = RefreshToken::from_bytes(step.draw());
    let statement = LoginStatement {
        server: *server.as_bytes(),
        session: *session.as_bytes(),
        address: *address,
        refresh_hash: *refresh.hash().as_bytes(),
    };
    let request = SessionRequest {
        session_id: B64(session),
        refresh_hash: B64(refresh.hash()),
        signature: B64(statement.sign(identity)),
    };
    (Login::new(server, session, refresh), request)
}

/// Draws the keys of an account's first device and makes the registration.
pub(super) fn register(
    step: &mut Step<'_>,
    server: ServerId,
    request: &AccountRequest,
    invite: Option<String>,
) -> Result<Made, EngineError> {
    let account = AccountId::generate(step.rng);
    first_device(step, server, request, (account, None), |username, device_list, device, session| {
        let password = request.password.clone();
        write_text(&RegisterRequest { username, password, invite, device_list, device, session })
    })
}

/// Draws the keys of the one device of a new identity and makes the request for it, chained to the current list.
pub(super) fn new_identity(
    step: &mut Step<'_>,
    server: ServerId,
    request: &AccountRequest,
    current: &DeviceList,
) -> Result<Made, EngineError> {
    let of = (current.account(), Some(current));
    first_device(step, server, request, of, |username, device_list, device, session| {
        let password = request.password.clone();
        write_text(&NewIdentityRequest { username, password, device_list, device, session })
    })
}

fn first_device(
    step: &mut Step<'_>,
    server: ServerId,
    request: &AccountRequest,
    (account, previous): (AccountId, Option<&DeviceList>),
    body: impl FnOnce(
        String,
        B64<EncodedDeviceList>,
        DevicePrekeys,
        SessionRequest,
    ) -> Result<zeroize::Zeroizing<String>, EngineError>,
) -> Result<Made, EngineError> {
    let account_identity = AccountIdentityKeyPair::generate(step.rng);
    let identity = DeviceIdentityKeyPair::generate(step.rng);
    let registration = RegistrationId::generate(step.rng);
    let address = DeviceAddress { account, device: DeviceId::PRIMARY, registration };
    let list = DeviceList::sign(
        &account_identity,
        DeviceListBody {
            account,
            account_identity: account_identity.public(),
            version: previous.map_or(Some(1), |list| list.version().checked_add(1)).ok_or(EngineError::Internal)?,
            previous_hash: previous.map_or([0; 32], DeviceList::hash),
            new_identity: previous.is_some(),
            devices: vec![DeviceEntry { device: address.device, registration, identity: identity.public() }],
        },
    )
    .map_err(|_| EngineError::Internal)?;
    let first = first_keys(step, &address, &identity)?;
    let (login, session) = begin_session(step, server, &address, &identity);
    let username = request.username.as_str().to_owned();
    let body = body(username, encoded(&list), first.public, session)?;
    let me = StoredMe {
        username: Bin(request.username.clone()),
        account_seed: Some(Bin(account_identity.seed())),
        device_seed: Bin(identity.seed()),
        device: address.device.get(),
        registration,
        lists: previous.cloned().into_iter().chain([list]).map(Bin).collect(),
    };
    Ok(Made { body, login, device: Some(NewDevice { me, keys: first.keys, pairs: first.pairs }) })
}

/// Makes the request that brings back an identity of this device as it was, where the server was restored from before it
/// began: so contacts that accepted it need not do so again.
pub(super) fn lost_identity(
    step: &mut Step<'_>,
    server: ServerId,
    request: &AccountRequest,
    (me, list): (&Me, &DeviceList),
    signed_prekey: SignedPrekeyBody,
) -> Result<Made, EngineError> {
    let (login, session) = begin_session(step, server, &me.address, &me.identity);
    let body = write_text(&NewIdentityRequest {
        username: request.username.as_str().to_owned(),
        password: request.password.clone(),
        device_list: encoded(list),
        // One-time prekeys follow when the device is online.
        device: DevicePrekeys { device_id: me.address.device.get(), signed_prekey, one_time_prekeys: vec![] },
        session,
    })?;
    Ok(Made { body, login, device: None })
}

/// Returns the list of this device's identity that the server has lost, if its current list is the one before.
pub(super) fn lost_list<'a>(me: &'a Me, current: &DeviceList) -> Option<&'a DeviceList> {
    me.account_identity.as_ref()?;
    let mut lists = me.older.iter().chain([&me.list]);
    lists.find(|list| list.new_identity() && list.previous_hash() == current.hash() && list.contains(&me.address))
}

/// Makes the request to log in on this device, or on the one that was offered and is listed now.
pub(super) fn log_in(
    step: &mut Step<'_>,
    server: ServerId,
    request: &AccountRequest,
    me: Option<&Me>,
) -> Result<Made, EngineError> {
    let joining;
    let (address, identity) = match (&request.aim, me) {
        (Aim::Join(device), _) => {
            let me = &device.me;
            let account = me.lists.last().map(|list| list.0.account()).ok_or(EngineError::Internal)?;
            let device = DeviceId::new(me.device).map_err(|_| EngineError::Internal)?;
            joining = DeviceIdentityKeyPair::from_seed(&me.device_seed.0);
            (DeviceAddress { account, device, registration: me.registration }, &joining)
        }
        (_, Some(me)) => (me.address, &me.identity),
        (_, None) => return Err(EngineError::Internal),
    };
    let (login, session) = begin_session(step, server, &address, identity);
    let body = write_text(&LoginRequest {
        username: request.username.as_str().to_owned(),
        password: request.password.clone(),
        device_id: address.device.get(),
        registration_id: B64(address.registration),
        session,
    })?;
    Ok(Made { body, login, device: None })
}

/// Returns a list as it goes into a request.
pub(super) fn encoded(list: &DeviceList) -> B64<EncodedDeviceList> {
    B64(EncodedDeviceList(list.encoded().to_vec()))
}
