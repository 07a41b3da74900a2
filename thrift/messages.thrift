/**
 * Stormwire's own contract: what travels inside a topology, and how daemons talk to Nimbus.
 *
 * Messages, batches and links are the data plane between workers. Coordination is the service of Nimbus
 * for supervisors and workers. Gateway is for everybody: components of a topology in processes of their own.
 * Storm's own contract stays in storm.thrift, untouched by anything here.
 */
include "storm.thrift"

namespace py stormwire.messages
namespace java io.stormwire.messages

// ---- Values and messages ------------------------------------------------------------------------

/** One entry of a map value. A list of entries, since Thrift gives map keys no order and no doubles. */
struct Entry {
  1: required Value key
  2: required Value value
}

/** A number of any size with a decimal point: unscaled * 10^-scale; unscaled is two's complement, big endian. */
struct Decimal {
  1: required binary unscaled
  2: required i32 scale
}

/**
 * One value of a tuple. Java's number types stay apart (an int is not a long), since fields grouping
 * hashes them differently and a receiver may tell them apart.
 */
union Value {
  1: storm.NullStruct null_value
  2: bool bool_value
  3: byte byte_value
  4: i16 short_value
  5: i32 int_value
  6: i64 long_value
  /** A 32-bit float, widened without loss. */
  7: double float_value
  8: double double_value
  /** A UTF-16 code unit. */
  9: i32 char_value
  10: string string_value
  11: binary bytes_value
  12: list<Value> list_value
  13: list<Entry> map_value
  /** An integer of any size: two's complement, big endian. Peers of the Gateway send at most 8,333 bytes. */
  14: binary big_integer_value
  15: Decimal decimal_value
}

/** Globally unique: no two tuples of a topology's life share all three parts. */
struct MessageId {
  /** Of the worker that emitted it; a restarted task never uses one again. */
  1: required i64 generation
  2: required i32 source_task
  3: required i64 sequence
}

/** One edge of a tuple tree: the root it belongs to and its own random number. */
struct Anchor {
  1: required i64 root
  2: required i64 edge
}

/** One tuple on its way to one task. */
struct Message {
  1: required MessageId id
  /** Microseconds since the Unix epoch: event time where the component set one, else time of emission. */
  2: required i64 timestamp_us
  3: required string stream
  4: required i32 target_task
  5: required list<Anchor> anchors
  6: required list<Value> values
}

/**
 * Many messages of one source task. What they share stands here once; the rest is packed in body, whose
 * layout src/messaging/codec.rs defines. body_version names that layout.
 */
struct MessageBatch {
  1: required i64 generation
  2: required i32 source_task
  3: required i64 first_sequence
  4: required i64 first_timestamp_us
  5: required i32 count
  6: required i32 body_version
  7: required binary body
}

/** Ack traffic between workers: packed records, layout in src/messaging/codec.rs. */
struct AckBatch {
  1: required i32 count
  2: required binary records
}

// ---- Links between workers ----------------------------------------------------------------------

/** What a link carries. 2 was a link for acks alone, up to wire version 2. */
enum LinkKind {
  /** Tuples and acks. */
  DATA = 1
}

/** What a packed frame is packed by. Each end knows some. */
enum LinkCodec {
  ZLIB = 1
  LZ4 = 2
  ZSTD = 3
}

/** Another frame, a record of Coordination, or tuples of the Gateway, compressed. It is none of these itself. */
struct PackedFrame {
  1: required LinkCodec codec
  /** Bytes of it before; whoever unpacks it stops there. */
  2: required i32 plain_length
  /** What is packed may hold secrets. */
  3: required binary body (secret = "true")
}

/** First frame from the worker that connects. */
struct Hello {
  1: required i32 wire_version
  2: required string topology_id
  /** Of the system topology and task numbers; unequal hashes would misroute streams. */
  3: required binary topology_hash
  4: required string node
  5: required i32 port
  6: required i64 generation
  7: required LinkKind kind
  /** Up to wire version 2: the component that all tuples are for. */
  8: optional string component
  /** Names a series of frames of this sender that goes on over connections; a later one has a higher number. */
  9: optional i64 session
  /** Layout of the batches that will come. */
  10: optional i32 body_version
  /** What it may pack frames by, the best first; absent or empty: it packs none. */
  13: optional list<LinkCodec> codecs
  /** It numbers its frames: see Welcome.salt. */
  14: optional bool numbered
  /** CRC-32 of what a damaged greeting must not change for good: see src/messaging/link.rs. */
  15: optional i32 checksum
}

/** How far an executor of the receiver has come with what one sender sent it, in bytes of frames. Only grows. */
struct Grant {
  /** The executor's first task. */
  1: required i32 task
  2: required i64 received
  3: required i64 consumed
}

/** From the receiver, on the same connection: what arrived and what was taken off the queues. */
struct Credit {
  /** Frames of the session that arrived. */
  1: required i64 frames
  2: required list<Grant> grants
}

/** Answer to Hello. */
struct Welcome {
  1: required i32 wire_version
  2: required i64 generation
  /** Frames of the session that arrived, over whatever connections: the sender goes on after them. */
  3: optional i64 received
  /** Bytes of frames that may be on their way to one executor, or wait for it there. */
  4: optional i64 window
  5: optional list<Grant> grants
  /** The first of the Hello's codecs that this worker can unpack; absent: send everything plain. */
  6: optional LinkCodec codec
  /** All that this worker can unpack. */
  7: optional list<LinkCodec> codecs
  /**
   * Drawn anew for each connection whose Hello is numbered. In each direction the CRC-32 of the first frame
   * begins from it, that of each later one from one more: a frame that is repeated, left out or recorded
   * elsewhere does not fit. Absent: all begin from 0.
   */
  8: optional i32 salt
}

/** Answer to a Hello that does not fit; the connection closes after it. */
struct Refused {
  1: required string reason
}

/**
 * What follows each 4-byte length on a link between workers; after the greeting, each length and 4 bytes of
 * CRC-32 over the frame.
 */
union Frame {
  1: Hello hello
  2: Welcome welcome
  3: Refused refused
  4: MessageBatch batch
  5: AckBatch acks
  6: PackedFrame packed
  7: Credit credit
}

// ---- Coordination: supervisors and workers to Nimbus ----------------------------------------------

/** A worker process that a supervisor knows to run. */
struct LocalWorker {
  1: required string topology_id
  2: required i32 port
  3: required string worker_id
  4: required i64 generation
  5: required list<storm.ExecutorInfo> executors
  6: required i32 uptime_secs
}

/** Why something failed, to be shown under a component of a topology. */
struct ComponentError {
  1: required string topology_id
  2: required string component_id
  3: required storm.ErrorInfo error
}

/** Registration, heartbeat and pull in one: sent at start, whenever something changed, and every few seconds. */
struct SupervisorReport {
  1: required string node
  2: required storm.SupervisorInfo info
  /** Names this run of the supervisor's process. */
  3: required string session
  4: required list<LocalWorker> workers
  5: required list<ComponentError> errors
  /** Version of the last directive that was received; 0 for none. */
  6: required i64 known_version
  /** How long Nimbus may hold the call while nothing has changed, in milliseconds. */
  7: required i32 wait_ms
  /** What the supervisor can unpack. */
  8: optional list<LinkCodec> codecs
  /** The target triple that programs must be built for to run here. */
  20: optional string platform
}

/** What a topology goes through, beside its status. */
enum TopologyPhase {
  STEADY = 1
  /** A rebalance goes on when nothing is under way any more: workers report often what still is. */
  DRAINING = 2
  /** A new assignment is taken up: spouts stay quiet until every worker follows it. */
  SETTLING = 3
}

/** By which a worker shows others of its topology who it is: DER. */
struct LinkCertificate {
  1: required binary certificate
  2: required binary key (secret = "true")
}

/** What encrypts the links of a topology, as far as its receiver needs it. */
struct LinkKeys {
  /** Certificate of the topology's own authority: DER. */
  1: required binary authority
  /** Of the receiver's workers, by port. */
  2: required map<i32, LinkCertificate> workers
}

/** What a node has to know of one topology. */
struct TopologyWork {
  1: required storm.Assignment assignment
  /** Grows with each change of this topology's assignment; part of the generation of its workers. */
  2: required i64 epoch
  3: required storm.TopologyStatus status
  4: required map<string, storm.DebugOptions> component_debug
  /** The epoch since which what a slot runs is unchanged: a worker of an earlier one is in its place wrongly. */
  5: optional map<storm.NodeInfo, i64> slot_epochs
  6: optional TopologyPhase phase
  /** The epoch since which code and conf are unchanged: files that were fetched before it are old. */
  7: optional i64 blobs_epoch
  /** Levels of loggers that somebody asked for; absent when nobody ever did. */
  8: optional storm.LogConfig log_config
  /** What the topology's components may show to others. Never written where others may read. */
  9: optional storm.Credentials credentials
  /** What its workers are asked to tell of themselves, by slots' hosts and ports. */
  10: optional list<storm.ProfileRequest> profile_requests
  /** Where its links are encrypted by certificates of Nimbus. Holds secrets. */
  11: optional LinkKeys link_keys
  /** By which its workers log in at Coordination, where that takes logins: a storm.WorkerToken as base64. Secret. */
  20: optional string worker_token
}

/** Everything a node has to run: a topology that is absent has no work here. */
struct SupervisorDirective {
  1: required i64 version
  2: required map<string, TopologyWork> topologies
  /** A SupervisorDirective with the topologies, which stand here then, and not in 2. */
  3: optional PackedFrame packed
}

/** What is under way in a worker. */
struct Activity {
  /** Tuples that wait, are pending or are on their way out, and spouts that may emit. */
  1: required i64 n_waiting
  /** Tuples that were handed to the system for other workers, and those that came from them. */
  2: required i64 n_sent
  3: required i64 n_received
  /** Turns in which an executor did anything: unequal numbers tell that something happened between. */
  4: required i64 n_turns
}

/** How a worker shows peers of components who it is. */
enum GatewayTls {
  /** By a certificate that its operator gave. */
  GIVEN = 1
  /** By one that Nimbus issued. */
  ISSUED = 2
}

/** What a worker offers to peers of components. */
struct GatewayReport {
  1: required string host
  2: required i32 port
  /** By component: its tasks here, and whether a peer holds them. */
  3: required map<string, map<i32, bool>> components
  /** Absent: the port speaks no TLS. */
  4: optional GatewayTls tls
}

/** A number that a component reports of itself, as it stands. */
struct TaskMetric {
  1: required string component
  2: required i32 task
  3: required string name
  4: required double value
}

/** What one worker sends to another, since this link of theirs began. */
struct LinkFlow {
  /** host:port of the other worker. */
  1: required string to
  /** By which frames may be packed; absent: none are. */
  2: optional string codec
  /** The cipher suite; absent: the link is not encrypted. */
  3: optional string cipher
  /** Bytes of frames as they were made, and as they were sent. */
  4: required i64 plain_bytes
  5: required i64 sent_bytes
  /** Time in which nothing of what waited here had credit: the other worker held it up. */
  6: required i64 waited_ms
}

/** Back pressure: time in which an executor had something to do, but a receiver of what it emits was full. */
struct ExecutorFlow {
  1: required storm.ExecutorInfo executor
  2: required i64 waited_ms
}

/** What flows from one worker, and where it is held up. */
struct WorkerFlow {
  1: required string host
  2: required i32 port
  3: required i32 uptime_secs
  4: required list<LinkFlow> links
  /** Those that ever waited. */
  5: required list<ExecutorFlow> executors
}

/** A worker's heartbeat, its statistics when they are due, its errors, and its question for news. */
struct WorkerReport {
  1: required string topology_id
  2: required string node
  3: required i32 port
  4: required i64 generation
  5: required list<storm.ExecutorInfo> executors
  6: required i32 uptime_secs
  7: optional map<storm.ExecutorInfo, storm.ExecutorStats> executor_stats
  8: required list<ComponentError> errors
  9: required i64 known_version
  10: required i32 wait_ms
  /** Epoch of the assignment that all threads of the worker follow. */
  11: optional i64 epoch
  12: optional Activity activity
  /** What of its directives the worker had carried out when it counted its activity. */
  13: optional TopologyPhase phase
  /** Requests of its directive's work that it has carried out. */
  14: optional list<storm.ProfileRequest> profiled
  /** What the worker can unpack. */
  17: optional list<LinkCodec> codecs
  /** A WorkerReport with executor_stats alone, which stand here then, and not in 7. */
  18: optional PackedFrame packed_stats
  /** Where peers of its components connect; absent where it has none of that kind. */
  20: optional GatewayReport gateway
  /** All that its tasks have, where any changed since Nimbus took them last; at most 10,000. */
  21: optional list<TaskMetric> metrics
  /** With the statistics. */
  22: optional WorkerFlow flow
}

enum WorkerOrder {
  RUN = 1
  /** The slot is no longer this worker's: stop and exit. */
  STOP = 2
}

struct WorkerDirective {
  1: required i64 version
  2: required WorkerOrder order
  3: optional TopologyWork work
  /** A TopologyWork, which stands here then, and not in 3. */
  4: optional PackedFrame packed_work
  /** What Nimbus can unpack: later reports may be packed so. */
  5: optional list<LinkCodec> codecs
  /** How long Nimbus hears nothing of a worker before its executors may be another's. */
  6: optional i64 lease_ms
}

struct BlobChunk {
  1: required binary data
  /** Size of the whole blob in bytes. */
  2: required i64 total
  3: required i64 version
}

/** By which a service knows the tokens of workers. Secret. */
struct ServiceKeys {
  1: required i64 version
  /** By id of the topology and version of the key. */
  2: required map<string, map<i64, storm.PrivateWorkerKey>> keys
}

service Coordination {
  SupervisorDirective syncSupervisor(1: SupervisorReport report) throws (1: storm.AuthorizationException e)
  WorkerDirective syncWorker(1: WorkerReport report) throws (1: storm.AuthorizationException e)
  /** A user: one of the owner's topologies asks, and the blob's access list is held against it. */
  BlobChunk readBlob(1: string key, 2: i64 offset, 3: i32 length, 4: string user) throws (1: storm.AuthorizationException e, 2: storm.KeyNotFoundException knf)
  /** For daemons that let workers in. Parked while known_version is the newest. */
  ServiceKeys tokenKeys(1: storm.WorkerTokenServiceType kind, 2: i64 known_version, 3: i32 wait_ms) throws (1: storm.AuthorizationException e)
}

// ---- DRPC: spouts to a DRPC server ----------------------------------------------------------------

/** How a spout asks for requests of its function. */
struct DrpcFetch {
  1: required string function_name
  /** Names one task of one run of a worker. What it took fails when it is silent for too long. */
  2: required string session
  /** Most requests to take. 0 takes none: it only says that the session lives. */
  3: required i32 max
  /** How long the server may hold the call while there is no request, in milliseconds. */
  4: required i32 wait_ms
  /** Counts the calls of the session, from 1, over all its connections. */
  5: required i64 call
  /** The last call whose reply arrived: what was given to another one since goes back to its queue. */
  6: required i64 answered
}

/** Served beside Storm's DistributedRPCInvocations, on its port: no method may have a name of that one. */
service DrpcSpouts {
  list<storm.DRPCRequest> awaitRequests(1: DrpcFetch fetch) throws (1: storm.AuthorizationException e)
}

// ---- Gateway: components in processes of their own ------------------------------------------------

/**
 * Where a worker waits for peers of a component. A peer is a process of any language that takes over tasks of
 * a component that its topology declares as stormwire.GatewaySpout or stormwire.GatewayBolt.
 */
struct GatewayPlace {
  1: required string host
  2: required i32 port
  /** Tasks of the component in this worker. */
  3: required list<i32> tasks
  /** How many of them had no peer when the worker reported last. */
  4: required i32 vacant
  /** Absent: the port speaks no TLS. */
  5: optional GatewayTls tls
  /** Where it is ISSUED: the certificate of the authority that it is to be checked by, PEM. */
  6: optional string authority
}

/** By which a peer checks the workers of a topology, and shows them who it is. PEM. */
struct GatewayCertificate {
  1: required string authority
  2: required string certificate
  3: required string key (secret = "true")
  /** Wall clock, in milliseconds since the epoch. Ask again before. */
  4: required i64 expires_ms
}

enum GatewayFault {
  /** No such component here, one of the other kind, or not with this token. */
  REFUSED = 1
  /** The session ended, or is somebody else's. Open another one. */
  NO_SESSION = 2
  /** What the call says cannot be; the text says why. Nothing of the call was done. */
  BAD_REQUEST = 3
  /** The topology did not take the tuples in time. Nothing of the call was done: make it again. */
  BUSY = 4
}

exception GatewayException {
  1: required GatewayFault kind
  2: required string text
}

/** Served beside Storm's Nimbus, on its port: no method may have a name of that one. */
service GatewayFinder {
  /** Every worker that has tasks of the component, as they reported last; a new worker reports within a second. */
  list<GatewayPlace> findGateways(1: string topology, 2: string component) throws (1: storm.NotAliveException e, 2: storm.AuthorizationException aze)
  /** A new certificate for a peer of a topology whose links Nimbus encrypts; for those that may change the topology. */
  GatewayCertificate gatewayCertificate(1: string topology) throws (1: storm.NotAliveException e, 2: storm.AuthorizationException aze, 3: GatewayException ge)
}

/** Served beside Storm's Nimbus, on its port: no method may have a name of that one. */
service MetricReader {
  /** What the component's tasks report of themselves in numbers; of all components where none is named. */
  list<TaskMetric> getTaskMetrics(1: string topology, 2: string component) throws (1: storm.NotAliveException e, 2: storm.AuthorizationException aze)
}

/** Served beside Storm's Nimbus, on its port: no method may have a name of that one. */
service TopologyFlows {
  /** As its workers reported last. */
  list<WorkerFlow> topologyFlow(1: string topology) throws (1: storm.NotAliveException e, 2: storm.AuthorizationException aze)
}

enum GatewayRole {
  SPOUT = 1
  BOLT = 2
}

/** How a bolt's peer gets its tuples. */
enum GatewayForm {
  /** Each by itself, with all that is known of it. */
  TUPLES = 1
  /** In columns: several times faster in most languages. */
  COLUMNS = 2
}

/** Field 1 and 2 are needed, all others have good defaults. */
struct GatewayOpen {
  1: required string component
  2: required GatewayRole role
  /** What logs and errors call the peer. */
  3: optional string peer
  /** The component's stormwire.gateway.token, where its topology asks for one. */
  4: optional string token (secret = "true")
  /** Most tasks to take on; absent: its share of those that the worker has. */
  5: optional i32 tasks_max
  /** How long the peer may be silent between two calls before it counts as lost, in milliseconds. */
  6: optional i32 lease_ms
  /** Bolts: tuples that may be at the peer without an answer, over all its tasks. */
  7: optional i32 credit
  8: optional GatewayForm form
  /** What the peer can pack and unpack tuples by, the best first; absent: nothing is packed. */
  9: optional list<LinkCodec> codecs
}

struct GatewayStream {
  /** Who emits it: the component itself, or one that a bolt subscribes to. */
  1: required string component
  2: required string stream
  3: required list<string> fields
  4: required bool is_direct
}

struct GatewaySession {
  /** Goes with every other call. Whoever has it is the peer: keep it secret. */
  1: required string session (secret = "true")
  2: required string topology_id
  /** Tasks that the peer holds now; changes when other peers come and go. */
  3: required list<i32> tasks
  /** What the component may emit. */
  4: required list<GatewayStream> outputs
  /** What a bolt receives. */
  5: required list<GatewayStream> inputs
  /** The component's configuration, as JSON; secrets left out. */
  6: required string conf
  /** What was granted of what was asked for. */
  7: required i32 lease_ms
  8: required i32 credit
  /** Most tuples in one call, and most bytes of one tuple. */
  9: required i32 tuples_max
  10: required i32 tuple_bytes_max
  /** The one of the peer's codecs by which both sides may pack tuples; absent: the topology packs none. */
  11: optional LinkCodec codec
  /** Bytes of a tuple, on average, above which the topology wants its tuples packed; 0: all. */
  12: optional i32 pack_above
}

/** One tuple to emit. */
struct GatewayMessage {
  1: required list<Value> values
  /** Absent: default. */
  2: optional string stream
  /** Spouts: the peer's own number; it will be told to be acked or failed. Absent: untracked. */
  3: optional i64 id
  /** Bolts: handles of received tuples whose trees the new tuple joins. */
  4: optional list<i64> anchors
  /** The one task that gets it, on a stream with direct grouping. */
  5: optional i32 direct_task
  /** Microseconds since the Unix epoch; absent: the time of emission. */
  6: optional i64 event_time_us
}

/** One field of many tuples. What is of one type goes packed, all else as values. */
union GatewayColumn {
  1: list<string> strings
  2: list<i64> longs
  3: list<double> doubles
  4: list<bool> bools
  5: list<i32> ints
  6: list<binary> blobs
  7: list<Value> values
}

/** Many tuples of one stream: a column for each field, all of one length. */
struct GatewayColumns {
  1: required list<GatewayColumn> columns
  2: optional string stream
  /** As in GatewayMessage, one for each tuple. */
  3: optional list<i64> ids
  /** One handle for each tuple. */
  4: optional list<i64> anchors
  5: optional i32 direct_task
  6: optional list<i64> event_times_us
}

/** Tuples that a peer emits, by themselves: what is packed in a call. */
struct GatewayEmitted {
  1: optional list<GatewayMessage> messages
  2: optional list<GatewayColumns> columns
}

/** Of a spout. */
struct GatewayEmit {
  1: required string session (secret = "true")
  2: optional list<GatewayMessage> messages
  /** Emitted after the messages. */
  3: optional list<GatewayColumns> columns
  /** The task that emits, one of the session's; absent: they take turns. */
  4: optional i32 task
  /** Shown under the component, without failing anything. */
  5: optional list<string> errors
  /** With tuples: how long they may wait to be taken on, before the call is BUSY. Without: how long to wait for fates. */
  6: optional i32 wait_ms
  /** A GatewayEmitted by the session's codec, in the place of 2 and 3. */
  7: optional PackedFrame packed
}

/** What became of a spout's tuples since the last reply. */
struct GatewayFates {
  /** Ids whose trees are complete. */
  1: required list<i64> acked
  /** Ids that failed or ran out of time: emit them again, or not. */
  2: required list<i64> failed
  /** How many tuples would be taken on now without waiting. */
  3: required i32 credit
  4: required list<i32> tasks
  /** Whether the topology is active: else tuples wait until it is. */
  5: required bool is_active
}

/** Handles that follow each other. */
struct GatewayRange {
  1: required i64 first
  2: required i32 count
}

/** Of a bolt: its answers, and its question for more. Done in this order: emits, acks, fails. */
struct GatewayReceive {
  1: required string session (secret = "true")
  2: optional list<GatewayMessage> messages
  3: optional list<GatewayColumns> columns
  4: optional list<i64> acks
  5: optional list<GatewayRange> ack_ranges
  6: optional list<i64> fails
  /** The task that emits what has no anchor; absent: any of the session's. */
  7: optional i32 task
  /** Shown under the component, without failing anything. */
  8: optional list<string> errors
  /** Most tuples to receive; 0: only the answers. */
  9: optional i32 tuples_max
  /** How long to wait for a tuple, in milliseconds. */
  10: optional i32 wait_ms
  /** A GatewayEmitted by the session's codec, in the place of 2 and 3. */
  11: optional PackedFrame packed
}

/** One received tuple. */
struct GatewayTuple {
  /** Names it in acks, fails and anchors. Opaque. */
  1: required i64 handle
  /** The task it is for. */
  2: required i32 task
  3: required string component
  4: required string stream
  5: required list<Value> values
  6: required MessageId id
  /** Microseconds since the Unix epoch: event time where the source set one, else of emission. */
  7: required i64 timestamp_us
}

/** Received tuples of one stream for one task, in their order. */
struct GatewayRun {
  /** Of the first tuple; those of the others follow it one by one. */
  1: required i64 first_handle
  2: required i32 count
  3: required i32 task
  4: required string component
  5: required string stream
  6: required list<GatewayColumn> columns
}

/** Tuples for a bolt's peer, by themselves: what is packed in a reply. */
struct GatewayDelivered {
  1: optional list<GatewayTuple> tuples
  2: optional list<GatewayRun> runs
}

struct GatewayDelivery {
  /** In the form TUPLES. Ticks come from the component __system, on its stream __tick; they need no answer. */
  1: required list<GatewayTuple> tuples
  /** In the form COLUMNS. */
  2: required list<GatewayRun> runs
  3: required list<i32> tasks
  /** A GatewayDelivered by the session's codec, in the place of 1 and 2. */
  4: optional PackedFrame packed
}

/**
 * Served by workers, at the places that GatewayFinder tells. One call at a time on a connection; a session may
 * be used on several. It ends with the connection that opened it.
 */
service Gateway {
  GatewaySession open(1: GatewayOpen request) throws (1: GatewayException e)
  /** For spouts. Returns when the tuples are taken on, with what became of earlier ones. */
  GatewayFates emit(1: GatewayEmit request) throws (1: GatewayException e)
  /** For bolts. */
  GatewayDelivery receive(1: GatewayReceive request) throws (1: GatewayException e)
  /** For peers that are busy for longer than their lease. */
  void keepAlive(1: string session) throws (1: GatewayException e)
  /**
   * Ends the session. What a bolt's peer has not answered fails; what a spout's has emitted goes on, and nobody
   * hears of it. A peer that is lost instead has failed all of it.
   */
  void leave(1: string session) throws (1: GatewayException e)
}

// ---- Records on disk ------------------------------------------------------------------------------

/** Nimbus's record of a topology's assignment. */
struct AssignmentRecord {
  1: required storm.Assignment assignment
  2: required i64 epoch
  /** As in TopologyWork; a slot that is absent has run the same since always. */
  3: optional map<storm.NodeInfo, i64> slot_epochs
  /** Whether spouts are quiet until every worker follows this assignment. */
  4: optional bool is_settling
  /** As in TopologyWork. */
  5: optional i64 blobs_epoch
}

/** Contents of a topology's blobs that were decided with its other records, until they are in their files. */
struct RedoRecord {
  1: optional binary code
  2: optional binary conf
}

/** When the delayed step of a topology's transition is due. */
struct DeadlineRecord {
  /** Wall clock, in milliseconds since the epoch. */
  1: required i64 due_ms
  /** The whole delay, so that a clock that was set back cannot make it longer. */
  2: required i64 delay_ms
}

/** What the workers of one topology are asked to tell of themselves. */
struct ProfileRecord {
  1: required list<storm.ProfileRequest> requests
}

/** The newest errors of one component, newest first. */
struct ErrorRecord {
  1: required list<storm.ErrorInfo> errors
}

/** What the blob store knows of a blob. It names the file with the content: replacing one record shows both at once. */
struct BlobRecord {
  1: required string content_file
  /** Bytes. */
  2: required i64 size
  /** CRC-32C of the content. */
  3: required i64 version
  4: required storm.SettableBlobMeta meta
}

/** Why and with what a worker process was started: its own instructions, and how the next supervisor adopts it. */
struct WorkerLaunch {
  1: required string worker_id
  2: required string topology_id
  3: required string node
  4: required string host
  5: required i32 port
  6: required i64 generation
  7: required list<storm.ExecutorInfo> executors
  /** Directory with stormcode.ser, stormconf.ser and resources/. */
  8: required string code_dir
  9: required string log_dir
  /** host:port addresses of Coordination, in order of preference. */
  10: required list<string> coordination
  11: required i32 threads
  12: required TopologyWork work
  13: required storm.WorkerResources resources
  /** The topology's topology.worker.timeout.secs in milliseconds; 0 or absent where it has none. */
  14: optional i64 silence_ms
  /** PEM file with the authorities of Coordination's certificate, where that speaks TLS. */
  20: optional string tls_authorities
  /** Where its supervisor listens, and so does the worker: the conf of the topology is of Nimbus's machine. */
  25: optional string bind_address
  /** Of the supervisor: a program of another one would not understand it. */
  26: optional i32 wire_version
  /** Of its supervisor's conf: at how many bytes a log is begun anew, and how many full ones are kept. */
  27: optional i64 log_bytes_max
  28: optional i32 log_files_max
}

/** A process on this machine, proof against reuse of its pid. */
struct ProcessRecord {
  1: required i32 pid
  /** Clock ticks since boot at which it started (field 22 of /proc/PID/stat). */
  2: required i64 start_ticks
}
