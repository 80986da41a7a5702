package collector

import (
	"bytes"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// spanHead is what of a span is looked at when it comes, and first when it is looked for. Its slices are parts of raw.
type spanHead struct {
	trace, span, parent []byte
	name                []byte
	kind                byte
	failed, refused     bool   // as judge says
	code                string // NOT_FOUND, 404; "" where there is none
	start, end          int64  // nanoseconds since 1970
	raw                 []byte
}

func (h *spanHead) duration() int64 { return max(h.end-h.start, 0) }
func (h *spanHead) root() bool      { return len(h.parent) == 0 || allZero(h.parent) }

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// readSpanHead reads the head of a Span. It refuses one without IDs.
func readSpanHead(raw []byte, h *spanHead) error {
	*h = spanHead{raw: raw}
	var codes spanCodes
	told := false
	f := fields{rest: raw}
	for f.next() {
		switch f.num {
		case 1:
			h.trace = f.data
		case 2:
			h.span = f.data
		case 4:
			h.parent = f.data
		case 5:
			h.name = f.data
		case 6:
			h.kind = byte(f.val)
		case 7:
			h.start = int64(f.val)
		case 8:
			h.end = int64(f.val)
		case 9:
			codes.see(f.data)
		case 15:
			for s := (fields{rest: f.data}); s.next(); {
				told = told || s.num == 3 && s.val == 2
			}
		}
	}
	if f.err != nil {
		return f.err
	}
	if len(h.trace) != 16 || len(h.span) != 8 || allZero(h.trace) || allZero(h.span) || len(h.parent) != 0 && len(h.parent) != 8 {
		return errWire
	}
	var kind string
	kind, h.code = codes.read()
	h.failed, h.refused = judge(kind, h.code, told)
	return nil
}

// status is how the span ended, as Span.Status has it.
func (h *spanHead) status() string {
	switch {
	case h.failed:
		return statusFailed
	case h.refused:
		return statusRefused
	}
	return ""
}

// sameTrace reports whether the raw span is of the trace, with less work than reading its head.
func sameTrace(raw, id []byte) bool {
	f := fields{rest: raw}
	for f.next() {
		if f.num == 1 {
			return bytes.Equal(f.data, id)
		}
	}
	return false
}

var kindNames = [...]string{"internal", "internal", "server", "client", "producer", "consumer"}

const (
	kindServer   = 2
	kindClient   = 3
	kindProducer = 4
	kindConsumer = 5
)

func kindName(kind byte) string {
	if int(kind) < len(kindNames) {
		return kindNames[kind]
	}
	return kindNames[0]
}

// readSpan reads all of a span. What is not right in it is left out, for it was looked through when it came.
func readSpan(h *spanHead, o *origin) Span {
	s := Span{
		TraceID: hexID(h.trace), SpanID: hexID(h.span), ParentID: hexID(h.parent), Service: o.service, Instance: o.instance,
		Name: string(h.name), Kind: kindName(h.kind), Start: time.Unix(0, h.start).UTC(), Duration: time.Duration(h.duration()),
		Resource: o.attrs, Scope: o.scope, Parent: -1, Status: h.status(), Code: h.code,
	}
	f := fields{rest: h.raw}
	for f.next() {
		switch {
		case f.message(9):
			if a, err := readAttr(f.data); err == nil {
				s.Attrs = append(s.Attrs, a)
			}
		case f.num == 10, f.num == 12, f.num == 14:
			s.Lost += int(uint32(f.val))
		case f.message(11):
			s.Events = append(s.Events, readSpanEvent(f.data, &s.Lost))
		case f.message(13):
			s.Links = append(s.Links, readSpanLink(f.data, &s.Lost))
		case f.message(15):
			for e := (fields{rest: f.data}); e.next(); {
				switch {
				case e.message(2):
					s.Message = string(e.data)
				case e.num == 3 && e.val == 1 && s.Status == "":
					s.Status = statusOK
				}
			}
		}
	}
	return s
}

func readSpanEvent(b []byte, lost *int) (e SpanEvent) {
	f := fields{rest: b}
	for f.next() {
		switch {
		case f.num == 1 && f.typ == protowire.Fixed64Type:
			e.Time = time.Unix(0, int64(f.val)).UTC()
		case f.message(2):
			e.Name = string(f.data)
		case f.message(3):
			if a, err := readAttr(f.data); err == nil {
				e.Attrs = append(e.Attrs, a)
			}
		case f.num == 4:
			*lost += int(uint32(f.val))
		}
	}
	return e
}

func readSpanLink(b []byte, lost *int) (l SpanLink) {
	f := fields{rest: b}
	for f.next() {
		switch {
		case f.message(1):
			l.TraceID = hexID(f.data)
		case f.message(2):
			l.SpanID = hexID(f.data)
		case f.message(4):
			if a, err := readAttr(f.data); err == nil {
				l.Attrs = append(l.Attrs, a)
			}
		case f.num == 5:
			*lost += int(uint32(f.val))
		}
	}
	return l
}
