// Package validator checks documents of package openapi against the standard, with a library that has nothing to do with Hanse.
package validator

import (
	"os"
	"strings"
	"testing"

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
		wrong := strings.Replace(string(data), change[0], change[1], 1)
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
	return all
}
