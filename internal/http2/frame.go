package http2

import "encoding/binary"

const (
	preface        = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" // RFC 9113 section 3.4
	frameHead      = 9
	initialFrame   = 16_384    // SETTINGS_MAX_FRAME_SIZE at first
	maxFrame       = 256 << 10 // the same of a client, and of a server whose client takes large frames, too
	initialWindow  = 65_535    // of streams and connections before SETTINGS and WINDOW_UPDATE (RFC 9113 section 6.9.2)
	maxWindow      = 1<<31 - 1 // RFC 9113 section 6.9.1
	maxStreamID    = 1<<31 - 1
	defaultStreams = 100 // how many streams a client opens before the server has told its limit
)

type frameType uint8

const (
	frameData frameType = iota
	frameHeaders
	framePriority
	frameRSTStream
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

const (
	flagEndStream  = 0x1 // DATA, HEADERS
	flagAck        = 0x1 // SETTINGS, PING
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	settingHeaderTableSize      = 0x1
	settingEnablePush           = 0x2
	settingMaxConcurrentStreams = 0x3
	settingInitialWindowSize    = 0x4
	settingMaxFrameSize         = 0x5
	settingMaxHeaderListSize    = 0x6
)

// frame is the head of a frame.
type frame struct {
	typ    frameType
	flags  uint8
	stream uint32
	length int
}

func parseFrame(b []byte) frame {
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		typ:    frameType(b[3]),
		flags:  b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & maxStreamID,
	}
}

func appendFrame(b []byte, typ frameType, flags uint8, stream uint32, length int) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), byte(typ), flags,
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

func appendWindowUpdate(b []byte, stream uint32, n uint32) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(b, frameWindowUpdate, 0, stream, 4), n)
}

func appendRSTStream(b []byte, stream uint32, code ErrCode) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(b, frameRSTStream, 0, stream, 4), uint32(code))
}

func appendPing(b []byte, flags uint8, data [8]byte) []byte {
	return append(appendFrame(b, framePing, flags, 0, 8), data[:]...)
}

func appendGoAway(b []byte, last uint32, code ErrCode, debug string) []byte {
	b = appendFrame(b, frameGoAway, 0, 0, 8+len(debug))
	b = binary.BigEndian.AppendUint32(b, last)
	b = binary.BigEndian.AppendUint32(b, uint32(code))
	return append(b, debug...)
}

func appendSetting(b []byte, id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, id), value)
}
