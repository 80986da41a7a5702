package collector

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
)

// valueText writes a value of an attribute for people: a string as it is, all else as JSON.
func valueText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case []Attr:
		var b strings.Builder
		b.WriteByte('{')
		for i, a := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			key, _ := json.Marshal(a.Key)
			b.Write(key)
			b.WriteByte(':')
			b.WriteString(innerText(a.Value))
		}
		b.WriteByte('}')
		return b.String()
	case []any:
		var b strings.Builder
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(innerText(e))
		}
		b.WriteByte(']')
		return b.String()
	}
	return ""
}

// innerText writes a value inside of another one.
func innerText(v any) string {
	if s, ok := v.(string); ok {
		quoted, _ := json.Marshal(s)
		return string(quoted)
	}
	return valueText(v)
}

// parseID reads an ID in hexadecimal; nil if it is none.
func parseID(s string) []byte {
	id, err := hex.DecodeString(s)
	if err != nil || len(id) != 16 && len(id) != 8 || allZero(id) {
		return nil
	}
	return id
}
