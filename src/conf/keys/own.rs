//! Keys of our own. Storm knows nothing of them; each has its default in `defaults.yaml`.
//!
//! Spelled here and nowhere else; what they do is said by the modules that read them.

super::keys! {
    /// Address that every service binds; `0.0.0.0` opens it to other machines. Text.
    STORMWIRE_BIND_ADDRESS = "stormwire.bind.address", Own [String, NotNull];
    /// Port of our Coordination service, for supervisors and workers. Integer; 0: the system's
    /// choice.
    STORMWIRE_COORDINATION_PORT =
        "stormwire.coordination.port", Own [Integer, PositiveOrZero, NotNull];
    /// PEM file with a daemon's certificate, then those that lead to an authority: needed where a
    /// TLS port is set. Text.
    STORMWIRE_TLS_CERTIFICATES = "stormwire.tls.certificates", Own [String];
    /// PEM file with the key of that certificate. Text.
    STORMWIRE_TLS_KEY = "stormwire.tls.key", Own [String];
    /// PEM file with the authorities whose certificates a daemon takes from clients. Text.
    STORMWIRE_TLS_AUTHORITIES = "stormwire.tls.authorities", Own [String];
    /// Storm version that Nimbus reports to clients. Text.
    STORMWIRE_VERSION_REPORTED = "stormwire.version.reported", Own [String, NotNull];
    /// Folder with Storm's client library, for `jar` of a Java main class. Text; null: that of
    /// `STORM_HOME`.
    STORMWIRE_JAVA_CLIENT_JARS = "stormwire.java.client.jars", Own [String];
    /// Period of a supervisor's health checks, in seconds. Integer.
    STORMWIRE_HEALTH_CHECK_SECS = "stormwire.health.check.secs", Own [Integer, Positive, NotNull];
    /// Threads a worker runs executors on. Integer; null: cores divided by the slots in use.
    STORMWIRE_WORKER_THREADS = "stormwire.worker.threads", Own [Integer, Positive];
    /// Bytes at which `worker.log` and `worker.log.err` are renamed and begun anew. Of the
    /// supervisor's conf. Integer.
    STORMWIRE_WORKER_LOG_BYTES_MAX =
        "stormwire.worker.log.bytes.max", Own [Integer, Positive, NotNull];
    /// Full files of each that are kept, packed; older ones go. Integer.
    STORMWIRE_WORKER_LOG_FILES_MAX =
        "stormwire.worker.log.files.max", Own [Integer, PositiveOrZero, NotNull];
    /// Whether a daemon's log goes to a file of its name in `storm.log.dir` instead of standard
    /// error. Boolean.
    STORMWIRE_DAEMON_LOG_FILE = "stormwire.daemon.log.file", Own [Boolean, NotNull];
    /// Bytes at which such a file is renamed and begun anew. Integer.
    STORMWIRE_DAEMON_LOG_BYTES_MAX =
        "stormwire.daemon.log.bytes.max", Own [Integer, Positive, NotNull];
    /// Full files of it that are kept, packed. Integer.
    STORMWIRE_DAEMON_LOG_FILES_MAX =
        "stormwire.daemon.log.files.max", Own [Integer, PositiveOrZero, NotNull];
    /// Time without an answer of any Nimbus after which a worker ends itself, in seconds. Integer;
    /// null: it runs on, however long Nimbus is away.
    STORMWIRE_WORKER_ORPHAN_TIMEOUT_SECS =
        "stormwire.worker.orphan.timeout.secs", Own [Integer, Positive];
    /// Period at which a worker sends statistics to Nimbus, in seconds. Integer.
    STORMWIRE_STATS_REPORT_SECS = "stormwire.stats.report.secs", Own [Integer, Positive, NotNull];
    /// Bytes that may be on their way from one worker to one executor of another, or wait for it
    /// there: those of frames, and 64 for each tuple. At as many emitters wait. Integer.
    STORMWIRE_LINK_WINDOW_BYTES =
        "stormwire.link.window.bytes", Own [Integer, Positive, NotNull];
    /// Whether links between workers are encrypted, and each end shows who it is. Of the cluster,
    /// and then Coordination has to be as well, or of a topology. Boolean.
    STORMWIRE_LINK_ENCRYPTION = "stormwire.link.encryption", Own [Boolean];
    /// PEM file, on each machine with workers, with the certificate that its workers show each
    /// other. Text; null: Nimbus makes one for each worker.
    STORMWIRE_LINK_CERTIFICATES = "stormwire.link.certificates", Own [String];
    /// PEM file with the key of that certificate. Text.
    STORMWIRE_LINK_KEY = "stormwire.link.key", Own [String];
    /// PEM file with the authorities whose certificates workers take from each other. Text.
    STORMWIRE_LINK_AUTHORITIES = "stormwire.link.authorities", Own [String];
    /// When frames between workers are compressed: `off`, `always`, or `auto`, where values are
    /// large or the link is slow. Text; null: as `topology.tuple.compression.enable` says.
    STORMWIRE_LINK_COMPRESSION = "stormwire.link.compression", Own [];
    /// Codecs, the best first: `lz4`, `zstd`, `zlib`. List of text; empty: those, in this order.
    STORMWIRE_LINK_CODECS = "stormwire.link.codecs", Own [StringList];
    /// Time a shell child has to answer the handshake, in seconds. Integer.
    STORMWIRE_SHELL_HANDSHAKE_TIMEOUT_SECS =
        "stormwire.shell.handshake.timeout.secs", Own [Integer, Positive, NotNull];
    /// Restarts of one shell child within the window before it counts as broken. Integer.
    STORMWIRE_SHELL_RESTART_MAX =
        "stormwire.shell.restart.max", Own [Integer, PositiveOrZero, NotNull];
    /// Window in which restarts count, in seconds. Integer.
    STORMWIRE_SHELL_RESTART_WINDOW_SECS =
        "stormwire.shell.restart.window.secs", Own [Integer, Positive, NotNull];
    /// What becomes of a task whose child is broken: `stop`, it waits for an operator, or `exit`,
    /// its worker ends as Storm's does. Text.
    STORMWIRE_SHELL_RESTART_EXHAUSTED =
        "stormwire.shell.restart.exhausted", Own [String, NotNull];
    /// Longest message of a child, in bytes. Integer.
    STORMWIRE_SHELL_MESSAGE_BYTES_MAX =
        "stormwire.shell.message.bytes.max", Own [Integer, Positive, NotNull];
    /// Whether children hear no `activate` and `deactivate`; some libraries fail on them.
    /// Boolean.
    STORMWIRE_SHELL_SUPPRESS_LIFECYCLE = "stormwire.shell.suppress.lifecycle", Own [Boolean];
    /// Arguments of a shell child behind its script, for those that need more than the two words of
    /// Thrift's `ShellComponent`; of one component. List of text.
    STORMWIRE_SHELL_ARGUMENTS = "stormwire.shell.arguments", Own [StringList];
    /// Variables of a shell child's environment; `PATH` is added behind the worker's. Of one
    /// component. Map.
    STORMWIRE_SHELL_ENVIRONMENT = "stormwire.shell.environment", Own [Map];
    /// Whether a shell child runs in the topology's `resources`; otherwise it runs in its worker's
    /// directory. Boolean.
    STORMWIRE_SHELL_CHANGE_DIRECTORY = "stormwire.shell.change.directory", Own [Boolean, NotNull];
    /// Whether byte arrays go to JSON children as base64 text, where Storm gives up. Boolean.
    STORMWIRE_SHELL_BYTES_BASE64 = "stormwire.shell.bytes.base64", Own [Boolean];
    /// How long a worker's token is good, in place of `storm.worker.token.life.time.hours`; at half
    /// of it a new one is given out. Seconds.
    STORMWIRE_WORKER_TOKEN_LIFE_SECS =
        "stormwire.worker.token.life.secs", Own [Integer, Positive];
    /// What processes that open a component have to show; of a topology or of one component. Text;
    /// null: nothing.
    STORMWIRE_GATEWAY_TOKEN = "stormwire.gateway.token", Own [String];
    /// Ports on which workers wait for such processes: each worker takes the first that is free.
    /// List of integers; null or empty: the system's choice.
    STORMWIRE_GATEWAY_PORTS = "stormwire.gateway.ports", Own [Ports];
    /// PEM file with the certificate of these ports, on the machines of workers: with it they speak
    /// TLS. Without, they do so where links are encrypted, by the certificate of those. Text.
    STORMWIRE_GATEWAY_TLS_CERTIFICATES = "stormwire.gateway.tls.certificates", Own [String];
    /// PEM file with the key of that certificate. Text.
    STORMWIRE_GATEWAY_TLS_KEY = "stormwire.gateway.tls.key", Own [String];
    /// PEM file with the authorities of processes that connect, which then need a certificate.
    /// Text.
    STORMWIRE_GATEWAY_TLS_AUTHORITIES = "stormwire.gateway.tls.authorities", Own [String];
    /// Whether those processes need a certificate where these ports show that of the worker's
    /// links, as `stormwire gateway-certificate` gets one from Nimbus; false: the token alone lets
    /// them in. Boolean.
    STORMWIRE_GATEWAY_TLS_PEERS_CERTIFIED = "stormwire.gateway.tls.peers.certified", Own [Boolean];
    /// Sites beside the UI's own whose pages may change topologies through it, as browsers name
    /// them: `https://host:port`. List of text.
    STORMWIRE_UI_ORIGINS = "stormwire.ui.origins", Own [StringList];
    /// Directories beside the inbox that may hold an `uploadedJarLocation`. List of text.
    STORMWIRE_UPLOAD_PATH_ALLOW = "stormwire.upload.path.allow", Own [StringList];
    /// Most executors of a topology, system ones included, where Nimbus sets no own limit. Integer;
    /// null: a million.
    STORMWIRE_TOPOLOGY_EXECUTORS_MAX = "stormwire.topology.executors.max", Own [Integer, Positive];
    /// Most tasks of a topology, system ones included. Integer; null: a million.
    STORMWIRE_TOPOLOGY_TASKS_MAX = "stormwire.topology.tasks.max", Own [Integer, Positive];
    /// The rack of each host, for the resource-aware scheduler and for the locality levels of
    /// load-aware shuffles; hosts that are not named stand on Storm's default rack. Map of text.
    STORMWIRE_NETWORK_RACKS = "stormwire.network.racks", Own [MapOfString];
    /// What stood behind `--` when a topology's program was run or submitted: its workers build
    /// the same topology of it. List of text.
    STORMWIRE_PROGRAM_ARGS = "stormwire.program.args", Own [StringList];
}
