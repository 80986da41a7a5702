package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/gateway/internal/librarypb"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// creator answers with the status of HTTP that the metadata x-status asks for, with its own hands where x-raw does.
type creator struct{ library }

func answerWith(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	grpc.SetHeader(ctx, metadata.Pairs("x-rest", fmt.Sprint(md.Get(gateway.RESTKey))))
	if raw := md.Get("x-raw"); len(raw) > 0 {
		return grpc.SetHeader(ctx, metadata.Pairs(gateway.StatusKey, raw[0]))
	}
	code, _ := strconv.Atoi(strings.Join(md.Get("x-status"), ""))
	if err := gateway.SetStatus(ctx, code); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return grpc.SetHeader(ctx, metadata.Pairs("location", "/v1/books/1"))
}

func (creator) CreateBook(ctx context.Context, req *librarypb.CreateBookRequest) (*librarypb.CreateBookRequest, error) {
	return req, answerWith(ctx)
}

func (creator) WatchBooks(req *librarypb.GetBookRequest, stream grpc.ServerStreamingServer[librarypb.Book]) error {
	err := answerWith(stream.Context())
	for range req.Pages {
		if err == nil {
			err = stream.Send(&librarypb.Book{Title: "x"})
		}
	}
	return err
}

func (creator) Download(_ *librarypb.GetBookRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	if err := answerWith(stream.Context()); err != nil {
		return err
	}
	return stream.SendHeader(nil) // and no message
}

func TestStatus(t *testing.T) {
	url := serveContracts(t, func(r grpc.ServiceRegistrar) { librarypb.RegisterLibraryServer(r, creator{}) })
	const book = `{"book":{"title":"x"}}`
	for _, tt := range []struct {
		name, request, header string
		status                int
		body                  string
	}{
		{"created", "POST /v1/books", "X-Status: 201", 201, `{"title":"x"}`},
		{"accepted", "POST /v1/books", "X-Status: 202", 202, `{"title":"x"}`},
		{"nothing to say", "POST /v1/books", "X-Status: 204", 204, ""},
		{"elsewhere", "POST /v1/books", "X-Status: 303", 303, `{"title":"x"}`},
		{"by hand", "POST /v1/books", "X-Raw: 201", 201, `{"title":"x"}`},
		{"an error by hand", "POST /v1/books", "X-Raw: 404", 200, `{"title":"x"}`},
		{"a word by hand", "POST /v1/books", "X-Raw: created", 200, `{"title":"x"}`},
		{"an error", "POST /v1/books", "X-Status: 404", 500, "gateway: 404 is no status of a reply"},
		{"the beginning of one", "POST /v1/books", "X-Status: 100", 500, "gateway: 100 is no status of a reply"},
		{"a stream", "GET /v1/books:titles?pages=1", "X-Status: 206", 206, `"x"`},
		{"an empty stream", "GET /v1/books:titles", "X-Status: 206", 206, ""},
		{"a stream of nothing to say", "GET /v1/books:titles?pages=1", "X-Status: 204", 200, `"x"`},
		{"no bytes", "GET /v1/files/x", "X-Status: 202", 202, ""},
		{"by Connect", "POST /library.Library/CreateBook", "X-Status: 201", 200, book},
		{"by Connect, by hand", "POST /library.Library/CreateBook", "X-Raw: 201", 200, book},
	} {
		method, path, _ := strings.Cut(tt.request, " ")
		a := do(t, method, url+path, map[string]string{"POST": book}[method], jsonType, tt.header)
		if a.status != tt.status || !strings.Contains(strings.ReplaceAll(a.body, `": `, `":`), tt.body) || tt.body == "" && a.body != "" {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
		if a.status < 400 && strings.HasPrefix(tt.header, "X-Status") && a.header.Get("Location") != "/v1/books/1" || a.header["Hanse-Http-Status"] != nil {
			t.Errorf("%s: header %v", tt.name, a.header)
		}
		if bodiless := a.status == 204; bodiless && a.header.Get("Content-Type") != "" {
			t.Errorf("%s: header %v", tt.name, a.header)
		}
	}

	for path, want := range map[string]string{"/v1/books": "[1]", "/library.Library/CreateBook": "[]"} { // what strangers say does not count
		a := post(t, url+path, book, jsonType, "X-Status: 201", "Hanse-Rest: 7")
		if got := a.header.Get("X-Rest"); got != want {
			t.Errorf("%s: the handler was told %s, want %s", path, got, want)
		}
	}

	cc, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	var header metadata.MD
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-status", "201")
	if _, err := librarypb.NewLibraryClient(cc).CreateBook(ctx, &librarypb.CreateBookRequest{}, grpc.Header(&header)); err != nil || header[gateway.StatusKey] != nil || header["location"] == nil {
		t.Errorf("by gRPC: %v, %v", header, err)
	}
}

// busy fails as x-fail says, with x-pushback in the trailer.
type busy struct{ library }

func (busy) GetBook(ctx context.Context, _ *librarypb.GetBookRequest) (*librarypb.GetBookRequest, error) {
	return nil, beBusy(ctx)
}

func (busy) WatchBooks(_ *librarypb.GetBookRequest, stream grpc.ServerStreamingServer[librarypb.Book]) error {
	return beBusy(stream.Context())
}

func beBusy(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get("x-pushback"); len(v) > 0 {
		grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", v[0]))
	}
	var code codes.Code
	var seconds float64
	fmt.Sscan(md.Get("x-fail")[0], &code, &seconds)
	st := status.New(code, "come back later")
	if seconds != 0 {
		with, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(seconds * 1e9))})
		if err != nil {
			return err
		}
		st = with
	}
	return st.Err()
}

// TestRetryAfter holds that who is to come back later is told when, by all protocols whose errors are statuses of HTTP.
func TestRetryAfter(t *testing.T) {
	url := serveContracts(t, func(r grpc.ServiceRegistrar) { librarypb.RegisterLibraryServer(r, busy{}) })
	for _, tt := range []struct{ name, fail, pushback, want string }{
		{"a detail", "14 1.5", "", "2"},
		{"a trailer", "14 0", "1001", "2"},
		{"both", "8 100", "3000", "3"},
		{"at once", "8 0", "0", "0"},
		{"never", "14 5", "-1", ""},
		{"a trailer that is none", "14 5", "soon", ""},
		{"not told", "14 0", "", ""},
		{"the past", "8 -5", "", "0"},
		{"another error", "5 7", "7000", ""},
	} {
		header := []string{jsonType, "X-Fail: " + tt.fail}
		if tt.pushback != "" {
			header = append(header, "X-Pushback: "+tt.pushback)
		}
		for protocol, a := range map[string]answer{
			"Connect": post(t, url+"/library.Library/GetBook", "{}", header...),
			"REST":    do(t, http.MethodGet, url+"/v1/books/x", "", header[1:]...),
			"problem": do(t, http.MethodGet, url+"/v1/books/x", "", append(header[1:], "Accept: application/problem+json")...),
			"stream":  do(t, http.MethodGet, url+"/v1/books:watch", "", header[1:]...),
		} {
			if got := strings.Join(a.header["Retry-After"], ","); got != tt.want || a.status < 400 {
				t.Errorf("%s, %s: %d, Retry-After %q, want %q", tt.name, protocol, a.status, got, tt.want)
			}
		}
	}
}
