package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// keepTelemetry is the process of a collector in a folder. It answers each line with the collector's state.
func keepTelemetry(dir string) error {
	c := &collector.Collector{Dir: dir}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: c.Handler()}
	go srv.Serve(lis)
	fmt.Println("http://" + lis.Addr().String())
	err = eachLine(func(string) string {
		text, _ := json.Marshal(c.Stats())
		return string(text)
	})
	stop()
	return errors.Join(err, srv.Close(), <-done)
}

// What the services beside a collector do: each call makes a span on both sides, so 2,500 of them make 5,000 spans, and what their
// handlers work is found so that all of it takes that part of the machine.
const (
	servicesShare = 0.30
	callsPerCore  = 1250
)

// collectorBounds are the figures to reach.
const (
	mostSlower = 1.10
	mostMemory = 256 << 20
)

// collectorRun is the processes that take part.
type collectorRun struct {
	keeper, sender, service, caller *helperProcess
	// drop sends the same to sink, which throws it away.
	drop, sink *helperProcess
	rate       float64
	work       int32
}

func (c *collectorRun) cpu(list ...*helperProcess) (sum time.Duration, err error) {
	for _, p := range list {
		u, e := usageOf(p.cmd.Process.Pid)
		if e != nil {
			return 0, e
		}
		sum += u.cpu
	}
	return sum, nil
}

// calls has the services work for a while. cores is what they took.
func (c *collectorRun) calls(seconds float64, seed uint64) (r callTimes, cores float64, err error) {
	before, err := c.cpu(c.service, c.caller)
	if err != nil {
		return r, 0, err
	}
	load, _ := json.Marshal(callLoad{Rate: c.rate, Seconds: seconds, Work: c.work, Seed: seed})
	text, err := c.caller.ask(string(load))
	if err != nil {
		return r, 0, fmt.Errorf("the caller: %w", err)
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, 0, fmt.Errorf("the caller says %q: %w", text, err)
	}
	after, err := c.cpu(c.service, c.caller)
	return r, (after - before).Seconds() / seconds, err
}

// callsBeside has the services work while a sender does.
func (c *collectorRun) callsBeside(sender *helperProcess, rate, seconds int, seed uint64) (r callTimes, sent sentTelemetry, err error) {
	answer := make(chan string, 1)
	go func() {
		text, err := sender.ask(fmt.Sprint(rate, " ", seconds))
		if err != nil {
			text = err.Error()
		}
		answer <- text
	}()
	if r, _, err = c.calls(float64(seconds), seed); err != nil {
		return r, sent, err
	}
	if text := <-answer; json.Unmarshal([]byte(text), &sent) != nil {
		return r, sent, fmt.Errorf("the sender says %q", text)
	}
	return r, sent, nil
}

// calibrate finds how much work makes the services take their part of the machine.
func (c *collectorRun) calibrate(seconds float64) (cores float64, err error) {
	want := servicesShare * float64(runtime.NumCPU())
	c.rate = callsPerCore * float64(runtime.NumCPU())
	c.work = 100
	var last float64
	var lastWork int32
	for range 6 {
		if _, cores, err = c.calls(seconds, 1); err != nil || cores > 0.97*want && cores < 1.03*want {
			return cores, err
		}
		// What a call costs beside its work is found by two of them.
		each := cores / float64(c.work)
		if lastWork != 0 && lastWork != c.work {
			each = (cores - last) / float64(c.work-lastWork)
		}
		last, lastWork = cores, c.work
		if each > 0 {
			c.work = max(0, min(int32(float64(c.work)+(want-cores)/each), 4*c.work+100))
		}
	}
	return cores, nil
}

func (c *collectorRun) stats() (st collector.Stats, err error) {
	text, err := c.keeper.ask("stats")
	if err != nil {
		return st, fmt.Errorf("the collector: %w", err)
	}
	return st, json.Unmarshal([]byte(text), &st)
}

// settled waits until the collector has written everything, and made its index.
func (c *collectorRun) settled(ctx context.Context) (collector.Stats, error) {
	for deadline := time.Now().Add(time.Minute); ; {
		st, err := c.stats()
		if err != nil || st.Waiting == 0 && st.Unindexed == 0 || time.Now().After(deadline) {
			return st, err
		}
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// peakMemory is the most that a process ever had in memory.
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no line VmHWM", pid)
}

func startCollectorRun(ctx context.Context, env *environment) (c *collectorRun, end func(), err error) {
	c = &collectorRun{}
	var all []*helperProcess
	end = func() {
		for _, p := range all {
			p.end()
		}
	}
	start := func(role, address string) (p *helperProcess) {
		if err != nil {
			return nil
		}
		if p, err = startHelper(ctx, role, address); err == nil {
			all = append(all, p)
		}
		return p
	}
	first := func(p *helperProcess) (line string) {
		if err == nil {
			line, err = p.line()
		}
		return line
	}
	c.keeper = start("keep", filepath.Join(env.tmp, "telemetry"))
	c.sender = start("send", first(c.keeper))
	c.sink = start("sink", "")
	c.drop = start("send", first(c.sink))
	c.service = start("serve", "")
	c.caller = start("call", first(c.service))
	return c, end, err
}

// collectorBench measures what a collector takes while telemetry comes to it, and what calls of others feel of that.
func collectorBench(ctx context.Context, env *environment) (*section, error) {
	c, end, err := startCollectorRun(ctx, env)
	defer end()
	if err != nil {
		return nil, err
	}
	sustained, burst, rounds := 20, 10, 6
	if env.quick {
		sustained, burst, rounds = 2, 2, 2
	}
	cores, err := c.calibrate(min(float64(burst), 4))
	if err != nil {
		return nil, err
	}
	sec := &section{
		intro: fmt.Sprintf("A process keeps what another one sends by OTLP over HTTP, in requests as ten services make them ten times a second: as many spans of 220 bytes as lines of 110. "+
			"Beside them one service calls another, %.0f times a second at times that chance chooses; their handlers work so much that the two take %.0f %% of this machine's processors (%.2f cores). "+
			"Seconds without telemetry, with it, and with the same sent to a process that reads it and throws it away take turns, with the same times of calls. *p99* is that of the calls, from when they were due, the median of the rounds; what is compared are ratios of the same round. "+
			"*Collector* is what it takes, the writing and the index that it makes afterwards included; *sender* is the process that makes requests of what was made before.",
			c.rate, servicesShare*100, cores),
		header: []string{"telemetry", "rounds", "collector", "a record", "sender", "memory at most", "not kept", "p50 without", "with", "p99 without", "with", "ratio", "p99 ≤ 1.10x", "thrown away ÷ without", "with ÷ thrown away"},
	}
	var control []float64
	for _, tt := range []struct{ rate, seconds int }{{5000, sustained}, {20000, burst}} {
		row, again, err := c.measure(ctx, tt.rate, tt.seconds, rounds)
		if err != nil {
			return nil, err
		}
		control = append(control, again...)
		sec.add(row...)
	}
	sec.notes = append(sec.notes, fmt.Sprintf("Without telemetry, one round's p99 to that of the round before: %s. What is nearer to 1 than that is noise.", ratio(control)))
	return sec, nil
}

// measure is a row of the table. control is each round's p99 without telemetry as a part of the one before.
func (c *collectorRun) measure(ctx context.Context, rate, seconds, rounds int) (row []string, control []float64, err error) {
	var slow, without, with, thrown, without50, with50 []float64
	var keeping, sending time.Duration
	var total sentTelemetry
	failed, why := 0, ""
	before, err := c.settled(ctx)
	if err != nil {
		return nil, nil, err
	}
	for round := range rounds {
		seed := uint64(round + 1)
		plain, _, err := c.calls(float64(seconds), seed)
		if err != nil {
			return nil, nil, err
		}
		keeper, err := c.cpu(c.keeper)
		if err != nil {
			return nil, nil, err
		}
		sender, err := c.cpu(c.sender)
		if err != nil {
			return nil, nil, err
		}
		loaded, sent, err := c.callsBeside(c.sender, rate, seconds, seed)
		if err != nil {
			return nil, nil, err
		}
		if _, err := c.settled(ctx); err != nil {
			return nil, nil, err
		}
		keeperEnd, err := c.cpu(c.keeper)
		if err != nil {
			return nil, nil, err
		}
		senderEnd, err := c.cpu(c.sender)
		if err != nil {
			return nil, nil, err
		}
		dropped, _, err := c.callsBeside(c.drop, rate, seconds, seed)
		if err != nil {
			return nil, nil, err
		}
		keeping, sending = keeping+keeperEnd-keeper, sending+senderEnd-sender
		total.Sent, total.Refused, total.Behind = total.Sent+sent.Sent, total.Refused+sent.Refused, max(total.Behind, sent.Behind)
		failed += plain.Failed + loaded.Failed + dropped.Failed
		if why == "" {
			why = plain.Error + loaded.Error + dropped.Error
		}
		if n := len(without); n > 0 {
			control = append(control, float64(plain.P99)/without[n-1])
		}
		without, with, thrown = append(without, float64(plain.P99)), append(with, float64(loaded.P99)), append(thrown, float64(dropped.P99))
		without50, with50 = append(without50, float64(plain.P50)), append(with50, float64(loaded.P50))
	}
	st, err := c.stats()
	if err != nil {
		return nil, nil, err
	}
	lost := st.Spans.Received + st.Logs.Received - before.Spans.Received - before.Logs.Received - (st.Spans.Kept + st.Logs.Kept - before.Spans.Kept - before.Logs.Kept)
	memory, err := peakMemory(c.keeper.cmd.Process.Pid)
	if err != nil {
		return nil, nil, err
	}
	slow = sample.Ratios(with, without)
	held := "✓"
	switch {
	case failed > 0:
		held = fmt.Sprintf("not held: %d calls failed, such as by %s", failed, why)
	case total.Refused > 0:
		held = "not held: records were refused"
	case total.Behind > 2*time.Second:
		held = fmt.Sprintf("not held: the sender was %v late", total.Behind.Round(100*time.Millisecond))
	case memory > mostMemory:
		held = fmt.Sprintf("not held: it is to stay below %s", mib(mostMemory))
	case sample.Median(slow) > mostSlower:
		held = "✗"
	}
	all := float64(rounds * seconds)
	short := func(list []float64) string {
		return time.Duration(sample.Median(list)).Round(10 * time.Microsecond).String()
	}
	return []string{
		fmt.Sprintf("%d spans and %d lines a second", rate, rate), fmt.Sprintf("%d of %d s", rounds, seconds),
		fmt.Sprintf("%.2f cores", keeping.Seconds()/all), fmt.Sprintf("%.1f µs", keeping.Seconds()*1e6/float64(max(total.Sent, 1))),
		fmt.Sprintf("%.2f cores", sending.Seconds()/all), mib(memory), fmt.Sprintf("%d of %d", int64(total.Refused)+lost, total.Sent),
		short(without50), short(with50), short(without), short(with), ratio(slow), held, ratio(sample.Ratios(thrown, without)), ratio(sample.Ratios(with, thrown)),
	}, control, nil
}
