//! Circuits as data: builder, evaluation in the clear, price.
