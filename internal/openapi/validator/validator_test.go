// Package validator checks documents of package openapi against the standard, with a library that has nothing to do with Hanse.
package validator

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/pb33f/jsonschema/v6"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// TestValid holds that the documents which the tests of package openapi compare with are what OpenAPI 3.1 wants.
func TestValid(t *testing.T) {
	for _, file := range []string{"../testdata/library.json"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, complaint := range complaints(t, data) {
			t.Errorf("%s: %s", file, complaint)
		}
	}
}

// TestInvalid holds that the library would find mistakes.
func TestInvalid(t *testing.T) {
	data, err := os.ReadFile("../testdata/library.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"description": "The answer."`, `"describe": "The answer."`},
		{`"in": "path"`, `"in": "way"`},
		{`"openapi": "3.1.0",`, `"openapi": "3.1.0", "unknown": 1,`},
		{`"type": "string"`, `"type": "text"`},
	} {
		wrong := strings.ReplaceAll(string(data), change[0], change[1])
		if wrong == string(data) {
			t.Fatalf("nothing to change: %s", change[0])
		}
		if len(complaints(t, []byte(wrong))) == 0 {
			t.Errorf("nothing is said about %s", change[1])
		}
	}
}

// complaints returns what is wrong with a document.
func complaints(t *testing.T, data []byte) (all []string) {
	t.Helper()
	doc, err := libopenapi.NewDocument(data)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc)
	for _, err := range errs {
		all = append(all, err.Error())
	}
	if v == nil {
		return all
	}
	_, mistakes := v.ValidateDocument()
	for _, m := range mistakes {
		all = append(all, m.Message+": "+m.Reason)
		for _, s := range m.SchemaValidationErrors {
			all = append(all, s.Error())
		}
	}
	for name := range names(t, data) {
		if _, err := compile(t, data, name); err != nil {
			all = append(all, err.Error())
		}
	}
	return all
}

// names returns the schemas that a document has.
func names(t *testing.T, data []byte) map[string]json.RawMessage {
	t.Helper()
	var doc struct {
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas
}

// compile returns a schema of a document as JSON Schema of draft 2020-12, which that of OpenAPI 3.1 is.
func compile(t *testing.T, data []byte, name string) (*jsonschema.Schema, error) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return c.Compile("openapi.json#/components/schemas/" + name)
}

// TestInstances holds the schemas to messages: those that protobuf writes are valid, and others are not.
func TestInstances(t *testing.T) {
	data, err := os.ReadFile("../testdata/library.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../testdata/instances.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Schema string
		Valid  bool
		JSON   json.RawMessage
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		schema, err := compile(t, data, i.Schema)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(i.JSON))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != i.Valid {
			t.Errorf("%s: %s: valid is not %v: %v", i.Schema, i.JSON, i.Valid, err)
		}
	}
	if len(all) < 15 {
		t.Errorf("%d messages only", len(all))
	}
}
