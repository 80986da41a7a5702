package rpc_test

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/hanse-go/hanse/rpc"
)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestTransports(t *testing.T) {
	socket := "unix://" + filepath.Join(t.TempDir(), "s")
	if runtime.GOOS == "windows" {
		socket = "unix:///" + filepath.ToSlash(filepath.Join(t.TempDir(), "s"))
	}
	for _, test := range []struct {
		transport rpc.Transport
		endpoint  string
	}{
		{rpc.TCPTransport{}, "tcp://127.0.0.1:0"},
		{rpc.TCPTransport{}, "tcp://localhost:0"},
		{rpc.UnixTransport{}, socket},
	} {
		u := mustURL(t, test.endpoint)
		lis, err := test.transport.Listen(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close()
		if u.Scheme == "tcp" {
			u.Host = lis.Addr().String()
		} else if info, err := os.Stat(lis.Addr().String()); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("socket %v %v", info, err)
		}
		accepted := make(chan net.Conn)
		go func() {
			c, err := lis.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}()
		conn, err := test.transport.Dial(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		(<-accepted).Close()
	}
}

func TestUnixListenReplacesWhatADeadProcessLeft(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("sockets vanish with their processes")
	}
	path := filepath.Join(t.TempDir(), "s")
	u := mustURL(t, "unix://"+path)
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()

	lis, err := rpc.UnixTransport{}.Listen(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := (rpc.UnixTransport{}).Listen(t.Context(), u); err == nil {
		second.Close()
		t.Error("took the socket of a living listener")
	}
	lis.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the socket is still there:", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if lis, err := (rpc.UnixTransport{}).Listen(t.Context(), u); err == nil {
		lis.Close()
		t.Error("replaced a file that is no socket")
	}
}

func TestUnixEndpointsThatNameNoSocket(t *testing.T) {
	for _, endpoint := range []string{"unix://", "unix://host/path"} {
		if _, err := (rpc.UnixTransport{}).Dial(t.Context(), mustURL(t, endpoint)); err == nil {
			t.Errorf("%s was dialled", endpoint)
		}
		if _, err := (rpc.UnixTransport{}).Listen(t.Context(), mustURL(t, endpoint)); err == nil {
			t.Errorf("%s was listened at", endpoint)
		}
	}
}

func TestParsePath(t *testing.T) {
	for _, s := range []string{"", "inprocess", "unix", "tcp"} {
		if p, err := rpc.ParsePath(s); err != nil || string(p) != s {
			t.Error(p, err)
		}
	}
	if _, err := rpc.ParsePath("udp"); err == nil {
		t.Error("udp was taken")
	}
}
