// Package wrap runs services for main packages that do not name hanse.
package wrap

import "github.com/hanse-go/hanse"

func Run(name string) {
	app := &hanse.App{}
	app.Main(&hanse.Service{Name: name})
}
