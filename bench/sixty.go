package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	sixtyPrograms  = 12
	sixtyPerOne    = 5
	sixtyServices  = sixtyPrograms * sixtyPerOne
	sixtyReadyIn   = 60 * time.Second
	sixtyMostBytes = 2 << 30
)

// sixty starts a generated system of sixty services in twelve programs, each service a process of its own.
func sixty(ctx context.Context, env *environment) (*section, error) {
	dir := filepath.Join(env.tmp, "sixty")
	if err := generateSixty(dir, env.root); err != nil {
		return nil, err
	}
	sec := &section{
		intro:  fmt.Sprintf("`hanse dev` on a generated module of %d programs with %d services each; every service is a process of its own and calls its neighbour.", sixtyPrograms, sixtyPerOne),
		header: []string{"", "measured", "bound"},
	}
	var warm time.Duration
	var memory usage
	for _, run := range []string{"first", "warm"} {
		sys, err := startDev(ctx, env, dir, "sixty", nil)
		if err != nil {
			return nil, err
		}
		took, list, err := sys.ready(ctx, sixtyServices)
		if err != nil {
			return nil, errors.Join(err, sys.stop())
		}
		if run == "warm" {
			warm = took
			pids := []int{sys.cmd.Process.Pid}
			for _, i := range list {
				pids = append(pids, i.PID)
			}
			memory, err = usageOfAll(pids)
		}
		if err := errors.Join(err, sys.stop()); err != nil {
			return nil, err
		}
	}
	sec.add("all services ready, warm build cache", fmt.Sprintf("%.1f s", warm.Seconds()), fmt.Sprintf("%.0f s", sixtyReadyIn.Seconds()))
	sec.add("resident memory, all processes and `hanse dev`", mib(memory.rss), mib(sixtyMostBytes))
	sec.notes = append(sec.notes, "Resident memory counts the pages of the program text in every process that maps them.")
	return sec, nil
}

func generateSixty(dir, root string) error {
	files := map[string]string{
		"go.mod": "module example.com/sixty\n\ngo 1.26.0\n\nrequire github.com/hanse-go/hanse v0.0.0\n\nreplace github.com/hanse-go/hanse => " + root + "\n",
	}
	for p := range sixtyPrograms {
		var list []string
		for s := range sixtyPerOne {
			n := p*sixtyPerOne + s
			list = append(list, fmt.Sprintf("service(%q, %q)", sixtyName(n), sixtyName((n+1)%sixtyServices)))
		}
		files[fmt.Sprintf("program%02d/main.go", p)] = fmt.Sprintf(sixtyMain, strings.Join(list, ",\n\t\t"))
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return goTidy(dir, root)
}

func sixtyName(n int) string { return fmt.Sprintf("service-%02d", n) }

const sixtyMain = `package main

import (
	"context"

	"github.com/hanse-go/hanse"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

func main() {
	hanse.Main(
		%s,
	)
}

func service(name, next string) *hanse.Service {
	return &hanse.Service{Name: name, Setup: func(_ context.Context, s *hanse.Service) error {
		testpb.RegisterTestServiceServer(s, &server{next: testpb.NewTestServiceClient(s.Conn(next))})
		return nil
	}}
}

type server struct {
	testpb.UnimplementedTestServiceServer
	next testpb.TestServiceClient
}

func (s *server) EmptyCall(ctx context.Context, in *testpb.Empty) (*testpb.Empty, error) { return in, nil }

func (s *server) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	_, err := s.next.EmptyCall(ctx, &testpb.Empty{})
	return &testpb.SimpleResponse{Payload: in.GetPayload()}, err
}
`
