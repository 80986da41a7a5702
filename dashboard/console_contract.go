package dashboard

import (
	"cmp"
	"slices"

	"github.com/hanse-go/hanse/internal/redact"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// contractsReport is what can be called of a service, with what forms are made from.
type contractsReport struct {
	Contracts []contractReport         `json:"contracts"`
	Messages  map[string]messageReport `json:"messages"` // by full name, those that the methods take and answer and all within them
	Enums     map[string][]enumReport  `json:"enums"`
}

type contractReport struct {
	Name    string         `json:"name"`
	Comment string         `json:"comment,omitempty"`
	Methods []methodReport `json:"methods"`
}

type methodReport struct {
	Name         string `json:"name"`
	Comment      string `json:"comment,omitempty"`
	Input        string `json:"input"`
	Output       string `json:"output"`
	ClientStream bool   `json:"client_stream,omitempty"`
	ServerStream bool   `json:"server_stream,omitempty"`
	Safe         bool   `json:"safe,omitempty"` // it says that it changes nothing
	Deprecated   bool   `json:"deprecated,omitempty"`
}

type messageReport struct {
	Comment string        `json:"comment,omitempty"`
	Fields  []fieldReport `json:"fields"`
}

type fieldReport struct {
	Name     string `json:"name"`
	JSON     string `json:"json"`
	Kind     string `json:"kind"`               // of protobuf: string, int32, message
	Type     string `json:"type,omitempty"`     // full name, of a message or enum
	Repeated bool   `json:"repeated,omitempty"` // a list
	Map      string `json:"map,omitempty"`      // kind of the keys: then Kind and Type are those of the values
	Oneof    string `json:"oneof,omitempty"`
	Optional bool   `json:"optional,omitempty"` // it tells what is not set from what is empty
	Required bool   `json:"required,omitempty"`
	Redact   bool   `json:"redact,omitempty"` // marked debug_redact
	Comment  string `json:"comment,omitempty"`
}

type enumReport struct {
	Name   string `json:"name"`
	Number int32  `json:"number"`
}

func (d *described) report() contractsReport {
	r := contractsReport{Contracts: []contractReport{}, Messages: map[string]messageReport{}, Enums: map[string][]enumReport{}}
	for _, c := range d.contracts {
		contract := contractReport{Name: string(c.FullName()), Comment: d.comments.Of(c), Methods: []methodReport{}}
		for i := range c.Methods().Len() {
			m := c.Methods().Get(i)
			deprecated, _ := m.Options().(*descriptorpb.MethodOptions)
			contract.Methods = append(contract.Methods, methodReport{
				Name: string(m.Name()), Comment: d.comments.Of(m), Input: string(m.Input().FullName()), Output: string(m.Output().FullName()),
				ClientStream: m.IsStreamingClient(), ServerStream: m.IsStreamingServer(), Safe: safe(m), Deprecated: deprecated.GetDeprecated(),
			})
			d.addMessage(&r, m.Input())
			d.addMessage(&r, m.Output())
		}
		r.Contracts = append(r.Contracts, contract)
	}
	slices.SortFunc(r.Contracts, func(a, b contractReport) int { return cmp.Compare(a.Name, b.Name) })
	return r
}

func (d *described) addMessage(r *contractsReport, m protoreflect.MessageDescriptor) {
	name := string(m.FullName())
	if _, ok := r.Messages[name]; ok {
		return
	}
	r.Messages[name] = messageReport{} // for those within themselves
	report := messageReport{Comment: d.comments.Of(m), Fields: []fieldReport{}}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		value := f
		field := fieldReport{Name: string(f.Name()), JSON: f.JSONName(), Repeated: f.IsList(), Comment: d.comments.Of(f), Required: f.Cardinality() == protoreflect.Required}
		if f.IsMap() {
			field.Map, value = f.MapKey().Kind().String(), f.MapValue()
		}
		if field.Kind = value.Kind().String(); value.Kind() == protoreflect.GroupKind {
			field.Kind = "message"
		}
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
			field.Oneof = string(o.Name())
		}
		field.Optional = f.HasPresence() && field.Oneof == "" && f.Message() == nil && !field.Required
		field.Redact = redact.Hidden(f)
		if inner := value.Message(); inner != nil {
			field.Type = string(inner.FullName())
			d.addMessage(r, inner)
		}
		if enum := value.Enum(); enum != nil {
			field.Type = string(enum.FullName())
			addEnum(r, enum)
		}
		report.Fields = append(report.Fields, field)
	}
	r.Messages[name] = report
}

func addEnum(r *contractsReport, e protoreflect.EnumDescriptor) {
	name := string(e.FullName())
	if r.Enums[name] != nil {
		return
	}
	values := []enumReport{}
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		values = append(values, enumReport{string(v.Name()), int32(v.Number())})
	}
	r.Enums[name] = values
}
