//! From the command line to a task, and to whoever carries it out.

use std::io::{self, Read as _};
use std::rc::{Rc, Weak};
use std::time::Duration;

use sealpost_api::limits::TEXT_MAX_BYTES;
use sealpost_client::driver::{Driver, Server, SystemClock};
use sealpost_client::vault::{Vault, VaultKeySource};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use zeroize::Zeroizing;

use crate::args::{Command, CommandLine, DEFAULT_TIMEOUT_SECONDS, DevicesAction, Global, SessionsAction};
use crate::errors;
use crate::failure::{Exit, Failure};
use crate::owner::Owner;
use crate::profile::{Profile, ProfileLock};
use crate::progress::Progress;
use crate::secrets::{self, Purpose};
use crate::sink::Sink;
use crate::socket::client::{Asked, ask, connect};
use crate::socket::server::SocketServer;
use crate::task::{Line, Request, Task};
use crate::trust::{self, KnownServer, Said};

/// How often a profile that is in use is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Owners that may end while they carry out one command, before it gives up.
const OWNERS_LOST_MAX: u32 = 5;
/// An owner that ends sooner may have ended because of what it was asked.
const OWNER_LIFE: Duration = Duration::from_secs(10);

/// Runs a command line to its end.
pub(crate) fn run(line: CommandLine) -> Result<(), Failure> {
    start_logging();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start", &error))?;
    let outcome = tokio::task::LocalSet::new().block_on(&runtime, run_inside(line));
    // A thread that waits for a terminal's next line must not hold up the end.
    runtime.shutdown_background();
    outcome
}

async fn run_inside(line: CommandLine) -> Result<(), Failure> {
    let CommandLine { global, command } = line;
    one_standard_input(&global, &command)?;
    let profile = Profile::new(global.data.as_deref(), &global.profile)?;
    let begins = matches!(command, Command::Register { .. } | Command::Login { .. });
    if !profile.exists() && !begins {
        return Err(errors::no_account());
    }
    profile.prepare()?;
    if begins && !profile.exists() {
        // Before anybody types two secrets twice.
        trust::begins_with(global.server.as_deref())?;
    }
    let front = Front::new(global, profile, begins)?;
    if let Command::Chat { name } = &command {
        return crate::chat::chat(&front, name).await;
    }
    let destination = match &command {
        // Found out before the server is asked.
        Command::Export { file } => {
            Some(Destination { path: file.clone(), file: crate::files::new_private_file(file)? })
        }
        _ => None,
    };
    let task = task(&front.global, command).await?;
    let unlimited = matches!(task, Task::Receive { follow: true, .. });
    let request = front.request(task, unlimited);
    match destination {
        None => front.perform(&request, &front.stdout()).await,
        Some(destination) => {
            let outcome = front.export(&request, destination.file).await;
            if outcome.is_err() {
                // What is there is ours and no export; it would stand in the way of the next try.
                let _ = std::fs::remove_file(destination.path);
            }
            outcome
        }
    }
}

/// Where an export goes.
struct Destination {
    path: std::path::PathBuf,
    file: std::fs::File,
}

/// Standard input can be read once.
fn one_standard_input(global: &Global, command: &Command) -> Result<(), Failure> {
    let dash = |path: &Option<std::path::PathBuf>| path.as_deref() == Some(std::path::Path::new("-"));
    let new_password = match command {
        Command::Password { new_password_file } => dash(new_password_file),
        Command::Send { text, .. } => text == "-",
        Command::Chat { .. } => true,
        _ => false,
    };
    let readers = [dash(&global.password_file), dash(&global.passphrase_file), new_password];
    if readers.iter().filter(|reads| **reads).count() > 1 {
        return Err(Failure::new(Exit::Usage, "standard_input", "only one thing can be read from standard input"));
    }
    Ok(())
}

/// Asks for what must be typed, and makes the task.
async fn task(global: &Global, command: Command) -> Result<Task, Failure> {
    let password = |purpose, prompt| secrets::password(global.password_file.as_deref(), purpose, prompt);
    Ok(match command {
        Command::Register { name, invite } => {
            crate::owner::username(&name)?;
            Task::Register { name, password: password(Purpose::New, "New password for the account: ")?, invite }
        }
        Command::Login { name, new_identity } => {
            crate::owner::username(&name)?;
            Task::Login { name, password: password(Purpose::Existing, "Password of the account: ")?, new_identity }
        }
        Command::Logout => Task::Logout,
        Command::Password { new_password_file } => {
            let old = password(Purpose::Existing, "Old password: ")?;
            Task::ChangePassword {
                old,
                new: secrets::password(new_password_file.as_deref(), Purpose::New, "New password: ")?,
            }
        }
        Command::DeleteAccount { yes } => {
            if !yes {
                if !secrets::can_ask() {
                    return Err(Failure::new(Exit::Usage, "not_confirmed", "deleting an account needs a yes")
                        .hint("Without a terminal: --yes"));
                }
                let question = "Delete the account on the server for good? Its name is never given again.";
                if !secrets::confirm(question).await? {
                    return Err(Failure::new(Exit::Failed, "not_confirmed", "nothing was deleted"));
                }
            }
            Task::DeleteAccount { password: password(Purpose::Existing, "Password of the account: ")? }
        }
        Command::Export { .. } => Task::Export,
        Command::Send { name, text, verified } => {
            let text = if text == "-" { read_text()? } else { text };
            Task::Send { name, text, verified, token: Some(rand::random()) }
        }
        Command::Receive { follow, max } => Task::Receive { follow, max },
        Command::History { name, since, limit } => Task::History { name, since, limit },
        Command::Contacts => Task::Contacts,
        Command::Verify { name, mark, accept } => Task::Verify { name, mark, accept },
        Command::Whoami => Task::Whoami,
        Command::Devices { action: None } => Task::Devices,
        Command::Devices { action: Some(DevicesAction::Remove { id }) } => Task::RemoveDevice { id },
        Command::Sessions { action: None } => Task::Sessions,
        Command::Sessions { action: Some(SessionsAction::End { id: Some(id), .. }) } => Task::EndSession { id },
        Command::Sessions { action: Some(SessionsAction::End { id: None, .. }) } => Task::EndAllSessions,
        Command::Keys { rotate } => Task::Keys { rotate },
        Command::Status => Task::Status,
        Command::Chat { .. } | Command::Completions { .. } => {
            return Err(Failure::new(Exit::Failed, "internal", "this command makes no task"));
        }
    })
}

/// A message from standard input; one line ending at the end is not part of it.
fn read_text() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let most = TEXT_MAX_BYTES as u64 + 2;
    io::stdin()
        .lock()
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io("cannot read standard input", &error))?;
    let mut text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(Exit::Usage, "text_encoding", "standard input is not UTF-8 text"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Where tasks go: to a profile, by whoever owns it.
pub(crate) struct Front {
    pub(crate) global: Global,
    profile: Profile,
    begins: bool,
    stop: watch::Receiver<bool>,
    stopper: watch::Sender<bool>,
    passphrase: std::cell::RefCell<Option<Zeroizing<String>>>,
    /// The profile, while a task of this process that goes on and on owns it.
    own: std::cell::RefCell<Weak<Owner>>,
}

/// Who owns the profile.
enum Place {
    /// This process, from now on.
    Here(ProfileLock),
    /// Another one, which listens.
    There(UnixStream),
}

/// The profile in use by this process.
struct Opened {
    owner: Rc<Owner>,
    _lock: ProfileLock,
}

impl Front {
    fn new(global: Global, profile: Profile, begins: bool) -> Result<Self, Failure> {
        let (stopper, stop) = watch::channel(false);
        let sender = stopper.clone();
        let signal =
            |kind| tokio::signal::unix::signal(kind).map_err(|error| Failure::io("cannot listen to signals", &error));
        let mut interrupt = signal(tokio::signal::unix::SignalKind::interrupt())?;
        let mut terminate = signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::task::spawn_local(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            sender.send_replace(true);
            // Whoever asks twice does not want to wait for a clean end.
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(i32::from(Exit::Failed.number()));
        });
        Ok(Self {
            global,
            profile,
            begins,
            stop,
            stopper,
            passphrase: std::cell::RefCell::new(None),
            own: std::cell::RefCell::default(),
        })
    }

    /// The request for a task of this command line.
    pub(crate) fn request(&self, task: Task, unlimited: bool) -> Request {
        let timeout = match self.global.timeout {
            None if unlimited => None,
            timeout => Some(timeout.unwrap_or(Duration::from_secs(DEFAULT_TIMEOUT_SECONDS))),
        };
        Request::new(task, timeout)
    }

    /// Where this process prints.
    pub(crate) const fn stdout(&self) -> Sink {
        Sink::Stdout { json: self.global.json, quiet: self.global.quiet }
    }

    /// Whether a signal said to stop.
    pub(crate) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }

    /// Has the task done: by the profile's owner, or by this process if there is none. If the owner dies, this process
    /// takes over.
    pub(crate) async fn perform(&self, request: &Request, sink: &Sink) -> Result<(), Failure> {
        if let Some(owner) = self.own() {
            return owner.run(request, sink).await;
        }
        let deadline = request.timeout().map(|timeout| Instant::now() + timeout);
        let mut owners_lost = 0;
        loop {
            let left =
                Request::new(request.task.clone(), deadline.map(|at| at.saturating_duration_since(Instant::now())));
            match self.place(deadline).await? {
                Place::There(stream) => {
                    let begin = Instant::now();
                    let mut stop = self.stop();
                    let asked = tokio::select! {
                        asked = ask(stream, &left, sink) => asked,
                        _ = stop.wait_for(|stop| *stop) => Asked::Answered(stopped(&request.task)),
                    };
                    match asked {
                        Asked::Answered(outcome) => return outcome,
                        // One that lived for a while says nothing about the next.
                        Asked::OwnerGone if begin.elapsed() > OWNER_LIFE => owners_lost = 1,
                        Asked::OwnerGone => owners_lost += 1,
                    }
                }
                Place::Here(lock) => return self.perform_here(lock, &left, sink).await,
            }
            if owners_lost >= OWNERS_LOST_MAX {
                return Err(Failure::new(
                    Exit::Failed,
                    "owner_lost",
                    "the command that owns this profile ended again and again",
                )
                .hint("What was to be sent may have been; look with: sealpost history NAME"));
            }
        }
    }

    fn own(&self) -> Option<Rc<Owner>> {
        self.own.borrow().upgrade()
    }

    /// Whether a task of this process owns the profile, so that what it is asked is done in the order of asking.
    pub(crate) fn owns_profile(&self) -> bool {
        self.own().is_some()
    }

    async fn perform_here(&self, lock: ProfileLock, request: &Request, sink: &Sink) -> Result<(), Failure> {
        let opened = self.open(lock, request).await?;
        let serving = match request.task {
            Task::Receive { follow: true, .. } => {
                opened.owner.is_followed.set(true);
                self.own.replace(Rc::downgrade(&opened.owner));
                Some(SocketServer::start(&self.profile, &opened.owner)?)
            }
            _ => None,
        };
        let progress = Progress::start("asking the server", self.shows_progress() && serving.is_none());
        let outcome = opened.owner.run(request, sink).await;
        drop(progress);
        drop(serving);
        self.own.take();
        opened.close().await;
        outcome
    }

    /// Saves an export: its first line is the document, the second says that it was made.
    async fn export(&self, request: &Request, mut file: std::fs::File) -> Result<(), Failure> {
        let collected = Rc::default();
        self.perform(request, &Sink::Collected(Rc::clone(&collected))).await?;
        let lines: Vec<Line> = collected.take();
        let [document, event] = lines.as_slice() else { return Err(crate::commands::account::unexpected()) };
        io::Write::write_all(&mut file, document.json.as_bytes())
            .and_then(|()| io::Write::write_all(&mut file, b"\n"))
            .and_then(|()| file.sync_all())
            .map_err(|error| Failure::io("cannot write the export", &error))?;
        self.stdout().line(event.clone()).await
    }

    /// Ends a task that goes on until it is told to stop.
    pub(crate) async fn end(&self, task: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
        self.stopper.send_replace(true);
        task.await
    }

    /// Finds the owner, or becomes it, within the time.
    async fn place(&self, deadline: Option<Instant>) -> Result<Place, Failure> {
        let progress = Progress::start("waiting for another command of this profile", self.shows_progress());
        loop {
            if let Some(lock) = self.profile.try_lock()? {
                return Ok(Place::Here(lock));
            }
            if let Some(path) = self.profile.socket()
                && let Some(stream) =
                    connect(&path).await.map_err(|error| Failure::io("cannot use the profile's socket", &error))?
            {
                return Ok(Place::There(stream));
            }
            if deadline.is_some_and(|at| at <= Instant::now()) || *self.stop.borrow() {
                drop(progress);
                return Err(Failure::new(Exit::TimedOut, "profile_busy", "another command of this profile is running")
                    .hint("Wait for it to end, or give this one more time: --timeout SECONDS"));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Opens the vault and starts the driver.
    async fn open(&self, lock: ProfileLock, request: &Request) -> Result<Opened, Failure> {
        let mut vault = self.open_vault()?;
        let known = vault.transaction(|vault| KnownServer::read(vault)).map_err(|error| errors::vault(&error))?;
        let offline = matches!(request.task, Task::History { .. } | Task::Contacts | Task::Whoami);
        let known = if offline {
            known
        } else {
            let said =
                Said { server: self.global.server.as_deref(), ca: self.global.ca.as_deref(), may_change: self.begins };
            let patience = request.timeout().unwrap_or(Duration::from_secs(DEFAULT_TIMEOUT_SECONDS));
            let decided = trust::decide(known.as_ref(), said, patience).await?;
            if known.as_ref() != Some(&decided) {
                vault.transaction(|vault| decided.write(vault)).map_err(|error| errors::vault(&error))?;
            }
            Some(decided)
        };
        let server = match &known {
            Some(known) if !offline => Some(
                Server::new(known.base()?, &known.trust()?)
                    .map_err(|error| Failure::new(Exit::Identity, "server_untrusted", error.to_string()))?,
            ),
            _ => None,
        };
        // A file can be read again when a session has ended; standard input and a person can't.
        let password = match self.global.password_file.as_deref() {
            Some(path) if path != std::path::Path::new("-") && !offline => {
                secrets::password(Some(path), Purpose::Existing, "").ok()
            }
            _ => None,
        };
        let driver = Driver::start(vault, server, Box::new(SystemClock)).map_err(|error| errors::engine(&error))?;
        let url = known.map(|known| known.url);
        Ok(Opened { owner: Rc::new(Owner::new(driver, url, password, self.stop())), _lock: lock })
    }

    /// Opens the vault, or makes it where a register or login begins.
    fn open_vault(&self) -> Result<Vault, Failure> {
        let path = self.profile.vault();
        let exists = self.profile.exists();
        let source = if self.global.keyring {
            VaultKeySource::Keyring { label: self.profile.label() }
        } else {
            let purpose = if exists { Purpose::Existing } else { Purpose::New };
            let mut kept = self.passphrase.borrow_mut();
            let passphrase = match kept.as_ref() {
                Some(passphrase) => passphrase.clone(),
                None => secrets::passphrase(self.global.passphrase_file.as_ref(), purpose)?,
            };
            *kept = Some(passphrase.clone());
            VaultKeySource::Passphrase(passphrase)
        };
        let _progress = Progress::start("unlocking the vault", self.shows_progress());
        let opened = if exists { Vault::open(&path, &source) } else { Vault::create(&path, &source) };
        opened.map_err(|error| errors::vault(&error))
    }

    const fn shows_progress(&self) -> bool {
        !self.global.quiet && !self.global.json
    }
}

impl Opened {
    /// Lets what is on its way leave, then gives the profile back.
    async fn close(self) {
        let Self { owner, _lock } = self;
        // Askers that are still being served hold the owner; the process ends all the same.
        if let Some(owner) = Rc::into_inner(owner) {
            owner.driver.stop().await;
        }
    }
}

/// What a signal means for a command that another process carries out.
fn stopped(task: &Task) -> Result<(), Failure> {
    if matches!(task, Task::Receive { .. }) {
        return Ok(());
    }
    Err(crate::limit::Reached::Stopped.into())
}

/// What is logged goes to stderr, if `SEALPOST_LOG` asks for it; it holds no texts, names or keys.
fn start_logging() {
    let Ok(asked) = tracing_subscriber::EnvFilter::try_from_env("SEALPOST_LOG") else { return };
    // Libraries trace what they send, the WebSocket's one its request with the access token.
    let harmless = tracing_subscriber::filter::filter_fn(|metadata| {
        *metadata.level() <= LevelFilter::DEBUG || metadata.target().starts_with("sealpost")
    });
    let output = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let _ = tracing_subscriber::registry().with(asked).with(harmless).with(output).try_init();
}
