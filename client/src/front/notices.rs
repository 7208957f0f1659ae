//! Shows notices, and marks them afterwards: across a crash a notice may come twice, and none is skipped.

use super::client::Client;
use super::trouble::Trouble;
use crate::engine::{Notice, NoticeBody};

/// Notices that are read, shown and marked at a time: few enough to be held in memory with the longest texts.
const BATCH: usize = 64;

/// What was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// All notices.
    pub notices: u64,
    /// The messages among them.
    pub messages: u64,
}

impl Client {
    /// Shows what was not shown before, oldest first, and marks each batch after `show` has returned. Stops after `most`
    /// messages.
    ///
    /// # Errors
    /// What `show` returns; then the batch is not marked. [`Trouble::Driver`].
    pub async fn show_new<E: From<Trouble>>(
        &self,
        most: Option<u64>,
        mut show: impl AsyncFnMut(&[Notice]) -> Result<(), E>,
    ) -> Result<Shown, E> {
        let _turn = self.showing.lock().await;
        let mut shown = Shown::default();
        let mut mark = None;
        loop {
            let left = most.map(|most| most.saturating_sub(shown.messages));
            let wanted = if left == Some(0) { 0 } else { BATCH };
            if wanted == 0 && mark.is_none() {
                return Ok(shown);
            }
            // The last batch is marked in the transaction that reads the next.
            let mut notices = self
                .query(move |engine, context| {
                    if let Some(last) = mark {
                        engine.mark_printed(context, last)?;
                    }
                    engine.notices(context, 0, wanted)
                })
                .await?;
            if let Some(left) = left {
                keep_messages(&mut notices, left);
            }
            let Some(last) = notices.last() else { return Ok(shown) };
            mark = Some(last.position);
            show(&notices).await?;
            shown.notices += notices.len() as u64;
            shown.messages += notices.iter().filter(|notice| is_message(notice)).count() as u64;
        }
    }
}

/// Cuts a batch off after this number of messages.
fn keep_messages(notices: &mut Vec<Notice>, most: u64) {
    let mut left = most;
    let end = notices.iter().position(|notice| {
        let has_room = left > 0;
        left = left.saturating_sub(u64::from(is_message(notice)));
        !has_room
    });
    notices.truncate(end.unwrap_or(notices.len()));
}

const fn is_message(notice: &Notice) -> bool {
    matches!(notice.body, NoticeBody::Message(_))
}
