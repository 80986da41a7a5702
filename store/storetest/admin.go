package storetest

import (
	"slices"
	"testing"

	"github.com/hanse-go/hanse/store"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// admin holds that a process which has declared nothing finds all buckets, and can read them.
func admin(h *harness) {
	peer := h.Peer(h.T, h.driver)
	a, ok := peer.(store.Admin)
	if !ok {
		h.Skip("the driver does not tell its buckets")
	}
	if all, err := a.Buckets(h.Context()); err != nil || len(all) != 0 {
		h.Fatalf("buckets before there is one: %+v, %v", all, err)
	}
	limited := store.NewBucket[[]byte]("raw.limited", store.Limits{MaxBytes: 50_000, MaxSize: 1000})
	if _, err := limited.Put(h.Context(), h.host, "x", []byte{1}); err != nil {
		h.Fatal(err)
	}
	h.put("a", "1")
	revision := h.put("b", "2")
	h.put("c", "3")
	if err := text.Delete(h.Context(), h.host, "c"); err != nil {
		h.Fatal(err)
	}
	all, err := a.Buckets(h.Context())
	if err != nil || len(all) != 2 || all[0].Name != "raw.limited" || all[1].Name != "text" {
		h.Fatalf("buckets: %+v, %v", all, err)
	}
	if b := all[0]; b.Type != "bytes" || b.Limits.MaxBytes != 50_000 || b.Limits.MaxSize != 1000 || b.Records != 1 || b.Bytes == 0 || b.Time.IsZero() {
		h.Errorf("%+v", b)
	}
	if b := all[1]; b.Type != "google.protobuf.StringValue" || b.Records < 2 || b.Revision <= revision {
		h.Errorf("%+v; the last revision of a value is %d", b, revision)
	}
	record, err := peer.Get(h.Context(), "text", "b")
	var v wrapperspb.StringValue
	if err != nil || record.Revision != revision || unmarshal(h.T, record.Value, &v) != "2" {
		h.Errorf("b: %+v, %v", record, err)
	}
	var keys []string
	err = peer.Watch(h.Context(), "text", store.WatchInfo{KeysOnly: true}, func(u store.Update) bool {
		if u.Kind == store.Put {
			keys = append(keys, u.Key)
		}
		return u.Kind != store.Synced
	})
	if slices.Sort(keys); err != nil || !slices.Equal(keys, []string{"a", "b"}) {
		h.Errorf("keys %q, %v", keys, err)
	}
	// What was looked at is as it was: a program with the declaration goes on.
	if _, err := limited.Put(h.Context(), &store.Client{Driver: h.driver}, "y", []byte{2}); err != nil {
		h.Error(err)
	}
}

func unmarshal(t *testing.T, data []byte, v *wrapperspb.StringValue) string {
	t.Helper()
	if err := proto.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
	return v.GetValue()
}
