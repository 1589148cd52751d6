//! Two institutions on a chain in memory.

mod attacks;
mod desks;
mod legs;
mod net;
mod restarts;
