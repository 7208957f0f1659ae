//! Server frames to and from their bytes.

use bytes::Bytes;
use prost::Message as _;

use super::{
    ConnectionEpoch, Deliver, Expired, ExpiryReason, FrameError, KeyEpoch, MessageNumber, Missed, MissedReason,
    ProblemCode, Refused, RowId, Sent, ServerFrame, SkipReason, Skipped, StoreId, Welcome, account, address, decode,
    device, devices, encode_address, fixed, proto,
};
use crate::limits::COPIES_MAX;

impl ServerFrame {
    /// Decodes and checks one frame. Ciphertexts share the buffer.
    ///
    /// # Errors
    /// [`FrameError`]; a client treats the connection as broken then.
    pub fn decode(bytes: Bytes) -> Result<Self, FrameError> {
        use proto::server_frame::Frame;
        Ok(match decode::<proto::ServerFrame>(bytes)?.frame.ok_or(FrameError::Undecodable)? {
            Frame::Welcome(welcome) => Self::Welcome(Welcome {
                connection_epoch: ConnectionEpoch(welcome.connection_epoch),
                key_epoch: KeyEpoch(welcome.key_epoch),
                store: StoreId::from_bytes(fixed(&welcome.store, "welcome.store")?),
                node: welcome.node,
                pending: welcome.pending,
                highest_number: MessageNumber(welcome.highest_number),
            }),
            Frame::Deliver(deliver) => Self::Deliver(Deliver {
                id: RowId(deliver.id),
                from: address(deliver.from.as_ref(), "deliver.from")?,
                number: MessageNumber(deliver.number),
                accepted_at: deliver.accepted_at,
                ciphertext: deliver.ciphertext,
            }),
            Frame::Drained(proto::Drained {}) => Self::Drained,
            Frame::Sent(sent) => Self::Sent(decode_sent(&sent)?),
            Frame::Refused(refused) => Self::Refused(Refused {
                number: MessageNumber(refused.number),
                code: ProblemCode::parse(&refused.code).ok_or(FrameError::Field("refused.code"))?,
                missing: devices(&refused.missing, "refused.missing")?,
                extra: devices(&refused.extra, "refused.extra")?,
                stale: devices(&refused.stale, "refused.stale")?,
                maybe_stored: refused.maybe_stored,
                retry_after: refused.retry_after,
            }),
            Frame::PrekeysLow(low) => Self::PrekeysLow { left: low.left },
            Frame::Expired(expired) => Self::Expired(Expired {
                reason: match expired.reason() {
                    proto::ExpiryReason::Expired => ExpiryReason::Expired,
                    proto::ExpiryReason::DeviceRemoved => ExpiryReason::DeviceRemoved,
                    proto::ExpiryReason::AccountDeleted => ExpiryReason::AccountDeleted,
                    proto::ExpiryReason::Unspecified => return Err(FrameError::Field("expired.reason")),
                },
                id: RowId(expired.id),
                to: address(expired.to.as_ref(), "expired.to")?,
                numbers: expired.numbers.into_iter().map(MessageNumber).collect(),
            }),
            Frame::DeviceListChanged(changed) => Self::DeviceListChanged {
                account: account(&changed.account, "device_list_changed.account")?,
                version: changed.version,
            },
            Frame::Missed(missed) => Self::Missed(Missed {
                reason: match missed.reason() {
                    proto::MissedReason::QueueFull => MissedReason::QueueFull,
                    proto::MissedReason::Dormant => MissedReason::Dormant,
                    proto::MissedReason::Expired => MissedReason::Expired,
                    proto::MissedReason::Unspecified => return Err(FrameError::Field("missed.reason")),
                },
                id: RowId(missed.id),
                from: address(missed.from.as_ref(), "missed.from")?,
                count: missed.count,
            }),
            Frame::Pong(pong) => Self::Pong { nonce: pong.nonce },
            Frame::Error(error) => Self::Error {
                code: ProblemCode::parse(&error.code).ok_or(FrameError::Field("error.code"))?,
                detail: error.detail,
                close: error.close,
            },
        })
    }

    /// Returns the frame's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        use proto::server_frame::Frame;
        let frame = match self {
            Self::Welcome(welcome) => Frame::Welcome(proto::Welcome {
                connection_epoch: welcome.connection_epoch.0,
                key_epoch: welcome.key_epoch.0,
                store: Bytes::copy_from_slice(welcome.store.as_bytes()),
                node: welcome.node.clone(),
                pending: welcome.pending,
                highest_number: welcome.highest_number.0,
            }),
            Self::Deliver(deliver) => Frame::Deliver(proto::Deliver {
                id: deliver.id.0,
                from: Some(encode_address(&deliver.from)),
                number: deliver.number.0,
                accepted_at: deliver.accepted_at,
                ciphertext: deliver.ciphertext.clone(),
            }),
            Self::Drained => Frame::Drained(proto::Drained {}),
            Self::Sent(sent) => Frame::Sent(encode_sent(sent)),
            Self::Refused(refused) => Frame::Refused(proto::Refused {
                number: refused.number.0,
                code: refused.code.as_str().to_owned(),
                missing: refused.missing.iter().map(|id| u32::from(id.get())).collect(),
                extra: refused.extra.iter().map(|id| u32::from(id.get())).collect(),
                stale: refused.stale.iter().map(|id| u32::from(id.get())).collect(),
                maybe_stored: refused.maybe_stored,
                retry_after: refused.retry_after,
            }),
            Self::PrekeysLow { left } => Frame::PrekeysLow(proto::PrekeysLow { left: *left }),
            Self::Expired(expired) => Frame::Expired(proto::Expired {
                id: expired.id.0,
                to: Some(encode_address(&expired.to)),
                numbers: expired.numbers.iter().map(|number| number.0).collect(),
                reason: match expired.reason {
                    ExpiryReason::Expired => proto::ExpiryReason::Expired,
                    ExpiryReason::DeviceRemoved => proto::ExpiryReason::DeviceRemoved,
                    ExpiryReason::AccountDeleted => proto::ExpiryReason::AccountDeleted,
                }
                .into(),
            }),
            Self::DeviceListChanged { account, version } => Frame::DeviceListChanged(proto::DeviceListChanged {
                account: Bytes::copy_from_slice(account.as_bytes()),
                version: *version,
            }),
            Self::Missed(missed) => Frame::Missed(proto::Missed {
                id: missed.id.0,
                from: Some(encode_address(&missed.from)),
                count: missed.count,
                reason: match missed.reason {
                    MissedReason::QueueFull => proto::MissedReason::QueueFull,
                    MissedReason::Dormant => proto::MissedReason::Dormant,
                    MissedReason::Expired => proto::MissedReason::Expired,
                }
                .into(),
            }),
            Self::Pong { nonce } => Frame::Pong(proto::Pong { nonce: *nonce }),
            Self::Error { code, detail, close } => {
                Frame::Error(proto::Error { code: code.as_str().to_owned(), detail: detail.clone(), close: *close })
            }
        };
        proto::ServerFrame { frame: Some(frame) }.encode_to_vec().into()
    }
}

fn decode_sent(sent: &proto::Sent) -> Result<Sent, FrameError> {
    if sent.skipped.len() > COPIES_MAX {
        return Err(FrameError::Field("sent.skipped"));
    }
    let skipped = sent
        .skipped
        .iter()
        .map(|skipped| {
            Ok(Skipped {
                device: device(skipped.device, "skipped.device")?,
                reason: match skipped.reason() {
                    proto::SkipReason::QueueFull => SkipReason::QueueFull,
                    proto::SkipReason::Dormant => SkipReason::Dormant,
                    proto::SkipReason::Unspecified => return Err(FrameError::Field("skipped.reason")),
                },
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Sent { number: MessageNumber(sent.number), skipped, accepted_at: sent.accepted_at })
}

fn encode_sent(sent: &Sent) -> proto::Sent {
    proto::Sent {
        number: sent.number.0,
        skipped: sent
            .skipped
            .iter()
            .map(|skipped| proto::Skipped {
                device: u32::from(skipped.device.get()),
                reason: match skipped.reason {
                    SkipReason::QueueFull => proto::SkipReason::QueueFull,
                    SkipReason::Dormant => proto::SkipReason::Dormant,
                }
                .into(),
            })
            .collect(),
        accepted_at: sent.accepted_at,
    }
}
