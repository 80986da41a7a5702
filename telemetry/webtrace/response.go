package webtrace

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// response is what a handler writes to: it notes the status. All else is the server's own, also by [http.ResponseController].
type response struct {
	http.ResponseWriter
	status   int // the final one; 0: none yet
	hijacked bool
	flushed  bool
}

// Unwrap is for [http.ResponseController].
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (w *response) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) began() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

// Write implements [http.ResponseWriter].
func (w *response) Write(p []byte) (int, error) {
	w.began()
	return w.ResponseWriter.Write(p)
}

// WriteString implements [io.StringWriter].
func (w *response) WriteString(s string) (int, error) {
	w.began()
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom implements [io.ReaderFrom], by which a server sends files.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	w.began()
	return io.Copy(w.ResponseWriter, r)
}

// Flush implements [http.Flusher].
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is Flush for [http.ResponseController].
func (w *response) FlushError() error {
	w.began()
	w.flushed = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// writer is what the handler is given: a [http.Hijacker] only where the server's is one.
func (w *response) writer() http.ResponseWriter {
	if h, ok := w.ResponseWriter.(http.Hijacker); ok {
		return &hijacker{w, h}
	}
	return w
}

type hijacker struct {
	*response
	server http.Hijacker
}

// Hijack implements [http.Hijacker].
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := h.server.Hijack()
	if err == nil {
		h.hijacked = true
	}
	return conn, buffered, err
}
