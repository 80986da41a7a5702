package rpc

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/hanse-go/hanse/internal/grpctext"
	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/outmeta"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc/metadata"
)

// Metadata as header fields: keys that end in -bin carry any bytes, in base64 (gRPC's PROTOCOL-HTTP2, "Custom-Metadata").

// sensitiveKey reports whether no hop should keep a key's values in its compression state (RFC 7541 section 7.1.3).
func sensitiveKey(key string) bool {
	return key == "authorization" || key == "cookie" || key == "proxy-authorization"
}

// appendField appends one value of a key that checkPair has found in order.
func appendField(dst []byte, key, value string) []byte {
	if grpctext.BinaryKey(key) {
		value = grpctext.EncodeBinary(value)
	}
	return hpack.AppendLiteral(dst, key, value, sensitiveKey(key))
}

// appendMetadata appends metadata that was checked, without reserved keys.
func appendMetadata(dst []byte, md metadata.MD) []byte {
	for key, values := range md {
		dst = appendValues(dst, key, values)
	}
	return dst
}

// appendValues appends the values of a key, unless it is a reserved one.
func appendValues(dst []byte, key string, values []string) []byte {
	if reservedKey(key) {
		return dst
	}
	for _, v := range values {
		dst = appendField(dst, key, v)
	}
	return dst
}

// appendOutgoing appends the metadata that ctx sends, and the trace. It refuses what cannot be sent.
func appendOutgoing(dst []byte, ctx context.Context) ([]byte, error) {
	h := telemetry.HeadersOf(ctx)
	if h.Trace {
		var room telemetry.TraceParentRoom
		dst = hpack.AppendLiteral(dst, telemetry.TraceParentKey, h.TraceParent(&room), false)
		if h.TraceState != "" && checkPair(telemetry.TraceStateKey, h.TraceState) == nil {
			dst = hpack.AppendLiteral(dst, telemetry.TraceStateKey, h.TraceState, false)
		}
	}
	if h.Baggage != "" {
		dst = hpack.AppendLiteral(dst, telemetry.BaggageKey, h.Baggage, false)
	}
	if p := resilience.PriorityOf(ctx); p != resilience.Normal {
		dst = hpack.AppendLiteral(dst, resilience.PriorityKey, p.String(), false) // the program's own follows, and counts
	}
	out, ok := outmeta.From(ctx)
	if !ok {
		md, err := programMetadata(ctx)
		maps.DeleteFunc(md, func(key string, _ []string) bool { return h.Replaces(key) })
		return appendMetadata(dst, md), err
	}
	if out == nil {
		return dst, nil
	}
	for key, values := range out.MD {
		if err := checkPair(key, values...); err != nil { // capitals too
			return dst, err
		}
		if !h.Replaces(key) {
			dst = appendValues(dst, key, values)
		}
	}
	for _, pairs := range out.Added { // their keys are in small letters
		for i := 0; i+1 < len(pairs); i += 2 {
			key, value := pairs[i], pairs[i+1]
			if err := checkPair(key, value); err != nil {
				return dst, err
			}
			if !reservedKey(key) && !h.Replaces(key) {
				dst = appendField(dst, key, value)
			}
		}
	}
	return dst, nil
}

// addFields adds header fields to md, without the keys that are the protocol's own. It skips malformed binary values: checkBinary finds
// them first. Most keys have one value: these are appended to single, which is returned, so that they share their memory.
func addFields(md metadata.MD, fields []hpack.Field, single []string) []string {
	for i := range fields {
		if f := &fields[i]; !hiddenField(f.Name) {
			single = append(single, f.Value)
			addValue(md, f.Name, single[len(single)-1:])
		}
	}
	return single
}

// addValue adds the value of a field, the first of value, to md, which keeps it where it is. No list of values has room for another
// one, which lets md begin with lists that others have, too.
func addValue(md metadata.MD, key string, value []string) {
	if grpctext.BinaryKey(key) {
		had := md[key]
		had = had[:len(had):len(had)]
		for part := range strings.SplitSeq(value[0], ",") {
			if v, err := grpctext.DecodeBinary(part); err == nil {
				had = append(had, v)
			}
		}
		if len(had) > 0 {
			md[key] = had[:len(had):len(had)]
		}
		return
	}
	if had := md[key]; had != nil {
		md[key] = append(had[:len(had):len(had)], value[0])
		return
	}
	md[key] = value[:1:1]
}

// visible counts the fields that addFields adds.
func visible(fields []hpack.Field) (n int) {
	for i := range fields {
		if !hiddenField(fields[i].Name) {
			n++
		}
	}
	return n
}

// hiddenField reports whether a received field is no metadata for the program. The content type and the caller's name and address are.
func hiddenField(name string) bool {
	switch name {
	case ":authority", "user-agent", "content-type":
		return false
	case "grpc-status-details-bin":
		return true
	}
	return reservedKey(name)
}

// checkBinary returns an error if a field of a binary key is no base64.
func checkBinary(fields []hpack.Field) error {
	for i := range fields {
		if !grpctext.BinaryKey(fields[i].Name) {
			continue
		}
		for part := range strings.SplitSeq(fields[i].Value, ",") {
			if _, err := grpctext.DecodeBinary(part); err != nil {
				return fmt.Errorf("malformed binary metadata %q in header %q: %w", part, fields[i].Name, err)
			}
		}
	}
	return nil
}
