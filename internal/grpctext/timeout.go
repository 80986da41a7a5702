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
	const digits = 100_000_000
	for _, u := range [...]struct {
		name byte
		unit time.Duration
		upTo time.Duration
	}{
		{'u', time.Microsecond, 10 * time.Millisecond},
		{'m', time.Millisecond, (digits - 1) * time.Millisecond},
		{'S', time.Second, (digits - 1) * time.Second},
	} {
		if d <= u.upTo {
			return append(strconv.AppendInt(dst, int64((max(d, 1)-1)/u.unit+1), 10), u.name)
		}
	}
	return append(strconv.AppendInt(dst, int64((d-1)/time.Hour+1), 10), 'H')
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
