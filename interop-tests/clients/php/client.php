<?php
/*
 * Submits, lists and kills topologies and calls functions, with Apache's Thrift library for PHP.
 *
 *     thrift --gen php -out gen storm.thrift        # the stock compiler, 0.17 or later
 *     apt-get install php-cli php-thrift            # or: composer require apache/thrift:0.17.0
 *     php -d include_path=gen:/usr/lib/php client.php submit 127.0.0.1 6627 words words.jar \
 *         book.txt /tmp/totals
 *     php ... client.php list 127.0.0.1 6627
 *     php ... client.php kill 127.0.0.1 6627 words
 *     php ... client.php drpc 127.0.0.1 3772 FUNCTION ARGUMENT
 *
 * The jar is any zip file: components in other languages run in its folder resources/.
 *
 * Strings of PHP are bytes, and go as they are: texts must be UTF-8 already. PHP 8 calls parts of the
 * library deprecated: only errors that matter are shown, or warnings would stand among the output.
 */
error_reporting(E_ALL & ~E_DEPRECATED);

// Composer's loader would do this, with its own copy of the library. Debian keeps the library in a
// folder that is not called Thrift.
spl_autoload_register(function ($class) {
    $path = strtr($class, '\\', '/') . '.php';
    $debian = preg_replace('~^Thrift/~', '', $path);
    $found = stream_resolve_include_path($path) ?: stream_resolve_include_path($debian);
    if ($found) {
        require_once $found;
    }
});

use Storm\{Bolt, ComponentCommon, ComponentObject, DistributedRPCClient, GlobalStreamId, Grouping};
use Storm\{JavaObject, JavaObjectArg, KillOptions, NimbusClient, NullStruct, ShellComponent};
use Storm\{SpoutSpec, StormTopology, StreamInfo};
use Thrift\Exception\TException;
use Thrift\Protocol\TBinaryProtocol;
use Thrift\Transport\{TFramedTransport, TSocket};
use Thrift\Type\TType;

const CHUNK_BYTES = 307200; // what Storm's own clients send at once

/**
 * The inputs of a component are a map whose keys are structs. Keys of a PHP array are texts or
 * numbers, so the compiler's code cannot write them; here they are pairs, and written as the map.
 */
class Component extends ComponentCommon
{
    public $pairs = [];

    public function write($output)
    {
        $output->writeStructBegin('ComponentCommon');
        $output->writeFieldBegin('inputs', TType::MAP, 1);
        $output->writeMapBegin(TType::STRUCT, TType::STRUCT, count($this->pairs));
        foreach ($this->pairs as [$stream, $grouping]) {
            $stream->write($output);
            $grouping->write($output);
        }
        $output->writeMapEnd();
        $output->writeFieldEnd();
        $output->writeFieldBegin('streams', TType::MAP, 2);
        $output->writeMapBegin(TType::STRING, TType::STRUCT, count($this->streams));
        foreach ($this->streams as $id => $stream) {
            $output->writeString($id);
            $stream->write($output);
        }
        $output->writeMapEnd();
        $output->writeFieldEnd();
        $output->writeFieldBegin('parallelism_hint', TType::I32, 3);
        $output->writeI32($this->parallelism_hint);
        $output->writeFieldEnd();
        $output->writeFieldStop();
        return $output->writeStructEnd();
    }
}

/** A client of Nimbus or DistributedRPC. Both speak the binary protocol in frames. */
function connect($client, $host, $port)
{
    $socket = new TSocket($host, (int)$port);
    $socket->setSendTimeout(30000);
    $socket->setRecvTimeout(30000); // milliseconds; the default is less than a second
    $transport = new TFramedTransport($socket);
    $transport->open();
    return new $client(new TBinaryProtocol($transport, true, true));
}

/** Sends a file chunk by chunk; returns where Nimbus keeps it. */
function upload($nimbus, $jar)
{
    $location = $nimbus->beginFileUpload();
    $file = fopen($jar, 'rb') or exit(1);
    while (($chunk = fread($file, CHUNK_BYTES)) !== '') {
        $nimbus->uploadChunk($location, $chunk);
    }
    $nimbus->finishFileUpload($location);
    printf("uploaded %d bytes to %s\n", filesize($jar), $location);
    return $location;
}

/** A component that runs in a process of its own: python3 and a script of the jar's resources/. */
function python($script)
{
    $shell = new ShellComponent(['execution_command' => 'python3', 'script' => $script]);
    return new ComponentObject(['shell' => $shell]);
}

/** A component of the server, by its class name, with arguments for its constructor. */
function builtIn($name, ...$texts)
{
    $arguments = array_map(fn($text) => new JavaObjectArg(['string_arg' => $text]), $texts);
    $object = new JavaObject(['full_class_name' => $name, 'args_list' => $arguments]);
    return new ComponentObject(['java_object' => $object]);
}

/** What a component reads, by the id of the component that emits it; the fields of its streams. */
function common($inputs, $streams, $parallelism = 1)
{
    $declare = fn($fields) => new StreamInfo(['output_fields' => $fields, 'direct' => false]);
    $common = new Component([
        'streams' => array_map($declare, $streams),
        'parallelism_hint' => $parallelism,
    ]);
    foreach ($inputs as $id => $grouping) {
        $stream = new GlobalStreamId(['componentId' => $id, 'streamId' => 'default']);
        $common->pairs[] = [$stream, $grouping];
    }
    return $common;
}

/** lines.py -> split.py, two of them -> a counter, which writes files that begin with $totals. */
function wordCount($totals)
{
    $shuffle = new Grouping(['shuffle' => new NullStruct()]);
    $byWord = new Grouping(['fields' => ['word']]);
    // A spout may have further streams; lines.py reports on one of its own when all is done.
    $lines = common([], ['default' => ['number', 'line'], 'done' => ['lines', 'replays']]);
    $split = common(['lines' => $shuffle], ['default' => ['word', 'number', 'position']], 2);
    $count = common(['split' => $byWord], ['default' => ['word', 'count']]);
    $counter = builtIn('stormwire.CountOnce', $totals);
    return new StormTopology([
        'spouts' => [
            'lines' => new SpoutSpec(['spout_object' => python('lines.py'), 'common' => $lines]),
        ],
        'bolts' => [
            'split' => new Bolt(['bolt_object' => python('split.py'), 'common' => $split]),
            'count' => new Bolt(['bolt_object' => $counter, 'common' => $count]),
        ],
        'state_spouts' => [],
    ]);
}

$verbs = [
    'submit' => function ($host, $port, $name, $jar, $text, $totals) {
        $nimbus = connect(NimbusClient::class, $host, $port);
        $location = upload($nimbus, $jar);
        $conf = json_encode(['topology.workers' => 1, 'words.file' => $text]);
        $nimbus->submitTopology($name, $location, $conf, wordCount($totals));
        echo "submitted $name\n";
    },
    'list' => function ($host, $port) {
        $nimbus = connect(NimbusClient::class, $host, $port);
        $cluster = $nimbus->getClusterInfo();
        $version = $cluster->nimbuses[0]->version;
        printf("storm %s, %d supervisors\n", $version, count($cluster->supervisors));
        foreach ($nimbus->getTopologySummaries() as $each) {
            echo "$each->name\t$each->status\t$each->id\n";
        }
    },
    'kill' => function ($host, $port, $name) {
        $options = new KillOptions(['wait_secs' => 1]);
        connect(NimbusClient::class, $host, $port)->killTopologyWithOpts($name, $options);
        echo "killed $name\n";
    },
    'drpc' => function ($host, $port, $function, $argument) {
        $drpc = connect(DistributedRPCClient::class, $host, $port);
        echo $drpc->execute($function, $argument), "\n";
    },
];

$arguments = array_slice($argv, 2);
$wanted = ['submit' => 6, 'list' => 2, 'kill' => 3, 'drpc' => 4];
if (count($arguments) !== ($wanted[$argv[1] ?? ''] ?? null)) {
    fwrite(STDERR, "usage: see the head of {$argv[0]}\n");
    exit(2);
}
try {
    $verbs[$argv[1]](...$arguments);
} catch (TException $error) {
    // Storm's own exceptions, such as NotAliveException, carry their reason in msg.
    if (!isset($error->msg)) {
        throw $error;
    }
    $name = (new ReflectionClass($error))->getShortName();
    fwrite(STDERR, "$name: $error->msg\n");
    exit(3);
}
