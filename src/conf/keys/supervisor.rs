//! Keys of supervisors, and of the workers and executors they start.
//!
//! Spelled here and nowhere else; what they do is said by the modules that read them.

super::keys! {
    /// Whether the supervisor starts workers. Boolean.
    SUPERVISOR_ENABLE = "supervisor.enable", Daemon [Boolean];
    /// Ports of the worker slots. List of integers.
    SUPERVISOR_SLOTS_PORTS = "supervisor.slots.ports", Daemon [Ports];
    /// Port of the supervisor's Thrift service. Integer.
    SUPERVISOR_THRIFT_PORT = "supervisor.thrift.port", Topology [Integer, Positive];
    /// Threads of that service. Integer.
    SUPERVISOR_THRIFT_THREADS = "supervisor.thrift.threads", Topology [Integer, Positive];
    /// Largest message of that service, in bytes. Integer.
    SUPERVISOR_THRIFT_MAX_BUFFER_SIZE =
        "supervisor.thrift.max_buffer_size", Topology [Number, Positive];
    /// Timeout of its clients, in milliseconds. Integer.
    SUPERVISOR_THRIFT_SOCKET_TIMEOUT_MS = "supervisor.thrift.socket.timeout.ms", Topology [Integer];
    /// Class of that service's transport, instead of the common one.
    SUPERVISOR_THRIFT_TRANSPORT_PLUGIN = "supervisor.thrift.transport", Topology [String];
    /// Calls that may wait for a thread of the supervisor. Integer.
    SUPERVISOR_QUEUE_SIZE = "supervisor.queue.size", Topology [Integer, Positive];
    /// Class that authorises calls to the supervisor.
    SUPERVISOR_AUTHORIZER = "supervisor.authorizer", Daemon [Implementation, String];
    /// Period of the look at the slots, in seconds. Integer.
    SUPERVISOR_MONITOR_FREQUENCY_SECS =
        "supervisor.monitor.frequency.secs", Daemon [Integer, Positive];
    /// Period of the supervisor's heartbeat, in seconds. Integer.
    SUPERVISOR_HEARTBEAT_FREQUENCY_SECS = "supervisor.heartbeat.frequency.secs", Daemon [Integer];
    /// Time a worker has until its first heartbeat, in seconds. Integer.
    SUPERVISOR_WORKER_START_TIMEOUT_SECS =
        "supervisor.worker.start.timeout.secs", Daemon [Integer, Positive, NotNull];
    /// Silence after which a worker is restarted, in seconds. Integer.
    SUPERVISOR_WORKER_TIMEOUT_SECS =
        "supervisor.worker.timeout.secs", Topology [Integer, Positive, NotNull];
    /// Time a worker has to end before it is killed, in seconds. Integer.
    SUPERVISOR_WORKER_SHUTDOWN_SLEEP_SECS =
        "supervisor.worker.shutdown.sleep.secs", Topology [Integer, Positive];
    /// Longest wait of Nimbus for heartbeats after a restart, in seconds. Integer.
    SUPERVISOR_WORKER_HEARTBEATS_MAX_TIMEOUT_SECS =
        "supervisor.worker.heartbeats.max.timeout.secs", Topology [Integer];
    /// Program that starts workers as another user. Path.
    SUPERVISOR_WORKER_LAUNCHER = "supervisor.worker.launcher", Topology [String];
    /// Storm version of topologies that name none. Text.
    SUPERVISOR_WORKER_DEFAULT_VERSION = "supervisor.worker.default.version", Topology [String];
    /// Class path of each other Storm version. Map of version to path.
    SUPERVISOR_WORKER_VERSION_CLASSPATH_MAP =
        "supervisor.worker.version.classpath.map", Topology [MapOfString];
    /// Worker class of each other version. Map of version to class.
    SUPERVISOR_WORKER_VERSION_MAIN_MAP =
        "supervisor.worker.version.main.map", Topology [MapOfString];
    /// Log writer class of each other version. Map of version to class.
    SUPERVISOR_WORKER_VERSION_LOGWRITER_MAP =
        "supervisor.worker.version.logwriter.map", Topology [MapOfString];
    /// Whether workers run as their topology's user. Boolean.
    SUPERVISOR_RUN_WORKER_AS_USER = "supervisor.run.worker.as.user", Topology [Boolean];
    /// Memory for workers on this machine, in MB. Number.
    SUPERVISOR_MEMORY_CAPACITY_MB = "supervisor.memory.capacity.mb", Topology [Positive];
    /// CPU for workers on this machine, in percent of a core. Number.
    SUPERVISOR_CPU_CAPACITY = "supervisor.cpu.capacity", Topology [Positive];
    /// Further resources of this machine. Map of name to number.
    SUPERVISOR_RESOURCES_MAP = "supervisor.resources.map", Topology [MapOfNumber];
    /// Tags for schedulers. Map of text to text.
    SUPERVISOR_SCHEDULER_META = "supervisor.scheduler.meta", Daemon [MapOfString];
    /// Period of the check for newer blobs, in seconds. Integer.
    SUPERVISOR_LOCALIZER_UPDATE_BLOB_INTERVAL_SECS =
        "supervisor.localizer.update.blob.interval.secs", Daemon [Positive, Integer];
    /// Size of the blob cache, in MB. Integer.
    SUPERVISOR_LOCALIZER_CACHE_TARGET_SIZE_MB =
        "supervisor.localizer.cache.target.size.mb", Daemon [Positive, Integer];
    /// Period of the cache cleanup, in milliseconds. Integer.
    SUPERVISOR_LOCALIZER_CACHE_CLEANUP_INTERVAL_MS =
        "supervisor.localizer.cleanup.interval.ms", Daemon [Positive, Integer];
    /// Class that reads blobs for supervisors.
    SUPERVISOR_BLOBSTORE = "supervisor.blobstore.class", Daemon [String];
    /// Downloads at a time. Integer.
    SUPERVISOR_BLOBSTORE_DOWNLOAD_THREAD_COUNT =
        "supervisor.blobstore.download.thread.count", Daemon [Positive, Integer];
    /// Tries of one download. Integer.
    SUPERVISOR_BLOBSTORE_DOWNLOAD_MAX_RETRIES =
        "supervisor.blobstore.download.max_retries", Daemon [Positive, Integer];
    /// JVM options of the supervisor; without effect here. Text or list.
    SUPERVISOR_CHILDOPTS = "supervisor.childopts", Daemon [StringOrStringList];
    /// Old list of helpers; without effect. List of text.
    SUPERVISOR_SUPERVISORS = "supervisor.supervisors", Daemon [];
    /// Old list of their commands; without effect. List of text.
    SUPERVISOR_SUPERVISORS_COMMANDS = "supervisor.supervisors.commands", Daemon [];
    /// JVM options of every worker. Text or list.
    WORKER_CHILDOPTS = "worker.childopts", Topology [StringOrStringList];
    /// JVM garbage collector options of every worker. Text or list.
    WORKER_GC_CHILDOPTS = "worker.gc.childopts", Topology [StringOrStringList];
    /// Heap of a JVM worker, in MB. Integer.
    WORKER_HEAP_MEMORY_MB = "worker.heap.memory.mb", Topology [Integer, Positive];
    /// Period of a worker's local heartbeat, in seconds. Integer.
    WORKER_HEARTBEAT_FREQUENCY_SECS =
        "worker.heartbeat.frequency.secs", Topology [Integer, Positive];
    /// Largest worker timeout a topology may ask for, in seconds. Integer.
    WORKER_MAX_TIMEOUT_SECS = "worker.max.timeout.secs", Topology [Integer, Positive, NotNull];
    /// Period of a worker's check for newer blobs, in seconds. Integer.
    WORKER_BLOB_UPDATE_POLL_INTERVAL_SECS =
        "worker.blob.update.poll.interval.secs", Topology [Integer, Positive];
    /// Period of the check for log levels to reset, in seconds. Integer.
    WORKER_LOG_LEVEL_RESET_POLL_SECS =
        "worker.log.level.reset.poll.secs", Topology [Integer, Positive];
    /// Metrics of every worker. Map of name to class.
    WORKER_METRICS = "worker.metrics", Topology [MapOfString];
    /// Whether workers can be profiled. Boolean.
    WORKER_PROFILER_ENABLED = "worker.profiler.enabled", Daemon [Boolean];
    /// Program that profiles. Text.
    WORKER_PROFILER_COMMAND = "worker.profiler.command", Daemon [String];
    /// JVM options of a profiled worker. Text or list.
    WORKER_PROFILER_CHILDOPTS = "worker.profiler.childopts", Daemon [StringOrStringList];
    /// Period at which executors record statistics, in seconds. Integer.
    EXECUTOR_METRICS_FREQUENCY_SECS =
        "executor.metrics.frequency.secs", Topology [Integer, Positive];
    /// Old period of task heartbeats, in seconds. Integer.
    TASK_HEARTBEAT_FREQUENCY_SECS = "task.heartbeat.frequency.secs", Topology [Integer, Positive];
    /// Period of the look for a newer assignment, in seconds. Integer.
    TASK_REFRESH_POLL_SECS = "task.refresh.poll.secs", Topology [Integer, Positive];
    /// Period of the look for newer credentials, in seconds. Integer.
    TASK_CREDENTIALS_POLL_SECS = "task.credentials.poll.secs", Topology [Integer, Positive];
    /// Buckets of each window of the statistics. Integer.
    NUM_STAT_BUCKETS = "num.stat.buckets", Topology [Integer, Positive];
    /// Whether clients of supervisors speak TLS. Boolean.
    SUPERVISOR_THRIFT_CLIENT_USE_TLS = "supervisor.thrift.client.use.tls", Topology [Boolean];
    /// Whether TLS clients of a supervisor must show a certificate. Boolean.
    SUPERVISOR_THRIFT_TLS_CLIENT_AUTH_REQUIRED =
        "supervisor.thrift.tls.client.auth.required", Topology [Boolean];
    /// Certificate such a client shows. Path.
    SUPERVISOR_THRIFT_TLS_CLIENT_CERT_PATH =
        "supervisor.thrift.tls.client.cert.path", Topology [String];
    /// Key of that certificate. Path.
    SUPERVISOR_THRIFT_TLS_CLIENT_KEY_PATH =
        "supervisor.thrift.tls.client.key.path", Topology [String];
    /// Key store of such a client. Path.
    SUPERVISOR_THRIFT_TLS_CLIENT_KEYSTORE_PATH =
        "supervisor.thrift.tls.client.keystore.path", Topology [String];
    /// Password of that store. Secret.
    SUPERVISOR_THRIFT_TLS_CLIENT_KEYSTORE_PASSWORD =
        "supervisor.thrift.tls.client.keystore.password", Topology [String];
    /// Trust store of such a client. Path.
    SUPERVISOR_THRIFT_TLS_CLIENT_TRUSTSTORE_PATH =
        "supervisor.thrift.tls.client.truststore.path", Topology [String];
    /// Password of that store. Secret.
    SUPERVISOR_THRIFT_TLS_CLIENT_TRUSTSTORE_PASSWORD =
        "supervisor.thrift.tls.client.truststore.password", Topology [String];
    /// Key store of a supervisor. Path.
    SUPERVISOR_THRIFT_TLS_SERVER_KEYSTORE_PATH =
        "supervisor.thrift.tls.server.keystore.path", Topology [String];
    /// Password of that store. Secret.
    SUPERVISOR_THRIFT_TLS_SERVER_KEYSTORE_PASSWORD =
        "supervisor.thrift.tls.server.keystore.password", Topology [String];
    /// Trust store of a supervisor. Path.
    SUPERVISOR_THRIFT_TLS_SERVER_TRUSTSTORE_PATH =
        "supervisor.thrift.tls.server.truststore.path", Topology [String];
    /// Password of that store. Secret.
    SUPERVISOR_THRIFT_TLS_SERVER_TRUSTSTORE_PASSWORD =
        "supervisor.thrift.tls.server.truststore.password", Topology [String];
    /// Memory zones of the machine and their ports. Map.
    SUPERVISOR_NUMA_META = "supervisor.numa.meta", Daemon [Map];
}
