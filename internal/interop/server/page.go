package main

import (
	"fmt"
	"io"
	"net/http"
)

// page answers every path: a line for GET and HEAD, and for other methods the body of the request, with its trailers.
func page() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				panic(http.ErrAbortHandler) // the answer waits for the whole request, and so for what is wrong with it
			}
			fmt.Fprintf(w, "%s %s over %s\n", r.Method, r.URL.Path, r.Proto)
			return
		}
		if _, err := io.Copy(w, r.Body); err != nil {
			panic(http.ErrAbortHandler) // the request broke off: so does the answer
		}
		for name, values := range r.Trailer {
			w.Header()[http.TrailerPrefix+name] = values
		}
	})
}
