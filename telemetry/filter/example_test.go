package filter_test

import (
	"fmt"

	"github.com/hanse-go/hanse/telemetry/filter"
)

func ExampleParse() {
	f, err := filter.Parse(`level:warn payment -timeout`)
	fmt.Println(f, err)
	for _, t := range f.Terms() {
		fmt.Println(t.Field, t.Op, t.Values[0].Text, t.Negated)
	}
	_, err = filter.Parse(`sevice:cart`)
	fmt.Println(err)
	// Output:
	// level:warn payment -timeout <nil>
	// level : warn false
	//   payment false
	//   timeout true
	// column 1: no field sevice: did you mean service? (@sevice is an attribute of that name)
}
