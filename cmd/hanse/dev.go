package main

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/process"
	"github.com/hanse-go/hanse/cmd/hanse/internal/gen"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/gateway"
	"github.com/spf13/cobra"
)

func newDev(u *ui.UI) *cobra.Command {
	o := dev.Options{UI: u}
	var replicas []string
	var front string
	cmd := &cobra.Command{
		Use:   "dev [DIR]",
		Short: "Run a system on this machine and restart what changes",
		Long: `Run the services below DIR (default: the current folder), each as a process of its own, until Ctrl-C.

It gives them a backplane, too: a NATS for events and stores that is a part of hanse dev.

The programs are the main packages that call hanse.Main, or those that hanse.yaml names, which may be in any language. They find
each other without settings, and a program started by hand in the same folder joins them. When a file changes, the services that
it concerns are built again and replaced: the new process is ready before the old one drains, and when the code does not build
the old one stays. Programs that only call services are started by hanse start.

Services keep the requests and replies of their calls in traces, 16384 bytes of each; HANSE_CAPTURE sets another number, 0 none.

All services are at one address, too, for programs of this machine that are no members: by gRPC, Connect, gRPC-Web, REST and
WebSocket, with /docs, /openapi.json, JSON-RPC at /rpc, and tools for AI agents at /mcp. It stays the same in the next run.

The dashboard shows all of it in a browser, by the link that is printed: what runs, who calls whom, and what is wrong. Its link, too,
stays the same.`,
		Example: `  hanse dev                                  the system of this folder
  hanse dev --one                            each program in one process
  hanse dev --replicas cart=3 ./shop         three copies of a service
  hanse dev --services cart,checkout         these only; hanse start starts others
  hanse dev --gateway localhost:8080         all of them at this address`,
		Args: argCount(0, 1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = "."
			if len(args) == 1 {
				o.Dir = args[0]
			}
			if o.CertificateLife < time.Second {
				return ui.Usagef("--certificate-life %v: certificates are good for a second at least", o.CertificateLife)
			}
			var err error
			if o.Replicas, err = parseReplicas(replicas); err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			if err := frontOf(&o, front); err != nil {
				return err
			}
			if err := checkLocal("--dashboard", o.DashboardAddr); err != nil {
				return err
			}
			o.Run = []string{self, "run"}
			o.Generate = generate
			kill, end := secondSignal(cmd.Context())
			defer end()
			o.Kill = kill
			return dev.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.One, "one", false, "run each program whole, in one process")
	f.StringArrayVar(&replicas, "replicas", nil, "run a service in several copies: `SERVICE=N`; repeatable")
	f.StringVar(&o.Backplane, "backplane", os.Getenv("HANSE_BACKPLANE"), "the `URL` of the NATS that the programs use, or off (default one inside of hanse dev, whose data outlive it)")
	f.BoolVar(&o.NoIdentity, "no-identity", false, "let the services speak plaintext, without certificates")
	f.DurationVar(&o.CertificateLife, "certificate-life", time.Hour, "how long certificates are good; they are renewed when a third of the `time` is over")
	f.StringVar(&front, "gateway", "", "serve all services at this `host:port` of this machine; off: at none (default a port of 127.0.0.1 that stays the same)")
	f.StringVar(&o.DashboardAddr, "dashboard", "", "show the system in a browser at this `host:port` of this machine; off: do not (default a port of 127.0.0.1 that stays the same)")
	f.StringSliceVar(&o.Services, "services", nil, "start only these services: `NAME,…` (default all)")
	f.StringVar(&o.Name, "system", os.Getenv("HANSE_SYSTEM"), "the `name` of the system (default that in hanse.yaml, or the folder's)")
	return cmd
}

// checkLocal refuses an address for the dashboard that others reach.
func checkLocal(flag, addr string) error {
	if addr == "" || addr == dev.NoDashboard && flag == "--dashboard" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return ui.Usagef("%s: %q is not host:port", flag, addr).Then("write %s localhost:4000", flag)
	}
	if !gateway.LocalName(host) {
		return ui.Usagef("%s: others than this machine reach %s, and who has the link can do what its pages do", flag, addr).Then("write %s localhost:4000, and reach it from elsewhere by ssh -L", flag)
	}
	return nil
}

// frontDrain is how long the gateway waits at the end for calls that run: the services behind it end at the same time.
const frontDrain = 5 * time.Second

// frontOf puts a gateway before the system, at the address that --gateway gives.
func frontOf(o *dev.Options, addr string) error {
	if addr == "off" {
		return nil
	}
	if addr != "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return ui.Usagef("--gateway: %q is not host:port", addr).Then("write --gateway localhost:8080, or --gateway off")
		}
		if !gateway.LocalName(host) {
			return ui.Usagef("--gateway: others than this machine reach %s, and everything would be open to them", addr).Then("write --gateway localhost:8080; hanse gateway, with a file, shows a system to others")
		}
	}
	o.GatewayAddr = addr
	o.Gateway = func(ctx context.Context, f dev.Front) error {
		tell, err := gatewayTelemetry(f.Telemetry)
		if err != nil {
			return err
		}
		app := &hanse.App{Registry: f.Registry, Logger: f.Logger, Telemetry: tell}
		if f.Authority != nil {
			app.Identity = cli{f.Authority, gatewayIdentity}
		}
		defer app.Close()
		g := newEdge()
		g.Registry, g.Conn, g.Listener, g.Logger, g.DrainTimeout = app.Registry, app.Conn, f.Listener, f.Logger, frontDrain
		g.Telemetry, g.Settings.Docs, g.Settings.MCP = app.CallerTelemetry(), true, true
		return g.Run(ctx)
	}
	return nil
}

// parseReplicas reads SERVICE=N.
func parseReplicas(args []string) (map[string]int, error) {
	replicas := make(map[string]int)
	for _, arg := range args {
		name, n, err := serviceCount(arg)
		if err != nil {
			return nil, ui.Usagef("--replicas: %w", err).Then("write --replicas SERVICE=N, such as --replicas cart=3")
		}
		replicas[name] = n
	}
	return replicas, nil
}

func serviceCount(arg string) (name string, n int, err error) {
	name, number, ok := strings.Cut(arg, "=")
	if n, err = strconv.Atoi(number); !ok || name == "" || err != nil || n < 0 {
		return "", 0, errors.New(strconv.Quote(arg) + " is not SERVICE=N")
	}
	return name, n, nil
}

// secondSignal returns a channel that is closed at the second signal; the first one ends ctx.
func secondSignal(ctx context.Context) (kill <-chan struct{}, end func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	left := 2
	if ctx.Err() != nil { // the first one came before
		left = 1
	}
	killed := make(chan struct{})
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if countDown(left, signals, over) {
			close(killed)
		}
	})
	return killed, func() {
		signal.Stop(signals)
		close(over)
		wg.Wait()
	}
}

// oneRequest is how long signals count as one: timeout(1) and others signal a program and then its process group. People take longer.
const oneRequest = 250 * time.Millisecond

// countDown reports whether n signals came before it was over. It counts, and does not ask whether ctx has ended: nobody knows
// which of the two that hear of the first signal does so first.
func countDown(n int, signals <-chan os.Signal, over <-chan struct{}) bool {
	var last time.Time // that counted
	for n > 0 {
		select {
		case <-signals:
			if time.Since(last) > oneRequest {
				last = time.Now()
				n--
			}
		case <-over:
			return false
		}
	}
	return true
}

// generate is hanse gen for those of the files that were generated before; writing a .proto file asks for no code by itself.
func generate(ctx context.Context, files []string) (written []string, err error) {
	var known []string
	for _, f := range files {
		if made, _ := filepath.Glob(filepath.Join(filepath.Dir(f), "*.pb.go")); len(made) > 0 {
			known = append(known, f)
		}
	}
	if len(known) == 0 {
		return nil, nil
	}
	dir := filepath.Dir(known[0])
	dir = cmp.Or(moduleFolder(dir), dir) // what is wrong is told relative to it
	res, err := gen.Run(ctx, gen.Options{Dir: dir, Args: known})
	if err != nil {
		return nil, err
	}
	for _, f := range append(res.Written, res.Removed...) {
		if !filepath.IsAbs(f) {
			f = filepath.Join(dir, f)
		}
		written = append(written, f)
	}
	return written, nil
}

// guardCommand is what hanse run runs commands in other languages under; see [process.Guard].
const guardCommand = "guard-command"

func newGuard() *cobra.Command {
	return &cobra.Command{
		Use:                guardCommand + " COMMAND [ARG]…",
		Short:              "Run a command that ends with hanse run; for hanse run itself",
		Hidden:             true,
		DisableFlagParsing: true,
		Args:               argCount(1, -1, "a command"),
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := process.Guard(args)
			if err != nil {
				return err
			}
			if code != 0 {
				return ui.Silent{Exit: code}
			}
			return nil
		},
	}
}
