package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/identity"
)

// shape is one way to run the shop: the same binary, other settings.
type shape struct {
	name   string
	env    []string
	split  bool
	mutual bool // each process has a certificate of its own, and demands those of the others

	addr   string
	procs  []*exec.Cmd
	output tail

	took    []time.Duration
	cpu     time.Duration
	memory  int64
	written int64
}

// purchase buys in running shops of all shapes at once, in turn.
func purchase(ctx context.Context, env *environment) (*section, error) {
	bin, err := buildShop(ctx, env)
	if err != nil {
		return nil, err
	}
	shapes := []*shape{
		{name: "one process"},
		{name: "twelve processes, unix sockets", split: true, env: []string{"HANSE_PATH=unix"}},
		{name: "twelve processes, TCP", split: true, env: []string{"HANSE_PATH=tcp"}},
		{name: "twelve processes, TCP, mutual TLS", split: true, mutual: true, env: []string{"HANSE_PATH=tcp"}},
		{name: "twelve processes, TCP, grpc-go's transport", split: true, env: []string{"HANSE_PATH=tcp", "HANSE_WIRE=grpc-go"}},
	}
	services, err := exec.CommandContext(ctx, bin, "--list-services").Output()
	if err != nil {
		return nil, err
	}
	backplane, stopBackplane, err := startBackplane(ctx, env)
	if err != nil {
		return nil, err
	}
	defer stopBackplane()
	rounds, each := 20, 25
	if env.quick {
		rounds, each = 2, 5
	}
	run := func() error {
		for i, s := range shapes {
			if err := s.start(ctx, env, bin, i, backplane, strings.Fields(string(services))); err != nil {
				return err
			}
		}
		for round := range rounds + 1 { // the first warms up
			for _, s := range shapes {
				if err := s.buy(ctx, each, round > 0); err != nil {
					return fmt.Errorf("%s: %w\n%s", s.name, err, s.output.String())
				}
			}
		}
		return nil
	}
	err = run()
	for _, s := range shapes {
		err = errors.Join(err, s.stop())
	}
	if err != nil {
		return nil, err
	}

	sec := &section{
		intro: fmt.Sprintf("A purchase is what a browser sends: product page, into the cart, checkout page, order (six requests; "+
			"carts, payments and orders are in SQLite). What an order brings with it (a confirmation by e-mail, stock, points) follows by an event, by way of a backplane in the process of the benchmark. Each shape did %d purchases, four customers at a time, in interleaved rounds; the same binary, only the environment differs. "+
			"*Between services* is what the processes wrote beyond what one process writes (to its files and its customers).", rounds*each),
		header: []string{"shape", "p50", "p99", "CPU per purchase", "between services, per purchase", "resident memory"},
	}
	alone := shapes[0].written / int64(len(shapes[0].took))
	for i, s := range shapes {
		slices.Sort(s.took)
		between := "–"
		if i > 0 {
			between = fmt.Sprintf("%.1f KiB", float64(s.written/int64(len(s.took))-alone)/(1<<10))
		}
		sec.add(s.name, ms(percentile(s.took, 0.5)), ms(percentile(s.took, 0.99)), ms(s.cpu/time.Duration(len(s.took))), between, mib(s.memory))
	}
	return sec, nil
}

// startBackplane runs what carries the events of all shapes, each of which is a system of its own.
func startBackplane(ctx context.Context, env *environment) (url string, stop func(), err error) {
	server := &embednats.Server{Dir: filepath.Join(env.tmp, "shop-backplane"), Addr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)}
	running, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Run(running) // its error is that of URL
	}()
	stop = func() {
		cancel()
		<-done
	}
	if url, err = server.URL(ctx); err != nil {
		stop()
	}
	return url, stop, err
}

// buildShop builds examples/shop with grpc-go's transport in reserve, which the shop itself does not link.
func buildShop(ctx context.Context, env *environment) (bin string, err error) {
	dir := filepath.Join(env.tmp, "shop-source")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(env.root, "examples"))); err != nil {
		return "", err
	}
	if err := replaceRoot(dir, env.root); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "shop", "main.go")
	source, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	const short, long = "hanse.Main(", "(&hanse.App{Wire: grpcwire.Wire{Standby: true}}).Main("
	if strings.Count(string(source), short) != 1 || strings.Count(string(source), "import (") != 1 {
		return "", fmt.Errorf("%s does not look as it used to: adapt buildShop", file)
	}
	changed := strings.NewReplacer(short, long, "import (", "import (\n\t\"github.com/hanse-go/hanse/rpc/grpcwire\"").Replace(string(source))
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		return "", err
	}
	bin = filepath.Join(env.tmp, "shop")
	return bin, goBuild(ctx, dir, bin, "./shop", "-tags", "grpcnotrace")
}

func (s *shape) start(ctx context.Context, env *environment, bin string, n int, backplane string, services []string) error {
	var err error
	if s.addr, err = freeAddr(); err != nil {
		return err
	}
	system := fmt.Sprintf("bench-%d", n)
	authority, err := identity.NewAuthority(system)
	if err != nil {
		return err
	}
	common := append(os.Environ(), append(s.env,
		"HANSE_REGISTRY=local:"+system,
		"HANSE_SYSTEM="+system,
		"HANSE_BACKPLANE="+backplane,
		"HANSE_LOG_LEVEL=warn",
		"SHOP_DATA="+filepath.Join(env.tmp, fmt.Sprintf("shop-%d", n)),
	)...)
	sets := []string{strings.Join(services, ",")}
	if s.split {
		sets = services
	}
	for _, set := range sets {
		cmd := exec.CommandContext(ctx, bin, "--services", set)
		cmd.Env = common[:len(common):len(common)]
		if !s.split || set == "storefront" {
			cmd.Env = append(cmd.Env, "HANSE_ADDR="+s.addr)
		}
		if s.mutual {
			dir := filepath.Join(env.tmp, "identity", system, set)
			if err := authority.WriteFiles(dir, set); err != nil {
				return err
			}
			cmd.Env = append(cmd.Env, "HANSE_IDENTITY="+dir)
		}
		cmd.Stdout, cmd.Stderr = &s.output, &s.output
		if err := cmd.Start(); err != nil {
			return err
		}
		s.procs = append(s.procs, cmd)
	}
	_, err = accepts(ctx, s.addr, time.Now())
	return err
}

func (s *shape) stop() error {
	var errs []error
	for _, cmd := range s.procs {
		errs = append(errs, stop(cmd))
	}
	return errors.Join(errs...)
}

// buy has four customers buy n times together.
func (s *shape) buy(ctx context.Context, n int, counts bool) error {
	var pids []int
	for _, cmd := range s.procs {
		pids = append(pids, cmd.Process.Pid)
	}
	before, err := usageOfAll(pids)
	if err != nil {
		return err
	}
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		errs []error
		took []time.Duration
		left = n
	)
	for range 4 {
		wg.Go(func() {
			for {
				mu.Lock()
				left--
				done := left < 0 || len(errs) > 0
				mu.Unlock()
				if done {
					return
				}
				begin := time.Now()
				err := buyOnce(ctx, "http://"+s.addr)
				mu.Lock()
				took = append(took, time.Since(begin))
				if err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	after, err := usageOfAll(pids)
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	if counts {
		s.took = append(s.took, took...)
		s.cpu += after.cpu - before.cpu
		s.written += after.written - before.written
		s.memory = after.rss
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
