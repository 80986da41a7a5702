//go:build unix

package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/e2e/tally"
)

// cluster is three brokers that keep everything in three places.
type cluster []*hub

func newCluster(t *testing.T) cluster {
	t.Helper()
	var c cluster
	var peers []string
	for range 3 {
		c = append(c, newHub(t))
		peers = append(peers, quietAddress(t))
	}
	for i, h := range c {
		h.health = quietAddress(t)
		h.args = []string{"--cluster", peers[i], "--join", peers[(i+1)%3] + "," + peers[(i+2)%3], "--health", h.health}
		h.start()
	}
	for _, h := range c {
		h.awaitReady()
	}
	return c
}

// awaitReady waits until a node has what the others have.
func (h *hub) awaitReady() {
	h.t.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	await(h.t, "a node is ready", func() bool {
		resp, err := client.Get("http://" + h.health + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func (c cluster) url() string {
	var addresses []string
	for _, h := range c {
		addresses = append(addresses, h.address)
	}
	return "nats://" + strings.Join(addresses, ",") + "?token-file=" + c[0].token
}

// chaosEventsNode publishes and handles events through a cluster while something happens to it.
func chaosEventsNode(t *testing.T, v *verdict, happen func(cluster, *ledger)) {
	build(t, "tallyman")
	c := newCluster(t)
	effects := filepath.Join(t.TempDir(), "effects")
	publisher := join(t, "publisher", c.url(), func(s *hanse.Service) { tally.Marks.Declare(s) })
	tallyman(t, c.url(), "handler", map[string]string{"TALLY_EFFECTS": effects})
	l, end := publish(t, publisher, tally.Load{Name: "p", Topic: tally.Marks, Keys: 40, PerSecond: 100, Timeout: 30 * time.Second})
	await(t, "events are handled", func() bool { return len(book(t, effects)) > 100 })
	happen(c, l)
	end()
	all, took := awaitHandled(t, l.marks(), fromBook(t, effects))
	v.judge(judge(l.marks(), all), true)
	// What the old leader has swallowed is not sent again once a later event of its partition is stored.
	failed, vague := 0, error(nil)
	for _, f := range l.failures() {
		if failed++; !strings.Contains(f.err.Error(), "to keep the order") {
			vague = f.err
		}
	}
	v.hold(vague == nil, "publishers wait for another leader, or are told that the order would be lost", "%d told so, others: %s; the slowest took %v; all was handled %v after the last event",
		failed, why(vague), l.slowest.Round(10*time.Millisecond), took.Round(10*time.Millisecond))
}

// chaosEventsWiped kills each node in turn, takes away what it had, and starts it again.
func chaosEventsWiped(t *testing.T, v *verdict) {
	chaosEventsNode(t, v, func(c cluster, l *ledger) {
		for _, h := range c {
			h.process.kill(t)
			if err := os.RemoveAll(filepath.Join(h.dir, "data")); err != nil {
				t.Fatal(err)
			}
			killed := time.Now()
			await(t, "events are acknowledged by the others", func() bool { return !l.since(killed.Add(5 * time.Second)).IsZero() })
			h.start()
			h.awaitReady()
		}
	})
}

// chaosEventsLeaderStopped stops the nodes in turn: one of them leads.
func chaosEventsLeaderStopped(t *testing.T, v *verdict) {
	chaosEventsNode(t, v, func(c cluster, l *ledger) {
		for _, h := range c {
			thaw := h.process.freeze(t)
			stopped := time.Now()
			await(t, "events are acknowledged by the others", func() bool { return !l.since(stopped.Add(time.Second)).IsZero() })
			wait(10 * time.Second)
			thaw()
			h.awaitReady()
		}
	})
}
