// Package outside is `hanse dashboard`: it shows a running system that it did not start, with a collector of its own.
package outside

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/intake"
	"github.com/hanse-go/hanse/cmd/hanse/internal/lasting"
	"github.com/hanse-go/hanse/cmd/hanse/internal/reach"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/rundir"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// Options say which system it is and how it is shown.
type Options struct {
	Key        string        // by [ContextKey] or [PlaceKey]
	Name       string        // of the system, as the page has it
	Place      string        // where it is looked for, for people
	Dir        string        // folder that it belongs to; "": that is not known
	Reach      reach.Options // its registry, backplane and certificates
	Services   []string      // that are looked for; none: all
	Production bool          // it is marked so; nothing can be changed
	ReadOnly   bool          // nothing can be changed

	// Watch tells of instances until ctx ends.
	Watch func(ctx context.Context, notify func([]discovery.Instance)) error

	Addr string // HOST:PORT of the page; "": a port of 127.0.0.1 that stays the same
	OTLP string // HOST:PORT where telemetry is taken in; "": [DefaultOTLP], or where that is taken a port that stays the same

	UI *ui.UI
}

// DefaultOTLP is where programs send their telemetry when they are told nothing.
const DefaultOTLP = "127.0.0.1:4318"

// lookTimeout is how long a registry may take to answer first.
const lookTimeout = 10 * time.Second

// Look returns a server that answers for the system from its registry and from what its instances tell, without a collector. It has no page that
// is live; close ends it.
func Look(ctx context.Context, o Options) (s *dashboard.Server, stop func(), err error) {
	reached, err := reach.Open(ctx, reach.Options{System: o.Reach.System, Registry: o.Reach.Registry, Identity: o.Reach.Identity, Logger: o.Reach.Logger})
	if err != nil {
		return nil, nil, err
	}
	v := newView(o)
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	failed := make(chan error, 1)
	work.Go(func() { failed <- v.watch(ctx) })
	stop = func() { cancel(); work.Wait(); reached.Close() }
	select {
	case <-v.first:
	case err := <-failed:
		stop()
		return nil, nil, cmp.Or(err, context.Cause(ctx))
	case <-time.After(lookTimeout):
		stop()
		return nil, nil, fmt.Errorf("%s does not answer", o.Place)
	}
	return &dashboard.Server{System: v, Logger: o.Reach.Logger}, stop, nil
}

// Run shows the system until ctx ends.
func Run(ctx context.Context, o Options) error {
	path, err := rundir.Socket("dashboard " + o.Key)
	if err != nil {
		return fmt.Errorf("the socket for other commands: %w", err)
	}
	record := Record{Key: o.Key, Name: o.Name, Place: o.Place, Dir: o.Dir, PID: os.Getpid(), Production: o.Production}
	held, err := hold(record)
	if errors.Is(err, ErrRuns) {
		if other, found, err := Find(o.Key); err == nil && found {
			return ui.Errorf("a dashboard of %s runs already (process %d): %s", o.Name, other.PID, other.Link).Then("Ctrl-C in its terminal ends it")
		}
		return ui.Errorf("a dashboard of %s is being started", o.Name)
	}
	if err != nil {
		return err
	}
	defer held.Close()
	dir, err := rundir.State("dashboard", o.Key)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("no folder for traces and logs: %w", err)
	}
	problemf := func(format string, args ...any) {
		o.UI.Notef("%s %s", ui.Warning.Sprint("!"), fmt.Sprintf(format, args...))
	}
	token, err := lasting.Token(filepath.Join(dir, "token"))
	if err != nil {
		problemf("the dashboard's link will be another one in the next run: %v", err)
	}
	ports := lasting.OpenPorts(filepath.Join(dir, "ports.json"))
	page, err := listen(o.Addr, func() (net.Listener, error) { return ports.Listen("page") })
	if err != nil {
		return ui.Errorf("the dashboard cannot listen: %w", err).Then("give another address with --addr HOST:PORT")
	}
	defer page.Close()
	otlp, err := listen(o.OTLP, func() (net.Listener, error) {
		if lis, err := net.Listen("tcp", DefaultOTLP); err == nil {
			return lis, nil
		}
		return ports.Listen("otlp")
	})
	if err != nil {
		return ui.Errorf("telemetry cannot be taken in: %w", err).Then("give another address with --otlp HOST:PORT")
	}
	defer otlp.Close()

	logger := slog.New(slog.NewTextHandler(o.UI.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	v := newView(o)
	v.otlp = "http://" + reachable(otlp.Addr())
	s := &dashboard.Server{System: v, Token: token, Logger: logger, Collector: &collector.Collector{Dir: dir, Logger: logger}}
	o.Reach.Logger = logger
	reached, err := reach.Open(ctx, o.Reach)
	if err != nil {
		v.problem("events and stores are not shown: " + err.Error())
		problemf("events and stores are not shown: %v", err)
	}
	defer reached.Close()
	reached.Give(s)

	sock, err := control.Listen(path)
	if err != nil {
		return fmt.Errorf("the socket for other commands: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	ended := make(chan error, 3)
	work.Go(func() { ended <- control.Serve(ctx, sock, commands{v, s, s.Link(page.Addr())}) })
	in := &intake.Intake{Collector: s.Collector, Problemf: problemf}
	if keeps, err := in.Serve(ctx, otlp, &work); err != nil {
		return err
	} else if !keeps {
		v.problem("traces and logs are not kept: what hanse dashboard printed says why")
	}
	work.Go(func() { ended <- v.watch(ctx) })
	work.Go(func() { ended <- s.Run(ctx, page) })
	record.Control, record.Link = path, s.Link(page.Addr())
	if err := publish(held, record); err != nil {
		return err
	}
	o.tell(v, record.Link)
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// listen listens at an address, or as it goes without one.
func listen(addr string, otherwise func() (net.Listener, error)) (net.Listener, error) {
	if addr == "" {
		return otherwise()
	}
	return net.Listen("tcp", addr)
}

// reachable is an address as programs write it: one that listens everywhere is told by the name of this machine.
func reachable(addr net.Addr) string {
	at, ok := addr.(*net.TCPAddr)
	if !ok || !at.IP.IsUnspecified() {
		return addr.String()
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return net.JoinHostPort(host, fmt.Sprint(at.Port))
}

// tell says where all is.
func (o *Options) tell(v *view, link string) {
	mark := ""
	switch {
	case o.Production:
		mark = " " + ui.Bad.Sprint("production: it is only shown, and nothing can be changed")
	case o.ReadOnly:
		mark = " " + ui.Faint.Sprint("nothing can be changed")
	}
	u := o.UI
	u.Printf("%s %s%s\n", ui.Strong.Sprint("hanse dashboard "+o.Name), ui.Faint.Sprint(o.Place), mark)
	u.Printf("  %s %s\n", ui.Faint.Sprint("dashboard:"), ui.Accent.Sprint(link))
	u.Printf("  %s %s%s\n", ui.Faint.Sprint("telemetry:"), ui.Accent.Sprint("OTEL_EXPORTER_OTLP_ENDPOINT="+v.otlp),
		ui.Faint.Sprint(" makes programs send theirs here"))
	u.Printf("  %s\n", ui.Faint.Sprint("Ctrl-C ends it, and what it shows goes on"))
}

// commands is what other commands of this user ask.
type commands struct {
	v *view
	s *dashboard.Server

	link string
}

func (c commands) Status() control.Status {
	st := control.Status{System: c.v.Name, PID: os.Getpid(), Ready: true, Services: []control.Service{}, Dashboard: c.link}
	known, _ := c.v.State(context.Background()) // it has no errors
	for _, s := range known.Services {
		st.Services = append(st.Services, control.Service{Name: s.Name, Want: len(s.Instances)})
	}
	return st
}

func (commands) Do(context.Context, control.Request, func(string)) error {
	return &control.Error{What: "hanse dashboard starts and stops nothing", Do: "do it where the services were started"}
}

func (c commands) Logs(services []string) (control.Lines, error) {
	return control.Lines{Store: c.s.Collector, Services: services}, nil
}

func (c commands) API() http.Handler { return c.s.API() }
