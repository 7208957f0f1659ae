//! What reads and writes wait for, whatever the connection string says.

use std::time::Duration;

use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};

/// How long a write waits for a majority.
pub(super) const MAJORITY_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes reads and writes go to the primary, writes wait for the journals of a majority, and reads see nothing else.
pub(super) fn apply(options: &mut ClientOptions) {
    options.write_concern =
        Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(MAJORITY_TIMEOUT).build());
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
}
