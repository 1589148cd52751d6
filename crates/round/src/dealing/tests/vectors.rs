//! Dealers whose vectors are not what they publish.

use quittance_mpc::Share;

use super::*;

/// The numbers and lengths before what is published: by list its length, then 32 bytes each.
const FIRST_PART: usize = 4;
const AT_ZERO: usize = FIRST_PART + 3 * 32 + 4;

impl Dealt {
    /// A dealer that deals so many zeros for vectors, in this name and to these parties.
    fn with_vectors(mut self, owner: u16, parties: Parties, count: usize) -> Self {
        let entries = vec![Fr::from(0u64); count];
        let (vectors, parts) = vss::deal_compressed(parties, Owner(owner), &entries, &mut rng(8));
        self.common.vectors = vectors;
        self.private.iter_mut().zip(parts).for_each(|(private, part)| private.vectors = part);
        self.rebind();
        self
    }

    /// With other bytes published of the vectors, if they are of the form.
    fn publishing(mut self, bytes: &[u8]) -> Option<Self> {
        self.common.vectors = CompressedDealing::from_bytes(bytes).ok()?;
        self.rebind();
        Some(self)
    }

    /// What each party says.
    fn problems(&self) -> [Option<DealtProblem>; 3] {
        [1, 2, 3].map(|number| self.accept(number).err().map(|error| error.problem))
    }
}

/// Party 1 is given shares by this dealer.
fn shares(private: &mut PrivatePart) -> &mut Vec<Share> {
    match &mut private.vectors {
        CompressedShares::Shares(shares) => shares,
        CompressedShares::Seed(_) => panic!("a seed"),
    }
}

#[test]
fn another_number_of_entries_or_another_committee_is_named() {
    let three = parties();
    for found in [79, 81, 0] {
        let problems = dealt().with_vectors(1, three, found).problems();
        // Party 2 has a seed, which is one of any length.
        let count = Some(DealtProblem::Vectors { expected: 80, found });
        assert_eq!(problems, [count.clone(), Some(DealtProblem::VectorsNotCombined), count]);
    }
    assert_eq!(dealt().with_vectors(1, three, 80).problems(), [None, None, None]);
    let others = Some(DealtProblem::VectorsOfOthers);
    for (n, t) in [(5, 2), (4, 1), (5, 1)] {
        let other = Parties::new(n, t).unwrap();
        assert_eq!(dealt().with_vectors(1, other, 80).problems(), [0; 3].map(|_| others.clone()));
    }
}

/// What a party is given is what was published for it, by this dealer.
#[test]
fn other_parts_than_those_published_are_named() {
    let other = DealtProblem::OtherVectors;
    for place in [0, 1, 79, 80] {
        let mut dealt = dealt();
        shares(&mut dealt.private[0])[place] += &Share::constant(Fr::from(1u64));
        assert_eq!(dealt.problems(), [Some(other.clone()), None, None]);
    }
    let lengths: [fn(&mut Vec<Share>); 2] = [|it| drop(it.pop()), |it| it.push(it[0].clone())];
    for change in lengths {
        let mut dealt = dealt();
        change(shares(&mut dealt.private[0]));
        assert_eq!(dealt.problem(), other);
    }
    let mut swapped = dealt();
    let vectors = swapped.private[0].vectors.clone();
    swapped.private[1].vectors = vectors;
    assert_eq!(swapped.problems(), [None, Some(other.clone()), None]);
    // What another bank has dealt, or the same one under another number.
    let copied = dealt().with_vectors(2, parties(), 80);
    assert_eq!(copied.problems(), [0; 3].map(|_| Some(other.clone())));
}

/// Each field of what is published, throughout the dealing.
#[test]
fn no_changed_byte_of_what_is_published_of_vectors_passes() {
    let published = dealt().common.vectors.to_bytes();
    assert_eq!(published.len(), AT_ZERO + 2 * 32);
    for position in (0..published.len()).step_by(5) {
        let mut bytes = published.clone();
        bytes[position] ^= 1;
        let Some(changed) = dealt().publishing(&bytes) else { continue };
        let problems = changed.problems();
        let part = (FIRST_PART..AT_ZERO - 4).contains(&position);
        let victim = part.then(|| (position - FIRST_PART) / 32);
        for (party, problem) in problems.into_iter().enumerate() {
            let expected = match (victim, party) {
                (Some(victim), party) if victim == party => Some(DealtProblem::OtherVectors),
                // The point of party 1 is published as such, and all that it looks at.
                (None, 0) if position < AT_ZERO + 32 => None,
                _ => Some(DealtProblem::VectorsNotCombined),
            };
            assert_eq!(problem, expected, "byte {position}, party {}", party + 1);
        }
        // The private parts name the dealing, and what is published is in its digest.
        let mut loose = dealt();
        loose.common.vectors = changed.common.vectors;
        let digest = dealt().common.digest();
        assert_eq!(loose.problem(), DealtProblem::OtherDealing(digest));
    }
}

/// A dealer that publishes the digest of what it gives to party 1, which is on no polynomial.
#[test]
fn shares_of_vectors_on_no_polynomial_are_named() {
    let mut dealt = dealt();
    shares(&mut dealt.private[0])[3] += &Share::constant(Fr::from(1u64));
    let part = dealt.private[0].vectors.to_bytes();
    let digest = Digest::of("quittance/v1/mpc-dealt-part", &[&[0, 1, 1], &part]);
    let mut bytes = dealt.common.vectors.to_bytes();
    bytes[FIRST_PART..FIRST_PART + 32].copy_from_slice(&digest.0);
    let problem = Some(DealtProblem::VectorsNotCombined);
    assert_eq!(dealt.publishing(&bytes).unwrap().problems(), [0; 3].map(|_| problem.clone()));
}

#[test]
fn whose_number_is_too_large_deals_no_vectors() {
    let (queue, rng) = (queue(1), &mut rng(6));
    let balance = Opening::random(900, rng);
    let mut deal_as = |number| {
        let dealer = Joined { number, ..joined(&queue) };
        deal(&dealer, &balance, &queue, proven().to_vec(), &payees(), parties(), rng).err()
    };
    assert_eq!(deal_as(1 << 16), Some(DealError::Dealer(1 << 16)));
    assert_eq!(deal_as(u16::MAX.into()), None);
    let mut numbered = dealt();
    numbered.dealer.number = 1 << 16;
    assert_eq!(numbered.problem(), DealtProblem::Number(1 << 16));
    // Not taken modulo 2^16.
    numbered.dealer.number = (1 << 16) + 1;
    assert_eq!(numbered.problem(), DealtProblem::Number((1 << 16) + 1));
    numbered.dealer.number = 2;
    assert_eq!(numbered.problem(), DealtProblem::OtherVectors);
}
