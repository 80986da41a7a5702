package gateway_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// limited demands something of two fields.
func limited(f protoreflect.FieldDescriptor) map[string]any {
	switch f.Name() {
	case "body":
		return map[string]any{"maxLength": 5, "x-rules": []string{"must rhyme"}}
	case "response_parameters":
		return map[string]any{"maxItems": 2, "items": map[string]any{"minProperties": 1}}
	}
	return nil
}

func TestSchema(t *testing.T) {
	data, err := gateway.Schema((&testpb.StreamingOutputCallRequest{}).ProtoReflect().Descriptor(), limited)
	if err != nil {
		t.Fatal(err)
	}
	type property struct {
		Ref       string `json:"$ref"`
		MaxLength int
		MaxItems  int
		Items     *struct {
			Ref           string `json:"$ref"`
			MinProperties int
		}
		Rules []string `json:"x-rules"`
	}
	type object struct {
		Type       string
		Properties map[string]property
		Defs       map[string]json.RawMessage `json:"$defs"`
	}
	var s, payload object
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(s.Defs["grpc.testing.Payload"], &payload); err != nil {
		t.Fatal(err)
	}
	list, body := s.Properties["responseParameters"], payload.Properties["body"]
	if s.Type != "object" || list.MaxItems != 2 || list.Items == nil || list.Items.MinProperties != 1 || list.Items.Ref != "#/$defs/grpc.testing.ResponseParameters" {
		t.Errorf("%s", data)
	}
	if s.Properties["payload"].Ref != "#/$defs/grpc.testing.Payload" || body.MaxLength != 5 || len(body.Rules) != 1 || strings.Contains(string(data), "#/components") {
		t.Errorf("%s", data)
	}
	if data, err = gateway.Schema((&testpb.Payload{}).ProtoReflect().Descriptor(), nil); err != nil || strings.Contains(string(data), "maxLength") {
		t.Errorf("%s, %v", data, err)
	}

	srv := &rpc.Server{}
	testpb.RegisterTestServiceServer(srv, &server{})
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	defer port.Close()
	w := httptest.NewRecorder()
	(&gateway.Docs{Backend: port, Constraints: limited, Public: true}).ServeHTTP(w, httptest.NewRequest("GET", "/openapi.json", nil))
	if !strings.Contains(w.Body.String(), "must rhyme") {
		t.Error("the document does not have the constraints")
	}
}
