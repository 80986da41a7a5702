package tally

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
)

// Load publishes marks at a steady rate, without waiting for one before the next. What failed it does not publish again: the numbers of a
// key grow, also from one process to the next, and have gaps where nothing was acknowledged.
type Load struct {
	Name      string // what keys begin with, of this publisher alone
	Topic     *events.Topic[Text]
	Keys      int
	PerSecond int
	Timeout   time.Duration // of one event

	// Settled is told what became of each event, and how long that took. It is called concurrently.
	Settled func(m Mark, took time.Duration, err error)
}

// Run publishes until ctx ends, and returns when it is known what became of each event.
func (l *Load) Run(ctx context.Context, host events.Host) {
	var all sync.WaitGroup
	defer all.Wait()
	every := time.NewTicker(time.Second / time.Duration(l.PerSecond))
	defer every.Stop()
	for n := 0; ; n++ {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		m := Mark{fmt.Sprintf("%s-%d", l.Name, n%l.Keys), time.Now().UnixNano()}
		began := time.Now()
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.Timeout)
		receipt := l.Topic.PublishAsync(once, host, m.Event())
		all.Go(func() {
			defer cancel()
			err := receipt.Wait(context.WithoutCancel(ctx)) // it comes when once has ended
			l.Settled(m, time.Since(began), err)
		})
	}
}
