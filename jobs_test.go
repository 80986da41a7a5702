package hanse_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/store"
)

// TestJobs runs a job in two instances of a service, one after the other and at the same time: each firing is done once, and when the app stops the
// one that runs is finished.
func TestJobs(t *testing.T) {
	for name, in := range map[string]func() func() *hanse.App{
		"store": func() func() *hanse.App {
			shared := new(store.Memory)
			return func() *hanse.App { return &hanse.App{Store: shared} }
		},
		"broker": func() func() *hanse.App {
			shared := new(events.Memory)
			return func() *hanse.App { return &hanse.App{Broker: shared} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				newApp := in()
				fired := make(chan string, 100)
				instance := func() *runningApp {
					s := &hanse.Service{Name: "reports", Setup: func(_ context.Context, s *hanse.Service) error {
						events.Every(s, "nightly", events.Cron("0 3 * * *"), func(ctx context.Context, f events.Firing) error {
							time.Sleep(20 * time.Second)
							fired <- fmt.Sprintf("%s/%d", f.ID, f.Attempt)
							return ctx.Err()
						})
						return nil
					}}
					app := newApp()
					app.Transports = []rpc.Transport{}
					r := begin(t, app, s)
					r.log.await(t, "msg=ready", r.done)
					return r
				}
				end := func(r *runningApp) {
					r.stop()
					<-r.done
					if r.err != nil {
						t.Error(r.err)
					}
				}
				one, two := instance(), instance()
				time.Sleep(time.Until(time.Date(2000, 1, 2, 3, 0, 10, 0, time.UTC)))
				end(one) // may be at it
				end(two)
				time.Sleep(30 * time.Hour)
				end(instance()) // may not get to it
				three := instance()
				time.Sleep(time.Minute)
				end(three)
				close(fired)
				var all []string
				for f := range fired {
					all = append(all, f)
				}
				if got := strings.Join(all, " "); got != "reports/nightly@2000-01-01T03:00:00Z/1 reports/nightly@2000-01-02T03:00:00Z/1 reports/nightly@2000-01-03T03:00:00Z/1" {
					t.Errorf("fired %s", got)
				}
			})
		})
	}
}

// TestJobsWithoutStore holds that a service with jobs does not start where nothing keeps them, and that the error says what to do.
func TestJobsWithoutStore(t *testing.T) {
	declare := func(s *hanse.Service) {
		events.Every(s, "nightly", events.Cron("0 3 * * *"), func(context.Context, events.Firing) error { return nil })
	}
	early := &hanse.Service{Name: "early"}
	declare(early)
	late := &hanse.Service{Name: "late", Setup: func(_ context.Context, s *hanse.Service) error {
		declare(s)
		return nil
	}}
	for _, s := range []*hanse.Service{early, late} {
		r := begin(t, new(hanse.App), s)
		err := r.wait()
		wantError(t, err, "service "+s.Name+" has jobs (nightly), which a store keeps, and this app has no store: run it under hanse dev", "--backplane", "embednats.Server")
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %v", err)
		}
	}
	mistaken := &hanse.Service{Name: "mistaken"}
	events.Every(mistaken, "nightly", events.Cron("0 33 * * *"), func(context.Context, events.Firing) error { return nil })
	r := begin(t, &hanse.App{Store: new(store.Memory)}, mistaken)
	wantError(t, r.wait(), `service mistaken: job "nightly": Cron("0 33 * * *"): column 3, the hour "33": it must be 0 to 23`)
}

// tick is a program with a job of each second that says what it begins, and ends it when it is told to on its standard input.
func tick() {
	s := named("clock")
	in := bufio.NewReader(os.Stdin)
	events.Every(s, "tick", events.Interval(time.Second), func(ctx context.Context, f events.Firing) error {
		fmt.Fprintf(os.Stderr, "begin %s %d %d\n", f.ID, f.Attempt, f.Token)
		if _, err := in.ReadString('\n'); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "end %s %d\n", f.ID, f.Attempt)
		return nil
	}, events.AckWait(time.Second))
	s.Main()
}

// TestJobsSurviveKill has three programs share a job, and kills those that are at it: each firing is done by another one, and none is done twice or at
// the same time as another.
func TestJobsSurviveKill(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for locks to end")
	}
	addr := discoverytest.FreeAddress(t)
	server := &embednats.Server{Dir: t.TempDir(), Addr: addr, Token: "sesame"}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	type clock struct {
		*program
		goOn io.Writer
	}
	begin := func() clock {
		p := prepare(t, "tick", nil, "HANSE_BACKPLANE=nats://sesame@"+addr)
		in, err := p.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p.start()
		return clock{p, in}
	}
	clocks := []clock{begin(), begin(), begin()}

	var last string // the firing that was begun last
	attempt, ended := 0, make(map[string]bool)
	var token uint64
	seen := make(map[*program]int)
	deadline := time.After(100 * time.Second)
	for kills, ends := 0, 0; kills < 3 || ends < 12; {
		progress := false
		for i, c := range clocks {
			c.mu.Lock()
			lines := c.lines[seen[c.program]:]
			seen[c.program] = len(c.lines)
			c.mu.Unlock()
			for _, line := range lines {
				words := strings.Fields(line)
				var nowToken uint64
				var nowAttempt int
				switch {
				case len(words) == 4 && words[0] == "begin":
					fmt.Sscan(words[2], &nowAttempt)
					fmt.Sscan(words[3], &nowToken)
					again := last != "" && !ended[last]
					if again && (words[1] != last || nowAttempt != attempt+1) || !again && (words[1] <= last || nowAttempt != 1) || nowToken <= token {
						t.Fatalf("%s, after %s in attempt %d with the token %d", line, last, attempt, token)
					}
					last, attempt, token = words[1], nowAttempt, nowToken
					progress = true
					if kills < 3 && ends%4 == 3 && nowAttempt <= 2 { // one of them twice
						kills++
						if err := c.cmd.Process.Kill(); err != nil {
							t.Fatal(err)
						}
						<-c.exited
						clocks[i] = begin()
						continue
					}
					fmt.Fprintln(c.goOn)
				case len(words) == 3 && words[0] == "end":
					if words[1] != last || ended[last] {
						t.Fatalf("%s, after %s", line, last)
					}
					ended[last] = true
					ends++
					progress = true
				}
			}
		}
		if progress {
			continue
		}
		select {
		case <-clocks[0].more:
		case <-clocks[1].more:
		case <-clocks[2].more:
		case <-deadline:
			t.Fatalf("%d firings in all, after %d kills", ends, kills)
		}
	}
}
