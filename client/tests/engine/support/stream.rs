//! The model's stream: what a connected device is sent, and what becomes of what it sends.

use std::collections::BTreeSet;

use sealpost_api::frames::*;
use sealpost_api::ids::*;
use sealpost_api::password::AccessToken;
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::DeviceAddress;

use super::server::{Connection, Row, Server};

impl Server {
    /// Opens a stream; the frames to send and the connection it replaces.
    pub(crate) fn open(
        &mut self,
        now: u64,
        id: usize,
        bearer: &AccessToken,
    ) -> Result<(Vec<ServerFrame>, Option<usize>), u16> {
        let session = self.caller(now, Some(bearer)).map_err(|_| 401_u16)?;
        let address = session.address;
        let replaced = self.connections.iter().find(|(_, it)| it.address == address).map(|(id, _)| *id);
        if let Some(replaced) = replaced {
            self.connections.remove(&replaced);
        }
        let store = self.store.id;
        let device = self.device(address);
        device.epoch += 1;
        let welcome = Welcome {
            connection_epoch: ConnectionEpoch(device.epoch),
            key_epoch: KeyEpoch(device.key_epoch),
            store,
            node: "node".to_owned(),
            pending: device.queue.len() as u64,
            highest_number: MessageNumber(device.highest),
        };
        let connection = Connection { address, delivered: BTreeSet::new(), told_drained: false };
        self.connections.insert(id, connection);
        let mut frames = vec![ServerFrame::Welcome(welcome)];
        frames.extend(self.deliveries(id));
        Ok((frames, replaced))
    }

    /// What waits for a connection and was not delivered on it.
    pub(crate) fn deliveries(&mut self, id: usize) -> Vec<ServerFrame> {
        let Some(connection) = self.connections.get_mut(&id) else { return Vec::new() };
        if self.paused {
            return Vec::new();
        }
        let device = &self.store.devices[&connection.address];
        let mut frames = Vec::new();
        for (row, item) in &device.queue {
            if connection.delivered.insert(*row) {
                frames.push(ServerFrame::Deliver(Deliver {
                    id: RowId(*row),
                    from: item.from,
                    number: MessageNumber(item.number),
                    accepted_at: item.accepted_at,
                    ciphertext: item.ciphertext.clone(),
                }));
            }
        }
        if !std::mem::replace(&mut connection.told_drained, true) {
            frames.push(ServerFrame::Drained);
        }
        frames
    }

    /// Takes a frame; frames for its connection.
    pub(crate) fn frame(&mut self, now: u64, id: usize, frame: ClientFrame) -> Vec<ServerFrame> {
        let Some(connection) = self.connections.get_mut(&id) else { return Vec::new() };
        let address = connection.address;
        match frame {
            ClientFrame::Ack { ids } => {
                for row in ids {
                    assert!(connection.delivered.contains(&row.0), "an ack of a row that was not delivered");
                    self.store.devices.get_mut(&address).unwrap().queue.remove(&row.0);
                }
                Vec::new()
            }
            ClientFrame::Send(send) => vec![self.accept(now, address, &send)],
            ClientFrame::Auth { .. } => Vec::new(),
            ClientFrame::Ping { nonce } => vec![ServerFrame::Pong { nonce }],
        }
    }

    fn accept(&mut self, now: u64, from: DeviceAddress, send: &Send) -> ServerFrame {
        let number = send.number.0;
        let bytes = ClientFrame::Send(send.clone()).encode();
        let refused = |code, retry_after| {
            ServerFrame::Refused(Refused {
                number: send.number,
                code,
                missing: vec![],
                extra: vec![],
                stale: vec![],
                maybe_stored: false,
                retry_after,
            })
        };
        let sent = |accepted_at| ServerFrame::Sent(Sent { number: send.number, skipped: vec![], accepted_at });
        if let Some(earlier) = self.device(from).accepted.get(&number) {
            assert_eq!(*earlier, bytes, "number {number} was used for other bytes");
            return sent(0);
        }
        if let Some(code) = self.refuse_to.get(&send.to) {
            return refused(*code, 0);
        }
        if !self.refusals.is_empty() {
            let (code, retry_after) = self.refusals.remove(0);
            return refused(code, retry_after);
        }
        let Some(account) = self.by_id(send.to).cloned() else { return refused(ProblemCode::RecipientUnknown, 0) };
        let list = account.lists.last().unwrap();
        let listed: BTreeSet<_> = list.addresses().map(|it| (it.device, it.registration)).collect();
        let copied: BTreeSet<_> = send.copies.iter().map(|copy| (copy.device, copy.registration)).collect();
        let fits = match send.kind {
            SendKind::Message => listed == copied,
            SendKind::Device => copied.len() == 1 && copied.is_subset(&listed),
        };
        if !fits {
            return refused(ProblemCode::DevicesMismatch, 0);
        }
        for copy in &send.copies {
            let row = self.store.next_row;
            self.store.next_row += 1;
            let to = DeviceAddress { account: account.id, device: copy.device, registration: copy.registration };
            let item = Row { from, number, accepted_at: now, ciphertext: copy.ciphertext.clone() };
            self.device(to).queue.insert(row, item);
        }
        let device = self.device(from);
        device.highest = device.highest.max(number);
        device.accepted.insert(number, bytes);
        sent(now)
    }
}
