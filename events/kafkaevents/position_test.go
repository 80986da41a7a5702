package kafkaevents

import (
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestPosition(t *testing.T) {
	for _, p := range []position{
		{offset: 7, limit: 7},
		{offset: 0, limit: 1 << 40, open: []unsettled{{0, 1}}},
		{offset: 100, limit: 1000, open: []unsettled{{100, 3}, {101, 1}, {999, 1 << 20}}},
	} {
		if got := readPosition(p.offset, p.metadata()); !reflect.DeepEqual(got, p) {
			t.Errorf("wrote %+v, read %+v", p, got)
		}
	}
	if text := (position{offset: 7, limit: 7}).metadata(); text != "" {
		t.Errorf("metadata %q where there is nothing to say", text)
	}
}

// TestLongPosition has more to say than metadata takes: what is left out is not settled.
func TestLongPosition(t *testing.T) {
	p := position{offset: 1000, limit: 1 << 40}
	for n := range 5000 {
		p.open = append(p.open, unsettled{1000 + int64(n)*1000, 1})
	}
	text := p.metadata()
	if len(text) > mostMetadata {
		t.Errorf("%d bytes, and %d are taken", len(text), mostMetadata)
	}
	got := readPosition(p.offset, text)
	n := len(got.open)
	if n < 500 || !reflect.DeepEqual(got.open, p.open[:n]) || got.limit != p.open[n].offset {
		t.Errorf("%d are left, until %d", n, got.limit)
	}
	for _, u := range p.open {
		if _, deliver := got.attempts(u.offset); !deliver {
			t.Fatalf("%d would not be delivered again", u.offset)
		}
	}
	if _, deliver := got.attempts(1001); deliver {
		t.Error("what was settled would be delivered again")
	}
}

// FuzzPosition holds that any metadata is read, and that nothing but what it says is taken for settled.
func FuzzPosition(f *testing.F) {
	f.Add(int64(5), "hanse1:")
	f.Add(int64(5), "hanse1:Cg")
	f.Add(int64(0), position{offset: 100, limit: 1000, open: []unsettled{{100, 3}, {101, 1}}}.metadata())
	f.Fuzz(func(t *testing.T, offset int64, text string) {
		if offset < 0 || offset > 1<<60 {
			return
		}
		p := readPosition(offset, text)
		before := p.offset - 1
		for _, u := range p.open {
			if u.offset <= before || u.offset >= p.limit {
				t.Fatalf("%+v is out of order", p)
			}
			before = u.offset
		}
		if p.offset != offset || p.limit < offset {
			t.Fatalf("%+v of offset %d", p, offset)
		}
		again := readPosition(offset, p.metadata())
		if len(p.open) > 0 && p.open[0].offset == offset && len(p.open) < 300 && !reflect.DeepEqual(again, p) {
			t.Errorf("read %+v, then %+v", p, again)
		}
	})
}

// TestPositionOfPart has a member take a partition over of which events were settled out of order. Before it got to the others, what it commits
// leaves them unsettled.
func TestPositionOfPart(t *testing.T) {
	before := position{offset: 1, limit: 10, open: []unsettled{{1, 1}, {3, 2}, {6, 1}}}
	s := &session{m: &member{wake: make(chan struct{}, 1)}}
	p := &part{s: s, before: before, top: 1, lost: make(chan struct{})}
	for offset := int64(1); offset < 12; offset++ {
		p.takeIn(&kgo.Record{Offset: offset}, nil)
	}
	if len(p.queue) != 5 { // 1, 3, 6, 10 and 11
		t.Fatalf("%d events are to be delivered, want 5", len(p.queue))
	}
	var taken []*entry
	for _, step := range []struct {
		settle int // which one of those taken, -1: take one
		want   position
	}{
		{-1, before},
		{0, position{3, 10, before.open[1:]}},
		{-1, position{3, 10, before.open[1:]}},
		{-1, position{3, 10, before.open[1:]}},
		{2, position{3, 10, before.open[1:2]}},
		{-1, position{3, 11, append(slices.Clone(before.open[1:2]), unsettled{10, 0})}},
		{1, position{10, 11, []unsettled{{10, 0}}}},
		{3, position{11, 11, nil}},
		{-1, position{11, 12, []unsettled{{11, 0}}}},
	} {
		if step.settle < 0 {
			taken = append(taken, p.take())
		} else {
			p.held++
			s.m.held++
			taken[step.settle].stage = handed
			p.settle(taken[step.settle])
		}
		if got, known := p.position(); !known || !reflect.DeepEqual(got, step.want) {
			t.Errorf("after %+v: %+v, want %+v", step, got, step.want)
		}
	}
}
