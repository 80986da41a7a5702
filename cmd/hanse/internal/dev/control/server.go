package control

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"time"
)

// System is what the server acts on.
type System interface {
	Status() Status
	// Do carries out a request; progress may be called concurrently. An [*Error] reaches the client as it is.
	Do(ctx context.Context, r Request, progress func(string)) error
	// Logs is where the lines of the services are (none: all), or why it cannot be told.
	Logs(services []string) (Lines, error)
	// API answers at /api/ what the dashboard's page asks.
	API() http.Handler
}

// Serve answers on lis until ctx ends, and then waits for requests that are under way.
func Serve(ctx context.Context, lis net.Listener, sys System) error {
	// Requests end with ctx, or else a follower of logs would keep the server.
	srv := &http.Server{Handler: handler(sys), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(late)
	})
	err := srv.Serve(lis)
	if !stop() {
		return errors.Join(<-stopped, srv.Close())
	}
	return errors.Join(err, srv.Close())
}

// Listen opens the socket for this user alone.
func Listen(path string) (net.Listener, error) {
	os.Remove(path) // one that a dead process left; a living one holds the record of its system
	lis, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		lis.Close()
		return nil, err
	}
	return lis, nil
}

func handler(sys System) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Version+"/status", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(sys.Status())
	})
	mux.HandleFunc("POST "+Version+"/do", func(w http.ResponseWriter, r *http.Request) {
		var req Request
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&req); err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		do(w, r, sys, req)
	})
	mux.HandleFunc("GET "+Version+"/logs", func(w http.ResponseWriter, r *http.Request) { serveLogs(w, r, sys) })
	mux.Handle("GET "+Version+"/api/", http.StripPrefix(Version, sys.API()))
	return mux
}

// do streams what happens, from the goroutine of the request alone.
func do(w http.ResponseWriter, r *http.Request, sys System, req Request) {
	enc := json.NewEncoder(w)
	flush := http.NewResponseController(w).Flush
	events := make(chan string, 16)
	result := make(chan error, 1)
	ctx := r.Context()
	go func() {
		result <- sys.Do(ctx, req, func(text string) {
			select {
			case events <- text:
			case <-ctx.Done():
			}
		})
		close(events)
	}()
	for text := range events {
		enc.Encode(Event{Text: text}) // a client that is gone ends ctx
		flush()
	}
	last := Event{Done: true}
	if err := <-result; err != nil {
		last.Error = asError(err)
	}
	enc.Encode(last)
}

func fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(asError(err))
}

func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{What: err.Error()}
}
