//! Ratchet sessions: read from the vault when first needed, and written back with every step.

use sealpost_crypto::{DeviceAddress, LocalDevice, PairSessions};

use super::state::Me;
use super::{Context, Engine, EngineError};
use crate::vault::Table;

/// Sessions kept in memory. Beyond it all are read anew when needed, which costs some microseconds each.
const CACHED_MAX: usize = 256;

impl Me {
    /// This device, as a session sees it.
    pub(super) fn local(&self) -> LocalDevice<'_> {
        LocalDevice {
            address: self.address,
            account_identity: self.list.account_identity(),
            identity: &self.identity,
            device_list: &self.list,
        }
    }
}

impl Engine {
    /// The sessions with a device, if there are any.
    pub(super) fn pair(
        &mut self,
        context: &mut Context<'_>,
        address: DeviceAddress,
    ) -> Result<Option<&mut PairSessions>, EngineError> {
        if !self.sessions.contains_key(&address)
            && let Some(bytes) = context.vault.get(Table::Session, &address.to_bytes())?
        {
            let pair = PairSessions::from_bytes(&bytes).map_err(|_| EngineError::Record { what: "a session" })?;
            if pair.remote().address != address {
                return Err(EngineError::Record { what: "a session" });
            }
            self.put_pair(address, pair);
        }
        Ok(self.sessions.get_mut(&address))
    }

    /// Keeps sessions in memory; [`save_pair`](Self::save_pair) writes them.
    pub(super) fn put_pair(&mut self, address: DeviceAddress, pair: PairSessions) {
        if self.sessions.len() >= CACHED_MAX {
            self.sessions.clear();
        }
        self.sessions.insert(address, pair);
    }

    pub(super) fn save_pair(&mut self, context: &mut Context<'_>, address: DeviceAddress) -> Result<(), EngineError> {
        if let Some(pair) = self.sessions.get(&address) {
            context.vault.put(Table::Session, &address.to_bytes(), &pair.to_bytes())?;
        }
        Ok(())
    }
}

/// The devices that there are sessions with.
pub(super) fn session_addresses(context: &mut Context<'_>) -> Result<Vec<DeviceAddress>, EngineError> {
    context
        .vault
        .entries(Table::Session)?
        .into_iter()
        .map(|(key, _)| {
            let bytes = key.as_slice().try_into().ok();
            bytes
                .and_then(|bytes| DeviceAddress::from_bytes(bytes).ok())
                .ok_or(EngineError::Record { what: "a session" })
        })
        .collect()
}
