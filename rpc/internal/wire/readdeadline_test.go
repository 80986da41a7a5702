package wire_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/hanse-go/hanse/rpc/internal/wire"
)

// told is a connection that notes which deadlines of reads it is told.
type told struct {
	net.Conn
	reads []time.Time
}

func (c *told) SetReadDeadline(t time.Time) error {
	c.reads = append(c.reads, t)
	return c.Conn.SetReadDeadline(t)
}

// TestReadDeadline holds that the system is told of a deadline when a read needs it, and not before.
func TestReadDeadline(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	conn := &told{Conn: server}
	a := &wire.Accepted{Conn: conn, First: []byte("x")}
	defer a.Close()
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for _, d := range []time.Time{future, past, {}, past, future} {
		if err := a.SetReadDeadline(d); err != nil {
			t.Fatal(err)
		}
	}
	var one [1]byte
	if _, err := a.Read(one[:]); err != nil || one[0] != 'x' || len(conn.reads) != 0 {
		t.Errorf("what was read before: %q, %v, told %v", one, err, conn.reads)
	}
	for range 2 {
		go client.Write([]byte("y"))
		if _, err := a.Read(one[:]); err != nil || one[0] != 'y' || len(conn.reads) != 1 || !conn.reads[0].Equal(future) {
			t.Errorf("a read: %q, %v, told %v", one, err, conn.reads)
		}
	}
	a.SetReadDeadline(past)
	if _, err := a.Read(one[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read after the deadline: %v", err)
	}
	a.SetReadDeadline(time.Time{})
	go client.Write([]byte("z"))
	if _, err := a.Read(one[:]); err != nil || one[0] != 'z' {
		t.Errorf("a read without one: %q, %v", one, err)
	}
}

// TestDeadlineOfWaitingRead ends a read that waits, as net/http does when a handler has returned.
func TestDeadlineOfWaitingRead(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	began := make(chan struct{})
	a := &wire.Accepted{Conn: &begins{Conn: server, began: began}}
	defer a.Close()
	ended := make(chan error)
	go func() {
		_, err := a.Read(make([]byte, 1))
		ended <- err
	}()
	<-began
	a.SetReadDeadline(time.Now().Add(-time.Hour))
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// begins is a connection that tells of a read.
type begins struct {
	net.Conn
	began chan struct{}
}

func (c *begins) Read(p []byte) (int, error) {
	close(c.began)
	return c.Conn.Read(p)
}

// TestSetDeadline holds that both ways have it, and that who takes the connection below does, too.
func TestSetDeadline(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	a := &wire.Accepted{Conn: server}
	defer a.Close()
	if err := a.SetDeadline(time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write: %v", err)
	}
	below, _ := a.Unread()
	if _, err := below.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read below: %v", err)
	}
}
