//go:build unix

package e2e_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/examples/e2e/tally"
)

// fill publishes large events one after the other until one fails, and says which were stored.
func fill(t *testing.T, host events.Host, topic *events.Topic[tally.Text], first int64, most int, size int) (stored []tally.Mark, err error) {
	t.Helper()
	for n := range most {
		m := tally.Mark{Key: "k", Number: first + int64(n)}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := topic.Publish(ctx, host, m.Large(size))
		cancel()
		if err != nil {
			return stored, err
		}
		stored = append(stored, m)
	}
	return stored, nil
}

// full says what became of a topic that was filled, and of what came when it had room again.
func (v *verdict) full(stored []tally.Mark, err error, all func() []tally.Mark) {
	v.t.Helper()
	v.hold(errors.Is(err, events.ErrFull), "the publisher is told", "after %d events: %s", len(stored), why(err))
	got, _ := awaitHandled(v.t, stored, all)
	v.judge(judge(stored, got), false)
}

// chaosEventsTopicFull fills a topic up to its limit, which is raised then.
func chaosEventsTopicFull(t *testing.T, v *verdict) {
	broker := newHub(t)
	broker.start()
	small := tally.NewTopic("tally.small", events.Limits{MaxMessages: 200})
	var seen handled
	c := join(t, "small", broker.url(), func(s *hanse.Service) { seen.subscribe(s, small) })
	stored, err := fill(t, c, small, 0, 1000, 10)
	v.full(stored, err, seen.all)
	c.leave()

	larger := tally.NewTopic("tally.small", events.Limits{MaxMessages: 1000})
	c = join(t, "larger", broker.url(), func(s *hanse.Service) { seen.subscribe(s, larger) })
	more, err := fill(t, c, larger, 1000, 100, 10)
	stored = append(stored, more...)
	got, _ := awaitHandled(t, stored, seen.all)
	o := judge(stored, got)
	v.hold(err == nil && len(o.lost) == 0, "all is well when the limit is raised", "%d more were stored, %d of %d lost", len(more), len(o.lost), o.acknowledged)
}

// chaosEventsStoreFull stores as much in a broker as it may keep, which is then started with a larger limit.
func chaosEventsStoreFull(t *testing.T, v *verdict) {
	broker := newHub(t, "--max-disk", "8MiB")
	broker.start()
	topic := tally.NewTopic("tally.large", events.Limits{MaxBytes: -1})
	var seen handled
	c := join(t, "large", broker.url(), func(s *hanse.Service) { seen.subscribe(s, topic) })
	stored, err := fill(t, c, topic, 0, 1000, 64<<10)
	v.full(stored, err, seen.all)
	broker.process.drain(t)
	broker.args = []string{"--max-disk", "64MiB"}
	broker.start()
	more, err := fill(t, c, topic, 1000, 20, 64<<10)
	stored = append(stored, more...)
	got, _ := awaitHandled(t, stored, seen.all)
	o := judge(stored, got)
	v.hold(err == nil && len(o.lost) == 0, "all is well when it may store more", "%d more were stored, %d of %d lost", len(more), len(o.lost), o.acknowledged)
}

// chaosEventsDiskFull fills the disk of the broker with what is not the broker's, and makes room again.
func chaosEventsDiskFull(t *testing.T, v *verdict) {
	disk, err := newSmallDisk(t, "160m")
	if err != nil {
		v.skip(err.Error())
	}
	broker := newHub(t)
	broker.wrap, broker.dir = disk.wrap, disk.dir
	broker.start()
	topic := tally.NewTopic("tally.large", events.Limits{})
	var seen handled
	c := join(t, "large", broker.url(), func(s *hanse.Service) { seen.subscribe(s, topic) })
	stored, err := fill(t, c, topic, 0, 50, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	disk.fill(t)
	more, err := fill(t, c, topic, 1000, 1000, 64<<10)
	stored = append(stored, more...)
	v.full(stored, err, seen.all)
	said := broker.process.says("the disk is full", 5*time.Second)
	v.hold(said && lives(broker.process.cmd.Process.Pid), "the broker says so, and lives", "%s", lineWith(broker.process.out.String(), "the disk is full"))
	disk.clear(t)
	cleared := time.Now()
	var once []tally.Mark
	await(t, "there is room again", func() bool {
		once, err = fill(t, c, topic, time.Now().UnixNano(), 1, 64<<10)
		stored = append(stored, once...)
		return err == nil
	})
	took := time.Since(cleared)
	more, err = fill(t, c, topic, time.Now().UnixNano(), 50, 64<<10)
	stored = append(stored, more...)
	got, _ := awaitHandled(t, stored, seen.all)
	o := judge(stored, got)
	v.hold(err == nil && len(o.lost) == 0, "all is well after room is made", "stored again after %v, %d more, %d of %d lost", took.Round(10*time.Millisecond), len(more), len(o.lost), o.acknowledged)
}
