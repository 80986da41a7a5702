package main

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestPictures makes the pictures of the dashboard that the documentation shows, in the dark and in the light. `make pictures` runs it.
func TestPictures(t *testing.T) {
	if os.Getenv("HANSE_PICTURES") == "" {
		t.Skip("make pictures runs it")
	}
	shop := observe(t)
	v := shop.look(t)
	for range 12 {
		shop.buy(t)
	}
	rows := rowsOf("traces")
	spans := `[...document.querySelectorAll("[role=treeitem]")]`
	both := func(name string) {
		for _, theme := range []string{"dark", "light"} {
			v.screen(1280, theme)
			v.do("the size", call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 1280, Height: 720, DeviceScaleFactor: 1}))
			v.until("the theme", `document.documentElement.dataset.theme === "`+theme+`"`)
			v.do("a frame", evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`))
			shot, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			small, err := shrink(shot)
			if err != nil {
				t.Fatal(err)
			}
			if len(small) > 150_000 {
				t.Errorf("%s has %d bytes, which is too much for a document", name, len(small))
			}
			if err := os.WriteFile(filepath.Join("..", "..", "docs", "dashboard-"+name+"-"+theme+".png"), small, 0o644); err != nil {
				t.Error(err)
			}
		}
	}
	v.until("all of the map", `document.querySelectorAll(".map-edge.dashed").length === 3`)
	both("overview")
	v.open("/traces?q=PlaceOrder")
	v.click("a purchase", rows+`[0]`)
	v.until("its spans", spans+`.length > 20`)
	v.press("c")
	v.click("what it paid", spans+`.find((s) => /^payment\s+Payments.Charge\s[^]*, server/.test(s.innerText))`)
	v.shows(".details", "[redacted]")
	both("trace")
	v.open(`/console?method=catalog/shop.catalog.v1.Catalog/SearchProducts&body={"query":"tea","limit":2}`)
	v.click("Call", button("Call"))
	v.until("the trace", `document.querySelectorAll(".call-span").length > 0`)
	v.leave()
	both("console")
}

// shrink writes a picture with 256 colours: those that it has most of, without those that look like another one. A page has few; only the
// edges of letters have more.
func shrink(picture []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	often := make(map[color.RGBA]int)
	box := full.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			often[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)]++
		}
	}
	byCount := slices.SortedFunc(maps.Keys(often), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(often[b], often[a]), cmp.Compare(int(a.R)<<16|int(a.G)<<8|int(a.B), int(b.R)<<16|int(b.G)<<8|int(b.B)))
	})
	var palette color.Palette
	for _, c := range byCount {
		if len(palette) < 256 && !slices.ContainsFunc(palette, func(p color.Color) bool { return alike(p.(color.RGBA), c) }) {
			palette = append(palette, c)
		}
	}
	small := image.NewPaletted(box, palette)
	draw.Draw(small, box, full, box.Min, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small)
	return out.Bytes(), err
}

func alike(a, b color.RGBA) bool {
	r, g, bl := int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B)
	return r*r+g*g+bl*bl < 20
}
