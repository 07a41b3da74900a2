// Submits, lists and kills topologies and calls functions, with Apache's Thrift library for C++.
//
//     thrift --gen cpp:no_skeleton -out gen storm.thrift      # the stock compiler, 0.17 or later
//     apt-get install g++ libthrift-dev libboost-dev          # the library of the compiler's version
//     g++ -std=c++17 -Igen client.cpp gen/storm_types.cpp gen/Nimbus.cpp gen/DistributedRPC.cpp \
//         -lthrift -o client
//     ./client submit 127.0.0.1 6627 words words.jar book.txt /tmp/totals
//     ./client list 127.0.0.1 6627
//     ./client kill 127.0.0.1 6627 words
//     ./client drpc 127.0.0.1 3772 FUNCTION ARGUMENT
//
// The jar is any zip file: components in other languages run in its folder resources/.
//
// The generated files are a megabyte of C++: compile them once, apart from your own. A field that is
// not required is only sent when it was set by its setter (__set_...), not when it was assigned.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include "DistributedRPC.h"
#include "Nimbus.h"

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TSocket;
using std::string;
using std::vector;

// Structs that are keys of maps need an order, which the compiler declares and leaves to us.
namespace storm {
bool GlobalStreamId::operator<(const GlobalStreamId& other) const {
    return std::tie(componentId, streamId) < std::tie(other.componentId, other.streamId);
}
bool NodeInfo::operator<(const NodeInfo& other) const {
    return std::tie(node, port) < std::tie(other.node, other.port);
}
bool ExecutorInfo::operator<(const ExecutorInfo& other) const {
    return std::tie(task_start, task_end) < std::tie(other.task_start, other.task_end);
}
}  // namespace storm

namespace {

constexpr size_t CHUNK_BYTES = 307'200;  // what Storm's own clients send at once
constexpr int CALL_MS = 30'000;          // without it a call waits for ever
using Groupings = std::map<string, storm::Grouping>;
using Streams = std::map<string, vector<string>>;

// A client of Nimbus or DistributedRPC. Both speak the binary protocol in frames.
template <typename Client>
Client connect(const string& host, const string& port) {
    auto socket = std::make_shared<TSocket>(host, std::stoi(port));
    socket->setConnTimeout(CALL_MS);
    socket->setSendTimeout(CALL_MS);
    socket->setRecvTimeout(CALL_MS);
    auto transport = std::make_shared<TFramedTransport>(socket);
    transport->open();
    return Client(std::make_shared<TBinaryProtocol>(transport));
}

// Sends a file chunk by chunk; returns where Nimbus keeps it.
string upload(storm::NimbusClient& nimbus, const string& jar) {
    std::ifstream file(jar, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + jar);
    string location, chunk(CHUNK_BYTES, '\0');
    size_t bytes = 0;
    nimbus.beginFileUpload(location);
    while (file.read(&chunk[0], CHUNK_BYTES), file.gcount() > 0) {
        nimbus.uploadChunk(location, chunk.substr(0, file.gcount()));
        bytes += file.gcount();
    }
    nimbus.finishFileUpload(location);
    std::cout << "uploaded " << bytes << " bytes to " << location << "\n";
    return location;
}

// A component that runs in a process of its own: python3 and a script of the jar's resources/.
storm::ComponentObject python(const string& script) {
    storm::ShellComponent shell;
    shell.__set_execution_command("python3");
    shell.__set_script(script);
    storm::ComponentObject object;
    object.__set_shell(shell);
    return object;
}

// A component of the server, by its class name, with an argument for its constructor.
storm::ComponentObject built_in(const string& name, const string& text) {
    storm::JavaObjectArg argument;
    argument.__set_string_arg(text);
    storm::JavaObject java;
    java.__set_full_class_name(name);
    java.__set_args_list({argument});
    storm::ComponentObject object;
    object.__set_java_object(java);
    return object;
}

// What a component reads, by the id of the component that emits it; and the fields of its streams.
storm::ComponentCommon common(const Groupings& inputs, const Streams& streams, int parallelism = 1) {
    storm::ComponentCommon common;
    for (const auto& [id, grouping] : inputs) {
        storm::GlobalStreamId source;
        source.__set_componentId(id);
        source.__set_streamId("default");
        common.inputs[source] = grouping;
    }
    for (const auto& [id, fields] : streams) {
        common.streams[id].__set_output_fields(fields);
        common.streams[id].__set_direct(false);
    }
    common.__set_parallelism_hint(parallelism);
    return common;
}

// lines.py -> split.py, two of them -> a counter, which writes files that begin with `totals`.
storm::StormTopology word_count(const string& totals) {
    storm::Grouping shuffle, by_word;
    shuffle.__set_shuffle(storm::NullStruct());
    by_word.__set_fields({"word"});
    storm::StormTopology topology;
    auto& lines = topology.spouts["lines"];
    lines.__set_spout_object(python("lines.py"));
    // A spout may have further streams; lines.py reports on one of its own when all is done.
    lines.__set_common(common({}, {{"default", {"number", "line"}}, {"done", {"lines", "replays"}}}));
    auto& split = topology.bolts["split"];
    split.__set_bolt_object(python("split.py"));
    split.__set_common(
        common({{"lines", shuffle}}, {{"default", {"word", "number", "position"}}}, 2));
    auto& count = topology.bolts["count"];
    count.__set_bolt_object(built_in("stormwire.CountOnce", totals));
    count.__set_common(common({{"split", by_word}}, {{"default", {"word", "count"}}}));
    return topology;
}

// A text of JSON; paths rarely need more than this.
string quoted(const string& text) {
    string quoted = "\"";
    for (char each : text) {
        if (each == '"' || each == '\\') quoted += '\\';
        quoted += each;
    }
    return quoted + '"';
}

using Arguments = vector<string>;

void submit(const Arguments& of) {
    auto nimbus = connect<storm::NimbusClient>(of[0], of[1]);
    const string location = upload(nimbus, of[3]);
    const string conf = R"({"topology.workers": 1, "words.file": )" + quoted(of[4]) + "}";
    nimbus.submitTopology(of[2], location, conf, word_count(of[5]));
    std::cout << "submitted " << of[2] << "\n";
}

void list(const Arguments& of) {
    auto nimbus = connect<storm::NimbusClient>(of[0], of[1]);
    storm::ClusterSummary cluster;
    nimbus.getClusterInfo(cluster);
    std::cout << "storm " << cluster.nimbuses.at(0).version << ", " << cluster.supervisors.size()
              << " supervisors\n";
    vector<storm::TopologySummary> topologies;
    nimbus.getTopologySummaries(topologies);
    for (const auto& each : topologies) {
        std::cout << each.name << "\t" << each.status << "\t" << each.id << "\n";
    }
}

void kill(const Arguments& of) {
    storm::KillOptions options;
    options.__set_wait_secs(1);
    connect<storm::NimbusClient>(of[0], of[1]).killTopologyWithOpts(of[2], options);
    std::cout << "killed " << of[2] << "\n";
}

void drpc(const Arguments& of) {
    string result;
    connect<storm::DistributedRPCClient>(of[0], of[1]).execute(result, of[2], of[3]);
    std::cout << result << "\n";
}

// What Storm refuses, with the exception's name; anything else is not caught here.
int refused(const char* name, const string& reason) {
    std::cerr << name << ": " << reason << "\n";
    return 3;
}

}  // namespace

int main(int count, char** values) {
    struct Verb {
        size_t n_arguments;
        void (*run)(const Arguments&);
    };
    const std::map<string, Verb> verbs = {
        {"submit", {6, submit}}, {"list", {2, list}}, {"kill", {3, kill}}, {"drpc", {4, drpc}}};
    const auto verb = verbs.find(count > 1 ? values[1] : "");
    const Arguments arguments(values + std::min(count, 2), values + count);
    if (verb == verbs.end() || verb->second.n_arguments != arguments.size()) {
        std::cerr << "usage: see the head of client.cpp\n";
        return 2;
    }
    try {
        verb->second.run(arguments);
    } catch (const storm::AlreadyAliveException& error) {
        return refused("AlreadyAliveException", error.msg);
    } catch (const storm::NotAliveException& error) {
        return refused("NotAliveException", error.msg);
    } catch (const storm::InvalidTopologyException& error) {
        return refused("InvalidTopologyException", error.msg);
    } catch (const storm::AuthorizationException& error) {
        return refused("AuthorizationException", error.msg);
    } catch (const storm::DRPCExecutionException& error) {
        return refused("DRPCExecutionException", error.msg);
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
    return 0;
}
