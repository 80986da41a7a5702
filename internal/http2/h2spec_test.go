package http2_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/http2"
)

// TestH2Spec runs h2spec in strict mode against the engine alone. HANSE_CONFORMANCE is the folder with the program.
func TestH2Spec(t *testing.T) {
	dir := os.Getenv("HANSE_CONFORMANCE")
	if dir == "" {
		t.Skip("HANSE_CONFORMANCE is not set: it is the folder with h2spec (make conformance)")
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{serve: hello}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			nc, err := lis.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { http2.NewServerConn(nc, &h.cfg, h).Serve() })
		}
	})
	defer h.Close()
	defer h.Wait()
	defer conns.Wait()
	defer lis.Close()
	_, port, _ := net.SplitHostPort(lis.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "h2spec"), "--strict", "-h", "127.0.0.1", "-p", port, "-o", "1").CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 failed") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Log(string(out[max(0, len(out)-300):]))
}

// hello answers a request when all of it has come.
func hello(c *serverCall) {
	if c.waitEnd() != nil {
		return
	}
	p, _ := c.take()
	c.Consumed(len(p))
	if want, ok := c.heads[0]["content-length"]; ok && want != strconv.Itoa(len(p)) {
		c.Reset(http2.ProtocolError)
		return
	}
	if c.heads[0][":method"] == "HEAD" {
		c.Send(&http2.Frames{Head: okHead, End: true})
		return
	}
	c.Send(&http2.Frames{Head: okHead, Data: []byte("hello"), End: true})
}
