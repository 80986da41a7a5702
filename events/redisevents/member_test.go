package redisevents_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/redisevents"
	"github.com/redis/go-redis/v9"
)

// beMember is what this program does when it is started as a member of a group: it says what it got, and settles that with the next line
// that it reads, until its input ends.
func beMember(address string) {
	b := redisevents.New(redis.NewClient(&redis.Options{Addr: address}), redisevents.Options{System: "test", Lease: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	src, err := b.Subscribe(context.Background(), events.SubscriptionInfo{
		Topic: "t", Group: "g", Member: "child", AckWait: 2 * time.Second, MaxInFlight: 4, Ordered: os.Getenv("REDISEVENTS_TEST_ORDERED") != "", Start: events.Start{All: true},
	})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	lines := make(chan struct{})
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- struct{}{}
		}
		os.Exit(0)
	}()
	fmt.Println("joined")
	for {
		all, err := src.Next(context.Background(), 4)
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		for _, d := range all {
			fmt.Println("got", d.Message().ID)
		}
		<-lines
		for _, d := range all {
			select {
			case <-d.Lost():
				fmt.Println("lost", d.Message().ID)
			case <-time.After(3 * time.Second):
			}
			if err := d.Ack(context.Background()); err != nil {
				fmt.Println("refused", d.Message().ID)
			} else {
				fmt.Println("settled", d.Message().ID)
			}
		}
	}
}

// child is a member in a process of its own.
type child struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	kill func()

	mu    sync.Mutex
	lines []string
}

func startMember(t *testing.T, s *server, inOrder bool) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.Command(os.Args[0], "-test.run=^$")}
	c.cmd.Env = append(os.Environ(), "REDISEVENTS_TEST_MEMBER="+s.address)
	if inOrder {
		c.cmd.Env = append(c.cmd.Env, "REDISEVENTS_TEST_ORDERED=1")
	}
	c.cmd.Stderr = os.Stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.mu.Lock()
			c.lines = append(c.lines, lines.Text())
			c.mu.Unlock()
		}
	}()
	c.kill = sync.OnceFunc(func() {
		_ = c.cmd.Process.Kill()
		<-read
		_ = c.cmd.Wait() // it was killed
	})
	t.Cleanup(c.kill)
	return c
}

// said returns what the child said with a word, in order.
func (c *child) said(word string) (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range c.lines {
		if rest, ok := strings.CutPrefix(line, word); ok {
			all = append(all, strings.TrimSpace(rest))
		}
	}
	return all
}

func (c *child) await(word string, n int) []string {
	c.t.Helper()
	discoverytest.Eventually(c.t, fmt.Sprintf("a member says %q %d times", word, n), func() bool { return len(c.said(word)) >= n })
	return c.said(word)
}

func shortWait(s *events.SubscriptionInfo) { s.AckWait = 2 * time.Second }

// TestMemberKilled holds that others get what a member held that was killed, in order, and with one attempt more.
func TestMemberKilled(t *testing.T) {
	t.Parallel()
	for _, inOrder := range []bool{false, true} {
		t.Run(fmt.Sprint("ordered ", inOrder), func(t *testing.T) {
			s := startServer(t)
			b := s.declared("t")
			c := startMember(t, s, inOrder)
			c.await("joined", 1)
			eventstest.Publish(t, b, "t", eventstest.Event("1", "k"), eventstest.Event("2", "k"), eventstest.Event("3", "k"))
			c.await("got", 1)
			held := len(c.said("got"))
			c.kill()
			began := time.Now()
			src := subscribe(t, b, "t", "g", "b", shortWait, func(s *events.SubscriptionInfo) { s.Ordered = inOrder })
			got := eventstest.Take(t, src, 3)
			if order := eventstest.IDs(got); inOrder && !slices.Equal(order, []string{"1", "2", "3"}) {
				t.Errorf("got %v", order)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			again := 0
			for _, d := range got {
				again += d.Attempt() - 1
			}
			if again < held {
				t.Errorf("%d events come again, and %d were held", again, held)
			}
			eventstest.Ack(t, got...)
			eventstest.Nothing(t, src, 2500*time.Millisecond)
		})
	}
}
