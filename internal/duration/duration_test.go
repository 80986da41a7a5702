package duration_test

import (
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/duration"
)

func TestText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ns", 840: "840 ns", 12_345: "12.3 µs", 999_400: "999 µs", 4_560_000: "4.56 ms", 99_960_000: "100 ms", 1_200_000_000: "1.20 s",
		59 * time.Second: "59.0 s", 999_600: "1.00 ms", 999_499_999: "999 ms", 999_600_000: "1.00 s", 59_960 * time.Millisecond: "1 m 0 s", 125 * time.Second: "2 m 5 s", 192 * time.Minute: "3 h 12 m", 50 * time.Hour: "2 d 2 h", -time.Second: "0 ns",
	} {
		if got := duration.Text(d); got != want {
			t.Errorf("Text(%d) = %q, want %q", d, got, want)
		}
	}
}
