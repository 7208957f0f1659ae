//! Client frames to and from their bytes.

use bytes::Bytes;
use prost::Message as _;

use super::{
    AccessToken, COPIES_MAX, ClientFrame, Copy, FrameError, MessageNumber, Send, SendKind, account, decode, device,
    proto, registration, row_ids,
};

impl ClientFrame {
    /// Decodes and checks one frame. Ciphertexts share the buffer.
    ///
    /// # Errors
    /// [`FrameError`]; no part of the frame may be used then.
    pub fn decode(bytes: Bytes) -> Result<Self, FrameError> {
        use proto::client_frame::Frame;
        match decode::<proto::ClientFrame>(bytes)?.frame.ok_or(FrameError::Undecodable)? {
            Frame::Auth(auth) => Ok(Self::Auth { token: AccessToken::new(auth.token) }),
            Frame::Send(send) => decode_send(send).map(Self::Send),
            Frame::Ack(ack) => Ok(Self::Ack { ids: row_ids(ack.ids)? }),
            Frame::Ping(ping) => Ok(Self::Ping { nonce: ping.nonce }),
        }
    }

    /// Returns the frame's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        use proto::client_frame::Frame;
        let frame = match self {
            Self::Auth { token } => Frame::Auth(proto::Auth { token: token.reveal().to_owned() }),
            Self::Send(send) => Frame::Send(proto::Send {
                number: send.number.0,
                to_account: Bytes::copy_from_slice(send.to.as_bytes()),
                kind: match send.kind {
                    SendKind::Message => proto::SendKind::Message,
                    SendKind::Device => proto::SendKind::Device,
                }
                .into(),
                copies: send.copies.iter().map(encode_copy).collect(),
            }),
            Self::Ack { ids } => Frame::Ack(proto::Ack { ids: ids.iter().map(|id| id.0).collect() }),
            Self::Ping { nonce } => Frame::Ping(proto::Ping { nonce: *nonce }),
        };
        proto::ClientFrame { frame: Some(frame) }.encode_to_vec().into()
    }
}

fn decode_send(send: proto::Send) -> Result<Send, FrameError> {
    let kind = match send.kind() {
        proto::SendKind::Message => SendKind::Message,
        proto::SendKind::Device => SendKind::Device,
        proto::SendKind::Unspecified => return Err(FrameError::Field("send.kind")),
    };
    if send.copies.len() > COPIES_MAX {
        return Err(FrameError::Field("send.copies"));
    }
    let mut copies: Vec<Copy> = Vec::with_capacity(send.copies.len());
    for copy in send.copies {
        let device = device(copy.device, "copy.device")?;
        if copies.iter().any(|other| other.device == device) {
            return Err(FrameError::Field("send.copies"));
        }
        copies.push(Copy {
            device,
            registration: registration(&copy.registration, "copy.registration")?,
            ciphertext: copy.ciphertext,
        });
    }
    Ok(Send { number: MessageNumber(send.number), to: account(&send.to_account, "send.to_account")?, kind, copies })
}

fn encode_copy(copy: &Copy) -> proto::Copy {
    proto::Copy {
        device: u32::from(copy.device.get()),
        registration: Bytes::copy_from_slice(copy.registration.as_bytes()),
        ciphertext: copy.ciphertext.clone(),
    }
}
