# Submits, lists and kills topologies and calls functions, with Apache's Thrift library for Ruby.
#
#     thrift --gen rb -out gen storm.thrift         # the stock compiler, 0.17 or later
#     apt-get install ruby-thrift                   # or: gem install thrift
#     ruby -Igen client.rb submit 127.0.0.1 6627 words words.jar book.txt /tmp/totals
#     ruby -Igen client.rb list 127.0.0.1 6627
#     ruby -Igen client.rb kill 127.0.0.1 6627 words
#     ruby -Igen client.rb drpc 127.0.0.1 3772 FUNCTION ARGUMENT
#
# The jar is any zip file: components in other languages run in its folder resources/.
#
# The library writes every text as UTF-8, and so converts those whose encoding is another. Where the
# locale is C, arguments of the command line count as US-ASCII: run with LANG=C.UTF-8 or `ruby -Ku
# -EUTF-8`. Bytes of a file are to be read with "rb", or uploads of them fail.
require "json"
require "thrift"

# The union Grouping has a field of the name `fields`, whose constant the compiler's code defines twice.
# It works as it stands; only the warning about it goes.
verbose, $VERBOSE = $VERBOSE, nil
require "distributed_r_p_c"
require "nimbus"
$VERBOSE = verbose

CHUNK_BYTES = 307_200 # what Storm's own clients send at once; the server takes up to its frame size

# A client of Nimbus or DistributedRPC. Both speak the binary protocol in frames.
def connect(service, host, port)
  socket = Thrift::Socket.new(host, port.to_i, 30) # seconds; without them a call waits for ever
  transport = Thrift::FramedTransport.new(socket)
  transport.open
  service::Client.new(Thrift::BinaryProtocol.new(transport))
end

# Sends a file chunk by chunk; returns where Nimbus keeps it.
def upload(nimbus, jar)
  location = nimbus.beginFileUpload
  File.open(jar, "rb") do |file|
    while (chunk = file.read(CHUNK_BYTES))
      nimbus.uploadChunk(location, chunk)
    end
  end
  nimbus.finishFileUpload(location)
  puts "uploaded #{File.size(jar)} bytes to #{location}"
  location
end

# A component that runs in a process of its own: python3 and a script of the jar's resources/.
def python(script)
  shell = Storm::ShellComponent.new(execution_command: "python3", script: script)
  Storm::ComponentObject.new(shell: shell)
end

# A component of the server, by its class name, with arguments for its constructor.
def built_in(name, *texts)
  arguments = texts.map { |text| Storm::JavaObjectArg.new(string_arg: text) }
  object = Storm::JavaObject.new(full_class_name: name, args_list: arguments)
  Storm::ComponentObject.new(java_object: object)
end

def stream(*fields)
  Storm::StreamInfo.new(output_fields: fields, direct: false)
end

# What a component reads, by the id of the component that emits it; and the streams that it emits.
def common(inputs, streams, parallelism = 1)
  inputs = inputs.to_h do |id, grouping|
    [Storm::GlobalStreamId.new(componentId: id, streamId: "default"), grouping]
  end
  Storm::ComponentCommon.new(inputs: inputs, streams: streams, parallelism_hint: parallelism)
end

# lines.py -> split.py, two of them -> a counter, which writes files that begin with `totals`.
def word_count(totals)
  shuffle = Storm::Grouping.new(shuffle: Storm::NullStruct.new)
  by_word = Storm::Grouping.new(fields: ["word"])
  # A spout may have further streams; lines.py reports on one of its own when all is done.
  lines = common({}, { "default" => stream("number", "line"), "done" => stream("lines", "replays") })
  split = common({ "lines" => shuffle }, { "default" => stream("word", "number", "position") }, 2)
  count = common({ "split" => by_word }, { "default" => stream("word", "count") })
  counter = built_in("stormwire.CountOnce", totals)
  Storm::StormTopology.new(
    spouts: { "lines" => Storm::SpoutSpec.new(spout_object: python("lines.py"), common: lines) },
    bolts: {
      "split" => Storm::Bolt.new(bolt_object: python("split.py"), common: split),
      "count" => Storm::Bolt.new(bolt_object: counter, common: count)
    },
    state_spouts: {}
  )
end

def submit(host, port, name, jar, text, totals)
  nimbus = connect(Storm::Nimbus, host, port)
  location = upload(nimbus, jar)
  conf = JSON.generate("topology.workers" => 1, "words.file" => text)
  nimbus.submitTopology(name, location, conf, word_count(totals))
  puts "submitted #{name}"
end

def list(host, port)
  nimbus = connect(Storm::Nimbus, host, port)
  cluster = nimbus.getClusterInfo
  puts "storm #{cluster.nimbuses.first.version}, #{cluster.supervisors.size} supervisors"
  nimbus.getTopologySummaries.each { |each| puts [each.name, each.status, each.id].join("\t") }
end

def kill(host, port, name)
  options = Storm::KillOptions.new(wait_secs: 1)
  connect(Storm::Nimbus, host, port).killTopologyWithOpts(name, options)
  puts "killed #{name}"
end

def drpc(host, port, function, argument)
  puts connect(Storm::DistributedRPC, host, port).execute(function, argument)
end

verb, *arguments = ARGV
wanted = { "submit" => 6, "list" => 2, "kill" => 3, "drpc" => 4 }
abort "usage: see the head of #{__FILE__}" unless wanted[verb] == arguments.size

begin
  send(verb, *arguments)
rescue Thrift::Exception => error
  # Storm's own exceptions, such as NotAliveException, carry their reason in msg.
  raise unless error.respond_to?(:msg)

  warn "#{error.class.name.split("::").last}: #{error.msg}"
  exit 3
end
