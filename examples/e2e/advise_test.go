//go:build unix

package e2e_test

import (
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// finding is what these tests read of one of hanse advise --json.
type finding struct {
	Kind     string
	Title    string
	Services []string
	Requests int
	Flag     string
	Saving   struct {
		Time time.Duration
		CPU  struct{ Busy, Idle time.Duration }
	}
}

// advice is what hanse advise says.
type advice struct {
	Requests, Calls int
	Findings        []finding
}

func (s *system) advice(t *testing.T) (a advice) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.hanse(t, "advise", "--json")), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// traced is what these tests read of hanse trace show --json.
type traced struct {
	Duration time.Duration
	Spans    []struct {
		Service string
		Kind    string
		Attrs   []struct {
			Key   string
			Value any
		}
	}
}

// paths returns how the calls of a service went: inprocess, unix, tcp.
func (tr traced) paths(service string) (list []string) {
	for _, span := range tr.Spans {
		for _, a := range span.Attrs {
			if a.Key == "hanse.path" && span.Service == service && span.Kind == "client" {
				list = append(list, a.Value.(string))
			}
		}
	}
	return list
}

// order calls a service of the tavern, in a trace of that ID.
func (s *system) order(t *testing.T, service, what string) (trace string) {
	t.Helper()
	id := make([]byte, 24)
	for i := range id {
		id[i] = byte(rand.IntN(255) + 1)
	}
	trace = hex.EncodeToString(id[:16])
	s.hanse(t, "call", "-H", "traceparent: 00-"+trace+"-"+hex.EncodeToString(id[16:])+"-01", service+"/Hello", `{"name": "`+what+`"}`)
	return trace
}

// trace returns a trace when all its spans are kept.
func (s *system) trace(t *testing.T, id string, spans int) (tr traced) {
	t.Helper()
	s.await(t, "the spans of a call are kept", func() bool {
		out, err := command("trace", "show", id, "--json")
		if err != nil {
			return false // not yet
		}
		tr = traced{}
		if err := json.Unmarshal([]byte(out), &tr); err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		return len(tr.Spans) == spans
	})
	return tr
}

// median returns the middle one.
func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// What is planted is found, and the line that is advised does what it says: the calls go in process.
func TestAdvise(t *testing.T) {
	dir, err := filepath.Abs("tavern")
	if err != nil {
		t.Fatal(err)
	}
	s := devIn(t, "hanse", dir, nil)
	s.runs = []string{"kitchen", "menu", "pantry", "waiter"}
	s.allReady(t)

	const dishes, times = "herring bread cheese eel soup beer pork peas", 7
	spans := 2 + 2*len(strings.Fields(dishes)) // a gap for who called, the waiter's own, and both sides of each call
	orders := func() (traces []string) {
		for range times {
			traces = append(traces, s.order(t, "waiter", dishes))
		}
		return traces
	}
	traces := orders()
	s.hanse(t, "call", "kitchen/Hello", `{"name": "herring"}`) // of which hanse begins no trace, and the kitchen does
	var apart []time.Duration
	for _, id := range traces {
		tr := s.trace(t, id, spans)
		if p := tr.paths("waiter"); len(p) != 8 || slices.Contains(p, "inprocess") {
			t.Fatalf("services that are apart call by %v", p)
		}
		apart = append(apart, tr.Duration)
	}
	s.await(t, "the circle is seen", func() bool { return s.advice(t).Requests == times+1 && len(s.advice(t).Findings) > 1 })
	a := s.advice(t)
	if len(a.Findings) != 2 {
		t.Errorf("findings: %+v", a.Findings)
	}
	flags := map[string]string{"n+1": "--services=menu,waiter", "cycle": "--services=kitchen,pantry"}
	for _, f := range a.Findings {
		if f.Flag != flags[f.Kind] || f.Requests < 1 || f.Saving.Time <= 0 || f.Saving.CPU.Busy <= 0 || f.Saving.CPU.Idle < f.Saving.CPU.Busy {
			t.Errorf("%+v", f)
		}
		t.Logf("%s: a request would save %v, and %v to %v of CPU", f.Title, f.Saving.Time, f.Saving.CPU.Busy, f.Saving.CPU.Idle)
	}

	// The line, as it is printed, in the folder where people are.
	text := s.hanse(t, "advise")
	line := regexp.MustCompile(`go run (\S+) (--services=menu,waiter)`).FindStringSubmatch(text)
	if line == nil {
		t.Fatalf("no line to type in\n%s", text)
	}
	for _, name := range []string{"menu", "waiter"} {
		s.hanse(t, "stop", name)
	}
	p := run(t, "go", nil, "-C", dir, "run", line[1], line[2])
	s.await(t, "the two are ready in one process", func() bool {
		select {
		case <-p.exited:
			t.Fatalf("%s ended:\n%s", line[0], p.out.String())
		default:
		}
		m, w := s.ready(t, "menu"), s.ready(t, "waiter")
		return len(m) == 1 && len(w) == 1 && m[0].PID == w[0].PID
	})
	var within []time.Duration
	for _, id := range orders() {
		tr := s.trace(t, id, spans)
		if p := slices.Compact(tr.paths("waiter")); !slices.Equal(p, []string{"inprocess"}) {
			t.Fatalf("services of one process call by %v", p)
		}
		within = append(within, tr.Duration)
	}
	t.Logf("an order took %v, and takes %v in one process", median(apart), median(within))
}

// testAdvice has visitors in the shop, whose services do nothing that could be advised against.
func testAdvice(t *testing.T, s *system) {
	tr := begin(t)
	var a advice
	s.await(t, "requests were recorded", func() bool {
		a = s.advice(t)
		return a.Requests >= 200
	})
	tr.end()
	if len(a.Findings) > 0 || a.Calls < a.Requests/4 {
		t.Errorf("of %d requests with %d calls: %+v", a.Requests, a.Calls, a.Findings)
	}
}
