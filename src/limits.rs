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

// ---- Store and blobs -------------------------------------------------------------------------------

/// Requests that wait for the embedded store's thread; more wait in their callers.
pub const STORE_REQUESTS_MAX: usize = 256;

/// Longest path of a record in bytes: two escaped names and what is around them.
pub const STORE_PATH_BYTES_MAX: usize = 4096;

/// Writes in one commit: more than the largest topology's records by far.
pub const STORE_WRITES_MAX: usize = 4096;

/// Bytes of one commit: an assignment of a topology as large as a frame admits, with room.
pub const STORE_COMMIT_BYTES_MAX: usize = 64 << 20;

/// Longest blob key in bytes: file systems end names at 255, and we put `data_` in front.
pub const BLOB_KEY_BYTES_MAX: usize = 240;

/// Most bytes that one read of a blob returns: a reply must stay below `REPLY_BYTES_MAX`.
pub const BLOB_READ_BYTES_MAX: usize = 512 << 10;
