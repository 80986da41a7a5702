package gateway

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// serveConnectGet serves a unary call that is a GET, for methods without side effects.
func (h *Handler) serveConnectGet(w http.ResponseWriter, r *http.Request, rt *route) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	codec := h.codecOf(query.Get("encoding"))
	if codec == nil {
		code := http.StatusUnsupportedMediaType
		if !query.Has("encoding") {
			code = http.StatusBadRequest
		}
		http.Error(w, "a GET has the request in its query: "+rt.path+"?encoding=json&message=…, with JSON that is percent-encoded; or encoding=proto&base64=1&message=…", code)
		return
	}
	if !query.Has("connect") {
		codec = plain(codec)
	}
	b := &begin{route: rt}
	if b.err = connectBegin(r, b); err != nil && b.err == nil {
		b.err = status.Errorf(codes.InvalidArgument, "the query is malformed: %v", err)
	}
	x := h.newConnectUnary(w, r, b, codec, query.Get("compression"))
	if b.err == nil {
		x.request, b.err = messageOf(query, h.limits().MessageBytes)
	}
	w.Header().Add("Vary", "Accept-Encoding")
	h.run(r, b, x)
}

// messageOf returns the message in a query. The error is the call's status.
func messageOf(query url.Values, limit int) ([]byte, error) {
	if v := query.Get("connect"); v != "" && v != "v1" {
		return nil, status.Errorf(codes.InvalidArgument, "the parameter connect is %q: there is v1 only", v)
	}
	if !query.Has("message") {
		return nil, status.Error(codes.InvalidArgument, "the parameter message is missing")
	}
	message := []byte(query.Get("message"))
	if query.Get("base64") == "1" {
		var err error
		if message, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(query.Get("message"), "=")); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "the parameter message is no base64 for URLs: %v", err)
		}
	}
	if len(message) > limit {
		return nil, errTooLarge(limit)
	}
	return message, nil
}
