package gateway

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// pushbackKey is the trailer in which a server says after how many milliseconds to try again, or never when that is negative (gRFC A6).
const pushbackKey = "grpc-retry-pushback-ms"

// setRetryAfter tells a client when to try again whose call was one too many, or whose service is not available: by what the service says
// in a trailer or in a google.rpc.RetryInfo. A handler may have said it in a header.
func setRetryAfter(h http.Header, trailer metadata.MD, st *status.Status) {
	code := infoOf(st.Code()).http
	if code != http.StatusTooManyRequests && code != http.StatusServiceUnavailable || h["Retry-After"] != nil {
		return
	}
	after, told := time.Duration(0), false
	if ms := trailer[pushbackKey]; len(ms) > 0 {
		n, err := strconv.ParseInt(ms[0], 10, 32)
		if err != nil || n < 0 {
			return // do not try again
		}
		after, told = time.Duration(n)*time.Millisecond, true
	}
	for _, detail := range st.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok && !told {
			after, told = max(retry.GetRetryDelay().AsDuration(), 0), true
		}
	}
	if told {
		h["Retry-After"] = []string{strconv.Itoa(int(math.Ceil(after.Seconds())))}
	}
}
