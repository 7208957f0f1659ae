//! A bot that answers each message: `bot URL CA-FILE NAME PASSWORD FOLDER`. The first run makes its account.

use std::{env, fs, path::PathBuf, time::Duration};

use sealpost_api::{password::Password, username::Username};
use sealpost_client::driver::{Driver, SystemClock};
use sealpost_client::engine::{Command, NoticeBody};
use sealpost_client::front::{Client, Limit, Reached, Trouble, pin::KnownServer};
use sealpost_client::native::{BaseUrl, ServerTrust};
use sealpost_client::vault::{Vault, VaultKeySource};

/// Gives up when somebody presses Ctrl-C.
struct CtrlC;

impl Limit for CtrlC {
    async fn reached(&self) -> Reached {
        let _ = tokio::signal::ctrl_c().await;
        Reached::Stopped
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, ca, name, password, folder] = arguments.as_slice() else { return Err("five arguments".into()) };
    let (username, password) = (Username::parse(name)?, Password::new(password.clone()));
    let (file, key) = (PathBuf::from(folder).join("vault.db"), VaultKeySource::Passphrase(name.clone().into()));
    let vault = if file.exists() { Vault::open(&file, &key)? } else { Vault::create(&file, &key)? };
    let authority = ServerTrust::from_pem(&fs::read(ca)?)?.into();
    let server = KnownServer { url: url.parse::<BaseUrl>()?.to_string(), authority }.server()?;

    let client = Client::new(Driver::start(vault, Some(server), Box::new(SystemClock))?, Some(password.clone()));
    if client.account().await?.is_none() {
        client.command(&CtrlC, Command::Register { username, password, invite: None }).await?;
    }
    let mut events = client.events();
    client.go_online(&CtrlC).await?;
    while let Ok(Some(_)) = CtrlC.within(events.recv()).await {
        // A notice counts as shown once its answer is in the outbox.
        let answer = async |notices: &[_]| {
            for notice in notices.iter().map(|notice: &sealpost_client::engine::Notice| &notice.body) {
                let NoticeBody::Message(message) = notice else { continue };
                let Ok(to) = Username::parse(&message.peer) else { continue };
                client.hand_over(None, to, format!("You wrote: {}", message.text))?.taken().await;
            }
            Ok::<(), Trouble>(())
        };
        client.show_new(None, answer).await?;
    }
    client.stop().await;
    Ok(())
}
