package natsstore_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"github.com/hanse-go/hanse/store"
	"github.com/hanse-go/hanse/store/natsstore"
	"github.com/nats-io/nats.go"
)

// The environment that makes this test's binary a process that wants a lock.
const (
	childEnv    = "HANSE_NATSSTORE_TEST_URL" // of the NATS server
	resourceEnv = "HANSE_NATSSTORE_TEST_RESOURCE"
)

// chaosTTL is that of the lock: short, so that there are many holders.
const chaosTTL = store.TTL(time.Second)

// runChild takes the lock again and again, and while it has it writes to the resource.
func runChild() {
	go func() {
		io.Copy(io.Discard, os.Stdin) // its end is this process's
		os.Exit(0)
	}()
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	conn, err := nats.Connect(os.Getenv(childEnv), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		fail(err)
	}
	host := &store.Client{Driver: &natsstore.Store{Conn: conn, System: "chaos"}}
	resource, err := net.Dial("tcp", os.Getenv(resourceEnv))
	if err != nil {
		fail(err)
	}
	answers := bufio.NewReader(resource)
	say := func(what string, token uint64) string {
		fmt.Fprintln(resource, what, os.Getpid(), token)
		answer, err := answers.ReadString('\n')
		if err != nil {
			fail(err)
		}
		return strings.TrimSpace(answer)
	}
	for {
		store.Lock(context.Background(), host, "chaos", func(ctx context.Context, token uint64) error {
			for end := time.Now().Add(time.Second + rand.N(time.Second)); ctx.Err() == nil && time.Now().Before(end); {
				time.Sleep(rand.N(10 * time.Millisecond)) // a process that is stopped here writes too late, and only the resource can know
				if say("write", token) == "refused" && ctx.Err() == nil {
					say("unaware", token)
				}
			}
			if ctx.Err() != nil {
				say("late", token) // as a holder that does not look
			}
			return nil
		}, chaosTTL)
	}
}
