package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/events"
)

const (
	// maxBytes is how much a round reads at most, beyond the first event.
	maxBytes = 8 << 20

	// patience is how long a round waits for the broker, before what is missing is tried anew.
	patience = 30 * time.Second

	// tellAgain is how soon another reason why a topic fails is logged.
	tellAgain = time.Minute
)

// work moves the events of a topic until there are no more, or it cannot. It returns when to come back, which is zero for whenever there are events.
func (m *mover) work(ctx context.Context, t *topic) (due time.Time) {
	for ctx.Err() == nil {
		ok, wait, err := m.hold(ctx, t)
		if err == nil && !ok {
			return time.Now().Add(max(min(wait, slowPoll), firstLook))
		}
		var rows []row
		if err == nil {
			err = m.remove(ctx, t) // what is left of the last time
		}
		if err == nil {
			rows, err = m.read(ctx, t)
		}
		if err != nil {
			m.databaseFailed(ctx, err)
			t.failures++
			return time.Now().Add(backoff(t.failures))
		}
		if len(rows) == 0 {
			return t.nextSkipped()
		}
		if !m.round(ctx, t, rows) {
			t.failures++
			return time.Now().Add(backoff(t.failures))
		}
		t.failures = 0
	}
	return time.Time{}
}

// read returns the first events of a topic that may be published.
func (m *mover) read(ctx context.Context, t *topic) ([]row, error) {
	query, args := m.sql.read, []any{t.name, m.batch}
	if lanes := t.lanesToSkip(time.Now()); len(lanes) > 0 {
		list, err := json.Marshal(lanes)
		if err != nil {
			return nil, err
		}
		query, args = m.sql.readBut, append(args, string(list))
	}
	found, err := m.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var rows []row
	for bytes := 0; bytes < maxBytes && found.Next(); {
		r := row{topic: t.name}
		if err := found.Scan(&r.seq, &r.lane, &r.attributes, &r.data); err != nil {
			return nil, err
		}
		bytes += len(r.data)
		rows = append(rows, r)
	}
	return rows, found.Err()
}

// remove takes events out of the outbox that are with the broker.
func (m *mover) remove(ctx context.Context, t *topic) error {
	if len(t.stored) == 0 {
		return nil
	}
	list, err := json.Marshal(t.stored)
	if err != nil {
		return err
	}
	if _, err := m.db.ExecContext(context.WithoutCancel(ctx), m.sql.remove, string(list)); err != nil {
		return fmt.Errorf("remove what was published: %w", err)
	}
	t.stored = t.stored[:0]
	return nil
}

var errNoAnswer = fmt.Errorf("the broker does not answer: %w", context.DeadlineExceeded)

// outcome is what became of an event.
type outcome struct {
	row *row
	err error
}

// round publishes some events: those of a lane one after the other, as each is stored, and all lanes at the same time. It reports whether to go on at once.
func (m *mover) round(ctx context.Context, t *topic, rows []row) bool {
	lanes := make(map[string][]*row, len(rows))
	var first []*row
	for i := range rows {
		r := &rows[i]
		if _, ok := lanes[r.lane]; !ok {
			first = append(first, r)
			lanes[r.lane] = nil
			continue
		}
		lanes[r.lane] = append(lanes[r.lane], r)
	}

	sending, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), patience, errNoAnswer)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })()
	defer m.keep(sending, t)()

	outcomes := make(chan outcome, len(rows))
	onTheWay, halted := 0, false
	var failure error // of all, or of the last lane that failed
	send := func(r *row) {
		if halted || ctx.Err() != nil || !m.holds(t) {
			return
		}
		onTheWay++
		m.send(sending, r, func(err error) { outcomes <- outcome{r, err} })
	}
	published := 0
	settle := func(o outcome) {
		onTheWay--
		switch {
		case o.err == nil:
			published++
			t.stored = append(t.stored, o.row.seq)
		case final(o.err):
			if err := m.setAside(sending, o.row, o.err); err != nil {
				m.databaseFailed(sending, err)
				failure, halted = err, true
				return
			}
			published++
		case ofTopic(o.err):
			failure, halted = o.err, true
			return
		default:
			failure = o.err
			t.skip(o.row.lane)
			return
		}
		delete(t.skipped, o.row.lane)
		if rest := lanes[o.row.lane]; len(rest) > 0 {
			lanes[o.row.lane] = rest[1:]
			send(rest[0])
		}
	}
	for _, r := range first {
		send(r)
		for more := true; more; { // what is known already
			select {
			case o := <-outcomes:
				settle(o)
			default:
				more = false
			}
		}
	}
	for onTheWay > 0 {
		settle(<-outcomes)
	}
	m.relay.published.Add(uint64(len(t.stored)))
	if err := m.remove(sending, t); err != nil {
		m.databaseFailed(sending, err)
		return false
	}
	if ctx.Err() == nil { // else it is about the stop
		m.told(t, failure)
	}
	return failure == nil || !halted && published > 0 && len(t.skipped) < maxSkipped
}

// send hands an event to the broker.
func (m *mover) send(ctx context.Context, r *row, done func(error)) {
	msg, err := r.message()
	if err != nil {
		if !errors.Is(err, errNewer) {
			err = events.Permanent(err)
		}
		done(err)
		return
	}
	if msg.Source == "" {
		msg.Source = m.source
	}
	m.bus.Forward(ctx, r.topic, msg, done)
}

// final reports whether an event would be refused each time.
func final(err error) bool {
	return errors.Is(err, events.ErrTooLarge) || errors.Is(err, events.ErrUnsupported) || events.IsPermanent(err)
}

// ofTopic reports whether the other events of the topic would fail, too.
func ofTopic(err error) bool {
	for _, of := range []error{events.ErrFull, events.ErrDrift, events.ErrSchema, events.ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// told logs when a topic begins to fail, fails in another way, or works again.
func (m *mover) told(t *topic, failure error) {
	switch {
	case failure != nil:
		m.relay.failed.Add(1)
		m.relay.lastFailure.Store(&failure)
		if t.why == "" || t.why != failure.Error() && time.Since(t.told) > tellAgain {
			t.why, t.told = failure.Error(), time.Now()
			m.log.Warn("outbox: events wait, for they cannot be published", "topic", t.name, "error", failure)
		}
	case t.why != "":
		t.why = ""
		m.log.Info("outbox: events are published again", "topic", t.name)
	}
}

func (t *topic) skip(lane string) {
	s := t.skipped[lane]
	s.failures++
	s.until = time.Now().Add(backoff(s.failures))
	t.skipped[lane] = s
}

// lanesToSkip returns the lanes that are left alone.
func (t *topic) lanesToSkip(now time.Time) (lanes []string) {
	for lane, s := range t.skipped {
		if s.until.After(now) {
			lanes = append(lanes, lane)
		}
	}
	return lanes
}

// nextSkipped returns when the first of the lanes that are left alone is to be tried again. Those that would have been tried, and have no events any more, are
// forgotten.
func (t *topic) nextSkipped() (next time.Time) {
	now := time.Now()
	for lane, s := range t.skipped {
		switch {
		case !s.until.After(now):
			delete(t.skipped, lane)
		case next.IsZero() || s.until.Before(next):
			next = s.until
		}
	}
	return next
}
