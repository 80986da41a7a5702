package hot_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/hanse-go/hanse/cmd/hanse/internal/hot"
)

func TestRead(t *testing.T) {
	functions := map[string]*profile.Function{}
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}, DurationNanos: int64(10 * time.Second)}
	location := func(names ...string) *profile.Location { // what is inlined first
		loc := &profile.Location{ID: uint64(len(p.Location) + 1)}
		for _, name := range names {
			f := functions[name]
			if f == nil {
				f = &profile.Function{ID: uint64(len(p.Function) + 1), Name: name, Filename: name + ".go"}
				functions[name] = f
				p.Function = append(p.Function, f)
			}
			loc.Line = append(loc.Line, profile.Line{Function: f, Line: 1})
		}
		p.Location = append(p.Location, loc)
		return loc
	}
	main, work, rec := location("main"), location("inlined", "work"), location("rec")
	p.Sample = []*profile.Sample{
		{Location: []*profile.Location{work, main}, Value: []int64{1, 30}},
		{Location: []*profile.Location{rec, rec, rec, main}, Value: []int64{2, 50}},
		{Location: []*profile.Location{main}, Value: []int64{7, 10}},
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := hot.Read(bytes.NewReader(b.Bytes()), "", 4)
	if err != nil {
		t.Fatal(err)
	}
	want := []hot.Function{{"rec", "rec.go", 50, 50}, {"inlined", "inlined.go", 30, 30}, {"main", "main.go", 10, 90}, {"work", "work.go", 0, 30}}
	if got.Kind != "cpu" || got.Unit != "nanoseconds" || got.Total != 90 || got.Duration != 10*time.Second || len(got.Functions) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i := range want {
		if got.Functions[i] != want[i] {
			t.Errorf("%d: %+v and not %+v", i, got.Functions[i], want[i])
		}
	}
	if got, err := hot.Read(bytes.NewReader(b.Bytes()), "samples", 1); err != nil || len(got.Functions) != 1 || got.Functions[0].Name != "main" || got.Total != 10 {
		t.Errorf("by samples: %+v, %v", got, err)
	}
	if _, err := hot.Read(bytes.NewReader(b.Bytes()), "heap", 1); err == nil {
		t.Error("no error for samples that there are not")
	}
	if _, err := hot.Read(strings.NewReader("404 page not found"), "", 1); err == nil {
		t.Error("no error for what is no profile")
	}
}

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		v    int64
		unit string
		want string
	}{
		{1234567890, "nanoseconds", "1.23s"}, {1234567, "nanoseconds", "1.23ms"}, {999, "nanoseconds", "999ns"},
		{1023, "bytes", "1023 B"}, {1536, "bytes", "1.5 KiB"}, {5 << 30, "bytes", "5.0 GiB"}, {-2048, "bytes", "-2.0 KiB"}, {7, "count", "7"},
	} {
		if got := hot.Format(tt.v, tt.unit); got != tt.want {
			t.Errorf("%d %s is %s and not %s", tt.v, tt.unit, got, tt.want)
		}
	}
}
