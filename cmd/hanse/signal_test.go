package main

import (
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The signal that ends the context is the first of two, however late hanse dev looks at it: one Ctrl-C lets requests finish.
func TestSecondSignalKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals, over := make(chan os.Signal, 4), make(chan struct{})
		killed := make(chan bool, 1)
		go func() { killed <- countDown(2, signals, over) }()
		signals <- os.Interrupt
		signals <- os.Interrupt // timeout(1) and others say it twice
		<-time.After(time.Second)
		select {
		case <-killed:
			t.Fatal("killed by the first signal")
		default:
		}
		signals <- syscall.SIGTERM
		if !<-killed {
			t.Error("not killed by the second signal")
		}
		go func() { killed <- countDown(2, signals, over) }()
		signals <- os.Interrupt
		synctest.Wait()
		close(over)
		if <-killed {
			t.Error("killed by the end")
		}
	})
}
