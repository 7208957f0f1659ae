//! One attacker, which alternates between requests and streams, on as few connections as the server allows.

use anyhow::Result;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::frames::Talk;
use super::identity::Identity;
use super::schema::Api;
use super::tally::Tally;
use super::wire::{Outcome, Target, Wire};
use super::{ATTACKERS, Plan, frames, requests};

/// The number of requests between two streams.
const REQUESTS: u64 = 60;
/// The number of messages on a stream after which the server must show that it took them.
const BATCH: u64 = 10;
/// The number of batches on one stream.
const BATCHES: u64 = 20;

/// Attacks until all attackers together have made the planned number of requests.
///
/// # Errors
/// An error if one of its honest calls fails, such as its registration.
pub(super) fn attack(number: u32, api: &Api, target: &Target, tally: &Mutex<Tally>, plan: &Plan) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(plan.seed.wrapping_mul(u64::from(ATTACKERS)).wrapping_add(u64::from(number)));
    let friend = Identity::register(&mut rng, target)?.address;
    while tally.lock().total() < plan.requests {
        let identity = Identity::register(&mut rng, target)?;
        let mut talk = Talk { identity: &identity, friend: &friend, number: 0 };
        // Some requests end the login; later ones would only be refused because there is no login.
        while tally.lock().total() < plan.requests
            && call(&mut rng, api, &identity, target, tally)?
            && stream(&mut rng, &mut talk, target, tally)?
        {}
    }
    Ok(())
}

/// Makes one request. Returns whether the login is still live.
fn call(rng: &mut StdRng, api: &Api, identity: &Identity, target: &Target, tally: &Mutex<Tally>) -> Result<bool> {
    let mut wire: Option<Wire> = None;
    for _ in 0..REQUESTS {
        let request = requests::next(rng, api, identity);
        let mut used = match wire.take() {
            Some(wire) => wire,
            None => target.connect()?,
        };
        let outcome = used.request(&request.bytes, request.bodiless);
        tally.lock().request(&request.bytes, &outcome);
        let Outcome::Answer(answer) = outcome else { continue };
        if request.authenticated && answer.is_unauthenticated() {
            return Ok(false);
        }
        wire = (answer.goes_on && request.well_framed).then_some(used);
    }
    Ok(true)
}

/// Attacks on one stream. Returns whether the login is still live.
fn stream(rng: &mut StdRng, talk: &mut Talk<'_>, target: &Target, tally: &Mutex<Tally>) -> Result<bool> {
    let mut sent = 0;
    while sent < BATCHES {
        let mut wire = target.connect()?;
        let opening = frames::opening(target.authority(), talk.identity);
        let outcome = wire.request(&opening, false);
        tally.lock().request(&opening, &outcome);
        match outcome {
            Outcome::Answer(answer) if answer.status == 101 => {}
            Outcome::Answer(answer) => return Ok(!answer.is_unauthenticated()),
            Outcome::Closed | Outcome::Silent => return Ok(true),
        }
        while sent < BATCHES {
            sent += 1;
            let pong: [u8; 16] = rng.random();
            let (count, mut bytes) = frames::batch(rng, talk, BATCH);
            frames::ping(&pong, &mut bytes);
            let mut heard = Vec::new();
            let outcome = wire.frames(&bytes, &pong, &mut heard);
            tally.lock().frames(count, &bytes, &outcome, &heard);
            if !matches!(outcome, Outcome::Answer(_)) {
                break;
            }
        }
    }
    Ok(true)
}
