//! Bounds of HTTP, the UI and the log viewer.

use std::time::Duration;

/// Connections of the UI to Nimbus: as many requests are worked on, more wait.
pub const UI_NIMBUS_CONNECTIONS_MAX: usize = 8;

/// Longest that a visitor's request waits for one of them, or for Nimbus's answer.
pub const UI_CALL_WAIT_MAX: Duration = Duration::from_secs(30);

/// Body of a request to the UI, in bytes: levels of thousands of loggers.
pub const UI_BODY_BYTES_MAX: usize = 1 << 20;

/// Entries of one directory, and slots, that a listing of logs looks at.
pub const LOG_FILES_LISTED_MAX: usize = 10_000;

/// Bytes of a log on one page: Storm's.
pub const LOG_PAGE_BYTES_MAX: u64 = 10_485_760;

/// Bytes that one search looks through before it answers where to go on; and how far into a packed
/// file anything is read. A second or two of one core.
pub const LOG_SEARCH_BYTES_MAX: u64 = 256 << 20;

/// Longest text that is looked for, in bytes: Storm's.
pub const LOG_SEARCH_TEXT_BYTES_MAX: usize = 1024;

/// Matches of one search, through all files of a topology as well: each has its surroundings in the
/// answer, some KB in all.
pub const LOG_MATCHES_MAX: usize = 10_000;

/// Pages and searches that read logs at once: more wait, so that readers leave the machine to its
/// workers.
pub const LOG_READERS_MAX: usize = 2;

/// Longest that a request waits for its turn to read.
pub const LOG_READ_WAIT_MAX: Duration = Duration::from_secs(20);

/// Bytes that a download reads at once.
pub const LOG_DOWNLOAD_CHUNK_BYTES: usize = 64 << 10;

/// A slot's list of who may read its logs, in bytes.
pub const LOG_READERS_FILE_BYTES_MAX: u64 = 1 << 20;

/// Bytes of replies of a server that wait for their clients to take them: so many of ordinary size,
/// as many of large ones, and as many of those that are read from files. A page of a log may have
/// 50 MB.
pub const HTTP_WAITING_BYTES_MAX: usize = 128 << 20;

/// A reply with more bytes is a large one.
pub const HTTP_LARGE_REPLY_BYTES: u64 = 1 << 20;

/// Bytes that a reply holds while it is read from a file: a few chunks on their way, whatever its
/// client takes. There is room for some four hundred.
pub const HTTP_STREAMED_REPLY_BYTES: u64 = 5 * LOG_DOWNLOAD_CHUNK_BYTES as u64;
