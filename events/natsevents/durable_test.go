package natsevents_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
)

// serveChild is what this program does when it is started as a server: it says its URL, and runs until it is killed or its input ends.
func serveChild(dir string) {
	s := &embednats.Server{
		Dir: dir, Addr: "127.0.0.1:0", Token: "secret", NoSync: os.Getenv("NATSEVENTS_TEST_NOSYNC") != "",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if err := shadow(dir, os.Getenv("NATSEVENTS_TEST_SHADOW")); err != nil {
		fmt.Println("shadow:", err)
		os.Exit(3)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	go func() {
		url, err := s.URL(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("url", url)
	}()
	if err := s.Run(ctx); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child is a server in a process of its own.
type child struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	kill func()
}

func startChild(t *testing.T, dir string, env ...string) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.Command(os.Args[0], "-test.run=^$")}
	c.cmd.Env = append(append(os.Environ(), "NATSEVENTS_TEST_SERVER="+dir), env...)
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	c.kill = func() {
		if !killed {
			killed = true
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait() // says that it was killed
			_ = stdin.Close()
		}
	}
	t.Cleanup(c.kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if why, ok := strings.CutPrefix(lines.Text(), "shadow: "); ok {
			t.Skip("the writes of a process cannot be told apart here: " + why)
		}
		if url, ok := strings.CutPrefix(lines.Text(), "url "); ok {
			c.url = url
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return c
		}
		t.Log(lines.Text())
	}
	t.Fatal("the server does not start")
	return nil
}

// acknowledged publishes until the server is killed, and returns the IDs of the events that were acknowledged.
func acknowledged(t *testing.T, c *child, enough int) (ids []string) {
	b := broker(t, connect(t, c.url))
	eventstest.Declare(t, b, "t")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stored := make(chan string, 1<<20)
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			id := fmt.Sprint(i)
			b.Publish(ctx, "t", eventstest.Event(id, id), func(err error) {
				if err == nil {
					stored <- id
				}
			})
		}
	}()
	for len(ids) < enough {
		select {
		case id := <-stored:
			ids = append(ids, id)
		case <-time.After(20 * time.Second):
			t.Fatalf("%d events were stored", len(ids))
		}
	}
	c.kill()
	cancel()
	b.Close()
	for {
		select {
		case id := <-stored:
			ids = append(ids, id)
		default: // an answer that is told of later does not count
			return ids
		}
	}
}

// missing says which of the events a server has not, that runs on a folder.
func missing(t *testing.T, dir string, ids []string) (gone []string) {
	c := startChild(t, dir)
	defer c.kill()
	b := broker(t, connect(t, c.url))
	eventstest.Declare(t, b, "t")
	s := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "m", eventstest.FromFirst, func(s *events.SubscriptionInfo) { s.MaxInFlight = 1000 }))
	has := make(map[string]bool)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		all, err := s.Next(ctx, 1000)
		cancel()
		if err != nil {
			break
		}
		for _, d := range all {
			has[d.Message().ID] = true
			_ = d.Ack(t.Context())
		}
	}
	eventstest.Leave(t, s)
	for _, id := range ids {
		if !has[id] {
			gone = append(gone, id)
		}
	}
	return gone
}

// What was acknowledged survives the sudden death of the server's process, synced or not: the operating system has it.
func TestKilledServer(t *testing.T) {
	for _, sync := range []string{"", "NATSEVENTS_TEST_NOSYNC=1"} {
		dir := t.TempDir()
		stored := acknowledged(t, startChild(t, dir, sync), 2000)
		if gone := missing(t, dir, stored); len(gone) > 0 {
			t.Errorf("%q: %d of %d acknowledged events are lost", sync, len(gone), len(stored))
		}
	}
}

// What was acknowledged survives the loss of all that was not synced. The server's process copies a file to another folder when it syncs it,
// before it goes on; that folder is what a disk has after a crash of the machine, if whatever was not synced is lost. (That a name
// is on the disk when its file was synced is taken for granted, as on the file systems of Linux.) Without syncing, events are lost: else the test would prove nothing.
func TestUnsyncedWritesAreLost(t *testing.T) {
	for sync, durable := range map[string]bool{"": true, "NATSEVENTS_TEST_NOSYNC=1": false} {
		dir, disk := t.TempDir(), filepath.Join(t.TempDir(), "disk")
		stored := acknowledged(t, startChild(t, dir, sync, "NATSEVENTS_TEST_SHADOW="+disk), 500)
		gone := missing(t, disk, stored)
		t.Logf("%q: %d of %d acknowledged events are lost", sync, len(gone), len(stored))
		if durable != (len(gone) == 0) {
			t.Errorf("%q: %d of %d acknowledged events are lost", sync, len(gone), len(stored))
		}
	}
}
