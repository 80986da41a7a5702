package rpc_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/rpc"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// endless is a handler that writes until it cannot, and tells why and when. What it reads of the body, it tells too.
type endless struct {
	start time.Time
	wrote chan error
	read  chan error
	after time.Duration
}

func (e *endless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	read := make(chan error, 1)
	if r.Method == http.MethodPost {
		go func() {
			_, err := io.Copy(io.Discard, r.Body)
			read <- err
		}()
	}
	for piece := make([]byte, 64<<10); ; {
		if _, err := w.Write(piece); err != nil {
			e.after = time.Since(e.start)
			e.wrote <- err
			if r.Method == http.MethodPost {
				e.read <- <-read // not by the handler's end
			}
			return
		}
	}
}

// webCall sends a request that is not gRPC.
func (c *rawCaller) webCall(t *testing.T, method string) {
	t.Helper()
	c.block.Reset()
	for _, f := range [][2]string{{":method", method}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}} {
		c.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: method == http.MethodGet}); err != nil {
		t.Fatal(err)
	}
}

// TestStalledClients holds that a client which reads nothing of a reply over plain HTTP does not keep its handler, whatever the version, and
// that one which reads slowly does.
func TestStalledClients(t *testing.T) {
	for _, tt := range []struct {
		name   string
		http2  bool
		method string
		limit  time.Duration
		lives  bool
	}{
		{"HTTP/1", false, "GET", 0, false},
		{"HTTP/1, not limited", false, "GET", -1, true},
		{"HTTP/1, slow", false, "GET", 0, true},
		{"HTTP/2", true, "GET", 0, false},
		{"HTTP/2, sends nothing either", true, "POST", 0, false},
		{"HTTP/2, not limited", true, "GET", -1, true},
		{"HTTP/2, slow", true, "GET", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endless{start: time.Now(), wrote: make(chan error, 1), read: make(chan error, 1)}
				h := newHall(t, &rpc.Port{HTTP: e, Limits: rpc.Limits{StallTimeout: tt.limit, KeepaliveTime: -1, MinPingInterval: -1}})
				defer h.close(t)
				var read func() // a little
				if tt.http2 {
					c := h.raw(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
					defer func() { c.nc.Close(); <-c.done }()
					c.webCall(t, tt.method)
					read = func() { c.WriteWindowUpdate(1, 1000) }
				} else {
					nc := h.dial(t)
					defer nc.Close()
					io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
					read = func() { io.ReadFull(nc, make([]byte, 1000)) }
				}
				for range 20 {
					time.Sleep(50 * time.Second)
					if tt.lives && tt.limit == 0 {
						read()
					}
				}
				synctest.Wait()
				var err error
				select {
				case err = <-e.wrote:
				default:
				}
				if (err == nil) != tt.lives {
					t.Fatalf("after 1000 s the handler has %v", err)
				}
				if err == nil {
					return
				}
				if e.after < time.Minute || e.after > 3*time.Minute {
					t.Errorf("the handler was released after %v: %v", e.after, err)
				}
				if tt.method == http.MethodPost {
					select {
					case err := <-e.read:
						if err == nil || errors.Is(err, io.EOF) {
							t.Errorf("who read the body got %v", err)
						}
					default:
						t.Fatal("who read the body does so still")
					}
				}
			})
		})
	}
}
