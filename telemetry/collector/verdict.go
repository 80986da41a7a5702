package collector

import (
	"cmp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// What Span.Status says.
const (
	statusOK      = "ok"
	statusFailed  = "error"
	statusRefused = "refused"
)

// judge says whether a call failed or was refused, where told is whether the program says that it failed. A status that is no fault of the
// server is no failure, whichever side tells it: a client that is told NOT_FOUND may ask whether something is there. It is the rule of the
// semantic conventions for servers, and the one place that has it for the map, the tables, problems, traces and colours.
func judge(kind, status string, told bool) (failed, refused bool) {
	switch {
	case kind == KindRPC && status != "" && status != "OK" && status != otherStatus:
		failed = serverFault(status)
		return failed, !failed
	case kind == KindHTTP && strings.HasPrefix(status, "4"):
		return false, true
	case kind == KindHTTP && strings.HasPrefix(status, "5"):
		return true, false
	}
	return told, false
}

// serverFault reports whether a status of gRPC is a fault of the server.
func serverFault(status string) bool {
	switch status {
	case "CANCELLED", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
		"ABORTED", "OUT_OF_RANGE", "UNAUTHENTICATED":
		return false
	}
	return true
}

var codeNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// grpcStatus writes a status as its name.
func grpcStatus(s string) string {
	if s != "" && s[0] >= '0' && s[0] <= '9' {
		if n, err := strconv.Atoi(s); err == nil && n < len(codeNames) {
			return codeNames[n]
		}
	}
	return strings.ToUpper(s)
}

// spanCodes are the attributes of a span that judge needs, as AnyValues.
type spanCodes struct {
	rpc, grpc, connect, http, oldHTTP []byte
	other                             bool // a database or a topic was asked: its codes are not those of a call
}

// see notes an attribute, a KeyValue.
func (c *spanCodes) see(attr []byte) {
	f := fields{rest: attr}
	if !f.next() || !f.message(1) || len(f.data) < 3 { // all programs write the key first
		return
	}
	var to *[]byte
	switch key := f.data; key[0] {
	case 'r':
		switch string(key) {
		case "rpc.response.status_code":
			to = &c.rpc
		case "rpc.grpc.status_code":
			to = &c.grpc
		case "rpc.connect_rpc.error_code":
			to = &c.connect
		}
	case 'h':
		switch string(key) {
		case "http.response.status_code":
			to = &c.http
		case "http.status_code":
			to = &c.oldHTTP
		}
	case 'd', 'm':
		c.other = c.other || strings.HasPrefix(string(key), "db.") || strings.HasPrefix(string(key), "messaging.")
	}
	if to != nil && f.next() && f.message(2) {
		*to = f.data
	}
}

// read returns the status of the call and the kind to which it belongs; both are empty where there is none.
func (c *spanCodes) read() (kind, status string) {
	if c.other {
		return "", ""
	}
	if s := cmp.Or(codeText(c.rpc), codeText(c.grpc), codeText(c.connect)); s != "" {
		return KindRPC, grpcStatus(s)
	}
	if s := cmp.Or(codeText(c.http), codeText(c.oldHTTP)); s != "" {
		return KindHTTP, s
	}
	return "", ""
}

// codeText reads an AnyValue that is a text or a whole number.
func codeText(value []byte) string {
	f := fields{rest: value}
	for f.next() {
		switch {
		case f.message(1):
			if string(f.data) == "OK" {
				return "OK"
			}
			return string(f.data)
		case f.num == 3 && f.typ == protowire.VarintType:
			return strconv.FormatInt(int64(f.val), 10)
		}
	}
	return ""
}
