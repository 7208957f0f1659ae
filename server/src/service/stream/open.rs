//! The beginning and end of a stream: authentication, a place in the hub, a durable epoch, and at the end the time the
//! device was last seen.

use sealpost_api::frames::{ClientFrame, ServerFrame, Welcome};
use sealpost_api::limits::ONE_TIME_PREKEYS_LOW;
use sealpost_api::password::AccessToken;
use sealpost_api::problem::ProblemCode;

use super::driver::{Driver, Opened};
use super::{Incoming, Reader, Writer};
use crate::relay::Hint;
use crate::service::hub::{CloseReason, RegisterError};
use crate::service::limiter::{LimitKey, LimitName};
use crate::service::{Caller, Services};
use crate::store::{OpenConnection, StoreError};

impl Services {
    /// Runs a stream to its end. Without a `caller` the first frame must be `Auth`.
    pub async fn run_stream<R: Reader, W: Writer>(&self, caller: Option<Caller>, mut reader: R, mut writer: W) {
        let caller = match caller {
            Some(caller) => Ok(caller),
            None => self.await_auth(&mut reader).await,
        };
        let reason = match caller {
            Ok(caller) => self.open_and_drive(caller, &mut reader, &mut writer).await,
            Err(reason) => reason,
        };
        self.core().metrics.stream_closed(reason);
        tracing::debug!(reason = reason.as_str(), "a stream ended");
        writer.close(reason).await;
    }

    async fn await_auth<R: Reader>(&self, reader: &mut R) -> Result<Caller, CloseReason> {
        let first = tokio::time::timeout(self.core().settings.stream.auth_timeout, first_frame(reader));
        let token = first.await.map_err(|_| CloseReason::Unauthenticated)??;
        self.authenticate(token.reveal()).await.map_err(|_| CloseReason::Unauthenticated)
    }

    async fn open_and_drive<R: Reader, W: Writer>(
        &self,
        caller: Caller,
        reader: &mut R,
        writer: &mut W,
    ) -> CloseReason {
        let core = self.core();
        let limit = (LimitName::ConnectDevice, LimitKey::Device(caller.address));
        if core.limiter.take(core.clock.now(), limit.0, limit.1).is_err() {
            core.metrics.limited(limit.0);
            writer.frame(&error(ProblemCode::RateLimited, true).encode());
            return CloseReason::TryLater;
        }
        // The place in the hub comes before the epoch, so that the end of a login in between is noticed.
        let registration = match core.hub.register(caller.address, caller.session) {
            Ok(registration) => registration,
            Err(RegisterError::Stopping) => return CloseReason::Stopping,
            Err(RegisterError::TooMany) => {
                writer.frame(&error(ProblemCode::TooManyConnections, true).encode());
                return CloseReason::TryLater;
            }
        };
        let opened =
            core.store.open_connection(caller.address, caller.session, caller.generation, core.clock.now()).await;
        let (epoch, welcome, one_time_left) = match opened {
            Ok(OpenConnection::Opened { epoch, key_epoch, pending, highest_number, one_time_left }) => {
                let welcome = Welcome {
                    connection_epoch: epoch,
                    key_epoch,
                    store: core.store.store_id(),
                    node: core.settings.stream.node.clone(),
                    pending,
                    highest_number,
                };
                (epoch, welcome, one_time_left)
            }
            Ok(OpenConnection::Refused) => return CloseReason::SessionEnded,
            Err(StoreError::Busy | StoreError::DiskFull | StoreError::Unavailable(_)) => return CloseReason::TryLater,
            Err(_) => return CloseReason::Internal,
        };
        registration.activate(epoch);
        core.relay.publish(Hint::Connected(caller.address));
        core.metrics.stream_opened();
        writer.frame(&ServerFrame::Welcome(welcome).encode());
        if usize::try_from(one_time_left).is_ok_and(|left| left < ONE_TIME_PREKEYS_LOW) {
            writer.frame(&ServerFrame::PrekeysLow { left: one_time_left }.encode());
        }
        let address = caller.address;
        let opened = Opened { caller, epoch, registration };
        let reason = Driver::new(self.clone(), opened, reader, writer).run().await;
        if let Err(error) = core.store.device_seen(address, core.clock.now()).await {
            tracing::debug!(%error, "a device's last sight was not noted");
        }
        reason
    }
}

async fn first_frame<R: Reader>(reader: &mut R) -> Result<AccessToken, CloseReason> {
    loop {
        match reader.next().await {
            Incoming::Frame(bytes) => {
                return match ClientFrame::decode(bytes) {
                    Ok(ClientFrame::Auth { token }) => Ok(token),
                    Ok(_) => Err(CloseReason::Unauthenticated),
                    Err(_) => Err(CloseReason::Protocol),
                };
            }
            Incoming::Alive => {}
            Incoming::Violation(reason) => return Err(reason),
            Incoming::Gone => return Err(CloseReason::Gone),
        }
    }
}

/// Creates an error frame with the problem table's text.
pub(super) fn error(code: ProblemCode, close: bool) -> ServerFrame {
    ServerFrame::Error { code, detail: code.title().to_owned(), close }
}
