//! Keys of DRPC, the UI, the log viewer, Pacemaker, the schedulers and older parts.
//!
//! Spelled here and nowhere else; what they do is said by the modules that read them.

super::keys! {
    /// Hosts of DRPC. List of text.
    DRPC_SERVERS = "drpc.servers", Topology [StringList];
    /// Port of DRPC's client service. Integer.
    DRPC_PORT = "drpc.port", Topology [Integer, Positive];
    /// Threads of that service. Integer.
    DRPC_WORKER_THREADS = "drpc.worker.threads", Topology [Integer, Positive];
    /// Calls that may wait for one of them. Integer.
    DRPC_QUEUE_SIZE = "drpc.queue.size", Topology [Integer, Positive];
    /// Largest message of that service, in bytes. Number.
    DRPC_MAX_BUFFER_SIZE = "drpc.max_buffer_size", Topology [Number, Positive];
    /// Class of that service's transport, instead of the common one.
    DRPC_THRIFT_TRANSPORT_PLUGIN = "drpc.thrift.transport", Topology [String];
    /// Port of DRPC's service for topologies. Integer.
    DRPC_INVOCATIONS_PORT = "drpc.invocations.port", Topology [Integer, Positive];
    /// Threads of that service. Integer.
    DRPC_INVOCATIONS_THREADS = "drpc.invocations.threads", Topology [Integer, Positive];
    /// Class of that service's transport, instead of the common one.
    DRPC_INVOCATIONS_THRIFT_TRANSPORT_PLUGIN =
        "drpc.invocations.thrift.transport", Topology [String];
    /// Time a request has, in seconds. Integer.
    DRPC_REQUEST_TIMEOUT_SECS = "drpc.request.timeout.secs", Daemon [Integer, Positive, NotNull];
    /// Port of DRPC over HTTP. Integer; negative: off.
    DRPC_HTTP_PORT = "drpc.http.port", Daemon [Integer];
    /// Class that names the user of an HTTP request.
    DRPC_HTTP_CREDS_PLUGIN = "drpc.http.creds.plugin", Daemon [Implementation];
    /// Whether DRPC's clients over HTTPS must have a certificate. Boolean.
    DRPC_HTTPS_NEED_CLIENT_AUTH = "drpc.https.need.client.auth", Daemon [Boolean];
    /// Port of DRPC over HTTPS. Integer; negative: off.
    DRPC_HTTPS_PORT = "drpc.https.port", Daemon [Integer];
    /// Password of its key store. Secret.
    DRPC_HTTPS_KEYSTORE_PASSWORD = "drpc.https.keystore.password", Daemon [String];
    /// Type of its key store. Text.
    DRPC_HTTPS_KEYSTORE_TYPE = "drpc.https.keystore.type", Daemon [String];
    /// Whether HTTP is closed when HTTPS is open. Boolean.
    DRPC_DISABLE_HTTP_BINDING = "drpc.disable.http.binding", Daemon [Boolean];
    /// Class that authorises calls.
    DRPC_AUTHORIZER = "drpc.authorizer", Daemon [String];
    /// Who may call and serve each function. Map.
    DRPC_AUTHORIZER_ACL = "drpc.authorizer.acl", Topology [Map];
    /// File that holds those rules. Text.
    DRPC_AUTHORIZER_ACL_FILENAME = "drpc.authorizer.acl.filename", Topology [String];
    /// Whether functions without a rule are refused. Boolean.
    DRPC_AUTHORIZER_ACL_STRICT = "drpc.authorizer.acl.strict", Topology [Boolean];
    /// JVM options of DRPC; without effect here. Text or list.
    DRPC_CHILDOPTS = "drpc.childopts", Daemon [StringOrStringList];
    /// Address the UI binds. Text.
    UI_HOST = "ui.host", Daemon [String];
    /// Port of the UI. Integer.
    UI_PORT = "ui.port", Daemon [Integer, Positive];
    /// Title of the UI. Text.
    UI_TITLE = "ui.title", Daemon [String];
    /// Rows a page of the UI. Integer.
    UI_PAGINATION = "ui.pagination", Daemon [Integer];
    /// Who may see the UI. Text or list.
    UI_USERS = "ui.users", Daemon [StringOrStringList];
    /// Class that filters its requests.
    UI_FILTER = "ui.filter", Daemon [String];
    /// Parameters of that class. Map.
    UI_FILTER_PARAMS = "ui.filter.params", Daemon [MapOfString];
    /// Largest header of a request, in bytes. Integer.
    UI_HEADER_BUFFER_BYTES = "ui.header.buffer.bytes", Daemon [Integer, Positive];
    /// Class that names the user of a request.
    UI_HTTP_CREDS_PLUGIN = "ui.http.creds.plugin", Daemon [Implementation];
    /// Whether the UI may change topologies. Boolean.
    UI_ACTIONS_ENABLED = "ui.actions.enabled", Daemon [Boolean];
    /// Whether HTTP is closed when HTTPS is open. Boolean.
    UI_DISABLE_HTTP_BINDING = "ui.disable.http.binding", Daemon [Boolean];
    /// Whether the lag of spouts is not asked for. Boolean.
    UI_DISABLE_SPOUT_LAG_MONITORING = "ui.disable.spout.lag.monitoring", Daemon [Boolean];
    /// JVM options of the UI; without effect here. Text or list.
    UI_CHILDOPTS = "ui.childopts", Daemon [StringOrStringList];
    /// Who may read logs. Text or list.
    LOGS_USERS = "logs.users", Daemon [StringOrStringList];
    /// Groups that may read logs. Text or list.
    LOGS_GROUPS = "logs.groups", Daemon [StringOrStringList];
    /// Port of the log viewer. Integer.
    LOGVIEWER_PORT = "logviewer.port", Daemon [Integer, Positive];
    /// Port of the log viewer over HTTPS. Integer.
    LOGVIEWER_HTTPS_PORT = "logviewer.https.port", Daemon [Integer, Positive];
    /// Whether HTTP is closed when HTTPS is open. Boolean.
    LOGVIEWER_DISABLE_HTTP_BINDING = "logviewer.disable.http.binding", Daemon [Boolean];
    /// Class that filters its requests.
    LOGVIEWER_FILTER = "logviewer.filter", Daemon [String];
    /// Parameters of that class. Map.
    LOGVIEWER_FILTER_PARAMS = "logviewer.filter.params", Daemon [MapOfString];
    /// Age at which logs are deleted, in minutes. Integer.
    LOGVIEWER_CLEANUP_AGE_MINS = "logviewer.cleanup.age.mins", Daemon [Integer, Positive];
    /// Period of that cleanup, in seconds; null: off. Integer.
    LOGVIEWER_CLEANUP_INTERVAL_SECS = "logviewer.cleanup.interval.secs", Daemon [Integer, Positive];
    /// Size of all worker logs together, in MB. Integer.
    LOGVIEWER_MAX_SUM_WORKER_LOGS_SIZE_MB =
        "logviewer.max.sum.worker.logs.size.mb", Daemon [Positive];
    /// Size of one worker's logs, in MB. Integer.
    LOGVIEWER_MAX_PER_WORKER_LOGS_SIZE_MB =
        "logviewer.max.per.worker.logs.size.mb", Daemon [Positive];
    /// Appender whose file the viewer shows. Text.
    LOGVIEWER_APPENDER_NAME = "logviewer.appender.name", Daemon [String];
    /// JVM options of the log viewer; without effect here. Text or list.
    LOGVIEWER_CHILDOPTS = "logviewer.childopts", Daemon [StringOrStringList];
    /// Hosts of Pacemaker. List of text.
    PACEMAKER_SERVERS = "pacemaker.servers", Topology [StringList];
    /// Port of Pacemaker. Number.
    PACEMAKER_PORT = "pacemaker.port", Topology [Number, Positive];
    /// How its clients show who they are. Text.
    PACEMAKER_AUTH_METHOD = "pacemaker.auth.method", Topology [PacemakerAuth];
    /// Users that may speak to it. List of text.
    PACEMAKER_KERBEROS_USERS = "pacemaker.kerberos.users", Daemon [StringList];
    /// Threads it starts with. Integer.
    PACEMAKER_BASE_THREADS = "pacemaker.base.threads", Daemon [Integer];
    /// Threads it may have. Integer.
    PACEMAKER_MAX_THREADS = "pacemaker.max.threads", Daemon [Number, Positive];
    /// Threads of a client of it. Integer.
    PACEMAKER_CLIENT_MAX_THREADS = "pacemaker.client.max.threads", Topology [Number, Positive];
    /// Idle time of a thread, in seconds. Integer.
    PACEMAKER_THREAD_TIMEOUT = "pacemaker.thread.timeout", Daemon [Integer];
    /// Largest message, in bytes. Integer.
    PACEMAKER_THRIFT_MESSAGE_SIZE_MAX =
        "pacemaker.thrift.message.size.max", Topology [Integer, Positive];
    /// JVM options of Pacemaker; without effect here. Text or list.
    PACEMAKER_CHILDOPTS = "pacemaker.childopts", Daemon [StringOrStringList];
    /// Window in which bad slots count, in seconds. Integer.
    BLACKLIST_SCHEDULER_TOLERANCE_TIME =
        "blacklist.scheduler.tolerance.time.secs", Daemon [Positive];
    /// Bad rounds until a supervisor is left out. Integer.
    BLACKLIST_SCHEDULER_TOLERANCE_COUNT = "blacklist.scheduler.tolerance.count", Daemon [Positive];
    /// Time it stays out, in seconds. Integer.
    BLACKLIST_SCHEDULER_RESUME_TIME = "blacklist.scheduler.resume.time.secs", Daemon [Positive];
    /// Class that reports it.
    BLACKLIST_SCHEDULER_REPORTER = "blacklist.scheduler.reporter", Daemon [NotNull, Implementation];
    /// Class that decides it.
    BLACKLIST_SCHEDULER_STRATEGY = "blacklist.scheduler.strategy", Daemon [NotNull, Implementation];
    /// Whether all slots bad means supervisor bad. Boolean.
    BLACKLIST_SCHEDULER_ASSUME_SUPERVISOR_BAD_BASED_ON_BAD_SLOT =
        "blacklist.scheduler.assume.supervisor.bad.based.on.bad.slot", Daemon [Boolean];
    /// Machines reserved for topologies. Map of name to number.
    ISOLATION_SCHEDULER_MACHINES = "isolation.scheduler.machines", Daemon [MapOfNumber];
    /// Machines of each user's pool. Map of user to number.
    MULTITENANT_SCHEDULER_USER_POOLS = "multitenant.scheduler.user.pools", Daemon [MapOfNumber];
    /// Class that orders topologies.
    RESOURCE_AWARE_SCHEDULER_PRIORITY_STRATEGY =
        "resource.aware.scheduler.priority.strategy", Daemon [NotNull, Implementation];
    /// States the constraint solver may visit at most. Integer.
    RESOURCE_AWARE_SCHEDULER_MAX_STATE_SEARCH =
        "resource.aware.scheduler.constraint.max.state.search", Daemon [Integer, Positive];
    /// Tries for one topology in one round. Integer.
    RESOURCE_AWARE_SCHEDULER_MAX_TOPOLOGY_SCHEDULING_ATTEMPTS =
        "resource.aware.scheduler.max.topology.scheduling.attempts", Daemon [Integer, Positive];
    /// Guaranteed resources of each user. Map of user to map.
    RESOURCE_AWARE_SCHEDULER_USER_POOLS = "resource.aware.scheduler.user.pools", Daemon [Map];
    /// Whether summaries show resources under any scheduler. Boolean.
    SCHEDULER_DISPLAY_RESOURCE = "scheduler.display.resource", Daemon [Boolean];
    /// Class that reads and writes blobs for clients.
    CLIENT_BLOBSTORE = "client.blobstore.class", Topology [String];
    /// Class that rewrites jars of old versions.
    CLIENT_JARTRANSFORMER_CLASS = "client.jartransformer.class", Daemon [String];
    /// Directory of the development ZooKeeper. Path.
    DEV_ZOOKEEPER_PATH = "dev.zookeeper.path", Daemon [String];
    /// Directories of native libraries of JVM workers. Text.
    JAVA_LIBRARY_PATH = "java.library.path", Daemon [String];
    /// ZooKeeper hosts of transactional state; null: the cluster's. List of text.
    TRANSACTIONAL_ZOOKEEPER_SERVERS = "transactional.zookeeper.servers", Topology [StringList];
    /// Port of those. Integer.
    TRANSACTIONAL_ZOOKEEPER_PORT = "transactional.zookeeper.port", Topology [Integer, Positive];
    /// Path of transactional state there. Text.
    TRANSACTIONAL_ZOOKEEPER_ROOT = "transactional.zookeeper.root", Topology [String];
    /// Directory of the blob store. Path.
    BLOBSTORE_DIR = "blobstore.dir", Topology [String];
    /// Whether the blob store deletes what no topology uses. Boolean.
    BLOBSTORE_CLEANUP_ENABLE = "blobstore.cleanup.enable", Topology [Boolean];
    /// Old principal for blobs in HDFS. Text.
    BLOBSTORE_HDFS_PRINCIPAL = "blobstore.hdfs.principal", Topology [String];
    /// Old key table for that. Path.
    BLOBSTORE_HDFS_KEYTAB = "blobstore.hdfs.keytab", Topology [String];
    /// Port of the UI over HTTPS. Integer.
    UI_HTTPS_PORT = "ui.https.port", Daemon [Integer, Positive];
    /// Whether the UI's visitors over HTTPS must have a certificate. Boolean.
    UI_HTTPS_NEED_CLIENT_AUTH = "ui.https.need.client.auth", Daemon [Boolean];
    /// Where users report bugs of this cluster's topologies, for the UI. Text.
    UI_PROJECT_BUGTRACKER_URL = "ui.project.bugtracker.url", Daemon [String];
    /// Where logs of all machines are gathered, for the UI. Text.
    UI_CENTRAL_LOGGING_URL = "ui.central.logging.url", Daemon [String];
    /// Whether the log viewer's visitors over HTTPS must have a certificate. Boolean.
    LOGVIEWER_HTTPS_NEED_CLIENT_AUTH = "logviewer.https.need.client.auth", Daemon [Boolean];
    /// Time the scheduler may take for one topology, in seconds. Integer.
    SCHEDULING_TIMEOUT_SECONDS_PER_TOPOLOGY =
        "scheduling.timeout.seconds.per.topology", Daemon [Integer, Positive];
    /// Whether failed pushes count as bad. Boolean.
    BLACKLIST_SCHEDULER_ENABLE_SEND_ASSIGNMENT_FAILURES =
        "blacklist.scheduler.enable.send.assignment.failures", Daemon [Boolean];
}
