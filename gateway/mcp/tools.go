package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/gateway"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// tool is a method as clients see it.
type tool struct {
	path string // the full method
	tool *mcp.Tool
}

// current returns the tools for the contracts that there are now.
func (h *Handler) current() []tool {
	generation := uint64(0)
	if g, ok := h.Backend.(interface{ Generation() uint64 }); ok {
		generation = g.Generation()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tools == nil || h.made != generation {
		h.tools, h.made = h.makeTools(), generation
	}
	return h.tools
}

func (h *Handler) makeTools() []tool {
	tools := []tool{}
	for _, contract := range h.Backend.Contracts() {
		for i := range contract.Methods().Len() {
			m := contract.Methods().Get(i)
			path := "/" + string(contract.FullName()) + "/" + string(m.Name())
			if !h.open(path, m) {
				continue
			}
			t, err := h.makeTool(path, m)
			if err != nil {
				h.logger().Warn("a method cannot be a tool", "method", path, "error", err)
				continue
			}
			tools = append(tools, tool{path, t})
		}
	}
	return tools
}

// open reports whether the operator has opened a method.
func (h *Handler) open(path string, m protoreflect.MethodDescriptor) bool {
	if m.IsStreamingClient() || m.IsStreamingServer() {
		return false
	}
	if h.Open == nil {
		return level(m) == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	}
	return slices.Contains(h.Open, path) || slices.Contains(h.Open, path[:strings.LastIndexByte(path, '/')]+"/*")
}

func level(m protoreflect.MethodDescriptor) descriptorpb.MethodOptions_IdempotencyLevel {
	o, _ := m.Options().(*descriptorpb.MethodOptions)
	return o.GetIdempotencyLevel()
}

func (h *Handler) makeTool(path string, m protoreflect.MethodDescriptor) (*mcp.Tool, error) {
	in, err := h.schema(m.Input())
	if err != nil {
		return nil, err
	}
	if in == nil {
		return nil, fmt.Errorf("its request, %s, is no object in JSON", m.Input().FullName())
	}
	out, err := h.schema(m.Output())
	if err != nil {
		return nil, err
	}
	t := &mcp.Tool{
		Name: toolName(path), Title: string(m.Parent().Name()) + "." + string(m.Name()), Description: gateway.Comment(m), InputSchema: in,
		Annotations: &mcp.ToolAnnotations{},
	}
	if out != nil {
		t.OutputSchema = out
	}
	if t.Description == "" {
		t.Description = "Calls " + path[1:] + "."
	}
	switch level(m) {
	case descriptorpb.MethodOptions_NO_SIDE_EFFECTS:
		t.Annotations.ReadOnlyHint, t.Annotations.IdempotentHint, t.Annotations.DestructiveHint = true, true, new(bool)
	case descriptorpb.MethodOptions_IDEMPOTENT:
		t.Annotations.IdempotentHint = true
	}
	return t, nil
}

// schema returns the schema of a message, and nil for one that is something else than an object in JSON.
func (h *Handler) schema(m protoreflect.MessageDescriptor) (json.RawMessage, error) {
	data, err := gateway.Schema(m, h.Constraints)
	if err != nil {
		return nil, err
	}
	var s struct {
		Type any `json:"type"`
	}
	if err := json.Unmarshal(data, &s); err != nil || s.Type != "object" {
		return nil, err
	}
	return bytes.TrimSpace(data), nil
}

// maxName is the longest name that clients in use take.
const maxName = 64

// toolName makes a method's name one for tools: of letters, digits and '_'.
func toolName(path string) string {
	name := strings.NewReplacer(".", "_", "/", "_").Replace(path[1:])
	if len(name) <= maxName {
		return name
	}
	sum := fnv.New32a()
	sum.Write([]byte(path))
	return fmt.Sprintf("%08x_%s", sum.Sum32(), name[len(name)-maxName+9:])
}
