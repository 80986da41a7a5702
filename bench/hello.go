package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hanse-go/hanse/bench/sample"
)

// hello measures the smallest service: size on disk, memory at rest, and the time from exec to the first accepted connection.
func hello(ctx context.Context, env *environment) (*section, error) {
	bin := filepath.Join(env.tmp, "hello")
	if err := goBuild(ctx, filepath.Join(env.root, "examples"), bin, "./hello", "-tags", "grpcnotrace", "-trimpath", "-ldflags", "-s -w"); err != nil {
		return nil, err
	}
	file, err := os.Stat(bin)
	if err != nil {
		return nil, err
	}
	rounds := 21
	if env.quick {
		rounds = 3
	}
	var ready, rss []float64
	for range rounds {
		took, use, err := startOnce(ctx, bin)
		if err != nil {
			return nil, err
		}
		ready = append(ready, float64(took.Microseconds())/1000)
		rss = append(rss, float64(use.rss))
	}
	low, mid, high := sample.Quartiles(ready)
	_, mem, _ := sample.Quartiles(rss)
	sec := &section{
		intro:  fmt.Sprintf("`examples/hello`, built with `-tags grpcnotrace -trimpath -ldflags '-s -w'`, started %d times.", rounds),
		header: []string{"", "measured", "bound"},
	}
	sec.add("size of the binary, stripped", mib(file.Size()), "20 MiB")
	sec.add("resident memory when ready", mib(int64(mem)), "25 MiB")
	sec.add("from exec to accepting calls", fmt.Sprintf("%.0f ms (%.0f–%.0f)", mid, low, high), "100 ms")
	return sec, nil
}

// startOnce starts a service on a free port, waits until it accepts, and stops it.
func startOnce(ctx context.Context, bin string) (time.Duration, usage, error) {
	addr, err := freeAddr()
	if err != nil {
		return 0, usage{}, err
	}
	cmd := exec.CommandContext(ctx, bin)
	cmd.Env = append(os.Environ(), "HANSE_ADDR="+addr, "HANSE_REGISTRY=memory:")
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, usage{}, err
	}
	took, err := accepts(ctx, addr, begin)
	if err != nil {
		return 0, usage{}, errors.Join(err, stop(cmd))
	}
	use, err := usageOf(cmd.Process.Pid)
	return took, use, errors.Join(err, stop(cmd))
}

func accepts(ctx context.Context, addr string, begin time.Time) (time.Duration, error) {
	return acceptsWithin(ctx, addr, begin, 30*time.Second)
}

func acceptsWithin(ctx context.Context, addr string, begin time.Time, limit time.Duration) (time.Duration, error) {
	for time.Since(begin) < limit && ctx.Err() == nil {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			return time.Since(begin), c.Close()
		}
		time.Sleep(200 * time.Microsecond)
	}
	return 0, fmt.Errorf("nothing accepts on %s after %v", addr, time.Since(begin).Round(time.Second))
}

// freeAddr returns a loopback address that was free a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
