package gateway

import (
	"math/rand/v2"
	"net/http"
	"strconv"
)

// requestID names a request in the logs of all who have to do with it.
const requestID = "X-Request-Id"

// nameRequest gives a request that has none an ID, which becomes metadata as those that clients choose do, and tells the client.
func nameRequest(w http.ResponseWriter, r *http.Request) {
	id := r.Header[requestID]
	if len(id) != 1 || !goodID(id[0]) {
		var b [32]byte
		text := strconv.AppendUint(strconv.AppendUint(b[:0], rand.Uint64()|1<<63, 16), rand.Uint64()|1<<63, 16)
		id = []string{string(text)}
		r.Header[requestID] = id
	}
	w.Header()[requestID] = id
}

// goodID reports whether an ID fits a line of a log.
func goodID(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return 0 < len(id) && len(id) <= 128
}
