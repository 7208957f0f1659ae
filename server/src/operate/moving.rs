//! `sealpost-server move`: copies everything from one kind of store to the other, verifies it, and can be resumed after
//! a crash.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use sealpost_api::ids::StoreId;
use sealpost_api::username::Username;
use sealpost_crypto::AccountId;
use serde::Serialize;

use crate::domain::clock::{Clock as _, Random as _, SystemClock, SystemRandom};
use crate::operate::secrets::read_retired_names_key;
use crate::service::{RetiredNamesKey, retired_name};
use crate::store::factory::{Location, transfer_source, transfer_target};
use crate::store::transfer::{Counts, Digest, MovePlan, MovedAccount, Totals, TransferSource, TransferTarget};

mod args;

use args::MoveAddress;
pub use args::MoveArgs;

/// The accounts that are read at once. Progress is recorded after each batch.
const ACCOUNTS_AT_ONCE: usize = 32;
/// The messages that are read at once; at most twice as many are written. The largest take 12 MiB.
const MESSAGES_AT_ONCE: usize = 64;

/// The output, one object a line with `--json`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Said<'a> {
    /// The move continues.
    Progress { accounts: u64, of: u64, messages: u64 },
    /// Both stores have the same content.
    Verified { counts: &'a Counts, sha256: &'a str },
    /// The move is complete.
    Moved {
        /// The target's id.
        store: String,
        /// One-time prekeys, which stay behind.
        one_time_prekeys: u64,
        /// Messages of devices that had just left their lists. They stay behind, and their senders have notices.
        messages_of_removed_devices: u64,
    },
}

/// Moves everything, and prints the progress.
///
/// # Errors
/// An error for the operator if the move cannot start or continue. The next run resumes it.
pub fn run(args: &MoveArgs) -> Result<()> {
    let from = Location::from(MoveAddress::of(args.from.as_ref(), args.from_file.as_deref())?);
    let to = Location::from(MoveAddress::of(args.to.as_ref(), args.to_file.as_deref())?);
    let folder = match (&from, &to) {
        (Location::Folder(folder), Location::Server(_)) => folder,
        (Location::Server(_), Location::Folder(folder)) => folder,
        (Location::Folder(_), _) => bail!(
            "both stores are embedded; use `sealpost-server backup` and `restore`, or copy the folder of a stopped server"
        ),
        (Location::Server(_), _) => bail!("both stores are on MongoDB; use mongodump and mongorestore"),
    };
    if matches!(from, Location::Server(_)) && !args.source_is_stopped {
        bail!("stop every node of the source, then say --source-is-stopped: what is sent meanwhile would be lost");
    }
    let secrets = args.secrets.as_ref().unwrap_or(folder);
    let names = Names { key: read_key(secrets)?, folder: secrets.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("no runtime could be made")?.block_on(async {
        let now = SystemClock.now();
        let source = transfer_source(&from, now).await.context("the source cannot be read")?;
        let target = transfer_target(&to, now).await.context("the target cannot be used")?;
        let target = target.with_context(|| {
            format!("{} has a database already; a move needs a folder without one", folder.display())
        })?;
        Move { source, target, names, json: args.json }.run().await
    })
}

fn read_key(folder: &Path) -> Result<RetiredNamesKey> {
    read_retired_names_key(folder).with_context(|| {
        format!(
            "the key of retired names cannot be read; without it the names of deleted accounts would be free again. Copy \
             retired_names.key of the server's data folder (or secrets) into {}, or name its folder with --secrets",
            folder.display()
        )
    })
}

/// The keyed hashes of names.
struct Names {
    key: RetiredNamesKey,
    folder: PathBuf,
}

impl Names {
    fn hash(&self, name: &Username) -> Result<[u8; 32]> {
        retired_name(&self.key, name).map_err(|_| anyhow::anyhow!("a name could not be hashed"))
    }

    /// Sets the key. If the source has one, it must be the same, because the target would otherwise keep names under
    /// another key.
    fn apply(&self, account: &mut MovedAccount) -> Result<()> {
        let hash = self.hash(&account.username)?;
        if account.name_hash.is_some_and(|found| found != hash) {
            bail!(
                "retired_names.key in {} is not the key that the source was served with; take the nodes' own",
                self.folder.display()
            );
        }
        account.name_hash = Some(hash);
        Ok(())
    }
}

struct Move {
    source: Box<dyn TransferSource>,
    target: Box<dyn TransferTarget>,
    names: Names,
    json: bool,
}

impl Move {
    async fn run(mut self) -> Result<()> {
        let (server, from) = self.source.ids().await.context("the source cannot be read")?;
        let totals = self.source.totals().await.context("the source cannot be read")?;
        let plan = MovePlan { server, from, to: draw(), at: SystemClock.now() };
        let begun = self.target.begin(plan).await?;
        self.copy(&begun.plan, begun.after, totals).await?;
        self.say(&Said::Progress { accounts: totals.accounts, of: totals.accounts, messages: totals.messages })?;
        let step = begun.plan.epoch_step();
        let (there, left) = read(&mut *self.source, step).await.context("the source cannot be read")?;
        let (here, _) = read(&mut *self.target, 0).await.context("the target cannot be read")?;
        if there.counts != here.counts || there.hash() != here.hash() {
            bail!(
                "the target does not hold what the source does ({:?} and {:?}); drop the target and try again, and say so to \
                 the maintainers of this program",
                here.counts,
                there.counts
            );
        }
        if let Some(finding) = self.target.findings().await?.first() {
            bail!("the target holds what cannot be true: {finding}");
        }
        self.target.finish().await.context("the last step failed; run the same again")?;
        self.source
            .moved_away()
            .await
            .context("all is moved, but the source could not be marked; never start it again")?;
        self.say(&Said::Verified { counts: &here.counts, sha256: &here.hash() })?;
        self.say(&Said::Moved {
            store: begun.plan.to.to_string(),
            one_time_prekeys: left,
            messages_of_removed_devices: totals.messages.saturating_sub(here.counts.messages),
        })
    }

    /// Copies everything that is not in the target yet.
    async fn copy(&mut self, plan: &MovePlan, mut after: Option<AccountId>, totals: Totals) -> Result<()> {
        let mut copied = Totals::default();
        loop {
            let mut accounts =
                self.source.accounts(after, ACCOUNTS_AT_ONCE).await.context("the source cannot be read")?;
            let Some(last) = accounts.last().map(|account| account.id) else { break };
            for account in &mut accounts {
                self.names.apply(account)?;
                raise(account, plan.epoch_step());
            }
            self.target.put_accounts(&accounts).await.context("the target cannot be written")?;
            copied.messages = copied.messages.saturating_add(self.copy_queues(&accounts).await?);
            self.target.done(last).await.context("the target cannot be written")?;
            copied.accounts = copied.accounts.saturating_add(u64::try_from(accounts.len()).unwrap_or(u64::MAX));
            after = Some(last);
            self.say(&Said::Progress { accounts: copied.accounts, of: totals.accounts, messages: copied.messages })?;
        }
        self.target.put_retired_names(&self.source.retired_names().await?).await?;
        self.target.put_invites(&self.source.invites().await?).await?;
        Ok(())
    }

    /// Copies the queues of these accounts. Returns the number of messages.
    async fn copy_queues(&mut self, accounts: &[MovedAccount]) -> Result<u64> {
        let (mut copied, mut batch) = (0_u64, Vec::new());
        for device in accounts.iter().flat_map(|account| &account.devices) {
            let mut after = None;
            loop {
                let messages = self.source.messages(&device.address, after, MESSAGES_AT_ONCE).await;
                let messages = messages.context("the source cannot be read")?;
                let Some(last) = messages.last() else { break };
                after = Some(last.position);
                copied = copied.saturating_add(u64::try_from(messages.len()).unwrap_or(u64::MAX));
                batch.extend(messages.into_iter().map(|message| (device.address, message)));
                if batch.len() >= MESSAGES_AT_ONCE {
                    self.target.put_messages(&batch).await.context("the target cannot be written")?;
                    batch.clear();
                }
            }
        }
        self.target.put_messages(&batch).await.context("the target cannot be written")?;
        Ok(copied)
    }

    fn say(&self, said: &Said<'_>) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(said)?);
            return Ok(());
        }
        match said {
            Said::Progress { accounts, of, messages } => {
                // A terminal shows one changing line; a file gets a line each time.
                let end = if std::io::stderr().is_terminal() { '\r' } else { '\n' };
                eprint!("{accounts} of {of} accounts, {messages} messages{end}");
            }
            Said::Verified { counts, sha256 } => {
                eprintln!();
                println!(
                    "Both hold {} accounts, {} devices, {} device lists, {} sessions, {} messages ({} bytes), {} notices, {} \
                     invites and {} retired names.",
                    counts.accounts,
                    counts.devices,
                    counts.device_lists,
                    counts.sessions,
                    counts.messages,
                    counts.message_bytes,
                    counts.notices,
                    counts.invites,
                    counts.retired_names
                );
                println!("SHA-256 over all of it, read again from either: {sha256}");
            }
            Said::Moved { store, one_time_prekeys, messages_of_removed_devices } => {
                println!("Moved. The target is the store {store}; {one_time_prekeys} one-time prekeys stay behind.");
                if *messages_of_removed_devices > 0 {
                    println!(
                        "{messages_of_removed_devices} messages to devices that have left their lists stay behind; their \
                         senders are told."
                    );
                }
                println!(
                    "Start the server on the target, with the same data folder or secrets as before. The source is marked, so \
                     that none starts on it by mistake."
                );
            }
        }
        Ok(())
    }
}

fn draw() -> StoreId {
    let mut bytes = [0; 16];
    SystemRandom.fill(&mut bytes);
    StoreId::from_bytes(bytes)
}

/// Raises the key epochs of an account's devices, so that uploads for the source are refused and the target gives out
/// no one-time prekey that may have been taken.
fn raise(account: &mut MovedAccount, step: u32) {
    for device in &mut account.devices {
        device.key_epoch = device.key_epoch.saturating_add(step);
    }
}

/// Reads a whole store, with every key epoch raised by `step`. Returns its content and the number of its one-time
/// prekeys.
async fn read(store: &mut dyn TransferSource, step: u32) -> Result<(Digest, u64)> {
    let (mut digest, mut one_time, mut after) = (Digest::default(), 0_u64, None);
    loop {
        let accounts = store.accounts(after, ACCOUNTS_AT_ONCE).await?;
        let Some(last) = accounts.last() else { break };
        after = Some(last.id);
        for mut account in accounts {
            raise(&mut account, step);
            digest.account(&account);
            for device in &account.devices {
                one_time = one_time.saturating_add(device.one_time_prekeys);
                let mut position = None;
                loop {
                    let messages = store.messages(&device.address, position, MESSAGES_AT_ONCE).await?;
                    let Some(last) = messages.last() else { break };
                    position = Some(last.position);
                    digest.messages(&device.address, &messages);
                }
            }
        }
    }
    digest.retired_names(&store.retired_names().await?);
    digest.invites(&store.invites().await?);
    Ok((digest, one_time))
}
