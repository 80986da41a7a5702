package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/hanse-go/hanse/bench/rest/shelfpb"
	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/bench/wire"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

type shelf struct {
	shelfpb.UnimplementedShelfServer
}

func (shelf) GetBook(_ context.Context, req *shelfpb.GetBookRequest) (*shelfpb.Book, error) {
	return &shelfpb.Book{Name: req.Name, Tags: req.Tags, Pages: req.Edition, Title: "Title", Text: novel, Sold: 1, Chapters: []*shelfpb.Chapter{{Title: "1", Page: 1}}}, nil
}

func (shelf) PutBook(_ context.Context, req *shelfpb.Book) (*shelfpb.Book, error) { return req, nil }

// novel makes a book of 1 KiB in JSON.
var novel = strings.Repeat("Call me Ishmael. Some years ago, never mind how long. ", 14)

// restPeer is a way to make a method an HTTP handler.
type restPeer struct {
	name string
	http.Handler
}

// bareJSON is the least that the methods cost over HTTP with protobuf's JSON: routes, paths and queries are read by hand.
func bareJSON(w http.ResponseWriter, r *http.Request) {
	var reply proto.Message
	var err error
	name := strings.TrimPrefix(r.URL.Path, "/v1/")
	switch r.Method {
	case http.MethodGet:
		var query url.Values
		if query, err = url.ParseQuery(r.URL.RawQuery); err == nil {
			var edition int
			edition, err = strconv.Atoi(query.Get("edition"))
			if err == nil {
				reply, err = shelf{}.GetBook(r.Context(), &shelfpb.GetBookRequest{Name: name, Edition: int32(edition), Tags: query["tags"]})
			}
		}
	case http.MethodPut:
		var body []byte
		if body, err = io.ReadAll(r.Body); err == nil {
			var book shelfpb.Book
			if err = protojson.Unmarshal(body, &book); err == nil {
				book.Name = name
				reply, err = shelf{}.PutBook(r.Context(), &book)
			}
		}
	}
	var out []byte
	if err == nil {
		out, err = protojson.Marshal(reply)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(out)
}

// restPeers returns hanse's gateway, grpc-gateway's and the bare one.
func restPeers(ctx context.Context) ([]restPeer, func(), error) {
	srv := &rpc.Server{Name: "shelf"}
	shelfpb.RegisterShelfServer(srv, shelf{})
	if err := srv.Err(); err != nil {
		return nil, nil, err
	}
	srv.Start()
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	mux := runtime.NewServeMux()
	if err := shelfpb.RegisterShelfHandlerServer(ctx, mux, shelf{}); err != nil {
		return nil, nil, err
	}
	peers := []restPeer{
		{"hanse", &gateway.Handler{Backend: port}},
		{"grpc-gateway", mux},
		{"bare protojson", http.HandlerFunc(bareJSON)},
	}
	return peers, func() { port.Close() }, nil
}

// sink is a response that nobody reads but to see whether it is right.
type sink struct {
	header http.Header
	code   int
	body   []byte
}

func (s *sink) Header() http.Header  { return s.header }
func (s *sink) WriteHeader(code int) { s.code = code }
func (s *sink) Write(p []byte) (int, error) {
	s.body = append(s.body, p...)
	return len(p), nil
}

func (s *sink) reset() {
	clear(s.header)
	s.code, s.body = http.StatusOK, s.body[:0]
}

// restCall is one request, made again and again.
type restCall struct {
	title, method, path string
	body                []byte
}

func restCalls() ([]restCall, error) {
	book, err := shelf{}.GetBook(context.Background(), &shelfpb.GetBookRequest{Edition: 3, Tags: []string{"a", "b"}})
	if err != nil {
		return nil, err
	}
	body, err := protojson.Marshal(book)
	if err != nil {
		return nil, err
	}
	return []restCall{
		{"GET, path and query, 1 KiB back", http.MethodGet, "/v1/shelves/1/books/moby-dick?edition=3&tags=a&tags=b", nil},
		{"PUT, 1 KiB each way", http.MethodPut, "/v1/shelves/1/books/moby-dick", body},
	}, nil
}

// request returns a function that makes the request anew, as a server does.
func (c restCall) request(ctx context.Context) func() *http.Request {
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"*/*"}, "User-Agent": {"bench"}}
	if c.body == nil {
		header.Del("Content-Type")
	}
	path, query, _ := strings.Cut(c.path, "?")
	return func() *http.Request {
		r := (&http.Request{Method: c.method, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header.Clone(), Host: "localhost", RemoteAddr: "127.0.0.1:1",
			URL: &url.URL{Path: path, RawQuery: query}, Body: http.NoBody}).WithContext(ctx)
		if c.body != nil {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body))
		}
		return r
	}
}

// check holds that a peer answers with the book.
func (c restCall) check(ctx context.Context, p restPeer) error {
	w := &sink{header: http.Header{}}
	w.reset()
	p.ServeHTTP(w, c.request(ctx)())
	var book shelfpb.Book
	err := protojson.Unmarshal(w.body, &book)
	if w.code != http.StatusOK || err != nil || book.Name != "shelves/1/books/moby-dick" || book.Pages != 3 || len(book.Tags) != 2 || book.Text != novel {
		return errors.Join(fmt.Errorf("%s, %s: %d %s", p.name, c.title, w.code, w.body), err)
	}
	return nil
}

// run makes calls by 64 goroutines and returns what they cost.
func (c restCall) run(ctx context.Context, p restPeer, calls int) (took time.Duration, used wire.Usage) {
	const clients = 64
	request := c.request(ctx)
	before, begin := wire.Used(), time.Now()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			w := &sink{header: http.Header{}}
			for range calls / clients {
				w.reset()
				p.ServeHTTP(w, request())
			}
		})
	}
	wg.Wait()
	return time.Since(begin), wire.Used().Sub(before)
}

func rest(ctx context.Context, env *environment) (*section, error) {
	peers, stop, err := restPeers(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	calls, err := restCalls()
	if err != nil {
		return nil, err
	}
	rounds, count := 21, 19_200
	if env.quick {
		rounds, count = 3, 1_280
	}
	sec := &section{
		intro: fmt.Sprintf("Requests to annotated methods (google.api.http), in process: `ServeHTTP` with a response that goes nowhere, by 64 goroutines; %d rounds of %d calls, interleaved. "+
			"*hanse* is package gateway with a service behind it, with all that a call from outside meets there; *grpc-gateway* its generated handler, which calls the method directly; "+
			"*bare protojson* is written by hand and does no more than encode and decode.", rounds, count),
		header: []string{"request", "", "calls/s", "calls/s ÷ grpc-gateway", "CPU per call", "CPU ÷ grpc-gateway", "allocations"},
	}
	for _, call := range calls {
		speed, cpu, mallocs := make([][]float64, len(peers)), make([][]float64, len(peers)), make([]float64, len(peers))
		for _, p := range peers {
			if err := call.check(ctx, p); err != nil {
				return nil, err
			}
			call.run(ctx, p, count/10)
		}
		for range rounds {
			for _, i := range rand.Perm(len(peers)) {
				took, used := call.run(ctx, peers[i], count)
				speed[i] = append(speed[i], float64(count)/took.Seconds())
				cpu[i] = append(cpu[i], float64(used.CPU.Nanoseconds())/float64(count))
				mallocs[i] = float64(used.Mallocs) / float64(count)
			}
		}
		for i, p := range peers {
			sec.add(call.title, p.name, fmt.Sprintf("%.0f", sample.Median(speed[i])), ratio(sample.Ratios(speed[i], speed[1])),
				fmt.Sprintf("%.1f µs", sample.Median(cpu[i])/1e3), ratio(sample.Ratios(cpu[i], cpu[1])), fmt.Sprintf("%.0f", mallocs[i]))
		}
	}
	return sec, nil
}
