package http2

import (
	"errors"
	"fmt"
)

// ErrCode says why a stream was reset or a connection ended (RFC 9113 section 7).
type ErrCode uint32

// The codes of RFC 9113.
const (
	NoError            ErrCode = 0x0
	ProtocolError      ErrCode = 0x1
	InternalError      ErrCode = 0x2
	FlowControlError   ErrCode = 0x3
	SettingsTimeout    ErrCode = 0x4
	StreamClosed       ErrCode = 0x5
	FrameSizeError     ErrCode = 0x6
	RefusedStream      ErrCode = 0x7
	Cancel             ErrCode = 0x8
	CompressionError   ErrCode = 0x9
	ConnectError       ErrCode = 0xa
	EnhanceYourCalm    ErrCode = 0xb
	InadequateSecurity ErrCode = 0xc
	HTTP11Required     ErrCode = 0xd
)

var errCodeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
	"REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

func (c ErrCode) String() string {
	if int(c) < len(errCodeNames) {
		return errCodeNames[c]
	}
	return fmt.Sprintf("error code %#x", uint32(c))
}

// ErrNotProcessed is matched (errors.Is) by the errors of streams that the peer did not process, or that were never sent: they can be
// sent again, elsewhere, whatever they do.
var ErrNotProcessed = errors.New("http2: the stream was not processed")

// ErrDraining is what [Conn.Open] returns when the connection takes no new streams: it drains, the peer has sent GOAWAY, or its
// stream IDs are used up. It matches ErrNotProcessed.
var ErrDraining = fmt.Errorf("http2: the connection takes no new streams: %w", ErrNotProcessed)

// ErrEnded is what [Stream.Send] returns when the stream's sending side has ended before.
var ErrEnded = errors.New("http2: the stream was ended before")

// StreamError says that a stream was reset.
type StreamError struct {
	Code   ErrCode
	Local  bool   // this end reset it, not the peer
	Reason string // says what was wrong, when this end found it; may be ""
}

func (e *StreamError) Error() string {
	by := "the peer"
	if e.Local {
		by = "this end"
	}
	if e.Reason == "" {
		return fmt.Sprintf("http2: stream reset by %s: %v", by, e.Code)
	}
	return fmt.Sprintf("http2: stream reset by %s: %v: %s", by, e.Code, e.Reason)
}

// Is reports that a stream the peer refused was not processed (RFC 9113 section 8.7).
func (e *StreamError) Is(target error) bool {
	return target == ErrNotProcessed && e.Code == RefusedStream && !e.Local
}

// ConnError says why a connection ended.
type ConnError struct {
	Code   ErrCode
	Local  bool   // this end ended it, not the peer's GOAWAY
	Reason string // what was wrong, or the debug data of the peer's GOAWAY
	Cause  error  // such as an error of the network; may be nil
}

func (e *ConnError) Error() string {
	s := "http2: connection ended"
	if !e.Local {
		s += " by the peer"
	}
	if e.Code != NoError {
		s += ": " + e.Code.String()
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *ConnError) Unwrap() error { return e.Cause }

// notProcessed is a connection's end as a stream sees it that was never sent, or that the peer's GOAWAY does not count.
type notProcessed struct{ error }

func (e *notProcessed) Unwrap() []error { return []error{e.error, ErrNotProcessed} }

// ErrGaveUp is what waiting returns when the caller's done channel was closed.
var ErrGaveUp = errors.New("http2: gave up waiting")
