package driver_test

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/events/driver"
)

const partitions = 16

func TestPartition(t *testing.T) {
	seen := make(map[int]int)
	for i := range 1600 {
		key := fmt.Sprint("key-", i)
		h := fnv.New32a()
		h.Write([]byte(key))
		if got, want := driver.Partition(key, partitions), int(h.Sum32()%partitions); got != want {
			t.Fatalf("%s is in %d, want %d", key, got, want)
		}
		seen[driver.Partition(key, partitions)]++
	}
	if len(seen) != partitions {
		t.Errorf("%d partitions are used", len(seen))
	}
}

func TestShares(t *testing.T) {
	if got := driver.Shares(nil, partitions); len(got) != partitions || got[0] != "" {
		t.Errorf("nobody has %v", got)
	}
	before := make([]string, partitions)
	for n := 1; n <= 20; n++ {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf("member-%d", i))
		}
		got := driver.Shares(members, partitions)
		slices.Reverse(members)
		if again := driver.Shares(members, partitions); !slices.Equal(again, got) {
			t.Errorf("%d members do not agree", n)
		}
		count := make(map[string]int)
		moved := 0
		for i, owner := range got {
			count[owner]++
			if owner != before[i] {
				moved++
			}
		}
		for m, c := range count {
			if c < partitions/n || c > (partitions+n-1)/n {
				t.Errorf("%s has %d partitions of %d members", m, c, n)
			}
		}
		if n > 1 && moved > partitions*3/4 {
			t.Errorf("%d partitions move when member %d comes", moved, n)
		}
		before = got
	}
}

// TestSharesStay holds what programs of other versions have worked out.
func TestSharesStay(t *testing.T) {
	got := strings.Join(driver.Shares([]string{"a", "b", "c"}, 8), "")
	if want := "ccbbaaab"; got != want {
		t.Errorf("a, b and c share as %s, want %s", got, want)
	}
}

func TestToken(t *testing.T) {
	for in, want := range map[string]string{"mailer-2": "mailer-2", "a.b c*>_/": "a_2eb_20c_2a_3e_5f_2f", "é": "_c3_a9"} {
		if got := driver.Token(in); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
		if back := driver.Untoken(want); back != in {
			t.Errorf("%s becomes %s again, want %s", want, back, in)
		}
	}
	for in, want := range map[string]string{"": "", "_": "_", "_2": "_2", "a_v2": "a_v2", "_+1": "_+1"} {
		if got := driver.Untoken(in); got != want {
			t.Errorf("%s, which is no token, becomes %s, want %s", in, got, want)
		}
	}
}

func TestCheckTopic(t *testing.T) {
	for name, ok := range map[string]bool{"orders.placed": true, "a": true, "a.2-x": true, "": false, "A": false, "a..b": false, ".a": false, "a_b": false, "1": false} {
		if err := driver.CheckTopic(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
