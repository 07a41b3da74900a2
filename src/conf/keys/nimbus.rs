//! Keys of Nimbus.
//!
//! Spelled here and nowhere else; what they do is said by the modules that read them.

super::keys! {
    /// Hosts of Nimbus, tried in turn. List of text.
    NIMBUS_SEEDS = "nimbus.seeds", Topology [StringList];
    /// Old name of the one Nimbus host, still honoured by clients. Text.
    NIMBUS_HOST = "nimbus.host", Daemon [String];
    /// Port of Nimbus's Thrift service. Integer.
    NIMBUS_THRIFT_PORT = "nimbus.thrift.port", Topology [Integer, Positive];
    /// Threads of that service. Integer.
    NIMBUS_THRIFT_THREADS = "nimbus.thrift.threads", Topology [Integer, Positive];
    /// Largest message of that service, and of replies to its clients, in bytes. Integer.
    NIMBUS_THRIFT_MAX_BUFFER_SIZE = "nimbus.thrift.max_buffer_size", Topology [Integer, Positive];
    /// Class of that service's transport, instead of the common one.
    NIMBUS_THRIFT_TRANSPORT_PLUGIN = "nimbus.thrift.transport", Topology [String];
    /// Whether clients of Nimbus speak TLS. Boolean.
    NIMBUS_THRIFT_CLIENT_USE_TLS = "nimbus.thrift.client.use.tls", Topology [Boolean];
    /// Port of Nimbus's TLS service. Integer; 0: off.
    NIMBUS_THRIFT_TLS_PORT = "nimbus.thrift.tls.port", Topology [Integer, PositiveOrZero];
    /// Threads of the TLS service. Integer.
    NIMBUS_THRIFT_TLS_THREADS = "nimbus.thrift.tls.threads", Topology [Integer, Positive];
    /// Largest message of the TLS service, in bytes. Integer.
    NIMBUS_THRIFT_TLS_MAX_BUFFER_SIZE =
        "nimbus.thrift.tls.max_buffer_size", Topology [Integer, Positive];
    /// Class of the TLS service's transport.
    NIMBUS_THRIFT_TLS_TRANSPORT_PLUGIN = "nimbus.thrift.tls.transport", Topology [String];
    /// Whether the plain service is closed. Boolean.
    NIMBUS_THRIFT_TLS_SERVER_ONLY = "nimbus.thrift.tls.server.only", Topology [Boolean];
    /// Whether TLS clients must show a certificate. Boolean.
    NIMBUS_THRIFT_TLS_CLIENT_AUTH_REQUIRED =
        "nimbus.thrift.tls.client.auth.required", Topology [Boolean];
    /// Certificate a client shows. Path.
    NIMBUS_THRIFT_TLS_CLIENT_CERT_PATH = "nimbus.thrift.tls.client.cert.path", Topology [String];
    /// Key of that certificate. Path.
    NIMBUS_THRIFT_TLS_CLIENT_KEY_PATH = "nimbus.thrift.tls.client.key.path", Topology [String];
    /// Key store of a client. Path.
    NIMBUS_THRIFT_TLS_CLIENT_KEYSTORE_PATH =
        "nimbus.thrift.tls.client.keystore.path", Topology [String];
    /// Password of that store. Secret.
    NIMBUS_THRIFT_TLS_CLIENT_KEYSTORE_PASSWORD =
        "nimbus.thrift.tls.client.keystore.password", Topology [String];
    /// Trust store of a client. Path.
    NIMBUS_THRIFT_TLS_CLIENT_TRUSTSTORE_PATH =
        "nimbus.thrift.tls.client.truststore.path", Topology [String];
    /// Password of that store. Secret.
    NIMBUS_THRIFT_TLS_CLIENT_TRUSTSTORE_PASSWORD =
        "nimbus.thrift.tls.client.truststore.password", Topology [String];
    /// Key store of Nimbus. Path.
    NIMBUS_THRIFT_TLS_SERVER_KEYSTORE_PATH =
        "nimbus.thrift.tls.server.keystore.path", Topology [String];
    /// Password of that store. Secret.
    NIMBUS_THRIFT_TLS_SERVER_KEYSTORE_PASSWORD =
        "nimbus.thrift.tls.server.keystore.password", Topology [String];
    /// Trust store of Nimbus. Path.
    NIMBUS_THRIFT_TLS_SERVER_TRUSTSTORE_PATH =
        "nimbus.thrift.tls.server.truststore.path", Topology [String];
    /// Password of that store. Secret.
    NIMBUS_THRIFT_TLS_SERVER_TRUSTSTORE_PASSWORD =
        "nimbus.thrift.tls.server.truststore.password", Topology [String];
    /// Calls that may wait for a thread of Nimbus. Integer.
    NIMBUS_QUEUE_SIZE = "nimbus.queue.size", Topology [Integer, Positive];
    /// Period of scheduling and cleanup, in seconds. Integer.
    NIMBUS_MONITOR_FREQ_SECS = "nimbus.monitor.freq.secs", Daemon [Integer, Positive];
    /// Silence after which an executor counts as lost, in seconds. Integer.
    NIMBUS_TASK_TIMEOUT_SECS = "nimbus.task.timeout.secs", Daemon [Integer, Positive];
    /// Grace of that for an executor just assigned, in seconds. Integer.
    NIMBUS_TASK_LAUNCH_SECS = "nimbus.task.launch.secs", Daemon [Integer, Positive];
    /// Silence after which a supervisor counts as lost, in seconds. Integer.
    NIMBUS_SUPERVISOR_TIMEOUT_SECS = "nimbus.supervisor.timeout.secs", Daemon [Integer, Positive];
    /// Period of the inbox cleanup, in seconds. Integer.
    NIMBUS_CLEANUP_INBOX_FREQ_SECS = "nimbus.cleanup.inbox.freq.secs", Daemon [Integer, Positive];
    /// Age at which an uploaded jar is deleted, in seconds. Integer.
    NIMBUS_INBOX_JAR_EXPIRATION_SECS = "nimbus.inbox.jar.expiration.secs", Daemon [Integer];
    /// Idle time after which an upload or download ends, in seconds. Integer.
    NIMBUS_FILE_COPY_EXPIRATION_SECS = "nimbus.file.copy.expiration.secs", Daemon [Integer];
    /// Period of code synchronisation between leaders, in seconds. Integer.
    NIMBUS_CODE_SYNC_FREQ_SECS = "nimbus.code.sync.freq.secs", Daemon [Integer];
    /// Class that accepts or refuses topologies.
    NIMBUS_TOPOLOGY_VALIDATOR = "nimbus.topology.validator", Daemon [String];
    /// Age below which blobs of unknown topologies stay, in milliseconds. Integer.
    NIMBUS_TOPOLOGY_BLOBSTORE_DELETION_DELAY_MS =
        "nimbus.topology.blobstore.deletion.delay.ms", Daemon [Integer];
    /// Most workers of a topology. Integer; null: no limit.
    NIMBUS_SLOTS_PER_TOPOLOGY = "nimbus.slots.perTopology", Daemon [Integer, PositiveOrZero];
    /// Most executors of a topology. Integer; null: no limit.
    NIMBUS_EXECUTORS_PER_TOPOLOGY =
        "nimbus.executors.perTopology", Daemon [Integer, PositiveOrZero];
    /// Users who may do everything. List of text.
    NIMBUS_ADMINS = "nimbus.admins", Topology [StringList];
    /// Groups that may do everything. List of text.
    NIMBUS_ADMINS_GROUPS = "nimbus.admins.groups", Topology [StringList];
    /// Users who may use the cluster. List of text.
    NIMBUS_USERS = "nimbus.users", Topology [StringList];
    /// Groups that may use the cluster. List of text.
    NIMBUS_GROUPS = "nimbus.groups", Topology [StringList];
    /// Users that supervisors run as. List of text.
    NIMBUS_SUPERVISOR_USERS = "nimbus.supervisor.users", Topology [StringList];
    /// Users that daemons run as. List of text.
    NIMBUS_DAEMON_USERS = "nimbus.daemon.users", Topology [StringList];
    /// Class that authorises calls to Nimbus; null: everything is allowed.
    NIMBUS_AUTHORIZER = "nimbus.authorizer", Daemon [String];
    /// Class that authorises calls on behalf of others.
    NIMBUS_IMPERSONATION_AUTHORIZER = "nimbus.impersonation.authorizer", Daemon [String];
    /// Who may act for whom. Map of user to map of lists (`hosts`, `groups`).
    NIMBUS_IMPERSONATION_ACL = "nimbus.impersonation.acl", Topology [ImpersonationAcl];
    /// Credential plug-ins of Nimbus. List of text.
    NIMBUS_AUTO_CRED_PLUGINS = "nimbus.autocredential.plugins.classes", Topology [StringList];
    /// Credential renewers of Nimbus. List of text.
    NIMBUS_CREDENTIAL_RENEWERS = "nimbus.credential.renewers.classes", Topology [StringList];
    /// Period of the renewal, in seconds. Integer.
    NIMBUS_CREDENTIAL_RENEW_FREQ_SECS =
        "nimbus.credential.renewers.freq.secs", Daemon [Integer, Positive];
    /// Strategies a topology may name; null: any. List of text.
    NIMBUS_SCHEDULER_STRATEGY_CLASS_WHITELIST =
        "nimbus.scheduler.strategy.class.whitelist", Topology [StringList];
    /// Class that keeps assignments in Nimbus's memory.
    NIMBUS_LOCAL_ASSIGNMENTS_BACKEND_CLASS =
        "nimbus.local.assignments.backend.class", Topology [Implementation];
    /// Class that decides when heartbeats are complete.
    NIMBUS_WORKER_HEARTBEATS_RECOVERY_STRATEGY_CLASS =
        "nimbus.worker.heartbeats.recovery.strategy.class", Daemon [String];
    /// Class of the blob store.
    NIMBUS_BLOBSTORE = "nimbus.blobstore.class", Daemon [String];
    /// Idle time after which a blob session ends, in seconds. Integer.
    NIMBUS_BLOBSTORE_EXPIRATION_SECS =
        "nimbus.blobstore.expiration.secs", Daemon [Positive, Integer];
    /// Threads that push assignments. Integer.
    NIMBUS_ASSIGNMENTS_SERVICE_THREADS = "nimbus.assignments.service.threads", Daemon [Integer];
    /// Assignments waiting for each of them. Integer.
    NIMBUS_ASSIGNMENTS_SERVICE_THREAD_QUEUE_SIZE =
        "nimbus.assignments.service.thread.queue.size", Daemon [Integer];
    /// Whether idle supervisors make topologies spread again. Boolean.
    NIMBUS_EVEN_REBALANCE_ON_IDLE_SUPERVISOR_ENABLED =
        "nimbus.even.rebalance.idle.supervisor.enabled", Daemon [Boolean];
    /// Rounds a supervisor must be idle first. Integer.
    NIMBUS_EVEN_REBALANCE_IDLE_SUPERVISOR_MIN_STABLE_ROUNDS =
        "nimbus.even.rebalance.idle.supervisor.min.stable.rounds", Daemon [Integer];
    /// Slots one such round may free. Integer; 0: no limit.
    NIMBUS_EVEN_REBALANCE_MAX_FREE_PER_TOPOLOGY =
        "nimbus.even.rebalance.max.free.per.topology", Daemon [Integer];
    /// JVM options of Nimbus; without effect here. Text or list.
    NIMBUS_CHILDOPTS = "nimbus.childopts", Daemon [StringOrStringList];
    /// Class told of every action on a topology.
    NIMBUS_TOPOLOGY_ACTION_NOTIFIER_PLUGIN =
        "nimbus.topology.action.notifier.plugin.class", Daemon [Implementation];
}
