package scaffold

import (
	"bytes"
	"embed"
	"fmt"
	"go/format"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"golang.org/x/mod/module"
)

// names are the spellings of a service's name. The fields are used by the templates.
type names struct {
	Service string // order-mail
	Package string // ordermail: of Go code and of the contract
	Type    string // OrderMail
	Module  string // path of the new module, "" for none or to be chosen
	Base    string // import path of the folder that has the folder proto
	Folder  string // of the service's code, below that: services/ordermail
}

// place says where the service lands: base is the import path of the folder, below it the part of the services' folders.
func (n *names) place(base, below string) {
	n.Base, n.Folder = base, below+n.Package
}

// serviceName is what hanse.Service.Name takes.
var serviceName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// taken are folders and packages that mean something else to Go or to the templates.
var taken = []string{"main", "init", "hanse", "internal", "vendor", "testdata", "proto", "cmd", "hello-request", "hello-response"}

// parseName reads the argument of hanse new, and its flag --module.
func parseName(arg, modulePath string) (names, error) {
	n := names{Service: arg, Module: modulePath}
	if strings.Contains(arg, "/") {
		n.Service = path.Base(arg)
		if n.Module == "" {
			n.Module = arg
		}
	}
	if n.Module != "" {
		if err := module.CheckPath(n.Module); err != nil {
			return n, ui.Usagef("%w", err).Then("a module path is like github.com/me/%s", n.Service)
		}
	}
	if !serviceName.MatchString(n.Service) {
		hint := suggestName(n.Service)
		if hint != "" {
			hint = ", such as " + hint
		}
		return n, ui.Usagef("%q cannot be the name of a service", n.Service).Then("use lower-case letters, digits and hyphens%s", hint)
	}
	if slices.Contains(taken, n.Service) || token.IsKeyword(n.Service) {
		return n, ui.Usagef("the name %s means something else to Go", n.Service).Then("choose another, such as %s-service", n.Service)
	}
	n.Package = strings.ReplaceAll(n.Service, "-", "")
	for _, part := range strings.Split(n.Service, "-") {
		if part != "" {
			n.Type += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return n, nil
}

// suggestName turns OrderMail and order_mail into order-mail; "" when nothing is left.
func suggestName(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r >= 'A' && r <= 'Z':
			if i > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(r - 'A' + 'a')
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			b.WriteByte('-')
		}
	}
	name := strings.Trim(regexp.MustCompile(`-+`).ReplaceAllString(b.String(), "-"), "-")
	if !serviceName.MatchString(name) {
		return ""
	}
	return name
}

//go:embed templates
var templates embed.FS

// render fills a template in.
func (n names) render(name string) []byte {
	t := template.Must(template.ParseFS(templates, "templates/"+name))
	var b bytes.Buffer
	if err := t.Execute(&b, n); err != nil {
		panic(fmt.Sprintf("template %s: %v", name, err)) // a mistake in the template, which tests find
	}
	if !strings.HasSuffix(name, ".go.tmpl") {
		return b.Bytes()
	}
	code, err := format.Source(b.Bytes()) // the names decide in which order imports stand
	if err != nil {
		panic(fmt.Sprintf("template %s: %v", name, err))
	}
	return code
}
