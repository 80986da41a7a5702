package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var hubBanner = regexp.MustCompile(`✓ hub of (\S+) in (\S+); (.*) --backplane '([^']+)'`)

// hub starts hanse hub and returns what it says programs are to be told.
func (p *machine) hub(dir string, args ...string) (*devRun, hanse.NATS) {
	p.t.Helper()
	d := p.background(dir, append([]string{"hub", "--addr", "127.0.0.1:0"}, args...)...)
	var said []string
	p.await("hanse hub runs", func() bool {
		select {
		case <-d.exited:
			p.t.Fatalf("hanse hub ended: %v", d.cmd.ProcessState)
		default:
		}
		said = hubBanner.FindStringSubmatch(d.out.String())
		return said != nil
	})
	return d, hanse.NATS(said[4])
}

// jetStream connects to a hub until the test ends.
func jetStream(t *testing.T, b hanse.NATS, opts ...nats.Option) jetstream.JetStream {
	t.Helper()
	nc, err := b.Connect(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// stored returns how many messages the stream EVENTS has, which is made when it is missing; -1 when nobody can tell.
func stored(js jetstream.JetStream, replicas int) int {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	st, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events"}, Replicas: replicas})
	if err != nil {
		return -1
	}
	return int(st.CachedInfo().State.Msgs)
}

func TestHub(t *testing.T) {
	p := newMachine(t)
	dir, data := filepath.Join(t.TempDir(), "shop"), filepath.Join(t.TempDir(), "data")
	if err := os.MkdirAll(filepath.Join(dir, "cart"), 0o755); err != nil {
		t.Fatal(err)
	}
	health := discoverytest.FreeAddress(t)
	d, backplane := p.hub(dir, "--dir", data, "--health", health)
	token, err := os.ReadFile(filepath.Join(data, "token"))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(data, "token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token is kept with %v, %v", info.Mode(), err)
	}
	if strings.Contains(d.out.String(), strings.TrimSpace(string(token))) {
		t.Error("the token is printed")
	}
	for _, page := range []string{"/healthz", "/readyz"} {
		resp, err := http.Get("http://" + health + page)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || string(text) != "ok\n" {
			t.Errorf("%s: %d %s", page, resp.StatusCode, text)
		}
	}
	_, host, _ := strings.Cut(strings.SplitN(string(backplane), "?", 2)[0], "://")
	if nc, err := nats.Connect(host); err == nil {
		nc.Close()
		t.Error("connected without the token")
	}
	js := jetStream(t, backplane)
	if n := stored(js, 1); n != 0 {
		t.Errorf("%d messages in a new hub", n)
	}
	if _, err := js.Publish(t.Context(), "events", nil); err != nil {
		t.Fatal(err)
	}

	// Programs and commands in the folder find it, and so each other.
	app := &hanse.App{System: "shop", Backplane: backplane, Logger: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, &hanse.Service{Name: "cart"}) }()
	p.await("hanse ps shows the service", func() bool {
		out, _, _ := p.hanse(filepath.Join(dir, "cart"), "ps")
		return regexp.MustCompile(`(?m)^cart .* ready `).MatchString(out)
	})
	if out, errs, status := p.hanse(t.TempDir(), "ps", "--system", "shop"); status != 0 || !strings.Contains(out, "cart") {
		t.Errorf("hanse ps --system shop: %d %s%s", status, out, errs)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}

	if _, errs, status := p.hanse(t.TempDir(), "hub", "--addr", "127.0.0.1:0", "--dir", data); status != 1 || !strings.Contains(errs, fmt.Sprintf("is in use by process %d", d.cmd.Process.Pid)) {
		t.Errorf("a second hub on the same data: status %d: %s", status, errs)
	}
	js.Conn().Close()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-d.exited
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d after SIGTERM", code)
	}
	_, backplane = p.hub(dir, "--dir", data)
	if n := stored(jetStream(t, backplane), 1); n != 1 {
		t.Errorf("%d messages after a restart, want 1", n)
	}
	if again, err := os.ReadFile(filepath.Join(data, "token")); err != nil || string(again) != string(token) {
		t.Errorf("another token after a restart: %v", err)
	}
}

// Certificates in place of the token.
func TestHubTLS(t *testing.T) {
	p := newMachine(t)
	dir, creds := t.TempDir(), discoverytest.NewCredentials(t)
	for to, from := range map[string]string{"tls.crt": creds.CertFile, "tls.key": creds.KeyFile, "ca.crt": creds.CAFile} {
		if err := copyFile(filepath.Join(dir, to), from); err != nil {
			t.Fatal(err)
		}
	}
	_, backplane := p.hub(t.TempDir(), "--dir", filepath.Join(dir, "data"), "--tls", dir)
	if !strings.HasPrefix(string(backplane), "tls://127.0.0.1:") {
		t.Errorf("programs are told %s", backplane)
	}
	if n := stored(jetStream(t, backplane), 1); n != 0 {
		t.Errorf("%d messages", n)
	}
	without, _, _ := strings.Cut(string(backplane), "&cert=")
	if nc, err := hanse.NATS(without).Connect(t.Context()); err == nil {
		nc.Close()
		t.Error("connected without a certificate")
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "token")); err == nil {
		t.Error("a token was made, and nobody needs it")
	}
}

// Nothing that a cluster of three acknowledged is lost with one of them.
func TestHubCluster(t *testing.T) {
	p := newMachine(t)
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var peers []string
	for range 3 {
		peers = append(peers, discoverytest.FreeAddress(t))
	}
	addrs := make([]string, 3)
	node := func(i int) *devRun {
		t.Helper()
		d := p.background(dir, "hub", "--system", "shop", "--dir", filepath.Join(dir, fmt.Sprint(i)), "--addr", addrs[i], "--token-file", token,
			"--cluster", peers[i], "--join", peers[(i+1)%3]+","+peers[(i+2)%3], "--drain", "1s")
		p.await("the server runs", func() bool { return hubBanner.MatchString(d.out.String()) })
		return d
	}
	var nodes []*devRun
	for i := range peers {
		addrs[i] = discoverytest.FreeAddress(t)
		nodes = append(nodes, node(i))
	}
	js := jetStream(t, hanse.NATS("nats://"+strings.Join(addrs, ",")+"?token-file="+token), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	p.await("the stream is made", func() bool { return stored(js, 3) == 0 })
	acknowledged := 0
	publish := func(n int) {
		t.Helper()
		for range n {
			p.await("an event is stored", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				_, err := js.Publish(ctx, "events", nil)
				return err == nil
			})
			acknowledged++
		}
	}
	publish(50)
	nodes[0].kill()
	publish(50)
	if err := os.RemoveAll(filepath.Join(dir, "0")); err != nil {
		t.Fatal(err)
	}
	nodes[0] = node(0)
	publish(50)
	caughtUp := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		st, err := js.Stream(ctx, "EVENTS")
		if err != nil || st.CachedInfo().Cluster == nil {
			return false
		}
		peers := st.CachedInfo().Cluster.Replicas
		for _, peer := range peers {
			if !peer.Current || peer.Offline {
				return false
			}
		}
		return len(peers) == 2
	}
	p.await("the server that lost all has it again", caughtUp)
	nodes[1].kill() // what is left is that one, and one that has been there all the time
	publish(50)
	p.await("all are there", func() bool { return stored(js, 3) >= acknowledged })
	js.Conn().Close()
}
