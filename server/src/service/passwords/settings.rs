//! The settings of password hashing.

use zeroize::Zeroizing;

/// The most passwords that wait. At 20 hashes a second on one core, the last of them waits 2.5 s.
pub const QUEUE_MAX: usize = 50;
/// The length of a salt in bytes (RFC 9106 §4 recommends 16).
pub const SALT_BYTES: usize = 16;

/// The cost of one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// The memory in KiB.
    pub memory_kib: u32,
    /// The passes over the memory.
    pub passes: u32,
}

/// The settings of password hashing.
#[derive(Clone)]
pub struct PasswordSettings {
    /// The memory in KiB. OWASP's first choice is 19 MiB with two passes.
    pub memory_kib: u32,
    /// The passes over the memory.
    pub passes: u32,
    /// The number of threads. Each keeps `memory_kib` from its first hash on.
    pub threads: usize,
    /// The parameters of earlier versions, for as long as accounts may still have such hashes. A wrong password costs
    /// one hash with each of them and one with today's, so that the time does not tell which accounts are old.
    pub earlier: Vec<PasswordCost>,
    /// The most passwords that wait.
    pub queue_max: usize,
    /// A secret kept apart from the database. Without it nobody can guess passwords from a stolen database.
    pub pepper: Option<Zeroizing<Vec<u8>>>,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        // Half of the cores, so that logins leave the other half to messages.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.div_ceil(2);
        Self { memory_kib: 19_456, passes: 2, earlier: Vec::new(), threads, queue_max: QUEUE_MAX, pepper: None }
    }
}

impl std::fmt::Debug for PasswordSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { memory_kib, passes, earlier, threads, queue_max, pepper } = self;
        let pepper = if pepper.is_some() { "with pepper" } else { "without pepper" };
        write!(
            formatter,
            "PasswordSettings(m={memory_kib}, t={passes}, p=1, {} earlier, {threads} threads, queue {queue_max}, {pepper})",
            earlier.len()
        )
    }
}
