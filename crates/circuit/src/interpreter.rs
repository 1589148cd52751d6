//! What a reading of circuits must provide: eleven methods, two of them ready-made.
//!
//! [`crate::evaluate`] walks a circuit level by level. All interactive gates of a level are
//! independent of each other, and the interpreter gets them at once, so that a joint computation
//! can send everything about them in the same messages. Methods are `async` so that such a
//! computation can wait for its peers; nothing here needs a runtime, and an interpreter that never
//! waits is driven by [`crate::clear::now`].

use crate::Fr;
use crate::gate::{Destination, GateId, Owner};
use crate::kind::Kind;

/// An input that an interpreter must provide. Carried inputs never ask the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputRequest {
    /// The gate.
    pub gate: GateId,
    /// Whose secret it is.
    pub owner: Owner,
    /// Position among the inputs of this owner in this circuit, private and committed counted
    /// together, from 0.
    pub index: u32,
    /// Whether the value is tied to a commitment published before.
    pub committed: bool,
    /// The promised kind.
    pub kind: Kind,
}

/// A sum of products to compute; a plain product has one pair.
#[derive(Debug, Clone)]
pub struct Product<'a, V> {
    /// The gate.
    pub gate: GateId,
    /// The pairs, at least one.
    pub pairs: Vec<(&'a V, &'a V)>,
}

/// A bit `[left < right]` to compute.
#[derive(Debug, Clone)]
pub struct Comparison<'a, V> {
    /// The gate.
    pub gate: GateId,
    /// The left operand.
    pub left: &'a V,
    /// The right operand.
    pub right: &'a V,
    /// Both operands are below `2^bits`; their difference is a signed integer of one bit more.
    /// Comparisons of one batch may differ in width.
    pub bits: u32,
}

/// The operand of a gate with just one.
#[derive(Debug, Clone)]
pub struct Operand<'a, V> {
    /// The gate.
    pub gate: GateId,
    /// The operand.
    pub value: &'a V,
    /// Its kind.
    pub kind: Kind,
}

/// An output to deliver.
#[derive(Debug, Clone)]
pub struct OutputRequest<'a, V> {
    /// The gate.
    pub gate: GateId,
    /// The value.
    pub value: &'a V,
    /// Its kind.
    pub kind: Kind,
    /// Who learns it and how.
    pub to: Destination,
}

/// All interactive gates of one level: none needs the result of another.
#[derive(Debug)]
pub struct Level<'a, V> {
    /// Products, inner products and the products that selections come down to.
    pub products: Vec<Product<'a, V>>,
    /// Comparisons.
    pub less_than: Vec<Comparison<'a, V>>,
    /// Tests for zero.
    pub is_zero: Vec<Operand<'a, V>>,
    /// Bit decompositions; the kind of each operand has a width.
    pub decompose: Vec<Operand<'a, V>>,
    /// Assertions.
    pub assert_zero: Vec<Operand<'a, V>>,
    /// Values to reveal. No assertion that stands before one of them in the circuit is unchecked.
    pub reveal: Vec<Operand<'a, V>>,
    /// Tests for zero of which everybody is to learn the result, as if its bit were revealed.
    pub show_zero: Vec<Operand<'a, V>>,
}

impl<V> Level<'_, V> {
    /// A level without gates.
    pub fn empty() -> Self {
        Self {
            products: Vec::new(),
            less_than: Vec::new(),
            is_zero: Vec::new(),
            decompose: Vec::new(),
            assert_zero: Vec::new(),
            reveal: Vec::new(),
            show_zero: Vec::new(),
        }
    }
}

/// The results of a [`Level`]: one for each request, in the same order.
#[derive(Debug)]
pub struct Answers<V> {
    /// The sums of products.
    pub products: Vec<V>,
    /// The bits of the comparisons.
    pub less_than: Vec<V>,
    /// The bits of the tests for zero.
    pub is_zero: Vec<V>,
    /// For each decomposition its bits, lowest first, as many as the operand's kind has.
    pub decompose: Vec<Vec<V>>,
    /// Whether the asserted values are zero; the evaluation fails at the first that is not.
    pub assert_zero: Vec<bool>,
    /// The revealed values.
    pub reveal: Vec<Fr>,
    /// Whether the tested values are zero.
    pub show_zero: Vec<bool>,
}

/// A reading of circuits. Batches are never empty, and each answer has one result per request, in
/// order.
///
/// Errors are those of the interpreter itself, such as a missing input or a lost peer; failed
/// assertions are reported by the evaluation, which names circuit and gate in either case.
#[allow(async_fn_in_trait, reason = "whether futures are Send is left to each interpreter")]
pub trait Interpreter {
    /// What stands for the value of a wire: the value itself, a share, a price.
    type Value: Clone;
    /// What an output is, as seen by whoever runs the interpreter.
    type Output;
    /// What can go wrong.
    type Error: std::error::Error + 'static;

    /// The value of an owner's input.
    fn input(&mut self, request: &InputRequest) -> Result<Self::Value, Self::Error>;

    /// `constant + sum of coefficient * value`, without interaction. No terms at all stand for a
    /// public constant.
    fn linear(&mut self, terms: &[(Fr, &Self::Value)], constant: Fr) -> Self::Value;

    /// Sums of products.
    async fn products(
        &mut self,
        batch: &[Product<'_, Self::Value>],
    ) -> Result<Vec<Self::Value>, Self::Error>;

    /// Bits `[left < right]`.
    async fn less_than(
        &mut self,
        batch: &[Comparison<'_, Self::Value>],
    ) -> Result<Vec<Self::Value>, Self::Error>;

    /// Bits `[value = 0]`.
    async fn is_zero(
        &mut self,
        batch: &[Operand<'_, Self::Value>],
    ) -> Result<Vec<Self::Value>, Self::Error>;

    /// The bits of unsigned integers.
    async fn decompose(
        &mut self,
        batch: &[Operand<'_, Self::Value>],
    ) -> Result<Vec<Vec<Self::Value>>, Self::Error>;

    /// Whether values are zero, and nothing else about them.
    async fn assert_zero(
        &mut self,
        batch: &[Operand<'_, Self::Value>],
    ) -> Result<Vec<bool>, Self::Error>;

    /// The values, made known to everybody.
    async fn reveal(&mut self, batch: &[Operand<'_, Self::Value>]) -> Result<Vec<Fr>, Self::Error>;

    /// Whether values are zero, made known to everybody, and nothing else about them. Ready-made:
    /// as for assertions.
    async fn show_zero(
        &mut self,
        batch: &[Operand<'_, Self::Value>],
    ) -> Result<Vec<bool>, Self::Error> {
        self.assert_zero(batch).await
    }

    /// Delivers all outputs of a circuit, after everything else has succeeded.
    async fn output(
        &mut self,
        batch: &[OutputRequest<'_, Self::Value>],
    ) -> Result<Vec<Self::Output>, Self::Error>;

    /// A whole level. Ready-made: one kind of gate after the other. An interpreter that can
    /// overlap different kinds in the same messages replaces it.
    async fn level(
        &mut self,
        level: &Level<'_, Self::Value>,
    ) -> Result<Answers<Self::Value>, Self::Error> {
        macro_rules! batch {
            ($kind:ident) => {
                match level.$kind.as_slice() {
                    [] => Vec::new(),
                    batch => self.$kind(batch).await?,
                }
            };
        }
        Ok(Answers {
            products: batch!(products),
            less_than: batch!(less_than),
            is_zero: batch!(is_zero),
            decompose: batch!(decompose),
            assert_zero: batch!(assert_zero),
            reveal: batch!(reveal),
            show_zero: batch!(show_zero),
        })
    }
}
