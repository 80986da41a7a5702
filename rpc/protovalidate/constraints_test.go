package protovalidate_test

import (
	"encoding/json"
	"testing"

	"github.com/hanse-go/hanse/rpc/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"
	_ "google.golang.org/protobuf/types/known/durationpb"
)

func TestConstraints(t *testing.T) {
	fields := message(t, "Order").Fields()
	for name, want := range map[protoreflect.Name]string{
		"plain":   `null`,
		"name":    `{"maxLength":5,"minLength":2,"pattern":"^[a-z]*$"}`,
		"mail":    `{"x-rules":["string.email, or not set"]}`,
		"site":    `null`,
		"code":    `{"maxLength":3,"minLength":3,"x-rules":["is required","string.prefix: A"]}`,
		"count":   `{"exclusiveMaximum":10,"minimum":0}`,
		"outside": `{"x-rules":["double.lt: -5, or not set","double.gt: 5, or not set"]}`,
		"big":     `{"x-rules":["int64.lte: 7"]}`,
		"size":    `{"enum":["SIZE_UNSPECIFIED","SMALL"]}`,
		"tags":    `{"items":{"minLength":1},"maxItems":2,"uniqueItems":true}`,
		"wait":    `{"x-rules":["duration.lte: \"60s\""]}`,
		"even":    `{"x-rules":["must be even"]}`,
		"notes":   `{"additionalProperties":{"x-rules":["string.not_in: [bad]"]},"maxProperties":3,"propertyNames":{"maxLength":4}}`,
		"data":    `{"x-rules":["bytes.max_len: 4","bytes.prefix: \"\\x01\""]}`,
		"exact":   `{"maximum":0,"minimum":0,"x-rules":["double.finite"]}`,
		"agreed":  `{"const":false}`,
	} {
		got, err := json.Marshal(protovalidate.Constraints(fields.ByName(name)))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
