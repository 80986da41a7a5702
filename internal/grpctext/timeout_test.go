package grpctext

import (
	"math"
	"testing"
	"time"
)

func TestAppendTimeout(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{1, "1u"},
		{time.Microsecond, "1u"},
		{time.Microsecond + 1, "2u"},
		{10 * time.Millisecond, "10000u"},
		{10*time.Millisecond + 1, "11m"},
		{time.Second, "1000m"},
		{10*time.Second - 300*time.Microsecond, "10000m"},
		{99_999_999 * time.Millisecond, "99999999m"},
		{99_999_999*time.Millisecond + 1, "100000S"},
		{99_999_999 * time.Second, "99999999S"},
		{99_999_999*time.Second + 1, "27778H"},
		{math.MaxInt64, "2562048H"},
		{0, "1u"},
		{-time.Second, "1u"},
	} {
		got := string(AppendTimeout(nil, tt.d))
		if got != tt.want {
			t.Errorf("%v: %s, want %s", tt.d, got, tt.want)
		}
		if back, err := ParseTimeout(got); err != nil || back < tt.d {
			t.Errorf("%v came back as %v, %v", tt.d, back, err)
		}
	}
}

func TestParseTimeout(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"1n": 1, "20u": 20 * time.Microsecond, "3m": 3 * time.Millisecond, "4S": 4 * time.Second, "5M": 5 * time.Minute, "6H": 6 * time.Hour,
		"0S": 0, "99999999H": math.MaxInt64, "99999999M": 99999999 * time.Minute, "2562048H": math.MaxInt64, "00000001S": time.Second,
	} {
		if got, err := ParseTimeout(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "1", "S", "123456789S", "-1S", "+1S", "1s", "1.5S", " 1S", "1S ", "1 S", "x1S"} {
		if got, err := ParseTimeout(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func FuzzTimeout(f *testing.F) {
	for _, s := range []string{"1n", "99999999H", "10000m", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseTimeout(s)
		if err != nil || d == 0 {
			return
		}
		back, err := ParseTimeout(string(AppendTimeout(nil, d)))
		if err != nil || back < d || back-d > time.Hour {
			t.Errorf("%s is %v and comes back as %v, %v", s, d, back, err)
		}
	})
}
