package gateway

import (
	"bytes"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // what all clients can
	"google.golang.org/grpc/status"
)

// compressions are the names to advertise. Others work, too, where the program has registered them with package encoding.
const compressions = "gzip"

// compressorOf returns what a client calls by name; nil stands for no compression. The error is a call's status.
func compressorOf(name string) (encoding.Compressor, error) {
	if name == "" || name == encoding.Identity {
		return nil, nil
	}
	if c := encoding.GetCompressor(name); c != nil {
		return c, nil
	}
	return nil, status.Errorf(codes.Unimplemented, "unknown compression %q: there is %s", name, compressions)
}

// chooseCompressor returns the first compression that a client accepts, by the values of its header, and that there is; nil: none.
func chooseCompressor(accepted []string) encoding.Compressor {
	for _, value := range accepted {
		for part := range strings.SplitSeq(value, ",") {
			name, weight, weighted := strings.Cut(part, ";")
			if name = strings.TrimSpace(name); name == "" || name == encoding.Identity || weighted && refused(weight) {
				continue
			}
			if c := encoding.GetCompressor(name); c != nil {
				return c
			}
		}
	}
	return nil
}

// refused reports whether a quality, "q=0", says no.
func refused(weight string) bool {
	q, ok := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
	n, err := strconv.ParseFloat(q, 64)
	return ok && err == nil && n == 0
}

// compress appends data, compressed, to dst.
func compress(c encoding.Compressor, dst, data []byte) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	w, err := c.Compress(buf)
	if err == nil {
		_, err = w.Write(data)
		if closeErr := w.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		return dst, status.Errorf(codes.Internal, "the reply cannot be compressed: %v", err)
	}
	return buf.Bytes(), nil
}

// decompress returns what data says, which may be limit bytes long. It takes no more memory than that, whatever data promises.
func decompress(c encoding.Compressor, data []byte, limit int, held *held) ([]byte, error) {
	r, err := c.Decompress(bytes.NewReader(data))
	if err != nil {
		return nil, errCompressed(err)
	}
	out, err := readAll(r, -1, limit, held, nil)
	if _, ok := status.FromError(err); !ok {
		return nil, errCompressed(err)
	}
	return out, err
}

func errCompressed(err error) error {
	return status.Errorf(codes.InvalidArgument, "the message cannot be decompressed: %v", err)
}
