package httprule_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/httprule"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ text, pattern, vars string }{
		{"/", "/", ""},
		{"/v1/books", "/v1/books", ""},
		{"/v1/*", "/v1/*", ""},
		{"/v1/**", "/v1/**", ""},
		{"/**", "/**", ""},
		{"/v1/books:search", "/v1/books:search", ""},
		{"/v1/{id}", "/v1/*", "id[1:2]"},
		{"/v1/{id=*}", "/v1/*", "id[1:2]"},
		{"/v1/{id}:publish", "/v1/*:publish", "id[1:2]"},
		{"/v1/{id=**}", "/v1/**", "id[1:2]multi"},
		{"/v1/{name=shelves/*/books/*}", "/v1/shelves/*/books/*", "name[1:5]multi"},
		{"/v1/{book.name=shelves/*/books/**}:read", "/v1/shelves/*/books/**:read", "book.name[1:5]multi"},
		{"/v1/{shelf}/books/{book}", "/v1/*/books/*", "shelf[1:2] book[3:4]"},
		{"/v1/{fixed=here}", "/v1/here", "fixed[1:2]"},
		{"/v1/{parent=projects/*/documents/**}/{collection}", "/v1/projects/*/documents/**/*", "parent[1:5]multi collection[5:6]"},
		{"/v1/{a_1.b2._c=*}", "/v1/*", "a_1.b2._c[1:2]"},
		{"/v1/a:b:c", "/v1/a%3Ab:c", ""},
		{"/v1/urn:x/{id}", "/v1/urn%3Ax/*", "id[2:3]"},
		{"/v1/{id=urn:x/*}", "/v1/urn%3Ax/*", "id[1:3]multi"},
		{"/v1/gr%C3%B6%C3%9Fe", "/v1/gr%C3%B6%C3%9Fe", ""},
		{"/v1/größe", "/v1/gr%C3%B6%C3%9Fe", ""},
		{"/v1/a%2Fb", "/v1/a%2Fb", ""},
	} {
		tmpl, err := httprule.Parse(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		var vars []string
		for _, v := range tmpl.Variables {
			text := v.Field + "[" + string(rune('0'+v.Start)) + ":" + string(rune('0'+v.End)) + "]"
			if v.Multi {
				text += "multi"
			}
			vars = append(vars, text)
		}
		if got := strings.Join(vars, " "); tmpl.Pattern() != tt.pattern || got != tt.vars || tmpl.String() != tt.text {
			t.Errorf("%s: pattern %s, variables %s, text %s", tt.text, tmpl.Pattern(), got, tmpl)
		}
	}
}

func TestParseMistakes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", `path template "": it does not begin with a slash`},
		{"v1", "does not begin with a slash"},
		{"/v1/", "it ends with an empty segment"},
		{"/v1//a", "there is no segment at byte 5"},
		{"/v1/:verb", "there is no segment at byte 5"},
		{"/v1/a:", "it ends with an empty verb"},
		{"/v1/{", "there is no name of a field at byte 6"},
		{"/v1/{}", "there is no name of a field at byte 6"},
		{"/v1/{1a}", "there is no name of a field at byte 6"},
		{"/v1/{a.}", "there is no name of a field at byte 8"},
		{"/v1/{a", "the brace at byte 5 is not closed"},
		{"/v1/{a=*", "the brace at byte 5 is not closed"},
		{"/v1/{a=}", "there is no segment at byte 8"},
		{"/v1/{a-b}", "unexpected '-' at byte 7"},
		{"/v1/{a=b/{c}}", "a variable is inside another one at byte 10"},
		{"/v1/{a}/{a}", "variable a is there twice"},
		{"/v1/{a}b", "unexpected 'b' at byte 8"},
		{"/v1/a}", "unexpected '}' at byte 6"},
		{"/v1/a{b}", "unexpected '{' at byte 6"},
		{"/v1/***", "unexpected '*' at byte 7"},
		{"/v1/a*", "unexpected '*' at byte 6"},
		{"/v1/**/b/**", "a second ** at byte 10"},
		{"/v1/{a=**}/**", "a second ** at byte 12"},
		{"/v1/a?b", "unexpected '?' at byte 6"},
		{"/v1/a#b", "unexpected '#' at byte 6"},
		{"/v1/a b", "unexpected ' ' at byte 6"},
		{"/v1/%zz", "wrongly percent-encoded"},
		{"/v1/%ff", "wrongly percent-encoded"},
		{"/v1/%2", "wrongly percent-encoded"},
		{"/v1/..", "is never in a path"},
		{"/v1/%2e/a", "is never in a path"},
		{"/v1/\xff", "no valid UTF-8"},
		{"/" + strings.Repeat("a", 5000), "5001 bytes, more than 4096"},
	} {
		if _, err := httprule.Parse(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want an error with %q", tt.text, err, tt.want)
		}
	}
}

func TestBuild(t *testing.T) {
	for _, tt := range []struct {
		template string
		values   map[string]string
		want     string // or part of the error
	}{
		{"/", nil, "/"},
		{"/v1/books:search", nil, "/v1/books:search"},
		{"/v1/{id}", map[string]string{"id": "a/b c%é:x"}, "/v1/a%2Fb%20c%25%C3%A9%3Ax"},
		{"/v1/{name=shelves/*/books/*}:read", map[string]string{"name": "shelves/1/books/a b"}, "/v1/shelves/1/books/a%20b:read"},
		{"/v1/{path=**}", map[string]string{"path": "a//b/"}, "/v1/a//b/"},
		{"/v1/{path=**}", map[string]string{"path": ""}, "/v1/"},
		{"/v1/{p=a/**}/{id}", map[string]string{"p": "a/b/c", "id": "d"}, "/v1/a/b/c/d"},
		{"/v1/{id}", map[string]string{}, `id is "": a part of a path must not be empty`},
		{"/v1/{id}", map[string]string{"id": ".."}, "has a meaning of its own"},
		{"/v1/{p=a/**}", map[string]string{"p": "a/../b"}, "has a meaning of its own"},
		{"/v1/{p=a/*}", map[string]string{"p": "b/c"}, `it has "b" in the place of "a"`},
		{"/v1/{p=a/*}", map[string]string{"p": "a"}, "it is not of the form a/*"},
		{"/v1/{p=a/*}", map[string]string{"p": "a/b/c"}, "it is not of the form a/*"},
		{"/v1/{p=**/a/*}", map[string]string{"p": "a"}, "it is not of the form **/a/*"},
		{"/v1/{id}", map[string]string{"id": "\xff"}, "no valid UTF-8"},
		{"/v1/*", nil, "no field has a value for its *"},
	} {
		tmpl, err := httprule.Parse(tt.template)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tmpl.Build(func(field string) string { return tt.values[field] })
		if err != nil {
			got = err.Error()
		}
		if got != tt.want && (err == nil || !strings.Contains(got, tt.want)) {
			t.Errorf("%s with %v: %s, want %s", tt.template, tt.values, got, tt.want)
		}
	}
}

func TestLookup(t *testing.T) {
	var r httprule.Router[string]
	for _, route := range []string{
		"GET /",
		"GET /v1/books",
		"POST /v1/books",
		"GET /v1/books:search",
		"GET /v1/books/{id}",
		"DELETE /v1/books/{id}",
		"GET /v1/books/{id}:read",
		"GET /v1/books/first",
		"PATCH /v1/books/{id}/*",
		"GET /v1/{name=shelves/*/books/*}",
		"GET /v1/{name=files/**}",
		"GET /v1/{name=files/**}:download",
		"GET /v1/{name=files/**}/meta",
		"GET /v1/{name=files/**}/meta/{key}",
		"GET /v1/a/{x}/c",
		"GET /v1/a/b/{y}",
		"* /v1/any",
		"PUT /v1/any",
		"GET /v1/größe/{id}",
		"GET /v1/a%2Fb",
	} {
		method, text, _ := strings.Cut(route, " ")
		tmpl, err := httprule.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := r.Add(method, tmpl, route); !ok {
			t.Fatalf("%s conflicts with %s", route, other)
		}
	}
	for _, tt := range []struct{ request, want, values string }{
		{"GET /", "GET /", ""},
		{"GET /v1/books", "GET /v1/books", ""},
		{"POST /v1/books", "POST /v1/books", ""},
		{"GET /v1/books/", "", ""},
		{"GET /v1//books", "", ""},
		{"GET v1/books", "", ""},
		{"GET ", "", ""},
		{"GET //", "", ""},
		{"GET /v1/books:search", "GET /v1/books:search", ""},
		{"GET /v1/books:sear%63h", "GET /v1/books:search", ""},
		{"GET /v1/books%3Asearch", "", ""},
		{"GET /v1/books:other", "", ""},
		{"GET /v1/b%6Foks/1", "GET /v1/books/{id}", "1"},
		{"GET /v1/books/a%2Fb%20c+d", "GET /v1/books/{id}", "a/b c+d"},
		{"GET /v1/books/1:read", "GET /v1/books/{id}:read", "1"},
		{"GET /v1/books/1:other", "GET /v1/books/{id}", "1:other"},
		{"GET /v1/books/a:b:read", "GET /v1/books/{id}:read", "a:b"},
		{"GET /v1/books/1%3Aread", "GET /v1/books/{id}", "1:read"},
		{"GET /v1/books/:read", "GET /v1/books/{id}", ":read"}, // the variable would be empty
		{"GET /v1/books/1:", "GET /v1/books/{id}", "1:"},
		{"GET /v1/books/first", "GET /v1/books/first", ""},
		{"DELETE /v1/books/first", "DELETE /v1/books/{id}", "first"}, // the literal has no such method
		{"PUT /v1/books/first", "", ""},
		{"PATCH /v1/books/1/x", "PATCH /v1/books/{id}/*", "1"},
		{"PATCH /v1/books/1/", "", ""},
		{"GET /v1/shelves/1/books/2%2F3", "GET /v1/{name=shelves/*/books/*}", "shelves/1/books/2%2F3"},
		{"GET /v1/shelves/1/books/2%20%25", "GET /v1/{name=shelves/*/books/*}", "shelves/1/books/2 %"},
		{"GET /v1/shelves/1/books", "", ""},
		{"GET /v1/shelves/1/books/2/3", "", ""},
		{"GET /v1/files", "GET /v1/{name=files/**}", "files"},
		{"GET /v1/files/", "GET /v1/{name=files/**}", "files/"},
		{"GET /v1/files/a//b%2fc", "GET /v1/{name=files/**}", "files/a//b%2fc"},
		{"GET /v1/files/a/b:download", "GET /v1/{name=files/**}:download", "files/a/b"},
		{"GET /v1/files:download", "GET /v1/{name=files/**}:download", "files"},
		{"GET /v1/files/a/meta", "GET /v1/{name=files/**}/meta", "files/a"},
		{"GET /v1/files/meta", "GET /v1/{name=files/**}/meta", "files"},
		{"GET /v1/files/a/meta/size", "GET /v1/{name=files/**}/meta/{key}", "files/a size"},
		{"GET /v1/files/meta/meta", "GET /v1/{name=files/**}/meta/{key}", "files meta"},
		{"GET /v1/files/a/../b", "", ""},
		{"GET /v1/files/a/%2E%2e/b", "", ""},
		{"GET /v1/files/.", "", ""},
		{"GET /v1/files/..a", "GET /v1/{name=files/**}", "files/..a"},
		{"GET /v1/files/%zz", "", ""},
		{"GET /v1/files/%4", "", ""},
		{"GET /v1/files/a%", "", ""},
		{"GET /v1/a/b/c", "GET /v1/a/b/{y}", "c"},
		{"GET /v1/a/x/c", "GET /v1/a/{x}/c", "x"},
		{"GET /v1/a/x/d", "", ""},
		{"PUT /v1/any", "PUT /v1/any", ""},
		{"BREW /v1/any", "* /v1/any", ""},
		{"GET /v1/gr%C3%B6%c3%9Fe/1", "GET /v1/größe/{id}", "1"},
		{"GET /v1/a%2fb", "GET /v1/a%2Fb", ""},
		{"GET /v1/files" + strings.Repeat("/x", 500), "GET /v1/{name=files/**}", "files" + strings.Repeat("/x", 500)},
	} {
		method, path, _ := strings.Cut(tt.request, " ")
		m := httprule.Match[string]{Values: []string{"of", "an", "earlier", "one"}}
		found := r.Lookup(method, path, &m)
		if found != (tt.want != "") || m.Value != tt.want {
			t.Errorf("%s: %s, want %s", tt.request, m.Value, tt.want)
		} else if found && (strings.Join(m.Values, " ") != tt.values || method+" "+m.Template.String() != tt.want && !strings.HasPrefix(tt.want, "*")) {
			t.Errorf("%s: %q by %s, want %q", tt.request, m.Values, m.Template, tt.values)
		}
	}
	for path, want := range map[string]string{
		"/v1/books":        "GET POST",
		"/v1/books/first":  "DELETE GET",
		"/v1/books/1:read": "DELETE GET",
		"/v1/any":          "* PUT",
		"/v1/nothing":      "",
	} {
		if got := strings.Join(r.Methods(path), " "); got != want {
			t.Errorf("methods of %s: %s, want %s", path, got, want)
		}
	}
}

func TestConflict(t *testing.T) {
	for _, tt := range []struct {
		a, b     string
		conflict bool
	}{
		{"GET /v1/{id}", "GET /v1/{name}", true},
		{"GET /v1/{id}", "POST /v1/{name}", false},
		{"GET /v1/{id}", "* /v1/{name}", false},
		{"* /v1/{id}", "* /v1/{name}", true},
		{"GET /v1/{name=shelves/*}", "GET /v1/shelves/{id}", true},
		{"GET /v1/{id}", "GET /v1/{id}:read", false},
		{"GET /v1/{a=**}/x", "GET /v1/{a=**}/y", false},
		{"GET /v1/{a=**}/x", "GET /v1/**/x", true},
		{"GET /v1/{a=**}/x", "GET /v1/{a=**}/{x}", false},
		{"GET /v1/%61", "GET /v1/a", true},
	} {
		var r httprule.Router[string]
		for i, route := range []string{tt.a, tt.b} {
			method, text, _ := strings.Cut(route, " ")
			tmpl, err := httprule.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			other, ok := r.Add(method, tmpl, route)
			if ok != (i == 0 || !tt.conflict) || !ok && other != tt.a {
				t.Errorf("%s after %s: %v %q", tt.b, tt.a, ok, other)
			}
		}
	}
}

// FuzzTemplate holds that a path that was built from a template's values gives the same values back, and that no input makes it panic.
func FuzzTemplate(f *testing.F) {
	f.Add("/v1/{name=shelves/*/books/**}:read", "shelves/1/books/2", "x", "/v1/shelves/1:read")
	f.Add("/v1/{a}/{b=**}/c", "a b", "x/y", "/v1/a/../c")
	f.Add("/{a=**}/{b}", "", "%2F:é", "//%2e/:")
	f.Fuzz(func(t *testing.T, text, a, b, path string) {
		tmpl, err := httprule.Parse(text)
		if err != nil {
			return
		}
		again, err := httprule.Parse(tmpl.Pattern())
		if err != nil || again.Pattern() != tmpl.Pattern() {
			t.Fatalf("%q: the pattern %q is not its own pattern: %v", text, tmpl.Pattern(), err)
		}
		var r httprule.Router[int]
		r.Add("GET", tmpl, 1)
		var m httprule.Match[int]
		if r.Lookup("GET", path, &m) != slices.Equal(r.Methods(path), []string{"GET"}) {
			t.Fatalf("%q: Lookup and Methods do not agree on %q", text, path)
		}
		given := map[string]string{}
		built, err := tmpl.Build(func(field string) string {
			given[field] = []string{a, b}[len(given)%2]
			return given[field]
		})
		if err != nil {
			return
		}
		if !r.Lookup("GET", built, &m) {
			t.Fatalf("%q does not match %q, which was built from %q", text, built, given)
		}
		for i, v := range tmpl.Variables {
			if m.Values[i] != given[v.Field] {
				t.Fatalf("%q: %s is %q in %q, and was %q", text, v.Field, m.Values[i], built, given[v.Field])
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	var r httprule.Router[int]
	for i, text := range []string{"/v1/shelves", "/v1/shelves/{shelf}", "/v1/shelves/{shelf}/books", "/v1/shelves/{shelf}/books/{book}", "/v1/{name=files/**}"} {
		tmpl, err := httprule.Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		r.Add("GET", tmpl, i)
	}
	var m httprule.Match[int]
	b.ReportAllocs()
	for b.Loop() {
		if !r.Lookup("GET", "/v1/shelves/fiction/books/moby-dick", &m) {
			b.Fatal("not found")
		}
	}
}
