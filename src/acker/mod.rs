//! Acking as pure state: the acker's ledger of tuple trees, the spout's table of what is pending.
//!
//! Takes time as an argument and sends nothing: `worker` moves records and notices. Roots and their
//! bits are `grouping::draw_root`'s.

mod ledger;
mod pending;
mod trees;

pub use ledger::{AckLedger, LedgerRecord, Notice, Outcome};
pub use pending::{Pending, PendingTable};

#[cfg(test)]
mod tests;
