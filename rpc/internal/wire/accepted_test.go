package wire_test

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/rpc/internal/wire"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLimitStalls writes to peers that take what comes in their own way, with a limit of a minute.
func TestLimitStalls(t *testing.T) {
	const minute = time.Minute
	for _, tt := range []struct {
		name        string
		take        func(peer net.Conn)
		set         func(a *wire.Accepted) // while it writes, after 10 s
		n           int                    // bytes written, of 20
		least, most time.Duration
	}{
		{"takes all", func(peer net.Conn) { io.ReadFull(peer, make([]byte, 20)) }, nil, 20, 0, 0},
		{"takes nothing", func(net.Conn) {}, nil, 0, minute, 2 * minute},
		{"takes some", func(peer net.Conn) { io.ReadFull(peer, make([]byte, 5)) }, nil, 5, minute, 3 * minute},
		{"lives", func(peer net.Conn) {
			for range 20 {
				time.Sleep(50 * time.Second)
				peer.Read(make([]byte, 1))
			}
		}, nil, 20, 1000 * time.Second, 1000 * time.Second},
		{"lives, and has a deadline", func(peer net.Conn) {
			for range 2 {
				time.Sleep(6 * time.Second)
				peer.Read(make([]byte, 1))
			}
		}, func(a *wire.Accepted) { a.SetWriteDeadline(time.Now()) }, 1, 10 * time.Second, 10 * time.Second},
		{"is given all the time", func(net.Conn) {}, func(a *wire.Accepted) { a.SetDeadline(time.Time{}) }, 0, minute, 2 * minute},
		{"has a deadline that is far", func(net.Conn) {}, func(a *wire.Accepted) { a.SetDeadline(time.Now().Add(time.Hour)) }, 0, minute, 2 * minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				own, peer := net.Pipe()
				var taker sync.WaitGroup
				defer taker.Wait()
				defer own.Close()
				defer peer.Close()
				a := &wire.Accepted{Conn: own}
				a.LimitStalls(minute)
				taker.Go(func() { tt.take(peer) })
				if tt.set != nil {
					time.AfterFunc(10*time.Second, func() { tt.set(a) })
				}
				start := time.Now()
				n, err := a.Write(make([]byte, 20))
				took := time.Since(start)
				if n != tt.n || (err == nil) != (n == 20) || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%d bytes, %v; want %d", n, err, tt.n)
				}
				if took < tt.least || took > tt.most {
					t.Errorf("it took %v, want %v to %v", took, tt.least, tt.most)
				}
			})
		})
	}
}

// TestLimitStallsAgain holds that a connection that was idle for long has the whole limit for its next write, and that a deadline which was
// set holds for all writes until it is taken back.
func TestLimitStallsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own, peer := net.Pipe()
		defer own.Close()
		defer peer.Close()
		a := &wire.Accepted{Conn: own}
		a.LimitStalls(time.Minute)
		write := func() error {
			_, err := a.Write([]byte("x"))
			return err
		}
		later := func(d time.Duration) { time.Sleep(d); peer.Read(make([]byte, 1)) }
		for range 3 {
			go later(59 * time.Second)
			if err := write(); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Hour)
		}
		a.SetWriteDeadline(time.Now().Add(-time.Second))
		if err := write(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after the deadline: %v", err)
		}
		a.SetWriteDeadline(time.Time{})
		go later(0)
		if err := write(); err != nil {
			t.Errorf("after it was taken back: %v", err)
		}
	})
}

// lazy is a connection that takes a byte with each look at it, and says so only to who asks anew, as a system does whose buffer was full.
type lazy struct {
	net.Conn
	deadline time.Time
	asked    int
	taken    int
}

func (l *lazy) SetWriteDeadline(t time.Time) error {
	l.deadline = t
	return nil
}

func (l *lazy) Write(p []byte) (int, error) {
	n := l.asked % 2
	l.asked++
	l.taken += n
	if n < len(p) {
		time.Sleep(time.Until(l.deadline))
		return n, os.ErrDeadlineExceeded
	}
	return n, nil
}

// TestLimitStallsLooks holds that a peer has not stalled that took what the system does not tell of by itself.
func TestLimitStallsLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(lazy)
		a := &wire.Accepted{Conn: l}
		a.LimitStalls(time.Minute)
		if n, err := a.Write(make([]byte, 5)); n != 5 || err != nil || l.taken != 5 {
			t.Errorf("%d bytes of 5, %v", n, err)
		}
	})
}
