package gateway

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestOffsetOf(t *testing.T) {
	for _, tt := range []struct {
		data               string
		line, column, want int
	}{
		{"{}", 1, 1, 0},
		{"{}", 1, 2, 1},
		{"{}", 1, 3, 2},
		{"a\nbc", 2, 2, 3},
		{"üx", 1, 2, 2},
		{"\xffx", 1, 2, 1},
		{"{}", 0, 0, 0},
		{"{}", -1, -5, 0},
		{"a\n", 2, 9, 2},
		{"", 1, math.MaxInt, 0},
		{"{}", 1, math.MaxInt, 2}, // more steps than there is time for
		{"{}", math.MaxInt, 1, 2},
		{"\n\n", math.MaxInt, math.MaxInt, 2},
	} {
		if got := offsetOf([]byte(tt.data), tt.line, tt.column); got != tt.want {
			t.Errorf("line %d, column %d of %q: %d, want %d", tt.line, tt.column, tt.data, got, tt.want)
		}
	}
}

// TestJSONMistakeOfNoPlace holds that a place that is none costs nothing.
func TestJSONMistakeOfNoPlace(t *testing.T) {
	err := jsonMistake([]byte(`{"a": [1, 2]}`), errors.New("proto: (line 1:99999999999999999999): invalid value"))
	if !strings.Contains(err.Error(), "invalid value (line 1, column") {
		t.Error(err)
	}
}
