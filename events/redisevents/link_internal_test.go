package redisevents

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestLateFailure holds that a request that was begun before the server answered another one, and fails later, says nothing of the
// server of now.
func TestLateFailure(t *testing.T) {
	var log bytes.Buffer
	l := &link{log: slog.New(slog.NewTextHandler(&log, nil))}
	begun := time.Now()
	for range logAfter {
		if err := l.note(begun, io.EOF); !errors.Is(err, io.EOF) {
			t.Fatalf("a failure became %v", err)
		}
	}
	if !l.away() {
		t.Fatal("the server is not away")
	}
	if err := l.note(time.Now(), nil); err != nil || l.away() {
		t.Fatalf("after an answer: %v, away %v", err, l.away())
	}
	for range logAfter {
		if err := l.note(begun, io.EOF); !errors.Is(err, io.EOF) {
			t.Fatalf("a late failure became %v", err)
		}
	}
	if l.away() {
		t.Error("late failures take the server for away")
	}
	if n := strings.Count(log.String(), "does not answer"); n != 1 {
		t.Errorf("it is logged %d times that the server is away:\n%s", n, &log)
	}
	for range logAfter {
		_ = l.note(time.Now(), io.EOF)
	}
	if !l.away() {
		t.Error("new failures do not take the server for away")
	}
}

// TestKeptDial holds that a client's memory of a server to which it could not connect does not outweigh that the server has answered since.
func TestKeptDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &link{log: slog.New(slog.DiscardHandler)}
		refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		_ = l.note(time.Now(), nil)
		time.Sleep(time.Second)
		for range logAfter {
			if err := l.note(time.Now(), refused); !errors.Is(err, refused) {
				t.Fatalf("a failure became %v", err)
			}
		}
		if l.away() {
			t.Error("the server is away a second after it answered")
		}
		time.Sleep(time.Second)
		for range logAfter {
			_ = l.note(time.Now(), refused)
		}
		if !l.away() {
			t.Error("a server to which nobody can connect is not away")
		}
	})
}
