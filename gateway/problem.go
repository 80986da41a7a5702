package gateway

import (
	"net/http"

	"google.golang.org/grpc/status"
)

// problemType is the media type of errors for clients that ask for it by Accept (RFC 9457).
const problemType = "application/problem+json"

// problem is an error in that form. Its type is "about:blank", which is the default: the status of HTTP says what it is.
type problem struct {
	Title   string       `json:"title,omitempty"`
	Status  int          `json:"status"`
	Detail  string       `json:"detail,omitempty"`
	Code    string       `json:"code"`
	Details []jsonDetail `json:"details,omitempty"`
}

// writeFailure answers a request of plain HTTP with an error: as a problem for who asks for one, else as the Connect protocol has it. code
// is the status of HTTP; 0 is that of the error's code.
func (h *Handler) writeFailure(w http.ResponseWriter, r *http.Request, st *status.Status, code int) {
	if code == 0 {
		code = infoOf(st.Code()).http
	}
	w.Header().Add("Vary", "Accept")
	e := h.newJSONError(st)
	if !asksFor(r.Header, problemType) {
		writeJSON(w, code, "application/json", e)
		return
	}
	writeJSON(w, code, problemType, &problem{http.StatusText(code), code, e.Message, e.Code, e.Details})
}
