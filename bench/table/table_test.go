package table_test

import (
	"fmt"

	"github.com/hanse-go/hanse/bench/table"
)

func Example() {
	header, rows := []string{"", "µs"}, [][]string{{"short", "1"}, {"a longer one", "22"}}
	fmt.Print(table.Text(header, rows))
	fmt.Print(table.Markdown(header, rows))
	// Output:
	//                 µs
	//   short         1
	//   a longer one  22
	// |  | µs |
	// |---|---|
	// | short | 1 |
	// | a longer one | 22 |
}
