package natsdiscovery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/natsdiscovery"
	"github.com/nats-io/nats.go"
)

func TestOptions(t *testing.T) {
	nc, err := nats.Connect("nats://secret@127.0.0.1:1,localhost", nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for want, opts := range map[string]natsdiscovery.Options{
		`system "a/b"`: {System: "a/b"},
		"TTL 1s":       {TTL: time.Second},
		"TTL -1ns":     {TTL: -1},
		"TTL 2.5s":     {TTL: 2500 * time.Millisecond},
		"-1 replicas":  {Replicas: -1},
	} {
		reg := natsdiscovery.New(nc, opts)
		if _, err := reg.Register(t.Context(), discovery.Instance{Service: "cart", ID: "c1", State: discovery.Ready}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Register: %v, want an error with %q", err, want)
		}
		if err := reg.Watch(t.Context(), "cart", func([]discovery.Instance) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Watch: %v, want an error with %q", err, want)
		}
		if err := reg.WatchSplits(t.Context(), "cart", func([]discovery.Split) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("WatchSplits: %v, want an error with %q", err, want)
		}
	}
	reg := natsdiscovery.New(nc, natsdiscovery.Options{System: "shop"})
	if got := fmt.Sprint(reg); got != "nats://127.0.0.1:1,localhost:4222/shop" {
		t.Errorf("the registry is shown as %s", got)
	}
	if reg.Scope() != discovery.ScopeHost {
		t.Errorf("the scope of servers on loopback is %v", reg.Scope())
	}
}

func TestScope(t *testing.T) {
	nc, err := nats.Connect("nats://127.0.0.1:1,nats://nats.example.invalid:1", nats.RetryOnFailedConnect(true), nats.Timeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if scope := natsdiscovery.New(nc, natsdiscovery.Options{}).Scope(); scope != discovery.ScopeNetwork {
		t.Errorf("the scope of servers elsewhere is %v", scope)
	}
}
