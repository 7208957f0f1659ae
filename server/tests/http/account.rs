//! People with real keys, and the calls that they make of the server under test.

use sealpost_api::accounts::{NewIdentityRequest, RegisterRequest};
use sealpost_api::encoding::RefreshToken;
use sealpost_api::ids::ServerId;
use sealpost_api::password::Password;
use sealpost_api::sessions::SessionGrant;
pub(crate) use sealpost_harness::people::{Account, Device, one_time_prekeys, path_id, publish_request};

use crate::server::{Reply, TestServer};

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

pub(crate) fn server_id(server: &TestServer) -> ServerId {
    server.services.core().store.server_id()
}

/// What a device asks of the server.
pub(crate) trait DeviceCalls {
    /// Refreshes as a client does, and keeps what it got.
    async fn refresh(&mut self, server: &TestServer);
    /// Logs in with a new session, and keeps what it got.
    async fn log_in(&mut self, server: &TestServer, username: &str, password: &str) -> Reply;
}

impl DeviceCalls for Device {
    async fn refresh(&mut self, server: &TestServer) {
        let next = RefreshToken::from_bytes(rand::random());
        let request = self.refresh_request(server_id(server), &self.refresh, next.hash());
        let grant: SessionGrant = server.post("/v1/sessions/refresh", "", &request).await.json();
        self.refresh = next;
        self.access = grant.access_token.reveal().to_owned();
    }

    async fn log_in(&mut self, server: &TestServer, username: &str, password: &str) -> Reply {
        self.renew_session();
        let request = self.login_request(server_id(server), username, password);
        let reply = server.post("/v1/sessions", "", &request).await;
        if reply.status == 200 {
            self.access = reply.json::<SessionGrant>().access_token.reveal().to_owned();
        }
        reply
    }
}

/// What a person asks of the server.
pub(crate) trait AccountCalls: Sized {
    /// Registers, and keeps the access token.
    async fn register(server: &TestServer, name: &str) -> Self;
    fn register_request(&self, server: &TestServer) -> RegisterRequest;
    /// Adds a second device, logged in, by a newly signed list.
    async fn add_device(&mut self, server: &TestServer, number: u8) -> Device;
    fn new_identity_request(&self, server: &TestServer) -> NewIdentityRequest;
}

impl AccountCalls for Account {
    async fn register(server: &TestServer, name: &str) -> Self {
        let mut account = Self::new(name);
        let request = account.register_request(server);
        let grant: SessionGrant = server.post("/v1/accounts", "", &request).await.json();
        account.device.access = grant.access_token.reveal().to_owned();
        account
    }

    fn register_request(&self, server: &TestServer) -> RegisterRequest {
        self.registration((server_id(server), server.now()), PASSWORD, 1..=30)
    }

    async fn add_device(&mut self, server: &TestServer, number: u8) -> Device {
        let mut device = Device::new(self.id(), number);
        let next = self.next_list(&[&self.device, &device]);
        let request = publish_request(&next, vec![device.prekeys(1..=10, server.now())]);
        assert_eq!(server.put("/v1/account/devices", &self.device.access, &request).await.status, 200);
        self.list = next;
        assert_eq!(device.log_in(server, &self.name, PASSWORD).await.status, 200);
        device
    }

    fn new_identity_request(&self, server: &TestServer) -> NewIdentityRequest {
        self.renewal((server_id(server), server.now()), PASSWORD, 1..=5)
    }
}
