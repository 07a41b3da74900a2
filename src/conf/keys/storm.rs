//! Keys of the whole cluster: directories, transports, security, messaging, ZooKeeper.
//!
//! Spelled here and nowhere else; what they do is said by the modules that read them.

super::keys! {
    /// Directory of a daemon's files. Path; relative: to the working directory.
    STORM_LOCAL_DIR = "storm.local.dir", Topology [String];
    /// Name under which a daemon is reached; null: the machine's. Text.
    STORM_LOCAL_HOSTNAME = "storm.local.hostname", Topology [String];
    /// Old switch of local messaging; without effect. Boolean.
    STORM_LOCAL_MODE_ZMQ = "storm.local.mode.zmq", Topology [Boolean];
    /// Directory of the logs; null: `logs` in the local directory. Path.
    STORM_LOG_DIR = "storm.log.dir", Daemon [String];
    /// Directory of log4j configurations. Path.
    STORM_LOG4J2_CONF_DIR = "storm.log4j2.conf.dir", Daemon [String];
    /// `distributed` or `local`. Text.
    STORM_CLUSTER_MODE = "storm.cluster.mode", Topology [String];
    /// Class that stores the cluster's state.
    STORM_CLUSTER_STATE_STORE = "storm.cluster.state.store", Topology [String];
    /// Id of a running topology, set by Nimbus. Text.
    STORM_ID = "storm.id", Topology [String];
    /// Class of the scheduler; null: the default one.
    STORM_SCHEDULER = "storm.scheduler", Daemon [String];
    /// Directory of workers' logs and dumps, in the log directory. Path.
    STORM_WORKERS_ARTIFACTS_DIR = "storm.workers.artifacts.dir", Topology [String];
    /// User on whose behalf a client calls. Text.
    STORM_DO_AS_USER = "storm.doAsUser", Topology [String];
    /// Whether workers get no links to blobs. Boolean.
    DISABLE_SYMLINKS = "storm.disable.symlinks", Topology [Boolean];
    /// Directory of the health scripts. Path.
    STORM_HEALTH_CHECK_DIR = "storm.health.check.dir", Daemon [String];
    /// Time a health script has, in milliseconds. Number.
    STORM_HEALTH_CHECK_TIMEOUT_MS = "storm.health.check.timeout.ms", Daemon [Number];
    /// Whether a slow health script counts as failed. Boolean.
    STORM_HEALTH_CHECK_FAIL_ON_TIMEOUTS = "storm.health.check.fail.on.timeouts", Daemon [Boolean];
    /// Class that turns a principal into a local user.
    STORM_PRINCIPAL_TO_LOCAL_PLUGIN = "storm.principal.tolocal", Topology [String];
    /// What of a certificate's common name is the user: the first group of this pattern that takes
    /// part; null: all of it. Pattern.
    X509_CERT_PRINCIPAL_TO_LOCAL_REGEX = "x509.cert.principal.to.local.regex", Daemon [String];
    /// Class that finds the groups of a user.
    STORM_GROUP_MAPPING_SERVICE_PROVIDER_PLUGIN = "storm.group.mapping.service", Topology [String];
    /// Parameters of that class. Map.
    STORM_GROUP_MAPPING_SERVICE_PARAMS = "storm.group.mapping.service.params", Topology [Map];
    /// Time its answers are kept, in seconds. Integer.
    STORM_GROUP_MAPPING_SERVICE_CACHE_DURATION_SECS =
        "storm.group.mapping.service.cache.duration.secs", Topology [Integer];
    /// Users that the simple list lets in. List of text.
    STORM_AUTH_SIMPLE_WHITE_LIST_USERS = "storm.auth.simple-white-list.users", Daemon [StringList];
    /// Class of the transport of every Thrift service.
    STORM_THRIFT_TRANSPORT_PLUGIN = "storm.thrift.transport", Topology [String];
    /// File with names and passwords: Java's login configuration with the sections StormServer and
    /// StormClient. Path; looked for where storm.yaml is. With Storm this is a property of the JVM.
    JAAS_FILE = "java.security.auth.login.config", Daemon [String];
    /// Timeout of Thrift clients, in milliseconds. Integer.
    STORM_THRIFT_SOCKET_TIMEOUT_MS = "storm.thrift.socket.timeout.ms", Topology [Integer];
    /// Timeout of TLS clients, in milliseconds. Integer.
    STORM_THRIFT_TLS_SOCKET_TIMEOUT_MS = "storm.thrift.tls.socket.timeout.ms", Topology [Integer];
    /// Tries of a Thrift client. Number.
    STORM_NIMBUS_RETRY_TIMES = "storm.nimbus.retry.times", Topology [Number];
    /// Wait after the first try, in milliseconds. Number.
    STORM_NIMBUS_RETRY_INTERVAL = "storm.nimbus.retry.interval.millis", Topology [Number];
    /// Longest wait between tries, in milliseconds. Number.
    STORM_NIMBUS_RETRY_INTERVAL_CEILING =
        "storm.nimbus.retry.intervalceiling.millis", Topology [Number];
    /// Whether Nimbus checks ACLs in ZooKeeper at start. Boolean.
    STORM_NIMBUS_ZOOKEEPER_ACLS_CHECK = "storm.nimbus.zookeeper.acls.check", Daemon [Boolean];
    /// Whether it repairs them. Boolean.
    STORM_NIMBUS_ZOOKEEPER_ACLS_FIXUP = "storm.nimbus.zookeeper.acls.fixup", Daemon [Boolean];
    /// Class that writes records of the cluster's state.
    STORM_META_SERIALIZATION_DELEGATE = "storm.meta.serialization.delegate", Topology [String];
    /// Old class that spread code; without effect.
    STORM_CODEDISTRIBUTOR_CLASS = "storm.codedistributor.class", Daemon [String];
    /// Class that finds the rack of a host.
    STORM_NETWORK_TOPOGRAPHY_PLUGIN =
        "storm.network.topography.plugin", Topology [NotNull, Implementation];
    /// Class told of every submission.
    STORM_TOPOLOGY_SUBMISSION_NOTIFIER_PLUGIN =
        "storm.topology.submission.notifier.plugin.class", Topology [String];
    /// Whether topologies may put classes before Storm's. Boolean.
    STORM_TOPOLOGY_CLASSPATH_BEGINNING_ENABLED =
        "storm.topology.classpath.beginning.enabled", Daemon [Boolean];
    /// Metrics reporters of every topology. List of maps.
    STORM_TOPOLOGY_METRICS_SYSTEM_REPORTERS =
        "storm.topology.metrics.system.reporters", Topology [MetricReporters];
    /// Metrics reporters. List of maps with `class`.
    STORM_METRICS_REPORTERS = "storm.metrics.reporters", Topology [MetricReporters];
    /// Metrics reporters of daemons. List of classes.
    STORM_DAEMON_METRICS_REPORTER_PLUGINS =
        "storm.daemon.metrics.reporter.plugins", Daemon [StringList];
    /// Their period, in seconds. Integer.
    STORM_DAEMON_METRICS_REPORTER_INTERVAL_SECS =
        "storm.daemon.metrics.reporter.interval.secs", Daemon [Integer];
    /// Their locale. Text.
    STORM_DAEMON_METRICS_REPORTER_PLUGIN_LOCALE =
        "storm.daemon.metrics.reporter.plugin.locale", Topology [String];
    /// Unit of their rates. Text.
    STORM_DAEMON_METRICS_REPORTER_PLUGIN_RATE_UNIT =
        "storm.daemon.metrics.reporter.plugin.rate.unit", Topology [String];
    /// Unit of their durations. Text.
    STORM_DAEMON_METRICS_REPORTER_PLUGIN_DURATION_UNIT =
        "storm.daemon.metrics.reporter.plugin.duration.unit", Topology [String];
    /// Period of cluster metrics, in seconds. Integer.
    STORM_CLUSTER_METRICS_CONSUMER_PUBLISH_INTERVAL_SECS =
        "storm.cluster.metrics.consumer.publish.interval.secs", Daemon [NotNull, Positive];
    /// Class that takes worker metrics.
    STORM_METRIC_PROCESSOR_CLASS = "storm.metricprocessor.class", Daemon [NotNull, String];
    /// Class that stores metrics.
    STORM_METRIC_STORE_CLASS = "storm.metricstore.class", Daemon [NotNull, String];
    /// Directory of that store. Path.
    STORM_ROCKSDB_LOCATION = "storm.metricstore.rocksdb.location", Daemon [String];
    /// Whether that store may be made. Boolean.
    STORM_ROCKSDB_CREATE_IF_MISSING =
        "storm.metricstore.rocksdb.create_if_missing", Daemon [Boolean];
    /// Names kept in memory. Integer.
    STORM_ROCKSDB_METADATA_STRING_CACHE_CAPACITY =
        "storm.metricstore.rocksdb.metadata_string_cache_capacity", Daemon [Integer];
    /// Age at which metrics are deleted, in hours. Integer.
    STORM_ROCKSDB_METRIC_RETENTION_HOURS =
        "storm.metricstore.rocksdb.retention_hours", Daemon [Integer];
    /// Replicas of a blob. Integer.
    STORM_BLOBSTORE_REPLICATION_FACTOR =
        "storm.blobstore.replication.factor", Topology [Positive, Integer];
    /// Whether ACLs of blobs are held. Boolean.
    STORM_BLOBSTORE_ACL_VALIDATION_ENABLED =
        "storm.blobstore.acl.validation.enabled", Topology [Boolean];
    /// Chunk of a download, in bytes. Integer.
    STORM_BLOBSTORE_INPUTSTREAM_BUFFER_SIZE_BYTES =
        "storm.blobstore.inputstream.buffer.size.bytes", Topology [Positive, Integer];
    /// Chunk of a dependency's upload, in bytes. Integer.
    STORM_BLOBSTORE_DEPENDENCY_JAR_UPLOAD_CHUNK_SIZE_BYTES =
        "storm.blobstore.dependency.jar.upload.chunk.size.bytes", Topology [Positive, Integer];
    /// Largest size gzip may unfold to, in bytes. Number.
    STORM_COMPRESSION_GZIP_MAX_DECOMPRESSED_BYTES =
        "storm.compression.gzip.max.decompressed.bytes", Topology [Positive];
    /// Largest size zstd may unfold to, in bytes. Number.
    STORM_COMPRESSION_ZSTD_MAX_DECOMPRESSED_BYTES =
        "storm.compression.zstd.max.decompressed.bytes", Topology [Positive];
    /// Level of zstd. Integer, 1 to 19.
    STORM_COMPRESSION_ZSTD_LEVEL = "storm.compression.zstd.level", Topology [ZstdLevel];
    /// Key table for HDFS. Path.
    STORM_HDFS_LOGIN_KEYTAB = "storm.hdfs.login.keytab", Topology [String];
    /// Principal for HDFS. Text.
    STORM_HDFS_LOGIN_PRINCIPAL = "storm.hdfs.login.principal", Topology [String];
    /// Class of the connections between workers.
    STORM_MESSAGING_TRANSPORT = "storm.messaging.transport", Topology [String];
    /// Whether workers show each other who they are. Boolean.
    STORM_MESSAGING_NETTY_AUTHENTICATION =
        "storm.messaging.netty.authentication", Topology [Boolean];
    /// Socket buffer between workers, in bytes. Integer.
    STORM_MESSAGING_NETTY_BUFFER_SIZE =
        "storm.messaging.netty.buffer_size", Topology [Integer, Positive];
    /// Unsent bytes at which a connection is full. Integer.
    STORM_MESSAGING_NETTY_BUFFER_HIGH_WATERMARK =
        "storm.messaging.netty.buffer.high.watermark", Topology [Integer, Positive];
    /// Unsent bytes at which it is free again. Integer.
    STORM_MESSAGING_NETTY_BUFFER_LOW_WATERMARK =
        "storm.messaging.netty.buffer.low.watermark", Topology [Integer, Positive];
    /// Time to send what is left at the end, in milliseconds. Integer.
    STORM_MESSAGING_NETTY_FLUSH_TIMEOUT_MS =
        "storm.messaging.netty.flush_timeout_ms", Topology [Long, Positive];
    /// Longest wait between connects, in milliseconds. Integer.
    STORM_MESSAGING_NETTY_MAX_SLEEP_MS =
        "storm.messaging.netty.max_wait_ms", Topology [Integer, PositiveOrZero];
    /// Shortest wait between connects, in milliseconds. Integer.
    STORM_MESSAGING_NETTY_MIN_SLEEP_MS =
        "storm.messaging.netty.min_wait_ms", Topology [Integer, PositiveOrZero];
    /// Threads that send. Integer.
    STORM_MESSAGING_NETTY_CLIENT_WORKER_THREADS =
        "storm.messaging.netty.client_worker_threads", Topology [Integer];
    /// Threads that receive. Integer.
    STORM_MESSAGING_NETTY_SERVER_WORKER_THREADS =
        "storm.messaging.netty.server_worker_threads", Topology [Integer, PositiveOrZero];
    /// Connections that may wait to be accepted. Integer.
    STORM_MESSAGING_NETTY_SOCKET_BACKLOG =
        "storm.messaging.netty.socket.backlog", Topology [Integer, Positive];
    /// Bytes sent together. Integer.
    STORM_NETTY_MESSAGE_BATCH_SIZE =
        "storm.messaging.netty.transfer.batch.size", Topology [Integer];
    /// Whether workers speak TLS. Boolean.
    STORM_MESSAGING_NETTY_TLS_ENABLE = "storm.messaging.netty.tls.enable", Topology [Boolean];
    /// Whether that must be OpenSSL. Boolean.
    STORM_MESSAGING_NETTY_TLS_REQUIRE_OPEN_SSL =
        "storm.messaging.netty.tls.require.open.ssl", Topology [Boolean];
    /// Ciphers. Text or list.
    STORM_MESSAGING_NETTY_TLS_CIPHERS =
        "storm.messaging.netty.tls.ciphers", Topology [StringOrStringList];
    /// Protocols. Text.
    STORM_MESSAGING_NETTY_TLS_SSL_PROTOCOLS =
        "storm.messaging.netty.tls.ssl.protocols", Topology [String];
    /// Key store of the receiving side. Path.
    STORM_MESSAGING_NETTY_TLS_KEYSTORE_PATH =
        "storm.messaging.netty.tls.keystore.path", Topology [String];
    /// Password of that store. Secret.
    STORM_MESSAGING_NETTY_TLS_KEYSTORE_PASSWORD =
        "storm.messaging.netty.tls.keystore.password", Topology [String];
    /// Trust store of the receiving side. Path.
    STORM_MESSAGING_NETTY_TLS_TRUSTSTORE_PATH =
        "storm.messaging.netty.tls.truststore.path", Topology [String];
    /// Password of that store. Secret.
    STORM_MESSAGING_NETTY_TLS_TRUSTSTORE_PASSWORD =
        "storm.messaging.netty.tls.truststore.password", Topology [String];
    /// Key store of the sending side. Path.
    STORM_MESSAGING_NETTY_TLS_CLIENT_KEYSTORE_PATH =
        "storm.messaging.netty.tls.client.keystore.path", Topology [String];
    /// Password of that store. Secret.
    STORM_MESSAGING_NETTY_TLS_CLIENT_KEYSTORE_PASSWORD =
        "storm.messaging.netty.tls.client.keystore.password", Topology [String];
    /// Trust store of the sending side. Path.
    STORM_MESSAGING_NETTY_TLS_CLIENT_TRUSTSTORE_PATH =
        "storm.messaging.netty.tls.client.truststore.path", Topology [String];
    /// Password of that store. Secret.
    STORM_MESSAGING_NETTY_TLS_CLIENT_TRUSTSTORE_PASSWORD =
        "storm.messaging.netty.tls.client.truststore.password", Topology [String];
    /// Hosts of ZooKeeper. List of text.
    STORM_ZOOKEEPER_SERVERS = "storm.zookeeper.servers", Topology [StringList];
    /// Port of ZooKeeper. Integer.
    STORM_ZOOKEEPER_PORT = "storm.zookeeper.port", Topology [Integer, Positive];
    /// Path of Storm's records there. Text.
    STORM_ZOOKEEPER_ROOT = "storm.zookeeper.root", Topology [String];
    /// Silence that ends a session, in milliseconds. Integer.
    STORM_ZOOKEEPER_SESSION_TIMEOUT = "storm.zookeeper.session.timeout", Topology [Integer];
    /// Time to connect, in milliseconds. Integer.
    STORM_ZOOKEEPER_CONNECTION_TIMEOUT = "storm.zookeeper.connection.timeout", Topology [Integer];
    /// Tries of a call. Integer.
    STORM_ZOOKEEPER_RETRY_TIMES = "storm.zookeeper.retry.times", Topology [Integer];
    /// Wait after the first try, in milliseconds. Integer.
    STORM_ZOOKEEPER_RETRY_INTERVAL = "storm.zookeeper.retry.interval", Topology [Integer];
    /// Longest wait between tries, in milliseconds. Integer.
    STORM_ZOOKEEPER_RETRY_INTERVAL_CEILING =
        "storm.zookeeper.retry.intervalceiling.millis", Topology [Integer];
    /// User for the daemons' own sessions. Text.
    STORM_ZOOKEEPER_AUTH_USER = "storm.zookeeper.auth.user", Daemon [String];
    /// Password of that user. Secret.
    STORM_ZOOKEEPER_AUTH_PASSWORD = "storm.zookeeper.auth.password", Daemon [String];
    /// Scheme of the daemons' authentication. Text.
    STORM_ZOOKEEPER_AUTH_SCHEME = "storm.zookeeper.auth.scheme", Topology [String];
    /// Its payload. Secret.
    STORM_ZOOKEEPER_AUTH_PAYLOAD = "storm.zookeeper.auth.payload", Topology [String];
    /// Scheme of a topology's authentication. Text.
    STORM_ZOOKEEPER_TOPOLOGY_AUTH_SCHEME =
        "storm.zookeeper.topology.auth.scheme", Topology [String];
    /// Its payload. Secret.
    STORM_ZOOKEEPER_TOPOLOGY_AUTH_PAYLOAD =
        "storm.zookeeper.topology.auth.payload", Topology [String, NotNull];
    /// ACL added to every record. Text.
    STORM_ZOOKEEPER_SUPERACL = "storm.zookeeper.superACL", Topology [String];
    /// ACL of DRPC's records. Text.
    STORM_ZOOKEEPER_DRPC_ACL = "storm.zookeeper.drpcACL", Topology [String];
    /// Whether ZooKeeper is spoken to over TLS. Boolean.
    ZK_SSL_ENABLE = "storm.zookeeper.ssl.enable", Topology [Boolean];
    /// Whether its host name is checked. Boolean.
    STORM_ZOOKEEPER_SSL_HOSTNAME_VERIFICATION =
        "storm.zookeeper.ssl.hostnameVerification", Topology [Boolean];
    /// Key store. Path.
    STORM_ZOOKEEPER_SSL_KEYSTORE_PATH = "storm.zookeeper.ssl.keystore.path", Topology [String];
    /// Password of that store. Secret.
    STORM_ZOOKEEPER_SSL_KEYSTORE_PASSWORD =
        "storm.zookeeper.ssl.keystore.password", Topology [String];
    /// Trust store. Path.
    STORM_ZOOKEEPER_SSL_TRUSTSTORE_PATH = "storm.zookeeper.ssl.truststore.path", Topology [String];
    /// Password of that store. Secret.
    STORM_ZOOKEEPER_SSL_TRUSTSTORE_PASSWORD =
        "storm.zookeeper.ssl.truststore.password", Topology [String];
    /// Class that isolates workers.
    STORM_RESOURCE_ISOLATION_PLUGIN = "storm.resource.isolation.plugin", Daemon [Implementation];
    /// Whether workers are isolated. Boolean.
    STORM_RESOURCE_ISOLATION_PLUGIN_ENABLE =
        "storm.resource.isolation.plugin.enable", Daemon [Boolean];
    /// Directory of the control groups. Path.
    STORM_CGROUP_HIERARCHY_DIR = "storm.cgroup.hierarchy.dir", Topology [String];
    /// Name of their hierarchy. Text.
    STORM_CGROUP_HIERARCHY_NAME = "storm.cgroup.hierarchy.name", Daemon [String];
    /// Resources they bound. List of text.
    STORM_CGROUP_RESOURCES = "storm.cgroup.resources", Daemon [StringList];
    /// Program that starts a process in a group. Path.
    STORM_CGROUP_CGEXEC_CMD = "storm.cgroup.cgexec.cmd", Daemon [];
    /// Whether groups take their parent's processors. Boolean.
    STORM_CGROUP_INHERIT_CPUSET_CONFIGS = "storm.cgroup.inherit.cpuset.configs", Daemon [];
    /// Whether they bound memory. Boolean.
    STORM_CGROUP_MEMORY_ENFORCEMENT_ENABLE = "storm.cgroup.memory.enforcement.enable", Daemon [];
    /// Memory above the request, in MB. Number.
    STORM_CGROUP_MEMORY_LIMIT_TOLERANCE_MARGIN_MB =
        "storm.cgroup.memory.limit.tolerance.margin.mb", Daemon [];
    /// Group of the supervisor's workers. Text.
    STORM_SUPERVISOR_CGROUP_ROOTDIR = "storm.supervisor.cgroup.rootdir", Daemon [];
    /// Times its request a worker may use before it is killed. Number.
    STORM_SUPERVISOR_HARD_MEMORY_LIMIT_MULTIPLIER =
        "storm.supervisor.hard.memory.limit.multiplier", Daemon [];
    /// Or that much above it, in MB. Number.
    STORM_SUPERVISOR_HARD_LIMIT_MEMORY_OVERAGE_MB =
        "storm.supervisor.hard.memory.limit.overage.mb", Daemon [];
    /// Free memory below which any excess kills, in MB. Number.
    STORM_SUPERVISOR_LOW_MEMORY_THRESHOLD_MB =
        "storm.supervisor.low.memory.threshold.mb", Daemon [];
    /// Free memory below which lasting excess kills, in MB. Number.
    STORM_SUPERVISOR_MEDIUM_MEMORY_THRESHOLD_MB =
        "storm.supervisor.medium.memory.threshold.mb", Daemon [];
    /// How lasting, in milliseconds. Number.
    STORM_SUPERVISOR_MEDIUM_MEMORY_GRACE_PERIOD_MS =
        "storm.supervisor.medium.memory.grace.period.ms", Daemon [];
    /// Memory above the request without consequence, in MB. Number.
    STORM_SUPERVISOR_MEMORY_LIMIT_TOLERANCE_MARGIN_MB =
        "storm.supervisor.memory.limit.tolerance.margin.mb", Daemon [];
    /// Least CPU of an isolated worker, in percent of a core. Number.
    STORM_WORKER_MIN_CPU_PCORE_PERCENT = "storm.worker.min.cpu.pcore.percent", Daemon [];
    /// Life of a worker's token, in hours. Integer.
    STORM_WORKER_TOKEN_LIFE_TIME_HOURS = "storm.worker.token.life.time.hours", Daemon [];
    /// Root of the control groups of containers. Path.
    STORM_OCI_CGROUP_ROOT = "storm.oci.cgroup.root", Topology [];
    /// Their parent. Path.
    STORM_OCI_CGROUP_PARENT = "storm.oci.cgroup.parent", Daemon [];
    /// Directory of the name service cache. Path.
    STORM_OCI_NSCD_DIR = "storm.oci.nscd.dir", Daemon [];
    /// Consumers of cluster metrics. List of maps with `class`.
    STORM_CLUSTER_METRICS_CONSUMER_REGISTER = "storm.cluster.metrics.consumer.register", Daemon [];
}
