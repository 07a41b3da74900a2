//! Every upper bound, by name, with its reason.
//!
//! A queue, map, retry or wait that outsiders can grow has its bound here. Bounds that users may
//! set are configuration keys (`conf::keys`); these are the ones they may not.

mod site;

use std::time::Duration;

pub use links::*;
pub use site::*;

mod links;

// ---- Wire ---------------------------------------------------------------------------------------

/// Largest request frame, in bytes: what Java's Thrift servers refuse to exceed (control-plane
/// 1.1).
pub const FRAME_BYTES_MAX: usize = 16_384_000;

/// Largest reply, in bytes, where a reply can be paged: Java clients refuse more (control-plane
/// 1.1).
pub const REPLY_BYTES_MAX: usize = 1_048_576;

/// Deepest nesting of structs and containers in a message.
pub const WIRE_DEPTH_MAX: usize = 64;

// ---- Connections --------------------------------------------------------------------------------

/// Longest that the first byte of a frame may wait for its last, beside what `FRAME_RATE_MIN`
/// grants: a peer that trickles bytes must not hold a buffer for long, a slow line needs a while.
pub const FRAME_WAIT_MAX: Duration = Duration::from_secs(30);

/// Bytes per second that a peer must move, either way, to be granted time beyond the fixed waits:
/// below any working network, far above a trickle. The largest frame gets about 4 minutes more.
pub const FRAME_RATE_MIN: u32 = 65_536;

/// Longest that a reply may wait for a peer that does not read, beside what `FRAME_RATE_MIN`
/// grants.
pub const REPLY_WAIT_MAX: Duration = Duration::from_secs(30);

/// Connections that one server keeps: thousands of clients, and descriptors left for the rest of
/// the daemon. When it is full the connection that idled longest makes room.
pub const CONNECTIONS_MAX: usize = 4096;

/// Connections that the system keeps until they are accepted (it may allow fewer): all clients of a
/// daemon that comes back. One too many is not refused but tries again after a second.
pub const WAITING_CONNECTIONS_MAX: u32 = 4096;

/// Of these, connections that have not completed one good call: garbage and idlers displace each
/// other long before they displace a client.
pub const UNPROVEN_CONNECTIONS_MAX: usize = 512;

/// Bytes of half-sent frames that one server holds, over all its connections: sixteen of the
/// largest. Above it the connection that holds most goes, one without a good call before others.
pub const HALF_SENT_BYTES_MAX: usize = 16 * FRAME_BYTES_MAX;

/// Bytes taken from a peer that sends its next request while its last still runs: enough to see it
/// hang up; the rest waits in the socket.
pub const READ_AHEAD_BYTES_MAX: usize = 65_536;

/// Requests above this size, in bytes, have the memory that they took given back to the system at
/// once: what they decode to is many times as large, and rare.
pub const LARGE_REQUEST_BYTES: usize = 1 << 20;
/// How long a call goes on after its peer hung up: an ordinary call ends as if it had stayed, one
/// that is parked is dropped.
pub const ABANDONED_CALL_MAX: Duration = Duration::from_secs(5);

/// How long running calls may take to end when a server drains.
pub const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Pause of an accept loop that the system refused a descriptor: long enough for the connection
/// that was closed in its favour to be gone.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Log lines about refused connections per `REFUSAL_LOG_PERIOD`: garbage must not fill a disk.
pub const REFUSAL_LOG_LINES_MAX: u64 = 20;

/// See `REFUSAL_LOG_LINES_MAX`.
pub const REFUSAL_LOG_PERIOD: Duration = Duration::from_secs(10);

/// Longest wait of a client for a connection to open: resolving, connecting and greeting together.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);

/// Longest wait of a client for a reply, unless it asks for another: Storm's socket timeout.
pub const CALL_WAIT_MAX: Duration = Duration::from_secs(600);

// ---- Access control -----------------------------------------------------------------------------

/// Users whose groups are remembered: above any cluster's, and little memory if a caller invents
/// names.
pub const GROUP_CACHE_MAX: usize = 10_000;

/// Bytes of one message of a SASL negotiation: a response of DIGEST-MD5 has 4096 at most by its
/// standard, and the name in it may be a worker's token.
pub const SASL_MESSAGE_BYTES_MAX: usize = 8192;

/// Longest wait for a login or a TLS handshake to be complete: a few round trips on a slow line.
pub const LOGIN_WAIT_MAX: Duration = Duration::from_secs(10);

/// Shortest time between two looks at the files of certificates: how long a renewed one may wait.
pub const CERTIFICATE_CHECK_MS: u64 = 1000;

// ---- Store and blobs ----------------------------------------------------------------------------

/// Requests that wait for the embedded store's thread; more wait in their callers.
pub const STORE_REQUESTS_MAX: usize = 256;

/// Longest path of a record in bytes: two escaped names and what is around them.
pub const STORE_PATH_BYTES_MAX: usize = 4096;

/// Writes in one commit: the errors of all components of the largest topology, removed with its own
/// few records.
pub const STORE_WRITES_MAX: usize = TOPOLOGY_COMPONENTS_MAX + 16;

/// Bytes of one commit: an assignment of a topology as large as a frame admits, with room.
pub const STORE_COMMIT_BYTES_MAX: usize = 64 << 20;

/// Longest blob key in bytes: file systems end names at 255, we put `meta_` in front, and
/// supervisors put a version behind.
pub const BLOB_KEY_BYTES_MAX: usize = 240;

/// Most bytes that one read of a blob returns: a reply must stay below `REPLY_BYTES_MAX`.
pub const BLOB_READ_BYTES_MAX: usize = 512 << 10;

/// Bytes of a growing blob that are held in memory before its file is opened for them: chunks of
/// one byte cost one write in four thousand, and `BLOB_SESSIONS_MAX` uploads some 64 MB.
pub const BLOB_DRAFT_BUFFER_BYTES: usize = 4096;

/// Largest blob in bytes.
pub const BLOB_BYTES_MAX: u64 = 64 << 30;

/// Sessions of blobs that are open at once, uploads, downloads and listings each: ten thousand
/// clients that were killed leave room for others until theirs expire. None holds a descriptor.
pub const BLOB_SESSIONS_MAX: usize = 16_384;

/// Of these, sessions of one authenticated principal.
pub const BLOB_SESSIONS_OF_ONE_MAX: usize = BLOB_SESSIONS_MAX / 4;

/// Keys in one page of a listing: Storm's.
pub const BLOB_KEYS_LISTED_MAX: usize = 100;

/// Longest error text that quotes what a peer sent, in bytes: a reply must not grow with the
/// request.
pub const ERROR_TEXT_BYTES_MAX: usize = 16_384;

// ---- Configuration ------------------------------------------------------------------------------

/// Largest configuration file, in bytes: what Storm's own reader takes.
pub const CONF_FILE_BYTES_MAX: u64 = 3 * 1024 * 1024;

/// Deepest nesting of a configuration, in a file or in JSON: what Storm's own reader takes.
pub const CONF_DEPTH_MAX: usize = 50;

/// Most values in a configuration file, aliases unfolded: far above any real one.
pub const CONF_NODES_MAX: usize = 250_000;

/// Largest file of a topology's definition, in bytes: as for a configuration.
pub const FLUX_FILE_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Most bytes of one once properties are put in: a short name may stand for a long value.
pub const FLUX_TEXT_BYTES_MAX: usize = 4 * FLUX_FILE_BYTES_MAX;
/// Most files of one definition: it may include the same ones again and again.
pub const FLUX_FILES_MAX: usize = 100;
/// Most files that include each other: nobody reads along further.
pub const FLUX_INCLUDES_DEPTH_MAX: usize = 10;
/// Stack to parse one on: several times what `CONF_DEPTH_MAX` takes without optimisation.
pub const FLUX_STACK_BYTES: usize = 16 << 20;
/// Most bytes that its references copy, each a list of others: some two thousand lists deep.
pub const FLUX_COPIED_BYTES_MAX: usize = 64 << 20;
/// Warnings about one definition: a person reads them.
pub const FLUX_WARNINGS_MAX: usize = 20;

// ---- Shell children -----------------------------------------------------------------------------

/// Deepest nesting of lists and maps in a message from a child: far beyond what adapters send, and
/// far from the end of a thread's stack.
pub const MULTILANG_DEPTH_MAX: usize = WIRE_DEPTH_MAX;
// ---- Topology jars ------------------------------------------------------------------------------

/// Most entries of a jar: a whole virtualenv has some ten thousand files.
pub const JAR_ENTRIES_MAX: usize = 200_000;

/// Most bytes of a jar's directory, which is held in memory to be read: some 160 for each of
/// `JAR_ENTRIES_MAX` entries.
pub const JAR_DIRECTORY_BYTES_MAX: u64 = 32 << 20;

/// Most bytes that a jar's resources may unpack to: room for a virtualenv with large libraries, and
/// an end to archives that unpack without one.
pub const JAR_UNPACKED_BYTES_MAX: u64 = 4 << 30;
/// Of these, for each byte of the packed file: ten times what texts compress to. An archive of a
/// few kilobytes may not fill a disk.
pub const UNPACKED_RATIO_MAX: u64 = 100;
/// What an archive may unpack to, in bytes, however small it is: files of zeros are legal.
pub const UNPACKED_BYTES_FREE: u64 = 64 << 20;

/// Errors that a local run of a topology shows: more say nothing new.
pub const ERRORS_SHOWN_MAX: usize = 1_000;

/// Programs of one jar: a platform each.
pub const PROGRAMS_MAX: usize = 16;

/// Largest program of a jar, unpacked: room for one with all its symbols.
pub const PROGRAM_BYTES_MAX: u64 = 1 << 30;

/// Largest manifest of a jar's programs: it has two entries.
pub const PROGRAM_MANIFEST_BYTES_MAX: u64 = 4 << 10;

// ---- Supervisor ---------------------------------------------------------------------------------

/// Bytes of a health script's output that are looked at: what says ERROR says it early.
pub const HEALTH_OUTPUT_BYTES_MAX: usize = 64 << 10;

/// Events on their way to the supervisor's task: each slot has a few at a time.
pub const SUPERVISOR_EVENTS_MAX: usize = 1_024;

/// Longest that a new worker process waits for its supervisor to put it on record: two fsyncs of a
/// slow disk.
pub const WORKER_RECORD_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long a daemon waits for the lock of its directory: the moment that a child of the one before
/// needs to run its own program.
pub const LOCK_WAIT_MAX: Duration = Duration::from_millis(500);

/// How long a supervisor that starts waits for a process that it killed to be gone.
pub const KILL_WAIT_MAX: Duration = Duration::from_secs(1);

/// Errors that wait for Nimbus to come back: the newest ones.
pub const COMPONENT_ERRORS_HELD_MAX: usize = 100;

/// Bytes that a stored conf or topology may unpack to: what a frame admits, with room for the full
/// conf.
pub const STORED_BYTES_MAX: usize = 64 << 20;
// ---- Topologies -------------------------------------------------------------------------------

/// Longest name of a topology, in bytes: it becomes part of file names, which file systems end at
/// 255.
pub const TOPOLOGY_NAME_BYTES_MAX: usize = 200;

/// Longest component or stream id, in bytes: ids stand in every log line, record and page.
pub const TOPOLOGY_ID_BYTES_MAX: usize = 1024;

/// Most components of a topology, metrics consumers included.
pub const TOPOLOGY_COMPONENTS_MAX: usize = 10_000;

/// Most streams that the components of a topology may declare together.
pub const TOPOLOGY_STREAMS_MAX: usize = 100_000;

/// Most subscriptions of a topology, those of its metrics consumers included.
pub const TOPOLOGY_INPUTS_MAX: usize = 200_000;

/// Most tasks, and most executors, of a topology where the configuration keys of these limits are
/// null: task ids are 32 bits wide and every worker holds all of them.
pub const TOPOLOGY_TASKS_MAX: i32 = 1_000_000;
// ---- Executors ----------------------------------------------------------------------------------

/// Errors of components that wait to be reported; newer ones push out older ones.
pub const REPORTED_ERRORS_MAX: usize = 256;

/// Longest line, in bytes, that the file spout reads: more is no text for words.
pub const FILE_LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
// ---- Gateway ------------------------------------------------------------------------------------

/// Tuples in one call of a peer, either way.
pub const GATEWAY_TUPLES_MAX: usize = 65_536;

/// Bytes of one tuple that a peer emits: half of what a link between workers carries, so that it
/// also gets through with all that is around it.
pub const GATEWAY_TUPLE_BYTES_MAX: usize = 8 << 20;

/// Tuples that a spout's task keeps for emission; a call that finds so many waits.
pub const GATEWAY_QUEUE_TUPLES_MAX: usize = 65_536;

/// Bytes of them, and of what a bolt's task still has to emit for its peer.
pub const GATEWAY_QUEUE_BYTES_MAX: usize = 16 << 20;

/// Tracked tuples of one session that are neither acked nor failed.
pub const GATEWAY_PENDING_MAX: usize = 1 << 20;

/// Tuples of a bolt in one run: what several make together is cut less often than one would be.
pub const GATEWAY_RUN_TUPLES_MAX: usize = 4096;

/// Bytes of tuples that a bolt's task holds for its peer, waiting or unanswered; one tuple may be
/// larger.
pub const GATEWAY_HELD_BYTES_MAX: usize = 32 << 20;

/// Bytes in one delivery, unless one tuple is larger: replies that Java clients accept.
pub const GATEWAY_DELIVERY_BYTES_MAX: usize = REPLY_BYTES_MAX / 2;

/// Most that a peer may ask for of tuples without an answer.
pub const GATEWAY_CREDIT_MAX: i32 = 1 << 20;

/// Longest that a call waits, for tuples, for fates or to be taken on.
pub const GATEWAY_PARK_MAX: Duration = Duration::from_secs(10);

/// Shortest and longest lease of a session: time for a pause of a collector, and what a lost peer
/// may hold up.
pub const GATEWAY_LEASE_MS: (i32, i32) = (1000, 600_000);

/// Sessions of one component in one worker.
pub const GATEWAY_SESSIONS_MAX: usize = 1024;

/// Codecs that a peer may offer; what it names beyond them is not looked at.
pub const GATEWAY_CODECS_MAX: usize = 16;

/// Bytes of task ids that a shell component's child asked for and does not read: a million of small
/// answers. A child that reads at all is never so far behind.
pub const SHELL_URGENT_BYTES_MAX: usize = 16 << 20;

/// Events that a shell child's messages make and that wait for their executor before no more is
/// read: some turns' worth.
pub const SHELL_INBOX_EVENTS_MAX: usize = 1024;

/// Bytes of these messages, likewise: what a fast child writes in some milliseconds. The one that
/// reaches the bound may be as long as a message ever is.
pub const SHELL_INBOX_BYTES_MAX: usize = 4 << 20;

/// Longest name of a peer in bytes.
pub const GATEWAY_PEER_BYTES_MAX: usize = 256;

/// Names of metrics that one task may report: each lies in its worker and at Nimbus.
pub const METRICS_OF_TASK_MAX: usize = 1000;

/// Metrics that a worker reports, and Nimbus keeps of it: some hundreds of kilobytes.
pub const METRICS_OF_WORKER_MAX: usize = 10_000;

/// Longest name of a metric in bytes.
pub const METRIC_NAME_BYTES_MAX: usize = 256;

/// Errors that a peer reported and that wait for its task; more are dropped.
pub const GATEWAY_ERRORS_MAX: usize = 64;

/// Without a peer for so long, a task says so among the topology's errors, and again after each
/// `GATEWAY_VACANT_AGAIN`.
pub const GATEWAY_VACANT_AFTER: Duration = Duration::from_secs(3);

/// See `GATEWAY_VACANT_AFTER`.
pub const GATEWAY_VACANT_AGAIN: Duration = Duration::from_secs(60);

// ---- Nimbus -------------------------------------------------------------------------------------

/// Longest that a rebalance waits, after its delay, for what is still under way: a bolt that holds
/// tuples for as long is not about to let them go. What is tracked is replayed.
pub const REBALANCE_DRAIN_MAX: Duration = Duration::from_secs(30);

/// Longest that spouts stay quiet after a rebalance while workers start: one that takes longer may
/// never come, and tuples for it wait or fail.
pub const REBALANCE_SETTLE_MAX: Duration = Duration::from_secs(60);

/// Uploads of jars that are open at once; more are refused until some end or expire.
pub const UPLOADS_MAX: usize = 128;

/// Largest jar in bytes.
pub const UPLOAD_BYTES_MAX: u64 = 4 << 30;

/// Downloads that are open at once.
pub const DOWNLOADS_MAX: usize = 1024;

/// Attempts to write blobs whose commit is made, before it is left to the next start: some seconds,
/// in which a disk that was full or busy may have room again.
pub const REDO_ATTEMPTS_MAX: u32 = 8;
/// Longest time that Nimbus holds a call for which there is no news, in milliseconds: well below
/// the silence after which a supervisor counts as lost.
pub const PARK_MS_MAX: u64 = 6000;

/// Errors kept for one component, the newest (control-plane 9.3).
pub const ERRORS_KEPT: usize = 10;

/// Killed topologies that the history keeps: years of daily restarts of a few, in a few megabytes
/// of memory.
pub const HISTORY_KEPT: usize = 10_000;

/// Entries of the history that one commit forgets.
pub const HISTORY_FORGOTTEN_TOGETHER: usize = 500;

/// Supervisors that Nimbus keeps; reports of more are refused.
pub const SUPERVISORS_MAX: usize = 10_000;

/// Largest amount of a resource that is reckoned with, of memory in megabytes or of processor in
/// percent: a thousand times the largest machines, and sums of many stay exact in a double.
pub const RESOURCE_AMOUNT_MAX: f64 = 1.0e12;

/// Periods of scheduling that the blacklist looks back over: a day of the default ones.
pub const BLACKLIST_TURNS_MAX: usize = 8640;

/// Kinds of resources that one component or supervisor may name: every round reckons with each.
pub const RESOURCE_NAMES_MAX: usize = 64;

/// Pushes of assignments to supervisors that run at once; the others wait for their turn.
pub const PUSHES_MAX: usize = 10;

/// Pushes of assignments that wait for their turn; supervisors ask anyway.
pub const PUSHES_WAITING_MAX: usize = 1000;

/// Components whose errors are saved in one commit: the longest texts of `ERRORS_KEPT` errors each
/// stay below `STORE_COMMIT_BYTES_MAX`.
pub const ERRORS_SAVED_TOGETHER_MAX: usize = 256;
const _: () = assert!(
    ERRORS_SAVED_TOGETHER_MAX * ERRORS_KEPT * REPORTED_ERROR_BYTES_MAX < STORE_COMMIT_BYTES_MAX
);

/// Longest text of one error that a worker reported, in bytes; the rest is cut off.
pub const REPORTED_ERROR_BYTES_MAX: usize = 16 << 10;
/// First pause before a component that failed to start or panicked is made anew.
pub const RESTART_PAUSE_BASE: Duration = Duration::from_millis(100);

/// Longest such pause.
pub const RESTART_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Tuples that wait for one executor, whatever `topology.executor.receive.buffer.size` allows
/// beyond: more of them would only leave the caches.
pub const INBOX_TUPLES_MAX: usize = 16_384;
// ---- DRPC ---------------------------------------------------------------------------------------

/// Requests that one DRPC server has open: as many as its connections can wait for, over Thrift and
/// HTTP.
pub const DRPC_REQUESTS_MAX: usize = 2 * CONNECTIONS_MAX;

/// Bytes of names and arguments of requests that nobody has fetched.
pub const DRPC_BYTES_MAX: usize = 256 << 20;

/// Requests of one function that nobody has fetched: one whose topology is gone must not take the
/// room of the others.
pub const DRPC_QUEUE_MAX: usize = CONNECTIONS_MAX;

/// Longest name of a function, in bytes.
pub const DRPC_FUNCTION_BYTES_MAX: usize = 16_384;

/// Longest name of a spout's session, in bytes: topology id, task and generation.
pub const DRPC_SESSION_BYTES_MAX: usize = 512;

/// Requests that a spout takes with one call.
pub const DRPC_FETCH_MAX: usize = 256;

/// Bytes of arguments that a spout takes with one call beyond those of the first: a reply must not
/// take long on a slow line.
pub const DRPC_FETCH_BYTES_MAX: usize = 1 << 20;

/// Longest time that a fetch is parked.
pub const DRPC_PARK_MAX: Duration = Duration::from_secs(10);

/// How long a spout may be silent beyond the time that its fetch may be parked, before the requests
/// it took count as lost: some times a slow network's worst.
pub const DRPC_SILENCE_MAX: Duration = Duration::from_secs(10);

/// How long a spout whose connection ended has to come back on another one: a spout that lives
/// comes at once, one whose worker died never.
pub const DRPC_RETURN_MAX: Duration = Duration::from_secs(2);

/// Head of an HTTP request in bytes, arguments in the path included.
pub const HTTP_HEAD_BYTES_MAX: usize = 65_536;

/// Lines in the head of an HTTP request.
pub const HTTP_HEADERS_MAX: usize = 100;

/// How long an HTTP connection may idle between requests, or take for the head of one.
pub const HTTP_HEAD_WAIT_MAX: Duration = Duration::from_secs(30);

// ---- What operators ask of topologies -----------------------------------------------------------

/// Loggers of one topology whose level somebody set: each event of a worker is held against them.
pub const LOGGERS_MAX: usize = 100;

/// Names and values of one topology's credentials, in bytes: some hundred tokens. All workers get
/// them with each change of their work.
pub const CREDENTIALS_BYTES_MAX: usize = 256 << 10;

/// Requests for profiles of one topology that wait: each action on some tens of slots. All its
/// workers are told of them.
pub const PROFILE_REQUESTS_MAX: usize = 256;

/// Longest name of a request for a profile, in bytes: a host, a port and an action.
pub const PROFILE_KEY_BYTES_MAX: usize = 320;

/// How long a request for a profile waits beyond its time, in milliseconds, for a worker that does
/// not come.
pub const PROFILE_REQUEST_MS_MAX: i64 = 600_000;

/// Old event logs that a worker keeps, whatever `topology.eventlogger.max.retained.files` says.
pub const EVENT_LOG_FILES_MAX: u64 = 100;

/// Longest line of an event log, in bytes: the rest of a large tuple is cut off.
pub const EVENT_LOG_LINE_BYTES_MAX: usize = 64 << 10;

/// Files of stacks, profiles and memory that one slot keeps, the newest.
pub const PROFILE_FILES_MAX: usize = 50;

/// Longest profile: who asks for more is at fault or away.
pub const PROFILE_SPAN_MAX: Duration = Duration::from_secs(3600);
