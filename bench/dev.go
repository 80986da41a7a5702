package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hanse-go/hanse/bench/sample"
)

// shopServices is how many services examples/shop has at least.
const shopServices = 12

// dev measures how long a person waits: on a machine that has never built Hanse, on the next morning, and after a change.
func dev(ctx context.Context, env *environment) (*section, error) {
	// A copy, because a change is part of what is measured.
	dir := filepath.Join(env.tmp, "examples")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(env.root, "examples"))); err != nil {
		return nil, err
	}
	if err := replaceRoot(dir, env.root); err != nil {
		return nil, err
	}
	cache := "GOCACHE=" + filepath.Join(env.tmp, "gocache")
	home := "XDG_CACHE_HOME=" + filepath.Join(env.tmp, "cache")
	data := "SHOP_DATA=" + filepath.Join(env.tmp, "shop-data")
	sec := &section{
		intro:  "On a copy of `examples`, with modules fetched. *Cold* is an empty build cache, as on a new machine.",
		header: []string{"", "measured", "bound"},
	}

	if err := os.CopyFS(filepath.Join(dir, "stock"), os.DirFS(filepath.Join(env.root, "bench", "testdata", "stock"))); err != nil {
		return nil, err
	}
	rounds := 3
	if env.quick {
		rounds = 1
	}
	var ours, stock []float64
	for range rounds {
		for _, of := range []struct {
			main string
			took *[]float64
		}{{"./hello", &ours}, {"./stock", &stock}} {
			took, err := firstRun(ctx, env, dir, of.main)
			if err != nil {
				return nil, err
			}
			*of.took = append(*of.took, took.Seconds())
		}
	}
	row := func(took []float64) string {
		low, mid, high := sample.Quartiles(took)
		return fmt.Sprintf("%.1f s (%.1f–%.1f)", mid, low, high)
	}
	sec.add("cold: `go run ./hello` answers", row(ours), "40 s")
	sec.add("cold: the same service on grpc-go, in turn with it", row(stock), "")

	for _, run := range []string{"cold", "warm"} {
		sys, err := startDev(ctx, env, dir, "shop", []string{cache, home, data}, "./shop")
		if err != nil {
			return nil, err
		}
		took, list, err := sys.ready(ctx, shopServices)
		if err != nil {
			return nil, errors.Join(err, sys.stop())
		}
		if run == "cold" {
			sec.add("cold: first line of `hanse dev ./shop`", seconds(sys.firstLine), "60 s")
			sec.add("cold: the shop is ready", seconds(took), "180 s")
		} else {
			sec.add("warm: the shop is ready", seconds(took), "10 s")
			var changes []float64
			for range 2*rounds - 1 {
				took, list, err = changeOne(ctx, sys, dir, list)
				if err != nil {
					break
				}
				changes = append(changes, took.Seconds())
			}
			if err == nil {
				sec.add("a change to one service is live", row(changes), "5 s")
			}
		}
		if err = errors.Join(err, sys.stop()); err != nil {
			return nil, err
		}
	}
	return sec, nil
}

// firstRun measures from go run, with an empty build cache, to a program that accepts connections.
func firstRun(ctx context.Context, env *environment, dir, pkg string) (time.Duration, error) {
	cache, err := os.MkdirTemp(env.tmp, "gocache")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(cache)
	addr, err := freeAddr()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "go", "run", pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOCACHE="+cache, "HANSE_ADDR="+addr)
	inOwnGroup(cmd)
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	took, err := acceptsWithin(ctx, addr, begin, 5*time.Minute)
	return took, errors.Join(err, stopGroup(cmd))
}

// changeOne edits the catalog, waits until another instance of it is ready, and returns what is there then.
func changeOne(ctx context.Context, sys *system, dir string, before []instance) (time.Duration, []instance, error) {
	known := map[string]bool{}
	for _, i := range before {
		known[i.Instance] = true
	}
	f, err := os.Create(filepath.Join(dir, "shop", "catalog", "changed.go"))
	if err != nil {
		return 0, nil, err
	}
	begin := time.Now()
	_, err = fmt.Fprintf(f, "package catalog\n\nimport \"os\"\n\n// Changed is different in every measurement.\nvar Changed = os.Getenv(\"HOME\") + %q\n", begin.String())
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, nil, err
	}
	for ctx.Err() == nil && time.Since(begin) < 2*time.Minute {
		list, err := sys.ps(ctx)
		if err != nil {
			return 0, nil, err
		}
		for _, i := range list {
			if i.Service == "catalog" && i.State == "ready" && !known[i.Instance] {
				return time.Since(begin), list, nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return 0, nil, fmt.Errorf("the catalog was not replaced; last output of hanse dev:\n%s", sys.output.String())
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
