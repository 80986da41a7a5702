package collector

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// How a field of a message of OTLP is written in JSON. OTLP differs from protobuf's JSON in its IDs, which are hexadecimal.
const (
	jsonString = iota
	jsonHex
	jsonBytes
	jsonBool
	jsonInt     // int64, uint64, int32, enums: number or text, as a varint
	jsonZigZag  // sint32
	jsonFixed64 // number or text
	jsonFixed32 //
	jsonDouble
	jsonMessage
)

// jsonField is one field; list says that it is repeated.
type jsonField struct {
	num  protowire.Number
	kind int
	list bool
	of   *jsonType
	enum map[string]int64 // names, where it is an enum
}

type jsonType map[string]jsonField

func (t *jsonType) set(m jsonType) { *t = m }

// jsonTypes are the messages of the three requests.
type jsonTypes struct{ traces, logs, metrics *jsonType }

// otlpJSON describes the messages. Values contain values.
func otlpJSON() jsonTypes {
	str := func(n protowire.Number) jsonField { return jsonField{num: n, kind: jsonString} }
	num := func(n protowire.Number) jsonField { return jsonField{num: n, kind: jsonInt} }
	fixed := func(n protowire.Number) jsonField { return jsonField{num: n, kind: jsonFixed64} }
	double := func(n protowire.Number) jsonField { return jsonField{num: n, kind: jsonDouble} }
	id := func(n protowire.Number) jsonField { return jsonField{num: n, kind: jsonHex} }
	one := func(n protowire.Number, t *jsonType) jsonField { return jsonField{num: n, kind: jsonMessage, of: t} }
	many := func(n protowire.Number, t *jsonType) jsonField {
		return jsonField{num: n, kind: jsonMessage, of: t, list: true}
	}

	value, kv := new(jsonType), new(jsonType)
	kv.set(jsonType{"key": str(1), "value": one(2, value)})
	value.set(jsonType{
		"stringValue": str(1), "boolValue": {num: 2, kind: jsonBool}, "intValue": num(3), "doubleValue": double(4),
		"arrayValue": one(5, &jsonType{"values": many(1, value)}), "kvlistValue": one(6, &jsonType{"values": many(1, kv)}),
		"bytesValue": {num: 7, kind: jsonBytes},
	})
	resource := &jsonType{"attributes": many(1, kv), "droppedAttributesCount": num(2)}
	scope := &jsonType{"name": str(1), "version": str(2), "attributes": many(3, kv)}
	request := func(all, scopes, records string, record *jsonType) *jsonType {
		return &jsonType{all: many(1, &jsonType{
			"resource": one(1, resource), "schemaUrl": str(3),
			scopes: many(2, &jsonType{"scope": one(1, scope), records: many(2, record), "schemaUrl": str(3)}),
		})}
	}
	kinds := map[string]int64{}
	for i, name := range []string{"UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"} {
		kinds["SPAN_KIND_"+name] = int64(i)
	}
	span := &jsonType{
		"traceId": id(1), "spanId": id(2), "traceState": str(3), "parentSpanId": id(4), "name": str(5),
		"kind": {num: 6, kind: jsonInt, enum: kinds}, "startTimeUnixNano": fixed(7), "endTimeUnixNano": fixed(8), "attributes": many(9, kv),
		"droppedAttributesCount": num(10), "droppedEventsCount": num(12), "droppedLinksCount": num(14),
		"events": many(11, &jsonType{"timeUnixNano": fixed(1), "name": str(2), "attributes": many(3, kv), "droppedAttributesCount": num(4)}),
		"links":  many(13, &jsonType{"traceId": id(1), "spanId": id(2), "traceState": str(3), "attributes": many(4, kv), "droppedAttributesCount": num(5)}),
		"status": one(15, &jsonType{"message": str(2), "code": {num: 3, kind: jsonInt, enum: map[string]int64{"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}}}),
		"flags":  {num: 16, kind: jsonFixed32},
	}
	severity := map[string]int64{}
	for name, first := range severities {
		severity["SEVERITY_NUMBER_"+name] = int64(first)
		for i := 2; i <= 4; i++ {
			severity["SEVERITY_NUMBER_"+name+strconv.Itoa(i)] = int64(first + i - 1)
		}
	}
	log := &jsonType{
		"timeUnixNano": fixed(1), "severityNumber": {num: 2, kind: jsonInt, enum: severity}, "severityText": str(3), "body": one(5, value),
		"attributes": many(6, kv), "droppedAttributesCount": num(7), "flags": {num: 8, kind: jsonFixed32}, "traceId": id(9), "spanId": id(10),
		"observedTimeUnixNano": fixed(11), "eventName": str(12),
	}
	exemplar := &jsonType{"filteredAttributes": many(7, kv), "timeUnixNano": fixed(2), "asDouble": double(3), "asInt": fixed(6), "spanId": id(4), "traceId": id(5)}
	temporality := jsonField{num: 2, kind: jsonInt, enum: map[string]int64{
		"AGGREGATION_TEMPORALITY_UNSPECIFIED": 0, "AGGREGATION_TEMPORALITY_DELTA": 1, "AGGREGATION_TEMPORALITY_CUMULATIVE": 2,
	}}
	number := &jsonType{"attributes": many(7, kv), "startTimeUnixNano": fixed(2), "timeUnixNano": fixed(3), "asDouble": double(4), "asInt": fixed(6), "exemplars": many(5, exemplar), "flags": num(8)}
	buckets := &jsonType{"offset": {num: 1, kind: jsonZigZag}, "bucketCounts": {num: 2, kind: jsonInt, list: true}}
	metric := &jsonType{
		"name": str(1), "description": str(2), "unit": str(3),
		"gauge": one(5, &jsonType{"dataPoints": many(1, number)}),
		"sum":   one(7, &jsonType{"dataPoints": many(1, number), "aggregationTemporality": temporality, "isMonotonic": {num: 3, kind: jsonBool}}),
		"histogram": one(9, &jsonType{"aggregationTemporality": temporality, "dataPoints": many(1, &jsonType{
			"attributes": many(9, kv), "startTimeUnixNano": fixed(2), "timeUnixNano": fixed(3), "count": fixed(4), "sum": double(5),
			"bucketCounts": {num: 6, kind: jsonFixed64, list: true}, "explicitBounds": {num: 7, kind: jsonDouble, list: true},
			"exemplars": many(8, exemplar), "flags": num(10), "min": double(11), "max": double(12),
		})}),
		"exponentialHistogram": one(10, &jsonType{"aggregationTemporality": temporality, "dataPoints": many(1, &jsonType{
			"attributes": many(1, kv), "startTimeUnixNano": fixed(2), "timeUnixNano": fixed(3), "count": fixed(4), "sum": double(5),
			"scale": {num: 6, kind: jsonZigZag}, "zeroCount": fixed(7), "positive": one(8, buckets), "negative": one(9, buckets), "flags": num(10),
			"exemplars": many(11, exemplar), "min": double(12), "max": double(13), "zeroThreshold": double(14),
		})}),
		"summary": one(11, &jsonType{"dataPoints": many(1, &jsonType{
			"attributes": many(7, kv), "startTimeUnixNano": fixed(2), "timeUnixNano": fixed(3), "count": fixed(4), "sum": double(5), "flags": num(8),
		})}),
	}
	return jsonTypes{
		traces: request("resourceSpans", "scopeSpans", "spans", span), logs: request("resourceLogs", "scopeLogs", "logRecords", log),
		metrics: request("resourceMetrics", "scopeMetrics", "metrics", metric),
	}
}

var otlpOnce = sync.OnceValue(otlpJSON)

func tracesFromJSON(b []byte) ([]byte, error)  { return fromJSON(b, otlpOnce().traces) }
func logsFromJSON(b []byte) ([]byte, error)    { return fromJSON(b, otlpOnce().logs) }
func metricsFromJSON(b []byte) ([]byte, error) { return fromJSON(b, otlpOnce().metrics) }

// jsonDeepest is how deep JSON may be nested: a request to a point is some ten levels, values in values are the rest.
const jsonDeepest = 10 + 4*deepest

// fromJSON makes protobuf of OTLP's JSON. Fields that are not known are left out.
func fromJSON(b []byte, t *jsonType) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	out, err := jsonMessageOf(d, nil, t, 0)
	if err == nil {
		if _, e := d.Token(); e != io.EOF {
			err = fmt.Errorf("there is more behind the object")
		}
	}
	if err != nil {
		return nil, &failure{http.StatusBadRequest, fmt.Sprintf("the body is not OTLP in JSON, at byte %d: %v", d.InputOffset(), err)}
	}
	return out, nil
}

// jsonMessageOf reads an object, or null, and appends its fields.
func jsonMessageOf(d *json.Decoder, b []byte, t *jsonType, depth int) ([]byte, error) {
	if depth > jsonDeepest {
		return nil, fmt.Errorf("it is nested too deeply")
	}
	tok, err := d.Token()
	if err != nil || tok == nil {
		return b, err
	}
	if tok != json.Delim('{') {
		return nil, fmt.Errorf("an object should stand here")
	}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := tok.(string)
		f, known := (*t)[name]
		if !known {
			f, known = (*t)[camel(name)] // some write the names of the .proto file
		}
		switch {
		case !known:
			var skip json.RawMessage
			err = d.Decode(&skip)
		case f.list:
			b, err = jsonList(d, b, f, depth)
		default:
			b, err = jsonOne(d, b, f, depth)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	_, err = d.Token()
	return b, err
}

// camel makes lowerCamelCase of a name with underscores.
func camel(name string) string {
	parts := strings.Split(name, "_")
	for i, p := range parts[1:] {
		if p != "" {
			parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

func jsonList(d *json.Decoder, b []byte, f jsonField, depth int) ([]byte, error) {
	tok, err := d.Token()
	if err != nil || tok == nil {
		return b, err
	}
	if tok != json.Delim('[') {
		return nil, fmt.Errorf("a list should stand here")
	}
	for d.More() {
		if b, err = jsonOne(d, b, f, depth); err != nil {
			return nil, err
		}
	}
	_, err = d.Token()
	return b, err
}

// jsonOne appends one value of a field.
func jsonOne(d *json.Decoder, b []byte, f jsonField, depth int) ([]byte, error) {
	if f.kind == jsonMessage {
		body, err := jsonMessageOf(d, nil, f.of, depth+1)
		if err != nil {
			return nil, err
		}
		return protowire.AppendBytes(protowire.AppendTag(b, f.num, protowire.BytesType), body), nil
	}
	tok, err := d.Token()
	if err != nil || tok == nil {
		return b, err
	}
	text := ""
	switch v := tok.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	case bool:
		if f.kind != jsonBool {
			return nil, fmt.Errorf("true or false should not stand here")
		}
		return protowire.AppendVarint(protowire.AppendTag(b, f.num, protowire.VarintType), protowire.EncodeBool(v)), nil
	default:
		return nil, fmt.Errorf("a plain value should stand here")
	}
	switch f.kind {
	case jsonString:
		return protowire.AppendString(protowire.AppendTag(b, f.num, protowire.BytesType), text), nil
	case jsonHex, jsonBytes:
		var raw []byte
		if f.kind == jsonHex {
			raw, err = hex.DecodeString(text)
		} else if raw, err = base64.StdEncoding.DecodeString(text); err != nil {
			raw, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		}
		if err != nil {
			return nil, err
		}
		return protowire.AppendBytes(protowire.AppendTag(b, f.num, protowire.BytesType), raw), nil
	case jsonDouble:
		v, err := strconv.ParseFloat(text, 64) // NaN and Infinity, too
		if err != nil {
			return nil, err
		}
		return appendFixed64(b, f.num, math.Float64bits(v)), nil
	case jsonBool:
		return nil, fmt.Errorf("true or false should stand here")
	}
	n, err := jsonWhole(text, f.enum)
	if err != nil {
		return nil, err
	}
	switch f.kind {
	case jsonFixed64:
		return appendFixed64(b, f.num, n), nil
	case jsonFixed32:
		return protowire.AppendFixed32(protowire.AppendTag(b, f.num, protowire.Fixed32Type), uint32(n)), nil
	case jsonZigZag:
		n = protowire.EncodeZigZag(int64(n))
	}
	return protowire.AppendVarint(protowire.AppendTag(b, f.num, protowire.VarintType), n), nil
}

// jsonWhole reads a whole number, which may be written as a text, as 1e3, or as the name of an enum.
func jsonWhole(text string, enum map[string]int64) (uint64, error) {
	if n, ok := enum[text]; ok {
		return uint64(n), nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return uint64(n), nil
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return n, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v != math.Trunc(v) || math.Abs(v) > 1<<53 {
		return 0, fmt.Errorf("%q is no whole number", text)
	}
	return uint64(int64(v)), nil
}
