//! Bounds of what passes between the workers of a topology. Part of `limits`, which shows them as
//! its own; how they are kept is said where each is used.

use std::time::Duration;

/// Largest frame on a link between workers, in bytes: one batch, or one tuple of that size.
pub const LINK_FRAME_BYTES_MAX: usize = 16_000_000;

/// Trees that one tuple may belong to, as one that is anchored to a whole window: at 16 bytes each
/// they fit into a link's frame together with its values.
pub const TUPLE_TREES_MAX: usize = 900_000;

/// Largest frame before a peer has said who it is, in bytes: a greeting is some hundred.
pub const GREETING_BYTES_MAX: usize = 16_384;

/// Largest answer to a greeting, in bytes: it tells of each executor that got anything before.
pub const WELCOME_BYTES_MAX: usize = 4 << 20;

/// Longest wait for a greeting or its answer.
pub const GREETING_WAIT_MAX: Duration = Duration::from_secs(5);

/// Links that one worker accepts: one from each other worker of a large topology.
pub const LINKS_MAX: usize = 16_384;

/// Longest that a sender waits for a broken link to come back to the same process before the trees
/// of what was on its way fail: some attempts, and far below any message time-out.
pub const LINK_RESUME_MAX: Duration = Duration::from_secs(2);

/// How long a receiver may say nothing while frames are on their way to it, before its connection
/// counts as dead: it confirms within `GRANT_DELAY`, and a connection that was fine costs a moment.
pub const LINK_SILENCE_MAX: Duration = Duration::from_secs(5);

/// How often a receiver says that a frame is coming whose end takes long.
pub const LINK_SIGN_DELAY: Duration = Duration::from_secs(1);

/// When the system asks after the other side of a link that is quiet, how often then, and how many
/// times in vain: a machine that is gone is noticed within half a minute.
pub const LINK_KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
pub const LINK_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
pub const LINK_KEEPALIVES: u32 = 3;

/// Bytes that one write of a link takes together: beyond it nothing gets faster (performance 2c).
pub const LINK_WRITE_BYTES: usize = 256 << 10;

/// Frames that one write of a link takes together: below what the system takes in one call, each
/// frame being two pieces, and few enough for their places to be no allocation.
pub const LINK_WRITE_FRAMES: usize = 128;

/// Bytes that are read from a link at once.
pub const LINK_READ_BYTES: usize = 256 << 10;

/// Bytes of a window that each tuple takes beside those of its frame: its row at the receiver.
pub const LINK_TUPLE_BYTES: usize = 64;

/// How long a receiver keeps to itself that tuples were taken when it is too little for a grant of
/// its own: what its senders hold for them is memory, and would be failed if the worker died.
pub const GRANT_DELAY: Duration = Duration::from_millis(50);

/// Tuples in one batch: a quarter of a megabyte of rows.
pub const BATCH_TUPLES_MAX: usize = 4096;

/// Values in one batch, all tuples together, 24 bytes each: numbers in a row take no bytes on the
/// wire, so that bytes do not bound them.
pub const BATCH_VALUES_MAX: usize = 1 << 20;

/// Anchors in one batch, all tuples together, 16 bytes each; as with values.
pub const BATCH_ANCHORS_MAX: usize = 1 << 20;

/// Ack records in one frame.
pub const ACK_RECORDS_MAX: usize = 65_536;

/// Ack records that are written as one frame: beyond these the rest of a frame weighs nothing.
pub const ACK_FRAME_RECORDS: usize = 1024;
const _: () = assert!(ACK_FRAME_RECORDS <= ACK_RECORDS_MAX);

/// Frames of ack records that a receiver takes without a word. A window bounds tuples, and nothing
/// bounds acks but this: what their sender has to keep until they are confirmed.
pub const ACK_FRAMES_UNTOLD_MAX: u32 = 32;

/// Buffers for full frames of ack records that one link makes, 21 kB each: some times what
/// `ACK_FRAMES_UNTOLD_MAX` has under way. A burst's further ones have room for what they hold.
pub const ACK_BUFFERS_FULL_MAX: usize = 128;

/// Ack records that wait for a worker that is away: what is beyond fails by time-out.
pub const ACK_OUTBOX_RECORDS_MAX: usize = 1 << 20;

/// Bytes that wait here for one executor of another worker over an edge that does not wait for
/// room, as those that close a cycle: with more than that, what the next turns leave fails at once.
pub const LOOSE_BYTES_MAX: usize = 64 << 20;

/// Bytes of values outside their cells at which a batch goes although the turn goes on: several
/// times the long texts of a batch of ordinary tuples, and with one tuple of the largest size
/// beyond them (`TUPLE_VALUES_BYTES_MAX`) still one frame of a link.
pub const BATCH_BYTES: usize = 512 << 10;
const _: () = assert!(BATCH_BYTES + TUPLE_VALUES_BYTES_MAX < LINK_FRAME_BYTES_MAX);

/// Memory of the empty batches that one pool keeps for reuse, in bytes: those of a full window of a
/// link, whose tuples are as small as they get.
pub const BATCH_POOL_BYTES: usize = 16 << 20;
/// Trees of one acker: as many as the roots of one spout executor can name, and half a gigabyte of
/// memory. Records for more are refused, and those trees fail by time-out.
pub const ACKER_TREES_MAX: usize = 1 << 24;

/// Frame buffer that is kept for reuse, in bytes: one huge tuple must not pin its memory.
pub const LINK_BUFFER_KEEP_BYTES: usize = 1 << 20;

/// Frame buffers that are kept for reuse for one other worker: those of a window full of small
/// frames, which its receiver may confirm at once.
pub const LINK_BUFFERS_KEPT: usize = 4096;

/// What these can hold together, in bytes.
pub const LINK_BUFFERS_KEPT_BYTES: usize = 4 << 20;

/// Ack records that a list has room for which is kept for reuse: what one read of a link brings.
pub const ACK_LIST_KEEP_RECORDS: usize = 32_768;
/// Bytes of one tuple's values, texts and byte strings counted by their length: with its head and
/// anchors it must fit a frame between workers (`LINK_FRAME_BYTES_MAX`).
pub const TUPLE_VALUES_BYTES_MAX: usize = 12_000_000;
/// Buffers of packed frames that one link keeps for the next write.
pub const LINK_BUFFERS_PACKED_MAX: usize = 16;

/// Deepest nesting of a value between workers.
pub const VALUE_DEPTH_MAX: usize = 32;
