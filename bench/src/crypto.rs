//! `bench crypto`: the cost of a message and of a session, compared with vodozemac and with the sum of their parts.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

mod measure;
mod ours;
mod parts;
mod peer;
mod report;

use measure::{Measurement, Rounds};
use report::Report;

/// Bytes of every plaintext.
const PLAINTEXT_LEN: usize = 1024;

/// Options of `bench crypto`.
#[derive(Args)]
pub(crate) struct Options {
    /// One JSON object a line instead of the table.
    #[arg(long)]
    json: bool,
    /// Take a tenth of the samples: a check that the bench works, not for publishing
    #[arg(long)]
    quick: bool,
    /// Rewrite the table in docs/performance.md.
    #[arg(long)]
    write_docs: bool,
    /// Exit with 1 if a target is missed.
    #[arg(long)]
    check: bool,
}

/// Runs the bench on one thread. The samples of all sides take turns, so that disturbances affect all alike.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let rounds = Rounds::new(options.quick);
    let plaintext = vec![0x5a; PLAINTEXT_LEN];
    let report = Report {
        encrypt: encrypt(&rounds, &plaintext)?,
        steady: steady(&rounds, &plaintext)?,
        ping_pong: ping_pong(&rounds, &plaintext)?,
        set_up: set_up(&rounds, &plaintext)?,
    };
    if options.json {
        report.print_json()?;
    } else {
        print!("{}", report.table());
    }
    if options.write_docs {
        report.write_docs()?;
    }
    let missed = report.targets().iter().any(|target| !target.met());
    Ok(if options.check && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Measures our encryption alone, in a settled session.
fn encrypt(rounds: &Rounds, plaintext: &[u8]) -> Result<Measurement> {
    let mut conversation = ours::Conversation::settled()?;
    let mut ours = Measurement::default();
    for _ in 0..rounds.count {
        let mut messages = Vec::with_capacity(rounds.messages);
        ours.sample(rounds.messages, || {
            for _ in 0..rounds.messages {
                messages.push(conversation.alice_encrypts(plaintext)?);
            }
            Ok(())
        })?;
        for message in messages {
            conversation.bob_decrypts(&message)?;
        }
    }
    Ok(ours)
}

/// Measures encrypting and decrypting in one direction: (ours, vodozemac's).
fn steady(rounds: &Rounds, plaintext: &[u8]) -> Result<(Measurement, Measurement)> {
    let mut conversation = ours::Conversation::settled()?;
    let mut peer = peer::Conversation::settled()?;
    let (mut ours, mut theirs) = (Measurement::default(), Measurement::default());
    for _ in 0..rounds.count {
        ours.sample(rounds.messages, || {
            for _ in 0..rounds.messages {
                let message = conversation.alice_encrypts(plaintext)?;
                conversation.bob_decrypts(&message)?;
            }
            Ok(())
        })?;
        theirs.sample(rounds.messages, || {
            for _ in 0..rounds.messages {
                let message = peer.alice_encrypts(plaintext)?;
                peer.bob_decrypts(&message)?;
            }
            Ok(())
        })?;
    }
    Ok((ours, theirs))
}

/// Measures messages in turn, so that each makes a Diffie–Hellman step: (ours, vodozemac's), for each message.
fn ping_pong(rounds: &Rounds, plaintext: &[u8]) -> Result<(Measurement, Measurement)> {
    let mut conversation = ours::Conversation::settled()?;
    let mut peer = peer::Conversation::settled()?;
    let (mut ours, mut theirs) = (Measurement::default(), Measurement::default());
    for _ in 0..rounds.count {
        ours.sample(2 * rounds.steps, || {
            for _ in 0..rounds.steps {
                let message = conversation.alice_encrypts(plaintext)?;
                conversation.bob_decrypts(&message)?;
                let message = conversation.bob_encrypts(plaintext)?;
                conversation.alice_decrypts(&message)?;
            }
            Ok(())
        })?;
        theirs.sample(2 * rounds.steps, || {
            for _ in 0..rounds.steps {
                let message = peer.alice_encrypts(plaintext)?;
                peer.bob_decrypts(&message)?;
                let message = peer.bob_encrypts(plaintext)?;
                peer.alice_decrypts(&message)?;
            }
            Ok(())
        })?;
    }
    Ok((ours, theirs))
}

/// Measures starting and accepting a session, and their parts.
pub(crate) struct SetUp {
    pub(crate) initiate: Measurement,
    pub(crate) accept: Measurement,
    pub(crate) peer_initiate: Measurement,
    pub(crate) peer_accept: Measurement,
    pub(crate) agreement: Measurement,
    pub(crate) key_generation: Measurement,
    pub(crate) signature_check: Measurement,
}

fn set_up(rounds: &Rounds, plaintext: &[u8]) -> Result<SetUp> {
    let mut people = ours::People::new()?;
    let mut peer = peer::People::new();
    let mut parts = parts::Parts::new();
    let mut set_up = SetUp {
        initiate: Measurement::default(),
        accept: Measurement::default(),
        peer_initiate: Measurement::default(),
        peer_accept: Measurement::default(),
        agreement: Measurement::default(),
        key_generation: Measurement::default(),
        signature_check: Measurement::default(),
    };
    for _ in 0..rounds.count {
        let mut message = Vec::new();
        set_up.initiate.sample(1, || people.initiate(plaintext).map(|made| message = made))?;
        set_up.agreement.sample(1, || parts.agree())?;
        set_up.accept.sample(1, || people.accept(&message))?;
        set_up.key_generation.sample(1, || parts.generate_key())?;
        peer.refill();
        let mut message = None;
        set_up.peer_initiate.sample(1, || peer.initiate(plaintext).map(|made| message = Some(made)))?;
        set_up.signature_check.sample(1, || parts.check_signature())?;
        if let Some(message) = &message {
            set_up.peer_accept.sample(1, || peer.accept(message))?;
        }
    }
    Ok(set_up)
}
