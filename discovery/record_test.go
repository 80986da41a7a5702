package discovery_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery"
)

func TestRecordKeepsUnknownFields(t *testing.T) {
	const newer = `{"record":1,"service":"cart","instance":"c1","state":"ready","orbit":{"km":400},"weight":2}`
	inst, err := discovery.ParseRecord([]byte(newer))
	if err != nil {
		t.Fatal(err)
	}
	inst = inst.Clone()
	inst.Weight = 3
	data, err := inst.Record()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"record": 1.0, "service": "cart", "instance": "c1", "state": "ready", "weight": 3.0, "orbit": map[string]any{"km": 400.0}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A field that Record writes and that ParseRecord does not know as its own would be kept twice, and its old value would win over a
// removed one.
func TestRecordKnowsItsFields(t *testing.T) {
	fields := reflect.VisibleFields(reflect.TypeFor[discovery.Instance]())
	record := map[string]any{"record": 1, "service": "cart", "instance": "c1"}
	var exported int
	for _, f := range fields {
		if !f.IsExported() {
			continue
		}
		exported++
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if _, ok := record[name]; !ok {
			record[name] = nil
		}
	}
	data, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	inst, err := discovery.ParseRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	if want := (discovery.Instance{Service: "cart", ID: "c1"}); exported < 10 || !reflect.DeepEqual(inst, want) {
		t.Errorf("known fields are kept as unknown ones: %+v", inst)
	}
}

func TestParseRecordRefuses(t *testing.T) {
	for _, c := range []struct{ name, record, want string }{
		{"no JSON", `x`, "malformed"},
		{"no object", `[1]`, "malformed"},
		{"no number", `{"service":"cart","instance":"c1"}`, "no record number"},
		{"bad service", `{"record":1,"service":"Cart","instance":"c1"}`, `"Cart"`},
		{"no ID", `{"record":1,"service":"cart"}`, "no instance ID"},
		{"bad type", `{"record":1,"service":"cart","instance":"c1","weight":"much"}`, "weight"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := discovery.ParseRecord([]byte(c.record)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	_, err := discovery.ParseRecord([]byte(`{"record":2,"service":{"new":"shape"}}`))
	if !errors.Is(err, discovery.ErrRecordVersion) {
		t.Errorf("record 2: %v, want ErrRecordVersion", err)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"record":1,"service":"cart","instance":"c1","state":"ready","started":"2026-01-02T03:04:05Z","x":1}`))
	f.Add([]byte(`{"record":1,"service":"cart","instance":"c1","contracts":[{"name":"a","hash":"b"}],"metadata":{"a":"b"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		inst, err := discovery.ParseRecord(data)
		if err != nil {
			return
		}
		again, err := inst.Record()
		if err != nil {
			t.Fatalf("Record of %+v: %v", inst, err)
		}
		if _, err := discovery.ParseRecord(again); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "cart": true, "cart-2": true, strings.Repeat("a", 63): true,
		"": false, "Cart": false, "2cart": false, "-cart": false, "cart-": false, "ca.rt": false, "ca_rt": false, "käse": false, strings.Repeat("a", 64): false,
	} {
		if err := discovery.CheckName(name); (err == nil) != ok {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}
