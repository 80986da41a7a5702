package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// telemetryBody is a request of OTLP, which is made new for each sending: other IDs, and the times of now.
type telemetryBody struct {
	body        []byte
	ids, stamps [][]byte // parts of body
	n           int      // records
}

// What stands for IDs and times until they are known; no text has such bytes.
var (
	idMark   = bytes.Repeat([]byte{0xF1}, 16)
	timeMark = bytes.Repeat([]byte{0xF2}, 8)
)

// newTelemetryBody makes a request of n spans, or n lines, as a service sends it.
func newTelemetryBody(spans bool, service string, n int) *telemetryBody {
	field := func(b []byte, num protowire.Number, data []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), data)
	}
	attr := func(k, v string) []byte { return field(field(nil, 1, []byte(k)), 2, field(nil, 1, []byte(v))) }
	stamp := func(b []byte, num protowire.Number) []byte {
		return append(protowire.AppendTag(b, num, protowire.Fixed64Type), timeMark...)
	}
	var scope []byte
	for i := range n {
		user := attr("user.id", "user-"+strconv.Itoa(i%256))
		var r []byte
		if spans {
			r = field(field(field(field(r, 1, idMark), 2, idMark[:8]), 4, idMark[:8]), 5, []byte("shop.v1.Cart/Add"))
			r = stamp(stamp(protowire.AppendVarint(protowire.AppendTag(r, 6, protowire.VarintType), 2), 7), 8)
			for _, a := range [][]byte{attr("rpc.system.name", "grpc"), attr("rpc.method", "shop.v1.Cart/Add"), attr("rpc.response.status_code", "OK"),
				user, attr("hanse.path", "unix")} {
				r = field(r, 9, a)
			}
		} else {
			r = field(protowire.AppendVarint(protowire.AppendTag(stamp(r, 1), 2, protowire.VarintType), 9), 5, field(nil, 1, []byte("an item was added to the cart")))
			r = field(field(field(field(r, 6, user), 6, attr("item", "book")), 9, idMark), 10, idMark[:8])
		}
		scope = field(scope, 2, r)
	}
	resource := field(field(nil, 1, attr("service.name", service)), 1, attr("service.instance.id", service+"-1"))
	t := &telemetryBody{body: field(nil, 1, field(field(nil, 1, resource), 2, scope)), n: n}
	for rest := t.body; len(rest) > 0; rest = rest[1:] {
		if bytes.HasPrefix(rest, timeMark) {
			t.stamps = append(t.stamps, rest[:8])
			rest = rest[7:]
		} else if bytes.HasPrefix(rest, idMark[:8]) { // a trace's has two of these
			t.ids = append(t.ids, rest[:8])
			rest = rest[7:]
		}
	}
	return t
}

// renew gives it other IDs and the times of now.
func (t *telemetryBody) renew() {
	for _, id := range t.ids {
		binary.LittleEndian.PutUint64(id, rand.Uint64())
	}
	now := uint64(time.Now().UnixNano())
	for i, s := range t.stamps {
		binary.LittleEndian.PutUint64(s, now+uint64(i%2)*rand.Uint64N(3e6)) // ends are up to 3 ms after starts
	}
}

// sentTelemetry is what a sender says that it did.
type sentTelemetry struct {
	Sent, Refused int // records
	Behind        time.Duration
	Error         string
}

// telemetryServices is how many services a sender is; each sends both its spans and its lines ten times a second.
const telemetryServices = 10

// sendTelemetry is the process of a sender. A line of its input is how many spans, and as many lines, to send in a second, and for how
// many seconds.
func sendTelemetry(url string) error {
	post := func(path string, body []byte) error {
		resp, err := http.Post(url+path, "application/x-protobuf", bytes.NewReader(body))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err == nil && resp.StatusCode != http.StatusOK {
			err = errors.New(resp.Status)
		}
		return err
	}
	return eachLine(func(line string) string {
		var rate, seconds int
		fmt.Sscan(line, &rate, &seconds)
		// Made before, so that it is not the sender's own work that is measured.
		var bodies [telemetryServices][2]*telemetryBody
		for i := range bodies {
			for signal := range bodies[i] {
				bodies[i][signal] = newTelemetryBody(signal == 0, fmt.Sprint("service-", i), rate/telemetryServices/10)
			}
		}
		var sent sentTelemetry
		begin := time.Now()
		for n := range seconds * 10 * telemetryServices {
			due := begin.Add(time.Duration(n) * time.Second / (10 * telemetryServices))
			time.Sleep(time.Until(due))
			sent.Behind = max(sent.Behind, time.Since(due))
			for signal, path := range []string{"/v1/traces", "/v1/logs"} {
				b := bodies[n%telemetryServices][signal]
				b.renew()
				sent.Sent += b.n
				if err := post(path, b.body); err != nil {
					sent.Refused += b.n
					sent.Error = err.Error()
				}
			}
		}
		text, _ := json.Marshal(sent)
		return string(text)
	})
}
