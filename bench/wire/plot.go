package wire

import (
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/hanse-go/hanse/bench/sample"
)

// A panel of the plot: for each cell a bar of each contender.
type panel struct {
	title string
	value func(*Result, string) (v float64, ok bool)
}

var (
	plotCells = []struct{ cell, label string }{
		{"unary/tcp/1KiB/c1", "1 caller"},
		{"unary/tcp/1KiB/c16", "16 callers"},
		{"unary/tcp/1KiB/c64", "64 callers"},
		{"unary/tcp/1KiB/c512", "512 callers"},
		{"unary/tls/1KiB/c64", "TLS, 64 callers"},
	}
	plotNames = []string{Subject, Base, "connect-go", Floor} // each has a class of its own
	legend    = []string{Subject, Base, "connect-go", Floor + " (the floor)"}
	panels    = []panel{
		{"Unary calls of 1 KiB a second, as a multiple of grpc-go", func(r *Result, who string) (float64, bool) {
			v := r.ratios(speed, who, Base)
			return sample.Median(v), len(v) > 0
		}},
		{"CPU for one call, client and server together, in µs", func(r *Result, who string) (float64, bool) {
			e := r.entry(who)
			if e == nil {
				return 0, false
			}
			return sample.Median(e.values(cpu)), true
		}},
	}
)

const plotStyle = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .value { font-size: 11px }
  .grid { stroke: #d1d9e0 }
  .b0 { fill: #0b6bcb } .b1 { fill: #8c959f } .b2 { fill: #c98a1b } .b3 { fill: #2a9d6f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .grid { stroke: #3d444d }
    .b0 { fill: #4493f8 } .b1 { fill: #768390 } .b2 { fill: #d9a441 } .b3 { fill: #3fb98a }
  }
`

// SVG returns a plot that can be read on a light and on a dark page. Cells that were not measured are left out of it.
func (r *Report) SVG() string {
	const (
		left, right  = 48.0, 16.0
		barW, gap    = 30.0, 26.0
		plotH, headH = 200.0, 64.0
		legendH      = 34.0
	)
	type bars struct {
		label string
		res   *Result
	}
	var cells []bars
	for _, c := range plotCells {
		if res := r.result(c.cell); res != nil {
			cells = append(cells, bars{c.label, res})
		}
	}
	group := float64(len(plotNames)) * barW
	width := math.Max(left+right+float64(len(cells))*(group+gap), 600)
	panelH := headH + plotH + 30
	height := legendH + float64(len(panels))*panelH

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="Speed and cost of remote calls">`+"\n<style>%s</style>\n", width, height, width, height, plotStyle)
	x := left
	for i, name := range legend {
		fmt.Fprintf(&b, `<rect class="b%d" x="%.0f" y="12" width="12" height="12"/><text x="%.0f" y="23">%s</text>`+"\n", i, x, x+18, html.EscapeString(name))
		x += 40 + 8*float64(len(name))
	}
	for n, p := range panels {
		top := legendH + float64(n)*panelH
		fmt.Fprintf(&b, `<text class="title" x="%.0f" y="%.0f">%s</text>`+"\n", left, top+24, html.EscapeString(p.title))
		most := 0.0
		for _, c := range cells {
			for _, name := range plotNames {
				if v, ok := p.value(c.res, name); ok {
					most = math.Max(most, v)
				}
			}
		}
		step := niceStep(most)
		most = math.Max(step, math.Ceil(most/step)*step)
		zero := top + headH + plotH
		for v := 0.0; v <= most+step/2; v += step {
			y := zero - v/most*plotH
			fmt.Fprintf(&b, `<line class="grid" x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f"/><text class="value" x="%.0f" y="%.1f" text-anchor="end">%s</text>`+"\n", left, width-right, y, y, left-6, y+4, short(v))
		}
		for i, c := range cells {
			x := left + gap/2 + float64(i)*(group+gap)
			for k, name := range plotNames {
				v, ok := p.value(c.res, name)
				if !ok {
					continue
				}
				h := v / most * plotH
				bx := x + float64(k)*barW
				fmt.Fprintf(&b, `<rect class="b%d" x="%.1f" y="%.1f" width="%.0f" height="%.1f"><title>%s, %s: %s</title></rect><text class="value" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n",
					k, bx, zero-h, barW-3, h, html.EscapeString(name), html.EscapeString(c.label), short(v), bx+(barW-3)/2, zero-h-4, short(v))
			}
			label := c.label
			if c.res.Void() {
				label += " (void)"
			}
			fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", x+group/2, zero+20, html.EscapeString(label))
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// niceStep returns the distance of lines on an axis that reaches to most: 1, 2 or 5 times a power of ten.
func niceStep(most float64) float64 {
	if most <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, m := range []float64{1, 2, 5} {
		if most/(m*power) <= 5 {
			return m * power
		}
	}
	return 10 * power
}

func short(v float64) string {
	if v != 0 && v < 10 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	return fmt.Sprintf("%.0f", v)
}
