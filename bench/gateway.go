package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/bench/table"
	"github.com/hanse-go/hanse/bench/wire"
	"github.com/hanse-go/hanse/bench/wire/echopb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// echoPeers are the servers of what Connect is not; the server hanse is among connectPeers.
var echoPeers = map[string]func(net.Listener) error{
	"bare JSON-RPC":   serveBareJSONRPC,
	"coder/websocket": serveCoder,
}

// serveBareJSONRPC does no more for a call of JSON-RPC, or a batch, than decode and encode.
func serveBareJSONRPC(lis net.Listener) error {
	type call struct {
		Version string          `json:"jsonrpc"`
		Method  string          `json:"method,omitempty"`
		Params  json.RawMessage `json:"params,omitempty"`
		Result  json.RawMessage `json:"result,omitempty"`
		ID      json.RawMessage `json:"id"`
	}
	answer := func(c *call) (err error) {
		var in echopb.Message
		if err = protojson.Unmarshal(c.Params, &in); err == nil {
			c.Method, c.Params = "", nil
			c.Result, err = protojson.Marshal(&echopb.Message{Body: in.Body})
		}
		return err
	}
	return serveHTTP(lis, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		var one call
		var batch []*call
		var all any = &one
		if bytes.HasPrefix(data, []byte("[")) {
			all = &batch
		}
		if err == nil {
			err = json.Unmarshal(data, all)
		}
		if all == &one {
			batch = []*call{&one}
		}
		for _, c := range batch {
			err = errors.Join(err, answer(c))
		}
		var out []byte
		if err == nil {
			out, err = json.Marshal(all)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(out)
	}))
}

// serveCoder sends back what comes by WebSocket, decoded and encoded, with github.com/coder/websocket.
func serveCoder(lis net.Listener) error {
	return serveHTTP(lis, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"hanse.v1.json", "hanse.v1.proto"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, data, err := c.Read(r.Context())
			var in echopb.Message
			out := &echopb.Message{}
			switch {
			case err != nil:
				return
			case kind == websocket.MessageText:
				if err = protojson.Unmarshal(data, &in); err == nil {
					out.Body = in.Body
					data, err = protojson.Marshal(out)
				}
			default:
				if err = proto.Unmarshal(data, &in); err == nil {
					out.Body = in.Body
					data, err = proto.Marshal(out)
				}
			}
			if err == nil {
				err = c.Write(r.Context(), kind, data)
			}
			if err != nil {
				return
			}
		}
	}))
}

// echoLoad is one kind of call, made again and again by each of some clients.
type echoLoad struct {
	title string
	each  float64  // calls in one request
	peers []string // names of servers; what the first one does is compared with the second
	// client returns what makes a call, of a client of its own, and what ends it.
	client func(ctx context.Context, addr string) (call func() error, end func(), err error)
}

func echoLoads() ([]echoLoad, error) {
	msg := &echopb.Message{Body: make([]byte, 1<<10)}
	binary, err := proto.Marshal(msg)
	if err != nil {
		return nil, err
	}
	text, err := protojson.Marshal(msg)
	if err != nil {
		return nil, err
	}
	one := fmt.Sprintf(`{"jsonrpc":"2.0","method":"hanse.bench.v1.Echo/Unary","params":%s,"id":1}`, text)
	const batch = 10
	rpc, ws := []string{"hanse", "bare JSON-RPC"}, []string{"hanse", "coder/websocket"}
	return []echoLoad{
		{"JSON-RPC", 1, rpc, jsonRPCClient([]byte(one), 1)},
		{fmt.Sprintf("JSON-RPC, batches of %d", batch), batch, rpc, jsonRPCClient([]byte("["+strings.Repeat(one+",", batch-1)+one+"]"), batch)},
		{"WebSocket, JSON", 1, ws, webSocketClient("hanse.v1.json", websocket.MessageText, text)},
		{"WebSocket, proto", 1, ws, webSocketClient("hanse.v1.proto", websocket.MessageBinary, binary)},
	}, nil
}

// jsonRPCClient sends the same request on a connection that stays.
func jsonRPCClient(body []byte, calls int) func(context.Context, string) (func() error, func(), error) {
	return func(ctx context.Context, addr string) (func() error, func(), error) {
		client := connectCall{}.client()
		call := func() error {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/rpc", bytes.NewReader(body))
			if err != nil {
				return err
			}
			req.Header["Content-Type"] = []string{"application/json"}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			data, err := io.ReadAll(resp.Body)
			if err == nil && bytes.Count(data, []byte(`"result"`)) != calls {
				err = fmt.Errorf("%s: %.200s", resp.Status, data)
			}
			return err
		}
		return call, client.CloseIdleConnections, nil
	}
}

// webSocketClient sends the same message on a stream, and waits for its answer.
func webSocketClient(protocol string, kind websocket.MessageType, message []byte) func(context.Context, string) (func() error, func(), error) {
	return func(ctx context.Context, addr string) (func() error, func(), error) {
		c, _, err := websocket.Dial(ctx, "ws://"+addr+"/hanse.bench.v1.Echo/Chat", &websocket.DialOptions{Subprotocols: []string{protocol}})
		if err != nil {
			return nil, nil, err
		}
		call := func() error {
			if err := c.Write(ctx, kind, message); err != nil {
				return err
			}
			got, data, err := c.Read(ctx)
			if blanks := bytes.Count(data, []byte{' '}); err == nil && (got != kind || len(data) != len(message) && blanks == 0) {
				err = fmt.Errorf("the answer is %.200q", data)
			}
			return err
		}
		return call, func() { c.CloseNow() }, nil
	}
}

// run makes calls by 64 clients for d, and returns how many there were in a second, and what each cost the server.
func (l echoLoad) run(ctx context.Context, p *connectProcess, d time.Duration) (speed, cpu, mallocs float64, err error) {
	var calls []func() error
	for range 64 {
		call, end, err := l.client(ctx, p.addr)
		if err == nil {
			defer end()
			err = call()
		}
		if err != nil {
			return 0, 0, 0, fmt.Errorf("%s, %s: %w", p.name, l.title, err)
		}
		calls = append(calls, call)
	}
	if speed, cpu, mallocs, err = p.drive(calls, d); err != nil {
		return 0, 0, 0, fmt.Errorf("%s, %s: %w", p.name, l.title, err)
	}
	return speed * l.each, cpu / l.each, mallocs / l.each, nil
}

// gatewayBench measures what a mounted gateway costs those who call by gRPC, and the protocols that no other subject has.
func gatewayBench(ctx context.Context, env *environment) (*section, error) {
	sec, err := mountedCost(ctx, env)
	if err != nil {
		return nil, err
	}
	header, rows, rounds, turn, err := echoes(ctx, env)
	if err != nil {
		return nil, err
	}
	sec.more = fmt.Sprintf("\nEcho of 1 KiB by 64 clients with a connection each, from one process; each server is a process of its own with one core; %d rounds of %v, interleaved. "+
		"*Calls per CPU second* are of the server, user and system time; by WebSocket a call is a message on a stream and its answer. *hanse* is package gateway on a port, with all that a "+
		"call from outside meets there; the others are written by hand and do no more than decode and encode: *bare JSON-RPC* on net/http, and *coder/websocket* with "+
		"[that library](https://github.com/coder/websocket).\n\n%s", rounds, turn, table.Markdown(header, rows))
	return sec, nil
}

// mountedCost lets callers by gRPC call a port with a gateway, one without, and another one without.
func mountedCost(ctx context.Context, env *environment) (*section, error) {
	b := &wire.Bench{Cells: regexp.MustCompile("^unary/tcp/1KiB/c64$"), Peers: []string{wire.Subject, wire.Again, wire.Mounted}, Rounds: 41, Turn: 250 * time.Millisecond}
	if env.quick {
		b.Rounds, b.Turn = 3, 50*time.Millisecond
	}
	report, err := b.Run(ctx)
	if err != nil {
		return nil, err
	}
	if failed := report.Failed(); len(failed) > 0 || len(report.Results) != 1 {
		return nil, fmt.Errorf("not every peer worked:\n%s", strings.Join(failed, "\n"))
	}
	sec := &section{
		intro: fmt.Sprintf("Unary calls by gRPC, 1 KiB each way, 64 at the same time, client and server in processes of their own, as for the wire; %d rounds of %v, interleaved. The port of "+
			"*with a gateway* serves the other protocols, too, as that of every app does; *again* is the same as the first one, and so shows what a difference means.", b.Rounds, b.Turn),
		header: []string{"port", "calls/s", "÷ without", "CPU of the server per call", "÷ without", "allocations of the server"},
	}
	figures := func(e wire.Entry) (speed, cpu, mallocs []float64) {
		for _, r := range e.Rounds {
			n := float64(r.Units)
			speed, cpu, mallocs = append(speed, n/r.Took.Seconds()), append(cpu, float64(r.Server.CPU.Nanoseconds())/n), append(mallocs, float64(r.Server.Mallocs)/n)
		}
		return speed, cpu, mallocs
	}
	entries := report.Results[0].Entries
	speed0, cpu0, _ := figures(entries[0])
	for i, name := range []string{"without a gateway", "without, again", "with a gateway"} {
		speed, cpu, mallocs := figures(entries[i])
		sec.add(name, fmt.Sprintf("%.0f", sample.Median(speed)), ratio(sample.Ratios(speed, speed0)),
			fmt.Sprintf("%.1f µs", sample.Median(cpu)/1e3), ratio(sample.Ratios(cpu, cpu0)), fmt.Sprintf("%.1f", sample.Median(mallocs)))
	}
	return sec, nil
}

// echoes measures the echo by JSON-RPC and WebSocket.
func echoes(ctx context.Context, env *environment) (header []string, rows [][]string, rounds int, turn time.Duration, err error) {
	loads, err := echoLoads()
	if err != nil {
		return nil, nil, 0, 0, err
	}
	rounds, turn = 9, 500*time.Millisecond
	if env.quick {
		rounds, turn = 1, 50*time.Millisecond
	}
	servers := make(map[string]*connectProcess)
	defer func() {
		for _, p := range servers {
			p.stop()
		}
	}()
	for _, name := range []string{"hanse", "bare JSON-RPC", "coder/websocket"} {
		if servers[name], err = startConnect(ctx, name); err != nil {
			delete(servers, name)
			return nil, nil, 0, 0, err
		}
	}
	header = []string{"by", "server", "calls per CPU second", "÷ the other", "calls/s", "allocations"}
	for _, l := range loads {
		speed, perCPU, mallocs := make([][]float64, len(l.peers)), make([][]float64, len(l.peers)), make([]float64, len(l.peers))
		for round := range rounds + 1 {
			for _, i := range rand.Perm(len(l.peers)) {
				s, cpu, m, err := l.run(ctx, servers[l.peers[i]], turn)
				if err != nil {
					return nil, nil, 0, 0, err
				}
				if round == 0 {
					continue // to warm up
				}
				speed[i], perCPU[i], mallocs[i] = append(speed[i], s), append(perCPU[i], 1e9/cpu), m
			}
		}
		for i, name := range l.peers {
			rows = append(rows, []string{l.title, name, fmt.Sprintf("%.0f", sample.Median(perCPU[i])), ratio(sample.Ratios(perCPU[i], perCPU[1])),
				fmt.Sprintf("%.0f", sample.Median(speed[i])), fmt.Sprintf("%.0f", mallocs[i])})
		}
	}
	return header, rows, rounds, turn, nil
}
