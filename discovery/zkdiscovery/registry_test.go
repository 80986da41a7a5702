//go:build unix

package zkdiscovery_test

import (
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/zkdiscovery"
	"github.com/hanse-go/hanse/hansetest/registrytest"
)

func TestRegistry(t *testing.T) { discoverytest.RunFailures(t, engine) }

func TestOutage(t *testing.T) { registrytest.RunOutage(t, engine, "zk") }

func TestLeaderKilled(t *testing.T) { registrytest.RunLeaderKilled(t, engine, "zk") }

func TestScale(t *testing.T) { discoverytest.RunScale(t, engine) }

func BenchmarkChange(b *testing.B) { discoverytest.BenchmarkChange(b, engine) }

// Nodes are made for who has the same credentials; who has not is told what to set.
func TestCredentials(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	auth := zkdiscovery.Options{Auth: []zkdiscovery.Auth{{Scheme: "digest", Credential: []byte("shop:secret")}}}
	w := discoverytest.Watch(t, server.Open(discoverytest.Handle{}), "cart") // reading is for all
	w.First()
	discoverytest.Register(t, server.open(auth, server.address), discoverytest.Instance("cart", "c1", discovery.Ready))
	discoverytest.Register(t, server.open(auth, server.address), discoverytest.Instance("cart", "c2", discovery.Ready))
	w.Until("both are there", discoverytest.States("c1 ready, c2 ready"))
	_, err := server.Open(discoverytest.Handle{}).Register(t.Context(), discoverytest.Instance("cart", "c3", discovery.Ready))
	if err == nil || !strings.Contains(err.Error(), "set Options.Auth") {
		t.Errorf("Register without credentials: %v", err)
	}
}
