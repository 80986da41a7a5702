package openapi

// errors adds what a failed call answers. The names of the schemas have no dot, so that no message has them.
func (b *builder) errors() {
	detail := &Schema{Type: Types{"object"}, Required: []string{"type", "value"}, Description: "A message with more about an error."}
	detail.Properties.Set("type", &Schema{Type: Types{"string"}, Description: "The full name of the message.", Examples: []any{"google.rpc.RetryInfo"}})
	detail.Properties.Set("value", &Schema{Type: Types{"string"}, ContentEncoding: "base64", Description: "The message in protobuf's binary form."})
	detail.Properties.Set("debug", &Schema{Description: "The message as JSON, for people."})
	b.doc.Components.Schemas.Set("ErrorDetail", detail)

	failure := &Schema{Type: Types{"object"}, Required: []string{"code"}, Description: "Why a call failed, as the Connect protocol writes it."}
	failure.Properties.Set("code", code())
	failure.Properties.Set("message", &Schema{Type: Types{"string"}, Description: "What went wrong, for people."})
	failure.Properties.Set("details", &Schema{Type: Types{"array"}, Items: &Schema{Ref: schemas + "ErrorDetail"}})
	b.doc.Components.Schemas.Set("Error", failure)

	problem := &Schema{Type: Types{"object"}, Description: "Why a call failed, as RFC 9457 writes it: for who accepts application/problem+json."}
	problem.Properties.Set("type", &Schema{Type: Types{"string"}, Format: "uri-reference", Description: "What kind of problem it is."})
	problem.Properties.Set("title", &Schema{Type: Types{"string"}, Description: "The kind of problem, for people."})
	problem.Properties.Set("status", &Schema{Type: Types{"integer"}, Format: "int32", Description: "The status of HTTP."})
	problem.Properties.Set("detail", &Schema{Type: Types{"string"}, Description: "What went wrong, for people."})
	problem.Properties.Set("code", code())
	problem.Properties.Set("details", &Schema{Type: Types{"array"}, Items: &Schema{Ref: schemas + "ErrorDetail"}})
	b.doc.Components.Schemas.Set("Problem", problem)

	answer := &Response{Description: "The call failed."}
	answer.Content.Set(jsonType, &Media{Schema: &Schema{Ref: schemas + "Error"}})
	answer.Content.Set("application/problem+json", &Media{Schema: &Schema{Ref: schemas + "Problem"}})
	b.doc.Components.Responses.Set("Error", answer)
}

// codes are gRPC's, as Connect writes them.
var codes = []any{"canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
	"resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss",
	"unauthenticated"}

func code() *Schema {
	return &Schema{Type: Types{"string"}, Enum: codes, Description: "The code of the status."}
}
