//! Keys of topologies: what a submitter sets for one topology, or the cluster for all.
//!
//! Spelled here and nowhere else; what they do is said by the modules that read them.

super::keys! {
    /// Name of the topology, set by Nimbus at submit. Text.
    TOPOLOGY_NAME = "topology.name", Topology [String];
    /// Worker processes of the topology. Integer.
    TOPOLOGY_WORKERS = "topology.workers", Topology [Integer, Positive];
    /// Tasks of each component that names no number of its own. Integer; null: one task an
    /// executor.
    TOPOLOGY_TASKS = "topology.tasks", Topology [Integer, PositiveOrZero];
    /// Most tasks a component may have. Integer; null: no limit.
    TOPOLOGY_MAX_TASK_PARALLELISM = "topology.max.task.parallelism", Topology [Integer, Positive];
    /// Tuples one spout task may have neither acked nor failed. Integer; null: no limit.
    TOPOLOGY_MAX_SPOUT_PENDING = "topology.max.spout.pending", Topology [Integer, Positive];
    /// Time a root tuple has to be acked before it fails, in seconds; also the kill delay.
    TOPOLOGY_MESSAGE_TIMEOUT_SECS =
        "topology.message.timeout.secs", Topology [Integer, Positive, NotNull];
    /// Whether tuples that stay unacked too long fail. Boolean.
    TOPOLOGY_ENABLE_MESSAGE_TIMEOUTS = "topology.enable.message.timeouts", Topology [Boolean];
    /// Whether every emitted tuple is logged. Boolean.
    TOPOLOGY_DEBUG = "topology.debug", Topology [Boolean];
    /// Executors of the acker. Integer; null: one a worker; 0: tuples are acked at once.
    TOPOLOGY_ACKER_EXECUTORS = "topology.acker.executors", Topology [Integer, PositiveOrZero];
    /// Ackers a worker under the resource aware scheduler. Integer.
    TOPOLOGY_RAS_ACKER_EXECUTORS_PER_WORKER =
        "topology.ras.acker.executors.per.worker", Topology [Integer, PositiveOrZero];
    /// CPU of one acker, in percent of a core. Number.
    TOPOLOGY_ACKER_CPU_PCORE_PERCENT =
        "topology.acker.cpu.pcore.percent", Topology [PositiveOrZero];
    /// Heap of one acker, in MB. Number.
    TOPOLOGY_ACKER_RESOURCES_ONHEAP_MEMORY_MB =
        "topology.acker.resources.onheap.memory.mb", Topology [PositiveOrZero];
    /// Memory of one acker beside the heap, in MB. Number.
    TOPOLOGY_ACKER_RESOURCES_OFFHEAP_MEMORY_MB =
        "topology.acker.resources.offheap.memory.mb", Topology [PositiveOrZero];
    /// Executors of the event logger. Integer; 0: none; null: one a worker.
    TOPOLOGY_EVENTLOGGER_EXECUTORS =
        "topology.eventlogger.executors", Topology [Integer, PositiveOrZero];
    /// Event log files kept when rotated. Integer.
    TOPOLOGY_EVENTLOGGER_MAX_RETAINED_FILES =
        "topology.eventlogger.max.retained.files", Topology [Integer, Positive];
    /// Size at which an event log rotates, in MB. Integer.
    TOPOLOGY_EVENTLOGGER_ROTATION_SIZE_MB =
        "topology.eventlogger.rotation.size.mb", Topology [Integer, Positive];
    /// Event logger plug-ins. List of maps with `class` and optional `arguments`.
    TOPOLOGY_EVENT_LOGGER_REGISTER = "topology.event.logger.register", Topology [EventLoggers];
    /// Period of tick tuples, in seconds. Integer; null: none.
    TOPOLOGY_TICK_TUPLE_FREQ_SECS = "topology.tick.tuple.freq.secs", Topology [Integer];
    /// Share of tuples that counters and latencies sample. Number in (0, 1].
    TOPOLOGY_STATS_SAMPLE_RATE = "topology.stats.sample.rate", Topology [Positive];
    /// Whether latencies keep an exponentially weighted mean and jitter. Boolean.
    TOPOLOGY_STATS_EWMA_ENABLE = "topology.stats.ewma.enable", Topology [Boolean];
    /// Weight of a new sample in that mean. Number in (0, 1).
    TOPOLOGY_STATS_EWMA_SMOOTHING_FACTOR =
        "topology.stats.ewma.smoothing.factor", Topology [OpenUnitInterval];
    /// Whether bolts report their jitter upstream; needs the weighted means. Boolean.
    TOPOLOGY_UPSTREAM_FEEDBACK_ENABLE = "topology.upstream.feedback.enable", Topology [Boolean];
    /// Period of those reports, in seconds. Integer.
    TOPOLOGY_UPSTREAM_FEEDBACK_FREQ_SECS =
        "topology.upstream.feedback.freq.secs", Topology [Integer, Positive];
    /// Period of the built-in metrics, in seconds. Integer.
    TOPOLOGY_BUILTIN_METRICS_BUCKET_SIZE_SECS =
        "topology.builtin.metrics.bucket.size.secs", Topology [Integer];
    /// Whether registered metrics also go to the metrics consumers. Boolean.
    TOPOLOGY_ENABLE_V2_METRICS_TICK = "topology.enable.v2.metrics.tick", Topology [Boolean];
    /// Period of that, in seconds. Integer.
    TOPOLOGY_V2_METRICS_TICK_INTERVAL_SECONDS =
        "topology.v2.metrics.tick.interval.seconds", Topology [Integer, Positive];
    /// Whether connections between workers report metrics. Boolean.
    TOPOLOGY_ENABLE_SEND_ICONNECTION_METRICS =
        "topology.enable.send.iconnection.metrics", Topology [Boolean];
    /// Whether sizes of serialized tuples are measured. Boolean.
    TOPOLOGY_SERIALIZED_MESSAGE_SIZE_METRICS =
        "topology.serialized.message.size.metrics", Topology [Boolean];
    /// Metrics consumers. List of maps with `class` and `parallelism.hint`.
    TOPOLOGY_METRICS_CONSUMER_REGISTER =
        "topology.metrics.consumer.register", Topology [MetricsConsumers];
    /// CPU of one metrics consumer, in percent of a core. Number.
    TOPOLOGY_METRICS_CONSUMER_CPU_PCORE_PERCENT =
        "topology.metrics.consumer.cpu.pcore.percent", Topology [PositiveOrZero];
    /// Heap of one metrics consumer, in MB. Number.
    TOPOLOGY_METRICS_CONSUMER_RESOURCES_ONHEAP_MEMORY_MB =
        "topology.metrics.consumer.resources.onheap.memory.mb", Topology [PositiveOrZero];
    /// Memory of one consumer beside the heap, in MB. Number.
    TOPOLOGY_METRICS_CONSUMER_RESOURCES_OFFHEAP_MEMORY_MB =
        "topology.metrics.consumer.resources.offheap.memory.mb", Topology [PositiveOrZero];
    /// Metrics reporters. List of maps with `class` and optional `filter`.
    TOPOLOGY_METRICS_REPORTERS = "topology.metrics.reporters", Topology [MetricReporters];
    /// Worker-level metrics of the topology. Map of name to class.
    TOPOLOGY_WORKER_METRICS = "topology.worker.metrics", Topology [MapOfString];
    /// JVM options added for this topology's workers. Text or list.
    TOPOLOGY_WORKER_CHILDOPTS = "topology.worker.childopts", Topology [StringOrStringList];
    /// JVM garbage collector options of this topology's workers. Text or list.
    TOPOLOGY_WORKER_GC_CHILDOPTS = "topology.worker.gc.childopts", Topology [StringOrStringList];
    /// JVM options of the log writer beside a worker. Text or list.
    TOPOLOGY_WORKER_LOGWRITER_CHILDOPTS =
        "topology.worker.logwriter.childopts", Topology [StringOrStringList];
    /// Largest heap of one worker, in MB: bounds what the scheduler packs together. Number.
    TOPOLOGY_WORKER_MAX_HEAP_SIZE_MB = "topology.worker.max.heap.size.mb", Topology [Positive];
    /// Silence after which a worker of this topology is restarted, in seconds.
    TOPOLOGY_WORKER_TIMEOUT_SECS =
        "topology.worker.timeout.secs", Topology [Integer, Positive, NotNull];
    /// Threads of the pool that bolts of a worker share. Integer.
    TOPOLOGY_WORKER_SHARED_THREAD_POOL_SIZE =
        "topology.worker.shared.thread.pool.size", Topology [Integer];
    /// Receiving threads of a worker; without effect. Integer.
    TOPOLOGY_WORKER_RECEIVER_THREAD_COUNT =
        "topology.worker.receiver.thread.count", Daemon [Integer];
    /// Whether workers speak TLS to Nimbus. Boolean.
    TOPOLOGY_WORKER_NIMBUS_THRIFT_CLIENT_USE_TLS =
        "topology.worker.nimbus.thrift.client.use.tls", Topology [Boolean];
    /// Class path added for this topology's workers. Text or list.
    TOPOLOGY_CLASSPATH = "topology.classpath", Topology [StringOrStringList];
    /// Class path put before Storm's own. Text or list.
    TOPOLOGY_CLASSPATH_BEGINNING = "topology.classpath.beginning", Topology [StringOrStringList];
    /// Environment variables of the workers. Map of text to text.
    TOPOLOGY_ENVIRONMENT = "topology.environment", Topology [MapOfString];
    /// Priority under the resource aware scheduler; smaller goes first. Integer.
    TOPOLOGY_PRIORITY = "topology.priority", Topology [Integer, PositiveOrZero];
    /// Class of the resource aware strategy.
    TOPOLOGY_SCHEDULER_STRATEGY = "topology.scheduler.strategy", Topology [String, NotNull];
    /// Hosts to prefer. List of text.
    TOPOLOGY_SCHEDULER_FAVORED_NODES = "topology.scheduler.favored.nodes", Topology [StringList];
    /// Hosts to avoid. List of text.
    TOPOLOGY_SCHEDULER_UNFAVORED_NODES =
        "topology.scheduler.unfavored.nodes", Topology [StringList];
    /// Components whose executors go to different hosts. List of text.
    TOPOLOGY_SPREAD_COMPONENTS = "topology.spread.components", Topology [StringList];
    /// Machines reserved for the topology by the multitenant scheduler. Integer.
    TOPOLOGY_ISOLATED_MACHINES = "topology.isolate.machines", Topology [Integer, Positive];
    /// Heap of one executor, in MB. Number.
    TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB =
        "topology.component.resources.onheap.memory.mb", Topology [PositiveOrZero];
    /// Memory of one executor beside the heap, in MB. Number.
    TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB =
        "topology.component.resources.offheap.memory.mb", Topology [PositiveOrZero];
    /// CPU of one executor, in percent of a core. Number.
    TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT =
        "topology.component.cpu.pcore.percent", Topology [PositiveOrZero];
    /// Further resources of one executor. Map of name to number.
    TOPOLOGY_COMPONENT_RESOURCES_MAP = "topology.component.resources.map", Topology [MapOfNumber];
    /// Components that may not share a worker, and limits a node. List of pairs, or map.
    TOPOLOGY_RAS_CONSTRAINTS = "topology.ras.constraints", Topology [RasConstraints];
    /// States the constraint solver may visit. Integer.
    TOPOLOGY_RAS_CONSTRAINT_MAX_STATE_SEARCH =
        "topology.ras.constraint.max.state.search", Topology [Integer, Positive];
    /// Time the constraint solver may take, in seconds. Integer.
    TOPOLOGY_RAS_CONSTRAINT_MAX_TIME_SECS =
        "topology.ras.constraint.max.time.secs", Topology [Integer, Positive];
    /// Whether each worker gets one executor only. Boolean.
    TOPOLOGY_RAS_ONE_EXECUTOR_PER_WORKER =
        "topology.ras.one.executor.per.worker", Topology [Boolean];
    /// Whether each worker gets executors of one component only. Boolean.
    TOPOLOGY_RAS_ONE_COMPONENT_PER_WORKER =
        "topology.ras.one.component.per.worker", Topology [Boolean];
    /// Whether executors that talk are placed in turn. Boolean.
    TOPOLOGY_RAS_ORDER_EXECUTORS_BY_PROXIMITY_NEEDS =
        "topology.ras.order.executors.by.proximity.needs", Topology [];
    /// Blobs to fetch for the workers. Map of key to map (`localname`, `uncompress`).
    TOPOLOGY_BLOBSTORE_MAP = "topology.blobstore.map", Topology [MapOfMaps];
    /// Credential plug-ins. List of text.
    TOPOLOGY_AUTO_CREDENTIALS = "topology.auto-credentials", Topology [StringList];
    /// Task hook classes. List of text.
    TOPOLOGY_AUTO_TASK_HOOKS = "topology.auto.task.hooks", Topology [StringList];
    /// Who may act on the topology. Text or list.
    TOPOLOGY_USERS = "topology.users", Topology [StringOrStringList];
    /// Groups that may act on the topology. Text or list.
    TOPOLOGY_GROUPS = "topology.groups", Topology [StringOrStringList];
    /// Who may look at the topology. Text or list.
    TOPOLOGY_READONLY_USERS = "topology.readonly.users", Topology [StringOrStringList];
    /// Groups that may look at the topology. Text or list.
    TOPOLOGY_READONLY_GROUPS = "topology.readonly.groups", Topology [StringOrStringList];
    /// Principal that submitted, set by Nimbus. Text.
    TOPOLOGY_SUBMITTER_PRINCIPAL = "topology.submitter.principal", Topology [String];
    /// User that submitted, set by Nimbus. Text.
    TOPOLOGY_SUBMITTER_USER = "topology.submitter.user", Topology [String];
    /// Free text that the UI shows.
    TOPOLOGY_VERSION = "topology.version", Topology [String];
    /// Kryo classes. List of names or of maps name to serializer; stored as one map.
    TOPOLOGY_KRYO_REGISTER = "topology.kryo.register", Topology [KryoRegister];
    /// Kryo decorator classes. List of text.
    TOPOLOGY_KRYO_DECORATORS = "topology.kryo.decorators", Topology [StringList];
    /// Class that makes Kryo instances.
    TOPOLOGY_KRYO_FACTORY = "topology.kryo.factory", Topology [String];
    /// Kryo classes of stored state. List of text.
    TOPOLOGY_STATE_KRYO_REGISTER = "topology.state.kryo.register", Topology [StringList];
    /// Whether Java workers may serialize unknown classes. Boolean.
    TOPOLOGY_FALL_BACK_ON_JAVA_SERIALIZATION =
        "topology.fall.back.on.java.serialization", Topology [Boolean];
    /// Whether unknown Kryo classes are skipped. Boolean.
    TOPOLOGY_SKIP_MISSING_KRYO_REGISTRATIONS =
        "topology.skip.missing.kryo.registrations", Topology [Boolean];
    /// Class that serializes the values of a tuple.
    TOPOLOGY_TUPLE_SERIALIZER = "topology.tuple.serializer", Topology [String];
    /// Class of the multilang protocol: JSON, or MessagePack by its known class names.
    TOPOLOGY_MULTILANG_SERIALIZER = "topology.multilang.serializer", Topology [String];
    /// Class that takes the log lines of children.
    TOPOLOGY_MULTILANG_LOG_HANDLER = "topology.multilang.log.handler", Topology [String];
    /// Tuples waiting for a shell bolt's child. Integer.
    TOPOLOGY_SHELLBOLT_MAX_PENDING =
        "topology.shellbolt.max.pending", Topology [Integer, Positive, NotNull];
    /// Silence after which a child is given up, in seconds; null: the worker timeout.
    TOPOLOGY_SUBPROCESS_TIMEOUT_SECS =
        "topology.subprocess.timeout.secs", Topology [Integer, Positive];
    /// Tuples an executor's receive queue holds. Integer.
    TOPOLOGY_EXECUTOR_RECEIVE_BUFFER_SIZE =
        "topology.executor.receive.buffer.size", Topology [Positive, Integer];
    /// Tuples that may wait beside a full receive queue. Integer; 0: no limit.
    TOPOLOGY_EXECUTOR_OVERFLOW_LIMIT =
        "topology.executor.overflow.limit", Topology [Integer, PositiveOrZero, NotNull];
    /// Batches a worker's transfer queue holds. Integer.
    TOPOLOGY_TRANSFER_BUFFER_SIZE = "topology.transfer.buffer.size", Topology [Positive, Integer];
    /// Tuples a batch for another worker. Integer.
    TOPOLOGY_TRANSFER_BATCH_SIZE = "topology.transfer.batch.size", Topology [Positive, Integer];
    /// Tuples a batch within a worker. Integer.
    TOPOLOGY_PRODUCER_BATCH_SIZE =
        "topology.producer.batch.size", Topology [Integer, Positive, NotNull];
    /// Whether that batch size follows the load. Boolean.
    TOPOLOGY_PRODUCER_BATCH_DYNAMIC = "topology.producer.batch.dynamic", Topology [Boolean];
    /// Period at which unfull batches go out, in milliseconds. Integer.
    TOPOLOGY_BATCH_FLUSH_INTERVAL_MILLIS =
        "topology.batch.flush.interval.millis", Topology [Integer, PositiveOrZero, NotNull];
    /// Spout turns between looks at its receive queue. Integer.
    TOPOLOGY_SPOUT_RECVQ_SKIPS =
        "topology.spout.recvq.skips", Topology [Integer, PositiveOrZero, NotNull];
    /// Sleep of the old spout wait strategy, in milliseconds. Integer.
    TOPOLOGY_SLEEP_SPOUT_WAIT_STRATEGY_TIME_MS =
        "topology.sleep.spout.wait.strategy.time.ms", Topology [Integer, PositiveOrZero];
    /// Class of the wait of an idle spout.
    TOPOLOGY_SPOUT_WAIT_STRATEGY = "topology.spout.wait.strategy", Topology [String];
    /// Park of that wait, in microseconds. Number.
    TOPOLOGY_SPOUT_WAIT_PARK_MICROSEC =
        "topology.spout.wait.park.microsec", Topology [PositiveOrZero, NotNull];
    /// Idle spout turns that do not wait at all. Integer.
    TOPOLOGY_SPOUT_WAIT_PROGRESSIVE_LEVEL1_COUNT =
        "topology.spout.wait.progressive.level1.count", Topology [Integer, PositiveOrZero, NotNull];
    /// Idle spout turns that park shortly. Integer.
    TOPOLOGY_SPOUT_WAIT_PROGRESSIVE_LEVEL2_COUNT =
        "topology.spout.wait.progressive.level2.count", Topology [Integer, PositiveOrZero, NotNull];
    /// Sleep after those, in milliseconds. Number.
    TOPOLOGY_SPOUT_WAIT_PROGRESSIVE_LEVEL3_SLEEP_MILLIS =
        "topology.spout.wait.progressive.level3.sleep.millis", Topology [PositiveOrZero, NotNull];
    /// Class of the wait of an idle bolt.
    TOPOLOGY_BOLT_WAIT_STRATEGY = "topology.bolt.wait.strategy", Topology [String];
    /// Park of that wait, in microseconds. Number.
    TOPOLOGY_BOLT_WAIT_PARK_MICROSEC =
        "topology.bolt.wait.park.microsec", Topology [PositiveOrZero, NotNull];
    /// Idle bolt turns that do not wait at all. Integer.
    TOPOLOGY_BOLT_WAIT_PROGRESSIVE_LEVEL1_COUNT =
        "topology.bolt.wait.progressive.level1.count", Topology [Integer, PositiveOrZero, NotNull];
    /// Idle bolt turns that park shortly. Integer.
    TOPOLOGY_BOLT_WAIT_PROGRESSIVE_LEVEL2_COUNT =
        "topology.bolt.wait.progressive.level2.count", Topology [Integer, PositiveOrZero, NotNull];
    /// Sleep after those, in milliseconds. Number.
    TOPOLOGY_BOLT_WAIT_PROGRESSIVE_LEVEL3_SLEEP_MILLIS =
        "topology.bolt.wait.progressive.level3.sleep.millis", Topology [PositiveOrZero, NotNull];
    /// Old switch of back pressure; without effect. Boolean.
    TOPOLOGY_BACKPRESSURE_ENABLE = "topology.backpressure.enable", Topology [Boolean];
    /// Period at which back pressure is looked at, in milliseconds. Integer.
    TOPOLOGY_BACKPRESSURE_CHECK_MILLIS =
        "topology.backpressure.check.millis", Topology [Integer, Positive, NotNull];
    /// Class of the wait while a target is full.
    TOPOLOGY_BACKPRESSURE_WAIT_STRATEGY = "topology.backpressure.wait.strategy", Topology [String];
    /// Park of that wait, in microseconds. Number.
    TOPOLOGY_BACKPRESSURE_WAIT_PARK_MICROSEC =
        "topology.backpressure.wait.park.microsec", Topology [PositiveOrZero, NotNull];
    /// Turns before a full target that do not wait. Integer.
    TOPOLOGY_BACKPRESSURE_WAIT_PROGRESSIVE_LEVEL1_COUNT =
        "topology.backpressure.wait.progressive.level1.count",
        Topology [Integer, PositiveOrZero, NotNull];
    /// Turns before a full target that park. Integer.
    TOPOLOGY_BACKPRESSURE_WAIT_PROGRESSIVE_LEVEL2_COUNT =
        "topology.backpressure.wait.progressive.level2.count",
        Topology [Integer, PositiveOrZero, NotNull];
    /// Sleep after those, in milliseconds. Number.
    TOPOLOGY_BACKPRESSURE_WAIT_PROGRESSIVE_LEVEL3_SLEEP_MILLIS =
        "topology.backpressure.wait.progressive.level3.sleep.millis",
        Topology [PositiveOrZero, NotNull];
    /// Whether shuffles ignore the load of their targets. Boolean.
    TOPOLOGY_DISABLE_LOADAWARE_MESSAGING =
        "topology.disable.loadaware.messaging", Topology [Boolean, NotNull];
    /// Mean load above which a shuffle widens its scope. Number.
    TOPOLOGY_LOCALITYAWARE_HIGHER_BOUND =
        "topology.localityaware.higher.bound", Topology [Positive, NotNull];
    /// Mean load below which a shuffle narrows its scope. Number.
    TOPOLOGY_LOCALITYAWARE_LOWER_BOUND =
        "topology.localityaware.lower.bound", Topology [Positive, NotNull];
    /// Window of the throttle of error reports, in seconds. Integer.
    TOPOLOGY_ERROR_THROTTLE_INTERVAL_SECS =
        "topology.error.throttle.interval.secs", Topology [Integer];
    /// Error reports of a component in that window. Integer.
    TOPOLOGY_MAX_ERROR_REPORT_PER_INTERVAL =
        "topology.max.error.report.per.interval", Topology [Integer, Positive];
    /// Log configuration of the workers. Text.
    TOPOLOGY_LOGGING_CONFIG_FILE = "topology.logging.config", Topology [String];
    /// Sensitivity of the logs. One of S0, S1, S2, S3.
    TOPOLOGY_LOGGING_SENSITIVITY =
        "topology.logging.sensitivity", Topology [String, LoggingSensitivity];
    /// Whether local tuples are serialized too, to find errors. Boolean.
    TOPOLOGY_TESTING_ALWAYS_TRY_SERIALIZE =
        "topology.testing.always.try.serialize", Topology [Boolean];
    /// Id of a transactional topology. Text.
    TOPOLOGY_TRANSACTIONAL_ID = "topology.transactional.id", Topology [String];
    /// Least time between batches of Trident, in milliseconds. Integer.
    TOPOLOGY_TRIDENT_BATCH_EMIT_INTERVAL_MILLIS =
        "topology.trident.batch.emit.interval.millis", Topology [Integer, Positive];
    /// Tuples a Trident window keeps in memory. Integer.
    TOPOLOGY_TRIDENT_WINDOWING_INMEMORY_CACHE_LIMIT =
        "topology.trident.windowing.cache.tuple.limit", Topology [Integer, Positive];
    /// Length of a window, in tuples. Integer.
    TOPOLOGY_BOLTS_WINDOW_LENGTH_COUNT =
        "topology.bolts.window.length.count", Topology [Integer, Positive];
    /// Length of a window, in milliseconds. Integer.
    TOPOLOGY_BOLTS_WINDOW_LENGTH_DURATION_MS =
        "topology.bolts.window.length.duration.ms", Topology [Integer, Positive];
    /// Slide of a window, in tuples. Integer.
    TOPOLOGY_BOLTS_SLIDING_INTERVAL_COUNT =
        "topology.bolts.window.sliding.interval.count", Topology [Integer, Positive];
    /// Slide of a window, in milliseconds. Integer.
    TOPOLOGY_BOLTS_SLIDING_INTERVAL_DURATION_MS =
        "topology.bolts.window.sliding.interval.duration.ms", Topology [Integer, Positive];
    /// Stream that gets tuples too late for their window. Text.
    TOPOLOGY_BOLTS_LATE_TUPLE_STREAM = "topology.bolts.late.tuple.stream", Topology [String];
    /// Field that identifies a tuple of a windowed stateful bolt. Text.
    TOPOLOGY_BOLTS_MESSAGE_ID_FIELD_NAME =
        "topology.bolts.message.id.field.name", Topology [String];
    /// Field with the event time of a windowed bolt's tuples, in milliseconds since the epoch.
    /// Text. Of Storm 1; Java bolts of Storm 2 name it in code.
    TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_FIELD_NAME =
        "topology.bolts.tuple.timestamp.field.name", Topology [String];
    /// How late a tuple may be, in milliseconds. Integer.
    TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_MAX_LAG_MS =
        "topology.bolts.tuple.timestamp.max.lag.ms", Topology [Integer, Positive];
    /// Period of watermarks, in milliseconds. Integer.
    TOPOLOGY_BOLTS_WATERMARK_EVENT_INTERVAL_MS =
        "topology.bolts.watermark.event.interval.ms", Topology [Integer, Positive];
    /// Class that stores the state of stateful bolts.
    TOPOLOGY_STATE_PROVIDER = "topology.state.provider", Topology [String];
    /// Configuration of that class, as JSON text.
    TOPOLOGY_STATE_PROVIDER_CONFIG = "topology.state.provider.config", Topology [String];
    /// Period of checkpoints, in milliseconds. Integer.
    TOPOLOGY_STATE_CHECKPOINT_INTERVAL =
        "topology.state.checkpoint.interval.ms", Topology [Integer, Positive];
    /// Time a state partition has to become ready, in seconds. Integer.
    TOPOLOGY_STATE_SYNCHRONIZATION_TIMEOUT_SECS =
        "topology.state.synchronization.timeout.secs", Topology [Integer, Positive, NotNull];
    /// Whether tuples between workers are compressed. Boolean.
    TOPOLOGY_TUPLE_COMPRESSION_ENABLE = "topology.tuple.compression.enable", Topology [Boolean];
    /// Size from which they are, in bytes. Number.
    TOPOLOGY_TUPLE_COMPRESSION_THRESHOLD =
        "topology.tuple.compression.threshold", Topology [PositiveOrZero];
    /// Largest size they may unfold to, in bytes. Number.
    TOPOLOGY_TUPLE_COMPRESSION_MAX_DECOMPRESSED_BYTES =
        "topology.tuple.compression.max.decompressed.bytes", Topology [Positive];
    /// Replicas of the code before a topology starts. Number.
    TOPOLOGY_MIN_REPLICATION_COUNT = "topology.min.replication.count", Topology [Number];
    /// Time to wait for them, in seconds; -1: for ever. Number.
    TOPOLOGY_MAX_REPLICATION_WAIT_TIME_SEC =
        "topology.max.replication.wait.time.sec", Topology [Number];
    /// Container image of the workers. Text.
    TOPOLOGY_OCI_IMAGE = "topology.oci.image", Topology [];
}
