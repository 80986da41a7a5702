package openapi

// Document is an OpenAPI document.
type Document struct {
	OpenAPI    string         `json:"openapi"`
	Info       Info           `json:"info"`
	Servers    []Server       `json:"servers,omitempty"`
	Tags       []Tag          `json:"tags,omitempty"`
	Paths      Map[*PathItem] `json:"paths"`
	Components Components     `json:"components,omitzero"`
}

// Info says what is described.
type Info struct {
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Version     string `json:"version"`
}

// Server is where it is served.
type Server struct {
	URL string `json:"url"`
}

// Tag is a service.
type Tag struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// PathItem has the operations of one path.
type PathItem struct {
	Get     *Operation `json:"get,omitempty"`
	Put     *Operation `json:"put,omitempty"`
	Post    *Operation `json:"post,omitempty"`
	Delete  *Operation `json:"delete,omitempty"`
	Options *Operation `json:"options,omitempty"`
	Head    *Operation `json:"head,omitempty"`
	Patch   *Operation `json:"patch,omitempty"`
	Trace   *Operation `json:"trace,omitempty"`
	// Others are the operations of HTTP methods that OpenAPI 3.1 has no name for.
	Others Map[*Operation] `json:"x-additionalOperations,omitzero"`
}

// place returns where the operation of an HTTP method stands.
func (p *PathItem) place(method string) **Operation {
	switch method {
	case "GET":
		return &p.Get
	case "PUT":
		return &p.Put
	case "POST":
		return &p.Post
	case "DELETE":
		return &p.Delete
	case "OPTIONS":
		return &p.Options
	case "HEAD":
		return &p.Head
	case "PATCH":
		return &p.Patch
	case "TRACE":
		return &p.Trace
	}
	return nil
}

// Len returns the number of operations.
func (p *PathItem) Len() int {
	n := p.Others.Len()
	for _, op := range []*Operation{p.Get, p.Put, p.Post, p.Delete, p.Options, p.Head, p.Patch, p.Trace} {
		if op != nil {
			n++
		}
	}
	return n
}

// Operation is one HTTP method of one path.
type Operation struct {
	Tags        []string       `json:"tags,omitempty"`
	Summary     string         `json:"summary,omitempty"`
	Description string         `json:"description,omitempty"`
	OperationID string         `json:"operationId,omitempty"`
	Parameters  []*Parameter   `json:"parameters,omitempty"`
	RequestBody *Body          `json:"requestBody,omitempty"`
	Responses   Map[*Response] `json:"responses"`
	Deprecated  bool           `json:"deprecated,omitempty"`
	Call        *Call          `json:"x-hanse,omitempty"`
}

// Call is the method behind an operation.
type Call struct {
	Service     string `json:"service,omitempty"` // of Hanse, such as "cart"; see Options.Service
	Method      string `json:"method"`            // such as "/shop.cart.v1.Carts/GetCart"
	Route       string `json:"route"`             // "rest" or "default"
	Stream      string `json:"stream,omitempty"`  // "client", "server", "both"; "" is unary
	Idempotency string `json:"idempotency,omitempty"`
	Body        string `json:"body,omitempty"` // of a REST route: "*", or the field of the request that its body is
}

// Parameter is a part of the path, of the query, or a header.
type Parameter struct {
	Name        string      `json:"name"`
	In          string      `json:"in"`
	Description string      `json:"description,omitempty"`
	Required    bool        `json:"required,omitempty"`
	Deprecated  bool        `json:"deprecated,omitempty"`
	Schema      *Schema     `json:"schema,omitempty"`
	Content     Map[*Media] `json:"content,omitzero"`          // in place of Schema, for what is encoded
	Slashes     bool        `json:"x-hanse-slashes,omitempty"` // the value may have them, and they separate segments
	Field       string      `json:"x-hanse-field,omitempty"`   // of the request, by its path in JSON, that a path's parameter gives its value
	Form        string      `json:"x-hanse-form,omitempty"`    // of the value where it has more than this parameter, such as shelves/*
}

// Body is what a request carries.
type Body struct {
	Description string      `json:"description,omitempty"`
	Content     Map[*Media] `json:"content"`
	Required    bool        `json:"required,omitempty"`
}

// Media is content of one media type.
type Media struct {
	Schema *Schema `json:"schema,omitempty"`
}

// Response is an answer, or refers to one of the components.
type Response struct {
	Ref         string      `json:"$ref,omitempty"`
	Description string      `json:"description,omitempty"`
	Content     Map[*Media] `json:"content,omitzero"`
}

// Components are what operations and schemas refer to.
type Components struct {
	Schemas   Map[*Schema]   `json:"schemas,omitzero"`
	Responses Map[*Response] `json:"responses,omitzero"`
}

// Schema is a JSON Schema of draft 2020-12, the part of it that messages need.
type Schema struct {
	Ref         string `json:"$ref,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Type        Types  `json:"type,omitempty"`
	Format      string `json:"format,omitempty"`
	Enum        []any  `json:"enum,omitempty"`
	Const       any    `json:"const,omitempty"`
	Default     any    `json:"default,omitempty"`
	Examples    []any  `json:"examples,omitempty"`

	Pattern          string   `json:"pattern,omitempty"`
	MinLength        *uint64  `json:"minLength,omitempty"`
	MaxLength        *uint64  `json:"maxLength,omitempty"`
	ContentEncoding  string   `json:"contentEncoding,omitempty"`
	Minimum          *float64 `json:"minimum,omitempty"`
	Maximum          *float64 `json:"maximum,omitempty"`
	ExclusiveMinimum *float64 `json:"exclusiveMinimum,omitempty"`
	ExclusiveMaximum *float64 `json:"exclusiveMaximum,omitempty"`

	Items       *Schema `json:"items,omitempty"`
	MinItems    *uint64 `json:"minItems,omitempty"`
	MaxItems    *uint64 `json:"maxItems,omitempty"`
	UniqueItems bool    `json:"uniqueItems,omitempty"`

	Properties           Map[*Schema] `json:"properties,omitzero"`
	PropertyNames        *Schema      `json:"propertyNames,omitempty"`
	AdditionalProperties *Schema      `json:"additionalProperties,omitempty"`
	MinProperties        *uint64      `json:"minProperties,omitempty"`
	MaxProperties        *uint64      `json:"maxProperties,omitempty"`
	Required             []string     `json:"required,omitempty"`

	AllOf []*Schema `json:"allOf,omitempty"`
	AnyOf []*Schema `json:"anyOf,omitempty"`
	OneOf []*Schema `json:"oneOf,omitempty"`
	Not   *Schema   `json:"not,omitempty"`

	ReadOnly   bool `json:"readOnly,omitempty"`
	WriteOnly  bool `json:"writeOnly,omitempty"`
	Deprecated bool `json:"deprecated,omitempty"`

	// Values are the comments of an enum's values, by name.
	Values Map[string] `json:"x-enum-descriptions,omitzero"`
	// Rules are constraints in words that JSON Schema cannot say, such as expressions of CEL.
	Rules []string `json:"x-rules,omitempty"`
}
