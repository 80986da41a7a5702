package filter_test

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/filter"
)

// record is a log line or a span as a table.
type record struct {
	fields map[filter.Field]slog.Value
	attrs  map[string]slog.Value
	texts  []string
}

func (r record) Texts(yield func(string) bool) {
	for _, text := range r.texts {
		if !yield(text) {
			return
		}
	}
}

func (r record) Field(f filter.Field) (slog.Value, bool) { v, ok := r.fields[f]; return v, ok }
func (r record) Attr(name string) (slog.Value, bool)     { v, ok := r.attrs[name]; return v, ok }

var line = record{
	fields: map[filter.Field]slog.Value{
		filter.Service: slog.StringValue("cart"),
		filter.Level:   slog.AnyValue(slog.LevelWarn),
		filter.Message: slog.StringValue("Payment timed out"),
		filter.Trace:   slog.StringValue("4bf92f3577b34da6a3ce929d0e0e4736"),
	},
	attrs: map[string]slog.Value{
		"order":   slog.Int64Value(7),
		"amount":  slog.Float64Value(12.5),
		"took":    slog.DurationValue(1500 * time.Millisecond),
		"waited":  slog.StringValue("20ms"),
		"path":    slog.StringValue("/orders/7"),
		"user":    slog.StringValue("Alice Ä"),
		"status":  slog.Int64Value(503),
		"service": slog.StringValue("other"),
		"sevice":  slog.StringValue("x"),
		"empty":   slog.StringValue(""),
		"ok":      slog.BoolValue(true),
	},
	texts: []string{"Payment timed out", "Alice Ä", "/orders/7"},
}

var span = record{
	fields: map[filter.Field]slog.Value{
		filter.Service:  slog.StringValue("payment"),
		filter.Method:   slog.StringValue("shop.v1.Payment/Charge"),
		filter.Status:   slog.StringValue("error"),
		filter.Duration: slog.DurationValue(150 * time.Millisecond),
		filter.Kind:     slog.StringValue("server"),
		filter.Trace:    slog.StringValue("4bf92f3577b34da6a3ce929d0e0e4736"),
		filter.Span:     slog.StringValue("00f067aa0ba902b7"),
	},
	attrs: map[string]slog.Value{
		"rpc.response.status_code":  slog.StringValue("NOT_FOUND"),
		"http.response.status_code": slog.Int64Value(404),
	},
	texts: []string{"shop.v1.Payment/Charge", "card 12-34 declined"},
}

func TestMatch(t *testing.T) {
	tests := []struct {
		text   string
		record record
		want   bool
	}{
		{"", line, true},
		{"  \t\n", line, true},
		{"payment", line, true},
		{"PAYMENT timed", line, true},
		{"payment cart", line, false}, // the service is no text
		{"-payment", line, false},
		{"payment -declined", line, true},
		{`"timed out"`, line, true},
		{`"out timed"`, line, false},
		{`-"timed out"`, line, false},
		{"ä", line, true},
		{"ALICE", line, true},
		{"/timed? out$/", line, true},
		{"/TIMED/", line, false},
		{"/TIMED/i", line, true},
		{"-/TIMED/i", line, false},
		{`/\/orders\/\d+/`, line, true},
		{"/orders/7", line, true}, // text, and so is what follows
		{"/orders", line, true},
		{"/order", span, false},
		{"12-34", span, true},

		{"service:cart", line, true},
		{"service:CART", line, true},
		{"service:car", line, false},
		{"service:ca*", line, true},
		{"service:*", line, true},
		{`service:"*"`, line, false},
		{"-service:*", line, false},
		{"service:checkout,cart", line, true},
		{"service:checkout,payment", line, false},
		{"-service:checkout,cart", line, false},
		{"service.name:cart", line, true},
		{"@service:cart", line, false},
		{"@service:other", line, true},
		{"service:/^c/", line, true},
		{`service:/x/,cart`, line, true},

		{"level:warn", line, true},
		{"level:info", line, true},
		{"level:error", line, false},
		{"-level:error", line, true},
		{"level=warn", line, true},
		{"level=info", line, false},
		{"level=info,warn", line, true},
		{"level>info", line, true},
		{"level>warn", line, false},
		{"level>=warn", line, true},
		{"level<=warn", line, true},
		{"level<warn", line, false},
		{"level:warn+1", line, false},
		{"level>info+3", line, true},
		{"severity:WARNING", line, true},
		{"level:trace", span, false}, // what has no level
		{"-level:*", span, true},
		{"level:*", line, true},

		{"order:7", line, true},
		{"order=7", line, true},
		{"order=8,7", line, true},
		{"-order=7", line, false},
		{"order>6", line, true},
		{"order>7", line, false},
		{"order>=7", line, true},
		{"order<=7 order<8", line, true},
		{"amount>12.4", line, true},
		{"amount<1e1", line, false},
		{"took>1s", line, true},
		{"took>1.5s", line, false},
		{"took>1", line, false}, // no unit
		{"waited<21ms", line, true},
		{"user>1", line, false},
		{"-user>1", line, true},
		{"order>5s", line, false},
		{"duration>1s", line, false},
		{"nothing:*", line, false},
		{"-nothing:*", line, true},
		{"empty:*", line, true},
		{`empty:""`, line, true},
		{`user:""`, line, false},
		{`user:"alice ä"`, line, true},
		{"user:alice*", line, true},
		{"user:*LICE*", line, true},
		{"user:*b*", line, false},
		{"user:a*e*ä", line, true},
		{"user:a*e*x", line, false},
		{"path:/orders/7", line, true},
		{"path:/orders/*", line, true},
		{"path:/x,/orders/7", line, true},
		{"path:/ORDERS/", line, false}, // a regular expression
		{"ok:true", line, true},
		{"status:503", line, true}, // the attribute, for the line has no such field
		{"status>=500", line, true},
		{"@sevice:x", line, true},
		{"msg:payment*", line, true},
		{"message:payment", line, false},

		{"method:shop.v1.Payment/Charge", span, true},
		{"method:/shop.v1.Payment/Charge", span, true},
		{"method:payment/charge", span, true},
		{"method:Charge", span, true},
		{"method:harge", span, false},
		{"method:Ch*", span, true},
		{"method:Payment/*", span, true},
		{"method:ayment/*", span, false},
		{"method:shop.v1.Payment", span, false},
		{"status:error", span, true},
		{"status:ok", span, false},
		{"status:NotFound", span, true},
		{"status:not_found", span, true},
		{"status:404", span, true},
		{"status>=400 status<500", span, true},
		{"status>=500", span, false},
		{"duration>100ms", span, true},
		{"duration>.15s", span, false},
		{"duration>=150ms duration<1s", span, true},
		{"kind:server,client", span, true},
		{"trace:4bf92f35", span, true},
		{"trace:4BF92F3577B34DA6A3CE929D0E0E4736", span, true},
		{"trace:92f", span, false},
		{"trace_id=4bf9", line, true},
		{"span:00f0", span, true},
		{"-trace:*", span, false},
	}
	for _, tt := range tests {
		f, err := filter.Parse(tt.text)
		if err != nil {
			t.Errorf("Parse(%s): %v", tt.text, err)
			continue
		}
		if got := f.Match(tt.record); got != tt.want {
			t.Errorf("%s matches: %v", tt.text, got)
		}
		again, err := filter.Parse(f.String())
		if err != nil || again.String() != f.String() || again.Match(tt.record) != tt.want {
			t.Errorf("%s is written %s, and that is %v, %v", tt.text, f, again, err)
		}
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ text, wrong, want string }{
		{`a "b c`, `"b c`, `no closing "`},
		{"a - b", "-", "nothing is behind the -"},
		{"-", "-", "nothing is behind the -"},
		{"--f", "-", `a second -: write "-f" for the text`},
		{`""`, `""`, "looks for nothing"},
		{`"a"b`, "b", "leave a space"},
		{"/(/", "/(/", "missing closing )"},
		{"x sevice:cart", "sevice", "no field sevice: did you mean service? (@sevice is an attribute of that name)"},
		{"levl:warn", "levl", "did you mean level?"},
		{"Durations>1s", "Durations", "did you mean duration?"},
		{"service:", "service:", `no value is behind service:: write one, * for any, or "service:" for the text`},
		{"a:b,", "a:b,", `no value is behind a:`},
		{"a:,b", "a:", `no value is behind a:`},
		{"a!=b", "!=", "write -a=…"},
		{"level:wran", "wran", `no level "wran": did you mean warn?`},
		{"level:loud", "loud", "there are trace, debug, info, warn, error, fatal"},
		{"level:warn,eror", "eror", "did you mean error?"},
		{"level:warn+x", "warn+x", "is no distance"},
		{"level:w*", "w*", "write a level"},
		{"level:/w/", "/w/", "write a level"},
		{"level>a,b", "a", "no level"},
		{"level>warn,info", ",", "> compares with one value"},
		{"trace:xyz", "xyz", `"xyz" is no ID of a trace`},
		{"duration:1s", "duration:1s", "compare a duration with > or <: duration>1s"},
		{"duration>5", "5", "a duration has a unit: 5ms or 5s"},
		{"duration>soon", "soon", `"soon" is no duration`},
		{"service>a", "service>a", "service is not compared with >: write service:a"},
		{"trace>a", "trace>a", "trace is not compared"},
		{"order>many", "many", `"many" is neither a number nor a duration: put quotes around "order>many" to look for the text`},
		{"order>/1/", "/1/", "neither a number"},
		{"order>NaN", "NaN", "neither a number"},
		{"foo->bar", "bar", `put quotes around "foo->bar"`},
		{"ä \xff", "\xff", "no UTF-8"},
		{strings.Repeat("a", 5000), strings.Repeat("a", 5000), "at most 4096 bytes, and this one 5000"},
	}
	for _, tt := range tests {
		f, err := filter.Parse(tt.text)
		var e *filter.Error
		if !errors.As(err, &e) {
			t.Errorf("Parse(%q) = %v, %v", tt.text, f, err)
			continue
		}
		if e.Query != tt.text || e.Query[e.Pos:e.End] != tt.wrong || !strings.Contains(e.Message, tt.want) {
			t.Errorf("Parse(%q): %q: %v", tt.text, e.Query[e.Pos:e.End], err)
		}
	}
	_, err := filter.Parse("ä levl:warn")
	if want := "column 3: no field levl: did you mean level? (@levl is an attribute of that name)"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestParseSpans(t *testing.T) {
	for _, text := range []string{
		"status:error", "-status:refused", "status:ok,unset", "status:NotFound", "status=not_found,DATA_LOSS", "status:404", "status>=500", "status:NOT_*", "status:/^U/", "status:*",
		`status:""`, "@status:shipped", "kind:server,Client", "kind:*", "order:7", "status:cancelled", "",
	} {
		if _, err := filter.ParseSpans(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, tt := range []struct{ text, wrong, want string }{
		{"status:foo", "foo", `no status "foo": there are error, refused, ok and unset, codes of gRPC such as NOT_FOUND, and of HTTP such as 404 (@status:foo is an attribute of that name)`},
		{"ä -status:ok,eror", "eror", "did you mean error?"},
		{"status:NOT_FUOND", "NOT_FUOND", "did you mean NOT_FOUND?"},
		{`status:"un set"`, "un set", "did you mean unset?"},
		{"kind:sever", "sever", "did you mean server?"},
		{"kind:rpc", "rpc", "there are server, client, producer, consumer and internal"},
		{"levl:x", "levl", "did you mean level?"},
	} {
		f, err := filter.ParseSpans(tt.text)
		var e *filter.Error
		if !errors.As(err, &e) {
			t.Errorf("%q = %v, %v", tt.text, f, err)
		} else if e.Query[e.Pos:e.End] != tt.wrong || !strings.Contains(e.Message, tt.want) || !f.Empty() {
			t.Errorf("%q: %q: %v", tt.text, e.Query[e.Pos:e.End], err)
		}
	}
	if _, err := filter.Parse("status:shipped"); err != nil {
		t.Error("of a line: ", err)
	}
}

// Names that are near a field's only because they are short are attributes.
func TestAttributesNearFields(t *testing.T) {
	for _, name := range []string{"id", "end", "node", "host", "user", "state", "code", "grpc.status", "lvl"} {
		if _, err := filter.Parse(name + ":x"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTerms(t *testing.T) {
	f, err := filter.Parse(`timeout -/a\/b/i Service:a,"b*",c* level:warn amount>=1.5 took<2s @trace:x`)
	if err != nil {
		t.Fatal(err)
	}
	terms := f.Terms()
	if len(terms) != 7 {
		t.Fatalf("%d terms", len(terms))
	}
	word, re, service, level, amount, took, attr := terms[0], terms[1], terms[2], terms[3], terms[4], terms[5], terms[6]
	if !word.IsText() || word.Negated || word.Values[0].Text != "timeout" || word.Pos != 0 {
		t.Errorf("%+v", word)
	}
	if v := re.Values[0]; !re.Negated || !re.IsText() || v.Text != "a/b" || !v.NoCase || !v.Regexp.MatchString("xA/B") || re.Pos != 8 {
		t.Errorf("%+v", re)
	}
	if v := service.Values; service.Field != filter.Service || service.Op != filter.Is || len(v) != 3 || v[0].Pattern || v[1].Pattern || v[1].Text != "b*" || !v[2].Pattern {
		t.Errorf("%+v", service)
	}
	if level.Values[0].Level != slog.LevelWarn {
		t.Errorf("%+v", level)
	}
	if amount.Field != "" || amount.Name != "amount" || amount.Op != filter.AtLeast || amount.Values[0].Number != 1.5 || amount.Values[0].Unit {
		t.Errorf("%+v", amount)
	}
	if v := took.Values[0]; took.Op != filter.Less || !v.Unit || v.Duration != 2*time.Second {
		t.Errorf("%+v", took)
	}
	if attr.Field != "" || attr.Name != "trace" {
		t.Errorf("%+v", attr)
	}
	if got, want := f.String(), `timeout -/a\/b/i service:a,"b*",c* level:warn amount>=1.5 took<2s @trace:x`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	terms[0].Negated = true
	if f.Terms()[0].Negated {
		t.Error("a filter was changed by its terms")
	}
	if f.Empty() || !(filter.Filter{}).Empty() {
		t.Error("Empty is wrong")
	}
}

func TestAnd(t *testing.T) {
	f, _ := filter.Parse("service:cart")
	g, _ := filter.Parse("-timed")
	both := f.And(g)
	if both.String() != "service:cart -timed" || f.String() != "service:cart" || !f.Match(line) || both.Match(line) {
		t.Errorf("%v", both)
	}
}

func TestParseLevel(t *testing.T) {
	for text, want := range map[string]slog.Level{
		"info": 0, "INFO": 0, "Info+2": 2, "DEBUG-2": -6, "warning": 4, "err": 8, "trace": filter.LevelTrace, "FATAL": filter.LevelFatal, "notice": 0, "panic": 12,
	} {
		if got, err := filter.ParseLevel(text); err != nil || got != want {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	// What package slog writes is read.
	for l := slog.Level(-10); l < 14; l++ {
		if got, err := filter.ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("%s is %v, %v", l, got, err)
		}
	}
}

// same compares the terms of two filters.
func same(f, g filter.Filter) bool {
	return slices.EqualFunc(f.Terms(), g.Terms(), func(a, b filter.Term) bool {
		return a.Negated == b.Negated && a.Field == b.Field && a.Name == b.Name && a.Op == b.Op && slices.EqualFunc(a.Values, b.Values, func(v, w filter.Value) bool {
			v.Regexp, w.Regexp = nil, nil
			return v == w
		})
	})
}

// Filters are made of parts that mean something to the grammar, so that most of them are right.
func TestStringParsesBack(t *testing.T) {
	parts := []string{" ", " ", "a", "B", "-", `"`, `\`, `\"`, "/", `\/`, "i", ":", "=", ">", "<=", ",", "*", "@", "service", "level", "warn", "trace", "x.y", "1", "5ms",
		"sevice", "ä", "\u00a0", "(", ")", "!=", "://", `""`, "status", "duration"}
	random := rand.New(rand.NewPCG(1, 2))
	right := 0
	for range 200_000 {
		var b strings.Builder
		for range 1 + random.IntN(9) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		if checkBack(t, b.String()) {
			right++
		}
	}
	if right < 20_000 {
		t.Errorf("%d filters were right: the test shows little", right)
	}
}

// checkBack holds that a filter that is right is written as one that is equal to it, and that an error has its place in the text.
func checkBack(t *testing.T, text string) bool {
	f, err := filter.Parse(text)
	if err != nil {
		var e *filter.Error
		if !errors.As(err, &e) || e.Pos < 0 || e.End < e.Pos || e.End > len(text) || e.Message == "" || e.Error() == "" {
			t.Fatalf("%q: %#v", text, err)
		}
		return false
	}
	written := f.String()
	g, err := filter.Parse(written)
	if err != nil || !same(f, g) || g.String() != written {
		t.Fatalf("%q is written %q, and that is %q, %v", text, written, g, err)
	}
	f.Match(line)
	f.Match(span)
	return true
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{`level:warn payment -timeout`, `"a \" b" -/x\/y/i`, `service:cart,"a b",/c/ n>=1.5 d<20ms`, `@level:* -foo:bar*,""`, `/healthz http://x:80/y`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkBack(t, text) })
}

// Words and patterns do what a simpler definition says.
func FuzzText(f *testing.F) {
	f.Add("Hello", "ell")
	f.Add("ÄÖ", "ö")
	f.Fuzz(func(t *testing.T, text, part string) {
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(part) + `"`
		g, err := filter.Parse(quoted)
		if err != nil {
			return
		}
		want := strings.Contains(strings.ToLower(text), strings.ToLower(part))
		if got := g.Match(record{texts: []string{text}}); got != want {
			t.Errorf("%q has %q: %v", text, part, got)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	f, err := filter.Parse("level:info -service:checkout timed -declined order=7")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !f.Match(line) {
			b.Fatal("no match")
		}
	}
}
