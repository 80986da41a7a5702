package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	connectgo "connectrpc.com/connect"
	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/bench/wire"
	"github.com/hanse-go/hanse/bench/wire/echopb"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// connectServer is set in the environment of a process that is the server of a measurement.
const connectServer = "HANSE_BENCH_CONNECT"

const echoPath = "/hanse.bench.v1.Echo/Unary"

// connectPeers are the servers of unary calls by the Connect protocol, over HTTP/1.1 and h2c.
var connectPeers = map[string]func(net.Listener) error{
	"hanse":         serveGateway,
	"connect-go":    serveConnectGo,
	"bare net/http": serveBare,
}

type echoService struct{ echopb.UnimplementedEchoServer }

func (echoService) Unary(_ context.Context, in *echopb.Message) (*echopb.Message, error) {
	return &echopb.Message{Body: in.Body}, nil
}

func (echoService) Chat(stream grpc.BidiStreamingServer[echopb.Message, echopb.Message]) error {
	for {
		in, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = stream.Send(&echopb.Message{Body: in.Body})
		}
		if err != nil {
			return err
		}
	}
}

func serveGateway(lis net.Listener) error {
	srv := &rpc.Server{Name: "echo"}
	echopb.RegisterEchoServer(srv, echoService{})
	if err := srv.Err(); err != nil {
		return err
	}
	srv.Start()
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	port.HTTP = &gateway.Handler{Backend: port}
	return port.Serve(lis)
}

func serveConnectGo(lis net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle(echoPath, connectgo.NewUnaryHandler(echoPath, func(_ context.Context, in *connectgo.Request[echopb.Message]) (*connectgo.Response[echopb.Message], error) {
		return connectgo.NewResponse(&echopb.Message{Body: in.Msg.Body}), nil
	}))
	return serveHTTP(lis, mux)
}

// serveBare does no more than decode and encode.
func serveBare(lis net.Listener) error {
	return serveHTTP(lis, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asJSON := r.Header.Get("Content-Type") == "application/json"
		var in echopb.Message
		data, err := io.ReadAll(r.Body)
		if err == nil {
			if asJSON {
				err = protojson.Unmarshal(data, &in)
			} else {
				err = proto.Unmarshal(data, &in)
			}
		}
		var out []byte
		if err == nil {
			reply := &echopb.Message{Body: in.Body}
			if asJSON {
				out, err = protojson.Marshal(reply)
			} else {
				out, err = proto.Marshal(reply)
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.Write(out)
	}))
}

func serveHTTP(lis net.Listener, h http.Handler) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return (&http.Server{Handler: h, Protocols: protocols}).Serve(lis)
}

// serveConnect is the main function of a process that is a server. It returns false in all others.
func serveConnect() bool {
	name := os.Getenv(connectServer)
	if name == "" {
		return false
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(lis.Addr())
	go func() {
		serve := connectPeers[name]
		if serve == nil {
			serve = echoPeers[name]
		}
		fmt.Fprintln(os.Stderr, serve(lis))
		os.Exit(1)
	}()
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		json.NewEncoder(os.Stdout).Encode(wire.Used())
	}
	return true
}

// connectProcess is a server, as the measuring process sees it.
type connectProcess struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
}

func startConnect(ctx context.Context, name string) (*connectProcess, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &connectProcess{name: name, cmd: exec.CommandContext(ctx, exe)}
	p.cmd.Env = append(os.Environ(), connectServer+"="+name, "GOMAXPROCS=1")
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	line, err := p.out.ReadString('\n')
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.addr = line[:len(line)-1]
	return p, nil
}

// stop ends the server, which ends with its input.
func (p *connectProcess) stop() error {
	p.in.Close()
	return p.cmd.Wait()
}

func (p *connectProcess) used() (u wire.Usage, err error) {
	if _, err = io.WriteString(p.in, "\n"); err != nil {
		return u, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return u, err
	}
	return u, json.Unmarshal(line, &u)
}

// connectCall is one request, made again and again.
type connectCall struct {
	title       string
	http2       bool
	contentType string
	body        []byte
}

func connectCalls() ([]connectCall, error) {
	msg := &echopb.Message{Body: make([]byte, 1<<10)}
	binary, err := proto.Marshal(msg)
	if err != nil {
		return nil, err
	}
	text, err := protojson.Marshal(msg)
	if err != nil {
		return nil, err
	}
	return []connectCall{
		{"HTTP/1.1, proto", false, "application/proto", binary},
		{"HTTP/1.1, JSON", false, "application/json", text},
		{"h2c, proto", true, "application/proto", binary},
		{"h2c, JSON", true, "application/json", text},
	}, nil
}

func (c connectCall) client() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!c.http2)
	protocols.SetUnencryptedHTTP2(c.http2)
	return &http.Client{Transport: &http.Transport{Protocols: protocols, MaxIdleConnsPerHost: 64, DisableCompression: true}}
}

// make makes one call.
func (c connectCall) make(ctx context.Context, client *http.Client, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+echoPath, bytes.NewReader(c.body))
	if err != nil {
		return err
	}
	req.Header["Content-Type"] = []string{c.contentType}
	req.Header["Connect-Protocol-Version"] = []string{"1"}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if blanks := bytes.Count(data, []byte{' '}); resp.StatusCode != http.StatusOK || (len(data) != len(c.body) && blanks == 0) || (resp.ProtoMajor == 2) != c.http2 {
		return fmt.Errorf("%s %s: %.200s", resp.Proto, resp.Status, data)
	}
	return nil
}

// run makes calls by 64 goroutines for d, and returns how many there were in a second, and what each cost the server.
func (c connectCall) run(ctx context.Context, p *connectProcess, d time.Duration) (speed, cpu, mallocs float64, err error) {
	client := c.client()
	defer client.CloseIdleConnections()
	call := func() error { return c.make(ctx, client, p.addr) }
	if err = call(); err == nil {
		speed, cpu, mallocs, err = p.drive(slices.Repeat([]func() error{call}, 64), d)
	}
	if err != nil {
		return 0, 0, 0, fmt.Errorf("%s, %s: %w", p.name, c.title, err)
	}
	return speed, cpu, mallocs, nil
}

// drive makes calls by as many goroutines as there are functions for d, and returns how many there were in a second, and what each cost the
// server: nanoseconds and allocations.
func (p *connectProcess) drive(calls []func() error, d time.Duration) (speed, cpu, mallocs float64, err error) {
	before, err := p.used()
	if err != nil {
		return 0, 0, 0, err
	}
	var group sync.WaitGroup
	counts, errs := make([]int, len(calls)), make([]error, len(calls))
	begin := time.Now()
	for i, call := range calls {
		group.Go(func() {
			for time.Since(begin) < d && errs[i] == nil {
				errs[i] = call()
				counts[i]++
			}
		})
	}
	group.Wait()
	took := time.Since(begin)
	after, err := p.used()
	if err = errors.Join(append(errs, err)...); err != nil {
		return 0, 0, 0, err
	}
	made := 0.0
	for _, n := range counts {
		made += float64(n)
	}
	used := after.Sub(before)
	return made / took.Seconds(), float64(used.CPU.Nanoseconds()) / made, float64(used.Mallocs) / made, nil
}

func connect(ctx context.Context, env *environment) (*section, error) {
	calls, err := connectCalls()
	if err != nil {
		return nil, err
	}
	rounds, turn := 9, 500*time.Millisecond
	if env.quick {
		rounds, turn = 1, 50*time.Millisecond
	}
	names := []string{"hanse", "connect-go", "bare net/http"}
	var servers []*connectProcess
	defer func() {
		for _, p := range servers {
			p.stop()
		}
	}()
	for _, name := range names {
		p, err := startConnect(ctx, name)
		if err != nil {
			return nil, err
		}
		servers = append(servers, p)
	}
	sec := &section{
		intro: fmt.Sprintf("Unary calls by the Connect protocol, 1 KiB each way, 64 at the same time, from one client of net/http that neither encodes nor decodes; each server is a process of its own with one core; "+
			"%d rounds of %v, interleaved. *Calls per CPU second* are of the server, user and system time. *hanse* is package gateway on a port, with all that a call from outside meets there; "+
			"*bare net/http* is written by hand and does no more than decode and encode.", rounds, turn),
		header: []string{"over", "server", "calls per CPU second", "÷ connect-go", "÷ bare net/http", "calls/s", "allocations"},
	}
	for _, c := range calls {
		speed, perCPU, mallocs := make([][]float64, len(servers)), make([][]float64, len(servers)), make([]float64, len(servers))
		for round := range rounds + 1 {
			for _, i := range rand.Perm(len(servers)) {
				s, cpu, m, err := c.run(ctx, servers[i], turn)
				if err != nil {
					return nil, err
				}
				if round == 0 {
					continue // to warm up
				}
				speed[i], perCPU[i], mallocs[i] = append(speed[i], s), append(perCPU[i], 1e9/cpu), m
			}
		}
		for i, p := range servers {
			sec.add(c.title, p.name, fmt.Sprintf("%.0f", sample.Median(perCPU[i])), ratio(sample.Ratios(perCPU[i], perCPU[1])), ratio(sample.Ratios(perCPU[i], perCPU[2])),
				fmt.Sprintf("%.0f", sample.Median(speed[i])), fmt.Sprintf("%.0f", mallocs[i]))
		}
	}
	return sec, nil
}
