//! Transactions, the rules that apply them to a state, and certificates.
