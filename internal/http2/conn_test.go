package http2_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/internal/http2"
)

func TestEcho(t *testing.T) {
	for network := range networks {
		t.Run(network, func(t *testing.T) {
			e := start(t, network, new(handler), http2.Config{}, http2.ClientEvents{})
			for _, size := range []int{0, 1, 100, 16_384, 65_535, 65_536, 300_000, 3_000_000} {
				if err := e.call(bytes.Repeat([]byte("x"), size)); err != nil {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
			eventually(t, "no stream is open", func() bool { return e.client.Streams() == 0 && e.server.Streams() == 0 })
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	for network := range networks {
		t.Run(network, func(t *testing.T) {
			e := start(t, network, new(handler), http2.Config{}, http2.ClientEvents{})
			var all sync.WaitGroup
			errs := make(chan error, 200)
			for i := range 200 {
				all.Go(func() {
					for j := range 5 {
						if err := e.call(bytes.Repeat([]byte(fmt.Sprint(i, j)), 1+i*37)); err != nil {
							errs <- err
							return
						}
					}
				})
			}
			all.Wait()
			close(errs)
			for err := range errs {
				t.Error(err)
			}
		})
	}
}

func TestCloseAborts(t *testing.T) {
	for _, who := range []string{"client", "server"} {
		t.Run(who, func(t *testing.T) {
			h := &handler{}
			e := start(t, "memory", h, http2.Config{}, http2.ClientEvents{})
			c := newCall()
			if err := e.client.Open(nil, &c.Stream, c, &http2.Frames{Head: postHead}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the stream is open", func() bool { return e.server.Streams() == 1 })
			why := errors.New("why")
			if who == "client" {
				e.client.Close(why)
			} else {
				e.server.Close(why)
			}
			err := c.waitEnd()
			var ce *http2.ConnError
			if !errors.As(err, &ce) || who == "client" && !errors.Is(err, why) || errors.Is(err, http2.ErrNotProcessed) {
				t.Errorf("aborted with %v", err)
			}
			<-e.client.Done()
			if err := <-e.served; err == nil {
				t.Error("Serve returned nil although a stream was open")
			}
			if err := e.client.Open(nil, &newCall().Stream, c, &http2.Frames{Head: postHead}); !errors.Is(err, http2.ErrNotProcessed) {
				t.Errorf("Open after the end: %v", err)
			}
		})
	}
}
