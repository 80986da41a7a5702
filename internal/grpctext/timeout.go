package grpctext

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// AppendTimeout appends the value of a grpc-timeout header: at most eight digits and a unit (gRPC's PROTOCOL-HTTP2, "Timeout"). It
// rounds up, and to whole milliseconds from 10 ms on, so that the values of a program's calls are few and their coding is remembered.
func AppendTimeout(dst []byte, d time.Duration) []byte {
	const most = 99_999_999
	d = max(d, 1) - 1 // what is left over makes a whole unit
	switch {
	case d < 10*time.Millisecond:
		return append(strconv.AppendInt(dst, int64(d/time.Microsecond)+1, 10), 'u')
	case d < most*time.Millisecond:
		return append(strconv.AppendInt(dst, int64(d/time.Millisecond)+1, 10), 'm')
	case d < most*time.Second:
		return append(strconv.AppendInt(dst, int64(d/time.Second)+1, 10), 'S')
	}
	return append(strconv.AppendInt(dst, int64(d/time.Hour)+1, 10), 'H')
}

// ParseTimeout reads the value of a grpc-timeout header. What no Duration can hold is the longest one.
func ParseTimeout(s string) (time.Duration, error) {
	if len(s) < 2 || len(s) > 9 {
		return 0, fmt.Errorf("malformed grpc-timeout %q: it must be one to eight digits and a unit", s)
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 'n':
		unit = time.Nanosecond
	case 'u':
		unit = time.Microsecond
	case 'm':
		unit = time.Millisecond
	case 'S':
		unit = time.Second
	case 'M':
		unit = time.Minute
	case 'H':
		unit = time.Hour
	default:
		return 0, fmt.Errorf("malformed grpc-timeout %q: the unit must be one of H, M, S, m, u and n", s)
	}
	var n int64
	for i := range len(s) - 1 {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("malformed grpc-timeout %q: it must be one to eight digits and a unit", s)
		}
		n = 10*n + int64(c-'0')
	}
	if n > math.MaxInt64/int64(unit) {
		return math.MaxInt64, nil
	}
	return time.Duration(n) * unit, nil
}
