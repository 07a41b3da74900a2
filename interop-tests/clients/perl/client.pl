# Submits, lists and kills topologies and calls functions, with Apache's Thrift library for Perl.
#
#     thrift --gen perl -out gen storm.thrift       # the stock compiler, 0.17 or later
#     apt-get install libthrift-perl libbit-vector-perl libclass-accessor-perl
#     perl -Igen client.pl submit 127.0.0.1 6627 words words.jar book.txt /tmp/totals
#     perl -Igen client.pl list 127.0.0.1 6627
#     perl -Igen client.pl kill 127.0.0.1 6627 words
#     perl -Igen client.pl drpc 127.0.0.1 3772 FUNCTION ARGUMENT
#
# The jar is any zip file: components in other languages run in its folder resources/.
#
# Debian's package of the library does not bring the other two, which it needs (cpan: Thrift,
# Bit::Vector, Class::Accessor). It sends a string of characters as UTF-8 and one of bytes as it is, but
# returns bytes, always: decode them (decode_utf8) before you cut or compare texts. This program only
# passes texts on, so they stay the bytes of the command line.
use strict;
use warnings;

use JSON::PP qw(encode_json);
use Encode qw(decode_utf8);
use Thrift::BinaryProtocol;
use Thrift::FramedTransport;
use Thrift::Socket;
use Storm::DistributedRPC;
use Storm::Nimbus;

use constant CHUNK_BYTES => 307_200;    # what Storm's own clients send at once

# The inputs of a component are a map whose keys are structs. A hash of Perl has strings as keys, so
# the compiler's code cannot write them; here they are a list of pairs, and written as the map.
package Component {
    use parent -norequire, 'Storm::ComponentCommon';

    sub write {
        my ($self, $output) = @_;
        my @pairs = @{ $self->{pairs} };
        $output->writeStructBegin('ComponentCommon');
        $output->writeFieldBegin('inputs', Thrift::TType::MAP, 1);
        $output->writeMapBegin(Thrift::TType::STRUCT, Thrift::TType::STRUCT, scalar @pairs);
        for my $pair (@pairs) {
            $_->write($output) for @$pair;    # the stream, and how it is grouped
        }
        $output->writeMapEnd();
        $output->writeFieldEnd();
        $output->writeFieldBegin('streams', Thrift::TType::MAP, 2);
        my %streams = %{ $self->{streams} };
        $output->writeMapBegin(Thrift::TType::STRING, Thrift::TType::STRUCT, scalar keys %streams);
        for my $id (keys %streams) {
            $output->writeString($id);
            $streams{$id}->write($output);
        }
        $output->writeMapEnd();
        $output->writeFieldEnd();
        $output->writeFieldBegin('parallelism_hint', Thrift::TType::I32, 3);
        $output->writeI32($self->{parallelism_hint});
        $output->writeFieldEnd();
        $output->writeFieldStop();
        $output->writeStructEnd();
    }
}

# A client of Nimbus or DistributedRPC. Both speak the binary protocol in frames.
sub connect_to {
    my ($service, $host, $port) = @_;
    my $socket = Thrift::Socket->new($host, $port);
    $socket->setSendTimeout(30_000);
    $socket->setRecvTimeout(30_000);    # milliseconds; the default is ten seconds
    my $transport = Thrift::FramedTransport->new($socket);
    $transport->open();
    return "Storm::${service}Client"->new(Thrift::BinaryProtocol->new($transport));
}

# Sends a file chunk by chunk; returns where Nimbus keeps it.
sub upload {
    my ($nimbus, $jar) = @_;
    my $location = $nimbus->beginFileUpload();
    open my $file, '<:raw', $jar or die "$jar: $!\n";
    while (read $file, my $chunk, CHUNK_BYTES) {
        $nimbus->uploadChunk($location, $chunk);
    }
    $nimbus->finishFileUpload($location);
    printf "uploaded %d bytes to %s\n", -s $jar, $location;
    return $location;
}

# A component that runs in a process of its own: python3 and a script of the jar's resources/.
sub python {
    my ($script) = @_;
    my $shell = Storm::ShellComponent->new({ execution_command => 'python3', script => $script });
    return Storm::ComponentObject->new({ shell => $shell });
}

# A component of the server, by its class name, with arguments for its constructor.
sub built_in {
    my ($name, @texts) = @_;
    my @arguments = map { Storm::JavaObjectArg->new({ string_arg => $_ }) } @texts;
    my $object = Storm::JavaObject->new({ full_class_name => $name, args_list => \@arguments });
    return Storm::ComponentObject->new({ java_object => $object });
}

# What a component reads: pairs of the id of the component that emits it, and a grouping; and the
# fields of the streams that it emits.
sub common {
    my ($inputs, $streams, $parallelism) = @_;
    my @pairs = map {
        [ Storm::GlobalStreamId->new({ componentId => $_->[0], streamId => 'default' }), $_->[1] ]
    } @$inputs;
    my %declared = map {
        $_ => Storm::StreamInfo->new({ output_fields => $streams->{$_}, direct => 0 })
    } keys %$streams;
    my $common = Component->new({ streams => \%declared, parallelism_hint => $parallelism });
    $common->{pairs} = \@pairs;
    return $common;
}

# lines.py -> split.py, two of them -> a counter, which writes files that begin with $totals.
sub word_count {
    my ($totals) = @_;
    my $shuffle = Storm::Grouping->new({ shuffle => Storm::NullStruct->new() });
    my $by_word = Storm::Grouping->new({ fields => ['word'] });
    # A spout may have further streams; lines.py reports on one of its own when all is done.
    my $lines = common([], { default => [qw(number line)], done => [qw(lines replays)] }, 1);
    my $split = common([ [ lines => $shuffle ] ], { default => [qw(word number position)] }, 2);
    my $count = common([ [ split => $by_word ] ], { default => [qw(word count)] }, 1);
    my $counter = built_in('stormwire.CountOnce', $totals);
    return Storm::StormTopology->new({
        spouts => {
            lines => Storm::SpoutSpec->new({ spout_object => python('lines.py'), common => $lines }),
        },
        bolts => {
            split => Storm::Bolt->new({ bolt_object => python('split.py'), common => $split }),
            count => Storm::Bolt->new({ bolt_object => $counter, common => $count }),
        },
        state_spouts => {},
    });
}

my %verbs = (
    submit => sub {
        my ($host, $port, $name, $jar, $text, $totals) = @_;
        my $nimbus = connect_to('Nimbus', $host, $port);
        my $location = upload($nimbus, $jar);
        my $conf = encode_json({ 'topology.workers' => 1, 'words.file' => decode_utf8($text) });
        $nimbus->submitTopology($name, $location, $conf, word_count($totals));
        print "submitted $name\n";
    },
    list => sub {
        my $nimbus = connect_to('Nimbus', @_);
        my $cluster = $nimbus->getClusterInfo();
        my $version = $cluster->{nimbuses}[0]{version};
        printf "storm %s, %d supervisors\n", $version, scalar @{ $cluster->{supervisors} };
        print join("\t", @$_{qw(name status id)}), "\n" for @{ $nimbus->getTopologySummaries() };
    },
    kill => sub {
        my ($host, $port, $name) = @_;
        my $options = Storm::KillOptions->new({ wait_secs => 1 });
        connect_to('Nimbus', $host, $port)->killTopologyWithOpts($name, $options);
        print "killed $name\n";
    },
    drpc => sub {
        my ($host, $port, $function, $argument) = @_;
        print connect_to('DistributedRPC', $host, $port)->execute($function, $argument), "\n";
    },
);

my ($verb, @arguments) = @ARGV;
my %wanted = (submit => 6, list => 2, kill => 3, drpc => 4);
die "usage: see the head of $0\n" unless @arguments == ($wanted{ $verb // '' } // -1);

unless (eval { $verbs{$verb}->(@arguments); 1 }) {
    my $error = $@;
    # Storm's own exceptions, such as NotAliveException, carry their reason in msg; those of the
    # library are objects too, whose message is in {message}.
    die ref $error ? "$error->{message}\n" : $error unless ref $error && defined $error->{msg};
    my ($name) = ref($error) =~ /(\w+)$/;
    print STDERR "$name: $error->{msg}\n";
    exit 3;
}
