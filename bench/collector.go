package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry/collector"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// The environment of the processes of this subject.
const (
	collectorRole = "HANSE_BENCH_COLLECTOR" // keep, or the URL of who keeps for the one that sends
	collectorDir  = "HANSE_BENCH_COLLECTOR_DIR"
)

// serveCollector is the process of a collector, or of who sends to it. It reports whether this process is one of them.
func serveCollector() bool {
	role := os.Getenv(collectorRole)
	if role == "" {
		return false
	}
	if role != "keep" {
		sendTelemetry(role)
		return true
	}
	c := &collector.Collector{Dir: os.Getenv(collectorDir)}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("http://" + lis.Addr().String())
	srv := &http.Server{Handler: c.Handler()}
	go srv.Serve(lis)
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		json.NewEncoder(os.Stdout).Encode(c.Stats())
	}
	srv.Close()
	stop()
	if err := <-done; err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return true
}

// telemetryBatch is a request of n records, as ten services send them ten times a second.
func telemetryBatch(spans bool, service string, n int) []byte {
	field := func(b []byte, num protowire.Number, data []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), data)
	}
	attr := func(k, v string) []byte { return field(field(nil, 1, []byte(k)), 2, field(nil, 1, []byte(v))) }
	fixed := func(b []byte, num protowire.Number, v time.Time) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), uint64(v.UnixNano()))
	}
	var scope []byte
	now := time.Now()
	var ids [32]byte
	for i := range n {
		rand.Read(ids[:])
		var r []byte
		if spans {
			r = field(field(field(field(r, 1, ids[:16]), 2, ids[16:24]), 4, ids[24:]), 5, []byte("shop.v1.Cart/Add"))
			r = protowire.AppendVarint(protowire.AppendTag(r, 6, protowire.VarintType), 2)
			r = fixed(fixed(r, 7, now), 8, now.Add(time.Duration(i)*time.Microsecond))
			for _, a := range [][]byte{attr("rpc.system.name", "grpc"), attr("rpc.method", "shop.v1.Cart/Add"), attr("rpc.response.status_code", "OK"),
				attr("user.id", "user-"+strconv.Itoa(int(ids[0]))), attr("hanse.path", "unix")} {
				r = field(r, 9, a)
			}
		} else {
			r = field(protowire.AppendVarint(protowire.AppendTag(fixed(r, 1, now), 2, protowire.VarintType), 9), 5, field(nil, 1, []byte("an item was added to the cart")))
			r = field(field(field(field(r, 6, attr("user.id", "user-"+strconv.Itoa(int(ids[0])))), 6, attr("item", "book")), 9, ids[:16]), 10, ids[16:24])
		}
		scope = field(scope, 2, r)
	}
	resource := field(field(nil, 1, attr("service.name", service)), 1, attr("service.instance.id", service+"-1"))
	return field(nil, 1, field(field(nil, 1, resource), 2, scope))
}

// sendTelemetry sends as many spans and as many lines a second as a line of its input says, for as many seconds.
func sendTelemetry(url string) {
	post := func(path string, body []byte) error {
		resp, err := http.Post(url+path, "application/x-protobuf", bytes.NewReader(body))
		if err != nil {
			return err
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			return errors.New(resp.Status)
		}
		return nil
	}
	const services = 10
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var rate, seconds int
		fmt.Sscan(in.Text(), &rate, &seconds)
		// Made before, so that the sender's own work is not what is measured.
		var spans, logs [services][]byte
		for i := range services {
			spans[i], logs[i] = telemetryBatch(true, fmt.Sprint("service-", i), rate/services/10), telemetryBatch(false, fmt.Sprint("service-", i), rate/services/10)
		}
		refused := 0
		tick := time.NewTicker(100 * time.Millisecond / services)
		for n := range seconds * 10 * services {
			<-tick.C
			for path, body := range map[string][]byte{"/v1/traces": spans[n%services], "/v1/logs": logs[n%services]} {
				if post(path, body) != nil {
					refused++
				}
			}
		}
		tick.Stop()
		fmt.Println("refused", refused)
	}
}

// helperProcess is a process of this program.
type helperProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startHelper(ctx context.Context, env ...string) (*helperProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &helperProcess{cmd: exec.CommandContext(ctx, self)}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), env...), os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

func (p *helperProcess) line() (string, error) {
	s, err := p.out.ReadString('\n')
	return strings.TrimSpace(s), err
}

func (p *helperProcess) ask(text string) (string, error) {
	if _, err := fmt.Fprintln(p.in, text); err != nil {
		return "", err
	}
	return p.line()
}

func (p *helperProcess) end() { p.in.Close(); p.cmd.Wait() }

// paced makes calls at a rate, whatever the answers take, and returns how long the slowest of a hundred took.
func paced(ctx context.Context, client testpb.BenchmarkServiceClient, rate float64, d time.Duration) (p99 time.Duration, err error) {
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	begin := time.Now()
	for n := 0; ; n++ {
		due := begin.Add(time.Duration(float64(n) / rate * 1e9))
		if due.Sub(begin) > d {
			break
		}
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		wg.Go(func() {
			_, e := client.UnaryCall(ctx, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 100)}})
			t := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			if status.Code(e) == codes.ResourceExhausted { // it is too much for this machine: as bad as one that takes for ever
				t, e = d, nil
			}
			took = append(took, t)
			err = cmp.Or(err, e)
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took[len(took)*99/100], err
}

// collectorBench measures what a collector takes while telemetry comes to it, and what calls of others feel of that.
func collectorBench(ctx context.Context, env *environment) (*section, error) {
	keeper, err := startHelper(ctx, collectorRole+"=keep", collectorDir+"="+env.tmp+"/telemetry")
	if err != nil {
		return nil, err
	}
	defer keeper.end()
	url, err := keeper.line()
	if err != nil {
		return nil, err
	}
	sender, err := startHelper(ctx, collectorRole+"="+url)
	if err != nil {
		return nil, err
	}
	defer sender.end()

	srv := &rpc.Server{Name: "bench"}
	testpb.RegisterBenchmarkServiceServer(srv, benchmarkService{})
	srv.Start()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	go port.Serve(lis)
	defer port.Close()
	client := &rpc.Client{Registry: discovery.Static{"bench": {"tcp://" + lis.Addr().String()}}}
	defer client.Close()
	conn := rpc.NewConn("bench")
	if err := conn.Bind(client); err != nil {
		return nil, err
	}
	defer conn.Close()
	stub := testpb.NewBenchmarkServiceClient(conn)

	sustained, burst, rounds := 60, 10, 5
	if env.quick {
		sustained, burst, rounds = 4, 2, 1
	}
	// What a service and its caller, in one process, can do with what is left of the machine.
	var calls int
	var mu sync.Mutex
	var wg sync.WaitGroup
	end := time.Now().Add(3 * time.Second)
	for range 64 {
		wg.Go(func() {
			for time.Now().Before(end) {
				if _, err := stub.UnaryCall(ctx, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 100)}}); err != nil {
					return
				}
				mu.Lock()
				calls++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	rate := float64(calls) / 3 * 0.3

	sec := &section{
		intro: fmt.Sprintf("A process keeps what another one sends by OTLP over HTTP, in requests as ten services make them ten times a second: as many spans of 250 bytes as lines of 110. "+
			"Beside them a service takes %.0f calls a second, 30 %% of what it can take on this machine; *p99* is that of its calls, from when they were due, without and with telemetry.", rate),
		header: []string{"telemetry", "for", "cores", "memory", "not kept", "p99 without", "p99 with"},
	}
	for _, tt := range []struct{ rate, seconds, times int }{{5000, sustained, 1}, {20000, burst, rounds}} {
		for range tt.times {
			without, err := paced(ctx, stub, rate, time.Duration(tt.seconds)*time.Second)
			if err != nil {
				return nil, err
			}
			before, err := usageOf(keeper.cmd.Process.Pid)
			if err != nil {
				return nil, err
			}
			began := time.Now()
			refused := make(chan string, 1)
			go func() {
				s, _ := sender.ask(fmt.Sprint(tt.rate, " ", tt.seconds))
				refused <- s
			}()
			with, err := paced(ctx, stub, rate, time.Duration(tt.seconds)*time.Second)
			if err != nil {
				return nil, err
			}
			<-refused
			after, err := usageOf(keeper.cmd.Process.Pid)
			if err != nil {
				return nil, err
			}
			text, err := keeper.ask("stats")
			if err != nil {
				return nil, err
			}
			var st collector.Stats
			if err := json.Unmarshal([]byte(text), &st); err != nil {
				return nil, err
			}
			lost := int64(0)
			for _, d := range st.Dropped {
				lost += d.Count
			}
			elapsed := time.Since(began)
			sec.add(fmt.Sprintf("%d spans and %d lines a second", tt.rate, tt.rate), elapsed.Round(time.Second).String(),
				fmt.Sprintf("%.2f", (after.cpu-before.cpu).Seconds()/elapsed.Seconds()), fmt.Sprintf("%d MiB", after.rss>>20), fmt.Sprint(lost),
				without.Round(10*time.Microsecond).String(), with.Round(10*time.Microsecond).String())
		}
	}
	return sec, nil
}
