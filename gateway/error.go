package gateway

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoregistry"
)

var globalTypes Types = protoregistry.GlobalTypes

// statusOf returns the status of a call that ended with err; nil: it ended well.
func statusOf(err error) *status.Status {
	if err == nil {
		return nil
	}
	if st, ok := status.FromError(err); ok {
		return st
	}
	return status.FromContextError(err)
}

// codeInfo is what a code of gRPC is called in JSON, and the status that HTTP has for it.
type codeInfo struct {
	name string
	http int
}

// codeInfos are those of the Connect protocol.
var codeInfos = [...]codeInfo{
	codes.OK:                 {"", http.StatusOK},
	codes.Canceled:           {"canceled", 499},
	codes.Unknown:            {"unknown", http.StatusInternalServerError},
	codes.InvalidArgument:    {"invalid_argument", http.StatusBadRequest},
	codes.DeadlineExceeded:   {"deadline_exceeded", http.StatusGatewayTimeout},
	codes.NotFound:           {"not_found", http.StatusNotFound},
	codes.AlreadyExists:      {"already_exists", http.StatusConflict},
	codes.PermissionDenied:   {"permission_denied", http.StatusForbidden},
	codes.ResourceExhausted:  {"resource_exhausted", http.StatusTooManyRequests},
	codes.FailedPrecondition: {"failed_precondition", http.StatusBadRequest},
	codes.Aborted:            {"aborted", http.StatusConflict},
	codes.OutOfRange:         {"out_of_range", http.StatusBadRequest},
	codes.Unimplemented:      {"unimplemented", http.StatusNotImplemented},
	codes.Internal:           {"internal", http.StatusInternalServerError},
	codes.Unavailable:        {"unavailable", http.StatusServiceUnavailable},
	codes.DataLoss:           {"data_loss", http.StatusInternalServerError},
	codes.Unauthenticated:    {"unauthenticated", http.StatusUnauthorized},
}

// infoOf returns what is known of a code. One that gRPC does not have is unknown.
func infoOf(c codes.Code) codeInfo {
	if c == codes.OK || int(c) >= len(codeInfos) {
		c = codes.Unknown
	}
	return codeInfos[c]
}

// jsonError is an error in JSON, as the Connect protocol has it ("Error end-stream").
type jsonError struct {
	Code    string       `json:"code"`
	Message string       `json:"message,omitempty"`
	Details []jsonDetail `json:"details,omitempty"`
}

// jsonDetail is one detail: the name of its message, and its bytes.
type jsonDetail struct {
	Type  string          `json:"type"`
	Value string          `json:"value"` // base64 without padding
	Debug json.RawMessage `json:"debug,omitempty"`
}

// newJSONError returns a status in JSON. Details whose type is known can be read by people, too.
func (h *Handler) newJSONError(st *status.Status) *jsonError {
	h.init()
	e := &jsonError{Code: infoOf(st.Code()).name, Message: st.Message()}
	for _, detail := range st.Proto().GetDetails() {
		d := jsonDetail{Type: detail.GetTypeUrl(), Value: base64.RawStdEncoding.EncodeToString(detail.GetValue())}
		if i := strings.LastIndexByte(d.Type, '/'); i >= 0 {
			d.Type = d.Type[i+1:]
		}
		types := h.codecs.json.resolver()
		if t, err := types.FindMessageByURL(detail.GetTypeUrl()); err == nil {
			m := t.New().Interface()
			if detail.UnmarshalTo(m) == nil {
				if text, err := (protojson.MarshalOptions{Resolver: types}).Marshal(m); err == nil {
					d.Debug = text
				}
			}
		}
		e.Details = append(e.Details, d)
	}
	return e
}

// writeError answers a request with an error in JSON, behind the headers that were set.
func (h *Handler) writeError(w http.ResponseWriter, st *status.Status) {
	writeJSON(w, infoOf(st.Code()).http, "application/json", h.newJSONError(st))
}

// writeJSON answers a request with an error, behind the headers that were set.
func writeJSON(w http.ResponseWriter, code int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil { // there is nothing in it that cannot be written
		body = []byte(`{"code":"internal"}`)
	}
	header := w.Header()
	header["Content-Type"] = []string{contentType}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	delete(header, "Content-Encoding")
	w.WriteHeader(code)
	w.Write(body) // the client is gone if this fails
}
