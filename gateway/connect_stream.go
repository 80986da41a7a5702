package gateway

import (
	"encoding/json"
	"net/http"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// connectStreamPrefix is what the content types of streaming calls begin with; the codec's name follows.
const connectStreamPrefix = "application/connect+"

// serveConnectStream serves a streaming call of the Connect protocol. It reports false when the method or the codec is none for it.
func (h *Handler) serveConnectStream(w http.ResponseWriter, r *http.Request, rt *route, codecName string) bool {
	codec := h.codecOf(codecName)
	if codec == nil || rt.unary() {
		return false
	}
	b := &begin{route: rt}
	b.err = connectBegin(r, b)
	x := new(connectStream)
	x.init(h, w, r, rt, codec)
	x.in.compressor, x.out.compressor = h.compressors(r, b, "Connect-Content-Encoding", "Connect-Accept-Encoding")
	header := w.Header()
	header["Content-Type"] = []string{connectStreamPrefix + codec.name()}
	header["Connect-Accept-Encoding"] = []string{compressions}
	if c := x.out.compressor; c != nil {
		header["Connect-Content-Encoding"] = []string{c.Name()}
	}
	h.run(r, b, x)
	return true
}

// connectStream is the exchange of a streaming call.
type connectStream struct{ stream }

// connectEnd is the last message of a stream.
type connectEnd struct {
	Error    *jsonError          `json:"error,omitempty"`
	Metadata map[string][]string `json:"metadata,omitempty"`
}

func (x *connectStream) end(header, trailer metadata.MD, st *status.Status) {
	x.close()
	if !x.begun {
		x.endHeader(header)
	}
	var end connectEnd
	if st != nil {
		end.Error = x.h.newJSONError(st)
	}
	if len(trailer) > 0 {
		fields := make(http.Header, len(trailer))
		addHeaders(fields, trailer, "")
		end.Metadata = make(map[string][]string, len(fields))
		for name, values := range fields {
			end.Metadata[strings.ToLower(name)] = values
		}
	}
	data, err := json.Marshal(&end)
	if err != nil { // there is nothing in it that cannot be written
		data = []byte(`{"error":{"code":"internal"}}`)
	}
	x.final(flagConnectEnd, data)
}
