//! Registering, logging in, and going on under a new identity.
//!
//! Each is a request whose exact body, with everything that it commits to, lies in the vault before it is sent, and that is
//! repeated word for word until it is answered. So a lost reply never strands a name or a key.

use sealpost_api::accounts::{CurrentIdentity, CurrentIdentityRequest, NewIdentityRequest, RegisterRequest};
use sealpost_api::encoding::{B64, EncodedDeviceList, RefreshToken};
use sealpost_api::ids::{ServerId, SessionId};
use sealpost_api::password::Password;
use sealpost_api::prekeys::DevicePrekeys;
use sealpost_api::problem::ProblemCode;
use sealpost_api::server::ServerInfo;
use sealpost_api::sessions::{LoginRequest, SessionGrant, SessionRequest};
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, LoginStatement, RegistrationId,
};
use zeroize::Zeroizing;

use super::calls::{Begun, Waiting};
use super::codec::Bin;
use super::command::{CommandError, InvalidCommand, Outcome};
use super::effect::Method;
use super::http::{Answer, Purpose, body};
use super::state::{self, AccountRequest, AccountRequestKind, Login, StoredMe};
use super::{Context, Engine, EngineError};
use crate::vault::Table;

/// How often a new identity is made anew because another device published a list meanwhile.
const IDENTITY_ATTEMPTS_MAX: u32 = 3;

type Begin = Result<Begun, CommandError>;

/// A device's first keys, as they go into a request and as they are kept until it is answered.
pub(super) struct FirstKeys {
    pub(super) public: DevicePrekeys,
    pub(super) keys: state::Keys,
    pub(super) pairs: state::StoredPairs,
}

impl Engine {
    /// Begins to register, or goes on with it.
    pub(super) fn register(
        &mut self,
        context: &mut Context<'_>,
        username: Username,
        password: Password,
        invite: Option<String>,
    ) -> Result<Begin, EngineError> {
        if password.check_length().is_err() {
            return Ok(Err(InvalidCommand::PasswordLength.into()));
        }
        if let Some(me) = &self.me {
            // An earlier run may have ended between the answer and its report.
            return Ok(match self.account_info() {
                Some(info) if me.username == username && self.login.is_some() => {
                    Ok(Begun::Done(Outcome::Account(info)))
                }
                _ => Err(InvalidCommand::HasAccount.into()),
            });
        }
        let request = AccountRequest {
            kind: AccountRequestKind::Register,
            username: Bin(username),
            password,
            invite,
            body: None,
            me: None,
            login: None,
            keys: None,
            pairs: None,
        };
        self.begin_account_request(context, request)
    }

    /// Begins to log in, or goes on with it.
    pub(super) fn begin_login(
        &mut self,
        context: &mut Context<'_>,
        username: Username,
        password: Password,
        new_identity: bool,
    ) -> Result<Begin, EngineError> {
        if let Some(me) = &self.me {
            if me.username != username {
                return Ok(Err(InvalidCommand::OtherAccount.into()));
            }
        } else if !new_identity {
            return Ok(Err(InvalidCommand::NoAccount.into()));
        }
        let kind = if new_identity { AccountRequestKind::NewIdentity } else { AccountRequestKind::Login };
        self.identity_attempts = 0;
        let request = AccountRequest {
            kind,
            username: Bin(username),
            password,
            invite: None,
            body: None,
            me: None,
            login: None,
            keys: None,
            pairs: None,
        };
        self.begin_account_request(context, request)
    }

    fn begin_account_request(
        &mut self,
        context: &mut Context<'_>,
        request: AccountRequest,
    ) -> Result<Begin, EngineError> {
        self.backoffs.remove(&Purpose::Account);
        self.backoffs.remove(&Purpose::ServerInfo);
        self.backoffs.remove(&Purpose::CurrentIdentity);
        if let Some(earlier) = &self.account_request {
            // A log-in that is given up leaves nothing behind; the others may have been carried out already.
            let replaceable = earlier.body.is_none() || earlier.kind == AccountRequestKind::Login;
            let same = earlier.kind == request.kind
                && earlier.username == request.username
                && earlier.invite == request.invite
                && earlier.password.reveal() == request.password.reveal();
            if same {
                return Ok(Ok(Begun::Waits(Waiting::Account)));
            }
            if !replaceable {
                return Ok(Err(InvalidCommand::Unanswered.into()));
            }
            self.complete_all(|waiting| matches!(waiting, Waiting::Account), &Err(CommandError::Superseded));
            self.requests.retain(|_, purpose| *purpose != Purpose::Account);
        }
        context.save(Table::Request, state::ACCOUNT_REQUEST, &request)?;
        self.account_request = Some(request);
        Ok(Ok(Begun::Waits(Waiting::Account)))
    }

    /// Logs in again on this device with the password at hand, if there is one.
    pub(super) fn log_in_again(&mut self, context: &mut Context<'_>) -> Result<bool, EngineError> {
        if self.account_request.is_some() {
            return Ok(true);
        }
        let (Some(me), Some(password)) = (&self.me, self.password.clone()) else { return Ok(false) };
        let username = me.username.clone();
        Ok(self.begin_login(context, username, password, false)?.is_ok())
    }

    pub(super) fn advance_account(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let Some(request) = &self.account_request else { return Ok(()) };
        if let Some(body) = &request.body {
            let path = match request.kind {
                AccountRequestKind::Register => "/v1/accounts",
                AccountRequestKind::NewIdentity => "/v1/identity",
                AccountRequestKind::Login => "/v1/sessions",
            };
            let body = Zeroizing::new(body.as_bytes().to_vec());
            self.ask_raw(context, Purpose::Account, (Method::Post, path.to_owned()), Some(body), None);
            return Ok(());
        }
        let Some(server) = self.server else {
            self.ask_raw(context, Purpose::ServerInfo, (Method::Get, "/v1/server".to_owned()), None, None);
            return Ok(());
        };
        match request.kind {
            AccountRequestKind::Register => {
                let account = AccountId::generate(context.rng);
                self.make_account_body(context, server, account, None)?;
                self.advance_account(context)
            }
            AccountRequestKind::Login => {
                self.make_login_body(context, server)?;
                self.advance_account(context)
            }
            AccountRequestKind::NewIdentity => {
                let body = CurrentIdentityRequest {
                    username: request.username.0.as_str().to_owned(),
                    password: request.password.clone(),
                };
                let call = (Method::Post, "/v1/identity/current".to_owned());
                self.ask(context, Purpose::CurrentIdentity, call, Some(&body), None)
            }
        }
    }

    pub(super) fn on_server_info(&mut self, answer: &Answer) -> Result<(), EngineError> {
        match answer {
            Answer::Done(bytes) => match body::<ServerInfo>(bytes) {
                Some(info) => self.server = Some(info.server_id.0),
                None => self.fail_account_commands(&CommandError::BadAnswer),
            },
            Answer::Refused(refusal) => self.fail_account_commands(&(*refusal).into()),
            Answer::Failed => {}
        }
        Ok(())
    }

    pub(super) fn on_current_identity(
        &mut self,
        context: &mut Context<'_>,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        let Some(server) = self.server else { return Ok(()) };
        if !matches!(&self.account_request, Some(request) if request.kind == AccountRequestKind::NewIdentity) {
            return Ok(());
        }
        match answer {
            Answer::Done(bytes) => {
                let current = body::<CurrentIdentity>(bytes)
                    .and_then(|current| {
                        Some((current.account_id.0, DeviceList::decode(&current.device_list.0.0).ok()?))
                    })
                    .filter(|(account, list)| list.account() == *account);
                match current {
                    Some((account, list)) => {
                        if self.make_lost_identity_body(context, server, &list)? {
                            return Ok(());
                        }
                        self.make_account_body(context, server, account, Some(&list))
                    }
                    None => self.drop_account_request(context, &CommandError::BadAnswer),
                }
            }
            Answer::Refused(refusal) if refusal.is_final() || refusal.is_limit() => {
                self.drop_account_request(context, &(*refusal).into())
            }
            Answer::Refused(refusal) => {
                self.fail_account_commands(&(*refusal).into());
                Ok(())
            }
            Answer::Failed => Ok(()),
        }
    }

    /// Where the server was restored from before this device's identity began, the identity is brought back as it was, so
    /// that contacts who accepted it need not do so again. Whether that is so, and the request is written.
    fn make_lost_identity_body(
        &mut self,
        context: &mut Context<'_>,
        server: ServerId,
        current: &DeviceList,
    ) -> Result<bool, EngineError> {
        let Some(me) = &self.me else { return Ok(false) };
        let lost =
            me.older.iter().chain([&me.list]).find(|list| {
                list.new_identity() && list.previous_hash() == current.hash() && list.contains(&me.address)
            });
        let (Some(list), true) = (lost, me.account_identity.is_some()) else { return Ok(false) };
        let Some(signed_prekey) = self.newest_signed_prekey(context, me)? else { return Ok(false) };
        let (login, session) = begin_session(context, server, &me.address, &me.identity);
        let Some(request) = &mut self.account_request else { return Ok(false) };
        let body = super::codec::write(&NewIdentityRequest {
            username: request.username.0.as_str().to_owned(),
            password: request.password.clone(),
            device_list: B64(EncodedDeviceList(list.encoded().to_vec())),
            // One-time prekeys follow when the device is online.
            device: DevicePrekeys { device_id: me.address.device.get(), signed_prekey, one_time_prekeys: vec![] },
            session,
        })?;
        request.body = Some(text(&body)?);
        request.login = Some(login);
        context.save(Table::Request, state::ACCOUNT_REQUEST, &request)?;
        Ok(true)
    }

    /// Draws the keys of an account's first device, or of the one device of a new identity, and writes the request.
    fn make_account_body(
        &mut self,
        context: &mut Context<'_>,
        server: ServerId,
        account: AccountId,
        previous: Option<&DeviceList>,
    ) -> Result<(), EngineError> {
        let Some(mut request) = self.account_request.take() else { return Ok(()) };
        let account_identity = AccountIdentityKeyPair::generate(context.rng);
        let identity = DeviceIdentityKeyPair::generate(context.rng);
        let registration = RegistrationId::generate(context.rng);
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
        let first = super::prekeys::first_keys(context, &address, &identity)?;
        let (login, session) = begin_session(context, server, &address, &identity);
        let device_list = B64(EncodedDeviceList(list.encoded().to_vec()));
        let username = request.username.0.as_str().to_owned();
        let password = request.password.clone();
        let body = match previous {
            None => {
                let invite = request.invite.clone();
                super::codec::write(&RegisterRequest {
                    username,
                    password,
                    invite,
                    device_list,
                    device: first.public,
                    session,
                })
            }
            Some(_) => super::codec::write(&NewIdentityRequest {
                username,
                password,
                device_list,
                device: first.public,
                session,
            }),
        }?;
        request.body = Some(text(&body)?);
        request.me = Some(StoredMe {
            username: request.username.clone(),
            account_seed: Some(Bin(account_identity.seed())),
            device_seed: Bin(identity.seed()),
            device: address.device.get(),
            registration,
            lists: previous.cloned().into_iter().chain([list]).map(Bin).collect(),
        });
        request.login = Some(login);
        request.keys = Some(first.keys);
        request.pairs = Some(first.pairs);
        context.save(Table::Request, state::ACCOUNT_REQUEST, &request)?;
        self.account_request = Some(request);
        Ok(())
    }

    /// Writes the request to log in on this device, or on the one that was offered and listed since.
    fn make_login_body(&mut self, context: &mut Context<'_>, server: ServerId) -> Result<(), EngineError> {
        let Some(mut request) = self.account_request.take() else { return Ok(()) };
        let joining = request.me.as_ref().map(|me| {
            let identity = DeviceIdentityKeyPair::from_seed(&me.device_seed.0);
            let account = me.lists.last().map(|list| list.0.account());
            (identity, account, DeviceId::new(me.device).ok(), me.registration)
        });
        let (address, identity) = match (&joining, &self.me) {
            (Some((identity, Some(account), Some(device), registration)), _) => {
                (DeviceAddress { account: *account, device: *device, registration: *registration }, identity)
            }
            (None, Some(me)) => (me.address, &me.identity),
            _ => return Err(EngineError::Internal),
        };
        let (login, session) = begin_session(context, server, &address, identity);
        let body = super::codec::write(&LoginRequest {
            username: request.username.0.as_str().to_owned(),
            password: request.password.clone(),
            device_id: address.device.get(),
            registration_id: B64(address.registration),
            session,
        })?;
        request.body = Some(text(&body)?);
        request.login = Some(login);
        context.save(Table::Request, state::ACCOUNT_REQUEST, &request)?;
        self.account_request = Some(request);
        Ok(())
    }

    pub(super) fn on_account_answer(&mut self, context: &mut Context<'_>, answer: &Answer) -> Result<(), EngineError> {
        let Some(request) = &self.account_request else { return Ok(()) };
        match answer {
            Answer::Done(bytes) => {
                let session = request.login.as_ref().map(|login| login.session);
                match body::<SessionGrant>(bytes).filter(|grant| Some(grant.session_id.0) == session) {
                    Some(grant) => self.finish_account_request(context, &grant),
                    None => {
                        self.fail_account_commands(&CommandError::BadAnswer);
                        self.back_off(context, Purpose::Account, None);
                        Ok(())
                    }
                }
            }
            Answer::Refused(refusal)
                if refusal.code == ProblemCode::DeviceListConflict
                    && request.kind == AccountRequestKind::NewIdentity
                    && self.identity_attempts < IDENTITY_ATTEMPTS_MAX =>
            {
                // Another device published meanwhile: the same again, chained to the list that is newest now.
                self.identity_attempts += 1;
                self.backoffs.remove(&Purpose::Account);
                if let Some(request) = &mut self.account_request {
                    request.body = None;
                    context.save(Table::Request, state::ACCOUNT_REQUEST, request)?;
                }
                Ok(())
            }
            Answer::Refused(refusal) if refusal.is_final() || refusal.is_limit() => {
                if refusal.code == ProblemCode::LoginFailed {
                    self.password = None;
                }
                self.drop_account_request(context, &(*refusal).into())
            }
            // Busy, or broken: nobody knows whether it was carried out, so it stays.
            Answer::Refused(refusal) => {
                self.fail_account_commands(&(*refusal).into());
                Ok(())
            }
            Answer::Failed => Ok(()),
        }
    }

    fn finish_account_request(&mut self, context: &mut Context<'_>, grant: &SessionGrant) -> Result<(), EngineError> {
        let Some(request) = self.account_request.take() else { return Ok(()) };
        context.erase(Table::Request, state::ACCOUNT_REQUEST)?;
        self.backoffs.remove(&Purpose::Account);
        if let (Some(stored), Some(keys), Some(pairs)) = (request.me, request.keys, request.pairs) {
            self.become_device(context, stored, keys, &pairs)?;
        }
        let mut login = request.login.ok_or(EngineError::Internal)?;
        login.access = Some(grant.access_token.clone());
        login.access_expires_at = context.now.saturating_add(grant.expires_in.saturating_mul(1000)).0;
        context.save(Table::Meta, state::LOGIN, &login)?;
        self.login = Some(login);
        self.password = Some(request.password);
        let outcome = self.account_info().map(Outcome::Account).ok_or(CommandError::Internal);
        self.complete_all(|waiting| matches!(waiting, Waiting::Account), &outcome);
        Ok(())
    }

    /// Forgets a request that was refused for good.
    fn drop_account_request(&mut self, context: &mut Context<'_>, error: &CommandError) -> Result<(), EngineError> {
        context.erase(Table::Request, state::ACCOUNT_REQUEST)?;
        self.account_request = None;
        self.backoffs.remove(&Purpose::Account);
        self.backoffs.remove(&Purpose::CurrentIdentity);
        self.fail_account_commands(error);
        if self.me.is_some() && self.login.is_none() {
            self.tell_needs_login(context)?;
        }
        Ok(())
    }

    fn fail_account_commands(&mut self, error: &CommandError) {
        self.complete_all(|waiting| matches!(waiting, Waiting::Account), &Err(error.clone()));
    }
}

/// Draws a session and its first refresh token, and signs for them.
pub(super) fn begin_session(
    context: &mut Context<'_>,
    server: ServerId,
    address: &DeviceAddress,
    identity: &DeviceIdentityKeyPair,
) -> (Login, SessionRequest) {
    let session = SessionId::from_bytes(context.draw());
    let refresh = RefreshToken::from_bytes(context.draw());
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
    (Login { server, session, refresh, next: None, access: None, access_expires_at: 0 }, request)
}

fn text(bytes: &[u8]) -> Result<Zeroizing<String>, EngineError> {
    std::str::from_utf8(bytes).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| EngineError::Internal)
}
