//! What several test modules need.

use rand_core::{CryptoRng, Infallible, TryCryptoRng, TryRng};

/// Gives exactly the bytes it was made with, and fails the test that asks for more.
pub(crate) struct ReplayRng {
    bytes: Vec<u8>,
    used: usize,
}

impl ReplayRng {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), used: 0 }
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.used == self.bytes.len()
    }
}

impl TryRng for ReplayRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        let end = self.used + dst.len();
        dst.copy_from_slice(self.bytes.get(self.used..end).expect("no more randomness was expected to be drawn"));
        self.used = end;
        Ok(())
    }
}

impl TryCryptoRng for ReplayRng {}

/// A generator that repeats itself from run to run.
pub(crate) fn seeded_rng(seed: u64) -> impl CryptoRng {
    use rand::SeedableRng as _;
    rand::rngs::StdRng::seed_from_u64(seed)
}
