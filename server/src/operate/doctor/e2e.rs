//! `sealpost-server doctor --e2e`: two accounts that are made for it go the whole way on the running server: register, take
//! a bundle, send, deliver, acknowledge, delete. What they send is random bytes: the server has no session code, and none is
//! needed to see whether it carries messages.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use sealpost_api::accounts::LookUpAccount;
use sealpost_api::endpoint::NoBody;
use sealpost_api::frames::{ClientFrame, Copy, Deliver, Send, SendKind, ServerFrame, Welcome};
use sealpost_api::ids::MessageNumber;
use sealpost_api::prekeys::{TakeBundles, TakeBundlesRequest};
use sealpost_api::server::{CheckReadiness, ReadServerInfo, RegistrationPolicy, ServerInfo};
use sealpost_crypto::{SignedPrekey, SignedPrekeyId, UnixMillis};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::args::DoctorArgs;
use super::connect::{Server, Socket};
use super::invites::Invites;
use super::person::Person;

/// The length of a short text after padding and encryption.
const MESSAGE_BYTES: usize = 1_024;

/// How often to check that an acknowledged message is gone: fewer times than a device can connect at once.
const LOOKS: u32 = 20;
/// The interval of these checks.
const LOOK: Duration = Duration::from_millis(250);

/// One step, as it is printed.
#[derive(Serialize)]
struct Step<'a> {
    step: &'a str,
    outcome: &'a str,
    /// The duration of the step, including connections.
    millis: f64,
    text: &'a str,
}

/// Prints steps as they are done.
struct Report {
    json: bool,
    done: u32,
}

impl Report {
    /// Records the outcome of a step that started then.
    fn note(&mut self, step: &str, begun: Instant, outcome: &Result<String>) {
        let millis = begun.elapsed().as_secs_f64() * 1_000.0;
        let (outcome, text) = match outcome {
            Ok(text) => ("done", text.clone()),
            Err(error) => ("failed", format!("{error:#}")),
        };
        self.done = self.done.saturating_add(1);
        if self.json {
            let printed = Step { step, outcome, millis: (millis * 1_000.0).round() / 1_000.0, text: &text };
            println!("{}", serde_json::to_string(&printed).unwrap_or_default());
        } else {
            println!("{outcome:7} {step:9} {millis:9.1} ms  {text}");
        }
    }

    /// Runs a step, records it, and returns its result besides its text.
    async fn step<T>(&mut self, step: &str, work: impl Future<Output = Result<(T, String)>>) -> Result<T, Failed> {
        self.step_since(step, Instant::now(), work).await
    }

    async fn step_since<T>(
        &mut self,
        step: &str,
        begun: Instant,
        work: impl Future<Output = Result<(T, String)>>,
    ) -> Result<T, Failed> {
        let (value, outcome) = match work.await {
            Ok((value, text)) => (Some(value), Ok(text)),
            Err(error) => (None, Err(error)),
        };
        self.note(step, begun, &outcome);
        value.ok_or(Failed)
    }
}

/// A step failed and was recorded.
struct Failed;

/// Runs all steps, prints them and cleans up.
///
/// # Errors
/// An error for the operator if nothing could be started.
pub(super) fn run(args: &DoctorArgs, data: Option<&Path>) -> Result<ExitCode> {
    let authority = data.map(|data| data.join("tls/ca.pem"));
    let server = Server::new(&args.url, args.ca.as_deref(), authority.as_deref())?;
    let mut report = Report { json: args.json, done: 0 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("no runtime could be made")?;
    let begun = Instant::now();
    let played = runtime.block_on(async {
        let facts = report.step("server", about(&server)).await?;
        let mut invites = Invites::new(args.invite.clone());
        let outcome = accounts(&server, &facts, &mut invites, data, &mut report).await;
        if outcome.is_err() {
            invites.revoke(data);
        }
        outcome
    });
    if played.is_ok() && !args.json {
        println!("All {} steps are done, in {:.1} s.", report.done, begun.elapsed().as_secs_f64());
    }
    Ok(if played.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn about(server: &Server) -> Result<(ServerInfo, String)> {
    let facts = server.ask(&ReadServerInfo, None, &NoBody).await?;
    let registration = match facts.registration {
        RegistrationPolicy::Open => "open",
        RegistrationPolicy::Invite => "by invite",
        RegistrationPolicy::Closed => "closed",
    };
    let text = format!("version {}, registration {registration}", facts.version);
    Ok((facts, text))
}

/// Creates two people, lets them play, and deletes them in any case.
async fn accounts(
    server: &Server,
    facts: &ServerInfo,
    invites: &mut Invites,
    data: Option<&Path>,
    report: &mut Report,
) -> Result<(), Failed> {
    let begun = Instant::now();
    let [mut sender, mut recipient] = match people(facts, invites, data) {
        Ok(people) => people,
        Err(error) => {
            report.note("register", begun, &Err(error));
            return Err(Failed);
        }
    };
    let outcome = tokio::select! {
        outcome = play(server, UnixMillis(facts.now), &mut sender, &mut recipient, report) => outcome,
        error = stopped() => {
            report.note("stop", Instant::now(), &Err(error));
            Err(Failed)
        }
    };
    let mut left = Ok(());
    for person in [&mut sender, &mut recipient] {
        if person.may_be_there() {
            let begun = Instant::now();
            let cleaned = person.clean_up(server).await.map(|()| "deleted after the failure".to_owned());
            let name = &person.name;
            let cleaned = cleaned.with_context(|| {
                format!("{name} may be left; look with: sealpost-server admin users show {name}, and delete it")
            });
            report.note("clean up", begun, &cleaned);
            left = cleaned.map_or(Err(Failed), |_| left);
        }
    }
    outcome.and(left)
}

/// Creates two people with keys without sending anything.
fn people(facts: &ServerInfo, invites: &mut Invites, data: Option<&Path>) -> Result<[Person; 2]> {
    if facts.registration == RegistrationPolicy::Closed {
        bail!(
            "registration is closed, so that no account can be made; open it with --registration=invite, then run this again"
        );
    }
    let mut person = || {
        let by_invite = facts.registration == RegistrationPolicy::Invite;
        let invite = if by_invite { Some(invites.next(data)?) } else { None };
        Person::new(facts.server_id.0, UnixMillis(facts.now), invite)
    };
    Ok([person()?, person()?])
}

/// Returns when the program is told to end.
async fn stopped() -> anyhow::Error {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    anyhow::anyhow!("a signal ended it")
}

async fn play(
    server: &Server,
    now: UnixMillis,
    sender: &mut Person,
    recipient: &mut Person,
    report: &mut Report,
) -> Result<(), Failed> {
    report
        .step("register", async {
            sender.register(server).await?;
            recipient.register(server).await?;
            Ok(((), "two accounts with random names, each with a device and its keys".to_owned()))
        })
        .await?;
    report.step("look up", async { Ok(((), look_up(server, sender, recipient).await?)) }).await?;
    report.step("take", async { Ok(((), take(server, now, sender, recipient).await?)) }).await?;
    let (mut from, mut to, welcome) = report
        .step("connect", async {
            let (from, welcome) = connect(server, sender).await?;
            let (to, _) = connect(server, recipient).await?;
            let text = format!("two streams, the first one on the node {}", welcome.node);
            Ok(((from, to, welcome), text))
        })
        .await?;
    let ciphertext = Bytes::from_owner(rand::random::<[u8; MESSAGE_BYTES]>());
    let number = MessageNumber(welcome.highest_number.0.saturating_add(1));
    let begun = Instant::now();
    report.step("send", send(&mut from, number, recipient, &ciphertext)).await?;
    // Measured from the sending, because the message can arrive before the sender gets its answer.
    let row = report.step_since("deliver", begun, deliver(&mut to, number, sender, &ciphertext)).await?;
    report
        .step("ack", async {
            to.put(&ClientFrame::Ack { ids: vec![row.id] }).await?;
            to.close().await?;
            emptied(server, recipient).await?;
            from.close().await?;
            Ok(((), "the queue is empty when the recipient comes back".to_owned()))
        })
        .await?;
    report.step("delete", async { Ok(((), delete(server, sender, recipient).await?)) }).await
}

/// Connects again until nothing waits. An ack is stored a moment after it arrived, and closing does not wait for that.
async fn emptied(server: &Server, recipient: &Person) -> Result<()> {
    for _ in 0..LOOKS {
        let (to, welcome) = connect(server, recipient).await?;
        to.close().await?;
        if welcome.pending == 0 {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("what was acknowledged is still in the queue")
}

async fn look_up(server: &Server, sender: &Person, recipient: &Person) -> Result<String> {
    let call = LookUpAccount { username: recipient.name.clone() };
    let found = server.ask(&call, Some(sender.token()?), &NoBody).await?;
    let is_same = found.account_id.0 == recipient.address.account && found.device_list.0.0 == recipient.list.encoded();
    ensure!(is_same, "the name leads to another account than the one that was just made");
    Ok("the name leads to the account and its signed device list".to_owned())
}

async fn take(server: &Server, now: UnixMillis, sender: &Person, recipient: &Person) -> Result<String> {
    let call = TakeBundles { account_id: recipient.address.account };
    let all = TakeBundlesRequest { devices: None };
    let answer = server.ask(&call, Some(sender.token()?), &all).await?;
    let [bundle] = answer.bundles.as_slice() else { bail!("{} bundles came for one device", answer.bundles.len()) };
    let signed = bundle.signed_prekey.as_ref().context("the bundle has no signed prekey")?;
    let entry = recipient.list.device(recipient.address.device).context("the device list lacks its device")?;
    let prekey = SignedPrekey {
        id: SignedPrekeyId(signed.id),
        key: signed.key.0,
        expires_at: UnixMillis(signed.expires_at),
        signature: signed.signature.0,
    };
    prekey.verify(&recipient.address, &entry.identity, now)?;
    let one_time =
        bundle.one_time_prekey.as_ref().context("the bundle has no one-time prekey, and two were uploaded")?;
    let is_known = recipient.one_time.iter().any(|own| own.id.0 == one_time.id && own.key == one_time.key.0);
    ensure!(is_known, "the one-time prekey is not one of those that were uploaded");
    Ok("a bundle with a signed prekey that verifies and a one-time prekey".to_owned())
}

async fn connect(server: &Server, person: &Person) -> Result<(Socket, Welcome)> {
    let mut socket = server.stream(person.token()?).await?;
    match socket.next().await? {
        ServerFrame::Welcome(welcome) => Ok((socket, welcome)),
        ServerFrame::Error { code, .. } => bail!("the stream was refused: {} ({})", code.title(), code.as_str()),
        _ => bail!("the stream did not begin with a welcome"),
    }
}

async fn send(from: &mut Socket, number: MessageNumber, to: &Person, ciphertext: &Bytes) -> Result<((), String)> {
    let copy =
        Copy { device: to.address.device, registration: to.address.registration, ciphertext: ciphertext.clone() };
    let send = Send { number, to: to.address.account, kind: SendKind::Message, copies: vec![copy] };
    from.put(&ClientFrame::Send(send)).await?;
    loop {
        match from.next().await? {
            ServerFrame::Sent(sent) if sent.number == number => {
                ensure!(sent.skipped.is_empty(), "the server accepted it and kept no copy");
                return Ok(((), format!("{} random bytes, accepted and durable", ciphertext.len())));
            }
            ServerFrame::Refused(refused) => bail!("refused: {} ({})", refused.code.title(), refused.code.as_str()),
            ServerFrame::Error { code, .. } => bail!("{} ({})", code.title(), code.as_str()),
            _ => {}
        }
    }
}

async fn deliver(
    to: &mut Socket,
    number: MessageNumber,
    sender: &Person,
    ciphertext: &Bytes,
) -> Result<(Deliver, String)> {
    loop {
        match to.next().await? {
            ServerFrame::Deliver(deliver) => {
                let is_same = deliver.from == sender.address && deliver.number == number;
                ensure!(is_same && deliver.ciphertext == *ciphertext, "something else was delivered than was sent");
                return Ok((deliver, "the same bytes, counted from the sending".to_owned()));
            }
            ServerFrame::Error { code, .. } => bail!("{} ({})", code.title(), code.as_str()),
            _ => {}
        }
    }
}

async fn delete(server: &Server, sender: &mut Person, recipient: &mut Person) -> Result<String> {
    let call = LookUpAccount { username: recipient.name.clone() };
    recipient.delete(server).await?;
    let found = server.call(&call, Some(sender.token()?), &NoBody).await?;
    ensure!(found.status == 404, "the name of a deleted account leads somewhere (status {})", found.status);
    sender.delete(server).await?;
    Ok("both accounts are gone".to_owned())
}

/// Runs `sealpost-server doctor --ready`: prints in one line whether the running server is ready.
///
/// # Errors
/// An error if it is not ready or cannot be asked.
pub(super) fn ready(args: &DoctorArgs, data: Option<&Path>) -> Result<ExitCode> {
    let authority = data.map(|data| data.join("tls/ca.pem"));
    let server = Server::new(&args.url, args.ca.as_deref(), authority.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("no runtime could be made")?;
    let begun = Instant::now();
    let answer = runtime.block_on(server.call(&CheckReadiness, None, &NoBody));
    let outcome = answer
        .and_then(|answer| if answer.status == 200 { Ok("it can store".to_owned()) } else { Err(answer.refusal()) });
    Report { json: args.json, done: 0 }.note("ready", begun, &outcome);
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
