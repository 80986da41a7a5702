// Package table writes rows of cells, for people at a terminal or as Markdown.
package table

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Markdown returns a table in Markdown.
func Markdown(header []string, rows [][]string) string {
	var b strings.Builder
	b.WriteString("| " + strings.Join(header, " | ") + " |\n|" + strings.Repeat("---|", len(header)) + "\n")
	for _, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return b.String()
}

// Text returns a table with aligned columns, indented.
func Text(header []string, rows [][]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		fmt.Fprintln(w, "  "+strings.Join(row, "\t"))
	}
	w.Flush() // a strings.Builder takes everything
	return b.String()
}
