//! Access tokens: JWTs (RFC 7519, profile of RFC 9068) signed with EdDSA and nothing else.
//!
//! A token is believed only together with the store: [`Services::authenticate`](super::Services::authenticate) looks up
//! the login, so that logging out takes effect at once. The claims are checked here instead of by the library, whose
//! clock is the machine's and whose types are lenient.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::RwLock;
use sealpost_api::encoding::B64;
use sealpost_api::ids::{ServerId, SessionId};
use sealpost_api::limits::ACCESS_TOKEN_SECONDS;
use sealpost_api::password::AccessToken;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, RegistrationId, UnixMillis};
use sealpost_sabotage::{Countermeasure, holds, refuses};
use serde::{Deserialize, Serialize};

mod keys;
mod provider;

pub use keys::{TokenKey, TokenKeyId, TokenKeyIdError};

/// How far the clocks of two nodes can differ, in seconds.
pub const LEEWAY_SECONDS: u64 = 5;
/// The longest token that is read. Ours have some 600 bytes.
const TOKEN_MAX_BYTES: usize = 2_048;
/// The type of an access token (RFC 9068 §2.1). Another kind of JWT under the same key is refused.
const TYPE: &str = "at+jwt";
const ALGORITHM: &str = "EdDSA";

/// The header, read strictly: `jku`, `jwk`, `x5u`, `crit` and other fields that could direct the check are unknown
/// fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    typ: String,
    kid: String,
}

/// The claims. Each is required, typed and present once, and no other is accepted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimsBody {
    iss: String,
    aud: String,
    sub: B64<AccountId>,
    dev: u8,
    reg: B64<RegistrationId>,
    sid: B64<SessionId>,
    r#gen: u32,
    exp: u64,
    nbf: u64,
    iat: u64,
}

/// The content of a valid token. Only the store knows whether its login is still live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The device.
    pub address: DeviceAddress,
    /// The login.
    pub session: SessionId,
    /// The login's generation when the token was issued.
    pub generation: u32,
    /// When the token expires.
    pub expires_at: UnixMillis,
}

/// The token is invalid. There is deliberately no more detail, so that its presenter learns nothing from the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access token is not valid")]
pub struct InvalidToken;

/// Why the keys cannot be used, or a token could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// There is no key.
    #[error("there is no key to sign access tokens with")]
    NoKey,
    /// Two keys have the same id.
    #[error("two keys for access tokens have the same id")]
    DuplicateKey,
    /// Another provider of signatures was already installed in this process.
    #[error("another JWT provider is installed already")]
    Provider,
    /// The token could not be encoded.
    #[error("an access token could not be made")]
    Encode(#[source] jsonwebtoken::errors::Error),
}

/// Issues and checks access tokens.
pub struct Tokens {
    /// Replaced as a whole when the operator changes the keys.
    keys: RwLock<Arc<Keys>>,
    validation: Validation,
    issuer: String,
    audience: String,
}

/// The keys in force.
struct Keys {
    signing_header: Header,
    signing: EncodingKey,
    /// The fixed map of keys. A `kid` is an index into it and nothing else.
    verifying: BTreeMap<String, DecodingKey>,
}

impl Keys {
    fn new(keys: &[TokenKey]) -> Result<Self, TokensError> {
        let newest = keys.last().ok_or(TokensError::NoKey)?;
        let mut verifying = BTreeMap::new();
        for key in keys {
            if verifying.insert(key.id().as_str().to_owned(), key.decoding()).is_some() {
                return Err(TokensError::DuplicateKey);
            }
        }
        let mut signing_header = Header::new(Algorithm::EdDSA);
        signing_header.typ = Some(TYPE.to_owned());
        signing_header.kid = Some(newest.id().as_str().to_owned());
        Ok(Self { signing_header, signing: newest.encoding(), verifying })
    }
}

impl Tokens {
    /// Takes the keys, oldest first. The last one signs and all of them verify, so that keys change without logging
    /// anyone out.
    ///
    /// # Errors
    /// [`TokensError`] if there is no key, or two have the same id.
    pub fn new(keys: &[TokenKey], server: ServerId) -> Result<Self, TokensError> {
        provider::install().map_err(|provider::AnotherProvider| TokensError::Provider)?;
        let keys = RwLock::new(Arc::new(Keys::new(keys)?));
        let issuer = format!("urn:sealpost:server:{server}");
        let audience = format!("{issuer}:api");
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[&audience]);
        // The library would use the machine's clock; `check` uses the injected one.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self { keys, validation, issuer, audience })
    }

    /// Replaces the keys; the last one signs. Returns whether the set or the signing key has changed.
    ///
    /// # Errors
    /// [`TokensError`]; the previous keys then stay.
    pub fn replace(&self, keys: &[TokenKey]) -> Result<bool, TokensError> {
        let fresh = Arc::new(Keys::new(keys)?);
        let former = std::mem::replace(&mut *self.keys.write(), Arc::clone(&fresh));
        let same_keys = former.verifying.keys().eq(fresh.verifying.keys());
        Ok(!same_keys || former.signing_header.kid != fresh.signing_header.kid)
    }

    /// Returns the present keys, unaffected by later changes.
    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read())
    }

    /// Issues a token for a login, valid for ten minutes.
    ///
    /// # Errors
    /// [`TokensError::Encode`], which no input causes.
    pub fn issue(
        &self,
        now: UnixMillis,
        address: &DeviceAddress,
        session: SessionId,
        generation: u32,
    ) -> Result<AccessToken, TokensError> {
        let seconds = now.0 / 1_000;
        let claims = ClaimsBody {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: B64(address.account),
            dev: address.device.get(),
            reg: B64(address.registration),
            sid: B64(session),
            r#gen: generation,
            exp: seconds.saturating_add(ACCESS_TOKEN_SECONDS),
            nbf: seconds,
            iat: seconds,
        };
        let keys = self.keys();
        jsonwebtoken::encode(&keys.signing_header, &claims, &keys.signing)
            .map(AccessToken::new)
            .map_err(TokensError::Encode)
    }

    /// Checks a token and returns its content.
    ///
    /// # Errors
    /// [`InvalidToken`] for every reason alike. The cost is bounded by 2 KiB and one signature check.
    pub fn check(&self, now: UnixMillis, token: &str) -> Result<Claims, InvalidToken> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(InvalidToken);
        }
        let header = token.split('.').next().ok_or(InvalidToken)?;
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| InvalidToken)?;
        let header: StrictHeader = serde_json::from_slice(&header).map_err(|_| InvalidToken)?;
        if refuses(Countermeasure::TokenHeader, header.alg != ALGORITHM || header.typ != TYPE) {
            return Err(InvalidToken);
        }
        let keys = self.keys();
        let key = keys.verifying.get(&header.kid).ok_or(InvalidToken)?;
        let claims = jsonwebtoken::decode::<ClaimsBody>(token, key, &self.validation).map_err(|_| InvalidToken)?.claims;
        self.accept(now, &claims)
    }

    fn accept(&self, now: UnixMillis, claims: &ClaimsBody) -> Result<Claims, InvalidToken> {
        let seconds = now.0 / 1_000;
        let latest_start = seconds.saturating_add(LEEWAY_SECONDS);
        let timely = claims.nbf <= latest_start
            && claims.iat <= latest_start
            && claims.exp > seconds.saturating_sub(LEEWAY_SECONDS)
            // Only this server signs, so this fails only if an older version gave longer lifetimes.
            && claims.exp.saturating_sub(claims.iat) <= ACCESS_TOKEN_SECONDS;
        if !holds(Countermeasure::TokenTimes, timely) {
            return Err(InvalidToken);
        }
        if claims.iss != self.issuer || claims.aud != self.audience {
            return Err(InvalidToken);
        }
        let device = DeviceId::new(claims.dev).map_err(|_| InvalidToken)?;
        Ok(Claims {
            address: DeviceAddress { account: claims.sub.0, device, registration: claims.reg.0 },
            session: claims.sid.0,
            generation: claims.r#gen,
            expires_at: UnixMillis(claims.exp.saturating_mul(1_000)),
        })
    }
}

#[cfg(test)]
mod tests;
