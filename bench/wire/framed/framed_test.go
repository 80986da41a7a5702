package framed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/bench/wire/echopb"
	"github.com/hanse-go/hanse/bench/wire/framed"
	"google.golang.org/protobuf/proto"
)

// serve echoes protobuf messages on a loopback connection and returns its client.
func serve(t *testing.T, codec framed.Codec, handle framed.Handler) *framed.Client {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		conn, err := lis.Accept()
		if err != nil {
			served <- err
			return
		}
		served <- framed.Serve(conn, codec, handle)
	}()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := framed.NewClient(conn, codec)
	t.Cleanup(func() {
		client.Close()
		lis.Close()
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Log("server:", err) // a reset, when the client went away with answers under way
		}
	})
	return client
}

func echo(request []byte, reply func(any) error) error {
	m := new(echopb.Message)
	if err := proto.Unmarshal(request, m); err != nil {
		return err
	}
	return reply(&echopb.Message{Body: m.Body})
}

func TestCallsOfAllSizesAtOnce(t *testing.T) {
	client := serve(t, framed.Proto{}, echo)
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			for i, size := range []int{0, 1, 100, 9 << 10, 17 << 10, 64 << 10, 200 << 10, 1 << 20} {
				body := bytes.Repeat([]byte{byte(n), byte(i)}, size/2)
				reply := new(echopb.Message)
				if err := client.Call(t.Context(), &echopb.Message{Body: body}, reply); err != nil {
					t.Error(err)
					return
				}
				if !bytes.Equal(reply.Body, body) {
					t.Errorf("caller %d, %d bytes: another answer", n, size)
				}
			}
		})
	}
	wg.Wait()
}

func TestBytes(t *testing.T) {
	client := serve(t, framed.Bytes{}, func(request []byte, reply func(any) error) error {
		return reply(&request)
	})
	for i := range 100 {
		in, out := fmt.Append(nil, "request ", i), []byte(nil)
		if err := client.Call(t.Context(), &in, &out); err != nil || !bytes.Equal(in, out) {
			t.Fatalf("%q %v", out, err)
		}
	}
}

// A handler that blocks holds nobody up, and its caller can leave.
func TestBlockedHandler(t *testing.T) {
	block := make(chan struct{})
	entered := make(chan struct{}, 1)
	client := serve(t, framed.Proto{}, func(request []byte, reply func(any) error) error {
		if len(request) == 0 {
			entered <- struct{}{}
			<-block
		}
		return echo(request, reply)
	})
	defer close(block)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		left <- client.Call(ctx, &echopb.Message{}, &echopb.Message{})
	}()
	<-entered
	for range 10 {
		reply := new(echopb.Message)
		if err := client.Call(t.Context(), &echopb.Message{Body: []byte("x")}, reply); err != nil || string(reply.Body) != "x" {
			t.Fatalf("%q %v", reply.Body, err)
		}
	}
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Requests that come together with one whose handler blocks are answered.
func TestBlockedHandlerInABatch(t *testing.T) {
	ours, theirs := net.Pipe()
	block := make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- framed.Serve(theirs, framed.Bytes{}, func(request []byte, reply func(any) error) error {
			if string(request) == "block" {
				<-block
			}
			return reply(&request)
		})
	}()
	if _, err := io.WriteString(ours, "\x00\x00\x00\x05\x00\x00\x00\x01block\x00\x00\x00\x02\x00\x00\x00\x02go"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 10)
	ours.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(ours, answer); err != nil || string(answer) != "\x00\x00\x00\x02\x00\x00\x00\x02go" {
		t.Errorf("%q %v", answer, err)
	}
	close(block)
	io.ReadFull(ours, make([]byte, 13))
	ours.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestLostConnection(t *testing.T) {
	block := make(chan struct{})
	entered := make(chan struct{}, 1)
	client := serve(t, framed.Proto{}, func(request []byte, reply func(any) error) error {
		entered <- struct{}{}
		<-block
		return nil
	})
	defer close(block)
	left := make(chan error, 1)
	go func() {
		left <- client.Call(context.Background(), &echopb.Message{}, &echopb.Message{})
	}()
	<-entered
	client.Close()
	if err := <-left; err == nil {
		t.Error("the call had an answer")
	}
	if err := client.Call(t.Context(), &echopb.Message{}, &echopb.Message{}); err == nil {
		t.Error("a call went out on a closed connection")
	}
}
