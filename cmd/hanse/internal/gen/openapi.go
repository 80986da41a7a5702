package gen

import (
	"context"
	"errors"
	"fmt"

	"github.com/hanse-go/hanse/internal/openapi"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Describe returns an OpenAPI document of the services in the .proto files that opts name, and remarks about the files. Nothing is
// written, whatever opts.Check says. Mistakes in .proto files are a [*SourceError].
func Describe(ctx context.Context, opts Options, o openapi.Options) (*openapi.Document, []Diagnostic, error) {
	if opts.Progress == nil {
		opts.Progress = func(string) func() { return func() {} }
	}
	dir, jobs, err := opts.plan()
	if err != nil {
		return nil, nil, err
	}
	var services []protoreflect.ServiceDescriptor
	var warnings []Diagnostic
	for _, j := range jobs {
		done := opts.Progress("compiling " + display(dir, j.module.dir))
		c, err := j.module.compile(ctx, j.base)
		done()
		if err != nil {
			return nil, nil, err
		}
		warnings = append(warnings, c.warnings...)
		for _, s := range j.module.sources {
			if !j.wants(s) {
				continue
			}
			all := c.file(s.name).Services()
			for i := range all.Len() {
				services = append(services, all.Get(i))
			}
		}
	}
	if len(services) == 0 {
		return nil, nil, errors.New("there is no service in the .proto files here")
	}
	if o.Title == "" && len(jobs) == 1 && len(services) > 1 {
		o.Title = fmt.Sprintf("%d services of %s", len(services), jobs[0].module.path)
	}
	return openapi.Build(services, o), warnings, nil
}
