// Submits, lists and kills topologies and calls functions, with Apache's Thrift library for Go.
//
//	sed '/map<list<i64>/d' storm.thrift >go.thrift     # see below
//	thrift --gen go -out . go.thrift
//	go mod init client && go get github.com/apache/thrift@v0.17.0 && go build
//	./client submit 127.0.0.1 6627 words words.jar book.txt /tmp/totals
//	./client list 127.0.0.1 6627
//	./client kill 127.0.0.1 6627 words
//	./client drpc 127.0.0.1 3772 FUNCTION ARGUMENT
//
// The jar is any zip file: components in other languages run in its folder resources/.
//
// The stock compiler, 0.17 or later, refuses lists as keys of maps for Go: the first line takes out the
// two fields that have them. They matter between Nimbus and its supervisors only, and a client skips
// fields that it does not know. The module is to have the compiler's version.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"client/storm"

	"github.com/apache/thrift/lib/go/thrift"
)

const chunkBytes = 307_200 // what Storm's own clients send at once

var conf = &thrift.TConfiguration{
	ConnectTimeout: 30 * time.Second,
	SocketTimeout:  30 * time.Second, // without it a call waits for ever
}

// connect opens a connection to a service. All speak the binary protocol in frames.
func connect(host, port string) (*thrift.TStandardClient, error) {
	socket := thrift.NewTSocketConf(net.JoinHostPort(host, port), conf)
	transport := thrift.NewTFramedTransportConf(socket, conf)
	protocol := thrift.NewTBinaryProtocolConf(transport, conf)
	return thrift.NewTStandardClient(protocol, protocol), transport.Open()
}

func connectNimbus(host, port string) (*storm.NimbusClient, error) {
	client, err := connect(host, port)
	return storm.NewNimbusClient(client), err
}

// upload sends a file chunk by chunk; returns where Nimbus keeps it.
func upload(ctx context.Context, nimbus storm.Nimbus, jar string) (string, error) {
	file, err := os.Open(jar)
	if err != nil {
		return "", err
	}
	defer file.Close()
	location, err := nimbus.BeginFileUpload(ctx)
	if err != nil {
		return "", err
	}
	sent := 0
	for chunk := make([]byte, chunkBytes); ; {
		n, err := io.ReadFull(file, chunk)
		if err == io.EOF {
			break
		} else if err != nil && err != io.ErrUnexpectedEOF {
			return "", err
		}
		if err := nimbus.UploadChunk(ctx, location, chunk[:n]); err != nil {
			return "", err
		}
		sent += n
	}
	fmt.Printf("uploaded %d bytes to %s\n", sent, location)
	return location, nimbus.FinishFileUpload(ctx, location)
}

// python is a component that runs in a process of its own: python3 and a script of the jar's resources/.
func python(script string) *storm.ComponentObject {
	shell := &storm.ShellComponent{ExecutionCommand: "python3", Script: script}
	return &storm.ComponentObject{Shell: shell}
}

// builtIn is a component of the server, by its class name, with arguments for its constructor.
func builtIn(name string, texts ...string) *storm.ComponentObject {
	object := &storm.JavaObject{FullClassName: name}
	for i := range texts {
		object.ArgsList = append(object.ArgsList, &storm.JavaObjectArg{StringArg: &texts[i]})
	}
	return &storm.ComponentObject{JavaObject: object}
}

// groupings has what a component reads by the id of the component that emits it; streams has the fields
// that a component emits, by stream.
type groupings map[string]*storm.Grouping
type streams map[string][]string

func common(inputs groupings, declared streams, parallelism int32) *storm.ComponentCommon {
	common := &storm.ComponentCommon{
		Inputs:          map[*storm.GlobalStreamId]*storm.Grouping{},
		Streams:         map[string]*storm.StreamInfo{},
		ParallelismHint: &parallelism,
	}
	for id, grouping := range inputs {
		common.Inputs[&storm.GlobalStreamId{ComponentId: id, StreamId: "default"}] = grouping
	}
	for id, fields := range declared {
		common.Streams[id] = &storm.StreamInfo{OutputFields: fields}
	}
	return common
}

// wordCount is lines.py -> split.py, two of them -> a counter, which writes files that begin with totals.
func wordCount(totals string) *storm.StormTopology {
	shuffle := &storm.Grouping{Shuffle: storm.NewNullStruct()}
	byWord := &storm.Grouping{Fields: []string{"word"}}
	// A spout may have further streams; lines.py reports on one of its own when all is done.
	lines := streams{"default": {"number", "line"}, "done": {"lines", "replays"}}
	split := streams{"default": {"word", "number", "position"}}
	count := streams{"default": {"word", "count"}}
	return &storm.StormTopology{
		Spouts: map[string]*storm.SpoutSpec{
			"lines": {SpoutObject: python("lines.py"), Common: common(nil, lines, 1)},
		},
		Bolts: map[string]*storm.Bolt{
			"split": {
				BoltObject: python("split.py"),
				Common:     common(groupings{"lines": shuffle}, split, 2),
			},
			"count": {
				BoltObject: builtIn("stormwire.CountOnce", totals),
				Common:     common(groupings{"split": byWord}, count, 1),
			},
		},
		StateSpouts: map[string]*storm.StateSpoutSpec{},
	}
}

func submit(ctx context.Context, args []string) error {
	host, port, name, jar, text, totals := args[0], args[1], args[2], args[3], args[4], args[5]
	nimbus, err := connectNimbus(host, port)
	if err != nil {
		return err
	}
	location, err := upload(ctx, nimbus, jar)
	if err != nil {
		return err
	}
	conf, err := json.Marshal(map[string]any{"topology.workers": 1, "words.file": text})
	if err != nil {
		return err
	}
	if err := nimbus.SubmitTopology(ctx, name, location, string(conf), wordCount(totals)); err != nil {
		return err
	}
	fmt.Println("submitted", name)
	return nil
}

func list(ctx context.Context, args []string) error {
	nimbus, err := connectNimbus(args[0], args[1])
	if err != nil {
		return err
	}
	cluster, err := nimbus.GetClusterInfo(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("storm %s, %d supervisors\n", cluster.Nimbuses[0].Version, len(cluster.Supervisors))
	topologies, err := nimbus.GetTopologySummaries(ctx)
	for _, each := range topologies {
		fmt.Printf("%s\t%s\t%s\n", each.Name, each.Status, each.ID)
	}
	return err
}

func kill(ctx context.Context, args []string) error {
	nimbus, err := connectNimbus(args[0], args[1])
	if err != nil {
		return err
	}
	wait := int32(1)
	options := &storm.KillOptions{WaitSecs: &wait}
	if err := nimbus.KillTopologyWithOpts(ctx, args[2], options); err != nil {
		return err
	}
	fmt.Println("killed", args[2])
	return nil
}

func drpc(ctx context.Context, args []string) error {
	client, err := connect(args[0], args[1])
	if err != nil {
		return err
	}
	result, err := storm.NewDistributedRPCClient(client).Execute(ctx, args[2], args[3])
	if err == nil {
		fmt.Println(result)
	}
	return err
}

// refusal tells Storm's own exceptions by type; what it does not know is not one.
func refusal(err error) (name, reason string) {
	var alreadyAlive *storm.AlreadyAliveException
	var notAlive *storm.NotAliveException
	var invalid *storm.InvalidTopologyException
	var denied *storm.AuthorizationException
	var failed *storm.DRPCExecutionException
	switch {
	case errors.As(err, &alreadyAlive):
		return "AlreadyAliveException", alreadyAlive.Msg
	case errors.As(err, &notAlive):
		return "NotAliveException", notAlive.Msg
	case errors.As(err, &invalid):
		return "InvalidTopologyException", invalid.Msg
	case errors.As(err, &denied):
		return "AuthorizationException", denied.Msg
	case errors.As(err, &failed):
		return "DRPCExecutionException", failed.Msg
	}
	return "", ""
}

func main() {
	verbs := map[string]struct {
		count int
		run   func(context.Context, []string) error
	}{"submit": {6, submit}, "list": {2, list}, "kill": {3, kill}, "drpc": {4, drpc}}
	if len(os.Args) < 2 || verbs[os.Args[1]].count != len(os.Args)-2 {
		fmt.Fprintln(os.Stderr, "usage: see the head of main.go")
		os.Exit(2)
	}
	if err := verbs[os.Args[1]].run(context.Background(), os.Args[2:]); err != nil {
		if name, reason := refusal(err); name != "" {
			fmt.Fprintf(os.Stderr, "%s: %s\n", name, reason)
			os.Exit(3)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
