//! Deterministic random numbers.

/// SplitMix64: all seeds are equally good.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// A generator with the same numbers for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let rolled = self.roll();
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(rolled % end).unwrap_or(0)
    }

    /// One of the choices, which are not empty.
    #[expect(clippy::indexing_slicing, reason = "callers pass choices")]
    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// True with a probability of 1 / `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
