package zkdiscovery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/zkdiscovery"
)

func TestOpen(t *testing.T) {
	schemes := discovery.Schemes{"zk": zkdiscovery.Open}
	for url, want := range map[string]string{
		"zk://10.0.0.1/shop":                 "zk://10.0.0.1:2181/shop",
		"zk://10.0.0.1":                      "zk://10.0.0.1:2181/default",
		"zk://a:1,b,[::1]:3,[fd00::1]/x.y_z": "zk://a:1,b:2181,[::1]:3,[fd00::1]:2181/x.y_z",
	} {
		if reg, err := discovery.Parse(url, schemes); err != nil || fmt.Sprint(reg) != want {
			t.Errorf("%s: %v, %v, want %s", url, reg, err, want)
		}
	}
	for url, want := range map[string]string{
		"zk:":                  "want zk://HOST:PORT",
		"zk://":                `"" is not HOST:PORT`,
		"zk:///shop":           `"" is not HOST:PORT`,
		"zk://a b/shop":        "not HOST:PORT",
		"zk://a,,b/shop":       `"" is not HOST:PORT`,
		"zk://root:secret@a/x": "Options.Auth",
		"zk://a:1/shop/more":   "nothing after it",
		"zk://a:1/shop?ttl=3":  "nothing after it",
		"zk://a:1/sh op":       "up to 64 letters",
		"zk://:2181/shop":      "not HOST:PORT",
		"zk://a:port/shop":     "not HOST:PORT",
		"zk://fd00::1/shop":    "not HOST:PORT",
	} {
		if reg, err := discovery.Parse(url, schemes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want an error with %q", url, reg, err, want)
		}
	}
}

func TestOptions(t *testing.T) {
	servers := []string{"127.0.0.1:1"}
	for _, c := range []struct {
		want    string
		servers []string
		opts    zkdiscovery.Options
	}{
		{`system "a/b"`, servers, zkdiscovery.Options{System: "a/b"}},
		{"session timeout 1ms", servers, zkdiscovery.Options{SessionTimeout: time.Millisecond}},
		{`prefix "/hanse/"`, servers, zkdiscovery.Options{Prefix: "/hanse/"}},
		{`prefix "hanse"`, servers, zkdiscovery.Options{Prefix: "hanse"}},
		{"no servers", nil, zkdiscovery.Options{}},
		{`server "a b"`, []string{"a b"}, zkdiscovery.Options{}},
	} {
		reg := zkdiscovery.New(c.servers, c.opts)
		if _, err := reg.Register(t.Context(), discovery.Instance{Service: "cart", ID: "c1", State: discovery.Ready}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Register: %v, want an error with %q", err, c.want)
		}
		if err := reg.Watch(t.Context(), "cart", func([]discovery.Instance) {}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Watch: %v, want an error with %q", err, c.want)
		}
	}
}
