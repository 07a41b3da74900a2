//! Every upper bound, by name, with its reason.
//!
//! A queue, map, retry or wait that outsiders can grow has its bound here. Bounds that users may set are
//! configuration keys (`conf::keys`); these are the ones they may not.

// ---- Wire ------------------------------------------------------------------------------------------

/// Largest request frame, in bytes: what Java's Thrift servers refuse to exceed (control-plane 1.1).
pub const FRAME_BYTES_MAX: usize = 16_384_000;

/// Largest reply, in bytes, where a reply can be paged: Java clients refuse more (control-plane 1.1).
pub const REPLY_BYTES_MAX: usize = 1_048_576;

/// Deepest nesting of structs and containers in a message.
pub const WIRE_DEPTH_MAX: usize = 64;
