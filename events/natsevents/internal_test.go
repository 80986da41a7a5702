package natsevents

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/nats-io/nats.go"
)

func TestLane(t *testing.T) {
	if lane("") != 0 {
		t.Error("a message without a key has a partition")
	}
	if got := lane("key-1"); got != 1+driver.Partition("key-1", partitions) {
		t.Errorf("key-1 is in lane %d", got)
	}
}

func FuzzEscape(f *testing.F) {
	for _, text := range []string{"", "plain", `a "b" %41 ü`, "\"", "\"\"", "%", "%4", "\x00\x7f\n", "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		written := escape(text)
		for i := range len(written) {
			if c := written[i]; c <= ' ' || c > '~' || c == '"' {
				t.Fatalf("%q is written as %q", text, written)
			}
		}
		if got := unescape(written); got != text && strings.ToValidUTF8(text, "") == text {
			t.Fatalf("%q becomes %q", text, got)
		}
		unescape(text)
	})
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"Euro%20%E2%82%AC": "Euro €", "%zz%4": "%zz%4", `"a \"b\" \\"`: `a "b" \`, "%ff": "%ff", `"`: `"`, "%e2%82%ac": "€",
	} {
		if got := unescape(in); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

func TestAck(t *testing.T) {
	for _, c := range []struct {
		data    string
		header  nats.Header
		want    string
		is      error
		passing bool
	}{
		{`{"stream":"S","seq":5}`, nil, "", nil, false},
		{`{"seq":5,"duplicate":true,"stream":"S"}`, nil, "", nil, false},
		{``, nats.Header{"Status": {"503"}}, "no responders", nats.ErrNoResponders, true},
		{`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"S","seq":0}`, nil, "maximum bytes", events.ErrFull, false},
		{`{"error":{"code":500,"err_code":10047,"description":"insufficient storage resources available"}}`, nil, "insufficient", events.ErrFull, false},
		{`{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}`, nil, "size", events.ErrTooLarge, false},
		{`{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`, nil, "unavailable", nil, true},
		{`{"error":{"code":400,"err_code":10060,"description":"expected stream does not match"}}`, nil, "expected", nil, false},
		{`{}`, nil, "names no stream", nil, false},
		{`what?`, nil, "cannot be read", nil, false},
	} {
		err := ack(&nats.Msg{Data: []byte(c.data), Header: c.header})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.data, err, c.want)
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: got %v, want %v", c.data, err, c.is)
		}
		if passing(err) != c.passing {
			t.Errorf("%s: passing is %v", c.data, !c.passing)
		}
	}
}

func TestSettledPosition(t *testing.T) {
	s := &lanes{b: &Broker{}, parts: make(map[int]*part)}
	p := s.newPart(3, 1, 1, position{Start: 5, Max: 9, Unsettled: []uint64{5, 8}})
	check := func(want string) {
		t.Helper()
		if got := fmt.Sprint(p.position()); got != want {
			t.Errorf("the position is %s, want %s", got, want)
		}
	}
	zero := "0001-01-01 00:00:00 +0000 UTC"
	check("{5 " + zero + " 9 [5 8]}")
	p.skip(8) // 8 came, 5 is not in the stream any more
	p.pending[8] = &kept{}
	p.missing--
	check("{8 " + zero + " 9 [8]}")
	delete(p.pending, 8)
	check("{10 " + zero + " 9 []}")
	if p = s.newPart(3, 1, 1, position{Start: 7}); p.missing != 0 {
		t.Error("something is missing in the beginning")
	}
	check("{7 " + zero + " 0 []}")
}

// What a delivery says of its place is what the client reads.
func TestPlace(t *testing.T) {
	for _, subject := range []string{
		"$JS.ACK.shop_orders.mailer.3.18446744073709551615.16.1763929552123456789.0",
		"$JS.ACK._.ACCHASH.shop_orders.mailer.1.4711.16.1763929552123456789.12",
		"$JS.ACK.hub.ACCHASH.shop_orders.mailer.1.4711.16.1763929552123456789.12.token",
	} {
		m := &nats.Msg{Reply: subject, Sub: &nats.Subscription{}}
		want, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		if got := placeOf(subject); got != (place{want.Stream, want.Sequence.Stream, want.Sequence.Consumer, int(want.NumDelivered), want.Timestamp}) {
			t.Errorf("%s: %+v, want %+v", subject, got, want)
		}
	}
	for _, subject := range []string{"", "$JS.ACK.", "$JS.ACK.a.b", "$JS.ACK.a.b.c.d.e.f.g.h.i.j.k"} {
		if got := placeOf(subject); got.delivered < 1 {
			t.Errorf("%q: %+v", subject, got)
		}
	}
}
