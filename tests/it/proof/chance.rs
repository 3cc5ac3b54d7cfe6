//! Chance that can be had again: all of it comes from a seed, which a failure names.

/// A sequence of numbers that looks like chance (SplitMix64), the same for the same seed.
#[derive(Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// From the seed that `HO_PROOF_SEED` names, or else the one that is the same for each commit.
    pub(crate) fn for_each_commit() -> Self {
        let named = std::env::var("HO_PROOF_SEED");
        let seed = named.map_or(20_261_122, |seed| seed.parse().expect("HO_PROOF_SEED"));
        eprintln!("chance: HO_PROOF_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}
