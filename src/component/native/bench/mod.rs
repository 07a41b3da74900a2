//! Spouts and bolts of the benchmarks, with storm-perf's parameters: they count what they do and
//! stamp some of it, and a meter writes that to a file, so that whoever measures need not be in
//! their process.
//!
//! `benches/genuine` has the same in Java, for genuine Storm. What is measured stands in
//! `crate::bench`.

pub mod bolts;
pub mod histogram;
pub mod meter;
pub mod sources;
pub mod spouts;

#[cfg(test)]
mod tests;
