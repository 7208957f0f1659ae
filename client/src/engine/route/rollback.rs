//! A vault that was found to be rolled back when it was opened.

use super::facts::settle;
use super::life::retire_ratchets;
use crate::engine::error::EngineError;
use crate::engine::fact::Notable;
use crate::engine::parts::Parts;
use crate::engine::step::Step;

/// Retires the ratchets, and remembers the roll-back until the server says which numbers were used meanwhile.
pub(crate) fn vault_rolled_back(parts: &mut Parts, step: &mut Step<'_>) -> Result<(), EngineError> {
    if !parts.outbox.is_rolled_back() {
        step.note(Notable::RolledBack);
        settle(parts, step)?;
    }
    if parts.account.me().is_some() {
        retire_ratchets(parts, step)?;
        parts.outbox.mark_rolled_back();
    }
    settle(parts, step)
}
