package eurekadiscovery_test

import (
	"fmt"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/eurekadiscovery"
)

func start(t *testing.T) (*eureka, string) {
	e := newEureka()
	server := httptest.NewServer(e)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return e, server.URL + base
}

// handle returns one for which nothing is kept that vanished at once, for the suite does that.
func handle(urls ...string) *eurekadiscovery.Registry {
	return &eurekadiscovery.Registry{Servers: urls, Interval: 100 * time.Millisecond, Grace: -1}
}

func TestRegistrar(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discovery.Registrar {
		_, url := start(t)
		return handle(url)
	}, discoverytest.Limits{Peer: func(_ *testing.T, reg discovery.Registrar) discovery.Registrar {
		return handle(reg.(*eurekadiscovery.Registry).Servers...)
	}})
}

// What others registered is found too.
func TestInstancesOfOthers(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		discoverytest.RunReadOnly(t, func(t *testing.T, services map[string][]string) discovery.Registry {
			e, url := start(t)
			e.legacy = legacy
			for name, addrs := range services {
				for _, addr := range addrs {
					host, text, err := net.SplitHostPort(addr)
					if err != nil {
						t.Fatal(err)
					}
					port, err := strconv.Atoi(text)
					if err != nil {
						t.Fatal(err)
					}
					e.put(name, name+":"+addr, host, port, object{"management.port": "8081"})
				}
			}
			return handle(url)
		}, discoverytest.Limits{})
	}
}

func TestOpen(t *testing.T) {
	schemes := discovery.Schemes{"eureka": eurekadiscovery.Open}
	for url, want := range map[string]string{
		"eureka:":                      "eureka:http://127.0.0.1:8761/eureka",
		"eureka:http://h:8761/eureka/": "eureka:http://h:8761/eureka",
		"eureka:https://a/eureka/v2,http://b:8761/eureka":    "eureka:https://a/eureka/v2,http://b:8761/eureka",
		"eureka:http://h:8761/eureka?interval=2s&ttl=15s":    "eureka:http://h:8761/eureka",
		"eureka:http://a:1/eureka, http://b:1/eureka?ttl=9s": "eureka:http://a:1/eureka,http://b:1/eureka",
	} {
		reg, err := discovery.Parse(url, schemes)
		if err != nil || fmt.Sprint(reg) != want {
			t.Errorf("%s: %v, %v; want %s", url, reg, err, want)
		}
	}
	for url, want := range map[string]string{
		"eureka://h:8761/eureka":              "want the base URL",
		"eureka:h:8761":                       "want the base URL",
		"eureka:http://h:8761/eureka/apps":    "without /apps",
		"eureka:http://u:p@h:8761/eureka":     "no user in the URL",
		"eureka:http://h/eureka?ttl=1s":       "at least 3s",
		"eureka:http://h/eureka?interval=1ms": "at least 100ms",
		"eureka:http://h/eureka?interval=x":   "interval",
		"eureka:http://h/eureka?zone=a":       "known are interval, ttl",
		"eureka:http://h/eureka,":             "want the base URL",
		"eureka:http://[/eureka":              "server",
	} {
		if _, err := discovery.Parse(url, schemes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", url, err, want)
		}
	}
	if s := fmt.Sprint(&eurekadiscovery.Registry{Servers: []string{"http://u:secret@h:1/eureka"}}); strings.Contains(s, "secret") {
		t.Errorf("a password is shown: %s", s)
	}
}
