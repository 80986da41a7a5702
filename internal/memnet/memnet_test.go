package memnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/internal/memnet"
	"go.uber.org/goleak"
	"golang.org/x/net/nettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect returns the two ends of a connection from host a to host b.
func connect(t *testing.T, n *memnet.Network) (near, far net.Conn) {
	t.Helper()
	lis, err := n.Host("b").Listen("0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	near, err = n.Host("a").Dial(t.Context(), lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err = lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestConn(t *testing.T) {
	for name, latency := range map[string]time.Duration{"at once": 0, "with latency": 100 * time.Microsecond} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				var n memnet.Network
				c1, c2 = connect(t, &n)
				n.SetLatency(latency)
				return c1, c2, func() { c1.Close(); c2.Close() }, nil
			})
		})
	}
}

func TestAddresses(t *testing.T) {
	var n memnet.Network
	near, far := connect(t, &n)
	if near.LocalAddr() != far.RemoteAddr() || near.RemoteAddr() != far.LocalAddr() || near.LocalAddr() == near.RemoteAddr() {
		t.Errorf("near %v→%v, far %v→%v", near.LocalAddr(), near.RemoteAddr(), far.LocalAddr(), far.RemoteAddr())
	}
	if host, _, err := net.SplitHostPort(near.LocalAddr().String()); host != "a" || err != nil || near.LocalAddr().Network() != "mem" {
		t.Errorf("%v %v", near.LocalAddr(), err)
	}
}

func TestListen(t *testing.T) {
	var n memnet.Network
	h := n.Host("b")
	lis, err := h.Listen("443")
	if err != nil || lis.Addr().String() != "b:443" {
		t.Fatal(lis, err)
	}
	if _, err := h.Listen("443"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
	if other, err := n.Host("c").Listen("443"); err != nil {
		t.Errorf("another host: %v", err)
	} else {
		other.Close()
	}
	if _, err := h.Dial(t.Context(), "b:444"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial of a closed port: %v", err)
	}
	if _, err := h.Dial(t.Context(), "b"); err == nil {
		t.Error("an address without port can be dialled")
	}
	waiting, err := h.Dial(t.Context(), "b:443")
	if err != nil {
		t.Fatal(err)
	}
	if err := lis.Close(); err != nil {
		t.Error(err)
	}
	if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection that nobody accepted: %v", err)
	}
	if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if err := lis.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	if lis, err = h.Listen("443"); err != nil {
		t.Errorf("listen again: %v", err)
	}
	lis.Close()
}

func TestAcceptWaitsForADial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		lis, _ := n.Host("b").Listen("1")
		go func() {
			time.Sleep(time.Second)
			lis.Close()
		}()
		if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestCloseSendsTheRestAndEOF(t *testing.T) {
	var n memnet.Network
	near, far := connect(t, &n)
	io.WriteString(near, "last words")
	near.Close()
	got, err := io.ReadAll(far)
	if string(got) != "last words" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := far.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write to a closed end: %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
}

func TestHalfClose(t *testing.T) {
	var n memnet.Network
	near, far := connect(t, &n)
	io.WriteString(near, "question")
	near.(interface{ CloseWrite() error }).CloseWrite()
	if _, err := near.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write after CloseWrite: %v", err)
	}
	if got, err := io.ReadAll(far); string(got) != "question" || err != nil {
		t.Errorf("far read %q, %v", got, err)
	}
	io.WriteString(far, "answer")
	far.Close()
	if got, err := io.ReadAll(near); string(got) != "answer" || err != nil {
		t.Errorf("near read %q, %v", got, err)
	}
}

func TestWriterWaitsForAReaderThatStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		near, far := connect(t, &n)
		data := bytes.Repeat([]byte("0123456789"), 100_000)
		near.SetWriteDeadline(time.Now().Add(time.Minute))
		sent, err := near.Write(data)
		if !errors.Is(err, os.ErrDeadlineExceeded) || sent == 0 || sent == len(data) {
			t.Fatalf("wrote %d, %v", sent, err)
		}
		near.SetWriteDeadline(time.Time{})
		go func() {
			near.Write(data[sent:])
			near.Close()
		}()
		if got, err := io.ReadAll(far); !bytes.Equal(got, data) || err != nil {
			t.Errorf("read %d bytes of %d, %v", len(got), len(data), err)
		}
	})
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		n.SetLatency(50 * time.Millisecond)
		start := time.Now()
		near, far := connect(t, &n)
		if d := time.Since(start); d != 100*time.Millisecond {
			t.Errorf("the dial took %v", d)
		}
		start = time.Now()
		for range 3 {
			io.WriteString(near, "x")
			time.Sleep(10 * time.Millisecond)
		}
		n.SetLatency(0) // what comes later must not overtake
		io.WriteString(near, "y")
		near.Close()
		var took []time.Duration
		b := make([]byte, 10)
		var all string
		for {
			k, err := far.Read(b)
			if err == io.EOF {
				break
			}
			all += string(b[:k])
			took = append(took, time.Since(start))
		}
		if all != "xxxy" || len(took) != 3 || took[0] != 50*time.Millisecond || took[2] != 70*time.Millisecond {
			t.Errorf("read %q after %v", all, took)
		}
		near, far = connect(t, &n)
		n.SetLatency(50 * time.Millisecond)
		start = time.Now()
		near.Close()
		if _, err := far.Read(b); err != io.EOF || time.Since(start) != 50*time.Millisecond {
			t.Errorf("the end came after %v: %v", time.Since(start), err)
		}
	})
}

func TestPartition(t *testing.T) {
	for name, cut := range map[string]func(n *memnet.Network){
		"between two": func(n *memnet.Network) { n.Partition("b", "a") },
		"one alone":   func(n *memnet.Network) { n.Isolate("b") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n memnet.Network
				near, far := connect(t, &n)
				lis, _ := n.Host("b").Listen("1")
				defer lis.Close()
				self, err := n.Host("b").Dial(t.Context(), "b:1")
				if err != nil {
					t.Fatal(err)
				}
				defer self.Close()
				cut(&n)
				if _, err := io.WriteString(near, "held back"); err != nil {
					t.Errorf("a write fails: %v", err)
				}
				near.Close()
				far.SetReadDeadline(time.Now().Add(time.Hour))
				if k, err := far.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("read %d bytes, %v", k, err)
				}
				far.SetReadDeadline(time.Time{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := n.Host("a").Dial(ctx, "b:1"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("dial: %v", err)
				}
				if c, err := n.Host("b").Dial(t.Context(), "b:1"); err != nil {
					t.Errorf("dial of itself: %v", err)
				} else {
					c.Close()
				}
				var wg sync.WaitGroup
				wg.Go(func() {
					if got, err := io.ReadAll(far); string(got) != "held back" || err != nil {
						t.Errorf("after healing: %q, %v", got, err)
					}
				})
				wg.Go(func() {
					c, err := n.Host("a").Dial(t.Context(), "b:1")
					if err != nil {
						t.Errorf("dial: %v", err)
						return
					}
					c.Close()
				})
				synctest.Wait()
				n.Heal()
				wg.Wait()
			})
		})
	}
}

func TestKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		lis, _ := n.Host("b").Listen("1")
		near, far := connect(t, &n)
		go func() {
			time.Sleep(time.Second)
			n.Kill("b")
		}()
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("near: %v", err)
		}
		if _, err := far.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("far: %v", err)
		}
		if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v", err)
		}
		if _, err := n.Host("a").Dial(t.Context(), "b:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial: %v", err)
		}
		if _, err := n.Host("b").Listen("1"); err == nil {
			t.Error("the dead listen")
		}
		a, err := n.Host("a").Listen("1")
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if _, err := n.Host("b").Dial(t.Context(), "a:1"); err == nil {
			t.Error("the dead dial")
		}
	})
}
