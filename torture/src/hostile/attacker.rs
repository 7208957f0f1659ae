//! One attacker: requests and streams in turn, on as few connections as the server allows.

use anyhow::Result;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::identity::Identity;
use super::schema::Api;
use super::tally::Tally;
use super::wire::{Outcome, Target, Wire};
use super::{ATTACKERS, Plan, frames, requests};

/// Requests between two looks whether the account still has its session: some requests end it.
const SESSION_CHECK: u64 = 60;
/// Messages on a stream before the server must show that it took them.
const BATCH: u64 = 10;
/// Batches on one stream.
const BATCHES: u64 = 20;

/// Attacks until the plan's requests are made by all attackers together.
///
/// # Errors
/// When an honest call of its own fails, such as its registration.
pub(super) fn attack(number: u32, api: &Api, target: &Target, tally: &Mutex<Tally>, plan: &Plan) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(plan.seed.wrapping_mul(u64::from(ATTACKERS)).wrapping_add(u64::from(number)));
    let mut identity = Identity::register(&mut rng, target)?;
    while tally.lock().total() < plan.requests {
        if !has_session(&identity, target)? {
            identity = Identity::register(&mut rng, target)?;
        }
        if rng.random_bool(0.5) {
            call(&mut rng, api, &identity, target, tally)?;
        } else {
            stream(&mut rng, &identity, target, tally)?;
        }
    }
    Ok(())
}

fn has_session(identity: &Identity, target: &Target) -> Result<bool> {
    let request = format!(
        "GET /v1/prekeys HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
        target.authority(),
        identity.token
    );
    Ok(matches!(target.connect()?.request(request.as_bytes(), false), Outcome::Answer(answer) if answer.status == 200))
}

fn call(rng: &mut StdRng, api: &Api, identity: &Identity, target: &Target, tally: &Mutex<Tally>) -> Result<()> {
    let mut wire: Option<Wire> = None;
    for _ in 0..SESSION_CHECK {
        let request = requests::next(rng, api, identity);
        let mut used = match wire.take() {
            Some(wire) => wire,
            None => target.connect()?,
        };
        let outcome = used.request(&request.bytes, request.bodiless);
        tally.lock().request(&request.bytes, &outcome);
        let goes_on = matches!(&outcome, Outcome::Answer(answer)
            if answer.goes_on && (answer.status == 200 || !request.has_body && answer.status > 200));
        wire = (goes_on && request.well_framed).then_some(used);
    }
    Ok(())
}

fn stream(rng: &mut StdRng, identity: &Identity, target: &Target, tally: &Mutex<Tally>) -> Result<()> {
    let mut sent = 0;
    while sent < BATCHES {
        let mut wire = target.connect()?;
        let opening = frames::opening(target.authority(), identity);
        let outcome = wire.request(&opening, false);
        tally.lock().request(&opening, &outcome);
        if !matches!(outcome, Outcome::Answer(answer) if answer.status == 101) {
            return Ok(());
        }
        while sent < BATCHES {
            sent += 1;
            let pong: [u8; 16] = rng.random();
            let (count, mut bytes) = frames::batch(rng, identity, BATCH);
            frames::ping(&pong, &mut bytes);
            let outcome = wire.frames(&bytes, &pong);
            tally.lock().frames(count, &bytes, &outcome);
            if !matches!(outcome, Outcome::Answer(_)) {
                break;
            }
        }
    }
    Ok(())
}
