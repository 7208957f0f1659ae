//! How the sessions with a device are stored: by its address, in the crypto crate's own form.

use sealpost_crypto::{DeviceAddress, PairSessions};
use zeroize::Zeroizing;

use crate::engine::error::EngineError;
use crate::engine::store::Row;
use crate::vault::Table;

impl Row for PairSessions {
    type Key = DeviceAddress;
    const TABLE: Table = Table::Session;
    const WHAT: &'static str = "a session";

    fn key_bytes(key: &DeviceAddress) -> Vec<u8> {
        key.to_bytes().to_vec()
    }

    fn parse_key(bytes: &[u8]) -> Option<DeviceAddress> {
        DeviceAddress::from_bytes(bytes.try_into().ok()?).ok()
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EngineError> {
        Ok(self.to_bytes())
    }

    fn decode(key: &DeviceAddress, bytes: &[u8]) -> Result<Self, EngineError> {
        let pair = Self::from_bytes(bytes).ok().filter(|pair| pair.remote().address == *key);
        pair.ok_or(EngineError::Record { what: Self::WHAT })
    }
}
