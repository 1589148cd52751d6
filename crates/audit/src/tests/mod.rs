//! Tests of the rules, from outside. They belong to the library, so that defects can be planted: with
//! those the program cannot be built, which tests beside it would need.

mod receipts;
mod rules;
