package gateway

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/hanse-go/hanse/internal/grpctext"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// The content types of gRPC-Web. "+" and the codec's name may follow, which is proto without it.
const (
	webType     = "application/grpc-web"
	webTextType = "application/grpc-web-text" // all is in base64
)

// serveWeb serves a call of gRPC-Web. It reports false when the codec is unknown.
func (h *Handler) serveWeb(w http.ResponseWriter, r *http.Request, rt *route, mediaType string) bool {
	base, codecName, named := strings.Cut(mediaType, "+")
	if !named {
		codecName = "proto"
	}
	codec := h.codecOf(codecName)
	if codec == nil || base != webType && base != webTextType {
		return false
	}
	b := &begin{route: rt}
	b.err = webBegin(r, b)
	x := new(webStream)
	x.init(h, w, r, rt, codec)
	x.in.compressor, x.out.compressor = h.compressors(r, b, "Grpc-Encoding", "Grpc-Accept-Encoding")
	if x.text = base == webTextType; x.text {
		x.body.body = &base64Reader{r: r.Body}
	}
	header := w.Header()
	header["Content-Type"] = []string{mediaType}
	header["Grpc-Accept-Encoding"] = []string{compressions}
	if c := x.out.compressor; c != nil {
		header["Grpc-Encoding"] = []string{c.Name()}
	}
	h.run(r, b, x)
	return true
}

// webBegin reads the headers of a request. Its error is the call's status.
func webBegin(r *http.Request, b *begin) (err error) {
	if v := r.Header.Get("Grpc-Timeout"); v != "" {
		if b.timeout, err = grpctext.ParseTimeout(v); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		b.hasTimeout = true
	}
	if b.metadata, err = headerMetadata(r); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return nil
}

// webStream is the exchange of a call of gRPC-Web, unary or streaming.
type webStream struct{ stream }

func (x *webStream) end(header, trailer metadata.MD, st *status.Status) {
	x.close()
	if !x.begun {
		x.endHeader(header)
	}
	var block strings.Builder
	if st == nil {
		block.WriteString("grpc-status: 0\r\n")
	} else {
		fmt.Fprintf(&block, "grpc-status: %d\r\ngrpc-message: %s\r\n", st.Code(), grpctext.EncodeMessage(st.Message()))
		if len(st.Proto().GetDetails()) > 0 {
			if details, err := proto.Marshal(st.Proto()); err == nil {
				fmt.Fprintf(&block, "grpc-status-details-bin: %s\r\n", grpctext.EncodeBinary(string(details)))
			}
		}
	}
	fields := make(http.Header, len(trailer))
	addHeaders(fields, trailer, "")
	for name, values := range fields {
		for _, v := range values {
			fmt.Fprintf(&block, "%s: %s\r\n", strings.ToLower(name), lineBreaks.Replace(v))
		}
	}
	x.final(flagWebTrailer, []byte(block.String()))
}

// lineBreaks keeps a value within its line.
var lineBreaks = strings.NewReplacer("\r", " ", "\n", " ")

// base64Reader decodes base64 that may be padded at the end of each of its pieces.
type base64Reader struct {
	r    io.Reader
	err  error
	text [4 << 10]byte
	n    int // of text, not decoded yet
	out  [3 << 10]byte
	data []byte // of out, not read yet
}

func (b *base64Reader) Read(p []byte) (int, error) {
	for len(b.data) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		n, err := b.r.Read(b.text[b.n:])
		b.n += n
		b.err = err
		whole := b.n &^ 3
		b.data = b.out[:0]
		for at := 0; at < whole; at += 4 {
			if b.data, err = base64.StdEncoding.AppendDecode(b.data, b.text[at:at+4]); err != nil {
				b.err = status.Errorf(codes.InvalidArgument, "the request is no base64: %v", err)
				break
			}
		}
		b.n = copy(b.text[:], b.text[whole:b.n])
		if b.err == io.EOF && b.n > 0 {
			b.err = status.Errorf(codes.InvalidArgument, "the request ends within its base64")
		}
	}
	n := copy(p, b.data)
	b.data = b.data[n:]
	return n, nil
}
