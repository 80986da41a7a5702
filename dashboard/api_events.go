package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
	"github.com/hanse-go/hanse/internal/nearest"
)

func (s *Server) eventsAPI(a api) {
	d := desk.Desk{Broker: s.Events}
	// look makes an endpoint say that there are no events where there are none.
	look := func(f func(r *http.Request) (any, error)) func(r *http.Request) (any, error) {
		return func(r *http.Request) (any, error) {
			if s.Events == nil {
				return nil, missing("hanse dev has one unless it was started with --backplane off", "there is no backplane here, and so no events")
			}
			v, err := f(r)
			return v, deskError(err)
		}
	}
	a.get("events/topics", look(func(r *http.Request) (any, error) { return d.Topics(r.Context()) }))
	a.get("events/messages", look(func(r *http.Request) (any, error) { return messages(r, d) }))
	a.get("events/replay", look(func(r *http.Request) (any, error) {
		q := r.URL.Query()
		p, err := (replayOrder{Topic: q.Get("topic"), Group: q.Get("group"), From: q.Get("from"), To: q.Get("to")}).replay(r.Context(), d)
		if err != nil {
			return nil, err
		}
		return p.Count(r.Context())
	}))
	a.post("events/replay", look(func(r *http.Request) (any, error) {
		order, err := body[replayOrder](r)
		if err != nil {
			return nil, err
		}
		p, err := order.replay(r.Context(), d)
		if err != nil {
			return nil, err
		}
		counted, err := p.Count(r.Context())
		if err == nil {
			err = p.Run(r.Context(), counted)
		}
		return counted, err
	}))
	a.get("events/dead", look(func(r *http.Request) (any, error) {
		l, err := d.Letters(r.Context(), r.URL.Query().Get("topic"))
		if err != nil {
			return nil, err
		}
		return lettersOf(r.Context(), l)
	}))
	a.post("events/dead", look(func(r *http.Request) (any, error) {
		order, err := body[deadOrder](r)
		if err != nil {
			return nil, err
		}
		return order.run(r.Context(), d)
	}))
}

// deskError says for the page what is missing, or half done.
func deskError(err error) error {
	if e, ok := errors.AsType[*desk.NotFoundError](err); ok {
		do, name := "", e.Topic
		if e.Group != "" {
			name = e.Group
		}
		if near := nearest.Name(name, e.Names); near != "" {
			do = "did you mean " + near + "?"
		}
		return missing(do, "%v", e)
	}
	if e, ok := errors.AsType[*desk.PartError](err); ok {
		do := ""
		if e.At > 0 {
			do = fmt.Sprintf("go on from #%d", e.At)
		}
		return &Error{Status: http.StatusBadGateway, What: e.Error(), Do: do}
	}
	return err
}

// messagesPage is a part of what is stored in a topic, the newest first.
type messagesPage struct {
	Events  []desk.Event `json:"events"`
	Next    uint64       `json:"next,omitempty"` // for before=, the next page; 0: there is no more
	Scanned int          `json:"scanned"`
}

// maxScanned bounds how many messages one request looks at for those that have a text.
const maxScanned = 20_000

// messages reads topic, before (a number), limit, and q, a text that the event has to have somewhere. Topics are read forwards, so that the newest
// are found by reading stretches before the end.
func messages(r *http.Request, d desk.Desk) (any, error) {
	q := r.URL.Query()
	limit, err := number(r, "limit", 50, 1, 1000)
	if err != nil {
		return nil, err
	}
	ctx, cancel := within(r, 20*time.Second)
	defer cancel()
	t, err := d.Topic(ctx, q.Get("topic"))
	if err != nil {
		return nil, err
	}
	before := t.Last + 1
	if text := q.Get("before"); text != "" {
		if before, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, bad("", "before: %q is no number of a message", text)
		}
		before = min(before, t.Last+1)
	}
	reader, err := d.Reader(ctx, t.Name)
	if err != nil {
		return nil, err
	}
	text := strings.ToLower(q.Get("q"))
	page := messagesPage{Events: []desk.Event{}}
	for stretch := uint64(limit); before > t.First && t.Messages > 0 && len(page.Events) < limit && page.Scanned < maxScanned; stretch = min(2*stretch, 2000) {
		from := max(t.First, before-min(stretch, before))
		var part []desk.Event
		for s, err := range reader.Read(ctx, events.Start{Sequence: max(from, 1)}, before-1, time.Time{}) {
			if err != nil {
				return nil, err
			}
			page.Scanned++
			if e := reader.Event(s); text == "" || strings.Contains(strings.ToLower(textOf(e)), text) {
				part = append(part, e)
			}
		}
		slices.Reverse(part)
		page.Events = append(page.Events, part...)
		before = from
	}
	if len(page.Events) > limit {
		page.Events = page.Events[:limit]
		before = page.Events[limit-1].Sequence
	}
	if before > t.First && t.Messages > 0 {
		page.Next = before
	}
	return page, nil
}

// textOf is what is searched in an event.
func textOf(e desk.Event) string {
	parts := []string{e.ID, e.Source, e.Type, e.Subject, e.Key, e.Trace, string(e.Data)}
	if e.Data == nil {
		parts = append(parts, string(e.DataBase64))
	}
	if e.Dead != nil {
		parts = append(parts, e.Dead.Error, e.Dead.Group, e.Dead.ID)
	}
	for name, value := range e.Metadata {
		parts = append(parts, name+"="+value)
	}
	return strings.Join(parts, "\n")
}

// replayOrder asks for a replay.
type replayOrder struct {
	Topic string `json:"topic"`
	Group string `json:"group"`
	From  string `json:"from"` // beginning, the number of an event, or a time
	To    string `json:"to"`   // number of the last event, or the time before which it was stored; "": now
}

func (o replayOrder) replay(ctx context.Context, d desk.Desk) (*desk.Replay, error) {
	if strings.HasSuffix(o.Topic, desk.DeadSuffix) {
		return nil, bad("redeliver them instead", "%s has dead letters, which go back to the group that they came from", o.Topic)
	}
	if o.Group == "" || o.From == "" {
		return nil, bad("", "a replay needs a group and a first event")
	}
	from, err := position(o.From)
	if err != nil {
		return nil, err
	}
	reader, err := d.Reader(ctx, o.Topic)
	if err != nil {
		return nil, err
	}
	p := &desk.Replay{Reader: reader, Group: o.Group, From: from}
	if o.To != "" {
		end, err := position(o.To)
		if err != nil || end.All {
			return nil, bad("give a time, or the number of an event", "%q is no end", o.To)
		}
		p.Last, p.Before = end.Sequence, end.Time
	}
	return p, nil
}

// position reads a place in a topic.
func position(text string) (events.Start, error) {
	if text == "beginning" {
		return events.Start{All: true}, nil
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(text, "#"), 10, 64); err == nil && n > 0 {
		return events.Start{Sequence: n}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return events.Start{}, bad("give the number of an event, or a time such as 2026-01-31T12:00:00Z", "%q is no position", text)
	}
	return events.Start{Time: t}, nil
}

// lettersPage is the dead letters of a topic, the newest first.
type lettersPage struct {
	Letters []desk.Event  `json:"letters"` // of these at most 500
	Total   int           `json:"total"`
	Last    uint64        `json:"last"` // number of the newest
	Groups  []letterCount `json:"groups"`
}

type letterCount struct {
	Group string `json:"group"` // "": one of those that all get
	Count int    `json:"count"`
}

const maxLetters = 500

func lettersOf(ctx context.Context, l *desk.Letters) (any, error) {
	page := lettersPage{Letters: []desk.Event{}, Groups: []letterCount{}}
	all, err := l.All(ctx)
	if err != nil {
		return nil, err
	}
	page.Total = len(all)
	for _, one := range all {
		i := slices.IndexFunc(page.Groups, func(c letterCount) bool { return c.Group == one.Dead.Group })
		if i < 0 {
			i = len(page.Groups)
			page.Groups = append(page.Groups, letterCount{Group: one.Dead.Group})
		}
		page.Groups[i].Count++
	}
	for _, one := range slices.Backward(all) {
		if len(page.Letters) == maxLetters {
			break
		}
		page.Letters = append(page.Letters, l.Reader.Event(one.Stored))
	}
	if len(all) > 0 {
		page.Last = all[len(all)-1].Sequence
	}
	return page, nil
}

// deadOrder says what to do with dead letters.
type deadOrder struct {
	Topic   string   `json:"topic"`
	Do      string   `json:"do"`      // redeliver or drop
	Numbers []uint64 `json:"numbers"` // of the letters; none with Last
	Last    uint64   `json:"last"`    // all up to this number, so that none is meant that nobody has counted
	Group   string   `json:"group"`   // with Last: those of this group alone; "": of all
}

// deadDone is what was done.
type deadDone struct {
	Meant int `json:"meant"`
	Done  int `json:"done"`
}

func (o deadOrder) run(ctx context.Context, d desk.Desk) (any, error) {
	l, err := d.Letters(ctx, o.Topic)
	if err != nil {
		return nil, err
	}
	all, err := l.All(ctx)
	if err != nil {
		return nil, err
	}
	if (len(o.Numbers) == 0) == (o.Last == 0) {
		return nil, bad("", "say which letters: by their numbers, or all up to the last")
	}
	meant := slices.DeleteFunc(all, func(one desk.Letter) bool {
		if o.Last == 0 {
			return !slices.Contains(o.Numbers, one.Sequence)
		}
		return one.Sequence > o.Last || o.Group != "" && one.Dead.Group != o.Group
	})
	do := l.Drop
	switch o.Do {
	case "drop":
	case "redeliver":
		if err := l.CheckGroups(ctx, meant); err != nil {
			return nil, err
		}
		do = l.Redeliver
	default:
		return nil, bad("redeliver or drop", "%q cannot be done to dead letters", o.Do)
	}
	done := deadDone{Meant: len(meant)}
	for _, one := range meant {
		if err := do(ctx, one); err != nil {
			return nil, &Error{Status: http.StatusBadGateway, What: fmt.Sprintf("%d of %d are done, and not #%d: %v", done.Done, done.Meant, one.Sequence, err)}
		}
		done.Done++
	}
	return done, nil
}
