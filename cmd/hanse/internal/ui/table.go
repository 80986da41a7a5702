package ui

import (
	"io"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
)

// Table collects rows and prints them in aligned columns without lines, which also reads well in a pipe.
type Table struct {
	head []string
	rows [][]string
}

// NewTable returns a table with the given column heads.
func NewTable(head ...string) *Table { return &Table{head: head} }

// Row adds a row. Cells may be styled. Missing cells are empty.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Len returns the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// WriteTo prints the table. The heads are left out when all of them are empty, and so are columns in which no row has anything.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	heads, rows := t.filled()
	if strings.Join(heads, "") != "" {
		head := make([]string, len(heads))
		for i, h := range heads {
			head[i] = Faint.Sprint(h)
		}
		rows = append([][]string{head}, rows...)
	}
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for len(row) > 0 && row[len(row)-1] == "" { // no blanks at the ends of lines
			row = row[:len(row)-1]
		}
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-lipgloss.Width(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// filled returns the heads and rows without the columns that are empty in all rows.
func (t *Table) filled() (heads []string, rows [][]string) {
	if len(t.rows) == 0 {
		return t.head, nil
	}
	empty := func(column int) bool {
		return !slices.ContainsFunc(t.rows, func(row []string) bool { return column < len(row) && row[column] != "" })
	}
	rows = make([][]string, len(t.rows))
	for column := range t.head {
		if empty(column) {
			continue
		}
		heads = append(heads, t.head[column])
		for i, row := range t.rows {
			if column < len(row) {
				rows[i] = append(rows[i], row[column])
			} else {
				rows[i] = append(rows[i], "")
			}
		}
	}
	return heads, rows
}
