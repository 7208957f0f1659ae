//! Logins, and the cost of one password hash alone in the same run.

use std::time::Duration;

use anyhow::{Result, anyhow};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use sealpost_api::sessions::SessionGrant;

use super::plan::{Outcome, bar};
use crate::rig::Rig;
use crate::rig::clock::Clock;
use crate::rig::http::Http;
use crate::rig::payload::Tally;
use crate::rig::people::server_info;
use crate::rig::process::cpu_time;

/// The number of logins that wait at once.
const AT_ONCE: u64 = 4;
/// Hashes that are timed: enough that the 10 ms steps of the clock do not matter.
const HASHES: u32 = 40;
/// What the server hashes with: KiB and passes.
const COST: (u32, u32) = (19_456, 2);

/// Makes this number of logins, each with a new session id.
pub(crate) async fn logins(rig: &Rig, logins: u64) -> Result<Outcome> {
    let connector = rig.server.connector()?;
    let info = server_info(&Http::connect(connector).await?).await?;
    let bar = bar("log-ins", logins);
    let clock = Clock::start(rig.server.pid()?)?;
    let lines = (0..AT_ONCE).map(async |line| {
        let http = Http::connect(connector).await?;
        let turns = usize::try_from(AT_ONCE)?;
        for (_, person) in (line..logins).step_by(turns).zip(rig.people.iter().cycle()) {
            let request = serde_json::to_string(&person.login_request(&info))?;
            let body = http.call("POST", "/v1/sessions", None, &request).await?;
            serde_json::from_slice::<SessionGrant>(&body)?;
            bar.inc(1);
        }
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(lines).await?;
    let elapsed = clock.stop().await?;
    bar.finish_and_clear();
    Ok(Outcome { messages: logins, elapsed, tally: Tally::default() })
}

/// Processor time of one hash as the server makes it, over memory that is there already.
pub(crate) fn one_hash() -> Result<Duration> {
    let params = Params::new(COST.0, COST.1, 1, None).map_err(|error| anyhow!("{error}"))?;
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let pid = std::process::id();
    let before = cpu_time(pid)?;
    for _ in 0..HASHES {
        let hashed = argon2.hash_password_into_with_memory(b"a password", &[7; 16], &mut output, &mut memory);
        hashed.map_err(|error| anyhow!("{error}"))?;
        std::hint::black_box(&output);
    }
    Ok(cpu_time(pid)?.saturating_sub(before) / HASHES)
}
