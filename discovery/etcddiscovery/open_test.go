package etcddiscovery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/etcddiscovery"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

func TestOpen(t *testing.T) {
	schemes := discovery.Schemes{"etcd": etcddiscovery.Open, "etcds": etcddiscovery.Open}
	for url, want := range map[string]string{
		"etcd://10.0.0.1/shop":                 "etcd://10.0.0.1:2379/shop",
		"etcd://10.0.0.1":                      "etcd://10.0.0.1:2379/default",
		"etcd://a:1,b,[::1]:3,[fd00::1]/x.y_z": "etcd://a:1,b:2379,[::1]:3,[fd00::1]:2379/x.y_z",
		"etcds://etcd.example.com/shop":        "etcd://etcd.example.com:2379/shop",
	} {
		reg, err := discovery.Parse(url, schemes)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if got := fmt.Sprint(reg); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
		if err := reg.(*etcddiscovery.Registry).Close(); err != nil {
			t.Errorf("%s: Close: %v", url, err)
		}
	}
	for url, want := range map[string]string{
		"etcd:":                                 "want etcd://HOST:PORT",
		"etcd://":                               `"" is not HOST:PORT`,
		"etcd:///shop":                          `"" is not HOST:PORT`,
		"etcd://a b/shop":                       "not HOST:PORT",
		"etcd://a,,b/shop":                      `"" is not HOST:PORT`,
		"etcd://root:secret@a/shop":             "etcddiscovery.New",
		"etcd://a:1/shop/more":                  "nothing after it",
		"etcd://a:1/shop?ttl=3":                 "nothing after it",
		"etcd://a:1/sh op":                      "up to 64 letters",
		"etcd://a:1/-":                          "up to 64 letters",
		"etcd://:2379/shop":                     "not HOST:PORT",
		"etcd://a:port/shop":                    "not HOST:PORT",
		"etcds://fd00::1/shop":                  "not HOST:PORT",
		"etcd://a:1/" + strings.Repeat("x", 65): "up to 64 letters",
	} {
		if reg, err := discovery.Parse(url, schemes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want an error with %q", url, reg, err, want)
		}
	}
}

func TestOptions(t *testing.T) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"127.0.0.1:1"}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for want, opts := range map[string]etcddiscovery.Options{
		`system "a/b"`:     {System: "a/b"},
		"TTL 1s":           {TTL: time.Second},
		"TTL -1ns":         {TTL: -1},
		"TTL 2.5s":         {TTL: 2500 * time.Millisecond},
		`prefix "/hanse/"`: {Prefix: "/hanse/"},
	} {
		reg := etcddiscovery.New(client, opts)
		if _, err := reg.Register(t.Context(), discovery.Instance{Service: "cart", ID: "c1", State: discovery.Ready}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Register: %v, want an error with %q", err, want)
		}
		if err := reg.Watch(t.Context(), "cart", func([]discovery.Instance) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Watch: %v, want an error with %q", err, want)
		}
	}
	if err := etcddiscovery.New(client, etcddiscovery.Options{}).Close(); err != nil {
		t.Error(err)
	}
	if client.Ctx().Err() != nil {
		t.Error("Close closed a client that is not the registry's own")
	}
}
