//! Netting by other means than the circuit: plain integers, and two other algorithms.

/// A case: liquidity by bank, and by payer the (payee, amount) of its queue.
#[derive(Debug, Clone)]
pub struct Case {
    pub liquidity: Vec<u64>,
    pub queues: Vec<Vec<(usize, u64)>>,
}

impl Case {
    pub fn payments(&self) -> usize {
        self.queues.iter().map(Vec::len).sum()
    }

    /// `L + inflow - outflow` of each bank, if these prefixes settle.
    pub fn balances(&self, prefixes: &[usize]) -> Vec<i128> {
        let nets = self.nets(prefixes);
        self.liquidity.iter().zip(nets).map(|(&l, net)| i128::from(l) + net).collect()
    }

    pub fn nets(&self, prefixes: &[usize]) -> Vec<i128> {
        let mut nets = vec![0; self.liquidity.len()];
        for (payer, queue) in self.queues.iter().enumerate() {
            for &(payee, amount) in &queue[..prefixes[payer]] {
                nets[payer] -= i128::from(amount);
                nets[payee] += i128::from(amount);
            }
        }
        nets
    }

    pub fn inflow(&self, bank: usize, prefixes: &[usize]) -> u128 {
        let settled = self.queues.iter().zip(prefixes).flat_map(|(queue, &k)| &queue[..k]);
        settled.filter(|(payee, _)| *payee == bank).map(|&(_, amount)| u128::from(amount)).sum()
    }

    pub fn feasible(&self, prefixes: &[usize]) -> bool {
        self.balances(prefixes).iter().all(|&balance| balance >= 0)
    }
}

/// Takes the last payment from some overdrawn bank until none is overdrawn; `choose` picks among
/// the overdrawn ones.
pub fn one_by_one(case: &Case, mut choose: impl FnMut(usize) -> usize) -> Vec<usize> {
    let mut prefixes: Vec<_> = case.queues.iter().map(Vec::len).collect();
    loop {
        let balances = case.balances(&prefixes);
        let overdrawn: Vec<_> = (0..balances.len()).filter(|&bank| balances[bank] < 0).collect();
        if overdrawn.is_empty() {
            return prefixes;
        }
        prefixes[overdrawn[choose(overdrawn.len())]] -= 1;
    }
}

/// The parallel iteration: in each step each bank's longest prefix for the inflow of the present
/// prefixes. The result, and the number of steps with the one that changes nothing.
pub fn in_parallel(case: &Case) -> (Vec<usize>, u32) {
    iterate(case, |case, bank, prefixes| {
        let available = u128::from(case.liquidity[bank]) + case.inflow(bank, prefixes);
        let mut outflow = 0;
        let paid = case.queues[bank].iter().take_while(|(_, amount)| {
            outflow += u128::from(*amount);
            outflow <= available
        });
        paid.count()
    })
}

/// In each step each overdrawn bank takes out its last settling payment.
pub fn one_for_each_bank(case: &Case) -> (Vec<usize>, u32) {
    iterate(case, |case, bank, prefixes| {
        let outflow = case.queues[bank][..prefixes[bank]].iter().map(|&(_, a)| u128::from(a));
        let available = u128::from(case.liquidity[bank]) + case.inflow(bank, prefixes);
        prefixes[bank] - usize::from(outflow.sum::<u128>() > available)
    })
}

fn iterate(case: &Case, next: impl Fn(&Case, usize, &[usize]) -> usize) -> (Vec<usize>, u32) {
    let mut prefixes: Vec<_> = case.queues.iter().map(Vec::len).collect();
    for steps in 1.. {
        let after: Vec<_> = (0..prefixes.len()).map(|bank| next(case, bank, &prefixes)).collect();
        if after == prefixes {
            return (prefixes, steps);
        }
        prefixes = after;
    }
    unreachable!("each step but the last takes a payment out")
}

/// Every result there is, feasible ones only.
pub fn all_feasible(case: &Case) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for queue in &case.queues {
        let longer = |prefixes: Vec<usize>| {
            (0..=queue.len()).map(move |k| [prefixes.clone(), vec![k]].concat())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all.retain(|prefixes| case.feasible(prefixes));
    all
}
