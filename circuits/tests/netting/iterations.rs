//! How many steps the two algorithms take.

use quittance_circuit_library::netting::OneByOne;

use super::reference::{Case, in_parallel, one_for_each_bank};
use super::{netting, run, run_program};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Uniform amounts; payers and payees uniform or, if `skewed`, with most payments by few banks.
/// Each bank has this part, in percent, of what it owes.
fn case(banks: u64, payments: usize, percent: u64, skewed: bool) -> Case {
    let mut random = Random(2026);
    let mut case =
        Case { liquidity: vec![0; banks as usize], queues: vec![vec![]; banks as usize] };
    for _ in 0..payments {
        let payer = match skewed {
            true => random.below(banks) * random.below(banks) * random.below(banks) / banks / banks,
            false => random.below(banks),
        };
        let payee = (payer + 1 + random.below(banks - 1)) % banks;
        case.queues[payer as usize].push((payee as usize, 1 + random.below(1_000_000)));
    }
    for (liquidity, queue) in case.liquidity.iter_mut().zip(&case.queues) {
        *liquidity = queue.iter().map(|(_, amount)| amount).sum::<u64>() * percent / 100;
    }
    case
}

fn steps(case: &Case) -> (u32, u32) {
    let ((prefixes, parallel), (same, single)) = (in_parallel(case), one_for_each_bank(case));
    assert_eq!(prefixes, same);
    (single, parallel)
}

/// One payment for each bank and step against whole prefixes: (single, parallel). Other cases have
/// been measured to take 220 against 26, 87 against 8 and, skewed, 1008 against 17 steps.
#[test]
fn whole_prefixes_take_fewer_steps() {
    let found = [(10, false), (1, false), (0, false), (10, true), (1, true)]
        .map(|(percent, skewed)| steps(&case(100, 10_000, percent, skewed)));
    assert_eq!(found, [(31, 5), (90, 38), (277, 132), (1515, 11), (1701, 24)]);
}

#[test]
fn circuits_take_these_steps() {
    let case = case(20, 400, 1, false);
    let one_by_one = OneByOne::new(netting(&case)).until_settled().unwrap();
    let (results, parallel) = run(&case);
    let (same, single) = run_program(&case, &one_by_one);
    assert_eq!(results, same);
    assert_eq!((single, parallel), steps(&case));
    assert_eq!((single, parallel), (70, 43));
}
