//! A client whose server is not there.

use std::time::Duration;

use sealpost_api::username::Username;

use super::{Client, Delivery, Limit, Outbox, Reached, Settled, Shown, Trouble};
use crate::driver::DriverError;
use crate::driver::tests::registered;
use crate::engine::{CommandError, Event};

/// Gives up after this time.
struct After(Duration);

impl Limit for After {
    async fn reached(&self) -> Reached {
        tokio::time::sleep(self.0).await;
        Reached::TimeUp
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// More than any of these tests waits for, however busy the machine is.
const PATIENT: After = After(Duration::from_secs(60));

fn bobby() -> Username {
    Username::parse("bobby").unwrap()
}

async fn nothing_settled(settled: Settled) -> Result<(), Trouble> {
    panic!("{settled:?}")
}

#[tokio::test]
async fn a_message_whose_server_is_away_is_kept_and_the_reason_is_told() {
    let (_folder, driver) = registered();
    let client = Client::new(driver, None);
    let mut outbox = Outbox::watch(&client);
    let sending = client.hand_over(None, bobby(), "kept".to_owned()).unwrap();
    let delivery = client.deliver(&PATIENT, sending, Some(&mut outbox), nothing_settled).await.unwrap();
    let Delivery::Kept { message_id, why } = delivery else { panic!("{delivery:?}") };
    let unreachable = DriverError::Command(CommandError::Unreachable);
    assert!(matches!(why, Trouble::Driver { error, .. } if error == unreachable));
    let kept = client.query(|engine, _| Ok(engine.outbox())).await.unwrap();
    assert_eq!(kept.iter().map(|entry| entry.message_id).collect::<Vec<_>>(), [message_id]);
    client.flush(&PATIENT, nothing_settled).await.unwrap();
    client.stop().await;
}

#[tokio::test]
async fn a_message_to_oneself_is_not_kept() {
    let (_folder, driver) = registered();
    let client = Client::new(driver, None);
    let sending = client.hand_over(None, Username::parse("alice").unwrap(), "hello me".to_owned()).unwrap();
    let delivery = client.deliver(&PATIENT, sending, None, nothing_settled).await.unwrap();
    assert!(matches!(delivery, Delivery::Failed(Trouble::Driver { .. })), "{delivery:?}");
    client.stop().await;
}

#[tokio::test]
async fn what_becomes_of_a_kept_message_is_told_once() {
    let (_folder, driver) = registered();
    let client = Client::new(driver, None);
    let sending = client.hand_over(None, bobby(), "kept".to_owned()).unwrap();
    let delivery = client.deliver(&PATIENT, sending, None, nothing_settled).await.unwrap();
    let Delivery::Kept { message_id, .. } = delivery else { panic!("{delivery:?}") };
    let code = sealpost_api::problem::ProblemCode::RecipientUnknown;
    let refused = Event::Refused { id: None, to: bobby(), message_id, code };
    assert_eq!(client.settled(&refused), Some(Settled::Refused { to: bobby(), message_id, code }));
    assert_eq!(client.settled(&refused), None);
    client.stop().await;
}

#[tokio::test]
async fn with_nothing_to_show_nothing_is_shown() {
    let (_folder, driver) = registered();
    let client = Client::new(driver, None);
    let shown = client.show_new(None, async |notices| panic!("{notices:?}")).await;
    assert_eq!(shown, Ok::<_, Trouble>(Shown::default()));
    client.stop().await;
}
