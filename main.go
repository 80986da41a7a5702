package hanse

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
)

// Main runs a program that consists of these services, or of those among them that --services names. It is [App.Main] with an App
// of defaults.
func Main(services ...*Service) { new(App).Main(services...) }

// Main runs a program: it takes settings from flags and the environment, finds out which system the program belongs to, runs the
// services until SIGTERM or SIGINT (Ctrl-C) asks it to stop, and drains. A second signal ends it at once; within 250 ms of the first
// it counts as the same. Main returns when all went well; otherwise it exits: with status 1 after a failure, with 2 when it was used wrongly.
//
// Flags win over the environment, which wins over fields of a; only Listener is never overridden. The program's own flags, those
// registered on [flag.CommandLine], are parsed together with Main's, unless [flag.Parse] was called before: then flags were the
// program's business and Main takes settings from the environment alone. --help lists them all.
//
// Main logs to standard error, and makes its logger the default one of package slog, unless a.Logger is set.
func (a *App) Main(services ...*Service) {
	if status := a.main(services); status != 0 {
		os.Exit(status)
	}
}

// FromEnv returns an App with the settings of the environment, for programs that only call: it finds the running system as Main
// does. Close it at the end. When HANSE_LIST_SERVICES asks which services the program has, FromEnv prints that it has none and ends
// the program.
func FromEnv() (*App, error) {
	a := new(App)
	v, err := a.fromEnv()
	if err != nil {
		return nil, err
	}
	if v.list != "" { // whoever asks wants no more than the list, and here it is empty
		if err := list(os.Stdout, nil, v.list == "json"); err != nil {
			return nil, err
		}
		os.Exit(0)
	}
	if err := a.watchLifeline(v.lifeline, endProcess); err != nil {
		return nil, err
	}
	v.setLogLevels()
	if a.Logger == nil {
		a.Logger = v.newLogger(os.Stderr)
	}
	v.warn()
	if err := v.checkBackplane(); err != nil {
		return nil, err
	}
	if err := v.chooseSystem(os.Getenv); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *App) fromEnv() (*values, error) {
	v := &values{app: a}
	a.given = v
	return v, errors.Join(v.fromEnv(os.Getenv), a.telemetryFromEnv())
}

// Statuses with which a program exits.
const (
	exitFailure = 1
	exitUsage   = 2
)

func (a *App) main(services []*Service) (status int) {
	program := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	v, err := a.fromEnv()
	v.offer(services)
	complain := func(status int, err error) int {
		if v.logFormat == logJSON {
			a.logger().Error(err.Error())
			return status
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.HasPrefix(line, " ") { // lines to copy stay as they are
				line = program + ": " + line
			}
			fmt.Fprintln(os.Stderr, line)
		}
		return status
	}
	if err == nil {
		err = v.fromFlags(program, services)
	}
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	v.setLogLevels()
	if a.Logger == nil {
		a.Logger = v.newLogger(os.Stderr)
		slog.SetDefault(a.Logger)
	}
	if err != nil {
		return complain(exitUsage, err)
	}
	if v.list != "" {
		if err := list(os.Stdout, services, v.list == "json"); err != nil {
			return complain(exitFailure, err)
		}
		return 0
	}
	v.warn()
	services, err = v.choose(services)
	if err == nil {
		_, err = a.chosenWire()
	}
	if err == nil {
		err = v.checkBackplane()
	}
	if err != nil {
		return complain(exitUsage, err)
	}

	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	if err := a.watchLifeline(v.lifeline, func() { stop(errLifelineEnded) }); err != nil {
		return complain(exitUsage, err)
	}
	defer a.heedSignals(stop)()
	if err := v.chooseSystem(os.Getenv); err != nil {
		return complain(exitFailure, err)
	}
	if a.AdminAddr == "" {
		a.AdminAddr = defaultAddr
	}
	a.shares = true
	if err := a.Run(ctx, services...); err != nil {
		return complain(exitFailure, err)
	}
	return 0
}

// oneRequest is how long signals count as the one that came first. A program is often told twice: timeout(1) signals it and then its
// process group, and so do shells and supervisors. People take longer to press Ctrl-C again.
const oneRequest = 250 * time.Millisecond

// heedSignals calls stop at the first signal that asks to stop, and ends the process at the second. It returns how to end that.
func (a *App) heedSignals(stop context.CancelCauseFunc) (end func()) {
	signals := make(chan os.Signal, 2)
	done := make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		var first time.Time
		for {
			select {
			case s := <-signals:
				switch {
				case first.IsZero():
					first = time.Now()
					stop(fmt.Errorf("signal: %v", s))
				case time.Since(first) > oneRequest:
					a.logger().Error("second signal: ending at once, whatever still runs", "signal", s.String())
					os.Exit(exitFailure)
				}
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// offer notes which services the program has.
func (v *values) offer(services []*Service) {
	for _, s := range services {
		if s != nil {
			v.offered = append(v.offered, s.Name)
		}
	}
}

// choose returns the services that are to run.
func (v *values) choose(services []*Service) ([]*Service, error) {
	var errs []error
	for _, name := range v.services {
		if !slices.Contains(v.offered, name) {
			errs = append(errs, fmt.Errorf("no service %q in this program: %s", name, suggest(name, v.offered)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.app.Addrs)) {
		if !slices.Contains(v.offered, name) {
			errs = append(errs, fmt.Errorf("--addr %s=%s: no service %q in this program: %s", name, v.app.Addrs[name], name, suggest(name, v.offered)))
		}
	}
	if len(errs) > 0 || len(v.services) == 0 {
		return services, errors.Join(errs...)
	}
	var chosen []*Service
	for _, s := range services {
		if s != nil && slices.Contains(v.services, s.Name) {
			chosen = append(chosen, s)
		}
	}
	v.app.Addrs = maps.Clone(v.app.Addrs)
	maps.DeleteFunc(v.app.Addrs, func(name, _ string) bool { return !slices.Contains(v.services, name) }) // they run elsewhere
	return chosen, nil
}

// list prints the services of the program, for --list-services. Contracts that a Setup registers are not known yet.
func list(w io.Writer, services []*Service, asJSON bool) error {
	type service struct {
		Name      string   `json:"name"`
		Contracts []string `json:"contracts"`
	}
	all := make([]service, 0, len(services))
	for _, s := range services {
		if s == nil {
			continue
		}
		one := service{Name: s.Name, Contracts: []string{}}
		for _, c := range contracts(s.GetServiceInfo()) {
			one.Contracts = append(one.Contracts, c.Name)
		}
		all = append(all, one)
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	for _, s := range all {
		if _, err := fmt.Fprintln(w, s.Name); err != nil {
			return err
		}
	}
	return nil
}

var _ grpc.ServiceRegistrar = (*Service)(nil)
